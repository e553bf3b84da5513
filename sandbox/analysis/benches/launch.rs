//! Launching a session's process: from the pool, cold, and `bwrap` starting the same program. Prints
//! medians, 99th percentiles and ratios, and what idle processes cost in memory.
//!
//! "From the pool" and "cold" end when the process is in its jail and was looked at from outside, ready for
//! its keys. `bwrap` ends when the program, which finds no broker there, has ended.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kekkai_analysis::pool::Pool;
use kekkai_analysis::worker;
use kekkai_sys::{JailSpec, ProcessKind, Spawner, memfd};
use kekkai_worker_api::{FromProgram, FromWorker, ToProgram, ToWorker};

const ROUNDS: usize = 100;
const IDLE: usize = 100;

/// Built beside this bench's folder: `target/debug/deps/launch-…` → `target/debug`.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join(name)
}

fn sealed(path: &Path) -> File {
    let mut file = File::open(path)
        .unwrap_or_else(|error| panic!("{}: {error}; build it first", path.display()));
    memfd::seal("image", &mut file, 1 << 30, |_| ())
        .unwrap()
        .into()
}

fn spec(kind: ProcessKind) -> JailSpec {
    JailSpec {
        kind,
        memory_mib: 1024,
        waived: BTreeSet::new(),
    }
}

/// Milliseconds: the median and the 99th percentile.
fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |permille: usize| times[(times.len() - 1) * permille / 1000].as_secs_f64() * 1e3;
    (at(500), at(990))
}

fn row(what: &str, times: Vec<Duration>) -> f64 {
    let (p50, p99) = percentiles(times);
    println!("  {what:<34} p50 {p50:8.2} ms   p99 {p99:8.2} ms");
    p50
}

/// The private and the proportional share of a process's memory, in KiB.
fn memory(pid: i32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let sum = |names: &[&str]| {
        text.lines()
            .filter(|line| names.iter().any(|name| line.starts_with(name)))
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .sum()
    };
    (sum(&["Private_Clean:", "Private_Dirty:"]), sum(&["Pss:"]))
}

async fn waiting<S, R>(pool: &Pool<S, R>, wanted: usize)
where
    S: kekkai_worker_api::Message + Send + 'static,
    R: worker::Greeting + Send + 'static,
{
    while pool.waiting() < wanted {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn measure<S, R>(spawner: &Spawner, name: &'static str, kind: ProcessKind)
where
    S: kekkai_worker_api::Message + Send + 'static,
    R: worker::Greeting + Send + 'static,
{
    println!("{name}");
    let path = program(name);
    let spec = spec(kind);
    let mut cold = Vec::new();
    let image = sealed(&path);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let process = worker::start::<S, R>(spawner, &image, name, spec.clone())
            .await
            .unwrap();
        cold.push(start.elapsed());
        drop(process);
    }
    let pool = Pool::<S, R>::new(spawner.clone(), sealed(&path), name, 2);
    pool.warm(&spec);
    let mut pooled = Vec::new();
    for _ in 0..ROUNDS {
        waiting(&pool, 2).await;
        let start = Instant::now();
        let process = pool.take(&spec).await.unwrap();
        pooled.push(start.elapsed());
        drop(process);
    }
    pool.close().await;
    let mut other = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let status = Command::new("bwrap")
            .args(["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("bwrap: install bubblewrap");
        other.push(start.elapsed());
        assert!(!status.success(), "it needs a broker");
    }
    let pooled = row("from the pool", pooled);
    let cold = row("cold", cold);
    let other = row("bwrap, until it has ended", other);
    println!(
        "  pool / bwrap {:.2}   cold / bwrap {:.2}   (goals: pool p50 <= 15 ms, cold <= 150 ms)",
        pooled / other,
        cold / other
    );
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(
            worker::start::<S, R>(spawner, &image, name, spec.clone())
                .await
                .unwrap(),
        );
    }
    let shares: Vec<_> = idle.iter().map(|process| memory(process.pid())).collect();
    let mib = |kib: u64| kib as f64 / 1024.0;
    let private: u64 = shares.iter().map(|(private, _)| private).sum();
    let proportional: u64 = shares.iter().map(|(_, pss)| pss).sum();
    println!(
        "  {IDLE} idle in their jails: private {:.1} MiB, proportional {:.1} MiB in all\n",
        mib(private),
        mib(proportional)
    );
}

fn main() {
    // Forked first, as the broker does.
    let spawner = Spawner::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        measure::<ToWorker, FromWorker>(&spawner, "kekkai-sql-worker", ProcessKind::SqlWorker)
            .await;
        measure::<ToProgram, FromProgram>(&spawner, "kekkai-wasm-worker", ProcessKind::WasmWorker)
            .await;
    });
}
