//! Why there is no estimate.

/// Why there is no estimate. Names and bounds only: never a value or a count of the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Lists that belong together differ in length: the caller's fault.
    #[error("`{0}` has another number of values than the rest")]
    Ragged(String),
    /// A value is not a finite number, or too large to compute with.
    #[error("`{0}` has a value that is not finite or too large to compute with")]
    NotFinite(String),
    /// A time below zero.
    #[error("a time is below zero")]
    NegativeTime,
    /// Fewer observations than the estimate needs.
    #[error("too few observations: at least {needed} are needed")]
    TooFewRows {
        /// What the estimate needs for these predictors.
        needed: usize,
    },
    /// Nobody had the event, or too few for that many predictors.
    #[error("too few events: at least {needed} are needed")]
    TooFewEvents {
        /// What the estimate needs for these predictors.
        needed: usize,
    },
    /// All observations have one outcome.
    #[error("the outcome is the same everywhere")]
    ConstantOutcome,
    /// All observations have one value.
    #[error("`{0}` is the same everywhere: leave it out")]
    Constant(String),
    /// A predictor is a sum of others.
    #[error("`{name}` follows from {}: leave one of them out", quoted(.others))]
    Collinear {
        /// The predictor.
        name: String,
        /// The earlier ones that it follows from.
        others: Vec<String>,
    },
    /// Two predictors have one name.
    #[error("`{0}` is there twice")]
    NamedTwice(String),
    /// No predictor at all, or more than are taken.
    #[error("between 1 and {max} predictors are taken")]
    Predictors {
        /// The most.
        max: usize,
    },
    /// Fewer than two groups, or more than are taken.
    #[error("between 2 and {max} groups are compared")]
    Groups {
        /// The most.
        max: usize,
    },
    /// A predictor (or several together) tells outcomes apart without exception: its coefficient is infinite.
    #[error(
        "`{0}`, alone or with others, tells the outcomes apart without exception: its coefficient has no \
         finite estimate"
    )]
    Separated(String),
    /// Newton's method did not settle.
    #[error("the estimate did not settle: predictors may be too alike or too far apart in size")]
    NotConverged,
    /// Every value is the same, so that nothing is left to compare with.
    #[error("the values do not vary")]
    NoVariation,
    /// A row or column of a table of counts is empty.
    #[error("a row or a column of the table is empty")]
    EmptyMargin,
    /// The exact test is for two by two.
    #[error("the exact test takes two by two levels: use chi_square for more")]
    NotTwoByTwo,
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
