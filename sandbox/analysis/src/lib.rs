//! The analysis server's broker: it attests, receives keys, opens data files, launches jailed workers,
//! and judges what they say.
//!
//! The story of a session. The gateway asks to launch one that the policy service opened. The broker
//! looks whether the files it was measured from are still what they were, quotes over a fresh nonce,
//! and receives the terms and wrapped keys. While the TPM opens the keys, a worker starts and enters
//! its jail; the broker checks it from outside, records the launch, and only then passes keys and open
//! descriptors. Each statement is recorded before it is sent, its end before its result is given out.
//! What a worker sends is an allegation until [`judge`] accepts it. Leases are renewed each second; a
//! session whose lease ended, or could not be renewed for 4 s, is killed.
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

pub mod attester;
pub mod broker;
pub mod config;
pub mod desktop;
pub mod files;
pub mod guard;
pub mod judge;
pub mod lease;
mod parts;
pub mod pool;
mod populations;
pub mod programs;
pub mod remeasure;
pub mod routes;
pub mod session;
pub mod spill;
pub mod turns;
pub mod worker;

/// Text from a jail: without control characters and marks that reorder or hide text, and at most `max`
/// characters.
pub(crate) fn plain(text: &str, max: usize) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    text.chars()
        .filter(|c| *c == '\t' || !hides(*c))
        .take(max)
        .collect()
}

/// An error with its causes.
pub(crate) fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
