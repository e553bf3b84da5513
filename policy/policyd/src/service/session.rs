//! People and terminals at the door, sessions and their leases, decisions outside sessions.

use std::collections::BTreeMap;

use kekkai_policy::{
    Decision, Lease, OpenRequest, Opening, SessionFacts, decide, decide_lease, decide_open,
};
use kekkai_policy_api::{
    CloseSession, Decide, Decided, EndReason, Event, KnownPerson, KnownTerminal, LeaseState,
    LookUpPerson, LookUpTerminal, OpenSession, OpenedSession, RenewLeases, Resource,
};
use kekkai_types::{Lang, Peer, Refusal, SessionId, Timestamp};

use super::{HOLDER_SILENCE_MAX_S, SESSIONS_MAX, Service, Session, State, stored};
use crate::refuse;

/// Leases in one call, as the API says.
const LEASES_MAX: usize = 10_000;

impl Service {
    /// Who is this?
    pub fn look_up_person(
        &self,
        call: &LookUpPerson,
        now: Timestamp,
    ) -> Result<Option<KnownPerson>, Refusal> {
        let state = self.state(now)?;
        Ok(state.people.get(&call.person).map(|known| KnownPerson {
            agreements: state
                .facts
                .agreements
                .iter()
                .filter(|(_, agreement)| {
                    !agreement.ended
                        && agreement.terms.in_period(now)
                        && agreement.roster.contains(&call.person)
                })
                .map(|(id, _)| id.clone())
                .collect(),
            ..known.clone()
        }))
    }

    /// Which terminal is this? Revoked ones are nobody.
    pub fn look_up_terminal(
        &self,
        call: &LookUpTerminal,
        now: Timestamp,
    ) -> Result<Option<KnownTerminal>, Refusal> {
        let state = self.state(now)?;
        let found = match call {
            LookUpTerminal::Id(id) => state.terminals.get(id).filter(|known| !known.revoked),
            LookUpTerminal::SshKey(key) => state
                .terminals
                .values()
                .find(|known| !known.revoked && known.ssh_key.as_ref() == Some(key)),
        };
        Ok(found.map(|known| KnownTerminal {
            terminal: known.id.clone(),
            class: known.class,
            people: known.people.iter().cloned().collect(),
            certificate_spki: known.spki,
        }))
    }

    /// May this person, at this terminal, begin a session?
    pub fn open_session(
        &self,
        from: &Peer,
        call: OpenSession,
        now: Timestamp,
    ) -> Result<OpenedSession, Refusal> {
        let mut state = self.state(now)?;
        let request = OpenRequest {
            person: call.person,
            terminal: call.terminal,
            agreement: call.agreement,
            view: call.view,
            factors: call.factors,
        };
        let obligations = match decide_open(&state.facts, &request, now) {
            Opening::Allow(obligations) => obligations,
            Opening::Refuse(reason) => {
                let detail = request
                    .agreement
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                self.journal.record(
                    from,
                    now,
                    Event::SessionRefused {
                        person: request.person,
                        terminal: request.terminal,
                        agreement: request.agreement,
                        reason,
                    },
                )?;
                return Err(refuse::reason(reason, &detail));
            }
        };
        if state.sessions.len() >= SESSIONS_MAX {
            return Err(Refusal::new("too-many-sessions", SESSIONS_MAX.to_string()));
        }
        let session = SessionId::random().map_err(|_| refuse::internal())?;
        let terms = match state.facts.agreements.get(&obligations.agreement) {
            Some(agreement) => agreement.terms.clone(),
            None => return Err(refuse::internal()),
        };
        let lang = state
            .people
            .get(&request.person)
            .map_or(Lang::Ja, |known| known.lang);
        let title = terms.title.get(lang).to_owned();
        self.journal.record(
            from,
            now,
            Event::SessionOpened {
                session: session.clone(),
                person: request.person.clone(),
                terminal: request.terminal.clone(),
                class: obligations.class,
                agreement: obligations.agreement.clone(),
            },
        )?;
        let facts = SessionFacts {
            session: session.clone(),
            person: request.person,
            terminal: request.terminal,
            agreement: obligations.agreement.clone(),
            view: request.view,
            terms,
            released: None,
        };
        stored(state.store.put_session(&facts, now))?;
        state.sessions.insert(
            session.clone(),
            Session {
                facts,
                display: obligations.display,
                gateway_at: now,
                server_at: now,
                parts: std::collections::BTreeMap::new(),
            },
        );
        Ok(OpenedSession {
            session,
            agreement: obligations.agreement,
            title,
            console: obligations.console,
            class: obligations.class,
            idle_limit_s: obligations.idle_limit_s,
            desktop: obligations.desktop,
        })
    }

    /// Judges sessions anew, each by the facts of this moment.
    pub fn renew_leases(
        &self,
        from: &Peer,
        call: RenewLeases,
        now: Timestamp,
    ) -> Result<BTreeMap<SessionId, LeaseState>, Refusal> {
        if call.sessions.len() > LEASES_MAX {
            return Err(Refusal::new("too-many-sessions", LEASES_MAX.to_string()));
        }
        let mut state = self.state(now)?;
        let mut answers = BTreeMap::new();
        let mut over = Vec::new();
        for id in call.sessions {
            let answer = state.lease(from, &id, now)?;
            if let (LeaseState::Ended(reason), true) = (answer, state.holds(from, &id)) {
                over.push((id.clone(), reason));
            }
            answers.insert(id, answer);
        }
        self.end(&mut state, &over, now)?;
        Ok(answers)
    }

    /// Ends the sessions that nobody holds any more.
    pub fn sweep(&self, now: Timestamp) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        let silent = |at: Timestamp| now.ms_since(at) > HOLDER_SILENCE_MAX_S * 1_000;
        let over: Vec<_> = state
            .sessions
            .iter()
            .filter_map(|(id, session)| {
                if silent(session.gateway_at) {
                    Some((id.clone(), EndReason::Disconnected))
                } else if session.facts.released.is_some() && silent(session.server_at) {
                    Some((id.clone(), EndReason::ServerLost))
                } else {
                    None
                }
            })
            .collect();
        self.end(&mut state, &over, now)?;
        let old = |at: Timestamp, life_s: i64| now.ms_since(at) > life_s * 1_000;
        state
            .nonces
            .retain(|_, issued| !old(issued.at, super::NONCE_LIFE_S));
        state
            .pending
            .retain(|_, (_, at)| !old(*at, super::PENDING_LIFE_S));
        Ok(())
    }

    /// Ends a session at its holder's word. A session that is over already stays so.
    pub fn close_session(
        &self,
        from: &Peer,
        call: CloseSession,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        if state.holds(from, &call.session) {
            return self.end(&mut state, &[(call.session, call.reason)], now);
        }
        match stored(state.store.session(&call.session))? {
            Some(row) if row.ended.is_some() && may_hold(from, row.server.as_ref()) => Ok(()),
            _ => Err(Refusal::not_found(call.session.as_str())),
        }
    }

    /// May this person do that?
    pub fn decide(&self, from: &Peer, call: Decide, now: Timestamp) -> Result<Decided, Refusal> {
        let state = self.state(now)?;
        let decision = decide(
            &state.facts,
            &call.person,
            &call.terminal,
            call.action,
            &call.resource,
        );
        let (answer, reason, record) = match decision {
            Decision::Allow(obligations) => (Decided::Allowed, None, obligations.record),
            Decision::Refuse(reason) => (
                Decided::Refused(reason),
                Some(reason),
                call.action != kekkai_policy_api::Action::SeeQueue,
            ),
        };
        if record {
            self.journal.record(
                from,
                now,
                Event::Decided {
                    person: call.person,
                    action: call.action,
                    resource: describe(&call.resource),
                    allowed: reason.is_none(),
                    reason,
                },
            )?;
        }
        Ok(answer)
    }

    /// Ends sessions: in the ledger first.
    pub(super) fn end(
        &self,
        state: &mut State,
        over: &[(SessionId, EndReason)],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if over.is_empty() {
            return Ok(());
        }
        let events = over
            .iter()
            .map(|(session, reason)| Event::SessionEnded {
                session: session.clone(),
                reason: *reason,
            })
            .collect();
        self.journal.record_all(&Peer::Policy, now, events)?;
        stored(state.store.end_sessions(over, now))?;
        for (session, _) in over {
            state.sessions.remove(session);
        }
        Ok(())
    }
}

/// The gateway holds every session; an analysis server those whose keys it got.
fn may_hold(from: &Peer, server: Option<&kekkai_types::ServerId>) -> bool {
    match from {
        Peer::Gateway => true,
        Peer::Analysis(id) => server.is_none_or(|server| server == id),
        Peer::Policy | Peer::Review | Peer::Admin(_) | Peer::Terminal(_) => false,
    }
}

impl State {
    /// Is it open, and may this peer speak for it?
    fn holds(&self, from: &Peer, id: &SessionId) -> bool {
        self.sessions.get(id).is_some_and(|session| {
            let server = session.facts.released.as_ref().map(|(server, _, _)| server);
            may_hold(from, server)
        })
    }

    fn lease(
        &mut self,
        from: &Peer,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<LeaseState, Refusal> {
        if let Some(answer) = self.part_lease(from, id, now) {
            return Ok(answer);
        }
        if !self.holds(from, id) {
            // Unknown, over, or another server's: the last looks like the first.
            let ended = stored(self.store.session(id))?
                .filter(|row| may_hold(from, row.server.as_ref()))
                .and_then(|row| row.ended);
            return Ok(LeaseState::Ended(ended.unwrap_or(EndReason::ServerLost)));
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return Err(refuse::internal());
        };
        match from {
            Peer::Gateway => session.gateway_at = now,
            _ => session.server_at = now,
        }
        Ok(match decide_lease(&self.facts, &session.facts, now) {
            Lease::Live => LeaseState::Live,
            Lease::End(reason) => LeaseState::Ended(reason),
        })
    }
}

/// For the ledger.
fn describe(resource: &Resource) -> String {
    match resource {
        Resource::Queue => "queue".to_owned(),
        Resource::Output {
            output,
            agreement,
            author,
        } => {
            format!("output {output} of {author} under {agreement}")
        }
        Resource::Tool {
            tool,
            agreement,
            author,
        } => {
            format!("tool {tool} of {author} under {agreement}")
        }
        Resource::Session {
            session,
            agreement,
            person,
        } => {
            format!("session {session} of {person} under {agreement}")
        }
        Resource::Agreement(agreement) => format!("agreement {agreement}"),
        Resource::Account(person) => format!("account {person}"),
    }
}
