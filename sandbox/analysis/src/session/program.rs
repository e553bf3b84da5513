//! A program's run: recorded, started in a jail of its own, heard, and ended.
//!
//! The process is not trusted: a program may have broken out of WebAssembly. It may ask for what the
//! agreement allows its program anyway, no more, and one message out of turn ends it. Each statement is
//! recorded before it is sent to the SQL worker; its rows go from there to the program through a pipe
//! that the broker made and does not read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Seek;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use kekkai_analysis_api::{
    ARG_MAX, ARGS_MAX, Program, Programs, RunError, RunErrorCode, SOURCE_MAX, SQL_MAX, SqlError,
    SqlErrorCode, Work,
};
use kekkai_output::{Content, ProgramBody, ProgramLineage, ProgramOutput, Read, Value};
use kekkai_policy_api::{Event, ProgramTerms};
use kekkai_review_api::Submit;
use kekkai_sys::{Exit, JailSpec, Layer, ProcessKind};
use kekkai_types::{Digest, JobId, Lang, OutputId, Refusal};
use kekkai_worker_api::{
    AsyncReceiver, AsyncSender, FrameError, FromProgram, Run, RunLimits, ToProgram, ToWorker,
};
use nix::fcntl::FcntlArg;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::bounds::PROGRAM_OVERHEAD_MIB;
use super::job::State;
use super::run::internal;
use super::{ReadEvent, SEND_LIMIT, SIGSYS, Session, lock};
use crate::pool::Pool;
use crate::programs::{Artefact, Artefacts, Source, Tools};

/// A stopped program must have said so by then, or its process is killed.
const STOP_GRACE: Duration = Duration::from_millis(800);
/// The process keeps the time limit itself; past it by this much, the broker does.
const LIMIT_GRACE: Duration = Duration::from_secs(2);
/// Frames of one program's process in a second.
const FRAMES_PER_S_MAX: u32 = 5_000;
/// Frames that are read ahead of what they cause.
const FRAMES_AHEAD_MAX: usize = 8;
/// Statements that reviewers are told of.
const READS_MAX: usize = 1_000;
/// Statements of one run.
const QUERIES_MAX: u32 = 10_000;
/// Bytes that a pipe of rows holds.
pub(super) const PIPE_BYTES: i32 = 1 << 20;
/// How long the name of a program with its arguments may be, in characters.
const NAME_MAX: usize = 200;
/// A note's length, in characters.
const NOTE_MAX: usize = 200;

/// What runs programs on this server.
pub struct ProgramHost {
    /// Processes that wait for a program.
    pub pool: Pool<ToProgram, FromProgram>,
    /// Compiled programs.
    pub artefacts: Artefacts,
    /// Python's component, with its digest.
    pub python: Option<(Digest, File)>,
    /// Tools that were fetched.
    pub tools: Tools,
    /// Layers of the jail that the configuration gives up.
    pub waived: BTreeSet<Layer>,
}

impl ProgramHost {
    fn spec(&self, terms: &ProgramTerms) -> JailSpec {
        JailSpec {
            kind: ProcessKind::WasmWorker,
            memory_mib: terms.memory_limit_mib.saturating_add(PROGRAM_OVERHEAD_MIB),
            waived: self.waived.clone(),
        }
    }

    /// Has a process wait for the first program under these terms.
    pub fn warm(&self, terms: &ProgramTerms) {
        self.pool.warm(&self.spec(terms));
    }

    /// Has Python compiled before somebody waits for it.
    pub async fn prepare(&self) {
        if let Some((digest, component)) = &self.python {
            let progress = watch::Sender::new(0);
            let started = Instant::now();
            match self.artefacts.get(digest, component, true, &progress).await {
                Ok((_, source)) => {
                    tracing::info!(
                        ?source,
                        ms = started.elapsed().as_millis(),
                        "Python is ready"
                    );
                }
                Err(error) => {
                    tracing::error!(error = %crate::explain(&error), "Python is not ready");
                }
            }
        }
    }
}

/// A program that was found, before it is started.
struct Found {
    /// As people call it: `python study.py`.
    name: String,
    /// Of the script's text or the tool's component.
    digest: Digest,
    script: Option<(String, String)>,
    component: Arc<Component>,
}

struct Component {
    digest: Digest,
    file: File,
    is_language: bool,
}

/// Why a run ends.
enum End {
    /// It said so.
    Said(Result<(), RunError>),
    /// The person or the time limit stopped it.
    Stopped { by_limit: bool },
    /// It did what no process of ours does.
    Misbehaved(&'static str),
    /// Its process is gone.
    Lost,
    /// The ledger refuses: nothing may happen any more.
    NotRecorded,
}

impl Session {
    fn program_terms(&self) -> Result<(&ProgramTerms, &Arc<super::ProgramHost>), Refusal> {
        let terms = self.terms.session.programs.as_ref();
        let terms = terms.ok_or_else(|| Refusal::new("programs-not-agreed", ""))?;
        let host = self.around.programs.as_ref();
        let host = host.ok_or_else(|| Refusal::new("programs-unavailable", ""))?;
        Ok((terms, host))
    }

    /// What programs the session may run.
    pub async fn programs(&self) -> Result<Programs, Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let (terms, host) = self.program_terms()?;
        let agreement = &self.terms.session.agreement;
        let mut tools = host.tools.list(&self.around.review, agreement).await?;
        tools.retain(|tool| terms.tools.contains(&tool.name));
        let scripts = match &self.kept.scripts {
            Some(scripts) => scripts.list()?,
            None => Vec::new(),
        };
        Ok(Programs {
            python: terms.python && host.python.is_some(),
            rows: terms.rows,
            scripts,
            tools,
        })
    }

    async fn find(&self, program: Program, args: &[String]) -> Result<Found, Refusal> {
        let (terms, host) = self.program_terms()?;
        let with_args = |name: String| match args {
            [] => name,
            _ => format!("{name} {}", args.join(" ")),
        };
        let (name, source) = match program {
            Program::Tool { name } => {
                if !terms.tools.contains(&name) {
                    return Err(Refusal::new("tool-not-agreed", name));
                }
                let agreement = &self.terms.session.agreement;
                let (digest, file) = host
                    .tools
                    .get(&self.around.review, agreement, &name)
                    .await?;
                let file = file
                    .try_clone()
                    .map_err(|e| Refusal::new("internal", e.to_string()))?;
                return Ok(Found {
                    name: crate::plain(&with_args(format!("tool {name}")), NAME_MAX),
                    digest,
                    script: None,
                    component: Arc::new(Component {
                        digest,
                        file,
                        is_language: false,
                    }),
                });
            }
            Program::Script { name } => {
                let source = self.scripts()?.get(&name)?;
                (name, source)
            }
            Program::Python { name, source } => (name, source),
        };
        let python = host.python.as_ref().filter(|_| terms.python);
        let (digest, file) = python.ok_or_else(|| Refusal::new("python-not-agreed", ""))?;
        if source.len() > SOURCE_MAX {
            return Err(Refusal::new("script-too-long", SOURCE_MAX.to_string()));
        }
        let name = crate::plain(&name, kekkai_analysis_api::SCRIPT_NAME_MAX);
        let file = file
            .try_clone()
            .map_err(|e| Refusal::new("internal", e.to_string()))?;
        Ok(Found {
            name: crate::plain(&with_args(format!("python {name}")), NAME_MAX),
            digest: Digest::of(source.as_bytes()),
            script: Some((name, source)),
            component: Arc::new(Component {
                digest: *digest,
                file,
                is_language: true,
            }),
        })
    }

    /// Records a program's start, then starts it.
    pub async fn run(
        self: &Arc<Self>,
        program: Program,
        args: Vec<String>,
    ) -> Result<JobId, Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        if args.len() > ARGS_MAX || args.iter().any(|arg| arg.len() > ARG_MAX) {
            return Err(Refusal::new("arguments", ARGS_MAX.to_string()));
        }
        let found = self.find(program, &args).await?;
        let (terms, host) = self.program_terms()?;
        let log_max = u64::from(terms.log_kib_max) * 1024;
        let (number, id) = self.jobs().add(Work::Run(found.name.clone()), log_max)?;
        let recorded = self
            .record(Event::RunStarted {
                session: self.id().clone(),
                job: id.clone(),
                program: found.name.clone(),
                digest: found.digest,
            })
            .await;
        if let Err(error) = recorded {
            self.jobs().remove(number);
            return Err(error.into_refusal());
        }
        let stop = {
            let mut jobs = self.jobs();
            if let Some(job) = jobs.get(number) {
                job.state = State::Running;
            }
            let program = jobs.program(number);
            program.map(|program| program.stop.subscribe())
        };
        let stop = stop.ok_or_else(|| Refusal::new("internal", "job"))?;
        let (events, heard) = mpsc::unbounded_channel();
        let driver = Driver {
            session: self.clone(),
            host: host.clone(),
            terms: terms.clone(),
            number,
            id: id.clone(),
            found,
            args,
            events,
            reads: Vec::new(),
            queries: 0,
            submissions: 0,
            has_rows: false,
            open: BTreeMap::new(),
        };
        tokio::spawn(driver.drive(heard, stop));
        Ok(id)
    }
}

/// A query whose rows come or will come.
struct Open {
    query: u32,
    /// Until the program has it.
    reading_end: Option<OwnedFd>,
    /// Where it stands in what reviewers are told.
    read: Option<usize>,
    /// The program let go of it.
    is_dropped: bool,
}

/// One run.
struct Driver {
    session: Arc<Session>,
    host: Arc<ProgramHost>,
    terms: ProgramTerms,
    number: u64,
    id: JobId,
    found: Found,
    args: Vec<String>,
    /// Where the SQL worker's answers go.
    events: mpsc::UnboundedSender<(JobId, ReadEvent)>,
    reads: Vec<Read>,
    queries: u32,
    submissions: u32,
    /// It has been given rows: from then on, nothing that it prints is shown where rows are not.
    has_rows: bool,
    open: BTreeMap<JobId, Open>,
}

type To = AsyncSender<ToProgram>;
/// What a process says, until it says no more.
type From = mpsc::Receiver<Result<Option<FromProgram>, FrameError>>;
type Heard = mpsc::UnboundedReceiver<(JobId, ReadEvent)>;

impl Driver {
    async fn drive(mut self, heard: Heard, mut stop: watch::Receiver<Option<bool>>) {
        let end = self.live(heard, &mut stop).await;
        // Queries that still run have nobody to read them.
        for id in self.open.keys() {
            self.session
                .send(&ToWorker::Cancel { job: id.clone() })
                .await;
        }
        self.settle(end).await;
    }

    /// From the artefact to the process's end, which is over when this returns.
    async fn live(&mut self, heard: Heard, stop: &mut watch::Receiver<Option<bool>>) -> End {
        let artefact = tokio::select! {
            artefact = self.artefact() => artefact,
            by_limit = stopped(stop) => return End::Stopped { by_limit },
            _ = self.session.wait_end() => return End::Lost,
        };
        let artefact = match artefact {
            Ok(artefact) => artefact,
            Err(error) => return End::Said(Err(error)),
        };
        let jailed = match self.host.pool.take(&self.host.spec(&self.terms)).await {
            Ok(jailed) => jailed,
            Err(error) => {
                tracing::error!(error = %crate::explain(&error), "no process for a program");
                return End::Lost;
            }
        };
        let (mut to, from, life) = jailed.into_parts();
        let mut from = listen(from);
        lock(&self.session.programs).insert(self.number, life.clone());
        let is_held = self.session.bounds.add(life.pid());
        let end = match self.session.end_reason() {
            // It ended before the process was in its list.
            Some(_) => End::Lost,
            None if !is_held => End::Lost,
            None => {
                self.converse(&artefact, &mut to, &mut from, heard, stop)
                    .await
            }
        };
        let exit = match &end {
            End::Lost => life.let_end().await,
            _ => life.kill().await,
        };
        lock(&self.session.programs).remove(&self.number);
        self.session.bounds.forget(life.pid());
        self.look_at(&end, exit).await;
        end
    }

    /// What the ledger should know of how the process ended.
    async fn look_at(&self, end: &End, exit: Option<Exit>) {
        match (end, exit) {
            (_, Some(Exit::Signal(SIGSYS))) => {
                let reason = "a forbidden system call";
                self.session.record_killed("wasm-worker", reason).await;
            }
            (End::Misbehaved(what), _) => self.session.record_killed("wasm-worker", what).await,
            (End::Lost, Some(exit)) if self.session.end_reason().is_none() => {
                let reason = format!("it ended by itself: {exit:?}");
                self.session.record_killed("wasm-worker", &reason).await;
            }
            _ => {}
        }
    }

    async fn artefact(&self) -> Result<Arc<Artefact>, RunError> {
        let progress = watch::Sender::new(0);
        let mut seen = progress.subscribe();
        let component = &self.found.component;
        let get = self.host.artefacts.get(
            &component.digest,
            &component.file,
            component.is_language,
            &progress,
        );
        tokio::pin!(get);
        let (artefact, source) = loop {
            tokio::select! {
                got = &mut get => break got.map_err(crate::programs::CompileError::into_run_error)?,
                Ok(()) = seen.changed() => {
                    let permille = *seen.borrow_and_update();
                    // Half of the bar: the other half is the program's own.
                    self.show_progress(permille / 2, "compiling");
                }
            }
        };
        self.show_progress(0, "");
        if source == Source::Compiled(true) {
            let event = Event::ArtefactRefused {
                server: self.session.around.server.clone(),
                digest: component.digest,
                reason: "its authentication code is wrong".to_owned(),
            };
            if let Err(error) = self.session.record(event).await {
                tracing::error!(%error, "a refused artefact is not recorded");
            }
        }
        Ok(artefact)
    }

    fn show_progress(&self, permille: u16, note: &str) {
        let mut jobs = self.session.jobs();
        let program = jobs.program(self.number);
        if let Some(program) = program.filter(|_| self.may_show()) {
            program.permille = permille.min(1000);
            program.note = crate::plain(note, NOTE_MAX);
        }
    }

    /// Whether what the program says may be seen at this terminal.
    fn may_show(&self) -> bool {
        !self.has_rows || self.session.terms.shows_rows()
    }

    async fn converse(
        &mut self,
        artefact: &Artefact,
        to: &mut To,
        from: &mut From,
        mut heard: Heard,
        stop: &mut watch::Receiver<Option<bool>>,
    ) -> End {
        let Ok(code) = reopened(&artefact.file) else {
            return End::Lost;
        };
        let run = ToProgram::Run(Box::new(Run {
            script: self.found.script.clone(),
            args: self.args.clone(),
            catalogs: self.session.terms.catalogs.clone(),
            limits: limits(&self.terms),
        }));
        if let Err(end) = tell(to, &run, &[code.as_fd()]).await {
            return end;
        }
        drop(run);
        let limit = Duration::from_secs(self.terms.time_limit_s.into()) + LIMIT_GRACE;
        let deadline = Instant::now() + limit;
        let mut flood = Flood::default();
        loop {
            let step = tokio::select! {
                message = from.recv() => match message {
                    Some(Ok(Some(message))) if flood.admits_another() => {
                        self.hear(message, to).await
                    }
                    Some(Ok(Some(_))) => {
                        Err(End::Misbehaved("more messages than a program can cause"))
                    }
                    Some(Ok(None)) | None => Err(End::Lost),
                    Some(Err(_)) => Err(End::Misbehaved("a message that is none")),
                },
                Some((id, event)) = heard.recv() => self.read_event(&id, event, to).await,
                by_limit = stopped(stop) => return self.stop(by_limit, to, from).await,
                () = tokio::time::sleep_until(deadline) => {
                    return End::Said(Err(self.time_limit()));
                }
                _ = self.session.wait_end() => return End::Lost,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn time_limit(&self) -> RunError {
        RunError {
            code: RunErrorCode::TimeLimit,
            name: self.limit(RunErrorCode::TimeLimit),
            line: 0,
        }
    }

    /// Asks the process to stop; what it still says is not heard.
    async fn stop(&self, by_limit: bool, to: &mut To, from: &mut From) -> End {
        let asked = async {
            to.send(&ToProgram::Cancel, &[]).await?;
            while let Some(Ok(Some(message))) = from.recv().await {
                if matches!(message, FromProgram::Ended { .. }) {
                    break;
                }
            }
            Ok::<(), FrameError>(())
        };
        // Late or broken, it is killed in any case.
        let _ = tokio::time::timeout(STOP_GRACE, asked).await;
        End::Stopped { by_limit }
    }

    async fn hear(&mut self, message: FromProgram, to: &mut To) -> Result<(), End> {
        match message {
            FromProgram::Jailed { .. } => Err(End::Misbehaved("a second greeting")),
            FromProgram::Query {
                query,
                sql,
                parameters,
                rows,
            } => self.query(query, sql, parameters, rows, to).await,
            FromProgram::RowsDropped { query } => self.drop_rows(query).await,
            FromProgram::Submit {
                submission,
                title,
                purpose,
                body,
            } => {
                if submission != self.submissions.wrapping_add(1) {
                    return Err(End::Misbehaved("a submission out of turn"));
                }
                self.submissions = submission;
                let outcome = self.submit(title, purpose, *body).await?;
                let answer = ToProgram::Submitted {
                    submission,
                    outcome,
                };
                tell(to, &answer, &[]).await
            }
            FromProgram::Log { lines, dropped } => {
                let shown = self.may_show();
                let mut jobs = self.session.jobs();
                if let Some(program) = jobs.program(self.number) {
                    program.log.drop_to(dropped);
                    for (is_error, text) in &lines {
                        match shown {
                            true => program.log.push(*is_error, text),
                            false => program.log.withhold(1),
                        }
                    }
                }
                drop(jobs);
                self.session.announce();
                Ok(())
            }
            FromProgram::Progress { permille, note } => {
                self.show_progress(permille, &note);
                Ok(())
            }
            FromProgram::Ended { outcome } => Err(End::Said(outcome.map_err(|e| self.told(e)))),
        }
    }

    /// A program's own words on why it failed. After rows it could tell what it read by them, by the line
    /// on which it fails too: what is left is a name from Python's own list.
    fn told(&self, error: RunError) -> RunError {
        if self.may_show() {
            let name = crate::plain(&error.name, NOTE_MAX);
            return RunError { name, ..error };
        }
        let is_known = PYTHON_ERRORS.contains(&error.name.as_str());
        let name = match error.code {
            RunErrorCode::Failed if !is_known => String::new(),
            RunErrorCode::Failed => error.name,
            _ => self.limit(error.code),
        };
        RunError {
            code: error.code,
            name,
            line: 0,
        }
    }

    /// A limit's size, as the agreement has it.
    fn limit(&self, code: RunErrorCode) -> String {
        let terms = &self.terms;
        match code {
            RunErrorCode::TimeLimit => format!("{} s", terms.time_limit_s),
            RunErrorCode::MemoryLimit => format!("{} MiB", terms.memory_limit_mib),
            RunErrorCode::TableLimit => terms.table_elements_max.to_string(),
            RunErrorCode::InstanceLimit => terms.instances_max.to_string(),
            RunErrorCode::OutputsLimit => terms.outputs_max.to_string(),
            RunErrorCode::OutputSizeLimit => format!("{} KiB", terms.output_kib_max),
            RunErrorCode::ScratchLimit => format!("{} KiB", terms.scratch_kib_max),
            _ => String::new(),
        }
    }

    async fn query(
        &mut self,
        query: u32,
        sql: String,
        parameters: Vec<Value>,
        rows: bool,
        to: &mut To,
    ) -> Result<(), End> {
        let is_open = self.open.values().any(|open| !open.is_dropped);
        if query != self.queries.wrapping_add(1) || is_open {
            return Err(End::Misbehaved("a query out of turn"));
        }
        self.queries = query;
        let refused = if rows && !self.terms.rows {
            Some(SqlErrorCode::RowsNotAllowed)
        } else if sql.len() > SQL_MAX || query > QUERIES_MAX {
            Some(SqlErrorCode::TooLong)
        } else {
            None
        };
        if let Some(code) = refused {
            let outcome = Err(SqlError { code, ..internal() });
            let answer = ToProgram::Rows { query, outcome };
            return tell(to, &answer, &[]).await;
        }
        let parameters_digest = match parameters.is_empty() {
            true => None,
            // Values that come from the data have no place in the ledger.
            false => Some(Digest::of(
                &serde_json::to_vec(&parameters).unwrap_or_default(),
            )),
        };
        let recorded = self
            .session
            .record(Event::RunQueried {
                session: self.session.id().clone(),
                job: self.id.clone(),
                query,
                // A program that has rows can write them into its next statement: the ledger has the
                // digest of that, and reviewers see the text.
                sql: (!self.has_rows).then(|| sql.clone()),
                sql_digest: Digest::of(sql.as_bytes()),
                parameters: parameters_digest,
                rows,
            })
            .await;
        recorded.map_err(|_| End::NotRecorded)?;
        let id = JobId::new(format!("{}.{query}", self.id)).map_err(|_| End::Lost)?;
        let (reading_end, writing_end) = std::io::pipe().map_err(|_| End::Lost)?;
        // Where the system's bound is lower, rows come in smaller pieces.
        let _ = nix::fcntl::fcntl(&writing_end, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        let read = match rows && self.reads.len() < READS_MAX {
            true => {
                self.reads.push(Read {
                    sql: sql.clone(),
                    rows: None,
                    persons: None,
                });
                Some(self.reads.len() - 1)
            }
            false => None,
        };
        self.open.insert(
            id.clone(),
            Open {
                query,
                reading_end: Some(reading_end.into()),
                read,
                is_dropped: false,
            },
        );
        // From here on it may hold rows, whatever else happens.
        self.has_rows |= rows;
        lock(&self.session.reads).insert(id.clone(), self.events.clone());
        let message = ToWorker::Rows {
            job: id,
            sql,
            parameters,
            rows,
            rows_max: None,
        };
        let descriptors = [writing_end.as_fd()];
        match self.session.send_with(&message, &descriptors).await {
            true => Ok(()),
            false => Err(End::Lost),
        }
    }

    async fn drop_rows(&mut self, query: u32) -> Result<(), End> {
        // Its end may be under way already: then there is nothing to stop.
        if let Some((id, open)) = self.open.iter_mut().find(|(_, open)| open.query == query) {
            open.is_dropped = true;
            self.session
                .send(&ToWorker::Cancel { job: id.clone() })
                .await;
        }
        Ok(())
    }

    async fn read_event(&mut self, id: &JobId, event: ReadEvent, to: &mut To) -> Result<(), End> {
        let Some(open) = self.open.get_mut(id) else {
            return Ok(());
        };
        let query = open.query;
        let (answer, reading_end) = match event {
            ReadEvent::Begin => {
                let reading_end = open.reading_end.take();
                let outcome = Ok(());
                (ToProgram::Rows { query, outcome }, reading_end)
            }
            ReadEvent::Done { rows, persons } => {
                if let Some(read) = open.read.and_then(|at| self.reads.get_mut(at)) {
                    (read.rows, read.persons) = (Some(rows), persons);
                }
                let outcome = Ok(());
                (ToProgram::RowsEnd { query, outcome }, None)
            }
            ReadEvent::Failed(_) | ReadEvent::Cancelled => {
                let error = match event {
                    ReadEvent::Failed(error) => error,
                    _ => internal(),
                };
                let outcome = Err(error);
                match open.reading_end.take() {
                    Some(_) => (ToProgram::Rows { query, outcome }, None),
                    None => (ToProgram::RowsEnd { query, outcome }, None),
                }
            }
        };
        let is_over = !matches!(
            answer,
            ToProgram::Rows {
                outcome: Ok(()),
                ..
            }
        );
        let is_dropped = open.is_dropped;
        if is_over {
            self.open.remove(id);
        }
        if is_dropped {
            return Ok(());
        }
        let descriptors: Vec<_> = reading_end.iter().map(AsFd::as_fd).collect();
        tell(to, &answer, &descriptors).await
    }

    /// Hands an output to the review service. What is refused is the program's to hear of.
    async fn submit(
        &mut self,
        title: String,
        purpose: String,
        body: ProgramBody,
    ) -> Result<Result<OutputId, (String, String)>, End> {
        let refuse = |code: &str, name: String| Ok(Err((code.to_owned(), name)));
        if let Err(refusal) = super::outputs::check_words(&title, &purpose) {
            return refuse(&refusal.code, refusal.detail);
        }
        if self.submissions > self.terms.outputs_max {
            return refuse("limit-outputs", self.terms.outputs_max.to_string());
        }
        let bytes = serde_json::to_vec(&body).map_or(usize::MAX, |bytes| bytes.len());
        let max = usize::try_from(self.terms.output_kib_max).unwrap_or(usize::MAX);
        if bytes > max.saturating_mul(1024) {
            return refuse("limit-output-size", format!("{max} KiB"));
        }
        let session = &self.session;
        let terms = &session.terms.session;
        let script = self.found.script.as_ref();
        let output = ProgramOutput {
            body,
            lineage: ProgramLineage {
                program: self.found.name.clone(),
                digest: self.found.digest,
                source: script.map(|(_, source)| source.clone()).unwrap_or_default(),
                args: self.args.clone(),
                reads: self.reads.clone(),
                datasets: session.terms.datasets.clone(),
                threshold: terms.threshold,
                policy: session.terms.policy,
            },
        };
        let Ok(id) = OutputId::random() else {
            return refuse("internal", String::new());
        };
        let request = Submit {
            output: id.clone(),
            session: terms.session.clone(),
            job: self.id.clone(),
            author: terms.person.clone(),
            agreement: terms.agreement.clone(),
            sdc_profile: terms.sdc_profile.clone(),
            title,
            purpose,
            method: String::new(),
            replaces: None,
            lang: Lang::default(),
            content: Content::Program(output),
            seen: None,
        };
        match super::outputs::hand_over(&session.around.review, &request).await {
            Ok(()) => {
                let mut jobs = session.jobs();
                if let Some(program) = jobs.program(self.number) {
                    program.outputs.push(id.clone());
                }
                Ok(Ok(id))
            }
            Err(refusal) => refuse(&refusal.code, refusal.detail),
        }
    }

    /// Records how the run ended, and only then shows it.
    async fn settle(self, end: End) {
        let session = &self.session;
        {
            let mut jobs = session.jobs();
            match jobs.get(self.number) {
                Some(job) if matches!(job.state, State::Running) => job.state = State::Settling,
                _ => return,
            }
        }
        let lost = |name: &str| RunError {
            code: RunErrorCode::Internal,
            name: name.to_owned(),
            line: 0,
        };
        let state = match end {
            End::Said(Ok(())) => State::Ran,
            End::Said(Err(error)) => State::RunFailed(error),
            End::Stopped { by_limit } => State::Cancelled { by_limit },
            End::Misbehaved(_) => State::RunFailed(lost("stopped")),
            End::Lost => State::RunFailed(lost("lost")),
            End::NotRecorded => State::RunFailed(lost("ledger")),
        };
        let outcome = match &state {
            State::Ran => "done".to_owned(),
            State::RunFailed(error) => format!("failed: {}", error.code),
            _ => "cancelled".to_owned(),
        };
        let (log_bytes, lines_withheld, outputs) = {
            let mut jobs = session.jobs();
            let program = jobs.program(self.number);
            program.map_or((0, 0, 0), |program| {
                let outputs = u32::try_from(program.outputs.len()).unwrap_or(u32::MAX);
                (program.log.bytes(), program.log.withheld(), outputs)
            })
        };
        let recorded = session
            .record(Event::RunEnded {
                session: session.id().clone(),
                job: self.id.clone(),
                outcome,
                queries: self.queries,
                outputs,
                log_bytes,
                lines_withheld,
            })
            .await;
        let state = match recorded {
            Ok(_) => state,
            Err(error) => {
                tracing::error!(session = %session.id(), %error, "a run's end is not recorded");
                State::RunFailed(lost("ledger"))
            }
        };
        {
            let mut jobs = session.jobs();
            if let Some(job) = jobs.get(self.number) {
                job.ended = Some(job.started.elapsed());
                job.state = state;
            }
        }
        session.announce();
    }
}

/// Receives in a task of its own: a frame that is given up half-way is lost, and whoever waits for several
/// things gives up often. The process waits when nobody listens.
fn listen(mut receiver: AsyncReceiver<FromProgram>) -> From {
    let (told, from) = mpsc::channel(FRAMES_AHEAD_MAX);
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                message = receiver.receive() => message,
                // The run is over.
                () = told.closed() => return,
            };
            let is_last = !matches!(message, Ok(Some(_)));
            if told.send(message).await.is_err() || is_last {
                return;
            }
        }
    });
    from
}

/// Sends within [`SEND_LIMIT`]: a process that doesn't take what it is told is not ours any more.
async fn tell(to: &mut To, message: &ToProgram, fds: &[BorrowedFd<'_>]) -> Result<(), End> {
    match tokio::time::timeout(SEND_LIMIT, to.send(message, fds)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Lost),
        Err(_) => Err(End::Misbehaved("it takes no messages")),
    }
}

/// Resolves when the person or a limit stops the run.
async fn stopped(stop: &mut watch::Receiver<Option<bool>>) -> bool {
    let by_limit = stop
        .wait_for(Option::is_some)
        .await
        .map(|by_limit| *by_limit);
    match by_limit {
        Ok(by_limit) => by_limit.unwrap_or(false),
        // The job's entry is gone: so is the session.
        Err(_) => std::future::pending().await,
    }
}

fn limits(terms: &ProgramTerms) -> RunLimits {
    RunLimits {
        time_limit_s: terms.time_limit_s,
        memory_limit_mib: terms.memory_limit_mib,
        table_elements_max: terms.table_elements_max,
        instances_max: terms.instances_max,
        outputs_max: terms.outputs_max,
        output_kib_max: terms.output_kib_max,
        log_kib_max: terms.log_kib_max,
        scratch_kib_max: terms.scratch_kib_max,
        clock_ms: terms.clock_ms,
    }
}

fn reopened(file: &File) -> std::io::Result<File> {
    let mut copy = file.try_clone()?;
    copy.rewind()?;
    Ok(copy)
}

/// Counts frames in each second.
#[derive(Default)]
struct Flood {
    since: Option<Instant>,
    frames: u32,
}

impl Flood {
    fn admits_another(&mut self) -> bool {
        let now = Instant::now();
        let is_new = self
            .since
            .is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1));
        if is_new {
            (self.since, self.frames) = (Some(now), 0);
        }
        self.frames += 1;
        self.frames <= FRAMES_PER_S_MAX
    }
}

/// Python's own exceptions: what a program that has read rows can tell by choosing among them is little,
/// and each run that tells it is in the ledger.
const PYTHON_ERRORS: [&str; 26] = [
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "EOFError",
    "Exception",
    "ImportError",
    "IndentationError",
    "IndexError",
    "KeyError",
    "KeyboardInterrupt",
    "LookupError",
    "MemoryError",
    "ModuleNotFoundError",
    "NameError",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "RecursionError",
    "RuntimeError",
    "StopIteration",
    "SyntaxError",
    "SystemExit",
    "TypeError",
    "UnicodeDecodeError",
    "ValueError",
    "ZeroDivisionError",
];
