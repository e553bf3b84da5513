//! Hidden cells that the shown ones give away by subtraction, inside one table.
//!
//! The rules look for lines (the cells of a row that add up, or the rows of a column that differ
//! in one key only) where a total stands beside its parts. They over-report rather than miss: a
//! finding sends the table to a person's eyes, it never refuses it.

use std::collections::BTreeMap;

use kekkai_output::{Aggregate, Cell, ColumnKind, Table, Value};

use crate::finding::{Collector, Place, Rule, Verdict};
use crate::profile::Profile;

/// Names of total rows, in lower case.
const TOTALS: [&str; 9] = [
    "total", "all", "sum", "overall", "合計", "総計", "小計", "計", "全体",
];

pub(crate) fn check(table: &Table, profile: &Profile, found: &mut Collector) {
    across_columns(table, profile, found);
    down_rows(table, profile, found);
    near_counts(table, profile, found);
}

/// The numbers of one line.
#[derive(Default)]
struct Line {
    /// Suppressed cells: row and column.
    hidden: Vec<(usize, usize)>,
    shown: Vec<f64>,
    has_total_label: bool,
}

impl Line {
    fn push(&mut self, row: usize, column: usize, cell: &Cell) {
        match cell {
            Cell::Suppressed(_) => self.hidden.push((row, column)),
            Cell::Shown { value, .. } => {
                if let Some(number) = number(value) {
                    self.shown.push(number);
                }
            }
            Cell::Key(_) => {}
        }
    }

    /// The greatest number minus the others: what the hidden cells would add up to if the
    /// greatest were their total. `None` where it can't be one.
    fn remainder(&self) -> Option<f64> {
        // Sorted, so that the order of rows does not change how the sum is rounded.
        let mut shown = self.shown.clone();
        shown.sort_by(f64::total_cmp);
        let greatest = *shown.last()?;
        let rest = 2.0_f64.mul_add(greatest, -shown.iter().sum::<f64>());
        (rest >= 0.0).then_some(rest)
    }

    fn report(&self, is_count: bool, parts_min: usize, profile: &Profile, found: &mut Collector) {
        let Some(rest) = self.remainder() else {
            return;
        };
        let Some(&(row, column)) = self.hidden.first() else {
            return;
        };
        // A total and at least one part, or nothing can be subtracted.
        let has_total =
            self.shown.len() > parts_min || (self.has_total_label && self.shown.len() > 1);
        if !has_total {
            return;
        }
        let min = profile.contributors_min;
        if self.hidden.len() == 1 {
            found.add(
                Rule::Difference,
                Verdict::Review,
                Place::cell(row, column),
                "秘匿されたセルが1つだけで、合計から他のセルを引くと復元できる可能性があります。",
                "The only hidden cell here: it may be the total minus the other cells.",
            );
        } else if is_count && rest < f64::from(min) {
            found.add(
                Rule::Difference,
                Verdict::Review,
                Place::cell(row, column),
                format!("秘匿されたセルの合計が{min}未満と分かる可能性があります。"),
                format!("The hidden cells here may be seen to add up to less than {min}."),
            );
        }
    }
}

/// `SELECT region, COUNT(*), COUNT(male), COUNT(female)`: the parts stand beside their total.
fn across_columns(table: &Table, profile: &Profile, found: &mut Collector) {
    for wanted in [Aggregate::Count, Aggregate::CountDistinct, Aggregate::Sum] {
        let columns = columns_of(table, wanted);
        if columns.len() < 3 {
            continue;
        }
        for (row, cells) in table.rows.iter().enumerate() {
            let mut line = Line::default();
            for &column in &columns {
                if let Some(cell) = cells.get(column) {
                    line.push(row, column, cell);
                }
            }
            line.report(wanted != Aggregate::Sum, 1, profile, found);
        }
    }
}

/// Rows that differ in one key only: a total row (`ROLLUP`, or a label) stands among its parts.
fn down_rows(table: &Table, profile: &Profile, found: &mut Collector) {
    let keys: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| matches!(column.kind, ColumnKind::Key).then_some(index))
        .collect();
    for &varying in &keys {
        let fixed: Vec<usize> = keys.iter().copied().filter(|key| *key != varying).collect();
        let mut strata: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        for (row, cells) in table.rows.iter().enumerate() {
            let stratum = fixed
                .iter()
                .map(|key| cells.get(*key).map(Cell::plain).unwrap_or_default())
                .collect();
            strata.entry(stratum).or_default().push(row);
        }
        for wanted in [Aggregate::Count, Aggregate::CountDistinct, Aggregate::Sum] {
            for column in columns_of(table, wanted) {
                for rows in strata.values() {
                    let mut line = Line::default();
                    for &row in rows {
                        let cells = table.rows.get(row).map(Vec::as_slice).unwrap_or_default();
                        if let Some(cell) = cells.get(column) {
                            line.push(row, column, cell);
                        }
                        line.has_total_label |= cells.get(varying).is_some_and(is_total);
                    }
                    // Without a label, two parts must add up: of any two numbers one is greater.
                    line.report(wanted != Aggregate::Sum, 2, profile, found);
                }
            }
        }
    }
}

/// Two counts of one group that differ by a few: the few are a small group of their own.
fn near_counts(table: &Table, profile: &Profile, found: &mut Collector) {
    let columns = columns_of(table, Aggregate::Count);
    if columns.len() < 2 {
        return;
    }
    let min = f64::from(profile.contributors_min);
    for (row, cells) in table.rows.iter().enumerate() {
        let mut counts: Vec<f64> = columns
            .iter()
            .filter_map(|column| match cells.get(*column) {
                Some(Cell::Shown { value, .. }) => number(value),
                _ => None,
            })
            .collect();
        counts.sort_by(f64::total_cmp);
        let is_near = counts.iter().zip(counts.iter().skip(1)).any(|(a, b)| {
            let gap = b - a;
            gap > 0.0 && gap < min
        });
        if is_near {
            let min = profile.contributors_min;
            found.add(
                Rule::NearCounts,
                profile.near_counts,
                Place::row(row),
                format!("件数の差が{min}未満の列があります。一方が他方を含む場合、差が小さな群になります。"),
                format!("Two counts differ by less than {min}: if one contains the other, the rest is a small group."),
            );
        }
    }
}

/// Columns that hold this aggregate and nothing else.
fn columns_of(table: &Table, wanted: Aggregate) -> Vec<usize> {
    table
        .columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| match &column.kind {
            ColumnKind::Statistic(aggregates) if aggregates.as_slice() == [wanted] => Some(index),
            _ => None,
        })
        .collect()
}

fn is_total(cell: &Cell) -> bool {
    match cell {
        Cell::Key(Value::Null) => true,
        Cell::Key(Value::Text(text)) => {
            let text = text.trim().to_lowercase();
            text.is_empty() || TOTALS.contains(&text.as_str())
        }
        _ => false,
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "sums are compared with a tolerance of whole persons"
)]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => value.is_finite().then_some(*value),
        Value::Text(text) => text.parse().ok().filter(|n: &f64| n.is_finite()),
        Value::Null | Value::Bool(_) => None,
    }
}
