//! What a call between two services is.
//!
//! A request type implements [`Call`]: its path, its reply, and who may make it. The transport
//! (`kekkai-service`) authenticates the peer by its certificate and asks [`Call::callers`] before the
//! body is read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{IdError, PersonId, ServerId, TerminalId};

/// A request with one reply, sent as JSON by `POST` over mutual TLS.
pub trait Call: Serialize + DeserializeOwned + Send + Sync {
    /// The path, beginning with `/v1/`.
    const PATH: &'static str;
    /// What comes back.
    type Reply: Serialize + DeserializeOwned + Send;
    /// Who may make this call.
    fn callers() -> &'static [PeerKind];
}

/// A call whose connection goes on as a stream of bytes, once it was accepted (HTTP/1.1 `Upgrade`).
pub trait StreamCall: Call<Reply = ()> {
    /// What the bytes are, with a version: `kekkai-frames/1`.
    const PROTOCOL: &'static str;
}

/// The kinds of peer that a certificate can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerKind {
    /// The gateway.
    Gateway,
    /// The policy service.
    Policy,
    /// An analysis server.
    Analysis,
    /// The review service.
    Review,
    /// A member of the operator's staff at the administration command.
    Admin,
    /// A registered terminal, at the gateway's HTTPS door only.
    Terminal,
}

/// Who is at the other end, as its certificate says in a subject alternative name (URI).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Peer {
    /// `kekkai://gateway`
    Gateway,
    /// `kekkai://policy`
    Policy,
    /// `kekkai://analysis/SERVER`
    Analysis(ServerId),
    /// `kekkai://review`
    Review,
    /// `kekkai://admin/PERSON`
    Admin(PersonId),
    /// `kekkai://terminal/TERMINAL`
    Terminal(TerminalId),
}

/// The URI names no peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Another scheme or an unknown kind.
    #[error("\"{0}\" names no peer of Kekkai")]
    Unknown(String),
    /// The kind is known, its id is not one.
    #[error("the peer's id is malformed")]
    Id(#[from] IdError),
}

impl Peer {
    /// The peer's kind.
    pub fn kind(&self) -> PeerKind {
        match self {
            Self::Gateway => PeerKind::Gateway,
            Self::Policy => PeerKind::Policy,
            Self::Analysis(_) => PeerKind::Analysis,
            Self::Review => PeerKind::Review,
            Self::Admin(_) => PeerKind::Admin,
            Self::Terminal(_) => PeerKind::Terminal,
        }
    }

    /// The URI that its certificate carries.
    pub fn to_uri(&self) -> String {
        match self {
            Self::Gateway => "kekkai://gateway".to_owned(),
            Self::Policy => "kekkai://policy".to_owned(),
            Self::Analysis(id) => format!("kekkai://analysis/{id}"),
            Self::Review => "kekkai://review".to_owned(),
            Self::Admin(id) => format!("kekkai://admin/{id}"),
            Self::Terminal(id) => format!("kekkai://terminal/{id}"),
        }
    }

    /// Reads the URI of a certificate that was verified.
    pub fn from_uri(uri: &str) -> Result<Self, PeerError> {
        let unknown = || PeerError::Unknown(uri.to_owned());
        let rest = uri.strip_prefix("kekkai://").ok_or_else(unknown)?;
        match rest.split_once('/') {
            None => match rest {
                "gateway" => Ok(Self::Gateway),
                "policy" => Ok(Self::Policy),
                "review" => Ok(Self::Review),
                _ => Err(unknown()),
            },
            Some(("analysis", id)) => Ok(Self::Analysis(ServerId::new(id)?)),
            Some(("admin", id)) => Ok(Self::Admin(PersonId::new(id)?)),
            Some(("terminal", id)) => Ok(Self::Terminal(TerminalId::new(id)?)),
            Some(_) => Err(unknown()),
        }
    }
}

/// A refusal as it crosses a process boundary: a stable code, and what it is about.
///
/// The text that a person reads is made where it is shown, in that person's language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}{}{}", if .detail.is_empty() { "" } else { ": " }, .detail)]
pub struct Refusal {
    /// Stable, in kebab case: `agreement-ended`, `not-found`, `ledger-unavailable` …
    pub code: String,
    /// The offending name or place; never a value of the data.
    #[serde(default)]
    pub detail: String,
}

impl Refusal {
    /// A refusal with a code and what it is about.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
        }
    }

    /// Also for what the caller may not know to exist.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new("not-found", what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_survives_its_uri() {
        for uri in [
            "kekkai://gateway",
            "kekkai://policy",
            "kekkai://review",
            "kekkai://analysis/a1",
            "kekkai://admin/kato",
            "kekkai://terminal/t-1",
        ] {
            assert_eq!(Peer::from_uri(uri).map(|p| p.to_uri()).as_deref(), Ok(uri));
        }
        for uri in [
            "https://gateway",
            "kekkai://root",
            "kekkai://admin/../x",
            "kekkai://gateway/x",
        ] {
            assert!(Peer::from_uri(uri).is_err(), "{uri}");
        }
    }
}
