//! Time and memory as tables grow, and how soon the first rows of a scan come.
//!
//! `measurement` of 10^6, 10^7 and 10^8 rows, encrypted, 50 rows a person; up to `KEKKAI_ROWS` (default 10^8). The
//! files are made once and kept: the largest has about 1 GB. Goals: time and peak memory grow no faster than rows,
//! memory stays under the session's bound, the first rows come within 100 ms.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a benchmark fails by panicking; its numbers are small"
)]

mod common;
#[path = "../tests/oracle/tpch/data.rs"]
#[allow(dead_code, reason = "only the folder is of use here")]
mod data;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use common::{
    Encrypted, MEMORY_BYTES, by_statistic, layout, load, median, ms, setting, statistic,
    to_first_rows, verdict,
};
use data::made_once;
use kekkai_analysis_api::SqlErrorCode;
use kekkai_engine::{Session, Stopped};

const FILE: &str = "measurement.parquet";
const SIZES: [usize; 3] = [1_000_000, 10_000_000, 100_000_000];
const ROWS_PER_PERSON: usize = 50;
const BATCH_ROWS: usize = 64 * 1024;
const CONCEPTS: usize = 200;
const RUNS: usize = 3;
const FIRST_ROWS_GOAL_MS: f64 = 100.0;
/// The time and memory of ten times the rows, over those of the rows.
const GROWTH_GOAL: f64 = 10.0;

const STATEMENTS: [(&str, &str); 4] = [
    (
        "grouped mean",
        "SELECT measurement_concept_id, count(*), avg(value_as_number) FROM measurement GROUP BY 1",
    ),
    (
        "by month",
        "SELECT date_trunc('month', measurement_date), count(*), count(DISTINCT measurement_concept_id) \
         FROM measurement GROUP BY 1",
    ),
    (
        "persons",
        "SELECT measurement_concept_id, count(DISTINCT person_id) FROM measurement GROUP BY 1",
    ),
    (
        "filtered",
        "SELECT count(*), avg(value_as_number) FROM measurement \
         WHERE measurement_concept_id = 3000007 AND value_as_number > 50",
    ),
];

/// Names the rows and the statement that a process of its own measures: what one statement leaves in the
/// allocator is not counted to the next.
const ONE: &str = "KEKKAI_BENCH_ONE";

fn main() {
    if let Ok(one) = std::env::var(ONE) {
        let (rows, at) = one.split_once(' ').unwrap();
        return measure(rows.parse().unwrap(), at.parse().unwrap());
    }
    let rows_max = setting("KEKKAI_ROWS", 100_000_000);
    println!(
        "measurement, {} MiB for queries, median of {RUNS}, load {}",
        MEMORY_BYTES >> 20,
        load()
    );
    println!(
        "{:>11} {:<14} {:>11} {:>8} {:>10} {:>8}",
        "rows", "statement", "ms", "x before", "peak MiB", "x before"
    );
    let mut before: Vec<Option<Figures>> = Vec::new();
    let (mut grown, mut peak) = (0.0_f64, 0.0_f64);
    for rows in SIZES.into_iter().filter(|rows| *rows <= rows_max) {
        folder(rows);
        let mut now = Vec::new();
        for (at, (name, _)) in STATEMENTS.into_iter().enumerate() {
            let Some(figures) = in_a_process_of_its_own(rows, at) else {
                println!("{rows:>11} {name:<14} fails: its memory is not enough");
                peak = f64::INFINITY;
                now.push(None);
                continue;
            };
            let [time, memory] = match before.get(at) {
                Some(Some(before)) => {
                    let time = figures.ms / before.ms;
                    let memory = figures.peak_mib / before.peak_mib;
                    grown = grown.max(time).max(memory);
                    [format!("{time:.1}"), format!("{memory:.1}")]
                }
                _ => ["-".to_owned(), "-".to_owned()],
            };
            peak = peak.max(figures.peak_mib);
            println!(
                "{rows:>11} {name:<14} {:>11.1} {time:>8} {:>10.1} {memory:>8}",
                figures.ms, figures.peak_mib
            );
            now.push(Some(figures));
        }
        let first = median(&{
            let session = session(rows);
            [(); RUNS].map(|()| to_first_rows(&session, "SELECT * FROM measurement"))
        });
        println!(
            "{rows:>11} {:<14} {:>11.1} {}",
            "first rows",
            ms(first),
            verdict(ms(first), FIRST_ROWS_GOAL_MS)
        );
        before = now;
    }
    println!(
        "ten times the rows: at most {grown:.1} times the time or memory, {}",
        verdict(grown, GROWTH_GOAL)
    );
    let share = peak / mib(MEMORY_BYTES as u64);
    println!(
        "peak memory / the session's {share:.2}, {}; load {}",
        verdict(share, 1.0),
        load()
    );
}

/// What a statement takes.
struct Figures {
    ms: f64,
    /// Above what the process had before: what the session's pool counts, and what it doesn't.
    peak_mib: f64,
}

/// `None` where the session's memory is not enough.
fn in_a_process_of_its_own(rows: usize, at: usize) -> Option<Figures> {
    let output = Command::new(std::env::current_exe().unwrap())
        .env(ONE, format!("{rows} {at}"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    let (ms, peak) = text.trim().split_once(' ')?;
    Some(Figures {
        ms: ms.parse().unwrap(),
        peak_mib: peak.parse().unwrap(),
    })
}

fn measure(rows: usize, at: usize) {
    let session = session(rows);
    let (_, sql) = STATEMENTS[at];
    let before = status_bytes("VmRSS:");
    match statistic(&session, sql) {
        Err(Stopped::Failed(error)) if error.code == SqlErrorCode::Memory => return,
        done => done.unwrap(),
    };
    let times = [(); RUNS].map(|()| by_statistic(&session, sql));
    let peak = status_bytes("VmHWM:").saturating_sub(before);
    println!("{} {}", ms(median(&times)), mib(peak));
}

fn session(rows: usize) -> Arc<Session> {
    let file = folder(rows).join(FILE);
    let source = common::source("measurement", Some("person_id"), &file);
    common::session(vec![source], MEMORY_BYTES)
}

/// Where a table of so many rows is; it is made if there is none yet.
fn folder(rows: usize) -> PathBuf {
    made_once(
        &format!("bench-measurement-{rows}-{}", layout()),
        |folder| {
            write(rows, &folder.join(FILE));
        },
    )
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// Rows as an ingested dataset has them: sorted by persons, whose pseudonyms are texts of 32 digits.
fn write(rows: usize, path: &Path) {
    let fields = [
        ("measurement_id", DataType::Int64),
        ("person_id", DataType::Utf8),
        ("measurement_concept_id", DataType::Int64),
        ("measurement_date", DataType::Date32),
        ("value_as_number", DataType::Float64),
        ("visit_occurrence_id", DataType::Int64),
    ];
    let fields: Vec<Field> = fields
        .into_iter()
        .map(|(name, data_type)| Field::new(name, data_type, true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let mut file = Encrypted::create(path, &schema, true);
    let mut state = 1_u64;
    let mut below = move |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    for start in (0..rows).step_by(BATCH_ROWS) {
        let range = start..rows.min(start + BATCH_ROWS);
        let person = |row: usize| row / ROWS_PER_PERSON;
        let pseudonym =
            |row: usize| format!("{:032x}", (person(row) as u128 + 1) * 0x9E37_79B9_7F4A_7C15);
        let columns: [ArrayRef; 6] = [
            Arc::new(Int64Array::from_iter_values(
                range.clone().map(|row| row as i64),
            )),
            Arc::new(StringArray::from_iter_values(range.clone().map(pseudonym))),
            Arc::new(Int64Array::from_iter_values(
                range.clone().map(|_| 3_000_000 + below(CONCEPTS) as i64),
            )),
            // Ten years from 2015-01-01.
            Arc::new(Date32Array::from_iter_values(
                range.clone().map(|_| 16_436 + below(3_650) as i32),
            )),
            Arc::new(Float64Array::from_iter_values(
                range.clone().map(|_| below(10_000) as f64 / 100.0),
            )),
            Arc::new(Int64Array::from_iter_values(
                range.clone().map(|row| row as i64 / 10),
            )),
        ];
        let numbers = UInt32Array::from_iter_values(range.map(|row| person(row) as u32));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into()).unwrap();
        file.write(&batch, Some(numbers));
    }
    file.close();
}
