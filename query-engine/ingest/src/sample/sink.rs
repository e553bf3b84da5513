//! Where the sample's rows go: CSV in either encoding, or Parquet.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use encoding_rs::SHIFT_JIS;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{SampleError, SampleFormat};

/// Rows in a Parquet batch.
const BATCH_ROWS: usize = 16 * 1024;

/// What a Parquet column is; CSV knows only text.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Date,
    Bigint,
    Double,
}

impl Kind {
    fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Bigint => DataType::Int64,
            Self::Double => DataType::Float64,
        }
    }
}

/// One file.
pub(super) struct Sink {
    path: PathBuf,
    rows: u64,
    to: To,
}

enum To {
    Csv {
        out: BufWriter<File>,
        is_cp932: bool,
        line: String,
    },
    Parquet {
        writer: Box<ArrowWriter<File>>,
        schema: SchemaRef,
        columns: Vec<StringBuilder>,
        held: usize,
    },
}

impl Sink {
    pub(super) fn create(
        folder: &Path,
        table: &str,
        format: SampleFormat,
        columns: &[(&str, Kind)],
    ) -> Result<Self, SampleError> {
        let ending = if format == SampleFormat::Parquet {
            "parquet"
        } else {
            "csv"
        };
        let path = folder.join(format!("{table}.{ending}"));
        let failed = |source| SampleError::Write {
            path: path.clone(),
            source,
        };
        let file = File::create_new(&path).map_err(failed)?;
        let to = if format == SampleFormat::Parquet {
            let fields: Vec<Field> = columns
                .iter()
                .map(|(name, kind)| Field::new(*name, kind.arrow(), true))
                .collect();
            let schema = Arc::new(Schema::new(fields));
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_created_by("kekkai sample".to_owned())
                .build();
            let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
                .map_err(|error| failed(io::Error::other(error)))?;
            To::Parquet {
                writer: Box::new(writer),
                schema,
                columns: columns.iter().map(|_| StringBuilder::new()).collect(),
                held: 0,
            }
        } else {
            To::Csv {
                out: BufWriter::with_capacity(256 * 1024, file),
                is_cp932: format == SampleFormat::CsvCp932,
                line: String::new(),
            }
        };
        let mut sink = Self { path, rows: 0, to };
        if matches!(sink.to, To::Csv { .. }) {
            let header: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            sink.put(&header)?;
        }
        Ok(sink)
    }

    /// One row; an empty text is a missing value.
    pub(super) fn row(&mut self, cells: &[impl AsRef<str>]) -> Result<(), SampleError> {
        self.rows += 1;
        self.put(cells)
    }

    fn put(&mut self, cells: &[impl AsRef<str>]) -> Result<(), SampleError> {
        let done = match &mut self.to {
            To::Csv {
                out,
                is_cp932,
                line,
            } => put_csv(out, *is_cp932, line, cells),
            To::Parquet { columns, held, .. } => {
                for (column, cell) in columns.iter_mut().zip(cells) {
                    match cell.as_ref() {
                        "" => column.append_null(),
                        cell => column.append_value(cell),
                    }
                }
                *held += 1;
                if *held == BATCH_ROWS {
                    self.to.flush()
                } else {
                    Ok(())
                }
            }
        };
        done.map_err(|source| SampleError::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Rows and bytes.
    pub(super) fn finish(self) -> Result<(u64, u64), SampleError> {
        let Self { path, rows, mut to } = self;
        let finish = || {
            to.flush()?;
            let file = match to {
                To::Csv { out, .. } => out.into_inner().map_err(|error| error.into_error())?,
                To::Parquet { writer, .. } => writer.into_inner().map_err(io::Error::other)?,
            };
            Ok(file.metadata()?.len())
        };
        finish()
            .map(|bytes| (rows, bytes))
            .map_err(|source| SampleError::Write { path, source })
    }
}

impl To {
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv { out, .. } => out.flush(),
            Self::Parquet {
                writer,
                schema,
                columns,
                held,
            } => {
                if *held == 0 {
                    return Ok(());
                }
                let made = columns
                    .iter_mut()
                    .zip(schema.fields())
                    .map(|(column, field)| {
                        cast(&(Arc::new(column.finish()) as ArrayRef), field.data_type())
                    })
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(io::Error::other)?;
                let batch =
                    RecordBatch::try_new(Arc::clone(schema), made).map_err(io::Error::other)?;
                *held = 0;
                writer.write(&batch).map_err(io::Error::other)
            }
        }
    }
}

fn put_csv(
    out: &mut impl Write,
    is_cp932: bool,
    line: &mut String,
    cells: &[impl AsRef<str>],
) -> io::Result<()> {
    line.clear();
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        let cell = cell.as_ref();
        if cell.contains([',', '"', '\n', '\r']) {
            line.push('"');
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(cell);
        }
    }
    line.push_str(if is_cp932 { "\r\n" } else { "\n" });
    if !is_cp932 {
        return out.write_all(line.as_bytes());
    }
    let (bytes, _, had_unmappable) = SHIFT_JIS.encode(line);
    if had_unmappable {
        return Err(io::Error::other("a character that CP932 does not have"));
    }
    out.write_all(&bytes)
}
