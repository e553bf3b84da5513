//! Newton's method with step halving, for concave log-likelihoods.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

/// Steps. Newton's method needs under 10 where there is a finite estimate; where there is none, it moves on
/// by about one unit of the linear predictor in each step.
const ITERATIONS_MAX: usize = 60;

/// Halvings of one step.
const HALVINGS_MAX: usize = 30;

/// A step below this (in standard deviations of the predictors) is the last: the error after it is about
/// its square.
const SETTLED: f64 = 1e-8;

/// The information is singular when its smallest pivot is below this part of the largest: predictors that
/// are independent at the start stay far above.
const SINGULAR: f64 = 1e-14;

/// A log-likelihood and its derivatives at one place.
pub(crate) struct At {
    pub(crate) log_likelihood: f64,
    pub(crate) gradient: DVector<f64>,
    /// The negative of the second derivatives: positive definite.
    pub(crate) information: DMatrix<f64>,
}

/// Where it is largest.
pub(crate) struct Maximum {
    pub(crate) at: DVector<f64>,
    pub(crate) log_likelihood: f64,
    /// The inverse of the information.
    pub(crate) covariance: DMatrix<f64>,
    /// At the start.
    pub(crate) start: At,
}

/// There is none that is finite, or it was not found; the way it last went.
pub(crate) struct Endless {
    pub(crate) direction: DVector<f64>,
}

/// Climbs from `start`. `evaluate` gives `None` where numbers overflow.
pub(crate) fn maximize(
    start: DVector<f64>,
    evaluate: impl Fn(&DVector<f64>) -> Option<At>,
) -> Result<Maximum, Endless> {
    let mut place = start;
    let mut direction = DVector::zeros(place.len());
    let endless = |direction: &DVector<f64>| Endless {
        direction: direction.clone(),
    };
    let mut at = evaluate(&place).ok_or_else(|| endless(&direction))?;
    let mut first: Option<At> = None;
    for _ in 0..ITERATIONS_MAX {
        let factors = decompose(&at.information).ok_or_else(|| endless(&direction))?;
        let mut step = factors.solve(&at.gradient);
        direction = step.clone();
        let is_settled = step.amax() < SETTLED;
        let mut next = None;
        for _ in 0..HALVINGS_MAX {
            let candidate = &place + &step;
            match evaluate(&candidate) {
                // Near the top, two heights differ by rounding alone.
                Some(found)
                    if found.log_likelihood
                        >= at.log_likelihood - 1e-12 * (1.0 + at.log_likelihood.abs()) =>
                {
                    next = Some((candidate, found));
                    break;
                }
                _ => step *= 0.5,
            }
        }
        let (candidate, found) = next.ok_or_else(|| endless(&direction))?;
        let last = std::mem::replace(&mut at, found);
        first.get_or_insert(last);
        place = candidate;
        if is_settled {
            let factors = decompose(&at.information).ok_or_else(|| endless(&direction))?;
            let start = first.ok_or_else(|| endless(&direction))?;
            return Ok(Maximum {
                at: place,
                log_likelihood: at.log_likelihood,
                covariance: factors.inverse(),
                start,
            });
        }
    }
    Err(endless(&direction))
}

/// The triangle of a positive definite matrix, or nothing where it is singular for practical purposes.
pub(crate) fn decompose(matrix: &DMatrix<f64>) -> Option<Cholesky<f64, Dyn>> {
    if !matrix.iter().all(|value| value.is_finite()) {
        return None;
    }
    let factors = Cholesky::new(matrix.clone())?;
    let pivots = factors.l_dirty().diagonal();
    let (least, most) = (pivots.min(), pivots.max());
    (least * least > SINGULAR * most * most).then_some(factors)
}
