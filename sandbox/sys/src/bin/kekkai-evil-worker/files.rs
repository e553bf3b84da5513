//! Files, whatever names them.

use std::fs::{self, File};
use std::io::Read;

use nix::errno::Errno;
use nix::libc;

use crate::call::{HERE, at, call, io, me, other, reached};
use crate::{Attack, Ground, attack};

/// Of a file that the control makes and removes; a program in a jail makes it nowhere.
fn name(suffix: &str) -> String {
    let name = format!("kekkai-evil-{}-{suffix}", me());
    std::env::temp_dir().join(name).display().to_string()
}

fn with_file(act: impl FnOnce(&str) -> Result<(), Errno>) -> Result<(), Errno> {
    let path = name("file");
    let made = io(File::create(&path));
    let outcome = act(&path);
    let removed = io(fs::remove_file(&path));
    outcome.and(made).and(removed)
}

fn open_for_writing(path: &str) -> Result<(), Errno> {
    io(File::options().write(true).open(path))
}

fn read(path: &str) -> Result<(), Errno> {
    let mut piece = [0; 16];
    io(File::open(path).and_then(|mut file| file.read(&mut piece)))
}

fn xattr(_: &Ground) -> Result<(), Errno> {
    let mut text = [0_u8; 8];
    let args = [at(c"/"), at(c"user.x"), text.as_mut_ptr() as usize, 8];
    // The folder has no such attribute: the kernel looked.
    reached(libc::SYS_getxattr, &args)
}

pub(crate) const ATTACKS: &[Attack] = &[
    attack("open-absolute", "read /etc/passwd", |_| read("/etc/passwd")),
    attack("open-relative", "read ../../../../etc/passwd", |_| {
        read("../../../../../../../../etc/passwd")
    }),
    attack("open-above-root", "read /../../etc/passwd", |_| {
        read("/../../etc/passwd")
    }),
    attack(
        "open-image",
        "read /proc/self/exe, the way out of a container",
        |_| read("/proc/self/exe"),
    ),
    attack(
        "overwrite-image",
        "open /proc/self/exe's file for writing (CVE-2019-5736)",
        |_| {
            match open_for_writing("/proc/self/exe") {
                // It runs: the kernel found it and only says busy.
                Err(Errno::ETXTBSY) => Ok(()),
                other => other,
            }
        },
    ),
    attack(
        "open-by-descriptor-path",
        "reopen a descriptor by /proc/self/fd",
        |_| read("/proc/self/fd/0"),
    ),
    attack(
        "open-root-of-parent",
        "read /proc/PID/root/etc/passwd",
        |_| read(&format!("/proc/{}/root/etc/passwd", other())),
    ),
    attack("status-of-others", "read /proc/1/status", |_| {
        read("/proc/1/status")
    }),
    attack(
        "environment-of-parent",
        "read the parent's environment",
        |_| io(fs::read(format!("/proc/{}/environ", other()))),
    ),
    attack(
        "memory-file-of-parent",
        "open the parent's /proc/PID/mem",
        |_| io(File::open(format!("/proc/{}/mem", other()))),
    ),
    attack(
        "own-memory-file",
        "write the own code by /proc/self/mem",
        |_| open_for_writing("/proc/self/mem"),
    ),
    attack("own-maps", "read where the own code lies", |_| {
        read("/proc/self/maps")
    }),
    attack("kernel-log-device", "open /dev/kmsg", |_| {
        io(File::open("/dev/kmsg"))
    }),
    attack("magic-keys", "open /proc/sysrq-trigger for writing", |_| {
        match open_for_writing("/proc/sysrq-trigger") {
            // A kernel without them.
            Err(Errno::ENOENT) => Err(Errno::ENODEV),
            other => other,
        }
    }),
    attack(
        "core-pattern",
        "open the kernel's core_pattern for writing",
        |_| open_for_writing("/proc/sys/kernel/core_pattern"),
    ),
    attack(
        "cgroup-escape",
        "open the root group's cgroup.procs for writing",
        |_| {
            let places = [
                "/sys/fs/cgroup/unified/cgroup.procs",
                "/sys/fs/cgroup/cgroup.procs",
            ];
            places
                .map(open_for_writing)
                .into_iter()
                .reduce(Result::or)
                .unwrap()
        },
    ),
    attack("list-root", "list /", |_| {
        match fs::read_dir("/").map(|mut entries| entries.next().is_some()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Errno::ENOENT),
            Err(error) => io(Err::<(), _>(error)),
        }
    }),
    attack("create-file", "create a file in /tmp", |_| {
        with_file(|_| Ok(()))
    }),
    attack("append-to-file", "write into a file of others", |_| {
        with_file(|path| io(fs::write(path, "x")))
    }),
    attack("link", "make a second name", |_| {
        with_file(|path| {
            let second = name("link");
            io(fs::hard_link(path, &second))?;
            io(fs::remove_file(&second))
        })
    }),
    attack("symlink", "make a symbolic link", |_| {
        let link = name("symlink");
        io(std::os::unix::fs::symlink("/", &link))?;
        io(fs::remove_file(&link))
    }),
    attack("rename", "rename a file", |_| {
        with_file(|path| {
            let other = name("renamed");
            io(fs::rename(path, &other))?;
            io(fs::rename(&other, path))
        })
    }),
    attack("make-folder", "make a folder", |_| {
        io(fs::create_dir(name("folder")))?;
        io(fs::remove_dir(name("folder")))
    }),
    attack("change-mode", "chmod", |_| {
        reached(libc::SYS_fchmodat, &[HERE, at(c"/nothing-here"), 0o777])
    }),
    attack("change-owner", "chown", |_| {
        reached(libc::SYS_fchownat, &[HERE, at(c"/nothing-here"), 0, 0, 0])
    }),
    attack("truncate", "truncate by path", |_| {
        reached(libc::SYS_truncate, &[at(c"/nothing-here"), 0])
    }),
    attack("extended-attributes", "read an extended attribute", xattr),
    attack("make-device", "mknod of a disk", |_| {
        let (disk, path) = (libc::makedev(7, 0) as usize, name("device"));
        let place = std::ffi::CString::new(path.clone()).unwrap();
        let mode = (libc::S_IFBLK | 0o600) as usize;
        call(libc::SYS_mknodat, &[HERE, at(&place), mode, disk])?;
        io(fs::remove_file(path))
    }),
    attack("openat2", "open with resolve flags", |_| {
        let how = [libc::O_PATH as u64, 0, 0];
        call(
            libc::SYS_openat2,
            &[HERE, at(c"/"), how.as_ptr() as usize, 24],
        )
        .map(drop)
    }),
    attack("name-to-handle", "ask for a handle of /", |_| {
        let mut handle = [0_u32; 66];
        handle[0] = 128;
        let mut mount = 0_i32;
        let args = [
            HERE,
            at(c"/"),
            handle.as_mut_ptr() as usize,
            (&raw mut mount) as usize,
            0,
        ];
        match call(libc::SYS_name_to_handle_at, &args) {
            // The filesystem gives no handles: it was asked.
            Err(Errno::EOPNOTSUPP) => Ok(()),
            other => other.map(drop),
        }
    }),
    attack(
        "open-by-handle",
        "open by a guessed handle (shocker)",
        |_| {
            let handle = [8_u32, 1, 2, 0];
            reached(
                libc::SYS_open_by_handle_at,
                &[HERE, handle.as_ptr() as usize, 0],
            )
        },
    ),
    attack("watch-files", "inotify", |_| {
        call(libc::SYS_inotify_init1, &[0]).map(drop)
    }),
    attack("watch-machine", "fanotify", |_| {
        call(libc::SYS_fanotify_init, &[0, 0]).map(drop)
    }),
    attack("change-folder", "chdir to /", |_| {
        call(libc::SYS_chdir, &[at(c"/")]).map(drop)
    }),
    attack(
        "chroot",
        "chroot, as root's way out",
        |ground| match ground.outside {
            true => crate::call::in_child(|| call(libc::SYS_chroot, &[at(c"/")]).map(drop)),
            false => call(libc::SYS_chroot, &[at(c"/")]).map(drop),
        },
    ),
];
