//! How fast programs start, read and compute. Prints medians and ratios, asserts nothing that is timed. For the dev
//! profile, which the demo runs: `cargo bench --profile dev --bench programs`.
//!
//! Jailed processes run in the background (nice, SCHED_BATCH): on a machine that does something else, their
//! figures say how busy it is. So starting and computing are measured in this process, too.
//!
//! `KEKKAI_PYTHON_COMPONENT` names the Python component; without it, Python is left out and said to be.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench fails by panicking"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kekkai_analysis_api::SqlError;
use kekkai_types::OutputId;
use kekkai_wasm_worker::{
    Broker, Cancel, NoAnswer, Programs, RowStream, Statement, Submission, config,
};
use kekkai_worker_api::{Run, RunLimits};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use support::guest::{READ_ALL, tool};
use support::{Answer, LIMITS, Script, Worker, artefact, compile, on_runtime, run, sealed};

/// Starts that are measured.
const STARTS: usize = 200;
/// Bytes that are read by a guest.
const READ_BYTES: usize = 256 << 20;
/// Rounds of the kernel over a million doubles: the difference is what is measured.
const ROUNDS: (u32, u32) = (20, 120);

/// Runs of the kernel for each number of rounds.
const KERNEL_RUNS: usize = 5;

const BENCH_LIMITS: RunLimits = RunLimits {
    time_limit_s: 120,
    memory_limit_mib: 1024,
    table_elements_max: 100_000,
    instances_max: 100,
    ..LIMITS
};

fn main() {
    on_runtime(async {
        starts("WAT guest", artefact(&tool("", "")), None).await;
        match std::env::var_os("KEKKAI_PYTHON_COMPONENT") {
            Some(path) => {
                let python = std::fs::read(path).unwrap();
                let start = Instant::now();
                let made = compile(&python, true).await.unwrap().unwrap();
                let copy = made.try_clone().unwrap();
                let bytes = std::fs::File::from(copy).metadata().unwrap().len();
                println!(
                    "Python: compiled in the jail in {:.1} s, {} MiB -> {} MiB",
                    start.elapsed().as_secs_f64(),
                    python.len() >> 20,
                    bytes >> 20
                );
                starts("Python, empty script", made, Some(String::new())).await;
            }
            None => println!("Python: left out, KEKKAI_PYTHON_COMPONENT is not set"),
        }
        reading().await;
        kernel().await;
    });
}

fn median(values: &mut [Duration]) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

/// A program that does nothing, in a fresh instance each time: from the broker's request to its end in the
/// jail, and in this process, where memory files make its first memory copy-on-write.
async fn starts(name: &str, artefact: OwnedFd, script: Option<String>) {
    let request = || Run {
        script: script.clone().map(|source| ("empty.py".to_owned(), source)),
        ..run(BENCH_LIMITS)
    };
    let mut worker = Worker::start_with(2048).await;
    let first = worker.run(&artefact, request(), &Script::default()).await;
    let first = first.unwrap();
    assert_eq!(first.ended, Ok(()));
    let mut jailed = Vec::new();
    for _ in 0..STARTS {
        let outcome = worker.run(&artefact, request(), &Script::default()).await;
        let outcome = outcome.unwrap();
        assert_eq!(outcome.ended, Ok(()));
        jailed.push(outcome.took);
    }
    println!(
        "{name}, jailed: {}; the first, with loading, {:.2} ms",
        spread(&mut jailed),
        ms(first.took)
    );
    let (first, mut times) = in_process(artefact, STARTS, request).await;
    println!(
        "{name}, here: {}; the first {:.2} ms",
        spread(&mut times),
        ms(first)
    );
}

async fn in_process(
    artefact: OwnedFd,
    runs: usize,
    request: impl Fn() -> Run,
) -> (Duration, Vec<Duration>) {
    let programs = Programs::new(&config::worker()).unwrap();
    let component = kekkai_sys_wasm::load(programs.engine(), artefact).unwrap();
    let program = programs.prepare(&component).unwrap();
    let mut times = Vec::new();
    for _ in 0..=runs {
        let start = Instant::now();
        let ended = programs
            .run(&program, request(), Arc::new(Nobody), &Cancel::default())
            .await;
        assert_eq!(ended, Ok(()));
        times.push(start.elapsed());
    }
    let first = times.remove(0);
    (first, times)
}

/// A broker that nobody asks.
struct Nobody;

#[async_trait::async_trait]
impl Broker for Nobody {
    async fn query(&self, _: Statement) -> Result<Box<dyn RowStream>, NoAnswer<SqlError>> {
        Err(NoAnswer::Gone)
    }
    async fn submit(&self, _: Submission) -> Result<OutputId, NoAnswer<(String, String)>> {
        Err(NoAnswer::Gone)
    }
    fn log(&self, _: Vec<(bool, String)>, _: u64) {}
    fn progress(&self, _: u16, _: &str) {}
}

fn spread(times: &mut [Duration]) -> String {
    let p50 = median(times);
    let p99 = times[times.len() * 99 / 100];
    format!("p50 {:.2} ms, p99 {:.2} ms", ms(p50), ms(p99))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Bytes from a pipe into a guest's memory, against a copy of the same bytes.
async fn reading() {
    let artefact = artefact(&tool("", READ_ALL));
    let mut worker = Worker::start_with(2048).await;
    let bytes = vec![7_u8; READ_BYTES];
    let mut times = Vec::new();
    for _ in 0..5 {
        let script = Script {
            answer: Answer::Whole(bytes.clone()),
            ..Script::default()
        };
        let outcome = worker
            .run(&artefact, run(BENCH_LIMITS), &script)
            .await
            .unwrap();
        assert_eq!(outcome.ended, Ok(()));
        times.push(outcome.took);
    }
    let mut copies = Vec::new();
    let mut target = vec![0_u8; READ_BYTES];
    for _ in 0..5 {
        let start = Instant::now();
        target.copy_from_slice(std::hint::black_box(&bytes));
        std::hint::black_box(&target);
        copies.push(start.elapsed());
    }
    let gigabytes = |time: Duration| READ_BYTES as f64 / 1e9 / time.as_secs_f64();
    let (read, copied) = (
        gigabytes(median(&mut times)),
        gigabytes(median(&mut copies)),
    );
    println!(
        "rows into a guest: {read:.2} GB/s, memcpy of the same bytes {copied:.2} GB/s, ratio {:.2}",
        read / copied
    );
}

/// What this process has computed so far: on a busy machine a fairer measure than the clock.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = usage.user_time() + usage.system_time();
    Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap())
}

/// The numeric kernel of the C template, in a guest and natively, by the processor's time.
async fn kernel() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = root.join("benches/kernel/kernel_bench.c");
    let include = root.join("../../images/tool-templates/c");
    let folder = tempfile::tempdir().unwrap();
    let clang = |arguments: &[&str], output: PathBuf| {
        let status = Command::new("clang")
            .args(["-O2", "-Wall", "-I"])
            .arg(&include)
            .args(arguments)
            .arg("-o")
            .arg(&output)
            .arg(&source)
            .status();
        match status {
            Ok(status) if status.success() => Some(output),
            _ => None,
        }
    };
    let Some(native) = clang(&[], folder.path().join("native")) else {
        println!("kernel: left out, there is no clang");
        return;
    };
    let mut guest_times = Vec::new();
    for rounds in [ROUNDS.0, ROUNDS.1] {
        let output = folder.path().join(format!("guest-{rounds}.wasm"));
        let arguments = [
            "--target=wasm32-wasi",
            "-msimd128",
            "-nostartfiles",
            "-Wl,--no-entry",
            &format!("-DROUNDS={rounds}"),
        ];
        let Some(module) = clang(&arguments, output) else {
            println!("kernel: left out, clang has no wasm32-wasi");
            return;
        };
        let module = std::fs::read(module).unwrap();
        let component = kekkai_tool_link::link(&module).unwrap();
        let made = kekkai_wasm_worker::compile(&component).unwrap();
        let before = processor_time();
        in_process(sealed(&made.bytes), KERNEL_RUNS - 1, || run(BENCH_LIMITS)).await;
        let each = (processor_time() - before) / u32::try_from(KERNEL_RUNS).unwrap();
        guest_times.push(each);
    }
    let native_time = |rounds: u32| {
        let times = (0..KERNEL_RUNS).map(|_| {
            let output = Command::new(&native).arg(rounds.to_string()).output();
            let text = String::from_utf8(output.unwrap().stdout).unwrap();
            let nanoseconds: u64 = text.split(' ').next().unwrap().parse().unwrap();
            Duration::from_nanos(nanoseconds)
        });
        times.sum::<Duration>() / u32::try_from(KERNEL_RUNS).unwrap()
    };
    let guest = guest_times[1].saturating_sub(guest_times[0]);
    let native = native_time(ROUNDS.1).saturating_sub(native_time(ROUNDS.0));
    let each = |time: Duration| ms(time) / f64::from(ROUNDS.1 - ROUNDS.0);
    println!(
        "moments of a million doubles: guest {:.3} ms, native {:.3} ms, guest at {:.2} x native speed",
        each(guest),
        each(native),
        native.as_secs_f64() / guest.as_secs_f64()
    );
}
