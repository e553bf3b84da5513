//! The steps of a sign-in, as types: a step that was not taken can't be handed on.

use kekkai_policy_api::{Factor, KnownTerminal};
use kekkai_types::{PersonId, TerminalId};

/// The terminal proved itself: by its SSH key, or by its client certificate.
///
/// Whether it may be this person's is checked with the first factor, so that whoever holds a terminal
/// learns nothing about other people from it.
#[derive(Debug)]
pub struct TerminalProved {
    person: PersonId,
    terminal: TerminalId,
    is_persons: bool,
    attempt: u64,
}

impl TerminalProved {
    /// Begins an attempt of a person, as named by whoever is there, at a terminal that showed its key.
    pub fn new(person: PersonId, known: &KnownTerminal) -> Result<Self, getrandom::Error> {
        Ok(Self {
            is_persons: known.people.is_empty() || known.people.contains(&person),
            person,
            terminal: known.terminal.clone(),
            attempt: getrandom::u64()?,
        })
    }

    /// As named by whoever is there.
    pub fn person(&self) -> &PersonId {
        &self.person
    }

    /// Where.
    pub fn terminal(&self) -> &TerminalId {
        &self.terminal
    }

    pub(crate) fn is_persons(&self) -> bool {
        self.is_persons
    }

    pub(crate) fn attempt(&self) -> u64 {
        self.attempt
    }
}

/// An allowed authenticator verified its user, for this attempt.
#[derive(Debug)]
#[must_use = "one factor is not a sign-in"]
pub struct Approved {
    pub(crate) person: PersonId,
    pub(crate) attempt: u64,
}

/// The token's code was right and had never been used, in this attempt.
#[derive(Debug)]
#[must_use = "one factor is not a sign-in"]
pub struct TokenProved {
    pub(crate) person: PersonId,
    pub(crate) attempt: u64,
}

/// A person with both factors, at a registered terminal. Neither `Clone` nor `Deserialize`.
#[derive(Debug)]
#[must_use = "nobody was let in yet"]
pub struct SignedIn {
    person: PersonId,
    terminal: TerminalId,
}

impl SignedIn {
    /// The only constructor; `None` when the steps belong to different attempts.
    pub(crate) fn join(
        proved: TerminalProved,
        approved: Approved,
        token: TokenProved,
    ) -> Option<Self> {
        let one_attempt = proved.attempt == approved.attempt && proved.attempt == token.attempt;
        let one_person = proved.person == approved.person && proved.person == token.person;
        (one_attempt && one_person && proved.is_persons).then_some(Self {
            person: proved.person,
            terminal: proved.terminal,
        })
    }

    /// Who.
    pub fn person(&self) -> &PersonId {
        &self.person
    }

    /// Where.
    pub fn terminal(&self) -> &TerminalId {
        &self.terminal
    }

    /// What was verified: all three, or there would be no [`SignedIn`].
    pub fn factors(&self) -> Vec<Factor> {
        vec![Factor::Biometric, Factor::Token, Factor::Terminal]
    }
}
