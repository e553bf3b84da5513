//! May a running session go on? Asked each second, with the facts of that second.

use kekkai_policy_api::EndReason;
use kekkai_types::Timestamp;

use crate::open::{is_handler, may_use, state_allows, terminal_allows};
use crate::{Facts, SessionFacts};

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a session that may not go on must end"]
pub enum Lease {
    /// It may go on.
    Live,
    /// It must end, and why.
    End(EndReason),
}

/// Decides whether a session may go on.
pub fn decide_lease(facts: &Facts, session: &SessionFacts, now: Timestamp) -> Lease {
    match go_on(facts, session, now) {
        Ok(()) => Lease::Live,
        Err(reason) => Lease::End(reason),
    }
}

fn go_on(facts: &Facts, session: &SessionFacts, now: Timestamp) -> Result<(), EndReason> {
    let agreement = facts
        .agreements
        .get(&session.agreement)
        .ok_or(EndReason::NoAgreement)?;
    // The end of the agreement comes first: it is what the person should read.
    if agreement.ended {
        return Err(EndReason::AgreementEnded);
    }
    if !is_handler(facts, agreement, &session.person) {
        return Err(EndReason::NotOnRoster);
    }
    let terminal = facts
        .terminals
        .get(&session.terminal)
        .filter(|terminal| may_use(terminal, &session.person))
        .ok_or(EndReason::TerminalNotAllowed)?;
    state_allows(agreement, now)?;
    terminal_allows(agreement, terminal, session.view)?;
    // The session works by the terms that it began with; under others it has to begin again.
    if !agreement.terms.same_in_session(&session.terms) {
        return Err(EndReason::AgreementEnded);
    }
    if let Some((server, ak, reference)) = &session.released {
        // Another AK under the same name is another machine: what it holds now proves nothing.
        let same_server = facts
            .servers
            .get(server)
            .is_some_and(|enrolled| enrolled.ak_public == *ak);
        if !same_server || !facts.references.contains(reference) {
            return Err(EndReason::ServerNotTrusted);
        }
    }
    Ok(())
}
