//! Provenance is exact: for generated statistics, values, contributors, shares and populations equal what a
//! plain evaluator of the same relations finds row by row.
//!
//! The evaluator ([`oracle`], [`statistic`]) works on the generated tree, never on its SQL text, and has no
//! code in common with the engine. `KEKKAI_SEED=… cargo test -p kekkai-engine --test provenance` replays one
//! generated statistic.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking; its numbers are small"
)]

mod adversarial;
#[path = "../common/mod.rs"]
mod common;
mod data;
mod found;
mod generate;
mod generated;
mod oracle;
mod populations;
mod random;
mod relation;
mod statistic;
