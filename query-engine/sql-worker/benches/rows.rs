//! SQL to a program, the sender's side: the jailed worker reads encrypted files and writes rows into a pipe that a
//! thread empties, beside a `memcpy` of the same bytes and a pipe that only passes them on.
//!
//! Three columns of floats, `KEKKAI_BENCH_ROWS` rows (default 4 Mi): as laboratories give them (two decimals,
//! they compress) and random (they don't), of a table about nobody and of one about persons. The worker's own
//! processor time stands beside: other work on the machine doesn't change it. And the time until a scan's first
//! rows are there: at most 100 ms.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::{PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use common::{Table, Worker, encrypted, load_message, on_runtime, start};
use kekkai_types::JobId;
use kekkai_worker_api::{FromWorker, ToWorker};
use nix::fcntl::{FcntlArg, fcntl};

const RUNS: usize = 5;
const BATCH_ROWS: usize = 64 * 1024;
/// Rows of one person, as they follow one another in a table of measurements.
const ROWS_PER_PERSON: usize = 50;
const PIPE_BYTES: i32 = 1024 * 1024;
/// Of a scan: more than a screen shows, and more than the stream's own beginning.
const FIRST_BYTES: usize = 64 * 1024;
const FIRST_ROWS_GOAL: Duration = Duration::from_millis(100);

fn main() {
    let rows: usize = std::env::var("KEKKAI_BENCH_ROWS")
        .ok()
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(4 << 20);
    let bytes = rows * 24;
    println!(
        "{rows} rows of three floats, {} MB, median of {RUNS}",
        bytes >> 20
    );
    report("memcpy", bytes, memcpy(bytes));
    report("pipe alone", bytes, pipe_alone(bytes));
    let tables = [
        ("rounded", false, false),
        ("random", true, false),
        ("rounded_of_persons", false, true),
        ("random_of_persons", true, true),
    ];
    let tables: Vec<Table> = tables
        .into_iter()
        .map(|(name, random, persons)| table(name, rows, random, persons))
        .collect();
    on_runtime(async move {
        let names: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
        let dataset = encrypted(tables);
        let mut worker = start().await;
        let (load, files) = load_message(&dataset);
        assert!(matches!(
            worker.load(load, &files).await,
            FromWorker::Loaded { .. }
        ));
        for name in names {
            let mut times = Vec::new();
            let before = processor_time(worker.child.pid());
            for _ in 0..RUNS {
                times.push(stream(&mut worker, &name, rows).await);
            }
            let used = processor_time(worker.child.pid()) - before;
            report(&name, bytes, median(times));
            let per_run = used / u32::try_from(RUNS).unwrap();
            report("  in the worker", bytes, per_run);
            let mut firsts = Vec::new();
            for _ in 0..RUNS {
                firsts.push(first_rows(&mut worker, &name).await);
            }
            let first = median(firsts);
            println!(
                "  first rows         {:>8.1} ms, goal {} ms: {}",
                first.as_secs_f64() * 1e3,
                FIRST_ROWS_GOAL.as_millis(),
                match first.checked_sub(FIRST_ROWS_GOAL) {
                    None | Some(Duration::ZERO) => "kept".to_owned(),
                    Some(over) => format!("missed by {:.1} ms", over.as_secs_f64() * 1e3),
                }
            );
        }
        worker.child.kill().unwrap();
    });
}

fn report(what: &str, bytes: usize, time: Duration) {
    let megabytes = bytes as f64 / 1e6 / time.as_secs_f64();
    println!(
        "{what:<20} {:>8.1} ms {megabytes:>8.0} MB/s",
        time.as_secs_f64() * 1e3
    );
}

/// What a process has used of processors so far.
fn processor_time(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = |at: usize| fields.split(' ').nth(at).unwrap().parse::<u64>().unwrap();
    // `utime` and `stime`, in hundredths of a second on every Linux of today.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn memcpy(bytes: usize) -> Duration {
    let from = vec![7_u8; bytes];
    let mut to = vec![0_u8; bytes];
    median(
        (0..RUNS)
            .map(|_| {
                let began = Instant::now();
                to.copy_from_slice(std::hint::black_box(&from));
                std::hint::black_box(&mut to);
                began.elapsed()
            })
            .collect(),
    )
}

fn pipe() -> (PipeReader, std::io::PipeWriter) {
    let (reading, writing) = std::io::pipe().unwrap();
    fcntl(&writing, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).unwrap();
    (reading, writing)
}

/// Empties a pipe; gives the bytes.
fn empty(mut reading: PipeReader) -> usize {
    let mut piece = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match reading.read(&mut piece).unwrap() {
            0 => return bytes,
            n => bytes += n,
        }
    }
}

fn pipe_alone(bytes: usize) -> Duration {
    let piece = vec![7_u8; 1 << 20];
    median(
        (0..RUNS)
            .map(|_| {
                let (reading, mut writing) = pipe();
                let began = Instant::now();
                let emptying = std::thread::spawn(move || empty(reading));
                for _ in 0..bytes >> 20 {
                    writing.write_all(&piece).unwrap();
                }
                drop(writing);
                emptying.join().unwrap();
                began.elapsed()
            })
            .collect(),
    )
}

/// Asks for rows; gives the end of the pipe that they come out of.
async fn ask(worker: &mut Worker, sql: String) -> PipeReader {
    let (reading, writing) = pipe();
    let message = ToWorker::Rows {
        job: JobId::new("1.1").unwrap(),
        sql,
        parameters: Vec::new(),
        rows: true,
        rows_max: None,
    };
    worker
        .sender
        .send(&message, &[writing.as_fd()])
        .await
        .unwrap();
    reading
}

async fn stream(worker: &mut Worker, table: &str, rows: usize) -> Duration {
    let began = Instant::now();
    let reading = ask(worker, format!("SELECT a, b, c FROM {table}")).await;
    let bytes = tokio::task::spawn_blocking(move || empty(reading))
        .await
        .unwrap();
    let took = began.elapsed();
    assert!(bytes > rows * 24);
    assert!(matches!(
        worker.answer().await,
        FromWorker::RowsBegin { .. }
    ));
    match worker.answer().await {
        FromWorker::RowsDone { rows: sent, .. } => assert_eq!(sent, rows as u64),
        other => panic!("{other:?}"),
    }
    took
}

/// The time until a scan's first rows come; then nobody reads any more.
async fn first_rows(worker: &mut Worker, table: &str) -> Duration {
    let began = Instant::now();
    let mut reading = ask(worker, format!("SELECT * FROM {table}")).await;
    let took = tokio::task::spawn_blocking(move || {
        reading.read_exact(&mut [0; FIRST_BYTES]).unwrap();
        began.elapsed()
    })
    .await
    .unwrap();
    assert!(matches!(
        worker.answer().await,
        FromWorker::RowsBegin { .. }
    ));
    let end = worker.answer().await;
    assert!(matches!(end, FromWorker::Cancelled { .. }), "{end:?}");
    took
}

fn table(name: &str, rows: usize, random: bool, persons: bool) -> Table {
    let mut state = 1_u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut batches = Vec::new();
    for start in (0..rows).step_by(BATCH_ROWS) {
        let len = BATCH_ROWS.min(rows - start);
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        if persons {
            let keys: StringArray = (start..start + len)
                .map(|row| {
                    Some(format!(
                        "{:032x}",
                        (row / ROWS_PER_PERSON) as u128 * 0x9E37_79B9_7F4A_7C15
                    ))
                })
                .collect();
            columns.push(("person_id", Arc::new(keys)));
        }
        for column in ["a", "b", "c"] {
            let values: Float64Array = (0..len)
                .map(|_| match random {
                    true => next() * 1e3,
                    false => (next() * 1e4).round() / 100.0,
                })
                .collect();
            columns.push((column, Arc::new(values)));
        }
        batches.push(RecordBatch::try_from_iter(columns).unwrap());
    }
    Table {
        name: name.to_owned(),
        has_persons: persons,
        batches,
    }
}
