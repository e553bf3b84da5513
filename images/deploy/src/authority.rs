//! Certificate authorities of a deployment: one for services, one for terminals, one for the web.
//!
//! They are apart so that a terminal's certificate can't open a service's port.

use std::path::{Path, PathBuf};

use kekkai_types::Peer;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::keys::create_private;
use crate::{DeployError, file};

/// The name that every service's certificate carries beside its URI.
const SERVICE_NAME: &str = "service.kekkai.internal";

/// An authority, with its private key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: PathBuf,
}

/// A certificate and its private key, as PEM files.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority: `DIR/NAME.crt`, `DIR/NAME.key`.
    pub fn create(dir: &Path, name: &str) -> Result<Self, DeployError> {
        std::fs::create_dir_all(dir).map_err(file(dir, "created"))?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Kekkai {name} authority"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        let certificate = dir.join(format!("{name}.crt"));
        create_private(
            &dir.join(format!("{name}.key")),
            key.serialize_pem().as_bytes(),
        )?;
        std::fs::write(&certificate, pem).map_err(file(&certificate, "written"))?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// Reads an authority that [`create`](Self::create) made.
    pub fn load(dir: &Path, name: &str) -> Result<Self, DeployError> {
        let certificate = dir.join(format!("{name}.crt"));
        let key_file = dir.join(format!("{name}.key"));
        let pem = std::fs::read_to_string(&certificate).map_err(file(&certificate, "read"))?;
        let key = std::fs::read_to_string(&key_file).map_err(file(&key_file, "read"))?;
        let issuer = Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(&key)?)?;
        Ok(Self {
            issuer,
            certificate,
        })
    }

    /// The authority's own certificate: what others trust.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// A certificate that names a peer: `DIR/NAME.crt`, `DIR/NAME.key`.
    pub fn issue_peer(&self, peer: &Peer, dir: &Path, name: &str) -> Result<Issued, DeployError> {
        let mut params = CertificateParams::new(match peer {
            Peer::Terminal(_) => Vec::new(),
            _ => vec![SERVICE_NAME.to_owned()],
        })?;
        params
            .subject_alt_names
            .push(SanType::URI(peer.to_uri().as_str().try_into()?));
        params
            .distinguished_name
            .push(DnType::CommonName, peer.to_uri());
        params.extended_key_usages = match peer {
            Peer::Terminal(_) | Peer::Admin(_) => vec![ExtendedKeyUsagePurpose::ClientAuth],
            _ => vec![
                ExtendedKeyUsagePurpose::ClientAuth,
                ExtendedKeyUsagePurpose::ServerAuth,
            ],
        };
        self.issue(params, dir, name)
    }

    /// A certificate for browsers: DNS names or addresses.
    pub fn issue_web(&self, names: &[&str], dir: &Path, name: &str) -> Result<Issued, DeployError> {
        let mut params =
            CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(
            DnType::CommonName,
            names.first().copied().unwrap_or("kekkai"),
        );
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, dir, name)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        dir: &Path,
        name: &str,
    ) -> Result<Issued, DeployError> {
        std::fs::create_dir_all(dir).map_err(file(dir, "created"))?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        let issued = Issued {
            certificate: dir.join(format!("{name}.crt")),
            key: dir.join(format!("{name}.key")),
        };
        create_private(&issued.key, key.serialize_pem().as_bytes())?;
        std::fs::write(&issued.certificate, pem).map_err(file(&issued.certificate, "written"))?;
        Ok(issued)
    }
}
