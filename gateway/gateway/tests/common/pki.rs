//! The authorities of a deployment, and certificates under them.

use std::path::Path;

use kekkai_service::tls::{SERVICE_NAME, TlsFiles};
use kekkai_types::{Digest, Peer, TerminalId};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    fn sign(&self, names: &[&str], uri: Option<&str>) -> (String, Vec<u8>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        if let Some(uri) = uri {
            params
                .subject_alt_names
                .push(SanType::URI(uri.try_into().unwrap()));
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), certificate.der().to_vec(), key)
    }

    pub fn issue(&self, dir: &Path, name: &str, peer: &Peer) -> TlsFiles {
        let (pem, _, key) = self.sign(&[SERVICE_NAME], Some(&peer.to_uri()));
        let file = |end: &str| dir.join(format!("{name}.{end}"));
        std::fs::write(file("pem"), pem).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        TlsFiles {
            certificate: file("pem"),
            key: file("key"),
            authority: dir.join("services.pem"),
        }
    }
}

/// A terminal's certificate and key.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
    pub spki: Digest,
}

impl Identity {
    pub fn duplicate(&self) -> Self {
        Self {
            certificate: self.certificate.clone(),
            key: self.key.clone_key(),
            spki: self.spki,
        }
    }
}

pub struct Pki {
    pub services: Authority,
    pub terminals: Authority,
    pub web: Authority,
    pub dir: std::path::PathBuf,
}

impl Pki {
    pub fn new(dir: &Path) -> Self {
        let pki = Self {
            services: Authority::new("services"),
            terminals: Authority::new("terminals"),
            web: Authority::new("web"),
            dir: dir.to_owned(),
        };
        std::fs::write(dir.join("services.pem"), &pki.services.pem).unwrap();
        std::fs::write(dir.join("terminals.pem"), &pki.terminals.pem).unwrap();
        pki.services.issue(dir, "gateway", &Peer::Gateway);
        let (pem, _, key) = pki.web.sign(&["localhost"], None);
        std::fs::write(dir.join("web.pem"), pem).unwrap();
        std::fs::write(dir.join("web.key"), key.serialize_pem()).unwrap();
        pki
    }

    pub fn terminal(&self, id: &str) -> Identity {
        Self::identity(&self.terminals, id)
    }

    pub fn identity(authority: &Authority, id: &str) -> Identity {
        let peer = Peer::Terminal(TerminalId::new(id).unwrap());
        let (_, der, key) = authority.sign(&[], Some(&peer.to_uri()));
        let certificate = CertificateDer::from(der);
        let (_, spki) = kekkai_service::tls::identify(&certificate).unwrap();
        Identity {
            certificate,
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            spki,
        }
    }
}
