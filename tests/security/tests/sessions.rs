//! Sessions side by side: what one may do to another, and what holds a session together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::fs;
use std::time::Duration;

use kekkai_security::traces::Namespaces;
use kekkai_security::{LIMIT, Launcher, Outcome, evil_worker};
use kekkai_sys::cgroup::{self, Host};
use kekkai_sys::verify::verify_from_outside;
use kekkai_sys::watchdog::{self, Bounds, Excess};
use kekkai_sys::{Exit, Layer, ProcessKind, Share};

/// A field of proc_pid_stat(5), by its number there.
fn stat(pid: i32, field: usize) -> i64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace()
        .nth(field - 3)
        .unwrap()
        .parse()
        .unwrap()
}

const SESSION: usize = 6;
const NICE: usize = 19;
const POLICY: usize = 41;

#[test]
fn programs_run_after_those_who_wait_for_an_answer() {
    let launcher = Launcher::new(&evil_worker());
    let own = stat(std::process::id().try_into().unwrap(), NICE);
    for kind in ProcessKind::JAILED {
        let jailed = launcher.start(kind, &[]);
        let pid = jailed.child.pid();
        let (nice, policy) = match kind.share() {
            Share::Normal => (own, nix::libc::SCHED_OTHER),
            Share::Background => (10, nix::libc::SCHED_BATCH),
        };
        assert_eq!(stat(pid, NICE), nice, "{kind}");
        assert_eq!(stat(pid, POLICY), i64::from(policy), "{kind}");
        // A session of its own: where the kernel shares by sessions, 16 threads count as one.
        assert_eq!(stat(pid, SESSION), i64::from(pid), "{kind}");
        let Ok(group) = fs::read_to_string(format!("/proc/{pid}/autogroup")) else {
            continue;
        };
        let is_lowered = group.trim_end().ends_with("nice 10");
        assert_eq!(
            is_lowered,
            kind.share() == Share::Background,
            "{kind}: {group}"
        );
    }
}

#[test]
fn each_kind_is_seen_from_outside_and_taken_for_no_other() {
    let launcher = Launcher::new(&evil_worker());
    let none = std::collections::BTreeSet::new();
    for kind in ProcessKind::JAILED {
        let jailed = launcher.start(kind, &[]);
        let pid = jailed.child.pid();
        let held = verify_from_outside(pid, kind, &none).unwrap();
        assert_eq!(
            held.len(),
            Layer::ALL.len() - 1,
            "{kind}: all but Landlock are seen"
        );
        for other in ProcessKind::JAILED {
            let looks_alike = kind.file_bytes_max() == other.file_bytes_max()
                && kind.share().nice() >= other.share().nice();
            let seen = verify_from_outside(pid, other, &none);
            assert_eq!(seen.is_ok(), looks_alike, "{kind} as {other}");
        }
    }
}

#[test]
fn session_under_attack_disturbs_no_other() {
    let launcher = Launcher::new(&evil_worker());
    let mut honest = launcher.start(ProcessKind::SqlWorker, &[]);
    let mut attackers: Vec<_> = [ProcessKind::WasmWorker, ProcessKind::WasmCompiler]
        .map(|kind| launcher.start(kind, &[]))
        .into();
    for attacker in &mut attackers {
        attacker.send("busy", None);
    }
    for name in ["memory-bomb", "thread-bomb", "descriptor-bomb"] {
        let mut bomber = launcher.start(ProcessKind::WasmWorker, &[]);
        assert!(
            matches!(
                bomber.ask(name, Some(launcher.image())),
                Outcome::Refused(_)
            ),
            "{name}"
        );
        attackers.push(bomber);
    }
    let mut bomber = launcher.start(ProcessKind::WasmWorker, &[]);
    assert_eq!(
        bomber.ask("fork-bomb", None),
        Outcome::Ended(Exit::Signal(31))
    );
    // All that time the other answers, and it can be ended by itself.
    assert_eq!(honest.ask("work", None), Outcome::Worked);
    for mut attacker in attackers {
        attacker.child.kill_and_reap(LIMIT).unwrap();
    }
    assert_eq!(honest.ask("work", None), Outcome::Worked);
    assert_eq!(honest.child.kill_and_reap(LIMIT), Some(Exit::Signal(9)));
}

/// The hierarchy of this machine, with the controllers that it has.
#[test]
fn session_s_processes_die_together_in_their_group() {
    let host = match Host::prepare() {
        Ok(host) => host,
        // An ordinary user without a group of their own: reports then say so.
        Err(error) if !nix::unistd::geteuid().is_root() => {
            return println!("{}: {error}", cgroup::NONE_HERE);
        }
        Err(error) => panic!("{error}"),
    };
    println!("{}", host.describe());
    let limits = cgroup::Limits {
        memory_bytes: 1 << 30,
        pids: 512,
        cpu_weight: 50,
        cpu_permille: None,
        io_weight: 50,
    };
    let launcher = Launcher::new(&evil_worker());
    let name = format!("evil-{}", std::process::id());
    let group = host.create(&name, &limits).unwrap();
    let mut processes = Vec::new();
    for kind in [ProcessKind::SqlWorker, ProcessKind::WasmWorker] {
        let jailed = launcher.start(kind, &[]);
        group.add(jailed.child.pid()).unwrap();
        processes.push((Namespaces::of(jailed.child.pid()), jailed));
    }
    let mut pids: Vec<i32> = processes
        .iter()
        .map(|(_, jailed)| jailed.child.pid())
        .collect();
    let mut held = group.processes().unwrap();
    pids.sort_unstable();
    held.sort_unstable();
    assert_eq!(held, pids);
    // Busy in all its threads: none outlives the group.
    processes[1].1.send("busy", None);
    std::thread::sleep(Duration::from_millis(20));
    let path = group.path().to_owned();
    assert!(group.usage().is_ok());
    group.kill_and_remove(LIMIT).unwrap();
    assert!(!path.exists());
    for (spaces, mut jailed) in processes {
        assert!(jailed.child.wait_ended(LIMIT));
        assert_eq!(jailed.child.reap(), Exit::Signal(9));
        drop(jailed);
        spaces.assert_gone("the group");
    }
}

#[test]
fn dropped_group_kills_what_is_in_it() {
    let Ok(host) = Host::prepare() else {
        assert!(!nix::unistd::geteuid().is_root());
        return;
    };
    let limits = cgroup::Limits {
        memory_bytes: 1 << 30,
        pids: 512,
        cpu_weight: 100,
        cpu_permille: None,
        io_weight: 100,
    };
    let launcher = Launcher::new(&evil_worker());
    let mut jailed = launcher.start(ProcessKind::SqlWorker, &[]);
    let group = host
        .create(&format!("evil-drop-{}", std::process::id()), &limits)
        .unwrap();
    group.add(jailed.child.pid()).unwrap();
    let path = group.path().to_owned();
    drop(group);
    assert!(!path.exists());
    assert!(jailed.child.wait_ended(LIMIT));
    assert_eq!(jailed.child.reap(), Exit::Signal(9));
}

#[test]
fn watchdog_sees_a_session_that_passes_its_bounds() {
    let launcher = Launcher::new(&evil_worker());
    let mut greedy = launcher.start(ProcessKind::WasmWorker, &[]);
    let pids = [greedy.child.pid()];
    let bounds = Bounds {
        memory_bytes: 128 << 20,
        threads: 8,
        cpu_permille: None,
    };
    let before = watchdog::sample(&pids).unwrap();
    assert_eq!(watchdog::judge(&bounds, None, before), Ok(()));
    // It stays within its own rlimit, 512 MiB, and keeps what it has.
    assert_eq!(
        greedy.ask("memory-bomb", None),
        Outcome::Refused("ENOMEM".to_owned())
    );
    let after = watchdog::sample(&pids).unwrap();
    let excess = watchdog::judge(&bounds, None, after).unwrap_err();
    assert!(
        matches!(excess, Excess::Memory { used, .. } if used > 256 << 20),
        "{excess}"
    );
    greedy.child.kill_and_reap(LIMIT).unwrap();
    drop(greedy);
    // One that is gone uses nothing.
    assert_eq!(watchdog::sample(&pids).unwrap().threads, 0);

    let mut busy = launcher.start(ProcessKind::WasmWorker, &[]);
    busy.send("busy", None);
    let pids = [busy.child.pid()];
    let deadline = std::time::Instant::now() + LIMIT;
    let excess = loop {
        let sample = watchdog::sample(&pids).unwrap();
        match watchdog::judge(&bounds, None, sample) {
            Err(excess) => break excess,
            Ok(()) => assert!(std::time::Instant::now() < deadline, "{sample:?}"),
        }
    };
    assert!(
        matches!(excess, Excess::Threads { used: 9.., .. }),
        "{excess}"
    );
}
