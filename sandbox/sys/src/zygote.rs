//! The spawner's side: a process that only forks others into namespaces.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid};

use crate::harden::{Capability, raise_ambient};
use crate::spawn::{REQUEST_MAX, WORKER_FD};
use crate::{Layer, NOBODY, Share, scm};

pub(crate) const OP_SPAWN: u8 = b'S';
pub(crate) const OP_REAP: u8 = b'R';

/// The first number that is none of 0 to [`WORKER_FD`]: moved there first, nothing is overwritten.
const SAFE_FD: i32 = 16;

/// Of linux/sched.h: beyond 32 bits, so libc's int can't hold it.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;

/// Steps of a start, as one byte of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    Request = 1,
    Groups,
    Clone,
    UidMap,
    GidMap,
    Handshake,
    SetGid,
    SetUid,
    ParentDeath,
    Capabilities,
    Descriptors,
    Session,
    Share,
    Execute,
}

impl Step {
    const ALL: [Self; 14] = [
        Self::Request,
        Self::Groups,
        Self::Clone,
        Self::UidMap,
        Self::GidMap,
        Self::Handshake,
        Self::SetGid,
        Self::SetUid,
        Self::ParentDeath,
        Self::Capabilities,
        Self::Descriptors,
        Self::Session,
        Self::Share,
        Self::Execute,
    ];

    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Request => "the request is malformed",
            Self::Groups => "the supplementary groups can't be dropped",
            Self::Clone => "no new namespaces",
            Self::UidMap => "the user map can't be written",
            Self::GidMap => "the group map can't be written",
            Self::Handshake => "the child does not answer",
            Self::SetGid => "no change to the unprivileged group",
            Self::SetUid => "no change to the unprivileged user",
            Self::ParentDeath => "no signal at the parent's death",
            Self::Capabilities => "the namespace's capabilities can't be kept",
            Self::Descriptors => "descriptors can't be arranged",
            Self::Session => "no session of its own",
            Self::Share => "its share of the processor can't be lowered",
            Self::Execute => "the image can't be executed",
        }
    }

    pub(crate) fn layer(self) -> Option<Layer> {
        match self {
            Self::Clone
            | Self::UidMap
            | Self::GidMap
            | Self::SetGid
            | Self::SetUid
            | Self::Capabilities => Some(Layer::Namespaces),
            _ => None,
        }
    }
}

/// What the spawner answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Spawned(i32),
    Failed(Step, i32),
    Reaped(i32),
}

impl Answer {
    fn to_bytes(self) -> Vec<u8> {
        let (tag, step, number) = match self {
            Self::Spawned(pid) => (b's', 0, pid),
            Self::Failed(step, errno) => (b'f', step as u8, errno),
            Self::Reaped(status) => (b'r', 0, status),
        };
        let mut bytes = vec![tag, step];
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[tag, step], number) = bytes.split_first_chunk::<2>()?;
        let number = i32::from_le_bytes(number.try_into().ok()?);
        match tag {
            b's' => Some(Self::Spawned(number)),
            b'r' => Some(Self::Reaped(number)),
            b'f' => {
                let step = Step::ALL.into_iter().find(|s| *s as u8 == step)?;
                Some(Self::Failed(step, number))
            }
            _ => None,
        }
    }
}

/// Forks the spawner; returns in the parent only.
pub(crate) fn fork(socket: OwnedFd) -> io::Result<()> {
    let parent = nix::unistd::getpid();
    // SAFETY: the caller is told to have one thread. Where it has more (tests), the child has only
    // the forking one; it allocates, which glibc's fork makes safe, and takes no lock of std's.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { .. } => Ok(()),
        nix::unistd::ForkResult::Child => {
            // Nothing may unwind into the caller's frames: this process is not it.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                // The error is that the parent is gone: nobody to tell.
                let _ = serve(&socket, parent);
            }));
            exit_now(0)
        }
    }
}

fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no precondition; it runs no handlers, which belong to the parent.
    unsafe { libc::_exit(code) }
}

/// Answers requests until the parent is gone.
fn serve(socket: &OwnedFd, parent: nix::unistd::Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    if nix::unistd::getppid() != parent {
        return Ok(());
    }
    nix::sys::prctl::set_name(c"kekkai-spawner")?;
    nix::sys::prctl::set_no_new_privs()?;
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    // No terminal, and no signal meant for the broker's group.
    nix::unistd::setsid()?;
    let socket = scm::duplicate_from(socket.as_fd(), SAFE_FD)?;
    let null = nix::fcntl::open(
        c"/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let null = scm::duplicate_from(null.as_fd(), SAFE_FD)?;
    close_all_but(&[socket.as_raw_fd(), null.as_raw_fd()])?;

    let mut request = vec![0; REQUEST_MAX];
    loop {
        let (n, fds) = scm::receive_with_fds(socket.as_fd(), &mut request)?;
        let Some(bytes) = request.get(..n).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        let (answer, pidfd) = match bytes.split_first() {
            Some((&OP_SPAWN, rest)) => match start(rest, fds, &null) {
                Ok((pid, pidfd)) => (Answer::Spawned(pid), Some(pidfd)),
                Err((step, errno)) => (Answer::Failed(step, errno as i32), None),
            },
            Some((&OP_REAP, rest)) => (reap(rest), None),
            _ => (Answer::Failed(Step::Request, libc::EINVAL), None),
        };
        let pidfd: Vec<BorrowedFd<'_>> = pidfd.iter().map(AsFd::as_fd).collect();
        scm::send(socket.as_fd(), &answer.to_bytes(), &pidfd)?;
    }
}

fn close_all_but(keep: &[i32]) -> nix::Result<()> {
    let mut first: u32 = 0;
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .collect();
    keep.sort_unstable();
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1, 0)?;
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX, 0)
}

fn close_range(first: u32, last: u32, flags: u32) -> nix::Result<()> {
    // SAFETY: close_range touches no memory. It may close descriptors that Rust values own: the
    // callers are processes just forked, in which no such value is used or dropped any more.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    Errno::result(result).map(drop)
}

fn reap(request: &[u8]) -> Answer {
    let Ok(pid) = request.try_into().map(i32::from_le_bytes) else {
        return Answer::Failed(Step::Request, libc::EINVAL);
    };
    let mut status = 0;
    // SAFETY: waitpid writes one int through the pointer, which is valid and exclusive for the call.
    let result = unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) };
    match Errno::result(result) {
        Ok(reaped) if reaped == pid => Answer::Reaped(status),
        Ok(_) => Answer::Failed(Step::Request, libc::EAGAIN),
        Err(errno) => Answer::Failed(Step::Request, errno as i32),
    }
}

type Failure = (Step, Errno);

fn at(step: Step) -> impl Fn(Errno) -> Failure {
    move |errno| (step, errno)
}

/// What the child needs, prepared before it exists.
struct Plan<'a> {
    image: OwnedFd,
    socket: OwnedFd,
    log: OwnedFd,
    null: &'a OwnedFd,
    args: Vec<CString>,
    namespaces: bool,
    share: Share,
    change_user: bool,
}

fn start(request: &[u8], fds: Vec<OwnedFd>, null: &OwnedFd) -> Result<(i32, OwnedFd), Failure> {
    let malformed = (Step::Request, Errno::EINVAL);
    let (&[waive_namespaces, background], args) = request.split_first_chunk().ok_or(malformed)?;
    let args = parse_args(args).ok_or(malformed)?;
    let [image, socket, log]: [OwnedFd; 3] = fds.try_into().map_err(|_| malformed)?;
    let lift = |fd: OwnedFd| {
        scm::duplicate_from(fd.as_fd(), SAFE_FD).map_err(|e| {
            (
                Step::Descriptors,
                Errno::from_raw(e.raw_os_error().unwrap_or(0)),
            )
        })
    };
    let is_root = nix::unistd::geteuid().is_root();
    let plan = Plan {
        image: lift(image)?,
        socket: lift(socket)?,
        log: lift(log)?,
        null,
        args,
        namespaces: waive_namespaces == 0,
        share: match background {
            0 => Share::Normal,
            _ => Share::Background,
        },
        change_user: is_root,
    };
    if is_root {
        nix::unistd::setgroups(&[]).map_err(at(Step::Groups))?;
    }

    // One packet each way: the child waits for its maps; its failure is a packet, its success the
    // end of the stream when execve closes its end.
    let (ours, theirs) = scm::packet_pair().map_err(|_| (Step::Handshake, Errno::EMFILE))?;
    let ours = lift(ours)?;
    let theirs = lift(theirs)?;
    let (pid, pidfd) = match clone(plan.namespaces).map_err(at(Step::Clone))? {
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
        Cloned::Child => {
            drop(ours);
            let Err((step, errno)) = become_worker(&plan, &theirs);
            let report = Answer::Failed(step, errno as i32).to_bytes();
            // Where the parent is gone, nobody listens.
            let _ = scm::send(theirs.as_fd(), &report, &[]);
            exit_now(127)
        }
    };
    drop(theirs);
    let outcome = write_maps(pid, &plan).and_then(|()| follow(pid, &plan, &ours));
    match outcome {
        Ok(()) => Ok((pid, pidfd)),
        Err(failure) => {
            // SAFETY: kill and waitpid by a pid that is our child's and was not reaped yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            // SAFETY: as above; a null status pointer is allowed.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Err(failure)
        }
    }
}

fn parse_args(bytes: &[u8]) -> Option<Vec<CString>> {
    let mut args = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let arg = CStr::from_bytes_until_nul(rest).ok()?;
        args.push(arg.to_owned());
        rest = rest.get(arg.to_bytes_with_nul().len()..)?;
    }
    (!args.is_empty()).then_some(args)
}

enum Cloned {
    Parent { pid: i32, pidfd: OwnedFd },
    Child,
}

fn clone(namespaces: bool) -> nix::Result<Cloned> {
    let mut pidfd: i32 = -1;
    let spaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    let mut flags = u64::from(libc::CLONE_PIDFD.unsigned_abs()) | CLONE_CLEAR_SIGHAND;
    if namespaces {
        flags |= u64::from(spaces.unsigned_abs());
    }
    // SAFETY: clone_args is a plain struct of integers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags;
    args.pidfd = (&raw mut pidfd).addr() as u64;
    args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    // SAFETY: `args` is valid for its size; without CLONE_VM the child runs on a copy of this
    // process, with a stack of its own copy (stack 0). `pidfd` outlives the call. The spawner has
    // one thread, so no lock is held by another. The child goes on to execve or _exit.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut args,
            size_of::<libc::clone_args>(),
        )
    };
    match Errno::result(result)? {
        0 => Ok(Cloned::Child),
        pid => Ok(Cloned::Parent {
            pid: i32::try_from(pid).map_err(|_| Errno::EOVERFLOW)?,
            // SAFETY: CLONE_PIDFD has just made this descriptor; nobody else knows it.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// One id inside: nobody. Outside it is nobody too where the spawner is root, else the spawner's.
fn write_maps(pid: i32, plan: &Plan<'_>) -> Result<(), Failure> {
    if !plan.namespaces {
        return Ok(());
    }
    let (uid, gid) = if plan.change_user {
        (NOBODY, NOBODY)
    } else {
        (
            nix::unistd::geteuid().as_raw(),
            nix::unistd::getegid().as_raw(),
        )
    };
    let write = |name: &str, text: &str, step| {
        std::fs::write(format!("/proc/{pid}/{name}"), text)
            .map_err(|e| (step, Errno::from_raw(e.raw_os_error().unwrap_or(0))))
    };
    write("setgroups", "deny", Step::GidMap)?;
    write("gid_map", &format!("{NOBODY} {gid} 1"), Step::GidMap)?;
    write("uid_map", &format!("{NOBODY} {uid} 1"), Step::UidMap)
}

/// Lets the child go on twice, then waits until it has become the worker or says why not.
fn follow(pid: i32, plan: &Plan<'_>, ours: &OwnedFd) -> Result<(), Failure> {
    let lost = (Step::Handshake, Errno::EPIPE);
    let mut bytes = [0; 16];
    scm::send(ours.as_fd(), b"maps", &[]).map_err(|_| lost)?;
    loop {
        let n = scm::receive(ours.as_fd(), &mut bytes).map_err(|_| lost)?;
        match bytes.get(..n) {
            // The end of the stream: executed.
            Some([]) => return Ok(()),
            Some(b"ready") => {
                if plan.share == Share::Background {
                    lower_session(pid, plan.share);
                }
                scm::send(ours.as_fd(), b"go", &[]).map_err(|_| lost)?;
            }
            Some(report) => {
                return match Answer::parse(report) {
                    Some(Answer::Failed(step, errno)) => Err((step, Errno::from_raw(errno))),
                    _ => Err(lost),
                };
            }
            None => return Err(lost),
        }
    }
}

/// Where the kernel shares the processor among sessions (`sched_autogroup_enabled`), a nice value only
/// counts within one, and the session has one of its own. Best effort: without it a session of programs
/// still has no more than the share of one session.
fn lower_session(pid: i32, share: Share) {
    // Of everybody but the host's root the kernel takes one change in 100 ms.
    const TRIES: u32 = 6;
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
    for _ in 0..TRIES {
        let path = format!("/proc/{pid}/autogroup");
        match std::fs::write(path, share.nice().to_string()) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => std::thread::sleep(PAUSE),
            _ => return,
        }
    }
}

/// In the child: all its later threads inherit it, and without capabilities none can take it back.
fn lower_process(share: Share) -> nix::Result<()> {
    let who = libc::id_t::default();
    // SAFETY: setpriority takes plain numbers; 0 is the calling process.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, who, share.nice()) };
    Errno::result(result)?;
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a sched_param that lives through the call and is only read.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameter) };
    Errno::result(result).map(drop)
}

/// In the child: waits for its maps, gives up what it has, executes.
fn become_worker(plan: &Plan<'_>, theirs: &OwnedFd) -> Result<Infallible, Failure> {
    expect(theirs, b"maps")?;
    if plan.change_user {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        nix::unistd::setresgid(gid, gid, gid).map_err(at(Step::SetGid))?;
        nix::unistd::setresuid(uid, uid, uid).map_err(at(Step::SetUid))?;
    }
    // After the change of user, which clears it; and before the handshake, which fails when the
    // parent died in between.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .map_err(at(Step::ParentDeath))?;
    nix::unistd::setsid().map_err(at(Step::Session))?;
    scm::send(theirs.as_fd(), b"ready", &[]).map_err(|_| (Step::Handshake, Errno::EPIPE))?;
    expect(theirs, b"go")?;

    if plan.share == Share::Background {
        lower_process(plan.share).map_err(at(Step::Share))?;
    }
    nix::sys::stat::umask(Mode::from_bits_truncate(0o777));
    if plan.namespaces {
        // Kept over execve for jail::enter, which drops them for good.
        raise_ambient(&[Capability::SysAdmin, Capability::SetPcap])
            .map_err(at(Step::Capabilities))?;
    }
    place(plan.null.as_fd(), 0).map_err(at(Step::Descriptors))?;
    place(plan.log.as_fd(), 1).map_err(at(Step::Descriptors))?;
    place(plan.log.as_fd(), 2).map_err(at(Step::Descriptors))?;
    place(plan.socket.as_fd(), WORKER_FD).map_err(at(Step::Descriptors))?;
    let beyond = WORKER_FD.unsigned_abs() + 1;
    close_range(beyond, u32::MAX, libc::CLOSE_RANGE_CLOEXEC).map_err(at(Step::Descriptors))?;

    let nothing: [&CStr; 0] = [];
    nix::unistd::execveat(
        &plan.image,
        c"",
        &plan.args,
        &nothing,
        AtFlags::AT_EMPTY_PATH,
    )
    .map_err(at(Step::Execute))
}

fn expect(socket: &OwnedFd, word: &[u8]) -> Result<(), Failure> {
    let mut bytes = [0; 16];
    match scm::receive(socket.as_fd(), &mut bytes) {
        Ok(n) if bytes.get(..n) == Some(word) => Ok(()),
        _ => Err((Step::Handshake, Errno::EPIPE)),
    }
}

fn place(fd: BorrowedFd<'_>, number: i32) -> nix::Result<()> {
    // SAFETY: dup2 touches no memory. In this process, forked a moment ago and about to execute
    // another image, no Rust value owns `number` (those in use were moved to SAFE_FD and above).
    let result = unsafe { libc::dup2(fd.as_raw_fd(), number) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_their_bytes() {
        for answer in [
            Answer::Spawned(12345),
            Answer::Reaped(9),
            Answer::Failed(Step::UidMap, libc::EPERM),
        ] {
            assert_eq!(Answer::parse(&answer.to_bytes()), Some(answer));
        }
        for bad in [
            &b""[..],
            b"s",
            b"s\0\0\0\0",
            b"f\xff\0\0\0\0",
            b"x\0\0\0\0\0",
        ] {
            assert_eq!(Answer::parse(bad), None);
        }
    }

    #[test]
    fn arguments_without_an_end_are_refused() {
        assert_eq!(parse_args(b"a\0b"), None);
        assert_eq!(parse_args(b""), None);
        assert_eq!(parse_args(b"a\0b\0").map(|args| args.len()), Some(2));
    }
}
