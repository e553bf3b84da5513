//! `analysis.toml`, as the broker reads it. `kekkai-measure` reads `[measure]`, `[images]` and `[tpm]`
//! of the same file, and measures the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use kekkai_service::tls::TlsFiles;
use kekkai_sys::Layer;
use kekkai_tpm::TpmConfig;
use kekkai_types::ServerId;
use serde::Deserialize;

/// The name of the image that runs SQL, in `[images]`.
pub const SQL_WORKER: &str = "kekkai-sql-worker";
/// The most sessions that a configuration may allow at once.
pub const SESSIONS_CONFIG_MAX: usize = 256;
/// The most threads that a session's queries may have.
pub const THREADS_CONFIG_MAX: u32 = 64;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This server's id: its certificate names the same.
    pub server: ServerId,
    /// Where the gateway connects.
    pub listen: SocketAddr,
    /// This file's own place on disk: watched, so that a change is seen at the next launch.
    pub configuration: PathBuf,
    /// Where datasets lie: `DATASET/VERSION/TABLE/part-00000.parquet`.
    pub data_dir: PathBuf,
    /// The policy service, `HOST:PORT`.
    pub policy: String,
    /// The review service, `HOST:PORT`.
    pub review: String,
    /// Sessions at once.
    #[serde(default = "sessions_max")]
    pub sessions_max: usize,
    /// Threads that a session's queries may have.
    #[serde(default = "threads")]
    pub threads_per_session: u32,
    /// Layers of the jail that this machine can't enforce. Each session's ledger entry names them.
    #[serde(default)]
    pub waived_layers: BTreeSet<Layer>,
    /// The server's identity.
    pub tls: TlsFiles,
    /// Which TPM.
    pub tpm: TpmConfig,
    /// What `kekkai-measure` executes.
    pub measure: MeasuredBinary,
    /// What runs in sessions, by name.
    pub images: BTreeMap<String, PathBuf>,
}

/// The `[measure]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredBinary {
    /// The broker's own binary on disk: watched too.
    pub binary: PathBuf,
}

/// What a configuration says that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A number out of its range.
    #[error("\"{key}\" is {value}, it must be 1 to {max}")]
    Range {
        /// The key.
        key: &'static str,
        /// Its value.
        value: usize,
        /// The largest value.
        max: usize,
    },
    /// There is no image for a kind of session.
    #[error("[images] names no \"{SQL_WORKER}\"")]
    NoWorker,
    /// A path that depends on where the program is started.
    #[error("\"{0}\" must be an absolute path")]
    Relative(&'static str),
}

fn sessions_max() -> usize {
    16
}

fn threads() -> u32 {
    2
}

impl Config {
    /// Checks what types can't.
    pub fn check(&self) -> Result<(), Mistake> {
        let range = |key, value: usize, max| match (1..=max).contains(&value) {
            true => Ok(()),
            false => Err(Mistake::Range { key, value, max }),
        };
        range("sessions_max", self.sessions_max, SESSIONS_CONFIG_MAX)?;
        let threads = usize::try_from(self.threads_per_session).unwrap_or(usize::MAX);
        let threads_max = usize::try_from(THREADS_CONFIG_MAX).unwrap_or(usize::MAX);
        range("threads_per_session", threads, threads_max)?;
        for (key, path) in [
            ("configuration", &self.configuration),
            ("data_dir", &self.data_dir),
            ("binary", &self.measure.binary),
        ] {
            if !path.is_absolute() {
                return Err(Mistake::Relative(key));
            }
        }
        if !self.images.contains_key(SQL_WORKER) {
            return Err(Mistake::NoWorker);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn example() -> String {
        let place = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../images/etc/kekkai-analysis.example.toml");
        std::fs::read_to_string(place).unwrap()
    }

    fn parse(text: &str) -> Result<Config, String> {
        kekkai_service::config::parse(text, Path::new("analysis.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn example_is_a_configuration() {
        let config = parse(&example()).unwrap();
        assert_eq!(config.check(), Ok(()));
        assert!(config.waived_layers.is_empty());
    }

    #[test]
    fn unknown_keys_and_layers_are_refused_with_their_place() {
        let text = format!("surplus = 1\n{}", example());
        assert!(
            parse(&text)
                .unwrap_err()
                .starts_with("analysis.toml:1:1: unknown field")
        );
        let text = format!("waived_layers = [\"everything\"]\n{}", example());
        assert!(parse(&text).unwrap_err().contains("everything"));
    }

    #[test]
    fn mistakes_that_types_allow_are_refused() {
        let mut config = parse(&example()).unwrap();
        config.sessions_max = 0;
        assert!(matches!(config.check(), Err(Mistake::Range { .. })));
        let mut config = parse(&example()).unwrap();
        config.images.clear();
        assert_eq!(config.check(), Err(Mistake::NoWorker));
        let mut config = parse(&example()).unwrap();
        config.data_dir = "data".into();
        assert_eq!(config.check(), Err(Mistake::Relative("data_dir")));
    }
}
