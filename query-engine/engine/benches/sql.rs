//! What counting contributors costs: grouped statistics with the persons of every cell, beside the same statements
//! without them (a session's rows) and beside plain DataFusion, all over the same encrypted files.
//!
//! GiBleed, repeated `KEKKAI_BENCH_TIMES` times (default 40) with other persons each time, sorted by persons as
//! ingest sorts it. Goal: at most 1.5 times plain DataFusion.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::Int64Type;
use common::{
    Encrypted, MEMORY_BYTES, THREADS, by_datafusion, by_rows, by_statistic, datafusion, load,
    median, ms, session, setting, source, verdict,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const TABLES: [&str; 3] = ["person", "condition_occurrence", "measurement"];
const ROUNDS: usize = 9;
const GOAL: f64 = 1.5;
/// Between the persons of one repetition and of the next.
const SHIFT: i64 = 1_000_000;
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
    let times: i64 = setting("KEKKAI_BENCH_TIMES", 40);
    let folder = tempfile::tempdir().unwrap();
    let path = |table: &str| folder.path().join(format!("{table}.encrypted"));
    let persons = persons();
    let rows: usize = TABLES
        .iter()
        .map(|table| repeat(table, times, &persons, &path(table)))
        .sum();
    println!(
        "GiBleed x {times}: {rows} rows in {} tables, {THREADS} threads, median of {ROUNDS} in turns, load {}; ms",
        TABLES.len(),
        load()
    );
    let sources = TABLES.map(|table| source(table, Some("person_id"), &path(table)));
    let ours = session(sources.into(), MEMORY_BYTES);
    let plain = datafusion(TABLES.map(|table| (table, path(table))), true);
    println!(
        "{:<18} {:>12} {:>10} {:>11} {:>11} {:>11}",
        "statement", "contributors", "without", "DataFusion", "/ without", "/ DataFus."
    );
    let mut sums = [Duration::ZERO; 3];
    for (name, sql) in STATEMENTS {
        let sides: [&dyn Fn() -> Duration; 3] = [
            &|| by_statistic(&ours, sql),
            &|| by_rows(&ours, sql).0,
            &|| by_datafusion(&plain, sql).0,
        ];
        sides.iter().for_each(|run| {
            run();
        });
        let mut times: [Vec<Duration>; 3] = Default::default();
        for round in 0..ROUNDS {
            for turn in 0..sides.len() {
                let side = (round + turn) % sides.len();
                times[side].push(sides[side]());
            }
        }
        let medians = times.map(|times| median(&times));
        row(name, &medians);
        for (sum, median) in sums.iter_mut().zip(medians) {
            *sum += median;
        }
    }
    row("sum", &sums);
    let ratio = ms(sums[0]) / ms(sums[2]);
    println!(
        "with contributors / plain DataFusion {ratio:.2}, {}; load {}",
        verdict(ratio, GOAL),
        load()
    );
}

fn row(name: &str, times: &[Duration; 3]) {
    let [with, without, plain] = times.map(ms);
    println!(
        "{name:<18} {with:>12.1} {without:>10.1} {plain:>11.1} {:>11.2} {:>11.2}",
        with / without,
        with / plain
    );
}

fn gibleed(table: &str) -> Vec<RecordBatch> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../tests/data/gibleed/{table}.parquet"));
    ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap())
        .unwrap()
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn person_ids(batch: &RecordBatch) -> &arrow::array::Int64Array {
    batch.column_by_name("person_id").unwrap().as_primitive()
}

/// The number of each person of one repetition.
fn persons() -> BTreeMap<i64, u32> {
    let mut persons = BTreeMap::new();
    for batch in gibleed("person") {
        persons.extend(person_ids(&batch).values().iter().map(|id| (*id, 0)));
    }
    for (number, place) in (0..).zip(persons.values_mut()) {
        *place = number;
    }
    persons
}

fn repeat(table: &str, times: i64, persons: &BTreeMap<i64, u32>, path: &Path) -> usize {
    let batches = gibleed(table);
    let schema = batches[0].schema();
    let person = schema.index_of("person_id").unwrap();
    let all = u32::try_from(persons.len()).unwrap();
    let batches = concat_batches(&schema, &batches).unwrap();
    let numbers: UInt32Array = person_ids(&batches).unary(|id| persons[&id]);
    let order = sort_to_indices(&numbers, None, None).unwrap();
    let batches = [take_record_batch(&batches, &order).unwrap()];
    let mut file = Encrypted::create(path, &schema, true);
    let mut rows = 0;
    for (before, time) in (0..).zip(0..times) {
        for batch in &batches {
            let ids = person_ids(batch);
            let numbers = ids.unary(|id| persons[&id] + before * all);
            let shifted = ids.unary::<_, Int64Type>(|id| id + time * SHIFT);
            let mut columns = batch.columns().to_vec();
            columns[person] = Arc::new(shifted) as ArrayRef;
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
            file.write(&batch, Some(numbers));
            rows += batch.num_rows();
        }
    }
    file.close();
    rows
}
