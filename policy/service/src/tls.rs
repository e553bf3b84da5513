//! Mutual TLS 1.3 with certificates of the deployment's own authority.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kekkai_types::{Digest, Peer, PeerError};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use x509_parser::extensions::GeneralName;

/// Every service's certificate carries this name beside its URI: the URI says who it is.
pub const SERVICE_NAME: &str = "service.kekkai.internal";

/// Where a service's identity lies: PEM files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The service's certificate.
    pub certificate: PathBuf,
    /// Its private key (PKCS #8).
    pub key: PathBuf,
    /// The deployment's service authority.
    pub authority: PathBuf,
}

/// Why TLS can't be set up, or a certificate can't be believed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file is missing or malformed.
    #[error("\"{path}\" holds no usable {what}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Certificate or private key.
        what: &'static str,
        /// The reason.
        source: rustls_pki_types::pem::Error,
    },
    /// rustls refuses the files.
    #[error("the TLS files don't fit together")]
    Rustls(#[from] rustls::Error),
    /// No verifier can be made from the authority's certificate.
    #[error("the authority's certificate can't be used")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// A certificate that is no X.509, or without exactly one URI.
    #[error("a certificate names no single peer")]
    NoPeer,
    /// The URI is unknown.
    #[error("a certificate names an unknown peer")]
    Peer(#[from] PeerError),
}

/// AES-GCM suites only: both are on the CRYPTREC e-government list (R3).
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites = vec![TLS13_AES_256_GCM_SHA384, TLS13_AES_128_GCM_SHA256];
    Arc::new(provider)
}

/// Reads the certificates of a PEM file.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem {
        path: path.to_owned(),
        what: "certificate",
        source,
    };
    CertificateDer::pem_file_iter(path)
        .map_err(pem)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(pem)
}

/// Reads the private key of a PEM file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::Pem {
        path: path.to_owned(),
        what: "private key",
        source,
    })
}

/// The certificates of a PEM file as roots of trust.
pub fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// For a service's own port: every client shows a certificate of the authority.
pub fn server_config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots(&files.authority)?),
        provider.clone(),
    )
    .build()?;
    Ok(ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.certificate)?, private_key(&files.key)?)?)
}

/// For calls to other services.
pub fn client_config(files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(&files.authority)?)
        .with_client_auth_cert(certificates(&files.certificate)?, private_key(&files.key)?)?)
}

/// SHA-256 of the `SubjectPublicKeyInfo` of the first certificate in a PEM file.
pub fn spki_of_file(path: &Path) -> Result<Digest, TlsError> {
    let chain = certificates(path)?;
    let first = chain.first().ok_or(TlsError::NoPeer)?;
    Ok(identify(first)?.1)
}

/// Who a verified certificate names, and SHA-256 of its `SubjectPublicKeyInfo`.
pub fn identify(certificate: &CertificateDer<'_>) -> Result<(Peer, Digest), TlsError> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| TlsError::NoPeer)?;
    let names = parsed
        .subject_alternative_name()
        .map_err(|_| TlsError::NoPeer)?
        .ok_or(TlsError::NoPeer)?;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    // Two URIs would let one certificate be two peers.
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err(TlsError::NoPeer);
    };
    let spki = Digest::of(parsed.tbs_certificate.subject_pki.raw);
    Ok((Peer::from_uri(uri)?, spki))
}
