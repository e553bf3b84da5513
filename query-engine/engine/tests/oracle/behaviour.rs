//! The `.slt` files: how the engine behaves, one subject for each file, written to be read.
//!
//! Files in `slt/rows` are asked as programs ask, those in `slt/statistics` as people ask, under a threshold of 10
//! persons and dominance of half. An error stands as `code at line:column "name" (names that were perhaps
//! meant)`; a suppressed cell is `*`. A first line `-- with 5, 'x', NULL` gives the values of `?`.
//!
//! `KEKKAI_SLT=write cargo test -p kekkai-engine --test oracle -- behaviour` writes what the engine answers into
//! the files: read the difference before you commit it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use kekkai_analysis_api::SqlError;
use kekkai_engine::Session;
use kekkai_output as output;
use sqllogictest::{
    DB, DBOutput, DefaultColumnType, Runner, default_normalizer, default_validator,
    strict_column_validator,
};

use crate::common::{plain_file, run_on, source, stream_on, terms};
use crate::compare::{Value, of_batch, of_table};

/// 1940-01-02.
const FIRST_BIRTH: i32 = -10_957;
/// 2024-01-01.
const FIRST_TEST: i32 = 19_723;
const PERSONS: i64 = 40;

/// The data of the files:
///
/// - `patients`: 40 persons, odd numbers are women; born 500 days after one another from 1941-05-16 on; wards A
///   (persons 1 to 15), B (to 35), C (5 persons: under the threshold);
/// - `labs`: for each person an HbA1c of 5.0 + number / 10 on the number's day of 2024 and, a week later, a CRP,
///   missing for every fifth;
/// - `claims`: 100 yen for each person, 100 000 for the first;
/// - `items`: the two tests, about nobody.
fn sources() -> Vec<kekkai_engine::TableSource> {
    let ids = || Arc::new((1..=PERSONS).collect::<Int64Array>()) as ArrayRef;
    let day = |n: i64| i32::try_from(n).unwrap();
    let texts = |of: &dyn Fn(i64) -> &'static str| -> ArrayRef {
        Arc::new((1..=PERSONS).map(|n| Some(of(n))).collect::<StringArray>())
    };
    let patients = RecordBatch::try_from_iter([
        ("person_id", ids()),
        ("sex", texts(&|n| if n % 2 == 1 { "F" } else { "M" })),
        (
            "born",
            Arc::new(
                (1..=PERSONS)
                    .map(|n| Some(FIRST_BIRTH + 500 * day(n)))
                    .collect::<Date32Array>(),
            ),
        ),
        (
            "ward",
            texts(&|n| match n {
                ..=15 => "A",
                16..=35 => "B",
                _ => "C",
            }),
        ),
    ]);
    let twice = || (1..=PERSONS).flat_map(|n| [(n, true), (n, false)]);
    let labs = RecordBatch::try_from_iter_with_nullable([
        (
            "person_id",
            Arc::new(twice().map(|(n, _)| n).collect::<Int64Array>()) as ArrayRef,
            false,
        ),
        (
            "item",
            Arc::new(
                twice()
                    .map(|(_, is_first)| Some(if is_first { "HbA1c" } else { "CRP" }))
                    .collect::<StringArray>(),
            ),
            true,
        ),
        (
            "day",
            Arc::new(
                twice()
                    .map(|(n, is_first)| Some(FIRST_TEST + day(n) + if is_first { 0 } else { 7 }))
                    .collect::<Date32Array>(),
            ),
            true,
        ),
        (
            "value",
            Arc::new(
                twice()
                    .map(|(n, is_first)| match is_first {
                        true => Some(5.0 + n as f64 / 10.0),
                        false => (n % 5 != 0).then_some(n as f64 / 4.0),
                    })
                    .collect::<Float64Array>(),
            ),
            true,
        ),
    ]);
    let claims = RecordBatch::try_from_iter([
        ("person_id", ids()),
        (
            "yen",
            Arc::new(
                (1..=PERSONS)
                    .map(|n| if n == 1 { 100_000 } else { 100 })
                    .collect::<Int64Array>(),
            ),
        ),
    ]);
    let items = RecordBatch::try_from_iter([
        (
            "item",
            Arc::new(StringArray::from(vec!["HbA1c", "CRP"])) as ArrayRef,
        ),
        (
            "name",
            Arc::new(StringArray::from(vec!["ヘモグロビンA1c", "C反応性蛋白"])),
        ),
    ]);
    [
        ("patients", patients, true),
        ("labs", labs, true),
        ("claims", claims, true),
        ("items", items, false),
    ]
    .into_iter()
    .map(|(name, batch, has_persons)| {
        let file = plain_file(&batch.unwrap());
        source(
            "clinic",
            name,
            file,
            has_persons.then_some("person_id"),
            &[],
        )
    })
    .collect()
}

/// A session as one file's reader has it.
struct Engine {
    session: Arc<Session>,
    rows: bool,
}

/// What the engine says against a statement.
#[derive(Debug)]
struct Refused(SqlError);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = &self.0;
        write!(f, "{}", error.code)?;
        if let Some((line, column)) = error.at {
            write!(f, " at {line}:{column}")?;
        }
        if !error.name.is_empty() {
            write!(f, " \"{}\"", error.name)?;
        }
        if !error.candidates.is_empty() {
            write!(f, " ({})", error.candidates.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// The values of a first line `-- with …`.
fn parameters(sql: &str) -> Vec<output::Value> {
    let Some(list) = sql
        .strip_prefix("-- with ")
        .and_then(|rest| rest.lines().next())
    else {
        return Vec::new();
    };
    list.split(", ")
        .map(|value| match value {
            "NULL" => output::Value::Null,
            "true" => output::Value::Bool(true),
            text if text.starts_with('\'') => {
                output::Value::Text(text.trim_matches('\'').to_owned())
            }
            number => match number.parse() {
                Ok(int) => output::Value::Int(int),
                Err(_) => output::Value::Float(number.parse().unwrap()),
            },
        })
        .collect()
}

impl DB for Engine {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let values = parameters(sql);
        let rows = if self.rows || !values.is_empty() {
            of_batch(
                &stream_on(&self.session, sql, &values, self.rows)
                    .map_err(Refused)?
                    .batch,
            )
        } else {
            of_table(&run_on(&self.session, sql).map_err(Refused)?)
        };
        let width = rows.first().map_or(0, Vec::len);
        let types = (0..width)
            .map(|column| {
                let kind = rows.iter().find_map(|row| match &row[column] {
                    Value::Null | Value::Nobody => None,
                    Value::Int(_) => Some(DefaultColumnType::Integer),
                    Value::Float(_) => Some(DefaultColumnType::FloatingPoint),
                    Value::Text(_) => Some(DefaultColumnType::Text),
                    Value::Bool(_) => Some(DefaultColumnType::Any),
                });
                kind.unwrap_or(DefaultColumnType::Any)
            })
            .collect();
        Ok(DBOutput::Rows {
            types,
            rows: rows
                .iter()
                .map(|row| row.iter().map(ToString::to_string).collect())
                .collect(),
        })
    }
}

fn files(purpose: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/slt")
        .join(purpose);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    files
}

fn run(purpose: &str) {
    let is_written = std::env::var("KEKKAI_SLT").is_ok_and(|what| what == "write");
    let files = files(purpose);
    assert!(files.len() >= 3, "{purpose}");
    for file in files {
        // A session of its own: temporary tables of one file are not there in another.
        let session = Arc::new(Session::new(terms(), sources()).unwrap());
        let rows = purpose == "rows";
        let mut runner = Runner::new(|| {
            let session = Arc::clone(&session);
            async move { Ok(Engine { session, rows }) }
        });
        runner.with_column_validator(strict_column_validator);
        if is_written {
            let writing = runner.update_test_file(
                &file,
                " ",
                default_validator,
                default_normalizer,
                strict_column_validator,
            );
            futures::executor::block_on(writing).unwrap();
        } else if let Err(error) = runner.run_file(&file) {
            panic!("{}", error.display(false));
        }
    }
}

#[test]
fn behaviour_of_statistics_is_as_written() {
    run("statistics");
}

#[test]
fn behaviour_of_rows_is_as_written() {
    run("rows");
}

#[test]
fn each_line_of_the_dialect_notes_names_a_file() {
    let notes = include_str!("../../DIALECT.md");
    let lines = notes
        .lines()
        .filter(|line| line.starts_with("| ") && !line.ends_with("| tested in |"));
    let mut named = 0;
    for line in lines {
        let file = line
            .rsplit_once("| `")
            .and_then(|(_, rest)| rest.strip_suffix("` |"))
            .unwrap_or_else(|| panic!("{line} names no file"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/slt")
            .join(file);
        assert!(path.exists(), "{file} is not there");
        named += 1;
    }
    assert!(named >= 20, "{named}");
}
