//! The table as it will leave, with what reviewers need beside it.

use std::collections::BTreeMap;

use kekkai_checks::{Place, Report, Verdict};
use kekkai_output::{Cell, ColumnKind, Grid, Suppression, Table, Value};
use kekkai_types::Lang;
use maud::{Markup, html};

use super::text::{self, T};

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
    let marks = Marks::of(report);
    let mark = |row, column| marks.at(row, column);
    let Slice {
        view,
        pages,
        first,
        per_page,
    } = Slice::of(table.columns.len(), table.rows.len(), view);
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

/// Which rows one page shows.
struct Slice {
    view: View,
    pages: usize,
    first: usize,
    per_page: usize,
}

impl Slice {
    fn of(columns: usize, rows: usize, view: View) -> Self {
        let per_page = CELLS_PER_PAGE_MAX
            .checked_div(columns)
            .unwrap_or(ROWS_PER_PAGE_MAX)
            .clamp(1, ROWS_PER_PAGE_MAX);
        let pages = rows.div_ceil(per_page).max(1);
        let page = view.page.clamp(1, pages);
        Self {
            view: View { page, ..view },
            pages,
            first: page.saturating_sub(1).saturating_mul(per_page),
            per_page,
        }
    }
}

/// Plain values: a program's table, or the numbers of its figure or model.
pub(super) fn grid(lang: Lang, title: T, grid: &Grid, report: &Report, view: View) -> Markup {
    let marks = Marks::of(report);
    let Slice {
        view,
        pages,
        first,
        per_page,
    } = Slice::of(grid.columns.len(), grid.rows.len(), view);
    html! {
        section #table {
            h2 { (title.get(lang)) }
            p.note {
                (grid.rows.len()) " " (text::ROWS.get(lang)) ", "
                (grid.columns.len()) " " (text::COLUMNS.get(lang)) ". "
                (text::ROW_NUMBERS_STAY.get(lang))
            }
            div.scroll tabindex="0" {
                table.data {
                    thead { tr {
                        th.index scope="col" { "#" }
                        @for (index, column) in grid.columns.iter().enumerate() {
                            th scope="col" class={ (alignment_of(grid, index)) " " (marks.at(None, Some(index))) } { (column) }
                        }
                    } }
                    tbody {
                        @for (row, values) in grid.rows.iter().enumerate().skip(first).take(per_page) {
                            tr {
                                th scope="row" class={ "index " (marks.at(Some(row), None)) } { (row.saturating_add(1)) }
                                @for (index, value) in values.iter().enumerate() {
                                    td class={ (alignment(value)) " " (marks.at(Some(row), Some(index))) } { (value.plain()) }
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

/// A column's name stands over its values: over the first that is there.
fn alignment_of(grid: &Grid, column: usize) -> &'static str {
    let mut values = grid.rows.iter().filter_map(|row| row.get(column));
    values
        .find(|value| **value != Value::Null)
        .map_or("key", alignment)
}

fn alignment(value: &Value) -> &'static str {
    match value {
        Value::Int(_) | Value::Float(_) => "number",
        Value::Null | Value::Bool(_) | Value::Text(_) => "key",
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
                        @if evidence.zeros > 0 { " 0×" (evidence.zeros) }
                        @if evidence.missing > 0 { " −" (evidence.missing) }
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
pub(super) struct Marks(BTreeMap<Place, &'static str>);

impl Marks {
    pub(super) fn of(report: &Report) -> Self {
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
        Self(marks)
    }

    pub(super) fn at(&self, row: Option<usize>, column: Option<usize>) -> &'static str {
        self.0
            .get(&Place { row, column })
            .copied()
            .unwrap_or_default()
    }
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
