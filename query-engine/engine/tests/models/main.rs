//! Survival, regression and tests in SQL: equal to what lifelines, statsmodels and scipy find in the same
//! clinical data (`query-engine/statistics/tests/golden`), about enough persons, and never about fewer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod disclosure;
mod published;
mod shape;
mod study;
