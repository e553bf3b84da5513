//! The golden files, and how near is near enough.

use std::path::Path;

use kekkai_statistics::{Coefficient, Predictors, Variable};
use serde_json::Value;

/// A file of `golden/`.
pub(crate) fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap_or_else(|| panic!("{value}"));
    list.iter().map(|n| n.as_f64().unwrap()).collect()
}

pub(crate) fn truths(value: &Value) -> Vec<bool> {
    let list = value.as_array().unwrap();
    list.iter().map(|n| n.as_bool().unwrap()).collect()
}

pub(crate) fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap();
    list.iter()
        .map(|n| n.as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn counts(value: &Value) -> Vec<Vec<u64>> {
    let row = |row: &Value| {
        let cells = row.as_array().unwrap().iter();
        cells.map(|n| n.as_u64().unwrap()).collect()
    };
    value.as_array().unwrap().iter().map(row).collect()
}

/// In the order of the results' terms.
pub(crate) fn predictors(data: &Value, terms: &[String]) -> Predictors {
    let variables = terms.iter().filter(|term| *term != "intercept");
    let variables = variables.map(|name| Variable {
        name: name.clone(),
        values: numbers(&data["predictors"][name]),
    });
    Predictors::new(variables.collect()).unwrap()
}

/// Equal but for `tolerance` of the expected number's size.
#[track_caller]
pub(crate) fn near(what: &str, found: f64, expected: &Value, tolerance: f64) {
    let expected = expected
        .as_f64()
        .unwrap_or_else(|| panic!("{what}: {expected}"));
    let error = (found - expected).abs();
    assert!(
        error <= tolerance * expected.abs() + f64::MIN_POSITIVE,
        "{what}: {found} instead of {expected}"
    );
}

/// Each coefficient: estimate, standard error, statistic, p.
#[track_caller]
pub(crate) fn near_coefficients(
    what: &str,
    found: &[Coefficient],
    expected: &Value,
    statistic: &str,
    tolerance: f64,
) {
    let terms = texts(&expected["term"]);
    assert_eq!(found.len(), terms.len(), "{what}");
    for (place, (found, term)) in found.iter().zip(&terms).enumerate() {
        let what = format!("{what} {term}");
        assert_eq!(&found.name, term);
        let of = |column: &str| &expected[column][place];
        near(&what, found.estimate, of("coefficient"), tolerance);
        near(&what, found.standard_error, of("standard_error"), tolerance);
        near(&what, found.statistic, of(statistic), tolerance);
        // A relative error of z is magnified by z² in its tail.
        let magnified = tolerance * (1.0 + found.statistic.powi(2));
        near(&what, found.p, of("p"), magnified);
        if expected.get("lower").is_some() {
            let width = found.upper - found.lower;
            for (bound, column) in [(found.lower, "lower"), (found.upper, "upper")] {
                let expected = of(column).as_f64().unwrap();
                assert!((bound - expected).abs() <= tolerance * width, "{what}");
            }
        }
    }
}
