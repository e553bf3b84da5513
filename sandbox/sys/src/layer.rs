//! The layers of a jail by name, what a jail is made from, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ProcessKind;

/// A layer of the jail. Each is there to hold when the others don't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// User, mount, pid, net, ipc, uts and cgroup namespaces of the process's own.
    Namespaces,
    /// A read-only root with nothing in it.
    EmptyRoot,
    /// Bounds on memory, descriptors, processes, files; no core.
    Limits,
    /// No capability in any set, and no way to gain one.
    Capabilities,
    /// No gain by executing.
    NoNewPrivileges,
    /// No core, no `ptrace`, no `/proc/PID/mem` by others.
    NotDumpable,
    /// No file access, TCP, abstract socket or signal, whatever the paths.
    Landlock,
    /// The list of system calls.
    Seccomp,
}

impl Layer {
    /// Each layer, in the order in which they are named in reports.
    pub const ALL: [Self; 8] = [
        Self::Namespaces,
        Self::EmptyRoot,
        Self::Limits,
        Self::Capabilities,
        Self::NoNewPrivileges,
        Self::NotDumpable,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// Its name in configurations, reports and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::EmptyRoot => "empty-root",
            Self::Limits => "limits",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::NotDumpable => "not-dumpable",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }

    /// What to do where the layer can't be had, in Japanese and English.
    pub const fn remedy(self) -> (&'static str, &'static str) {
        match self {
            Self::Namespaces => (
                "sysctl user.max_user_namespaces を 0 より大きくし、kernel.unprivileged_userns_clone=1 または kernel.apparmor_restrict_unprivileged_userns=0 を設定してください",
                "set sysctl user.max_user_namespaces above 0, and kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            Self::EmptyRoot => (
                "名前空間が必要です。ルートが initramfs のままの場合は switch_root してください",
                "needs namespaces; where the root is still the initramfs, switch to another root first",
            ),
            Self::Limits => (
                "サービスの上限 (LimitNOFILE、LimitNPROC など) を引き上げてください",
                "raise the service's own limits (LimitNOFILE, LimitNPROC …)",
            ),
            Self::Capabilities => (
                "Linux 4.3 以降のカーネルを使ってください",
                "use a Linux kernel of version 4.3 or later",
            ),
            Self::NoNewPrivileges => (
                "Linux 3.5 以降のカーネルを使ってください",
                "use a Linux kernel of version 3.5 or later",
            ),
            Self::NotDumpable => (
                "prctl(PR_SET_DUMPABLE) を妨げているものを取り除いてください",
                "remove what keeps prctl(PR_SET_DUMPABLE) from working",
            ),
            Self::Landlock => (
                "Linux 5.13 以降で CONFIG_SECURITY_LANDLOCK=y とし、起動引数 lsm= に landlock を加えてください",
                "use Linux 5.13 or later with CONFIG_SECURITY_LANDLOCK=y and name landlock in the boot parameter lsm=",
            ),
            Self::Seccomp => (
                "CONFIG_SECCOMP_FILTER=y のカーネルを使ってください",
                "use a kernel with CONFIG_SECCOMP_FILTER=y",
            ),
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No layer has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no layer of the jail")]
pub struct UnknownLayer(pub String);

impl FromStr for Layer {
    type Err = UnknownLayer;
    fn from_str(text: &str) -> Result<Self, UnknownLayer> {
        Self::ALL
            .into_iter()
            .find(|layer| layer.as_str() == text)
            .ok_or_else(|| UnknownLayer(text.to_owned()))
    }
}

/// From what a jail is made. The broker turns it into arguments, the worker reads it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JailSpec {
    /// Chooses the list of system calls.
    pub kind: ProcessKind,
    /// Private memory that the process may have, in MiB, code and stacks included.
    pub memory_mib: u32,
    /// Layers that the configuration gives up by name. The ledger says so in each session.
    pub waived: BTreeSet<Layer>,
}

/// The argument that carries [`JailSpec::memory_mib`].
pub const JAIL_ARG_MEMORY: &str = "--memory-mib=";
/// The argument that carries one waived layer; repeated.
pub const JAIL_ARG_WAIVE: &str = "--waive=";

/// Why a worker's arguments are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// Not a number of MiB.
    #[error("\"{0}\" is not a number of MiB")]
    Memory(String),
    /// No layer has that name.
    #[error(transparent)]
    Layer(#[from] UnknownLayer),
    /// An argument that a jailed process doesn't take.
    #[error("unknown argument \"{0}\"")]
    Unknown(String),
    /// The memory limit is missing.
    #[error("the argument {JAIL_ARG_MEMORY}MIB is missing")]
    NoMemory,
}

impl JailSpec {
    /// Arguments for the worker, without `argv[0]`.
    pub fn to_args(&self) -> Vec<String> {
        let mut args = vec![format!("{JAIL_ARG_MEMORY}{}", self.memory_mib)];
        for layer in &self.waived {
            args.push(format!("{JAIL_ARG_WAIVE}{layer}"));
        }
        args
    }

    /// Reads the arguments back. The first is `argv[0]` and is skipped.
    pub fn from_args(
        kind: ProcessKind,
        args: impl IntoIterator<Item = String>,
    ) -> Result<Self, ArgsError> {
        let mut memory_mib = None;
        let mut waived = BTreeSet::new();
        for arg in args.into_iter().skip(1) {
            if let Some(text) = arg.strip_prefix(JAIL_ARG_MEMORY) {
                let mib = text
                    .parse()
                    .map_err(|_| ArgsError::Memory(text.to_owned()))?;
                memory_mib = Some(mib);
            } else if let Some(text) = arg.strip_prefix(JAIL_ARG_WAIVE) {
                waived.insert(text.parse()?);
            } else {
                return Err(ArgsError::Unknown(arg));
            }
        }
        Ok(Self {
            kind,
            memory_mib: memory_mib.ok_or(ArgsError::NoMemory)?,
            waived,
        })
    }
}

/// What holds a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JailReport {
    /// Layer by layer: `landlock` → `abi 7: files, tcp, signals, abstract sockets`.
    pub layers: BTreeMap<String, String>,
    /// Layers that were given up by name.
    pub waived: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spec_survives_its_arguments() {
        let spec = JailSpec {
            kind: ProcessKind::SqlWorker,
            memory_mib: 512,
            waived: [Layer::Landlock, Layer::EmptyRoot].into(),
        };
        let mut args = vec!["worker".to_owned()];
        args.extend(spec.to_args());
        assert_eq!(JailSpec::from_args(ProcessKind::SqlWorker, args), Ok(spec));
    }

    #[test]
    fn unknown_arguments_and_layers_are_refused() {
        let from = |args: &[&str]| {
            let args = args.iter().map(|arg| (*arg).to_owned());
            JailSpec::from_args(ProcessKind::SqlWorker, args)
        };
        assert!(from(&["w"]).is_err());
        assert!(from(&["w", "--memory-mib=x"]).is_err());
        assert!(from(&["w", "--memory-mib=1", "--waive=everything"]).is_err());
        assert!(from(&["w", "--memory-mib=1", "--no-jail"]).is_err());
    }
}
