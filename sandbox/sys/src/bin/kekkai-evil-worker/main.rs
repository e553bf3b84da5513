//! Attack programs. `tests/security` starts each in each kind of jail, and once outside, where it works.
//!
//! - `--list` prints the attacks: name, subject and what is tried, separated by tabs.
//! - `--outside NAME` does one without a jail: ends with 0 when it works, 2 where this kernel has no such
//!   thing, 1 with the error otherwise.
//! - `--broker NAME` does one under the broker's list of system calls, as a process outside the jail does.
//! - `--kind=KIND [--without=LINE]` with a jail's arguments: enters that jail like a worker, says `jailed`, then does what
//!   its socket asks by name and answers `worked` or the error's name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "a test program: a panic is a failed test"
)]

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use kekkai_sys::{JailSpec, ProcessKind, jail, memfd, scm, seccomp};
use nix::errno::Errno;

mod call;
mod deeds;
mod files;
mod kernel;
mod memory;
mod namespaces;
mod processes;
mod resources;
mod sockets;

/// Where an attack is done.
struct Ground {
    /// Without a jail: it may prepare what only a control may have.
    outside: bool,
    /// A sealed memory file with a program in it, as the broker passes one.
    passed: Option<OwnedFd>,
}

impl Ground {
    fn passed(&self) -> Result<&OwnedFd, Errno> {
        self.passed.as_ref().ok_or(Errno::EBADF)
    }
}

struct Attack {
    name: &'static str,
    what: &'static str,
    act: fn(&Ground) -> Result<(), Errno>,
}

const fn attack(
    name: &'static str,
    what: &'static str,
    act: fn(&Ground) -> Result<(), Errno>,
) -> Attack {
    Attack { name, what, act }
}

const SUBJECTS: [(&str, &[Attack]); 7] = [
    ("files", files::ATTACKS),
    ("sockets", sockets::ATTACKS),
    ("processes", processes::ATTACKS),
    ("namespaces", namespaces::ATTACKS),
    ("memory", memory::ATTACKS),
    ("kernel", kernel::ATTACKS),
    ("resources", resources::ATTACKS),
];

fn find(name: &str) -> &'static Attack {
    let all = SUBJECTS.iter().flat_map(|(_, attacks)| attacks.iter());
    let all = all.chain(deeds::DEEDS);
    let mut named = all.filter(|attack| attack.name == name);
    named.next().unwrap_or_else(|| panic!("no attack {name}"))
}

fn main() -> ExitCode {
    call::remember_process();
    let args: Vec<String> = std::env::args().collect();
    let text: Vec<&str> = args.iter().map(String::as_str).collect();
    match text.as_slice() {
        [_, "--list"] => list(),
        [_, "--outside", name] => outside(name, None),
        [_, "--broker", name] => outside(name, Some(ProcessKind::Broker)),
        [_, kind, ..] => inside(kind, &args),
        _ => ExitCode::from(64),
    }
}

fn list() -> ExitCode {
    for (subject, attacks) in SUBJECTS {
        for attack in attacks {
            println!("{}\t{subject}\t{}", attack.name, attack.what);
        }
    }
    ExitCode::SUCCESS
}

/// What the broker passes: this program, in sealed memory.
fn passed() -> OwnedFd {
    let mut image = std::fs::File::open("/proc/self/exe").unwrap();
    memfd::seal("passed", &mut image, 1 << 30, |_| ()).unwrap()
}

fn outside(name: &str, list: Option<ProcessKind>) -> ExitCode {
    let ground = Ground {
        outside: list.is_none(),
        passed: Some(passed()),
    };
    let attack = find(name);
    if let Some(kind) = list {
        seccomp::install(kind).unwrap();
    }
    match (attack.act)(&ground) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errno) => {
            eprint!("{errno:?}");
            match errno {
                Errno::ENOSYS | Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::ENODEV => {
                    ExitCode::from(2)
                }
                _ => ExitCode::from(1),
            }
        }
    }
}

fn inside(kind: &str, args: &[String]) -> ExitCode {
    let kind = kind.strip_prefix("--kind=").unwrap_or_default();
    let kind = ProcessKind::JAILED
        .into_iter()
        .find(|known| known.as_str() == kind)
        .expect("a kind of jailed process");
    // The first is skipped, as a program's name is.
    let without = args.iter().find_map(|arg| arg.strip_prefix("--without="));
    let args = args[1..]
        .iter()
        .filter(|arg| !arg.starts_with("--without="));
    let spec = JailSpec::from_args(kind, args.cloned()).expect("arguments");
    let entered = match without {
        Some(line) => jail::enter_without(&spec, line),
        None => jail::enter(&spec),
    };
    if let Err(error) = entered {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let socket = jail::take_socket().expect("no socket");
    // As a file: write, which every list has, not send.
    let mut stream = std::fs::File::from(socket.try_clone().unwrap());
    stream.write_all(b"jailed\n").unwrap();
    let mut passed = None;
    let mut name = [0; 64];
    loop {
        let (n, mut fds) = scm::receive_with_fds(socket.as_fd(), &mut name).unwrap();
        if n == 0 {
            return ExitCode::SUCCESS;
        }
        passed = fds.pop().or(passed);
        let ground = Ground {
            outside: false,
            passed: passed.take(),
        };
        let answer = match (find(std::str::from_utf8(&name[..n]).unwrap()).act)(&ground) {
            Ok(()) => "worked".to_owned(),
            Err(errno) => format!("{errno:?}"),
        };
        passed = ground.passed;
        stream.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
}
