//! Sign-in with two factors, one of them biometric, at a registered terminal (R1, R12).
//!
//! A worked story. `ssh sato@gateway` shows the terminal's key, and the policy service knows that
//! terminal: [`TerminalProved`]. The terminal prints a connection code ([`SignIn::open_code`]). In the
//! browser of the same terminal Sato types the code and touches their authenticator; the assertion is
//! verified and the code is spent: [`Approved`]. They type what their token shows; the step is stored
//! before anything else happens, so that the code works once: [`TokenProved`]. Only the three together
//! make a [`SignedIn`], which nothing else can make.
//!
//! Each check is charged to the person's account *before* it is made, durably, and the charge is taken
//! back in the same transaction that stores what a right answer changes. A process that is killed
//! between the two has counted a failure; there is no order of kills that gives a free try. At
//! [`Settings::failures_max`] the account is locked: right credentials are refused too, until staff lifts it
//! ([`SignIn::unlock`]).
//!
//! A person who doesn't exist takes the same path: the same options, the same work, the same writes.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod biometric;
mod code;
mod enrol;
mod error;
mod settings;
mod signin;
mod steps;
mod store;
mod token;
mod vault;

pub use code::{ConnectionCode, Pending};
pub use enrol::{CheckedEnrolment, EnrolmentError, Ticket};
pub use error::{AttemptError, OpenError, Refused, StorageError};
pub use settings::{AllowedModel, Settings, SettingsError, Url};
pub use signin::{AccountState, SignIn};
pub use steps::{Approved, SignedIn, TerminalProved, TokenProved};
pub use vault::{StorageKeyError, read_storage_key};
pub use webauthn_rs_proto::{
    CreationChallengeResponse, PublicKeyCredential, RegisterPublicKeyCredential,
    RequestChallengeResponse,
};

/// Connection codes that wait at once, all terminals together.
pub const CODES_MAX: usize = 1024;
/// Connection codes that wait at once at one terminal.
pub const CODES_PER_TERMINAL_MAX: usize = 8;
/// WebAuthn challenges that wait at once, all terminals together.
pub const CHALLENGES_MAX: usize = 1024;
/// WebAuthn challenges that wait at once at one terminal.
pub const CHALLENGES_PER_TERMINAL_MAX: usize = 8;
/// A challenge that waits longer is forgotten, in milliseconds.
pub const CHALLENGE_LIFE_MS: i64 = 120_000;
/// An enrolment ticket's life, in milliseconds.
pub const TICKET_LIFE_MS: i64 = 24 * 60 * 60 * 1000;
/// Attempts to use an enrolment ticket.
pub const TICKET_ATTEMPTS_MAX: u32 = 5;
