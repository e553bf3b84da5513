//! Asking the kernel for what no library gives.

use std::ffi::CStr;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc;

/// A system call with plain numbers and pointers.
pub(crate) fn call(number: i64, args: &[usize]) -> Result<i64, Errno> {
    let arg = |i: usize| args.get(i).copied().unwrap_or(0);
    // SAFETY: none in general: this program's purpose is to ask the kernel for what it must not get. Its
    // callers pass numbers, null, or pointers to memory that lives through the call.
    let result = unsafe { libc::syscall(number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
    Errno::result(result)
}

/// The kernel looked at it: it knows the call, and it is not for want of a right that it refuses. With
/// arguments that mean nothing, so that the control changes nothing on the machine.
pub(crate) fn reached(number: i64, args: &[usize]) -> Result<(), Errno> {
    match call(number, args) {
        Err(errno @ (Errno::ENOSYS | Errno::EPERM | Errno::EACCES)) => Err(errno),
        _ => Ok(()),
    }
}

/// A path or a name as an argument.
pub(crate) fn at(text: &CStr) -> usize {
    text.as_ptr() as usize
}

/// "Here", for calls that take a folder.
pub(crate) const HERE: usize = libc::AT_FDCWD as usize;

/// Known before the jail: asking for it inside would be another attack.
static PROCESS: OnceLock<(usize, usize)> = OnceLock::new();

/// Remembers who we are. First in `main`.
pub(crate) fn remember_process() {
    let parent = nix::unistd::getppid().as_raw() as usize;
    // In a pid namespace of one's own the parent has no number: what can be named is oneself.
    let other = if parent == 0 { 1 } else { parent };
    PROCESS.get_or_init(|| (std::process::id() as usize, other));
}

/// This process.
pub(crate) fn me() -> usize {
    PROCESS.get().unwrap().0
}

/// The parent, where it has a number.
pub(crate) fn other() -> usize {
    PROCESS.get().unwrap().1
}

pub(crate) fn io<T>(result: std::io::Result<T>) -> Result<(), Errno> {
    let number = |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    result.map(drop).map_err(number)
}

/// Does it in a child, so that the control's own state stays as it is. Inside a jail there is no child.
pub(crate) fn in_child(act: fn() -> Result<(), Errno>) -> Result<(), Errno> {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    // SAFETY: this program has one thread here; the child acts and leaves without running destructors.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = act().err().map_or(0, |errno| errno as i32);
            // SAFETY: _exit has no precondition.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, code) => Err(Errno::from_raw(code)),
            _ => Err(Errno::ECHILD),
        },
    }
}
