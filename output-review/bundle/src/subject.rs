//! What left, and which files it is.

use kekkai_output::{BodyKind, Content, Lineage, ProgramBody, ProgramLineage, Table, TableError};
use kekkai_types::{DatasetId, Digest};
use serde::{Deserialize, Serialize};

/// What left, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Subject {
    /// Statistics: each cell had the engine's evidence.
    Table {
        /// Rows below the header.
        rows: usize,
        /// Columns.
        columns: usize,
        /// Where the table comes from.
        lineage: Lineage,
    },
    /// A program's output: no cell had evidence.
    Program {
        /// Of which kind.
        kind: BodyKind,
        /// Where it comes from.
        source: ProgramSource,
    },
}

/// A program's lineage as far as it may leave. A program can write what it has read into a statement,
/// and choose how many rows come: statements and counts stay with the reviewers and the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSource {
    /// `python study.py`, or a tool's name.
    pub program: String,
    /// Of the script's text, or of the tool's component.
    pub digest: Digest,
    /// What it was started with.
    pub args: Vec<String>,
    /// SHA-256 of the statements that it read, with their counts, as compact JSON.
    pub reads_sha256: Digest,
    /// The datasets that it could read, with their versions.
    pub datasets: Vec<(DatasetId, u32)>,
    /// Persons below which a statistic would be suppressed.
    pub threshold: u32,
    /// The digest of the terms that were enforced.
    pub policy: Digest,
}

impl Subject {
    /// The record of an output.
    pub(crate) fn of(content: &Content) -> Result<Self, TableError> {
        Ok(match content {
            Content::Table(Table {
                columns,
                rows,
                lineage,
                ..
            }) => Self::Table {
                rows: rows.len(),
                columns: columns.len(),
                lineage: lineage.clone(),
            },
            Content::Program(output) => Self::Program {
                kind: output.body.kind(),
                source: ProgramSource::of(&output.lineage)?,
            },
        })
    }

    /// The names of the output's files, in their order.
    pub(crate) fn files(&self) -> &'static [&'static str] {
        match self {
            Self::Table { .. } => &["output.csv"],
            Self::Program { kind, .. } => match kind {
                BodyKind::Table => &["output.csv"],
                BodyKind::Figure => &["output.svg", "output.json"],
                BodyKind::Text => &["output.txt"],
                BodyKind::Model => &["output.json"],
            },
        }
    }
}

impl ProgramSource {
    fn of(lineage: &ProgramLineage) -> Result<Self, TableError> {
        let reads = serde_json::to_vec(&lineage.reads).map_err(|_| TableError::Serialize)?;
        Ok(Self {
            program: lineage.program.clone(),
            digest: lineage.digest,
            args: lineage.args.clone(),
            reads_sha256: Digest::of(&reads),
            datasets: lineage.datasets.clone(),
            threshold: lineage.threshold,
            policy: lineage.policy,
        })
    }
}

/// The bytes of the output's files, in the order of [`Subject::files`].
pub(crate) fn contents(content: &Content) -> Result<Vec<Vec<u8>>, TableError> {
    let body = match content {
        Content::Table(table) => return Ok(vec![table.released_csv()]),
        Content::Program(output) => &output.body,
    };
    Ok(match body {
        ProgramBody::Table { .. } => vec![body.grid().to_csv()],
        ProgramBody::Figure(figure) => {
            let drawing = kekkai_figure::svg(figure);
            vec![drawing.into_bytes(), json(figure)?]
        }
        ProgramBody::Text(text) => vec![text.clone().into_bytes()],
        ProgramBody::Model(model) => vec![json(model)?],
    })
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, TableError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|_| TableError::Serialize)?;
    bytes.push(b'\n');
    Ok(bytes)
}
