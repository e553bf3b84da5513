//! Namespaces and mounts: making the jail's own walls again.

use nix::errno::Errno;
use nix::libc;

use crate::call::{HERE, at, call, in_child, reached};
use crate::{Attack, Ground, attack};

/// Outside in a child, whose namespaces go with it.
fn apart(ground: &Ground, act: fn() -> Result<(), Errno>) -> Result<(), Errno> {
    match ground.outside {
        true => in_child(act),
        false => act(),
    }
}

fn unshare(flags: i32) -> Result<(), Errno> {
    call(libc::SYS_unshare, &[flags as usize]).map(drop)
}

/// With a mount namespace of its own for the control; inside the attempt ends there.
fn in_own_mounts(ground: &Ground, act: fn() -> Result<(), Errno>) -> Result<(), Errno> {
    match ground.outside {
        false => act(),
        true => {
            unshare(libc::CLONE_NEWNS)?;
            let private = (libc::MS_REC | libc::MS_PRIVATE) as usize;
            call(libc::SYS_mount, &[0, at(c"/"), 0, private, 0])?;
            act()
        }
    }
}

fn mount_tmpfs() -> Result<(), Errno> {
    let tmpfs = at(c"tmpfs");
    call(libc::SYS_mount, &[tmpfs, at(c"/tmp"), tmpfs, 0, 0]).map(drop)
}

/// Of linux/sched.h: a new time namespace; beyond what libc names.
const CLONE_NEWTIME: i32 = 0x80;

pub(crate) const ATTACKS: &[Attack] = &[
    attack(
        "unshare-user",
        "a user namespace, to be root in it",
        |ground| apart(ground, || unshare(libc::CLONE_NEWUSER)),
    ),
    attack("unshare-mounts", "a mount namespace", |ground| {
        apart(ground, || unshare(libc::CLONE_NEWNS))
    }),
    attack("unshare-processes", "a pid namespace", |ground| {
        apart(ground, || unshare(libc::CLONE_NEWPID))
    }),
    attack("unshare-network", "a network namespace", |ground| {
        apart(ground, || unshare(libc::CLONE_NEWNET))
    }),
    attack("unshare-ipc", "an IPC namespace", |ground| {
        apart(ground, || unshare(libc::CLONE_NEWIPC))
    }),
    attack("unshare-names", "a UTS namespace", |ground| {
        apart(ground, || unshare(libc::CLONE_NEWUTS))
    }),
    attack("unshare-cgroup", "a cgroup namespace", |ground| {
        apart(ground, || unshare(libc::CLONE_NEWCGROUP))
    }),
    attack("unshare-time", "a time namespace", |ground| {
        apart(ground, || unshare(CLONE_NEWTIME))
    }),
    attack(
        "unshare-descriptors",
        "a table of descriptors of one's own",
        |ground| apart(ground, || unshare(libc::CLONE_FILES)),
    ),
    attack("clone-namespaces", "a process in new namespaces", |_| {
        let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::SIGCHLD;
        match call(libc::SYS_clone, &[flags as usize, 0, 0, 0, 0])? {
            // SAFETY: _exit has no precondition.
            0 => unsafe { libc::_exit(0) },
            child => {
                let pid = nix::unistd::Pid::from_raw(child as i32);
                nix::sys::wait::waitpid(pid, None).map(drop)
            }
        }
    }),
    attack(
        "thread-in-namespace",
        "a thread whose flags hold a namespace",
        |_| {
            // Refused by the kernel as a mixture, after the filter let it pass or not.
            let flags =
                libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_NEWUSER;
            reached(libc::SYS_clone, &[flags as usize, 0, 0, 0, 0])
        },
    ),
    attack("set-namespace", "setns", |_| {
        reached(libc::SYS_setns, &[usize::MAX, 0])
    }),
    attack("mount", "mount a tmpfs", |ground| {
        in_own_mounts(ground, mount_tmpfs)
    }),
    attack("remount-root", "make / writable again", |ground| {
        in_own_mounts(ground, || {
            let flags = (libc::MS_REMOUNT | libc::MS_BIND) as usize;
            call(libc::SYS_mount, &[0, at(c"/"), 0, flags, 0]).map(drop)
        })
    }),
    attack("mount-proc", "mount /proc", |ground| {
        in_own_mounts(ground, || {
            let proc = at(c"proc");
            call(libc::SYS_mount, &[proc, at(c"/proc"), proc, 0, 0]).map(drop)
        })
    }),
    attack("unmount", "take off what covers the old root", |_| {
        reached(
            libc::SYS_umount2,
            &[at(c"/nothing-here"), libc::MNT_DETACH as usize],
        )
    }),
    attack("pivot-root", "exchange the root again", |_| {
        reached(
            libc::SYS_pivot_root,
            &[at(c"/nothing-here"), at(c"/nothing-here")],
        )
    }),
    attack("open-filesystem", "fsopen", |_| {
        call(libc::SYS_fsopen, &[at(c"tmpfs"), 0]).map(drop)
    }),
    attack("open-tree", "open_tree: a mount as a descriptor", |_| {
        call(libc::SYS_open_tree, &[HERE, at(c"/"), 0]).map(drop)
    }),
    attack("move-mount", "move_mount", |_| {
        reached(
            libc::SYS_move_mount,
            &[usize::MAX, at(c""), usize::MAX, at(c""), 4],
        )
    }),
    attack("mount-attributes", "mount_setattr", |_| {
        reached(libc::SYS_mount_setattr, &[usize::MAX, at(c""), 0, 0, 0])
    }),
    attack("pick-filesystem", "fspick", |_| {
        reached(libc::SYS_fspick, &[HERE, at(c"/nothing-here"), 0])
    }),
    attack("host-name", "sethostname", |_| {
        reached(libc::SYS_sethostname, &[at(c"x"), usize::MAX])
    }),
    attack("domain-name", "setdomainname", |_| {
        reached(libc::SYS_setdomainname, &[at(c"x"), usize::MAX])
    }),
];
