//! Attestation without a TPM: what an analysis server sends, and how the policy service judges it.
//!
//! The story: a server shows its EK certificate; the verifier makes a credential that only that TPM
//! can activate, and only for the AK it names ([`begin_enrolment`]). From then on each session launch brings a
//! fresh quote ([`verify_quote`]) over the PCRs that measure the server's binary, configuration and
//! session images, bound to a nonce and to the TLS key at the other end of the channel. What a good
//! server measures to is a [`ReferenceValues`], signed by the producer's [`PolicyKey`]; that signature
//! also satisfies the policy of the TPM key to which dataset keys are wrapped.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod chain;
mod credential;
mod enrol;
mod evidence;
mod policy;
mod public;
mod quote;
mod reference;
mod structure;
mod wire;

pub use chain::{AUTHORITIES_MAX, TpmTrust, TrustError};
pub use enrol::{Challenge, EnrolmentError, PendingEnrolment, begin_enrolment, enrolment_binding};
pub use evidence::{
    Component, ComponentKind, Enrolled, EnrolmentRequest, Evidence, Measurement, PcrValue,
    ReferenceValues,
};
pub use policy::{PCR_MAX, POLICY_REF, approval_hash, authorize_policy, pcr_policy};
pub use public::policy_key_public_area;
pub use quote::{EVENTS_MAX, QuoteError, verify_quote};
pub use reference::{PolicyKey, ReferenceError, replay};
