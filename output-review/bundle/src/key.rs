//! The key that signs releases, and the one that everybody may have.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// Why a text is not a key. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an Ed25519 private key in PKCS #8 PEM.
    #[error("not an Ed25519 private key in PKCS #8 PEM (\"BEGIN PRIVATE KEY\")")]
    Private,
    /// Not 32 bytes in base64 that are a point on the curve, or a weak one.
    #[error("not an Ed25519 public key: 32 bytes in base64 were expected")]
    Public,
}

/// The review service's signing key; wiped when dropped, printed by nobody.
pub struct ReleaseSigner(SigningKey);

/// The public key of a deployment's releases: 32 bytes, in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct ReleaseKey(VerifyingKey);

impl ReleaseSigner {
    /// Reads PKCS #8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(pem)
            .map(Self)
            .map_err(|_| KeyError::Private)
    }

    /// Takes the 32 bytes of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The key that verifies.
    pub fn public(&self) -> ReleaseKey {
        ReleaseKey(self.0.verifying_key())
    }

    /// Ed25519 is deterministic: the same bytes have the same signature after a restart.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        STANDARD.encode(self.0.sign(bytes).to_bytes())
    }
}

impl ReleaseKey {
    /// Strict: one message and one signature have one spelling.
    pub(crate) fn verifies(&self, bytes: &[u8], signature: &str) -> bool {
        STANDARD
            .decode(signature)
            .ok()
            .and_then(|raw| Signature::from_slice(&raw).ok())
            .is_some_and(|signature| self.0.verify_strict(bytes, &signature).is_ok())
    }
}

impl fmt::Debug for ReleaseSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReleaseSigner(…)")
    }
}

impl fmt::Display for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ReleaseKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        STANDARD
            .decode(text.trim())
            .ok()
            .and_then(|raw| <[u8; 32]>::try_from(raw).ok())
            .and_then(|raw| VerifyingKey::from_bytes(&raw).ok())
            .filter(|key| !key.is_weak())
            .map(Self)
            .ok_or(KeyError::Public)
    }
}
