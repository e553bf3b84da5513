//! Whether bytes are a program that a session may run.
//!
//! The same check stands at three places: where a tool's author packs it, where the review service takes an
//! import request, and in the jailed process that compiles it. It reads the bytes and nothing else, needs no
//! WebAssembly engine, and takes time and memory in proportion to the component's size.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod allow;
mod check;

pub use allow::is_allowed;
pub use check::{
    COMPONENT_MAX, CheckError, Checked, FUNCTIONS_MAX, Kind, MODULES_MAX, NESTING_MAX, check,
    features,
};
