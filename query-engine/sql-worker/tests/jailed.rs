//! The real worker in the real jail, over encrypted files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{
    Dataset, LIMIT, WORKER, Worker, dataset, load_message, on_runtime, receive, start, text,
};
use kekkai_analysis_api::SqlErrorCode;
use kekkai_output::{Cell, Suppression, Value};
use kekkai_types::{Constant, Digest, KeyText, RowCondition, RowTest};
use kekkai_worker_api::{FromWorker, Load, TableConditions, ToWorker};

const SECRET: &str = "KEKKAI-SENTINEL-7f3a";

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
            FromWorker::Loaded { .. }
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
fn rows_that_the_agreement_does_not_provide_are_not_there() {
    on_runtime(async {
        let dataset = dataset(&[("person", true), ("condition_occurrence", true)]);
        let (mut load, files) = load_message(&dataset);
        // On a column that is not granted; the other table is provided whole.
        load.conditions = vec![TableConditions {
            dataset: dataset.catalog.id.clone(),
            table: "person".to_owned(),
            rows: vec![RowCondition {
                column: "year_of_birth".to_owned(),
                test: RowTest::Below(Constant::Int(1950)),
            }],
        }];
        load.catalogs[0].tables[0]
            .columns
            .retain(|column| column.name != "year_of_birth");
        let mut worker = start().await;
        assert!(matches!(
            worker.load(load, &files).await,
            FromWorker::Loaded { .. }
        ));
        let mut other = start().await;
        let (load, files) = load_message(&dataset);
        assert!(matches!(
            other.load(load, &files).await,
            FromWorker::Loaded { .. }
        ));
        let count = |table: kekkai_output::Table| match &table.rows[0][0] {
            Cell::Shown { value, .. } => value.clone(),
            cell => panic!("{cell:?}"),
        };
        let provided = count(worker.run("SELECT count(*) FROM person").await);
        let sql = "SELECT count(*) FROM person WHERE year_of_birth < 1950";
        assert_eq!(provided, count(other.run(sql).await));
        let all = count(other.run("SELECT count(*) FROM person").await);
        assert_ne!(provided, all, "the condition leaves some out");
        let whole = worker
            .run("SELECT count(*) FROM condition_occurrence")
            .await;
        assert!(format!("{:?}", whole.rows).contains("65332"));

        // A condition whose table doesn't come, or that its column can't have, loads nothing.
        for (table, column) in [
            ("persons", "year_of_birth"),
            ("person", "gender_source_value"),
        ] {
            let (mut load, files) = load_message(&dataset);
            load.conditions = vec![TableConditions {
                dataset: dataset.catalog.id.clone(),
                table: table.to_owned(),
                rows: vec![RowCondition {
                    column: column.to_owned(),
                    test: RowTest::Below(Constant::Int(1950)),
                }],
            }];
            let mut worker = start().await;
            assert!(matches!(
                worker.load(load, &files).await,
                FromWorker::LoadFailed { reason } if reason.contains(table)
            ));
        }
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
            FromWorker::Loaded { .. }
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
                        // How many there are is known when the statement is planned.
                        if rows_total > 0 {
                            assert!(rows_read <= rows_total && rows_total == 66_000 + 68_000);
                        }
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
