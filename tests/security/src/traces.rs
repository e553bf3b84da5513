//! What a process could leave behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The namespaces of a jailed process by their numbers, which are its own: nobody else may hold one when
/// it is gone.
pub struct Namespaces {
    pid: i32,
    links: BTreeSet<String>,
}

/// A namespace goes with its last process, but the kernel may take a moment over it.
const GONE_LIMIT: Duration = Duration::from_secs(5);

fn links(pid: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/ns"));
    let entries = entries.into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|link| link.display().to_string())
        .collect()
}

/// Seconds since the machine started.
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// When a process was started, in seconds since the machine was; `None` when it has ended.
fn started(pid: &str) -> Option<f64> {
    /// Of proc_pid_stat(5): field 22, counted from the one behind the name, in ticks of 10 ms.
    const START_AFTER_NAME: usize = 19;
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: f64 = rest
        .split_whitespace()
        .nth(START_AFTER_NAME)?
        .parse()
        .ok()?;
    Some(ticks / TICKS)
}

impl Namespaces {
    /// Of a process that lives.
    pub fn of(pid: i32) -> Self {
        let ours = links("self");
        let links: BTreeSet<_> = links(&pid.to_string())
            .into_iter()
            .filter(|link| !ours.contains(link))
            .collect();
        Self { pid, links }
    }

    /// How many are its own; none where the kernel shows them to root only.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether none could be seen.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Looks at every process and every mount of the machine for them, and for the process itself. To be
    /// called when it has ended.
    pub fn assert_gone(&self, whose: &str) {
        let deadline = Instant::now() + GONE_LIMIT;
        let now = uptime();
        while let Some(trace) = self.trace(now) {
            assert!(Instant::now() < deadline, "{whose} left {trace}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn trace(&self, ended: f64) -> Option<String> {
        if Path::new(&format!("/proc/{}", self.pid)).exists() {
            return Some(format!("process {}", self.pid));
        }
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            if !name.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            if let Some(link) = links(&name).intersection(&self.links).next()
                // The kernel gives a number anew: what was started later holds another namespace.
                && started(&name).is_some_and(|started| started <= ended)
            {
                return Some(format!("{link}, held by process {name}"));
            }
        }
        // A namespace can be kept by a mount of its file.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let kept = self
            .links
            .iter()
            .find(|link| mounts.contains(link.as_str()));
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
