//! The conversation with the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use kekkai_analysis_api::{JOBS_ACTIVE_MAX, SqlError, SqlErrorCode};
use kekkai_engine::{
    AGGREGATE_FUNCTIONS, Answer, Cancel, MODEL_FUNCTIONS, PERSON_FUNCTIONS, Progress,
    ROW_AGGREGATE_FUNCTIONS, SCALAR_FUNCTIONS, STACK_BYTES, Session, Statement, Stopped,
    WINDOW_FUNCTIONS,
};
use kekkai_types::JobId;
use kekkai_worker_api::{FrameError, FromWorker, Receiver, Sender, ToWorker, worker_channel};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::load::load;
use crate::peers::Peers;
use crate::rows::Stream;

/// The stack of threads that only pass messages, in bytes.
const CONTROL_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Jobs at once. A program's next statement may come while one that it let go of still ends.
const JOBS_MAX: usize = 2 * JOBS_ACTIVE_MAX;

/// Why the worker ends.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The channel broke.
    #[error("the channel to the broker broke")]
    Channel(#[from] FrameError),
    /// The broker speaks out of turn.
    #[error("the broker's message comes out of turn")]
    OutOfTurn,
    /// Loading failed; the broker was told why.
    #[error("loading failed")]
    Load,
    /// No threads to run queries on.
    #[error("the runtime can't be started")]
    Runtime(#[source] std::io::Error),
}

/// Speaks with the broker until it closes the channel. `layers` is what holds this process.
pub fn serve(socket: OwnedFd, layers: BTreeMap<String, String>) -> Result<(), ServeError> {
    let (sender, mut receiver) = worker_channel::<FromWorker, ToWorker>(socket);
    sender.send(&FromWorker::Jailed { layers })?;
    let Some((message, descriptors)) = receiver.receive()? else {
        return Ok(());
    };
    let ToWorker::Load(message) = message else {
        return Err(ServeError::OutOfTurn);
    };
    let threads = usize::try_from(message.threads).unwrap_or(1).clamp(1, 64);
    let session = match load(*message, descriptors) {
        Ok(session) => Arc::new(session),
        Err(error) => {
            let reason = error.to_string();
            sender.send(&FromWorker::LoadFailed { reason })?;
            return Err(ServeError::Load);
        }
    };
    // Two runtimes: queries may keep all their threads busy, progress and cancelling don't wait for them.
    let compute = runtime("query", threads, STACK_BYTES)?;
    let control = runtime("control", 1, CONTROL_STACK_BYTES)?;
    sender.send(&FromWorker::Loaded {
        functions: functions(),
    })?;
    let answered = answer(&control, compute.handle(), &session, &sender, &mut receiver);
    // Queries that still run have nobody to answer.
    control.shutdown_background();
    compute.shutdown_background();
    answered
}

/// What statements may call, for whoever completes them.
fn functions() -> Vec<String> {
    let lists = [
        SCALAR_FUNCTIONS,
        AGGREGATE_FUNCTIONS,
        MODEL_FUNCTIONS,
        PERSON_FUNCTIONS,
        ROW_AGGREGATE_FUNCTIONS,
        WINDOW_FUNCTIONS,
    ];
    let names: BTreeSet<&str> = lists.concat().into_iter().collect();
    names.into_iter().map(str::to_owned).collect()
}

fn runtime(name: &str, threads: usize, stack: usize) -> Result<Runtime, ServeError> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_stack_size(stack)
        // Stacks count towards the jail's limit on memory.
        .max_blocking_threads(JOBS_ACTIVE_MAX)
        .thread_name(name)
        // For the pipes that rows go into.
        .enable_io()
        .enable_time()
        .build()
        .map_err(ServeError::Runtime)
}

/// Jobs that run, each with what stops it.
type Jobs = Arc<Mutex<BTreeMap<JobId, Cancel>>>;

fn answer(
    control: &Runtime,
    compute: &Handle,
    session: &Arc<Session>,
    sender: &Sender,
    receiver: &mut Receiver,
) -> Result<(), ServeError> {
    let jobs = Jobs::default();
    let mut peers = Peers::new(session, compute, sender);
    while let Some((message, descriptors)) = receiver.receive()? {
        match message {
            ToWorker::Load(_) => return Err(ServeError::OutOfTurn),
            ToWorker::Query { job, sql } => {
                let Some(cancel) = begin(&jobs, &job) else {
                    sender.send(&failed(job, internal()))?;
                    continue;
                };
                let query = Query {
                    compute: compute.clone(),
                    session: Arc::clone(session),
                    sender: sender.clone(),
                    job,
                    sql,
                    cancel,
                };
                control.spawn(query.run(Arc::clone(&jobs)));
            }
            ToWorker::Rows {
                job,
                sql,
                parameters,
                rows,
                rows_max,
            } => {
                let Ok([pipe]) = <[OwnedFd; 1]>::try_from(descriptors) else {
                    return Err(ServeError::OutOfTurn);
                };
                let Some(cancel) = begin(&jobs, &job) else {
                    sender.send(&failed(job, internal()))?;
                    continue;
                };
                let stream = Stream {
                    compute: compute.clone(),
                    session: Arc::clone(session),
                    sender: sender.clone(),
                    job: job.clone(),
                    statement: Statement { sql, parameters },
                    rows,
                    rows_max: rows_max.unwrap_or(u64::MAX),
                    cancel,
                    pipe,
                };
                let (jobs, sender) = (Arc::clone(&jobs), sender.clone());
                control.spawn(async move {
                    let answer = stream.run().await;
                    end(&jobs, &job);
                    // A broker that is gone is noticed by the reading thread.
                    let _ = sender.send(&answer);
                });
            }
            ToWorker::Peer { own, server, role } => {
                let Ok([stream]) = <[OwnedFd; 1]>::try_from(descriptors) else {
                    return Err(ServeError::OutOfTurn);
                };
                peers.add(own, server, role, stream)?;
            }
            ToWorker::Cancel { job } => {
                let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                // A job that has just ended has answered already.
                if let Some(cancel) = jobs.get(&job) {
                    cancel.cancel();
                }
            }
        }
    }
    Ok(())
}

/// Enters a job that is new, where there is room.
fn begin(jobs: &Jobs, job: &JobId) -> Option<Cancel> {
    let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    if jobs.contains_key(job) || jobs.len() >= JOBS_MAX {
        return None;
    }
    let cancel = Cancel::new();
    jobs.insert(job.clone(), cancel.clone());
    Some(cancel)
}

fn end(jobs: &Jobs, job: &JobId) {
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(job);
}

/// One statement being run.
struct Query {
    compute: Handle,
    session: Arc<Session>,
    sender: Sender,
    job: JobId,
    sql: String,
    cancel: Cancel,
}

impl Query {
    async fn run(self, jobs: Jobs) {
        let Self {
            compute,
            session,
            sender,
            job,
            sql,
            cancel,
        } = self;
        let progress = |progress: Progress| {
            // A broker that is gone is noticed by the reading thread.
            let _ = sender.send(&FromWorker::Progress {
                job: job.clone(),
                rows_read: progress.rows_read,
                rows_total: progress.rows_total,
            });
        };
        let answer = match session.run_on(&compute, &sql, &cancel, progress).await {
            Ok(Answer { table, populations }) => FromWorker::Done {
                job: job.clone(),
                table: Box::new(table),
                populations,
            },
            Err(Stopped::Failed(error)) => failed(job.clone(), error),
            Err(Stopped::Cancelled) => FromWorker::Cancelled { job: job.clone() },
        };
        end(&jobs, &job);
        // A large table takes its time: not on a thread that others wait for.
        let told = tokio::task::spawn_blocking(move || match sender.send(&answer) {
            Err(FrameError::OursTooLarge { .. }) => sender.send(&failed(
                job,
                SqlError {
                    code: SqlErrorCode::TooLarge,
                    ..internal()
                },
            )),
            other => other,
        });
        // As above: the reading thread ends the process when the channel is gone.
        let _ = told.await;
    }
}

pub(crate) fn failed(job: JobId, error: SqlError) -> FromWorker {
    FromWorker::Failed { job, error }
}

pub(crate) fn internal() -> SqlError {
    SqlError {
        code: SqlErrorCode::Internal,
        name: String::new(),
        at: None,
        candidates: Vec::new(),
        hint: None,
    }
}
