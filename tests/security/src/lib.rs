//! What the tests of the jail share: attack programs started as each kind of process by the real spawner,
//! and a look at what they leave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

pub mod suite;
pub mod traces;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kekkai_sys::{Child, Exit, JailSpec, ProcessKind, Spawner, memfd, scm};

/// Private memory of a jail in these tests, in MiB.
pub const MEMORY_MIB: u32 = 512;
/// How long anything here may take.
pub const LIMIT: Duration = Duration::from_secs(20);
/// The largest program that is started, in bytes.
const IMAGE_MAX: u64 = 1 << 30;

/// The attack programs, built with the workspace's other programs. It lies beside them; a copy that an
/// ordinary user is to start lies elsewhere, and then the running program is it.
pub fn evil_worker() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let folders = me.ancestors().skip(1).take(2);
    let mut places = folders.map(|folder| folder.join("kekkai-evil-worker"));
    places
        .find(|place| place.exists())
        .expect("kekkai-evil-worker is not built: cargo build --workspace --bins")
}

/// How an attack went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was to do.
    Worked,
    /// It got an error, by its name.
    Refused(String),
    /// The process was ended.
    Ended(Exit),
}

/// A jailed attack program.
pub struct Jailed {
    /// The process.
    pub child: Child,
    socket: BufReader<UnixStream>,
    log: std::io::PipeReader,
}

/// Programs in sealed memory, and who starts them.
pub struct Launcher {
    spawner: Spawner,
    image: OwnedFd,
}

impl Launcher {
    /// Seals the program.
    pub fn new(program: &Path) -> Self {
        let mut file = File::open(program).unwrap();
        Self {
            spawner: Spawner::start().unwrap(),
            image: memfd::seal("evil-worker", &mut file, IMAGE_MAX, |_| ()).unwrap(),
        }
    }

    /// Starts it as a kind of process and waits until it says that it is jailed. `token` is an argument
    /// that tells its processes from others'.
    pub fn start(&self, kind: ProcessKind, more: &[String]) -> Jailed {
        let (ours, theirs) = scm::stream_pair().unwrap();
        let (log, log_end) = std::io::pipe().unwrap();
        let spec = JailSpec {
            kind,
            memory_mib: MEMORY_MIB,
            waived: BTreeSet::new(),
        };
        let mut args = vec!["kekkai-evil-worker".to_owned(), format!("--kind={kind}")];
        args.extend(more.iter().cloned());
        args.extend(spec.to_args());
        let image = self.image.as_fd();
        let (log_end, none) = (OwnedFd::from(log_end), BTreeSet::new());
        let child = self
            .spawner
            .spawn(kind, image, &args, theirs, log_end, &none);
        let socket = UnixStream::from(ours);
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let mut jailed = Jailed {
            child: child.unwrap(),
            socket: BufReader::new(socket),
            log,
        };
        let hello = jailed.line();
        if hello.as_deref() != Some("jailed") {
            let log = jailed.log();
            panic!("{kind}: {hello:?}, {:?}: {log}", jailed.child.reap());
        }
        jailed
    }

    /// The sealed program: what the broker would pass.
    pub fn image(&self) -> &OwnedFd {
        &self.image
    }
}

impl Jailed {
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let n = self.socket.read_line(&mut line).unwrap_or(0);
        (n > 0).then(|| line.trim_end().to_owned())
    }

    /// Has it do an attack.
    pub fn ask(&mut self, name: &str, passed: Option<&OwnedFd>) -> Outcome {
        self.send(name, passed);
        match self.line().as_deref() {
            None => {
                let ended = self.child.wait_ended(LIMIT);
                assert!(ended, "{name}: neither answer nor end");
                Outcome::Ended(self.child.reap())
            }
            Some("worked") => Outcome::Worked,
            Some(errno) => Outcome::Refused(errno.to_owned()),
        }
    }

    /// Has it begin an attack, and does not wait.
    pub fn send(&mut self, name: &str, passed: Option<&OwnedFd>) {
        let fds: Vec<_> = passed.iter().map(|fd| fd.as_fd()).collect();
        let sent = scm::send(self.socket.get_ref().as_fd(), name.as_bytes(), &fds).unwrap();
        assert_eq!(sent, name.len());
    }

    /// Writes to its socket whatever it is.
    pub fn write(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }

    /// The next line from its socket.
    pub fn answer(&mut self) -> Option<String> {
        self.line()
    }

    /// Its socket.
    pub fn socket(&self) -> &UnixStream {
        self.socket.get_ref()
    }

    /// Ends it and reads what it wrote to its standard output and error.
    pub fn log(&mut self) -> String {
        use std::io::Read;
        self.child.kill_and_reap(LIMIT).unwrap();
        let mut text = String::new();
        self.log.read_to_string(&mut text).unwrap();
        text
    }
}
