//! One view of tables of statistics and of rows: what tables, charts and column statistics read.

use std::borrow::Cow;

use kekkai_output::{Cell, ColumnKind, Suppression, Table, Value, ValueType};

/// A cell as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown<'a> {
    /// SQL's `NULL`, or no such cell.
    Missing,
    /// A value.
    Text(Cow<'a, str>),
    /// Kept inside, and why. Never a number, not even zero.
    Suppressed(Suppression),
}

/// Columns and rows, counted from 0.
pub trait Grid {
    /// How many.
    fn columns(&self) -> usize;
    /// How many are here.
    fn rows(&self) -> usize;
    /// A column's name in the result; empty where there is none.
    fn name(&self, column: usize) -> &str;
    /// What a column's values are.
    fn value_type(&self, column: usize) -> ValueType;
    /// Whether a column's cells are statistics, with evidence and suppression.
    fn is_statistic(&self, column: usize) -> bool;
    /// A cell.
    fn shown(&self, row: usize, column: usize) -> Shown<'_>;
    /// A cell as a number: integers, floats, and booleans as 0 and 1. `None` for everything else, for what
    /// is missing and for what is suppressed.
    fn number(&self, row: usize, column: usize) -> Option<f64>;
    /// Persons who contributed to a cell, as the engine counted them.
    fn contributors(&self, row: usize, column: usize) -> Option<u64>;
}

/// A value as a number.
#[allow(clippy::cast_precision_loss, reason = "for drawing and sorting")]
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Null | Value::Text(_) => None,
    }
}

/// A value as people read it: a float with at most six places, without zeros at its end.
pub fn value_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        Value::Int(value) => Cow::Owned(value.to_string()),
        Value::Float(value) => Cow::Owned(float_text(*value)),
        Value::Text(value) => Cow::Borrowed(value),
    }
}

/// A float with at most six places, or seven digits and an exponent where it is very large or small.
pub fn float_text(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{value:.6e}");
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number with a comma before each three digits.
pub fn grouped(number: u64) -> String {
    let text = number.to_string();
    let mut out = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && text.len().saturating_sub(at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The same, of things that are counted here.
pub fn grouped_count(count: usize) -> String {
    grouped(u64::try_from(count).unwrap_or(u64::MAX))
}

fn cell(table: &Table, row: usize, column: usize) -> Option<&Cell> {
    table.rows.get(row)?.get(column)
}

impl Grid for Table {
    fn columns(&self) -> usize {
        self.columns.len()
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn name(&self, column: usize) -> &str {
        self.columns.get(column).map_or("", |column| &column.name)
    }

    fn value_type(&self, column: usize) -> ValueType {
        let column = self.columns.get(column);
        column.map_or(ValueType::Text, |column| column.value_type)
    }

    fn is_statistic(&self, column: usize) -> bool {
        let kind = self.columns.get(column).map(|column| &column.kind);
        matches!(kind, Some(ColumnKind::Statistic(_)))
    }

    fn shown(&self, row: usize, column: usize) -> Shown<'_> {
        match cell(self, row, column) {
            None
            | Some(
                Cell::Key(Value::Null)
                | Cell::Shown {
                    value: Value::Null, ..
                },
            ) => Shown::Missing,
            Some(Cell::Key(value) | Cell::Shown { value, .. }) => Shown::Text(value_text(value)),
            Some(Cell::Suppressed(why)) => Shown::Suppressed(*why),
        }
    }

    fn number(&self, row: usize, column: usize) -> Option<f64> {
        match cell(self, row, column)? {
            Cell::Key(value) | Cell::Shown { value, .. } => number(value),
            Cell::Suppressed(_) => None,
        }
    }

    fn contributors(&self, row: usize, column: usize) -> Option<u64> {
        match cell(self, row, column)? {
            Cell::Shown { evidence, .. } => Some(evidence.contributors),
            Cell::Key(_) | Cell::Suppressed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_short_and_never_lose_their_size() {
        for (value, text) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (100.0, "100"),
            (2.0 / 3.0, "0.666667"),
            (1e-9, "1.000000e-9"),
            (1.25e20, "1.250000e20"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float_text(value), text);
        }
    }

    #[test]
    fn suppressed_cell_is_no_number() {
        let table = crate::samples::table();
        let (row, column) = crate::samples::SUPPRESSED;
        assert!(matches!(table.shown(row, column), Shown::Suppressed(_)));
        assert_eq!(table.number(row, column), None);
        assert_eq!(table.contributors(row, column), None);
    }
}
