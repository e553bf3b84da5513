//! A request, opened: every claim in it was checked that can be checked without asking anybody.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kekkai_review_api::{
    TOOL_COMPONENT_MAX, TOOL_FORMAT, TOOL_SBOM_MAX, ToolManifest, ToolRequest,
};
use kekkai_types::Digest;

use crate::error::ToolError;
use crate::pack::{at_most, check_component, check_description, check_sbom, length};
use crate::sbom::Sbom;
use crate::signature::{self, Signer};

/// A request whose bytes are those that its signature is about. Only [`open`] makes one.
#[derive(Debug, Clone)]
pub struct Opened {
    manifest: ToolManifest,
    signer: Signer,
    imports: Vec<String>,
    sbom: Sbom,
    component: Vec<u8>,
}

impl Opened {
    /// What was signed.
    pub fn manifest(&self) -> &ToolManifest {
        &self.manifest
    }

    /// Whose key signed. That it is the author's is for the policy service to say.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What the component imports.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// What it is made of.
    pub fn sbom(&self) -> &Sbom {
        &self.sbom
    }

    /// The component.
    pub fn component(&self) -> &[u8] {
        &self.component
    }
}

/// Opens a request.
pub fn open(request: &ToolRequest) -> Result<Opened, ToolError> {
    if request.format != TOOL_FORMAT {
        // From an unverified file: no more of it than a name needs.
        return Err(ToolError::Format(request.format.chars().take(64).collect()));
    }
    let manifest = &request.manifest;
    check_description(&manifest.description)?;
    // Cheap and decisive first: nobody's bytes are parsed whom no key answers for.
    let signer = signature::verify(&manifest.signed_text(), &request.signature)?;
    let component = decode("component", &request.component, TOOL_COMPONENT_MAX)?;
    if Digest::of(&component) != manifest.component_sha256
        || length(&component) != manifest.component_bytes
    {
        return Err(ToolError::Digest("component"));
    }
    let bill = decode("bill of materials", &request.sbom, TOOL_SBOM_MAX)?;
    if Digest::of(&bill) != manifest.sbom_sha256 || length(&bill) != manifest.sbom_bytes {
        return Err(ToolError::Digest("bill of materials"));
    }
    let imports = check_component(&component)?;
    let sbom = check_sbom(&bill, &manifest.name, &manifest.component_sha256)?;
    Ok(Opened {
        manifest: manifest.clone(),
        signer,
        imports,
        sbom,
        component,
    })
}

fn decode(what: &'static str, text: &str, max: usize) -> Result<Vec<u8>, ToolError> {
    // Bounded before it is decoded: base64 has 4 letters for 3 bytes.
    at_most(what, text.len() / 4 * 3, max.saturating_add(3))?;
    let bytes = STANDARD.decode(text).map_err(|_| ToolError::Base64(what))?;
    at_most(what, bytes.len(), max)?;
    Ok(bytes)
}
