//! Linear regression by least squares.

use nalgebra::DVector;

use crate::tail::{f_upper, t_95, t_two_sided};
use crate::{Coefficient, FitError, INTERCEPT, Predictors};

/// A fitted linear model.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearRegression {
    /// The intercept, then the predictors in their order. The statistic is t.
    pub coefficients: Vec<Coefficient>,
    /// Rows.
    pub observations: usize,
    /// Observations less coefficients.
    pub residual_degrees_of_freedom: usize,
    /// Root of the residual sum of squares over its degrees of freedom, in the outcome's unit.
    pub residual_standard_error: f64,
    /// Share of the outcome's variation that the model explains, 0 to 1.
    pub r_squared: f64,
    /// The same, with the number of predictors counted against it.
    pub adjusted_r_squared: f64,
    /// Whether the model explains more than the mean does.
    pub f: f64,
    /// Upper tail of F with as many degrees of freedom as there are predictors, and the residual ones.
    pub p: f64,
}

/// Fits `outcome` by least squares with an intercept. A QR decomposition of the centred and scaled predictors
/// (Golub and Van Loan, *Matrix Computations*, 5.3), never the normal equations.
///
/// `outcome` has one finite value for each observation. Errors: too few observations, an outcome that does
/// not vary, one that isn't finite.
pub fn linear_regression(
    outcome: &[f64],
    predictors: &Predictors,
) -> Result<LinearRegression, FitError> {
    let (n, p) = (predictors.observations(), predictors.count());
    let name = || "outcome".to_owned();
    if outcome.len() != n {
        return Err(FitError::Ragged(name()));
    }
    if !outcome.iter().all(|value| value.is_finite()) {
        return Err(FitError::NotFinite(name()));
    }
    let rows = n as f64;
    let first = outcome.iter().sum::<f64>() / rows;
    let mean = first + outcome.iter().map(|y| y - first).sum::<f64>() / rows;
    let centred = DVector::from_iterator(n, outcome.iter().map(|y| y - mean));
    let total = centred.norm_squared();
    if !total.is_finite() {
        return Err(FitError::NotFinite(name()));
    }
    let largest = outcome.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
    if (total / rows).sqrt() <= 1e-12 * largest {
        return Err(FitError::ConstantOutcome);
    }

    let qr = predictors.rows.transpose().qr();
    let mut rotated = centred;
    qr.q_tr_mul(&mut rotated);
    let r = qr.unpack_r();
    let (explained, left) = (rotated.rows(0, p), rotated.rows(p, n - p));
    let scaled = r
        .solve_upper_triangular(&explained)
        .ok_or(FitError::NotConverged)?;
    // The inverse of R: its rows give the coefficients' covariance, up to the residual variance.
    let inverse = r
        .solve_upper_triangular(&nalgebra::DMatrix::identity(p, p))
        .ok_or(FitError::NotConverged)?;

    let degrees = n - p - 1;
    let degrees_f = degrees as f64;
    let residual = left.norm_squared();
    let variance = residual / degrees_f;
    let t = t_95(degrees_f);
    let coefficient = |name: String, estimate: f64, unscaled: f64| {
        let standard_error = (variance * unscaled).sqrt();
        let statistic = estimate / standard_error;
        Coefficient {
            name,
            estimate,
            standard_error,
            lower: estimate - t * standard_error,
            upper: estimate + t * standard_error,
            statistic,
            p: t_two_sided(statistic, degrees_f),
        }
    };
    let shifts = DVector::from_iterator(
        p,
        predictors
            .means
            .iter()
            .zip(&predictors.scales)
            .map(|(mean, scale)| mean / scale),
    );
    let mut coefficients = vec![coefficient(
        INTERCEPT.to_owned(),
        mean - shifts.dot(&scaled),
        1.0 / rows + inverse.tr_mul(&shifts).norm_squared(),
    )];
    for (((name, scale), estimate), row) in predictors
        .names
        .iter()
        .zip(&predictors.scales)
        .zip(scaled.iter())
        .zip(inverse.row_iter())
    {
        coefficients.push(coefficient(
            name.clone(),
            estimate / scale,
            row.norm_squared() / scale.powi(2),
        ));
    }
    let f = (explained.norm_squared() / p as f64) / variance;
    Ok(LinearRegression {
        coefficients,
        observations: n,
        residual_degrees_of_freedom: degrees,
        residual_standard_error: variance.sqrt(),
        r_squared: 1.0 - residual / total,
        adjusted_r_squared: 1.0 - (residual / degrees_f) / (total / (rows - 1.0)),
        f,
        p: f_upper(f, p as f64, degrees_f),
    })
}
