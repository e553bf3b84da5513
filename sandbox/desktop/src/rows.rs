//! Rows of single persons, where agreement and display allow them: an Arrow stream, kept in pieces up to a
//! bound.

use std::borrow::Cow;
use std::fs::File;
use std::os::fd::OwnedFd;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use kekkai_analysis_api::SqlError;
use kekkai_output::ValueType;

use crate::grid::{Grid, Shown, float_text};

/// Rows of one result that are kept.
pub const ROWS_KEPT_MAX: usize = 200_000;
/// Bytes of one result that are kept.
pub const ROWS_BYTES_MAX: usize = 24 * 1024 * 1024;

/// How a stream of rows stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum RowsState {
    /// More may come.
    #[default]
    Reading,
    /// All are here: how many the engine sent.
    Whole(u64),
    /// The first are here; the rest was not taken, by [`ROWS_KEPT_MAX`] or [`ROWS_BYTES_MAX`].
    Cut,
    /// They broke off.
    Failed(SqlError),
}

/// Rows that are kept.
#[derive(Debug, Default)]
pub struct KeptRows {
    schema: Option<SchemaRef>,
    batches: Vec<RecordBatch>,
    /// The number of each batch's first row.
    firsts: Vec<usize>,
    rows: usize,
    bytes: usize,
    /// How the stream stands.
    pub state: RowsState,
}

/// A piece of a stream, from the thread that reads it.
#[derive(Debug)]
pub enum Piece {
    /// The columns, before any row.
    Schema(SchemaRef),
    /// Rows.
    Rows(RecordBatch),
}

impl KeptRows {
    /// Takes a piece. False when enough is here: the reader may let go of the pipe.
    pub fn push(&mut self, piece: Piece) -> bool {
        match piece {
            Piece::Schema(schema) => self.schema = Some(schema),
            Piece::Rows(batch) => {
                let room = ROWS_KEPT_MAX.saturating_sub(self.rows);
                let bytes = batch.get_array_memory_size();
                let is_too_large = self.bytes.saturating_add(bytes) > ROWS_BYTES_MAX;
                if room == 0 || is_too_large {
                    self.state = RowsState::Cut;
                    return false;
                }
                let batch = batch.slice(0, batch.num_rows().min(room));
                self.firsts.push(self.rows);
                self.rows = self.rows.saturating_add(batch.num_rows());
                self.bytes = self.bytes.saturating_add(bytes);
                self.batches.push(batch);
            }
        }
        true
    }

    /// What the broker says of the stream's end.
    pub fn end(&mut self, outcome: Result<u64, SqlError>) {
        self.state = match outcome {
            Ok(sent) if self.rows as u64 == sent => RowsState::Whole(sent),
            // A pipe that was let go of ends with an error of the writer's: it is ours.
            _ if self.state == RowsState::Cut => RowsState::Cut,
            Ok(sent) if self.state == RowsState::Reading && sent > self.rows as u64 => {
                RowsState::Whole(sent)
            }
            Ok(_) => RowsState::Cut,
            Err(error) => RowsState::Failed(error),
        };
    }

    /// Bytes in memory, as Arrow counts them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Columns are known.
    pub fn has_columns(&self) -> bool {
        self.schema.is_some()
    }

    /// A row's batch and its place there.
    fn at(&self, row: usize) -> Option<(&RecordBatch, usize)> {
        let batch = self
            .firsts
            .partition_point(|first| *first <= row)
            .checked_sub(1)?;
        let first = *self.firsts.get(batch)?;
        let batch = self.batches.get(batch)?;
        let inside = row.checked_sub(first)?;
        (inside < batch.num_rows()).then_some((batch, inside))
    }

    /// Each batch's part of a column, in order.
    pub fn column_parts(&self, column: usize) -> impl Iterator<Item = &ArrayRef> {
        self.batches
            .iter()
            .filter_map(move |batch| batch.columns().get(column))
    }
}

impl Grid for KeptRows {
    fn columns(&self) -> usize {
        self.schema
            .as_ref()
            .map_or(0, |schema| schema.fields().len())
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn name(&self, column: usize) -> &str {
        let field = self
            .schema
            .as_ref()
            .and_then(|schema| schema.fields().get(column));
        field.map_or("", |field| field.name())
    }

    fn value_type(&self, column: usize) -> ValueType {
        let field = self
            .schema
            .as_ref()
            .and_then(|schema| schema.fields().get(column));
        match field.map(|field| field.data_type()) {
            Some(DataType::Boolean) => ValueType::Bool,
            Some(kind) if kind.is_integer() => ValueType::Int,
            Some(kind) if kind.is_floating() => ValueType::Float,
            _ => ValueType::Text,
        }
    }

    fn is_statistic(&self, _: usize) -> bool {
        false
    }

    fn shown(&self, row: usize, column: usize) -> Shown<'_> {
        let Some((batch, row)) = self.at(row) else {
            return Shown::Missing;
        };
        match batch.columns().get(column) {
            Some(array) if array.is_valid(row) => Shown::Text(text(array, row)),
            _ => Shown::Missing,
        }
    }

    fn number(&self, row: usize, column: usize) -> Option<f64> {
        let (batch, row) = self.at(row)?;
        number(batch.columns().get(column)?, row)
    }

    fn contributors(&self, _: usize, _: usize) -> Option<u64> {
        None
    }
}

fn text(array: &ArrayRef, row: usize) -> Cow<'_, str> {
    match array.data_type() {
        DataType::Utf8 => Cow::Borrowed(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Cow::Borrowed(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Cow::Borrowed(array.as_string_view().value(row)),
        DataType::Float64 => Cow::Owned(float_text(array.as_primitive::<Float64Type>().value(row))),
        DataType::Int64 => Cow::Owned(array.as_primitive::<Int64Type>().value(row).to_string()),
        _ => match ArrayFormatter::try_new(array, &FormatOptions::default()) {
            Ok(formatter) => Cow::Owned(formatter.value(row).to_string()),
            // A type that Arrow can't write as text.
            Err(_) => Cow::Borrowed("?"),
        },
    }
}

#[allow(clippy::cast_precision_loss, reason = "for drawing and sorting")]
fn number(array: &ArrayRef, row: usize) -> Option<f64> {
    if array.is_null(row) {
        return None;
    }
    let any = array.as_any();
    if let Some(array) = any.downcast_ref::<Int64Array>() {
        return Some(array.value(row) as f64);
    }
    if let Some(array) = any.downcast_ref::<Float64Array>() {
        return Some(array.value(row));
    }
    if let Some(array) = any.downcast_ref::<BooleanArray>() {
        return Some(f64::from(u8::from(array.value(row))));
    }
    if array.data_type().is_integer() || array.data_type().is_floating() {
        let formatter = ArrayFormatter::try_new(array, &FormatOptions::default()).ok()?;
        return formatter.value(row).to_string().parse().ok();
    }
    None
}

/// Reads a stream to its end, or until `take` has enough. For a thread of its own: a pipe blocks.
pub fn read(pipe: OwnedFd, mut take: impl FnMut(Piece) -> bool) {
    // What breaks off is told by the broker's `RowsEnd`, which knows why.
    let Ok(reader) = StreamReader::try_new(File::from(pipe), None) else {
        return;
    };
    if !take(Piece::Schema(reader.schema())) {
        return;
    }
    for batch in reader {
        let Ok(batch) = batch else { return };
        if !take(Piece::Rows(batch)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn rows_are_found_across_pieces() {
        let rows = samples::rows(2_500);
        assert_eq!(rows.rows(), 2_500);
        for row in [0, 999, 1_000, 1_001, 2_499] {
            assert_eq!(rows.number(row, 0), Some(row as f64), "{row}");
        }
        assert_eq!(rows.shown(2_500, 0), Shown::Missing);
        assert_eq!(rows.shown(0, 99), Shown::Missing);
    }

    #[test]
    fn more_rows_than_the_bound_are_not_kept() {
        let mut rows = samples::rows(ROWS_KEPT_MAX);
        let more = samples::batch(0, 10);
        assert!(!rows.push(Piece::Rows(more)));
        assert_eq!(rows.rows(), ROWS_KEPT_MAX);
        assert_eq!(rows.state, RowsState::Cut);
        rows.end(Ok(10 + ROWS_KEPT_MAX as u64));
        assert_eq!(rows.state, RowsState::Cut);
    }

    #[test]
    fn stream_comes_through_a_pipe_in_pieces() {
        let (reading, writing) = std::io::pipe().unwrap();
        let writer = std::thread::spawn(move || samples::write_stream(writing, 3_000));
        let mut rows = KeptRows::default();
        read(reading.into(), |piece| rows.push(piece));
        writer.join().unwrap();
        rows.end(Ok(3_000));
        assert_eq!(
            (rows.rows(), &rows.state),
            (3_000, &RowsState::Whole(3_000))
        );
    }

    #[test]
    fn bytes_that_are_no_stream_bring_no_row() {
        use std::io::Write as _;
        let (reading, mut writing) = std::io::pipe().unwrap();
        writing.write_all(&[0xff; 4096]).unwrap();
        drop(writing);
        let mut rows = KeptRows::default();
        read(reading.into(), |piece| rows.push(piece));
        assert_eq!(rows.rows(), 0);
    }
}
