//! Why a request is refused: all of it is its author's to mend.

use kekkai_program_check::CheckError;

use crate::sbom::SbomError;

/// Why a file is no request for a tool that could be let in.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Another version, or another kind of file.
    #[error("format \"{0}\" is unknown")]
    Format(String),
    /// Not JSON of this shape.
    #[error("not a tool request: line {line}, column {column}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Empty, too long, or more than one line.
    #[error("the description must be one line of 1 to {0} characters")]
    Description(usize),
    /// Larger than its bound.
    #[error("the {what} has {found} bytes, at most {max} are allowed")]
    TooLarge {
        /// Component, bill of materials, or the whole request.
        what: &'static str,
        /// Bytes.
        found: usize,
        /// Bytes.
        max: usize,
    },
    /// Not base64.
    #[error("the {0} isn't base64")]
    Base64(&'static str),
    /// The bytes are not those that the manifest names.
    #[error("the {0} isn't the one that the manifest names")]
    Digest(&'static str),
    /// No SSH signature, or of a kind that is not taken.
    #[error("the signature isn't an SSH signature in the namespace \"{0}\"")]
    Signature(&'static str),
    /// The signature is about something else.
    #[error("the signature doesn't verify")]
    NotSigned,
    /// The component may not run in a session.
    #[error("the component is refused")]
    Component(#[from] CheckError),
    /// A language runtime: those come with Kekkai itself.
    #[error("the component is a language, not a tool: it must export `run`")]
    NotATool,
    /// The bill of materials.
    #[error("the bill of materials is refused")]
    Sbom(#[from] SbomError),
    /// The request could not be written as JSON: a bug.
    #[error("bug: the request can't be serialized")]
    Serialize,
}

impl ToolError {
    /// Stable, in kebab case: for the ledger, and for the refusal that the caller sees.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format(_) | Self::Malformed { .. } => "tool-format",
            Self::Description(_) => "tool-description",
            Self::TooLarge { .. } => "tool-too-large",
            Self::Base64(_) | Self::Digest(_) => "tool-altered",
            Self::Signature(_) => "tool-signature",
            Self::NotSigned => "tool-not-signed",
            Self::Component(CheckError::ImportNotAllowed(_)) => "tool-import",
            Self::Component(_) | Self::NotATool => "tool-component",
            Self::Sbom(_) => "tool-sbom",
            Self::Serialize => "internal",
        }
    }

    /// What the refusal is about: the reason, with its cause.
    pub fn detail(&self) -> String {
        match self {
            Self::Component(cause) => cause.to_string(),
            Self::Sbom(cause) => cause.to_string(),
            other => other.to_string(),
        }
    }
}
