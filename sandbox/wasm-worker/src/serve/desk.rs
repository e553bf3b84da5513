//! Who waits for which answer.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kekkai_analysis_api::SqlError;
use kekkai_types::OutputId;
use kekkai_worker_api::{FrameError, FromProgram, Sender};
use tokio::sync::oneshot;

use super::ServeError;
use super::pipe::PipeRows;
use crate::{Broker, NoAnswer, RowStream, Statement, Submission};

/// The broker's answer to a query: a pipe, or a refusal.
type Begun = Result<OwnedFd, SqlError>;
/// Whether a stream is whole.
pub(super) type Whole = Result<(), SqlError>;
/// The broker's answer to a submission.
type Submitted = Result<OutputId, (String, String)>;

/// Requests that went out and answers that came in. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Desk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sender: Sender<FromProgram>,
    waiting: Mutex<Waiting>,
}

/// Numbers count within a run. An answer that comes late comes before the broker sends the next run, and finds
/// nobody waiting.
#[derive(Debug, Default)]
struct Waiting {
    queries: u32,
    submissions: u32,
    begun: BTreeMap<u32, oneshot::Sender<Begun>>,
    ended: BTreeMap<u32, oneshot::Sender<Whole>>,
    submitted: BTreeMap<u32, oneshot::Sender<Submitted>>,
}

impl Desk {
    pub(super) fn new(sender: Sender<FromProgram>) -> Self {
        Self(Arc::new(Shared {
            sender,
            waiting: Mutex::default(),
        }))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        let waiting = &self.0.waiting;
        waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send<R>(&self, message: &FromProgram) -> Result<(), NoAnswer<R>> {
        self.0.sender.send(message).map_err(|_| NoAnswer::Gone)
    }

    /// A query's answer came. Whoever asked may have been cancelled meanwhile.
    pub(super) fn rows(
        &self,
        query: u32,
        outcome: Result<(), SqlError>,
        pipe: Option<OwnedFd>,
    ) -> Result<(), ServeError> {
        let begun = match (outcome, pipe) {
            (Ok(()), Some(pipe)) => Ok(pipe),
            (Err(error), None) => Err(error),
            _ => return Err(ServeError::OutOfTurn),
        };
        if let Some(asked) = self.waiting().begun.remove(&query) {
            let _ = asked.send(begun);
        }
        Ok(())
    }

    /// A stream ended.
    pub(super) fn rows_end(&self, query: u32, outcome: Whole) {
        if let Some(reader) = self.waiting().ended.remove(&query) {
            let _ = reader.send(outcome);
        }
    }

    /// A submission's answer came.
    pub(super) fn submitted(&self, submission: u32, outcome: Submitted) {
        if let Some(asked) = self.waiting().submitted.remove(&submission) {
            let _ = asked.send(outcome);
        }
    }

    /// A program lets go of rows before their end.
    pub(super) fn drop_rows(&self, query: u32) {
        let is_open = {
            let mut waiting = self.waiting();
            waiting.begun.remove(&query);
            waiting.ended.remove(&query).is_some()
        };
        if is_open {
            // A broker that is gone needs no telling.
            let _ = self.0.sender.send(&FromProgram::RowsDropped { query });
        }
    }

    /// A run is over, and the broker is not told yet: nobody waits any more, and numbers begin anew.
    pub(super) fn clear(&self) {
        *self.waiting() = Waiting::default();
    }
}

/// Tells the broker, where a program is stopped while it waits for its query to begin.
struct Asking<'a> {
    desk: &'a Desk,
    query: u32,
    is_answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.desk.drop_rows(self.query);
        }
    }
}

#[async_trait]
impl Broker for Desk {
    async fn query(&self, statement: Statement) -> Result<Box<dyn RowStream>, NoAnswer<SqlError>> {
        let (begun, answer) = oneshot::channel();
        let (ended, whole) = oneshot::channel();
        let query = {
            let mut waiting = self.waiting();
            waiting.queries = waiting.queries.checked_add(1).ok_or(NoAnswer::Gone)?;
            let query = waiting.queries;
            waiting.begun.insert(query, begun);
            waiting.ended.insert(query, ended);
            query
        };
        let mut asking = Asking {
            desk: self,
            query,
            is_answered: false,
        };
        self.send(&FromProgram::Query {
            query,
            sql: statement.sql,
            parameters: statement.parameters,
            rows: statement.rows,
        })?;
        match answer.await {
            Ok(Ok(pipe)) => {
                let rows = PipeRows::new(self.clone(), query, pipe, whole);
                asking.is_answered = true;
                Ok(Box::new(rows.map_err(|_| NoAnswer::Gone)?))
            }
            Ok(Err(error)) => {
                self.waiting().ended.remove(&query);
                asking.is_answered = true;
                Err(NoAnswer::Refused(error))
            }
            Err(_) => Err(NoAnswer::Gone),
        }
    }

    async fn submit(&self, submission: Submission) -> Result<OutputId, NoAnswer<(String, String)>> {
        let (submitted, answer) = oneshot::channel();
        let number = {
            let mut waiting = self.waiting();
            waiting.submissions = waiting.submissions.checked_add(1).ok_or(NoAnswer::Gone)?;
            let number = waiting.submissions;
            waiting.submitted.insert(number, submitted);
            number
        };
        let sent = self.0.sender.send(&FromProgram::Submit {
            submission: number,
            title: submission.title,
            purpose: submission.purpose,
            body: Box::new(submission.body),
        });
        match sent {
            Ok(()) => {}
            Err(FrameError::OursTooLarge { .. }) => {
                self.waiting().submitted.remove(&number);
                let refusal = ("limit-output-size".to_owned(), String::new());
                return Err(NoAnswer::Refused(refusal));
            }
            Err(_) => return Err(NoAnswer::Gone),
        }
        answer
            .await
            .map_err(|_| NoAnswer::Gone)?
            .map_err(NoAnswer::Refused)
    }

    fn log(&self, lines: Vec<(bool, String)>, dropped: u64) {
        let _ = self.send::<()>(&FromProgram::Log { lines, dropped });
    }

    fn progress(&self, permille: u16, note: &str) {
        let note = note.to_owned();
        let _ = self.send::<()>(&FromProgram::Progress { permille, note });
    }
}
