//! What a running program needs from outside: the broker, or the stand-in's files.

use async_trait::async_trait;
use kekkai_analysis_api::SqlError;
use kekkai_output::{ProgramBody, Value};
use kekkai_types::OutputId;

/// A statement that a program wants answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// At most `SQL_MAX` bytes.
    pub sql: String,
    /// For its `?`.
    pub parameters: Vec<Value>,
    /// Rows as they are; otherwise a statistic.
    pub rows: bool,
}

/// An output that a program submits.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// At most 200 characters.
    pub title: String,
    /// At most 2,000 characters.
    pub purpose: String,
    /// At most `output_kib_max`.
    pub body: ProgramBody,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer<R> {
    /// A refusal, for the program.
    #[error("refused")]
    Refused(R),
    /// Nobody is there any more: the program is stopped.
    #[error("the broker is gone")]
    Gone,
}

/// Where a program's requests go.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Runs a statement. At most one stream of rows is open at a time.
    async fn query(&self, statement: Statement) -> Result<Box<dyn RowStream>, NoAnswer<SqlError>>;
    /// Submits an output; a refusal is a code and a name.
    async fn submit(&self, submission: Submission) -> Result<OutputId, NoAnswer<(String, String)>>;
    /// Lines that were printed, each with whether it was written as an error, and how many were dropped so
    /// far.
    fn log(&self, lines: Vec<(bool, String)>, dropped: u64);
    /// How far the program says that it is, in permille.
    fn progress(&self, permille: u16, note: &str);
}

/// An Arrow IPC stream in pieces.
#[async_trait]
pub trait RowStream: Send {
    /// The next piece, at most `ROWS_PIECE_MAX` bytes; `None` once the stream is known to be whole.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, NoAnswer<SqlError>>;
}
