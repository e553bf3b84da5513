//! What a bundle is made of.

use kekkai_checks::Report;
use kekkai_output::OutputDigest;
use kekkai_types::{AgreementId, Digest, OutputId, PersonId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::subject::Subject;

/// The format that this build writes and reads.
pub const FORMAT: &str = "kekkai-release/2";
/// The largest bundle, in bytes.
pub const BUNDLE_MAX: usize = 256 * 1024 * 1024;
/// What explains a bundle to its reader; after the output's own files.
pub(crate) const READMES: [&str; 2] = ["README.md", "README.ja.md"];

/// What was decided, by whom, on what grounds. No evidence: contributor counts of cells stay inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The output.
    pub output: OutputId,
    /// Its project.
    pub agreement: AgreementId,
    /// What both reviewers voted on: the output with its evidence and lineage.
    pub digest: OutputDigest,
    /// What left, and where it comes from.
    pub subject: Subject,
    /// The profile, its hash, and what the checks found.
    pub checks: Report,
    /// Who accepted it, in the order of their votes.
    pub reviewers: [PersonId; 2],
    /// When it was submitted.
    pub submitted: Timestamp,
    /// When each reviewer accepted.
    pub accepted: [Timestamp; 2],
}

/// One file inside a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) sha256: Digest,
    pub(crate) base64: String,
}

/// Everything that the ledger's entry names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payload {
    pub(crate) format: String,
    pub(crate) files: Vec<File>,
    pub(crate) record: Record,
}

/// The whole bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) format: String,
    pub(crate) files: Vec<File>,
    pub(crate) record: Record,
    pub(crate) ledger_index: u64,
    pub(crate) signature: String,
}

/// Why something is not a release.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Larger than [`BUNDLE_MAX`].
    #[error("the bundle has {0} bytes, at most {BUNDLE_MAX} are allowed")]
    TooLarge(usize),
    /// Not JSON of this shape.
    #[error("not a release bundle: line {line}, column {column}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Another version.
    #[error("format \"{0}\" is unknown, \"{FORMAT}\" was expected")]
    Format(String),
    /// The same content written in another way.
    #[error("the bundle isn't written in its canonical form")]
    NotCanonical,
    /// Other files than those a bundle has.
    #[error("the bundle's files aren't the expected ones")]
    Files,
    /// A file does not match its digest, or its base64 is not base64.
    #[error("file \"{0}\" doesn't match its digest")]
    FileDigest(String),
    /// The record contradicts the files or itself.
    #[error("the record contradicts the bundle: {0}")]
    Record(&'static str),
    /// The signature is not this key's over these bytes.
    #[error("the signature doesn't verify")]
    Signature,
    /// The stored release is not the one that the approval is about.
    #[error("the approval is about another release")]
    OtherApproval,
    /// The output could not be hashed: a bug.
    #[error("the output has no digest")]
    Table(#[from] kekkai_output::TableError),
    /// The bundle could not be written as JSON: a bug.
    #[error("bug: the bundle can't be serialized")]
    Serialize(#[source] serde_json::Error),
}

impl Payload {
    /// The compact text that the release digest is about.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        serde_json::to_vec(self).map_err(BundleError::Serialize)
    }
}

impl Document {
    /// The only spelling of a bundle.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(BundleError::Serialize)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

pub(crate) fn malformed(error: &serde_json::Error) -> BundleError {
    BundleError::Malformed {
        line: error.line(),
        column: error.column(),
    }
}

/// What is signed: format, release digest, ledger index.
pub(crate) fn signed_bytes(release: &Digest, ledger_index: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(FORMAT.as_bytes());
    bytes.push(b'\n');
    bytes.extend_from_slice(release.as_bytes());
    bytes.extend_from_slice(&ledger_index.to_be_bytes());
    bytes
}
