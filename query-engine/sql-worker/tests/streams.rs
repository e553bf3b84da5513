//! Rows for programs, from the real worker in the real jail, through real pipes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use common::{Worker, dataset, load_message, on_runtime, receive, start};
use kekkai_analysis_api::SqlErrorCode;
use kekkai_output::Value;
use kekkai_types::JobId;
use kekkai_worker_api::{FromWorker, ToWorker};

const CONDITIONS: u64 = 65_332;
/// Rows without end: 4.4 thousand million.
const ENDLESS: &str = "SELECT a.condition_occurrence_id, b.drug_exposure_id FROM condition_occurrence a CROSS JOIN drug_exposure b";
const SECOND: Duration = Duration::from_secs(1);

async fn loaded() -> Worker {
    let data = dataset(&[
        ("person", true),
        ("condition_occurrence", true),
        ("drug_exposure", true),
        ("concept", false),
    ]);
    let mut worker = start().await;
    let (load, files) = load_message(&data);
    assert!(matches!(
        worker.load(load, &files).await,
        FromWorker::Loaded { .. }
    ));
    worker
}

/// Asks for rows, or for a statistic, and gives the reading end of the pipe.
async fn ask(
    worker: &mut Worker,
    job: &str,
    sql: &str,
    parameters: Vec<Value>,
    rows: bool,
) -> (JobId, PipeReader) {
    let job = JobId::new(job).unwrap();
    let (reading, writing) = std::io::pipe().unwrap();
    let message = ToWorker::Rows {
        job: job.clone(),
        sql: sql.to_owned(),
        parameters,
        rows,
        rows_max: None,
    };
    worker
        .sender
        .send(&message, &[writing.as_fd()])
        .await
        .unwrap();
    (job, reading)
}

/// Reads a pipe to its end beside the conversation.
fn drain(mut pipe: PipeReader) -> tokio::task::JoinHandle<Vec<u8>> {
    tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn parse(bytes: &[u8]) -> RecordBatch {
    let reader = StreamReader::try_new(bytes, None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// The stream of a statement, whole.
async fn whole(
    worker: &mut Worker,
    sql: &str,
    parameters: Vec<Value>,
    rows: bool,
) -> (RecordBatch, Option<u64>) {
    let (job, pipe) = ask(worker, "9.1", sql, parameters, rows).await;
    let bytes = drain(pipe);
    match worker.answer().await {
        FromWorker::RowsBegin { job: of } => assert_eq!(of, job),
        other => panic!("{sql}: {other:?}"),
    }
    let FromWorker::RowsDone {
        job: of,
        rows,
        persons,
    } = worker.answer().await
    else {
        panic!("{sql}");
    };
    assert_eq!(of, job);
    let batch = parse(&bytes.await.unwrap());
    assert_eq!(batch.num_rows() as u64, rows);
    (batch, persons)
}

/// Memory of a process, in MiB.
fn resident_mib(pid: impl std::fmt::Display) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[test]
fn rows_arrive_whole_with_their_parameters_and_persons() {
    on_runtime(async {
        let mut worker = loaded().await;
        let (batch, persons) = whole(
            &mut worker,
            "SELECT condition_occurrence_id, person_id, condition_start_date FROM condition_occurrence",
            Vec::new(),
            true,
        )
        .await;
        assert_eq!(batch.num_rows() as u64, CONDITIONS);
        let ids = batch.column(0).as_primitive::<Int64Type>().values();
        let distinct: std::collections::BTreeSet<i64> = ids.iter().copied().collect();
        assert_eq!(distinct.len() as u64, CONDITIONS);
        let people: std::collections::BTreeSet<i64> = batch
            .column(1)
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .copied()
            .collect();
        assert_eq!(persons, Some(people.len() as u64));

        let (batch, persons) = whole(
            &mut worker,
            "SELECT c.person_id, n.concept_name FROM condition_occurrence c JOIN concept n \
             ON n.concept_id = c.condition_concept_id WHERE c.condition_concept_id = ? AND n.concept_name = ?",
            vec![Value::Int(40_481_087), Value::Text("Viral sinusitis".into())],
            true,
        )
        .await;
        assert!(batch.num_rows() > 1000 && persons > Some(1000) && persons < Some(2694));
        // Nothing comes of a statement without rows but its columns.
        let none = "SELECT person_id FROM person WHERE person_id = ?";
        let (batch, persons) = whole(&mut worker, none, vec![Value::Int(-1)], true).await;
        assert_eq!(
            (batch.num_rows(), batch.num_columns(), persons),
            (0, 1, Some(0))
        );
        worker.child.kill().unwrap();
    });
}

#[test]
fn statistic_is_suppressed_as_on_the_console() {
    on_runtime(async {
        let mut worker = loaded().await;
        let sql = "SELECT year_of_birth, count(*) AS n FROM person WHERE gender_source_value = ? GROUP BY 1 ORDER BY 1";
        let (batch, persons) = whole(&mut worker, sql, vec![Value::Text("F".into())], false).await;
        assert_eq!(persons, None);
        let table = worker.run(&sql.replace('?', "'F'")).await;
        assert_eq!(batch.num_rows(), table.rows.len());
        let counts = batch.column(1).as_primitive::<Int64Type>();
        assert!(counts.iter().all(|n| n.is_some_and(|n| n >= 10)));
        let sql =
            "SELECT count(*) AS n, avg(year_of_birth) AS y FROM person WHERE year_of_birth = ?";
        let (batch, _) = whole(&mut worker, sql, vec![Value::Int(1700)], false).await;
        assert_eq!(
            (batch.column(0).null_count(), batch.column(1).null_count()),
            (1, 1)
        );
        worker.child.kill().unwrap();
    });
}

#[test]
fn refused_statement_writes_nothing() {
    on_runtime(async {
        let mut worker = loaded().await;
        let session_end = [
            ("SELECT * FROM death", true, SqlErrorCode::TableUnknown),
            (
                "SELECT array_agg(person_id) FROM person",
                true,
                SqlErrorCode::FunctionNotAllowed,
            ),
            (
                "SELECT person_id FROM person WHERE person_id = ?",
                true,
                SqlErrorCode::Parameters,
            ),
            (
                "SELECT INTERVAL '1 day' FROM person",
                true,
                SqlErrorCode::Type,
            ),
            (
                "COPY person TO '/tmp/x'",
                true,
                SqlErrorCode::StatementNotAllowed,
            ),
            // Rows where a statistic was asked for.
            (
                "SELECT person_id FROM person",
                false,
                SqlErrorCode::RowsNotAllowed,
            ),
            (
                "SELECT max(year_of_birth) FROM person",
                false,
                SqlErrorCode::FunctionNotAllowed,
            ),
        ];
        for (sql, rows, code) in session_end {
            let (job, pipe) = ask(&mut worker, "1.1", sql, Vec::new(), rows).await;
            match worker.answer().await {
                FromWorker::Failed { job: of, error } => {
                    assert_eq!((of, error.code), (job, code), "{sql}")
                }
                other => panic!("{sql}: {other:?}"),
            }
            assert_eq!(drain(pipe).await.unwrap(), b"", "{sql}");
        }
        worker.child.kill().unwrap();
    });
}

#[test]
fn failure_in_the_middle_leaves_a_stream_without_an_end() {
    on_runtime(async {
        let mut worker = loaded().await;
        let sql = "SELECT condition_occurrence_id, CASE WHEN condition_occurrence_id = ? THEN 1 / (person_id - person_id) END AS x \
                   FROM condition_occurrence";
        let (ids, _) = whole(
            &mut worker,
            "SELECT max(condition_occurrence_id) AS id FROM condition_occurrence",
            Vec::new(),
            true,
        )
        .await;
        let last = ids.column(0).as_primitive::<Int64Type>().value(0);
        let (job, pipe) = ask(&mut worker, "1.1", sql, vec![Value::Int(last)], true).await;
        let bytes = drain(pipe);
        assert!(matches!(
            worker.answer().await,
            FromWorker::RowsBegin { .. }
        ));
        match worker.answer().await {
            FromWorker::Failed { job: of, error } => {
                assert_eq!((of, error.code), (job, SqlErrorCode::Evaluation));
            }
            other => panic!("{other:?}"),
        }
        let bytes = bytes.await.unwrap();
        let end_of_stream = [255, 255, 255, 255, 0, 0, 0, 0];
        assert!(!bytes.ends_with(&end_of_stream));
        worker.child.kill().unwrap();
    });
}

#[test]
fn reader_that_stops_holds_nothing_else_and_no_memory() {
    on_runtime(async {
        let mut worker = loaded().await;
        let (endless, stalled) = ask(&mut worker, "1.1", ENDLESS, Vec::new(), true).await;
        assert!(matches!(
            worker.answer().await,
            FromWorker::RowsBegin { .. }
        ));
        tokio::time::sleep(SECOND).await;
        let before = resident_mib(worker.child.pid());
        // Nobody reads: other statements of either kind go on.
        let began = Instant::now();
        let table = worker.run("SELECT count(*) FROM person").await;
        assert_eq!(table.rows.len(), 1);
        let (batch, _) = whole(
            &mut worker,
            "SELECT person_id FROM person",
            Vec::new(),
            true,
        )
        .await;
        assert_eq!(batch.num_rows(), 2694);
        assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
        tokio::time::sleep(SECOND).await;
        let after = resident_mib(worker.child.pid());
        assert!(after < before + 64, "{before} MiB, then {after} MiB");
        // And it can be stopped.
        let asked = Instant::now();
        let cancel = ToWorker::Cancel {
            job: endless.clone(),
        };
        worker.sender.send(&cancel, &[]).await.unwrap();
        match worker.answer().await {
            FromWorker::Cancelled { job } => assert_eq!(job, endless),
            other => panic!("{other:?}"),
        }
        assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
        let rest = drain(stalled).await.unwrap();
        assert!(rest.len() < 1 << 20, "the pipe is closed");
        worker.child.kill().unwrap();
    });
}

#[test]
fn stream_in_full_flow_is_cancelled_within_a_second_in_bounded_memory() {
    on_runtime(async {
        let mut worker = loaded().await;
        let (job, mut pipe) = ask(&mut worker, "1.1", ENDLESS, Vec::new(), true).await;
        let reading = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; 1 << 16];
            let mut bytes = 0;
            loop {
                match pipe.read(&mut piece).unwrap() {
                    0 => return bytes,
                    n => bytes += n,
                }
            }
        });
        assert!(matches!(
            worker.answer().await,
            FromWorker::RowsBegin { .. }
        ));
        let mut peak = 0;
        for _ in 0..8 {
            tokio::time::sleep(SECOND / 4).await;
            peak = peak.max(resident_mib(worker.child.pid()));
        }
        let asked = Instant::now();
        worker
            .sender
            .send(&ToWorker::Cancel { job }, &[])
            .await
            .unwrap();
        assert!(matches!(
            worker.answer().await,
            FromWorker::Cancelled { .. }
        ));
        assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
        let bytes = reading.await.unwrap();
        // More than what may wait on the way.
        assert!(bytes > 16 << 20, "{bytes} bytes in two seconds");
        assert!(peak < 300, "{peak} MiB");
        worker.child.kill().unwrap();
    });
}

#[test]
fn reader_that_goes_away_ends_its_statement_only() {
    on_runtime(async {
        let mut worker = loaded().await;
        let (job, pipe) = ask(&mut worker, "1.1", ENDLESS, Vec::new(), true).await;
        assert!(matches!(
            worker.answer().await,
            FromWorker::RowsBegin { .. }
        ));
        drop(pipe);
        match worker.answer().await {
            FromWorker::Cancelled { job: of } => assert_eq!(of, job),
            other => panic!("{other:?}"),
        }
        let (batch, _) = whole(
            &mut worker,
            "SELECT person_id FROM person",
            Vec::new(),
            true,
        )
        .await;
        assert_eq!(batch.num_rows(), 2694);
        worker.child.kill().unwrap();
    });
}

#[test]
fn two_streams_at_once_do_not_mix() {
    on_runtime(async {
        let mut worker = loaded().await;
        let cases = [
            (
                "1.1",
                "SELECT condition_occurrence_id FROM condition_occurrence",
            ),
            (
                "2.1",
                "SELECT drug_exposure_id, person_id FROM drug_exposure",
            ),
        ];
        let mut streams = BTreeMap::new();
        for (job, sql) in cases {
            let (job, pipe) = ask(&mut worker, job, sql, Vec::new(), true).await;
            streams.insert(job.to_string(), drain(pipe));
        }
        let mut done = BTreeMap::new();
        while done.len() < 2 {
            match receive(&mut worker.receiver).await.unwrap() {
                FromWorker::RowsBegin { .. } | FromWorker::Progress { .. } => {}
                FromWorker::RowsDone { job, rows, .. } => drop(done.insert(job.to_string(), rows)),
                other => panic!("{other:?}"),
            }
        }
        for ((job, columns), rows) in [("1.1", 1), ("2.1", 2)]
            .into_iter()
            .zip([CONDITIONS, 67_707])
        {
            let batch = parse(&streams.remove(job).unwrap().await.unwrap());
            assert_eq!(
                (batch.num_columns(), batch.num_rows() as u64),
                (columns, rows)
            );
            assert_eq!(done[job], rows);
        }
        worker.child.kill().unwrap();
    });
}

#[test]
fn rows_without_a_pipe_end_the_worker() {
    on_runtime(async {
        let mut worker = loaded().await;
        let message = ToWorker::Rows {
            job: JobId::new("1.1").unwrap(),
            sql: "SELECT person_id FROM person".to_owned(),
            parameters: Vec::new(),
            rows: true,
            rows_max: None,
        };
        worker.sender.send(&message, &[]).await.unwrap();
        assert!(receive(&mut worker.receiver).await.is_none());
        assert!(worker.child.wait_ended(common::LIMIT));
    });
}
