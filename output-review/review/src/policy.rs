//! What this service asks the policy service.

use kekkai_policy_api::{
    Action, Decide, Decided, EndReason, Event, KnownPerson, KnownTerminal, LookUpPerson,
    LookUpTerminal, Record, Resource,
};
use kekkai_service::{CallError, Client};
use kekkai_types::{PersonId, TerminalId};

/// The policy service as this one sees it.
#[derive(Clone)]
pub struct Policy {
    client: Client,
}

/// Who acts, and where: as the gateway said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Signed in by the gateway.
    pub person: PersonId,
    /// At this terminal.
    pub terminal: TerminalId,
}

/// Why somebody may not, or why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The policy service said no.
    #[error("refused: {0:?}")]
    Refused(EndReason),
    /// It did not answer, or not in words that we know: nothing may happen.
    #[error("the policy service gave no answer")]
    NoAnswer(#[source] CallError),
}

impl Policy {
    /// Speaks through this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Writes to the ledger. The index is there only when the entry is durable.
    pub async fn record(&self, event: Event) -> Result<u64, PolicyError> {
        self.client
            .call(&Record { event })
            .await
            .map(|recorded| recorded.index)
            .map_err(PolicyError::NoAnswer)
    }

    /// May this person do that?
    pub async fn allow(
        &self,
        actor: &Actor,
        action: Action,
        resource: Resource,
    ) -> Result<(), PolicyError> {
        let decided = self
            .client
            .call(&Decide {
                person: actor.person.clone(),
                terminal: actor.terminal.clone(),
                action,
                resource,
            })
            .await
            .map_err(PolicyError::NoAnswer)?;
        match decided {
            Decided::Allowed => Ok(()),
            Decided::Refused(reason) => Err(PolicyError::Refused(reason)),
        }
    }

    /// Whose SSH key is this (`TYPE BASE64`)?
    pub async fn terminal_of_key(&self, key: &str) -> Result<Option<KnownTerminal>, PolicyError> {
        self.client
            .call(&LookUpTerminal::SshKey(key.to_owned()))
            .await
            .map_err(PolicyError::NoAnswer)
    }

    /// Who is this?
    pub async fn person(&self, person: &PersonId) -> Result<Option<KnownPerson>, PolicyError> {
        self.client
            .call(&LookUpPerson {
                person: person.clone(),
            })
            .await
            .map_err(PolicyError::NoAnswer)
    }
}
