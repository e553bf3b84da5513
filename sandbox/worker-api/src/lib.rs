//! What the broker and its jailed processes say to each other over inherited socket pairs.
//!
//! Frames: the length of the JSON and the number of descriptors, 4 bytes each, big-endian; then the
//! descriptors as `SCM_RIGHTS` with one zero byte for every 250 of them; then the JSON. Descriptors
//! travel to a process only, with the messages that say so. A worker is not trusted: the broker bounds every frame, takes
//! no descriptor, and checks every table.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod blocking;
mod desktop;
mod frame;
mod non_blocking;
mod program;

pub use blocking::{Receiver, Sender, worker_channel};
pub use desktop::{
    ASKS_OPEN_MAX, Answer, Ask, Begin, Frame, FromDesktop, NOTEBOOK_MAX, NOTEBOOKS_MAX,
    SCROLLS_MAX, TILE_BYTES, ToDesktop,
};
pub use frame::{FRAME_FDS_MAX, FrameError, Message, SECRET_FRAME_MAX};
pub use non_blocking::{AsyncReceiver, AsyncSender, broker_channel};
pub use program::{
    COMPONENT_MAX, FromCompiler, FromProgram, ROWS_PIECE_MAX, Run, RunLimits, ToCompiler, ToProgram,
};

use std::collections::BTreeMap;

use kekkai_analysis_api::SqlError;
use kekkai_output::{Populations, Table, Value};
use kekkai_types::{DatasetCatalog, DatasetId, JobId, RowCondition, ServerId};
use serde::{Deserialize, Serialize};

/// Functions that a worker may name.
pub const FUNCTIONS_MAX: usize = 1_000;
/// The longest frame, in bytes.
pub const FRAME_MAX: usize = 96 * 1024 * 1024;
pub use kekkai_sys::WORKER_FD;

/// From the broker. Not internally tagged: serde would buffer the keys in memory that nobody wipes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToWorker {
    /// Data, keys and terms; once, after [`FromWorker::Jailed`] was checked. The files' descriptors
    /// come with the frame, in the order of `files`.
    Load(Box<Load>),
    /// Run a statement.
    Query {
        /// The job.
        job: JobId,
        /// The statement.
        sql: String,
    },
    /// Run a statement for a program. The writing end of a pipe comes with the frame: an Arrow IPC stream
    /// goes there.
    Rows {
        /// The run's job and the query's number: `3.1`.
        job: JobId,
        /// The statement.
        sql: String,
        /// For its `?`.
        parameters: Vec<Value>,
        /// Rows as they are; otherwise a statistic, suppressed, with null for what is suppressed.
        rows: bool,
        /// The most rows that are sent; the first ones, where there are more.
        rows_max: Option<u64>,
    },
    /// Stop a job.
    Cancel {
        /// The job.
        job: JobId,
    },
    /// A stream to the same session's worker on another server. Its descriptor comes with the frame: connected,
    /// and not blocking.
    Peer {
        /// This worker's own server: the same each time.
        own: ServerId,
        /// The other.
        server: ServerId,
        /// What the stream is for.
        role: PeerRole,
    },
}

/// What a stream to another worker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRole {
    /// This worker leads: its statements are spread over the other too, by what it asks here.
    Leads,
    /// This worker asks here what a statement of the leader needs.
    Asks,
    /// The other asks here.
    Answers,
}

/// What a session reads and under which terms.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Granted tables and columns only.
    pub catalogs: Vec<DatasetCatalog>,
    /// Which rows of them; a table that is not named here is provided whole.
    pub conditions: Vec<TableConditions>,
    /// Each descriptor's table and file, in the order in which they are passed.
    pub files: Vec<PassedFile>,
    /// Data keys. Not `Debug`: the worker moves them into locked memory and wipes the frame.
    pub keys: Vec<FileKey>,
    /// Persons below which a cell is suppressed.
    pub threshold: u32,
    /// The largest share of one person, in permille.
    pub dominance_permille: u32,
    /// The digest of the terms, for the lineage.
    pub policy: kekkai_types::Digest,
    /// Memory for queries, in MiB.
    pub memory_limit_mib: u32,
    /// Threads for queries.
    pub threads: u32,
    /// Bytes that statements may spill to disk; `None`: they may not. The descriptor of an empty file without
    /// a name, to be read and written, then comes after those of `files`.
    pub spill_bytes_max: Option<u64>,
}

/// Which rows of a table are provided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableConditions {
    /// The dataset.
    pub dataset: DatasetId,
    /// The table.
    pub table: String,
    /// All of them must be met. Their columns need not be granted.
    pub rows: Vec<RowCondition>,
}

/// A passed descriptor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassedFile {
    /// The dataset.
    pub dataset: DatasetId,
    /// The table.
    pub table: String,
    /// The file's name in the catalogue.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// The key of a dataset version, in hexadecimal: file keys are wrapped by it in the files' footers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileKey {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its version.
    pub version: u32,
    /// 32 bytes, in hexadecimal.
    pub key: kekkai_types::KeyText,
}

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type", deny_unknown_fields)]
pub enum FromWorker {
    /// In the jail, before anything secret is known. The broker compares this with what it sees of
    /// the process from outside.
    Jailed {
        /// Layer by layer: `landlock` → `abi 6, fully enforced`.
        layers: BTreeMap<String, String>,
    },
    /// Files open, schemas agree with the catalogue.
    Loaded {
        /// Functions that statements may call, for completion: at most [`FUNCTIONS_MAX`] names.
        functions: Vec<String>,
    },
    /// Loading failed; the text names file and reason, never a value.
    LoadFailed {
        /// Why.
        reason: String,
    },
    /// At most four times a second.
    Progress {
        /// The job.
        job: JobId,
        /// Rows read so far.
        rows_read: u64,
        /// Rows in the tables that it reads.
        rows_total: u64,
    },
    /// A result.
    Done {
        /// The job.
        job: JobId,
        /// Suppressed already.
        table: Box<Table>,
        /// The persons behind it: for the broker alone.
        populations: Populations,
    },
    /// The answer to [`ToWorker::Rows`]: the statement is one that may run, and its first rows are about to
    /// come. Otherwise [`FromWorker::Failed`] comes at once.
    RowsBegin {
        /// The job.
        job: JobId,
    },
    /// The stream is whole and its pipe closed.
    RowsDone {
        /// The job.
        job: JobId,
        /// Rows sent.
        rows: u64,
        /// Distinct persons among them; `None` where the engine can't say.
        persons: Option<u64>,
    },
    /// A failure.
    Failed {
        /// The job.
        job: JobId,
        /// Why.
        error: SqlError,
    },
    /// Stopped as asked.
    Cancelled {
        /// The job.
        job: JobId,
    },
    /// What came of a [`ToWorker::Peer`] on which this worker asks.
    PeerAnswered {
        /// The other.
        server: ServerId,
        /// Why it is of no use; `None`: it answers.
        error: Option<String>,
    },
}
