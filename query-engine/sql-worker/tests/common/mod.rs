//! The real worker in the real jail, for the tests beside this folder.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; not every test file uses every helper"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use kekkai_dataset::{EncryptedFile, FilePlace};
use kekkai_output as output;
use kekkai_sys::verify::verify_from_outside;
use kekkai_sys::{Child, JailSpec, ProcessKind, Spawner, memfd, scm};
use kekkai_types::{
    ColumnCatalog, ColumnRole, DatasetCatalog, DatasetId, Digest, JobId, KeyText, TableCatalog,
    Text,
};
use kekkai_worker_api::{
    AsyncReceiver, AsyncSender, FileKey, FromWorker, Load, PassedFile, ToWorker, broker_channel,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub const WORKER: &str = env!("CARGO_BIN_EXE_kekkai-sql-worker");
pub const LIMIT: Duration = Duration::from_secs(60);

pub struct Dataset {
    _folder: tempfile::TempDir,
    pub root: PathBuf,
    pub catalog: DatasetCatalog,
    pub key: KeyText,
}

/// A table to encrypt.
pub struct Table {
    pub name: String,
    /// Its key is `person_id`.
    pub has_persons: bool,
    pub batches: Vec<RecordBatch>,
}

/// GiBleed tables, encrypted as ingest does it.
pub fn dataset(tables: &[(&str, bool)]) -> Dataset {
    let read = |(table, has_persons): &(&str, bool)| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../tests/data/gibleed/{table}.parquet"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        Table {
            name: (*table).to_owned(),
            has_persons: *has_persons,
            batches: reader.build().unwrap().map(Result::unwrap).collect(),
        }
    };
    encrypted(tables.iter().map(read).collect())
}

/// Tables, encrypted as ingest does it.
pub fn encrypted(tables: Vec<Table>) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let key = KeyText::random().unwrap();
    let id = DatasetId::new("gibleed").unwrap();
    let mut catalogs = Vec::new();
    for table in tables {
        let schema = table.batches[0].schema();
        let rows = table.batches.iter().map(|b| b.num_rows() as u64).sum();
        let name = format!("{}/part-00000.parquet", table.name);
        let path = root.join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let place = FilePlace::new(&id, 1, &name);
        let mut file = EncryptedFile::create(&path, schema.clone(), &key, place).unwrap();
        for batch in table.batches {
            file.write(&batch).unwrap();
        }
        let entry = file.finish().unwrap();
        catalogs.push(TableCatalog {
            name: table.name,
            description: Text::default(),
            person_key: table.has_persons.then(|| "person_id".to_owned()),
            columns: schema
                .fields()
                .iter()
                .map(|field| ColumnCatalog {
                    name: field.name().clone(),
                    sql_type: sql_type(field.data_type()).to_owned(),
                    role: ColumnRole::Value,
                    description: Text::default(),
                })
                .collect(),
            files: vec![entry],
            rows,
        });
    }
    Dataset {
        _folder: folder,
        root,
        catalog: DatasetCatalog {
            id,
            version: 1,
            title: Text::default(),
            description: Text::default(),
            tables: catalogs,
        },
        key,
    }
}

pub fn sql_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int64 | DataType::Int32 => "bigint",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 => "text",
        DataType::Boolean => "boolean",
        DataType::Date32 => "date",
        DataType::Timestamp(_, _) => "timestamp",
        other => panic!("{other}"),
    }
}

pub struct Worker {
    pub child: Child,
    pub sender: AsyncSender,
    pub receiver: AsyncReceiver,
    pub log: std::io::PipeReader,
    pub jobs: u32,
}

pub async fn start() -> Worker {
    let spawner = Spawner::start().unwrap();
    let mut file = File::open(WORKER).unwrap();
    let image = memfd::seal("sql-worker", &mut file, 1 << 31, |_| ()).unwrap();
    let spec = JailSpec {
        kind: ProcessKind::SqlWorker,
        memory_mib: 2048,
        waived: BTreeSet::new(),
    };
    let (ours, theirs) = scm::stream_pair().unwrap();
    let (log, log_end) = std::io::pipe().unwrap();
    let mut args = vec!["kekkai-sql-worker".to_owned()];
    args.extend(spec.to_args());
    let none = BTreeSet::new();
    let child = spawner
        .spawn(
            spec.kind,
            image.as_fd(),
            &args,
            theirs,
            OwnedFd::from(log_end),
            &none,
        )
        .unwrap();
    let (sender, mut receiver) = broker_channel::<ToWorker, FromWorker>(ours).unwrap();
    let Some(FromWorker::Jailed { layers }) = receive(&mut receiver).await else {
        panic!("not jailed: {}", text(log));
    };
    assert_eq!(layers.len(), 8, "{layers:?}");
    verify_from_outside(child.pid(), ProcessKind::SqlWorker, &none).unwrap();
    Worker {
        child,
        sender,
        receiver,
        log,
        jobs: 0,
    }
}

pub fn text(mut log: std::io::PipeReader) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    text
}

pub async fn receive(receiver: &mut AsyncReceiver) -> Option<FromWorker> {
    tokio::time::timeout(LIMIT, receiver.receive())
        .await
        .unwrap()
        .unwrap()
}

pub fn load_message(dataset: &Dataset) -> (Load, Vec<File>) {
    let mut files = Vec::new();
    let mut open = Vec::new();
    for table in &dataset.catalog.tables {
        for entry in &table.files {
            files.push(PassedFile {
                dataset: dataset.catalog.id.clone(),
                table: table.name.clone(),
                name: entry.name.clone(),
                bytes: entry.bytes,
            });
            open.push(File::open(dataset.root.join(&entry.name)).unwrap());
        }
    }
    let load = Load {
        conditions: Vec::new(),
        catalogs: vec![dataset.catalog.clone()],
        files,
        keys: vec![FileKey {
            dataset: dataset.catalog.id.clone(),
            version: 1,
            key: dataset.key.duplicate(),
        }],
        threshold: 10,
        dominance_permille: 500,
        policy: Digest::of(b"terms"),
        memory_limit_mib: 512,
        threads: 2,
        spill_bytes_max: None,
    };
    (load, open)
}

impl Worker {
    pub async fn load(&mut self, load: Load, files: &[File]) -> FromWorker {
        let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        self.sender
            .send(&ToWorker::Load(Box::new(load)), &fds)
            .await
            .unwrap();
        receive(&mut self.receiver).await.unwrap()
    }

    pub async fn start(&mut self, sql: &str) -> JobId {
        self.jobs += 1;
        let job = JobId::new(self.jobs.to_string()).unwrap();
        let query = ToWorker::Query {
            job: job.clone(),
            sql: sql.to_owned(),
        };
        self.sender.send(&query, &[]).await.unwrap();
        job
    }

    /// The answer to the only job, past its progress.
    pub async fn answer(&mut self) -> FromWorker {
        loop {
            match receive(&mut self.receiver).await {
                Some(FromWorker::Progress { .. }) => {}
                Some(other) => return other,
                None => panic!("the worker is gone"),
            }
        }
    }

    pub async fn run(&mut self, sql: &str) -> output::Table {
        let job = self.start(sql).await;
        match self.answer().await {
            FromWorker::Done { job: of, table, .. } if of == job => *table,
            other => panic!("{sql}: {other:?}"),
        }
    }
}

pub fn on_runtime<F: Future<Output = ()>>(f: F) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(f);
}
