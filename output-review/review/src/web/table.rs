//! The table as it will leave, with what reviewers need beside it.

use kekkai_checks::{Report, Verdict};
use kekkai_output::{Cell, ColumnKind, Suppression, Table};
use kekkai_types::Lang;
use maud::{Markup, html};

use super::text;

/// Rows on one page.
pub(super) const ROWS_PER_PAGE: usize = 200;

/// Which part of the table, and whether contributors are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Counted from 1.
    pub(super) page: usize,
    pub(super) counts: bool,
}

impl View {
    fn query(self) -> String {
        let counts = if self.counts { "&counts=1" } else { "" };
        format!("?page={}{counts}#table", self.page)
    }
}

pub(super) fn show(lang: Lang, table: &Table, report: &Report, view: View) -> Markup {
    let pages = table.rows.len().div_ceil(ROWS_PER_PAGE).max(1);
    let page = view.page.clamp(1, pages);
    let view = View { page, ..view };
    let first = page.saturating_sub(1).saturating_mul(ROWS_PER_PAGE);
    let toggled = View {
        counts: !view.counts,
        ..view
    };
    let toggle = if view.counts {
        text::HIDE_COUNTS
    } else {
        text::SHOW_COUNTS
    };
    html! {
        section #table {
            h2 { (text::TABLE.get(lang)) }
            p.note {
                (text::TABLE_LEAD.get(lang)) " "
                (table.rows.len()) " " (text::ROWS.get(lang)) ", "
                (table.columns.len()) " " (text::COLUMNS.get(lang)) ". "
                @if table.groups_withheld > 0 {
                    (text::WITHHELD.get(lang)) ": " (table.groups_withheld)
                }
            }
            p.tools {
                a.button href=(toggled.query()) { (toggle.get(lang)) }
                @if view.counts { span.note { (text::COUNTS_LEGEND.get(lang)) } }
            }
            div.scroll tabindex="0" {
                table.data {
                    thead { tr {
                        th.index scope="col" { "#" }
                        @for column in &table.columns {
                            th scope="col" class=(class_of(&column.kind)) { (column.name) }
                        }
                    } }
                    tbody {
                        @for (row, cells) in table.rows.iter().enumerate().skip(first).take(ROWS_PER_PAGE) {
                            tr {
                                th.index scope="row" { (row.saturating_add(1)) }
                                @for (index, cell) in cells.iter().enumerate() {
                                    (show_cell(lang, cell, worst_at(report, row, index), view.counts))
                                }
                            }
                        }
                    }
                }
            }
            @if pages > 1 { (pager(lang, view, pages)) }
        }
    }
}

fn show_cell(lang: Lang, cell: &Cell, worst: Option<Verdict>, counts: bool) -> Markup {
    let mark = match worst {
        Some(Verdict::Fail) => "bad",
        Some(Verdict::Review) => "warn",
        Some(Verdict::Pass) | None => "",
    };
    match cell {
        Cell::Key(_) => html! { td.key class=(mark) { (cell.plain()) } },
        Cell::Suppressed(why) => {
            let why = match why {
                Suppression::Threshold => text::SUPPRESSED_THRESHOLD,
                Suppression::Dominance => text::SUPPRESSED_DOMINANCE,
            };
            html! {
                td.number.hidden class=(mark) {
                    "*"
                    span.sr { " " (why.get(lang)) }
                    @if counts { span.evidence { (why.get(lang)) } }
                }
            }
        }
        Cell::Shown { evidence, .. } => html! {
            td.number class=(mark) {
                (cell.plain())
                @if counts {
                    span.evidence {
                        "n=" (evidence.contributors)
                        @if evidence.largest_permille > 0 {
                            " 1st " (percent(evidence.largest_permille))
                            " 2nd " (percent(evidence.second_permille))
                        }
                    }
                }
            }
        },
    }
}

fn pager(lang: Lang, view: View, pages: usize) -> Markup {
    let to = |page: usize| View { page, ..view }.query();
    html! {
        nav.pager aria-label=(text::PAGE.get(lang)) {
            @if view.page > 1 {
                a.button rel="prev" href=(to(view.page.saturating_sub(1))) { (text::PREVIOUS.get(lang)) }
            }
            span { (text::PAGE.get(lang)) " " (view.page) " / " (pages) }
            @if view.page < pages {
                a.button rel="next" href=(to(view.page.saturating_add(1))) { (text::NEXT.get(lang)) }
            }
        }
    }
}

fn worst_at(report: &Report, row: usize, column: usize) -> Option<Verdict> {
    report
        .findings
        .iter()
        .filter(|finding| finding.place.row == Some(row) && finding.place.column == Some(column))
        .map(|finding| finding.verdict)
        .max()
}

fn class_of(kind: &ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Key => "key",
        ColumnKind::Statistic(_) => "number",
    }
}

fn percent(permille: u32) -> String {
    format!("{}.{}%", permille / 10, permille % 10)
}
