//! Sessions over GiBleed and over generated tables, for the tests beside this folder.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; not every test file uses every helper"
)]

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int64Type};
use arrow::ipc::reader::StreamReader;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_engine::{
    Answer, Cancel, GrantedColumn, Piece, STACK_BYTES, Sent, Session, Statement, Stopped,
    TableFile, TableSource, Terms,
};
use kekkai_output::{Cell, Table, Value};
use kekkai_types::{DatasetId, Digest};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::runtime::Handle;

pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(STACK_BYTES)
            .enable_time()
            .build()
            .unwrap()
    })
}

pub fn terms() -> Terms {
    Terms {
        threshold: 10,
        dominance_permille: 500,
        policy: Digest::of(b"test terms"),
        memory_limit_bytes: 512 << 20,
        threads: 2,
    }
}

pub fn gibleed_path(table: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/gibleed")
        .join(format!("{table}.parquet"))
}

pub const PERSON_TABLES: &[&str] = &[
    "person",
    "observation_period",
    "visit_occurrence",
    "condition_occurrence",
    "condition_era",
    "drug_exposure",
    "drug_era",
    "procedure_occurrence",
    "measurement",
    "observation",
];
pub const VOCABULARIES: &[&str] = &["concept", "concept_ancestor", "vocabulary"];

/// A table with all its columns granted but those in `without`.
pub fn source(
    dataset: &str,
    name: &str,
    file: File,
    person_key: Option<&str>,
    without: &[&str],
) -> TableSource {
    let schema = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap())
        .unwrap()
        .schema()
        .clone();
    TableSource {
        dataset: DatasetId::new(dataset).unwrap(),
        version: 1,
        name: name.to_owned(),
        columns: schema
            .fields()
            .iter()
            .filter(|field| !without.contains(&field.name().as_str()))
            .map(|field| GrantedColumn {
                name: field.name().clone(),
                sql_type: None,
            })
            .collect(),
        person_key: person_key.map(str::to_owned),
        rows: Vec::new(),
        files: vec![TableFile {
            file,
            decryption: None,
        }],
    }
}

pub fn gibleed_sources() -> Vec<TableSource> {
    let open = |name: &str| File::open(gibleed_path(name)).unwrap();
    PERSON_TABLES
        .iter()
        .map(|name| {
            source(
                "gibleed",
                name,
                open(name),
                Some("person_id"),
                &["person_source_value"],
            )
        })
        .chain(
            VOCABULARIES
                .iter()
                .map(|name| source("gibleed", name, open(name), None, &[])),
        )
        .collect()
}

pub fn gibleed() -> Arc<Session> {
    static SESSION: OnceLock<Arc<Session>> = OnceLock::new();
    SESSION
        .get_or_init(|| Arc::new(Session::new(terms(), gibleed_sources()).unwrap()))
        .clone()
}

/// The same data, read by nothing of the engine.
pub fn batches(table: &str) -> Vec<RecordBatch> {
    ParquetRecordBatchReaderBuilder::try_new(File::open(gibleed_path(table)).unwrap())
        .unwrap()
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

pub fn run_on(session: &Arc<Session>, sql: &str) -> Result<Table, SqlError> {
    answer_on(session, sql).map(|answer| answer.table)
}

/// The table and the persons behind it.
pub fn answer_on(session: &Arc<Session>, sql: &str) -> Result<Answer, SqlError> {
    let session = Arc::clone(session);
    let sql = sql.to_owned();
    let work = runtime().spawn(async move { session.run(&sql, &Cancel::new(), |_| {}).await });
    match runtime().block_on(work).unwrap() {
        Ok(answer) => {
            answer.table.check_shape().unwrap();
            Ok(answer)
        }
        Err(Stopped::Failed(error)) => Err(error),
        Err(Stopped::Cancelled) => panic!("nobody cancelled"),
    }
}

pub fn run(sql: &str) -> Table {
    run_on(&gibleed(), sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"))
}

pub fn refused(sql: &str) -> SqlError {
    match run_on(&gibleed(), sql) {
        Err(error) => error,
        Ok(table) => panic!("{sql}\nwas answered: {}", csv(&table)),
    }
}

pub fn code(sql: &str) -> SqlErrorCode {
    refused(sql).code
}

pub fn csv(table: &Table) -> String {
    String::from_utf8(table.released_csv()).unwrap()
}

/// A plain table in a temporary file that has no name any more.
pub fn plain_file(batch: &RecordBatch) -> File {
    let file = tempfile::tempfile().unwrap();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(1000))
        .build();
    let mut writer =
        ArrowWriter::try_new(file.try_clone().unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    file
}

pub fn int(cell: &Cell) -> i64 {
    match cell {
        Cell::Key(Value::Int(value))
        | Cell::Shown {
            value: Value::Int(value),
            ..
        } => *value,
        other => panic!("{other:?}"),
    }
}

pub fn float(cell: &Cell) -> f64 {
    match cell {
        Cell::Shown {
            value: Value::Float(value),
            ..
        } => *value,
        other => panic!("{other:?}"),
    }
}

/// A condition that exactly one person meets.
pub fn alone() -> &'static str {
    static ALONE: OnceLock<String> = OnceLock::new();
    ALONE.get_or_init(|| {
        let columns: Vec<Vec<i64>> = ["year_of_birth", "month_of_birth", "day_of_birth"]
            .iter()
            .map(|name| {
                integers("person", name)
                    .into_iter()
                    .map(Option::unwrap)
                    .collect()
            })
            .collect();
        let births: Vec<[i64; 3]> = (0..columns[0].len())
            .map(|i| [columns[0][i], columns[1][i], columns[2][i]])
            .collect();
        let [y, m, d] = births
            .iter()
            .find(|birth| births.iter().filter(|other| other == birth).count() == 1)
            .expect("somebody shares a birthday with nobody");
        format!("(year_of_birth = {y} AND month_of_birth = {m} AND day_of_birth = {d})")
    })
}

/// A column of a GiBleed table as integers.
pub fn integers(table: &str, column: &str) -> Vec<Option<i64>> {
    batches(table)
        .iter()
        .flat_map(|batch| {
            let column = batch.column_by_name(column).unwrap();
            let column = cast(column, &DataType::Int64).unwrap();
            column
                .as_primitive::<Int64Type>()
                .iter()
                .collect::<Vec<_>>()
        })
        .collect()
}

/// An answer to a program: its rows, put together from the pieces of its stream, and what was said of them.
pub struct Rows {
    pub batch: RecordBatch,
    pub sent: Sent,
    /// Bytes of the largest piece.
    pub largest: usize,
}

/// What a program asks and gets: rows as they are, or a statistic.
pub fn stream_on(
    session: &Arc<Session>,
    sql: &str,
    parameters: &[Value],
    rows: bool,
) -> Result<Rows, SqlError> {
    let session = Arc::clone(session);
    let statement = Statement {
        sql: sql.to_owned(),
        parameters: parameters.to_vec(),
    };
    let work = runtime().spawn(async move {
        let (out, mut pieces) = Session::pieces();
        let collecting = tokio::spawn(async move {
            let (mut began, mut bytes, mut largest) = (false, Vec::new(), 0);
            while let Some(piece) = pieces.recv().await {
                match piece {
                    Piece::Begin => began = true,
                    Piece::Bytes(buffers) => {
                        assert!(began, "nothing comes before the beginning");
                        let before = bytes.len();
                        for buffer in &buffers {
                            bytes.extend_from_slice(buffer);
                        }
                        largest = largest.max(bytes.len() - before);
                    }
                }
            }
            (bytes, largest)
        });
        let (compute, cancel) = (Handle::current(), Cancel::new());
        let sent = if rows {
            session
                .rows_on(&compute, statement, &cancel, |_| {}, out)
                .await
        } else {
            session
                .statistic_on(&compute, statement, &cancel, |_| {}, out)
                .await
        };
        sent.map(|sent| (sent, collecting))
    });
    let (sent, collecting) = match runtime().block_on(work).unwrap() {
        Ok(done) => done,
        Err(Stopped::Failed(error)) => return Err(error),
        Err(Stopped::Cancelled) => panic!("nobody cancelled"),
    };
    let (bytes, largest) = runtime().block_on(collecting).unwrap();
    let reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let batch = concat_batches(&schema, &batches).unwrap();
    assert_eq!(batch.num_rows() as u64, sent.rows, "{sql}");
    Ok(Rows {
        batch,
        sent,
        largest,
    })
}

pub fn rows(sql: &str, parameters: &[Value]) -> Rows {
    stream_on(&gibleed(), sql, parameters, true).unwrap_or_else(|error| panic!("{sql}\n{error:?}"))
}

pub fn rows_refused(sql: &str) -> SqlError {
    match stream_on(&gibleed(), sql, &[], true) {
        Err(error) => error,
        Ok(rows) => panic!("{sql}\nwas answered with {} rows", rows.sent.rows),
    }
}
