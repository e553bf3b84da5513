//! Numbers of system calls by their names.

use nix::libc;

pub(super) enum Known {
    Here(i64),
    #[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "it has them all"))]
    Elsewhere,
    Nowhere,
}

/// The number of a system call by its name. Only names that a list uses are here.
pub(super) fn number_of(name: &str) -> Known {
    let number = match name {
        "accept4" => libc::SYS_accept4,
        "bind" => libc::SYS_bind,
        "brk" => libc::SYS_brk,
        "clock_gettime" => libc::SYS_clock_gettime,
        "clock_nanosleep" => libc::SYS_clock_nanosleep,
        "clone" => libc::SYS_clone,
        "clone3" => libc::SYS_clone3,
        "close" => libc::SYS_close,
        "connect" => libc::SYS_connect,
        "epoll_create1" => libc::SYS_epoll_create1,
        "epoll_ctl" => libc::SYS_epoll_ctl,
        "epoll_pwait" => libc::SYS_epoll_pwait,
        "eventfd2" => libc::SYS_eventfd2,
        "exit" => libc::SYS_exit,
        "exit_group" => libc::SYS_exit_group,
        "fcntl" => libc::SYS_fcntl,
        "fsync" => libc::SYS_fsync,
        "ftruncate" => libc::SYS_ftruncate,
        "futex" => libc::SYS_futex,
        "getdents64" => libc::SYS_getdents64,
        "getpeername" => libc::SYS_getpeername,
        "getpid" => libc::SYS_getpid,
        "getrandom" => libc::SYS_getrandom,
        "getsockname" => libc::SYS_getsockname,
        "getsockopt" => libc::SYS_getsockopt,
        "gettid" => libc::SYS_gettid,
        "ioctl" => libc::SYS_ioctl,
        "listen" => libc::SYS_listen,
        "lseek" => libc::SYS_lseek,
        "madvise" => libc::SYS_madvise,
        "membarrier" => libc::SYS_membarrier,
        "memfd_create" => libc::SYS_memfd_create,
        "mkdirat" => libc::SYS_mkdirat,
        "mlock" => libc::SYS_mlock,
        "mmap" => libc::SYS_mmap,
        "mprotect" => libc::SYS_mprotect,
        "mremap" => libc::SYS_mremap,
        "munmap" => libc::SYS_munmap,
        "newfstatat" => libc::SYS_newfstatat,
        "openat" => libc::SYS_openat,
        "openat2" => libc::SYS_openat2,
        "pidfd_send_signal" => libc::SYS_pidfd_send_signal,
        "pipe2" => libc::SYS_pipe2,
        "ppoll" => libc::SYS_ppoll,
        "prctl" => libc::SYS_prctl,
        "pread64" => libc::SYS_pread64,
        "pwrite64" => libc::SYS_pwrite64,
        "read" => libc::SYS_read,
        "readlinkat" => libc::SYS_readlinkat,
        "recvfrom" => libc::SYS_recvfrom,
        "recvmsg" => libc::SYS_recvmsg,
        "restart_syscall" => libc::SYS_restart_syscall,
        "rseq" => libc::SYS_rseq,
        "rt_sigaction" => libc::SYS_rt_sigaction,
        "rt_sigprocmask" => libc::SYS_rt_sigprocmask,
        "rt_sigreturn" => libc::SYS_rt_sigreturn,
        "sched_getaffinity" => libc::SYS_sched_getaffinity,
        "sched_yield" => libc::SYS_sched_yield,
        "sendmmsg" => libc::SYS_sendmmsg,
        "sendmsg" => libc::SYS_sendmsg,
        "sendto" => libc::SYS_sendto,
        "set_robust_list" => libc::SYS_set_robust_list,
        "setsockopt" => libc::SYS_setsockopt,
        "shutdown" => libc::SYS_shutdown,
        "sigaltstack" => libc::SYS_sigaltstack,
        "socket" => libc::SYS_socket,
        "socketpair" => libc::SYS_socketpair,
        "statx" => libc::SYS_statx,
        "tgkill" => libc::SYS_tgkill,
        "uname" => libc::SYS_uname,
        "unlinkat" => libc::SYS_unlinkat,
        "write" => libc::SYS_write,
        "writev" => libc::SYS_writev,
        _ => return legacy_number_of(name),
    };
    Known::Here(number)
}

/// Those that newer architectures never had.
fn legacy_number_of(name: &str) -> Known {
    #[cfg(target_arch = "x86_64")]
    let number = match name {
        "epoll_wait" => Known::Here(libc::SYS_epoll_wait),
        "mkdir" => Known::Here(libc::SYS_mkdir),
        "poll" => Known::Here(libc::SYS_poll),
        "readlink" => Known::Here(libc::SYS_readlink),
        "rename" => Known::Here(libc::SYS_rename),
        "renameat" => Known::Here(libc::SYS_renameat),
        "rmdir" => Known::Here(libc::SYS_rmdir),
        "unlink" => Known::Here(libc::SYS_unlink),
        _ => Known::Nowhere,
    };
    #[cfg(not(target_arch = "x86_64"))]
    let number = match name {
        // Of asm-generic/unistd.h; libc leaves it out.
        "renameat" => Known::Here(38),
        "epoll_wait" | "mkdir" | "poll" | "readlink" | "rename" | "rmdir" | "unlink" => {
            Known::Elsewhere
        }
        _ => Known::Nowhere,
    };
    number
}

/// Whether this architecture has it.
#[allow(dead_code, reason = "build.rs includes this file and doesn't ask")]
pub(super) fn is_here(name: &str) -> bool {
    matches!(number_of(name), Known::Here(_))
}
