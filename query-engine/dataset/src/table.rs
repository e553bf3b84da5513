//! Writing a table's files, its rows sorted by the hidden person number.
//!
//! A short story. Rows arrive in the order of their source. While persons ascend they go straight to the
//! final files. At the first smaller number rows are held instead, up to [`RUN_BYTES`], then sorted in
//! memory and written: where they begin at or after the last person that was written, they go on there.
//! Otherwise what was written is a finished *run*, and a new one begins aside, encrypted like a final
//! file and in the same hidden folder. At the end runs are merged into the final files and removed. Files
//! of a source that are sorted each by itself are one run each, however large; a source in no order is a
//! run for each [`RUN_BYTES`].
//!
//! A table that doesn't number its persons keeps its order. Rows of one person always do.

mod merge;
mod run;

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

use arrow::array::{Array as _, AsArray as _, UInt32Array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{SchemaRef, UInt32Type};
use arrow::record_batch::RecordBatch;
use kekkai_types::{DatasetId, FileEntry, KeyText, PERSON_NUMBER_COLUMN};

use crate::file::{FileError, FilePlace};
use merge::merge;
use run::{Open, Run};

/// Memory that held rows take, counted with their place in the order: large, since each further run is
/// another file to merge; not so large that an ingest needs a machine of its own.
pub const RUN_BYTES: usize = 256 * 1024 * 1024;
/// Runs that are merged at once. More are merged in more passes: 32 hold 8 GiB of rows, 1024 hold 256
/// GiB. Of each run, batches are read that take together as much as [`RUN_BYTES`], and one page of each
/// column.
const RUNS_MERGED_MAX: usize = 32;
/// Rows in a batch that is written.
const BATCH_ROWS_MAX: usize = 16 * 1024;
/// Merged batches between two threads.
const QUEUE_BATCHES_MAX: usize = 4;

/// Which table is written, where, and how much at once.
#[derive(Clone, Copy)]
pub struct TablePlace<'k> {
    /// The version's folder; the table's folder in it is there and empty.
    pub folder: &'k Path,
    /// The dataset.
    pub dataset: &'k DatasetId,
    /// Its version.
    pub version: u32,
    /// The table.
    pub table: &'k str,
    /// The dataset's key.
    pub key: &'k KeyText,
    /// Bytes after which the table goes on in the next file: [`crate::FILE_TARGET_BYTES`].
    pub file_target: u64,
    /// Bytes of rows that are held to be sorted: [`RUN_BYTES`].
    pub run_bytes: usize,
}

impl TablePlace<'_> {
    fn of(&self, name: &str) -> FilePlace {
        FilePlace::new(self.dataset, self.version, name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// How far merging is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Rows so far, in all passes.
    pub rows: u64,
    /// Rows in all passes.
    pub rows_total: u64,
}

/// A table that is being written. Dropped without [`TableWriter::finish`], it leaves files behind that are
/// encrypted and in no catalogue.
pub struct TableWriter<'k> {
    place: TablePlace<'k>,
    schema: SchemaRef,
    /// Where the persons' numbers are.
    person: Option<usize>,
    /// Rows that have to be sorted, with what they take.
    held: Vec<RecordBatch>,
    held_bytes: usize,
    /// What is written now, and the last person in it. The first run goes to the final files.
    open: Open<'k>,
    last: Option<u32>,
    /// What was written before, in the order of the source.
    runs: Vec<Run>,
    /// Files that ever were set aside: no name is given twice.
    aside: usize,
    seen: Seen,
}

/// How large rows are.
#[derive(Default)]
struct Seen {
    rows: usize,
    bytes: usize,
}

/// A row's person, then its batch and its row in it: equal persons keep the order of the source.
type Key = (u32, u32, u32);

impl<'k> TableWriter<'k> {
    /// Begins with no row. Rows are sorted where the schema has [`PERSON_NUMBER_COLUMN`].
    ///
    /// # Errors
    /// When the first file can't be created.
    pub fn new(place: TablePlace<'k>, schema: SchemaRef) -> Result<Self, FileError> {
        let person = schema.index_of(PERSON_NUMBER_COLUMN).ok();
        let open = Open::parts(place, &schema, person)?;
        Ok(Self {
            place,
            schema,
            person,
            held: Vec::new(),
            held_bytes: 0,
            open,
            last: None,
            runs: Vec::new(),
            aside: 0,
            seen: Seen::default(),
        })
    }

    /// Takes rows.
    ///
    /// # Errors
    /// When the disk is full, or the batch has another schema.
    pub fn write(&mut self, batch: RecordBatch) -> Result<(), FileError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let Some(person) = self.person else {
            return self.open.write(&batch);
        };
        let persons = numbers(&batch, person)?;
        let bytes = batch.get_array_memory_size();
        self.seen.rows = self.seen.rows.saturating_add(batch.num_rows());
        self.seen.bytes = self.seen.bytes.saturating_add(bytes);
        let goes_on = persons.values().first() >= self.last.as_ref();
        if self.held.is_empty() && goes_on && persons.values().is_sorted() {
            self.last = persons.values().last().copied();
            return self.open.write(&batch);
        }
        // A narrow row is smaller than its place in the order.
        let order = batch.num_rows().saturating_mul(size_of::<Key>());
        self.held_bytes = self.held_bytes.saturating_add(bytes).saturating_add(order);
        self.held.push(batch);
        if self.held_bytes >= self.place.run_bytes {
            self.write_held()?;
        }
        Ok(())
    }

    /// Writes the final files, durably, each read back ([`crate::EncryptedFile::finish`]). `tell` is
    /// called after each batch that is merged, from this thread; for rows that came in order it is not.
    ///
    /// # Errors
    /// When the disk is full, or something that was set aside doesn't come back.
    pub fn finish(mut self, mut tell: impl FnMut(Merged)) -> Result<Vec<FileEntry>, FileError> {
        self.write_held()?;
        if self.runs.is_empty() {
            return self.open.finish();
        }
        let last = self.open.set_aside(&self.place, &mut self.aside)?;
        let mut runs = self.runs;
        runs.push(last);

        let mut rows: Vec<u64> = runs.iter().map(|run| run.rows).collect();
        let mut merged = Merged {
            rows: 0,
            rows_total: rows.iter().sum(),
        };
        in_passes(&mut rows, |group| {
            let rows = group.iter().sum();
            merged.rows_total += rows;
            Ok(rows)
        })?;

        let mut merging = Merging {
            place: self.place,
            schema: self.schema,
            person: self.person.unwrap_or_default(),
            batch_rows: self.seen.batch_rows(self.place.run_bytes),
            merged,
            tell: &mut tell,
        };
        let mut aside = self.aside;
        in_passes(&mut runs, |group| {
            let to = Open::aside(&merging.place, &merging.schema, &mut aside)?;
            merging
                .merge(group, to)?
                .set_aside(&merging.place, &mut aside)
        })?;
        let to = Open::parts(merging.place, &merging.schema, Some(merging.person))?;
        merging.merge(runs, to)?.finish()
    }

    /// Sorts what is held and writes it.
    fn write_held(&mut self) -> Result<(), FileError> {
        let Some(person) = self.person else {
            return Ok(());
        };
        let held = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        let order = order(&held, person)?;
        let (Some((first, ..)), Some((last, ..))) = (order.first(), order.last()) else {
            return Ok(());
        };
        if self.last.is_some_and(|last| *first < last) {
            let next = Open::aside(&self.place, &self.schema, &mut self.aside)?;
            let done = std::mem::replace(&mut self.open, next);
            self.runs
                .push(done.set_aside(&self.place, &mut self.aside)?);
        }
        self.last = Some(*last);
        let from: Vec<&RecordBatch> = held.iter().collect();
        for keys in order.chunks(self.seen.batch_rows(self.place.run_bytes)) {
            let rows = keys
                .iter()
                .map(|(_, batch, row)| Ok((usize::try_from(*batch)?, usize::try_from(*row)?)))
                .collect::<Result<Vec<_>, std::num::TryFromIntError>>()
                .map_err(|_| FileError::Internal("a row number beyond the address space"))?;
            self.open.write(&rows_of(&from, &rows)?)?;
        }
        Ok(())
    }
}

impl Seen {
    /// Rows in a batch, so that one of each run that is merged take `run_bytes` together.
    fn batch_rows(&self, run_bytes: usize) -> usize {
        let row = self.bytes.div_ceil(self.rows.max(1)).max(1);
        (run_bytes / RUNS_MERGED_MAX / row).clamp(1, BATCH_ROWS_MAX)
    }
}

/// One table's merging.
struct Merging<'k, 't> {
    place: TablePlace<'k>,
    schema: SchemaRef,
    person: usize,
    batch_rows: usize,
    merged: Merged,
    tell: &'t mut dyn FnMut(Merged),
}

impl<'k> Merging<'k, '_> {
    /// Merges runs into what is given and removes them. Another thread encodes and encrypts while this one
    /// decrypts.
    fn merge(&mut self, runs: Vec<Run>, mut to: Open<'k>) -> Result<Open<'k>, FileError> {
        let (to_writer, batches) = sync_channel::<RecordBatch>(QUEUE_BATCHES_MAX);
        let to = thread::scope(|scope| {
            let writer = scope.spawn(move || {
                for batch in batches {
                    to.write(&batch)?;
                }
                Ok(to)
            });
            let readers = runs
                .iter()
                .map(|run| run.reader(self.place.key, &self.schema, self.batch_rows))
                .collect();
            let (told, tell) = (&mut self.merged, &mut self.tell);
            let merged = merge(readers, self.person, self.batch_rows, move |batch| {
                told.rows += u64::try_from(batch.num_rows()).unwrap_or(0);
                to_writer
                    .send(batch)
                    .map_err(|_| FileError::Internal("the writing thread ended early"))?;
                tell(*told);
                Ok(())
            });
            let written = match writer.join() {
                Ok(written) => written,
                Err(_) => Err(FileError::Internal("the writing thread panicked")),
            };
            match (merged, written) {
                // When the disk is full the writer knows why; merging only saw its queue close.
                (Ok(()), written) | (Err(FileError::Internal(_)), written @ Err(_)) => written,
                (Err(error), _) => Err(error),
            }
        })?;
        for run in runs {
            run.remove()?;
        }
        Ok(to)
    }
}

/// Merges neighbours until few enough are left for the last merge, and no more of them than needed.
/// Neighbours only, so that rows of one person keep their order.
fn in_passes<T>(
    runs: &mut Vec<T>,
    mut merge: impl FnMut(Vec<T>) -> Result<T, FileError>,
) -> Result<(), FileError> {
    let mut at = 0;
    while runs.len() > RUNS_MERGED_MAX {
        let count = (runs.len() - RUNS_MERGED_MAX + 1).min(RUNS_MERGED_MAX);
        if at + count > runs.len() {
            at = 0;
        }
        let merged = merge(runs.drain(at..at + count).collect())?;
        runs.insert(at, merged);
        at += 1;
    }
    Ok(())
}

/// The order in which rows are sorted by their person, stably.
fn order(batches: &[RecordBatch], person: usize) -> Result<Vec<Key>, FileError> {
    let mut order = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (at, batch) in (0..).zip(batches) {
        let rows = (0..).zip(numbers(batch, person)?.values());
        order.extend(rows.map(|(row, number)| (*number, at, row)));
    }
    order.sort_unstable();
    Ok(order)
}

/// The rows at these batches and places.
fn rows_of(batches: &[&RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch, FileError> {
    interleave_record_batch(batches, rows)
        .map_err(|_| FileError::Internal("sorted rows do not fit their schema"))
}

/// The persons' numbers of a batch.
fn numbers(batch: &RecordBatch, person: usize) -> Result<&UInt32Array, FileError> {
    batch
        .columns()
        .get(person)
        .and_then(|column| column.as_primitive_opt::<UInt32Type>())
        .filter(|numbers| numbers.null_count() == 0)
        .ok_or(FileError::Internal("a row without its person's number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_leave_few_enough_in_order_and_merge_few_enough_at_once() {
        for count in [0, 1, 32, 33, 34, 63, 64, 100, 1_024, 1_025, 5_000] {
            let mut runs: Vec<Vec<u32>> = (0..count).map(|run| vec![run]).collect();
            let mut written = 0;
            in_passes(&mut runs, |group| {
                assert!((2..=RUNS_MERGED_MAX).contains(&group.len()), "{count}");
                let merged = group.concat();
                written += merged.len();
                Ok(merged)
            })
            .unwrap();
            let few = usize::try_from(count).unwrap().min(RUNS_MERGED_MAX);
            assert_eq!(runs.len(), few);
            assert_eq!(runs.concat(), (0..count).collect::<Vec<u32>>());
            // 1024 are two passes with the last one, and no more than needed is merged twice.
            let bound = if count <= 1_024 { 1 } else { 2 };
            assert!(written <= bound * usize::try_from(count).unwrap());
        }
    }

    #[test]
    fn rows_read_at_once_fit_the_memory_of_a_run() {
        let seen = |rows, bytes| Seen { rows, bytes };
        assert_eq!(seen(1_000, 100_000).batch_rows(RUN_BYTES), BATCH_ROWS_MAX);
        assert_eq!(seen(10, 100_000).batch_rows(RUN_BYTES), 838);
        assert_eq!(seen(1, RUN_BYTES).batch_rows(RUN_BYTES), 1);
        assert_eq!(seen(0, 0).batch_rows(1), 1);
    }
}
