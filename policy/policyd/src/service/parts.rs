//! Parts of a session on further analysis servers.
//!
//! The server that holds a session names another ([`Service::admit_part`]); that one shows a quote of its own and
//! gets the session's terms and keys, wrapped for its own TPM. From then on it renews a lease of its own, judged
//! by the same rules: the session must live, and *this* server's evidence must still be good. A part that may not
//! go on ends alone; a session that may not go on ends with all its parts.

use kekkai_policy::{Lease, decide_lease};
use kekkai_policy_api::{AdmitPart, Event, LeaseState};
use kekkai_types::{Digest, Peer, Refusal, ServerId, SessionId, Timestamp};

use super::attest::server_of;
use super::{Service, Session, State};

/// Servers besides its own that one session may run on.
const PARTS_MAX: usize = 32;

/// What is known of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// It may ask for keys, once.
    Admitted,
    /// It has them.
    Released {
        /// The attestation key that quoted.
        ak: String,
        /// The reference values that the quote met.
        reference: Digest,
    },
}

impl Service {
    /// May `server` run a part of the caller's session?
    pub fn admit_part(&self, from: &Peer, call: &AdmitPart, now: Timestamp) -> Result<(), Refusal> {
        let leader = server_of(from)?;
        let mut state = self.state(now)?;
        let is_enrolled = state.enrolled.contains_key(&call.server);
        // Somebody else's session looks like none, and writes nothing: ids can't be tried.
        let session = state
            .sessions
            .get_mut(&call.session)
            .filter(|session| session.runs_on(leader))
            .ok_or_else(|| Refusal::not_found(call.session.as_str()))?;
        let judged = match is_enrolled {
            true => session.judge_part(leader, &call.server),
            false => Err(Refusal::new("server-not-enrolled", call.server.as_str())),
        };
        let (session, server, leader) = (call.session.clone(), call.server.clone(), leader.clone());
        let event = match &judged {
            Ok(()) => Event::PartAdmitted {
                session,
                server,
                leader,
            },
            Err(refusal) => Event::PartRefused {
                session,
                server,
                leader,
                reason: refusal.to_string(),
            },
        };
        self.journal.record(from, now, event)?;
        judged?;
        if let Some(session) = state.sessions.get_mut(&call.session) {
            session.parts.insert(call.server.clone(), Part::Admitted);
        }
        Ok(())
    }
}

impl Session {
    fn runs_on(&self, server: &ServerId) -> bool {
        let released = self.facts.released.as_ref();
        released.is_some_and(|(holder, _, _)| holder == server)
    }

    fn judge_part(&self, leader: &ServerId, server: &ServerId) -> Result<(), Refusal> {
        if leader == server {
            return Err(Refusal::new("part-is-the-session", server.as_str()));
        }
        if self.parts.len() >= PARTS_MAX && !self.parts.contains_key(server) {
            return Err(Refusal::new("too-many-parts", PARTS_MAX.to_string()));
        }
        Ok(())
    }

    /// Whether keys may go to `server` for a part.
    pub(super) fn admits(&self, server: &ServerId) -> bool {
        self.parts.get(server) == Some(&Part::Admitted)
    }
}

impl State {
    /// `server` has the session's keys.
    pub(super) fn part_released(
        &mut self,
        session: &SessionId,
        server: &ServerId,
        ak: String,
        reference: Digest,
    ) {
        if let Some(session) = self.sessions.get_mut(session) {
            let part = Part::Released { ak, reference };
            session.parts.insert(server.clone(), part);
        }
    }

    /// Whether a part may go on; `None`: the caller has no part of this session.
    pub(super) fn part_lease(
        &self,
        from: &Peer,
        session: &SessionId,
        now: Timestamp,
    ) -> Option<LeaseState> {
        let Peer::Analysis(server) = from else {
            return None;
        };
        let session = self.sessions.get(session)?;
        let Part::Released { ak, reference } = session.parts.get(server)? else {
            return None;
        };
        // The session itself first, then the same question with this server's evidence in place of its own.
        let mut facts = session.facts.clone();
        let whole = decide_lease(&self.facts, &facts, now);
        facts.released = Some((server.clone(), ak.clone(), *reference));
        let part = decide_lease(&self.facts, &facts, now);
        Some(match (whole, part) {
            (Lease::Live, Lease::Live) => LeaseState::Live,
            (Lease::End(reason), _) | (_, Lease::End(reason)) => LeaseState::Ended(reason),
        })
    }

    /// A part is launched by the server that has its keys.
    pub(super) fn part_of(
        &self,
        from: &Peer,
        session: &SessionId,
        server: &ServerId,
    ) -> Result<(), Refusal> {
        let part = self
            .sessions
            .get(session)
            .and_then(|session| session.parts.get(server));
        match part {
            Some(Part::Released { .. }) if *from == Peer::Analysis(server.clone()) => Ok(()),
            _ => Err(Refusal::new("event-not-allowed", from.to_uri())),
        }
    }
}
