//! How long a jail takes from cold, beside `bwrap` starting the same program; and how much another session
//! slows one. The dev profile, on whatever else the machine does: compare figures of one run only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kekkai_security::{Launcher, Outcome, evil_worker};
use kekkai_sys::ProcessKind;

const LAUNCHES: usize = 60;
const ROUNDS: usize = 5;

fn main() {
    let program = evil_worker();
    let launcher = Launcher::new(&program);
    println!("cold launch, from the request to \"jailed\", {LAUNCHES} times:");
    for kind in ProcessKind::JAILED {
        let one = || {
            let start = Instant::now();
            let jailed = launcher.start(kind, &[]);
            let took = start.elapsed();
            drop(jailed);
            took
        };
        print(kind.as_str(), (0..LAUNCHES).map(|_| one()).collect());
    }
    // The same program in namespaces of its own, without seccomp, Landlock or a look from outside; until it ends.
    let bwrap = || {
        let start = Instant::now();
        let status = Command::new("bwrap")
            .args(["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/"])
            .arg(&program)
            .arg("--list")
            .stdout(Stdio::null())
            .status();
        status
            .is_ok_and(|status| status.success())
            .then(|| start.elapsed())
    };
    match (0..LAUNCHES).map(|_| bwrap()).collect::<Option<Vec<_>>>() {
        Some(all) => print("bwrap", all),
        None => println!("  bwrap is not installed or doesn't work here"),
    }
    neighbours(&launcher);
}

fn print(name: &str, mut all: Vec<Duration>) {
    all.sort_unstable();
    let at = |percent: usize| all[(all.len() - 1) * percent / 100];
    println!("  {name:<14} p50 {:>8.1?}  p99 {:>8.1?}", at(50), at(99));
}

/// One session computes; another, in its own jail, keeps every processor busy with 16 threads.
fn neighbours(launcher: &Launcher) {
    let mut honest = launcher.start(ProcessKind::SqlWorker, &[]);
    let mut work = || {
        let start = Instant::now();
        assert_eq!(honest.ask("work", None), Outcome::Worked);
        start.elapsed()
    };
    work();
    println!("one session's work while another keeps every processor busy, median of {ROUNDS}:");
    for kind in [ProcessKind::WasmWorker, ProcessKind::SqlWorker] {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            alone.push(work());
            let mut busy = launcher.start(kind, &[]);
            busy.send("busy", None);
            // Its threads have started.
            std::thread::sleep(Duration::from_millis(50));
            beside.push(work());
            busy.child.kill_and_reap(kekkai_security::LIMIT).unwrap();
        }
        alone.sort_unstable();
        beside.sort_unstable();
        let (alone, beside) = (alone[ROUNDS / 2], beside[ROUNDS / 2]);
        let ratio = beside.as_secs_f64() / alone.as_secs_f64();
        println!(
            "  beside a {:<12} {alone:>8.1?} alone, {beside:>8.1?} beside: {ratio:.2} x",
            kind.as_str()
        );
    }
}
