//! One ingest, from raw files to a folder that either is complete or does not exist.
//!
//! Work happens in a hidden sibling of the final folder ([`Work`]). Everything in it is encrypted, made
//! durable, and read back; only then is it renamed.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use kekkai_dataset::escrow::{ESCROW, EscrowHeader, EscrowWriter};
use kekkai_dataset::{
    Check, FILE_TARGET_BYTES, Manifest, Merged, RUN_BYTES, SqlType, Table, TablePlace, TableWriter,
    Work, layout, sync_folder, wrap_for,
};
use kekkai_types::{
    ColumnCatalog, ColumnRole, DatasetCatalog, FileEntry, KeyText, PERSON_NUMBER_COLUMN, Recipient,
    TableCatalog, WrappedKey,
};
use serde::Serialize;

use crate::checks::{ColumnChecks, IDENTIFIERS_MAX, Memory};
use crate::convert::{Conversion, Escrow};
use crate::error::{Finding, IngestError};
use crate::pseudonym::{PseudonymKey, Pseudonyms};
use crate::source::{self, Batch, Sent, SourceFile};

/// Batches between two threads.
const QUEUE_BATCHES_MAX: usize = 4;

/// How far an ingest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The table.
    pub table: &'a str,
    /// What is being done with it.
    pub step: Step,
    /// Rows of this table so far.
    pub rows: u64,
    /// Bytes of all sources so far, in all steps.
    pub bytes: u64,
    /// Bytes of all sources in all steps. It grows when a table turns out to need [`Step::Sort`].
    pub bytes_total: u64,
}

/// What is being done with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Columns that will be dropped are read, to look for their values elsewhere.
    Remember,
    /// Rows are checked and written.
    Write,
    /// Rows that came in no order of persons, and are too many to be sorted in memory, are merged.
    Sort,
}

/// A finished ingest.
#[derive(Debug)]
pub struct Ingested {
    /// What the policy service is told.
    pub catalog: DatasetCatalog,
    /// The dataset's key for each recipient.
    pub keys: Vec<WrappedKey>,
    /// What was done.
    pub report: Report,
    /// `OUT/DATASET/VERSION`.
    pub folder: PathBuf,
}

/// What was done: counts and names, no values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Persons in all tables together.
    pub persons: u64,
    /// Table by table.
    pub tables: Vec<TableReport>,
}

/// What was done with a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of its source files.
    pub source_bytes: u64,
    /// Bytes of its encrypted files.
    pub written_bytes: u64,
    /// Columns that were dropped.
    pub dropped: Vec<String>,
    /// Cells that could not be made coarser and became NULL, by column.
    pub made_null: Vec<(String, u64)>,
    /// Hits that the manifest accepts.
    pub accepted: Vec<Accepted>,
}

/// Hits in a column that the manifest accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The column.
    pub column: String,
    /// What was found.
    pub check: Check,
    /// In how many rows.
    pub rows: u64,
    /// The manifest's reason.
    pub reason: String,
}

/// Ingests the raw tables in `source` as `manifest` says, into `OUT/DATASET/VERSION`.
///
/// `recipients` are those who will be able to open the data, with their P-256 public keys (65 bytes,
/// SEC 1 uncompressed): analysis servers, and the producer's recovery key. `pseudonym_key` comes from
/// [`PseudonymKey::derive`]; without one, pseudonyms are made that nobody can make again. Neither it nor
/// the dataset's key is ever written. `progress` is called after each batch, from this thread.
///
/// # Errors
/// See [`IngestError`]. An error leaves nothing at the final place, and holds no value of the data.
pub fn ingest(
    manifest: &Manifest,
    source: &Path,
    out: &Path,
    recipients: &[(Recipient, Vec<u8>)],
    pseudonym_key: Option<&PseudonymKey>,
    mut progress: impl FnMut(&Progress<'_>),
) -> Result<Ingested, IngestError> {
    let places = Places {
        source,
        out,
        offline: None,
        file_target: FILE_TARGET_BYTES,
        run_bytes: RUN_BYTES,
    };
    run(manifest, &places, recipients, pseudonym_key, &mut progress)
}

/// As [`ingest`], and seals each person's id to `offline`, the public half of a P-256 key (65 bytes, SEC 1
/// uncompressed) whose private half is kept offline: whoever holds that can say whose a pseudonym is, and
/// nobody else can ([`kekkai_dataset::escrow`]).
///
/// # Errors
/// As [`ingest`].
pub fn ingest_with_escrow(
    manifest: &Manifest,
    source: &Path,
    out: &Path,
    recipients: &[(Recipient, Vec<u8>)],
    pseudonym_key: Option<&PseudonymKey>,
    offline: &[u8],
    mut progress: impl FnMut(&Progress<'_>),
) -> Result<Ingested, IngestError> {
    let places = Places {
        source,
        out,
        offline: Some(offline),
        file_target: FILE_TARGET_BYTES,
        run_bytes: RUN_BYTES,
    };
    run(manifest, &places, recipients, pseudonym_key, &mut progress)
}

/// Where from, where to, to whom ids are sealed, how much in one file, and how much is held to be sorted.
struct Places<'a> {
    source: &'a Path,
    out: &'a Path,
    offline: Option<&'a [u8]>,
    file_target: u64,
    run_bytes: usize,
}

fn run(
    manifest: &Manifest,
    places: &Places<'_>,
    recipients: &[(Recipient, Vec<u8>)],
    pseudonym_key: Option<&PseudonymKey>,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Ingested, IngestError> {
    if recipients.is_empty() {
        return Err(IngestError::NoRecipient);
    }
    // Before anything is written: a key that nobody can open would lose the data.
    let dataset_key = KeyText::random().map_err(|_| IngestError::Randomness)?;
    let keys = recipients
        .iter()
        .map(|(recipient, public)| {
            wrap_for(
                &manifest.id,
                manifest.version,
                recipient,
                public,
                &dataset_key,
            )
            .map_err(|source| IngestError::Wrap {
                recipient: match recipient {
                    Recipient::Server(server) => format!("server \"{server}\""),
                    Recipient::Recovery => "the recovery key".to_owned(),
                },
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let random_key;
    let pseudonym_key = match pseudonym_key {
        Some(key) => key,
        None => {
            random_key = PseudonymKey::random()?;
            &random_key
        }
    };

    let work = Work::begin(places.out, &manifest.id, manifest.version)?;
    let mut sources = Vec::with_capacity(manifest.tables.len());
    for table in &manifest.tables {
        sources.push(source::files(table, places.source)?);
    }
    let mut meter = Meter::new(manifest, &sources, progress);
    let memory = remember(manifest, &sources, &mut meter)?;
    let mut pseudonyms = Pseudonyms::new(pseudonym_key)?;
    let mut escrow = begin_escrow(&work, manifest, places.offline)?;

    let mut findings = Vec::new();
    let mut tables = Vec::with_capacity(manifest.tables.len());
    let mut reports = Vec::with_capacity(manifest.tables.len());
    for (table, files) in manifest.tables.iter().zip(&sources) {
        let mut job = TableJob {
            manifest,
            table,
            files,
            memory: &memory,
            pseudonyms: &mut pseudonyms,
            escrow: escrow.as_mut(),
            place: TablePlace {
                folder: work.folder(),
                dataset: &manifest.id,
                version: manifest.version,
                table: &table.name,
                key: &dataset_key,
                file_target: places.file_target,
                run_bytes: places.run_bytes,
            },
            // Once something was found nothing is written any more, but all is looked at: the producer
            // wants to hear of everything at once.
            writes: findings.is_empty(),
        };
        let done = job.run(&mut meter)?;
        findings.extend(done.findings);
        tables.push(done.catalog);
        reports.push(done.report);
    }
    if !findings.is_empty() {
        return Err(IngestError::Identifiers(findings));
    }
    let catalog = DatasetCatalog {
        id: manifest.id.clone(),
        version: manifest.version,
        title: manifest.title.clone(),
        description: manifest.description.clone(),
        tables,
    };
    if let Some(escrow) = escrow {
        finish_escrow(&work, escrow)?;
    }
    work.write_json(layout::CATALOG, &catalog)?;
    work.write_json(layout::WRAPPED_KEYS, &keys)?;
    let folder = work.commit()?;
    let report = Report {
        persons: pseudonyms.persons(),
        tables: reports,
    };
    Ok(Ingested {
        catalog,
        keys,
        report,
        folder,
    })
}

/// Adds up what is told to the caller.
struct Meter<'p> {
    bytes: u64,
    bytes_total: u64,
    tell: &'p mut dyn FnMut(&Progress<'_>),
}

impl<'p> Meter<'p> {
    fn new(
        manifest: &Manifest,
        sources: &[Vec<SourceFile>],
        tell: &'p mut dyn FnMut(&Progress<'_>),
    ) -> Self {
        let bytes_total = manifest
            .tables
            .iter()
            .zip(sources)
            .map(|(table, files)| {
                let bytes: u64 = files.iter().map(|file| file.bytes).sum();
                if identifiers(table).is_empty() {
                    bytes
                } else {
                    bytes * 2
                }
            })
            .sum();
        Self {
            bytes: 0,
            bytes_total,
            tell,
        }
    }

    fn step(&mut self, table: &str, step: Step, rows: u64, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        let (bytes, bytes_total) = (self.bytes, self.bytes_total);
        (self.tell)(&Progress {
            table,
            step,
            rows,
            bytes,
            bytes_total,
        });
    }

    /// Tells of merging, which counts as a further reading of the table's sources.
    fn sorting(&mut self, table: &str, source_bytes: u64) -> impl FnMut(Merged) {
        let mut before = 0;
        move |merged: Merged| {
            if before == 0 {
                self.bytes_total = self.bytes_total.saturating_add(source_bytes);
            }
            let share = u128::from(source_bytes) * u128::from(merged.rows)
                / u128::from(merged.rows_total.max(1));
            let bytes = u64::try_from(share).unwrap_or(source_bytes);
            self.step(table, Step::Sort, merged.rows, bytes.saturating_sub(before));
            before = bytes;
        }
    }
}

/// The columns of a table that are dropped as direct identifiers.
fn identifiers(table: &Table) -> Vec<usize> {
    table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.role == ColumnRole::DirectIdentifier)
        .map(|(at, _)| at)
        .collect()
}

/// Reads the columns that are dropped as direct identifiers.
fn remember(
    manifest: &Manifest,
    sources: &[Vec<SourceFile>],
    meter: &mut Meter<'_>,
) -> Result<Memory, IngestError> {
    let mut memory = Memory::new();
    for (table, files) in manifest.tables.iter().zip(sources) {
        let mut wanted = identifiers(table);
        if wanted.is_empty() {
            continue;
        }
        // Where names are, each patient is: their numbers are looked for too.
        let person = table
            .columns
            .iter()
            .position(|column| column.role == ColumnRole::PersonKey);
        let names = wanted.len();
        wanted.extend(person);
        let mut rows = 0;
        with_reader(table, files, &wanted, |batches| {
            for batch in batches {
                let batch = batch?;
                for (at, column) in batch.columns.iter().enumerate() {
                    // What is not text has no spelling to look for; its shape is checked where it lands.
                    let texts = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8)
                        .map_err(|_| {
                            IngestError::Internal("an identifier column without a text")
                        })?;
                    for cell in texts.as_string::<i32>().iter().flatten() {
                        let has_room = if at < names {
                            memory.add(cell)
                        } else {
                            memory.add_person(cell)
                        };
                        if !has_room {
                            return Err(IngestError::TooManyIdentifiers {
                                max: IDENTIFIERS_MAX,
                            });
                        }
                    }
                }
                rows += count(batch.rows);
                meter.step(&table.name, Step::Remember, rows, batch.source_bytes);
            }
            Ok(())
        })?;
    }
    Ok(memory)
}

/// Runs `each` here while another thread reads.
fn with_reader<T>(
    table: &Table,
    files: &[SourceFile],
    wanted: &[usize],
    each: impl FnOnce(Receiver<Sent>) -> Result<T, IngestError>,
) -> Result<T, IngestError> {
    let (to, from) = sync_channel(QUEUE_BATCHES_MAX);
    thread::scope(|scope| {
        let reader = scope.spawn(move || source::read(table, files, wanted, &to));
        // Dropping the receiver, which `each` does, is what stops the reader.
        let done = each(from);
        match reader.join() {
            Ok(()) => done,
            Err(_) => Err(IngestError::Internal("the reading thread panicked")),
        }
    })
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// One table on its way.
struct TableJob<'j> {
    manifest: &'j Manifest,
    table: &'j Table,
    files: &'j [SourceFile],
    memory: &'j Memory,
    pseudonyms: &'j mut Pseudonyms,
    escrow: Option<&'j mut Escrow>,
    place: TablePlace<'j>,
    writes: bool,
}

struct TableDone {
    findings: Vec<Finding>,
    catalog: TableCatalog,
    report: TableReport,
}

/// What the converting loop counts.
struct Counted<'m> {
    rows: u64,
    personless: u64,
    made_null: Vec<u64>,
    checks: Vec<ColumnChecks<'m>>,
    /// Nothing was found, so that what was written counts.
    writes: bool,
}

impl<'j> TableJob<'j> {
    fn run(&mut self, meter: &mut Meter<'_>) -> Result<TableDone, IngestError> {
        let kept: Vec<(usize, SqlType)> = self
            .table
            .columns
            .iter()
            .enumerate()
            .filter_map(|(at, column)| column.sql_type.map(|sql_type| (at, sql_type)))
            .collect();
        let wanted: Vec<usize> = kept.iter().map(|(at, _)| *at).collect();
        let schema = self.schema();
        let folder = self.place.folder.join(&self.table.name);
        fs::create_dir(&folder).map_err(|source| IngestError::Write {
            path: folder.clone(),
            source,
        })?;

        let table = self.table;
        let files = self.files;
        let (to_writer, from_us) = sync_channel::<RecordBatch>(QUEUE_BATCHES_MAX);
        let mut writer = TableWriter::new(self.place, Arc::clone(&schema))?;
        let (counted, writer) = thread::scope(|scope| {
            let writing = scope.spawn(move || {
                for batch in from_us {
                    writer.write(batch)?;
                }
                Ok(writer)
            });
            let counted = with_reader(table, files, &wanted, |batches| {
                self.convert(batches, &kept, &schema, to_writer, meter)
            });
            let writer = match writing.join() {
                Ok(writer) => writer.map_err(IngestError::File),
                Err(_) => Err(IngestError::Internal("the writing thread panicked")),
            };
            // When the disk is full the writer knows why; the converting loop only saw its queue close.
            match (counted, writer) {
                (Ok(counted), Ok(writer)) => Ok((counted, writer)),
                (Err(IngestError::Internal(_)) | Ok(_), Err(error)) => Err(error),
                (Err(error), _) => Err(error),
            }
        })?;
        // What nobody will have needs no sorting.
        let entries = if counted.writes {
            let source_bytes = files.iter().map(|file| file.bytes).sum();
            writer.finish(meter.sorting(&table.name, source_bytes))?
        } else {
            Vec::new()
        };
        sync_folder(&folder)?;
        if let (Some(column), true) = (table.person_key(), counted.personless > 0) {
            return Err(IngestError::PersonMissing {
                table: table.name.clone(),
                column: column.name.clone(),
                rows: counted.personless,
            });
        }
        Ok(self.finish(counted, entries, &kept))
    }

    fn schema(&self) -> SchemaRef {
        let mut fields: Vec<Field> = self
            .table
            .kept()
            .map(|(column, sql_type)| {
                let is_person = column.role == ColumnRole::PersonKey;
                Field::new(&column.name, sql_type.arrow(), !is_person)
            })
            .collect();
        if self.table.person_key().is_some() {
            fields.push(Field::new(PERSON_NUMBER_COLUMN, DataType::UInt32, false));
        }
        Arc::new(Schema::new(fields))
    }

    /// Converts and checks each batch, and hands it on.
    fn convert(
        &mut self,
        batches: Receiver<Sent>,
        kept: &[(usize, SqlType)],
        schema: &SchemaRef,
        to_writer: SyncSender<RecordBatch>,
        meter: &mut Meter<'_>,
    ) -> Result<Counted<'j>, IngestError> {
        let table = self.table;
        let memory = self.memory;
        let mut counted = Counted {
            rows: 0,
            personless: 0,
            made_null: vec![0; kept.len()],
            checks: kept
                .iter()
                .filter_map(|(at, _)| table.columns.get(*at))
                .map(|column| ColumnChecks::new(column, memory))
                .collect(),
            writes: self.writes,
        };
        let mut conversion = Conversion {
            table: &table.name,
            pseudonyms: self.pseudonyms,
            escrow: self.escrow.as_deref_mut(),
            reference: self.manifest.reference_date,
        };
        for batch in batches {
            let batch: Batch = batch?;
            let mut made = Vec::with_capacity(kept.len() + 1);
            let mut persons = None;
            let mut personless = 0;
            for (slot, ((at, sql_type), cells)) in kept.iter().zip(&batch.columns).enumerate() {
                let column = table
                    .columns
                    .get(*at)
                    .ok_or(IngestError::Internal("a column got lost"))?;
                let converted = conversion.column(column, *sql_type, cells, &batch.origin)?;
                if let Some(count) = counted.made_null.get_mut(slot) {
                    *count += converted.made_null;
                }
                match column.role {
                    ColumnRole::PersonKey => personless = count(converted.column.null_count()),
                    // A pseudonym is ours: it has no shape to look for.
                    ColumnRole::Key => {}
                    _ => {
                        if let Some(checks) = counted.checks.get_mut(slot) {
                            checks.look(&converted.column);
                            counted.writes &= !checks.has_hits(&column.accept);
                        }
                    }
                }
                made.push(converted.column);
                persons = persons.or(converted.persons);
            }
            made.extend(persons);
            counted.personless += personless;
            counted.writes &= counted.personless == 0;
            counted.rows += count(batch.rows);
            if counted.writes {
                let made = RecordBatch::try_new(Arc::clone(schema), made)
                    .map_err(|_| IngestError::Internal("a batch does not fit its schema"))?;
                to_writer
                    .send(made)
                    .map_err(|_| IngestError::Internal("the writing thread ended early"))?;
            }
            meter.step(&table.name, Step::Write, counted.rows, batch.source_bytes);
        }
        Ok(counted)
    }

    fn finish(
        &self,
        counted: Counted<'_>,
        entries: Vec<FileEntry>,
        kept: &[(usize, SqlType)],
    ) -> TableDone {
        let table = self.table;
        let columns = || kept.iter().filter_map(|(at, _)| table.columns.get(*at));
        let mut findings = Vec::new();
        let mut accepted = Vec::new();
        for (column, checks) in columns().zip(counted.checks) {
            for (check, rows) in checks.finish() {
                if column.accept.contains(&check) {
                    accepted.push(Accepted {
                        column: column.name.clone(),
                        check,
                        rows,
                        reason: column.accept_reason.clone().unwrap_or_default(),
                    });
                } else {
                    findings.push(Finding {
                        table: table.name.clone(),
                        column: column.name.clone(),
                        check,
                        rows,
                    });
                }
            }
        }
        let report = TableReport {
            table: table.name.clone(),
            rows: counted.rows,
            source_bytes: self.files.iter().map(|file| file.bytes).sum(),
            written_bytes: entries.iter().map(|entry| entry.bytes).sum(),
            dropped: table
                .columns
                .iter()
                .filter(|column| column.sql_type.is_none())
                .map(|column| column.name.clone())
                .collect(),
            made_null: columns()
                .zip(counted.made_null)
                .filter(|(_, count)| *count > 0)
                .map(|(column, count)| (column.name.clone(), count))
                .collect(),
            accepted,
        };
        let catalog = TableCatalog {
            name: table.name.clone(),
            description: table.description.clone(),
            person_key: table.person_key().map(|column| column.name.clone()),
            columns: table
                .kept()
                .map(|(column, sql_type)| ColumnCatalog {
                    name: column.name.clone(),
                    sql_type: sql_type.as_str().to_owned(),
                    role: column.role,
                    description: column.description.clone(),
                })
                .collect(),
            files: entries,
            rows: counted.rows,
        };
        TableDone {
            findings,
            catalog,
            report,
        }
    }
}

/// The escrow, where a key is given to seal it to. Without one nobody can be told whose a pseudonym is.
fn begin_escrow(
    work: &Work,
    manifest: &Manifest,
    offline: Option<&[u8]>,
) -> Result<Option<Escrow>, IngestError> {
    let Some(public) = offline else {
        return Ok(None);
    };
    let path = work.folder().join(ESCROW);
    let file = File::create_new(&path).map_err(|source| IngestError::Write { path, source })?;
    let header = EscrowHeader::of_source(&manifest.id, manifest.version);
    Ok(Some(EscrowWriter::new(
        BufWriter::new(file),
        public,
        &header,
    )?))
}

fn finish_escrow(work: &Work, escrow: Escrow) -> Result<(), IngestError> {
    let failed = |source| IngestError::Write {
        path: work.folder().join(ESCROW),
        source,
    };
    let file = escrow
        .finish()?
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

#[cfg(test)]
mod tests {
    use hpke::kem::DhP256HkdfSha256;
    use hpke::{Kem as _, Serializable as _};
    use kekkai_dataset::{
        FilePlace, is_sorted_by_person, open_reader, read_metadata, unwrap_with_recovery,
    };
    use kekkai_types::DatasetId;

    use super::*;
    use crate::sample::{self, SampleFormat};

    #[test]
    fn table_beyond_the_target_goes_on_in_further_files() {
        let root = tempfile::tempdir().unwrap();
        let raw = root.path().join("raw");
        let made = sample::write(&raw, 1, 4_000, SampleFormat::CsvUtf8, |_| {}).unwrap();
        let (private, public) = DhP256HkdfSha256::gen_keypair();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&private.to_bytes());
        let manifest = Manifest::parse(sample::MANIFEST).unwrap();
        let places = Places {
            source: &raw,
            out: &root.path().join("out"),
            offline: None,
            file_target: 1,
            run_bytes: RUN_BYTES,
        };
        let recipients = [(Recipient::Recovery, public.to_bytes().to_vec())];
        let done = run(&manifest, &places, &recipients, None, &mut |_| {}).unwrap();
        let key = unwrap_with_recovery(&KeyText::new(bytes), &done.keys[0]).unwrap();
        let labs = done
            .catalog
            .tables
            .iter()
            .find(|t| t.name == "labs")
            .unwrap();
        assert!(labs.files.len() > 1);
        let mut rows = 0;
        for (at, entry) in labs.files.iter().enumerate() {
            assert_eq!(entry.name, format!("labs/part-{at:05}.parquet"));
            let place = FilePlace::new(&manifest.id, 1, &entry.name);
            let file = File::open(done.folder.join(&entry.name)).unwrap();
            let metadata = read_metadata(&file, &key, &place).unwrap();
            rows += metadata.file_metadata().num_rows().unsigned_abs();
        }
        assert_eq!((rows, labs.rows), (made.labs, made.labs));
    }

    /// Labs in an order of their own, of as many patients as there are.
    fn shuffled_labs(raw: &Path, patients: u64) {
        sample::write(raw, 1, patients, SampleFormat::CsvUtf8, |_| {}).unwrap();
        let text = fs::read_to_string(raw.join("labs.csv")).unwrap();
        let (header, rows) = text.split_once('\n').unwrap();
        let rows: Vec<&str> = rows.lines().collect();
        // A step that has no divisor in common with the number of rows reaches each once.
        let step = (7_919..).find(|step| gcd(*step, rows.len()) == 1).unwrap();
        let mixed = (0..rows.len()).map(|at| rows[at * step % rows.len()]);
        let text: Vec<&str> = std::iter::once(header).chain(mixed).collect();
        fs::write(raw.join("labs.csv"), text.join("\n")).unwrap();
    }

    fn gcd(a: usize, b: usize) -> usize {
        if b == 0 { a } else { gcd(b, a % b) }
    }

    #[test]
    fn rows_of_a_source_in_any_order_are_sorted_by_person_in_little_memory_as_in_much() {
        let root = tempfile::tempdir().unwrap();
        let raw = root.path().join("raw");
        shuffled_labs(&raw, 8_000);
        let (private, public) = DhP256HkdfSha256::gen_keypair();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&private.to_bytes());
        let private = KeyText::new(bytes);
        let manifest = Manifest::parse(sample::MANIFEST).unwrap();
        let recipients = [(Recipient::Recovery, public.to_bytes().to_vec())];
        let secret = KeyText::new([7; 32]);
        let pseudonyms = PseudonymKey::derive(&secret, &DatasetId::new("d").unwrap()).unwrap();
        let ingested = |out: &str, run_bytes, file_target| {
            let places = Places {
                source: &raw,
                out: &root.path().join(out),
                offline: None,
                file_target,
                run_bytes,
            };
            let (mut last, mut sorted) = ((0, 0), Vec::new());
            let done = run(
                &manifest,
                &places,
                &recipients,
                Some(&pseudonyms),
                &mut |progress| {
                    assert!(progress.bytes >= last.0 && progress.bytes <= progress.bytes_total);
                    last = (progress.bytes, progress.bytes_total);
                    if progress.step == Step::Sort {
                        sorted.push(progress.table.to_owned());
                    }
                },
            )
            .unwrap();
            assert_eq!(last.0, last.1, "progress ends at the whole");
            sorted.dedup();

            let key = unwrap_with_recovery(&private, &done.keys[0]).unwrap();
            let mut tables = Vec::new();
            for table in &done.catalog.tables {
                let mut batches = Vec::new();
                for entry in &table.files {
                    let place = FilePlace::new(&manifest.id, 1, &entry.name);
                    let open = || File::open(done.folder.join(&entry.name)).unwrap();
                    let metadata = read_metadata(&open(), &key, &place).unwrap();
                    assert!(is_sorted_by_person(&metadata), "{}", entry.name);
                    let reader = open_reader(open(), &key, &place).unwrap();
                    batches.extend(reader.build().unwrap().map(Result::unwrap));
                }
                let schema = batches[0].schema();
                let rows = arrow::compute::concat_batches(&schema, &batches).unwrap();
                let persons = rows.column_by_name(PERSON_NUMBER_COLUMN).unwrap();
                let persons = persons.as_primitive::<arrow::datatypes::UInt32Type>();
                assert!(persons.values().is_sorted(), "{}", table.name);
                tables.push(rows);
                // Nothing else is in the version.
                let files = fs::read_dir(done.folder.join(&table.name)).unwrap();
                assert_eq!(files.count(), table.files.len());
            }
            let labs = done.catalog.tables.iter().find(|t| t.name == "labs");
            (tables, sorted, labs.unwrap().files.len())
        };
        let (much, sorted, _) = ingested("much", RUN_BYTES, FILE_TARGET_BYTES);
        assert!(sorted.is_empty(), "{sorted:?}");
        let (little, sorted, files) = ingested("little", 1, 200_000);
        assert_eq!(sorted, ["labs"]);
        assert!(files > 1);
        assert_eq!(much, little);
    }
}
