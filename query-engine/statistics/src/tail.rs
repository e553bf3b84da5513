//! Tails and quantiles of distributions, on statrs' special functions.
//!
//! Tails are computed as tails, never as one minus the rest, so that small p-values keep their digits.

use statrs::distribution::{Continuous, ContinuousCDF, StudentsT};
use statrs::function::beta::checked_beta_reg;
use statrs::function::gamma::checked_gamma_ur;

/// The 97.5 % point of the standard normal distribution: half the width of a 95 % interval.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// Two-sided tail of the standard normal distribution.
pub(crate) fn normal_two_sided(z: f64) -> f64 {
    // statrs' erfc has ten digits, its incomplete gamma function fourteen.
    chi_square_upper(z * z, 1.0)
}

/// Upper tail of the chi-square distribution.
pub(crate) fn chi_square_upper(statistic: f64, degrees_of_freedom: f64) -> f64 {
    // The square of a small z may be nothing.
    if statistic == 0.0 {
        return 1.0;
    }
    if statistic.is_infinite() {
        return 0.0;
    }
    checked_gamma_ur(degrees_of_freedom / 2.0, statistic / 2.0).unwrap_or(f64::NAN)
}

/// Two-sided tail of Student's t.
pub(crate) fn t_two_sided(t: f64, degrees_of_freedom: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    let x = degrees_of_freedom / (degrees_of_freedom + t * t);
    checked_beta_reg(degrees_of_freedom / 2.0, 0.5, x).unwrap_or(f64::NAN)
}

/// Upper tail of F.
pub(crate) fn f_upper(f: f64, numerator: f64, denominator: f64) -> f64 {
    if f.is_infinite() {
        return 0.0;
    }
    // Not as one minus the lower argument: that loses the digits of a large F.
    let x = denominator / (numerator * f + denominator);
    checked_beta_reg(denominator / 2.0, numerator / 2.0, x).unwrap_or(f64::NAN)
}

/// The 97.5 % point of Student's t.
pub(crate) fn t_95(degrees_of_freedom: f64) -> f64 {
    let Ok(distribution) = StudentsT::new(0.0, 1.0, degrees_of_freedom) else {
        return f64::NAN;
    };
    let mut t = distribution.inverse_cdf(0.975);
    // statrs' inverse of the incomplete beta function is good to some ten digits; two steps of Newton's
    // method give the rest.
    for _ in 0..2 {
        let step = (t_two_sided(t, degrees_of_freedom) - 0.05) / (2.0 * distribution.pdf(t));
        if step.is_finite() {
            t += step;
        }
    }
    t
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Tails that `tests/golden/compute.py` computed with mpmath to 40 digits.
    #[test]
    fn tails_agree_with_forty_digits_from_the_middle_to_the_far_end() {
        let golden: Value =
            serde_json::from_str(include_str!("../tests/golden/tails.json")).unwrap();
        let each = |name: &str, tail: fn(&[f64]) -> f64, tolerance: f64| {
            let rows = golden[name].as_array().unwrap();
            assert!(rows.len() > 5);
            for row in rows {
                let row: Vec<f64> = row
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|n| n.as_f64().unwrap())
                    .collect();
                let (expected, given) = row.split_last().unwrap();
                let found = tail(given);
                let error = (found - expected).abs();
                assert!(
                    error <= tolerance * expected.abs() + 1e-300,
                    "{name} of {given:?}: {found} instead of {expected}"
                );
            }
        };
        each("normal", |x| normal_two_sided(x[0]), 1e-12);
        each("chi_square", |x| chi_square_upper(x[1], x[0]), 1e-11);
        // The logarithms of gamma functions lose digits with the degrees of freedom.
        each("t", |x| t_two_sided(x[1], x[0]), 1e-8);
        each("f", |x| f_upper(x[2], x[0], x[1]), 1e-8);
        each("t_975", |x| t_95(x[0]), 1e-10);
    }
}
