//! A tool that asks to be let in: what is stored of it, where it stands, and what may move it.
//!
//! Generated from [`TRANSITIONS`]; a test compares.
//!
//! ```text
//! (new)         --submitted-->       waiting
//! waiting       --first-vote-->      half-voted
//! half-voted    --both-accepted-->   admitted
//! half-voted    --not-both-->        rejected
//! admitted      --replaced-->        replaced
//! waiting       --withdrawn-->       withdrawn
//! half-voted    --withdrawn-->       withdrawn
//! admitted      --withdrawn-->       withdrawn
//! ```
//!
//! The second vote is stored first and concluded then, as with outputs.

use kekkai_review_api::{ToolManifest, ToolState};
use kekkai_types::{PersonId, TerminalId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::Vote;

/// What is known of a request, without its component. Sealed as one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolHead {
    /// What its author signed.
    pub manifest: ToolManifest,
    /// The key that signed, as OpenSSH prints it.
    pub fingerprint: String,
    /// The terminal whose key that is.
    pub terminal: TerminalId,
    /// The member of staff who handed it on.
    pub by: PersonId,
    /// When it arrived.
    pub submitted: Timestamp,
    /// What the component imports, each on the allow-list.
    pub imports: Vec<String>,
    /// The tool's own version, as its bill of materials says.
    pub version: String,
    /// What it is made of.
    pub parts: Vec<ToolPart>,
}

/// Something that a tool is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolPart {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// A package URL, or empty.
    pub purl: String,
}

/// A request, where it stands, and the votes on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTool {
    /// What was submitted.
    pub head: ToolHead,
    /// Where it stands.
    pub state: ToolState,
    /// In their order; their digest is the request's.
    pub votes: Vec<Vote>,
}

/// What moves a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolStep {
    /// Arrived.
    Submitted,
    /// One reviewer voted.
    FirstVote,
    /// Both accepted, and the ledger says so.
    BothAccepted,
    /// At least one refused, and the ledger says so.
    NotBoth,
    /// A newer version of its name was admitted.
    Replaced,
    /// Staff took it back, and the ledger says so.
    Withdrawn,
}

/// Every way that a request can go; `None` is before it arrived.
pub const TRANSITIONS: [(Option<ToolState>, ToolStep, ToolState); 8] = {
    use ToolState::{Admitted, HalfVoted, Rejected, Replaced, Waiting, Withdrawn};
    [
        (None, ToolStep::Submitted, Waiting),
        (Some(Waiting), ToolStep::FirstVote, HalfVoted),
        (Some(HalfVoted), ToolStep::BothAccepted, Admitted),
        (Some(HalfVoted), ToolStep::NotBoth, Rejected),
        (Some(Admitted), ToolStep::Replaced, Replaced),
        (Some(Waiting), ToolStep::Withdrawn, Withdrawn),
        (Some(HalfVoted), ToolStep::Withdrawn, Withdrawn),
        (Some(Admitted), ToolStep::Withdrawn, Withdrawn),
    ]
};

/// Where a step leads; `None` where it may not be taken.
pub fn next(state: Option<ToolState>, step: ToolStep) -> Option<ToolState> {
    TRANSITIONS
        .iter()
        .find(|(from, by, _)| *from == state && *by == step)
        .map(|(_, _, to)| *to)
}

/// True where votes are taken.
pub fn takes_votes(state: ToolState) -> bool {
    matches!(state, ToolState::Waiting | ToolState::HalfVoted)
}

/// True where the component may still be run, or be let in: elsewhere its bytes are not kept.
pub fn keeps_component(state: ToolState) -> bool {
    takes_votes(state) || state == ToolState::Admitted
}

/// Every state.
pub const STATES: [ToolState; 6] = [
    ToolState::Waiting,
    ToolState::HalfVoted,
    ToolState::Admitted,
    ToolState::Rejected,
    ToolState::Replaced,
    ToolState::Withdrawn,
];

/// The state as the database writes it.
pub const fn state_name(state: ToolState) -> &'static str {
    match state {
        ToolState::Waiting => "waiting",
        ToolState::HalfVoted => "half-voted",
        ToolState::Admitted => "admitted",
        ToolState::Rejected => "rejected",
        ToolState::Replaced => "replaced",
        ToolState::Withdrawn => "withdrawn",
    }
}

impl ToolStep {
    /// The step's name in the diagram.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::FirstVote => "first-vote",
            Self::BothAccepted => "both-accepted",
            Self::NotBoth => "not-both",
            Self::Replaced => "replaced",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl ListedTool {
    /// The vote of a person.
    pub fn vote_of(&self, person: &PersonId) -> Option<&Vote> {
        self.votes.iter().find(|vote| vote.reviewer == *person)
    }

    /// The two people, neither the author, who accepted this very request. A state alone lets nothing in.
    pub fn admitted_by(&self) -> Option<[PersonId; 2]> {
        let [first, second] = self.votes.as_slice() else {
            return None;
        };
        let request = self.head.manifest.digest();
        let is_good = |vote: &Vote| {
            vote.accept && vote.digest.0 == request && vote.reviewer != self.head.manifest.author
        };
        let is_admitted = is_good(first) && is_good(second) && first.reviewer != second.reviewer;
        is_admitted.then(|| [first.reviewer.clone(), second.reviewer.clone()])
    }
}

/// The diagram in this module's documentation.
pub fn diagram() -> String {
    TRANSITIONS
        .iter()
        .map(|(from, step, to)| {
            let from = from.map_or("(new)", state_name);
            let arrow = format!("--{}-->", step.as_str());
            format!("{from:<13} {arrow:<20} {}\n", state_name(*to))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_diagram_is_the_table() {
        let source = include_str!("tool.rs");
        let documented: String = source
            .lines()
            .skip_while(|line| !line.contains("```text"))
            .skip(1)
            .take_while(|line| !line.contains("```"))
            .map(|line| format!("{}\n", line.trim_start_matches("//! ")))
            .collect();
        assert_eq!(documented, diagram());
    }

    #[test]
    fn nothing_is_admitted_without_two_votes_and_nothing_comes_back() {
        for (from, step, to) in TRANSITIONS {
            if to == ToolState::Admitted {
                assert_eq!(
                    (from, step),
                    (Some(ToolState::HalfVoted), ToolStep::BothAccepted)
                );
            }
            assert!(from.is_none_or(keeps_component), "{from:?} is final");
        }
    }

    #[test]
    fn state_names_are_those_of_the_wire() {
        for state in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), state_name(state));
        }
    }
}
