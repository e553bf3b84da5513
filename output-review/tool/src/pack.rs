//! The request file: made by the author, read by whoever hands it on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kekkai_program_check::Kind;
use kekkai_review_api::{
    TOOL_COMPONENT_MAX, TOOL_DESCRIPTION_MAX, TOOL_FORMAT, TOOL_SBOM_MAX, ToolManifest, ToolName,
    ToolRequest,
};
use kekkai_types::{AgreementId, Digest, PersonId};

use crate::error::ToolError;
use crate::sbom::Sbom;

/// The largest request file, in bytes: base64 of the largest component and bill, and some more.
pub const REQUEST_MAX: usize = 90 * 1024 * 1024;

/// A request that waits for its signature.
#[derive(Debug)]
#[must_use = "a request that isn't signed is refused"]
pub struct Packed {
    manifest: ToolManifest,
    component: Vec<u8>,
    sbom: Vec<u8>,
}

/// Puts a request together. Refuses what the review service would refuse, so that the author hears of it
/// first.
pub fn pack(
    agreement: AgreementId,
    author: PersonId,
    name: ToolName,
    description: String,
    component: Vec<u8>,
    sbom: Vec<u8>,
) -> Result<Packed, ToolError> {
    check_description(&description)?;
    check_component(&component)?;
    let component_sha256 = Digest::of(&component);
    check_sbom(&sbom, &name, &component_sha256)?;
    let manifest = ToolManifest {
        agreement,
        author,
        name,
        description,
        component_sha256,
        component_bytes: length(&component),
        sbom_sha256: Digest::of(&sbom),
        sbom_bytes: length(&sbom),
    };
    Ok(Packed {
        manifest,
        component,
        sbom,
    })
}

impl Packed {
    /// What the author signs.
    pub fn text(&self) -> String {
        self.manifest.signed_text()
    }

    /// The request with its signature, which is verified.
    pub fn sign(self, signature: String) -> Result<ToolRequest, ToolError> {
        crate::signature::verify(&self.text(), &signature)?;
        Ok(ToolRequest {
            format: TOOL_FORMAT.to_owned(),
            manifest: self.manifest,
            signature,
            sbom: STANDARD.encode(&self.sbom),
            component: STANDARD.encode(&self.component),
        })
    }
}

/// Reads a request file.
pub fn parse(bytes: &[u8]) -> Result<ToolRequest, ToolError> {
    at_most("request", bytes.len(), REQUEST_MAX)?;
    serde_json::from_slice(bytes).map_err(|error| ToolError::Malformed {
        line: error.line(),
        column: error.column(),
    })
}

pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

pub(crate) fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), ToolError> {
    if found > max {
        return Err(ToolError::TooLarge { what, found, max });
    }
    Ok(())
}

pub(crate) fn check_description(text: &str) -> Result<(), ToolError> {
    let is_line = !text.trim().is_empty() && !text.chars().any(char::is_control);
    if is_line && text.chars().count() <= TOOL_DESCRIPTION_MAX {
        Ok(())
    } else {
        Err(ToolError::Description(TOOL_DESCRIPTION_MAX))
    }
}

/// What the component imports, each on the allow-list.
pub(crate) fn check_component(bytes: &[u8]) -> Result<Vec<String>, ToolError> {
    at_most("component", bytes.len(), TOOL_COMPONENT_MAX)?;
    let checked = kekkai_program_check::check(bytes)?;
    if checked.kind() != Kind::Tool {
        return Err(ToolError::NotATool);
    }
    Ok(checked.imports().to_vec())
}

pub(crate) fn check_sbom(
    bytes: &[u8],
    name: &ToolName,
    component: &Digest,
) -> Result<Sbom, ToolError> {
    at_most("bill of materials", bytes.len(), TOOL_SBOM_MAX)?;
    Ok(Sbom::parse(bytes, name.as_str(), component)?)
}
