//! Two answers, side by side.
//!
//! Numbers that both sides computed from integers must be equal. Floats may differ by [`RELATIVE`] of the
//! larger one, or by [`ABSOLUTE`]: sums of floats depend on the order of their terms, which is each engine's
//! own. A sum of n terms of one sign is off by at most n·2⁻⁵³ of itself; with the 600 000 rows of TPC-H's
//! `lineitem` that is 7·10⁻¹¹. What cancels in the generated data are dyadic fractions, whose sums are exact.

use std::collections::BTreeMap;
use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use kekkai_output::{Cell, Table, Value as Shown};

/// Of the larger of two floats.
const RELATIVE: f64 = 1e-9;
/// For floats about 0.
const ABSOLUTE: f64 = 1e-9;

/// A value of either side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    /// Texts; dates and times in ISO 8601.
    Text(String),
    /// A cell of a statistic that nobody contributed to. Under a threshold of 1 that is every suppressed one.
    Nobody,
}

impl Value {
    /// A text. Midnight of a day is that day: the engines differ in whether a date and an interval make a
    /// date or a timestamp.
    pub(crate) fn text(text: &str) -> Self {
        let day = text
            .strip_suffix("T00:00:00")
            .filter(|day| day.len() == 10 && day.is_ascii());
        Self::Text(day.unwrap_or(text).to_owned())
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nobody, other) | (other, Self::Nobody) => {
                matches!(other, Self::Null | Self::Int(0) | Self::Nobody)
                    || *other == Self::Float(0.0)
            }
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) => {
                let (a, b) = (self.number(), other.number());
                a == b
                    || (a.is_nan() && b.is_nan())
                    || (a - b).abs() <= (RELATIVE * a.abs().max(b.abs())).max(ABSOLUTE)
            }
            (a, b) => a == b,
        }
    }

    fn number(&self) -> f64 {
        match self {
            Self::Int(value) => *value as f64,
            Self::Float(value) => *value,
            _ => f64::NAN,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) if value.is_empty() => f.write_str("(empty)"),
            Self::Text(value) => f.write_str(value),
            Self::Nobody => f.write_str("*"),
        }
    }
}

/// Rows as they were sent.
pub(crate) fn of_batch(batch: &RecordBatch) -> Vec<Vec<Value>> {
    let options = FormatOptions::new();
    let columns: Vec<Vec<Value>> = batch
        .columns()
        .iter()
        .map(|column| {
            let formatter = ArrayFormatter::try_new(column, &options).unwrap();
            (0..column.len())
                .map(|row| {
                    if column.is_null(row) || column.data_type() == &DataType::Null {
                        return Value::Null;
                    }
                    match column.data_type() {
                        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
                        DataType::Int64 => {
                            Value::Int(column.as_primitive::<Int64Type>().value(row).into())
                        }
                        DataType::Float64 => {
                            Value::Float(column.as_primitive::<Float64Type>().value(row))
                        }
                        DataType::Decimal128(_, scale) => {
                            let digits = column.as_primitive::<Decimal128Type>().value(row);
                            Value::Float(digits as f64 / 10_f64.powi((*scale).into()))
                        }
                        _ => Value::text(&formatter.value(row).to_string()),
                    }
                })
                .collect()
        })
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect()
}

/// A statistic as it is shown.
pub(crate) fn of_table(table: &Table) -> Vec<Vec<Value>> {
    table
        .rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|cell| match cell {
                    Cell::Suppressed(_) => Value::Nobody,
                    Cell::Key(value) | Cell::Shown { value, .. } => match value {
                        Shown::Null => Value::Null,
                        Shown::Bool(value) => Value::Bool(*value),
                        Shown::Int(value) => Value::Int((*value).into()),
                        Shown::Float(value) => Value::Float(*value),
                        Shown::Text(value) => Value::text(value),
                    },
                })
                .collect()
        })
        .collect()
}

/// What differs between two answers, in words; `None` where nothing does. Where `ordered`, the order counts.
pub(crate) fn difference(
    ours: &[Vec<Value>],
    theirs: &[Vec<Value>],
    ordered: bool,
) -> Option<String> {
    if ours.len() != theirs.len() {
        return Some(format!(
            "{} rows, DuckDB {}\nours:\n{}DuckDB:\n{}",
            ours.len(),
            theirs.len(),
            shown(ours),
            shown(theirs)
        ));
    }
    if !ordered {
        return (!same_rows(ours, theirs))
            .then(|| format!("ours:\n{}DuckDB:\n{}", shown(ours), shown(theirs)));
    }
    let pairs = ours.iter().zip(theirs);
    let (at, (ours, theirs)) = pairs.enumerate().find(|(_, (a, b))| !row_equals(a, b))?;
    let [ours, theirs] = [ours, theirs].map(|row| shown(std::slice::from_ref(row)));
    Some(format!("row {at}\nours:\n{ours}DuckDB:\n{theirs}"))
}

fn shown(rows: &[Vec<Value>]) -> String {
    let line = |row: &Vec<Value>| {
        let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
        format!("  {}\n", cells.join(" | "))
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort();
    lines.truncate(20);
    lines.concat()
}

fn row_equals(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
}

/// Rows whose exact columns agree are matched one by one: two floats that are nearly equal have no order that
/// both sides would find.
fn same_rows(ours: &[Vec<Value>], theirs: &[Vec<Value>]) -> bool {
    let width = ours.first().map_or(0, Vec::len);
    let is_exact = |column: usize| {
        ours.iter().chain(theirs).all(|row| {
            !matches!(
                row.get(column),
                Some(Value::Float(_) | Value::Nobody) | None
            )
        })
    };
    let exact: Vec<usize> = (0..width).filter(|column| is_exact(*column)).collect();
    let key = |row: &Vec<Value>| -> String {
        let cells: Vec<String> = exact.iter().map(|at| format!("{:?}", row[*at])).collect();
        cells.join("|")
    };
    let mut groups: BTreeMap<String, Vec<&Vec<Value>>> = BTreeMap::new();
    for row in theirs {
        groups.entry(key(row)).or_default().push(row);
    }
    ours.iter().all(|row| {
        let Some(group) = groups.get_mut(&key(row)) else {
            return false;
        };
        match group.iter().position(|other| row_equals(row, other)) {
            Some(at) => {
                group.swap_remove(at);
                true
            }
            None => false,
        }
    })
}

#[test]
fn a_difference_is_found_where_there_is_one() {
    let row = |a: i128, f: f64| vec![Value::Int(a), Value::Float(f)];
    let ours = [row(1, 0.1 + 0.2), row(2, 5.0)];
    assert_eq!(difference(&ours, &[row(2, 5.0), row(1, 0.3)], false), None);
    for other in [
        vec![row(1, 0.3)],
        vec![row(1, 0.3), row(1, 0.3)],
        vec![row(1, 0.300_000_01), row(2, 5.0)],
        vec![row(3, 0.3), row(2, 5.0)],
        vec![vec![Value::Null, Value::Float(0.3)], row(2, 5.0)],
    ] {
        assert!(difference(&ours, &other, false).is_some(), "{other:?}");
    }
    // The order counts where it is asked for.
    assert!(difference(&ours, &[row(2, 5.0), row(1, 0.3)], true).is_some());
    let nobody = [vec![Value::Nobody]];
    assert_eq!(difference(&nobody, &[vec![Value::Int(0)]], false), None);
    assert!(difference(&nobody, &[vec![Value::Int(1)]], false).is_some());
}
