//! The real worker in the real jail with little memory: what it spills, and what is left of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use common::{Dataset, LIMIT, Table, Worker, encrypted, load_message, on_runtime, receive, start};
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_output as output;
use kekkai_types::JobId;
use kekkai_worker_api::{FromWorker, ToWorker};

const ROWS: i64 = 600_000;
const MIB: u64 = 1 << 20;
/// Far too little for the statements below.
const SMALL_MIB: u32 = 32;
const LARGE_MIB: u32 = 1024;
/// A text that every row holds.
const PLANTED: &str = "KEKKAI-PLANTED-5e0c";

const GROUPED: &str =
    "SELECT note, count(*) AS n, avg(amount) AS mean FROM visit GROUP BY note ORDER BY note";
const JOINED: &str = "SELECT a.ward, count(*) AS n, sum(b.amount) AS total FROM visit a JOIN visit b ON a.id = b.other \
                      AND a.other + a.amount <> -b.id GROUP BY a.ward ORDER BY a.ward";
/// Its sort reads everything before it gives its first row.
const SORTED: &str = "SELECT id, note, text FROM visit ORDER BY text, id";

fn visits() -> Dataset {
    let batch = |from: i64| {
        let ids: Vec<i64> = (from..(from + 8192).min(ROWS)).collect();
        let column = |f: fn(i64) -> i64| -> Arc<Int64Array> {
            Arc::new(ids.iter().map(|id| f(*id)).collect())
        };
        let notes: Vec<String> = ids
            .iter()
            .map(|id| {
                format!(
                    "note {:05} of a length that takes its room {PLANTED}",
                    id * 7919 % 20_000
                )
            })
            .collect();
        let texts: Vec<String> = ids
            .iter()
            .map(|id| format!("{:07} {PLANTED} and more of it", id * 7919 % ROWS))
            .collect();
        RecordBatch::try_from_iter([
            ("id", column(|id| id) as _),
            ("other", column(|id| id * 104_729 % ROWS) as _),
            ("person_id", column(|id| id % 5_003) as _),
            ("ward", column(|id| id % 7) as _),
            ("amount", column(|id| 100 + id % 13) as _),
            ("note", Arc::new(StringArray::from(notes)) as _),
            ("text", Arc::new(StringArray::from(texts)) as _),
        ])
        .unwrap()
    };
    encrypted(vec![Table {
        name: "visit".to_owned(),
        has_persons: true,
        batches: (0..ROWS).step_by(8192).map(batch).collect(),
    }])
}

/// A worker with this much memory and, beside it, this much disk.
async fn worker(dataset: &Dataset, memory_mib: u32, spill: Option<(&File, u64)>) -> Worker {
    let mut worker = start().await;
    let (mut load, mut files) = load_message(dataset);
    load.memory_limit_mib = memory_mib;
    load.threshold = 1;
    load.dominance_permille = 1000;
    if let Some((file, bytes_max)) = spill {
        load.spill_bytes_max = Some(bytes_max);
        files.push(file.try_clone().unwrap());
    }
    let loaded = worker.load(load, &files).await;
    assert!(matches!(loaded, FromWorker::Loaded { .. }), "{loaded:?}");
    worker
}

async fn failure(worker: &mut Worker, sql: &str) -> SqlError {
    worker.start(sql).await;
    match worker.answer().await {
        FromWorker::Failed { error, .. } => error,
        other => panic!("{sql}: {other:?}"),
    }
}

fn holds(file: &File, text: &str) -> bool {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Rows and cells; the lineage's policy is the same.
fn same(a: &output::Table, b: &output::Table) -> bool {
    a.rows == b.rows && a.columns == b.columns && a.groups_withheld == b.groups_withheld
}

/// Processes that have this very file open.
fn holders(ino: u64) -> Vec<String> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let fds = std::fs::read_dir(process.path().join("fd"));
        for fd in fds.into_iter().flatten().flatten() {
            if fd
                .path()
                .metadata()
                .is_ok_and(|m| m.ino() == ino && m.nlink() == 0)
            {
                found.push(process.file_name().to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[test]
fn statistics_that_outgrow_the_memory_spill_and_are_the_same() {
    on_runtime(async {
        let dataset = visits();
        let file = tempfile::tempfile().unwrap();
        let mut small = worker(&dataset, SMALL_MIB, Some((&file, 4096 * MIB))).await;
        let mut large = worker(&dataset, LARGE_MIB, None).await;
        let mut before = 0;
        for sql in [GROUPED, JOINED] {
            let expected = large.run(sql).await;
            assert!(expected.rows.len() >= 7, "{sql}");
            let found = small.run(sql).await;
            assert!(same(&found, &expected), "{sql}");
            let written = file.metadata().unwrap().blocks() * 512;
            assert!(written > 0 && written >= before, "{sql}: {written} bytes");
            before = written;
        }
        assert!(!holds(&file, PLANTED));
        // The control: without the disk the memory does not do.
        let mut bare = worker(&dataset, SMALL_MIB, None).await;
        for sql in [GROUPED, JOINED] {
            let error = failure(&mut bare, sql).await;
            assert_eq!(error.code, SqlErrorCode::Memory, "{sql}");
        }
    });
}

#[test]
fn statement_beyond_the_disk_fails_by_its_quota_and_leaves_room() {
    on_runtime(async {
        let dataset = visits();
        let file = tempfile::tempfile().unwrap();
        let mut worker = worker(&dataset, SMALL_MIB, Some((&file, 2 * MIB))).await;
        for _ in 0..2 {
            let error = failure(&mut worker, JOINED).await;
            assert_eq!(error.code, SqlErrorCode::SpillQuota);
            let table = worker.run("SELECT count(*) FROM visit").await;
            assert_eq!(table.rows.len(), 1);
        }
        assert!(file.metadata().unwrap().len() <= 2 * MIB);
    });
}

/// Asks for rows whose reader takes none: the sort has spilled, and waits.
async fn spilled(worker: &mut Worker, file: &File) -> (JobId, std::io::PipeReader) {
    let job = JobId::new("9.1").unwrap();
    let (reading, writing) = std::io::pipe().unwrap();
    let message = ToWorker::Rows {
        job: job.clone(),
        sql: SORTED.to_owned(),
        parameters: Vec::new(),
        rows: true,
        rows_max: None,
    };
    worker
        .sender
        .send(&message, &[writing.as_fd()])
        .await
        .unwrap();
    let began = Instant::now();
    while file.metadata().unwrap().len() < 4 * MIB {
        assert!(began.elapsed() < LIMIT, "nothing is spilled");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (job, reading)
}

#[test]
fn statement_that_spills_is_cancelled_within_a_second_and_gives_its_disk_back() {
    on_runtime(async {
        let dataset = visits();
        let file = tempfile::tempfile().unwrap();
        let mut worker = worker(&dataset, SMALL_MIB, Some((&file, 256 * MIB))).await;
        // Three times: the disk would not do for three that keep theirs.
        for _ in 0..3 {
            let (job, _reading) = spilled(&mut worker, &file).await;
            let asked = Instant::now();
            let cancel = ToWorker::Cancel { job: job.clone() };
            worker.sender.send(&cancel, &[]).await.unwrap();
            loop {
                match receive(&mut worker.receiver).await.unwrap() {
                    FromWorker::Progress { .. } | FromWorker::RowsBegin { .. } => {}
                    FromWorker::Cancelled { job: of } if of == job => break,
                    other => panic!("{other:?}"),
                }
            }
            assert!(
                asked.elapsed() < Duration::from_secs(1),
                "{:?}",
                asked.elapsed()
            );
        }
        let table = worker.run("SELECT count(*) FROM visit").await;
        assert_eq!(table.rows.len(), 1);
        assert!(!holds(&file, PLANTED));
    });
}

#[test]
fn killed_worker_leaves_nothing_on_disk() {
    on_runtime(async {
        let dataset = visits();
        let folder = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile_in(folder.path()).unwrap();
        let ino = file.metadata().unwrap().ino();
        let mut worker = worker(&dataset, SMALL_MIB, Some((&file, 1024 * MIB))).await;
        let (_, reading) = spilled(&mut worker, &file).await;
        assert!(!holds(&file, PLANTED));
        drop((file, reading));
        // The control: the worker is the only one that has it still.
        let pid = worker.child.pid().to_string();
        assert_eq!(holders(ino), [pid]);
        worker.child.kill().unwrap();
        assert!(worker.child.wait_ended(LIMIT));
        assert_eq!(holders(ino), Vec::<String>::new());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    });
}

#[test]
fn worker_refuses_a_file_with_a_name_and_one_too_few() {
    on_runtime(async {
        let dataset = common::dataset(&[("person", true)]);
        let named = tempfile::NamedTempFile::new().unwrap();
        for file in [Some(named.reopen().unwrap()), None] {
            let mut worker = start().await;
            let (mut load, mut files) = load_message(&dataset);
            load.spill_bytes_max = Some(MIB);
            files.extend(file);
            match worker.load(load, &files).await {
                FromWorker::LoadFailed { reason } => assert!(!reason.is_empty()),
                other => panic!("{other:?}"),
            }
        }
    });
}
