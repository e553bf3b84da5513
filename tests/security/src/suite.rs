//! Every attack as every kind of process, as a table.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use kekkai_sys::{Exit, ProcessKind};

use crate::{Launcher, Outcome, traces};

/// One attack, as the program lists it.
#[derive(Debug, Clone)]
pub struct Attack {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub subject: String,
    /// What is tried.
    pub what: String,
}

/// What became of one attack.
pub struct Row {
    /// Which.
    pub attack: Attack,
    /// Without a jail.
    pub control: Control,
    /// As each kind of [`ProcessKind::ALL`].
    pub cells: Vec<String>,
}

/// What an attack does without a jail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// It works.
    Works,
    /// This kernel has no such thing: nothing is shown by refusing it.
    NotHere(String),
    /// It should have worked.
    Fails(String),
}

/// How a cell reads where an attack works.
pub const WORKED: &str = "**works**";

/// What attacks there are.
pub fn attacks(program: &Path) -> Vec<Attack> {
    let output = Command::new(program).arg("--list").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let [name, subject, what] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            let own = str::to_owned;
            Attack {
                name: own(name),
                subject: own(subject),
                what: own(what),
            }
        })
        .collect()
}

/// The attack without a jail, as whoever runs the tests.
pub fn control(program: &Path, attack: &Attack) -> Control {
    let output = Command::new(program)
        .args(["--outside", &attack.name])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Control::Works,
        Some(2) => Control::NotHere(error),
        _ => Control::Fails(format!("{}: {error}", output.status)),
    }
}

/// The attack in a process outside the jail that has the broker's list of system calls.
fn as_broker(program: &Path, attack: &Attack) -> String {
    // It may be killed before it removes what it made.
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(["--broker", &attack.name])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    match output.status.code() {
        Some(0) => WORKED.to_owned(),
        Some(_) => String::from_utf8_lossy(&output.stderr).into_owned(),
        None => signal_name(signal_of(output.status)),
    }
}

fn signal_of(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.signal().unwrap_or(0)
}

fn signal_name(signal: i32) -> String {
    match signal {
        31 => "killed".to_owned(),
        number => format!("signal {number}"),
    }
}

/// One cell: each attack has a process of its own, which must leave nothing.
pub fn cell(launcher: &Launcher, kind: ProcessKind, attack: &Attack, token: &str) -> String {
    let mut jailed = launcher.start(kind, &[]);
    let spaces = traces::Namespaces::of(jailed.child.pid());
    let outcome = jailed.ask(&attack.name, Some(launcher.image()));
    // The kind's own end, where the attack left it alive.
    jailed.child.kill_and_reap(crate::LIMIT).unwrap();
    drop(jailed);
    spaces.assert_gone(&format!("{token}: {kind}: {}", attack.name));
    match outcome {
        Outcome::Worked => WORKED.to_owned(),
        Outcome::Refused(errno) => errno,
        Outcome::Ended(Exit::Signal(signal)) => signal_name(signal),
        Outcome::Ended(Exit::Code(code)) => format!("exit {code}"),
        Outcome::Ended(Exit::Unknown) => "ended".to_owned(),
    }
}

/// The whole table, the kinds of one attack side by side.
pub fn run(program: &Path, attacks: &[Attack], token: &str) -> Vec<Row> {
    let launcher = Launcher::new(program);
    let one = &|kind, attack: &Attack| match kind {
        ProcessKind::Broker => as_broker(program, attack),
        _ => cell(&launcher, kind, attack, token),
    };
    let row = |attack: &Attack| {
        std::thread::scope(|scope| {
            let cells = ProcessKind::ALL.map(|kind| scope.spawn(move || one(kind, attack)));
            Row {
                attack: attack.clone(),
                control: control(program, attack),
                cells: cells.map(|cell| cell.join().unwrap()).into(),
            }
        })
    };
    attacks.iter().map(row).collect()
}

/// The table as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut subject = "";
    for row in rows {
        if row.attack.subject != subject {
            subject = &row.attack.subject;
            writeln!(text, "\n## {subject}").unwrap();
            write!(text, "| attack | what is tried | outside |").unwrap();
            for kind in ProcessKind::ALL {
                write!(text, " {kind} |").unwrap();
            }
            writeln!(
                text,
                "\n|---|---|---|{}",
                "---|".repeat(ProcessKind::ALL.len())
            )
            .unwrap();
        }
        let control = match &row.control {
            Control::Works => "works".to_owned(),
            Control::NotHere(errno) => format!("not here: {errno}"),
            Control::Fails(what) => format!("fails: {what}"),
        };
        let (name, what) = (&row.attack.name, &row.attack.what);
        writeln!(
            text,
            "| {name} | {what} | {control} | {} |",
            row.cells.join(" | ")
        )
        .unwrap();
    }
    text
}
