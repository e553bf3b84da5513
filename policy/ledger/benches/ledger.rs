//! How fast entries become durable, beside plain files on the same disk; how fast a log is
//! verified, beside plain hashing of the same bytes.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "a bench"
)]

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kekkai_ledger::{Ledger, generate_key, verify};
use tlog_tiles::record_hash;

/// How long each measurement of appends lasts.
const APPEND_TIME: Duration = Duration::from_secs(3);
/// Entries of the log that is verified.
const VERIFY_ENTRIES: usize = 200_000;

fn entry(i: usize) -> Vec<u8> {
    format!(
        "{{\"v\":1,\"at\":{i},\"source\":\"kekkai://gateway\",\"event\":\"{}\"}}",
        "x".repeat(200)
    )
    .into_bytes()
}

/// Calls per second of `work` by some threads for [`APPEND_TIME`].
fn rate(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    let begin = Instant::now();
    let done: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while begin.elapsed() < APPEND_TIME {
                        work(count);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    done as f64 / begin.elapsed().as_secs_f64()
}

fn appends(dir: &Path, skey: &str, threads: usize) -> (f64, f64) {
    let path = dir.join(format!("plain-{threads}"));
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let file = Mutex::new(file);
    let plain = rate(threads, |i| {
        let mut file = file.lock().unwrap();
        file.write_all(&entry(i)).unwrap();
        file.sync_data().unwrap();
    });
    let witness = dir.join(format!("witness-{threads}"));
    let ledger =
        Ledger::open(&dir.join(format!("ledger-{threads}")), skey, Some(&witness)).unwrap();
    let ours = rate(threads, |i| {
        ledger.append(entry(i)).unwrap();
    });
    (ours, plain)
}

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let temp = tempfile::TempDir::new().unwrap();
    let (skey, vkey) = generate_key("bench.example").unwrap();
    for threads in [1, 32] {
        let (ours, plain) = appends(temp.path(), &skey, threads);
        println!(
            "ledger: {ours:.0} durable appends/s by {threads} at once; \
             plain write + fdatasync {plain:.0}/s; ratio {:.2}",
            ours / plain
        );
    }

    let dir = temp.path().join("ledger-verify");
    let witness = temp.path().join("witness-verify");
    let ledger = Ledger::open(&dir, &skey, Some(&witness)).unwrap();
    let entries: Vec<Vec<u8>> = (0..VERIFY_ENTRIES).map(entry).collect();
    for chunk in entries.chunks(kekkai_ledger::APPEND_MANY_MAX) {
        ledger.append_many(chunk.to_vec()).unwrap();
    }
    drop(ledger);
    let bytes: usize = entries.iter().map(Vec::len).sum();
    let begin = Instant::now();
    for entry in &entries {
        black_box(record_hash(entry));
    }
    let plain = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let report = verify(&dir, &vkey, Some(&witness)).unwrap();
    let ours = begin.elapsed().as_secs_f64();
    assert_eq!(report.size as usize, VERIFY_ENTRIES);
    println!(
        "ledger: {:.0} entries/s verified ({:.0} MB/s); plain SHA-256 of each {:.0}/s; ratio {:.2}",
        VERIFY_ENTRIES as f64 / ours,
        bytes as f64 / ours / 1e6,
        VERIFY_ENTRIES as f64 / plain,
        plain / ours
    );
}
