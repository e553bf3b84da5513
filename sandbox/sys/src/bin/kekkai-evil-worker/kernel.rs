//! Interfaces of the kernel that past holes were in, and the machine's own settings.

use nix::errno::Errno;
use nix::libc;

use crate::call::{at, call, in_child, reached};
use crate::{Attack, attack};

/// Calls that 32-bit programs make: the filter must see that their numbers mean others.
#[cfg(target_arch = "x86_64")]
fn other_abi() -> Result<(), Errno> {
    /// Of the 32-bit table.
    const GETPID: i64 = 20;
    let mut answer: i64 = GETPID;
    // SAFETY: the 32-bit getpid takes no argument and touches no memory; int 0x80 clobbers r8 to r11.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") answer,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    match answer {
        ..0 => Err(Errno::from_raw(-answer as i32)),
        _ => Ok(()),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn other_abi() -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

fn clock(set: bool) -> Result<(), Errno> {
    let mut now = [0_i64; 2];
    let place = now.as_mut_ptr() as usize;
    call(
        libc::SYS_clock_gettime,
        &[libc::CLOCK_REALTIME as usize, place],
    )?;
    match set {
        // To a time that is none: whoever may set it is told so.
        true => {
            now[1] = -1;
            reached(
                libc::SYS_clock_settime,
                &[libc::CLOCK_REALTIME as usize, now.as_ptr() as usize],
            )
        }
        false => Ok(()),
    }
}

pub(crate) const ATTACKS: &[Attack] = &[
    attack(
        "io-uring",
        "io_uring_setup: calls that no filter sees",
        |_| {
            let mut parameters = [0_u8; 120];
            call(
                libc::SYS_io_uring_setup,
                &[1, parameters.as_mut_ptr() as usize],
            )
            .map(drop)
        },
    ),
    attack("io-uring-enter", "io_uring_enter", |_| {
        reached(libc::SYS_io_uring_enter, &[usize::MAX, 0, 0, 0, 0, 0])
    }),
    attack("asynchronous-io", "io_setup", |_| {
        reached(libc::SYS_io_setup, &[0, 0])
    }),
    attack("bpf", "load a program into the kernel", |_| {
        reached(libc::SYS_bpf, &[99, 0, 0])
    }),
    attack(
        "performance-events",
        "perf_event_open: watch others' timing",
        |_| reached(libc::SYS_perf_event_open, &[0, 0, 0, usize::MAX, 0]),
    ),
    attack("keyctl", "keys of the session's user", |_| {
        call(libc::SYS_keyctl, &[0, usize::MAX - 2, 0]).map(drop)
    }),
    attack("add-key", "add_key", |_| {
        reached(libc::SYS_add_key, &[0, 0, 0, 0, 0])
    }),
    attack(
        "request-key",
        "request_key: have the kernel execute a helper",
        |_| reached(libc::SYS_request_key, &[0, 0, 0, 0]),
    ),
    attack(
        "terminal-input",
        "TIOCSTI: type into the operator's terminal",
        |_| reached(libc::SYS_ioctl, &[0, libc::TIOCSTI as usize, at(c"x")]),
    ),
    attack(
        "terminal-console",
        "TIOCLINUX: paste into a console",
        |_| reached(libc::SYS_ioctl, &[0, libc::TIOCLINUX as usize, at(c"x")]),
    ),
    attack("any-ioctl", "an ioctl that nobody named", |_| {
        reached(libc::SYS_ioctl, &[3, 0x8904, at(c"x")])
    }),
    attack("load-module", "init_module", |_| {
        reached(libc::SYS_init_module, &[0, 0, at(c"")])
    }),
    attack("load-module-file", "finit_module", |_| {
        reached(libc::SYS_finit_module, &[usize::MAX, at(c""), 0])
    }),
    attack("unload-module", "delete_module", |_| {
        reached(libc::SYS_delete_module, &[at(c"kekkai-no-such-module"), 0])
    }),
    attack("another-kernel", "kexec_load", |_| {
        reached(libc::SYS_kexec_load, &[0, usize::MAX, 0, 0])
    }),
    attack("reboot", "reboot, with numbers that mean nothing", |_| {
        reached(libc::SYS_reboot, &[0, 0, 0, 0])
    }),
    attack("swap-on", "swapon", |_| {
        reached(libc::SYS_swapon, &[at(c"/nothing-here"), 0])
    }),
    attack("swap-off", "swapoff", |_| {
        reached(libc::SYS_swapoff, &[at(c"/nothing-here")])
    }),
    attack("accounting", "acct: have the kernel write a file", |_| {
        reached(libc::SYS_acct, &[at(c"/nothing-here/x")])
    }),
    attack("quota", "quotactl", |_| {
        reached(libc::SYS_quotactl, &[0, 0, 0, 0])
    }),
    attack("kernel-log", "syslog: read the kernel's log", |_| {
        const SIZE: usize = 10;
        call(libc::SYS_syslog, &[SIZE, 0, 0]).map(drop)
    }),
    attack("hang-up", "vhangup", |ground| match ground.outside {
        // In a session without a terminal: that of the tests stays.
        true => in_child(|| {
            call(libc::SYS_setsid, &[])?;
            call(libc::SYS_vhangup, &[]).map(drop)
        }),
        false => call(libc::SYS_vhangup, &[]).map(drop),
    }),
    attack("set-clock", "clock_settime", |_| clock(true)),
    attack("adjust-clock", "adjtimex with a change", |_| {
        // Read only at address 0: the kernel looks and fails.
        reached(libc::SYS_adjtimex, &[0])
    }),
    #[cfg(target_arch = "x86_64")]
    attack("segment-table", "modify_ldt", |_| {
        reached(libc::SYS_modify_ldt, &[0, 0, 0])
    }),
    #[cfg(target_arch = "x86_64")]
    attack("ports", "ioperm", |_| reached(libc::SYS_ioperm, &[0, 0, 0])),
    #[cfg(target_arch = "x86_64")]
    attack("port-level", "iopl", |_| reached(libc::SYS_iopl, &[0])),
    #[cfg(target_arch = "x86_64")]
    attack("thread-registers", "arch_prctl", |_| {
        let mut place = 0_usize;
        const GET_FS: usize = 0x1003;
        call(libc::SYS_arch_prctl, &[GET_FS, (&raw mut place) as usize]).map(drop)
    }),
    attack("other-abi", "32-bit calls by int 0x80", |_| other_abi()),
    #[cfg(target_arch = "x86_64")]
    attack("x32-abi", "calls of the x32 table", |_| {
        call(0x4000_0000 | libc::SYS_getpid, &[]).map(drop)
    }),
    attack("more-rules", "landlock: ask for rules of one's own", |_| {
        const VERSION: usize = 1;
        call(libc::SYS_landlock_create_ruleset, &[0, 0, VERSION]).map(drop)
    }),
];
