//! `DIR/demo.json`: everything that somebody needs to script against a running demo.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kekkai_types::{
    AgreementId, DatasetId, Digest, Lang, PersonId, Role, TerminalClass, TerminalId,
};
use serde::{Deserialize, Serialize};

use crate::DemoError;

/// The file's name.
pub const FILE: &str = "demo.json";

/// What runs where, and who is who. Holds the demo people's secrets: they are worth nothing
/// elsewhere, since only a demonstration's allow-list names their authenticators.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Info {
    /// Says that nothing here has hardware trust.
    pub notice: String,
    /// The gateway's doors.
    pub gateway: Gateway,
    /// The services' own ports, by service.
    pub services: BTreeMap<String, Service>,
    /// Administration: whose certificate, where.
    pub admin: BTreeMap<PersonId, Pem>,
    /// The people.
    pub people: Vec<Person>,
    /// Registered datasets and versions.
    pub datasets: Vec<(DatasetId, u32)>,
    /// The agreements.
    pub agreements: Vec<AgreementId>,
    /// The ledger.
    pub ledger: Ledger,
    /// The Ed25519 public key of release bundles (see `kekkai release verify`).
    pub release_key: PathBuf,
    /// Reference values in force.
    pub reference: Digest,
    /// Offline keys of the producer: recovery, enquiries (`offline`), PCR policy.
    pub keys: PathBuf,
    /// Raw data of the sample, before pseudonymization.
    pub raw: PathBuf,
    /// The analysis server's data: encrypted Parquet.
    pub data: PathBuf,
}

/// The gateway's doors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gateway {
    /// For `ssh`.
    pub ssh: SocketAddr,
    /// For browsers.
    pub https: String,
    /// For the administration command.
    pub admin: SocketAddr,
    /// An OpenSSH `known_hosts` file that pins the host key.
    pub known_hosts: PathBuf,
    /// The authority that a browser must trust.
    pub web_authority: PathBuf,
}

/// A service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    /// Its own port.
    pub address: SocketAddr,
    /// Its configuration.
    pub config: PathBuf,
    /// Its state.
    pub state: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// Its process, while the demo runs.
    pub pid: Option<u32>,
}

/// A certificate and its key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pem {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// A person of the demo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// The id.
    pub person: PersonId,
    /// The name on the screens.
    pub name: String,
    /// What the person reads.
    pub lang: Lang,
    /// What the person may be.
    pub roles: Vec<Role>,
    /// The token's secret, base32; absent for people without credentials.
    pub totp_secret: Option<String>,
    /// The software authenticator's state.
    pub authenticator: PathBuf,
    /// The person's terminal.
    pub terminal: Terminal,
}

/// A terminal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Terminal {
    /// The id.
    pub terminal: TerminalId,
    /// The class.
    pub class: TerminalClass,
    /// The OpenSSH private key.
    pub ssh_key: PathBuf,
    /// The client certificate.
    pub tls: Pem,
}

/// The ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ledger {
    /// The tlog-tiles directory.
    pub dir: PathBuf,
    /// The verifier key.
    pub vkey: String,
    /// The witness file.
    pub witness: PathBuf,
}

impl Info {
    /// Reads `DIR/demo.json`.
    pub fn load(dir: &Path) -> Result<Self, DemoError> {
        let path = dir.join(FILE);
        let text = std::fs::read(&path).map_err(|_| DemoError::NotRunning(dir.to_owned()))?;
        serde_json::from_slice(&text).map_err(|_| DemoError::NotRunning(dir.to_owned()))
    }

    /// Writes `DIR/demo.json`, whole or not at all.
    pub fn save(&self, dir: &Path) -> Result<(), DemoError> {
        let text = serde_json::to_vec_pretty(self).map_err(|_| DemoError::Bug("demo.json"))?;
        let new = dir.join("demo.json.new");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, dir.join(FILE)))
            .map_err(|source| DemoError::Io {
                what: "demo.json can't be written".to_owned(),
                source,
            })
    }

    /// A person by id.
    pub fn person(&self, person: &str) -> Result<&Person, DemoError> {
        self.people
            .iter()
            .find(|p| p.person.as_str() == person)
            .ok_or_else(|| DemoError::NoSuchPerson {
                name: person.to_owned(),
                known: self
                    .people
                    .iter()
                    .map(|p| p.person.to_string())
                    .collect::<Vec<_>>()
                    .join(" "),
            })
    }
}
