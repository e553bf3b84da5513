//! What a process could leave behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The namespaces of a jailed process, which are its own: no process and no mount may hold one when it is
/// gone. Descriptors of them are kept, so that the kernel gives no number anew meanwhile.
pub struct Namespaces {
    pid: i32,
    kept: BTreeMap<String, File>,
}

/// A namespace goes with its last process, but the kernel may take a moment over it.
const GONE_LIMIT: Duration = Duration::from_secs(5);

fn links(pid: &str) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/ns"));
    let entries = entries.into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?;
            Some((link.display().to_string(), entry.path()))
        })
        .collect()
}

impl Namespaces {
    /// Of a process that lives.
    pub fn of(pid: i32) -> Self {
        let ours = links("self");
        let kept = links(&pid.to_string())
            .into_iter()
            .filter(|(link, _)| !ours.contains_key(link))
            .map(|(link, path)| (link, File::open(path).unwrap()))
            .collect();
        Self { pid, kept }
    }

    /// How many are its own; none where the kernel shows them to root only.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none could be seen.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Looks at every process and every mount of the machine for them, and for the process itself. To be
    /// called when it has ended.
    pub fn assert_gone(&self, whose: &str) {
        let deadline = Instant::now() + GONE_LIMIT;
        while let Some(trace) = self.trace() {
            assert!(Instant::now() < deadline, "{whose} left {trace}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn trace(&self) -> Option<String> {
        if Path::new(&format!("/proc/{}", self.pid)).exists() {
            return Some(format!("process {}", self.pid));
        }
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            if !name.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let held = links(&name);
            if let Some(link) = self.kept.keys().find(|link| held.contains_key(*link)) {
                return Some(format!("{link}, held by process {name}"));
            }
        }
        // A namespace can be kept by a mount of its file.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let kept = self.kept.keys().find(|link| mounts.contains(link.as_str()));
        kept.map(|link| format!("{link}, kept by a mount"))
    }
}

/// What the machine holds that an attack could add to.
#[derive(Debug, PartialEq, Eq)]
pub struct Machine {
    mounts: Vec<String>,
    shared_memory: Vec<String>,
    files: BTreeSet<String>,
    abstract_sockets: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl Machine {
    /// Waits until the machine is as it was then. Other programs run on it too: what they hold for a moment
    /// is no trace, what stays is.
    pub fn assert_still(&self) {
        let deadline = Instant::now() + GONE_LIMIT;
        loop {
            let now = Self::now();
            if now == *self {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{now:?} is left, it was {self:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As it is now. Of files, sockets and groups only those that attacks would make: other programs run
    /// on this machine.
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let lines = |path: &str| -> Vec<String> {
            let text = read(path);
            text.lines().map(str::to_owned).collect()
        };
        let named = |folder: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.path().display().to_string())
                .filter(|path| path.contains("kekkai-evil"))
                .collect()
        };
        let mut shared_memory = Vec::new();
        for kind in ["shm", "sem", "msg"] {
            // Ids and keys: the rest of a line changes with use.
            let ids = lines(&format!("/proc/sysvipc/{kind}")).into_iter().skip(1);
            shared_memory.extend(ids.map(|line| {
                let words: Vec<&str> = line.split_whitespace().take(2).collect();
                format!("{kind} {}", words.join(" "))
            }));
        }
        let mut files = named("/tmp");
        files.extend(named("/dev/shm"));
        files.extend(named("/dev/mqueue"));
        let mut groups = named("/sys/fs/cgroup");
        groups.extend(named("/sys/fs/cgroup/unified"));
        Self {
            mounts: lines("/proc/self/mountinfo"),
            shared_memory,
            files,
            abstract_sockets: lines("/proc/net/unix")
                .into_iter()
                .filter_map(|line| {
                    line.split_once("@kekkai-evil")
                        .map(|(_, name)| name.to_owned())
                })
                .collect(),
            groups,
        }
    }
}
