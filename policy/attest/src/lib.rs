//! Attestation without a TPM: what an analysis server sends, and how the policy service judges it.
//!
//! The story: a server shows its EK certificate; the verifier makes a credential that only that TPM
//! can activate, and only for the AK it names ([`enrol`]). From then on each session launch brings a
//! fresh quote ([`verify_quote`]) over the PCRs that measure the server's binary, configuration and
//! session images, bound to a nonce and to the TLS key at the other end of the channel.

mod evidence;
pub use evidence::{
    Component, ComponentKind, EnrolmentRequest, Enrolled, Evidence, Measurement, PcrValue,
    ReferenceValues,
};
