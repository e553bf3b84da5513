//! Attacks from inside the jail by a real process, each with a control that shows it works outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use kekkai_sys::verify::verify_from_outside;
use kekkai_sys::{Child, Exit, JailSpec, Layer, ProcessKind, Spawner, memfd, scm};

const PROBE: &str = env!("CARGO_BIN_EXE_kekkai-jail-probe");
const SIGSYS: i32 = 31;
const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;
const LIMIT: Duration = Duration::from_secs(20);

struct Jailed {
    child: Child,
    socket: BufReader<UnixStream>,
    log: std::io::PipeReader,
    hello: String,
}

fn spec() -> JailSpec {
    JailSpec {
        kind: ProcessKind::SqlWorker,
        memory_mib: 512,
        waived: BTreeSet::new(),
    }
}

fn start(spawner: &Spawner, more: &[&str]) -> Jailed {
    let mut file = File::open(PROBE).unwrap();
    let image = memfd::seal("probe", &mut file, 1 << 30, |_| ()).unwrap();
    assert!(memfd::is_sealed(image.as_fd()));
    let (ours, theirs) = scm::stream_pair().unwrap();
    let (log, log_end) = std::io::pipe().unwrap();
    let mut args = vec!["kekkai-jail-probe".to_owned()];
    args.extend(spec().to_args());
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    let none = BTreeSet::new();
    let child = spawner
        .spawn(
            spec().kind,
            image.as_fd(),
            &args,
            theirs,
            OwnedFd::from(log_end),
            &none,
        )
        .unwrap();
    let socket = UnixStream::from(ours);
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let mut socket = BufReader::new(socket);
    let mut hello = String::new();
    socket.read_line(&mut hello).unwrap();
    Jailed {
        child,
        socket,
        log,
        hello,
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Refused(String),
    Ended(Exit),
}

impl Jailed {
    fn ask(&mut self, name: &str) -> Outcome {
        self.socket.get_mut().write_all(name.as_bytes()).unwrap();
        let mut answer = String::new();
        let n = self.socket.read_line(&mut answer).unwrap_or(0);
        match (n, answer.trim()) {
            (0, _) => {
                assert!(
                    self.child.wait_ended(LIMIT),
                    "{name}: neither answer nor end"
                );
                Outcome::Ended(self.child.reap())
            }
            (_, "done") => Outcome::Done,
            (_, errno) => Outcome::Refused(errno.to_owned()),
        }
    }

    fn log(mut self) -> String {
        self.child.kill_and_reap(LIMIT).unwrap();
        let mut text = String::new();
        self.log.read_to_string(&mut text).unwrap();
        text
    }
}

fn works_outside(name: &str) -> bool {
    let status = Command::new(PROBE)
        .args(["--outside", name])
        .output()
        .unwrap();
    status.status.success()
}

/// Attacks that end in the process being killed by seccomp.
const KILLED: &[&str] = &[
    "openat2",
    "open-handle",
    "chroot",
    "mount",
    "mount-only",
    "move-mount",
    "socket-inet",
    "socket-inet6",
    "socket-unix",
    "socket-netlink",
    "socket-vsock",
    "socket-alg",
    "socketpair-inet",
    "connect",
    "connect-own-socket",
    "bind-own-socket",
    "fork",
    "clone-process",
    "exec",
    "exec-nothing",
    "memfd",
    "ptrace",
    "read-memory-of-others",
    "pidfd",
    "steal-descriptor",
    "kill-others",
    "unshare",
    "setns",
    "setuid",
    "mprotect-exec",
    "mmap-exec",
    "pkey-mprotect",
    "personality",
    "io-uring",
    "bpf",
    "keyctl",
    "add-key",
    "userfaultfd",
    "perf",
    "shared-memory",
    "shared-mapping",
    "message-queue",
    "seccomp-again",
    "terminal-input",
    "signal-owner",
    "raise-core-limit",
    "become-dumpable",
    "raise-capability",
];

/// Attacks that get an error and leave the process alive.
const REFUSED: &[(&str, &str)] = &[
    ("open-file", "EPERM"),
    ("create-file", "EPERM"),
    ("list-root", "EPERM"),
    ("proc-of-others", "EPERM"),
    ("clone3", "ENOSYS"),
    ("memory-beyond", "ENOMEM"),
    ("threads-beyond", "EAGAIN"),
    ("descriptors-beyond", "EMFILE"),
];

#[test]
fn attacks_are_killed_inside_and_work_outside() {
    let spawner = Spawner::start().unwrap();
    for name in KILLED {
        let outcome = start(&spawner, &[]).ask(name);
        assert_eq!(outcome, Outcome::Ended(Exit::Signal(SIGSYS)), "{name}");
        assert!(works_outside(name), "control of {name}");
    }
    #[cfg(target_arch = "x86_64")]
    assert_eq!(
        start(&spawner, &[]).ask("other-abi"),
        Outcome::Ended(Exit::Signal(SIGSYS))
    );
}

#[test]
fn probing_calls_are_refused_inside_and_work_outside() {
    let spawner = Spawner::start().unwrap();
    let mut jailed = start(&spawner, &[]);
    for (name, errno) in REFUSED {
        let outcome = jailed.ask(name);
        assert_eq!(outcome, Outcome::Refused((*errno).to_owned()), "{name}");
        if !name.ends_with("-beyond") {
            assert!(works_outside(name), "control of {name}");
        }
    }
    let name = "exec-memfd";
    assert!(works_outside(name), "control of {name}");
    assert!(matches!(start(&spawner, &[]).ask(name), Outcome::Ended(_)));
}

#[test]
fn what_a_worker_needs_works_inside() {
    let spawner = Spawner::start().unwrap();
    let mut jailed = start(&spawner, &[]);
    assert!(
        jailed.hello.starts_with("environment 0 "),
        "{}",
        jailed.hello
    );
    for layer in Layer::ALL {
        assert!(
            jailed.hello.contains(layer.as_str()),
            "{layer}: {}",
            jailed.hello
        );
    }
    for name in ["threads", "timers", "randomness", "memory", "cpus"] {
        assert_eq!(jailed.ask(name), Outcome::Done, "{name}");
    }
    let held =
        verify_from_outside(jailed.child.pid(), ProcessKind::SqlWorker, &BTreeSet::new()).unwrap();
    assert_eq!(
        held.len(),
        Layer::ALL.len() - 1,
        "all but Landlock are seen"
    );
    assert_eq!(jailed.log(), "");
}

#[test]
fn abort_leaves_no_core() {
    let spawner = Spawner::start().unwrap();
    let mut jailed = start(&spawner, &[]);
    let outcome = jailed.ask("abort");
    let by_signal = [SIGABRT, SIGSEGV].map(|signal| Outcome::Ended(Exit::Signal(signal)));
    assert!(by_signal.contains(&outcome), "{outcome:?}");
}

#[test]
fn process_that_is_not_jailed_is_found_out() {
    let spawner = Spawner::start().unwrap();
    let jailed = start(&spawner, &["--no-jail"]);
    let error = verify_from_outside(jailed.child.pid(), ProcessKind::SqlWorker, &BTreeSet::new())
        .unwrap_err();
    assert!(error.to_string().contains("does not hold"), "{error}");
    // Neither is this one, in any layer.
    let ours = i32::try_from(std::process::id()).unwrap();
    let error = verify_from_outside(ours, ProcessKind::SqlWorker, &BTreeSet::new()).unwrap_err();
    assert!(error.to_string().contains("namespaces"), "{error}");
    // One waived layer doesn't excuse another.
    let waived = [Layer::Namespaces].into();
    assert!(verify_from_outside(ours, ProcessKind::SqlWorker, &waived).is_err());
}

#[test]
fn jail_is_not_entered_with_threads() {
    let spawner = Spawner::start().unwrap();
    let jailed = start(&spawner, &["--threads-first"]);
    assert!(
        jailed
            .hello
            .contains("error bug: the jail is entered with 2 threads"),
        "{}",
        jailed.hello
    );
}

#[test]
fn killed_child_is_gone_and_its_exit_known() {
    let spawner = Spawner::start().unwrap();
    let mut jailed = start(&spawner, &[]);
    assert!(!jailed.child.has_ended());
    let start = Instant::now();
    assert_eq!(jailed.child.kill_and_reap(LIMIT), Some(Exit::Signal(9)));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(jailed.child.has_ended());
    assert!(!std::path::Path::new(&format!("/proc/{}", jailed.child.pid())).exists());
}

#[test]
fn workers_die_with_a_broker_that_is_killed() {
    let mut broker = Command::new(PROBE)
        .arg("--broker")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(broker.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let worker: i32 = line
        .trim()
        .parse()
        .expect("the worker was not started or not verified");
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{worker}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    assert!(alive());
    // Nothing of the broker runs its course.
    broker.kill().unwrap();
    broker.wait().unwrap();
    let deadline = Instant::now() + LIMIT;
    while alive() {
        assert!(Instant::now() < deadline, "the worker outlived the broker");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn file_that_is_no_program_is_reported_by_its_step() {
    let spawner = Spawner::start().unwrap();
    let (_ours, theirs) = scm::stream_pair().unwrap();
    let (_log, log_end) = std::io::pipe().unwrap();
    let image = File::open("/etc/passwd").unwrap();
    let args = ["x".to_owned()];
    let error = spawner
        .spawn(
            ProcessKind::SqlWorker,
            image.as_fd(),
            &args,
            theirs,
            log_end.into(),
            &BTreeSet::new(),
        )
        .unwrap_err();
    assert!(
        error.to_string().contains("the image can't be executed"),
        "{error}"
    );
}

#[test]
fn doctor_agrees_with_what_works() {
    for finding in kekkai_sys::doctor::doctor() {
        // The tests above need what is required; the rest is as the machine has it, and said.
        assert!(finding.available || !finding.required, "{finding:?}");
        assert!(!finding.detail.is_empty() && !finding.remedy.0.is_empty());
    }
}
