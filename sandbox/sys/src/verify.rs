//! What the broker sees of a worker from outside, before it trusts it with a key.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::{Layer, ProcessKind};

/// Why a process is not taken for jailed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// `/proc` doesn't show it.
    #[error("the process can't be looked at: {what}")]
    Unseen {
        /// Which file.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A layer doesn't hold, whatever the process says of itself.
    #[error("layer \"{layer}\" does not hold: {what}")]
    Missing {
        /// Which.
        layer: Layer,
        /// What was seen instead.
        what: String,
    },
}

/// Namespaces that a worker may not share with us.
const SPACES: [&str; 7] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];
/// Descriptors of a worker that has just entered its jail: 0 to 3 and an event loop's own.
const FIRST_FDS_MAX: usize = 32;

/// Looks at a process that says it is jailed. Landlock can't be seen from outside; all else can.
/// Returns the layers that were seen to hold.
pub fn verify_from_outside(
    pid: i32,
    kind: ProcessKind,
    waived: &BTreeSet<Layer>,
) -> Result<BTreeSet<Layer>, VerifyError> {
    let proc = format!("/proc/{pid}");
    let mut held = BTreeSet::new();
    let mut check = |layer, result: Result<(), VerifyError>| match result {
        Ok(()) => {
            held.insert(layer);
            Ok(())
        }
        Err(_) if waived.contains(&layer) => Ok(()),
        Err(error) => Err(error),
    };
    let tasks = tasks(&proc)?;
    check(Layer::Namespaces, namespaces(&proc))?;
    check(Layer::EmptyRoot, empty_root(&proc))?;
    check(Layer::NotDumpable, not_dumpable(&proc))?;
    check(Layer::Limits, limits(&proc, kind))?;
    for status in &tasks {
        check(
            Layer::Seccomp,
            field(status, Layer::Seccomp, "Seccomp", "2"),
        )?;
        let privileges = Layer::NoNewPrivileges;
        check(privileges, field(status, privileges, "NoNewPrivs", "1"))?;
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            let none = "0000000000000000";
            check(
                Layer::Capabilities,
                field(status, Layer::Capabilities, set, none),
            )?;
        }
    }
    descriptors(&proc)?;
    Ok(held)
}

fn unseen(what: &'static str) -> impl Fn(io::Error) -> VerifyError {
    move |source| VerifyError::Unseen { what, source }
}

/// The status of each thread: seccomp and capabilities are a thread's own.
fn tasks(proc: &str) -> Result<Vec<String>, VerifyError> {
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("{proc}/task")).map_err(unseen("task"))? {
        let path = entry.map_err(unseen("task"))?.path().join("status");
        match fs::read_to_string(path) {
            Ok(text) => all.push(text),
            // A thread that ended between the two is nobody's danger.
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unseen("status")(error)),
        }
    }
    if all.is_empty() {
        return Err(unseen("task")(io::ErrorKind::NotFound.into()));
    }
    Ok(all)
}

fn field(status: &str, layer: Layer, name: &str, wanted: &str) -> Result<(), VerifyError> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim);
    if value == Some(wanted) {
        return Ok(());
    }
    Err(VerifyError::Missing {
        layer,
        what: format!("{name} is {}, not {wanted}", value.unwrap_or("missing")),
    })
}

fn namespaces(proc: &str) -> Result<(), VerifyError> {
    for space in SPACES {
        let theirs = fs::read_link(format!("{proc}/ns/{space}")).map_err(unseen("ns"))?;
        let ours = fs::read_link(format!("/proc/self/ns/{space}")).map_err(unseen("ns"))?;
        if theirs == ours {
            return Err(VerifyError::Missing {
                layer: Layer::Namespaces,
                what: format!("the {space} namespace is ours"),
            });
        }
    }
    Ok(())
}

fn empty_root(proc: &str) -> Result<(), VerifyError> {
    let missing = |what: &str| VerifyError::Missing {
        layer: Layer::EmptyRoot,
        what: what.to_owned(),
    };
    let mounts = fs::read_to_string(format!("{proc}/mountinfo")).map_err(unseen("mountinfo"))?;
    let mut lines = mounts.lines();
    let (Some(root), None) = (lines.next(), lines.next()) else {
        return Err(missing("not exactly one mount"));
    };
    let mut words = root.split_whitespace();
    // ID, parent, device, root, mount point, options … "-" type (proc(5)).
    let options = words.nth(5).unwrap_or_default();
    let kind = root.split(" - ").nth(1).unwrap_or_default();
    if !kind.starts_with("tmpfs ") || !options.split(',').any(|option| option == "ro") {
        return Err(missing("the root is not a read-only tmpfs"));
    }
    let mut entries = fs::read_dir(format!("{proc}/root/")).map_err(unseen("root"))?;
    if entries.next().is_some() {
        return Err(missing("the root is not empty"));
    }
    Ok(())
}

/// The kernel gives the files of a process that is not dumpable to root, not to its user.
fn not_dumpable(proc: &str) -> Result<(), VerifyError> {
    let of_process = fs::metadata(proc).map_err(unseen("process"))?.uid();
    let of_files = fs::metadata(format!("{proc}/environ"))
        .map_err(unseen("environ"))?
        .uid();
    if of_process != 0 && of_files != 0 {
        return Err(VerifyError::Missing {
            layer: Layer::NotDumpable,
            what: "its files in /proc are its user's".to_owned(),
        });
    }
    if of_process == 0 {
        return Err(VerifyError::Missing {
            layer: Layer::NotDumpable,
            what: "it runs as root".to_owned(),
        });
    }
    Ok(())
}

fn limits(proc: &str, kind: ProcessKind) -> Result<(), VerifyError> {
    let missing = |what: String| VerifyError::Missing {
        layer: Layer::Limits,
        what,
    };
    let text = fs::read_to_string(format!("{proc}/limits")).map_err(unseen("limits"))?;
    let file_bytes = kind.file_bytes_max().to_string();
    for (name, wanted) in [("Max core file size", "0"), ("Max file size", &file_bytes)] {
        let is_so = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .is_some_and(|rest| rest.split_whitespace().take(2).eq([wanted, wanted]));
        if !is_so {
            return Err(missing(format!("\"{name}\" is not {wanted}")));
        }
    }
    // Of proc_pid_stat(5); the second field is a name in parentheses, which may hold spaces.
    const NICE_AFTER_NAME: usize = 16;
    let stat = fs::read_to_string(format!("{proc}/stat")).map_err(unseen("stat"))?;
    let nice = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().nth(NICE_AFTER_NAME))
        .and_then(|text| text.parse::<i32>().ok());
    let wanted = kind.share().nice();
    // The service's own may be higher.
    if nice.is_none_or(|nice| nice < wanted) {
        return Err(missing(format!("its nice value is less than {wanted}")));
    }
    Ok(())
}

/// Nothing may be open but sockets, pipes, event loops and the null device. Only root sees this of a
/// process that is not dumpable; for others there is the spawner, which closed everything.
fn descriptors(proc: &str) -> Result<(), VerifyError> {
    let mut count = 0;
    let entries = match fs::read_dir(format!("{proc}/fd")) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        other => other.map_err(unseen("fd"))?,
    };
    for entry in entries {
        let entry = entry.map_err(unseen("fd"))?;
        let target = fs::read_link(entry.path()).map_err(unseen("fd"))?;
        let target = target.to_string_lossy();
        let fits = ["socket:", "pipe:", "anon_inode:"]
            .iter()
            .any(|kind| target.starts_with(kind))
            || target == "/dev/null";
        count += 1;
        if !fits || count > FIRST_FDS_MAX {
            return Err(VerifyError::Missing {
                layer: Layer::EmptyRoot,
                what: "it holds descriptors that it was not given".to_owned(),
            });
        }
    }
    Ok(())
}
