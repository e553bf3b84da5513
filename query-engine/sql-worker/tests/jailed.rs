//! The real worker in the real jail, over encrypted files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arrow::datatypes::DataType;
use kekkai_analysis_api::SqlErrorCode;
use kekkai_dataset::{EncryptedFile, FilePlace};
use kekkai_output::{Cell, Suppression, Table, Value};
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

const WORKER: &str = env!("CARGO_BIN_EXE_kekkai-sql-worker");
const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "KEKKAI-SENTINEL-7f3a";

struct Dataset {
    _folder: tempfile::TempDir,
    root: PathBuf,
    catalog: DatasetCatalog,
    key: KeyText,
}

/// GiBleed tables, encrypted as ingest does it.
fn dataset(tables: &[(&str, bool)]) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let key = KeyText::random().unwrap();
    let id = DatasetId::new("gibleed").unwrap();
    let mut catalogs = Vec::new();
    for (table, has_persons) in tables {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../tests/data/gibleed/{table}.parquet"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let schema = reader.schema().clone();
        let rows = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap();
        let name = format!("{table}/part-00000.parquet");
        let path = root.join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let place = FilePlace::new(&id, 1, &name);
        let mut file = EncryptedFile::create(&path, schema.clone(), &key, place).unwrap();
        for batch in reader.build().unwrap() {
            file.write(&batch.unwrap()).unwrap();
        }
        let entry = file.finish().unwrap();
        catalogs.push(TableCatalog {
            name: (*table).to_owned(),
            description: Text::default(),
            person_key: has_persons.then(|| "person_id".to_owned()),
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

fn sql_type(data_type: &DataType) -> &'static str {
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

struct Worker {
    child: Child,
    sender: AsyncSender,
    receiver: AsyncReceiver,
    log: std::io::PipeReader,
    jobs: u32,
}

async fn start() -> Worker {
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
        .spawn(spec.kind, image.as_fd(), &args, theirs, OwnedFd::from(log_end), &none)
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

fn text(mut log: std::io::PipeReader) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    text
}

async fn receive(receiver: &mut AsyncReceiver) -> Option<FromWorker> {
    tokio::time::timeout(LIMIT, receiver.receive())
        .await
        .unwrap()
        .unwrap()
}

fn load_message(dataset: &Dataset) -> (Load, Vec<File>) {
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
    };
    (load, open)
}

impl Worker {
    async fn load(&mut self, load: Load, files: &[File]) -> FromWorker {
        let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        self.sender
            .send(&ToWorker::Load(Box::new(load)), &fds)
            .await
            .unwrap();
        receive(&mut self.receiver).await.unwrap()
    }

    async fn start(&mut self, sql: &str) -> JobId {
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
    async fn answer(&mut self) -> FromWorker {
        loop {
            match receive(&mut self.receiver).await {
                Some(FromWorker::Progress { .. }) => {}
                Some(other) => return other,
                None => panic!("the worker is gone"),
            }
        }
    }

    async fn run(&mut self, sql: &str) -> Table {
        let job = self.start(sql).await;
        match self.answer().await {
            FromWorker::Done { job: of, table } if of == job => *table,
            other => panic!("{sql}: {other:?}"),
        }
    }
}

fn on_runtime<F: Future<Output = ()>>(f: F) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(f);
}

#[test]
fn jailed_worker_answers_over_encrypted_files() {
    on_runtime(async {
        let dataset = dataset(&[
            ("person", true),
            ("condition_occurrence", true),
            ("concept", false),
        ]);
        let mut worker = start().await;
        let (load, files) = load_message(&dataset);
        assert!(matches!(
            worker.load(load, &files).await,
            FromWorker::Loaded
        ));
        drop(files);

        let table = worker
            .run("SELECT count(*), count(DISTINCT person_id) FROM person")
            .await;
        assert!(matches!(
            table.rows[0][0],
            Cell::Shown {
                value: Value::Int(2694),
                ..
            }
        ));
        let table = worker
            .run(
                "SELECT c.concept_name, count(*) AS n, avg(2020 - p.year_of_birth) FROM condition_occurrence o \
                 JOIN person p ON p.person_id = o.person_id JOIN concept c ON c.concept_id = o.condition_concept_id \
                 GROUP BY 1 ORDER BY n DESC LIMIT 5",
            )
            .await;
        assert_eq!(table.rows.len(), 5);
        assert_eq!(
            table.lineage.datasets,
            vec![(dataset.catalog.id.clone(), 1)]
        );
        assert_eq!(table.lineage.policy, Digest::of(b"terms"));
        let alone = worker
            .run("SELECT count(*) FROM person WHERE year_of_birth = 1700")
            .await;
        assert_eq!(alone.rows[0][0], Cell::Suppressed(Suppression::Threshold));

        for (sql, code) in [
            ("SELECT * FROM person", SqlErrorCode::RowsNotAllowed),
            ("COPY person TO '/tmp/x'", SqlErrorCode::StatementNotAllowed),
            (
                "SELECT count(*) FROM '/etc/passwd'",
                SqlErrorCode::TableUnknown,
            ),
            (
                "SELECT count(*) FROM read_parquet('/etc/passwd')",
                SqlErrorCode::FunctionNotAllowed,
            ),
            (SECRET, SqlErrorCode::Syntax),
        ] {
            worker.start(sql).await;
            match worker.answer().await {
                FromWorker::Failed { error, .. } => assert_eq!(error.code, code, "{sql}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
        // Dropping the channel ends the worker.
        let Worker {
            mut child,
            sender,
            receiver,
            log,
            ..
        } = worker;
        drop((sender, receiver));
        assert!(child.wait_ended(LIMIT));
        let exit = child.reap();
        assert_eq!(exit, kekkai_sys::Exit::Code(0));
        assert_eq!(text(log), "", "a worker that knows data prints nothing");
    });
}

#[test]
fn long_query_stops_within_a_second_and_reports_progress() {
    on_runtime(async {
        let dataset = dataset(&[
            ("person", true),
            ("condition_occurrence", true),
            ("drug_exposure", true),
        ]);
        let mut worker = start().await;
        let (load, files) = load_message(&dataset);
        assert!(matches!(
            worker.load(load, &files).await,
            FromWorker::Loaded
        ));
        // Nearly every pair matches; no pair does.
        for sql in [
            "SELECT count(*) FROM condition_occurrence a JOIN drug_exposure b ON a.condition_concept_id <> b.drug_concept_id",
            "SELECT count(*) FROM condition_occurrence a JOIN drug_exposure b ON a.condition_concept_id > b.drug_concept_id + 1000000000000",
        ] {
            let job = worker.start(sql).await;
            let mut reports = 0;
            let began = Instant::now();
            while reports < 3 {
                match receive(&mut worker.receiver).await.unwrap() {
                    FromWorker::Progress {
                        rows_read,
                        rows_total,
                        job: of,
                    } => {
                        assert_eq!(of, job);
                        assert!(rows_read <= rows_total && rows_total == 65_332 + 67_707);
                        reports += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(
                began.elapsed() >= Duration::from_millis(450),
                "more than four reports a second"
            );
            // Another job runs meanwhile.
            worker.start("SELECT count(*) FROM person").await;
            loop {
                match receive(&mut worker.receiver).await.unwrap() {
                    FromWorker::Progress { .. } => {}
                    FromWorker::Done { table, .. } => {
                        assert!(matches!(
                            table.rows[0][0],
                            Cell::Shown {
                                value: Value::Int(2694),
                                ..
                            }
                        ));
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
            let asked = Instant::now();
            worker
                .sender
                .send(&ToWorker::Cancel { job: job.clone() }, &[])
                .await
                .unwrap();
            match worker.answer().await {
                FromWorker::Cancelled { job: of } => assert_eq!(of, job),
                other => panic!("{other:?}"),
            }
            assert!(
                asked.elapsed() < Duration::from_secs(1),
                "{:?}",
                asked.elapsed()
            );
        }
        // And the worker is of use still.
        let asked = Instant::now();
        let table = worker.run("SELECT count(*) FROM person").await;
        assert!(matches!(table.rows[0][0], Cell::Shown { .. }));
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "abandoned work goes on"
        );
        worker.child.kill().unwrap();
    });
}

#[test]
fn what_is_not_the_catalogues_does_not_load() {
    on_runtime(async {
        let dataset = dataset(&[("person", true), ("visit_occurrence", true)]);
        type Change = fn(&Dataset, &mut Load, &mut Vec<File>);
        let changes: [(&str, Change); 8] = [
            ("another key", |_, load, _| {
                load.keys[0].key = KeyText::random().unwrap()
            }),
            ("no key", |_, load, _| load.keys.clear()),
            ("two files swapped", |_, _, files| files.swap(0, 1)),
            ("a plain file", |_, load, files| {
                let plain = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("../../tests/data/gibleed/person.parquet");
                files[0] = File::open(plain).unwrap();
                let bytes = files[0].metadata().unwrap().len();
                load.files[0].bytes = bytes;
                load.catalogs[0].tables[0].files[0].bytes = bytes;
            }),
            ("a file fewer", |_, load, files| {
                load.files.pop();
                files.pop();
            }),
            ("a descriptor fewer", |_, _, files| drop(files.pop())),
            ("another type", |_, load, _| {
                load.catalogs[0].tables[0].columns[0].sql_type = "text".to_owned()
            }),
            ("a file of another version", |_, load, _| {
                load.catalogs[0].version = 2;
                load.keys[0].version = 2;
            }),
        ];
        for (what, change) in changes {
            let mut worker = start().await;
            let (mut load, mut files) = load_message(&dataset);
            change(&dataset, &mut load, &mut files);
            match worker.load(load, &files).await {
                FromWorker::LoadFailed { reason } => assert!(!reason.is_empty(), "{what}"),
                other => panic!("{what}: {other:?}"),
            }
        }
    });
}

#[test]
fn worker_without_its_jail_reads_nothing() {
    // Started by hand it is not the first of its namespaces: it ends before it looks at any socket.
    let output = std::process::Command::new(WORKER)
        .arg("--memory-mib=512")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("namespaces"), "{said}");
    let output = std::process::Command::new(WORKER)
        .arg("--help")
        .output()
        .unwrap();
    assert!(!output.status.success());
}
