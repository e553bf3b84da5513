//! A broker's part, played against the real jailed processes, and guests to run in them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "shared by tests and benches, which fail by panicking and don't all use all of it"
)]

pub(crate) mod guest;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kekkai_analysis_api::{RunError, RunErrorCode, SqlError, SqlErrorCode};
use kekkai_output::{ProgramBody, Value};
use kekkai_sys::verify::verify_from_outside;
use kekkai_sys::{Child, JailSpec, ProcessKind, Spawner, memfd, scm};
use kekkai_types::OutputId;
use kekkai_worker_api::{
    AsyncReceiver, AsyncSender, FromCompiler, FromProgram, Message, Run, RunLimits, ToCompiler,
    ToProgram, broker_channel,
};
use nix::fcntl::{FcntlArg, fcntl};
use tokio::sync::Mutex;

const WORKER: &str = env!("CARGO_BIN_EXE_kekkai-wasm-worker");
const COMPILER: &str = env!("CARGO_BIN_EXE_kekkai-wasm-compiler");
/// Longer than anything here may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

const PIPE_BYTES: i32 = 1 << 20;

/// The example agreement's, with a shorter time.
pub(crate) const LIMITS: RunLimits = RunLimits {
    time_limit_s: 30,
    memory_limit_mib: 64,
    table_elements_max: 10_000,
    instances_max: 20,
    outputs_max: 3,
    output_kib_max: 64,
    log_kib_max: 64,
    scratch_kib_max: 64,
    clock_ms: 10,
};

pub(crate) fn run(limits: RunLimits) -> Run {
    Run {
        script: None,
        args: vec!["--year".to_owned(), "2024".to_owned()],
        catalogs: Vec::new(),
        limits,
    }
}

/// An artefact in sealed memory, as the broker passes it.
pub(crate) fn sealed(bytes: &[u8]) -> OwnedFd {
    memfd::seal("artefact", &mut &*bytes, 1 << 30, |_| ()).unwrap()
}

/// Compiled here: the jailed compiler has tests of its own.
pub(crate) fn artefact(component: &[u8]) -> OwnedFd {
    sealed(&kekkai_wasm_worker::compile(component).unwrap().bytes)
}

fn spawner() -> &'static Spawner {
    static SPAWNER: OnceLock<Spawner> = OnceLock::new();
    // The spawner dies with the thread that started it.
    SPAWNER.get_or_init(|| {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            send.send(Spawner::start().unwrap()).unwrap();
            loop {
                std::thread::park();
            }
        });
        receive.recv().unwrap()
    })
}

/// Starts a jailed process and takes its socket.
fn spawn(
    kind: ProcessKind,
    program: &str,
    memory_mib: u32,
) -> (Child, OwnedFd, std::io::PipeReader) {
    let mut file = File::open(program).unwrap();
    let image = memfd::seal("image", &mut file, 1 << 31, |_| ()).unwrap();
    let spec = JailSpec {
        kind,
        memory_mib,
        waived: BTreeSet::new(),
    };
    let (ours, theirs) = scm::stream_pair().unwrap();
    let (log, log_end) = std::io::pipe().unwrap();
    let mut args = vec!["kekkai".to_owned()];
    args.extend(spec.to_args());
    let none = BTreeSet::new();
    let child = spawner()
        .spawn(kind, image.as_fd(), &args, theirs, log_end.into(), &none)
        .unwrap();
    (child, ours, log)
}

async fn receive<M: Message>(receiver: &mut AsyncReceiver<M>) -> Option<M> {
    let received = tokio::time::timeout(LIMIT, receiver.receive()).await;
    // A process that dies resets its socket.
    received.expect("an answer in time").unwrap_or(None)
}

fn text(mut log: std::io::PipeReader) -> String {
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    text
}

/// Compiles in the jail: the artefact, or why not. `None`: the process died.
pub(crate) async fn compile(
    component: &[u8],
    is_language: bool,
) -> Option<Result<OwnedFd, RunError>> {
    let (child, socket, log) = spawn(ProcessKind::WasmCompiler, COMPILER, 2048);
    let (mut sender, mut receiver) = broker_channel::<ToCompiler, FromCompiler>(socket).unwrap();
    let Some(FromCompiler::Jailed { .. }) = receive(&mut receiver).await else {
        panic!("not jailed: {}", text(log));
    };
    verify_from_outside(child.pid(), ProcessKind::WasmCompiler, &BTreeSet::new()).unwrap();
    let input = sealed(component);
    let mut output = File::from(memfd::unsealed("artefact").unwrap());
    let bytes = u64::try_from(component.len()).unwrap();
    let message = ToCompiler::Compile { bytes, is_language };
    let passed = [input.as_fd(), output.as_fd()];
    sender.send(&message, &passed).await.unwrap();
    loop {
        match receive(&mut receiver).await {
            Some(FromCompiler::Progress { permille }) => assert!(permille < 1_000),
            Some(FromCompiler::Compiled { bytes }) => {
                assert_eq!(output.metadata().unwrap().len(), bytes);
                output.seek(SeekFrom::Start(0)).unwrap();
                let artefact = memfd::seal("artefact", &mut output, 1 << 30, |_| ()).unwrap();
                assert!(child.wait_ended(LIMIT), "the process ends afterwards");
                return Some(Ok(artefact));
            }
            Some(FromCompiler::Refused { error }) => return Some(Err(error)),
            Some(FromCompiler::Jailed { .. }) => panic!("twice"),
            None => return None,
        }
    }
}

/// What the broker answers to a query.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These bytes, and then that the stream is whole.
    Whole(Vec<u8>),
    /// These bytes, and then that it failed.
    Broken(Vec<u8>),
    /// A refusal.
    Refused(SqlErrorCode),
    /// Nothing, ever.
    Silence,
}

/// How the broker behaves in a run.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) answer: Answer,
    /// Cancel so long after the start.
    pub(crate) cancel_after: Option<Duration>,
    /// Answer submissions.
    pub(crate) accepts: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            answer: Answer::Refused(SqlErrorCode::TableUnknown),
            cancel_after: None,
            accepts: true,
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ended: Result<(), RunError>,
    pub(crate) took: Duration,
    pub(crate) lines: Vec<(bool, String)>,
    pub(crate) dropped: u64,
    pub(crate) submitted: Vec<(String, ProgramBody)>,
    pub(crate) queries: Vec<(String, Vec<Value>, bool)>,
    pub(crate) rows_dropped: Vec<u32>,
    pub(crate) progress: Vec<(u16, String)>,
}

impl Outcome {
    pub(crate) fn code(&self) -> Option<RunErrorCode> {
        self.ended.as_ref().err().map(|error| error.code)
    }

    pub(crate) fn text(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|(_, line)| line.as_str()).collect();
        lines.join("\n")
    }
}

/// A jailed worker.
pub(crate) struct Worker {
    pub(crate) child: Child,
    sender: Arc<Mutex<AsyncSender<ToProgram>>>,
    receiver: AsyncReceiver<FromProgram>,
    log: Option<std::io::PipeReader>,
}

impl Worker {
    pub(crate) async fn start() -> Self {
        Self::start_with(1024).await
    }

    pub(crate) async fn start_with(memory_mib: u32) -> Self {
        let (child, socket, log) = spawn(ProcessKind::WasmWorker, WORKER, memory_mib);
        let (sender, mut receiver) = broker_channel::<ToProgram, FromProgram>(socket).unwrap();
        let Some(FromProgram::Jailed { layers }) = receive(&mut receiver).await else {
            panic!("not jailed: {}", text(log));
        };
        assert!(layers.len() >= 8, "{layers:?}");
        verify_from_outside(child.pid(), ProcessKind::WasmWorker, &BTreeSet::new()).unwrap();
        Self {
            child,
            sender: Arc::new(Mutex::new(sender)),
            receiver,
            log: Some(log),
        }
    }

    /// What the process wrote to its standard error; it must have ended.
    pub(crate) fn log(&mut self) -> String {
        self.log.take().map(text).unwrap_or_default()
    }

    /// Runs a program and plays the broker. `None`: the process died.
    pub(crate) async fn run(
        &mut self,
        artefact: &OwnedFd,
        run: Run,
        script: &Script,
    ) -> Option<Outcome> {
        let start = Instant::now();
        let message = ToProgram::Run(Box::new(run));
        self.send(&message, &[artefact.as_fd()]).await.ok()?;
        let mut outcome = Outcome {
            ended: Ok(()),
            took: Duration::ZERO,
            lines: Vec::new(),
            dropped: 0,
            submitted: Vec::new(),
            queries: Vec::new(),
            rows_dropped: Vec::new(),
            progress: Vec::new(),
        };
        let mut cancel_at = script.cancel_after.map(|after| start + after);
        loop {
            let received = match cancel_at {
                None => receive(&mut self.receiver).await,
                // `receive` may not be dropped halfway: what comes first is waited for after cancelling.
                Some(at) => {
                    let sender = Arc::clone(&self.sender);
                    let cancel = async {
                        tokio::time::sleep_until(at.into()).await;
                        let sent = sender.lock().await.send(&ToProgram::Cancel, &[]).await;
                        sent.unwrap();
                        std::future::pending::<()>().await;
                    };
                    tokio::select! {
                        received = receive(&mut self.receiver) => received,
                        () = cancel => None,
                    }
                }
            };
            if cancel_at.is_some_and(|at| at <= Instant::now()) {
                cancel_at = None;
            }
            match received? {
                FromProgram::Ended { outcome: ended } => {
                    outcome.ended = ended;
                    outcome.took = start.elapsed();
                    return Some(outcome);
                }
                FromProgram::Log { lines, dropped } => {
                    outcome.lines.extend(lines);
                    outcome.dropped = dropped;
                }
                FromProgram::Progress { permille, note } => outcome.progress.push((permille, note)),
                FromProgram::RowsDropped { query } => outcome.rows_dropped.push(query),
                FromProgram::Submit {
                    submission,
                    title,
                    body,
                    ..
                } => {
                    outcome.submitted.push((title, *body));
                    let counted = u32::try_from(outcome.submitted.len()).unwrap();
                    assert_eq!(submission, counted, "each run counts from 1");
                    if script.accepts {
                        let outcome = OutputId::new(format!("o-{submission}"))
                            .map_err(|e| (e.to_string(), String::new()));
                        let answer = ToProgram::Submitted {
                            submission,
                            outcome,
                        };
                        self.send(&answer, &[]).await.unwrap();
                    }
                }
                FromProgram::Query {
                    query,
                    sql,
                    parameters,
                    rows,
                } => {
                    outcome.queries.push((sql, parameters, rows));
                    let counted = u32::try_from(outcome.queries.len()).unwrap();
                    assert_eq!(query, counted, "each run counts from 1");
                    self.answer(query, script.answer.clone()).await;
                }
                FromProgram::Jailed { .. } => panic!("twice"),
            }
        }
    }

    async fn answer(&mut self, query: u32, answer: Answer) {
        let error = |code| SqlError {
            code,
            name: "t".to_owned(),
            at: Some((1, 15)),
            candidates: Vec::new(),
            hint: None,
        };
        let (bytes, end) = match answer {
            Answer::Silence => return,
            Answer::Refused(code) => {
                let outcome = Err(error(code));
                let answer = ToProgram::Rows { query, outcome };
                return self.send(&answer, &[]).await.unwrap();
            }
            Answer::Whole(bytes) => (bytes, Ok(())),
            Answer::Broken(bytes) => (bytes, Err(error(SqlErrorCode::Evaluation))),
        };
        let (reading, mut writing) = std::io::pipe().unwrap();
        // As the broker does.
        fcntl(&writing, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).unwrap();
        let answer = ToProgram::Rows {
            query,
            outcome: Ok(()),
        };
        self.send(&answer, &[reading.as_fd()]).await.unwrap();
        drop(reading);
        let sender = Arc::clone(&self.sender);
        tokio::spawn(async move {
            // A program that lets go of its rows closes the pipe.
            let wrote = tokio::task::spawn_blocking(move || writing.write_all(&bytes));
            let _ = wrote.await.unwrap();
            let answer = ToProgram::RowsEnd {
                query,
                outcome: end,
            };
            // The process may have ended meanwhile.
            let _ = sender.lock().await.send(&answer, &[]).await;
        });
    }

    async fn send(
        &self,
        message: &ToProgram,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), kekkai_worker_api::FrameError> {
        self.sender.lock().await.send(message, descriptors).await
    }
}

pub(crate) fn on_runtime<F: Future<Output = ()>>(f: F) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(f);
}
