//! The statistics of clinical research as functions of numbers: survival, regression, tests.
//!
//! Pure: no SQL, no persons, no I/O. What comes in is checked once ([`Predictors`], [`Follow`], …) and from
//! then on can't be ragged, infinite or constant. What goes out is typed. An error names columns and bounds,
//! never a value and never a count of the data, so that it may be shown where the data may not.
//!
//! | function | what it gives | as in R |
//! |---|---|---|
//! | [`kaplan_meier`] | survival by time, Greenwood's standard error, log-log interval, median | `survfit(conf.type = "log-log")` |
//! | [`log_rank`] | test of equal survival in k groups | `survdiff` |
//! | [`cox`] | proportional hazards, Efron's ties | `coxph` |
//! | [`linear_regression`] | least squares | `lm` |
//! | [`logistic_regression`] | maximum likelihood | `glm(family = binomial)` |
//! | [`t_test`], [`paired_t_test`] | Welch's, Student's, paired | `t.test` |
//! | [`chi_square`] | Pearson's, with or without Yates' correction | `chisq.test` |
//! | [`fisher_exact`] | exact, of two by two | `fisher.test` |
//! | [`mann_whitney`] | exact for small samples without ties, else normal | `wilcox.test` |
//!
//! Intervals are at 95 %, tests are two-sided. Time is O(n log n) in observations at the most, times the
//! square of the number of predictors; memory is a few times that of what comes in.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

mod contingency;
mod error;
mod influence;
mod linear;
mod logistic;
mod mann_whitney;
mod newton;
mod predictors;
mod survival;
mod t;
mod tail;

pub use contingency::{
    Contingency, FisherExact, Independence, LEVELS_MAX, chi_square, fisher_exact,
};
pub use error::FitError;
pub use influence::{Share, outcome_shares, shares};
pub use linear::{LinearRegression, linear_regression};
pub use logistic::{LogisticRegression, logistic_regression};
pub use mann_whitney::{MannWhitney, Method, mann_whitney};
pub use predictors::{PREDICTORS_MAX, Predictors, Variable};
pub use survival::{
    Cox, Follow, GROUPS_MAX, GroupCount, KaplanMeier, LogRank, Step, cox, kaplan_meier, log_rank,
};
pub use t::{TTest, Variances, paired_t_test, t_test};
pub use tail::Z_95;

/// A coefficient of a fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficient {
    /// The predictor's name, [`INTERCEPT`] for the constant.
    pub name: String,
    /// The estimate, in the outcome's unit (linear) or as a logarithm (odds, hazard) for one unit of the
    /// predictor.
    pub estimate: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end of its 95 % interval.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// t (linear) or z (odds, hazard): the estimate over its standard error.
    pub statistic: f64,
    /// Two-sided.
    pub p: f64,
}

/// What the constant of a model is called.
pub const INTERCEPT: &str = "intercept";

impl Coefficient {
    /// The odds or hazard ratio with its interval: estimate, lower, upper. Not for linear models.
    pub fn ratio(&self) -> [f64; 3] {
        [self.estimate.exp(), self.lower.exp(), self.upper.exp()]
    }

    /// Wald's z and its interval.
    fn wald(name: String, estimate: f64, standard_error: f64) -> Self {
        let statistic = estimate / standard_error;
        Self {
            name,
            estimate,
            standard_error,
            lower: estimate - Z_95 * standard_error,
            upper: estimate + Z_95 * standard_error,
            statistic,
            p: tail::normal_two_sided(statistic),
        }
    }
}

/// A statistic that has a chi-square distribution under the null hypothesis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// The statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub degrees_of_freedom: u32,
    /// The upper tail.
    pub p: f64,
}

impl ChiSquare {
    fn new(statistic: f64, degrees_of_freedom: usize) -> Self {
        // Rounding may leave a statistic of 0 a little below.
        let statistic = statistic.max(0.0);
        Self {
            statistic,
            degrees_of_freedom: u32::try_from(degrees_of_freedom).unwrap_or(u32::MAX),
            p: tail::chi_square_upper(statistic, degrees_of_freedom as f64),
        }
    }
}
