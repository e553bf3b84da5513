//! Entries that other services write through this one. Each service may say what it alone can know,
//! and nothing in another's name.

use kekkai_policy_api::{Event, Record, Recorded};
use kekkai_types::{AgreementId, Peer, PeerKind, PersonId, Refusal, SessionId, Timestamp};

use super::{Service, State, stored};

impl Service {
    /// Writes an event of another service.
    pub fn record(&self, from: &Peer, call: Record, now: Timestamp) -> Result<Recorded, Refusal> {
        let mut event = call.event;
        if !may_say(from.kind(), &event) {
            return Err(Refusal::new("event-not-allowed", from.to_uri()));
        }
        let counted = {
            let mut state = self.state(now)?;
            state.agrees(from, &event)?;
            // Counted before it is recorded: what a crash leaves between the two is counted, and did not happen.
            state.count(&mut event, now)?
        };
        if !counted.events.is_empty() {
            self.journal
                .record_all(&Peer::Policy, now, counted.events)?;
        }
        if let Some((agreement, person)) = counted.suspended {
            self.suspend(&agreement, &person, now)?;
            return Err(Refusal::new("use-suspended", agreement.as_str()));
        }
        // Not under the lock: entries that come at the same time share the disk's syncs.
        let index = self.journal.record(from, now, event)?;
        Ok(Recorded {
            index,
            rows_max: counted.rows_max,
            wait_ms: counted.wait_ms,
        })
    }

    /// Takes somebody off the roster, which ends their sessions: only staff puts them back. The ledger says so
    /// already.
    fn suspend(
        &self,
        agreement: &AgreementId,
        person: &PersonId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut state = self.state(now)?;
        stored(state.store.remove_handler(agreement, person))?;
        if let Some(facts) = state.facts.agreements.get_mut(agreement) {
            facts.roster.remove(person);
        }
        Ok(())
    }
}

/// Which service may record what. Events that this service writes itself are nobody else's.
pub(super) fn may_say(kind: PeerKind, event: &Event) -> bool {
    let sayers: &[PeerKind] = match event {
        Event::ServiceStarted { .. } | Event::ServiceStopped => {
            &[PeerKind::Gateway, PeerKind::Analysis, PeerKind::Review]
        }
        Event::SignInRefused { .. }
        | Event::SignInAccepted { .. }
        | Event::AccountLocked { .. }
        | Event::AccountUnlocked { .. }
        | Event::CredentialEnrolled { .. } => &[PeerKind::Gateway],
        Event::RequestRefused { .. } => &[PeerKind::Gateway, PeerKind::Analysis, PeerKind::Review],
        Event::ScreenAttached { .. }
        | Event::ScreenDetached { .. }
        | Event::SessionWatched { .. }
        | Event::SessionWatchEnded { .. } => &[PeerKind::Gateway],
        Event::SessionLaunched { .. }
        | Event::PartLaunched { .. }
        | Event::PartEnded { .. }
        | Event::TypingHeld { .. }
        | Event::RowsShown { .. }
        | Event::RecordingBegan { .. }
        | Event::RecordingReached { .. }
        | Event::RecordingFailed { .. }
        | Event::QueryStarted { .. }
        | Event::QueryEnded { .. }
        | Event::RunStarted { .. }
        | Event::RunQueried { .. }
        | Event::RunEnded { .. }
        | Event::ProcessKilled { .. }
        | Event::ArtefactRefused { .. } => &[PeerKind::Analysis],
        Event::ToolSubmitted { .. }
        | Event::ToolRefused { .. }
        | Event::ToolVoted { .. }
        | Event::ToolAdmitted { .. }
        | Event::ToolRejected { .. }
        | Event::ToolWithdrawn { .. } => &[PeerKind::Review],
        Event::OutputSubmitted { .. }
        | Event::OutputVoted { .. }
        | Event::VoteRefused { .. }
        | Event::OutputReturned { .. }
        | Event::OutputRejected { .. }
        | Event::OutputReleased { .. } => &[PeerKind::Review],
        // The review service hands the bundle out; the gateway sees it pass.
        Event::BundleFetched { .. } => &[PeerKind::Gateway, PeerKind::Review],
        Event::SessionOpened { .. }
        | Event::SessionRefused { .. }
        | Event::SessionEnded { .. }
        | Event::Decided { .. }
        | Event::ServerExpected { .. }
        | Event::ServerEnrolled { .. }
        | Event::EnrolmentRefused { .. }
        | Event::KeysReleased { .. }
        | Event::KeysRefused { .. }
        | Event::PartAdmitted { .. }
        | Event::PartRefused { .. }
        | Event::AgreementRegistered { .. }
        | Event::AgreementEnded { .. }
        | Event::HandlerAdded { .. }
        | Event::HandlerRemoved { .. }
        | Event::UseUnusual { .. }
        | Event::UseSuspended { .. }
        | Event::PersonRegistered { .. }
        | Event::TerminalRegistered { .. }
        | Event::TerminalRevoked { .. }
        | Event::DatasetRegistered { .. }
        | Event::ExtractRegistered { .. }
        | Event::ExtractKeysDestroyed { .. }
        | Event::EnquiryRecorded { .. }
        | Event::ReferenceAdded { .. }
        | Event::ReferenceWithdrawn { .. } => &[],
    };
    sayers.contains(&kind)
}

impl State {
    /// Does the event agree with what this service knows of the session?
    fn agrees(&self, from: &Peer, event: &Event) -> Result<(), Refusal> {
        match event {
            Event::SessionLaunched {
                session, server, ..
            } => {
                if *from != Peer::Analysis(server.clone()) {
                    return Err(Refusal::new("event-not-allowed", from.to_uri()));
                }
                self.runs_on(from, session, true)
            }
            Event::PartLaunched {
                session, server, ..
            } => self.part_of(from, session, server),
            // The session may be over, and then this service knows no parts of it.
            Event::PartEnded { server, .. } if *from != Peer::Analysis(server.clone()) => {
                Err(Refusal::new("event-not-allowed", from.to_uri()))
            }
            // Nothing begins in a session that is over, even if its holder did not hear it yet.
            Event::QueryStarted { session, .. }
            | Event::RunStarted { session, .. }
            | Event::RunQueried { session, .. }
            | Event::RowsShown { session, .. }
            | Event::RecordingBegan { session, .. } => self.runs_on(from, session, true),
            Event::QueryEnded { session, .. }
            | Event::RunEnded { session, .. }
            | Event::TypingHeld { session, .. }
            | Event::RecordingReached { session, .. }
            | Event::RecordingFailed { session, .. }
            // A process of the pool has no session yet.
            | Event::ProcessKilled {
                session: Some(session),
                ..
            } => self.runs_on(from, session, false),
            // A screen is shown of a session that is open, and of none other.
            Event::ScreenAttached { session, .. } | Event::SessionWatched { session, .. } => {
                match stored(self.store.session(session))? {
                    Some(row) if row.ended.is_none() => Ok(()),
                    Some(_) => Err(Refusal::new("session-ended", session.as_str())),
                    None => Err(Refusal::not_found(session.as_str())),
                }
            }
            Event::ArtefactRefused { server, .. } if *from != Peer::Analysis(server.clone()) => {
                Err(Refusal::new("event-not-allowed", from.to_uri()))
            }
            Event::OutputSubmitted {
                author,
                agreement,
                session,
                kind,
                ..
            } => {
                stored(self.store.session(session))?
                    .filter(|row| row.person == *author && row.agreement == *agreement)
                    .ok_or_else(|| Refusal::not_found(session.as_str()))?;
                let agreed = self.facts.agreements.get(agreement);
                let is_agreed = agreed
                    .zip(*kind)
                    .is_some_and(|(facts, kind)| facts.terms.final_outputs.contains(&kind));
                if is_agreed {
                    Ok(())
                } else {
                    Err(Refusal::new("output-kind", agreement.as_str()))
                }
            }
            // Invariant 4: two people.
            Event::OutputReleased {
                reviewers: [one, other],
                output,
                ..
            } if one == other => Err(Refusal::new("same-reviewer-twice", output.as_str())),
            Event::ToolAdmitted {
                reviewers: [one, other],
                tool,
                ..
            } if one == other => Err(Refusal::new("same-reviewer-twice", tool)),
            _ => Ok(()),
        }
    }

    /// Is this the server that got the session's keys?
    fn runs_on(&self, from: &Peer, session: &SessionId, must_be_open: bool) -> Result<(), Refusal> {
        let known = stored(self.store.session(session))?
            .filter(|row| row.server.clone().map(Peer::Analysis).as_ref() == Some(from))
            .ok_or_else(|| Refusal::not_found(session.as_str()))?;
        match known.ended {
            Some(_) if must_be_open => Err(Refusal::new("session-ended", session.as_str())),
            _ => Ok(()),
        }
    }
}
