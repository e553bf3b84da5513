//! Logistic regression by maximum likelihood.

use nalgebra::{DMatrix, DVector};

use crate::newton::{At, Endless, Maximum, maximize};
use crate::{ChiSquare, Coefficient, FitError, INTERCEPT, Predictors};

/// A fitted logistic model.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticRegression {
    /// The intercept, then the predictors in their order: logarithms of odds. The statistic is z.
    pub coefficients: Vec<Coefficient>,
    /// Rows.
    pub observations: usize,
    /// Observations less coefficients.
    pub residual_degrees_of_freedom: usize,
    /// At the estimate.
    pub log_likelihood: f64,
    /// Of the model with an intercept only.
    pub log_likelihood_null: f64,
    /// Against the model with an intercept only.
    pub likelihood_ratio: ChiSquare,
    /// For each observation its weight in the information: `p (1 - p)`.
    pub weights: Vec<f64>,
}

/// Fits `outcome` with an intercept by Newton's method, which for this model is the same as iteratively
/// reweighted least squares (McCullagh and Nelder, *Generalized Linear Models*, 4.4).
///
/// `outcome` has one value for each observation. Errors: one outcome only; predictors that separate the
/// outcomes completely or partly (Albert and Anderson, Biometrika 71 (1984) 1), for which no finite estimate
/// exists: one of them is named.
pub fn logistic_regression(
    outcome: &[bool],
    predictors: &Predictors,
) -> Result<LogisticRegression, FitError> {
    let (n, p) = (predictors.observations(), predictors.count());
    if outcome.len() != n {
        return Err(FitError::Ragged("outcome".to_owned()));
    }
    let events = outcome.iter().filter(|event| **event).count();
    if events == 0 || events == n {
        return Err(FitError::ConstantOutcome);
    }
    // With the intercept first.
    let rows = predictors.rows.clone().insert_row(0, 1.0);
    let mut start = DVector::zeros(p + 1);
    let odds = events as f64 / (n - events) as f64;
    if let Some(intercept) = start.get_mut(0) {
        *intercept = odds.ln();
    }
    let found = maximize(start, |b| evaluate(&rows, outcome, b));
    let Maximum {
        at,
        log_likelihood,
        covariance,
        start,
    } = found.map_err(|endless| no_estimate(&rows, outcome, predictors, &endless))?;

    let weights = rows
        .tr_mul(&at)
        .iter()
        .map(|eta| sigmoid(*eta) * sigmoid(-*eta))
        .collect();
    // Back to the predictors' units: the intercept takes what centring took away.
    let back = predictors.intercept();
    let mut coefficients = vec![Coefficient::wald(
        INTERCEPT.to_owned(),
        back.dot(&at),
        back.dot(&(&covariance * &back)).sqrt(),
    )];
    for (((name, scale), estimate), variance) in predictors
        .names
        .iter()
        .zip(&predictors.scales)
        .zip(at.iter().skip(1))
        .zip(covariance.diagonal().iter().skip(1))
    {
        coefficients.push(Coefficient::wald(
            name.clone(),
            estimate / scale,
            variance.sqrt() / scale,
        ));
    }
    Ok(LogisticRegression {
        coefficients,
        observations: n,
        residual_degrees_of_freedom: n - p - 1,
        log_likelihood,
        log_likelihood_null: start.log_likelihood,
        likelihood_ratio: ChiSquare::new(2.0 * (log_likelihood - start.log_likelihood), p),
        weights,
    })
}

/// `1 / (1 + exp(-x))`, without overflow on either side.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

fn evaluate(rows: &DMatrix<f64>, outcome: &[bool], b: &DVector<f64>) -> Option<At> {
    let q = b.len();
    let mut log_likelihood = 0.0;
    let mut gradient = DVector::zeros(q);
    let mut information = DMatrix::zeros(q, q);
    for (row, event) in rows.column_iter().zip(outcome) {
        let eta = row.dot(b);
        let towards = if *event { eta } else { -eta };
        // ln of the probability of what happened.
        log_likelihood -= if towards > 0.0 {
            (-towards).exp().ln_1p()
        } else {
            towards.exp().ln_1p() - towards
        };
        let missed = sigmoid(-towards);
        gradient.axpy(if *event { missed } else { -missed }, &row, 1.0);
        information.ger(missed * sigmoid(towards), &row, &row, 1.0);
    }
    log_likelihood.is_finite().then_some(At {
        log_likelihood,
        gradient,
        information,
    })
}

/// A direction in which no observation gets worse means that the likelihood rises without end.
fn no_estimate(
    rows: &DMatrix<f64>,
    outcome: &[bool],
    predictors: &Predictors,
    endless: &Endless,
) -> FitError {
    let along = rows.tr_mul(&endless.direction);
    let largest = along.amax();
    let is_separating = largest > 0.0
        && along.iter().zip(outcome).all(|(along, event)| {
            let gain = if *event { *along } else { -*along };
            gain >= -1e-6 * largest
        });
    if !is_separating {
        return FitError::NotConverged;
    }
    predictors
        .names
        .iter()
        .zip(endless.direction.iter().skip(1))
        .max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))
        .map_or(FitError::NotConverged, |(name, _)| {
            FitError::Separated(name.clone())
        })
}
