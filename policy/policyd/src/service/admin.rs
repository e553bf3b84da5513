//! What operator staff change: people, terminals, rosters, the end of agreements.

use kekkai_policy_api::{
    AddHandler, AddPerson, AddTerminal, EndAgreement, Event, KnownPerson, ListState, RemoveHandler,
    RevokeTerminal, StateSummary,
};
use kekkai_types::{AgreementId, Peer, PersonId, Refusal, Role, Timestamp};

use super::{Service, State, stored};
use crate::store::{PersonRow, TerminalRow};

/// A name for the screens, in characters.
const NAME_MAX: usize = 100;
/// A reason for the ledger, in characters.
const REASON_MAX: usize = 1_000;
/// An OpenSSH public key, in bytes: RSA keys are longer than any that we take.
const SSH_KEY_MAX: usize = 1_024;

impl State {
    /// The member of staff whom the certificate names. Until an operator is registered, the
    /// certificate alone counts: somebody must register the first one.
    pub(super) fn admin<'a>(&self, from: &'a Peer) -> Result<&'a PersonId, Refusal> {
        let Peer::Admin(person) = from else {
            return Err(Refusal::new("caller-not-allowed", from.to_uri()));
        };
        let is_operator = |person: &PersonId| {
            self.facts
                .people
                .get(person)
                .is_some_and(|known| known.roles.contains(&Role::Operator))
        };
        if is_operator(person) || !self.facts.people.keys().any(is_operator) {
            Ok(person)
        } else {
            Err(Refusal::new("role-not-allowed", person.as_str()))
        }
    }

    /// An agreement that still runs, for a change to it.
    pub(super) fn running(&self, id: &AgreementId) -> Result<(), Refusal> {
        match self.facts.agreements.get(id) {
            None => Err(Refusal::not_found(id.as_str())),
            Some(agreement) if agreement.ended => Err(Refusal::new("agreement-ended", id.as_str())),
            Some(_) => Ok(()),
        }
    }
}

impl Service {
    /// Registers a person, or changes name, language and roles.
    pub fn add_person(&self, from: &Peer, call: AddPerson, now: Timestamp) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        if call.name.trim().is_empty() || call.name.chars().count() > NAME_MAX {
            return Err(Refusal::new(
                "name-not-allowed",
                format!("1 to {NAME_MAX} characters"),
            ));
        }
        let row = PersonRow {
            id: call.person,
            name: call.name,
            lang: call.lang,
            roles: call.roles.into_iter().collect(),
        };
        // Without an operator nobody could register one; the bootstrap must not open again.
        let others = state
            .facts
            .people
            .iter()
            .any(|(id, known)| *id != row.id && known.roles.contains(&Role::Operator));
        let was = state
            .facts
            .people
            .get(&row.id)
            .is_some_and(|known| known.roles.contains(&Role::Operator));
        if was && !others && !row.roles.contains(&Role::Operator) {
            return Err(Refusal::new("last-operator", row.id.as_str()));
        }
        self.journal.record(
            from,
            now,
            Event::PersonRegistered {
                person: row.id.clone(),
                by,
            },
        )?;
        stored(state.store.put_person(&row))?;
        state.know_person(KnownPerson {
            person: row.id,
            name: row.name,
            lang: row.lang,
            roles: row.roles.into_iter().collect(),
            agreements: Vec::new(),
        });
        Ok(())
    }

    /// Registers a terminal, or changes one that is not revoked.
    pub fn add_terminal(
        &self,
        from: &Peer,
        call: AddTerminal,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        if state
            .terminals
            .get(&call.terminal)
            .is_some_and(|known| known.revoked)
        {
            return Err(Refusal::new("terminal-revoked", call.terminal.as_str()));
        }
        let ssh_key = call.ssh_key.as_deref().map(ssh_key).transpose()?;
        if ssh_key.is_none() && call.certificate_spki.is_none() {
            return Err(Refusal::new("terminal-has-no-key", call.terminal.as_str()));
        }
        // A key names one terminal: otherwise a revoked terminal could come back as another.
        let taken = state.terminals.values().find(|known| {
            known.id != call.terminal
                && ((ssh_key.is_some() && known.ssh_key == ssh_key)
                    || (call.certificate_spki.is_some() && known.spki == call.certificate_spki))
        });
        if let Some(other) = taken {
            return Err(Refusal::new("terminal-key-in-use", other.id.as_str()));
        }
        self.journal.record(
            from,
            now,
            Event::TerminalRegistered {
                terminal: call.terminal.clone(),
                class: call.class,
                by,
            },
        )?;
        let row = TerminalRow {
            id: call.terminal,
            class: call.class,
            ssh_key,
            spki: call.certificate_spki,
            people: call.people.into_iter().collect(),
            revoked: false,
        };
        stored(state.store.put_terminal(&row))?;
        state.know_terminal(row);
        Ok(())
    }

    /// Revokes a terminal for good.
    pub fn revoke_terminal(
        &self,
        from: &Peer,
        call: RevokeTerminal,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        let mut row = state
            .terminals
            .get(&call.terminal)
            .cloned()
            .ok_or_else(|| Refusal::not_found(call.terminal.as_str()))?;
        if row.revoked {
            return Ok(());
        }
        let terminal = call.terminal;
        self.journal
            .record(from, now, Event::TerminalRevoked { terminal, by })?;
        row.revoked = true;
        stored(state.store.put_terminal(&row))?;
        state.know_terminal(row);
        Ok(())
    }

    /// Puts a person on a roster.
    pub fn add_handler(
        &self,
        from: &Peer,
        call: AddHandler,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        state.running(&call.agreement)?;
        if !state.facts.people.contains_key(&call.person) {
            return Err(Refusal::not_found(call.person.as_str()));
        }
        if state.on_roster(&call.agreement, &call.person) {
            return Ok(());
        }
        self.journal.record(
            from,
            now,
            Event::HandlerAdded {
                agreement: call.agreement.clone(),
                person: call.person.clone(),
                by,
            },
        )?;
        stored(state.store.put_handler(&call.agreement, &call.person))?;
        state.counts.lift(&call.agreement, &call.person, now);
        if let Some(agreement) = state.facts.agreements.get_mut(&call.agreement) {
            agreement.roster.insert(call.person);
        }
        Ok(())
    }

    /// Takes a person off a roster.
    pub fn remove_handler(
        &self,
        from: &Peer,
        call: RemoveHandler,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        if !state.facts.agreements.contains_key(&call.agreement) {
            return Err(Refusal::not_found(call.agreement.as_str()));
        }
        if !state.on_roster(&call.agreement, &call.person) {
            return Err(Refusal::not_found(call.person.as_str()));
        }
        self.journal.record(
            from,
            now,
            Event::HandlerRemoved {
                agreement: call.agreement.clone(),
                person: call.person.clone(),
                by,
            },
        )?;
        stored(state.store.remove_handler(&call.agreement, &call.person))?;
        if let Some(agreement) = state.facts.agreements.get_mut(&call.agreement) {
            agreement.roster.remove(&call.person);
        }
        Ok(())
    }

    /// Ends an agreement for good, and destroys the keys that are its own.
    pub fn end_agreement(
        &self,
        from: &Peer,
        call: EndAgreement,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let by = state.admin(from)?.clone();
        if call.reason.trim().is_empty() || call.reason.chars().count() > REASON_MAX {
            return Err(Refusal::new(
                "reason-not-allowed",
                format!("1 to {REASON_MAX} characters"),
            ));
        }
        match state.facts.agreements.get(&call.agreement) {
            None => return Err(Refusal::not_found(call.agreement.as_str())),
            // Again: keys that could not be overwritten then are now.
            Some(agreement) if agreement.ended => return state.certify(&self.journal, now),
            Some(_) => {}
        }
        self.journal.record(
            from,
            now,
            Event::AgreementEnded {
                agreement: call.agreement.clone(),
                reason: call.reason.clone(),
                by,
            },
        )?;
        stored(
            state
                .store
                .end_agreement(&call.agreement, &call.reason, now),
        )?;
        if let Some(agreement) = state.facts.agreements.get_mut(&call.agreement) {
            agreement.ended = true;
        }
        state.extracts.forget(&call.agreement);
        state.certify(&self.journal, now)
    }

    /// Names and counts, nothing secret.
    pub fn list_state(
        &self,
        from: &Peer,
        _call: &ListState,
        now: Timestamp,
    ) -> Result<StateSummary, Refusal> {
        let state = self.state(now)?;
        state.admin(from)?;
        Ok(StateSummary {
            agreements: state
                .facts
                .agreements
                .iter()
                .map(|(id, agreement)| {
                    (
                        id.clone(),
                        !agreement.ended && agreement.terms.in_period(now),
                    )
                })
                .collect(),
            people: state.people.keys().cloned().collect(),
            terminals: state
                .terminals
                .values()
                .filter(|terminal| !terminal.revoked)
                .map(|terminal| terminal.id.clone())
                .collect(),
            datasets: state.catalogs.keys().cloned().collect(),
            extracts: state.extracts.list(),
            servers: state.enrolled.keys().cloned().collect(),
            references: state
                .references
                .iter()
                .map(|known| known.digest())
                .collect(),
            sessions: u64::try_from(state.sessions.len()).unwrap_or(u64::MAX),
            ledger_size: self.journal.size(now)?,
        })
    }
}

impl State {
    fn on_roster(&self, agreement: &AgreementId, person: &PersonId) -> bool {
        self.facts
            .agreements
            .get(agreement)
            .is_some_and(|agreement| agreement.roster.contains(person))
    }
}

/// `TYPE BASE64`, as `LookUpTerminal` asks for it: a comment is dropped.
fn ssh_key(text: &str) -> Result<String, Refusal> {
    let malformed = || Refusal::new("ssh-key-malformed", "TYPE BASE64 expected");
    if text.len() > SSH_KEY_MAX || text.trim().contains('\n') {
        return Err(malformed());
    }
    let mut parts = text.split_whitespace();
    match (parts.next(), parts.next()) {
        (Some(kind), Some(key)) if key.starts_with("AAAA") => Ok(format!("{kind} {key}")),
        _ => Err(malformed()),
    }
}
