//! What a process does to itself: capabilities, dumps, privileges.

use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};

/// The two that making a jail takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Capability {
    SetPcap = 8,
    SysAdmin = 21,
}

const CAP_LAST_POSSIBLE: u32 = 63;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn capset(low: Sets, high: Sets) -> nix::Result<()> {
    let header = Header {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let sets = [low, high];
    // SAFETY: version 3 reads a header and an array of two sets; both live through the call, have
    // the kernel's layout (repr C, three and two u32s), and are only read.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    Errno::result(result).map(drop)
}

fn prctl(option: i32, argument: u64, third: u64) -> nix::Result<i32> {
    // SAFETY: the callers below pass options whose arguments are plain numbers, none a pointer.
    let result = unsafe { libc::prctl(option, argument, third, 0_u64, 0_u64) };
    Errno::result(result)
}

/// Keeps some of the capabilities of a new user namespace over execve.
pub(crate) fn raise_ambient(keep: &[Capability]) -> nix::Result<()> {
    let mask = keep
        .iter()
        .fold(0_u32, |mask, cap| mask | 1 << (*cap as u32));
    let sets = Sets {
        effective: mask,
        permitted: mask,
        inheritable: mask,
    };
    capset(sets, Sets::default())?;
    for cap in keep {
        prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as u64,
            *cap as u64,
        )?;
    }
    Ok(())
}

/// Empties each set of capabilities, the bounding and the ambient one too, and locks the bits that
/// could fill one again.
pub(crate) fn drop_capabilities() -> nix::Result<()> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as u64,
        0,
    )?;
    for cap in 0..=CAP_LAST_POSSIBLE {
        match prctl(libc::PR_CAPBSET_DROP, u64::from(cap), 0) {
            Ok(_) => {}
            // Beyond the kernel's last one.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    // SECBIT_NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each with its lock, and the lock of
    // KEEP_CAPS (linux/securebits.h): bits 0 to 3, 5, 6 and 7.
    prctl(libc::PR_SET_SECUREBITS, 0b1110_1111, 0)?;
    capset(Sets::default(), Sets::default())
}

/// No core file, of whatever the kernel's pattern is.
pub(crate) fn no_core() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}

/// For a process that holds keys: no core, not dumpable (so no `ptrace` and no `/proc/PID/mem` by
/// others of the same user), nothing gained by executing. After [`crate::Spawner::start`].
pub fn harden_this_process() -> io::Result<()> {
    no_core()?;
    nix::sys::prctl::set_no_new_privs()?;
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// Keeps all memory of this process, now and later, out of swap, where it may lock without limit
/// (`LimitMEMLOCK=infinity`, or `CAP_IPC_LOCK`). False where it may not: then only what lies in
/// [`crate::LockedBytes`] is kept out.
pub fn lock_all_memory() -> io::Result<bool> {
    use nix::sys::mman::{MlockAllFlags, mlockall};
    use nix::sys::resource::{RLIM_INFINITY, getrlimit};
    // Under a limit, MCL_FUTURE would make allocations fail some day.
    let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    if soft != RLIM_INFINITY && !may_lock()? {
        return Ok(false);
    }
    // MCL_ONFAULT of sys/mman.h: what is never touched takes no memory.
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault)?;
    Ok(true)
}

/// Whether `CAP_IPC_LOCK` is effective.
fn may_lock() -> io::Result<bool> {
    const CAP_IPC_LOCK: u32 = 14;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    Ok(effective.is_some_and(|sets| sets & (1 << CAP_IPC_LOCK) != 0))
}
