//! The types in which rows are sent: few and plain, so that simple readers do.
//!
//! | of the statement | sent as |
//! |---|---|
//! | boolean | `Boolean` |
//! | integers of any width | `Int64`; above 2⁶³−1 the statement fails |
//! | floats | `Float64` |
//! | texts, also of dictionaries | `Utf8` |
//! | date | `Date32` |
//! | timestamps | `Timestamp(µs)`, without a zone; one with a zone in UTC; cut to microseconds |
//! | decimals up to 38 digits | `Decimal128` |
//! | nothing but `NULL` | `Null` |
//!
//! Everything else (intervals, durations, times, bytes, lists, structs) is refused by the column's name.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use kekkai_analysis_api::{SqlError, SqlErrorCode};

use crate::follow::Checked;
use crate::text::{Text, refuse};

/// A value that doesn't fit is an error: `NULL` in its place would be another value.
const EXACT: CastOptions<'static> = CastOptions {
    safe: false,
    format_options: arrow::util::display::FormatOptions::new(),
};

/// Turns batches of a statement into batches that are sent.
pub(crate) struct Output<'t> {
    text: &'t Text,
    schema: SchemaRef,
}

impl<'t> Output<'t> {
    /// For the first `shown` columns of `schema`; names the column whose type can't be sent.
    pub(crate) fn new(schema: &Schema, shown: usize, text: &'t Text) -> Checked<Self> {
        let fields = schema
            .fields()
            .iter()
            .take(shown)
            .map(|field| match sent_type(field.data_type()) {
                Some(sent) => Ok(Field::new(field.name(), sent, true)),
                None => Err(refuse(
                    SqlErrorCode::Type,
                    field.name().clone(),
                    text.name(field.name()),
                )),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            text,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Converts rows of a batch that are few enough for one piece.
    pub(crate) fn convert(&self, batch: &RecordBatch) -> Checked<RecordBatch> {
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| {
                convert(column, field.data_type()).map_err(|_| self.unfit(field))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|_| refuse(SqlErrorCode::Internal, "", None))
    }

    fn unfit(&self, field: &Field) -> SqlError {
        let name = field.name();
        refuse(SqlErrorCode::Evaluation, name.clone(), self.text.name(name))
    }
}

fn sent_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Null => DataType::Null,
        DataType::Boolean => DataType::Boolean,
        data_type if data_type.is_integer() => DataType::Int64,
        data_type if data_type.is_floating() => DataType::Float64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Date32 => DataType::Date32,
        DataType::Timestamp(_, _) | DataType::Date64 => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Dictionary(_, values) => sent_type(values)?,
        _ => return None,
    })
}

fn convert(column: &ArrayRef, sent: &DataType) -> Result<ArrayRef, ArrowError> {
    match (column.data_type(), sent) {
        (found, sent) if found == sent => Ok(Arc::clone(column)),
        // A cast would turn the instant into the zone's local time.
        (DataType::Timestamp(_, Some(zone)), _) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone)));
            let instants = cast_with_options(column, &micros, &EXACT)?;
            let instants = instants
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(|| ArrowError::CastError(String::new()))?;
            Ok(Arc::new(
                instants.clone().with_timezone_opt(None::<Arc<str>>),
            ))
        }
        _ => cast_with_options(column, sent, &EXACT),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        DictionaryArray, Int8Array, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
    };
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::*;

    fn sent(column: ArrayRef) -> Checked<ArrayRef> {
        let text = Text::new("SELECT x FROM t").unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new(
            "x",
            column.data_type().clone(),
            true,
        )]));
        let output = Output::new(&schema, 1, &text)?;
        let batch = RecordBatch::try_new(schema, vec![column]).unwrap();
        Ok(Arc::clone(output.convert(&batch)?.column(0)))
    }

    #[test]
    fn integers_come_as_sixty_four_bits_or_fail() {
        let small = sent(Arc::new(Int8Array::from(vec![Some(-3), None]))).unwrap();
        let small = small.as_primitive::<Int64Type>();
        assert_eq!((small.value(0), small.is_null(1)), (-3, true));
        let fits = u64::try_from(i64::MAX).unwrap();
        let large = sent(Arc::new(UInt64Array::from(vec![fits]))).unwrap();
        assert_eq!(large.as_primitive::<Int64Type>().value(0), i64::MAX);
        let error = sent(Arc::new(UInt64Array::from(vec![fits + 1]))).unwrap_err();
        assert_eq!(
            (error.code, error.name.as_str(), error.at),
            (SqlErrorCode::Evaluation, "x", Some((1, 8)))
        );
    }

    #[test]
    fn instants_come_in_utc_microseconds() {
        let zoned =
            TimestampNanosecondArray::from(vec![1_700_000_000_123_456_789]).with_timezone("+09:00");
        let micros = sent(Arc::new(zoned)).unwrap();
        assert_eq!(
            micros.data_type(),
            &DataType::Timestamp(TimeUnit::Microsecond, None)
        );
        let micros = micros.as_primitive::<TimestampMicrosecondType>();
        assert_eq!(micros.value(0), 1_700_000_000_123_456);
        let far = TimestampSecondArray::from(vec![i64::MAX]);
        assert_eq!(
            sent(Arc::new(far)).unwrap_err().code,
            SqlErrorCode::Evaluation
        );
    }

    #[test]
    fn dictionaries_come_as_texts_and_lists_not_at_all() {
        let texts: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        let texts = sent(Arc::new(texts)).unwrap();
        assert_eq!(texts.as_string::<i32>().value(2), "a");
        let bytes = arrow::array::BinaryArray::from(vec![&b"x"[..]]);
        let error = sent(Arc::new(bytes)).unwrap_err();
        assert_eq!((error.code, error.name.as_str()), (SqlErrorCode::Type, "x"));
    }
}
