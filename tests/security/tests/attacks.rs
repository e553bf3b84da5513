//! Every attack outside, where it works, and as every kind of process, where it doesn't.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use kekkai_security::suite::{self, Control, WORKED};
use kekkai_security::traces::{Machine, Namespaces};
use kekkai_security::{Launcher, evil_worker};
use kekkai_sys::{ProcessKind, scm};

/// Write the table anew: `KEKKAI_REGENERATE=1 cargo test -p kekkai-security --test attacks`.
const REGENERATE: &str = "KEKKAI_REGENERATE";
/// Attacks of the native part that the table must hold at least, each with a control that works.
const ATTACKS_MIN: usize = 80;

/// What a kind may do although another may not: it is its work, and the reason is here.
fn may(kind: ProcessKind, attack: &str) -> Option<&'static str> {
    match (kind, attack) {
        (ProcessKind::WasmWorker, "map-file-executable") => {
            Some("compiled programs are mapped from sealed memory that the broker passes")
        }
        _ => None,
    }
}

const PREFACE: &str = "# Attacks\n\nEach program of `sandbox/sys/src/bin/kekkai-evil-worker/` outside, where it \
works, and as each kind of process. `killed` is seccomp's SIGSYS; names of errors are what the program got. \
The broker is not jailed: it opens files and connects, under a list of system calls of its own; what works \
for it is its work. Written by `KEKKAI_REGENERATE=1 cargo test -p kekkai-security --test attacks` as root.\n";

#[test]
fn every_attack_works_outside_and_none_inside() {
    assert!(nix::unistd::geteuid().is_root(), "the controls need root");
    let program = evil_worker();
    let before = Machine::now();
    let attacks = suite::attacks(&program);
    let names: BTreeSet<_> = attacks.iter().map(|attack| &attack.name).collect();
    assert_eq!(names.len(), attacks.len(), "two attacks have one name");
    let rows = suite::run(&program, &attacks, "root");
    normal_ends(&program);
    // No file, mount, shared memory, socket or group is left by any of them.
    before.assert_still();

    let works = |row: &&suite::Row| row.control == Control::Works;
    let counted = rows.iter().filter(works).count();
    let text = format!(
        "{PREFACE}{}\n{counted} attacks work outside; of {} this kernel has no such thing.\n",
        suite::markdown(&rows),
        rows.len() - counted
    );
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("ATTACKS.md");
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&place, &text).unwrap();
    }
    for row in &rows {
        let name = &row.attack.name;
        if let Control::Fails(what) = &row.control {
            panic!("the control of {name} fails: {what}");
        }
        for (kind, cell) in ProcessKind::ALL.into_iter().zip(&row.cells) {
            let works = cell == WORKED;
            if kind != ProcessKind::Broker {
                assert_eq!(works, may(kind, name).is_some(), "{name} as {kind}: {cell}");
            }
        }
    }
    assert!(
        counted >= ATTACKS_MIN,
        "only {counted} attacks work outside"
    );
    compare(&std::fs::read_to_string(&place).unwrap(), &text);
}

/// Cell by cell. Of what another kernel lacks, and of its version of an error outside, only the inside counts.
fn compare(committed: &str, now: &str) {
    let rows = |text: &str| -> BTreeMap<String, Vec<String>> {
        text.lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| attack "))
            .map(|line| {
                let cells: Vec<String> = line
                    .split(" | ")
                    .map(|cell| cell.trim_matches(['|', ' ']).to_owned())
                    .collect();
                (cells[0].clone(), cells[3..].to_vec())
            })
            .collect()
    };
    let (committed, now) = (rows(committed), rows(now));
    for (name, cells) in &now {
        assert_eq!(
            committed.get(name),
            Some(cells),
            "{name}: ATTACKS.md says otherwise"
        );
    }
    assert_eq!(
        committed.len(),
        now.len(),
        "ATTACKS.md has attacks that there are none of"
    );
}

/// What the jail gives an ordinary user's broker is what it gives root's.
#[test]
fn attacks_fail_alike_where_the_broker_is_an_ordinary_user() {
    const USER: u32 = 65_534;
    let folder = tempfile::tempdir().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    // Under root's own folder nobody could start them.
    let copy = |program: &Path| {
        let place = folder.path().join(program.file_name().unwrap());
        // By another process: a file that this one writes can't be executed while others fork.
        let copied = Command::new("cp")
            .arg(program)
            .arg(&place)
            .status()
            .unwrap();
        assert!(copied.success());
        place
    };
    copy(&evil_worker());
    let suite = copy(Path::new(env!("CARGO_BIN_EXE_kekkai-attack-suite")));
    let output = Command::new(suite)
        .uid(USER)
        .gid(USER)
        .current_dir("/")
        .env_clear()
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("ATTACKS.md");
    let table = std::fs::read_to_string(place).unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let [name, kind, cell] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let row = table
            .lines()
            .find(|row| row.starts_with(&format!("| {name} |")))
            .unwrap();
        let cells: Vec<&str> = row
            .split(" | ")
            .map(|cell| cell.trim_matches(['|', ' ']))
            .collect();
        let column = ProcessKind::ALL
            .iter()
            .position(|known| known.as_str() == kind)
            .unwrap();
        assert_eq!(cells[3 + column], cell, "{name} as {kind}");
        seen += 1;
    }
    assert!(seen >= ATTACKS_MIN, "only {seen} cells were seen");
}

/// Processes that end by themselves leave nothing either.
fn normal_ends(program: &Path) {
    let launcher = Launcher::new(program);
    for kind in ProcessKind::JAILED {
        let mut jailed = launcher.start(kind, &[]);
        let spaces = Namespaces::of(jailed.child.pid());
        assert!(
            spaces.len() >= 7,
            "{kind}: {} namespaces of its own",
            spaces.len()
        );
        // Its socket ends, and it leaves.
        jailed.socket().shutdown(std::net::Shutdown::Both).unwrap();
        assert!(jailed.child.wait_ended(kekkai_security::LIMIT));
        assert_eq!(jailed.child.reap(), kekkai_sys::Exit::Code(0), "{kind}");
        drop(jailed);
        spaces.assert_gone(kind.as_str());
    }
}

/// The control of looking for what is left.
#[test]
fn namespaces_that_live_on_are_found() {
    let launcher = Launcher::new(&evil_worker());
    let jailed = launcher.start(ProcessKind::SqlWorker, &[]);
    let spaces = Namespaces::of(jailed.child.pid());
    assert!(!spaces.is_empty());
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| spaces.assert_gone("it")));
    assert!(found.is_err());
}

/// A worker may put descriptors into its messages: the broker's receiver takes none.
#[test]
fn descriptors_from_a_worker_never_arrive() {
    let (worker, broker) = scm::stream_pair().unwrap();
    let stolen = tempfile::NamedTempFile::new().unwrap();
    let open = || {
        let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let targets = all.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        targets.filter(|target| target == stolen.path()).count()
    };
    for receive_them in [true, false] {
        scm::send(worker.as_fd(), b"x", &[stolen.as_file().as_fd()]).unwrap();
        let before = open();
        let mut byte = [0];
        if receive_them {
            // The control: they were sent.
            let (n, fds) = scm::receive_with_fds(broker.as_fd(), &mut byte).unwrap();
            assert_eq!((n, fds.len(), open()), (1, 1, before + 1));
        } else {
            assert_eq!(scm::receive(broker.as_fd(), &mut byte).unwrap(), 1);
            assert_eq!(open(), before);
        }
    }
}
