//! Rows as they are, for a display that may show them: recorded, then streamed from the SQL worker to the
//! desktop through a pipe that the broker made and does not read.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use kekkai_analysis_api::{SQL_MAX, SqlError, SqlErrorCode, Work};
use kekkai_policy_api::{EndReason, Event};
use kekkai_types::{DisplayClass, JobId, Refusal};
use kekkai_worker_api::ToWorker;
use nix::fcntl::FcntlArg;
use tokio::sync::mpsc;

use super::job::State;
use super::program::PIPE_BYTES;
use super::run::internal;
use super::{CANCEL_GRACE, ReadEvent, Session, lock};

/// Rows of one statement, at most: as many as a desktop keeps.
const ROWS_WANTED: u64 = 200_000;

/// Rows that were asked for.
#[derive(Debug)]
pub(crate) struct Rows {
    session: Arc<Session>,
    number: u64,
    /// Their job.
    pub(crate) job: JobId,
    /// Where they come; `None` once somebody has it.
    reading_end: Option<OwnedFd>,
    /// At most so many: what the agreement's bounds left of [`ROWS_WANTED`].
    rows_max: u64,
    /// The first of them is under way.
    has_begun: bool,
    heard: mpsc::UnboundedReceiver<(JobId, ReadEvent)>,
}

impl Session {
    /// Records that rows are shown, then asks the worker for them.
    pub(crate) async fn rows(self: &Arc<Self>, sql: &str) -> Result<Rows, Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        if sql.len() > SQL_MAX {
            return Err(Refusal::new("sql-too-long", SQL_MAX.to_string()));
        }
        if !self.terms.shows_rows() {
            let needed = super::wire_name(self.rows_need());
            return Err(Refusal::new("rows-need-display", needed));
        }
        let (number, job) = self.jobs().add(Work::Query(sql.to_owned()), 0)?;
        let recorded = self
            .record(Event::RowsShown {
                session: self.id().clone(),
                job: job.clone(),
                sql: sql.to_owned(),
                rows_max: ROWS_WANTED,
            })
            .await;
        let pipe = match recorded {
            Ok(recorded) => std::io::pipe()
                .map(|(reading_end, writing_end)| {
                    // A policy service that names no number allows none.
                    let rows_max = recorded.rows_max.unwrap_or(0).min(ROWS_WANTED);
                    (reading_end, writing_end, rows_max)
                })
                .map_err(|e| Refusal::new("internal", e.to_string())),
            Err(error) => Err(error.into_refusal()),
        };
        let (reading_end, writing_end, rows_max) = match pipe {
            Ok(pipe) => pipe,
            Err(refusal) => {
                self.jobs().remove(number);
                return Err(refusal);
            }
        };
        // Where the system's bound is lower, rows come in smaller pieces.
        let _ = nix::fcntl::fcntl(&writing_end, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        if let Some(entry) = self.jobs().get(number) {
            entry.state = State::Running;
        }
        let (events, heard) = mpsc::unbounded_channel();
        lock(&self.reads).insert(job.clone(), events);
        let rows = Rows {
            session: self.clone(),
            number,
            job: job.clone(),
            reading_end: Some(reading_end.into()),
            rows_max,
            has_begun: false,
            heard,
        };
        let message = ToWorker::Rows {
            job,
            sql: sql.to_owned(),
            parameters: Vec::new(),
            rows: true,
            rows_max: Some(rows_max),
        };
        if !self.send_with(&message, &[writing_end.as_fd()]).await {
            self.end(EndReason::ServerLost).await;
            return Err(super::ended_refusal(EndReason::ServerLost));
        }
        Ok(rows)
    }

    /// The display that the rows of everything granted need.
    fn rows_need(&self) -> DisplayClass {
        let granted = self.terms.session.datasets.iter();
        let needed = granted.flat_map(|d| d.tables.values().map(|table| table.rows_need));
        needed.max().unwrap_or(DisplayClass::Onsite)
    }
}

impl Rows {
    /// Waits for the first of them. What is wrong with the statement is known by then.
    pub(crate) async fn begun(&mut self) -> Result<(), SqlError> {
        match self.next().await {
            ReadEvent::Begin => {
                self.has_begun = true;
                Ok(())
            }
            event => Err(self.ended(event).await),
        }
    }

    /// Where they come, once [`Rows::begun`] said so.
    pub(crate) fn take_reading_end(&mut self) -> Option<OwnedFd> {
        self.reading_end.take()
    }

    /// Waits for the last of them: how many there were.
    pub(crate) async fn done(mut self) -> Result<u64, SqlError> {
        match self.next().await {
            ReadEvent::Done { rows, .. } => {
                self.settle("rows", rows, State::Shown).await;
                if rows < self.rows_max || self.rows_max == ROWS_WANTED {
                    return Ok(rows);
                }
                // There may be more: the agreement's bounds leave no more now.
                Err(SqlError {
                    code: SqlErrorCode::RowsQuota,
                    name: self.rows_max.to_string(),
                    ..internal()
                })
            }
            event => Err(self.ended(event).await),
        }
    }

    /// What the worker says next. Cancelled where the time limit or the person stopped it.
    async fn next(&mut self) -> ReadEvent {
        let limit = self.session.terms.session.query_limit_s;
        let limit = Duration::from_secs(limit.into());
        let heard = tokio::select! {
            heard = tokio::time::timeout(limit, self.heard.recv()) => heard,
            _ = self.session.wait_end() => Ok(None),
        };
        if let Ok(heard) = heard {
            return heard.map_or(ReadEvent::Cancelled, |(_, event)| event);
        }
        let session = self.session.clone();
        session.cancel_as(&self.job, true).await;
        // Whoever works on it still is not ours any more.
        match tokio::time::timeout(CANCEL_GRACE, self.heard.recv()).await {
            Ok(heard) => heard.map_or(ReadEvent::Cancelled, |(_, event)| event),
            Err(_) => {
                session.end(EndReason::ServerLost).await;
                ReadEvent::Cancelled
            }
        }
    }

    async fn ended(&mut self, event: ReadEvent) -> SqlError {
        let cancel = {
            let mut jobs = self.session.jobs();
            jobs.get(self.number).and_then(|entry| entry.cancel)
        };
        let (outcome, error, state) = match event {
            ReadEvent::Failed(error) => {
                let outcome = format!("failed: {}", error.code);
                (outcome, error.clone(), State::Failed(error))
            }
            // Nobody asked it to stop: the reader had enough.
            ReadEvent::Cancelled if cancel.is_none() => {
                let code = SqlErrorCode::TooLarge;
                let error = SqlError { code, ..internal() };
                ("rows: cut off".to_owned(), error, State::Shown)
            }
            _ => {
                let by_limit = cancel.unwrap_or(false);
                let state = State::Cancelled { by_limit };
                ("cancelled".to_owned(), internal(), state)
            }
        };
        // How many were shown is not known: as many as were allowed may have been.
        let shown = if self.has_begun { self.rows_max } else { 0 };
        self.settle(&outcome, shown, state).await;
        error
    }

    /// Records how they ended, and only then shows it.
    async fn settle(&self, outcome: &str, rows: u64, state: State) {
        let session = &self.session;
        {
            let mut jobs = session.jobs();
            match jobs.get(self.number) {
                Some(entry) if matches!(entry.state, State::Running) => {
                    entry.state = State::Settling;
                    entry.rows_read = entry.rows_read.max(rows);
                }
                // A cancelled job was settled when it was.
                _ => return,
            }
        }
        let recorded = session
            .record(Event::QueryEnded {
                session: session.id().clone(),
                job: self.job.clone(),
                outcome: outcome.to_owned(),
                rows,
                cells_suppressed: 0,
                groups_withheld: 0,
            })
            .await;
        if let Err(error) = recorded {
            // They were shown already, which is recorded.
            tracing::error!(session = %session.id(), %error, "the end of rows is not recorded");
        }
        {
            let mut jobs = session.jobs();
            if let Some(entry) = jobs.get(self.number) {
                entry.ended = Some(entry.started.elapsed());
                entry.state = state;
            }
        }
        session.announce();
    }
}
