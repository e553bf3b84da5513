//! The workspace: what a researcher works in, drawn on the processor in a jail.
//!
//! A short story. `main` enters the jail while it has one thread and knows nothing, and says so. The broker
//! sends what the project is, with a memory file for the pixels and the fonts ([`process`]). From then on
//! input comes in, becomes egui's events ([`input`]), one pass of the [`Workspace`] draws shapes, the
//! [`Raster`] turns those that changed into tiles, and a frame names them. While nothing changes, nothing
//! runs: there is no caret that blinks and no clock that ticks.
//!
//! The process is given no key and no file. What it shows of data came as an answer of the broker's: a
//! statistic that was suppressed already, or rows where agreement and display class allow them. There is no
//! message by which a result could leave it but as pixels, and the pixels are marked and recorded by the
//! broker. Text that is copied stays in this process.
//!
//! [`Model`] is what the broker told, [`Asks`] are the questions to it, [`panes`] are what people work in,
//! [`shell`] is what holds them together.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        unreachable_pub,
        missing_docs,
        reason = "tests"
    )
)]

pub mod asks;
pub mod chart;
pub mod editor;
pub mod grid;
pub mod grid_view;
pub mod input;
pub mod model;
pub mod notebook;
pub mod panes;
pub mod process;
pub mod raster;
pub mod rows;
pub mod shell;
pub mod sql;
pub mod theme;
pub mod words;
mod workspace;

pub use asks::{Asks, Ticket};
pub use model::Model;
pub use raster::Raster;
pub use workspace::Workspace;

// Samples are shared with benches, which name this crate from outside.
#[cfg(test)]
extern crate self as kekkai_desktop;
#[cfg(test)]
#[path = "../tests/support/samples.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod samples;

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
