//! The configuration file: TOML, unknown keys refused.

use std::net::SocketAddr;
use std::path::PathBuf;

use kekkai_service::tls::TlsFiles;
use kekkai_signin::{AllowedModel, Settings, Url};
use kekkai_types::TerminalId;
use serde::Deserialize;

/// `kekkai-gateway --config FILE`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// True where authenticators are emulated: every screen says so.
    #[serde(default)]
    pub demo: bool,
    /// Where the sign-in state lies.
    pub state_dir: PathBuf,
    /// 64 hexadecimal digits; readable by the gateway only.
    pub storage_key: PathBuf,
    /// The SSH door.
    pub ssh: Ssh,
    /// The HTTPS door.
    pub https: Https,
    /// The administration port.
    pub admin: Admin,
    /// The gateway's identity among the services.
    pub tls: TlsFiles,
    /// The other services.
    pub services: Services,
    /// The allow-list of authenticator models.
    pub models: Vec<Model>,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
}

/// The SSH door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// Where to listen.
    pub listen: SocketAddr,
    /// An Ed25519 private key in OpenSSH's format, without a passphrase.
    pub host_key: PathBuf,
}

/// The HTTPS door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Https {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What browsers call it: `https://HOST[:PORT]`.
    pub public_url: String,
    /// The host that credentials are bound to.
    pub rp_id: String,
    /// The server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authority of the terminals' client certificates, PEM.
    pub terminal_authority: PathBuf,
}

/// The administration port.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The registered terminal, of class `operator`, where the administration command is used.
    pub terminal: TerminalId,
}

/// The other services, each `HOST:PORT`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// The policy service.
    pub policy: String,
    /// The analysis server.
    pub analysis: String,
    /// The review service.
    pub review: String,
}

/// An authenticator model whose user verification counts as the biometric factor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its AAGUID, as a UUID.
    pub aaguid: String,
    /// The authority of its batch certificates, PEM.
    pub authority: PathBuf,
    /// For people and for the ledger.
    pub label: String,
    /// True for software: needs `demo = true`.
    #[serde(default)]
    pub emulated: bool,
}

/// Bounds, each with its unit.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Refused checks after which an account is locked.
    pub failures_max: u32,
    /// How long a connection code waits for its approval, in seconds.
    pub code_life_s: u32,
    /// From connecting to being signed in, in seconds; at least `code_life_s` and 10 more.
    pub login_grace_s: u32,
    /// Refused authentication requests on one connection.
    pub auth_attempts_max: u32,
    /// SSH connections that are not signed in, all together.
    pub unauthenticated_max: u32,
    /// SSH connections that are not signed in, of one address.
    pub unauthenticated_per_address_max: u32,
    /// Sessions at once.
    pub sessions_max: u32,
    /// How long a signed-in connection may stay without a session channel, in seconds.
    pub idle_connection_s: u32,
    /// How long a browser stays signed in, in seconds.
    pub browser_session_s: u32,
    /// HTTPS connections at once.
    pub https_connections_max: u32,
    /// Requests of one terminal to sign-in endpoints, a minute.
    pub sign_in_requests_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failures_max: 5,
            code_life_s: 120,
            login_grace_s: 180,
            auth_attempts_max: 6,
            unauthenticated_max: 64,
            unauthenticated_per_address_max: 16,
            sessions_max: 200,
            idle_connection_s: 30,
            browser_session_s: 1800,
            https_connections_max: 512,
            sign_in_requests_per_minute: 60,
        }
    }
}

/// The configuration can be read, but doesn't fit together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigProblem {
    /// An emulated authenticator outside a demonstration.
    #[error("model \"{0}\" is emulated: it may be allowed only with \"demo = true\"")]
    EmulatedModel(String),
    /// The public URL can't be one.
    #[error("\"{0}\" is not an https URL without a path")]
    PublicUrl(String),
    /// The login would end before the code does.
    #[error("\"login_grace_s\" must be at least \"code_life_s\" and 10 more")]
    LoginGrace,
    /// A file that must be there.
    #[error("the file \"{path}\" can't be read")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Config {
    /// What sign-in needs, with the models' authorities read from their files.
    pub fn settings(&self) -> Result<Settings, ConfigProblem> {
        if let Some(model) = self.models.iter().find(|m| m.emulated && !self.demo) {
            return Err(ConfigProblem::EmulatedModel(model.label.clone()));
        }
        if self.limits.login_grace_s < self.limits.code_life_s.saturating_add(10) {
            return Err(ConfigProblem::LoginGrace);
        }
        let url_problem = || ConfigProblem::PublicUrl(self.https.public_url.clone());
        let origin = Url::parse(&self.https.public_url).map_err(|_| url_problem())?;
        if origin.scheme() != "https" || origin.path() != "/" || origin.query().is_some() {
            return Err(url_problem());
        }
        let mut models = Vec::new();
        for model in &self.models {
            let authority_pem = std::fs::read_to_string(&model.authority).map_err(|source| {
                ConfigProblem::File {
                    path: model.authority.display().to_string(),
                    source,
                }
            })?;
            models.push(AllowedModel {
                aaguid: model.aaguid.clone(),
                authority_pem,
                label: model.label.clone(),
            });
        }
        Ok(Settings {
            rp_id: self.https.rp_id.clone(),
            origin,
            rp_name: "Kekkai".to_owned(),
            models,
            failures_max: self.limits.failures_max,
            code_life_s: self.limits.code_life_s,
        })
    }

    /// `https://HOST[:PORT]`, as browsers write it in `Origin`.
    pub fn origin(&self) -> String {
        self.https.public_url.trim_end_matches('/').to_owned()
    }
}
