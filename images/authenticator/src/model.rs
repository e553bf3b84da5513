//! A model of authenticator: its AAGUID, its authority, its batch certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::secret::PrivateKey;

/// The AAGUID of this software authenticator: `6b656b6b-6169-4d75-8000-000000000001`.
pub const EMULATED_AAGUID: [u8; 16] = [
    0x6b, 0x65, 0x6b, 0x6b, 0x61, 0x69, 0x4d, 0x75, 0x80, 0, 0, 0, 0, 0, 0, 1,
];
/// A model that nobody allows, for tests.
pub const OTHER_AAGUID: [u8; 16] = [
    0x6b, 0x65, 0x6b, 0x6b, 0x61, 0x69, 0x4d, 0x75, 0x80, 0, 0, 0, 0, 0, 0, 2,
];
/// `id-fido-gen-ce-aaguid`, WebAuthn §8.2.1.
const AAGUID_EXTENSION: &[u64] = &[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4];

/// A model: what all authenticators of one batch share.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    aaguid: [u8; 16],
    authority_pem: String,
    batch_certificate: String,
    batch_key: PrivateKey,
}

impl Model {
    /// The emulated model, under a fresh authority whose key is thrown away.
    pub fn emulated() -> Result<Self, Error> {
        Self::generate("Kekkai emulated authenticator", EMULATED_AAGUID)
    }

    /// A model of any name and AAGUID, under a fresh authority whose key is thrown away.
    pub fn generate(name: &str, aaguid: [u8; 16]) -> Result<Self, Error> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority.distinguished_name = subject(name, "authority")?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.not_before = rcgen::date_time_ymd(2024, 1, 1);
        authority.not_after = rcgen::date_time_ymd(2054, 1, 1);
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let batch_key = KeyPair::generate()?;
        let mut batch = CertificateParams::default();
        batch.distinguished_name = subject(name, "batch 1")?;
        batch.is_ca = IsCa::ExplicitNoCa;
        batch.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        batch.not_before = rcgen::date_time_ymd(2024, 1, 1);
        batch.not_after = rcgen::date_time_ymd(2054, 1, 1);
        // The extension's value is an OCTET STRING of 16 bytes; it must not be critical.
        let mut value = vec![0x04, 0x10];
        value.extend_from_slice(&aaguid);
        batch.custom_extensions = vec![CustomExtension::from_oid_content(AAGUID_EXTENSION, value)];
        let certificate = batch.signed_by(&batch_key, &issuer)?;
        Ok(Self {
            aaguid,
            authority_pem,
            batch_certificate: STANDARD.encode(certificate.der()),
            batch_key: PrivateKey::from_pair(&batch_key),
        })
    }

    /// A second copy, asked for by name: authenticators of one batch share the batch key.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            aaguid: self.aaguid,
            authority_pem: self.authority_pem.clone(),
            batch_certificate: self.batch_certificate.clone(),
            batch_key: self.batch_key.duplicate(),
        }
    }

    /// What the batch certificate's signature leads to: for the gateway's allow-list.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The AAGUID as a UUID, for the gateway's allow-list.
    pub fn aaguid(&self) -> String {
        let hex: String = self.aaguid.iter().map(|b| format!("{b:02x}")).collect();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
        [
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32),
        ]
        .join("-")
    }

    pub(crate) fn aaguid_bytes(&self) -> &[u8; 16] {
        &self.aaguid
    }

    pub(crate) fn batch(&self) -> Result<(Vec<u8>, KeyPair), Error> {
        let der = STANDARD
            .decode(&self.batch_certificate)
            .map_err(|_| Error::Key(rcgen::Error::CouldNotParseCertificate))?;
        Ok((der, self.batch_key.pair()?))
    }
}

/// WebAuthn §8.2.1 asks for country, organisation, this organisational unit, and a common name.
fn subject(name: &str, part: &str) -> Result<DistinguishedName, Error> {
    let mut subject = DistinguishedName::new();
    let country = rcgen::string::PrintableString::try_from("JP")?;
    subject.push(
        DnType::CountryName,
        rcgen::DnValue::PrintableString(country),
    );
    subject.push(DnType::OrganizationName, "Kekkai");
    subject.push(DnType::OrganizationalUnitName, "Authenticator Attestation");
    subject.push(DnType::CommonName, format!("{name} {part}"));
    Ok(subject)
}
