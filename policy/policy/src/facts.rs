//! What decisions look at: the state of the policy service at one moment.

use std::collections::{BTreeMap, BTreeSet};

use kekkai_policy_api::View;
use kekkai_types::{
    AgreementId, Digest, PersonId, Role, ServerId, SessionId, TerminalClass, TerminalId,
};

use crate::Agreement;

/// Everything that decisions may look at.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Registered people.
    pub people: BTreeMap<PersonId, PersonFacts>,
    /// Registered terminals, revoked ones too.
    pub terminals: BTreeMap<TerminalId, TerminalFacts>,
    /// Agreements, ended ones too.
    pub agreements: BTreeMap<AgreementId, AgreementFacts>,
    /// Enrolled analysis servers.
    pub servers: BTreeMap<ServerId, ServerFacts>,
    /// Reference values in force.
    pub references: BTreeSet<Digest>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PersonFacts {
    /// What the person may be.
    pub roles: BTreeSet<Role>,
}

/// A terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalFacts {
    /// Its class.
    pub class: TerminalClass,
    /// Who may use it; empty: anyone on a roster that allows its class.
    pub people: BTreeSet<PersonId>,
    /// Revoked for good.
    pub revoked: bool,
}

/// An agreement, with what changes while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementFacts {
    /// Its terms.
    pub terms: Agreement,
    /// The handlers of today.
    pub roster: BTreeSet<PersonId>,
    /// Ended by staff, for good.
    pub ended: bool,
}

/// An enrolled analysis server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// The AK that it enrolled with.
    pub ak_public: String,
}

/// A session that was opened and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// The session.
    pub session: SessionId,
    /// Whose.
    pub person: PersonId,
    /// Where.
    pub terminal: TerminalId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// As what it shows itself.
    pub view: View,
    /// Its terms when the session began.
    pub terms: Agreement,
    /// Once keys were released: the server, the AK that quoted, and the reference that it met.
    pub released: Option<(ServerId, String, Digest)>,
}
