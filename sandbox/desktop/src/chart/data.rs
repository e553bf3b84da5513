//! A result as columns of numbers, dates or names, whether it is a statistic or rows.

use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::Date32Type;
use kekkai_output::{Table, ValueType};

use crate::grid::{Grid, Shown, float_text};
use crate::rows::KeptRows;

/// Rows that are looked at to choose a chart.
const SAMPLE: usize = 2_000;

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// `NULL`, NaN or infinite.
    Missing,
    /// Suppressed: fewer persons than the threshold, or one of them dominates.
    Withheld,
}

/// A result to draw. Columns are read when they are chosen: a hundred thousand rows are not held twice.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A statistic.
    Table(&'a Table),
    /// Rows of persons, where the agreement and the display let them be seen.
    Rows(&'a KeptRows),
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// As the statement calls it.
    pub name: String,
    /// What it holds.
    pub values: Values,
}

/// What a column holds, in the order of the rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Finite numbers.
    Numbers(Vec<Result<f64, Gap>>),
    /// Days since 1 January 1970.
    Dates(Vec<Result<f64, Gap>>),
    /// Names, each kept once.
    Names {
        /// In the order in which they come first.
        names: Vec<String>,
        /// Which name a row has.
        at: Vec<Result<usize, Gap>>,
    },
}

/// What can be known of a column without reading it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline<'a> {
    /// As the statement calls it.
    pub name: &'a str,
    /// The name of a group, as opposed to a statistic; of rows, whatever is no number.
    pub is_key: bool,
    /// Its values are numbers.
    pub is_number: bool,
}

impl<'a> Source<'a> {
    fn grid(&self) -> &'a dyn Grid {
        match *self {
            Self::Table(table) => table,
            Self::Rows(rows) => rows,
        }
    }

    /// Rows in it.
    pub fn len(&self) -> usize {
        self.grid().rows()
    }

    /// True without any row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether each row is one person's, or one event's.
    pub fn is_rows(&self) -> bool {
        matches!(self, Self::Rows(_))
    }

    /// Groups that were withheld as a whole.
    pub fn groups_withheld(&self) -> u64 {
        match self {
            Self::Table(table) => table.groups_withheld,
            Self::Rows(_) => 0,
        }
    }

    /// All columns, in the order of the statement.
    pub fn outlines(&self) -> Vec<Outline<'a>> {
        let grid = self.grid();
        (0..grid.columns())
            .map(|column| {
                let is_statistic = grid.is_statistic(column);
                let is_number = match grid.value_type(column) {
                    ValueType::Int | ValueType::Float => true,
                    ValueType::Bool => false,
                    // A statistic in plain digits is a decimal; a key in digits is a code.
                    ValueType::Text => is_statistic,
                };
                Outline {
                    name: grid.name(column),
                    is_key: if self.is_rows() {
                        !is_number
                    } else {
                        !is_statistic
                    },
                    is_number,
                }
            })
            .collect()
    }

    /// Reads a column; `None` where there is none of this name.
    pub fn column(&self, name: &str) -> Option<Column> {
        self.head(name, usize::MAX)
    }

    /// Reads a column's first [`SAMPLE`] rows: enough to choose a chart by.
    pub fn sample(&self, name: &str) -> Option<Column> {
        self.head(name, SAMPLE)
    }

    fn head(&self, name: &str, rows: usize) -> Option<Column> {
        let grid = self.grid();
        let column = (0..grid.columns()).find(|column| grid.name(*column) == name)?;
        Some(Column {
            name: name.to_owned(),
            values: self.values(column, grid.rows().min(rows)),
        })
    }

    fn values(&self, column: usize, rows: usize) -> Values {
        let grid = self.grid();
        let rows = 0..rows;
        let number = |row| match grid.number(row, column) {
            Some(number) if number.is_finite() => Ok(number),
            Some(_) => Err(Gap::Missing),
            None => Err(gap(&grid.shown(row, column))),
        };
        let text = |row| match grid.shown(row, column) {
            Shown::Text(text) => Ok(text.into_owned()),
            other => Err(gap(&other)),
        };
        match grid.value_type(column) {
            ValueType::Int | ValueType::Float => Values::Numbers(rows.map(number).collect()),
            ValueType::Bool => Values::names(rows.map(text)),
            ValueType::Text => {
                let texts = rows.map(text);
                let dates = Values::parsed(texts.clone(), day).map(Values::Dates);
                // Digits in a key are a code: arithmetic with codes has no meaning.
                let decimals = || {
                    let parse = |text: &str| text.parse().ok().filter(|n: &f64| n.is_finite());
                    grid.is_statistic(column)
                        .then(|| Values::parsed(texts.clone(), parse))
                        .flatten()
                        .map(Values::Numbers)
                };
                dates
                    .or_else(decimals)
                    .unwrap_or_else(|| Values::names(texts))
            }
        }
    }
}

fn gap(shown: &Shown<'_>) -> Gap {
    match shown {
        Shown::Suppressed(_) => Gap::Withheld,
        Shown::Missing | Shown::Text(_) => Gap::Missing,
    }
}

impl Values {
    /// `None` unless every text can be read so, and there is one.
    fn parsed(
        texts: impl Iterator<Item = Result<String, Gap>>,
        parse: impl Fn(&str) -> Option<f64>,
    ) -> Option<Vec<Result<f64, Gap>>> {
        let mut numbers = Vec::new();
        let mut any = false;
        for text in texts {
            numbers.push(match text {
                Ok(text) => {
                    any = true;
                    Ok(parse(&text)?)
                }
                Err(gap) => Err(gap),
            });
        }
        any.then_some(numbers)
    }

    fn names(texts: impl Iterator<Item = Result<String, Gap>>) -> Self {
        let mut names = Vec::new();
        let mut known = std::collections::BTreeMap::new();
        let at = texts
            .map(|text| {
                text.map(|text| {
                    *known.entry(text).or_insert_with_key(|text: &String| {
                        names.push(text.clone());
                        names.len().saturating_sub(1)
                    })
                })
            })
            .collect();
        Self::Names { names, at }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) | Self::Dates(values) => values.len(),
            Self::Names { at, .. } => at.len(),
        }
    }

    /// True without any row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers or days; names have neither.
    pub fn as_numbers(&self) -> Option<&[Result<f64, Gap>]> {
        match self {
            Self::Numbers(values) | Self::Dates(values) => Some(values),
            Self::Names { .. } => None,
        }
    }

    /// The same as names: numbers in their shortest spelling, days as ISO 8601.
    #[must_use]
    pub fn into_names(self) -> (Vec<String>, Vec<Result<usize, Gap>>) {
        let texts = |values: Vec<Result<f64, Gap>>, spell: fn(f64) -> String| {
            Self::names(values.into_iter().map(|value| value.map(spell)))
        };
        match self {
            Self::Names { names, at } => (names, at),
            Self::Numbers(values) => texts(values, float_text).into_names(),
            Self::Dates(values) => texts(values, date).into_names(),
        }
    }
}

/// Days since 1970 of `2024-05-01`, of `2024-05` (its first day), or of a time on a day.
pub fn day(text: &str) -> Option<f64> {
    let is_digits = |bytes: &[u8]| {
        bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    };
    let bytes = text.as_bytes();
    let days = match bytes.len() {
        7 if is_digits(bytes) => Date32Type::parse(&format!("{text}-01")),
        10 if is_digits(bytes) => Date32Type::parse(text),
        19.. if is_digits(bytes.get(..10)?) && matches!(bytes.get(10), Some(b'T' | b' ')) => {
            Date32Type::parse(text.get(..10)?)
        }
        _ => None,
    };
    days.map(f64::from)
}

/// ISO 8601 of days since 1970; of days that no calendar has, the number.
pub fn date(days: f64) -> String {
    whole(days)
        .and_then(arrow::temporal_conversions::date32_to_datetime)
        .map_or_else(|| days.to_string(), |time| time.date().to_string())
}

#[allow(clippy::cast_possible_truncation, reason = "only what fits is taken")]
fn whole(number: f64) -> Option<i32> {
    let number = number.round();
    (f64::from(i32::MIN)..=f64::from(i32::MAX))
        .contains(&number)
        .then_some(number as i32)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use kekkai_output::{Aggregate, Cell, ColumnKind, Evidence, Lineage, Suppression, Value};
    use kekkai_types::Digest;

    use super::*;
    use crate::rows::Piece;

    /// A statistic of text. First line: names, `!` after a key's. Cells: `*` withheld, empty `NULL`.
    pub(crate) fn table(text: &str) -> Table {
        let mut lines = text.trim().lines().map(|line| {
            let cells = line.split(',').map(str::trim);
            cells.map(str::to_owned).collect::<Vec<_>>()
        });
        let header = lines.next().unwrap();
        let rows: Vec<Vec<String>> = lines.collect();
        let columns: Vec<kekkai_output::Column> = header
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let texts: Vec<&str> = rows.iter().map(|row| row[index].as_str()).collect();
                let texts = || texts.iter().filter(|t| **t != "*" && !t.is_empty());
                let value_type = if texts().all(|t| t.parse::<i64>().is_ok()) {
                    ValueType::Int
                } else if texts().all(|t| t.parse::<f64>().is_ok()) {
                    ValueType::Float
                } else {
                    ValueType::Text
                };
                let key = name.strip_suffix('!');
                kekkai_output::Column {
                    name: key.unwrap_or(name).to_owned(),
                    value_type,
                    kind: match key {
                        Some(_) => ColumnKind::Key,
                        None => ColumnKind::Statistic(vec![Aggregate::Count]),
                    },
                }
            })
            .collect();
        let rows = rows
            .iter()
            .map(|row| {
                row.iter()
                    .zip(&columns)
                    .map(|(text, column)| {
                        let value = match column.value_type {
                            _ if text.is_empty() => Value::Null,
                            _ if text == "*" => return Cell::Suppressed(Suppression::Threshold),
                            ValueType::Int => Value::Int(text.parse().unwrap()),
                            ValueType::Float => Value::Float(text.parse().unwrap()),
                            _ => Value::Text(text.clone()),
                        };
                        match column.kind {
                            ColumnKind::Key => Cell::Key(value),
                            ColumnKind::Statistic(_) => Cell::Shown {
                                value,
                                evidence: Evidence {
                                    contributors: 40,
                                    largest_permille: 0,
                                    second_permille: 0,
                                    zeros: 0,
                                    missing: 0,
                                },
                            },
                        }
                    })
                    .collect()
            })
            .collect();
        Table {
            columns,
            rows,
            groups_withheld: 0,
            lineage: Lineage {
                sql: "SELECT 1".into(),
                datasets: Vec::new(),
                threshold: 10,
                dominance_permille: 500,
                engine: "test".into(),
                policy: Digest::of(b""),
            },
        }
    }

    pub(crate) fn rows() -> KeptRows {
        let schema = Arc::new(Schema::new(vec![
            Field::new("sex", DataType::Utf8, true),
            Field::new("age", DataType::Int64, true),
            Field::new("seen", DataType::Date32, true),
        ]));
        let batch = |sex: Vec<Option<&str>>, age: Vec<Option<i64>>, seen: Vec<Option<i32>>| {
            RecordBatch::try_new(
                schema.clone(),
                vec![
                    Arc::new(StringArray::from(sex)),
                    Arc::new(Int64Array::from(age)),
                    Arc::new(Date32Array::from(seen)),
                ],
            )
            .unwrap()
        };
        let mut rows = KeptRows::default();
        rows.push(Piece::Schema(schema.clone()));
        rows.push(Piece::Rows(batch(
            vec![Some("f"), Some("m"), None],
            vec![Some(61), None, Some(47)],
            vec![Some(19844), Some(19845), None],
        )));
        let last = batch(vec![Some("f")], vec![Some(70)], vec![Some(0)]);
        rows.push(Piece::Rows(last));
        rows
    }

    #[test]
    fn withheld_cell_is_a_gap_and_never_a_number() {
        let table = table("sex!, n, mean\nf, 120, 5.5\nm, *, \n");
        let source = Source::Table(&table);
        assert_eq!(
            source.column("n").unwrap().values,
            Values::Numbers(vec![Ok(120.0), Err(Gap::Withheld)])
        );
        assert_eq!(
            source.column("mean").unwrap().values,
            Values::Numbers(vec![Ok(5.5), Err(Gap::Missing)])
        );
        assert_eq!(source.column("other"), None);
    }

    #[test]
    fn months_are_dates_codes_are_names_and_decimals_are_numbers() {
        let mut table = table("month!, code!, n\n2024-05, 001x, 3\n1970-02, 002x, 4\n");
        let column = |table: &Table, name: &str| Source::Table(table).column(name).unwrap().values;
        assert_eq!(
            column(&table, "month"),
            Values::Dates(vec![Ok(19844.0), Ok(31.0)])
        );
        // Codes are digits in text: arithmetic with them has no meaning.
        for (row, code) in table.rows.iter_mut().zip(["001", "002"]) {
            row[1] = Cell::Key(Value::Text(code.into()));
        }
        let (names, at) = column(&table, "code").into_names();
        assert_eq!(
            (names.join(" "), at),
            ("001 002".into(), vec![Ok(0), Ok(1)])
        );
        // A decimal arrives as text, and is a number all the same.
        table.columns[2].value_type = ValueType::Text;
        if let Cell::Shown { value, .. } = &mut table.rows[0][2] {
            *value = Value::Text("12.50".into());
        }
        table.rows[1][2] = Cell::Suppressed(Suppression::Threshold);
        assert_eq!(
            column(&table, "n"),
            Values::Numbers(vec![Ok(12.5), Err(Gap::Withheld)])
        );
        assert_eq!(date(19844.0), "2024-05-01");
        assert_eq!(day("2024-05-01T23:59:59"), Some(19844.0));
        for wrong in ["2024-13", "2024-1-01", "20240101", "2024-02-30", "あ2024-0"] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rows_are_read_over_all_their_batches() {
        let rows = rows();
        let source = Source::Rows(&rows);
        assert_eq!(source.len(), 4);
        assert_eq!(
            source.column("age").unwrap().values,
            Values::Numbers(vec![Ok(61.0), Err(Gap::Missing), Ok(47.0), Ok(70.0)])
        );
        assert_eq!(
            source.column("seen").unwrap().values,
            Values::Dates(vec![Ok(19844.0), Ok(19845.0), Err(Gap::Missing), Ok(0.0)])
        );
        let (names, at) = source.column("sex").unwrap().values.into_names();
        assert_eq!(names, ["f", "m"]);
        assert_eq!(at, [Ok(0), Ok(1), Err(Gap::Missing), Ok(0)]);
    }
}
