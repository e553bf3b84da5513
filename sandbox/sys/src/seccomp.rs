//! Lists of system calls: compiled in, one readable file for each kind of process.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::ProcessKind;

/// Why a list can't be installed.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// A line of the list is malformed: ours.
    #[error("bug: line {line} of the list of system calls: {what}")]
    List {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The list compiles to no filter: ours.
    #[error("bug: the list of system calls compiles to no filter")]
    Compile(#[from] seccompiler::BackendError),
    /// The kernel refuses the filter.
    #[error("the kernel refuses the filter")]
    Install(#[from] seccompiler::Error),
}

impl ProcessKind {
    /// The list of system calls, as an auditor reads it.
    pub const fn seccomp_list(self) -> &'static str {
        match self {
            Self::SqlWorker => include_str!("../seccomp/sql-worker.list"),
        }
    }
}

/// A list that was read.
#[derive(Default)]
struct List {
    allow: BTreeMap<i64, Vec<SeccompRule>>,
    /// Allowed whatever the arguments; `allow` then holds an empty vector.
    unconditional: Vec<i64>,
    eperm: BTreeMap<i64, Vec<SeccompRule>>,
    enosys: BTreeMap<i64, Vec<SeccompRule>>,
}

/// Filters in the order of installation. The kernel runs all of them and takes the strictest
/// answer (kill, then error, then allow); the allow-list comes last, since it doesn't allow
/// `seccomp` itself.
pub fn compile(kind: ProcessKind) -> Result<Vec<BpfProgram>, SeccompError> {
    let list = parse(kind.seccomp_list())?;
    let arch = std::env::consts::ARCH.try_into()?;
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let mut allowed = list.allow;
    for (number, rules) in list.eperm.iter().chain(&list.enosys) {
        allowed.insert(*number, rules.clone());
    }
    let filters = [
        SeccompFilter::new(list.enosys, SeccompAction::Allow, errno(libc::ENOSYS), arch)?,
        SeccompFilter::new(list.eperm, SeccompAction::Allow, errno(libc::EPERM), arch)?,
        SeccompFilter::new(
            allowed,
            SeccompAction::KillProcess,
            SeccompAction::Allow,
            arch,
        )?,
    ];
    let mut programs = Vec::new();
    for filter in filters {
        programs.push(filter.try_into()?);
    }
    Ok(programs)
}

/// Installs a kind's list on this process, all its threads. For good.
pub(crate) fn install(kind: ProcessKind) -> Result<usize, SeccompError> {
    let programs = compile(kind)?;
    for program in &programs {
        seccompiler::apply_filter_all_threads(program)?;
    }
    Ok(parse(kind.seccomp_list())?.allow.len())
}

fn parse(text: &str) -> Result<List, SeccompError> {
    let mut list = List::default();
    for (index, line) in text.lines().enumerate() {
        let error = |what: String| SeccompError::List {
            line: index + 1,
            what,
        };
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(verb) = words.next() else { continue };
        let name = words.next().ok_or_else(|| error("no name".to_owned()))?;
        let number = match number_of(name) {
            Known::Here(number) => number,
            Known::Elsewhere => continue,
            Known::Nowhere => return Err(error(format!("unknown system call \"{name}\""))),
        };
        let mut conditions = Vec::new();
        for word in words {
            let known = condition(word);
            conditions
                .extend(known.ok_or_else(|| error(format!("unknown condition \"{word}\"")))??);
        }
        match (verb, conditions.is_empty()) {
            ("allow", true) => {
                list.unconditional.push(number);
                list.allow.insert(number, Vec::new());
            }
            ("allow", false) if list.unconditional.contains(&number) => {
                return Err(error(format!("\"{name}\" is allowed without condition")));
            }
            ("allow", false) => list
                .allow
                .entry(number)
                .or_default()
                .push(SeccompRule::new(conditions)?),
            ("eperm", true) => drop(list.eperm.insert(number, Vec::new())),
            ("enosys", true) => drop(list.enosys.insert(number, Vec::new())),
            _ => {
                return Err(error(format!(
                    "\"{verb}\" is no action, or takes no condition"
                )));
            }
        }
    }
    Ok(list)
}

/// A condition's comparisons, all of which must hold. Arguments are compared over the width that
/// the kernel reads: 32 bits for ints, or the upper half could hide what the filter doesn't see.
fn condition(name: &str) -> Option<Result<Vec<SeccompCondition>, SeccompError>> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq};
    let number = |value: i32| u64::from(value.unsigned_abs());
    let equals = |index, value| (index, Dword, Eq, value);
    // The path may still be another than "", but the root is empty.
    let at_empty_path = number(libc::AT_EMPTY_PATH);
    let empty_path = |index| (index, Dword, MaskedEq(at_empty_path), at_empty_path);
    // CLONE_THREAD and what comes with it in pthread_create, exactly.
    let thread = number(
        libc::CLONE_VM
            | libc::CLONE_FS
            | libc::CLONE_FILES
            | libc::CLONE_SIGHAND
            | libc::CLONE_THREAD
            | libc::CLONE_SYSVSEM
            | libc::CLONE_SETTLS
            | libc::CLONE_PARENT_SETTID
            | libc::CLONE_CHILD_CLEARTID,
    );
    let list = match name {
        "no-exec" => vec![(2, Qword, MaskedEq(number(libc::PROT_EXEC)), 0)],
        "private" => vec![(
            3,
            Qword,
            MaskedEq(number(libc::MAP_TYPE)),
            number(libc::MAP_PRIVATE),
        )],
        "thread" => vec![(0, Qword, Eq, thread)],
        "statx-of-descriptor" => vec![empty_path(2)],
        "fstatat-of-descriptor" => vec![empty_path(3)],
        "unix" => vec![equals(0, number(libc::AF_UNIX))],
        "dup-cloexec" => vec![equals(1, number(libc::F_DUPFD_CLOEXEC))],
        "get-fd" => vec![equals(1, number(libc::F_GETFD))],
        "set-fd" => vec![equals(1, number(libc::F_SETFD))],
        "get-fl" => vec![equals(1, number(libc::F_GETFL))],
        "set-fl" => vec![equals(1, number(libc::F_SETFL))],
        "fionbio" => vec![equals(1, libc::FIONBIO)],
        "fioclex" => vec![equals(1, libc::FIOCLEX)],
        "tcgets" => vec![equals(1, libc::TCGETS)],
        "fionread" => vec![equals(1, libc::FIONREAD)],
        "set-name" => vec![equals(0, number(libc::PR_SET_NAME))],
        "set-vma" => vec![equals(0, number(libc::PR_SET_VMA))],
        "read-only" => vec![(2, Qword, Eq, 0)],
        _ => return None,
    };
    Some(
        list.into_iter()
            .map(|(index, width, op, value)| {
                SeccompCondition::new(index, width, op, value).map_err(SeccompError::from)
            })
            .collect(),
    )
}

enum Known {
    Here(i64),
    #[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "it has them all"))]
    Elsewhere,
    Nowhere,
}

/// The number of a system call by its name. Only names that a list uses are here.
fn number_of(name: &str) -> Known {
    let number = match name {
        "brk" => libc::SYS_brk,
        "clock_getres" => libc::SYS_clock_getres,
        "clock_gettime" => libc::SYS_clock_gettime,
        "clock_nanosleep" => libc::SYS_clock_nanosleep,
        "clone" => libc::SYS_clone,
        "clone3" => libc::SYS_clone3,
        "close" => libc::SYS_close,
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
        "futex" => libc::SYS_futex,
        "futex_waitv" => libc::SYS_futex_waitv,
        "get_mempolicy" => libc::SYS_get_mempolicy,
        "getcpu" => libc::SYS_getcpu,
        "getcwd" => libc::SYS_getcwd,
        "getdents64" => libc::SYS_getdents64,
        "getegid" => libc::SYS_getegid,
        "geteuid" => libc::SYS_geteuid,
        "getgid" => libc::SYS_getgid,
        "getpid" => libc::SYS_getpid,
        "getrandom" => libc::SYS_getrandom,
        "getrusage" => libc::SYS_getrusage,
        "getsockopt" => libc::SYS_getsockopt,
        "gettid" => libc::SYS_gettid,
        "gettimeofday" => libc::SYS_gettimeofday,
        "getuid" => libc::SYS_getuid,
        "ioctl" => libc::SYS_ioctl,
        "lseek" => libc::SYS_lseek,
        "madvise" => libc::SYS_madvise,
        "membarrier" => libc::SYS_membarrier,
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
        "pipe2" => libc::SYS_pipe2,
        "ppoll" => libc::SYS_ppoll,
        "prctl" => libc::SYS_prctl,
        "pread64" => libc::SYS_pread64,
        "preadv" => libc::SYS_preadv,
        "preadv2" => libc::SYS_preadv2,
        "prlimit64" => libc::SYS_prlimit64,
        "read" => libc::SYS_read,
        "readlinkat" => libc::SYS_readlinkat,
        "readv" => libc::SYS_readv,
        "recvfrom" => libc::SYS_recvfrom,
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
        "sendmsg" => libc::SYS_sendmsg,
        "sendto" => libc::SYS_sendto,
        "set_robust_list" => libc::SYS_set_robust_list,
        "setpriority" => libc::SYS_setpriority,
        "shutdown" => libc::SYS_shutdown,
        "sigaltstack" => libc::SYS_sigaltstack,
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
        "open" => Known::Here(libc::SYS_open),
        "poll" => Known::Here(libc::SYS_poll),
        "readlink" => Known::Here(libc::SYS_readlink),
        "stat" => Known::Here(libc::SYS_stat),
        "time" => Known::Here(libc::SYS_time),
        _ => Known::Nowhere,
    };
    #[cfg(not(target_arch = "x86_64"))]
    let number = match name {
        "access" | "epoll_wait" | "getrlimit" | "lstat" | "open" | "poll" | "readlink" | "stat"
        | "time" => Known::Elsewhere,
        _ => Known::Nowhere,
    };
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_compile() {
        assert_eq!(compile(ProcessKind::SqlWorker).unwrap().len(), 3);
    }

    #[test]
    fn lists_open_no_way_to_open_execute_or_connect() {
        let list = ProcessKind::SqlWorker.seccomp_list();
        for name in [
            "open",
            "openat",
            "openat2",
            "creat",
            "execve",
            "execveat",
            "socket",
            "connect",
            "bind",
            "listen",
            "accept",
            "accept4",
            "ptrace",
            "process_vm_readv",
            "kill",
            "mount",
            "unshare",
            "setns",
            "memfd_create",
            "io_uring_setup",
            "bpf",
            "keyctl",
            "add_key",
            "userfaultfd",
            "perf_event_open",
            "pidfd_getfd",
            "fork",
            "vfork",
            "chroot",
            "pivot_root",
            "seccomp",
            "shmget",
            "mq_open",
            "link",
            "rename",
            "unlink",
            "ftruncate",
            "name_to_handle_at",
            "open_by_handle_at",
            "personality",
            "process_madvise",
            "remap_file_pages",
        ] {
            let allowed = list.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some("allow") && words.next() == Some(name)
            });
            assert!(!allowed, "{name}");
        }
    }

    #[test]
    fn malformed_lists_are_refused() {
        for bad in [
            "allow",
            "allow nothing_such",
            "allow mmap nothing-such",
            "permit read",
            "eperm open no-exec",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
