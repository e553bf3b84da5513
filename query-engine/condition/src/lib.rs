//! Row conditions of an agreement: which rows are provided.
//!
//! Two places ask, and must find the same rows. `kekkai extract` leaves the others out of a project's own
//! files. Where a session reads the whole dataset, the leaf of every plan drops them: a view with a `WHERE`
//! would be inlined, an expression of the statement could run before the condition does, and its error would
//! tell of a row that the project must not know. Here the condition is no part of any plan, and no node, error,
//! count or order above the leaf can depend on the row.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{and, cast, filter_record_batch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};
use arrow::error::ArrowError;
use kekkai_types::{Constant, RowTest};

/// A test with constants of one type.
#[derive(Debug, Clone)]
enum Test<T> {
    Is(T),
    IsNot(T),
    AtLeast(T),
    Above(T),
    AtMost(T),
    Below(T),
    OneOf(BTreeSet<T>),
}

impl<T: Ord> Test<T> {
    fn holds<V: Ord + ?Sized>(&self, value: &V) -> bool
    where
        T: Borrow<V>,
    {
        match self {
            Self::Is(constant) => value == constant.borrow(),
            Self::IsNot(constant) => value != constant.borrow(),
            Self::AtLeast(constant) => value >= constant.borrow(),
            Self::Above(constant) => value > constant.borrow(),
            Self::AtMost(constant) => value <= constant.borrow(),
            Self::Below(constant) => value < constant.borrow(),
            Self::OneOf(constants) => constants.contains(value),
        }
    }

    /// `None` where a constant has no counterpart in `T`.
    fn new(test: &RowTest, make: impl Fn(&Constant) -> Option<T>) -> Option<Self> {
        Some(match test {
            RowTest::Is(constant) => Self::Is(make(constant)?),
            RowTest::IsNot(constant) => Self::IsNot(make(constant)?),
            RowTest::AtLeast(constant) => Self::AtLeast(make(constant)?),
            RowTest::Above(constant) => Self::Above(make(constant)?),
            RowTest::AtMost(constant) => Self::AtMost(make(constant)?),
            RowTest::Below(constant) => Self::Below(make(constant)?),
            RowTest::OneOf(constants) => {
                Self::OneOf(constants.iter().map(make).collect::<Option<_>>()?)
            }
        })
    }
}

/// A float with the order of numbers. Neither NaN nor -0.0 gets here.
#[derive(Debug, Clone, Copy)]
struct Number(f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A test on a column of a known type.
#[derive(Debug, Clone)]
pub struct ColumnTest(Typed);

#[derive(Debug, Clone)]
enum Typed {
    Bool(Test<bool>),
    Int(Test<i64>),
    Float(Test<Number>),
    Text(Test<String>),
    Day(Test<i32>),
}

impl ColumnTest {
    /// `test` on columns of a type; `None` where the type can't be tested so.
    pub fn new(test: &RowTest, data_type: &DataType) -> Option<Self> {
        let (sql_type, typed) = match data_type {
            DataType::Boolean => (
                "boolean",
                Typed::Bool(Test::new(test, |constant| match constant {
                    Constant::Bool(value) => Some(*value),
                    _ => None,
                })?),
            ),
            data_type if data_type.is_integer() => (
                "bigint",
                Typed::Int(Test::new(test, |constant| match constant {
                    Constant::Int(value) => Some(*value),
                    _ => None,
                })?),
            ),
            data_type if data_type.is_floating() => (
                "double",
                Typed::Float(Test::new(test, |constant| match constant {
                    // What is larger might not be this number as a float.
                    Constant::Int(value) => i32::try_from(*value).ok().map(f64::from).map(Number),
                    _ => None,
                })?),
            ),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (
                "text",
                Typed::Text(Test::new(test, |constant| match constant {
                    Constant::Text(text) => Some(text.clone()),
                    _ => None,
                })?),
            ),
            DataType::Date32 | DataType::Timestamp(_, _) => (
                "date",
                Typed::Day(Test::new(test, |constant| match constant {
                    Constant::Day(day) => Some(*day),
                    _ => None,
                })?),
            ),
            _ => return None,
        };
        // The same rules as where the agreement was read: an order of texts, for one, nobody agreed on.
        test.fits(sql_type).then_some(Self(typed))
    }

    /// For each row, whether it meets the test. An empty value, or one that is no number, meets nothing.
    ///
    /// # Errors
    /// The column is of another type than the test was made for.
    pub fn met(&self, column: &ArrayRef) -> Result<BooleanArray, ArrowError> {
        Ok(match &self.0 {
            Typed::Bool(test) => (cast(column, &DataType::Boolean)?.as_boolean().iter())
                .map(|value| Some(value.is_some_and(|value| test.holds(&value))))
                .collect(),
            Typed::Int(test) => cast(column, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .iter()
                .map(|value| Some(value.is_some_and(|value| test.holds(&value))))
                .collect(),
            Typed::Float(test) => cast(column, &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .iter()
                .map(|value| value.filter(|value| !value.is_nan()))
                // -0.0 and 0.0 are one number.
                .map(|value| Some(value.is_some_and(|value| test.holds(&Number(value + 0.0)))))
                .collect(),
            Typed::Text(test) => (cast(column, &DataType::Utf8View)?.as_string_view().iter())
                .map(|value| Some(value.is_some_and(|value| test.holds(value))))
                .collect(),
            Typed::Day(test) => cast(column, &DataType::Date32)?
                .as_primitive::<Date32Type>()
                .iter()
                .map(|value| Some(value.is_some_and(|value| test.holds(&value))))
                .collect(),
        })
    }
}

/// The rows of a batch that meet every test; each stands beside the place of its column.
///
/// # Errors
/// The batch has no such column, or one of another type.
pub fn provided(
    batch: RecordBatch,
    tests: &[(usize, ColumnTest)],
) -> Result<RecordBatch, ArrowError> {
    let mut met: Option<BooleanArray> = None;
    for (at, test) in tests {
        let column = batch.columns().get(*at);
        let column = column.ok_or_else(|| {
            ArrowError::SchemaError("a file gave fewer columns than asked".to_owned())
        })?;
        let one = test.met(column)?;
        met = Some(match met {
            None => one,
            Some(others) => and(&others, &one)?,
        });
    }
    match met {
        None => Ok(batch),
        Some(met) => filter_record_batch(&batch, &met),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Array, Date32Array, Float64Array, Int16Array, StringViewArray, TimestampMicrosecondArray,
        UInt64Array,
    };

    use super::*;

    fn met(test: &RowTest, column: ArrayRef) -> Vec<bool> {
        let test = ColumnTest::new(test, column.data_type()).unwrap();
        let met = test.met(&column).unwrap();
        assert_eq!(met.null_count(), 0);
        met.values().iter().collect()
    }

    fn each(constant: &Constant) -> [RowTest; 7] {
        let c = || constant.clone();
        [
            RowTest::Is(c()),
            RowTest::IsNot(c()),
            RowTest::AtLeast(c()),
            RowTest::Above(c()),
            RowTest::AtMost(c()),
            RowTest::Below(c()),
            RowTest::OneOf(vec![c()]),
        ]
    }

    #[test]
    fn each_test_means_what_it_says() {
        let column: ArrayRef = Arc::new(Int16Array::from(vec![Some(1), Some(2), Some(3), None]));
        let expected = [
            [false, true, false],
            [true, false, true],
            [false, true, true],
            [false, false, true],
            [true, true, false],
            [true, false, false],
            [false, true, false],
        ];
        for (test, expected) in each(&Constant::Int(2)).iter().zip(expected) {
            let found = met(test, Arc::clone(&column));
            assert_eq!(found[..3], expected, "{test:?}");
            assert!(!found[3], "an empty value meets {test:?}");
        }
    }

    #[test]
    fn what_is_no_number_meets_nothing() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, -f64::NAN]));
        for test in each(&Constant::Int(0)) {
            assert_eq!(met(&test, Arc::clone(&column)), [false, false], "{test:?}");
        }
        let zeros: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, 0.0]));
        assert_eq!(met(&RowTest::Is(Constant::Int(0)), zeros), [true, true]);
    }

    #[test]
    fn number_beyond_the_column_of_signed_integers_meets_nothing() {
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
        for test in each(&Constant::Int(-1)) {
            assert_eq!(met(&test, Arc::clone(&column)), [false], "{test:?}");
        }
    }

    #[test]
    fn timestamp_counts_by_its_day() {
        // 1969-12-31T23:59:59.999999, 1970-01-01T00:00, 1970-01-01T23:59:59.999999, 1970-01-02T00:00.
        let day = 86_400_000_000;
        let times = vec![-1, 0, day - 1, day];
        let column: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times));
        let of = |test| met(&test, Arc::clone(&column));
        assert_eq!(
            of(RowTest::AtMost(Constant::Day(0))),
            [true, true, true, false]
        );
        assert_eq!(
            of(RowTest::AtLeast(Constant::Day(0))),
            [false, true, true, true]
        );
        assert_eq!(
            of(RowTest::Is(Constant::Day(-1))),
            [true, false, false, false]
        );
    }

    #[test]
    fn text_is_compared_whole_and_never_ordered() {
        let column: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "A", "ab", ""]));
        let is = RowTest::Is(Constant::Text("a".to_owned()));
        assert_eq!(met(&is, Arc::clone(&column)), [true, false, false, false]);
        let above = RowTest::Above(Constant::Text("a".to_owned()));
        assert!(ColumnTest::new(&above, column.data_type()).is_none());
    }

    #[test]
    fn constant_of_another_kind_makes_no_test() {
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![1]));
        for test in each(&Constant::Int(1)) {
            assert!(ColumnTest::new(&test, dates.data_type()).is_none());
        }
        let wide = RowTest::Is(Constant::Int(1 << 40));
        assert!(ColumnTest::new(&wide, &DataType::Float64).is_none());
        assert!(ColumnTest::new(&wide, &DataType::Decimal128(10, 2)).is_none());
    }
}
