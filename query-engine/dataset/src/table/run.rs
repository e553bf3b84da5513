//! What is written one after another, each row at or after the person of the one before: the final files, or a
//! file that is set aside.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::vec;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use kekkai_types::{FileEntry, KeyText};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::{TablePlace, numbers};
use crate::file::{EncryptedFile, FileError, FilePlace, Order};
use crate::layout;
use crate::read::open_reader;

/// What is being written.
pub(super) enum Open<'k> {
    Final(Box<Parts<'k>>),
    Aside(Box<Aside<'k>>),
}

/// A table's final files.
pub(super) struct Parts<'k> {
    place: TablePlace<'k>,
    schema: SchemaRef,
    person: Option<usize>,
    last: Option<u32>,
    entries: Vec<FileEntry>,
    file: EncryptedFile<'k>,
    rows: u64,
}

/// A file that is set aside.
pub(super) struct Aside<'k> {
    file: EncryptedFile<'k>,
    stored: Stored,
    rows: u64,
}

/// A file on disk, and the place that it is bound to.
struct Stored {
    path: PathBuf,
    place: FilePlace,
}

/// Rows that were set aside, sorted.
pub(super) struct Run {
    files: Vec<Stored>,
    pub(super) rows: u64,
}

impl<'k> Open<'k> {
    /// A table without rows gets a file without rows, so that its schema can be read.
    pub(super) fn parts(
        place: TablePlace<'k>,
        schema: &SchemaRef,
        person: Option<usize>,
    ) -> Result<Self, FileError> {
        Ok(Self::Final(Box::new(Parts {
            place,
            schema: Arc::clone(schema),
            person,
            last: None,
            entries: Vec::new(),
            file: begin(&place, schema, person, 0)?,
            rows: 0,
        })))
    }

    pub(super) fn aside(
        place: &TablePlace<'k>,
        schema: &SchemaRef,
        count: &mut usize,
    ) -> Result<Self, FileError> {
        let name = next_name(place, count);
        let stored = Stored {
            path: place.path(&name),
            place: place.of(&name),
        };
        let file = EncryptedFile::create_as(
            &stored.path,
            Arc::clone(schema),
            place.key,
            stored.place.clone(),
            Order::Run,
        )?;
        Ok(Self::Aside(Box::new(Aside {
            file,
            stored,
            rows: 0,
        })))
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), FileError> {
        match self {
            Self::Final(parts) => parts.write(batch),
            Self::Aside(aside) => {
                aside.rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
                aside.file.write(batch)
            }
        }
    }

    /// Ends what was written as a run. Final files give up their names and stay bound to them: nothing else
    /// opens them, and the files that take their names are in the catalogue by their digests.
    pub(super) fn set_aside(
        self,
        place: &TablePlace<'_>,
        count: &mut usize,
    ) -> Result<Run, FileError> {
        match self {
            Self::Final(parts) => {
                let rows = parts.rows;
                let mut files = Vec::new();
                for entry in parts.finish()? {
                    let path = place.path(&next_name(place, count));
                    fs::rename(place.path(&entry.name), &path).map_err(|source| FileError::Io {
                        file: entry.name.clone(),
                        source,
                    })?;
                    let place = place.of(&entry.name);
                    files.push(Stored { path, place });
                }
                Ok(Run { files, rows })
            }
            Self::Aside(aside) => {
                aside.file.close()?;
                Ok(Run {
                    files: vec![aside.stored],
                    rows: aside.rows,
                })
            }
        }
    }

    /// Ends the final files.
    pub(super) fn finish(self) -> Result<Vec<FileEntry>, FileError> {
        match self {
            Self::Final(parts) => parts.finish(),
            Self::Aside(_) => Err(FileError::Internal("a run is no final file")),
        }
    }
}

fn next_name(place: &TablePlace<'_>, count: &mut usize) -> String {
    let name = layout::run_name(place.table, *count);
    *count += 1;
    name
}

fn begin<'k>(
    place: &TablePlace<'k>,
    schema: &SchemaRef,
    person: Option<usize>,
    part: usize,
) -> Result<EncryptedFile<'k>, FileError> {
    let name = layout::part_name(place.table, part);
    EncryptedFile::create_as(
        &place.path(&name),
        Arc::clone(schema),
        place.key,
        place.of(&name),
        person.map_or(Order::Any, Order::By),
    )
}

impl Parts<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), FileError> {
        // The files will say that they are sorted, and contributors are counted by that.
        if let Some(person) = self.person {
            let persons = numbers(batch, person)?.values();
            if persons.first() < self.last.as_ref() || !persons.is_sorted() {
                return Err(FileError::Internal("rows are not sorted by their person"));
            }
            self.last = persons.last().copied();
        }
        // Looked at between batches only: a row group is split by the writer itself.
        if self.rows > 0 && self.file.bytes() >= self.place.file_target {
            let next = begin(
                &self.place,
                &self.schema,
                self.person,
                self.entries.len() + 1,
            )?;
            let full = std::mem::replace(&mut self.file, next);
            self.entries.push(full.finish()?);
        }
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        self.file.write(batch)
    }

    fn finish(mut self) -> Result<Vec<FileEntry>, FileError> {
        self.entries.push(self.file.finish()?);
        Ok(self.entries)
    }
}

impl Run {
    pub(super) fn reader<'r>(
        &'r self,
        key: &'r KeyText,
        schema: &'r SchemaRef,
        batch_rows: usize,
    ) -> RunReader<'r> {
        RunReader {
            files: self.files.iter(),
            open: None,
            key,
            schema,
            batch_rows,
        }
    }

    pub(super) fn remove(self) -> Result<(), FileError> {
        for file in self.files {
            fs::remove_file(&file.path).map_err(|source| FileError::Io {
                file: file.place.name().to_owned(),
                source,
            })?;
        }
        Ok(())
    }
}

/// Reads a run, file after file.
pub(super) struct RunReader<'r> {
    files: std::slice::Iter<'r, Stored>,
    open: Option<(&'r Stored, ParquetRecordBatchReader)>,
    key: &'r KeyText,
    schema: &'r SchemaRef,
    batch_rows: usize,
}

impl RunReader<'_> {
    /// The next batch that has a row.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, FileError> {
        loop {
            if let Some((stored, reader)) = &mut self.open {
                // What the reader says may quote bytes of the data.
                let damaged = || FileError::Damaged {
                    file: stored.place.name().to_owned(),
                };
                match reader.next() {
                    Some(batch) => {
                        let batch = batch.map_err(|_| damaged())?;
                        let columns = batch.columns().to_vec();
                        let batch = RecordBatch::try_new(Arc::clone(self.schema), columns);
                        let batch = batch.map_err(|_| damaged())?;
                        if batch.num_rows() > 0 {
                            return Ok(Some(batch));
                        }
                        continue;
                    }
                    None => self.open = None,
                }
            }
            let Some(stored) = self.files.next() else {
                return Ok(None);
            };
            let file = File::open(&stored.path).map_err(|source| FileError::Io {
                file: stored.place.name().to_owned(),
                source,
            })?;
            let reader = open_reader(file, self.key, &stored.place)?
                .with_batch_size(self.batch_rows)
                .build()
                .map_err(|_| FileError::Damaged {
                    file: stored.place.name().to_owned(),
                })?;
            self.open = Some((stored, reader));
        }
    }
}
