//! The statistics of clinical research as functions: survival, regression, tests.
//!
//! `SELECT arm, kaplan_meier(days, is_dead) FROM t GROUP BY arm` has one such function beside its group keys.
//! The plan is followed below its aggregate as for any statistic ([`crate::follow`]); the aggregate gathers the
//! rows of each group with their persons ([`gather`], within the session's memory), and what
//! [`kekkai_statistics`] makes of them becomes a table of its own ([`fit`], [`answer`]).
//!
//! **What is taken.** Rows in which every argument has a value (complete cases; NaN, numbers beyond 1e100 and
//! times below 0 count as missing). An event or an outcome is a `BOOLEAN`: a column of 0 and 1 is written `status = 1`, so that no
//! coding is guessed. Estimates take rows as independent: one row for each person. With several, standard
//! errors are too small; contributors are persons all the same.
//!
//! **What is shown** is held against the terms as a whole and group by group ([`disclosure`]):
//! - a group with fewer persons than the threshold is withheld with its name;
//! - a model needs ten persons more than it has terms, each predictor a threshold of persons off its most
//!   frequent value, each outcome a threshold of persons, and each yes-or-no predictor a threshold of them on
//!   either side with and without the outcome: a coefficient of an indicator *is* a table of two by two;
//! - no person holds more of a coefficient or mean than the terms' dominance allows
//!   ([`kekkai_statistics::shares`]);
//! - tests of counts need a threshold of persons in every cell;
//! - a survival curve is shown at times of a grid that lie a threshold of events apart ([`curve`]).
//!
//! Numbers have six significant digits, survival four decimals: what a paper prints, and too little to find
//! single values by search.

mod answer;
mod curve;
mod disclosure;
mod fit;
mod gather;
mod plan;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use kekkai_output::{Aggregate, ColumnKind, ValueType};

pub(crate) use plan::gathered;

/// The functions by name, for the allow-list.
pub const MODEL_FUNCTIONS: &[&str] = &[
    "chi_square",
    "cox",
    "fisher_exact",
    "kaplan_meier",
    "linear_regression",
    "log_rank",
    "logistic_regression",
    "mann_whitney",
    "paired_t_test",
    "student_t_test",
    "t_test",
];

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    ChiSquare,
    Cox,
    FisherExact,
    KaplanMeier,
    LinearRegression,
    LogRank,
    LogisticRegression,
    MannWhitney,
    PairedTTest,
    StudentTTest,
    TTest,
}

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    /// A number; true and false are 1 and 0.
    Number,
    /// True or false.
    Truth,
    /// The name of a group: text, whole number, date, or true and false.
    Level,
}

impl Function {
    const ALL: [Self; 11] = [
        Self::ChiSquare,
        Self::Cox,
        Self::FisherExact,
        Self::KaplanMeier,
        Self::LinearRegression,
        Self::LogRank,
        Self::LogisticRegression,
        Self::MannWhitney,
        Self::PairedTTest,
        Self::StudentTTest,
        Self::TTest,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ChiSquare => "chi_square",
            Self::Cox => "cox",
            Self::FisherExact => "fisher_exact",
            Self::KaplanMeier => "kaplan_meier",
            Self::LinearRegression => "linear_regression",
            Self::LogRank => "log_rank",
            Self::LogisticRegression => "logistic_regression",
            Self::MannWhitney => "mann_whitney",
            Self::PairedTTest => "paired_t_test",
            Self::StudentTTest => "student_t_test",
            Self::TTest => "t_test",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What its numbers are to reviewers.
    fn kind(self) -> Aggregate {
        match self {
            Self::KaplanMeier => Aggregate::Survival,
            Self::Cox | Self::LinearRegression | Self::LogisticRegression => Aggregate::Coefficient,
            Self::ChiSquare
            | Self::FisherExact
            | Self::LogRank
            | Self::MannWhitney
            | Self::PairedTTest
            | Self::StudentTTest
            | Self::TTest => Aggregate::Test,
        }
    }

    /// What its first arguments must be.
    fn arguments(self) -> &'static [Argument] {
        use Argument::{Level, Number, Truth};
        match self {
            Self::ChiSquare | Self::FisherExact => &[Level, Level],
            Self::Cox | Self::KaplanMeier => &[Number, Truth],
            Self::LinearRegression => &[Number],
            Self::LogRank => &[Number, Truth, Level],
            Self::LogisticRegression => &[Truth],
            Self::PairedTTest => &[Number, Number],
            Self::MannWhitney | Self::StudentTTest | Self::TTest => &[Number, Truth],
        }
    }

    /// Whether numbers follow: one or more predictors.
    fn has_predictors(self) -> bool {
        matches!(
            self,
            Self::Cox | Self::LinearRegression | Self::LogisticRegression
        )
    }

    /// The columns of its table: names, types, what they say.
    pub(crate) fn columns(self) -> Vec<(&'static str, ValueType, ColumnKind)> {
        use ValueType::{Float, Int, Text};
        let of = |names: &[(&'static str, ValueType)]| {
            let kind = ColumnKind::Statistic(vec![self.kind()]);
            let with_kind =
                |(name, value_type): &(&'static str, ValueType)| (*name, *value_type, kind.clone());
            names.iter().map(with_kind).collect::<Vec<_>>()
        };
        let numbers = |names: &[&'static str]| {
            let typed: Vec<_> = names.iter().map(|name| (*name, Float)).collect();
            of(&typed)
        };
        let terms = |ratio: &[&'static str], statistic: &'static str| {
            let mut columns = vec![("term", Text, ColumnKind::Key)];
            let rest = [ratio, &["standard_error", statistic, "p"]].concat();
            columns.extend(numbers(&rest));
            columns
        };
        match self {
            Self::KaplanMeier => {
                let mut columns = vec![("time", Float, ColumnKind::Key)];
                columns.extend(of(&[
                    ("at_risk", Int),
                    ("events", Int),
                    ("censored", Int),
                    ("survival", Float),
                    ("standard_error", Float),
                    ("lower", Float),
                    ("upper", Float),
                ]));
                columns
            }
            Self::Cox => terms(&["hazard_ratio", "lower", "upper", "coefficient"], "z"),
            Self::LogisticRegression => {
                terms(&["odds_ratio", "lower", "upper", "coefficient"], "z")
            }
            Self::LinearRegression => terms(&["coefficient", "lower", "upper"], "t"),
            Self::LogRank => of(&[
                ("statistic", Float),
                ("degrees_of_freedom", Int),
                ("p", Float),
            ]),
            Self::ChiSquare => of(&[
                ("statistic", Float),
                ("degrees_of_freedom", Int),
                ("p", Float),
                ("yates_statistic", Float),
                ("yates_p", Float),
            ]),
            Self::FisherExact => numbers(&["odds_ratio", "p"]),
            Self::MannWhitney => numbers(&["u", "superiority", "p"]),
            Self::TTest | Self::StudentTTest | Self::PairedTTest => {
                let means = if self == Self::PairedTTest {
                    ["mean_first", "mean_second"]
                } else {
                    ["mean_true", "mean_false"]
                };
                let rest = [
                    "difference",
                    "lower",
                    "upper",
                    "standard_error",
                    "t",
                    "degrees_of_freedom",
                    "p",
                ];
                numbers(&[&means[..], &rest[..]].concat())
            }
        }
    }
}

/// The functions as the planner knows them. They stand for themselves until [`plan`] puts the aggregate that
/// gathers rows in their place: they are never run.
pub(crate) fn functions() -> impl Iterator<Item = Arc<AggregateUDF>> {
    Function::ALL.into_iter().map(|function| {
        Arc::new(AggregateUDF::new_from_impl(Named {
            function,
            signature: Signature::variadic_any(Volatility::Immutable),
        }))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Named {
    function: Function,
    signature: Signature,
}

impl AggregateUDFImpl for Named {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Err(DataFusionError::Internal(
            "a model function was run by itself".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_on_the_list_and_the_list_has_no_other() {
        let names: Vec<&str> = Function::ALL.iter().map(|f| f.name()).collect();
        assert_eq!(names, MODEL_FUNCTIONS);
        for name in names {
            assert_eq!(Function::of(name).map(Function::name), Some(name));
        }
        assert_eq!(Function::of("avg"), None);
    }
}
