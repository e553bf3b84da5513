//! The TPM of an analysis server: enrolment, quotes, unwrapping of dataset keys.
//!
//! The story: `kekkai-measure` starts a software TPM if the configuration asks for one
//! ([`emulated::Emulated`]), extends PCRs and hands over ([`measured::hand_over`]). The server that it
//! executes takes what was measured ([`measured::take`]) and opens the TPM ([`Tpm::open`]). Once it
//! enrols ([`Tpm::enrolment_request`], [`Tpm::activate`]); at each session launch it quotes
//! ([`Tpm::quote`]) and opens the keys that come back ([`Tpm::unwrap`]).
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod config;
mod device;
pub mod emulated;
mod error;
mod hpke;
pub mod measured;
mod template;
mod tpm;

pub use config::{Connection, TpmConfig, TpmKind};
pub use error::TpmError;
pub use tpm::{COMMAND_QUEUE_MAX, Tpm, extend_all, firmware};
