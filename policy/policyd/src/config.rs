//! The configuration, and the service that it describes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kekkai_attest::{TpmTrust, TrustError};
use kekkai_ledger::LedgerError;
use kekkai_service::tls::TlsFiles;
use kekkai_types::Timestamp;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{Journal, Service, StartError, Store, StoreError};

/// The DER before the point of a P-256 key's `SubjectPublicKeyInfo` (RFC 5480).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// `kekkai-policy --config FILE`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the other services call.
    pub listen: SocketAddr,
    /// For `policy.sqlite`; no other program writes there.
    pub state_dir: PathBuf,
    /// This service's certificate, its key, and the deployment's authority.
    pub tls: TlsFiles,
    /// The ledger.
    pub ledger: LedgerConfig,
    /// What attestation is judged by.
    pub attestation: AttestationConfig,
}

/// Where the ledger lies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// Its directory.
    pub dir: PathBuf,
    /// A file with the signer's key (`PRIVATE+KEY+…`).
    pub key: PathBuf,
    /// The witness file, on another disk; without it a truncated ledger goes unnoticed.
    pub witness: Option<PathBuf>,
}

/// What attestation is judged by.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationConfig {
    /// The producer's PCR policy public key: P-256, PEM (`PUBLIC KEY`).
    pub pcr_policy_key: PathBuf,
    /// The authorities of EK certificates; without any, no server can enrol.
    #[serde(default)]
    pub tpm_roots: Vec<TpmRoot>,
}

/// An authority of EK certificates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmRoot {
    /// PEM.
    pub certificate: PathBuf,
    /// True for software TPMs: what they attest is labelled, no hardware trust.
    pub emulated: bool,
}

/// Why the configured service can't start.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A file can't be read.
    #[error("\"{path}\" can't be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The state directory can't be made.
    #[error("the state directory \"{path}\" can't be made")]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of TPM authorities.
    #[error("\"{path}\" can't be used")]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TrustError,
    },
    /// Not a P-256 public key in PEM.
    #[error("\"{0}\" is not a P-256 public key in PEM")]
    PolicyKey(PathBuf),
    /// The ledger.
    #[error("the ledger can't be used")]
    Ledger(#[from] LedgerError),
    /// The state.
    #[error("the state in \"{dir}\" can't be used")]
    Store {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
    /// The service.
    #[error("the service can't start")]
    Start(#[from] StartError),
}

fn read(path: &Path) -> Result<Zeroizing<String>, SetUpError> {
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| SetUpError::Read {
            path: path.to_owned(),
            source,
        })
}

/// Makes a directory that is this account's alone, where there is none.
fn private_dir(dir: &Path) -> Result<(), SetUpError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| SetUpError::StateDir {
            path: dir.to_owned(),
            source,
        })
}

impl AttestationConfig {
    /// Reads the authorities.
    pub fn trust(&self) -> Result<TpmTrust, SetUpError> {
        let mut trust = TpmTrust::new();
        for root in &self.tpm_roots {
            let pem = read(&root.certificate)?;
            let added = if root.emulated {
                trust.add_emulated(&pem)
            } else {
                trust.add_hardware(&pem)
            };
            added.map_err(|source| SetUpError::Trust {
                path: root.certificate.clone(),
                source,
            })?;
        }
        Ok(trust)
    }

    /// Reads the PCR policy key as SEC 1 uncompressed.
    pub fn policy_key(&self) -> Result<[u8; 65], SetUpError> {
        let pem = read(&self.pcr_policy_key)?;
        let malformed = || SetUpError::PolicyKey(self.pcr_policy_key.clone());
        let der =
            SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| malformed())?;
        der.strip_prefix(&P256_SPKI_PREFIX)
            .and_then(|point| <[u8; 65]>::try_from(point).ok())
            .filter(|point| point.first() == Some(&4))
            .ok_or_else(malformed)
    }
}

impl Config {
    /// Reads every file that the configuration names, changing nothing: `--check`.
    pub fn check(&self) -> Result<(), SetUpError> {
        self.attestation.trust()?;
        self.attestation.policy_key()?;
        kekkai_ledger::verifier_key(read(&self.ledger.key)?.trim())?;
        Ok(())
    }

    /// Opens the ledger and the state, and starts the service.
    pub fn start(&self, now: Timestamp) -> Result<Service, SetUpError> {
        let trust = self.attestation.trust()?;
        let policy_key = self.attestation.policy_key()?;
        let key = read(&self.ledger.key)?;
        let key = Zeroizing::new(key.trim().to_owned());
        // The ledger first: its lock keeps a second process away from the state too.
        let journal = Journal::open(self.ledger.dir.clone(), key, self.ledger.witness.clone())?;
        private_dir(&self.state_dir)?;
        let store = Store::open(&self.state_dir).map_err(|source| SetUpError::Store {
            dir: self.state_dir.clone(),
            source,
        })?;
        Ok(Service::start(store, journal, trust, policy_key, now)?)
    }
}
