//! The conversation with the broker.
//!
//! Two threads. This one reads the socket for as long as it lives and hands on what comes: a run to the
//! other, an answer to whoever waits for it ([`desk`]), cancelling at once. The other runs one program at a
//! time.

mod desk;
mod pipe;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_worker_api::{
    FrameError, FromProgram, Receiver, Run, Sender, ToProgram, worker_channel,
};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::{Cancel, Program, Programs, config};
use desk::Desk;

/// Programs that one process loads, each of which stays mapped.
pub const PROGRAMS_MAX: usize = 32;
/// The stack of the thread that runs programs, in bytes: theirs are their own, from the pool.
const RUNNER_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The channel broke.
    #[error("the channel to the broker broke")]
    Channel(#[from] FrameError),
    /// The broker speaks out of turn.
    #[error("the broker's message comes out of turn")]
    OutOfTurn,
    /// Memory for a program can't be reserved, or a thread not started.
    #[error("programs can't be run here: {0}")]
    Start(String),
}

/// A run that is about to start.
struct Job {
    run: Run,
    artefact: OwnedFd,
    cancel: Cancel,
}

/// The run that may be cancelled now.
type Current = Arc<Mutex<Option<Cancel>>>;

/// Speaks with the broker until it closes the channel. `layers` is what holds this process.
pub fn serve(socket: OwnedFd, layers: BTreeMap<String, String>) -> Result<(), ServeError> {
    let (sender, mut receiver) = worker_channel::<FromProgram, ToProgram>(socket);
    // Everything that takes time comes before the broker hears of us: what it pools is ready.
    let programs =
        Programs::new(&config::worker()).map_err(|e| ServeError::Start(e.to_string()))?;
    let desk = Desk::new(sender.clone());
    let current = Current::default();
    // One at a time: a second run out of turn finds no room.
    let (jobs, waiting) = mpsc::channel(1);
    let runner = Runner {
        programs,
        desk: desk.clone(),
        sender: sender.clone(),
        current: Arc::clone(&current),
        loaded: Vec::new(),
    };
    thread::Builder::new()
        .name("runner".to_owned())
        .stack_size(RUNNER_STACK_BYTES)
        .spawn(move || runner.work(waiting))
        .map_err(|e| ServeError::Start(e.to_string()))?;
    sender.send(&FromProgram::Jailed { layers })?;
    listen(&mut receiver, &desk, &current, &jobs)
}

fn listen(
    receiver: &mut Receiver<ToProgram>,
    desk: &Desk,
    current: &Current,
    jobs: &mpsc::Sender<Job>,
) -> Result<(), ServeError> {
    while let Some((message, descriptors)) = receiver.receive()? {
        let mut descriptors = descriptors.into_iter();
        match (message, descriptors.next()) {
            (ToProgram::Run(run), Some(artefact)) => {
                let cancel = Cancel::default();
                {
                    let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
                    if current.is_some() {
                        return Err(ServeError::OutOfTurn);
                    }
                    *current = Some(cancel.clone());
                }
                let job = Job {
                    run: *run,
                    artefact,
                    cancel,
                };
                jobs.try_send(job).map_err(|_| ServeError::OutOfTurn)?;
            }
            (ToProgram::Rows { query, outcome }, pipe) => desk.rows(query, outcome, pipe)?,
            (ToProgram::RowsEnd { query, outcome }, None) => desk.rows_end(query, outcome),
            (
                ToProgram::Submitted {
                    submission,
                    outcome,
                },
                None,
            ) => desk.submitted(submission, outcome),
            (ToProgram::Cancel, None) => {
                let current = current.lock().unwrap_or_else(PoisonError::into_inner);
                // A run that has just ended has answered already.
                if let Some(cancel) = &*current {
                    cancel.cancel();
                }
            }
            _ => return Err(ServeError::OutOfTurn),
        }
    }
    Ok(())
}

/// The thread that runs programs.
struct Runner {
    programs: Programs,
    desk: Desk,
    sender: Sender<FromProgram>,
    current: Current,
    /// By device and inode of the memory file that each came in. The mapping keeps the file alive, so that
    /// its number is not given to another.
    loaded: Vec<((u64, u64), Program)>,
}

impl Runner {
    fn work(mut self, mut waiting: mpsc::Receiver<Job>) {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("the runtime can't be started: {error}");
                std::process::exit(1);
            }
        };
        while let Some(job) = runtime.block_on(waiting.recv()) {
            let outcome = runtime.block_on(self.run(job));
            // From here on the broker may send the next run.
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
            // A broker that is gone is noticed by the reading thread, which ends the process.
            let _ = self.sender.send(&FromProgram::Ended { outcome });
        }
    }

    async fn run(&mut self, job: Job) -> Result<(), RunError> {
        let Job {
            run,
            artefact,
            cancel,
        } = job;
        let at = self.load(artefact)?;
        let Some((_, program)) = self.loaded.get(at) else {
            return Err(internal("artefact"));
        };
        let desk = Arc::new(self.desk.clone());
        let outcome = self.programs.run(program, run, desk, &cancel).await;
        self.desk.clear();
        outcome
    }

    /// Where the artefact's program is among those loaded.
    fn load(&mut self, artefact: OwnedFd) -> Result<usize, RunError> {
        let file = nix::sys::stat::fstat(&artefact).map_err(|_| internal("artefact"))?;
        let key = (file.st_dev, file.st_ino);
        if let Some(at) = self.loaded.iter().position(|(other, _)| *other == key) {
            return Ok(at);
        }
        if self.loaded.len() >= PROGRAMS_MAX {
            return Err(internal("too many programs"));
        }
        let component = kekkai_sys_wasm::load(self.programs.engine(), artefact).map_err(|e| {
            // The broker's log: it says which check failed, nothing of the program.
            eprintln!("{e}");
            internal("artefact")
        })?;
        let program = self.programs.prepare(&component)?;
        self.loaded.push((key, program));
        Ok(self.loaded.len() - 1)
    }
}

fn internal(name: &str) -> RunError {
    RunError {
        code: RunErrorCode::Internal,
        name: name.to_owned(),
        line: 0,
    }
}
