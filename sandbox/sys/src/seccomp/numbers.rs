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
        "clock_getres" => libc::SYS_clock_getres,
        "clock_gettime" => libc::SYS_clock_gettime,
        "clock_nanosleep" => libc::SYS_clock_nanosleep,
        "clone" => libc::SYS_clone,
        "clone3" => libc::SYS_clone3,
        "close" => libc::SYS_close,
        "connect" => libc::SYS_connect,
        "epoll_create1" => libc::SYS_epoll_create1,
        "epoll_ctl" => libc::SYS_epoll_ctl,
        "epoll_pwait" => libc::SYS_epoll_pwait,
        "epoll_pwait2" => libc::SYS_epoll_pwait2,
        "eventfd2" => libc::SYS_eventfd2,
        "exit" => libc::SYS_exit,
        "exit_group" => libc::SYS_exit_group,
        "faccessat" => libc::SYS_faccessat,
        "faccessat2" => libc::SYS_faccessat2,
        "fadvise64" => libc::SYS_fadvise64,
        "fcntl" => libc::SYS_fcntl,
        "fstat" => libc::SYS_fstat,
        "ftruncate" => libc::SYS_ftruncate,
        "futex" => libc::SYS_futex,
        "futex_waitv" => libc::SYS_futex_waitv,
        "get_mempolicy" => libc::SYS_get_mempolicy,
        "getcpu" => libc::SYS_getcpu,
        "getcwd" => libc::SYS_getcwd,
        "getdents64" => libc::SYS_getdents64,
        "getegid" => libc::SYS_getegid,
        "geteuid" => libc::SYS_geteuid,
        "getgid" => libc::SYS_getgid,
        "getpeername" => libc::SYS_getpeername,
        "getpid" => libc::SYS_getpid,
        "getppid" => libc::SYS_getppid,
        "getrandom" => libc::SYS_getrandom,
        "getrusage" => libc::SYS_getrusage,
        "getsockname" => libc::SYS_getsockname,
        "getsockopt" => libc::SYS_getsockopt,
        "gettid" => libc::SYS_gettid,
        "gettimeofday" => libc::SYS_gettimeofday,
        "getuid" => libc::SYS_getuid,
        "ioctl" => libc::SYS_ioctl,
        "listen" => libc::SYS_listen,
        "lseek" => libc::SYS_lseek,
        "madvise" => libc::SYS_madvise,
        "membarrier" => libc::SYS_membarrier,
        "memfd_create" => libc::SYS_memfd_create,
        "mlock" => libc::SYS_mlock,
        "mlock2" => libc::SYS_mlock2,
        "mmap" => libc::SYS_mmap,
        "mprotect" => libc::SYS_mprotect,
        "mremap" => libc::SYS_mremap,
        "munlock" => libc::SYS_munlock,
        "munmap" => libc::SYS_munmap,
        "nanosleep" => libc::SYS_nanosleep,
        "newfstatat" => libc::SYS_newfstatat,
        "openat" => libc::SYS_openat,
        "pidfd_send_signal" => libc::SYS_pidfd_send_signal,
        "pipe2" => libc::SYS_pipe2,
        "ppoll" => libc::SYS_ppoll,
        "prctl" => libc::SYS_prctl,
        "pread64" => libc::SYS_pread64,
        "preadv" => libc::SYS_preadv,
        "preadv2" => libc::SYS_preadv2,
        "prlimit64" => libc::SYS_prlimit64,
        "process_madvise" => libc::SYS_process_madvise,
        "pwrite64" => libc::SYS_pwrite64,
        "read" => libc::SYS_read,
        "readlinkat" => libc::SYS_readlinkat,
        "readv" => libc::SYS_readv,
        "recvfrom" => libc::SYS_recvfrom,
        "recvmmsg" => libc::SYS_recvmmsg,
        "recvmsg" => libc::SYS_recvmsg,
        "restart_syscall" => libc::SYS_restart_syscall,
        "rseq" => libc::SYS_rseq,
        "rt_sigaction" => libc::SYS_rt_sigaction,
        "rt_sigprocmask" => libc::SYS_rt_sigprocmask,
        "rt_sigreturn" => libc::SYS_rt_sigreturn,
        "sched_getaffinity" => libc::SYS_sched_getaffinity,
        "sched_setaffinity" => libc::SYS_sched_setaffinity,
        "sched_setscheduler" => libc::SYS_sched_setscheduler,
        "sched_yield" => libc::SYS_sched_yield,
        "sendmmsg" => libc::SYS_sendmmsg,
        "sendmsg" => libc::SYS_sendmsg,
        "sendto" => libc::SYS_sendto,
        "set_robust_list" => libc::SYS_set_robust_list,
        "setpriority" => libc::SYS_setpriority,
        "setsockopt" => libc::SYS_setsockopt,
        "shutdown" => libc::SYS_shutdown,
        "sigaltstack" => libc::SYS_sigaltstack,
        "socket" => libc::SYS_socket,
        "socketpair" => libc::SYS_socketpair,
        "statfs" => libc::SYS_statfs,
        "statx" => libc::SYS_statx,
        "sysinfo" => libc::SYS_sysinfo,
        "tgkill" => libc::SYS_tgkill,
        "times" => libc::SYS_times,
        "uname" => libc::SYS_uname,
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
        "access" => Known::Here(libc::SYS_access),
        "epoll_wait" => Known::Here(libc::SYS_epoll_wait),
        "getrlimit" => Known::Here(libc::SYS_getrlimit),
        "lstat" => Known::Here(libc::SYS_lstat),
        "mkdir" => Known::Here(libc::SYS_mkdir),
        "open" => Known::Here(libc::SYS_open),
        "poll" => Known::Here(libc::SYS_poll),
        "readlink" => Known::Here(libc::SYS_readlink),
        "rmdir" => Known::Here(libc::SYS_rmdir),
        "stat" => Known::Here(libc::SYS_stat),
        "time" => Known::Here(libc::SYS_time),
        _ => Known::Nowhere,
    };
    #[cfg(not(target_arch = "x86_64"))]
    let number = match name {
        "access" | "epoll_wait" | "getrlimit" | "lstat" | "mkdir" | "open" | "poll"
        | "readlink" | "rmdir" | "stat" | "time" => Known::Elsewhere,
        _ => Known::Nowhere,
    };
    number
}

/// Whether this architecture has it.
#[allow(dead_code, reason = "build.rs includes this file and doesn't ask")]
pub(super) fn is_here(name: &str) -> bool {
    matches!(number_of(name), Known::Here(_))
}
