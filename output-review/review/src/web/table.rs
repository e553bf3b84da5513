//! The table as it will leave, with what reviewers need beside it.

use std::collections::BTreeMap;

use kekkai_checks::{Place, Report, Verdict};
use kekkai_output::{Cell, ColumnKind, Suppression, Table};
use kekkai_types::Lang;
use maud::{Markup, html};

use super::text;

/// Rows on one page, at most.
const ROWS_PER_PAGE_MAX: usize = 200;
/// Cells on one page, at most: wide tables have fewer rows on each.
const CELLS_PER_PAGE_MAX: usize = 10_000;

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
    let per_page = CELLS_PER_PAGE_MAX
        .checked_div(table.columns.len())
        .unwrap_or(ROWS_PER_PAGE_MAX)
        .clamp(1, ROWS_PER_PAGE_MAX);
    let pages = table.rows.len().div_ceil(per_page).max(1);
    let marks = marks(report);
    let mark = |row, column| {
        marks
            .get(&Place { row, column })
            .copied()
            .unwrap_or_default()
    };
    let page = view.page.clamp(1, pages);
    let view = View { page, ..view };
    let first = page.saturating_sub(1).saturating_mul(per_page);
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
                        @for (index, column) in table.columns.iter().enumerate() {
                            th scope="col" class={ (class_of(&column.kind)) " " (mark(None, Some(index))) } { (column.name) }
                        }
                    } }
                    tbody {
                        @for (row, cells) in table.rows.iter().enumerate().skip(first).take(per_page) {
                            tr {
                                th scope="row" class={ "index " (mark(Some(row), None)) } { (row.saturating_add(1)) }
                                @for (index, cell) in cells.iter().enumerate() {
                                    (show_cell(lang, cell, mark(Some(row), Some(index)), view.counts))
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

fn show_cell(lang: Lang, cell: &Cell, mark: &str, counts: bool) -> Markup {
    match cell {
        Cell::Key(_) => html! { td class={ "key " (mark) } { (cell.plain()) } },
        Cell::Suppressed(why) => {
            let why = match why {
                Suppression::Threshold => text::SUPPRESSED_THRESHOLD,
                Suppression::Dominance => text::SUPPRESSED_DOMINANCE,
            };
            html! {
                td class={ "number hidden " (mark) } {
                    "*"
                    span.sr { " " (why.get(lang)) }
                    @if counts { span.evidence { (why.get(lang)) } }
                }
            }
        }
        Cell::Shown { evidence, .. } => html! {
            td class={ "number " (mark) } {
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

/// The worst finding of each place, as a class.
fn marks(report: &Report) -> BTreeMap<Place, &'static str> {
    // The worst comes first.
    let mut marks = BTreeMap::new();
    for finding in &report.findings {
        let mark = match finding.verdict {
            Verdict::Fail => "bad",
            Verdict::Review => "warn",
            Verdict::Pass => "",
        };
        marks.entry(finding.place).or_insert(mark);
    }
    marks
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
