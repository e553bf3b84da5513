//! The jailed process that runs a session's SQL.
//!
//! A short story. `main` enters the jail while it has one thread and knows nothing, and says so. The broker looks
//! at it from outside and sends catalogue, descriptors and keys ([`load`]); the keys go into the readers of the
//! files, and the message is wiped. Then statements come, each runs as a task of its own, and answers go back
//! ([`serve`]): tables that are suppressed already, or a code and a place. What programs ask for goes into pipes
//! ([`rows`]).
//!
//! Nothing here prints what it reads: standard error gets one line with a place in our source when something
//! panics, never the panic's message.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod load;
mod peers;
mod rows;
mod serve;

pub use load::{LoadFailed, load};
pub use serve::{ServeError, serve};

/// A panic's message may quote data: only its place in the source is written.
pub fn silence_panics() {
    std::panic::set_hook(Box::new(|info| {
        use std::io::Write as _;
        let mut out = std::io::stderr().lock();
        // There is nobody left to tell where writing fails.
        let _ = match info.location() {
            Some(at) => writeln!(out, "panic at {}:{}", at.file(), at.line()),
            None => writeln!(out, "panic"),
        };
    }));
}
