//! Source files to batches of cells, streaming: CSV records as texts, Parquet columns as they are.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use kekkai_dataset::{Encoding, Format, Table};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::decode::{Decoding, RECORD_BYTES_MAX, Stop};
use crate::error::{IngestError, Place};

/// Rows in a batch.
pub(crate) const BATCH_ROWS: usize = 16 * 1024;
/// Bytes of text in a batch, above which it ends early.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Cells of the columns that were asked for.
pub(crate) struct Batch {
    /// One for each wanted column: `Utf8`, or whatever a Parquet file holds.
    pub columns: Vec<ArrayRef>,
    pub rows: usize,
    /// Where the rows are.
    pub origin: Origin,
    /// Bytes of the source that this batch took.
    pub source_bytes: u64,
}

/// Where the rows of a batch are.
pub(crate) struct Origin {
    pub file: Arc<str>,
    first_row: u64,
    /// A CSV record may span lines, so each has its own number.
    lines: Option<Vec<u64>>,
}

impl Origin {
    /// Where a row of the batch is.
    pub(crate) fn place(&self, row: usize) -> Place {
        match &self.lines {
            Some(lines) => Place::Line(lines.get(row).copied().unwrap_or(0)),
            None => Place::Row(self.first_row + u64::try_from(row).unwrap_or(0) + 1),
        }
    }
}

/// A source file and its length.
pub(crate) struct SourceFile {
    pub path: PathBuf,
    pub name: Arc<str>,
    pub bytes: u64,
}

/// The files of a table, by name.
pub(crate) fn files(table: &Table, folder: &Path) -> Result<Vec<SourceFile>, IngestError> {
    let failed = |source| IngestError::Read {
        file: folder.display().to_string(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !table.matches(&name) {
            continue;
        }
        let path = entry.path();
        let metadata = fs::metadata(&path).map_err(failed)?;
        if metadata.is_file() {
            files.push(SourceFile {
                path,
                name: name.into(),
                bytes: metadata.len(),
            });
        }
    }
    if files.is_empty() {
        return Err(IngestError::NoFile {
            table: table.name.clone(),
            pattern: table.files.clone(),
        });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// What the reading thread sends.
pub(crate) type Sent = Result<Batch, IngestError>;

/// Reads a table's files and sends batches of the columns in `wanted` (indices into the manifest's). The
/// first error is sent and ends it; a receiver that is gone ends it too.
pub(crate) fn read(table: &Table, files: &[SourceFile], wanted: &[usize], to: &SyncSender<Sent>) {
    for file in files {
        let done = match table.format {
            Format::Csv(encoding) => read_csv(table, file, encoding, wanted, to),
            Format::Parquet => read_parquet(table, file, wanted, to),
        };
        match done {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                // The receiver may be gone; then nobody wants the error either.
                let _gone = to.send(Err(error));
                return;
            }
        }
    }
}

/// Where each column of the manifest is among the file's; refuses unknown, doubled and missing ones.
fn positions<'a>(
    table: &Table,
    file: &SourceFile,
    header: impl Iterator<Item = &'a str>,
) -> Result<Vec<usize>, IngestError> {
    let known: HashMap<&str, usize> = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| (column.source.as_str(), at))
        .collect();
    let mut found = vec![None; table.columns.len()];
    for (position, name) in header.enumerate() {
        let slot = known.get(name.trim()).and_then(|at| found.get_mut(*at));
        match slot {
            Some(slot @ None) => *slot = Some(position),
            Some(Some(_)) | None => {
                return Err(IngestError::ColumnUnknown {
                    file: file.name.to_string(),
                    position: position + 1,
                });
            }
        }
    }
    found
        .into_iter()
        .zip(&table.columns)
        .map(|(position, column)| {
            position.ok_or_else(|| IngestError::ColumnMissing {
                file: file.name.to_string(),
                column: column.source.clone(),
            })
        })
        .collect()
}

fn declared(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Utf8 => "utf-8",
        Encoding::Cp932 => "cp932",
    }
}

fn csv_error(file: &SourceFile, encoding: Encoding, line: u64, error: csv::Error) -> IngestError {
    let name = file.name.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => {
            match error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<Stop>())
            {
                Some(Stop::Malformed { line, is_cp932 }) => IngestError::Encoding {
                    file: name,
                    line: *line,
                    declared: declared(encoding),
                    is_cp932: *is_cp932,
                },
                Some(Stop::TooLong) => IngestError::RecordTooLong {
                    file: name,
                    line,
                    max: RECORD_BYTES_MAX,
                },
                None => IngestError::Read {
                    file: name,
                    source: error,
                },
            }
        }
        csv::ErrorKind::Utf8 { pos, .. } => IngestError::Encoding {
            file: name,
            line: pos.map_or(line, |pos| pos.line()),
            declared: declared(encoding),
            is_cp932: false,
        },
        _ => IngestError::Internal("an error of the csv reader that was not asked for"),
    }
}

fn read_csv(
    table: &Table,
    file: &SourceFile,
    encoding: Encoding,
    wanted: &[usize],
    to: &SyncSender<Sent>,
) -> Result<bool, IngestError> {
    let open = File::open(&file.path).map_err(|source| IngestError::Read {
        file: file.name.to_string(),
        source,
    })?;
    let raw_bytes = Arc::new(AtomicU64::new(0));
    let since_record = Arc::new(AtomicU64::new(0));
    let counted = Counting {
        inner: open,
        bytes: Arc::clone(&raw_bytes),
    };
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .buffer_capacity(128 * 1024)
        .from_reader(Decoding::new(counted, encoding, Arc::clone(&since_record)));

    let mut record = csv::StringRecord::new();
    let has_header = reader
        .read_record(&mut record)
        .map_err(|error| csv_error(file, encoding, 1, error))?;
    if !has_header {
        return Err(IngestError::NoHeader {
            file: file.name.to_string(),
        });
    }
    let expected = record.len();
    let positions = positions(table, file, record.iter())?;
    let wanted: Vec<usize> = wanted
        .iter()
        .filter_map(|column| positions.get(*column).copied())
        .collect();

    let mut reported = 0;
    let mut row = 0;
    loop {
        let mut builders: Vec<StringBuilder> = wanted
            .iter()
            .map(|_| StringBuilder::with_capacity(BATCH_ROWS, BATCH_ROWS * 8))
            .collect();
        let mut lines = Vec::with_capacity(BATCH_ROWS);
        let mut bytes = 0;
        let mut is_end = false;
        while lines.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            since_record.store(0, Ordering::Relaxed);
            let line = reader.position().line();
            if !reader
                .read_record(&mut record)
                .map_err(|error| csv_error(file, encoding, line, error))?
            {
                is_end = true;
                break;
            }
            let line = record.position().map_or(line, csv::Position::line);
            if record.len() != expected {
                return Err(IngestError::Ragged {
                    file: file.name.to_string(),
                    line,
                    expected,
                    found: record.len(),
                });
            }
            lines.push(line);
            for (builder, position) in builders.iter_mut().zip(&wanted) {
                match record.get(*position) {
                    None | Some("") => builder.append_null(),
                    Some(cell) => {
                        bytes += cell.len();
                        builder.append_value(cell);
                    }
                }
            }
        }
        let rows = lines.len();
        let read = raw_bytes.load(Ordering::Relaxed);
        if rows > 0 {
            let batch = Batch {
                columns: builders
                    .iter_mut()
                    .map(|builder| Arc::new(builder.finish()) as ArrayRef)
                    .collect(),
                rows,
                origin: Origin {
                    file: Arc::clone(&file.name),
                    first_row: row,
                    lines: Some(lines),
                },
                source_bytes: read - reported,
            };
            if to.send(Ok(batch)).is_err() {
                return Ok(false);
            }
        }
        reported = read;
        row += u64::try_from(rows).unwrap_or(0);
        if is_end {
            return Ok(true);
        }
    }
}

fn read_parquet(
    table: &Table,
    file: &SourceFile,
    wanted: &[usize],
    to: &SyncSender<Sent>,
) -> Result<bool, IngestError> {
    // The cause is left out: it may quote what the file holds.
    let damaged = || IngestError::NotParquet {
        file: file.name.to_string(),
    };
    let open = File::open(&file.path).map_err(|source| IngestError::Read {
        file: file.name.to_string(),
        source,
    })?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(open).map_err(|_| damaged())?;
    let schema = Arc::clone(builder.schema());
    let positions = positions(
        table,
        file,
        schema.fields().iter().map(|f| f.name().as_str()),
    )?;
    let wanted: Vec<usize> = wanted
        .iter()
        .filter_map(|column| positions.get(*column).copied())
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
    let total_rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|_| damaged())?;
    let names: Vec<&str> = wanted
        .iter()
        .filter_map(|position| schema.fields().get(*position))
        .map(|field| field.name().as_str())
        .collect();
    let mut row = 0;
    let mut reported = 0;
    for batch in reader {
        let batch = batch.map_err(|_| damaged())?;
        let rows = batch.num_rows();
        let mut columns = Vec::with_capacity(names.len());
        for name in &names {
            let column = batch.column_by_name(name).ok_or_else(damaged)?;
            // Dictionaries and large or view strings become plain ones, so that one path checks them.
            let column = match column.data_type() {
                DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                    cast(column, &DataType::Utf8).map_err(|_| damaged())?
                }
                _ => Arc::clone(column),
            };
            columns.push(column);
        }
        let first_row = row;
        row += u64::try_from(rows).unwrap_or(0);
        // Parquet does not tell how far it read; rows are a fair share of the bytes.
        let read = if total_rows == 0 {
            file.bytes
        } else {
            share(file.bytes, row, total_rows)
        };
        let batch = Batch {
            columns,
            rows,
            origin: Origin {
                file: Arc::clone(&file.name),
                first_row,
                lines: None,
            },
            source_bytes: read.saturating_sub(reported),
        };
        reported = read;
        if to.send(Ok(batch)).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn share(bytes: u64, part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(bytes) * u128::from(part) / u128::from(whole.max(1))).unwrap_or(bytes)
}

/// Counts the bytes of a file as they are read.
struct Counting<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: io::Read> io::Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.bytes
            .fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        Ok(count)
    }
}
