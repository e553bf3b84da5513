//! The sessions of this server: launching, finding, ending.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kekkai_analysis_api::Launched;
use kekkai_policy_api::{CloseSession, EndReason, Event, Record, SessionTerms};
use kekkai_service::{CallError, Client};
use kekkai_sys::{JailSpec, Layer, ProcessKind, cgroup};
use kekkai_types::{Refusal, ServerId, SessionId};
use kekkai_worker_api::{FileKey, FromDesktop, FromWorker, ToDesktop, ToWorker};

use crate::attester::Attester;
use crate::desktop::{DesktopHost, DesktopParts, Recording};
use crate::files::{self, OpenFiles};
use crate::guard::Guards;
use crate::parts::{PartPlace, SessionPart};
use crate::pool::Pool;
use crate::programs::{KeptKey, Kind, Notebooks, Scripts};
use crate::session::{Around, Bounds, Epitaphs, Kept, ProgramHost, Session, Terms, ended_refusal};
use crate::spill::SpillPlace;
use crate::turns::Turns;
use crate::worker::{Jailed, JailedWorker, WorkerError};

/// A worker's memory beyond what its queries may have: code, stacks, allocator, results; in MiB.
pub(crate) const WORKER_OVERHEAD_MIB: u32 = 512;

/// What a broker is made from.
pub struct Parts {
    /// This server.
    pub server: ServerId,
    /// Where datasets lie.
    pub data_dir: PathBuf,
    /// Sessions at once.
    pub sessions_max: usize,
    /// Threads of a session's queries.
    pub threads_per_session: u32,
    /// Whose statement runs next.
    pub turns: Turns,
    /// Layers of the jail that the configuration gives up.
    pub waived: std::collections::BTreeSet<Layer>,
    /// Processes that wait for a session.
    pub sql_pool: Pool<ToWorker, FromWorker>,
    /// What runs programs; `None`: nothing does here.
    pub programs: Option<Arc<ProgramHost>>,
    /// What draws desktops; `None`: there are none here.
    pub desktops: Option<Arc<DesktopHost>>,
    /// Where sessions' control groups are made; `None`: the watchdog is all there is.
    pub groups: Option<cgroup::Host>,
    /// Where sessions spill; `None`: what needs more than their memory fails.
    pub spill: Option<SpillPlace>,
    /// Where people's scripts and notebooks lie.
    pub scripts_dir: Option<PathBuf>,
    /// Where it is kept what projects were shown; `None`: as long as this process lives.
    pub shown_dir: Option<PathBuf>,
    /// The policy service.
    pub policy: Client,
    /// The review service.
    pub review: Client,
    /// Further analysis servers, which run parts of this one's sessions.
    pub peers: BTreeMap<ServerId, Client>,
}

/// The sessions of this server.
pub struct Broker {
    guards: Guards,
    parts: Parts,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    /// `None` while it is being launched.
    running: BTreeMap<SessionId, Option<Arc<Session>>>,
    epitaphs: Epitaphs,
    /// Parts of other servers' sessions; `None` while one is being launched.
    parts: BTreeMap<SessionId, Option<SessionPart>>,
    draining: bool,
}

/// A process that draws, and what it needs.
struct Drawing {
    host: Arc<DesktopHost>,
    jailed: Jailed<ToDesktop, FromDesktop>,
}

/// A place in the table of sessions; given back unless the launch succeeds.
struct Reserved<'a> {
    broker: &'a Broker,
    session: SessionId,
    kept: bool,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.broker.slots().running.remove(&self.session);
        }
    }
}

impl Broker {
    /// No sessions yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            guards: Guards::new(parts.shown_dir.clone()),
            parts,
            slots: Mutex::default(),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        // Only whole changes are made under this lock.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sessions that run now.
    pub fn running(&self) -> Vec<Arc<Session>> {
        self.slots().running.values().flatten().cloned().collect()
    }

    /// What runs now and has a lease: sessions, and parts of others'.
    pub(crate) fn leased(&self) -> Vec<Arc<Session>> {
        let slots = self.slots();
        let parts = slots.parts.values().flatten().map(|part| &part.session);
        let sessions = slots.running.values().flatten();
        sessions.chain(parts).cloned().collect()
    }

    /// This server.
    pub(crate) fn server(&self) -> &ServerId {
        &self.parts.server
    }

    /// The policy service.
    pub(crate) fn policy(&self) -> &Client {
        &self.parts.policy
    }

    /// Further servers.
    pub(crate) fn peers(&self) -> &BTreeMap<ServerId, Client> {
        &self.parts.peers
    }

    /// A part that runs here.
    pub(crate) fn part(&self, session: &SessionId) -> Option<SessionPart> {
        self.slots().parts.get(session).cloned().flatten()
    }

    /// A place for a part: bounded as sessions are, and with them.
    pub(crate) fn reserve_part(
        self: &Arc<Self>,
        session: &SessionId,
    ) -> Result<PartPlace, Refusal> {
        let mut slots = self.slots();
        if slots.draining {
            return Err(Refusal::new("service-unavailable", "draining"));
        }
        if slots.running.contains_key(session) || slots.parts.contains_key(session) {
            return Err(Refusal::new("already-launched", session.as_str()));
        }
        if slots.running.len() + slots.parts.len() >= self.parts.sessions_max {
            let max = self.parts.sessions_max.to_string();
            return Err(Refusal::new("too-many-sessions", max));
        }
        slots.parts.insert(session.clone(), None);
        Ok(PartPlace {
            broker: Arc::clone(self),
            session: session.clone(),
            kept: false,
        })
    }

    /// False when the server drains.
    pub(crate) fn fill_part(&self, session: &SessionId, part: SessionPart) -> bool {
        let mut slots = self.slots();
        if !slots.draining {
            slots.parts.insert(session.clone(), Some(part));
        }
        !slots.draining
    }

    pub(crate) fn remove_part(&self, session: &SessionId) {
        self.slots().parts.remove(session);
    }

    /// A running session.
    pub fn session(&self, id: &SessionId) -> Result<Arc<Session>, Refusal> {
        let slots = self.slots();
        match (slots.running.get(id), slots.epitaphs.get(id)) {
            (Some(Some(session)), _) => Ok(session.clone()),
            (Some(None), _) => Err(Refusal::new("session-not-ready", id.as_str())),
            (None, Some(reason)) => Err(ended_refusal(reason)),
            (None, None) => Err(Refusal::not_found(id.as_str())),
        }
    }

    fn reserve(&self, session: &SessionId) -> Result<Reserved<'_>, Refusal> {
        let mut slots = self.slots();
        if slots.draining {
            return Err(Refusal::new("service-unavailable", "draining"));
        }
        if slots.running.contains_key(session) || slots.epitaphs.get(session).is_some() {
            return Err(Refusal::new("already-launched", session.as_str()));
        }
        if slots.running.len() + slots.parts.len() >= self.parts.sessions_max {
            let max = self.parts.sessions_max.to_string();
            return Err(Refusal::new("too-many-sessions", max));
        }
        slots.running.insert(session.clone(), None);
        Ok(Reserved {
            broker: self,
            session: session.clone(),
            kept: false,
        })
    }

    /// Launches a session: quote, keys, jail, ledger, data; in this order.
    pub async fn launch(
        self: &Arc<Self>,
        attester: &Attester,
        session: &SessionId,
    ) -> Result<Launched, Refusal> {
        let slot = self.reserve(session)?;
        let terms = attester.release(&self.parts.policy, session).await?;
        // From here on the policy service knows that the session is here.
        let launched = async {
            // The TPM works while the worker enters its jail.
            let keys = attester.unwrap(&terms);
            self.bring_up(&terms, keys).await
        };
        match launched.await {
            Ok((running, waived)) => {
                let catalogs = running.terms().catalogs.clone();
                self.install(slot, running.clone())?;
                self.spread(&running);
                Ok(Launched {
                    server: self.parts.server.clone(),
                    emulated: attester.is_emulated(),
                    catalogs,
                    waived,
                })
            }
            Err(refusal) => {
                self.close(session.clone(), EndReason::ServerLost).await;
                Err(refusal)
            }
        }
    }

    /// Starts, checks, records, loads. Keys come as a future, so that they are opened meanwhile and,
    /// where the worker fails, dropped.
    pub async fn bring_up(
        &self,
        terms: &SessionTerms,
        keys: impl Future<Output = Result<Vec<FileKey>, Refusal>>,
    ) -> Result<(Arc<Session>, Vec<String>), Refusal> {
        self.bring_up_as(terms, keys, false).await
    }

    /// The same for a part of another server's session.
    pub(crate) async fn bring_up_part(
        &self,
        terms: &SessionTerms,
        keys: impl Future<Output = Result<Vec<FileKey>, Refusal>>,
    ) -> Result<(Arc<Session>, Vec<String>), Refusal> {
        self.bring_up_as(terms, keys, true).await
    }

    async fn bring_up_as(
        &self,
        terms: &SessionTerms,
        keys: impl Future<Output = Result<Vec<FileKey>, Refusal>>,
        is_part: bool,
    ) -> Result<(Arc<Session>, Vec<String>), Refusal> {
        let parts = &self.parts;
        let own = Terms::new(terms.clone());
        let spec = JailSpec {
            kind: ProcessKind::SqlWorker,
            memory_mib: terms.memory_limit_mib.saturating_add(WORKER_OVERHEAD_MIB),
            waived: parts.waived.clone(),
        };
        let opened = {
            let (data_dir, catalogs) = (parts.data_dir.clone(), own.catalogs.clone());
            tokio::task::spawn_blocking(move || files::open(&data_dir, &catalogs))
        };
        let drawing = self.take_desktop(terms);
        let (jailed, keys, opened, drawing) =
            tokio::join!(parts.sql_pool.take(&spec), keys, opened, drawing);
        let jailed: JailedWorker = jailed.map_err(|error| refuse_worker(&error))?;
        let (keys, drawing) = (keys?, drawing?);
        let OpenFiles {
            files,
            mut descriptors,
        } = match opened {
            Ok(Ok(open)) => open,
            Ok(Err(error)) => {
                tracing::error!(%error, "a session's files can't be opened");
                return Err(Refusal::new("data-unavailable", error.to_string()));
            }
            Err(_) => return Err(Refusal::new("internal", "files")),
        };

        let bounds = Bounds::new(parts.groups.as_ref(), terms);
        let drawer = drawing.as_ref().map(|drawing| drawing.jailed.pid());
        for pid in [Some(jailed.pid()), drawer].into_iter().flatten() {
            if !bounds.add(pid) {
                return Err(Refusal::new("jail-unavailable", "cgroup"));
            }
        }
        let spill = self.open_spill()?;
        let spills = spill.as_ref().map(|(_, bytes_max)| {
            let mib = bytes_max / (1024 * 1024);
            format!("spill: {mib} MiB, encrypted")
        });
        let describe = |(layer, detail): (&String, &String)| format!("{layer}: {detail}");
        let layers = jailed.layers.iter().map(describe);
        let drawn = drawing.iter().flat_map(|drawing| &drawing.jailed.layers);
        let drawn = drawn.map(|(layer, detail)| format!("desktop {layer}: {detail}"));
        let (session, server) = (terms.session.clone(), parts.server.clone());
        let layers = layers
            .chain(drawn)
            .chain([format!("cgroup: {}", bounds.described)])
            .chain(spills)
            .collect();
        let waived = jailed.waived.clone();
        let launched = match is_part {
            false => Event::SessionLaunched {
                session,
                server,
                layers,
                waived,
            },
            true => Event::PartLaunched {
                session,
                server,
                layers,
                waived,
            },
        };
        let recorded = parts.policy.call(&Record { event: launched }).await;
        recorded.map_err(CallError::into_refusal)?;

        let waived = jailed.waived.clone();
        let recording = match &drawing {
            Some(drawing) => Some(self.begin_recording(&drawing.host, terms).await?),
            None => None,
        };
        let kept = self.kept(terms, &keys);
        let mut load = own.load(parts.threads_per_session);
        load.files = files;
        load.keys = keys;
        if let Some((file, bytes_max)) = spill {
            load.spill_bytes_max = Some(bytes_max);
            descriptors.push(file.into());
        }
        let worker = jailed.load(load, descriptors).await;
        let worker = worker.map_err(|error| refuse_worker(&error))?;
        let around = Around {
            server: parts.server.clone(),
            policy: parts.policy.clone(),
            review: parts.review.clone(),
            turns: parts.turns.clone(),
            programs: parts.programs.clone(),
        };
        if let (Some(host), Some(programs)) = (&parts.programs, &terms.programs) {
            host.warm(programs);
        }
        let desktop = match (drawing, recording, &terms.desktop) {
            (Some(drawing), Some(recording), Some(terms)) => Some(DesktopParts {
                host: drawing.host,
                terms: terms.clone(),
                jailed: drawing.jailed,
                recording,
                functions: worker.functions.clone(),
            }),
            _ => None,
        };
        let session = Session::begin(own, around, worker, kept, bounds, desktop);
        Ok((session, waived))
    }

    /// A file to spill into, where this server has a place for it, and how much of it may be used.
    fn open_spill(&self) -> Result<Option<(File, u64)>, Refusal> {
        let Some(place) = &self.parts.spill else {
            return Ok(None);
        };
        match place.open() {
            Ok(file) => Ok(Some((file, place.bytes_max()))),
            Err(error) => {
                tracing::error!(%error, "no file to spill into");
                Err(Refusal::new("spill-unavailable", error.to_string()))
            }
        }
    }

    /// A process that draws, where the session is a desktop.
    async fn take_desktop(&self, terms: &SessionTerms) -> Result<Option<Drawing>, Refusal> {
        if terms.desktop.is_none() {
            return Ok(None);
        }
        let host = self.parts.desktops.as_ref();
        let host = host.ok_or_else(|| Refusal::new("desktop-unavailable", ""))?;
        if host.recordings.is_none() {
            return Err(Refusal::new("recording-unavailable", ""));
        }
        let jailed = host.pool.take(&host.spec()).await;
        Ok(Some(Drawing {
            host: host.clone(),
            jailed: jailed.map_err(|error| refuse_worker(&error))?,
        }))
    }

    /// Begins a desktop's recording, and says so in the ledger before anything is drawn.
    async fn begin_recording(
        &self,
        host: &DesktopHost,
        terms: &SessionTerms,
    ) -> Result<Recording, Refusal> {
        let recording = host.record(&terms.session).await?;
        let event = recording.began.clone();
        let recorded = self.parts.policy.call(&Record { event }).await;
        recorded.map_err(CallError::into_refusal)?;
        Ok(recording)
    }

    fn kept(&self, terms: &SessionTerms, keys: &[FileKey]) -> Kept {
        let (agreement, person) = (&terms.agreement, &terms.person);
        let guard = Some(self.guards.of(agreement, terms.threshold, keys));
        let Some(dir) = &self.parts.scripts_dir else {
            return Kept {
                guard,
                ..Kept::default()
            };
        };
        let key = |kind| KeptKey::derive(kind, keys, agreement, person);
        let scripts = key(Kind::Scripts).map(|key| Scripts::new(dir, key, agreement, person));
        let notebooks = terms.desktop.as_ref().and_then(|desktop| {
            let key = key(Kind::Notebooks)?;
            let kib_max = desktop.notebooks_kib_max;
            Some(Notebooks::new(dir, key, agreement, person, kib_max))
        });
        Kept {
            scripts,
            notebooks,
            guard,
        }
    }

    /// Puts a session into the table, and watches for its end.
    fn install(self: &Arc<Self>, slot: Reserved<'_>, session: Arc<Session>) -> Result<(), Refusal> {
        self.adopt(session)?;
        let mut slot = slot;
        slot.kept = true;
        Ok(())
    }

    /// Takes a running session over: found by its id, renewed, and removed at its end. When the server
    /// drains already, it is ended instead.
    pub fn adopt(self: &Arc<Self>, session: Arc<Session>) -> Result<(), Refusal> {
        let drains = {
            let mut slots = self.slots();
            if !slots.draining {
                let id = session.id().clone();
                slots.running.insert(id, Some(session.clone()));
            }
            slots.draining
        };
        let broker = self.clone();
        tokio::spawn(async move {
            if drains {
                session.end(EndReason::ServerLost).await;
            }
            let reason = session.wait_end().await;
            broker.bury(&session, reason).await;
        });
        match drains {
            true => Err(Refusal::new("service-unavailable", "draining")),
            false => Ok(()),
        }
    }

    async fn bury(&self, session: &Arc<Session>, reason: EndReason) {
        // The process is gone before the id is free.
        session.end(reason).await;
        {
            let mut slots = self.slots();
            slots.running.remove(session.id());
            slots.epitaphs.add(session.id().clone(), reason);
        }
        self.close(session.id().clone(), reason).await;
    }

    /// Tells the policy service, which writes the end into the ledger. Where it can't be told, it ends
    /// the session by itself for want of renewals.
    async fn close(&self, session: SessionId, reason: EndReason) {
        let call = CloseSession {
            session: session.clone(),
            reason,
        };
        if let Err(error) = self.parts.policy.call(&call).await {
            tracing::warn!(%session, %error, "a session's end could not be told");
        }
    }

    /// Ends all sessions, and launches no more.
    pub async fn drain(&self) {
        let sessions: Vec<_> = {
            let mut slots = self.slots();
            slots.draining = true;
            let parts = slots.parts.values().flatten().map(|part| &part.session);
            let sessions = slots.running.values().flatten();
            sessions.chain(parts).cloned().collect()
        };
        let mut ends = Vec::new();
        for session in sessions {
            ends.push(tokio::spawn(async move {
                session.end(EndReason::ServerLost).await
            }));
        }
        for end in ends {
            // A task that panicked leaves its child's drop, which kills too.
            let _ = end.await;
        }
        self.parts.sql_pool.close().await;
        if let Some(host) = &self.parts.programs {
            host.pool.close().await;
        }
        if let Some(host) = &self.parts.desktops {
            host.pool.close().await;
        }
        // Burials tell the policy service; they are short.
        for _ in 0..DRAIN_LOOKS {
            let is_empty = {
                let slots = self.slots();
                slots.running.is_empty() && slots.parts.is_empty()
            };
            if is_empty {
                return;
            }
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }
}

/// While draining, how often it is looked whether all sessions are told of, and between looks.
const DRAIN_LOOKS: u32 = 50;
const DRAIN_LOOK: std::time::Duration = std::time::Duration::from_millis(100);

fn refuse_worker(error: &WorkerError) -> Refusal {
    let text = crate::explain(error);
    tracing::error!(error = text, "no worker");
    let code = match error {
        WorkerError::LoadFailed(_) => "data-unavailable",
        _ => "jail-unavailable",
    };
    Refusal::new(code, text)
}
