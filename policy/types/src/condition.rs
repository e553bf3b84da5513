//! Row conditions: which rows of a table an agreement provides.
//!
//! A small closed language on purpose. What people sign must be readable without knowing SQL, and whoever
//! enforces it must be able to do so without a parser: a row is provided when it meets every condition of its
//! table, and a row whose column is empty meets none.

use serde::{Deserialize, Serialize};

/// Constants that one list may hold.
pub const CONDITION_LIST_MAX: usize = 10_000;

/// One condition on one column. The column need not be granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCondition {
    /// The column's SQL name, in lower case.
    pub column: String,
    /// What its value must be.
    pub test: RowTest,
}

/// What a column's value must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RowTest {
    /// This.
    Is(Constant),
    /// Anything else, but not empty.
    IsNot(Constant),
    /// This or more; of dates, this day or later.
    AtLeast(Constant),
    /// More than this; of dates, later than this day.
    Above(Constant),
    /// This or less; of dates, this day or earlier.
    AtMost(Constant),
    /// Less than this; of dates, earlier than this day.
    Below(Constant),
    /// One of these, at most [`CONDITION_LIST_MAX`].
    OneOf(Vec<Constant>),
}

/// A constant of an agreement. No fractions: their comparison would depend on how a file rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Constant {
    /// For `boolean` columns.
    Bool(bool),
    /// For `bigint` and `double` columns.
    Int(i64),
    /// For `text` columns.
    Text(String),
    /// For `date` and `timestamp` columns, in days since 1970-01-01. A timestamp counts by its day.
    Day(i32),
}

impl RowTest {
    /// Its constants.
    pub fn constants(&self) -> &[Constant] {
        match self {
            Self::Is(constant)
            | Self::IsNot(constant)
            | Self::AtLeast(constant)
            | Self::Above(constant)
            | Self::AtMost(constant)
            | Self::Below(constant) => std::slice::from_ref(constant),
            Self::OneOf(constants) => constants,
        }
    }

    /// True where a column of this catalogue type can be tested so: constants of its kind, at least one, and
    /// an order only where there is one that people agree on.
    pub fn fits(&self, sql_type: &str) -> bool {
        let has_order = matches!(sql_type, "bigint" | "double" | "date" | "timestamp");
        let needs_order = !matches!(self, Self::Is(_) | Self::IsNot(_) | Self::OneOf(_));
        let constants = self.constants();
        (has_order || !needs_order)
            && (1..=CONDITION_LIST_MAX).contains(&constants.len())
            && constants.iter().all(|constant| constant.fits(sql_type))
    }
}

impl Constant {
    fn fits(&self, sql_type: &str) -> bool {
        match self {
            Self::Bool(_) => sql_type == "boolean",
            Self::Int(_) => matches!(sql_type, "bigint" | "double"),
            Self::Text(_) => sql_type == "text",
            Self::Day(_) => matches!(sql_type, "date" | "timestamp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_fit_their_own_columns_only() {
        let constants = [
            Constant::Bool(true),
            Constant::Int(1),
            Constant::Text("a".to_owned()),
            Constant::Day(0),
        ];
        let types = [
            "boolean",
            "bigint",
            "double",
            "text",
            "date",
            "timestamp",
            "blob",
        ];
        let fitting = [&types[..1], &types[1..3], &types[3..4], &types[4..6]];
        for (constant, fitting) in constants.into_iter().zip(fitting) {
            for sql_type in types {
                let is_fitting = fitting.contains(&sql_type);
                let has_order = !matches!(sql_type, "boolean" | "text");
                let list = RowTest::OneOf(vec![constant.clone(), constant.clone()]);
                assert_eq!(list.fits(sql_type), is_fitting, "{constant:?} {sql_type}");
                let bound = RowTest::AtLeast(constant.clone());
                assert_eq!(
                    bound.fits(sql_type),
                    is_fitting && has_order,
                    "{constant:?} {sql_type}"
                );
            }
        }
    }

    #[test]
    fn list_of_nothing_or_of_kinds_that_differ_fits_no_column() {
        for list in [
            vec![],
            vec![Constant::Int(1), Constant::Text("1".to_owned())],
        ] {
            for sql_type in ["bigint", "text"] {
                assert!(!RowTest::OneOf(list.clone()).fits(sql_type));
            }
        }
    }

    #[test]
    fn unknown_test_is_not_read() {
        let written = r#"{"column":"a","test":{"like":{"text":"%"}}}"#;
        assert!(serde_json::from_str::<RowCondition>(written).is_err());
    }
}
