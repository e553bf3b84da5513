//! A software authenticator behind a Unix socket that carries CTAPHID reports, for tests and
//! demonstrations: there is no USB device and no finger, and a deployment's gateway doesn't list its model.
//!
//! `ctaphid-authenticator SOCKET STATE.json`, where `kekkai_authenticator::Authenticator::save` wrote the
//! state; it is written again after each signature, since it counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test's tool: it stops at what it doesn't expect"
)]

mod emulator;

use std::path::PathBuf;

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(socket), Some(state), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("usage: ctaphid-authenticator SOCKET STATE.json");
        std::process::exit(2);
    };
    let authenticator = kekkai_authenticator::Authenticator::load(&state).expect("the state");
    let emulator = emulator::Emulator::start(&socket, authenticator, Some(state));
    emulator.join();
}
