//! May this person, at this terminal, begin a session?

use std::collections::BTreeSet;

use kekkai_policy_api::{ConsoleMode, DesktopTimes, EndReason, Factor, View};
use kekkai_types::{
    AgreementId, DisplayClass, PersonId, Role, TerminalClass, TerminalId, Timestamp,
};

use crate::{AgreementFacts, Facts, TerminalFacts};

/// What a session is asked for.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// Who.
    pub person: PersonId,
    /// Where.
    pub terminal: TerminalId,
    /// `None`: the only one that fits.
    pub agreement: Option<AgreementId>,
    /// What is to be shown.
    pub view: View,
    /// What the gateway verified.
    pub factors: Vec<Factor>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a session opens only when the answer allows it"]
pub enum Opening {
    /// Yes, and what the session owes.
    Allow(OpenObligations),
    /// No, and why.
    Refuse(EndReason),
}

/// What a session owes its agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenObligations {
    /// The agreement that was chosen.
    pub agreement: AgreementId,
    /// What the text console may show.
    pub console: ConsoleMode,
    /// The terminal's class.
    pub class: TerminalClass,
    /// The display that it offers.
    pub display: DisplayClass,
    /// Without input for this long, the session ends.
    pub idle_limit_s: u32,
    /// For a desktop.
    pub desktop: Option<DesktopTimes>,
}

/// All three, each time (R1): something the person is, something they hold, and where they are.
const FACTORS_NEEDED: [Factor; 3] = [Factor::Biometric, Factor::Token, Factor::Terminal];

/// May this person use this terminal at all?
pub fn may_use(terminal: &TerminalFacts, person: &PersonId) -> bool {
    !terminal.revoked && (terminal.people.is_empty() || terminal.people.contains(person))
}

/// Decides on a new session.
pub fn decide_open(facts: &Facts, request: &OpenRequest, now: Timestamp) -> Opening {
    match open(facts, request, now) {
        Ok(obligations) => Opening::Allow(obligations),
        Err(reason) => Opening::Refuse(reason),
    }
}

fn open(
    facts: &Facts,
    request: &OpenRequest,
    now: Timestamp,
) -> Result<OpenObligations, EndReason> {
    if FACTORS_NEEDED
        .iter()
        .any(|needed| !request.factors.contains(needed))
    {
        return Err(EndReason::FactorMissing);
    }
    let terminal = facts
        .terminals
        .get(&request.terminal)
        .filter(|terminal| may_use(terminal, &request.person))
        .ok_or(EndReason::TerminalNotAllowed)?;
    let (id, agreement) = choose(facts, request, now)?;
    state_allows(agreement, now)?;
    let display = terminal_allows(agreement, terminal, request.view)?;
    Ok(OpenObligations {
        agreement: id.clone(),
        console: agreement.terms.console,
        class: terminal.class,
        display,
        idle_limit_s: agreement.terms.idle_limit_s,
        desktop: match request.view {
            View::Console => None,
            View::Desktop => agreement.terms.desktop.map(|desktop| DesktopTimes {
                lock_after_s: desktop.lock_after_s,
                reconnect_limit_s: desktop.reconnect_limit_s,
            }),
        },
    })
}

/// May this person? Somebody who is not on a roster learns nothing about the agreement.
pub(crate) fn is_handler(facts: &Facts, agreement: &AgreementFacts, person: &PersonId) -> bool {
    agreement.roster.contains(person)
        && facts
            .people
            .get(person)
            .is_some_and(|known| known.roles.contains(&Role::Researcher))
}

fn choose<'a>(
    facts: &'a Facts,
    request: &OpenRequest,
    now: Timestamp,
) -> Result<(&'a AgreementId, &'a AgreementFacts), EndReason> {
    let mut mine = facts
        .agreements
        .iter()
        .filter(|(_, agreement)| is_handler(facts, agreement, &request.person));
    if let Some(id) = &request.agreement {
        return mine
            .find(|(mine, _)| *mine == id)
            .ok_or(EndReason::NoAgreement);
    }
    let mine: Vec<_> = mine.collect();
    let running: Vec<_> = mine
        .iter()
        .filter(|(_, agreement)| !agreement.ended && agreement.terms.in_period(now))
        .copied()
        .collect();
    match (running.as_slice(), mine.as_slice()) {
        ([only], _) | ([], [only]) => Ok(*only),
        ([], []) => Err(EndReason::NoAgreement),
        ([], several) if several.iter().all(|(_, agreement)| agreement.ended) => {
            Err(EndReason::AgreementEnded)
        }
        ([], _) => Err(EndReason::OutsidePeriod),
        _ => Err(EndReason::AmbiguousAgreement),
    }
}

/// Does the state allow it?
pub(crate) fn state_allows(agreement: &AgreementFacts, now: Timestamp) -> Result<(), EndReason> {
    if agreement.ended {
        Err(EndReason::AgreementEnded)
    } else if !agreement.terms.in_period(now) {
        Err(EndReason::OutsidePeriod)
    } else if !agreement.terms.in_hours(now) {
        Err(EndReason::OutsideHours)
    } else {
        Ok(())
    }
}

/// Do the terms allow a terminal of this class, and something to be shown there? Gives the display that
/// what is shown has: text over `ssh` is a console's, whatever stands on the desk.
pub(crate) fn terminal_allows(
    agreement: &AgreementFacts,
    terminal: &TerminalFacts,
    view: View,
) -> Result<DisplayClass, EndReason> {
    let classes: BTreeSet<TerminalClass> = agreement.terms.terminals();
    let display = terminal
        .class
        .display()
        .filter(|_| classes.contains(&terminal.class))
        .ok_or(EndReason::TerminalNotAllowed)?;
    match view {
        View::Console if agreement.terms.console == ConsoleMode::Off => Err(EndReason::ConsoleOff),
        View::Console => Ok(DisplayClass::Console),
        View::Desktop if display == DisplayClass::Console || agreement.terms.desktop.is_none() => {
            Err(EndReason::DesktopOff)
        }
        View::Desktop => Ok(display),
    }
}
