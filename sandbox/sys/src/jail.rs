//! Entering the jail: called by a worker's `main` while it has one thread and knows no secret.

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::seccomp::SeccompError;
use crate::{JailReport, JailSpec, Layer, ProcessKind, harden, seccomp};

/// Descriptors that a jailed process may hold.
pub const JAIL_FDS_MAX: u64 = 1_280;
/// Threads that a jailed process may have.
pub const JAIL_THREADS_MAX: u64 = 256;
/// The stack of the first thread, in bytes. It doesn't count as private memory.
const STACK_MAX: u64 = 8 * 1024 * 1024;
/// Memory that a jailed process may lock, in bytes: keys, and the frame that brings them.
const LOCKED_MAX: u64 = 4 * 1024 * 1024;

/// Why the jail was not entered. The process must end.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// Another thread would stay outside.
    #[error("bug: the jail is entered with {0} threads, it must be one")]
    Threads(usize),
    /// The broker lives outside: it opens files and connects.
    #[error("bug: the broker has no jail to enter")]
    Broker,
    /// A layer can't be enforced and is not waived.
    #[error("layer \"{layer}\" can't be enforced: {what} ({})", .layer.remedy().1)]
    Layer {
        /// Which.
        layer: Layer,
        /// At which step.
        what: String,
    },
}

/// What holds now, or why it doesn't.
type Enforced = Result<String, String>;
type Step<'a> = &'a dyn Fn(&JailSpec) -> Enforced;

/// Enters the jail, for good, and says what holds. Any error is final: the process must end
/// without reading its socket.
pub fn enter(spec: &JailSpec) -> Result<JailReport, JailError> {
    enter_with(spec, None)
}

/// As [`enter`], with one line less in the list of system calls. For tests that show what needs it.
pub fn enter_without(spec: &JailSpec, line: &str) -> Result<JailReport, JailError> {
    enter_with(spec, Some(line))
}

fn enter_with(spec: &JailSpec, without: Option<&str>) -> Result<JailReport, JailError> {
    if spec.kind == ProcessKind::Broker {
        return Err(JailError::Broker);
    }
    let threads = threads().map_err(|e| JailError::Layer {
        layer: Layer::Seccomp,
        what: format!("the threads can't be counted: {e}"),
    })?;
    if threads != 1 {
        return Err(JailError::Threads(threads));
    }
    // Landlock forbids mounts, capabilities are needed for them, seccomp forbids all the rest:
    // the order matters.
    let filter = |spec: &JailSpec| filter(spec, without);
    let steps: [(Layer, Step<'_>); 8] = [
        (Layer::Namespaces, &|_| namespaces()),
        (Layer::NoNewPrivileges, &|_| no_new_privileges()),
        (Layer::EmptyRoot, &|_| empty_root()),
        (Layer::Limits, &limits),
        (Layer::Landlock, &|_| restrict_paths()),
        (Layer::Capabilities, &|_| capabilities()),
        (Layer::NotDumpable, &|_| not_dumpable()),
        (Layer::Seccomp, &filter),
    ];
    let mut report = JailReport::default();
    for (layer, enforce) in steps {
        match enforce(spec) {
            Ok(detail) => {
                report.layers.insert(layer.to_string(), detail);
            }
            Err(_) if spec.waived.contains(&layer) => report.waived.push(layer.to_string()),
            Err(what) => return Err(JailError::Layer { layer, what }),
        }
    }
    Ok(report)
}

fn threads() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

fn named<T>(what: &'static str, result: nix::Result<T>) -> Result<T, String> {
    result.map_err(|errno| format!("{what}: {}", errno.desc()))
}

/// The spawner made them; here is only seen that it did.
fn namespaces() -> Enforced {
    if nix::unistd::getpid().as_raw() != 1 {
        return Err("the process is not the first of its pid namespace".to_owned());
    }
    Ok("user, mount, pid, net, ipc, uts, cgroup".to_owned())
}

fn no_new_privileges() -> Enforced {
    named("prctl", nix::sys::prctl::set_no_new_privs())?;
    Ok("set".to_owned())
}

/// A tmpfs with room for nothing takes the root's place; the old tree is detached.
fn empty_root() -> Enforced {
    let none = None::<&str>;
    let sealed = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    named(
        "make mounts private",
        nix::mount::mount(none, "/", none, private, none),
    )?;
    // Any folder that is there will do: it is covered, not used.
    let options = Some("size=4k,nr_inodes=1,mode=0555");
    let tmpfs = Some("tmpfs");
    named(
        "mount tmpfs",
        nix::mount::mount(tmpfs, "/proc", tmpfs, sealed, options),
    )?;
    named("chdir", nix::unistd::chdir("/proc"))?;
    named("pivot_root", nix::unistd::pivot_root(".", "."))?;
    // The old root now lies over the new one.
    named(
        "detach the old root",
        nix::mount::umount2(".", MntFlags::MNT_DETACH),
    )?;
    named("chdir", nix::unistd::chdir("/"))?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | sealed;
    named(
        "remount read-only",
        nix::mount::mount(none, "/", none, read_only, none),
    )?;
    let empty = std::fs::read_dir("/").map(|mut entries| entries.next().is_none());
    match empty {
        Ok(true) => Ok("tmpfs, read-only, empty".to_owned()),
        Ok(false) => Err("the new root is not empty".to_owned()),
        Err(error) => Err(format!("the new root can't be read: {error}")),
    }
}

fn limits(spec: &JailSpec) -> Enforced {
    const MIB: u64 = 1024 * 1024;
    let data = u64::from(spec.memory_mib) * MIB;
    let bounds = [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, spec.kind.file_bytes_max()),
        (Resource::RLIMIT_MSGQUEUE, 0),
        (Resource::RLIMIT_SIGPENDING, 64),
        (Resource::RLIMIT_NOFILE, JAIL_FDS_MAX),
        (Resource::RLIMIT_NPROC, JAIL_THREADS_MAX),
        (Resource::RLIMIT_MEMLOCK, LOCKED_MAX),
        (Resource::RLIMIT_STACK, STACK_MAX),
        (Resource::RLIMIT_DATA, data),
        (
            Resource::RLIMIT_AS,
            data + spec.kind.address_slack_mib() * MIB,
        ),
    ];
    for (resource, bound) in bounds {
        // A service's own limit may be lower already: lower is fine.
        let (_, hard) = named("getrlimit", getrlimit(resource))?;
        let bound = bound.min(hard);
        named("setrlimit", setrlimit(resource, bound, bound))?;
    }
    let files = match spec.kind.file_bytes_max() {
        0 => "no files".to_owned(),
        bytes => format!("one file of {} MiB", bytes / MIB),
    };
    Ok(format!(
        "memory {} MiB, {JAIL_FDS_MAX} descriptors, {JAIL_THREADS_MAX} threads, {files}, no core",
        spec.memory_mib
    ))
}

/// The Landlock ABI of the running kernel; 0 where there is none.
pub(crate) fn landlock_abi() -> i32 {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with a null attribute of size 0 and this flag, the call only returns a version.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            CREATE_RULESET_VERSION,
        )
    };
    i32::try_from(version).unwrap_or(0).max(0)
}

/// Handles everything that this kernel's Landlock can, and allows nothing of it.
fn restrict_paths() -> Enforced {
    let number = landlock_abi();
    if number < 1 {
        return Err("the kernel has no Landlock".to_owned());
    }
    let abi = ABI::from(number);
    let build = || -> Result<_, landlock::RulesetError> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))?;
        if abi >= ABI::V4 {
            rules = rules.handle_access(AccessNet::from_all(abi))?;
        }
        if abi >= ABI::V6 {
            rules = rules.scope(Scope::from_all(abi))?;
        }
        rules.create()?.restrict_self()
    };
    let status = build().map_err(|error| error.to_string())?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        return Err("the rules are not fully enforced".to_owned());
    }
    let mut detail = format!("abi {number}: files");
    if abi >= ABI::V4 {
        detail.push_str(", tcp");
    }
    if abi >= ABI::V6 {
        detail.push_str(", signals, abstract sockets");
    }
    Ok(detail)
}

fn capabilities() -> Enforced {
    named("drop capabilities", harden::drop_capabilities())?;
    Ok("none, none to gain".to_owned())
}

fn not_dumpable() -> Enforced {
    named("prctl", nix::sys::prctl::set_dumpable(false))?;
    match nix::sys::prctl::get_dumpable() {
        Ok(false) => Ok("set".to_owned()),
        Ok(true) => Err("the process is still dumpable".to_owned()),
        Err(errno) => Err(Errno::desc(errno).to_owned()),
    }
}

fn filter(spec: &JailSpec, without: Option<&str>) -> Enforced {
    let chain = |error: &SeccompError| match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let installed = match without {
        None => seccomp::install(spec.kind),
        Some(line) => seccomp::install_without(spec.kind, line),
    };
    let allowed = installed.map_err(|error| chain(&error))?;
    Ok(format!(
        "allow-list of {allowed} system calls, all others kill"
    ))
}

/// Takes over the socket that the spawner placed at [`crate::WORKER_FD`]. Once in the life of a
/// process: a second call returns `None`, and so does one where there is no socket.
pub fn take_socket() -> Option<std::os::fd::OwnedFd> {
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::sync::atomic::{AtomicBool, Ordering};

    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    let mut kind = 0;
    let mut size = libc::socklen_t::try_from(size_of::<libc::c_int>()).ok()?;
    // SAFETY: getsockopt writes at most `size` bytes, an int, through the first pointer and the size
    // through the second; both are valid and exclusive for the call.
    let result = unsafe {
        libc::getsockopt(
            crate::WORKER_FD,
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            (&raw mut kind).cast(),
            &raw mut size,
        )
    };
    if result != 0 || kind != libc::SOCK_STREAM {
        return None;
    }
    // SAFETY: the descriptor is open (it answered), was placed there for this process before its
    // first instruction, and is taken at most once: nothing else here owns it.
    Some(unsafe { OwnedFd::from_raw_fd(crate::WORKER_FD) })
}
