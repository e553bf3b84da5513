//! May this person do that, outside a session?
//!
//! The golden table `tests/golden/decisions.txt` shows every action with every kind of person.

use kekkai_policy_api::{Action, EndReason, Resource};
use kekkai_types::{AgreementId, PersonId, Role, TerminalClass, TerminalId};

use crate::open::may_use;
use crate::{AgreementFacts, Facts};

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "nothing happens unless the answer allows it"]
pub enum Decision {
    /// Yes, and what is owed for it.
    Allow(Obligations),
    /// No, and why.
    Refuse(EndReason),
}

/// What an allowed action owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obligations {
    /// The answer is written to the ledger before it is given. Only looking at the queue is not: a
    /// page that reloads itself would bury the entries that matter.
    pub record: bool,
}

/// Decides on an action outside a session.
pub fn decide(
    facts: &Facts,
    person: &PersonId,
    terminal: &TerminalId,
    action: Action,
    resource: &Resource,
) -> Decision {
    let answer = at_terminal(facts, person, terminal, action)
        .and_then(|()| may_person(facts, person, action, resource))
        .and_then(|()| state_allows(facts, action, resource));
    match answer {
        Ok(()) => Decision::Allow(Obligations {
            record: action != Action::SeeQueue,
        }),
        Err(reason) => Decision::Refuse(reason),
    }
}

/// Staff act at staff terminals, everybody else at theirs.
fn at_terminal(
    facts: &Facts,
    person: &PersonId,
    terminal: &TerminalId,
    action: Action,
) -> Result<(), EndReason> {
    let terminal = facts
        .terminals
        .get(terminal)
        .filter(|terminal| may_use(terminal, person))
        .ok_or(EndReason::TerminalNotAllowed)?;
    let staff_terminal = terminal.class == TerminalClass::Operator;
    let staff_action = match action {
        Action::SeeQueue
        | Action::Vote
        | Action::WatchSession
        | Action::EndSession
        | Action::Unlock
        | Action::EnrolCredential => true,
        Action::SeeOutputs | Action::FetchRelease | Action::BringTool => false,
    };
    if staff_terminal == staff_action {
        Ok(())
    } else {
        Err(EndReason::TerminalNotAllowed)
    }
}

fn has(facts: &Facts, person: &PersonId, role: Role) -> bool {
    facts
        .people
        .get(person)
        .is_some_and(|known| known.roles.contains(&role))
}

/// May this person?
fn may_person(
    facts: &Facts,
    person: &PersonId,
    action: Action,
    resource: &Resource,
) -> Result<(), EndReason> {
    match (action, resource) {
        (Action::SeeQueue, Resource::Queue) => need(
            has(facts, person, Role::Reviewer),
            EndReason::RoleNotAllowed,
        ),
        (
            Action::SeeQueue | Action::Vote,
            Resource::Output {
                agreement, author, ..
            }
            | Resource::Tool {
                agreement, author, ..
            },
        ) => review(facts, person, agreement, author),
        (Action::SeeOutputs, Resource::Agreement(id)) => {
            let agreement = visible(facts, person, id)?;
            need(
                takes_part(facts, agreement, person),
                EndReason::RoleNotAllowed,
            )
        }
        (
            Action::SeeOutputs,
            Resource::Output {
                agreement: id,
                author,
                ..
            },
        ) => {
            let agreement = visible(facts, person, id)?;
            let answers = answers_for(facts, agreement, person);
            let own = author == person && takes_part(facts, agreement, person);
            need(answers || own, EndReason::RoleNotAllowed)
        }
        (Action::FetchRelease, Resource::Output { agreement: id, .. }) => {
            let agreement = visible(facts, person, id)?;
            need(
                answers_for(facts, agreement, person),
                EndReason::RoleNotAllowed,
            )
        }
        (
            Action::BringTool,
            Resource::Tool {
                tool,
                agreement: id,
                author,
            },
        ) => {
            let agreement = visible(facts, person, id)?;
            let is_own = author == person && takes_part(facts, agreement, person);
            need(is_own, EndReason::NotOnRoster)?;
            need(
                agreement.terms.provision.own_tools.contains(tool),
                EndReason::RoleNotAllowed,
            )
        }
        (
            Action::WatchSession | Action::EndSession,
            Resource::Session {
                agreement: id,
                person: whose,
                ..
            },
        ) => {
            // Supervision (R8) is the operators', and nobody's over their own project.
            if !has(facts, person, Role::Operator) {
                visible(facts, person, id)?;
                return Err(EndReason::RoleNotAllowed);
            }
            let agreement = facts.agreements.get(id).ok_or(EndReason::NoAgreement)?;
            let is_foreign = whose != person && !is_named(agreement, person);
            need(is_foreign, EndReason::RoleNotAllowed)
        }
        (Action::Unlock | Action::EnrolCredential, Resource::Account(account)) => {
            // Nobody lifts their own lock-out, nobody gives themselves a credential.
            need(
                has(facts, person, Role::Operator) && account != person,
                EndReason::RoleNotAllowed,
            )?;
            need(facts.people.contains_key(account), EndReason::NoAgreement)
        }
        // An action on something that it is not about.
        _ => Err(EndReason::RoleNotAllowed),
    }
}

fn need(holds: bool, otherwise: EndReason) -> Result<(), EndReason> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// Reviewers look at other people's work under agreements that they have no part in.
fn review(
    facts: &Facts,
    person: &PersonId,
    agreement: &AgreementId,
    author: &PersonId,
) -> Result<(), EndReason> {
    if !has(facts, person, Role::Reviewer) {
        // Whoever takes part knows that the agreement exists; nobody else learns it here.
        visible(facts, person, agreement)?;
        return Err(EndReason::RoleNotAllowed);
    }
    let agreement = facts
        .agreements
        .get(agreement)
        .ok_or(EndReason::NoAgreement)?;
    if author == person {
        return Err(EndReason::OwnOutput);
    }
    need(!is_named(agreement, person), EndReason::RoleNotAllowed)
}

/// The agreement, for those who may know of it; for all others it doesn't exist.
fn visible<'a>(
    facts: &'a Facts,
    person: &PersonId,
    agreement: &AgreementId,
) -> Result<&'a AgreementFacts, EndReason> {
    facts
        .agreements
        .get(agreement)
        .filter(|agreement| facts.people.contains_key(person) && is_named(agreement, person))
        .ok_or(EndReason::NoAgreement)
}

/// Named by the agreement in any part.
fn is_named(agreement: &AgreementFacts, person: &PersonId) -> bool {
    let people = &agreement.terms.people;
    agreement.roster.contains(person)
        || people.principal_investigator == *person
        || people.security_manager == *person
}

/// A handler of today, or the principal investigator.
fn takes_part(facts: &Facts, agreement: &AgreementFacts, person: &PersonId) -> bool {
    (agreement.roster.contains(person) && has(facts, person, Role::Researcher))
        || answers_for(facts, agreement, person)
}

/// The principal investigator.
fn answers_for(facts: &Facts, agreement: &AgreementFacts, person: &PersonId) -> bool {
    agreement.terms.people.principal_investigator == *person
        && has(facts, person, Role::PrincipalInvestigator)
}

/// Does the state allow it? What staff ended gives nothing out any more; a period that ran out lets
/// reviews finish and releases be fetched.
fn state_allows(facts: &Facts, action: Action, resource: &Resource) -> Result<(), EndReason> {
    let agreement = match resource {
        Resource::Output { agreement, .. }
        | Resource::Tool { agreement, .. }
        | Resource::Session { agreement, .. }
        | Resource::Agreement(agreement) => agreement,
        Resource::Queue | Resource::Account(_) => return Ok(()),
    };
    let gives_out = match action {
        Action::Vote | Action::FetchRelease | Action::BringTool => true,
        Action::SeeQueue
        | Action::SeeOutputs
        | Action::WatchSession
        | Action::EndSession
        | Action::Unlock
        | Action::EnrolCredential => false,
    };
    let ended = facts
        .agreements
        .get(agreement)
        .is_none_or(|agreement| agreement.ended);
    if gives_out && ended {
        Err(EndReason::AgreementEnded)
    } else {
        Ok(())
    }
}
