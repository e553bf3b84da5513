//! Permission for one exact output to leave the enclave.
//!
//! Invariant: two distinct reviewers, neither the author, accepted these bytes.

use kekkai_checks::Report;
use kekkai_output::{Content, OutputDigest, TableError};
use kekkai_types::{AgreementId, OutputId, PersonId, Timestamp};

/// An output that asks to leave, as it is stored at this moment.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its id.
    pub output: &'a OutputId,
    /// Its project.
    pub agreement: &'a AgreementId,
    /// Who submitted it.
    pub author: &'a PersonId,
    /// When.
    pub submitted: Timestamp,
    /// Everything that reviewers see; its digest is computed here, never taken from anybody.
    pub content: &'a Content,
    /// What the checks said of it.
    pub report: &'a Report,
}

/// A vote to let an output leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// On which output.
    pub output: OutputId,
    /// Whose vote.
    pub reviewer: PersonId,
    /// What the reviewer saw.
    pub digest: OutputDigest,
    /// When.
    pub at: Timestamp,
}

/// Why an output may not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// One person voted twice.
    #[error("reviewer \"{0}\" voted twice")]
    SameReviewerTwice(PersonId),
    /// Nobody approves their own output.
    #[error("author \"{0}\" voted on their own output")]
    AuthorVoted(PersonId),
    /// A vote on other bytes than those that would leave.
    #[error("the vote of \"{0}\" is about other bytes")]
    StaleVote(PersonId),
    /// A vote on another output.
    #[error("the vote of \"{0}\" is about another output")]
    OtherOutput(PersonId),
    /// The checks refuse it: no vote can overrule them.
    #[error("output \"{0}\" failed its checks")]
    FailedChecks(OutputId),
    /// The output could not be hashed: a bug.
    #[error("the output has no digest")]
    Table(#[from] TableError),
}

/// Neither `Clone` nor `Deserialize`: one review, one release.
#[derive(Debug)]
#[must_use = "nothing leaves until the approval is spent"]
pub struct Approval {
    pub(crate) output: OutputId,
    pub(crate) digest: OutputDigest,
    pub(crate) reviewers: [PersonId; 2],
    pub(crate) voted: [Timestamp; 2],
}

impl Approval {
    /// The only constructor: its callers are every way out.
    pub fn grant(candidate: &Candidate<'_>, votes: [&Accept; 2]) -> Result<Self, ApprovalError> {
        let digest = candidate.content.digest()?;
        let [first, second] = votes;
        if first.reviewer == second.reviewer {
            return Err(ApprovalError::SameReviewerTwice(first.reviewer.clone()));
        }
        for vote in votes {
            let reviewer = || vote.reviewer.clone();
            if vote.reviewer == *candidate.author {
                return Err(ApprovalError::AuthorVoted(reviewer()));
            }
            if vote.output != *candidate.output {
                return Err(ApprovalError::OtherOutput(reviewer()));
            }
            // An edit after review makes a vote about other bytes.
            if vote.digest != digest {
                return Err(ApprovalError::StaleVote(reviewer()));
            }
        }
        if candidate.report.verdict == kekkai_checks::Verdict::Fail {
            return Err(ApprovalError::FailedChecks(candidate.output.clone()));
        }
        Ok(Self {
            output: candidate.output.clone(),
            digest,
            reviewers: votes.map(|vote| vote.reviewer.clone()),
            voted: votes.map(|vote| vote.at),
        })
    }
}
