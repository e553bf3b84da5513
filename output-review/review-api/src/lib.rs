//! What the other services say to the review service.
//!
//! Staff pages are HTML: the gateway forwards `/review/…` and `/release/…` over the same mutual TLS,
//! with the headers named in [`header`]. A browser's own headers of these names never pass.

mod tool;

pub use tool::{
    AdmittedTool, FetchTool, FetchedTool, ListToolRequests, ListTools, SubmitTool,
    TOOL_COMPONENT_MAX, TOOL_DESCRIPTION_MAX, TOOL_FORMAT, TOOL_NAMESPACE, TOOL_SBOM_MAX,
    ToolManifest, ToolName, ToolRequest, ToolState, ToolSummary, WithdrawTool,
};

use kekkai_output::{Content, OutputDigest};
use kekkai_types::{
    AgreementId, Call, JobId, Lang, OutputId, PeerKind, PersonId, SessionId, Text, Timestamp,
};
use serde::{Deserialize, Serialize};

/// Headers that the gateway sets on forwarded requests.
pub mod header {
    /// The person who signed in.
    pub const PERSON: &str = "x-kekkai-person";
    /// At which terminal.
    pub const TERMINAL: &str = "x-kekkai-terminal";
    /// `ja` or `en`.
    pub const LANG: &str = "x-kekkai-lang";
    /// A token that forms send back as `csrf`; the gateway checks it before forwarding.
    pub const CSRF: &str = "x-kekkai-csrf";
    /// `1` where authenticators and TPM are emulated: every page says so.
    pub const DEMO: &str = "x-kekkai-demo";
}

/// An output, from the analysis server whose engine counted it. Recorded before it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// Chosen by the analysis server, so that a repeated call submits once.
    pub output: OutputId,
    /// The session.
    pub session: SessionId,
    /// Its job.
    pub job: JobId,
    /// The session's person.
    pub author: PersonId,
    /// The session's agreement.
    pub agreement: AgreementId,
    /// The agreement's SDC profile.
    pub sdc_profile: String,
    /// For reviewers.
    pub title: String,
    /// For reviewers.
    pub purpose: String,
    /// How it was made, for reviewers, at most 2,000 characters; may be empty.
    #[serde(default)]
    pub method: String,
    /// An output of the same author and agreement that did not leave and that this one is in place of; at
    /// most one is in place of each.
    #[serde(default)]
    pub replaces: Option<OutputId>,
    /// The author's language.
    pub lang: Lang,
    /// With evidence.
    pub content: Content,
    /// Where it is about nearly the same persons as an earlier statistic of the project.
    #[serde(default)]
    pub seen: Option<kekkai_output::Seen>,
}

impl Call for Submit {
    const PATH: &'static str = "/v1/output/submit";
    type Reply = OutputDigest;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Analysis]
    }
}

/// A project's outputs and where each stands, for the console.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListOutputs {
    /// The project.
    pub agreement: AgreementId,
    /// Who asks: sees their own outputs, the principal investigator sees all.
    pub person: PersonId,
    /// At which terminal.
    pub terminal: kekkai_types::TerminalId,
}

impl Call for ListOutputs {
    const PATH: &'static str = "/v1/output/list";
    type Reply = Vec<OutputSummary>;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Gateway]
    }
}

/// An output's state, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSummary {
    /// The output.
    pub output: OutputId,
    /// Its title.
    pub title: String,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// Where it stands.
    pub state: OutputState,
    /// What reviewers wrote, once both have voted.
    pub comments: Vec<String>,
}

/// What the automatic checks would say of an output. Nothing is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// The session's person.
    pub author: PersonId,
    /// The session's agreement.
    pub agreement: AgreementId,
    /// The agreement's SDC profile.
    pub sdc_profile: String,
    /// With evidence.
    pub content: Content,
    /// As in [`Submit`].
    #[serde(default)]
    pub seen: Option<kekkai_output::Seen>,
}

impl Call for Preview {
    const PATH: &'static str = "/v1/output/preview";
    type Reply = Vec<Said>;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Analysis]
    }
}

/// A finding of the automatic checks, as the author reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// What follows from it.
    pub weight: Weight,
    /// The rule's stable name.
    pub rule: String,
    /// Where: a row, a column, a cell, counted from 1, or the whole; empty where a program chose it. Never
    /// a value.
    pub place: Text,
    /// In words, with what can be done.
    pub text: Text,
}

/// What follows from a finding, from the lightest to the heaviest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Said, and no more.
    Pass,
    /// Reviewers must look at it.
    Review,
    /// It does not leave as it is.
    Fail,
}

/// A person's own outputs of a project, with what they wrote and what came back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionOutputs {
    /// The session's agreement.
    pub agreement: AgreementId,
    /// The session's person: sees their own.
    pub author: PersonId,
}

impl Call for SessionOutputs {
    const PATH: &'static str = "/v1/output/session";
    type Reply = Vec<OutputDetail>;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Analysis]
    }
}

/// An output, as its author reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputDetail {
    /// State, title, comments.
    pub summary: OutputSummary,
    /// As submitted.
    pub purpose: String,
    /// As submitted.
    pub method: String,
    /// What the automatic checks said.
    pub findings: Vec<Said>,
    /// The returned output that it is in place of.
    pub replaces: Option<OutputId>,
    /// The output that is in its place.
    pub replaced_by: Option<OutputId>,
}

/// Where an output stands. The table of transitions is in `kekkai-review`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputState {
    /// Waits for two votes.
    Waiting,
    /// One vote is in; nobody sees which.
    HalfVoted,
    /// Both accepted; the release is in the ledger and the bundle is ready.
    Released,
    /// Both refused.
    Rejected,
    /// The reviewers disagree: back to the author with comments.
    Returned,
    /// The automatic checks found what may not leave: never reaches the reviewers' vote.
    FailedChecks,
}
