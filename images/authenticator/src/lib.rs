//! A person's finger and token, in software: for the demo and for tests, never for a deployment.
//!
//! [`Authenticator`] does what a FIDO2 security key with a fingerprint reader does: it makes P-256
//! credentials, attests them (`packed`, with a batch certificate under an authority of its own), says
//! that it verified its user, and counts its signatures. [`Knobs`] make it misbehave, so that tests
//! can show that the gateway notices. [`Token`] is an OATH token.
//!
//! A gateway accepts it only when its configuration lists the [`Model`] and says `demo = true`.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod authenticator;
mod cbor;
mod model;
mod secret;
mod token;

pub use authenticator::{Assertion, Authenticator, Knobs};
pub use model::{EMULATED_AAGUID, Model, OTHER_AAGUID};
pub use token::Token;

/// Why the authenticator or the token can't do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The relying party's options are not what WebAuthn describes.
    #[error("the options are malformed")]
    Options(#[source] serde_json::Error),
    /// The relying party accepts no ES256 key.
    #[error("the options don't offer ES256")]
    Algorithm,
    /// The origin is no URL whose host the relying party's id covers.
    #[error("the origin \"{origin}\" may not use the relying party \"{rp_id}\"")]
    Origin {
        /// As given.
        origin: String,
        /// As the options say.
        rp_id: String,
    },
    /// None of the credentials that the relying party allows is here.
    #[error("no credential of this authenticator is allowed")]
    NoCredential,
    /// The relying party excludes a credential that is here already.
    #[error("a credential of this authenticator is excluded")]
    Excluded,
    /// A certificate or key could not be made or read.
    #[error("a key or certificate is unusable")]
    Key(#[from] rcgen::Error),
    /// The operating system gave no randomness.
    #[error("no randomness")]
    Random(#[from] getrandom::Error),
    /// The state file could not be read or written.
    #[error("the state file \"{path}\" can't be used")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The state is not what [`Authenticator::to_json`] writes.
    #[error("the state is malformed")]
    State(#[source] serde_json::Error),
    /// The token's secret is not base32 of at least 16 bytes.
    #[error("the token's secret is malformed")]
    TokenSecret,
}
