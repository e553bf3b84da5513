//! What is stored of an output, as the service works with it.

use kekkai_bundle::Accept;
use kekkai_checks::Report;
use kekkai_output::{Content, OutputDigest};
use kekkai_review_api::OutputState;
use kekkai_types::{AgreementId, JobId, Lang, OutputId, PersonId, ServerId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

/// What lists need, without the content. Sealed as one value: none of it can be changed alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The output.
    pub output: OutputId,
    /// On which server the session was.
    pub server: ServerId,
    /// In which session.
    pub session: SessionId,
    /// Its job.
    pub job: JobId,
    /// Who submitted it.
    pub author: PersonId,
    /// Its project.
    pub agreement: AgreementId,
    /// For reviewers.
    pub title: String,
    /// For reviewers.
    pub purpose: String,
    /// How it was made, for reviewers; may be empty, as in outputs that came before there was one.
    #[serde(default)]
    pub method: String,
    /// The output that did not leave and that this one is in place of.
    #[serde(default)]
    pub replaces: Option<OutputId>,
    /// The author's language.
    pub lang: Lang,
    /// When it arrived.
    pub submitted: Timestamp,
    /// Of the content, evidence and lineage included.
    pub digest: OutputDigest,
    /// What the checks said.
    pub report: Report,
}

/// An output without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What was submitted, and what the checks said.
    pub head: Head,
    /// Where it stands.
    pub state: OutputState,
    /// Counts from 1; a new one begins when the rules change.
    pub round: u32,
    /// When its state last changed.
    pub changed: Timestamp,
    /// The votes of this round, in their order.
    pub votes: Vec<Vote>,
}

/// An output with its content, whose digest was computed again from the stored bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Everything but the content.
    pub listed: Listed,
    /// Everything that reviewers see.
    pub content: Content,
}

/// One reviewer's vote in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Whose.
    pub reviewer: PersonId,
    /// True: let it leave.
    pub accept: bool,
    /// What the reviewer saw.
    pub digest: OutputDigest,
    /// For the author; needed where `accept` is false.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

impl Vote {
    /// The vote as the approval wants it; `None` for a refusal.
    pub fn as_accept(&self, output: &OutputId) -> Option<Accept> {
        self.accept.then(|| Accept {
            output: output.clone(),
            reviewer: self.reviewer.clone(),
            digest: self.digest,
            at: self.at,
        })
    }
}

impl Listed {
    /// The vote of a person in this round.
    pub fn vote_of(&self, person: &PersonId) -> Option<&Vote> {
        self.votes.iter().find(|vote| vote.reviewer == *person)
    }
}
