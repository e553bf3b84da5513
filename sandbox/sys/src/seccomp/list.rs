//! Reading a list of system calls. `build.rs` includes this file too: a malformed list builds nothing.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::numbers::{Known, number_of};

/// Of linux/net.h, `SOCK_TYPE_MASK`.
const SOCKET_TYPE_MASK: u64 = 0xf;

/// Why a list is none: ours.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A malformed line.
    #[error("bug: line {line} of the list of system calls: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The list compiles to no filter.
    #[error("bug: the list of system calls compiles to no filter")]
    Compile(#[from] seccompiler::BackendError),
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// A list that was read. A number without rules is meant whatever the arguments.
#[derive(Default)]
pub(super) struct List {
    allow: Rules,
    eperm: Rules,
    enosys: Rules,
}

/// A line's words without its comment: `None` where it says nothing, or nothing on this architecture.
pub(super) fn words(line: &str) -> Option<Vec<&str>> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        match word.strip_prefix('@') {
            Some(architecture) if architecture != std::env::consts::ARCH => return None,
            Some(_) => {}
            None => words.push(word),
        }
    }
    (!words.is_empty()).then_some(words)
}

/// Reads a list, leaving out the line that consists of the words of `without`.
pub(super) fn parse(text: &str, without: Option<&str>) -> Result<List, ListError> {
    let mut list = List::default();
    let without = without.and_then(words);
    let mut left_out = false;
    for (index, line) in text.lines().enumerate() {
        let error = |what: String| ListError::Line {
            line: index + 1,
            what,
        };
        let Some(words) = words(line) else { continue };
        if without.as_ref() == Some(&words) {
            left_out = true;
            continue;
        }
        let (verb, name, conditions) = match words.split_at_checked(2) {
            Some((&[verb, name], conditions)) => (verb, name, conditions),
            _ => return Err(error("no name".to_owned())),
        };
        let number = match number_of(name) {
            Known::Here(number) => number,
            Known::Elsewhere => continue,
            Known::Nowhere => return Err(error(format!("unknown system call \"{name}\""))),
        };
        let mut all = Vec::new();
        for word in conditions {
            let known = condition(word);
            all.extend(known.ok_or_else(|| error(format!("unknown condition \"{word}\"")))??);
        }
        let rules = match verb {
            "allow" => &mut list.allow,
            "eperm" => &mut list.eperm,
            "enosys" => &mut list.enosys,
            _ => return Err(error(format!("\"{verb}\" is no action"))),
        };
        if all.is_empty() {
            if rules.insert(number, Vec::new()).is_some() {
                return Err(error(format!("\"{name}\" has a line already")));
            }
            continue;
        }
        match rules.get_mut(&number) {
            Some(rules) if rules.is_empty() => {
                return Err(error(format!("\"{name}\" has a line without condition")));
            }
            Some(rules) => rules.push(SeccompRule::new(all)?),
            None => drop(rules.insert(number, vec![SeccompRule::new(all)?])),
        }
    }
    match without {
        Some(_) if !left_out => Err(ListError::Line {
            line: 0,
            what: "no such line to leave out".to_owned(),
        }),
        _ => Ok(list),
    }
}

impl List {
    /// How many system calls it allows.
    pub(super) fn allowed(&self) -> usize {
        self.allow.len()
    }

    /// Filters in the order of installation. The kernel runs all of them and takes the strictest
    /// answer (kill, then error, then allow); the allow-list comes last, since it doesn't allow
    /// `seccomp` itself.
    pub(super) fn compile(self) -> Result<Vec<BpfProgram>, ListError> {
        let arch = std::env::consts::ARCH.try_into()?;
        let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
        let mut allowed = self.allow;
        // What gets an error from the other filters must get through this one.
        for (number, rules) in self.eperm.iter().chain(&self.enosys) {
            let has_any = allowed.get(number).is_some_and(Vec::is_empty);
            match allowed.get_mut(number) {
                Some(_) if has_any => {}
                Some(conditions) if !rules.is_empty() => conditions.extend(rules.iter().cloned()),
                _ => drop(allowed.insert(*number, rules.clone())),
            }
        }
        let (kill, pass) = (SeccompAction::KillProcess, SeccompAction::Allow);
        let filters = [
            SeccompFilter::new(self.enosys, pass.clone(), errno(libc::ENOSYS), arch)?,
            SeccompFilter::new(self.eperm, pass.clone(), errno(libc::EPERM), arch)?,
            SeccompFilter::new(allowed, kill, pass, arch)?,
        ];
        let mut programs = Vec::new();
        for filter in filters {
            programs.push(filter.try_into()?);
        }
        Ok(programs)
    }
}

/// A condition's comparisons, all of which must hold. Arguments are compared over the width that
/// the kernel reads: 32 bits for ints, or the upper half could hide what the filter doesn't see.
fn condition(name: &str) -> Option<Result<Vec<SeccompCondition>, ListError>> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq};
    let number = |value: i32| u64::from(value.unsigned_abs());
    let (exec, write) = (number(libc::PROT_EXEC), number(libc::PROT_WRITE));
    let equals = |index, value| (index, Dword, Eq, value);
    // The path may still be another than "", but the root is empty.
    let at_empty_path = number(libc::AT_EMPTY_PATH);
    let empty_path = |index| (index, Dword, MaskedEq(at_empty_path), at_empty_path);
    // Beside the type the argument holds SOCK_CLOEXEC and SOCK_NONBLOCK.
    let socket = |family, kind| {
        let kind = (1, Dword, MaskedEq(SOCKET_TYPE_MASK), number(kind));
        vec![equals(0, number(family)), kind]
    };
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
        "no-exec" => vec![(2, Qword, MaskedEq(exec), 0)],
        "exec" => vec![(2, Qword, MaskedEq(exec), exec)],
        "exec-not-write" => vec![(2, Qword, MaskedEq(exec | write), exec)],
        "private" => vec![(
            3,
            Qword,
            MaskedEq(number(libc::MAP_TYPE)),
            number(libc::MAP_PRIVATE),
        )],
        "of-file" => vec![(3, Qword, MaskedEq(number(libc::MAP_ANONYMOUS)), 0)],
        "thread" => vec![(0, Qword, Eq, thread)],
        "statx-of-descriptor" => vec![empty_path(2)],
        "fstatat-of-descriptor" => vec![empty_path(3)],
        "unix" => vec![equals(0, number(libc::AF_UNIX))],
        "inet-stream" => socket(libc::AF_INET, libc::SOCK_STREAM),
        "inet6-stream" => socket(libc::AF_INET6, libc::SOCK_STREAM),
        "inet-datagram" => socket(libc::AF_INET, libc::SOCK_DGRAM),
        "inet6-datagram" => socket(libc::AF_INET6, libc::SOCK_DGRAM),
        "netlink-route" => vec![
            equals(0, number(libc::AF_NETLINK)),
            equals(2, number(libc::NETLINK_ROUTE)),
        ],
        "dup-cloexec" => vec![equals(1, number(libc::F_DUPFD_CLOEXEC))],
        "get-fd" => vec![equals(1, number(libc::F_GETFD))],
        "set-fd" => vec![equals(1, number(libc::F_SETFD))],
        "get-fl" => vec![equals(1, number(libc::F_GETFL))],
        "set-fl" => vec![equals(1, number(libc::F_SETFL))],
        "get-seals" => vec![equals(1, number(libc::F_GET_SEALS))],
        "add-seals" => vec![equals(1, number(libc::F_ADD_SEALS))],
        "set-pipe-size" => vec![equals(1, number(libc::F_SETPIPE_SZ))],
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
                SeccompCondition::new(index, width, op, value).map_err(ListError::from)
            })
            .collect(),
    )
}
