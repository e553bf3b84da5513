//! What both doors share: the other services, sign-in, live sessions.

use std::sync::Arc;

use kekkai_policy_api::{
    Event, KnownPerson, KnownTerminal, LookUpPerson, LookUpTerminal, Record, SignInRefusal,
};
use kekkai_service::{CallError, Client};
use kekkai_signin::{AttemptError, Refused, SignIn, SignedIn, StorageError};
use kekkai_types::{PersonId, TerminalId};

use crate::config::Config;
use crate::https::browser::Browsers;
use crate::https::rate::Rate;
use crate::screen::{Keepers, Opening};
use crate::sessions::Sessions;

/// The gateway.
pub struct Gateway {
    /// As configured.
    pub config: Config,
    /// The checks of both factors.
    pub signin: Arc<SignIn>,
    /// Agreements, decisions, the ledger.
    pub policy: Client,
    /// Sessions, queries.
    pub analysis: Client,
    /// Outputs.
    pub review: Client,
    pub(crate) sessions: Sessions,
    pub(crate) opening: Opening,
    pub(crate) keepers: Keepers,
    pub(crate) browsers: Browsers,
    pub(crate) rate: Rate,
}

/// Why somebody doesn't get in. What they are told is one and the same.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// Refused, counted, recorded.
    #[error("sign-in is refused")]
    Refused,
    /// Too many wait.
    #[error("too many sign-ins wait at once")]
    Busy,
    /// A service that must answer did not.
    #[error("a service that must answer did not")]
    Unavailable(#[from] CallError),
    /// The sign-in state can't be read or written.
    #[error("the sign-in state failed")]
    Storage(#[from] StorageError),
}

impl Gateway {
    /// Writes to the ledger; only when it returns may the effect happen.
    pub async fn record(&self, event: Event) -> Result<(), CallError> {
        self.policy.call(&Record { event }).await.map(|_| ())
    }

    /// A registered terminal that is not revoked.
    pub async fn terminal(&self, by: &LookUpTerminal) -> Result<Option<KnownTerminal>, CallError> {
        self.policy.call(by).await
    }

    /// A registered person.
    pub async fn person(&self, person: &PersonId) -> Result<Option<KnownPerson>, CallError> {
        let person = person.clone();
        self.policy.call(&LookUpPerson { person }).await
    }

    /// Runs a sign-in check where waiting for the disk holds up nobody else.
    pub async fn check<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SignIn) -> T + Send + 'static,
    ) -> Result<T, StorageError> {
        let signin = self.signin.clone();
        tokio::task::spawn_blocking(move || work(&signin))
            .await
            .map_err(|_| StorageError::Poisoned)
    }

    /// Records a check that failed, before anybody is told.
    pub async fn closed(
        &self,
        error: AttemptError,
        terminal: &TerminalId,
        address: &str,
    ) -> Closed {
        match error {
            AttemptError::Refused(refused) => {
                self.record_refusal(&refused, Some(terminal), address).await;
                Closed::Refused
            }
            AttemptError::Busy => Closed::Busy,
            AttemptError::Storage(error) => {
                tracing::error!(error = %Chain(&error), "sign-in state failed");
                Closed::Storage(error)
            }
        }
    }

    /// Records a refusal. It stays a refusal when the ledger can't be written; that is logged.
    pub async fn record_refusal(
        &self,
        refused: &Refused,
        terminal: Option<&TerminalId>,
        address: &str,
    ) {
        let mut events = vec![Event::SignInRefused {
            person: refused.person.clone(),
            terminal: terminal.cloned(),
            address: address.to_owned(),
            reason: refused.reason,
            failures: refused.failures,
        }];
        if let (true, Some(person)) = (refused.locked_now, &refused.person) {
            events.push(Event::AccountLocked {
                person: person.clone(),
                failures: refused.failures,
            });
        }
        for event in events {
            if let Err(error) = self.record(event).await {
                tracing::error!(error = %error, reason = ?refused.reason, "refusal not recorded");
            }
        }
    }

    /// Records a refusal that no account is charged for.
    pub async fn record_stranger(
        &self,
        terminal: Option<&TerminalId>,
        address: &str,
        reason: SignInRefusal,
    ) {
        let refused = Refused {
            person: None,
            reason,
            failures: 0,
            locked_now: false,
        };
        self.record_refusal(&refused, terminal, address).await;
    }

    /// Records that somebody is let in. Without it they are not.
    pub async fn record_sign_in(
        &self,
        signed_in: &SignedIn,
        address: &str,
    ) -> Result<(), CallError> {
        self.record(Event::SignInAccepted {
            person: signed_in.person().clone(),
            terminal: signed_in.terminal().clone(),
            address: address.to_owned(),
            factors: signed_in.factors(),
        })
        .await
    }
}

/// An error with its causes, for the log.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
