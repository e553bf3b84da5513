//! The person's authenticator: CTAP2 over CTAPHID, without a library of the platform's.
//!
//! | file | what |
//! |---|---|
//! | `hid.rs` | reports: a `/dev/hidraw` device found by its usage page, or a Unix socket that carries the same reports |
//! | `ctaphid.rs` | messages out of reports; channels, keep-alives, cancelling |
//! | `ctap2.rs` | `authenticatorGetInfo`, `authenticatorGetAssertion` with user verification |
//! | `assertion.rs` | WebAuthn's client data and credential around them |
//!
//! Linux only. Windows and macOS reach authenticators through libraries of their own, which can't be called
//! without `unsafe`; there [`assertion::get`] says that it can't.

pub mod assertion;
pub mod ctap2;
pub mod ctaphid;
pub mod hid;

/// How far an assertion is, for the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The authenticator works.
    Working,
    /// It waits for the finger.
    FingerNeeded,
}

/// Why there is no assertion.
#[derive(Debug, thiserror::Error)]
pub enum FidoError {
    /// No authenticator is plugged in.
    #[error("no authenticator is plugged in")]
    NoDevice,
    /// This platform's authenticators can't be reached.
    #[error("authenticators can't be used on this platform")]
    Platform,
    /// The device can't be opened, read or written.
    #[error("the authenticator \"{device}\" can't be used")]
    Device {
        /// Its path.
        device: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It said something that CTAPHID or CTAP2 doesn't know here.
    #[error("the authenticator broke the protocol: {0}")]
    Protocol(&'static str),
    /// It answers nothing more.
    #[error("the authenticator doesn't answer")]
    Silent,
    /// It can't recognise a finger, or no finger was enrolled.
    #[error("the authenticator has no fingerprint enrolled")]
    NoBiometric,
    /// Too many wrong fingers.
    #[error("the authenticator is blocked after too many wrong fingers")]
    Blocked,
    /// No right finger in time, or it was declined.
    #[error("the finger was not recognised in time")]
    NotVerified,
    /// It knows none of the person's credentials.
    #[error("this authenticator isn't enrolled for this person")]
    NoCredential,
    /// Somebody else uses it.
    #[error("another program is using the authenticator")]
    Busy,
    /// The person gave up.
    #[error("cancelled")]
    Cancelled,
    /// Any other refusal of it.
    #[error("the authenticator refused with status 0x{0:02x}")]
    Status(u8),
    /// What the gateway asks for can't be answered.
    #[error("the gateway's request can't be answered: {0}")]
    Request(&'static str),
    /// The gateway asks in the name of another origin than the configured one.
    #[error(
        "the gateway asks for \"{asked}\", and this terminal is configured for \"{configured}\""
    )]
    ForeignOrigin {
        /// What it asked for.
        asked: String,
        /// What is right.
        configured: String,
    },
    /// No randomness.
    #[error("no randomness")]
    Random(#[from] getrandom::Error),
}
