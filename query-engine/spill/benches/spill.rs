//! What sealing costs: sorts and aggregations that spill, sealed against plain, the same operators on the same
//! disk; medians and their ratio. Goal: at most 1.2.
//!
//! `KEKKAI_BENCH_ROWS` rows (default 4 million), a memory of 64 MiB.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::datasource::MemTable;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use kekkai_spill::{SharedMemory, Spill};

const MEMORY: usize = 64 << 20;
const DISK: u64 = 64 << 30;
const THREADS: usize = 2;
const RUNS: usize = 5;
const GOAL: f64 = 1.2;
const STATEMENTS: &[(&str, &str)] = &[
    ("sort", "SELECT * FROM t ORDER BY text, id"),
    (
        "aggregation",
        "SELECT text, count(*), sum(id) FROM t GROUP BY text",
    ),
];

fn main() {
    let rows: i64 = std::env::var("KEKKAI_BENCH_ROWS")
        .ok()
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(4_000_000);
    let table = table(rows);
    let folder = tempfile::tempdir().unwrap();
    println!(
        "{rows} rows, {THREADS} threads, {} MiB of memory, median of {RUNS}",
        MEMORY >> 20
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .build()
        .unwrap();
    for (name, sql) in STATEMENTS {
        let (mut plain, mut sealed, mut spilled) = (Vec::new(), Vec::new(), 0);
        // In turns: what else the machine does falls on both.
        for _ in 0..RUNS {
            let disk = DiskManagerBuilder::default()
                .with_mode(DiskManagerMode::Directories(vec![folder.path().to_owned()]))
                .with_max_temp_directory_size(DISK);
            plain.push(runtime.block_on(run(&context(disk, &table), sql)));
            let file = tempfile::tempfile_in(folder.path()).unwrap();
            let raw = file.try_clone().unwrap();
            let spill = Spill::new(file, DISK).unwrap();
            let disk = DiskManagerBuilder::default().with_temp_file_factory(Arc::new(spill));
            sealed.push(runtime.block_on(run(&context(disk, &table), sql)));
            spilled = raw.metadata().unwrap().len();
            assert!(spilled > 0, "{name} does not spill");
        }
        let (plain, sealed) = (median(&mut plain), median(&mut sealed));
        let ratio = sealed.as_secs_f64() / plain.as_secs_f64();
        let verdict = match ratio <= GOAL {
            true => "met".to_owned(),
            false => format!("missed by {:.2}", ratio - GOAL),
        };
        println!(
            "{name}: sealed {sealed:.2?}, plain {plain:.2?}, {} MiB on disk; ratio {ratio:.2}, goal {GOAL}: {verdict}",
            spilled >> 20
        );
    }
    assert!(is_empty(folder.path()), "something is left on disk");
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

fn table(rows: i64) -> Arc<MemTable> {
    let batch = |from: i64| {
        let ids: Vec<i64> = (from..(from + 8192).min(rows)).collect();
        let texts: Vec<String> = ids
            .iter()
            .map(|id| format!("{:09} a text of some length", id * 7919 % rows))
            .collect();
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(ids)) as _),
            ("text", Arc::new(StringArray::from(texts)) as _),
        ])
        .unwrap()
    };
    let batches: Vec<RecordBatch> = (0..rows).step_by(8192).map(batch).collect();
    let schema = batches[0].schema();
    let (left, right) = batches.split_at(batches.len() / 2);
    Arc::new(MemTable::try_new(schema, vec![left.to_vec(), right.to_vec()]).unwrap())
}

fn context(disk: DiskManagerBuilder, table: &Arc<MemTable>) -> SessionContext {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(SharedMemory::new(MEMORY)))
        .with_disk_manager_builder(disk.with_max_spill_merge_fan_in(8))
        .build_arc()
        .unwrap();
    let config = SessionConfig::new()
        .with_target_partitions(THREADS)
        .with_sort_spill_reservation_bytes(2 << 20);
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_table("t", table.clone()).unwrap();
    context
}

/// To the last row, keeping none.
async fn run(context: &SessionContext, sql: &str) -> Duration {
    let began = Instant::now();
    let mut rows = context
        .sql(sql)
        .await
        .unwrap()
        .execute_stream()
        .await
        .unwrap();
    while let Some(batch) = rows.next().await {
        batch.unwrap();
    }
    began.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
