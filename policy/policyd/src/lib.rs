//! The policy service: state, ledger, key release.
//!
//! The story of each call that changes something: the state is locked, the pure decision of
//! `kekkai-policy` is asked, the ledger entry is made durable ([`journal`]), and only then SQLite
//! ([`store`]) and the reply follow. A process killed between entry and effect leaves an entry
//! without an effect, never the reverse; whoever asked got no answer and asks again.
//!
//! This service holds wrapped keys only. It knows no type that could hold a plain data key.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

pub mod config;
mod failpoint;
mod journal;
mod refuse;
mod routes;
mod service;
mod store;
#[cfg(test)]
mod tests;

pub use journal::Journal;
pub use routes::routes;
pub use service::{
    HOLDER_SILENCE_MAX_S, NONCE_LIFE_S, NONCES_MAX, PENDING_LIFE_S, SESSIONS_MAX, Service,
    StartError,
};
pub use store::{Store, StoreError};
