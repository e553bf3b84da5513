//! Starting jailed processes, and holding them.
//!
//! The broker can't fork them itself: it has threads, holds keys, and is not dumpable, so that even
//! its child's `/proc` files would belong to root. A small process, forked before any of that is
//! true, does it on request.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::{Layer, ProcessKind, Share, scm, zygote};

/// The descriptor that a jailed process finds its socket at.
pub const WORKER_FD: i32 = 3;

/// The longest request to the spawner: arguments of the process.
pub(crate) const REQUEST_MAX: usize = 4096;

/// Why a process could not be started or ended.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The spawner itself could not be started.
    #[error("the spawner can't be started: {what}")]
    Start {
        /// At which step.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A process that is not dumpable can't start one.
    #[error("bug: Spawner::start is called after the process was made not dumpable")]
    TooLate,
    /// The spawner is gone.
    #[error("the spawner does not answer")]
    Gone(#[source] io::Error),
    /// The arguments don't fit a request.
    #[error("the arguments have more than {REQUEST_MAX} bytes or hold a zero byte")]
    Arguments,
    /// A layer of the jail can't be had here.
    #[error("layer \"{layer}\" can't be enforced: {what} ({})", .layer.remedy().1)]
    Layer {
        /// Which.
        layer: Layer,
        /// At which step.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A step of the start that is no layer failed.
    #[error("the process can't be started: {what}")]
    Step {
        /// At which step.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Starts jailed processes. Cheap to clone. When the last clone is gone, or this process dies, the
/// spawner and all its processes are killed.
#[derive(Debug, Clone)]
pub struct Spawner {
    socket: Arc<Mutex<OwnedFd>>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned.
    Code(i32),
    /// A signal ended it: 31 (`SIGSYS`) is seccomp's.
    Signal(i32),
    /// It is gone; how, is not known.
    Unknown,
}

impl Spawner {
    /// Forks the spawner. To be called first in `main`: the fork must be a copy of nothing secret,
    /// and the calling thread must live as long as the process, since the spawner dies with it.
    pub fn start() -> Result<Self, SpawnError> {
        let fail = |what| move |source: io::Error| SpawnError::Start { what, source };
        let dumpable = nix::sys::prctl::get_dumpable().map_err(|e| fail("prctl")(e.into()))?;
        if !dumpable && !nix::unistd::geteuid().is_root() {
            return Err(SpawnError::TooLate);
        }
        let (ours, theirs) = scm::packet_pair().map_err(fail("socketpair"))?;
        zygote::fork(theirs).map_err(fail("fork"))?;
        Ok(Self {
            socket: Arc::new(Mutex::new(ours)),
        })
    }

    /// Starts `image` with `args` (the first is `argv[0]`), its socket at [`WORKER_FD`], its standard
    /// output and error at `log`, an empty environment, the share of the processor that is due to its
    /// kind, and nothing else. `waived` may name [`Layer::Namespaces`]; all other layers are the
    /// process's own work.
    pub fn spawn(
        &self,
        kind: ProcessKind,
        image: BorrowedFd<'_>,
        args: &[String],
        socket: OwnedFd,
        log: OwnedFd,
        waived: &std::collections::BTreeSet<Layer>,
    ) -> Result<Child, SpawnError> {
        let mut request = vec![
            zygote::OP_SPAWN,
            u8::from(waived.contains(&Layer::Namespaces)),
            u8::from(kind.share() == Share::Background),
        ];
        for arg in args {
            if arg.contains('\0') {
                return Err(SpawnError::Arguments);
            }
            request.extend_from_slice(std::ffi::OsStr::new(arg).as_bytes());
            request.push(0);
        }
        if request.len() > REQUEST_MAX {
            return Err(SpawnError::Arguments);
        }
        let fds = [image, socket.as_fd(), log.as_fd()];
        let (answer, mut fds) = self.ask(&request, &fds)?;
        match (zygote::Answer::parse(&answer), fds.pop()) {
            (Some(zygote::Answer::Spawned(pid)), Some(pidfd)) => Ok(Child {
                pid,
                pidfd,
                spawner: self.clone(),
                reaped: None,
            }),
            (Some(zygote::Answer::Failed(step, errno)), _) => {
                let source = io::Error::from_raw_os_error(errno);
                let what = step.what();
                Err(match step.layer() {
                    Some(layer) => SpawnError::Layer {
                        layer,
                        what,
                        source,
                    },
                    None => SpawnError::Step { what, source },
                })
            }
            _ => Err(SpawnError::Gone(io::Error::other("malformed answer"))),
        }
    }

    fn ask(
        &self,
        request: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Vec<u8>, Vec<OwnedFd>), SpawnError> {
        // A poisoned lock only says that another thread panicked between two whole exchanges or
        // within one; in the latter case the answers no longer fit and `parse` refuses them.
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        scm::send(socket.as_fd(), request, fds).map_err(SpawnError::Gone)?;
        let mut answer = vec![0; 64];
        let (n, fds) =
            scm::receive_with_fds(socket.as_fd(), &mut answer).map_err(SpawnError::Gone)?;
        if n == 0 {
            return Err(SpawnError::Gone(io::ErrorKind::UnexpectedEof.into()));
        }
        answer.truncate(n);
        Ok((answer, fds))
    }
}

/// A process that was started. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    pidfd: OwnedFd,
    spawner: Spawner,
    reaped: Option<Exit>,
}

impl Child {
    /// Its number in our pid namespace. Not reused while this value lives.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Becomes readable when the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Kills the process and, with its pid namespace, everything it started.
    pub fn kill(&self) -> io::Result<()> {
        if self.reaped.is_some() {
            return Ok(());
        }
        // SAFETY: pidfd_send_signal takes a descriptor, which is open as long as `self` is
        // borrowed, a signal, a null siginfo (the kernel fills it in) and no flags; it touches no
        // memory of ours.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.pidfd.as_raw_fd(),
                libc::SIGKILL,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        match Errno::result(result) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether the process has ended, without waiting.
    pub fn has_ended(&self) -> bool {
        self.reaped.is_some() || self.wait_ended(Duration::ZERO)
    }

    /// Waits until the process has ended, at most `limit`. False when the time ran out.
    pub fn wait_ended(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match nix::poll::poll(&mut fds, timeout) {
                Ok(0) if left.is_zero() => return false,
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Kills, waits at most `limit`, and takes the exit status. `None` when it won't die in time.
    pub fn kill_and_reap(&mut self, limit: Duration) -> Option<Exit> {
        if self.kill().is_err() || !self.wait_ended(limit) {
            return None;
        }
        Some(self.reap())
    }

    /// Takes the exit status of a process that has ended; [`Exit::Unknown`] while it has not.
    pub fn reap(&mut self) -> Exit {
        if let Some(exit) = self.reaped {
            return exit;
        }
        if !self.wait_ended(Duration::ZERO) {
            return Exit::Unknown;
        }
        let mut request = vec![zygote::OP_REAP];
        request.extend_from_slice(&self.pid.to_le_bytes());
        let exit = match self.spawner.ask(&request, &[]) {
            Ok((answer, _)) => match zygote::Answer::parse(&answer) {
                Some(zygote::Answer::Reaped(status)) => exit_of(status),
                _ => Exit::Unknown,
            },
            Err(_) => Exit::Unknown,
        };
        self.reaped = Some(exit);
        exit
    }
}

/// How long a dropped child may take to die: `SIGKILL` is not refused, only delayed.
const DROP_LIMIT: Duration = Duration::from_secs(2);

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped.is_none() {
            self.kill_and_reap(DROP_LIMIT);
        }
    }
}

fn exit_of(status: i32) -> Exit {
    if libc::WIFEXITED(status) {
        Exit::Code(libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Unknown
    }
}
