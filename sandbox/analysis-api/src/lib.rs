//! What the gateway says to an analysis server: sessions, queries, jobs, outputs. What comes back
//! is a catalogue, a state, or a statistic that passed the automatic checks; never a row.

use kekkai_output::Table;
use kekkai_types::{
    Call, DatasetCatalog, EndReason, JobId, Lang, OutputId, PeerKind, ServerId, SessionId,
};
use serde::{Deserialize, Serialize};

/// The longest SQL text, in bytes.
pub const SQL_MAX: usize = 64 * 1024;
/// Jobs that a session may have running or waiting at once.
pub const JOBS_ACTIVE_MAX: usize = 4;

macro_rules! call {
    ($name:ident, $path:literal, $reply:ty) => {
        impl Call for $name {
            const PATH: &'static str = $path;
            type Reply = $reply;
            fn callers() -> &'static [PeerKind] {
                &[PeerKind::Gateway]
            }
        }
    };
}

/// Launches a session that the policy service opened: a fresh quote, keys, jail, worker. Takes
/// seconds at most; the reply says that the session is ready for SQL.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// From `OpenSession`.
    pub session: SessionId,
}
call!(Launch, "/v1/session/launch", Launched);

/// A session that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launched {
    /// Where it runs.
    pub server: ServerId,
    /// True when the server's TPM is emulated: shown on every screen.
    pub emulated: bool,
    /// What the session may read.
    pub catalogs: Vec<DatasetCatalog>,
    /// Layers of the jail that the configuration waives.
    pub waived: Vec<String>,
}

/// Ends a session: its processes are gone when the reply is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Which.
    pub session: SessionId,
    /// Why, as the gateway saw it.
    pub reason: EndReason,
}
call!(End, "/v1/session/end", ());

/// Starts a query as a job. Errors that parsing finds come back at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartQuery {
    /// Where.
    pub session: SessionId,
    /// At most [`SQL_MAX`] bytes.
    pub sql: String,
}
call!(StartQuery, "/v1/job/start", JobId);

/// Waits for a job, at most `wait_ms` (at most 20,000); call again while it is running.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitJob {
    /// Where.
    pub session: SessionId,
    /// Which.
    pub job: JobId,
    /// Milliseconds.
    pub wait_ms: u32,
}
call!(WaitJob, "/v1/job/wait", Job);

/// Lists a session's jobs, without results.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListJobs {
    /// Where.
    pub session: SessionId,
}
call!(ListJobs, "/v1/job/list", Vec<Job>);

/// Cancels a job within a second.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelJob {
    /// Where.
    pub session: SessionId,
    /// Which.
    pub job: JobId,
}
call!(CancelJob, "/v1/job/cancel", ());

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Counts from 1 in its session.
    pub job: JobId,
    /// The statement.
    pub sql: String,
    /// Since its start, or how long it ran.
    pub elapsed_ms: u64,
    /// Where it stands.
    pub state: JobState,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Rows read so far, and of how many, where that is known.
    Running {
        /// Rows read.
        rows_read: u64,
        /// Rows in the tables that it reads.
        rows_total: u64,
    },
    /// The result; `None` in lists.
    Done(Option<Table>),
    /// Why it failed.
    Failed(SqlError),
    /// Cancelled, by the person or by the time limit.
    Cancelled {
        /// True when the agreement's time limit did it.
        by_limit: bool,
    },
}

/// What is wrong with a statement, and where. Holds names from the statement or the catalogue,
/// never a value of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {name}")]
#[serde(deny_unknown_fields)]
pub struct SqlError {
    /// Stable: see `docs` of `kekkai-engine`.
    pub code: SqlErrorCode,
    /// The offending name as the statement writes it; may be empty.
    pub name: String,
    /// The place: line and column, both from 1, in characters.
    pub at: Option<(u32, u32)>,
    /// Names that were perhaps meant.
    pub candidates: Vec<String>,
}

/// Stable codes; the text is made where it is shown, in the person's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SqlErrorCode {
    /// Not SQL.
    Syntax,
    /// Longer than [`SQL_MAX`], or more than one statement.
    TooLong,
    /// More than one statement.
    SeveralStatements,
    /// Anything but a query: DDL, COPY, SET, EXPLAIN …
    StatementNotAllowed,
    /// A clause or plan node that is not on the allow-list.
    ClauseNotAllowed,
    /// A function that is not on the allow-list.
    FunctionNotAllowed,
    /// No such function.
    FunctionUnknown,
    /// No such table, or not granted.
    TableUnknown,
    /// No such column, or not granted.
    ColumnUnknown,
    /// A column name that several tables have.
    ColumnAmbiguous,
    /// Types don't fit.
    Type,
    /// A column is neither grouped nor aggregated.
    NotGrouped,
    /// Rows of single persons: the console shows statistics only.
    RowsNotAllowed,
    /// A statistic whose contributors the engine can't follow.
    NotFollowed,
    /// A division by zero, overflow or failed cast on some row.
    Evaluation,
    /// The result has too many cells.
    TooLarge,
    /// The session's memory is used up.
    Memory,
    /// A bug of ours; the ledger knows the job.
    Internal,
}

impl std::fmt::Display for SqlErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        serde_json::to_value(self)
            .ok()
            .as_ref()
            .and_then(serde_json::Value::as_str)
            .unwrap_or("internal")
            .fmt(f)
    }
}

/// Asks to take a job's result out. Refused unless the job is done and has a result.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitOutput {
    /// Where.
    pub session: SessionId,
    /// Which job's result.
    pub job: JobId,
    /// A title for reviewers, at most 200 characters.
    pub title: String,
    /// What it is for, at most 2,000 characters.
    pub purpose: String,
    /// The author's language.
    pub lang: Lang,
}
call!(SubmitOutput, "/v1/output/submit", OutputId);
