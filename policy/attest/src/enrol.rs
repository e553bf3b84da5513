//! Enrolment: is there a TPM, is the AK in it, and is the unwrapping key beside it?

use kekkai_types::{Digest, ServerId, Timestamp};
use subtle::ConstantTimeEq;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

use crate::chain::TpmTrust;
use crate::credential::{make, uncompressed};
use crate::evidence::{Enrolled, EnrolmentRequest};
use crate::policy::authorize_policy;
use crate::public::{EccPublic, Scheme, attribute};
use crate::structure::{Attest, Attested, decode, encode, is_signed};

/// Why a server is not enrolled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// A field that can't be read.
    #[error("\"{0}\" of the enrolment request is malformed")]
    Malformed(&'static str),
    /// No configured authority vouches for the TPM.
    #[error("no trusted authority issued the EK certificate")]
    UntrustedTpm,
    /// An EK of another kind than ECC P-256.
    #[error("the EK is not an ECC P-256 key")]
    EkKind,
    /// The AK could sign what the TPM didn't make, or could leave the TPM.
    #[error("the AK is not a restricted signing key that is fixed to its TPM")]
    AkAttributes,
    /// The unwrapping key could leave the TPM, or could be used without the signed PCR policy.
    #[error("the unwrapping key is not fixed to its TPM and to a policy")]
    UnwrapAttributes,
    /// The unwrapping key obeys another policy key.
    #[error("the unwrapping key does not obey this deployment's PCR policy key")]
    UnwrapPolicy,
    /// The AK did not certify the unwrapping key for this server.
    #[error("the AK did not certify the unwrapping key for this server")]
    UnwrapNotCertified,
    /// The deployment's own PCR policy key is malformed.
    #[error("the PCR policy key is malformed")]
    PolicyKey,
    /// Another TPM holds the AK, or none.
    #[error("the credential was not activated by the TPM of the EK certificate")]
    WrongCredential,
    /// The operating system gave no randomness.
    #[error("there is no randomness")]
    Randomness,
}

/// What `TPM2_ActivateCredential` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// `TPM2B_ID_OBJECT`'s contents, base64.
    pub credential_blob: String,
    /// `TPM2B_ENCRYPTED_SECRET`'s contents, base64.
    pub secret: String,
}

/// An enrolment that waits for its credential. Kept in memory only: after a restart of the verifier, the
/// server begins again.
#[must_use = "nobody is enrolled until the credential comes back"]
pub struct PendingEnrolment {
    challenge: Challenge,
    expected: Zeroizing<[u8; 32]>,
    enrolled: Enrolled,
}

impl std::fmt::Debug for PendingEnrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingEnrolment")
            .field("server", &self.enrolled.server)
            .finish_non_exhaustive()
    }
}

impl PendingEnrolment {
    /// What to send to the server.
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Who is being enrolled.
    pub const fn server(&self) -> &ServerId {
        &self.enrolled.server
    }

    /// Whether a software TPM is being enrolled: no hardware trust.
    pub const fn is_emulated(&self) -> bool {
        self.enrolled.emulated
    }

    /// Takes the activated credential (base64). One attempt: a wrong one ends the enrolment.
    pub fn finish(self, credential: &str) -> Result<Enrolled, EnrolmentError> {
        let shown = Zeroizing::new(decode(credential).unwrap_or_default());
        if bool::from(shown.as_slice().ct_eq(self.expected.as_slice())) {
            Ok(self.enrolled)
        } else {
            Err(EnrolmentError::WrongCredential)
        }
    }
}

/// `extraData` of the unwrapping key's certification: the certification of one server's key doesn't
/// enrol another server.
pub fn enrolment_binding(server: &ServerId) -> Digest {
    Digest::of(format!("kekkai enrolment v1\n{server}").as_bytes())
}

/// Judges a request and makes the challenge that only the TPM of its EK certificate can answer, and only
/// if it holds the AK.
pub fn begin_enrolment(
    trust: &TpmTrust,
    policy_key_sec1: &[u8],
    request: &EnrolmentRequest,
    now: Timestamp,
) -> Result<PendingEnrolment, EnrolmentError> {
    let policy_key = policy_key_sec1
        .try_into()
        .map_err(|_| EnrolmentError::PolicyKey)?;

    let certificate =
        decode(&request.ek_certificate).ok_or(EnrolmentError::Malformed("ek_certificate"))?;
    let by_authority = trust
        .verify(&certificate, now)
        .ok_or(EnrolmentError::UntrustedTpm)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
        .map_err(|_| EnrolmentError::Malformed("ek_certificate"))?;
    let ek = ek_of(&parsed)?;
    let emulated = by_authority || says_emulated(&parsed);

    let ak = public(&request.ak_public, "ak_public")?;
    check_ak(&ak)?;
    let unwrap = public(&request.unwrap_public, "unwrap_public")?;
    check_unwrap(&unwrap, policy_key)?;
    check_certified(request, &ak, &unwrap)?;

    let mut expected = Zeroizing::new([0; 32]);
    getrandom::fill(expected.as_mut_slice()).map_err(|_| EnrolmentError::Randomness)?;
    let sealed = make(&ek, &ak.name, &expected).map_err(|_| EnrolmentError::Randomness)?;
    Ok(PendingEnrolment {
        challenge: Challenge {
            credential_blob: encode(&sealed.credential_blob),
            secret: encode(&sealed.secret),
        },
        expected,
        enrolled: Enrolled {
            server: request.server.clone(),
            ek_certificate: Digest::of(&certificate),
            ak_public: encode(&ak.point),
            unwrap_public: encode(&unwrap.point),
            emulated,
        },
    })
}

/// `tpmModel` of the EK credential profile.
const TPM_MODEL: Oid<'static> = oid!(2.23.133.2.2);

/// A software TPM's certificate names its model. Whoever lists its authority as hardware by mistake gets
/// the label all the same.
fn says_emulated(certificate: &X509Certificate<'_>) -> bool {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    names.value.general_names.iter().any(|name| match name {
        GeneralName::DirectoryName(name) => name.iter_by_oid(&TPM_MODEL).any(|model| {
            model
                .as_str()
                .is_ok_and(|text| text.eq_ignore_ascii_case("swtpm"))
        }),
        _ => false,
    })
}

fn ek_of(parsed: &X509Certificate<'_>) -> Result<p256::PublicKey, EnrolmentError> {
    let spki = parsed.public_key();
    // A P-256 key in its SubjectPublicKeyInfo, not just any 65 bytes.
    let point = spki.subject_public_key.data.as_ref();
    let key = p256::PublicKey::from_sec1_bytes(point).map_err(|_| EnrolmentError::EkKind)?;
    let names_curve = spki
        .algorithm
        .parameters
        .as_ref()
        .and_then(|parameters| parameters.as_oid().ok())
        .is_some_and(|oid| oid == x509_parser::oid_registry::OID_EC_P256);
    let is_ec = spki.algorithm.algorithm == x509_parser::oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY;
    if is_ec && names_curve {
        Ok(key)
    } else {
        Err(EnrolmentError::EkKind)
    }
}

/// Parses a public area and its point: a key that is not on the curve is no key.
fn public(text: &str, field: &'static str) -> Result<EccPublic, EnrolmentError> {
    let malformed = || EnrolmentError::Malformed(field);
    let mut parsed = decode(text)
        .and_then(|bytes| EccPublic::parse(&bytes).ok())
        .ok_or_else(malformed)?;
    let key = p256::PublicKey::from_sec1_bytes(&parsed.point).map_err(|_| malformed())?;
    parsed.point = uncompressed(&key);
    Ok(parsed)
}

fn check_ak(ak: &EccPublic) -> Result<(), EnrolmentError> {
    let required = attribute::FIXED_TPM
        | attribute::FIXED_PARENT
        | attribute::SENSITIVE_DATA_ORIGIN
        | attribute::RESTRICTED
        | attribute::SIGN;
    let optional = attribute::USER_WITH_AUTH | attribute::ADMIN_WITH_POLICY | attribute::NO_DA;
    if ak.is(required, optional) && ak.scheme == Scheme::Ecdsa {
        Ok(())
    } else {
        Err(EnrolmentError::AkAttributes)
    }
}

fn check_unwrap(unwrap: &EccPublic, policy_key: &[u8; 65]) -> Result<(), EnrolmentError> {
    // Without `userWithAuth`, nobody uses the key but under its policy. `adminWithPolicy` is not asked
    // for: the ADMIN role certifies a key and changes its authorization value, but never uses it, and
    // TPM2_Certify needs that role.
    let required = attribute::FIXED_TPM
        | attribute::FIXED_PARENT
        | attribute::SENSITIVE_DATA_ORIGIN
        | attribute::DECRYPT;
    let optional = attribute::ADMIN_WITH_POLICY | attribute::NO_DA;
    if !unwrap.is(required, optional) || unwrap.scheme == Scheme::Ecdsa {
        return Err(EnrolmentError::UnwrapAttributes);
    }
    if unwrap.auth_policy.as_slice() != authorize_policy(policy_key).as_bytes() {
        return Err(EnrolmentError::UnwrapPolicy);
    }
    Ok(())
}

fn check_certified(
    request: &EnrolmentRequest,
    ak: &EccPublic,
    unwrap: &EccPublic,
) -> Result<(), EnrolmentError> {
    let malformed = || EnrolmentError::Malformed("unwrap_certify");
    let bytes = decode(&request.unwrap_certify).ok_or_else(malformed)?;
    let attest = Attest::parse(&bytes).map_err(|_| malformed())?;
    let binding = enrolment_binding(&request.server);
    let expected = Attest {
        extra_data: binding.as_bytes(),
        attested: Attested::Certify { name: &unwrap.name },
    };
    if attest == expected && is_signed(&ak.point, &bytes, &request.unwrap_signature) {
        Ok(())
    } else {
        Err(EnrolmentError::UnwrapNotCertified)
    }
}
