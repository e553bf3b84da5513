//! Statements to the worker, and what comes back: recorded before each effect.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kekkai_analysis_api::{SQL_MAX, SqlError, SqlErrorCode, Work};
use kekkai_differencing::{Close, shown};
use kekkai_output::{Populations, Seen, Table};
use kekkai_policy_api::{EndReason, Event};
use kekkai_service::CallError;
use kekkai_types::{JobId, Refusal, ServerId, Timestamp};
use kekkai_worker_api::{AsyncReceiver, FromWorker, PeerRole, ToWorker};

use super::job::{Finished, State};
use super::{CANCEL_GRACE, ReadEvent, SEND_LIMIT, Session, lock};
use crate::guard::{Denied, Label};
use crate::judge::{Counted, Expected, judge};
use crate::turns::Ticket;

/// A person who cancels hears of it by then, whatever the worker does.
const CANCEL_SHOWN: Duration = Duration::from_secs(1);
/// Frames of one worker in a second: four jobs report progress four times a second each.
const FRAMES_PER_S_MAX: u32 = 100;
/// Names and candidates of a worker's error: characters, and how many.
const NAME_MAX: usize = 200;
const CANDIDATES_MAX: usize = 10;

/// A recorded statement and its place in the line.
struct Query {
    id: JobId,
    sql: String,
    ticket: Arc<Ticket>,
}

/// What came of a job, before it is recorded.
enum Outcome {
    Done(Box<Table>, Populations),
    Failed(SqlError),
    Cancelled { by_limit: bool },
}

impl Session {
    /// Records a statement, then sends it to the worker.
    pub async fn query(self: &Arc<Self>, sql: &str) -> Result<JobId, Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        if sql.len() > SQL_MAX {
            return Err(Refusal::new("sql-too-long", SQL_MAX.to_string()));
        }
        let (number, id) = self.jobs().add(Work::Query(sql.to_owned()), 0)?;
        let ticket = match self.around.turns.queue(&self.terms.session.agreement) {
            Ok(ticket) => Arc::new(ticket),
            Err(refusal) => {
                self.jobs().remove(number);
                return Err(refusal);
            }
        };
        let recorded = self
            .record(Event::QueryStarted {
                session: self.id().clone(),
                job: id.clone(),
                sql: sql.to_owned(),
            })
            .await;
        if let Err(error) = recorded {
            self.jobs().remove(number);
            return Err(error.into_refusal());
        }
        let has_turn = ticket.ahead().is_none();
        if let Some(job) = self.jobs().get(number) {
            job.state = State::Queued(ticket.clone());
        }
        let query = Query {
            id: id.clone(),
            sql: sql.to_owned(),
            ticket,
        };
        if has_turn {
            self.begin_query(query).await?;
            return Ok(id);
        }
        let session = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = query.ticket.turn() => {}
                () = session.until_settled(&query.id) => return,
                _ = session.wait_end() => return,
            }
            // What went wrong is in the job's state, or the session is over.
            let _ = session.begin_query(query).await;
        });
        Ok(id)
    }

    /// Sends a statement that has its turn to the worker. The turn lasts until the worker is done with it.
    async fn begin_query(self: &Arc<Self>, query: Query) -> Result<(), Refusal> {
        let Query { id, sql, ticket } = query;
        {
            let mut jobs = self.jobs();
            match jobs.find(&id) {
                Some(job) if matches!(job.state, State::Queued(_)) && job.cancel.is_none() => {
                    job.state = State::Running;
                    job.worker_busy = true;
                    job.started = Instant::now();
                }
                // Cancelled while it waited.
                _ => return Ok(()),
            }
        }
        self.announce();
        let message = ToWorker::Query {
            job: id.clone(),
            sql,
        };
        if !self.send(&message).await {
            self.end(EndReason::ServerLost).await;
            self.settle(&id, Outcome::Failed(internal())).await;
            return Err(super::ended_refusal(EndReason::ServerLost));
        }
        let limit = Duration::from_secs(self.terms.session.query_limit_s.into());
        let session = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(limit) => session.cancel_as(&id, true).await,
                () = session.until_settled(&id) => {}
                _ = session.wait_end() => {}
            }
            // Who is told that it is cancelled may still keep the worker busy.
            tokio::select! {
                () = session.until_free(&id) => {}
                _ = session.wait_end() => {}
            }
            drop(ticket);
        });
        Ok(())
    }

    /// Stops a job at a person's wish.
    pub async fn cancel(self: &Arc<Self>, id: &JobId) -> Result<(), Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        if self.jobs().number(id).is_none() {
            return Err(Refusal::not_found(id.as_str()));
        }
        self.cancel_as(id, false).await;
        Ok(())
    }

    /// Asks the worker to stop; after [`CANCEL_SHOWN`] the job counts as cancelled, after
    /// [`CANCEL_GRACE`] a worker that still works on it is killed.
    pub(super) async fn cancel_as(self: &Arc<Self>, id: &JobId, by_limit: bool) {
        let waits = {
            let mut jobs = self.jobs();
            match jobs.find(id) {
                Some(job) if matches!(job.state, State::Queued(_)) && job.cancel.is_none() => {
                    // From here on it gets no turn.
                    job.cancel = Some(by_limit);
                    true
                }
                _ => false,
            }
        };
        if waits {
            return self.settle(id, Outcome::Cancelled { by_limit }).await;
        }
        {
            let mut jobs = self.jobs();
            match jobs.find(id) {
                Some(job) if matches!(job.state, State::Running) && job.cancel.is_none() => {
                    job.cancel = Some(by_limit);
                    // A program's own task sees to the rest.
                    if let Some(program) = &job.program {
                        program.stop.send_replace(Some(by_limit));
                        return;
                    }
                }
                _ => return,
            }
        }
        let sent = self.send(&ToWorker::Cancel { job: id.clone() }).await;
        if !sent {
            return self.end(EndReason::ServerLost).await;
        }
        let session = self.clone();
        let id = id.clone();
        let watch = async move {
            let shown = tokio::time::timeout(CANCEL_SHOWN, session.until_settled(&id)).await;
            if shown.is_err() {
                session.settle(&id, Outcome::Cancelled { by_limit }).await;
            }
            let freed = tokio::time::timeout(CANCEL_GRACE - CANCEL_SHOWN, session.until_free(&id));
            if freed.await.is_err() {
                tracing::error!(session = %session.id(), "a worker did not stop its query");
                session.end(EndReason::ServerLost).await;
            }
        };
        let shown = tokio::spawn(watch);
        // The caller's answer comes when the job is shown as cancelled.
        drop(shown);
    }

    async fn until_settled(&self, id: &JobId) {
        self.until(id, |job| {
            !matches!(
                job.state,
                State::Starting | State::Queued(_) | State::Running | State::Settling
            )
        })
        .await;
    }

    async fn until_free(&self, id: &JobId) {
        self.until(id, |job| !job.worker_busy).await;
    }

    async fn until(&self, id: &JobId, done: impl Fn(&super::job::Entry) -> bool) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if self.end_reason().is_some() || self.jobs().find(id).is_none_or(|job| done(job)) {
                return;
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    pub(super) async fn send(&self, message: &ToWorker) -> bool {
        self.send_with(message, &[]).await
    }

    /// Hands the worker a stream to another server's. False: the session has ended, or ends now.
    pub(crate) async fn join(
        self: &Arc<Self>,
        server: &ServerId,
        role: PeerRole,
        stream: BorrowedFd<'_>,
    ) -> bool {
        if self.end_reason().is_some() {
            return false;
        }
        if role != PeerRole::Answers {
            lock(&self.asked).insert(server.clone());
        }
        let message = ToWorker::Peer {
            own: self.server().clone(),
            server: server.clone(),
            role,
        };
        let sent = self.send_with(&message, &[stream]).await;
        if !sent {
            self.end(EndReason::ServerLost).await;
        }
        sent
    }

    /// What the worker says of a stream. False when it was given none.
    fn peer_answered(&self, server: &ServerId, error: Option<String>) -> bool {
        if !lock(&self.asked).remove(server) {
            return false;
        }
        let clean = |text: String| -> String {
            let shown = text.chars().filter(|c| !c.is_control());
            shown.take(NAME_MAX).collect()
        };
        match error.map(clean) {
            None => tracing::info!(session = %self.id(), %server, "a part answers"),
            Some(error) => {
                tracing::warn!(session = %self.id(), %server, error, "a part is of no use")
            }
        }
        true
    }

    pub(super) async fn send_with(&self, message: &ToWorker, fds: &[BorrowedFd<'_>]) -> bool {
        let send = async { self.sender.lock().await.send(message, fds).await };
        matches!(tokio::time::timeout(SEND_LIMIT, send).await, Ok(Ok(())))
    }

    /// Records how a job ended, and only then shows it. What can't be recorded is not shown.
    async fn settle(&self, id: &JobId, outcome: Outcome) {
        // From here on nobody else settles it.
        let sql = {
            let mut jobs = self.jobs();
            match jobs.find(id) {
                Some(job) if matches!(job.state, State::Running | State::Queued(_)) => {
                    job.state = State::Settling;
                    job.work.text().to_owned()
                }
                _ => return,
            }
        };
        let (outcome, state, counted) = self.judged(&sql, outcome);
        let (outcome, state) = self.guarded(id, outcome, state).await;
        let recorded = self
            .record(Event::QueryEnded {
                session: self.id().clone(),
                job: id.clone(),
                outcome,
                rows: counted.rows,
                cells_suppressed: counted.cells_suppressed,
                groups_withheld: counted.groups_withheld,
            })
            .await;
        let state = match recorded {
            Ok(_) => state,
            Err(error) => {
                let error: CallError = error;
                tracing::error!(session = %self.id(), %error, "a query's end is not recorded");
                State::Failed(internal())
            }
        };
        {
            let mut jobs = self.jobs();
            if let Some(job) = jobs.find(id) {
                job.ended = Some(job.started.elapsed());
                job.state = state;
            }
            jobs.forget_old_results();
        }
        self.announce();
    }

    /// Holds a statistic against what the project was shown before. What is shown is written down first.
    async fn guarded(&self, id: &JobId, outcome: String, state: State) -> (String, State) {
        let State::Done(Some(finished)) = state else {
            return (outcome, state);
        };
        let label = Label {
            person: self.terms.session.person.clone(),
            session: self.id().clone(),
            job: id.clone(),
            at: Timestamp::now(),
        };
        let guard = match (&self.kept.guard, finished.populations.stable) {
            (Some(guard), true) => Arc::clone(guard),
            _ => Arc::clone(&self.own_guard),
        };
        let (table, populations) = (finished.table.clone(), finished.populations.clone());
        let admitted = tokio::task::spawn_blocking(move || {
            let shown = shown(&table, &populations).map_err(|_| Denied::Unfit)?;
            guard.admit(&label, shown)
        });
        let denied = match admitted.await {
            Ok(Ok(())) => return (outcome, State::Done(Some(finished))),
            Ok(Err(denied)) => denied,
            Err(_) => Denied::Unfit,
        };
        match denied {
            Denied::Close(close) => {
                let seen = self.seen(&close);
                let error = SqlError {
                    code: SqlErrorCode::TooClose,
                    name: seen.earlier.clone().unwrap_or_default(),
                    ..internal()
                };
                let state = State::Withheld {
                    finished,
                    error,
                    seen,
                };
                ("withheld: too-close".to_owned(), state)
            }
            denied => {
                tracing::error!(session = %self.id(), error = %crate::explain(&denied), "the guard");
                let error = SqlError {
                    code: SqlErrorCode::HistoryFull,
                    ..internal()
                };
                (format!("failed: {}", error.code), State::Failed(error))
            }
        }
    }

    /// How people of the project know an earlier statement.
    fn seen(&self, close: &Close<Label>) -> Seen {
        let index = |number: Option<u32>| number.and_then(|number| usize::try_from(number).ok());
        let earlier = close.with.as_ref().map(|label| {
            if label.session == *self.id() {
                format!("job {}", label.job)
            } else {
                format!("{} {}", label.person, label.at)
            }
        });
        Seen {
            row: index(close.row),
            column: index(close.column),
            earlier,
        }
    }

    fn judged(&self, sql: &str, outcome: Outcome) -> (String, State, Counted) {
        let nothing = Counted::default();
        match outcome {
            Outcome::Cancelled { by_limit } => {
                let name = if by_limit { "time-limit" } else { "cancelled" };
                (name.to_owned(), State::Cancelled { by_limit }, nothing)
            }
            Outcome::Failed(error) => {
                let name = format!("failed: {}", error.code);
                (name, State::Failed(error), nothing)
            }
            Outcome::Done(table, populations) => {
                let terms = self.terms();
                let earlier = if table.lineage.sql == sql {
                    Vec::new()
                } else {
                    self.jobs().asked()
                };
                let expected = Expected {
                    sql,
                    earlier: &earlier,
                    threshold: terms.session.threshold,
                    dominance_permille: terms.session.dominance_permille,
                    policy: terms.policy,
                    datasets: &terms.datasets,
                };
                match judge(*table, populations, &expected) {
                    Ok(believed) => {
                        let counted = believed.counted();
                        let (table, populations) = believed.into_parts();
                        let finished = Finished {
                            table: Arc::new(table),
                            populations: Arc::new(populations),
                        };
                        ("done".to_owned(), State::Done(Some(finished)), counted)
                    }
                    Err(disbelief) => {
                        tracing::error!(session = %self.id(), %disbelief, "a table is not believed");
                        let name = "failed: not-believed".to_owned();
                        (name, State::Failed(internal()), nothing)
                    }
                }
            }
        }
    }
}

/// Counts frames: a worker that floods its broker is not ours any more.
struct Flood {
    since: Instant,
    frames: u32,
}

impl Flood {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            frames: 0,
        }
    }

    /// False when this frame is one too many in its second.
    fn admits_another(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self::new();
        }
        self.frames += 1;
        self.frames <= FRAMES_PER_S_MAX
    }
}

/// Listens to a worker until it ends or misbehaves; either ends the session.
pub(super) async fn listen(session: Arc<Session>, mut receiver: AsyncReceiver) {
    let mut flood = Flood::new();
    loop {
        let message = tokio::select! {
            message = receiver.receive() => message,
            _ = session.wait_end() => break,
        };
        let fits = match message {
            Ok(Some(message)) => flood.admits_another() && hear(&session, message),
            Ok(None) => false,
            Err(error) => {
                tracing::error!(session = %session.id(), %error, "a worker's frame is refused");
                false
            }
        };
        if !fits {
            break;
        }
    }
    session.end(EndReason::ServerLost).await;
    // What was under way did not end well; the ledger should say so.
    let unsettled: Vec<JobId> = {
        let mut jobs = session.jobs();
        let numbers = jobs.unsettled();
        numbers
            .iter()
            .filter_map(|n| jobs.get(*n).map(|job| job.id.clone()))
            .collect()
    };
    for id in unsettled {
        session.settle(&id, Outcome::Failed(internal())).await;
    }
}

/// Takes one message. False when it fits nothing that was asked: such a worker is not ours any more.
fn hear(session: &Arc<Session>, message: FromWorker) -> bool {
    let (id, outcome) = match message {
        FromWorker::Progress {
            job,
            rows_read,
            rows_total,
        } => {
            if is_read(session, &job) {
                return true;
            }
            let mut jobs = session.jobs();
            let Some(entry) = jobs.find(&job).filter(|entry| entry.worker_busy) else {
                return false;
            };
            entry.rows_read = entry.rows_read.max(rows_read);
            entry.rows_total = rows_total;
            return true;
        }
        FromWorker::RowsBegin { job } => return told(session, &job, ReadEvent::Begin),
        FromWorker::RowsDone { job, rows, persons } => {
            return told(session, &job, ReadEvent::Done { rows, persons });
        }
        FromWorker::Failed { job, error } if is_read(session, &job) => {
            return told(session, &job, ReadEvent::Failed(bounded(error)));
        }
        FromWorker::Cancelled { job } if is_read(session, &job) => {
            return told(session, &job, ReadEvent::Cancelled);
        }
        FromWorker::Done {
            job,
            table,
            populations,
        } => (job, Outcome::Done(table, populations)),
        FromWorker::Failed { job, error } => (job, Outcome::Failed(bounded(error))),
        FromWorker::Cancelled { job } => (job, Outcome::Cancelled { by_limit: false }),
        FromWorker::PeerAnswered { server, error } => return session.peer_answered(&server, error),
        FromWorker::Jailed { .. } | FromWorker::Loaded { .. } | FromWorker::LoadFailed { .. } => {
            return false;
        }
    };
    let outcome = {
        let mut jobs = session.jobs();
        let Some(entry) = jobs.find(&id).filter(|entry| entry.worker_busy) else {
            return false;
        };
        entry.worker_busy = false;
        match (outcome, entry.cancel) {
            // Nobody asked it to.
            (Outcome::Cancelled { .. }, None) => return false,
            (Outcome::Cancelled { .. }, Some(by_limit)) => Outcome::Cancelled { by_limit },
            (other, _) => other,
        }
    };
    session.announce();
    let session = session.clone();
    tokio::spawn(async move { session.settle(&id, outcome).await });
    true
}

fn is_read(session: &Session, id: &JobId) -> bool {
    lock(&session.reads).contains_key(id)
}

/// Passes on what came of a program's query. False when nobody asked for it.
fn told(session: &Session, id: &JobId, event: ReadEvent) -> bool {
    let mut reads = lock(&session.reads);
    let is_last = !matches!(event, ReadEvent::Begin);
    let Some(run) = reads.get(id) else {
        return false;
    };
    // A run that is over has nobody who listens: that is not the worker's fault.
    let _ = run.send((id.clone(), event));
    if is_last {
        reads.remove(id);
    }
    true
}

pub(super) fn internal() -> SqlError {
    SqlError {
        code: SqlErrorCode::Internal,
        name: String::new(),
        at: None,
        candidates: Vec::new(),
        hint: None,
    }
}

/// A worker's error is text from a jail: short, and without control characters.
fn bounded(error: SqlError) -> SqlError {
    let short = |text: String| -> String {
        text.chars()
            .filter(|c| !c.is_control())
            .take(NAME_MAX)
            .collect()
    };
    SqlError {
        code: error.code,
        name: short(error.name),
        at: error.at,
        candidates: error
            .candidates
            .into_iter()
            .take(CANDIDATES_MAX)
            .map(short)
            .collect(),
        hint: error.hint,
    }
}
