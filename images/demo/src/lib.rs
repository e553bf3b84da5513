//! The demo: a whole deployment on loopback, and the story of the main path played on it.
//!
//! Nothing is mocked: the daemons are the real binaries, the client is stock OpenSSH, the TPM is
//! swtpm. What a demo cannot have (a finger, a hardware TPM) is emulated and labelled so. The
//! end-to-end tests use the same [`World`].
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )
)]

mod configuration;
pub mod info;
mod person;
mod process;
mod story;
mod web;
mod world;

pub use info::Info;
pub use person::{
    SshAnswer, TokenCode, approve, askpass, browser, enrol, fetch_release, sign_in, ssh,
    ssh_command, token_code,
};
pub use process::{Daemon, free_address};
pub use story::{StoryOptions, find_output_id, play, vote};
pub use web::{Answer, Web};
pub use world::{Admin, Kind, Place, Places, World, WorldOptions};

use std::path::PathBuf;

/// Why the demo can't go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No `demo.json` there.
    #[error("no demo runs in \"{0}\": start one with kekkai demo --state DIR --stay")]
    NotRunning(PathBuf),
    /// Nobody of that name.
    #[error("nobody in this demo is called \"{name}\": there are {known}")]
    NoSuchPerson {
        /// As given.
        name: String,
        /// The ids.
        known: String,
    },
    /// A file or process.
    #[error("{what}")]
    Io {
        /// What failed.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// A daemon failed.
    #[error("{name} {how}; the end of its log:\n{log}")]
    Daemon {
        /// Which.
        name: String,
        /// How.
        how: String,
        /// Its last lines.
        log: String,
    },
    /// HTTPS failed below the level of answers.
    #[error("{0}")]
    Web(String),
    /// A page refused.
    #[error("{path} answered {status}: {body}")]
    Refused {
        /// Which.
        path: String,
        /// HTTP.
        status: u16,
        /// What it said.
        body: String,
    },
    /// A service refused or is away.
    #[error("a service call failed")]
    Call(#[from] kekkai_service::CallError),
    /// TLS files.
    #[error("TLS can't be set up")]
    Tls(#[from] kekkai_service::tls::TlsError),
    /// The deployment can't be laid out.
    #[error("the deployment can't be laid out")]
    Deploy(#[from] kekkai_deploy::DeployError),
    /// The software authenticator.
    #[error("the software authenticator failed")]
    Authenticator(#[from] kekkai_authenticator::Error),
    /// Ids.
    #[error("an id is malformed")]
    Id(#[from] kekkai_types::IdError),
    /// A step of the story went otherwise than it must.
    #[error("{step}: expected {expected}; got {got}")]
    Story {
        /// Which step.
        step: &'static str,
        /// What it must show.
        expected: String,
        /// What came.
        got: String,
    },
    /// A program of the deployment failed.
    #[error("{program} failed: {message}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        message: String,
    },
    /// A bug of the demo itself.
    #[error("bug: {0}")]
    Bug(&'static str),
}

pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> DemoError {
    let what = what.into();
    move |source| DemoError::Io { what, source }
}
