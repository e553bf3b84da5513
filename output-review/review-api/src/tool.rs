//! Bringing tools in: a request, its review, and what an analysis server may fetch afterwards.

use std::fmt;

use kekkai_types::{AgreementId, Call, Digest, PeerKind, PersonId, Timestamp};
use serde::{Deserialize, Serialize};

/// The format of a request file, and the first line of what its author signs.
pub const TOOL_FORMAT: &str = "kekkai-tool/1";
/// The namespace of the author's SSH signature (`ssh-keygen -Y sign -n`).
pub const TOOL_NAMESPACE: &str = "kekkai-tool";
/// The largest component, in bytes.
pub const TOOL_COMPONENT_MAX: usize = 64 * 1024 * 1024;
/// The largest software bill of materials, in bytes.
pub const TOOL_SBOM_MAX: usize = 1024 * 1024;
/// Characters of a description.
pub const TOOL_DESCRIPTION_MAX: usize = 500;

/// A tool's name, as agreements write it in `own_tools`: the alphabet and length of ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolName(String);

impl ToolName {
    /// Parses a name that came from outside.
    pub fn new(text: impl Into<String>) -> Result<Self, kekkai_types::IdError> {
        // One grammar for everything that becomes part of a URL: a tool's name has that of ids.
        AgreementId::new(text).map(|id| Self(id.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ToolName {
    type Error = kekkai_types::IdError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<ToolName> for String {
    fn from(name: ToolName) -> Self {
        name.0
    }
}

impl std::str::FromStr for ToolName {
    type Err = kekkai_types::IdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a tool's author says of it, and signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolManifest {
    /// The project that it is for.
    pub agreement: AgreementId,
    /// Who answers for it: the owner of the terminal whose key signed.
    pub author: PersonId,
    /// What it is run by.
    pub name: ToolName,
    /// What it does, on one line; at most [`TOOL_DESCRIPTION_MAX`] characters.
    pub description: String,
    /// SHA-256 of the component.
    pub component_sha256: Digest,
    /// Its length.
    pub component_bytes: u64,
    /// SHA-256 of the software bill of materials.
    pub sbom_sha256: Digest,
    /// Its length.
    pub sbom_bytes: u64,
}

impl ToolManifest {
    /// The text that the author signs: one line for each field, so that whoever holds a printout can read
    /// what was signed.
    pub fn signed_text(&self) -> String {
        let Self {
            agreement,
            author,
            name,
            description,
            component_sha256,
            component_bytes,
            sbom_sha256,
            sbom_bytes,
        } = self;
        // A line feed in the description would be a line of its own: the shape check refuses it, and
        // here it could not pass for one.
        let description = description.replace(['\n', '\r'], " ");
        format!(
            "{TOOL_FORMAT}\n\
             agreement: {agreement}\n\
             author: {author}\n\
             name: {name}\n\
             description: {description}\n\
             component: sha256 {component_sha256}, {component_bytes} bytes\n\
             sbom: sha256 {sbom_sha256}, {sbom_bytes} bytes\n"
        )
    }

    /// Names the whole request: what reviewers vote on.
    pub fn digest(&self) -> Digest {
        Digest::of(self.signed_text().as_bytes())
    }
}

/// A request to bring a tool in: the file `NAME.kekkai-tool`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolRequest {
    /// [`TOOL_FORMAT`].
    pub format: String,
    /// What is signed.
    pub manifest: ToolManifest,
    /// An SSH signature (OpenSSH's `PROTOCOL.sshsig`, PEM) over [`ToolManifest::signed_text`], in the
    /// namespace [`TOOL_NAMESPACE`].
    pub signature: String,
    /// A CycloneDX software bill of materials, JSON, base64.
    pub sbom: String,
    /// The WebAssembly component, base64.
    pub component: String,
}

/// Asks for a tool to be let in. Staff hand the request on; its author is who signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitTool {
    /// As it was packed.
    pub request: ToolRequest,
}

impl Call for SubmitTool {
    const PATH: &'static str = "/v1/tool/submit";
    type Reply = ToolSummary;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Admin]
    }
}

/// Requests and tools of a project, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListToolRequests {
    /// Of which project; `None`: of all.
    pub agreement: Option<AgreementId>,
}

impl Call for ListToolRequests {
    const PATH: &'static str = "/v1/tool/requests";
    type Reply = Vec<ToolSummary>;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Admin]
    }
}

/// Withdraws a tool, or the request for it: sessions that begin a run afterwards don't find it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawTool {
    /// Of which project.
    pub agreement: AgreementId,
    /// Which.
    pub name: ToolName,
}

impl Call for WithdrawTool {
    const PATH: &'static str = "/v1/tool/withdraw";
    type Reply = Vec<ToolSummary>;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Admin]
    }
}

/// The tools that a project's sessions may run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListTools {
    /// The project.
    pub agreement: AgreementId,
}

impl Call for ListTools {
    const PATH: &'static str = "/v1/tool/list";
    type Reply = Vec<AdmittedTool>;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Analysis]
    }
}

/// The bytes of a tool that was admitted. `not-found` where none is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchTool {
    /// The project.
    pub agreement: AgreementId,
    /// Which.
    pub name: ToolName,
}

impl Call for FetchTool {
    const PATH: &'static str = "/v1/tool/fetch";
    type Reply = FetchedTool;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Analysis]
    }
}

/// A tool that two reviewers let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmittedTool {
    /// What it is run by.
    pub name: ToolName,
    /// SHA-256 of its component.
    pub digest: Digest,
    /// What it does.
    pub description: String,
}

/// A tool's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchedTool {
    /// SHA-256 of the component; who asked compares it again.
    pub digest: Digest,
    /// The component, base64.
    pub component: String,
}

/// Where a request stands, for staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSummary {
    /// Of which project.
    pub agreement: AgreementId,
    /// What it is run by.
    pub name: ToolName,
    /// SHA-256 of its component.
    pub digest: Digest,
    /// Who signed it.
    pub author: PersonId,
    /// When it arrived.
    pub submitted: Timestamp,
    /// Where it stands.
    pub state: ToolState,
    /// What reviewers wrote, once both have voted.
    pub comments: Vec<String>,
}

/// Where a request for a tool stands. The table of transitions is in `kekkai-review`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolState {
    /// Waits for two votes.
    Waiting,
    /// One vote is in; nobody sees which.
    HalfVoted,
    /// Both accepted: sessions may run it.
    Admitted,
    /// Not both accepted.
    Rejected,
    /// A newer version of the same name was admitted.
    Replaced,
    /// Taken back by staff.
    Withdrawn,
}
