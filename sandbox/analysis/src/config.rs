//! `analysis.toml`, as the broker reads it. `kekkai-measure` reads `[measure]`, `[images]` and `[tpm]`
//! of the same file, and measures the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use kekkai_service::tls::TlsFiles;
use kekkai_sys::{Layer, SPILL_BYTES_MAX};
use kekkai_tpm::TpmConfig;
use kekkai_types::ServerId;
use serde::Deserialize;

/// The name of the image that runs SQL, in `[images]`.
pub const SQL_WORKER: &str = "kekkai-sql-worker";
/// The image that runs programs, in `[images]`; with [`WASM_COMPILER`], or there are no programs.
pub const WASM_WORKER: &str = "kekkai-wasm-worker";
/// The image that compiles programs.
pub const WASM_COMPILER: &str = "kekkai-wasm-compiler";
/// The image that draws desktops, in `[images]`; with [`FONT_TEXT`], or there are no desktops.
pub const DESKTOP: &str = "kekkai-desktop";
/// The font of a desktop's text, Japanese and Latin: TrueType.
pub const FONT_TEXT: &str = "font-text";
/// A font whose characters are all as wide, for a desktop's code; without it the process has its own.
pub const FONT_MONO: &str = "font-mono";
/// Python's component; without it there are tools only.
pub const PYTHON: &str = "kekkai-python";
/// The most processes of one kind that may wait for a session.
pub const SPARES_CONFIG_MAX: usize = 64;
/// The most sessions that a configuration may allow at once.
pub const SESSIONS_CONFIG_MAX: usize = 256;
/// The most statements that a configuration may let run at once.
pub const STATEMENTS_CONFIG_MAX: usize = 1_024;
/// The most threads that a session's queries may have.
pub const THREADS_CONFIG_MAX: u32 = 64;

/// The most further servers that a configuration may name.
pub const PEERS_CONFIG_MAX: usize = 32;

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
    /// Where compiled programs and people's scripts lie; without it neither outlives its session.
    #[serde(default)]
    pub state_dir: Option<PathBuf>,
    /// Jailed processes that wait for a session, of each kind; 0: each is started when it is needed.
    #[serde(default = "spares")]
    pub spares: usize,
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
    /// Statements that run at once on this server; others wait, and projects have their turns one after the
    /// other.
    #[serde(default = "statements_at_once")]
    pub statements_at_once: usize,
    /// What the statements of one session may spill into `state_dir/spill`, encrypted, in MiB; 0: nothing.
    /// Without `state_dir` nothing is spilled.
    #[serde(default = "spill_mib")]
    pub spill_mib_per_session: u32,
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
    /// Further analysis servers: each runs a part of every session of this one that it can.
    #[serde(default)]
    pub peers: BTreeMap<ServerId, String>,
    /// Where screens are recorded; without it no desktop begins.
    #[serde(default)]
    pub recording: Option<RecordingConfig>,
}

/// The `[recording]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingConfig {
    /// The folder of recordings. It must be there.
    pub dir: PathBuf,
    /// A file with the auditors' public key: only they can look at what is recorded.
    pub auditors_key: PathBuf,
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
    /// A server that names itself as a further one.
    #[error("[peers] names this server itself")]
    OwnPeer,
    /// There is no image for a kind of session.
    #[error("[images] names no \"{SQL_WORKER}\"")]
    NoWorker,
    /// One of two images that go together.
    #[error("[images] names only one of \"{0}\" and \"{1}\"")]
    HalfAnImage(&'static str, &'static str),
    /// A path that depends on where the program is started.
    #[error("\"{0}\" must be an absolute path")]
    Relative(&'static str),
}

fn sessions_max() -> usize {
    16
}

fn statements_at_once() -> usize {
    16
}

fn spill_mib() -> u32 {
    8 * 1024
}

fn spares() -> usize {
    2
}

fn threads() -> u32 {
    2
}

const MIB: u64 = 1024 * 1024;

impl Config {
    /// Where sessions spill, and how many bytes each may; `None`: they don't.
    pub fn spill(&self) -> Option<(PathBuf, u64)> {
        let dir = self.state_dir.as_ref()?.join("spill");
        let bytes_max = u64::from(self.spill_mib_per_session).saturating_mul(MIB);
        (bytes_max > 0).then_some((dir, bytes_max))
    }

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
        let statements = self.statements_at_once;
        range("statements_at_once", statements, STATEMENTS_CONFIG_MAX)?;
        if self.spill_mib_per_session > 0 {
            let mib = usize::try_from(self.spill_mib_per_session).unwrap_or(usize::MAX);
            let mib_max = usize::try_from(SPILL_BYTES_MAX / MIB).unwrap_or(usize::MAX);
            range("spill_mib_per_session", mib, mib_max)?;
        }
        if !self.peers.is_empty() {
            range("peers", self.peers.len(), PEERS_CONFIG_MAX)?;
        }
        if self.peers.contains_key(&self.server) {
            return Err(Mistake::OwnPeer);
        }
        if self.spares > 0 {
            range("spares", self.spares, SPARES_CONFIG_MAX)?;
        }
        let state_dir = self.state_dir.iter().map(|path| ("state_dir", path));
        let recording = self.recording.iter().flat_map(|recording| {
            [
                ("recording.dir", &recording.dir),
                ("recording.auditors_key", &recording.auditors_key),
            ]
        });
        for (key, path) in [
            ("configuration", &self.configuration),
            ("data_dir", &self.data_dir),
            ("binary", &self.measure.binary),
        ]
        .into_iter()
        .chain(state_dir)
        .chain(recording)
        {
            if !path.is_absolute() {
                return Err(Mistake::Relative(key));
            }
        }
        if !self.images.contains_key(SQL_WORKER) {
            return Err(Mistake::NoWorker);
        }
        let has = |image| self.images.contains_key(image);
        for (one, other) in [(WASM_WORKER, WASM_COMPILER), (DESKTOP, FONT_TEXT)] {
            if has(one) != has(other) {
                return Err(Mistake::HalfAnImage(one, other));
            }
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
        config.spill_mib_per_session = u32::MAX;
        assert!(matches!(config.check(), Err(Mistake::Range { .. })));
        let mut config = parse(&example()).unwrap();
        config.statements_at_once = 0;
        assert!(matches!(config.check(), Err(Mistake::Range { .. })));
        let mut config = parse(&example()).unwrap();
        config.images.clear();
        assert_eq!(config.check(), Err(Mistake::NoWorker));
        let mut config = parse(&example()).unwrap();
        config.images.remove(WASM_COMPILER);
        assert!(matches!(config.check(), Err(Mistake::HalfAnImage(..))));
        let mut config = parse(&example()).unwrap();
        config.images.remove(FONT_TEXT);
        assert!(matches!(config.check(), Err(Mistake::HalfAnImage(..))));
        let mut config = parse(&example()).unwrap();
        config.recording.as_mut().unwrap().dir = "recordings".into();
        assert_eq!(config.check(), Err(Mistake::Relative("recording.dir")));
        let mut config = parse(&example()).unwrap();
        config.data_dir = "data".into();
        assert_eq!(config.check(), Err(Mistake::Relative("data_dir")));
    }
}
