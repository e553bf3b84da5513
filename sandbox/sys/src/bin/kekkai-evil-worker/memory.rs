//! Code that was not measured, memory that others see, memory that is more than allowed.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;

use crate::call::{at, call, reached};
use crate::{Attack, attack};

const PAGE: usize = 4096;
const READ: i32 = libc::PROT_READ;
const WRITE: i32 = libc::PROT_WRITE;
const EXECUTE: i32 = libc::PROT_EXEC;
const NO_FILE: usize = usize::MAX;

fn map(bytes: usize, protection: i32, flags: i32, file: usize) -> Result<usize, Errno> {
    let args = [0, bytes, protection as usize, flags as usize, file, 0];
    call(libc::SYS_mmap, &args).map(|address| address as usize)
}

fn page(protection: i32, flags: i32) -> Result<usize, Errno> {
    map(PAGE, protection, flags | libc::MAP_ANONYMOUS, NO_FILE)
}

fn protect(address: usize, protection: i32) -> Result<(), Errno> {
    call(libc::SYS_mprotect, &[address, PAGE, protection as usize]).map(drop)
}

pub(crate) const ATTACKS: &[Attack] = &[
    attack(
        "map-executable",
        "anonymous memory that can be executed",
        |_| page(READ | EXECUTE, libc::MAP_PRIVATE).map(drop),
    ),
    attack(
        "map-writable-executable",
        "memory to write code into",
        |_| page(READ | WRITE | EXECUTE, libc::MAP_PRIVATE).map(drop),
    ),
    attack(
        "make-executable",
        "mprotect written memory to be executed",
        |_| protect(page(READ | WRITE, libc::MAP_PRIVATE)?, READ | EXECUTE),
    ),
    attack(
        "make-writable-executable",
        "mprotect to both at once",
        |_| {
            protect(
                page(READ | WRITE, libc::MAP_PRIVATE)?,
                READ | WRITE | EXECUTE,
            )
        },
    ),
    attack(
        "map-file-executable",
        "map a passed memory file to be executed",
        |ground| {
            let file = ground.passed()?.as_raw_fd() as usize;
            map(PAGE, READ | EXECUTE, libc::MAP_PRIVATE, file).map(drop)
        },
    ),
    attack(
        "change-file-map-and-execute",
        "write into a private map of a file, then execute it",
        |ground| {
            let file = ground.passed()?.as_raw_fd() as usize;
            protect(
                map(PAGE, READ | WRITE, libc::MAP_PRIVATE, file)?,
                READ | EXECUTE,
            )
        },
    ),
    attack(
        "map-file-writable-executable",
        "map a file to be written and executed",
        |ground| {
            let file = ground.passed()?.as_raw_fd() as usize;
            map(PAGE, READ | WRITE | EXECUTE, libc::MAP_PRIVATE, file).map(drop)
        },
    ),
    attack(
        "key-protect",
        "pkey_mprotect: executable past the filter",
        |_| {
            let address = page(READ | WRITE, libc::MAP_PRIVATE)?;
            let args = [address, PAGE, (READ | EXECUTE) as usize, usize::MAX];
            call(libc::SYS_pkey_mprotect, &args).map(drop)
        },
    ),
    attack(
        "execute-when-readable",
        "personality: all that is readable is executable",
        |_| {
            const READ_IMPLIES_EXEC: usize = 0x0040_0000;
            call(libc::SYS_personality, &[READ_IMPLIES_EXEC]).map(drop)
        },
    ),
    attack(
        "shared-memory-map",
        "memory shared with whoever comes",
        |_| page(READ | WRITE, libc::MAP_SHARED).map(drop),
    ),
    attack("shared-memory-segment", "shmget", |_| {
        let id = call(libc::SYS_shmget, &[0, PAGE, 0o600])?;
        call(libc::SYS_shmctl, &[id as usize, libc::IPC_RMID as usize, 0]).map(drop)
    }),
    attack("semaphores", "semget", |_| {
        let id = call(libc::SYS_semget, &[0, 1, 0o600])?;
        call(
            libc::SYS_semctl,
            &[id as usize, 0, libc::IPC_RMID as usize, 0],
        )
        .map(drop)
    }),
    attack("message-queue", "msgget", |_| {
        let id = call(libc::SYS_msgget, &[0, 0o600])?;
        call(libc::SYS_msgctl, &[id as usize, libc::IPC_RMID as usize, 0]).map(drop)
    }),
    attack("posix-message-queue", "mq_open", |_| {
        reached(libc::SYS_mq_open, &[at(c"kekkai-evil-nothing"), 0, 0, 0])
    }),
    attack("make-memory-file", "memfd_create", |_| {
        call(libc::SYS_memfd_create, &[at(c"x"), 0]).map(drop)
    }),
    attack(
        "secret-memory",
        "memfd_secret: memory that not even the kernel sees",
        |_| call(libc::SYS_memfd_secret, &[0]).map(drop),
    ),
    attack(
        "change-passed-file",
        "write into a sealed artefact",
        |ground| {
            // A control that is no program's: where there is no seal, the same bytes can be written.
            let fresh;
            let file = match ground.outside {
                true => {
                    fresh = call(libc::SYS_memfd_create, &[at(c"x"), 0])? as usize;
                    fresh
                }
                false => ground.passed()?.as_raw_fd() as usize,
            };
            call(libc::SYS_write, &[file, at(c"x"), 1]).map(drop)
        },
    ),
    attack(
        "map-passed-file-shared",
        "change a sealed artefact through a mapping",
        |ground| {
            let file = match ground.outside {
                true => {
                    let file = call(libc::SYS_memfd_create, &[at(c"x"), 0])? as usize;
                    call(libc::SYS_ftruncate, &[file, PAGE])?;
                    file
                }
                false => ground.passed()?.as_raw_fd() as usize,
            };
            map(PAGE, READ | WRITE, libc::MAP_SHARED, file).map(drop)
        },
    ),
    attack("reorder-pages", "remap_file_pages", |_| {
        reached(libc::SYS_remap_file_pages, &[0, 0, 0, 0, 0])
    }),
    attack(
        "handle-page-faults",
        "userfaultfd: hold the kernel in the middle",
        |_| reached(libc::SYS_userfaultfd, &[0]),
    ),
    attack("pages-into-pipe", "vmsplice", |_| {
        reached(libc::SYS_vmsplice, &[usize::MAX, 0, 0, 0])
    }),
    attack("splice", "splice (Dirty Pipe)", |_| {
        reached(libc::SYS_splice, &[usize::MAX, 0, usize::MAX, 0, 1, 0])
    }),
    attack("tee", "tee", |_| {
        reached(libc::SYS_tee, &[usize::MAX, usize::MAX, 1, 0])
    }),
    attack(
        "send-file",
        "sendfile past the process's own memory",
        |_| reached(libc::SYS_sendfile, &[usize::MAX, usize::MAX, 0, 1]),
    ),
];
