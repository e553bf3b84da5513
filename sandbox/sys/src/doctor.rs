//! Which layers can be had on this machine, for `kekkai doctor`.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use crate::cgroup::{self, Controller};
use crate::spawn::{SpawnError, Spawner};
use crate::{Layer, LockedKey, ProcessKind, jail, scm};

/// What was found of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its name: a [`Layer`]'s, `locked-memory`, `cgroup` or `fair-share`.
    pub layer: String,
    /// Whether it can be had.
    pub available: bool,
    /// Whether a server refuses to launch sessions without it. Where it doesn't, others take its place.
    pub required: bool,
    /// What was tried and seen.
    pub detail: String,
    /// What to do where it can't be had, in Japanese and English.
    pub remedy: (&'static str, &'static str),
}

/// Tries each layer whose presence depends on the machine. To be called early in `main`, like
/// [`Spawner::start`].
pub fn doctor() -> Vec<Finding> {
    let finding = |layer: Layer, result: Result<String, String>| Finding {
        layer: layer.to_string(),
        available: result.is_ok(),
        required: true,
        detail: result.unwrap_or_else(|what| what),
        remedy: layer.remedy(),
    };
    let abi = jail::landlock_abi();
    let landlock = if abi >= 1 {
        Ok(format!("abi {abi}"))
    } else {
        Err("the kernel has no Landlock".to_owned())
    };
    vec![
        finding(Layer::Namespaces, try_namespaces()),
        finding(Layer::Landlock, landlock),
        finding(Layer::Seccomp, try_seccomp()),
        locked_memory(),
        control_groups(),
        fair_share(),
    ]
}

/// What a session's group should bound.
const WANTED: [Controller; 3] = [Controller::Memory, Controller::Pids, Controller::Cpu];

fn control_groups() -> Finding {
    let (available, detail) = match cgroup::look() {
        Ok(given) if WANTED.iter().all(|wanted| given.contains(wanted)) => {
            let names: Vec<&str> = given.iter().map(|controller| controller.as_str()).collect();
            (true, names.join(", "))
        }
        Ok(_) => (
            false,
            "no controllers are given to us: rlimits and watchdog".to_owned(),
        ),
        Err(error) => (false, format!("{error}: rlimits and watchdog")),
    };
    Finding {
        layer: "cgroup".to_owned(),
        available,
        required: false,
        detail,
        remedy: (
            "cgroup v2 で起動し (カーネル引数 systemd.unified_cgroup_hierarchy=1)、サービスに Delegate=yes を設定してください",
            "boot with cgroup v2 only (kernel parameter systemd.unified_cgroup_hierarchy=1) and give the service Delegate=yes",
        ),
    }
}

/// Whether a session of many threads gets no more of a busy processor than one of few.
fn fair_share() -> Finding {
    let enabled = std::fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    let available = enabled.is_ok_and(|text| text.trim() == "1");
    Finding {
        layer: "fair-share".to_owned(),
        available,
        required: false,
        detail: match available {
            true => "the processor is shared by sessions".to_owned(),
            false => "the processor is shared by threads: only nice values tell sessions apart"
                .to_owned(),
        },
        remedy: (
            "sysctl kernel.sched_autogroup_enabled=1 を設定してください (CONFIG_SCHED_AUTOGROUP=y のカーネル)",
            "set sysctl kernel.sched_autogroup_enabled=1 (a kernel with CONFIG_SCHED_AUTOGROUP=y)",
        ),
    }
}

/// Starts a process in namespaces: the only question that the kernel answers truthfully.
fn try_namespaces() -> Result<String, String> {
    let chain = |error: SpawnError| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let spawner = Spawner::start().map_err(chain)?;
    let text = |error: std::io::Error| error.to_string();
    // An image that can't be executed: all steps before are tried, and that one fails.
    let image = std::fs::File::open("/dev/null").map_err(text)?;
    let (socket, _peer) = scm::stream_pair().map_err(text)?;
    let (log, _other) = scm::stream_pair().map_err(text)?;
    let args = ["doctor".to_owned()];
    let (kind, none) = (ProcessKind::SqlWorker, BTreeSet::new());
    match spawner.spawn(kind, image.as_fd(), &args, socket, log, &none) {
        Err(SpawnError::Step { what, .. }) if what == crate::zygote::Step::Execute.what() => {
            Ok("user, mount, pid, net, ipc, uts, cgroup".to_owned())
        }
        Ok(_) => Err("bug: the null device was executed".to_owned()),
        Err(error) => Err(chain(error)),
    }
}

fn try_seccomp() -> Result<String, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    if status.lines().any(|line| line.starts_with("Seccomp:")) {
        Ok("filters".to_owned())
    } else {
        Err("the kernel has no seccomp".to_owned())
    }
}

/// Keys that a server holds at once at least, each in a page of its own.
const KEYS_MIN: usize = 64;

fn locked_memory() -> Finding {
    let keys: Result<Vec<_>, _> = (0..KEYS_MIN).map(|_| LockedKey::new(&[0; 32])).collect();
    Finding {
        layer: "locked-memory".to_owned(),
        available: keys.is_ok(),
        required: true,
        detail: match keys {
            Ok(_) => format!("{KEYS_MIN} keys can be locked"),
            Err(error) => error.to_string(),
        },
        remedy: (
            "LimitMEMLOCK (ulimit -l) を 8 MiB 以上にしてください",
            "set LimitMEMLOCK (ulimit -l) to 8 MiB or more",
        ),
    }
}
