//! One ingest, from raw files to a folder that either is complete or does not exist.
//!
//! Work happens in a hidden sibling of the final folder. Everything in it is encrypted, made durable, and
//! read back; only then is it renamed. A process that dies at any line leaves the sibling behind, which
//! the next ingest of the dataset removes under the dataset's lock.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use kekkai_dataset::{
    Check, EncryptedFile, FILE_TARGET_BYTES, FilePlace, Manifest, SqlType, Table, layout, wrap_for,
};
use kekkai_types::{
    ColumnCatalog, ColumnRole, DatasetCatalog, FileEntry, KeyText, Recipient, TableCatalog,
    WrappedKey,
};
use serde::Serialize;

use crate::checks::{ColumnChecks, IDENTIFIERS_MAX, Memory};
use crate::convert::Conversion;
use crate::error::{Finding, IngestError};
use crate::pseudonym::{PseudonymKey, Pseudonyms};
use crate::source::{self, Batch, Sent, SourceFile};

/// Batches between two threads.
const QUEUE_BATCHES_MAX: usize = 4;
/// Of the folder that an ingest works in.
const WORK_PREFIX: &str = ".ingest-";
/// The file whose lock one ingest of a dataset holds.
const LOCK: &str = ".ingest.lock";

/// How far an ingest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The table.
    pub table: &'a str,
    /// What is being done with it.
    pub step: Step,
    /// Rows of this table so far.
    pub rows: u64,
    /// Bytes of all sources so far, in both steps.
    pub bytes: u64,
    /// Bytes of all sources in both steps.
    pub bytes_total: u64,
}

/// What is being done with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Columns that will be dropped are read, to look for their values elsewhere.
    Remember,
    /// Rows are checked and written.
    Write,
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
        file_target: FILE_TARGET_BYTES,
    };
    run(manifest, &places, recipients, pseudonym_key, &mut progress)
}

/// Where from, where to, and how much in one file.
struct Places<'a> {
    source: &'a Path,
    out: &'a Path,
    file_target: u64,
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

    let work = Work::begin(places.out, manifest)?;
    let mut sources = Vec::with_capacity(manifest.tables.len());
    for table in &manifest.tables {
        sources.push(source::files(table, places.source)?);
    }
    let mut meter = Meter::new(manifest, &sources, progress);
    let memory = remember(manifest, &sources, &mut meter)?;
    let mut pseudonyms = Pseudonyms::new(pseudonym_key)?;

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
            dataset_key: &dataset_key,
            folder: &work.folder,
            file_target: places.file_target,
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
    let folder = work.commit(&catalog, &keys)?;
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
    dataset_key: &'j KeyText,
    folder: &'j Path,
    file_target: u64,
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
        let folder = self.folder.join(&self.table.name);
        fs::create_dir(&folder).map_err(|source| IngestError::Write {
            path: folder.clone(),
            source,
        })?;

        let table = self.table;
        let files = self.files;
        let (to_writer, from_us) = sync_channel::<RecordBatch>(QUEUE_BATCHES_MAX);
        let parts = Parts {
            folder: self.folder,
            table: &table.name,
            manifest: self.manifest,
            schema: Arc::clone(&schema),
            dataset_key: self.dataset_key,
            file_target: self.file_target,
        };
        let (counted, entries) = thread::scope(|scope| {
            let writer = scope.spawn(move || parts.write(&from_us));
            let counted = with_reader(table, files, &wanted, |batches| {
                self.convert(batches, &kept, &schema, to_writer, meter)
            });
            let entries = match writer.join() {
                Ok(entries) => entries,
                Err(_) => Err(IngestError::Internal("the writing thread panicked")),
            };
            // When the disk is full the writer knows why; the converting loop only saw its queue close.
            match (counted, entries) {
                (Ok(counted), Ok(entries)) => Ok((counted, entries)),
                (Err(IngestError::Internal(_)) | Ok(_), Err(error)) => Err(error),
                (Err(error), _) => Err(error),
            }
        })?;
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
        let fields: Vec<Field> = self
            .table
            .kept()
            .map(|(column, sql_type)| {
                let is_person = column.role == ColumnRole::PersonKey;
                Field::new(&column.name, sql_type.arrow(), !is_person)
            })
            .collect();
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
        };
        let mut conversion = Conversion {
            table: &table.name,
            pseudonyms: self.pseudonyms,
            reference: self.manifest.reference_date,
        };
        let mut writes = self.writes;
        for batch in batches {
            let batch: Batch = batch?;
            let mut made = Vec::with_capacity(kept.len());
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
                            writes &= !checks.has_hits(&column.accept);
                        }
                    }
                }
                made.push(converted.column);
            }
            counted.personless += personless;
            writes &= counted.personless == 0;
            counted.rows += count(batch.rows);
            if writes {
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

/// Writes a table's files.
struct Parts<'j> {
    folder: &'j Path,
    table: &'j str,
    manifest: &'j Manifest,
    schema: SchemaRef,
    dataset_key: &'j KeyText,
    file_target: u64,
}

impl Parts<'_> {
    fn begin(&self, part: usize) -> Result<EncryptedFile<'_>, IngestError> {
        let name = layout::part_name(self.table, part);
        let place = FilePlace::new(&self.manifest.id, self.manifest.version, &name);
        let path = self.folder.join(&name);
        Ok(EncryptedFile::create(
            &path,
            Arc::clone(&self.schema),
            self.dataset_key,
            place,
        )?)
    }

    /// A table without rows gets a file without rows, so that its schema can be read.
    fn write(&self, batches: &Receiver<RecordBatch>) -> Result<Vec<FileEntry>, IngestError> {
        let mut entries = Vec::new();
        let mut file = self.begin(0)?;
        let mut rows = 0_usize;
        for batch in batches {
            // Looked at between batches only: a row group is split by the writer itself.
            if rows > 0 && file.bytes() >= self.file_target {
                entries.push(file.finish()?);
                file = self.begin(entries.len())?;
            }
            file.write(&batch)?;
            rows += batch.num_rows();
        }
        entries.push(file.finish()?);
        Ok(entries)
    }
}

/// The folder that an ingest works in; removed when dropped before [`Work::commit`].
struct Work {
    folder: PathBuf,
    parent: PathBuf,
    final_folder: PathBuf,
    is_committed: bool,
    /// Held until the end.
    _lock: File,
}

impl Work {
    fn begin(out: &Path, manifest: &Manifest) -> Result<Self, IngestError> {
        let final_folder = layout::version_folder(out, &manifest.id, manifest.version);
        let parent = out.join(manifest.id.as_str());
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| IngestError::Write { path, source }
        };
        fs::create_dir_all(&parent).map_err(failed(&parent))?;
        let lock_path = parent.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(IngestError::Busy { path: parent }),
            Err(TryLockError::Error(source)) => {
                return Err(IngestError::Write {
                    path: lock_path,
                    source,
                });
            }
        }
        // Under the lock: whoever made these is dead.
        for entry in fs::read_dir(&parent).map_err(failed(&parent))? {
            let entry = entry.map_err(failed(&parent))?;
            let path = entry.path();
            let is_stale = entry
                .file_name()
                .to_str()
                .is_some_and(|n| n.starts_with(WORK_PREFIX));
            if is_stale && path.is_dir() {
                fs::remove_dir_all(&path).map_err(failed(&path))?;
            }
        }
        if final_folder.exists() {
            return Err(IngestError::AlreadyThere { path: final_folder });
        }
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|_| IngestError::Randomness)?;
        let suffix = u64::from_be_bytes(random);
        let folder = parent.join(format!("{WORK_PREFIX}{}-{suffix:016x}", manifest.version));
        fs::create_dir(&folder).map_err(failed(&folder))?;
        Ok(Self {
            folder,
            parent,
            final_folder,
            is_committed: false,
            _lock: lock,
        })
    }

    /// Writes catalogue and wrapped keys, makes everything durable, and renames.
    fn commit(
        mut self,
        catalog: &DatasetCatalog,
        keys: &[WrappedKey],
    ) -> Result<PathBuf, IngestError> {
        self.write_json(layout::CATALOG, catalog)?;
        self.write_json(layout::WRAPPED_KEYS, keys)?;
        sync_folder(&self.folder)?;
        if self.final_folder.exists() {
            return Err(IngestError::AlreadyThere {
                path: self.final_folder.clone(),
            });
        }
        fs::rename(&self.folder, &self.final_folder).map_err(|source| IngestError::Write {
            path: self.final_folder.clone(),
            source,
        })?;
        self.is_committed = true;
        sync_folder(&self.parent)?;
        Ok(self.final_folder.clone())
    }

    fn write_json(&self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), IngestError> {
        let path = self.folder.join(name);
        let failed = |source| IngestError::Write {
            path: path.clone(),
            source,
        };
        let text =
            serde_json::to_vec_pretty(value).map_err(|error| failed(io::Error::other(error)))?;
        let mut file = File::create_new(&path).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        file.sync_all().map_err(failed)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.is_committed {
            // What can't be removed now is removed by the next ingest.
            let _left_for_the_next = fs::remove_dir_all(&self.folder);
        }
    }
}

fn sync_folder(path: &Path) -> Result<(), IngestError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| IngestError::Write {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use hpke::kem::DhP256HkdfSha256;
    use hpke::{Kem as _, Serializable as _};
    use kekkai_dataset::{read_metadata, unwrap_with_recovery};

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
            file_target: 1,
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
}
