//! One SSH connection: what its handler, its consoles and its guard share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use kekkai_policy_api::{EndReason, Event, KnownPerson, View};
use kekkai_signin::SignedIn;
use kekkai_types::{AgreementId, Lang, PersonId, SessionId, TerminalId};
use russh::Disconnect;
use russh::server::Handle;
use tokio::sync::{Notify, OnceCell};
use tokio::time::Instant;

use super::text;
use crate::gateway::Gateway;
use crate::sessions::{LiveSession, SessionError};

/// Refused requests after which a connection is cut: each costs the ledger an entry.
const REFUSALS_MAX: u32 = 24;
/// Typed lines that are no command after which a connection is cut. People mistype.
const MISTYPED_MAX: u32 = 200;
/// Telling a client to leave takes at most this long: it may not be reading.
const TELL_LIMIT: Duration = Duration::from_secs(1);
/// Console channels that are open at once.
pub(super) const CHANNELS_MAX: u32 = 4;
/// The longest description of a refused request in the ledger, in characters.
const REQUEST_CHARS_MAX: usize = 120;
/// How often idleness is looked at.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// One SSH connection.
pub(super) struct Connection {
    pub(super) gateway: Arc<Gateway>,
    pub(super) address: String,
    state: Mutex<State>,
    session: OnceCell<Option<Arc<LiveSession>>>,
    refusals: AtomicU32,
    mistyped: AtomicU32,
    channels: AtomicU32,
    handle: OnceLock<Handle>,
    entered: Notify,
}

/// What a connection was signed in for: the one excludes the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// Consoles of one session that ends with the connection.
    Console,
    /// One screen of a desktop that doesn't.
    Screen,
}

/// A console's place on its connection, given back when dropped.
pub(super) struct Slot(Arc<Connection>);

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = self
            .0
            .channels
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        self.0.state().last_channel = Instant::now();
    }
}

struct State {
    terminal: Option<TerminalId>,
    person: Option<PersonId>,
    lang: Lang,
    agreement: Option<AgreementId>,
    signed_in: Option<SignedIn>,
    carries: Option<Carries>,
    last_input: Instant,
    last_channel: Instant,
    had_channel: bool,
    /// Consoles that their person has not finished.
    at_work: u32,
}

impl Connection {
    pub(super) fn new(gateway: Arc<Gateway>, address: String) -> Self {
        let now = Instant::now();
        Self {
            gateway,
            address,
            state: Mutex::new(State {
                terminal: None,
                person: None,
                lang: Lang::default(),
                agreement: None,
                signed_in: None,
                carries: None,
                last_input: now,
                last_channel: now,
                had_channel: false,
                at_work: 0,
            }),
            session: OnceCell::new(),
            refusals: AtomicU32::new(0),
            mistyped: AtomicU32::new(0),
            channels: AtomicU32::new(0),
            handle: OnceLock::new(),
            entered: Notify::new(),
        }
    }

    // A panic elsewhere leaves the fields whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_handle(&self, handle: Handle) {
        // Set once, by the task that made it.
        let _ = self.handle.set(handle);
    }

    pub(super) fn set_terminal(&self, terminal: &TerminalId) {
        self.state().terminal = Some(terminal.clone());
    }

    pub(super) fn lang(&self) -> Lang {
        self.state().lang
    }

    pub(super) fn set_lang(&self, lang: Lang) {
        self.state().lang = lang;
    }

    pub(super) fn is_signed_in(&self) -> bool {
        self.state().carries.is_some()
    }

    /// What it was signed in for.
    pub(super) fn carries(&self) -> Option<Carries> {
        self.state().carries
    }

    /// Its sign-in, once.
    pub(super) fn take_sign_in(&self) -> Option<(SignedIn, Option<AgreementId>)> {
        let mut state = self.state();
        let signed_in = state.signed_in.take()?;
        Some((signed_in, state.agreement.clone()))
    }

    /// Everything is verified and recorded.
    pub(super) fn enter(
        &self,
        signed_in: SignedIn,
        agreement: Option<AgreementId>,
        known: Option<&KnownPerson>,
        carries: Carries,
    ) {
        let mut state = self.state();
        state.person = Some(signed_in.person().clone());
        state.terminal = Some(signed_in.terminal().clone());
        state.agreement = agreement;
        state.lang = known.map_or(Lang::default(), |known| known.lang);
        state.signed_in = Some(signed_in);
        state.carries = Some(carries);
        state.last_channel = Instant::now();
        drop(state);
        self.entered.notify_one();
    }

    pub(super) async fn signed_in(&self) {
        self.entered.notified().await;
    }

    /// The connection's one session, opened by its first console.
    pub(super) async fn session(self: &Arc<Self>) -> Result<Arc<LiveSession>, SessionError> {
        if let Some(Some(live)) = self.session.get() {
            return Ok(live.clone());
        }
        let mut problem = None;
        let live = self
            .session
            .get_or_init(|| async {
                let (signed_in, agreement) = self.take_sign_in()?;
                let (gateway, address) = (self.gateway.clone(), self.address.clone());
                // In a task of its own: a client that leaves meanwhile must not leave half a session.
                let opening = tokio::spawn(async move {
                    gateway
                        .open_session(signed_in, agreement, &address, View::Console)
                        .await
                });
                match opening.await {
                    Ok(Ok(live)) => Some(live),
                    Ok(Err(error)) => {
                        problem = Some(error);
                        None
                    }
                    Err(_) => None,
                }
            })
            .await;
        match (live, problem) {
            (Some(live), _) => {
                self.touch();
                Ok(live.clone())
            }
            (None, Some(problem)) => Err(problem),
            (None, None) => Err(SessionError::Unavailable),
        }
    }

    pub(super) fn live(&self) -> Option<Arc<LiveSession>> {
        self.session.get().cloned().flatten()
    }

    /// The person did something.
    pub(super) fn touch(&self) {
        self.state().last_input = Instant::now();
    }

    /// A place for one more console, if there is one.
    pub(super) fn open_channel(self: &Arc<Self>) -> Option<Slot> {
        self.channels
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
                (n < CHANNELS_MAX).then_some(n.saturating_add(1))
            })
            .ok()?;
        let mut state = self.state();
        state.had_channel = true;
        state.at_work = state.at_work.saturating_add(1);
        drop(state);
        Some(Slot(self.clone()))
    }

    /// Records that something was asked for that doesn't exist here. Too much of it ends the
    /// connection.
    pub(super) async fn refuse(&self, request: &str) {
        self.refuse_counted(request, &self.refusals, REFUSALS_MAX)
            .await;
    }

    /// The same for a command, which may have been mistyped.
    pub(super) async fn refuse_command(&self, request: &str, is_typed: bool) {
        if is_typed {
            self.refuse_counted(request, &self.mistyped, MISTYPED_MAX)
                .await;
        } else {
            self.refuse(request).await;
        }
    }

    async fn refuse_counted(&self, request: &str, count: &AtomicU32, max: u32) {
        let count = count.fetch_add(1, Ordering::SeqCst);
        if count > max {
            return;
        }
        let request: String = request
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(REQUEST_CHARS_MAX)
            .collect();
        tracing::info!(kind = request.split(' ').next(), "request refused");
        let event = {
            let state = self.state();
            Event::RequestRefused {
                person: state.person.clone(),
                session: self.session_id(),
                terminal: state.terminal.clone(),
                request,
            }
        };
        if let Err(error) = self.gateway.record(event).await {
            tracing::error!(%error, "refused request not recorded");
        }
        if count == max {
            self.leave(text::TOO_MANY_REFUSALS).await;
        }
    }

    fn session_id(&self) -> Option<SessionId> {
        self.live().map(|live| live.opened.session.clone())
    }

    /// Tells the client to leave.
    pub(super) async fn leave(&self, message: text::Both) {
        if let Some(handle) = self.handle.get() {
            let lang = self.lang();
            let told = handle.disconnect(
                Disconnect::ByApplication,
                message.get(lang).to_owned(),
                lang.as_str().to_owned(),
            );
            let _ = tokio::time::timeout(TELL_LIMIT, told).await;
        }
    }

    /// Ends the session, if there is one, so that its consoles say so.
    pub(super) async fn end(&self, reason: EndReason) {
        if let Some(live) = self.live() {
            self.gateway.close_session(&live, reason).await;
        }
    }

    /// Resolves when the connection has to end: its session is over, or nobody uses it.
    pub(super) async fn watch(self: &Arc<Self>) {
        let unused_limit = Duration::from_secs(self.gateway.config.limits.idle_connection_s.into());
        let mut tick = tokio::time::interval(IDLE_TICK);
        loop {
            tick.tick().await;
            let (last_input, last_channel, had_channel, carries) = {
                let state = self.state();
                let carries = state.carries;
                (
                    state.last_input,
                    state.last_channel,
                    state.had_channel,
                    carries,
                )
            };
            // A screen that is over was told so on its channel, if somebody reads there still.
            let is_screen_over = carries == Some(Carries::Screen) && had_channel;
            if is_screen_over && self.channels.load(Ordering::SeqCst) == 0 {
                self.leave(text::SCREEN_OVER).await;
                return;
            }
            if self.channels.load(Ordering::SeqCst) == 0 && last_channel.elapsed() >= unused_limit {
                if !had_channel {
                    self.refuse("connection without a session channel").await;
                }
                self.leave(text::UNUSED).await;
                return;
            }
            let Some(live) = self.live() else { continue };
            let idle_limit = Duration::from_secs(live.opened.idle_limit_s.into());
            if last_input.elapsed() >= idle_limit {
                self.end(EndReason::Idle).await;
            }
            let ended = tokio::time::timeout(Duration::ZERO, live.ended()).await;
            if ended.is_ok() {
                // The consoles show why; then the connection has nothing more to give.
                tokio::time::sleep(Duration::from_millis(500)).await;
                self.leave(text::SESSION_OVER).await;
                return;
            }
        }
    }

    /// A console came to its end, and not because the client vanished. Said before the client hears of
    /// it: it may hang up at once.
    pub(super) fn finished(&self) {
        let mut state = self.state();
        state.at_work = state.at_work.saturating_sub(1);
    }

    /// The client is gone.
    pub(super) async fn close(&self) {
        let reason = match self.state().at_work {
            0 => EndReason::ClosedByUser,
            _ => EndReason::Disconnected,
        };
        self.end(reason).await;
    }
}
