//! What a program submits: typed as a statistic is, but counted by nobody.
//!
//! A program reads rows and computes what it likes, so no cell of its outputs has evidence of its own.
//! What the engine does know goes along: each statement that the program read, with the persons in it
//! (invariant 6). Such an output never passes the automatic checks alone: people look at it.

use kekkai_types::{DatasetId, Digest};
use serde::{Deserialize, Serialize};

use crate::{OutputDigest, TableError, Value};

/// An output of a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramOutput {
    /// What would leave.
    pub body: ProgramBody,
    /// Where it comes from.
    pub lineage: ProgramLineage,
}

/// What would leave: numbers and words, never an opaque file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramBody {
    /// A table.
    Table {
        /// The header.
        columns: Vec<String>,
        /// Each row has one value for each column.
        rows: Vec<Vec<Value>>,
    },
    /// A drawing, as the numbers that it draws.
    Figure(Figure),
    /// Words.
    Text(String),
    /// Parameters of a fitted model.
    Model(Model),
}

/// How a figure is drawn, and which lists its series need ([`ProgramBody::check_shape`] enforces it).
///
/// | kind | lists |
/// |---|---|
/// | bar | `labels`, `y`; or also `low`, `high` |
/// | line | `x`, `y`; or also `low`, `high` |
/// | scatter | `x`, `y` |
/// | histogram | `low`, `high`: the bins' edges; `y`: their heights |
/// | box | `labels`; `low`, `y`, `high`: the quartiles. No whiskers: they end at single persons |
/// | Kaplan–Meier | `x`: times, rising; `y`: survival from 0 to 1; or also `low`, `high` |
/// | forest | `labels`, `x`: estimates; `low`, `high` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(
    missing_docs,
    reason = "kinds of figures are named as everybody names them"
)]
pub enum FigureKind {
    Bar,
    Line,
    Scatter,
    Histogram,
    Box,
    KaplanMeier,
    Forest,
}

/// A figure's numbers; Kekkai draws them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// How it is drawn.
    pub kind: FigureKind,
    /// Under the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// What is drawn.
    pub series: Vec<Series>,
}

/// One series. Its lists are of one length, or empty where the kind has no use for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// Names of bars, boxes or studies.
    pub labels: Vec<String>,
    /// Horizontal places, finite; of a forest, the estimates.
    pub x: Vec<f64>,
    /// Vertical places, finite.
    pub y: Vec<f64>,
    /// Lower ends of intervals, finite.
    pub low: Vec<f64>,
    /// Upper ends of intervals, finite.
    pub high: Vec<f64>,
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// `linear regression`, `Cox` …
    pub method: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Observations it was fitted to, as the program says.
    pub observations: u64,
}

/// A parameter of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its estimate, finite.
    pub value: f64,
    /// Its standard error, where there is one.
    pub error: Option<f64>,
}

/// Where a program's output comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramLineage {
    /// `python study.py`, or a tool's name.
    pub program: String,
    /// Of the script's text, or of the tool's component.
    pub digest: Digest,
    /// The script's text: reviewers read it. Empty for a tool.
    pub source: String,
    /// What it was started with.
    pub args: Vec<String>,
    /// What it had read when it submitted this, in order; at most 1,000 are named.
    pub reads: Vec<Read>,
    /// The datasets that it may read, with their versions.
    pub datasets: Vec<(DatasetId, u32)>,
    /// Persons below which a statistic would be suppressed.
    pub threshold: u32,
    /// The digest of the terms that were enforced.
    pub policy: Digest,
}

/// A statement that a program read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// As the program wrote it.
    pub sql: String,
    /// Rows that came; `None` where the program let go of them before their end, or they failed midway:
    /// it may have read any number.
    pub rows: Option<u64>,
    /// Distinct persons among them, counted by the engine; `None` where it can't say.
    pub persons: Option<u64>,
}

impl ProgramOutput {
    /// The digest over body and lineage.
    pub fn digest(&self) -> Result<OutputDigest, TableError> {
        // serde_json writes struct fields in their order of declaration: one output, one text.
        let bytes = serde_json::to_vec(self).map_err(|_| TableError::Serialize)?;
        Ok(OutputDigest(Digest::of(&bytes)))
    }
}

/// What an output is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// Statistics, each with the engine's evidence.
    Table(crate::Table),
    /// A program's.
    Program(ProgramOutput),
}

impl Content {
    /// The digest over everything that reviewers see.
    pub fn digest(&self) -> Result<OutputDigest, TableError> {
        match self {
            Self::Table(table) => table.digest(),
            Self::Program(output) => output.digest(),
        }
    }
}
