//! Using everything up, and what a crash leaves behind.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;

use crate::call::{at, call, in_child, reached};
use crate::{Attack, Ground, attack};

/// More than any jail of these tests has, and what the machine gives a control without touching it.
const MEMORY_BEYOND: usize = 4 << 30;
/// Beyond each kind's address space; a 64-bit process may reserve it.
const ADDRESSES_BEYOND: usize = 4 << 40;
const THREADS_BEYOND: usize = 400;
const DESCRIPTORS_BEYOND: usize = 1_400;
/// What comes, when it is touched.
const EVERYTHING: usize = (libc::MCL_FUTURE | libc::MCL_ONFAULT) as usize;

fn reserve(bytes: usize, flags: i32) -> Result<(), Errno> {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags) as usize;
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let protection = if flags & libc::MAP_NORESERVE as usize == 0 {
        protection
    } else {
        0
    };
    let address = call(
        libc::SYS_mmap,
        &[0, bytes, protection, flags, usize::MAX, 0],
    )?;
    call(libc::SYS_munmap, &[address as usize, bytes]).map(drop)
}

/// Threads that all live at once.
fn threads(_: &Ground) -> Result<(), Errno> {
    let gate = std::sync::Arc::new(std::sync::Mutex::new(()));
    let held = gate.lock().unwrap();
    let mut all = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..THREADS_BEYOND {
        let gate = gate.clone();
        let builder = std::thread::Builder::new().stack_size(64 * 1024);
        match builder.spawn(move || drop(gate.lock())) {
            Ok(thread) => all.push(thread),
            Err(error) => {
                outcome = Err(Errno::from_raw(error.raw_os_error().unwrap()));
                break;
            }
        }
    }
    drop(held);
    for thread in all {
        thread.join().unwrap();
    }
    outcome
}

fn descriptors(ground: &Ground) -> Result<(), Errno> {
    if ground.outside {
        let room = [8_192_u64, 8_192];
        let args = [0, libc::RLIMIT_NOFILE as usize, room.as_ptr() as usize, 0];
        call(libc::SYS_prlimit64, &args)?;
    }
    let passed = ground.passed()?;
    let mut all = Vec::new();
    for _ in 0..DESCRIPTORS_BEYOND {
        let copy = passed.as_fd().try_clone_to_owned();
        all.push(copy.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap()))?);
    }
    Ok(())
}

fn fork_bomb() -> Result<(), Errno> {
    for _ in 0..8 {
        match call(libc::SYS_clone, &[libc::SIGCHLD as usize, 0, 0, 0, 0])? {
            // SAFETY: _exit has no precondition.
            0 => unsafe { libc::_exit(0) },
            child => {
                let pid = nix::unistd::Pid::from_raw(child as i32);
                nix::sys::wait::waitpid(pid, None)?;
            }
        }
    }
    Ok(())
}

/// Memory that is really used, in pieces, up to `bytes`.
fn fill(bytes: usize) -> Result<(), Errno> {
    const PIECE: usize = 16 << 20;
    const PAGE: usize = 4096;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    for _ in 0..bytes / PIECE {
        let args = [0, PIECE, protection, flags, usize::MAX, 0];
        let start = call(libc::SYS_mmap, &args)? as usize;
        for page in (start..start + PIECE).step_by(PAGE) {
            // SAFETY: the page lies in the mapping just made, which is writable and nobody else's.
            unsafe { std::ptr::with_exposed_provenance_mut::<u8>(page).write_volatile(1) };
        }
    }
    Ok(())
}

fn raise(resource: usize, value: u64) -> Result<(), Errno> {
    let limit = [value, value];
    call(
        libc::SYS_prlimit64,
        &[0, resource, limit.as_ptr() as usize, 0],
    )
    .map(drop)
}

pub(crate) const ATTACKS: &[Attack] = &[
    attack("fork-bomb", "processes until there are no more", |_| {
        fork_bomb()
    }),
    attack("thread-bomb", "400 threads at once", threads),
    attack("memory-bomb", "768 MiB that are written", |_| {
        fill(768 << 20)
    }),
    attack("memory-claim", "4 GiB at once", |_| {
        reserve(MEMORY_BEYOND, 0)
    }),
    attack("address-bomb", "4 TiB of addresses", |_| {
        reserve(ADDRESSES_BEYOND, libc::MAP_NORESERVE)
    }),
    attack("descriptor-bomb", "1,400 descriptors", descriptors),
    attack("locked-memory", "lock 64 MiB", |_| {
        let block = vec![0_u8; 64 << 20];
        call(libc::SYS_mlock, &[block.as_ptr() as usize, block.len()]).map(drop)
    }),
    attack("lock-everything", "mlockall", |ground| {
        match ground.outside {
            true => in_child(|| call(libc::SYS_mlockall, &[EVERYTHING]).map(drop)),
            false => call(libc::SYS_mlockall, &[EVERYTHING]).map(drop),
        }
    }),
    attack("fill-disk", "fallocate in a passed file", |ground| {
        let file = match ground.outside {
            true => call(libc::SYS_memfd_create, &[at(c"x"), 0])? as usize,
            false => ground.passed()?.as_raw_fd() as usize,
        };
        call(libc::SYS_fallocate, &[file, 0, 0, 1 << 20]).map(drop)
    }),
    attack("grow-file", "ftruncate of a passed file", |ground| {
        let file = match ground.outside {
            true => call(libc::SYS_memfd_create, &[at(c"x"), 0])? as usize,
            false => ground.passed()?.as_raw_fd() as usize,
        };
        call(libc::SYS_ftruncate, &[file, 1 << 30]).map(drop)
    }),
    attack("raise-memory", "setrlimit: more memory", |_| {
        raise(libc::RLIMIT_DATA as usize, u64::MAX)
    }),
    attack("raise-core", "setrlimit: a core file again", |_| {
        raise(libc::RLIMIT_CORE as usize, u64::MAX)
    }),
    attack("raise-stack", "setrlimit: a stack without end", |_| {
        raise(libc::RLIMIT_STACK as usize, u64::MAX)
    }),
    attack("raise-files", "setrlimit: files without end", |_| {
        raise(libc::RLIMIT_FSIZE as usize, u64::MAX)
    }),
    attack(
        "kernel-timers",
        "timer_create: timers that the kernel keeps",
        |_| {
            let mut id = 0_i32;
            let args = [libc::CLOCK_MONOTONIC as usize, 0, (&raw mut id) as usize];
            call(libc::SYS_timer_create, &args).map(drop)
        },
    ),
    attack("interval-timer", "setitimer", |_| {
        reached(libc::SYS_setitimer, &[0, 0, 0])
    }),
    attack(
        "pipe-memory",
        "pipes that hold more than they are given",
        |_| {
            let mut ends = [0_i32; 2];
            call(libc::SYS_pipe2, &[ends.as_mut_ptr() as usize, 0])?;
            let args = [ends[0] as usize, libc::F_SETPIPE_SZ as usize, 1 << 20];
            call(libc::SYS_fcntl, &args).map(drop)
        },
    ),
    attack("sync-everything", "sync: make every disk busy", |_| {
        call(libc::SYS_sync, &[]).map(drop)
    }),
];
