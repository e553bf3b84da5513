//! Measures an analysis server, then executes exactly the bytes that it measured.
//!
//! Everything that decides what the server does (its binary, its configuration, what runs in sessions)
//! is copied into sealed memory first; the copies are hashed, the hashes extend PCRs 11, 12 and 13, and
//! the copies are what is executed and handed on ([`kekkai_tpm::measured`]). A file that changes on disk
//! in between changes nothing.
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
mod launch;
mod memory;

pub use config::{ConfigError, Measure, Plan};
pub use launch::{LaunchError, components, launch};
pub use memory::{MemoryError, Sealed};
