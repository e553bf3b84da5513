//! The daemons as child processes: started, waited for, stopped, killed.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::DemoError;

/// A daemon answers on its port within this time, or has failed.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A daemon that drains ends within this time, or is killed.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A daemon that runs. Dropping it kills it: nothing outlives a test.
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program; its log is appended to. `setpriv` makes the kernel kill it when we die.
    pub fn start(
        name: &str,
        program: &Path,
        args: &[&str],
        log: &Path,
        environment: &[(&str, &str)],
    ) -> Result<Self, DemoError> {
        Self::start_in("", name, program, args, log, environment)
    }

    /// The same in a network namespace, by its name; empty: in this one.
    pub fn start_in(
        namespace: &str,
        name: &str,
        program: &Path,
        args: &[&str],
        log: &Path,
        environment: &[(&str, &str)],
    ) -> Result<Self, DemoError> {
        let io = |source| DemoError::Io {
            what: format!("{name} can't be started"),
            source,
        };
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(io)?;
        let mut command = match namespace {
            "" => Command::new("setpriv"),
            namespace => {
                // It executes the rest: the process stays the one that is waited for.
                let mut command = Command::new("nsenter");
                let place = Path::new("/run/netns").join(namespace);
                command.arg(format!("--net={}", place.display()));
                command.args(["--", "setpriv"]);
                command
            }
        };
        let child = command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(io)?)
            .stderr(out)
            .spawn()
            .map_err(io)?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Waits until the daemon's port answers.
    pub fn wait_for(&mut self, address: SocketAddr) -> Result<(), DemoError> {
        let start = Instant::now();
        loop {
            if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(&format!("ended with {status}")));
            }
            if start.elapsed() > START_LIMIT {
                return Err(self.failed("doesn't answer"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn failed(&self, how: &str) -> DemoError {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        DemoError::Daemon {
            name: self.name.clone(),
            how: how.to_owned(),
            log: tail.into_iter().rev().collect::<Vec<_>>().join("\n"),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True while the process runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks the daemon to drain and waits for it.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let start = Instant::now();
        while start.elapsed() < STOP_LIMIT {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Drop kills it.
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback port that is free now.
///
/// It lies below 32768, where the kernel begins to take ports for outgoing connections: none of those can
/// take it away before the service listens. Where to begin is random, so that worlds made side by side
/// rarely meet.
pub fn free_address() -> Result<SocketAddr, DemoError> {
    use std::hash::{BuildHasher as _, Hasher as _};
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 22_000;
    let start = std::hash::RandomState::new().build_hasher().finish() % u64::from(COUNT);
    let mut error = None;
    for n in 0..COUNT {
        let at = (start + u64::from(n)) % u64::from(COUNT);
        let port = FIRST + u16::try_from(at).unwrap_or(0);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        match std::net::TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(source) => error = Some(source),
        }
    }
    Err(DemoError::Io {
        what: "no loopback port is free".to_owned(),
        source: error.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into()),
    })
}
