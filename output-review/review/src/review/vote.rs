//! A reviewer votes.

use kekkai_bundle::{ApprovalError, BundleError, Release};
use kekkai_output::OutputDigest;
use kekkai_policy_api::{Action, EndReason, Event};
use kekkai_review_api::OutputState;
use kekkai_types::{OutputId, Timestamp};

use super::conclude::approve;
use super::{Review, resource};
use crate::model::{Listed, Vote};
use crate::policy::{Actor, PolicyError};
use crate::state::takes_votes;
use crate::store::StoreError;

/// Characters of a reviewer's comment.
pub const COMMENT_MAX: usize = 2_000;

/// A vote as a reviewer sends it.
#[derive(Debug, Clone)]
pub struct Ballot {
    /// On which output.
    pub output: OutputId,
    /// What the page showed.
    pub digest: OutputDigest,
    /// The round that the page showed.
    pub round: u32,
    /// True: let it leave.
    pub accept: bool,
    /// Needed where `accept` is false.
    pub comment: String,
}

/// Why a vote has no effect.
#[derive(Debug, thiserror::Error)]
pub enum VoteError {
    /// No such output, or this person may not know.
    #[error("no such output")]
    NotFound,
    /// The policy service said no, or nothing.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Nobody votes on their own output.
    #[error("the author voted")]
    OwnOutput,
    /// The page showed other bytes.
    #[error("the vote is about other bytes")]
    OtherBytes,
    /// The page showed an earlier round.
    #[error("the vote is about another round")]
    OtherRound,
    /// One person, one vote.
    #[error("the person has voted already")]
    VotedAlready,
    /// Nothing is left to decide.
    #[error("the output is decided")]
    Over,
    /// A refusal tells the author why.
    #[error("a refusal needs a comment")]
    CommentMissing,
    /// Longer than [`COMMENT_MAX`].
    #[error("the comment is longer than {COMMENT_MAX} characters")]
    CommentTooLong,
    /// The two votes don't make an approval.
    #[error("no approval")]
    Approval(#[from] ApprovalError),
    /// The release can't be prepared: a bug.
    #[error("no release")]
    Bundle(#[from] BundleError),
    /// The database; an altered row is among its reasons.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl VoteError {
    /// The ledger's words; `None` where nobody voted yet: the form was not filled in.
    pub(super) fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound => "no-such-output",
            Self::Policy(PolicyError::Refused(EndReason::OwnOutput)) | Self::OwnOutput => {
                "own-output"
            }
            Self::Policy(PolicyError::Refused(_)) => "policy-refused",
            Self::OtherBytes => "other-bytes",
            Self::OtherRound => "other-round",
            Self::VotedAlready => "voted-already",
            Self::Over => "decided-already",
            Self::Approval(_) => "no-approval",
            Self::Store(StoreError::Altered { .. }) => "stored-output-altered",
            Self::CommentMissing | Self::CommentTooLong => return None,
            // Nothing can be recorded, or the fault is ours.
            Self::Policy(PolicyError::NoAnswer(_)) | Self::Bundle(_) | Self::Store(_) => {
                return None;
            }
        })
    }
}

impl Review {
    /// Takes a vote. Whatever refuses it is written to the ledger, where the ledger can be reached.
    pub async fn vote(
        &self,
        actor: &Actor,
        ballot: Ballot,
        now: Timestamp,
    ) -> Result<OutputState, VoteError> {
        let _turn = self.turn.lock().await;
        let output = ballot.output.clone();
        match self.try_vote(actor, ballot, now).await {
            Ok(state) => Ok(state),
            Err(error) => {
                if let Some(code) = error.code() {
                    let event = Event::VoteRefused {
                        output: output.clone(),
                        reviewer: actor.person.clone(),
                        reason: code.to_owned(),
                    };
                    if let Err(cause) = self.policy.record(event).await {
                        tracing::error!(error = %cause, "a refused vote could not be recorded");
                    }
                }
                tracing::warn!(output = output.as_str(), %error, "vote refused");
                Err(error)
            }
        }
    }

    async fn try_vote(
        &self,
        actor: &Actor,
        ballot: Ballot,
        now: Timestamp,
    ) -> Result<OutputState, VoteError> {
        let output = ballot.output.clone();
        let stored = self
            .store
            .run(move |store| store.load(&output))
            .await?
            .ok_or(VoteError::NotFound)?;
        let head = &stored.listed.head;
        self.policy
            .allow(actor, Action::Vote, resource(head))
            .await?;
        may_vote(actor, &ballot, &stored.listed)?;
        let comment = checked_comment(&ballot.comment, ballot.accept)?;
        let vote = Vote {
            reviewer: actor.person.clone(),
            accept: ballot.accept,
            digest: ballot.digest,
            comment,
            at: now,
        };
        // Both votes make an approval or none: found out before anything is recorded.
        let prepared = match stored.listed.votes.first() {
            Some(first) if first.accept && vote.accept => {
                let (approval, candidate) = approve(&stored, first, &vote)?;
                Some(Release::prepare(approval, &candidate)?.bytes().to_vec())
            }
            _ => None,
        };
        self.policy
            .record(Event::OutputVoted {
                output: ballot.output.clone(),
                digest: ballot.digest.0,
                reviewer: actor.person.clone(),
                accept: ballot.accept,
                round: ballot.round,
            })
            .await?;
        let is_first = stored.listed.votes.is_empty();
        let output = ballot.output.clone();
        self.store
            .run(move |store| {
                store.vote(&output, ballot.round, &vote, is_first, prepared.as_deref())
            })
            .await?;
        if is_first {
            return Ok(OutputState::HalfVoted);
        }
        // The votes are in. When the ledger fails just now, the next attempt concludes.
        match self.conclude(&ballot.output, now).await {
            Ok(state) => Ok(state),
            Err(error) => {
                tracing::warn!(output = ballot.output.as_str(), %error, "not concluded yet");
                Ok(OutputState::HalfVoted)
            }
        }
    }
}

/// A comment as it is kept; a refusal needs one.
pub(super) fn checked_comment(raw: &str, is_acceptance: bool) -> Result<String, VoteError> {
    // Browsers end lines with CR LF; other control characters are commands to a terminal.
    let comment: String = raw
        .chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .collect();
    let comment = comment.trim().to_owned();
    if comment.chars().count() > COMMENT_MAX {
        return Err(VoteError::CommentTooLong);
    }
    if !is_acceptance && comment.is_empty() {
        return Err(VoteError::CommentMissing);
    }
    Ok(comment)
}

/// Does the state allow this vote? Whether the person may is asked elsewhere.
fn may_vote(actor: &Actor, ballot: &Ballot, listed: &Listed) -> Result<(), VoteError> {
    // The policy service has said so already; a release hangs on it, so it is asked twice.
    if actor.person == listed.head.author {
        return Err(VoteError::OwnOutput);
    }
    if listed.vote_of(&actor.person).is_some() {
        return Err(VoteError::VotedAlready);
    }
    if !takes_votes(listed.state) || listed.votes.len() > 1 {
        return Err(VoteError::Over);
    }
    if ballot.digest != listed.head.digest {
        return Err(VoteError::OtherBytes);
    }
    // Findings of changed rules are about to be made anew, in another round.
    let is_current = listed.head.report.profile.profile().hash() == listed.head.report.profile_hash;
    if ballot.round != listed.round || !is_current {
        return Err(VoteError::OtherRound);
    }
    Ok(())
}
