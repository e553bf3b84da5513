//! The shapes that cross between an analysis server and the policy service. Byte strings are base64.

use std::collections::BTreeMap;

use kekkai_types::{Digest, ServerId};
use serde::{Deserialize, Serialize};

/// What a measurement is about, and the PCR that it extends (those of systemd's conventions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// The analysis server's binary: PCR 11.
    Binary,
    /// Its configuration: PCR 12.
    Configuration,
    /// What runs in sessions: PCR 13.
    SessionImage,
}

impl ComponentKind {
    /// All kinds, in the order of measurement.
    pub const ALL: [Self; 3] = [Self::Binary, Self::Configuration, Self::SessionImage];

    /// `binary`, `configuration` or `session-image`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Configuration => "configuration",
            Self::SessionImage => "session-image",
        }
    }

    /// The PCR (SHA-256 bank) that components of this kind extend.
    pub const fn pcr(self) -> u32 {
        match self {
            Self::Binary => 11,
            Self::Configuration => 12,
            Self::SessionImage => 13,
        }
    }
}

/// One entry of the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// What kind of component, and so which PCR.
    pub kind: ComponentKind,
    /// The component's name: `kekkai-analysis`, `analysis.toml`, `kekkai-sql-worker`.
    pub name: String,
    /// SHA-256 of its bytes: the PCR is extended by this digest.
    pub digest: Digest,
}

/// One PCR of the SHA-256 bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcrValue {
    /// 0 to 23.
    pub index: u32,
    /// Its value.
    pub value: Digest,
}

/// A quote and what is needed to judge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// `TPMS_ATTEST`, marshalled, base64.
    pub attest: String,
    /// ECDSA P-256 with SHA-256 over it by the AK: r and s, 64 bytes, base64.
    pub signature: String,
    /// The quoted PCRs.
    pub pcrs: Vec<PcrValue>,
    /// In the order of extension.
    pub event_log: Vec<Measurement>,
}

/// What a server sends to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRequest {
    /// The server's name, expected by an operator.
    pub server: ServerId,
    /// The EK certificate (ECC P-256), DER, base64.
    pub ek_certificate: String,
    /// The AK's `TPMT_PUBLIC`, marshalled, base64: restricted signing, ECDSA P-256.
    pub ak_public: String,
    /// The unwrapping key's `TPMT_PUBLIC`: ECDH P-256, usable only under the signed PCR policy.
    pub unwrap_public: String,
    /// `TPM2_Certify` of the unwrapping key by the AK: `TPMS_ATTEST`, base64.
    pub unwrap_certify: String,
    /// Its signature: r and s, base64.
    pub unwrap_signature: String,
}

/// A server whose TPM proved to hold the AK and the unwrapping key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolled {
    /// The server.
    pub server: ServerId,
    /// SHA-256 of the EK certificate.
    pub ek_certificate: Digest,
    /// The AK, SEC 1 uncompressed, base64.
    pub ak_public: String,
    /// The unwrapping key, SEC 1 uncompressed, base64: dataset keys are wrapped to it.
    pub unwrap_public: String,
    /// True when the EK certificate comes from a software TPM: no hardware trust.
    pub emulated: bool,
}

/// What a good server measures to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceValues {
    /// For people: `2026-11 r3`.
    pub label: String,
    /// The components, in the order of measurement.
    pub components: Vec<Component>,
    /// The PCR values that follow from them; PCRs 0 to 7 too where there is firmware to measure.
    pub pcrs: BTreeMap<u32, Digest>,
    /// ECDSA P-256 by the producer's PCR policy key over the approved policy (`aHash` of
    /// `TPM2_PolicyAuthorize`): r and s, base64.
    pub policy_signature: String,
}

/// One measured component of the reference values.
pub type Component = Measurement;
