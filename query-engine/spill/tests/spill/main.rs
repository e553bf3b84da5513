//! Temporary files of the library's own operators, sealed: the same answers, nothing readable on disk, and
//! errors instead of rows where the disk was changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
mod files;
mod operators;
