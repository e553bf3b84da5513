//! Opening a desktop: another session, or the one that runs already.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kekkai_policy_api::View;
use kekkai_signin::SignedIn;
use kekkai_types::{AgreementId, PersonId, TerminalId};
use tokio::task::JoinSet;

use crate::gateway::Gateway;
use crate::sessions::{LiveSession, SessionError};

/// Leave to look at one's own desktop, once. A whole sign-in was spent for it; nothing else makes one.
#[derive(Debug)]
#[must_use = "nobody looks yet"]
pub(crate) struct Admission {
    pub(super) live: Arc<LiveSession>,
}

impl Admission {
    /// What it admits to.
    pub(crate) fn live(&self) -> &LiveSession {
        &self.live
    }
}

type Who = (PersonId, TerminalId);

/// Desktops that are being opened: one at a time for each person and terminal, so that two tabs get one
/// session.
#[derive(Default)]
pub(crate) struct Opening(Mutex<HashMap<Who, Arc<tokio::sync::Mutex<()>>>>);

impl Opening {
    fn turn(&self, who: Who) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits for those that are held here only.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(who).or_default().clone()
    }
}

/// Tasks that keep desktops, so that they can be waited for.
#[derive(Default)]
pub(crate) struct Keepers(Mutex<JoinSet<()>>);

impl Keepers {
    fn keep(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// Resolves when every desktop that is kept now has ended everywhere.
    pub(crate) async fn ended(&self) {
        let taken = |tasks: &mut JoinSet<()>| std::mem::take(tasks);
        let mut tasks = taken(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

impl Gateway {
    /// Finds the desktop that this person left running at this terminal, or opens one. In a task of its
    /// own: a client that leaves meanwhile must not leave half a session.
    pub(crate) async fn open_desktop(
        self: &Arc<Self>,
        signed_in: SignedIn,
        agreement: Option<AgreementId>,
        address: String,
    ) -> Result<Admission, SessionError> {
        let gateway = self.clone();
        let opening = tokio::spawn(async move {
            let who = (signed_in.person().clone(), signed_in.terminal().clone());
            let turn = gateway.opening.turn(who.clone());
            let _turn = turn.lock().await;
            let running = gateway.sessions.desktops(|live| {
                (&live.person.person, &live.terminal) == (&who.0, &who.1)
                    && agreement
                        .as_ref()
                        .is_none_or(|agreement| *agreement == live.opened.agreement)
            });
            // Of several, none is the one that was meant: the policy service says so.
            if let [live] = running.as_slice() {
                return Ok(Admission { live: live.clone() });
            }
            let live = gateway
                .open_session(signed_in, agreement, &address, View::Desktop)
                .await?;
            gateway
                .keepers
                .keep(gateway.clone().keep_desktop(live.clone()));
            Ok(Admission { live })
        });
        opening.await.map_err(|_| SessionError::Unavailable)?
    }
}
