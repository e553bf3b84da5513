//! What can go wrong while raw data is ingested. Names of tables and columns, places, counts, rules:
//! never a value, and never a header of a source file, which may be somebody's data too.

use std::fmt;
use std::io;
use std::path::PathBuf;

use kekkai_dataset::escrow::EscrowError;
use kekkai_dataset::{Check, FileError, KeyError, WorkError};

/// Why nothing was ingested. After each of these no folder was made or changed at the final place.
/// [`IngestError::message`] says it in a person's language.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The version is there already; versions are never replaced.
    #[error("\"{path}\" exists: ingest the data as a new version")]
    AlreadyThere {
        /// The final folder.
        path: PathBuf,
    },
    /// Another ingest of the same dataset is running.
    #[error("another ingest of this dataset is running in \"{path}\"")]
    Busy {
        /// The dataset's folder.
        path: PathBuf,
    },
    /// Nobody could ever open the data.
    #[error("no recipient: expected the public key of an analysis server or of the recovery key")]
    NoRecipient,
    /// A table without a source file.
    #[error("table \"{table}\": no file matches \"{pattern}\"")]
    NoFile {
        /// The table.
        table: String,
        /// Its pattern.
        pattern: String,
    },
    /// A source file can't be read.
    #[error("\"{file}\" can't be read")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The output can't be written.
    #[error("\"{path}\" can't be written")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Bytes that the declared encoding doesn't have.
    #[error("\"{file}\", line {line}: not {declared}{}", hint(.is_cp932))]
    Encoding {
        /// The file.
        file: String,
        /// From 1.
        line: u64,
        /// The declared encoding.
        declared: &'static str,
        /// The file's beginning is valid CP932.
        is_cp932: bool,
    },
    /// The file has no header line.
    #[error("\"{file}\" is empty: expected a header line")]
    NoHeader {
        /// The file.
        file: String,
    },
    /// The header lacks a column of the manifest.
    #[error("\"{file}\": no column \"{column}\" in the header, as the manifest says")]
    ColumnMissing {
        /// The file.
        file: String,
        /// The source column, as the manifest names it.
        column: String,
    },
    /// The header has a column that the manifest does not name: nobody decided what it is.
    #[error(
        "\"{file}\": column {position} of the header is not in the manifest, or is there twice"
    )]
    ColumnUnknown {
        /// The file.
        file: String,
        /// From 1.
        position: usize,
    },
    /// A record has more or fewer fields than the header.
    #[error("\"{file}\", line {line}: {found} fields, expected {expected}")]
    Ragged {
        /// The file.
        file: String,
        /// From 1.
        line: u64,
        /// Fields of the header.
        expected: usize,
        /// Fields of the record.
        found: usize,
    },
    /// A record is longer than [`crate::RECORD_BYTES_MAX`]; mostly an unclosed quotation mark.
    #[error(
        "\"{file}\", line {line}: a record of more than {max} bytes; is a quotation mark unclosed?"
    )]
    RecordTooLong {
        /// The file.
        file: String,
        /// Where the record begins, from 1.
        line: u64,
        /// The limit.
        max: u64,
    },
    /// A field does not have the type of its column.
    #[error("\"{file}\", {place}, column \"{column}\": expected {expected}")]
    Type {
        /// The file.
        file: String,
        /// The line or row.
        place: Place,
        /// The source column, as the manifest names it.
        column: String,
        /// The expected type or form.
        expected: &'static str,
    },
    /// A Parquet column's type can't become the declared one.
    #[error("\"{file}\", column \"{column}\": expected {expected}, found {found}")]
    ColumnType {
        /// The file.
        file: String,
        /// The source column.
        column: String,
        /// The expected type.
        expected: &'static str,
        /// The file's type.
        found: String,
    },
    /// A source file is no Parquet, or is damaged.
    #[error("\"{file}\" is not parquet, or is truncated or damaged")]
    NotParquet {
        /// The file.
        file: String,
    },
    /// Rows that are about nobody: their contributor could not be counted.
    #[error("table \"{table}\", column \"{column}\": {rows} rows without a person")]
    PersonMissing {
        /// The table.
        table: String,
        /// The person key.
        column: String,
        /// How many.
        rows: u64,
    },
    /// Two persons would get one pseudonym. Ingest again with another secret.
    #[error("table \"{table}\", column \"{column}\": two persons would share a pseudonym")]
    PseudonymCollision {
        /// The table.
        table: String,
        /// The person key.
        column: String,
    },
    /// More than [`crate::PERSONS_MAX`] persons.
    #[error("more than {max} persons")]
    TooManyPersons {
        /// The limit.
        max: usize,
    },
    /// More than [`crate::IDENTIFIERS_MAX`] values to look for.
    #[error("more than {max} values in columns that are dropped as direct identifiers")]
    TooManyIdentifiers {
        /// The limit.
        max: usize,
    },
    /// Data that would be kept holds identifiers (R14).
    #[error("identifiers in data that would be kept: {}", list(.0))]
    Identifiers(Vec<Finding>),
    /// An encrypted file failed.
    #[error("an encrypted file failed")]
    File(#[from] FileError),
    /// The escrow of ids failed.
    #[error("the escrow of persons' ids failed")]
    Escrow(#[from] EscrowError),
    /// The dataset's key could not be wrapped.
    #[error("the dataset's key can't be wrapped for {recipient}")]
    Wrap {
        /// Whom for.
        recipient: String,
        /// Why.
        source: KeyError,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// Where in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line of a CSV file, from 1.
    Line(u64),
    /// A row of a Parquet file, from 1.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// Identifiers in one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: String,
    /// The column, by its SQL name.
    pub column: String,
    /// What was found.
    pub check: Check,
    /// In how many rows.
    pub rows: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "table \"{}\", column \"{}\": {} in {} rows",
            self.table, self.column, self.check, self.rows
        )
    }
}

fn list(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn hint(is_cp932: &bool) -> &'static str {
    if *is_cp932 {
        "; it looks like Shift_JIS: declare encoding = \"cp932\" in the manifest"
    } else {
        ""
    }
}

impl From<WorkError> for IngestError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::AlreadyThere { path } => Self::AlreadyThere { path },
            WorkError::Busy { path } => Self::Busy { path },
            WorkError::Write { path, source } => Self::Write { path, source },
            WorkError::Randomness => Self::Randomness,
        }
    }
}
