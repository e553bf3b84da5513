//! What counting contributors costs: the engine against plain DataFusion, the same statements over the same
//! files, medians and their ratio.
//!
//! GiBleed, repeated `KEKKAI_BENCH_TIMES` times (default 10) with other persons each time.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use kekkai_engine::{Cancel, GrantedColumn, STACK_BYTES, Session, TableFile, TableSource, Terms};
use kekkai_types::{DatasetId, Digest};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const TABLES: &[&str] = &["person", "condition_occurrence", "measurement"];
const RUNS: usize = 7;
const THREADS: usize = 2;
const STATEMENTS: &[(&str, &str)] = &[
    ("count", "SELECT count(*) FROM condition_occurrence"),
    (
        "grouped count",
        "SELECT condition_concept_id, count(*) FROM condition_occurrence GROUP BY 1",
    ),
    (
        "grouped mean",
        "SELECT measurement_concept_id, count(*), avg(measurement_type_concept_id) FROM measurement GROUP BY 1",
    ),
    (
        "grouped by month",
        "SELECT date_trunc('month', condition_start_date), count(*), count(DISTINCT condition_concept_id) \
         FROM condition_occurrence GROUP BY 1",
    ),
    (
        "joined",
        "SELECT p.gender_concept_id, c.condition_concept_id, count(*), avg(p.year_of_birth) FROM person p \
         JOIN condition_occurrence c ON c.person_id = p.person_id GROUP BY 1, 2",
    ),
];

fn main() {
    let times: i64 = std::env::var("KEKKAI_BENCH_TIMES")
        .ok()
        .and_then(|times| times.parse().ok())
        .unwrap_or(10);
    let folder = tempfile::tempdir().unwrap();
    let mut rows = 0;
    for table in TABLES {
        rows += repeat(table, times, folder.path());
    }
    println!(
        "GiBleed x {times}: {rows} rows in {} tables, {THREADS} threads, median of {RUNS}",
        TABLES.len()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_stack_size(STACK_BYTES)
        .enable_time()
        .build()
        .unwrap();
    let session = Arc::new(session(folder.path()));
    let plain =
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(THREADS));
    runtime.block_on(async {
        for table in TABLES {
            let path = file(folder.path(), table);
            plain
                .register_parquet(
                    *table,
                    path.to_str().unwrap(),
                    ParquetReadOptions::default(),
                )
                .await
                .unwrap();
        }
    });
    println!(
        "{:<18} {:>12} {:>12} {:>8}",
        "statement", "engine ms", "plain ms", "ratio"
    );
    for (name, sql) in STATEMENTS {
        let engine = median(|| {
            let session = Arc::clone(&session);
            let work = runtime.spawn(async move { session.run(sql, &Cancel::new(), |_| {}).await });
            runtime.block_on(work).unwrap().unwrap();
        });
        let without = median(|| {
            let plain = plain.clone();
            let work = runtime.spawn(async move { plain.sql(sql).await?.collect().await });
            runtime.block_on(work).unwrap().unwrap();
        });
        println!(
            "{name:<18} {:>12.1} {:>12.1} {:>8.2}",
            engine.as_secs_f64() * 1e3,
            without.as_secs_f64() * 1e3,
            engine.as_secs_f64() / without.as_secs_f64()
        );
    }
}

fn median(mut run: impl FnMut()) -> Duration {
    run();
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

fn file(folder: &Path, table: &str) -> PathBuf {
    folder.join(format!("{table}.parquet"))
}

fn repeat(table: &str, times: i64, folder: &Path) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../tests/data/gibleed/{table}.parquet"));
    let batches: Vec<RecordBatch> =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap())
            .unwrap()
            .build()
            .unwrap()
            .map(Result::unwrap)
            .collect();
    let schema = batches[0].schema();
    let person = schema.index_of("person_id").unwrap();
    let mut writer = ArrowWriter::try_new(
        File::create(file(folder, table)).unwrap(),
        Arc::clone(&schema),
        None,
    )
    .unwrap();
    let mut rows = 0;
    for time in 0..times {
        for batch in &batches {
            let mut columns = batch.columns().to_vec();
            let shifted: Int64Array = columns[person]
                .as_primitive::<Int64Type>()
                .unary(|id| id + time * 1_000_000);
            columns[person] = Arc::new(shifted) as ArrayRef;
            writer
                .write(&RecordBatch::try_new(Arc::clone(&schema), columns).unwrap())
                .unwrap();
            rows += batch.num_rows();
        }
    }
    writer.close().unwrap();
    rows
}

fn session(folder: &Path) -> Session {
    let sources = TABLES
        .iter()
        .map(|table| {
            let file = File::open(file(folder, table)).unwrap();
            let schema = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap())
                .unwrap()
                .schema()
                .clone();
            TableSource {
                dataset: DatasetId::new("gibleed").unwrap(),
                version: 1,
                name: (*table).to_owned(),
                columns: schema
                    .fields()
                    .iter()
                    .map(|field| GrantedColumn {
                        name: field.name().clone(),
                        sql_type: None,
                    })
                    .collect(),
                person_key: Some("person_id".to_owned()),
                rows: Vec::new(),
                files: vec![TableFile {
                    file,
                    decryption: None,
                }],
            }
        })
        .collect();
    let terms = Terms {
        threshold: 10,
        dominance_permille: 500,
        policy: Digest::of(b"bench"),
        memory_limit_bytes: 2 << 30,
        threads: THREADS,
    };
    Session::new(terms, sources).unwrap()
}
