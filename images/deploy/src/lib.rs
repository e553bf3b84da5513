//! A deployment on disk: authorities, keys, configuration files, each service's folder.
//!
//! `kekkai init` lays a deployment out; the demo and the tests use the same code. What belongs on
//! which machine is a folder of its own, so that a folder can be moved to its host and nothing else.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )
)]

mod authority;
mod keys;

pub use authority::{Authority, Issued};
pub use keys::{
    EcKeyPair, create_private, ec_key_pair, ec_private_of_file, ec_public_of_file,
    ed25519_key_pair, random_key_file,
};

/// Why a deployment can't be laid out or read.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A file can't be read or written.
    #[error("\"{path}\" can't be {action}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Read, written, created.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A certificate can't be made.
    #[error("a certificate can't be made")]
    Certificate(#[from] rcgen::Error),
    /// A key can't be made or read.
    #[error("\"{0}\" holds no usable key")]
    Key(String),
    /// No randomness.
    #[error("the operating system gives no randomness")]
    Random(#[from] getrandom::Error),
}

pub(crate) fn file(
    path: &std::path::Path,
    action: &'static str,
) -> impl FnOnce(std::io::Error) -> DeployError {
    let path = path.to_owned();
    move |source| DeployError::File {
        path,
        action,
        source,
    }
}
