//! The functions against what lifelines, statsmodels, scipy and mpmath find in real clinical data.
//!
//! `golden/compute.py` made the files of `golden/`: data with source and licence, versions, results. Numbers
//! are compared to 1e-9 of their size where nothing else is said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod comparisons;
mod golden;
mod regressions;
mod survivals;
