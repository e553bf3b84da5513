//! Where an output stands, and what may move it.
//!
//! Generated from [`TRANSITIONS`]; a test compares.
//!
//! ```text
//! (new)         --submitted-->           waiting
//! (new)         --submitted-failing-->   failed-checks
//! waiting       --first-vote-->          half-voted
//! half-voted    --both-accepted-->       released
//! half-voted    --both-refused-->        rejected
//! half-voted    --disagreed-->           returned
//! waiting       --rechecked-->           waiting
//! half-voted    --rechecked-->           waiting
//! waiting       --recheck-failed-->      failed-checks
//! half-voted    --recheck-failed-->      failed-checks
//! ```
//!
//! The second vote is stored first and concluded then: between the two the output is still
//! half-voted, and a restart concludes it.

use kekkai_review_api::OutputState;

/// What moves an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Arrived, and no check failed.
    Submitted,
    /// Arrived, and a check failed.
    SubmittedFailing,
    /// One reviewer voted.
    FirstVote,
    /// Both accepted, and the ledger says so.
    BothAccepted,
    /// Both refused, and the ledger says so.
    BothRefused,
    /// One of each, and the ledger says so.
    Disagreed,
    /// The rules changed: checked anew, a new round of votes.
    Rechecked,
    /// The rules changed, and a check fails now.
    RecheckFailed,
}

/// Every way that an output can go; `None` is before it arrived.
pub const TRANSITIONS: [(Option<OutputState>, Step, OutputState); 10] = {
    use OutputState::{FailedChecks, HalfVoted, Rejected, Released, Returned, Waiting};
    [
        (None, Step::Submitted, Waiting),
        (None, Step::SubmittedFailing, FailedChecks),
        (Some(Waiting), Step::FirstVote, HalfVoted),
        (Some(HalfVoted), Step::BothAccepted, Released),
        (Some(HalfVoted), Step::BothRefused, Rejected),
        (Some(HalfVoted), Step::Disagreed, Returned),
        (Some(Waiting), Step::Rechecked, Waiting),
        (Some(HalfVoted), Step::Rechecked, Waiting),
        (Some(Waiting), Step::RecheckFailed, FailedChecks),
        (Some(HalfVoted), Step::RecheckFailed, FailedChecks),
    ]
};

/// Where a step leads; `None` where it may not be taken.
pub fn next(state: Option<OutputState>, step: Step) -> Option<OutputState> {
    TRANSITIONS
        .iter()
        .find(|(from, by, _)| *from == state && *by == step)
        .map(|(_, _, to)| *to)
}

/// True where votes are taken.
pub fn takes_votes(state: OutputState) -> bool {
    matches!(state, OutputState::Waiting | OutputState::HalfVoted)
}

/// The state as the database writes it.
pub const fn state_name(state: OutputState) -> &'static str {
    match state {
        OutputState::Waiting => "waiting",
        OutputState::HalfVoted => "half-voted",
        OutputState::Released => "released",
        OutputState::Rejected => "rejected",
        OutputState::Returned => "returned",
        OutputState::FailedChecks => "failed-checks",
    }
}

/// Every state.
pub const STATES: [OutputState; 6] = [
    OutputState::Waiting,
    OutputState::HalfVoted,
    OutputState::Released,
    OutputState::Rejected,
    OutputState::Returned,
    OutputState::FailedChecks,
];

/// Reads a state from the database.
pub fn parse_state(text: &str) -> Option<OutputState> {
    STATES.into_iter().find(|state| state_name(*state) == text)
}

impl Step {
    /// The step's name in the diagram.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::SubmittedFailing => "submitted-failing",
            Self::FirstVote => "first-vote",
            Self::BothAccepted => "both-accepted",
            Self::BothRefused => "both-refused",
            Self::Disagreed => "disagreed",
            Self::Rechecked => "rechecked",
            Self::RecheckFailed => "recheck-failed",
        }
    }
}

/// The diagram in this module's documentation.
pub fn diagram() -> String {
    TRANSITIONS
        .iter()
        .map(|(from, step, to)| {
            let from = from.map_or("(new)", state_name);
            let arrow = format!("--{}-->", step.as_str());
            format!("{from:<13} {arrow:<24} {}\n", state_name(*to))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_diagram_is_the_table() {
        let source = include_str!("state.rs");
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
    fn nothing_leaves_a_final_state_and_nothing_reaches_release_without_two_votes() {
        for (from, step, to) in TRANSITIONS {
            assert!(from.is_none_or(takes_votes), "{from:?}");
            if to == OutputState::Released {
                assert_eq!(
                    (from, step),
                    (Some(OutputState::HalfVoted), Step::BothAccepted)
                );
            }
        }
    }

    #[test]
    fn state_names_are_those_of_the_wire() {
        for state in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), state_name(state));
            assert_eq!(parse_state(state_name(state)), Some(state));
        }
    }
}
