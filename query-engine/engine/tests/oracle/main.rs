//! Answers equal DuckDB's over the same data, in plain.
//!
//! Generated queries, the 22 of TPC-H, and those that people write over OMOP CDM and over Japanese claims, each
//! run by the engine and by DuckDB (PyPI, in an environment that the test makes); and the `.slt` files beside
//! this folder, which say how the engine behaves where it is not like another.
//!
//! `KEKKAI_SEED=… cargo test -p kekkai-engine --test oracle` replays generated queries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "a test fails by panicking; its numbers are small"
)]

mod behaviour;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod data;
mod duck;
mod field;
mod generate;
mod temporary;
mod tpch;

use std::sync::Arc;

use common::{run_on, stream_on};
use compare::{Value, difference, of_batch, of_table};
use data::{Random, Tables};
use duck::Duck;
use generate::{Generator, Query};
use kekkai_engine::Session;

/// Generated for either purpose.
const QUERIES: usize = 400;
/// Of these, so many have rows to compare; the others are equal in having none.
const COMPARED_MIN: usize = 250;

/// Seeds of every run; `KEKKAI_SEED` names another.
fn seed() -> u64 {
    match std::env::var("KEKKAI_SEED") {
        Ok(seed) => seed.parse().expect("KEKKAI_SEED is a number"),
        Err(_) => 20_261_122,
    }
}

/// What the engine answers a program, or what it says against it.
fn sent(session: &Arc<Session>, sql: &str) -> Result<Vec<Vec<Value>>, String> {
    stream_on(session, sql, &[], true)
        .map(|rows| of_batch(&rows.batch))
        .map_err(|error| format!("{error:?}"))
}

/// What the engine shows of a statistic, or what it says against it.
fn shown(session: &Arc<Session>, sql: &str) -> Result<Vec<Vec<Value>>, String> {
    run_on(session, sql)
        .map(|table| of_table(&table))
        .map_err(|error| format!("{error:?}"))
}

/// Runs queries on both sides; every one must be answered, and equally. Gives how many had rows.
fn compare_all(
    duck: &mut Duck,
    queries: &[Query],
    ours: impl Fn(&str) -> Result<Vec<Vec<Value>>, String>,
) -> usize {
    let mut wrong = Vec::new();
    let mut with_rows = 0;
    for query in queries {
        let theirs = match duck.answer(&query.theirs()) {
            Ok(rows) => rows,
            Err(error) => {
                wrong.push(format!("{}\nDuckDB: {error}", query.ours));
                continue;
            }
        };
        with_rows += usize::from(!theirs.is_empty());
        match ours(&query.ours) {
            Ok(ours) => {
                if let Some(what) = difference(&ours, &theirs, query.is_ordered) {
                    wrong.push(format!("{}\n{what}", query.ours));
                }
            }
            Err(error) => wrong.push(format!("{}\nrefused: {error}", query.ours)),
        }
    }
    assert!(
        wrong.is_empty(),
        "KEKKAI_SEED={}: {} of {}:\n{}",
        seed(),
        wrong.len(),
        queries.len(),
        wrong[..wrong.len().min(12)].join("\n\n")
    );
    with_rows
}

#[test]
fn generated_statistics_equal_duckdbs() {
    let mut random = Random::new(seed());
    let tables = Tables::new(seed());
    let session = tables.session();
    let mut duck = Duck::new(tables.paths());
    let queries: Vec<Query> = (0..QUERIES)
        .map(|_| Generator::new(&mut random).statistics())
        .collect();
    let with_rows = compare_all(&mut duck, &queries, |sql| shown(&session, sql));
    println!("{} statistics, {with_rows} with rows", queries.len());
    assert!(with_rows >= COMPARED_MIN, "too few say anything");
}

#[test]
fn generated_rows_equal_duckdbs() {
    let mut random = Random::new(seed() ^ 1);
    let tables = Tables::new(seed());
    let session = tables.session();
    let mut duck = Duck::new(tables.paths());
    let queries: Vec<Query> = (0..QUERIES)
        .map(|_| Generator::new(&mut random).rows())
        .collect();
    let with_rows = compare_all(&mut duck, &queries, |sql| sent(&session, sql));
    println!("{} queries for rows, {with_rows} with rows", queries.len());
    assert!(with_rows >= COMPARED_MIN, "too few say anything");
}
