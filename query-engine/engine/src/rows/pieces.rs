//! Batches cut to size and encoded.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch,
    RecordBatchOptions, StringViewBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::StreamEncoder;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_output::{Cell, Table, Value, ValueType};

use super::{Output, Piece};
use crate::follow::Checked;
use crate::text::refuse;

/// Bytes of a batch, about: a larger one is cut.
const PIECE_BYTES: usize = 1024 * 1024;
/// Bytes of a single row above which the statement fails.
const ROW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Encodes rows as an Arrow IPC stream, uncompressed, its buffers aligned to 64 bytes.
pub(crate) struct Encoder<'t> {
    output: Output<'t>,
    encoder: StreamEncoder,
}

fn internal<E>(_: E) -> SqlError {
    refuse(SqlErrorCode::Internal, "", None)
}

impl<'t> Encoder<'t> {
    pub(crate) fn new(output: Output<'t>) -> Checked<Self> {
        let encoder = StreamEncoder::try_new(output.schema()).map_err(internal)?;
        Ok(Self { output, encoder })
    }

    /// Cuts a batch into ranges of rows that are sent one by one, each at most a piece or a single row.
    pub(crate) fn cut(&self, batch: &RecordBatch) -> Checked<(RecordBatch, Vec<Range<usize>>)> {
        let batch = without_dictionaries(batch)?;
        let cuts = cut(&batch)?;
        Ok((batch, cuts))
    }

    /// Encodes a range of [`Self::cut`].
    pub(crate) fn encode(&mut self, batch: &RecordBatch, rows: Range<usize>) -> Checked<Piece> {
        let batch = self.output.convert(&batch.slice(rows.start, rows.len()))?;
        self.encoder
            .encode(&batch)
            .map(Piece::Bytes)
            .map_err(internal)
    }

    /// The end of a whole stream.
    pub(crate) fn finish(self) -> Checked<Piece> {
        self.encoder.finish().map(Piece::Bytes).map_err(internal)
    }
}

/// Texts in dictionaries become views, which copies none of them: the length of each is then known.
fn without_dictionaries(batch: &RecordBatch) -> Checked<RecordBatch> {
    let mut fields: Vec<Field> = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (column, field) in batch.columns().iter().zip(batch.schema().fields()) {
        let column = match column.data_type() {
            DataType::Dictionary(_, values) => {
                let is_text = matches!(values.as_ref(), DataType::Utf8 | DataType::LargeUtf8);
                let plain = if is_text { &DataType::Utf8View } else { values };
                cast(column, plain).map_err(internal)?
            }
            _ => Arc::clone(column),
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(internal)
}

fn cut(batch: &RecordBatch) -> Checked<Vec<Range<usize>>> {
    let rows = batch.num_rows();
    let fixed = fixed_bytes(batch);
    let texts: Vec<&ArrayRef> = batch.columns().iter().filter(|c| is_text(c)).collect();
    if texts.is_empty() {
        let step = (PIECE_BYTES / fixed).max(1);
        return Ok((0..rows)
            .step_by(step)
            .map(|start| start..rows.min(start + step))
            .collect());
    }
    let mut cuts = Vec::new();
    let (mut start, mut bytes) = (0, 0_usize);
    for row in 0..rows {
        let row_bytes = texts.iter().fold(fixed, |sum, column| {
            sum.saturating_add(text_bytes(column, row))
        });
        if row_bytes > ROW_BYTES_MAX {
            return Err(refuse(SqlErrorCode::TooLarge, "", None));
        }
        if row > start && bytes + row_bytes > PIECE_BYTES {
            cuts.push(start..row);
            (start, bytes) = (row, 0);
        }
        bytes += row_bytes;
    }
    if start < rows {
        cuts.push(start..rows);
    }
    Ok(cuts)
}

fn is_text(column: &ArrayRef) -> bool {
    matches!(
        column.data_type(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Bytes of a row without its texts' own, in the types in which it is sent: eight for each value and one for
/// whether it is there, but for decimals.
fn fixed_bytes(batch: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| match column.data_type() {
        DataType::Decimal128(_, _) => 17,
        _ => 9,
    };
    batch.columns().iter().map(bytes).sum::<usize>().max(1)
}

/// Bytes of a text, of whichever of the three types.
fn text_bytes(column: &ArrayRef, row: usize) -> usize {
    match column.data_type() {
        // The first four bytes of a view are its length.
        DataType::Utf8View => {
            let views = column.as_string_view().views();
            views.get(row).map_or(0, |view| {
                usize::try_from(view & u128::from(u32::MAX)).unwrap_or(0)
            })
        }
        DataType::Utf8 => {
            let offsets = column.as_string::<i32>().value_offsets();
            length(offsets.get(row), offsets.get(row + 1), i64::from)
        }
        _ => {
            let offsets = column.as_string::<i64>().value_offsets();
            length(offsets.get(row), offsets.get(row + 1), |at| at)
        }
    }
}

fn length<T: Copy>(start: Option<&T>, end: Option<&T>, to: impl Fn(T) -> i64) -> usize {
    match (start, end) {
        (Some(start), Some(end)) => usize::try_from(to(*end) - to(*start)).unwrap_or(0),
        _ => 0,
    }
}

/// Bytes that a batch's values take, without those of other batches' that share its buffers.
pub(super) fn value_bytes(batch: &RecordBatch) -> usize {
    let fixed = fixed_bytes(batch).saturating_mul(batch.num_rows());
    batch
        .columns()
        .iter()
        .filter(|column| is_text(column))
        .map(|column| {
            (0..column.len())
                .map(|row| text_bytes(column, row))
                .sum::<usize>()
        })
        .fold(fixed, usize::saturating_add)
}

/// A suppressed table as a batch: what is suppressed is `NULL`.
pub(crate) fn table_batch(table: &Table) -> Checked<RecordBatch> {
    let mut fields = Vec::with_capacity(table.columns.len());
    let mut columns = Vec::with_capacity(table.columns.len());
    for (at, column) in table.columns.iter().enumerate() {
        let cells = table.rows.iter().map(|row| match row.get(at) {
            Some(Cell::Key(value) | Cell::Shown { value, .. }) => Ok(value),
            Some(Cell::Suppressed(_)) => Ok(&Value::Null),
            None => Err(internal(())),
        });
        let array = values(column.value_type, cells)?;
        fields.push(Field::new(&column.name, array.data_type().clone(), true));
        columns.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(table.rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(internal)
}

fn values<'v>(
    value_type: ValueType,
    cells: impl Iterator<Item = Checked<&'v Value>>,
) -> Checked<ArrayRef> {
    macro_rules! column {
        ($builder:expr, $variant:path, $value:ident => $given:expr) => {{
            let mut builder = $builder;
            for cell in cells {
                match cell? {
                    Value::Null => builder.append_null(),
                    $variant($value) => builder.append_value($given),
                    _ => return Err(internal(())),
                }
            }
            Arc::new(builder.finish())
        }};
    }
    Ok(match value_type {
        ValueType::Bool => column!(BooleanBuilder::new(), Value::Bool, value => *value),
        ValueType::Int => column!(Int64Builder::new(), Value::Int, value => *value),
        ValueType::Float => column!(Float64Builder::new(), Value::Float, value => *value),
        ValueType::Text => column!(StringViewBuilder::new(), Value::Text, value => value),
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, LargeStringArray, StringArray, StringViewArray};

    use super::*;

    fn batch(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("x", column)]).unwrap()
    }

    #[test]
    fn cuts_cover_every_row_once_and_none_is_too_large() {
        let numbers: Int64Array = (0..1_000_000).collect();
        let cuts = cut(&batch(Arc::new(numbers))).unwrap();
        assert!(cuts.len() > 8);
        let mut next = 0;
        for range in &cuts {
            assert_eq!(range.start, next);
            assert!(range.len() * 9 <= PIECE_BYTES);
            next = range.end;
        }
        assert_eq!(next, 1_000_000);
        assert!(
            cut(&batch(Arc::new(Int64Array::from(Vec::<i64>::new()))))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn long_texts_are_cut_by_their_bytes() {
        let texts: Vec<String> = (0..100).map(|i| "x".repeat(i * 1000)).collect();
        let shapes: [ArrayRef; 3] = [
            Arc::new(StringArray::from(texts.clone())),
            Arc::new(LargeStringArray::from(texts.clone())),
            Arc::new(StringViewArray::from_iter_values(&texts)),
        ];
        let mut all = Vec::new();
        for shape in shapes {
            let batch = batch(shape);
            let cuts = cut(&batch).unwrap();
            for range in &cuts {
                let bytes: usize = range.clone().map(|i| i * 1000 + 9).sum();
                assert!(bytes <= PIECE_BYTES, "{bytes}");
            }
            assert_eq!(cuts.iter().map(ExactSizeIterator::len).sum::<usize>(), 100);
            assert_eq!(value_bytes(&batch), 99 * 100 / 2 * 1000 + 900);
            all.push(cuts);
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn row_above_the_bound_is_refused_and_one_below_goes_alone() {
        let of = |bytes: usize| {
            batch(Arc::new(StringArray::from(vec![
                "a".repeat(bytes),
                "b".into(),
            ])))
        };
        assert_eq!(cut(&of(3 * PIECE_BYTES)).unwrap(), [0..1, 1..2]);
        let error = cut(&of(ROW_BYTES_MAX)).unwrap_err();
        assert_eq!(error.code, SqlErrorCode::TooLarge);
    }
}
