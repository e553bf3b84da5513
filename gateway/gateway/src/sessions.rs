//! Live sessions and their leases (invariant 5).
//!
//! Once a second the gateway asks the policy service whether its sessions may go on. A session that
//! may not ends at once; when nobody answers for [`LEASE_LIFE`], all of them end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kekkai_analysis_api::{End, Launch, Launched};
use kekkai_policy_api::{
    CloseSession, EndReason, KnownPerson, LeaseState, OpenSession, OpenedSession, RenewLeases, View,
};
use kekkai_service::CallError;
use kekkai_signin::SignedIn;
use kekkai_types::{AgreementId, SessionId, TerminalId, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::gateway::{Chain, Gateway};
use crate::screen::Desk;

/// How often leases are renewed.
const LEASE_INTERVAL: Duration = Duration::from_secs(1);
/// Without an answer for this long, sessions end.
const LEASE_LIFE: Duration = Duration::from_secs(4);
/// How long one renewal may take.
const LEASE_CALL_LIMIT: Duration = Duration::from_millis(900);
/// A person who gets no session waits at most this long for its end elsewhere.
const TELL_ENDED_LIMIT: Duration = Duration::from_secs(2);
/// How often ending a session elsewhere is tried again.
const END_TRIES: u32 = 5;

/// A session that was opened and launched.
#[derive(Debug)]
pub struct LiveSession {
    /// What the policy service opened.
    pub opened: OpenedSession,
    /// Where it runs and what it may read.
    pub launched: Launched,
    /// Whose it is.
    pub person: KnownPerson,
    /// At which terminal.
    pub terminal: TerminalId,
    /// When it was ready.
    pub started: Timestamp,
    /// For desktops: who looks at it.
    pub(crate) desk: Option<Desk>,
    ended: watch::Sender<Option<EndReason>>,
}

impl LiveSession {
    /// Ends the session here; whoever waits for [`ended`](Self::ended) closes it elsewhere. The first
    /// reason that was found stays.
    pub fn end(&self, reason: EndReason) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                *ended = Some(reason);
            }
            is_first
        });
    }

    /// Whether an end was found already.
    pub(crate) fn is_over(&self) -> bool {
        self.end_reason().is_some()
    }

    /// The end that was found already.
    pub(crate) fn end_reason(&self) -> Option<EndReason> {
        *self.ended.borrow()
    }

    /// Resolves when the session ends, with the reason.
    pub async fn ended(&self) -> EndReason {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(EndReason::Disconnected),
            Err(_) => EndReason::Disconnected,
        }
    }
}

/// Why a session doesn't begin.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The policy service or the analysis server refused; the code is for the person.
    #[error("the session is refused: \"{0}\"")]
    Refused(kekkai_types::Refusal),
    /// A service that must answer did not.
    #[error("a service that must answer did not")]
    Unavailable,
    /// Too many sessions here.
    #[error("too many sessions at once")]
    Busy,
}

/// The sessions that this gateway holds.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<SessionId, Arc<LiveSession>>>);

impl Sessions {
    // A panic elsewhere leaves the map whole: sessions must still be ended.
    fn map(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<LiveSession>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ids(&self) -> Vec<SessionId> {
        self.map().keys().cloned().collect()
    }

    /// A desktop that runs here.
    pub(crate) fn desktop(&self, session: &SessionId) -> Option<Arc<LiveSession>> {
        let live = self.map().get(session).cloned();
        live.filter(|live| live.desk.is_some() && !live.is_over())
    }

    fn end(&self, session: &SessionId, reason: EndReason) {
        if let Some(live) = self.map().get(session) {
            live.end(reason);
        }
    }

    pub(crate) fn end_all(&self, reason: EndReason) {
        for session in self.ids() {
            self.end(&session, reason);
        }
    }

    /// Running desktops that fit.
    pub(crate) fn desktops(&self, fits: impl Fn(&LiveSession) -> bool) -> Vec<Arc<LiveSession>> {
        let map = self.map();
        let running = map
            .values()
            .filter(|live| live.desk.is_some() && !live.is_over() && fits(live));
        running.cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.map().len()
    }
}

impl Gateway {
    /// Opens a session for a person who signed in, and launches it.
    pub async fn open_session(
        self: &Arc<Self>,
        signed_in: SignedIn,
        agreement: Option<AgreementId>,
        address: &str,
        view: View,
    ) -> Result<Arc<LiveSession>, SessionError> {
        if self.sessions.count() >= usize::try_from(self.config.limits.sessions_max).unwrap_or(0) {
            return Err(SessionError::Busy);
        }
        let person = match self.person(signed_in.person()).await {
            Ok(Some(person)) => person,
            Ok(None) => {
                return Err(SessionError::Refused(kekkai_types::Refusal::not_found("")));
            }
            Err(error) => return Err(refused(error)),
        };
        let opened = self
            .policy
            .call(&OpenSession {
                person: signed_in.person().clone(),
                terminal: signed_in.terminal().clone(),
                agreement,
                address: address.to_owned(),
                view,
                factors: signed_in.factors(),
            })
            .await
            .map_err(refused)?;
        let session = opened.session.clone();
        let desk = match (view, opened.desktop) {
            (View::Console, _) => None,
            (View::Desktop, Some(times)) => Some(Desk::new(times)),
            (View::Desktop, None) => {
                tracing::error!(%session, "bug: a desktop was opened without its times");
                self.end_elsewhere(&session, EndReason::DesktopOff).await;
                return Err(SessionError::Refused(kekkai_types::Refusal::new(
                    &crate::screen::kebab(EndReason::DesktopOff),
                    "",
                )));
            }
        };
        let launch = Launch {
            session: session.clone(),
        };
        let launched = match self.analysis.call(&launch).await {
            Ok(launched) => launched,
            Err(error) => {
                let reason = match &error {
                    CallError::Refused(_) => EndReason::ServerNotTrusted,
                    _ => EndReason::ServiceUnavailable,
                };
                tracing::warn!(%session, error = %Chain(&error), "launch failed");
                let gateway = self.clone();
                let ending =
                    tokio::spawn(async move { gateway.end_elsewhere(&session, reason).await });
                // The person hears soon that there is no session, also where nobody answers any more.
                let _ = tokio::time::timeout(TELL_ENDED_LIMIT, ending).await;
                return Err(refused(error));
            }
        };
        let live = Arc::new(LiveSession {
            opened,
            launched,
            person,
            terminal: signed_in.terminal().clone(),
            started: Timestamp::now(),
            desk,
            ended: watch::Sender::new(None),
        });
        self.sessions.map().insert(session, live.clone());
        Ok(live)
    }

    /// Ends a session here and elsewhere, once. The first reason that was found stays.
    pub async fn close_session(self: &Arc<Self>, live: &LiveSession, reason: EndReason) {
        let session = live.opened.session.clone();
        self.sessions.end(&session, reason);
        let reason = live.ended.borrow().unwrap_or(reason);
        if self.sessions.map().remove(&session).is_none() {
            return;
        }
        // In a task of its own: whoever waits here may be gone before it is done.
        let gateway = self.clone();
        let ending = tokio::spawn(async move { gateway.end_elsewhere(&session, reason).await });
        if ending.await.is_err() {
            tracing::error!("bug: ending a session panicked");
        }
    }

    async fn end_elsewhere(&self, session: &SessionId, reason: EndReason) {
        let end = End {
            session: session.clone(),
            reason,
        };
        let close = CloseSession {
            session: session.clone(),
            reason,
        };
        let (mut is_ended, mut is_closed) = (false, false);
        for attempt in 0..END_TRIES {
            // The process first: it is what could still do something.
            is_ended = is_ended || is_done(self.analysis.call(&end).await, session);
            is_closed = is_closed || is_done(self.policy.call(&close).await, session);
            if is_ended && is_closed {
                return;
            }
            tokio::time::sleep(LEASE_INTERVAL * (attempt + 1)).await;
        }
        // Not renewed any more, the lease ends on both sides by itself.
        tracing::error!(%session, is_ended, is_closed, "session left to its lease");
    }

    /// Renews leases until the task is dropped.
    pub async fn keep_leases(self: Arc<Self>) {
        let mut answered = Instant::now();
        let mut tick = tokio::time::interval(LEASE_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let sessions = self.sessions.ids();
            if sessions.is_empty() {
                answered = Instant::now();
                continue;
            }
            let renew = RenewLeases { sessions };
            match tokio::time::timeout(LEASE_CALL_LIMIT, self.policy.call(&renew)).await {
                Ok(Ok(leases)) => {
                    answered = Instant::now();
                    for session in &renew.sessions {
                        match leases.get(session) {
                            Some(LeaseState::Live) => {}
                            Some(LeaseState::Ended(reason)) => self.sessions.end(session, *reason),
                            // Not known there: fail closed.
                            None => self.sessions.end(session, EndReason::ServerLost),
                        }
                    }
                }
                Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "leases not renewed"),
                Err(_) => tracing::warn!("leases not renewed in time"),
            }
            if answered.elapsed() >= LEASE_LIFE.saturating_sub(LEASE_INTERVAL) {
                self.sessions.end_all(EndReason::ServiceUnavailable);
            }
        }
    }
}

/// A refusal means that the other side has ended it already.
fn is_done(answer: Result<(), CallError>, session: &SessionId) -> bool {
    match answer {
        Ok(()) | Err(CallError::Refused(_)) => true,
        Err(error) => {
            tracing::warn!(%session, error = %Chain(&error), "ending a session failed");
            false
        }
    }
}

fn refused(error: CallError) -> SessionError {
    match error {
        CallError::Refused(refusal) => SessionError::Refused(refusal),
        _ => SessionError::Unavailable,
    }
}
