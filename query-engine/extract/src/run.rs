//! One extract, from a dataset's encrypted files to the project's: in bounded memory, at once or never.
//!
//! Persons are collected first, from the person keys alone, so that they can be numbered anew; then each
//! table is read again, its keys replaced, sorted by the new numbers, and written. A thread encodes and
//! encrypts while this one decrypts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use kekkai_dataset::escrow::{ESCROW, EscrowHeader, EscrowWriter};
use kekkai_dataset::{
    FILE_TARGET_BYTES, Merged, RUN_BYTES, TablePlace, TableWriter, Work, WorkError, layout,
    sync_folder, wrap_for,
};
use kekkai_types::{
    AgreementId, ColumnRole, DatasetCatalog, DatasetId, KeyText, PERSON_NUMBER_COLUMN, Recipient,
    RowCondition, ServerId, TableCatalog, WrappedKey,
};

use crate::error::ExtractError;
use crate::pseudonym::{Collected, Persons, ProjectKey, Pseudonyms};
use crate::read::{Cut, Reader, is_key, number_field, persons, pseudonyms};

/// Batches between two threads.
const QUEUE_BATCHES_MAX: usize = 4;

/// The dataset that is read.
pub struct Source<'a> {
    /// The version's folder.
    pub folder: &'a Path,
    /// Its catalogue.
    pub catalog: &'a DatasetCatalog,
    /// Its key.
    pub key: &'a KeyText,
}

/// The extract that is made.
pub struct Target<'a> {
    /// The agreement that it is made for.
    pub agreement: &'a AgreementId,
    /// What is agreed of each agreed table.
    pub tables: &'a BTreeMap<String, Agreed>,
    /// The extract's own id and version.
    pub extract: (DatasetId, u32),
    /// Where `EXTRACT/VERSION` is made.
    pub out: &'a Path,
    /// The analysis servers, with their P-256 public keys (65 bytes, SEC 1 uncompressed).
    pub servers: &'a [(ServerId, Vec<u8>)],
    /// The public half of the producer's offline key: 65 bytes, SEC 1 uncompressed.
    pub offline: &'a [u8],
}

/// What an agreement grants of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The columns.
    pub columns: Vec<String>,
    /// The conditions that rows must meet, all of them; none: every row.
    pub rows: Vec<RowCondition>,
}

/// How far an extract is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The table.
    pub table: &'a str,
    /// What is being done with it.
    pub step: Step,
    /// Rows so far, of all tables and all steps.
    pub rows: u64,
    /// Rows in all, in all steps. It grows when a table turns out to need [`Step::Sort`].
    pub rows_total: u64,
}

/// What is being done with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Persons are collected.
    Persons,
    /// Rows are written.
    Write,
    /// Rows that are too many to be sorted in memory are merged.
    Sort,
}

/// A finished extract.
#[derive(Debug)]
pub struct Extracted {
    /// What the policy service is told.
    pub catalog: DatasetCatalog,
    /// The extract's key for each server. It is written nowhere else, wrapped or not: when the policy
    /// service has erased these, nobody opens the extract.
    pub keys: Vec<WrappedKey>,
    /// Persons.
    pub persons: u64,
    /// `OUT/EXTRACT/VERSION`.
    pub folder: PathBuf,
}

/// Makes an extract of what an agreement grants of a dataset. `progress` is called after each batch.
///
/// # Errors
/// See [`ExtractError`]. An error leaves nothing at the final place, and holds no value of the data.
pub fn extract(
    source: &Source<'_>,
    target: &Target<'_>,
    project_key: &ProjectKey,
    mut progress: impl FnMut(&Progress<'_>),
) -> Result<Extracted, ExtractError> {
    run(
        source,
        target,
        project_key,
        (FILE_TARGET_BYTES, RUN_BYTES),
        &mut progress,
    )
}

fn run(
    source: &Source<'_>,
    target: &Target<'_>,
    project_key: &ProjectKey,
    (file_target, run_bytes): (u64, usize),
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Extracted, ExtractError> {
    let cuts = cuts(source.catalog, target.tables)?;
    if target.servers.is_empty() {
        return Err(ExtractError::NoServer);
    }
    let key = KeyText::random().map_err(|_| ExtractError::Randomness)?;
    let keys = wrap(target, &key)?;
    let pseudonyms = Pseudonyms::new(project_key)?;
    let (id, version) = &target.extract;
    let work = Work::begin(target.out, id, *version)?;
    let reader = Reader {
        folder: source.folder,
        catalog: source.catalog,
        key: source.key,
    };
    let rows = |cut: &Cut<'_>| cut.table.rows;
    let about_persons = || cuts.iter().filter(|cut| cut.table.person_key.is_some());
    let mut meter = Meter {
        rows: 0,
        rows_total: cuts.iter().chain(about_persons()).map(rows).sum(),
        tell: progress,
    };

    let mut collected = Collected::default();
    for cut in about_persons() {
        collect(&reader, cut, &mut collected, &mut meter)?;
    }
    let persons = collected.number(&pseudonyms)?;
    seal(&work, source.catalog, target, &persons)?;

    let mut tables = Vec::with_capacity(cuts.len());
    for cut in &cuts {
        let job = Job {
            cut,
            place: TablePlace {
                folder: work.folder(),
                dataset: id,
                version: *version,
                table: &cut.table.name,
                key: &key,
                file_target,
                run_bytes,
            },
            pseudonyms: &pseudonyms,
            persons: &persons,
        };
        tables.push(job.run(&reader, &mut meter)?);
    }
    let catalog = DatasetCatalog {
        id: id.clone(),
        version: *version,
        title: source.catalog.title.clone(),
        description: source.catalog.description.clone(),
        tables,
    };
    work.write_json(layout::CATALOG, &catalog)?;
    Ok(Extracted {
        catalog,
        keys,
        persons: persons.len(),
        folder: work.commit()?,
    })
}

/// The agreed part of each agreed table.
fn cuts<'a>(
    catalog: &'a DatasetCatalog,
    agreed: &'a BTreeMap<String, Agreed>,
) -> Result<Vec<Cut<'a>>, ExtractError> {
    if agreed.is_empty() {
        return Err(ExtractError::Nothing);
    }
    agreed
        .iter()
        .map(|(name, agreed)| {
            let table = catalog
                .tables
                .iter()
                .find(|table| table.name == *name)
                .ok_or_else(|| ExtractError::NoTable(name.clone()))?;
            Cut::new(table, agreed)
        })
        .collect()
}

fn wrap(target: &Target<'_>, key: &KeyText) -> Result<Vec<WrappedKey>, ExtractError> {
    let (id, version) = &target.extract;
    target
        .servers
        .iter()
        .map(|(server, public)| {
            let recipient = Recipient::Server(server.clone());
            wrap_for(id, *version, &recipient, public, key).map_err(|source| ExtractError::Wrap {
                server: server.to_string(),
                source,
            })
        })
        .collect()
}

struct Meter<'p> {
    rows: u64,
    rows_total: u64,
    tell: &'p mut dyn FnMut(&Progress<'_>),
}

impl Meter<'_> {
    fn step(&mut self, table: &str, step: Step, rows: usize) {
        self.rows += u64::try_from(rows).unwrap_or(0);
        (self.tell)(&Progress {
            table,
            step,
            rows: self.rows,
            rows_total: self.rows_total,
        });
    }

    /// Tells of merging, whose rows were in no total before.
    fn sorting(&mut self, table: &str) -> impl FnMut(Merged) {
        let mut before = 0;
        move |merged: Merged| {
            if before == 0 {
                self.rows_total += merged.rows_total;
            }
            let rows = usize::try_from(merged.rows - before).unwrap_or(0);
            self.step(table, Step::Sort, rows);
            before = merged.rows;
        }
    }
}

/// Collects a table's persons, by its person key and their numbers alone.
fn collect(
    reader: &Reader<'_>,
    cut: &Cut<'_>,
    collected: &mut Collected,
    meter: &mut Meter<'_>,
) -> Result<(), ExtractError> {
    let table = cut.table;
    let Some(key) = table.person_key.as_deref() else {
        return Ok(());
    };
    reader.batches(cut, &[key, PERSON_NUMBER_COLUMN], |batch, read| {
        let (numbers, keys) = persons(&batch, (0, 1), &table.name)?;
        for (number, pseudonym) in numbers.values().iter().zip(keys.values()) {
            collected
                .see(*number, *pseudonym)
                .map_err(|_| ExtractError::Contradiction(table.name.clone()))?;
        }
        meter.step(&table.name, Step::Persons, read);
        Ok(())
    })
}

/// Writes the escrow: the dataset's pseudonym of each of the project's.
fn seal(
    work: &Work,
    dataset: &DatasetCatalog,
    target: &Target<'_>,
    persons: &Persons,
) -> Result<(), ExtractError> {
    let path = work.folder().join(ESCROW);
    let failed = |source| WorkError::Write {
        path: path.clone(),
        source,
    };
    let (id, version) = &target.extract;
    let of = (dataset.id.clone(), dataset.version);
    let header = EscrowHeader::of_extract(id, *version, of, target.agreement);
    let file = File::create_new(&path).map_err(failed)?;
    let mut escrow = EscrowWriter::new(BufWriter::new(file), target.offline, &header)?;
    for (of_project, of_dataset) in persons.each() {
        escrow.add(of_project, &of_dataset.to_string())?;
    }
    let file = escrow
        .finish()?
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(())
}

/// A table that is being written.
struct Job<'j> {
    cut: &'j Cut<'j>,
    place: TablePlace<'j>,
    pseudonyms: &'j Pseudonyms,
    persons: &'j Persons,
}

impl Job<'_> {
    fn run(
        &self,
        reader: &Reader<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<TableCatalog, ExtractError> {
        let table = self.cut.table;
        let folder = self.place.folder.join(&table.name);
        fs::create_dir(&folder).map_err(|source| WorkError::Write {
            path: folder.clone(),
            source,
        })?;
        let (to_writer, from_us) = sync_channel::<RecordBatch>(QUEUE_BATCHES_MAX);
        let (writer, rows) = thread::scope(|scope| {
            let writing = scope.spawn(move || {
                let mut writer: Option<TableWriter<'_>> = None;
                for batch in from_us {
                    let mut open = match writer.take() {
                        Some(open) => open,
                        None => TableWriter::new(self.place, batch.schema())?,
                    };
                    open.write(batch)?;
                    writer = Some(open);
                }
                Ok(writer)
            });
            let read = self.read(reader, to_writer, meter);
            let writer = match writing.join() {
                Ok(writer) => writer.map_err(ExtractError::File),
                Err(_) => Err(ExtractError::Internal("the writing thread panicked")),
            };
            match (read, writer) {
                (Ok(rows), writer) => writer.map(|writer| (writer, rows)),
                // When the disk is full the writer knows why; the reading loop only saw its queue close.
                (Err(ExtractError::Internal(_)), Err(error)) | (Err(error), _) => Err(error),
            }
        })?;
        let files = writer
            .ok_or(ExtractError::Internal("no batch was written"))?
            .finish(meter.sorting(&table.name))?;
        sync_folder(&folder)?;
        Ok(TableCatalog {
            name: table.name.clone(),
            description: table.description.clone(),
            person_key: table.person_key.clone(),
            columns: self.cut.columns.iter().map(|c| (*c).clone()).collect(),
            files,
            rows,
        })
    }

    /// Reads, replaces keys, and hands on; says how many rows there were.
    fn read(
        &self,
        reader: &Reader<'_>,
        to_writer: SyncSender<RecordBatch>,
        meter: &mut Meter<'_>,
    ) -> Result<u64, ExtractError> {
        let send = |batch| {
            to_writer
                .send(batch)
                .map_err(|_| ExtractError::Internal("the writing thread ended early"))
        };
        let mut sent_any = false;
        let mut provided = 0_u64;
        reader.cut(self.cut, |batch, read| {
            let rows = batch.num_rows();
            send(self.replace(&batch)?)?;
            sent_any = true;
            provided += u64::try_from(rows).unwrap_or(u64::MAX);
            meter.step(&self.cut.table.name, Step::Write, read);
            Ok(())
        })?;
        if !sent_any {
            // A table without rows gets a file without rows, so that its schema can be read.
            let fields = self.cut.columns.iter().map(|column| {
                kekkai_dataset::SqlType::named(&column.sql_type)
                    .map(|sql_type| {
                        let is_person = column.role == ColumnRole::PersonKey;
                        Field::new(&column.name, sql_type.arrow(), !is_person)
                    })
                    .ok_or_else(|| ExtractError::Contradiction(self.cut.table.name.clone()))
            });
            let mut fields = fields.collect::<Result<Vec<_>, _>>()?;
            if self.cut.table.person_key.is_some() {
                fields.push(number_field());
            }
            send(RecordBatch::new_empty(Arc::new(Schema::new(fields))))?;
        }
        Ok(provided)
    }

    /// The same rows with the project's pseudonyms and numbers.
    fn replace(&self, batch: &RecordBatch) -> Result<RecordBatch, ExtractError> {
        let table = self.cut.table;
        let count = self.cut.columns.len();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(count + 1);
        let mut numbers = None;
        for (at, column) in self.cut.columns.iter().enumerate() {
            if table.person_key.as_deref() == Some(column.name.as_str()) {
                let (keys, found) = self.persons(batch, (at, count))?;
                columns.push(keys);
                numbers = Some(found);
            } else if is_key(column) {
                columns.push(self.keys(pseudonyms(batch, at, &table.name)?));
            } else {
                columns.extend(batch.columns().get(at).cloned());
            }
        }
        columns.extend(numbers);
        RecordBatch::try_new(batch.schema(), columns)
            .map_err(|_| ExtractError::Internal("a batch does not fit its schema"))
    }

    fn persons(
        &self,
        batch: &RecordBatch,
        at: (usize, usize),
    ) -> Result<(ArrayRef, ArrayRef), ExtractError> {
        let (numbers, keys) = persons(batch, at, &self.cut.table.name)?;
        let mut made = (
            Vec::with_capacity(keys.len()),
            Vec::with_capacity(keys.len()),
        );
        for (number, pseudonym) in numbers.values().iter().zip(keys.values()) {
            let (pseudonym, number) = self
                .persons
                .get(*number, *pseudonym)
                .map_err(|_| ExtractError::Contradiction(self.cut.table.name.clone()))?;
            made.0.push(pseudonym);
            made.1.push(number);
        }
        Ok((
            Arc::new(Int64Array::from(made.0)),
            Arc::new(UInt32Array::from(made.1)),
        ))
    }

    fn keys(&self, keys: &Int64Array) -> ArrayRef {
        // Rows of one visit often come together.
        let mut last: Option<(i64, i64)> = None;
        let made: Int64Array = keys
            .iter()
            .map(|key| {
                key.map(|key| match last {
                    Some((known, pseudonym)) if known == key => pseudonym,
                    _ => {
                        let pseudonym = self.pseudonyms.of(key);
                        last = Some((key, pseudonym));
                        pseudonym
                    }
                })
            })
            .collect();
        Arc::new(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_grows_by_what_is_merged_and_ends_at_the_whole() {
        let mut told = Vec::new();
        let mut tell = |progress: &Progress<'_>| {
            told.push((progress.step, progress.rows, progress.rows_total));
        };
        let mut meter = Meter {
            rows: 0,
            rows_total: 20,
            tell: &mut tell,
        };
        meter.step("visits", Step::Write, 10);
        for rows in [4, 10] {
            let rows_total = 10;
            let mut sorting = meter.sorting("visits");
            for rows in [rows / 2, rows_total] {
                sorting(Merged { rows, rows_total });
            }
        }
        meter.step("wards", Step::Write, 10);
        let expected = [
            (Step::Write, 10, 20),
            (Step::Sort, 12, 30),
            (Step::Sort, 20, 30),
            (Step::Sort, 25, 40),
            (Step::Sort, 30, 40),
            (Step::Write, 40, 40),
        ];
        assert_eq!(told, expected);
    }
}
