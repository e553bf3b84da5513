//! The desktop of a session: a jailed process draws, and the broker decides what is seen of it.
//!
//! ```text
//!  kekkai-desktop ── frame ──▶ turn.rs: may it come? ──▶ picture.rs: read, mark, record ──▶ viewers.rs
//!        ▲                                                        (before anything is sent)      │
//!        └── outbox.rs ◀── asks.rs: as the console's calls ◀── desk.rs ◀── typing.rs ◀── inputs ─┘
//! ```
//!
//! One task for each session ([`desk`]) knows all of it, so that nothing is locked. What computes or waits for
//! the disk, it hands to a thread that may. Without anybody who looks, the process waits with its next frame:
//! what is not shown is not recorded and costs nothing.

mod asks;
mod desk;
mod frozen;
mod outbox;
mod picture;
mod told;
mod turn;
mod typing;
mod viewers;
mod workspace;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kekkai_analysis_api::{ScreenWish, Viewer};
use kekkai_policy_api::{DesktopTerms, EndReason, Event};
use kekkai_recording::{Recipient, Recorder};
use kekkai_sys::{JailSpec, Layer, ProcessKind};
use kekkai_types::{Refusal, SessionId, Timestamp};
use kekkai_watermark::Mark;
use kekkai_worker_api::{FromDesktop, ToDesktop};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::pool::Pool;
use crate::session::Session;
use crate::worker::{Jailed, Life};

use desk::{Desk, Happened};
pub use viewers::Attachment;

/// Memory of a process that draws, in MiB: rows that it keeps among it.
pub(crate) const DESKTOP_MEMORY_MIB: u32 = 512;
/// Its memory beyond that, in MiB: the pixels, which are shared with the broker.
pub(crate) const DESKTOP_SHARED_MIB: u32 = 32;
/// Staff who watch one session at once.
const WATCHERS_MAX: usize = 4;
/// What happened and was not seen to yet.
const HAPPENED_MAX: usize = 256;
/// The end of a recording is written by then.
const FINISH_LIMIT: Duration = Duration::from_secs(3);
/// One answer about wishes waits this long at most.
const WISH_LIMIT: Duration = Duration::from_secs(20);

/// What draws desktops on this server.
pub struct DesktopHost {
    /// Processes that wait for a session.
    pub pool: Pool<ToDesktop, FromDesktop>,
    /// Fonts, in sealed memory: text first, then monospaced.
    pub fonts: Vec<(String, File)>,
    /// Layers of the jail that the configuration gives up.
    pub waived: BTreeSet<Layer>,
    /// The server's TPM is emulated: screens say so.
    pub emulated: bool,
    /// Where screens are recorded; `None`: no desktop begins.
    pub recordings: Option<Recordings>,
}

/// Where screens are recorded.
#[derive(Clone)]
pub struct Recordings {
    /// The folder.
    pub dir: PathBuf,
    /// Who alone can look at them.
    pub recipient: Recipient,
}

impl DesktopHost {
    /// The jail of a process that draws.
    pub fn spec(&self) -> JailSpec {
        JailSpec {
            kind: ProcessKind::Desktop,
            memory_mib: DESKTOP_MEMORY_MIB,
            waived: self.waived.clone(),
        }
    }

    /// Has a process wait for the first desktop. Within a tokio runtime.
    pub fn warm(&self) {
        self.pool.warm(&self.spec());
    }

    /// Begins a recording: what it is called, what goes to the ledger, what writes it. Waits for the disk.
    pub(crate) async fn record(&self, session: &SessionId) -> Result<Recording, Refusal> {
        let unavailable = |why: String| {
            tracing::error!(%session, why, "no recording can begin");
            Refusal::new("recording-unavailable", "")
        };
        let place = self.recordings.clone();
        let place = place.ok_or_else(|| unavailable("[recording] is not configured".to_owned()))?;
        let mut number = [0; 4];
        getrandom::fill(&mut number).map_err(|_| unavailable("no randomness".to_owned()))?;
        let mark = Mark::new(u32::from_be_bytes(number));
        let (id, recipient) = (session.clone(), place.recipient.digest());
        let create = move || {
            let mark = mark.to_string();
            Recorder::create(&place.dir, &id, &mark, &place.recipient, Timestamp::now())
        };
        let created = tokio::task::spawn_blocking(create)
            .await
            .map_err(|_| unavailable("the task failed".to_owned()))?;
        let (recorder, header) = created.map_err(|error| unavailable(crate::explain(&error)))?;
        let name = session.to_string();
        let began = Event::RecordingBegan {
            session: session.clone(),
            recording: name.clone(),
            header,
            recipient,
            mark: mark.to_string(),
        };
        Ok(Recording {
            name,
            mark,
            recorder,
            began,
        })
    }
}

/// A recording that has begun.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) mark: Mark,
    pub(crate) recorder: Recorder,
    /// For the ledger, before the first frame.
    pub(crate) began: Event,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a session's desktop is made from.
pub(crate) struct DesktopParts {
    pub(crate) host: Arc<DesktopHost>,
    pub(crate) terms: DesktopTerms,
    pub(crate) jailed: Jailed<ToDesktop, FromDesktop>,
    pub(crate) recording: Recording,
    pub(crate) functions: Vec<String>,
}

/// A session's desktop, for those who look at it.
#[derive(Debug)]
pub(crate) struct Desktop {
    desk: mpsc::Sender<Happened>,
    watchers: Arc<Semaphore>,
    viewers: AtomicU64,
    shared: Arc<Shared>,
}

/// What the desk and the session both know.
#[derive(Debug)]
struct Shared {
    wish: watch::Sender<ScreenWish>,
    /// The process that draws now.
    life: Mutex<Life>,
    /// The recording is written to its end.
    is_over: watch::Sender<bool>,
}

impl Shared {
    fn life(&self) -> Life {
        let life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        life.clone()
    }

    fn wish(&self, change: impl FnOnce(&mut ScreenWish)) {
        self.wish.send_modify(|wish| {
            wish.number = wish.number.saturating_add(1);
            // Each wish is said once: the next one takes the last one's place.
            (wish.lock, wish.leave) = (false, false);
            change(wish);
        });
    }
}

/// A desk that waits for its session.
pub(crate) struct Waiting {
    parts: DesktopParts,
    happened: mpsc::Receiver<Happened>,
    /// For what the desk itself begins.
    desk: mpsc::Sender<Happened>,
    shared: Arc<Shared>,
}

impl Desktop {
    /// The session's side, and the desk that begins when the session is there.
    pub(crate) fn new(parts: DesktopParts) -> (Self, Waiting) {
        let (desk, happened) = mpsc::channel(HAPPENED_MAX);
        let shared = Arc::new(Shared {
            wish: watch::Sender::new(ScreenWish {
                number: 0,
                lock: false,
                leave: false,
            }),
            life: Mutex::new(parts.jailed.life()),
            is_over: watch::Sender::new(false),
        });
        let desktop = Self {
            desk: desk.clone(),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            viewers: AtomicU64::new(0),
            shared: shared.clone(),
        };
        let waiting = Waiting {
            parts,
            happened,
            desk,
            shared,
        };
        (desktop, waiting)
    }

    /// Kills the process that draws, and waits until the recording is written.
    pub(crate) async fn end(&self) {
        self.shared.life().kill().await;
        let mut is_over = self.shared.is_over.subscribe();
        let over = tokio::time::timeout(FINISH_LIMIT, is_over.wait_for(|over| *over));
        if over.await.is_err() {
            tracing::error!("a recording was not written to its end in time");
        }
    }

    /// A place for somebody who looks.
    pub(crate) fn attach(
        &self,
        session: Arc<Session>,
        viewer: Viewer,
        size: (u16, u16, u16),
    ) -> Result<Attachment, Refusal> {
        let is_watcher = matches!(viewer, Viewer::Watcher(_));
        if !is_watcher && !turn::is_size(size) {
            let (width, height, scale) = size;
            let size = format!("{width} x {height}, {scale} %");
            return Err(Refusal::new("screen-size", size));
        }
        let place = match is_watcher {
            true => {
                let place = self.watchers.clone().try_acquire_owned();
                let full = |_| Refusal::new("too-many-watchers", WATCHERS_MAX.to_string());
                Some(place.map_err(full)?)
            }
            false => None,
        };
        Ok(Attachment {
            session,
            id: self.viewers.fetch_add(1, Ordering::Relaxed),
            viewer,
            size,
            desk: self.desk.clone(),
            _place: place,
        })
    }

    /// What the person wants of the gateway: waits for a wish after `seen`.
    pub(crate) async fn wait_wish(&self, seen: u64) -> ScreenWish {
        let mut wish = self.shared.wish.subscribe();
        let newer = wish.wait_for(|wish| wish.number > seen);
        // Late, or the session is over: as it stands.
        let _ = tokio::time::timeout(WISH_LIMIT, newer).await;
        *self.shared.wish.borrow()
    }
}

impl Waiting {
    /// Lives as long as the session.
    pub(crate) fn begin(self, session: &Arc<Session>) {
        let (session, shared) = (session.clone(), self.shared.clone());
        let desk = tokio::spawn(Desk::live(self, session.clone()));
        tokio::spawn(async move {
            let lived = desk.await;
            // Its end waits for this.
            shared.is_over.send_replace(true);
            if lived.is_err() {
                tracing::error!(session = %session.id(), "bug: a desk panicked");
                session.end(EndReason::ServerLost).await;
            }
        });
    }
}
