//! What a program submitted: shown as it will leave, with the program itself and what it read.

use kekkai_checks::Report;
use kekkai_output::{ProgramBody, ProgramLineage, Read};
use kekkai_types::Lang;
use maud::{Markup, PreEscaped, html};

use super::table::{self, Marks, View};
use super::text;
use crate::model::Head;

/// The output as it will leave, under a mark that nobody counted it.
pub(super) fn body(lang: Lang, body: &ProgramBody, report: &Report, view: View) -> Markup {
    html! {
        p.notice.warn role="note" { (text::UNCOUNTED.get(lang)) }
        @match body {
            ProgramBody::Table { .. } => {
                (table::grid(lang, text::TABLE_OF_PROGRAM, &body.grid(), report, view))
            }
            ProgramBody::Figure(figure) => {
                section {
                    h2 { (text::FIGURE.get(lang)) }
                    p.note { (text::FIGURE_LEAD.get(lang)) }
                    // Drawn and escaped by our own pen; the page's policy allows no script in it either.
                    div.drawing { (PreEscaped(kekkai_figure::svg(figure))) }
                }
                (table::grid(lang, text::FIGURE_NUMBERS, &body.grid(), report, view))
            }
            ProgramBody::Text(words) => {
                section {
                    h2 { (text::TEXT_BODY.get(lang)) }
                    (numbered(words, Some(report)))
                }
            }
            ProgramBody::Model(model) => {
                section {
                    h2 { (text::MODEL.get(lang)) }
                    dl.facts {
                        dt { (text::METHOD.get(lang)) } dd { (model.method) }
                        dt { (text::OBSERVATIONS.get(lang)) } dd { (model.observations) }
                    }
                }
                (table::grid(lang, text::MODEL, &body.grid(), report, view))
            }
        }
    }
}

/// The program and what it read.
pub(super) fn lineage(lang: Lang, head: &Head, lineage: &ProgramLineage) -> Markup {
    html! {
        section {
            h2 { (text::SOURCE.get(lang)) }
            dl.facts {
                dt { (text::PROGRAM.get(lang)) } dd { (lineage.program) }
                dt { (text::PROGRAM_DIGEST.get(lang)) } dd { code.digest { (lineage.digest) } }
                dt { (text::ARGUMENTS.get(lang)) }
                dd { @for arg in &lineage.args { code.item { (arg) } } }
            }
            @if lineage.source.is_empty() {
                p.note { (text::SOURCE_OF_TOOL.get(lang)) }
            } @else {
                (numbered(&lineage.source, None))
            }
        }
        section {
            h2 { (text::READS.get(lang)) span.count { (lineage.reads.len()) } }
            @if lineage.reads.is_empty() {
                p.notice.warn { (text::NO_READS.get(lang)) }
            } @else {
                p.note { (text::READS_LEAD.get(lang)) }
                (reads(lang, &lineage.reads))
            }
        }
        section {
            h2 { (text::LINEAGE.get(lang)) }
            dl.facts {
                dt { (text::DATASETS.get(lang)) }
                dd {
                    @for (dataset, version) in &lineage.datasets {
                        span.item { (dataset) " v" (version) }
                    }
                }
                dt { (text::THRESHOLD.get(lang)) } dd { (lineage.threshold) }
                dt { (text::TERMS.get(lang)) } dd { code.digest { (lineage.policy) } }
                dt { (text::SERVER.get(lang)) } dd { (head.server) }
                dt { (text::SESSION.get(lang)) } dd { code { (head.session) } " / " (head.job) }
            }
        }
    }
}

fn reads(lang: Lang, reads: &[Read]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table.list {
                thead { tr {
                    th scope="col" { "#" }
                    @for column in [text::SQL, text::ROWS, text::PERSONS] {
                        th scope="col" { (column.get(lang)) }
                    }
                } }
                tbody {
                    @for (index, read) in reads.iter().enumerate() {
                        tr {
                            th scope="row" { (index.saturating_add(1)) }
                            td { pre { code { (read.sql) } } }
                            td {
                                @match read.rows {
                                    Some(rows) => (rows),
                                    None => span.badge.warn { (text::ROWS_UNKNOWN.get(lang)) },
                                }
                            }
                            td {
                                @match read.persons {
                                    Some(persons) => (persons),
                                    None => span.badge.warn { (text::PERSONS_UNKNOWN.get(lang)) },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Lines with their numbers; of an output, with the marks of its findings.
fn numbered(words: &str, report: Option<&Report>) -> Markup {
    let marks = report.map(Marks::of);
    html! {
        div.scroll tabindex="0" {
            table.lines {
                tbody {
                    @for (row, line) in words.lines().enumerate() {
                        tr {
                            th scope="row" { (row.saturating_add(1)) }
                            td class=(marks.as_ref().map_or("", |marks| marks.at(Some(row), Some(0)))) {
                                code { (line) }
                            }
                        }
                    }
                }
            }
        }
    }
}
