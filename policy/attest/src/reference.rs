//! Reference values: what a good server measures to, and the producer's signature that lets its TPM
//! use the unwrapping key.

use std::collections::BTreeMap;

use kekkai_types::Digest;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::elliptic_curve::Generate;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use zeroize::Zeroizing;

use crate::evidence::{Component, ComponentKind, Measurement, ReferenceValues};
use crate::policy::{approval_hash, extend, pcr_policy};
use crate::structure::{decode, encode};

/// Why reference values can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// PCR values that don't follow from the components.
    #[error("the PCR values of the reference values do not follow from their components")]
    Inconsistent,
    /// A kind of component is missing: whatever replaced it would pass.
    #[error("the reference values name no {}", .0.as_str())]
    KindMissing(ComponentKind),
    /// Signed by another key, or changed since.
    #[error("the producer's PCR policy key did not sign these reference values")]
    Signature,
    /// The policy key is malformed or can't sign.
    #[error("the PCR policy key can't be used")]
    Key,
}

/// The producer's PCR policy key: what it signs, the TPMs of all enrolled servers obey. Kept offline.
pub struct PolicyKey(SigningKey);

impl std::fmt::Debug for PolicyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PolicyKey(…)")
    }
}

impl PolicyKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, ReferenceError> {
        SigningKey::try_generate()
            .map(Self)
            .map_err(|_| ReferenceError::Key)
    }

    /// Reads PKCS #8 in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, ReferenceError> {
        SigningKey::from_pkcs8_pem(pem)
            .map(Self)
            .map_err(|_| ReferenceError::Key)
    }

    /// Writes PKCS #8 in PEM.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, ReferenceError> {
        self.0
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| ReferenceError::Key)
    }

    /// The public half, SEC 1 uncompressed: what servers and the policy service are configured with.
    pub fn public(&self) -> [u8; 65] {
        let point = self.0.verifying_key().to_sec1_point(false);
        let mut bytes = [0; 65];
        for (to, from) in bytes.iter_mut().zip(point.as_bytes()) {
            *to = *from;
        }
        bytes
    }
}

/// The values of PCRs 11, 12 and 13 after these measurements, from a cold start.
pub fn replay(measurements: &[Measurement]) -> BTreeMap<u32, Digest> {
    let mut pcrs: BTreeMap<u32, Digest> = ComponentKind::ALL
        .iter()
        .map(|kind| (kind.pcr(), Digest::from_bytes([0; 32])))
        .collect();
    for measurement in measurements {
        pcrs.entry(measurement.kind.pcr())
            .and_modify(|value| *value = extend(value, &measurement.digest));
    }
    pcrs
}

impl ReferenceValues {
    /// Reference values of these components, in the order of measurement; not signed yet.
    pub fn compute(label: impl Into<String>, components: Vec<Component>) -> Self {
        Self {
            label: label.into(),
            pcrs: replay(&components),
            components,
            policy_signature: String::new(),
        }
    }

    /// Signs the PCR policy that these values satisfy.
    pub fn sign(mut self, key: &PolicyKey) -> Result<Self, ReferenceError> {
        let hash = approval_hash(&self.approved_policy()?);
        let signature: Signature = key
            .0
            .sign_prehash(hash.as_bytes())
            .map_err(|_| ReferenceError::Key)?;
        self.policy_signature = encode(&signature.to_bytes());
        Ok(self)
    }

    /// The policy digest that the signature approves. Refuses values that contradict themselves, so
    /// nothing is signed or accepted whose components say one thing and whose PCRs another.
    pub fn approved_policy(&self) -> Result<Digest, ReferenceError> {
        for kind in ComponentKind::ALL {
            if !self
                .components
                .iter()
                .any(|component| component.kind == kind)
            {
                return Err(ReferenceError::KindMissing(kind));
            }
        }
        let replayed = replay(&self.components);
        let follows = replayed
            .iter()
            .all(|(index, value)| self.pcrs.get(index) == Some(value));
        if !follows {
            return Err(ReferenceError::Inconsistent);
        }
        pcr_policy(&self.pcrs).ok_or(ReferenceError::Inconsistent)
    }

    /// Verifies the values' consistency and the producer's signature.
    pub fn verify_signature(&self, policy_key_sec1: &[u8]) -> Result<(), ReferenceError> {
        let hash = approval_hash(&self.approved_policy()?);
        let key =
            VerifyingKey::from_sec1_bytes(policy_key_sec1).map_err(|_| ReferenceError::Key)?;
        let signature = decode(&self.policy_signature)
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or(ReferenceError::Signature)?;
        key.verify_prehash(hash.as_bytes(), &signature)
            .map_err(|_| ReferenceError::Signature)
    }

    /// Identifies the values; does not depend on the signature, which differs each time it is made.
    pub fn digest(&self) -> Digest {
        let mut bytes = b"kekkai reference values v1\n".to_vec();
        let mut put = |field: &[u8]| {
            let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(field);
        };
        put(self.label.as_bytes());
        for component in &self.components {
            put(component.kind.as_str().as_bytes());
            put(component.name.as_bytes());
            put(component.digest.as_bytes());
        }
        put(b"pcrs");
        for (index, value) in &self.pcrs {
            put(&index.to_be_bytes());
            put(value.as_bytes());
        }
        Digest::of(&bytes)
    }
}
