//! Tests of means.

use crate::FitError;
use crate::tail::{t_95, t_two_sided};

/// What is assumed of the variances of two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variances {
    /// Nothing: Welch's test.
    Unequal,
    /// That they are equal: Student's test.
    Equal,
}

/// The outcome of a test of means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// The means of both groups; of pairs, of both values.
    pub means: [f64; 2],
    /// The first mean less the second, in the values' unit.
    pub difference: f64,
    /// Of the difference.
    pub standard_error: f64,
    /// Lower end of its 95 % interval.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// The difference over its standard error.
    pub t: f64,
    /// Not a whole number with Welch's test.
    pub degrees_of_freedom: f64,
    /// Two-sided.
    pub p: f64,
}

/// Compares the means of two independent groups: Welch (Biometrika 34 (1947) 28) with Satterthwaite's degrees
/// of freedom, or Student.
pub fn t_test(first: &[f64], second: &[f64], variances: Variances) -> Result<TTest, FitError> {
    let (a, b) = (Moments::of("value", first)?, Moments::of("value", second)?);
    let (standard_error, degrees) = match variances {
        Variances::Unequal => {
            let (u, v) = (a.variance() / a.n, b.variance() / b.n);
            let degrees = (u + v).powi(2) / (u * u / (a.n - 1.0) + v * v / (b.n - 1.0));
            ((u + v).sqrt(), degrees)
        }
        Variances::Equal => {
            let degrees = a.n + b.n - 2.0;
            let pooled = (a.squares + b.squares) / degrees;
            ((pooled * (1.0 / a.n + 1.0 / b.n)).sqrt(), degrees)
        }
    };
    test([a.mean, b.mean], a.mean - b.mean, standard_error, degrees)
}

/// Compares two values of the same persons: the first less the second, by Student's test against 0.
pub fn paired_t_test(pairs: &[(f64, f64)]) -> Result<TTest, FitError> {
    let first: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
    let second: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
    let differences: Vec<f64> = pairs.iter().map(|pair| pair.0 - pair.1).collect();
    let means = [
        Moments::of("first", &first)?.mean,
        Moments::of("second", &second)?.mean,
    ];
    let d = Moments::of("difference", &differences)?;
    test(means, d.mean, (d.variance() / d.n).sqrt(), d.n - 1.0)
}

fn test(
    means: [f64; 2],
    difference: f64,
    standard_error: f64,
    degrees_of_freedom: f64,
) -> Result<TTest, FitError> {
    let largest = means.iter().fold(0.0_f64, |m, mean| m.max(mean.abs()));
    // What is left of equal values after rounding is no variation.
    if standard_error <= 1e-14 * largest || standard_error == 0.0 {
        return Err(FitError::NoVariation);
    }
    let t = difference / standard_error;
    let width = t_95(degrees_of_freedom) * standard_error;
    Ok(TTest {
        means,
        difference,
        standard_error,
        lower: difference - width,
        upper: difference + width,
        t,
        degrees_of_freedom,
        p: t_two_sided(t, degrees_of_freedom),
    })
}

/// Mean and sum of squared deviations, in two passes.
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(name: &str, values: &[f64]) -> Result<Self, FitError> {
        if values.len() < 2 {
            return Err(FitError::TooFewRows { needed: 2 });
        }
        let n = values.len() as f64;
        let first = values.iter().sum::<f64>() / n;
        let mean = first + values.iter().map(|v| v - first).sum::<f64>() / n;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        if !mean.is_finite() || !squares.is_finite() {
            return Err(FitError::NotFinite(name.to_owned()));
        }
        Ok(Self { n, mean, squares })
    }

    fn variance(&self) -> f64 {
        self.squares / (self.n - 1.0)
    }
}
