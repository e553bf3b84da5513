//! Parquet over a descriptor.
//!
//! The worker can't open anything: it reads what it was handed, by `pread`, so that readers on several
//! threads never move one another's offset. Footers are decrypted once, when a session loads.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;

/// Rows in a batch.
pub(crate) const BATCH_ROWS: usize = 8192;
/// Bytes that a sequential read fetches at once. Readers read the header of a page so, and then the page by
/// itself: what is fetched beyond the header is thrown away.
const READ_AHEAD_BYTES: usize = 512;

/// A descriptor, read by position.
#[derive(Debug, Clone)]
struct Descriptor {
    file: Arc<File>,
    bytes: u64,
}

impl Length for Descriptor {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Descriptor {
    type T = io::BufReader<At>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(io::BufReader::with_capacity(
            READ_AHEAD_BYTES,
            At {
                file: Arc::clone(&self.file),
                position: start,
            },
        ))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // A length from a damaged footer must not become an allocation.
        if (length as u64) > self.bytes.saturating_sub(start) {
            return Err(ParquetError::EOF(
                "a range beyond the end of the file".to_owned(),
            ));
        }
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}

/// A reader with a position of its own.
struct At {
    file: Arc<File>,
    position: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// A Parquet file whose footer was read.
#[derive(Clone)]
pub(crate) struct OpenFile {
    descriptor: Descriptor,
    metadata: ArrowReaderMetadata,
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The metadata holds the decryption properties and statistics of the data: neither is printed.
        f.debug_struct("OpenFile").finish_non_exhaustive()
    }
}

impl OpenFile {
    /// Reads the footer.
    pub(crate) fn new(
        file: File,
        decryption: Option<Arc<FileDecryptionProperties>>,
    ) -> Result<Self> {
        let bytes = file.metadata()?.len();
        let descriptor = Descriptor {
            file: Arc::new(file),
            bytes,
        };
        let mut options = ArrowReaderOptions::new();
        if let Some(decryption) = decryption {
            options = options.with_file_decryption_properties(decryption);
        }
        let metadata = ArrowReaderMetadata::load(&descriptor, options.clone())?;
        // Texts as views: grouping and comparing them copies nothing.
        let as_views = views(metadata.schema());
        let metadata = ArrowReaderMetadata::try_new(
            Arc::clone(metadata.metadata()),
            options.with_schema(as_views),
        )?;
        Ok(Self {
            descriptor,
            metadata,
        })
    }

    /// Names and types of the columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Rows of each row group.
    pub(crate) fn row_groups(&self) -> Vec<u64> {
        self.metadata
            .metadata()
            .row_groups()
            .iter()
            .map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
            .collect()
    }

    /// The lowest and the highest number of a column of numbers in each row group that has rows; `None` where the
    /// file doesn't tell.
    pub(crate) fn numbers(&self, column: usize) -> Option<Vec<(u32, u32)>> {
        let groups = self.metadata.metadata().row_groups().iter();
        let groups = groups.filter(|group| group.num_rows() > 0);
        let ranges = groups.map(|group| {
            let Some(Statistics::Int32(told)) = group.columns().get(column)?.statistics() else {
                return None;
            };
            Some((
                told.min_opt()?.cast_unsigned(),
                told.max_opt()?.cast_unsigned(),
            ))
        });
        ranges.collect()
    }

    /// Reads some columns of one row group. The columns come in the order of the file.
    pub(crate) fn read(
        &self,
        row_group: usize,
        columns: &[usize],
    ) -> Result<ParquetRecordBatchReader> {
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
        ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.descriptor.clone(),
            self.metadata.clone(),
        )
        .with_row_groups(vec![row_group])
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
    }
}

fn views(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 => {
                Field::new(field.name(), DataType::Utf8View, field.is_nullable())
            }
            _ => field.as_ref().clone(),
        })
        .collect();
    Arc::new(Schema::new(fields))
}
