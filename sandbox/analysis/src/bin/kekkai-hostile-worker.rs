//! A worker that does what it must not, for the broker's tests. How it starts is said by its memory
//! limit, what it answers by the statement. Not installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: a panic is a failed test"
)]

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_output::{
    Aggregate, Cell, Column, ColumnKind, Evidence, Lineage, Measure, Population, Populations,
    Table, Value, ValueType,
};
use kekkai_sys::{JailSpec, Layer, ProcessKind, jail, scm};
use kekkai_worker_api::{FromWorker, Load, ToWorker, worker_channel};
use roaring::RoaringBitmap;

/// What the broker adds to the terms' limit.
const OVERHEAD_MIB: u32 = 512;

fn main() {
    let spec = JailSpec::from_args(ProcessKind::SqlWorker, std::env::args()).unwrap();
    let how = spec.memory_mib - OVERHEAD_MIB;
    let mut layers: BTreeMap<String, String> = match how {
        // Says that it is jailed, and is not.
        101 => Layer::ALL
            .iter()
            .map(|layer| (layer.to_string(), "yes".to_owned()))
            .collect(),
        _ => jail::enter(&spec).unwrap().layers,
    };
    if how == 102 {
        layers.remove("landlock");
    }
    let socket = jail::take_socket().unwrap();
    let raw = socket.try_clone().unwrap();
    let (sender, mut receiver) = worker_channel::<FromWorker, ToWorker>(socket);
    if how == 103 {
        sender.send(&loaded()).unwrap();
    }
    if how == 104 {
        return;
    }
    sender.send(&FromWorker::Jailed { layers }).unwrap();
    let Some((ToWorker::Load(load), files)) = receiver.receive().unwrap() else {
        return;
    };
    if how == 105 {
        let reason = "no\u{7}".repeat(1000);
        sender.send(&FromWorker::LoadFailed { reason }).unwrap();
        return;
    }
    if how == 106 {
        // Data that it knows, to the log.
        eprintln!("TANAKA-HANAKO");
    }
    sender.send(&loaded()).unwrap();
    let mut running = Vec::new();
    while let Some((message, mut files_of_message)) = receiver.receive().unwrap() {
        match message {
            ToWorker::Rows { job, sql, .. } => match sql.as_str() {
                "rows" => {
                    sender
                        .send(&FromWorker::RowsBegin { job: job.clone() })
                        .unwrap();
                    let mut pipe = std::fs::File::from(files_of_message.pop().unwrap());
                    std::io::Write::write_all(&mut pipe, b"TANAKA HANAKO").unwrap();
                    drop(pipe);
                    let (rows, persons) = (20, Some(12));
                    sender
                        .send(&FromWorker::RowsDone { job, rows, persons })
                        .unwrap();
                }
                "slow-rows" => running.push((job, "slow".to_owned())),
                _ => {
                    let error = SqlError {
                        code: SqlErrorCode::TableUnknown,
                        name: sql,
                        at: Some((1, 1)),
                        candidates: Vec::new(),
                        hint: None,
                    };
                    sender.send(&FromWorker::Failed { job, error }).unwrap();
                }
            },
            ToWorker::Query { job, sql } => {
                answer(&sender, &raw, &load, &files, &job, &sql);
                running.push((job, sql));
            }
            ToWorker::Cancel { job } => {
                let obeys = running.iter().any(|(j, sql)| *j == job && sql == "slow");
                if obeys {
                    sender.send(&FromWorker::Cancelled { job }).unwrap();
                }
            }
            ToWorker::Load(_) | ToWorker::Peer { .. } => panic!("out of turn"),
        }
    }
}

fn loaded() -> FromWorker {
    FromWorker::Loaded {
        functions: vec!["count".to_owned(), "no\u{7}".repeat(100)],
    }
}

fn answer(
    sender: &kekkai_worker_api::Sender,
    raw: &OwnedFd,
    load: &Load,
    files: &[OwnedFd],
    job: &kekkai_types::JobId,
    sql: &str,
) {
    let mut table = table(load, sql);
    let done = |table: Table| FromWorker::Done {
        job: job.clone(),
        populations: populations(&table),
        table: Box::new(table),
    };
    let message = match sql {
        "few" => {
            table.rows[0][0] = cell(u64::from(load.threshold) - 1, 0);
            done(table)
        }
        "dominated" => {
            table.rows[0][0] = cell(100, 1000);
            done(table)
        }
        "other-sql" => {
            table.lineage.sql = "SELECT something harmless".to_owned();
            done(table)
        }
        "other-threshold" => {
            table.lineage.threshold = 1;
            done(table)
        }
        "ragged" => {
            table.rows[0].push(cell(100, 0));
            done(table)
        }
        "no-populations" => FromWorker::Done {
            job: job.clone(),
            populations: Populations::default(),
            table: Box::new(table),
        },
        "unknown-job" => FromWorker::Done {
            job: kekkai_types::JobId::new("77").unwrap(),
            populations: populations(&table),
            table: Box::new(table),
        },
        "twice" => {
            sender.send(&done(table.clone())).unwrap();
            done(table)
        }
        "cancelled-unasked" => FromWorker::Cancelled { job: job.clone() },
        "jailed-again" => loaded(),
        "slow" | "deaf" => FromWorker::Progress {
            job: job.clone(),
            rows_read: 1,
            rows_total: 2,
        },
        "flood" => {
            for rows_read in 0..1000 {
                let job = job.clone();
                let progress = FromWorker::Progress {
                    job,
                    rows_read,
                    rows_total: 1000,
                };
                if sender.send(&progress).is_err() {
                    break;
                }
            }
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        "die" => std::process::exit(3),
        "forbidden" => {
            std::net::TcpStream::connect("127.0.0.1:1").unwrap();
            return;
        }
        "oversized" => {
            scm::send(raw.as_fd(), &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], &[]).unwrap();
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        "garbage" => {
            scm::send(raw.as_fd(), b"\0\0\0\x05\0\0\0\0hello", &[]).unwrap();
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        "descriptors" => {
            scm::send(raw.as_fd(), &[0, 0, 0, 2, 0, 0, 0, 1], &[files[0].as_fd()]).unwrap();
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        _ => done(table),
    };
    sender.send(&message).unwrap();
}

fn cell(contributors: u64, largest_permille: u32) -> Cell {
    Cell::Shown {
        value: Value::Int(42),
        evidence: Evidence {
            contributors,
            largest_permille,
            second_permille: 0,
            zeros: 0,
            missing: 0,
        },
    }
}

/// As many persons as the table's only cell tells of.
fn populations(table: &Table) -> Populations {
    let (Cell::Shown { evidence, .. }, Some((dataset, _))) =
        (&table.rows[0][0], table.lineage.datasets.first())
    else {
        return Populations::default();
    };
    let mut persons = Vec::new();
    (0..u32::try_from(evidence.contributors).unwrap())
        .collect::<RoaringBitmap>()
        .serialize_into(&mut persons)
        .unwrap();
    Populations {
        stable: false,
        cells: vec![Population {
            row: 0,
            column: None,
            dataset: dataset.clone(),
            persons,
            measures: vec![Measure {
                kind: Aggregate::Count,
                columns: Some(Vec::new()),
                is_plain: true,
            }],
        }],
    }
}

fn table(load: &Load, sql: &str) -> Table {
    let datasets = load.catalogs.iter().map(|c| (c.id.clone(), c.version));
    Table {
        columns: vec![Column {
            name: "n".to_owned(),
            value_type: ValueType::Int,
            kind: ColumnKind::Statistic(vec![Aggregate::Count]),
        }],
        rows: vec![vec![cell(u64::from(load.threshold), 0)]],
        groups_withheld: 0,
        lineage: Lineage {
            sql: sql.to_owned(),
            datasets: datasets.collect(),
            threshold: load.threshold,
            dominance_permille: load.dominance_permille,
            engine: "hostile".to_owned(),
            policy: load.policy,
        },
    }
}
