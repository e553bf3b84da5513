//! What the broker says to the processes that compile and run programs.
//!
//! Frames are those of the SQL worker. Data never passes here: the rows of a statement come over a pipe
//! from the SQL worker, whose reading end arrives with [`ToProgram::Rows`].

use std::collections::BTreeMap;

use kekkai_analysis_api::{RunError, SqlError};
use kekkai_output::{ProgramBody, Value};
use kekkai_types::{DatasetCatalog, OutputId};
use serde::{Deserialize, Serialize};

/// The largest component, in bytes.
pub const COMPONENT_MAX: u64 = 64 * 1024 * 1024;
/// The largest piece of rows that is given to a program at once, in bytes.
pub const ROWS_PIECE_MAX: usize = 4 * 1024 * 1024;

/// From the broker to the process that runs programs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToProgram {
    /// Run a program; one at a time. Its artefact's descriptor comes with the frame.
    Run(Box<Run>),
    /// The answer to [`FromProgram::Query`]. With `Ok` comes the reading end of a pipe: an Arrow IPC
    /// stream, whole only when [`ToProgram::RowsEnd`] said so.
    Rows {
        /// Which.
        query: u32,
        /// Why there are none.
        outcome: Result<(), SqlError>,
    },
    /// The stream of a query has ended, or failed in the middle.
    RowsEnd {
        /// Which.
        query: u32,
        /// Whether it is whole.
        outcome: Result<(), SqlError>,
    },
    /// The answer to [`FromProgram::Submit`].
    Submitted {
        /// Which.
        submission: u32,
        /// The output's number, or the refusal's code and name.
        outcome: Result<OutputId, (String, String)>,
    },
    /// Stop the program.
    Cancel,
}

/// A program to run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// A script for the language whose artefact came: its name and text. `None`: the artefact is a tool.
    pub script: Option<(String, String)>,
    /// What it is started with.
    pub args: Vec<String>,
    /// Granted tables and columns, for `schema`.
    pub catalogs: Vec<DatasetCatalog>,
    /// Bounds.
    pub limits: RunLimits,
}

/// Bounds of a run, from the agreement's `[programs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "named as the agreement's terms, whose documentation holds"
)]
pub struct RunLimits {
    pub time_limit_s: u32,
    pub memory_limit_mib: u32,
    pub table_elements_max: u32,
    pub instances_max: u32,
    pub outputs_max: u32,
    pub output_kib_max: u32,
    pub log_kib_max: u32,
    pub scratch_kib_max: u32,
    pub clock_ms: u32,
}

/// From a process that runs programs. Not trusted: a program may have broken out of WebAssembly.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type", deny_unknown_fields)]
pub enum FromProgram {
    /// In the jail, before anything came.
    Jailed {
        /// As [`FromWorker::Jailed`](crate::FromWorker::Jailed).
        layers: BTreeMap<String, String>,
    },
    /// The program asks for rows. One query at a time is open.
    Query {
        /// Counts from 1.
        query: u32,
        /// At most `SQL_MAX` bytes.
        sql: String,
        /// For its `?`.
        parameters: Vec<Value>,
        /// Rows as they are; otherwise a statistic, suppressed as on the console.
        rows: bool,
    },
    /// The program lets go of a query's rows before their end.
    RowsDropped {
        /// Which.
        query: u32,
    },
    /// The program submits an output.
    Submit {
        /// Counts from 1.
        submission: u32,
        /// For reviewers.
        title: String,
        /// For reviewers.
        purpose: String,
        /// Bounded by `output_kib_max` already; the broker bounds it again.
        body: Box<ProgramBody>,
    },
    /// Lines were printed; gathered for up to 50 ms.
    Log {
        /// Whether each was written as an error, and its text.
        lines: Vec<(bool, String)>,
        /// Lines dropped so far over `log_kib_max`.
        dropped: u64,
    },
    /// At most four times a second.
    Progress {
        /// 0 to 1,000.
        permille: u16,
        /// At most 200 characters.
        note: String,
    },
    /// The run is over; the process waits for the next.
    Ended {
        /// Why it did not end well. `text` of a script's error was logged before.
        outcome: Result<(), RunError>,
    },
}

/// From the broker to the process that compiles. The component's descriptor comes with the frame, and one
/// to write the artefact to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToCompiler {
    /// Compile it; the process ends afterwards.
    Compile {
        /// The component's length.
        bytes: u64,
        /// Whether it is a language (`interpreter`) or a tool.
        is_language: bool,
    },
}

/// From a process that compiles. Not trusted: the broker believes the artefact because it comes from a jailed
/// process that ran the measured compiler, and checks nothing in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type", deny_unknown_fields)]
pub enum FromCompiler {
    /// In the jail, before anything came.
    Jailed {
        /// As [`FromWorker::Jailed`](crate::FromWorker::Jailed).
        layers: BTreeMap<String, String>,
    },
    /// At most four times a second: how far it is, in permille, as a guess from the component's size.
    Progress {
        /// 0 to 1,000.
        permille: u16,
    },
    /// The artefact is written.
    Compiled {
        /// Its length.
        bytes: u64,
    },
    /// It is no program of ours.
    Refused {
        /// Why.
        error: RunError,
    },
}
