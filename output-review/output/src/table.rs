//! A table of statistics, each cell with the evidence that the engine counted.

use kekkai_types::{DatasetId, Digest};
use serde::{Deserialize, Serialize};

/// The largest table that may become an output, in cells.
pub const TABLE_CELLS_MAX: usize = 1_000_000;

/// What stands between a temporary table's definition and the statement that reads it.
pub const DEFINITION_END: &str = ";\n";

/// A frequency or magnitude table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// In the order of the researcher's `SELECT`.
    pub columns: Vec<Column>,
    /// Each row has one cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Groups whose contributors were under the threshold, as one count: even their names stay inside.
    /// A statistic as any other: 0 where the persons of all these groups together are under the threshold.
    pub groups_withheld: u64,
    /// Where the table comes from.
    pub lineage: Lineage,
}

/// Where a table comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The statement as the researcher wrote it; before it the definitions of the temporary tables that it
    /// reads, in their order, each ended by [`DEFINITION_END`].
    pub sql: String,
    /// The datasets that were read, with their versions.
    pub datasets: Vec<(DatasetId, u32)>,
    /// Persons below which a cell is suppressed.
    pub threshold: u32,
    /// The largest share, in permille of a magnitude, that one person may have.
    pub dominance_permille: u32,
    /// The engine that counted: name and version.
    pub engine: String,
    /// The digest of the terms (tables, columns, thresholds) that the engine enforced.
    pub policy: Digest,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The name in the result.
    pub name: String,
    /// What its values are.
    pub value_type: ValueType,
    /// What its cells say.
    pub kind: ColumnKind,
}

/// What the cells of a column say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// The name of a group.
    Key,
    /// Computed from these aggregates.
    Statistic(Vec<Aggregate>),
}

/// An aggregate as reviewers know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// Rows or values counted.
    Count,
    /// Distinct values counted.
    CountDistinct,
    /// A total: dominance matters.
    Sum,
    /// A mean: dominance matters.
    Mean,
    /// A variance, standard deviation, covariance or correlation.
    Spread,
    /// A median or another quantile: it shows single values, so that its contributors are those on its smaller
    /// side.
    Quantile,
    /// A survival curve's numbers, at times that lie a threshold of events apart.
    Survival,
    /// A parameter of a fitted model, or a number about the model as a whole: shares are of its information.
    Coefficient,
    /// The statistic of a test, its p-value, and what it compares.
    Test,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueType {
    /// True or false.
    Bool,
    /// A 64-bit integer.
    Int,
    /// A 64-bit float.
    Float,
    /// Text; also dates, times and decimals, as ISO 8601 or plain digits.
    Text,
}

/// A value that may be shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// SQL's `NULL`.
    Null,
    /// True or false.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A finite or infinite 64-bit float.
    Float(#[serde(with = "float_text")] f64),
    /// Text.
    Text(String),
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cell {
    /// The name of a group that has enough contributors.
    Key(Value),
    /// A statistic with what the engine counted of its contributors.
    Shown {
        /// The statistic.
        value: Value,
        /// Counted by the engine, never claimed by the author.
        evidence: Evidence,
    },
    /// Kept inside, and why.
    Suppressed(Suppression),
}

/// What the engine counted of a cell's contributors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Distinct persons with a value in this cell; the smallest over the aggregates that it is computed from.
    /// Of a quantile, those with a value up to it or those with one from it on, whichever are fewer.
    pub contributors: u64,
    /// The largest person's share of a magnitude or a count of rows, in permille, rounded up; 0 where persons
    /// have no share: for counts of distinct values and for quantiles.
    pub largest_permille: u32,
    /// The second largest person's share, likewise.
    pub second_permille: u32,
    /// Contributors who bring nothing but zeros; the most over the aggregates that it is computed from.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub zeros: u64,
    /// Persons of the group without a value in this cell, likewise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
}

/// What was stored before there was such a number is written as it was, so that its digest stays.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Why a cell is kept inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suppression {
    /// Fewer contributors than the threshold.
    Threshold,
    /// One or two persons make up too much of it.
    Dominance,
}

/// Names the bytes of an output and the evidence that goes with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutputDigest(pub Digest);

/// Why something is not a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A row of another width than the header.
    #[error("row {row} has {found} cells, the header has {expected}")]
    Ragged {
        /// Counted from 0.
        row: usize,
        /// Cells in the row.
        found: usize,
        /// Cells in the header.
        expected: usize,
    },
    /// More than [`TABLE_CELLS_MAX`] cells.
    #[error("the table has {0} cells, at most {TABLE_CELLS_MAX} are allowed")]
    TooLarge(usize),
    /// The table could not be written as JSON: a bug.
    #[error("bug: the table can't be serialized")]
    Serialize,
}

impl Table {
    /// Checks the shape. A table from another process is an allegation until this passes.
    pub fn check_shape(&self) -> Result<(), TableError> {
        let expected = self.columns.len();
        for (row, cells) in self.rows.iter().enumerate() {
            if cells.len() != expected {
                return Err(TableError::Ragged {
                    row,
                    found: cells.len(),
                    expected,
                });
            }
        }
        let cells = expected.saturating_mul(self.rows.len());
        if cells > TABLE_CELLS_MAX {
            return Err(TableError::TooLarge(cells));
        }
        Ok(())
    }

    /// The digest over the whole table, evidence included.
    pub fn digest(&self) -> Result<OutputDigest, TableError> {
        // serde_json writes struct fields in their order of declaration: one table, one text.
        let bytes = serde_json::to_vec(self).map_err(|_| TableError::Serialize)?;
        Ok(OutputDigest(Digest::of(&bytes)))
    }

    /// The bytes that leave: RFC 4180 CSV in UTF-8, `*` for a suppressed cell, nothing for `NULL`.
    pub fn released_csv(&self) -> Vec<u8> {
        let mut text = String::new();
        push_record(&mut text, self.columns.iter().map(|c| c.name.clone()));
        for row in &self.rows {
            push_record(&mut text, row.iter().map(Cell::plain));
        }
        text.into_bytes()
    }
}

impl Cell {
    /// The cell as it is released: no evidence.
    pub fn plain(&self) -> String {
        match self {
            Self::Key(value) | Self::Shown { value, .. } => value.plain(),
            Self::Suppressed(_) => "*".to_owned(),
        }
    }
}

impl Value {
    /// The value as text, empty for `NULL`.
    pub fn plain(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => value.clone(),
        }
    }
}

pub(crate) fn push_record(text: &mut String, fields: impl Iterator<Item = String>) {
    for (i, field) in fields.enumerate() {
        if i > 0 {
            text.push(',');
        }
        // A leading '=', '+', '-' or '@' is left as it is: numbers begin so, and quoting would
        // not stop a spreadsheet anyway. The bundle's README says to import as text.
        if field.contains([',', '"', '\n', '\r']) {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&field);
        }
    }
    text.push_str("\r\n");
}

/// Floats as text: JSON numbers lose NaN and infinities.
mod float_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&value.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
