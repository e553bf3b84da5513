//! The service's configuration and the two keys that it names.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kekkai_bundle::{KeyError, ReleaseSigner};
use kekkai_service::tls::TlsFiles;
use kekkai_types::KeyText;
use serde::Deserialize;
use zeroize::Zeroizing;

/// `kekkai-review --config FILE`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where other services call.
    pub listen: SocketAddr,
    /// The policy service, `HOST:PORT`.
    pub policy: String,
    /// The service's own folder: its database lies here.
    pub state_dir: PathBuf,
    /// Ed25519, PKCS #8 PEM: signs releases.
    pub signing_key: PathBuf,
    /// 64 hexadecimal digits: encrypts what waits in the database.
    pub storage_key: PathBuf,
    /// The service's identity.
    pub tls: TlsFiles,
}

/// Why a key file can't be used. Never quotes what is in it.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file can't be read.
    #[error("the key file \"{path}\" can't be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Everybody on the machine may read or change it.
    #[error("the key file \"{0}\" is open to others: chmod o= it")]
    Open(PathBuf),
    /// It holds no storage key.
    #[error("the key file \"{0}\" doesn't hold 64 hexadecimal digits")]
    Storage(PathBuf),
    /// It holds no signing key.
    #[error("the key file \"{path}\" can't be used")]
    Signing {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

impl Config {
    /// Reads the key that signs releases.
    pub fn read_signing_key(&self) -> Result<ReleaseSigner, KeyFileError> {
        let pem = read(&self.signing_key)?;
        ReleaseSigner::from_pem(&pem).map_err(|source| KeyFileError::Signing {
            path: self.signing_key.clone(),
            source,
        })
    }

    /// Reads the key that encrypts what waits.
    pub fn read_storage_key(&self) -> Result<KeyText, KeyFileError> {
        let text = read(&self.storage_key)?;
        let quoted = Zeroizing::new(format!("\"{}\"", text.trim()));
        serde_json::from_str(&quoted).map_err(|_| KeyFileError::Storage(self.storage_key.clone()))
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let cause = |source| KeyFileError::Read {
        path: path.to_owned(),
        source,
    };
    let mode = std::fs::metadata(path).map_err(cause)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(KeyFileError::Open(path.to_owned()));
    }
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_configuration_parses() {
        let text = include_str!("../../../images/etc/kekkai-review.example.toml");
        let config: Config = kekkai_service::config::parse(text, Path::new("example")).unwrap();
        assert!(config.listen.ip().is_loopback());
    }

    #[test]
    fn unknown_key_is_refused() {
        let text = include_str!("../../../images/etc/kekkai-review.example.toml");
        let text = format!("votes_needed = 1\n{text}");
        let error =
            kekkai_service::config::parse::<Config>(&text, Path::new("x.toml")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("x.toml:1:1: unknown field `votes_needed`"),
            "{error}"
        );
    }

    #[test]
    fn key_file_that_others_may_read_is_refused_and_never_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("storage.key");
        std::fs::write(&path, "abad1dea").unwrap();
        let mut config: Config = kekkai_service::config::parse(
            include_str!("../../../images/etc/kekkai-review.example.toml"),
            Path::new("x"),
        )
        .unwrap();
        config.storage_key = path.clone();
        config.signing_key = path.clone();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            config.read_storage_key(),
            Err(KeyFileError::Open(_))
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for error in [
            config.read_storage_key().unwrap_err(),
            config.read_signing_key().unwrap_err(),
        ] {
            assert!(!format!("{error} {error:?}").contains("abad1dea"));
        }
    }
}
