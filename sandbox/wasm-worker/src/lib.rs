//! The processes that compile and run a session's programs, and a stand-in for tool authors.
//!
//! A short story. `kekkai-wasm-compiler` turns a component into machine code once ([`compile`]), in a jail
//! without executable memory. `kekkai-wasm-worker` enters its jail, reserves memory for one program, and
//! waits ([`serve`]). With `ToProgram::Run` comes the machine code, sealed; the program is started in a fresh
//! instance ([`Programs::run`]), and every call that it makes of `kekkai:session` goes to a [`Broker`]: over
//! the socket in a session, to files in the stand-in. The run ends by itself, at a limit of the agreement,
//! or when somebody cancels it, wherever it is: guest code yields a hundred times a second, and waiting is
//! a future that is dropped.
//!
//! Nothing here sees data but as bytes that pass from a pipe into the program's memory.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod bindings;
mod broker;
mod cancel;
mod compile;
pub mod config;
mod ended;
mod host;
mod limits;
mod log;
mod python;
mod run;
mod serve;
mod serve_compiler;
mod wasi;

pub use broker::{Broker, NoAnswer, RowStream, Statement, Submission};
pub use cancel::Cancel;
pub use compile::{Artefact, compile};
pub use host::Rows;
pub use limits::CALLS_PER_SECOND_MAX;
pub use run::{CANCELLED, Program, Programs};
pub use serve::{PROGRAMS_MAX, ServeError, serve};
pub use serve_compiler::serve_compiler;

use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_program_check::{CheckError, Checked};

/// Checks a component as sessions do.
pub fn check_component(bytes: &[u8]) -> Result<Checked, RunError> {
    kekkai_program_check::check(bytes).map_err(|error| {
        let (code, name) = match error {
            CheckError::ImportNotAllowed(name) => (RunErrorCode::ImportNotAllowed, name),
            other => (RunErrorCode::NotAComponent, other.to_string()),
        };
        RunError {
            code,
            name,
            line: 0,
        }
    })
}

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
