//! What the gateway says to an analysis server: sessions, queries, jobs, outputs. What comes back
//! is a catalogue, a state, or a statistic that passed the automatic checks; never a row.

mod hint;

use kekkai_output::Table;
use kekkai_types::{
    Call, DatasetCatalog, Digest, EndReason, JobId, Lang, OutputId, PeerKind, PersonId, ServerId,
    SessionId, StreamCall,
};
use serde::{Deserialize, Serialize};

pub use hint::SqlHint;

/// The longest SQL text, in bytes.
pub const SQL_MAX: usize = 64 * 1024;
/// The longest script, in bytes.
pub const SOURCE_MAX: usize = 256 * 1024;
/// The longest name of a script.
pub const SCRIPT_NAME_MAX: usize = 64;
/// Arguments of a program.
pub const ARGS_MAX: usize = 64;
/// The longest argument of a program, in bytes.
pub const ARG_MAX: usize = 1024;
/// The longest line of a program's log, in bytes; longer ones are cut.
pub const LOG_LINE_MAX: usize = 4096;
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

macro_rules! peer_call {
    ($name:ident, $path:literal, $protocol:literal) => {
        impl Call for $name {
            const PATH: &'static str = $path;
            type Reply = ();
            fn callers() -> &'static [PeerKind] {
                &[PeerKind::Analysis]
            }
        }

        impl StreamCall for $name {
            const PROTOCOL: &'static str = $protocol;
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

/// Starts a program as a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// Where.
    pub session: SessionId,
    /// Which.
    pub program: Program,
    /// What it is started with: at most [`ARGS_MAX`], of [`ARG_MAX`] bytes each.
    pub args: Vec<String>,
}
call!(StartRun, "/v1/run/start", JobId);

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Program {
    /// A Python script, typed just now: at most [`SOURCE_MAX`] bytes.
    Python {
        /// What tracebacks call it.
        name: String,
        /// Its text.
        source: String,
    },
    /// A Python script that the session keeps.
    Script {
        /// Its name.
        name: String,
    },
    /// A tool that came through review.
    Tool {
        /// Its name.
        name: String,
    },
}

/// Keeps a script, encrypted, for this person and project: there again at the next session. Replaces one of
/// the same name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutScript {
    /// Where.
    pub session: SessionId,
    /// Its name: letters, digits, `.`, `_`, `-`; at most [`SCRIPT_NAME_MAX`].
    pub name: String,
    /// Its text, at most [`SOURCE_MAX`] bytes.
    pub source: String,
}
call!(PutScript, "/v1/script/put", ());

/// A script's text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetScript {
    /// Where.
    pub session: SessionId,
    /// Which.
    pub name: String,
}
call!(GetScript, "/v1/script/get", String);

/// Erases a script.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveScript {
    /// Where.
    pub session: SessionId,
    /// Which.
    pub name: String,
}
call!(RemoveScript, "/v1/script/remove", ());

/// What programs the session may run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListPrograms {
    /// Where.
    pub session: SessionId,
}
call!(ListPrograms, "/v1/run/programs", Programs);

/// What programs a session may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programs {
    /// Whether Python scripts may be run.
    pub python: bool,
    /// Whether programs may read rows.
    pub rows: bool,
    /// Scripts that are kept: name, bytes.
    pub scripts: Vec<(String, u64)>,
    /// Tools that came through review.
    pub tools: Vec<ToolEntry>,
}

/// A tool that came through review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolEntry {
    /// Its name in the project.
    pub name: String,
    /// The digest of its component.
    pub digest: Digest,
    /// What its author says of it.
    pub description: String,
}

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
    /// Lines of the job's log that the caller has: those after them come. A new line ends the wait.
    pub log_from: u64,
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
    /// What it does.
    pub work: Work,
    /// Since its start, or how long it ran.
    pub elapsed_ms: u64,
    /// Where it stands.
    pub state: JobState,
    /// What it printed; empty in lists and for statements.
    pub log: LogPart,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// A statement.
    Query(String),
    /// A program: `python study.py`, `tool riskratio --year 2024`.
    Run(String),
}

impl Work {
    /// The statement, or the program as it was started.
    pub fn text(&self) -> &str {
        match self {
            Self::Query(text) | Self::Run(text) => text,
        }
    }
}

/// A part of a program's log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPart {
    /// Lines, oldest first.
    pub lines: Vec<LogLine>,
    /// What to send as `log_from` for those that follow.
    pub next: u64,
    /// There were lines that this terminal may not show, since the program had read rows. How many is not
    /// said: a program could tell what it read by their number.
    pub withheld: bool,
    /// Lines over the agreement's limit, which nobody has; 0 where lines are withheld.
    pub dropped: u64,
}

/// A line of a program's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLine {
    /// Whether it was written as an error.
    pub is_error: bool,
    /// Without control characters; at most [`LOG_LINE_MAX`] bytes.
    pub text: String,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It waits for its turn: the server runs a bounded number of statements at once, project by project.
    Queued {
        /// Statements that have their turn before it.
        ahead: u32,
    },
    /// Rows read so far, and of how many, where that is known.
    Running {
        /// Rows read.
        rows_read: u64,
        /// Rows in the tables that it reads.
        rows_total: u64,
    },
    /// A program runs.
    RunningProgram {
        /// How far it says that it is, in permille.
        permille: u16,
        /// What it is doing, as it says; empty where it may not be shown.
        note: String,
    },
    /// The result; `None` in lists.
    Done(Option<Table>),
    /// The program ended well.
    Ran {
        /// What it submitted.
        outputs: Vec<OutputId>,
    },
    /// The program did not end well. What it had submitted stays submitted.
    RunFailed {
        /// Why.
        error: RunError,
        /// What it submitted.
        outputs: Vec<OutputId>,
    },
    /// Why it failed.
    Failed(SqlError),
    /// Cancelled, by the person or by the time limit.
    Cancelled {
        /// True when the agreement's time limit did it.
        by_limit: bool,
    },
}

/// Why a program stopped. Holds no value of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {name}")]
#[serde(deny_unknown_fields)]
pub struct RunError {
    /// Stable.
    pub code: RunErrorCode,
    /// For limits: the limit's size with its unit. For scripts: the kind of error, where it is one of
    /// Python's own. Else the offending name.
    pub name: String,
    /// The script's line, from 1; 0 where there is none, or where lines of the log are withheld.
    pub line: u32,
}

/// Stable codes of [`RunError`]; each limit is a term of the agreement's `[programs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunErrorCode {
    /// The script or tool says that it failed.
    Failed,
    /// It did what WebAssembly forbids: out of bounds, unreachable, indirect call of a wrong type.
    Trap,
    /// Its calls are nested too deep.
    StackLimit,
    /// `time_limit_s`.
    TimeLimit,
    /// `memory_limit_mib`.
    MemoryLimit,
    /// `table_elements_max`.
    TableLimit,
    /// `instances_max`.
    InstanceLimit,
    /// `outputs_max`.
    OutputsLimit,
    /// `output_kib_max`.
    OutputSizeLimit,
    /// `scratch_kib_max`.
    ScratchLimit,
    /// More calls to Kekkai than a program may make in a second.
    CallsLimit,
    /// Not a component, or too large or malformed.
    NotAComponent,
    /// It imports what a session doesn't offer.
    ImportNotAllowed,
    /// The component is not the one that was admitted.
    ToolChanged,
    /// A bug of ours, or the process was lost; the ledger knows the job.
    Internal,
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
    /// The kind of mistake, where it was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<SqlHint>,
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
    /// A temporary table can't be called so: there is a table of this name.
    TableExists,
    /// No such column, or not granted.
    ColumnUnknown,
    /// A column name that several tables have.
    ColumnAmbiguous,
    /// Other parameters than the statement has `?` for.
    Parameters,
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
    /// The first rows are shown; the agreement's bounds on rows leave no more for now. The name is how many.
    RowsQuota,
    /// The session's memory is used up; the name is the clause whose work needs it: `JOIN`, `GROUP BY` …
    Memory,
    /// It and an earlier statistic of the project are about nearly the same persons: subtracted, the two would
    /// tell of a few of them. The name is the earlier statement's.
    TooClose,
    /// The project was shown as many statistics as can be remembered, or what it was shown can't be read.
    HistoryFull,
    /// Predictors of a model of which one follows from the others.
    ModelCollinear,
    /// A predictor tells a model's outcomes apart without exception.
    ModelSeparated,
    /// A test compares too few or too many groups.
    ModelLevels,
    /// A model has no estimate for another reason.
    ModelNotFitted,
    /// The disk that the session may use for what its memory does not hold is used up.
    SpillQuota,
    /// What was written to that disk could not be read back as it was, or could not be written.
    SpillFailed,
    /// Another analysis server, which the error names, was lost while the statement ran there.
    ServerLost,
    /// A bug of ours; the ledger knows the job.
    Internal,
}

impl std::fmt::Display for SqlErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        show_code(self, f)
    }
}

impl std::fmt::Display for RunErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        show_code(self, f)
    }
}

/// A code is written as its wire name.
fn show_code(code: &impl Serialize, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let value = serde_json::to_value(code).unwrap_or_default();
    f.write_str(value.as_str().unwrap_or("internal"))
}

/// Launches a part of a session that runs on the caller, another analysis server: the same terms, a fresh quote of
/// this server's own, a jailed worker of its own. The connection goes on without a byte: its end is the part's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchPart {
    /// The session.
    pub session: SessionId,
    /// Who is meant: a server that is another refuses.
    pub server: ServerId,
}
peer_call!(LaunchPart, "/v1/part/launch", "kekkai-part/1");

/// A stream between two workers of a session, one of them this server's part. What goes over it is theirs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinPart {
    /// The session.
    pub session: SessionId,
    /// Whose worker is at the other end: the caller's, or that of another part that the caller launched.
    pub other: ServerId,
    /// This server's worker asks there; otherwise it answers.
    pub asks: bool,
}
peer_call!(JoinPart, "/v1/part/join", "kekkai-plans/1");

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

/// Looks at a session's screen. The connection then carries `kekkai-frames`: outputs one way, inputs the
/// other, until either side ends it. A researcher's second screen takes the first one's place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachScreen {
    /// Which.
    pub session: SessionId,
    /// Who looks.
    pub viewer: Viewer,
    /// The client's area: width and height in pixels, pixels per point in percent. A watcher's is not
    /// looked at.
    pub size: (u16, u16, u16),
}
call!(AttachScreen, "/v1/screen/attach", ());

impl StreamCall for AttachScreen {
    const PROTOCOL: &'static str = "kekkai-frames/1";
}

/// Who looks at a screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Viewer {
    /// The session's person.
    Researcher,
    /// Staff: sees, sends nothing but acknowledgements, and is announced on the screen.
    Watcher(PersonId),
}

/// What a screen wants of the gateway: waits until something changes after `seen`, at most 20 s.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitScreen {
    /// Which session.
    pub session: SessionId,
    /// [`ScreenWish::number`] of the last answer; 0 at first.
    pub seen: u64,
}
call!(WaitScreen, "/v1/screen/wait", ScreenWish);

/// What the person asked of the gateway on their desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenWish {
    /// Counts up with each wish.
    pub number: u64,
    /// Lock the screen: whoever unlocks is verified again.
    pub lock: bool,
    /// End the session.
    pub leave: bool,
}
