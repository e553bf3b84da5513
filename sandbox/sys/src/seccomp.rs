//! Lists of system calls: one readable file for each kind of process, compiled into filters while the
//! crate is built.

use seccompiler::{BpfProgram, sock_filter};

use crate::ProcessKind;

mod list;
mod numbers;

pub use list::ListError;

/// An instruction of a filter: `code`, `jt`, `jf`, `k` of linux/filter.h.
type Instruction = (u16, u8, u8, u32);

mod filters {
    use super::Instruction;

    include!(concat!(env!("OUT_DIR"), "/filters.rs"));
}

/// Why a list can't be installed.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The list.
    #[error(transparent)]
    List(#[from] ListError),
    /// The kernel refuses the filter.
    #[error("the kernel refuses the filter")]
    Install(#[from] seccompiler::Error),
}

/// A kind's filters, and how many system calls they allow.
fn built_in(kind: ProcessKind) -> (Vec<BpfProgram>, usize) {
    let (programs, allowed) = match kind {
        ProcessKind::Broker => filters::BROKER,
        ProcessKind::SqlWorker => filters::SQL_WORKER,
        ProcessKind::WasmWorker => filters::WASM_WORKER,
        ProcessKind::WasmCompiler => filters::WASM_COMPILER,
        ProcessKind::Desktop => filters::DESKTOP,
    };
    let program = |instructions: &&[Instruction]| {
        let each = instructions.iter();
        each.map(|&(code, jt, jf, k)| sock_filter { code, jt, jf, k })
            .collect()
    };
    (programs.iter().map(program).collect(), allowed)
}

/// Installs a kind's list on all threads of this process, for good. Returns how many system calls it
/// allows.
pub fn install(kind: ProcessKind) -> Result<usize, SeccompError> {
    let (programs, allowed) = built_in(kind);
    apply(&programs)?;
    Ok(allowed)
}

/// As [`install`], without the line that consists of the words of `line`. For tests that show what needs
/// it: a list with a line less is only stricter.
pub fn install_without(kind: ProcessKind, line: &str) -> Result<usize, SeccompError> {
    let list = list::parse(kind.seccomp_list(), Some(line))?;
    let allowed = list.allowed();
    apply(&list.compile()?)?;
    Ok(allowed)
}

fn apply(programs: &[BpfProgram]) -> Result<(), SeccompError> {
    for program in programs {
        seccompiler::apply_filter_all_threads(program)?;
    }
    Ok(())
}

impl ProcessKind {
    /// The lines of its list that say something on this architecture, without comments: `allow read`.
    pub fn seccomp_lines(self) -> Vec<String> {
        let lines = self.seccomp_list().lines();
        lines
            .filter_map(list::words)
            .filter(|words| words.get(1).is_some_and(|name| numbers::is_here(name)))
            .map(|words| words.join(" "))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no kind may ask for.
    const FORBIDDEN_EVERYWHERE: &[&str] = &[
        "creat",
        "execve",
        "execveat",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "kill",
        "mount",
        "umount2",
        "unshare",
        "setns",
        "io_uring_setup",
        "bpf",
        "keyctl",
        "add_key",
        "request_key",
        "userfaultfd",
        "perf_event_open",
        "pidfd_getfd",
        "pidfd_open",
        "fork",
        "vfork",
        "chroot",
        "pivot_root",
        "seccomp",
        "shmget",
        "mq_open",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "renameat2",
        "name_to_handle_at",
        "open_by_handle_at",
        "personality",
        "process_madvise",
        "remap_file_pages",
        "setuid",
        "setresuid",
        "capset",
        "mknod",
        "mknodat",
        "init_module",
        "finit_module",
        "kexec_load",
        "reboot",
        "swapon",
        "quotactl",
        "acct",
        "syslog",
        "modify_ldt",
        "ioperm",
        "iopl",
    ];
    /// What only the broker may ask for.
    const FORBIDDEN_IN_JAIL: &[&str] = &[
        "open",
        "openat",
        "openat2",
        "socket",
        "connect",
        "bind",
        "listen",
        "accept",
        "accept4",
        "memfd_create",
        "ftruncate",
        "mkdir",
        "mkdirat",
        "rmdir",
        "pidfd_send_signal",
        "setsockopt",
        "getdents64",
        "rename",
        "unlink",
    ];

    #[test]
    fn built_in_filters_are_those_of_the_lists() {
        for kind in ProcessKind::ALL {
            let list = list::parse(kind.seccomp_list(), None).unwrap();
            let (built_in, allowed) = built_in(kind);
            assert_eq!(list.allowed(), allowed, "{kind}");
            let flat = |program: &BpfProgram| -> Vec<_> {
                let parts = program.iter().map(|i| (i.code, i.jt, i.jf, i.k));
                parts.collect()
            };
            for (fresh, built_in) in list.compile().unwrap().iter().zip(&built_in) {
                assert_eq!(flat(fresh), flat(built_in), "{kind}");
            }
            assert_eq!(built_in.len(), 3, "{kind}");
        }
    }

    #[test]
    fn a_line_can_be_left_out_once_and_only_if_it_is_there() {
        let kind = ProcessKind::SqlWorker;
        let whole = list::parse(kind.seccomp_list(), None).unwrap().allowed();
        let less = list::parse(kind.seccomp_list(), Some("allow futex")).unwrap();
        assert_eq!(less.allowed() + 1, whole);
        assert!(list::parse(kind.seccomp_list(), Some("allow futex private")).is_err());
    }

    fn allowed(kind: ProcessKind) -> std::collections::BTreeSet<&'static str> {
        let lines = kind.seccomp_list().lines().filter_map(list::words);
        let allowed = lines.filter(|words| words[0] == "allow");
        allowed.map(|words| words[1]).collect()
    }

    #[test]
    fn lists_of_jailed_kinds_open_no_way_to_open_execute_or_connect() {
        for kind in ProcessKind::JAILED {
            let allowed = allowed(kind);
            for name in FORBIDDEN_EVERYWHERE.iter().chain(FORBIDDEN_IN_JAIL) {
                assert!(!allowed.contains(name), "{kind}: {name}");
            }
        }
    }

    #[test]
    fn broker_executes_nothing_and_reaches_into_no_process() {
        let allowed = allowed(ProcessKind::Broker);
        for name in FORBIDDEN_EVERYWHERE {
            assert!(!allowed.contains(name), "{name}");
        }
    }

    #[test]
    fn only_the_kind_that_runs_programs_makes_memory_executable() {
        for kind in ProcessKind::ALL {
            let may = kind.seccomp_list().lines().any(|line| {
                let words = list::words(line).unwrap_or_default();
                matches!(words.as_slice(), ["allow", "mmap" | "mprotect", conditions @ ..]
                    if !conditions.contains(&"no-exec"))
            });
            assert_eq!(may, kind == ProcessKind::WasmWorker, "{kind}");
        }
    }

    #[test]
    fn malformed_lists_are_refused() {
        for bad in [
            "allow",
            "allow nothing_such",
            "allow mmap nothing-such",
            "permit read",
            "allow read\nallow read",
            "allow read\nallow read no-exec",
        ] {
            assert!(list::parse(bad, None).is_err(), "{bad}");
        }
    }
}
