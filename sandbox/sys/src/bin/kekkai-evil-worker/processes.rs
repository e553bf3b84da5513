//! Other processes: seeing, changing, killing, becoming.

use std::ffi::CStr;

use nix::errno::Errno;
use nix::libc;

use crate::call::{HERE, at, call, in_child, me, other, reached};
use crate::{Attack, Ground, attack};

fn vector(byte: &mut u8) -> [usize; 2] {
    [std::ptr::from_mut(byte) as usize, 1]
}

fn exec(path: &CStr) -> Result<(), Errno> {
    let args = [at(path), at(c"--list"), 0];
    call(libc::SYS_execve, &[at(path), args.as_ptr() as usize, 0]).map(drop)
}

fn exec_passed(ground: &Ground) -> Result<(), Errno> {
    let passed = ground.passed()?;
    let nothing: [&CStr; 0] = [];
    nix::unistd::fexecve(passed, &[c"x", c"--list"], &nothing).map(drop)
}

fn clone_with(flags: i32) -> Result<(), Errno> {
    match call(
        libc::SYS_clone,
        &[(flags | libc::SIGCHLD) as usize, 0, 0, 0, 0],
    )? {
        // SAFETY: _exit has no precondition.
        0 => unsafe { libc::_exit(0) },
        child => {
            let pid = nix::unistd::Pid::from_raw(child as i32);
            nix::sys::wait::waitpid(pid, None).map(drop)
        }
    }
}

pub(crate) const ATTACKS: &[Attack] = &[
    attack("fork", "a second process", |_| clone_with(0)),
    attack("vfork", "a second process sharing memory", |_| {
        clone_with(libc::CLONE_VM | libc::CLONE_VFORK)
    }),
    attack(
        "clone3",
        "a process by the call whose flags no filter sees",
        |_| reached(libc::SYS_clone3, &[0, 0]),
    ),
    attack("execute-file", "execute /bin/true", |_| exec(c"/bin/true")),
    attack(
        "execute-image",
        "execute /proc/self/exe again, without the jail",
        |_| exec(c"/proc/self/exe"),
    ),
    attack(
        "execute-memory-file",
        "execute a passed memory file",
        exec_passed,
    ),
    attack("execute-nothing", "execveat of a descriptor", |_| {
        reached(
            libc::SYS_execveat,
            &[3, at(c""), 0, 0, libc::AT_EMPTY_PATH as usize],
        )
    }),
    attack("trace-me", "be traced", |_| trace_me()),
    attack("trace-parent", "ptrace the broker", |_| {
        // Seized and let go: the control's parent goes on.
        reached(
            libc::SYS_ptrace,
            &[libc::PTRACE_SEIZE as usize, other(), 0, usize::MAX],
        )
    }),
    attack("read-memory-of-others", "process_vm_readv", |_| {
        let mut byte = 0;
        let local = vector(&mut byte);
        let args = [
            other(),
            local.as_ptr() as usize,
            1,
            local.as_ptr() as usize,
            1,
            0,
        ];
        reached(libc::SYS_process_vm_readv, &args)
    }),
    attack("write-memory-of-others", "process_vm_writev", |_| {
        // To address 1: nothing is there to be changed.
        let mut byte = 0;
        let (local, remote) = (vector(&mut byte), [1_usize, 1]);
        let args = [
            other(),
            local.as_ptr() as usize,
            1,
            remote.as_ptr() as usize,
            1,
            0,
        ];
        reached(libc::SYS_process_vm_writev, &args)
    }),
    attack(
        "advise-others",
        "process_madvise: throw away another's pages",
        |_| {
            let fd = call(libc::SYS_pidfd_open, &[me(), 0]).unwrap_or(-1);
            let nothing = [0_usize, 0];
            let args = [
                fd as usize,
                nothing.as_ptr() as usize,
                1,
                libc::MADV_COLD as usize,
                0,
            ];
            reached(libc::SYS_process_madvise, &args)
        },
    ),
    attack("hold-process", "pidfd_open", |_| {
        call(libc::SYS_pidfd_open, &[me(), 0]).map(drop)
    }),
    attack("steal-descriptor", "pidfd_getfd", |_| {
        reached(libc::SYS_pidfd_getfd, &[usize::MAX, 0, 0])
    }),
    attack("signal-by-descriptor", "pidfd_send_signal", |_| {
        reached(libc::SYS_pidfd_send_signal, &[usize::MAX, 0, 0, 0])
    }),
    attack("kill-parent", "signal the broker", |_| {
        call(libc::SYS_kill, &[other(), 0]).map(drop)
    }),
    attack("kill-all", "signal everybody", |_| {
        call(libc::SYS_kill, &[usize::MAX, 0]).map(drop)
    }),
    attack(
        "kill-group",
        "signal the own group, where the broker may be",
        |_| call(libc::SYS_kill, &[0, 0]).map(drop),
    ),
    attack(
        "signal-thread-of-parent",
        "tgkill of another process",
        |_| {
            // Inside, 1 is oneself; whoever else there was would be 2.
            let pid = if other() == 1 { 2 } else { other() };
            call(libc::SYS_tgkill, &[pid, pid, 0]).map(drop)
        },
    ),
    attack("signal-any-thread", "tkill", |_| {
        call(libc::SYS_tkill, &[other(), 0]).map(drop)
    }),
    attack("queue-signal", "rt_sigqueueinfo with forged data", |_| {
        reached(libc::SYS_rt_sigqueueinfo, &[other(), 0, 0])
    }),
    attack(
        "signal-owner",
        "have the kernel send signals for a socket",
        |_| reached(libc::SYS_fcntl, &[0, libc::F_SETOWN as usize, 1]),
    ),
    attack("compare-processes", "kcmp", |_| {
        let pid = me();
        reached(libc::SYS_kcmp, &[pid, other(), 0, 0, 0])
    }),
    attack("wait-for-others", "waitid", |_| {
        reached(libc::SYS_waitid, &[0, 0, 0, 4, 0])
    }),
    attack("priority-of-others", "setpriority of the parent", |_| {
        call(
            libc::SYS_setpriority,
            &[libc::PRIO_PROCESS as usize, other(), 5],
        )
        .map(drop)
    }),
    attack("own-priority", "take back the nice value", |_| {
        call(libc::SYS_setpriority, &[libc::PRIO_PROCESS as usize, 0, 0]).map(drop)
    }),
    attack("real-time", "SCHED_FIFO: run before everybody", |_| {
        let parameter = [1_i32];
        let args = [0, libc::SCHED_FIFO as usize, parameter.as_ptr() as usize];
        call(libc::SYS_sched_setscheduler, &args).map(drop)
    }),
    attack(
        "processors-of-others",
        "sched_setaffinity of the parent",
        |_| reached(libc::SYS_sched_setaffinity, &[other(), 0, 0]),
    ),
    attack("disk-priority", "ioprio_set", |_| {
        reached(libc::SYS_ioprio_set, &[1, 0, 0])
    }),
    attack("pages-of-others", "move_pages", |_| {
        reached(libc::SYS_move_pages, &[other(), 0, 0, 0, 0, 0])
    }),
    attack("limits-of-others", "prlimit64 of another", |_| {
        let limit = [1_u64, 1];
        // An unknown limit: the control changes nothing.
        reached(
            libc::SYS_prlimit64,
            &[other(), 99, limit.as_ptr() as usize, 0],
        )
    }),
    attack("robust-list-of-others", "get_robust_list", |_| {
        let mut place = [0_usize; 2];
        let first = place.as_mut_ptr() as usize;
        reached(libc::SYS_get_robust_list, &[other(), first, first + 8])
    }),
    attack("set-user", "setresuid to 0", |_| {
        call(libc::SYS_setresuid, &[0, 0, 0]).map(drop)
    }),
    attack("set-group", "setresgid to 0", |_| {
        call(libc::SYS_setresgid, &[0, 0, 0]).map(drop)
    }),
    attack("set-groups", "setgroups", |_| {
        reached(libc::SYS_setgroups, &[usize::MAX, 0])
    }),
    attack("raise-capability", "capset", |_| {
        reached(libc::SYS_capset, &[0, 0])
    }),
    attack("ambient-capability", "PR_CAP_AMBIENT_RAISE", |_| {
        reached(
            libc::SYS_prctl,
            &[libc::PR_CAP_AMBIENT as usize, 2, 99, 0, 0],
        )
    }),
    attack("become-dumpable", "PR_SET_DUMPABLE back to 1", |_| {
        call(
            libc::SYS_prctl,
            &[libc::PR_SET_DUMPABLE as usize, 1, 0, 0, 0],
        )
        .map(drop)
    }),
    attack("allow-tracer", "PR_SET_PTRACER: let anybody trace", |_| {
        match call(
            libc::SYS_prctl,
            &[libc::PR_SET_PTRACER as usize, usize::MAX, 0, 0, 0],
        ) {
            // Without Yama the kernel knows no such option.
            Err(Errno::EINVAL) => Err(Errno::ENOSYS),
            other => other.map(drop),
        }
    }),
    attack("survive-parent", "PR_SET_PDEATHSIG off", |_| {
        call(
            libc::SYS_prctl,
            &[libc::PR_SET_PDEATHSIG as usize, 0, 0, 0, 0],
        )
        .map(drop)
    }),
    attack("seccomp-off", "PR_SET_SECCOMP", |_| {
        reached(
            libc::SYS_prctl,
            &[libc::PR_SET_SECCOMP as usize, 0, 0, 0, 0],
        )
    }),
    attack("seccomp-again", "a filter with a listener", |_| {
        reached(libc::SYS_seccomp, &[1, 8, 0])
    }),
    attack(
        "own-session",
        "setsid: leave the group that is killed",
        |_| {
            match call(libc::SYS_setsid, &[]) {
                // A leader already: the kernel looked.
                Err(Errno::EPERM) if other() != 1 => Ok(()),
                other => other.map(drop),
            }
        },
    ),
    attack("make-subreaper", "adopt orphans", |_| {
        let option = libc::PR_SET_CHILD_SUBREAPER as usize;
        call(libc::SYS_prctl, &[option, 0, 0, 0, 0]).map(drop)
    }),
    attack("find-by-name", "readlink of a process's image", |_| {
        let mut place = [0_u8; 64];
        let args = [HERE, at(c"/proc/self/exe"), place.as_mut_ptr() as usize, 64];
        call(libc::SYS_readlinkat, &args).map(drop)
    }),
];

/// Traced once, a process stays so: the control asks in a child.
fn trace_me() -> Result<(), Errno> {
    match other() {
        1 => call(libc::SYS_ptrace, &[0]).map(drop),
        _ => in_child(|| call(libc::SYS_ptrace, &[0]).map(drop)),
    }
}
