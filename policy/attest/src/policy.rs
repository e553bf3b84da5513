//! The enhanced-authorization policies, computed as a TPM computes them (Part 3, `TPM2_PolicyPCR` and
//! `TPM2_PolicyAuthorize`).
//!
//! The unwrapping key names neither PCR values nor software: it names the producer's PCR policy key.
//! Whatever PCR policy that key has signed satisfies it, so an upgrade is a new signature, not new keys.

use std::collections::BTreeMap;

use kekkai_types::Digest;

use crate::public::policy_key_name;

const CC_POLICY_AUTHORIZE: u32 = 0x016a;
const CC_POLICY_PCR: u32 = 0x017f;
const ALG_SHA256: u16 = 0x000b;

/// `policyRef`: a signature made for another purpose by the same key satisfies nothing here.
pub const POLICY_REF: &[u8] = b"kekkai pcr policy v1";

/// The highest PCR that can be selected.
pub const PCR_MAX: u32 = 23;

/// The unwrapping key's `authPolicy`.
pub fn authorize_policy(policy_key_sec1: &[u8; 65]) -> Digest {
    let mut first = vec![0; 32];
    first.extend_from_slice(&CC_POLICY_AUTHORIZE.to_be_bytes());
    first.extend_from_slice(&policy_key_name(policy_key_sec1));
    let mut second = Digest::of(&first).as_bytes().to_vec();
    second.extend_from_slice(POLICY_REF);
    Digest::of(&second)
}

/// The digest of a policy session after `TPM2_PolicyPCR` over these values; `None` for a PCR beyond
/// [`PCR_MAX`].
pub fn pcr_policy(pcrs: &BTreeMap<u32, Digest>) -> Option<Digest> {
    let mut bytes = vec![0; 32];
    bytes.extend_from_slice(&CC_POLICY_PCR.to_be_bytes());
    bytes.extend_from_slice(&1_u32.to_be_bytes());
    bytes.extend_from_slice(&ALG_SHA256.to_be_bytes());
    bytes.push(3);
    bytes.extend_from_slice(&selection(pcrs.keys().copied())?);
    bytes.extend_from_slice(pcr_digest(pcrs.values()).as_bytes());
    Some(Digest::of(&bytes))
}

/// What the PCR policy key signs to approve a policy: `aHash`.
pub fn approval_hash(approved: &Digest) -> Digest {
    let mut bytes = approved.as_bytes().to_vec();
    bytes.extend_from_slice(POLICY_REF);
    Digest::of(&bytes)
}

/// The three bytes of a `TPMS_PCR_SELECTION`.
fn selection(pcrs: impl Iterator<Item = u32>) -> Option<[u8; 3]> {
    let mut bits = 0_u32;
    for index in pcrs {
        if index > PCR_MAX {
            return None;
        }
        bits |= 1 << index;
    }
    let [a, b, c, _] = bits.to_le_bytes();
    Some([a, b, c])
}

/// The digest over selected PCRs, in ascending order.
pub(crate) fn pcr_digest<'a>(values: impl Iterator<Item = &'a Digest>) -> Digest {
    let bytes: Vec<u8> = values.flat_map(|value| *value.as_bytes()).collect();
    Digest::of(&bytes)
}

/// `TPM2_PCR_Extend`.
pub(crate) fn extend(value: &Digest, with: &Digest) -> Digest {
    let mut bytes = value.as_bytes().to_vec();
    bytes.extend_from_slice(with.as_bytes());
    Digest::of(&bytes)
}
