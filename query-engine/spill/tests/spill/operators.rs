//! Sorts, aggregations and joins of the library in a small memory.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use kekkai_spill::{SLOT_BYTES, SharedMemory, Spill, SpillError};

use crate::common::{MIB, flip, raw_bytes, spill};

const ROWS: i64 = 400_000;
/// A text that every row holds.
const PLANTED: &str = "KEKKAI-PLANTED-b81e";
const SMALL: usize = 16 << 20;
const WHOLE: usize = 4 << 30;

/// Statements whose order is total, and which need more than [`SMALL`].
const STATEMENTS: &[&str] = &[
    "SELECT * FROM t ORDER BY text, id",
    "SELECT text, count(*), sum(id), min(id) FROM t GROUP BY text ORDER BY text",
    "SELECT key, count(DISTINCT text) FROM t GROUP BY key ORDER BY key",
    "SELECT a.id, b.text FROM t a JOIN t b ON a.key = b.id WHERE b.id % 2 = 0 ORDER BY a.id",
];

fn table() -> Arc<MemTable> {
    let batch = |from: i64| {
        let ids: Vec<i64> = (from..from + 8192).take_while(|id| *id < ROWS).collect();
        // Far from their order.
        let keys: Vec<i64> = ids.iter().map(|id| id * 7919 % ROWS).collect();
        let texts: Vec<String> = keys
            .iter()
            .map(|key| format!("{key:07} {PLANTED}"))
            .collect();
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(ids)) as _),
            ("key", Arc::new(Int64Array::from(keys)) as _),
            ("text", Arc::new(StringArray::from(texts)) as _),
        ])
        .unwrap()
    };
    let batches: Vec<RecordBatch> = (0..ROWS).step_by(8192).map(batch).collect();
    let schema = batches[0].schema();
    let (left, right) = batches.split_at(batches.len() / 2);
    let parts = vec![left.to_vec(), right.to_vec()];
    Arc::new(MemTable::try_new(schema, parts).unwrap())
}

fn context(disk: DiskManagerBuilder, memory: usize) -> SessionContext {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(SharedMemory::new(memory)))
        .with_disk_manager_builder(disk.with_max_spill_merge_fan_in(4))
        .build_arc()
        .unwrap();
    let mut config = SessionConfig::new()
        .with_target_partitions(2)
        .with_batch_size(8192)
        .with_sort_spill_reservation_bytes(512 << 10);
    // Hash joins don't spill.
    config.options_mut().optimizer.prefer_hash_join = false;
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_table("t", table()).unwrap();
    context
}

fn sealed(spill: &Spill) -> DiskManagerBuilder {
    DiskManagerBuilder::default().with_temp_file_factory(Arc::new(spill.clone()))
}

fn in_memory() -> DiskManagerBuilder {
    DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled)
}

async fn answer(context: &SessionContext, sql: &str) -> Result<String, DataFusionError> {
    let batches = context.sql(sql).await?.collect().await?;
    Ok(pretty_format_batches(&batches)?.to_string())
}

fn run<F: Future<Output = ()>>(work: F) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
        .block_on(work);
}

/// Tasks of a statement that failed end by and by: then nothing is in use.
async fn is_given_back(spill: &Spill) -> bool {
    for _ in 0..500 {
        if spill.bytes_in_use() == 0 {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    false
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn spilled_statements_answer_as_in_memory_and_leave_nothing_readable() {
    run(async {
        let whole = context(in_memory(), WHOLE);
        for sql in STATEMENTS {
            let (spill, raw) = spill(1024 * MIB);
            let expected = answer(&whole, sql).await.unwrap();
            let found = answer(&context(sealed(&spill), SMALL), sql).await.unwrap();
            assert!(found == expected, "{sql}");
            let bytes = raw_bytes(&raw);
            assert!(bytes.len() > SLOT_BYTES * 8, "{sql}: {} bytes", bytes.len());
            assert!(!holds(&bytes, PLANTED), "{sql}");
            assert!(is_given_back(&spill).await, "{sql}");
            // The control: without spilling the memory does not do.
            let error = answer(&context(in_memory(), SMALL), sql).await.unwrap_err();
            assert!(
                error.to_string().contains("esources exhausted"),
                "{sql}: {error}"
            );
        }
    });
}

/// The search finds the text where the library spills by itself.
#[test]
fn plain_spill_holds_the_text() {
    let dir = tempfile::tempdir().unwrap();
    let plain = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![dir.path().to_owned()]));
    run(async {
        let context = context(plain, SMALL);
        let mut rows = context
            .sql(STATEMENTS[0])
            .await
            .unwrap()
            .execute_stream()
            .await
            .unwrap();
        // With its first rows all of its input is spilled.
        rows.next().await.unwrap().unwrap();
        assert!(
            files_below(dir.path())
                .into_iter()
                .any(|mut file| holds(&all_of(&mut file), PLANTED))
        );
    });
}

fn files_below(folder: &Path) -> Vec<File> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(File::open(entry.path()).unwrap());
        }
    }
    files
}

fn all_of(file: &mut File) -> Vec<u8> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn sort_over_a_changed_disk_ends_in_an_error_and_gives_no_wrong_row() {
    run(async {
        let (spill, raw) = spill(1024 * MIB);
        let context = context(sealed(&spill), SMALL);
        let mut rows = context
            .sql(STATEMENTS[0])
            .await
            .unwrap()
            .execute_stream()
            .await
            .unwrap();
        let first = rows.next().await.unwrap().unwrap();
        let slots = raw.metadata().unwrap().len().div_ceil(SLOT_BYTES as u64);
        for slot in 0..slots {
            flip(&raw, slot * SLOT_BYTES as u64 + 100);
        }
        let keys = |batch: &RecordBatch| -> Vec<i64> {
            let column = batch.column(1).as_any();
            let keys = column.downcast_ref::<Int64Array>().unwrap();
            keys.values().to_vec()
        };
        let mut seen = keys(&first);
        let error = loop {
            match rows
                .next()
                .await
                .expect("the disk was changed: it can't end well")
            {
                Ok(batch) => seen.extend(keys(&batch)),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(SpillError::below(&error), Some(SpillError::Changed)),
            "{error}"
        );
        assert!(seen.len() < usize::try_from(ROWS).unwrap());
        // What came before is right: each key is once in the table, so the sorted ones are 0, 1, 2 …
        let right: Vec<i64> = (0..).take(seen.len()).collect();
        assert!(seen == right);
    });
}

#[test]
fn statement_beyond_the_quota_says_so_and_the_next_one_runs() {
    run(async {
        let (spill, raw) = spill(8 * MIB);
        let context = context(sealed(&spill), SMALL);
        let error = answer(&context, STATEMENTS[0]).await.unwrap_err();
        assert!(
            matches!(SpillError::below(&error), Some(SpillError::Quota { .. })),
            "{error}"
        );
        assert!(raw.metadata().unwrap().len() <= 8 * MIB);
        assert!(answer(&context, "SELECT count(*) FROM t").await.is_ok());
        assert!(is_given_back(&spill).await);
    });
}

#[test]
fn statements_at_once_share_one_file() {
    run(async {
        let whole = context(in_memory(), WHOLE);
        let (spill, raw) = spill(1024 * MIB);
        let small = Arc::new(context(sealed(&spill), 2 * SMALL));
        let mut running = Vec::new();
        for round in 0..6 {
            let sql = STATEMENTS[round % 2];
            let small = Arc::clone(&small);
            running.push(tokio::spawn(
                async move { (sql, answer(&small, sql).await) },
            ));
        }
        for task in running {
            let (sql, found) = task.await.unwrap();
            match found {
                Ok(found) => assert!(found == answer(&whole, sql).await.unwrap(), "{sql}"),
                // Six at once may be too much for the memory that they share: never a wrong answer.
                Err(error) => assert!(error.to_string().contains("esources exhausted"), "{error}"),
            }
        }
        assert!(!holds(&raw_bytes(&raw), PLANTED));
        assert!(is_given_back(&spill).await);
    });
}
