//! What must hold for any data, whatever its source.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod groups;
mod models;

use kekkai_statistics::{Predictors, Variable};

fn predictors(columns: &[(&str, Vec<f64>)]) -> Predictors {
    let variables = columns.iter().map(|(name, values)| Variable {
        name: (*name).to_owned(),
        values: values.clone(),
    });
    Predictors::new(variables.collect()).unwrap()
}

#[track_caller]
fn close(a: f64, b: f64, tolerance: f64) {
    assert!(
        (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1e-12),
        "{a} {b}"
    );
}
