//! Encrypted files laid out as those of a dataset, the sides that read them, and how figures are told.
#![allow(dead_code, reason = "not every bench uses every helper")]

use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::config::ConfigFileDecryptionProperties;
use datafusion::error::DataFusionError;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use kekkai_dataset::plain_writer_properties;
use kekkai_engine::{
    Cancel, GrantedColumn, Piece, STACK_BYTES, Session, Spill, Statement, Stopped, TableFile,
    TableSource, Terms,
};
use kekkai_types::{DatasetId, Digest, PERSON_NUMBER_COLUMN};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::WriterProperties;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of every side.
pub(crate) const THREADS: usize = 2;
/// Memory of a session's queries.
pub(crate) const MEMORY_BYTES: usize = 2 << 30;
/// Disk of a session's queries.
const SPILL_BYTES: u64 = 8 << 30;
/// The files are for benches: their key is no secret. As long as those of datasets.
const KEY: [u8; 32] = *b"the key of files made by a bench";

/// What all sides run on.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_stack_size(STACK_BYTES)
            .enable_time()
            .build()
            .unwrap()
    })
}

/// A number that a variable of the environment sets.
pub(crate) fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => match text.parse() {
            Ok(value) => value,
            Err(_) => panic!("{name} is no number"),
        },
        Err(_) => default,
    }
}

/// A name that changes with the layout of dataset files: kept files of another are not read.
pub(crate) fn layout() -> String {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", plain_writer_properties().build()).hash(&mut hasher);
    format!("{:08x}", hasher.finish() >> 32)
}

/// A file that is being written as those of a dataset are: their layout, one key of 256 bits for everything
/// in it, and the numbers of its persons in a column of their own.
pub(crate) struct Encrypted {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
}

impl Encrypted {
    pub(crate) fn create(path: &Path, schema: &Schema, has_persons: bool) -> Self {
        let encryption = FileEncryptionProperties::builder(KEY.to_vec())
            .build()
            .unwrap();
        let properties = plain_writer_properties()
            .with_file_encryption_properties(encryption)
            .build();
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        if has_persons {
            let number = Field::new(PERSON_NUMBER_COLUMN, DataType::UInt32, false);
            fields.push(Arc::new(number));
        }
        let schema = Arc::new(Schema::new(fields));
        let file = File::create(path).unwrap();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).unwrap();
        Self { writer, schema }
    }

    /// `persons`: the number of each row's person.
    pub(crate) fn write(&mut self, batch: &RecordBatch, persons: Option<UInt32Array>) {
        let mut columns = batch.columns().to_vec();
        columns.extend(persons.map(|numbers| Arc::new(numbers) as ArrayRef));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).unwrap();
        self.writer.write(&batch).unwrap();
    }

    pub(crate) fn close(self) {
        self.writer.close().unwrap();
    }
}

/// Parquet as DataFusion writes it when nothing is said: `COPY … TO` has these properties.
pub(crate) fn plain_properties() -> WriterProperties {
    use parquet::basic::{Compression, ZstdLevel};
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))
        .set_max_row_group_row_count(Some(1024 * 1024))
        .build()
}

/// What opens an encrypted file.
pub(crate) fn decryption() -> Arc<FileDecryptionProperties> {
    FileDecryptionProperties::builder(KEY.to_vec())
        .build()
        .unwrap()
}

/// All columns of an encrypted file but the hidden one.
pub(crate) fn source(name: &str, person_key: Option<&str>, path: &Path) -> TableSource {
    let file = File::open(path).unwrap();
    let options = ArrowReaderOptions::new().with_file_decryption_properties(decryption());
    let schema =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file.try_clone().unwrap(), options)
            .unwrap()
            .schema()
            .clone();
    TableSource {
        dataset: DatasetId::new("bench").unwrap(),
        version: 1,
        name: name.to_owned(),
        columns: schema
            .fields()
            .iter()
            .filter(|field| field.name() != PERSON_NUMBER_COLUMN)
            .map(|field| GrantedColumn {
                name: field.name().clone(),
                sql_type: None,
            })
            .collect(),
        person_key: person_key.map(str::to_owned),
        rows: Vec::new(),
        files: vec![TableFile {
            file,
            decryption: Some(decryption()),
        }],
    }
}

/// A session as a worker has it: with memory, and a disk to spill to.
pub(crate) fn session(sources: Vec<TableSource>, memory_bytes: usize) -> Arc<Session> {
    let terms = Terms {
        threshold: 10,
        dominance_permille: 500,
        policy: Digest::of(b"bench"),
        memory_limit_bytes: memory_bytes,
        threads: THREADS,
    };
    let spill = Spill::new(tempfile::tempfile().unwrap(), SPILL_BYTES).unwrap();
    Arc::new(Session::with_spill(terms, sources, Some(spill)).unwrap())
}

/// DataFusion as it is, over files of which all or none are encrypted.
pub(crate) fn datafusion<'a>(
    tables: impl IntoIterator<Item = (&'a str, std::path::PathBuf)>,
    is_encrypted: bool,
) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(THREADS);
    let context = SessionContext::new_with_config(config);
    for (name, path) in tables {
        let extension = format!(".{}", path.extension().unwrap().to_str().unwrap());
        let mut options = ParquetReadOptions {
            file_extension: &extension,
            ..ParquetReadOptions::default()
        };
        if is_encrypted {
            let decryption = ConfigFileDecryptionProperties::try_from(&decryption()).unwrap();
            options = options.file_decryption_properties(decryption);
        }
        let registering = context.register_parquet(name, path.to_str().unwrap(), options);
        runtime().block_on(registering).unwrap();
    }
    context
}

/// Runs a statement by DataFusion to its last row. Gives the time and the rows.
pub(crate) fn by_datafusion(context: &SessionContext, sql: &str) -> (Duration, usize) {
    let (context, sql) = (context.clone(), sql.to_owned());
    let began = Instant::now();
    let work = runtime().spawn(async move {
        let mut batches = context.sql(&sql).await?.execute_stream().await?;
        let mut rows = 0;
        while let Some(batch) = batches.next().await {
            rows += batch?.num_rows();
        }
        Ok::<_, DataFusionError>(rows)
    });
    let rows = runtime().block_on(work).unwrap().unwrap();
    (began.elapsed(), rows)
}

/// Runs a statement by a session for its rows, to the last piece. Gives the time and the rows.
pub(crate) fn by_rows(session: &Arc<Session>, sql: &str) -> (Duration, usize) {
    let (session, statement) = (Arc::clone(session), statement(sql));
    let began = Instant::now();
    let work = runtime().spawn(async move {
        let (out, mut pieces) = Session::pieces();
        let taking = tokio::spawn(async move {
            while let Some(piece) = pieces.recv().await {
                std::hint::black_box(piece);
            }
        });
        let (compute, cancel) = (Handle::current(), Cancel::new());
        let sent = session
            .rows_on(&compute, statement, &cancel, |_| {}, out)
            .await
            .unwrap();
        taking.await.unwrap();
        sent.rows
    });
    let rows = runtime().block_on(work).unwrap();
    (began.elapsed(), usize::try_from(rows).unwrap())
}

/// The time until a statement's first rows come; then it is stopped.
pub(crate) fn to_first_rows(session: &Arc<Session>, sql: &str) -> Duration {
    let (session, statement) = (Arc::clone(session), statement(sql));
    let began = Instant::now();
    let work = runtime().spawn(async move {
        let (out, mut pieces) = Session::pieces();
        let sending = tokio::spawn(async move {
            let (compute, cancel) = (Handle::current(), Cancel::new());
            session
                .rows_on(&compute, statement, &cancel, |_| {}, out)
                .await
        });
        let took = loop {
            match pieces.recv().await {
                Some(Piece::Begin) => {}
                // The schema and the first rows come together.
                Some(Piece::Bytes(_)) => break began.elapsed(),
                None => panic!("{:?}", sending.await),
            }
        };
        drop(pieces);
        assert_eq!(sending.await.unwrap(), Err(Stopped::Cancelled));
        took
    });
    runtime().block_on(work).unwrap()
}

fn statement(sql: &str) -> Statement {
    Statement {
        sql: sql.to_owned(),
        parameters: Vec::new(),
    }
}

/// Runs a statistic by a session, with the contributors of every cell.
pub(crate) fn by_statistic(session: &Arc<Session>, sql: &str) -> Duration {
    statistic(session, sql).unwrap()
}

/// As [`by_statistic`], where the statement may fail.
pub(crate) fn statistic(session: &Arc<Session>, sql: &str) -> Result<Duration, Stopped> {
    let (session, sql) = (Arc::clone(session), sql.to_owned());
    let began = Instant::now();
    let work = runtime().spawn(async move { session.run(&sql, &Cancel::new(), |_| {}).await });
    let answer = runtime().block_on(work).unwrap()?;
    assert!(!answer.table.rows.is_empty(), "nothing is shown");
    Ok(began.elapsed())
}

pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What is to be said of a figure that may be at most `goal`.
pub(crate) fn verdict(figure: f64, goal: f64) -> String {
    match figure <= goal {
        true => format!("goal {goal}: kept"),
        false => format!("goal {goal}: missed by {:.2}", figure - goal),
    }
}

/// What else the machine does: the mean number of threads that want a processor, of the last minute.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
