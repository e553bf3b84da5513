//! The author's signature: OpenSSH's own format (`PROTOCOL.sshsig`).

use kekkai_review_api::TOOL_NAMESPACE;
use ssh_key::{HashAlg, PublicKey, SshSig};

use crate::error::ToolError;

/// A signature in PEM is under this, in bytes: RSA with 16,384 bits needs half of it.
const SIGNATURE_MAX: usize = 8 * 1024;

/// Whose key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// `TYPE BASE64`, as the policy service knows terminals' keys.
    pub key: String,
    /// `SHA256:…`, as OpenSSH prints it.
    pub fingerprint: String,
}

/// Verifies a signature over a text; says nothing about whose key it is.
pub(crate) fn verify(text: &str, signature: &str) -> Result<Signer, ToolError> {
    let malformed = || ToolError::Signature(TOOL_NAMESPACE);
    if signature.len() > SIGNATURE_MAX {
        return Err(malformed());
    }
    let signature = SshSig::from_pem(signature).map_err(|_| malformed())?;
    if signature.namespace() != TOOL_NAMESPACE {
        return Err(malformed());
    }
    let key = PublicKey::from(signature.public_key().clone());
    key.verify(TOOL_NAMESPACE, text.as_bytes(), &signature)
        .map_err(|_| ToolError::NotSigned)?;
    let line = key.to_openssh().map_err(|_| malformed())?;
    let words: Vec<&str> = line.split_whitespace().take(2).collect();
    Ok(Signer {
        key: words.join(" "),
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
    })
}
