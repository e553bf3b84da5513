//! What a software TPM said (`tests/vectors/swtpm.json`, captured by an example of `sandbox/tpm`), judged,
//! and then judged again with each field changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kekkai_attest::{
    Enrolled, EnrolmentError, EnrolmentRequest, Evidence, PolicyKey, QuoteError, ReferenceError,
    ReferenceValues, TpmTrust, authorize_policy, begin_enrolment, verify_quote,
};
use kekkai_types::{Digest, ServerId, Timestamp};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    authorities: String,
    policy_key: Vec<u8>,
    captured_at: Timestamp,
    request: EnrolmentRequest,
    qualifying: Digest,
    evidence: Evidence,
    reference: ReferenceValues,
}

impl Vectors {
    fn load() -> Self {
        serde_json::from_str(include_str!("vectors/swtpm.json")).unwrap()
    }

    fn trust(&self) -> TpmTrust {
        let mut trust = TpmTrust::new();
        trust.add_emulated(&self.authorities).unwrap();
        trust
    }

    fn begin(&self, request: &EnrolmentRequest) -> Result<(), EnrolmentError> {
        begin_enrolment(&self.trust(), &self.policy_key, request, self.captured_at).map(|_| ())
    }

    /// As it would be stored after the credential came back; that part needs the TPM and is tested in
    /// `sandbox/tpm`.
    fn enrolled(&self) -> Enrolled {
        let point = |public: &str| {
            let bytes = decode(public);
            let (y, rest) = (&bytes[bytes.len() - 32..], &bytes[..bytes.len() - 34]);
            let x = &rest[rest.len() - 32..];
            BASE64_STANDARD.encode([&[4], x, y].concat())
        };
        Enrolled {
            server: self.request.server.clone(),
            ek_certificate: Digest::of(&decode(&self.request.ek_certificate)),
            ak_public: point(&self.request.ak_public),
            unwrap_public: point(&self.request.unwrap_public),
            emulated: true,
        }
    }

    fn verify(&self, evidence: &Evidence) -> Result<usize, QuoteError> {
        let references = std::slice::from_ref(&self.reference);
        verify_quote(&self.enrolled(), references, &self.qualifying, evidence)
    }
}

fn decode(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

/// The same base64 text with one bit of its contents turned.
fn flip(text: &str, byte: usize, bit: u8) -> String {
    let mut bytes = decode(text);
    bytes[byte] ^= 1 << bit;
    BASE64_STANDARD.encode(bytes)
}

#[test]
fn captured_request_is_challenged_and_only_its_credential_enrols() {
    let vectors = Vectors::load();
    let begin = || {
        begin_enrolment(
            &vectors.trust(),
            &vectors.policy_key,
            &vectors.request,
            vectors.captured_at,
        )
        .unwrap()
    };
    let pending = begin();
    // TPM2B_ID_OBJECT: a 32-byte HMAC with its length, and 34 encrypted bytes.
    assert_eq!(
        decode(&pending.challenge().credential_blob).len(),
        2 + 32 + 34
    );
    assert_eq!(decode(&pending.challenge().secret).len(), 2 * (2 + 32));
    assert_eq!(pending.server(), &vectors.request.server);
    assert_ne!(
        begin().challenge(),
        begin().challenge(),
        "each challenge is fresh"
    );
    for wrong in ["", "AAAA", "not base64!", &BASE64_STANDARD.encode([0; 32])] {
        assert_eq!(begin().finish(wrong), Err(EnrolmentError::WrongCredential));
    }
}

#[test]
fn no_bit_of_the_ek_certificate_can_change() {
    let vectors = Vectors::load();
    let length = decode(&vectors.request.ek_certificate).len();
    for byte in 0..length {
        let mut request = vectors.request.clone();
        request.ek_certificate = flip(&request.ek_certificate, byte, 0);
        assert_eq!(
            vectors.begin(&request),
            Err(EnrolmentError::UntrustedTpm),
            "byte {byte}"
        );
    }
}

#[test]
fn ek_certificate_counts_only_with_its_authority_and_in_its_time() {
    let vectors = Vectors::load();
    let begin = |trust: &TpmTrust, now| {
        begin_enrolment(trust, &vectors.policy_key, &vectors.request, now).map(|_| ())
    };
    let untrusted = Err(EnrolmentError::UntrustedTpm);
    assert_eq!(begin(&TpmTrust::new(), vectors.captured_at), untrusted);
    let a_year_before = vectors.captured_at.plus_ms(-365 * 24 * 3_600_000);
    assert_eq!(begin(&vectors.trust(), a_year_before), untrusted);

    // The authority's own certificate is no EK certificate.
    let pem = vectors.authorities.split("-----").nth(2).unwrap();
    let mut request = vectors.request.clone();
    request.ek_certificate = pem.split_whitespace().collect();
    assert_eq!(vectors.begin(&request), untrusted);
}

#[test]
fn software_tpm_is_labelled_whatever_the_list_says() {
    let vectors = Vectors::load();
    let label = |trust: &TpmTrust| {
        let pending = begin_enrolment(
            trust,
            &vectors.policy_key,
            &vectors.request,
            vectors.captured_at,
        );
        pending.unwrap().is_emulated()
    };
    assert!(label(&vectors.trust()));
    let mut trust = TpmTrust::new();
    trust.add_hardware(&vectors.authorities).unwrap();
    assert!(label(&trust), "its certificate names the model swtpm");
    trust.add_emulated(&vectors.authorities).unwrap();
    assert!(label(&trust));
}

/// `TPMA_OBJECT` lies at bytes 4 to 7; the bit that each number names, and what a key must not be.
const FIXED_TPM: u32 = 1;
const ST_CLEAR: u32 = 2;
const FIXED_PARENT: u32 = 4;
const SENSITIVE_DATA_ORIGIN: u32 = 5;
const USER_WITH_AUTH: u32 = 6;
const ENCRYPTED_DUPLICATION: u32 = 11;
const RESTRICTED: u32 = 16;
const DECRYPT: u32 = 17;
const SIGN: u32 = 18;

fn turn_attribute(public: &str, bit: u32) -> String {
    let byte = 7 - usize::try_from(bit / 8).unwrap();
    flip(public, byte, u8::try_from(bit % 8).unwrap())
}

#[test]
fn ak_with_another_attribute_is_refused() {
    let vectors = Vectors::load();
    for bit in [
        FIXED_TPM,
        ST_CLEAR,
        FIXED_PARENT,
        SENSITIVE_DATA_ORIGIN,
        ENCRYPTED_DUPLICATION,
        RESTRICTED,
        DECRYPT,
        SIGN,
    ] {
        let mut request = vectors.request.clone();
        request.ak_public = turn_attribute(&request.ak_public, bit);
        assert_eq!(
            vectors.begin(&request),
            Err(EnrolmentError::AkAttributes),
            "bit {bit}"
        );
    }
}

#[test]
fn unwrapping_key_with_another_attribute_is_refused() {
    let vectors = Vectors::load();
    for bit in [
        FIXED_TPM,
        ST_CLEAR,
        FIXED_PARENT,
        SENSITIVE_DATA_ORIGIN,
        USER_WITH_AUTH,
        ENCRYPTED_DUPLICATION,
        RESTRICTED,
        DECRYPT,
        SIGN,
    ] {
        let mut request = vectors.request.clone();
        request.unwrap_public = turn_attribute(&request.unwrap_public, bit);
        assert_eq!(
            vectors.begin(&request),
            Err(EnrolmentError::UnwrapAttributes),
            "bit {bit}"
        );
    }
}

#[test]
fn no_byte_of_a_public_area_can_change() {
    let vectors = Vectors::load();
    for byte in 0..decode(&vectors.request.ak_public).len() {
        let mut request = vectors.request.clone();
        request.ak_public = flip(&request.ak_public, byte, 0);
        assert!(vectors.begin(&request).is_err(), "AK byte {byte}");
    }
    for byte in 0..decode(&vectors.request.unwrap_public).len() {
        let mut request = vectors.request.clone();
        request.unwrap_public = flip(&request.unwrap_public, byte, 0);
        assert!(
            vectors.begin(&request).is_err(),
            "unwrapping key byte {byte}"
        );
    }
}

#[test]
fn unwrapping_key_of_another_policy_is_refused() {
    let vectors = Vectors::load();
    let other = PolicyKey::generate().unwrap().public();
    assert_ne!(
        authorize_policy(&other),
        authorize_policy(&vectors.policy_key[..].try_into().unwrap())
    );
    let refused = begin_enrolment(
        &vectors.trust(),
        &other,
        &vectors.request,
        vectors.captured_at,
    )
    .err();
    assert_eq!(refused, Some(EnrolmentError::UnwrapPolicy));
    let refused = begin_enrolment(
        &vectors.trust(),
        &[4; 64],
        &vectors.request,
        vectors.captured_at,
    )
    .err();
    assert_eq!(refused, Some(EnrolmentError::PolicyKey));
}

#[test]
fn certification_holds_for_one_key_and_one_server() {
    let vectors = Vectors::load();
    let not_certified = Err(EnrolmentError::UnwrapNotCertified);

    let mut request = vectors.request.clone();
    request.server = ServerId::new("a2").unwrap();
    assert_eq!(vectors.begin(&request), not_certified);

    for byte in 0..64 {
        let mut request = vectors.request.clone();
        request.unwrap_signature = flip(&request.unwrap_signature, byte, 0);
        assert_eq!(
            vectors.begin(&request),
            not_certified,
            "signature byte {byte}"
        );
    }
    for byte in 0..decode(&vectors.request.unwrap_certify).len() {
        let mut request = vectors.request.clone();
        request.unwrap_certify = flip(&request.unwrap_certify, byte, 0);
        assert!(vectors.begin(&request).is_err(), "statement byte {byte}");
    }
    // A quote by the same AK certifies nothing.
    let mut request = vectors.request.clone();
    request.unwrap_certify = vectors.evidence.attest.clone();
    request.unwrap_signature = vectors.evidence.signature.clone();
    assert_eq!(vectors.begin(&request), not_certified);
}

#[test]
fn captured_quote_meets_its_reference_values() {
    let vectors = Vectors::load();
    assert_eq!(
        vectors.reference.verify_signature(&vectors.policy_key),
        Ok(())
    );
    assert_eq!(vectors.verify(&vectors.evidence), Ok(0));
}

#[test]
fn no_bit_of_a_quote_can_change() {
    let vectors = Vectors::load();
    for byte in 0..decode(&vectors.evidence.attest).len() {
        let mut evidence = vectors.evidence.clone();
        evidence.attest = flip(&evidence.attest, byte, 7);
        assert_eq!(
            vectors.verify(&evidence),
            Err(QuoteError::Signature),
            "byte {byte}"
        );
    }
    for byte in 0..64 {
        let mut evidence = vectors.evidence.clone();
        evidence.signature = flip(&evidence.signature, byte, 0);
        assert_eq!(
            vectors.verify(&evidence),
            Err(QuoteError::Signature),
            "byte {byte}"
        );
    }
    let mut other_ak = vectors.enrolled();
    other_ak.ak_public = other_ak.unwrap_public.clone();
    let references = std::slice::from_ref(&vectors.reference);
    let refused = verify_quote(
        &other_ak,
        references,
        &vectors.qualifying,
        &vectors.evidence,
    );
    assert_eq!(refused, Err(QuoteError::Signature));
}

#[test]
fn certification_is_no_quote() {
    let vectors = Vectors::load();
    let mut evidence = vectors.evidence.clone();
    evidence.attest = vectors.request.unwrap_certify.clone();
    evidence.signature = vectors.request.unwrap_signature.clone();
    assert_eq!(vectors.verify(&evidence), Err(QuoteError::NotAQuote));
}

#[test]
fn pcr_values_and_event_log_must_be_the_quoted_ones() {
    let vectors = Vectors::load();
    for index in 0..vectors.evidence.pcrs.len() {
        let mut evidence = vectors.evidence.clone();
        evidence.pcrs[index].value = Digest::of(b"other");
        assert_eq!(vectors.verify(&evidence), Err(QuoteError::PcrDigest));
        let mut evidence = vectors.evidence.clone();
        evidence.pcrs.remove(index);
        assert_eq!(vectors.verify(&evidence), Err(QuoteError::PcrDigest));
        let mut evidence = vectors.evidence.clone();
        evidence.pcrs[index].index += 1;
        assert_eq!(vectors.verify(&evidence), Err(QuoteError::PcrDigest));
    }
    for at in 0..vectors.evidence.event_log.len() {
        let pcr = vectors.evidence.event_log[at].kind.pcr();
        let mut evidence = vectors.evidence.clone();
        evidence.event_log[at].digest = Digest::of(b"other");
        assert_eq!(vectors.verify(&evidence), Err(QuoteError::EventLog(pcr)));
        let mut evidence = vectors.evidence.clone();
        evidence.event_log.remove(at);
        assert_eq!(vectors.verify(&evidence), Err(QuoteError::EventLog(pcr)));
        let mut evidence = vectors.evidence.clone();
        let again = evidence.event_log[at].clone();
        evidence.event_log.push(again);
        assert_eq!(vectors.verify(&evidence), Err(QuoteError::EventLog(pcr)));
        // A name is in no PCR; it is what the comparison is about.
        let mut evidence = vectors.evidence.clone();
        evidence.event_log[at].name = "other".to_owned();
        assert!(matches!(
            vectors.verify(&evidence),
            Err(QuoteError::Missing { .. })
        ));
    }
    // Two components of one PCR in the other order.
    let mut evidence = vectors.evidence.clone();
    evidence.event_log.swap(2, 3);
    assert_eq!(vectors.verify(&evidence), Err(QuoteError::EventLog(13)));
}

#[test]
fn reference_values_are_refused_when_any_part_changes() {
    let vectors = Vectors::load();
    let verify = |reference: &ReferenceValues| reference.verify_signature(&vectors.policy_key);
    for at in 0..vectors.reference.components.len() {
        let mut changed = vectors.reference.clone();
        changed.components[at].digest = Digest::of(b"other");
        assert_eq!(verify(&changed), Err(ReferenceError::Inconsistent));
        // With PCRs that follow, it is consistent, and not what was signed.
        let mut forged = ReferenceValues::compute("forged", changed.components);
        forged.policy_signature = vectors.reference.policy_signature.clone();
        assert_eq!(verify(&forged), Err(ReferenceError::Signature));
        assert_ne!(forged.digest(), vectors.reference.digest());
    }
    for byte in 0..64 {
        let mut changed = vectors.reference.clone();
        changed.policy_signature = flip(&changed.policy_signature, byte, 0);
        assert_eq!(
            verify(&changed),
            Err(ReferenceError::Signature),
            "byte {byte}"
        );
    }
    let mut weakened = vectors.reference.clone();
    weakened.pcrs.remove(&12);
    assert_eq!(verify(&weakened), Err(ReferenceError::Inconsistent));
    let mut images_only = vectors.reference.components.clone();
    images_only.remove(0);
    let no_binary = ReferenceValues::compute("no binary", images_only);
    assert!(matches!(
        verify(&no_binary),
        Err(ReferenceError::KindMissing(_))
    ));
}
