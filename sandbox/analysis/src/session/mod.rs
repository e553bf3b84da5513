//! A running session: its worker, its jobs, its end.

mod bounds;
mod job;
mod log;
mod outputs;
mod program;
mod rows;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kekkai_analysis_api::{Job, JobState, ScreenWish, SqlError, Viewer};
use kekkai_policy_api::{DesktopTerms, EndReason, Event, Record, Recorded, SessionTerms};
use kekkai_service::{CallError, Client};
use kekkai_sys::Exit;
use kekkai_types::{
    DatasetCatalog, DatasetId, Digest, DisplayClass, JobId, Refusal, ServerId, SessionId,
};
use kekkai_worker_api::{AsyncSender, Load, TableConditions};
use tokio::sync::{mpsc, watch};

pub(crate) use bounds::Bounds;
use job::Jobs;
pub use job::{JOBS_MAX, RESULTS_KEPT_MAX, Words};
pub use program::ProgramHost;

use crate::desktop::{Attachment, Desktop, DesktopParts};
use crate::guard::Guard;
use crate::programs::{Notebooks, Scripts};
use crate::turns::Turns;
use crate::worker::{Life, Worker};

/// A cancelled statement must have stopped by then, or its worker is killed.
pub const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// The signal by which seccomp ends a process.
pub(crate) const SIGSYS: i32 = 31;
/// What somebody waits who uses more than usual, at most, whatever the policy service says.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// A worker that doesn't take a frame in this time is killed.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// What a session may read and show, as the broker keeps it: without keys.
#[derive(Debug, Clone)]
pub struct Terms {
    /// From the policy service, wrapped keys and reference values aside.
    pub session: SessionTerms,
    /// The catalogues, cut down to granted tables and columns.
    pub catalogs: Vec<DatasetCatalog>,
    /// Which rows of them.
    pub conditions: Vec<TableConditions>,
    /// What may be read.
    pub datasets: Vec<(DatasetId, u32)>,
    /// The digest of what the engine enforces.
    pub policy: Digest,
}

impl Terms {
    /// Cuts the catalogues down and names what is enforced.
    pub fn new(session: SessionTerms) -> Self {
        let mut catalogs = Vec::new();
        let mut conditions = Vec::new();
        for granted in &session.datasets {
            let mut catalog = granted.catalog.clone();
            catalog
                .tables
                .retain(|table| granted.tables.contains_key(&table.name));
            for table in &mut catalog.tables {
                let grant = granted.tables.get(&table.name);
                if let Some(rows) = grant
                    .map(|grant| &grant.rows)
                    .filter(|rows| !rows.is_empty())
                {
                    conditions.push(TableConditions {
                        dataset: catalog.id.clone(),
                        table: table.name.clone(),
                        rows: rows.clone(),
                    });
                }
                let columns = grant.map(|grant| &grant.columns);
                table
                    .columns
                    .retain(|column| columns.is_some_and(|columns| columns.contains(&column.name)));
            }
            catalogs.push(catalog);
        }
        let datasets = catalogs.iter().map(|c| (c.id.clone(), c.version)).collect();
        let enforced = (
            &catalogs,
            &conditions,
            session.threshold,
            session.dominance_permille,
            &session.agreement,
        );
        // Tuples, lists and structs of text and numbers: writing them as JSON does not fail.
        let policy = Digest::of(&serde_json::to_vec(&enforced).unwrap_or_default());
        Self {
            session,
            catalogs,
            conditions,
            datasets,
            policy,
        }
    }

    /// Whether this terminal may show rows of everything that the session may read.
    pub fn shows_rows(&self) -> bool {
        let tables = self.session.datasets.iter().flat_map(|d| d.tables.values());
        let needed = tables.map(|table| table.rows_need).max();
        self.session.display >= needed.unwrap_or(DisplayClass::Onsite)
    }

    /// The worker's part, without keys and files.
    pub fn load(&self, threads: u32) -> Load {
        Load {
            catalogs: self.catalogs.clone(),
            conditions: self.conditions.clone(),
            files: Vec::new(),
            keys: Vec::new(),
            threshold: self.session.threshold,
            dominance_permille: self.session.dominance_permille,
            policy: self.policy,
            memory_limit_mib: self.session.memory_limit_mib,
            threads,
            spill_bytes_max: None,
        }
    }
}

/// A running session.
#[derive(Debug)]
pub struct Session {
    terms: Terms,
    around: Around,
    life: Life,
    sender: tokio::sync::Mutex<AsyncSender>,
    jobs: Mutex<Jobs>,
    /// Queries of programs that the SQL worker has, by their ids; what comes of them goes to their runs.
    reads: Mutex<BTreeMap<JobId, mpsc::UnboundedSender<(JobId, ReadEvent)>>>,
    /// Servers whose workers this one was told to ask, and has not said yet what came of it.
    asked: Mutex<BTreeSet<ServerId>>,
    /// Processes of programs that run now, by the run's number.
    programs: Mutex<BTreeMap<u64, Life>>,
    kept: Kept,
    /// What this session was shown, where persons' numbers are the session's own.
    own_guard: Arc<Guard>,
    /// `None`: a console.
    desktop: Option<Desktop>,
    bounds: Bounds,
    /// Counts up with each change of a job, for those who wait.
    changed: watch::Sender<u64>,
    ended: watch::Sender<Option<EndReason>>,
    /// When the policy service last said that the session may go on.
    confirmed: Mutex<Instant>,
}

/// What a session needs of its server. Cheap to clone.
#[derive(Clone)]
pub struct Around {
    /// This server.
    pub server: ServerId,
    /// The policy service.
    pub policy: Client,
    /// The review service.
    pub review: Client,
    /// Whose statement runs next on this server.
    pub turns: Turns,
    /// What runs programs; `None`: this server has no images for it.
    pub programs: Option<Arc<ProgramHost>>,
}

impl std::fmt::Debug for Around {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Around")
    }
}

/// What a person keeps in the project. `None`: there is nothing to make a key from, or no place.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) scripts: Option<Scripts>,
    /// For desktops.
    pub(crate) notebooks: Option<Notebooks>,
    /// What the project was shown.
    pub(crate) guard: Option<Arc<Guard>>,
}

/// What comes of a program's query.
#[derive(Debug)]
enum ReadEvent {
    Begin,
    Done { rows: u64, persons: Option<u64> },
    Failed(SqlError),
    Cancelled,
}

impl Session {
    /// Takes a worker over that has its keys, and begins to listen to it.
    pub(crate) fn begin(
        terms: Terms,
        around: Around,
        worker: Worker,
        kept: Kept,
        bounds: Bounds,
        desktop: Option<DesktopParts>,
    ) -> Arc<Self> {
        let Worker {
            sender,
            receiver,
            life,
            functions: _,
        } = worker;
        let (desktop, desk) = desktop.map(Desktop::new).unzip();
        let own_guard = Arc::new(Guard::new(terms.session.threshold));
        let session = Arc::new(Self {
            own_guard,
            terms,
            around,
            life,
            sender: tokio::sync::Mutex::new(sender),
            jobs: Mutex::default(),
            reads: Mutex::default(),
            asked: Mutex::default(),
            programs: Mutex::default(),
            kept,
            desktop,
            bounds,
            changed: watch::Sender::new(0),
            ended: watch::Sender::new(None),
            confirmed: Mutex::new(Instant::now()),
        });
        tokio::spawn(run::listen(session.clone(), receiver));
        tokio::spawn(bounds::watch(session.clone()));
        if let Some(desk) = desk {
            desk.begin(&session);
        }
        session
    }

    /// Its id.
    pub fn id(&self) -> &SessionId {
        &self.terms.session.session
    }

    /// Its terms.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Where it runs.
    pub(crate) fn server(&self) -> &ServerId {
        &self.around.server
    }

    /// Why it ended, if it did.
    pub fn end_reason(&self) -> Option<EndReason> {
        *self.ended.borrow()
    }

    /// Resolves when the session has ended.
    pub async fn wait_end(&self) -> EndReason {
        let mut ended = self.ended.subscribe();
        loop {
            if let Some(reason) = *ended.borrow_and_update() {
                return reason;
            }
            // The sender lives in `self`: this can't fail while we are here.
            if ended.changed().await.is_err() {
                return EndReason::ServerLost;
            }
        }
    }

    /// The policy service said that the session may go on.
    pub fn confirm(&self) {
        *lock(&self.confirmed) = Instant::now();
    }

    /// How long ago that was.
    pub fn unconfirmed_for(&self) -> Duration {
        lock(&self.confirmed).elapsed()
    }

    /// Ends the session: from here on nothing is given out, and its process is killed. The first reason
    /// stays. Returns when the process is gone.
    pub async fn end(self: &Arc<Self>, reason: EndReason) {
        let first = self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(reason);
            }
            first
        });
        let programs: Vec<Life> = lock(&self.programs).values().cloned().collect();
        for program in &programs {
            program.kill().await;
        }
        let exit = self.life.kill().await;
        if let Some(desktop) = &self.desktop {
            desktop.end().await;
        }
        if first {
            let session = self.clone();
            // What came of it is in the log.
            let _ = tokio::task::spawn_blocking(move || session.bounds.finish()).await;
            // The kernel's word on a process that asked for what none of ours asks for.
            if let Some(Exit::Signal(SIGSYS)) = exit {
                self.record_killed("sql-worker", "a forbidden system call")
                    .await;
            }
            tracing::info!(session = %self.id(), ?reason, ?exit, "session ended");
            self.announce();
        }
    }

    /// The refusal of a session that is over.
    fn refusal(&self) -> Option<Refusal> {
        self.end_reason().map(ended_refusal)
    }

    fn announce(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        lock(&self.jobs)
    }

    /// Records what is about to happen. Where the person uses more than usual, what is about to happen waits.
    pub(crate) async fn record(&self, event: Event) -> Result<Recorded, CallError> {
        let recorded = self.around.policy.call(&Record { event }).await?;
        if recorded.wait_ms > 0 {
            let wait = Duration::from_millis(recorded.wait_ms).min(WAIT_MAX);
            tokio::time::sleep(wait).await;
        }
        Ok(recorded)
    }

    /// Says in the ledger that a process of this session misbehaved. Where it can't be said, the log has it.
    pub(crate) async fn record_killed(&self, process: &str, reason: &str) {
        tracing::error!(session = %self.id(), process, reason, "a jailed process was killed");
        let event = Event::ProcessKilled {
            session: Some(self.id().clone()),
            process: process.to_owned(),
            reason: reason.to_owned(),
        };
        if let Err(error) = self.record(event).await {
            tracing::error!(session = %self.id(), %error, "a killed process is not recorded");
        }
    }

    /// The scripts that the person keeps in the project.
    pub fn scripts(&self) -> Result<&Scripts, Refusal> {
        match (self.refusal(), &self.kept.scripts) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(scripts)) => Ok(scripts),
            (None, None) => Err(Refusal::new("scripts-unavailable", "")),
        }
    }

    /// The notebooks that the person keeps in the project.
    pub(crate) fn notebooks(&self) -> Result<&Notebooks, Refusal> {
        match (self.refusal(), &self.kept.notebooks) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(notebooks)) => Ok(notebooks),
            (None, None) => Err(Refusal::new("notebooks-unavailable", "")),
        }
    }

    /// What the desktop shows and takes.
    pub(crate) fn desktop_terms(&self) -> Result<&DesktopTerms, Refusal> {
        let terms = self.terms.session.desktop.as_ref();
        terms.ok_or_else(|| Refusal::new("no-desktop", ""))
    }

    /// A place for somebody who looks at the session's screen, whose area has this size.
    pub fn attach(
        self: &Arc<Self>,
        viewer: Viewer,
        size: (u16, u16, u16),
    ) -> Result<Attachment, Refusal> {
        self.desktop()?.attach(self.clone(), viewer, size)
    }

    /// What the person wants of the gateway: waits for a wish after `seen`.
    pub async fn wait_screen(&self, seen: u64) -> Result<ScreenWish, Refusal> {
        let desktop = self.desktop()?;
        tokio::select! {
            wish = desktop.wait_wish(seen) => Ok(wish),
            reason = self.wait_end() => Err(ended_refusal(reason)),
        }
    }

    fn desktop(&self) -> Result<&Desktop, Refusal> {
        match (self.refusal(), &self.desktop) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(desktop)) => Ok(desktop),
            (None, None) => Err(Refusal::new("no-desktop", "")),
        }
    }

    /// Told with each change of a job.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// A job with its result and what it printed since.
    pub(crate) fn show_job(&self, id: &JobId, log_from: u64) -> Option<Job> {
        self.jobs().show(id, log_from)
    }

    /// Holds another process of this session. False when its group doesn't take it: it must not go on.
    pub(crate) fn hold_process(&self, pid: i32) -> bool {
        self.bounds.add(pid)
    }

    /// A process that is gone.
    pub(crate) fn forget_process(&self, pid: i32) {
        self.bounds.forget(pid);
    }

    /// The jobs, without results.
    pub fn list(&self) -> Result<Vec<Job>, Refusal> {
        match self.refusal() {
            Some(refusal) => Err(refusal),
            None => Ok(self.jobs().list()),
        }
    }

    /// Waits until a job is no longer running or has printed more than `log_from` lines, at most `limit`.
    pub async fn wait_job(
        &self,
        id: &JobId,
        limit: Duration,
        log_from: u64,
    ) -> Result<Job, Refusal> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if let Some(refusal) = self.refusal() {
                return Err(refusal);
            }
            let job = self
                .jobs()
                .show(id, log_from)
                .ok_or_else(|| Refusal::not_found(id.as_str()))?;
            let is_running = matches!(
                job.state,
                JobState::Queued { .. }
                    | JobState::Running { .. }
                    | JobState::RunningProgram { .. }
            );
            if !is_running || !job.log.lines.is_empty() {
                return Ok(job);
            }
            let wait = tokio::time::timeout_at(deadline, changed.changed());
            if !matches!(wait.await, Ok(Ok(()))) {
                return Ok(job);
            }
        }
    }
}

/// Only short, whole changes are made under these locks: what a panicking thread leaves is usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a caller hears of a session that is over: the reason in kebab case.
pub fn ended_refusal(reason: EndReason) -> Refusal {
    Refusal::new("session-ended", wire_name(reason))
}

/// What a value without fields is called on the wire.
pub(crate) fn wire_name(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        // A value with fields: none that is asked for.
        _ => "unknown".to_owned(),
    }
}

/// Recently ended sessions and why, so that a late caller gets a clear answer.
#[derive(Debug, Default)]
pub struct Epitaphs {
    by_session: BTreeMap<SessionId, EndReason>,
    order: std::collections::VecDeque<SessionId>,
}

/// Ended sessions that are remembered.
pub const EPITAPHS_MAX: usize = 256;

impl Epitaphs {
    /// Remembers one, forgets the oldest.
    pub fn add(&mut self, session: SessionId, reason: EndReason) {
        if self.by_session.insert(session.clone(), reason).is_none() {
            self.order.push_back(session);
        }
        while self.order.len() > EPITAPHS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.by_session.remove(&oldest);
            }
        }
    }

    /// Why a session ended.
    pub fn get(&self, session: &SessionId) -> Option<EndReason> {
        self.by_session.get(session).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epitaphs_are_bounded() {
        let mut epitaphs = Epitaphs::default();
        let id = |i: usize| SessionId::new(format!("s{i}")).unwrap();
        for i in 0..1000 {
            epitaphs.add(id(i), EndReason::Idle);
        }
        assert_eq!(epitaphs.get(&id(0)), None);
        assert_eq!(epitaphs.get(&id(999)), Some(EndReason::Idle));
        assert_eq!(epitaphs.by_session.len(), EPITAPHS_MAX);
    }

    #[test]
    fn refusal_of_an_ended_session_names_the_reason() {
        let refusal = ended_refusal(EndReason::AgreementEnded);
        assert_eq!(refusal, Refusal::new("session-ended", "agreement-ended"));
    }
}
