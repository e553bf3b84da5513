//! Which functions a statement may use: the lists are closed, what they don't name is refused.
//!
//! Left out of statistics on purpose:
//! - `now`, `current_date`, `random`, `uuid`: a review must be able to compute an output again;
//! - `min`, `max`, `array_agg`, `string_agg`, `first_value`, `any_value`: each shows a single person's value.
//!   (`min` and `max` work inside a subquery that groups by the person key.) Medians and quantiles show such
//!   values as well, but with enough persons on both sides of them; the approximate ones are left out, since
//!   nobody can say on which value they stand.
//! - window functions, but inside a subquery and partitioned by the person key;
//! - `repeat`, `lpad`, `rpad`, `factorial`: small input, large output;
//! - `arrow_cast`, `arrow_typeof`, `version`, `get_field`, lists and structs: nothing a statistic needs.
//!
//! Rows may hold single persons' values, so that `min`, medians and windows are listed for them. What depends
//! on the moment, makes much of little, or gives lists stays out of both.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

/// What a statement is run for. It decides what may be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be shown: statistics, suppressed.
    Statistic,
    /// For a program that may read rows, and out of which only reviewed outputs come.
    Rows,
}

/// Scalar functions, by DataFusion's name; its aliases come with them.
pub const SCALAR_FUNCTIONS: &[&str] = &[
    // Dates and times.
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "to_char",
    "to_date",
    "to_timestamp",
    "to_timestamp_seconds",
    "to_unixtime",
    // Numbers.
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "power",
    "radians",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    // Texts.
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "initcap",
    "left",
    "levenshtein",
    "lower",
    "ltrim",
    "octet_length",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "to_hex",
    "translate",
    "upper",
    // Regular expressions.
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_replace",
    // Conditions.
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2",
];

/// Aggregate functions, by DataFusion's name; its aliases come with them.
pub const AGGREGATE_FUNCTIONS: &[&str] = &[
    "avg",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];

/// Quantiles: shown where enough persons are on both sides of them.
pub const QUANTILE_FUNCTIONS: &[&str] = &["median", "percentile_cont"];

/// Aggregates that show a single row's value: only inside a subquery that groups by the person key.
pub const PERSON_FUNCTIONS: &[&str] = &["max", "min"];

/// Aggregates that rows may be made with, besides [`AGGREGATE_FUNCTIONS`]. They keep numbers or one value for
/// each group; medians and percentiles keep what they aggregate, within the session's memory.
pub const ROW_AGGREGATE_FUNCTIONS: &[&str] = &[
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "bool_and",
    "bool_or",
    "first_value",
    "last_value",
    "max",
    "median",
    "min",
    "percentile_cont",
];

/// Window functions, besides the aggregates: for rows, and over each person's own rows below a statistic.
pub const WINDOW_FUNCTIONS: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// Scalar functions that can't fail and that DataFusion rewrites before it runs them.
pub(crate) const TOTAL_FUNCTIONS: &[&str] =
    &["coalesce", "greatest", "least", "nullif", "nvl", "nvl2"];

/// The lists, resolved.
pub(crate) struct Functions {
    pub(crate) scalar: HashMap<String, Arc<ScalarUDF>>,
    pub(crate) aggregate: HashMap<String, Arc<AggregateUDF>>,
    pub(crate) window: HashMap<String, Arc<WindowUDF>>,
    pub(crate) purpose: Purpose,
    /// Names that exist in SQL engines but not here: `read_parquet` is refused, not unknown.
    refused: BTreeSet<String>,
}

/// Functions of other engines that somebody may try, above all those that read files.
const FOREIGN: &[&str] = &[
    "read_parquet",
    "read_csv",
    "read_csv_auto",
    "read_json",
    "read_blob",
    "read_text",
    "parquet_scan",
    "parquet_metadata",
    "glob",
    "pg_read_file",
    "pg_ls_dir",
    "lo_import",
    "load_file",
    "getenv",
    "current_setting",
    "set_config",
    "pg_sleep",
    "sleep",
    "generate_series",
    "range",
    "unnest",
    "current_user",
    "session_user",
    "user",
    "query_to_xml",
    "dblink",
    "current_catalog",
    "current_schema",
    "localtime",
    "localtimestamp",
    "current_timestamp",
    "mode",
    "percentile_disc",
    "quantile",
    "list",
    "group_concat",
    "system",
    "xp_cmdshell",
    "input_file_name",
];

impl Functions {
    /// The lists for a purpose.
    pub(crate) fn new(purpose: Purpose) -> Self {
        let mut refused: BTreeSet<String> = FOREIGN.iter().map(|name| (*name).to_owned()).collect();
        let mut scalar = HashMap::new();
        for function in SessionStateDefaults::default_scalar_functions() {
            let names = names(function.name(), function.aliases());
            if SCALAR_FUNCTIONS.contains(&function.name()) {
                for name in names {
                    scalar.insert(name, Arc::clone(&function));
                }
            } else {
                refused.extend(names);
            }
        }
        let mut aggregate = HashMap::new();
        for function in SessionStateDefaults::default_aggregate_functions() {
            let names = names(function.name(), function.aliases());
            if is_aggregate(purpose, function.name()) {
                for name in names {
                    aggregate.insert(name, Arc::clone(&function));
                }
            } else {
                refused.extend(names);
            }
        }
        for function in crate::model::functions() {
            let name = function.name().to_owned();
            match purpose {
                Purpose::Statistic => drop(aggregate.insert(name, function)),
                Purpose::Rows => drop(refused.insert(name)),
            }
        }
        let mut window = HashMap::new();
        for function in SessionStateDefaults::default_window_functions() {
            for name in names(function.name(), function.aliases()) {
                if WINDOW_FUNCTIONS.contains(&function.name()) {
                    window.insert(name, Arc::clone(&function));
                } else if !aggregate.contains_key(&name) {
                    refused.insert(name);
                }
            }
        }
        refused.retain(|name| !window.contains_key(name));
        for function in SessionStateDefaults::default_table_functions() {
            refused.insert(function.name().to_lowercase());
        }
        Self {
            scalar,
            aggregate,
            window,
            purpose,
            refused,
        }
    }

    pub(crate) fn is_allowed(&self, name: &str) -> bool {
        self.scalar.contains_key(name)
            || self.aggregate.contains_key(name)
            || self.window.contains_key(name)
    }

    /// True for what only stands before `OVER`.
    pub(crate) fn is_window_only(&self, name: &str) -> bool {
        self.window.contains_key(name) && !self.aggregate.contains_key(name)
    }

    pub(crate) fn is_refused(&self, name: &str) -> bool {
        self.refused.contains(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.scalar
            .keys()
            .chain(self.aggregate.keys())
            .chain(self.window.keys())
            .map(String::as_str)
    }
}

/// True for the aggregates of a purpose, by DataFusion's name.
pub(crate) fn is_aggregate(purpose: Purpose, name: &str) -> bool {
    AGGREGATE_FUNCTIONS.contains(&name)
        || match purpose {
            Purpose::Statistic => {
                PERSON_FUNCTIONS.contains(&name) || QUANTILE_FUNCTIONS.contains(&name)
            }
            Purpose::Rows => ROW_AGGREGATE_FUNCTIONS.contains(&name),
        }
}

fn names(name: &str, aliases: &[String]) -> Vec<String> {
    std::iter::once(name.to_lowercase())
        .chain(aliases.iter().map(|alias| alias.to_lowercase()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Purpose; 2] = [Purpose::Statistic, Purpose::Rows];

    #[test]
    fn every_listed_function_exists() {
        let functions = Functions::new(Purpose::Statistic);
        for name in SCALAR_FUNCTIONS {
            assert!(functions.scalar.contains_key(*name), "{name}");
        }
        let listed = AGGREGATE_FUNCTIONS.iter().chain(PERSON_FUNCTIONS);
        for name in listed.chain(crate::model::MODEL_FUNCTIONS) {
            assert!(functions.aggregate.contains_key(*name), "{name}");
        }
        let functions = Functions::new(Purpose::Rows);
        for name in AGGREGATE_FUNCTIONS.iter().chain(ROW_AGGREGATE_FUNCTIONS) {
            assert!(functions.aggregate.contains_key(*name), "{name}");
        }
        for name in WINDOW_FUNCTIONS {
            assert!(functions.window.contains_key(*name), "{name}");
        }
    }

    #[test]
    fn no_function_is_both_allowed_and_refused() {
        for purpose in BOTH {
            let functions = Functions::new(purpose);
            let both: Vec<&str> = functions
                .names()
                .filter(|name| functions.is_refused(name))
                .collect();
            assert!(both.is_empty(), "{both:?}");
        }
    }

    #[test]
    fn statistics_know_no_function_that_shows_one_row() {
        let functions = Functions::new(Purpose::Statistic);
        for name in ["array_agg", "string_agg", "approx_median", "any_value"] {
            assert!(functions.is_refused(name), "{name}");
        }
    }

    #[test]
    fn no_listed_function_changes_from_call_to_call() {
        let functions = Functions::new(Purpose::Rows);
        for function in functions.scalar.values() {
            let volatility = function.signature().volatility;
            assert!(
                volatility == datafusion::logical_expr::Volatility::Immutable
                    || [
                        "to_timestamp",
                        "to_timestamp_seconds",
                        "to_date",
                        "to_char",
                        "to_unixtime"
                    ]
                    .contains(&function.name()),
                "{} is {volatility:?}",
                function.name()
            );
        }
    }
}
