//! How much of each coefficient one person holds.
//!
//! A coefficient of a weighted least-squares fit is a sum `Σ c_ij y_i` over observations, and its information
//! is spread over them as `c_ij²` is: the *partial leverage* (Cook and Weisberg, *Residuals and Influence in
//! Regression*, 1982, 2.2). A person who holds nearly all of it is given away by the coefficient: with two
//! indicators that differ in one person alone, the difference of their coefficients is that person's outcome.
//! And where the outcome is a magnitude, one person's may be most of the sum `Σ |c_ij y_i|`, as in any total.
//! So these shares are to a coefficient what dominance is to a sum.

use nalgebra::{DMatrix, DVector};

use crate::newton::decompose;
use crate::{FitError, Predictors};

/// The two largest shares of a coefficient that persons hold, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Share {
    /// The largest person's.
    pub largest: f64,
    /// The second largest's.
    pub second: f64,
}

/// The shares of the intercept and of each predictor in their information, in this order.
///
/// `weights` are those of the fit: `None` for least squares, `p (1 - p)` for odds, expected events for hazards.
/// `persons` are small numbers (an array as long as the largest is made): the rows of one person count
/// together. One of each for each observation.
pub fn shares(
    predictors: &Predictors,
    weights: Option<&[f64]>,
    persons: &[u32],
) -> Result<Vec<Share>, FitError> {
    let ones;
    let weights = match weights {
        Some(weights) => weights,
        None => {
            ones = vec![1.0; persons.len()];
            &ones
        }
    };
    spread(predictors, weights, persons, |coefficient, weight, _| {
        weight * coefficient.powi(2)
    })
}

/// The shares of the intercept and of each predictor in the sum of the outcome that a least-squares estimate
/// is, in this order. `outcome` and `persons` have one of each for each observation.
pub fn outcome_shares(
    predictors: &Predictors,
    outcome: &[f64],
    persons: &[u32],
) -> Result<Vec<Share>, FitError> {
    let ones = vec![1.0; persons.len()];
    let outcome_of = |row: usize| outcome.get(row).copied().unwrap_or(f64::NAN);
    spread(predictors, &ones, persons, |coefficient, _, row| {
        (coefficient * outcome_of(row)).abs()
    })
}

/// For each coefficient the two largest parts of the total of `part(c_ij / weight, weight, row)`, by person.
fn spread(
    predictors: &Predictors,
    weights: &[f64],
    persons: &[u32],
    part: impl Fn(f64, f64, usize) -> f64,
) -> Result<Vec<Share>, FitError> {
    let n = predictors.observations();
    if persons.len() != n || weights.len() != n {
        return Err(FitError::Ragged("weights".to_owned()));
    }
    let rows = predictors.rows.clone().insert_row(0, 1.0);
    let q = rows.nrows();
    let mut information = DMatrix::zeros(q, q);
    for (row, weight) in rows.column_iter().zip(weights) {
        information.ger(*weight, &row, &row, 1.0);
    }
    let covariance = decompose(&information)
        .ok_or(FitError::NotConverged)?
        .inverse();
    let people = persons.iter().max().map_or(0, |most| *most as usize + 1);
    // The intercept is that of the predictors' own units: not of the centre, but where all of them are 0.
    let mut directions = vec![predictors.intercept()];
    directions
        .extend((1..q).map(|place| DVector::from_fn(q, |at, _| f64::from(u8::from(at == place)))));
    let mut result = Vec::with_capacity(q);
    for column in directions.iter().map(|direction| &covariance * direction) {
        let mut held = vec![0.0_f64; people];
        for (place, ((row, person), weight)) in
            rows.column_iter().zip(persons).zip(weights).enumerate()
        {
            if let Some(held) = held.get_mut(*person as usize) {
                *held += part(row.dot(&column), *weight, place);
            }
        }
        result.push(two_largest(&held));
    }
    Ok(result)
}

fn two_largest(held: &[f64]) -> Share {
    let total: f64 = held.iter().sum();
    let mut share = Share::default();
    if total == 0.0 {
        return share;
    }
    for part in held.iter().map(|part| part / total) {
        if part > share.largest {
            share.second = share.largest;
            share.largest = part;
        } else if part > share.second {
            share.second = part;
        }
    }
    share
}
