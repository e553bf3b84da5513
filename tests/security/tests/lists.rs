//! Each line of each list of system calls is needed: left out, something that the kind does fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use kekkai_security::{LIMIT, Launcher, MEMORY_MIB, Outcome, evil_worker};
use kekkai_sys::{Child, Exit, JailSpec, ProcessKind, Spawner, memfd, scm};

const PROBE: &str = env!("CARGO_BIN_EXE_kekkai-list-probe");
/// The first process of a pid namespace is not ended by its own SIGABRT: it then ends by a fault.
const ABORTED: [Exit; 2] = [Exit::Signal(6), Exit::Signal(11)];

/// Lines whose need can't be shown on every machine, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "allow clock_gettime",
        "where the machine's clock can't be read from memory, the C library asks the kernel",
    ),
    ("allow socket inet6-datagram", SORTED),
    ("allow socket netlink-route", SORTED),
];
const SORTED: &str =
    "where a name has several addresses, the C library sorts them by the routes there are";

/// Lines that the acts of `kekkai-list-probe` don't need, each with the attack program's deed that does.
const DEEDS: &[(&str, &str)] = &[(
    "allow mmap exec-not-write private of-file",
    "map-file-executable",
)];

struct Probes {
    spawner: Spawner,
    image: OwnedFd,
}

impl Probes {
    fn new() -> Self {
        let mut program = File::open(PROBE).unwrap();
        Self {
            spawner: Spawner::start().unwrap(),
            image: memfd::seal("probe", &mut program, 1 << 30, |_| ()).unwrap(),
        }
    }

    fn spawn(&self, kind: ProcessKind, more: &[String]) -> (Child, BufReader<UnixStream>) {
        let (ours, theirs) = scm::stream_pair().unwrap();
        // Kept open by nobody: what is printed is dropped, but writing works while the child lives.
        let log = File::options().write(true).open("/dev/null").unwrap();
        let spec = JailSpec {
            kind,
            memory_mib: MEMORY_MIB,
            waived: BTreeSet::new(),
        };
        let mut args = vec!["probe".to_owned(), format!("--kind={kind}")];
        args.extend(more.iter().cloned());
        args.extend(spec.to_args());
        let image = self.image.as_fd();
        let child = self
            .spawner
            .spawn(kind, image, &args, theirs, log.into(), &spec.waived)
            .unwrap();
        let blank = nix::sys::memfd::memfd_create(c"blank", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
            .unwrap();
        // New each time: what one process reads, the next must find unread.
        let file = memfd::seal("file", &mut &b"a file"[..], 10, |_| ()).unwrap();
        // Where it died already, its silence says so.
        let _ = scm::send(ours.as_fd(), b"x", &[file.as_fd(), blank.as_fd()]);
        let socket = UnixStream::from(ours);
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        (child, BufReader::new(socket))
    }

    /// What it did last, and how it ended.
    fn run(&self, kind: ProcessKind, more: &[String]) -> (String, Exit) {
        if kind == ProcessKind::Broker {
            return as_broker(more);
        }
        let (mut child, socket) = self.spawn(kind, more);
        let last = socket.lines().map_while(Result::ok).last();
        assert!(child.wait_ended(LIMIT), "{kind} {more:?} does not end");
        (last.unwrap_or_default(), child.reap())
    }

    /// Stopped while it waits, and let go on.
    fn goes_on_after_a_stop(&self, kind: ProcessKind, more: &[String]) -> bool {
        if kind == ProcessKind::Broker {
            let mut child = Command::new(PROBE)
                .arg("--kind=broker")
                .args(more)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = BufReader::new(child.stderr.take().unwrap());
            let pid = i32::try_from(child.id()).unwrap();
            stop_and_go(&mut said, pid);
            return child.wait().unwrap().success();
        }
        let (mut child, mut said) = self.spawn(kind, more);
        stop_and_go(&mut said, child.pid());
        assert!(child.wait_ended(LIMIT));
        child.reap() == WELL
    }
}

/// Waits for its first word, then stops it in its sleep.
fn stop_and_go(said: &mut impl BufRead, pid: i32) {
    use nix::sys::signal::{Signal, kill};
    let mut line = String::new();
    if said.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let pid = nix::unistd::Pid::from_raw(pid);
    std::thread::sleep(Duration::from_millis(50));
    kill(pid, Signal::SIGSTOP).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    kill(pid, Signal::SIGCONT).unwrap();
}

fn as_broker(more: &[String]) -> (String, Exit) {
    use std::os::unix::process::ExitStatusExt;
    // Killed in the middle, it leaves its file.
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(PROBE)
        .arg("--kind=broker")
        .args(more)
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let exit = match (output.status.code(), output.status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        _ => Exit::Unknown,
    };
    (text.lines().last().unwrap_or_default().to_owned(), exit)
}

const WELL: Exit = Exit::Code(0);

/// What fails without a line; `None` when nothing does.
fn need(probes: &Probes, kind: ProcessKind, line: &str) -> Option<String> {
    let without = vec![format!("--without={line}")];
    let (last, exit) = probes.run(kind, &without);
    if (last.as_str(), exit) != ("all", WELL) {
        return Some(match last.as_str() {
            "" => "take the socket".to_owned(),
            "all" => "end".to_owned(),
            act => act.to_owned(),
        });
    }
    let abort = [without.clone(), vec!["--abort".to_owned()]].concat();
    if !ABORTED.contains(&probes.run(kind, &abort).1) {
        return Some("abort".to_owned());
    }
    let sleep = [without, vec!["--sleep".to_owned()]].concat();
    if !probes.goes_on_after_a_stop(kind, &sleep) {
        return Some("go on after a stop".to_owned());
    }
    None
}

fn check(kind: ProcessKind) {
    let probes = Probes::new();
    // The control: with the whole list all of it works.
    assert_eq!(probes.run(kind, &[]), ("all".to_owned(), WELL), "{kind}");
    let abort = probes.run(kind, &["--abort".to_owned()]).1;
    assert!(ABORTED.contains(&abort), "{kind}: {abort:?}");
    let goes_on = probes.goes_on_after_a_stop(kind, &["--sleep".to_owned()]);
    assert!(goes_on, "{kind}");

    let lines = kind.seccomp_lines();
    assert!(lines.len() > 20, "{kind}: {} lines", lines.len());
    let mut unneeded = Vec::new();
    for line in &lines {
        let deed = DEEDS.iter().find(|(known, _)| known == line);
        let elsewhere = ELSEWHERE.iter().find(|(known, _)| known == line);
        match (deed, elsewhere) {
            (Some((_, deed)), _) => deed_needs(kind, line, deed),
            (None, Some((_, reason))) => println!("{kind}: {line}: {reason}"),
            (None, None) => match need(&probes, kind, line) {
                Some(act) => println!("{kind}: {line}: {act}"),
                None => unneeded.push(line.as_str()),
            },
        }
    }
    // It still does: what failed above failed for want of its line.
    assert_eq!(probes.run(kind, &[]), ("all".to_owned(), WELL), "{kind}");
    assert!(unneeded.is_empty(), "{kind}: nothing needs {unneeded:?}");
}

fn deed_needs(kind: ProcessKind, line: &str, deed: &str) {
    let launcher = Launcher::new(&evil_worker());
    let with = launcher.start(kind, &[]).ask(deed, Some(launcher.image()));
    assert_eq!(with, Outcome::Worked, "{kind}: {line}");
    let mut process = launcher.start(kind, &[format!("--without={line}")]);
    let without = process.ask(deed, Some(launcher.image()));
    assert_eq!(without, Outcome::Ended(Exit::Signal(31)), "{kind}: {line}");
}

#[test]
fn broker_needs_each_line_of_its_list() {
    check(ProcessKind::Broker);
}

/// The broker has threads when its list is installed.
#[test]
fn list_holds_threads_that_ran_before_it() {
    assert_eq!(as_broker(&["--elder".to_owned()]).1, Exit::Signal(31));
}

#[test]
fn sql_worker_needs_each_line_of_its_list() {
    check(ProcessKind::SqlWorker);
}

#[test]
fn wasm_worker_needs_each_line_of_its_list() {
    check(ProcessKind::WasmWorker);
}

#[test]
fn wasm_compiler_needs_each_line_of_its_list() {
    check(ProcessKind::WasmCompiler);
}

#[test]
fn desktop_needs_each_line_of_its_list() {
    check(ProcessKind::Desktop);
}
