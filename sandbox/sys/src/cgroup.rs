//! Control groups, version 2: one for each session, where the host lets us have them.
//!
//! rlimits bound a process; a group bounds a session: its memory together, its share of the processor,
//! the number of its processes. Where the host gives no controllers there are rlimits and the
//! [watchdog](crate::watchdog), and reports say so.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The group that our own processes are moved into: a group that bounds others may hold none itself.
const OWN_LEAF: &str = "kekkai-broker";
/// What each session's group is called before its name.
const PREFIX: &str = "kekkai-session-";
/// The longest name of a session's group, in bytes.
const NAME_MAX: usize = 100;
/// Between two looks whether a killed group is empty.
const LOOK: Duration = Duration::from_millis(2);
/// How long a dropped group may take to become empty.
const DROP_LIMIT: Duration = Duration::from_secs(2);
/// Weights go from 1 to 10,000; this is what every group has by default.
pub const WEIGHT_DEFAULT: u16 = 100;

/// What a group can bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// `memory.max`.
    Memory,
    /// `pids.max`.
    Pids,
    /// `cpu.weight`, `cpu.max`.
    Cpu,
    /// `io.weight`.
    Io,
}

impl Controller {
    /// Each.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Pids, Self::Cpu, Self::Io];

    /// Its name in `cgroup.controllers`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Io => "io",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a group is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no version 2 hierarchy that we may use.
    #[error("no cgroup v2 group of our own: {0}")]
    None(String),
    /// A name that is no session's.
    #[error("\"{0}\" can't name a group")]
    Name(String),
    /// A file of the group.
    #[error("the group's file \"{file}\"")]
    File {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It still holds processes after they were killed.
    #[error("the group does not become empty")]
    Busy,
}

/// Bounds of a session's group. What needs a controller that isn't there is not enforced by the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all its processes together, in bytes, page cache and kernel memory included. Swap is
    /// forbidden. Beyond it the kernel kills all of them.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Its share of a busy processor, against [`WEIGHT_DEFAULT`] of others.
    pub cpu_weight: u16,
    /// The most processors that it may keep busy, in thousandths of one. `None`: all.
    pub cpu_permille: Option<u32>,
    /// Its share of busy disks.
    pub io_weight: u16,
}

/// What a group has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Memory now, in bytes; `None` without the controller.
    pub memory_bytes: Option<u64>,
    /// Processor time so far. There without a controller.
    pub cpu: Duration,
    /// Processes and threads now; `None` without the controller.
    pub pids: Option<u64>,
    /// How many of its processes the kernel killed for want of memory; `None` without the controller.
    pub oom_kills: Option<u64>,
    /// How often it asked for one process too many; `None` without the controller.
    pub pids_refused: Option<u64>,
}

/// The place where sessions' groups are made.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
    controllers: BTreeSet<Controller>,
}

impl Host {
    /// Finds our own group in the version 2 hierarchy, takes what controllers it gives, and passes them
    /// on to the groups of sessions. Moves this process and its children into a leaf: to be called once,
    /// early, after the spawner was started.
    pub fn prepare() -> Result<Self, CgroupError> {
        Self::at(&own_group()?)
    }

    /// As [`Host::prepare`], with the group's folder given.
    pub fn at(root: &Path) -> Result<Self, CgroupError> {
        let mut host = Self {
            root: root.to_owned(),
            controllers: BTreeSet::new(),
        };
        let given = read_at(root, "cgroup.controllers")?;
        let wanted: Vec<Controller> = named(&given).collect();
        // The root of the hierarchy has no type and may hold processes.
        if !wanted.is_empty() && root.join("cgroup.type").exists() {
            host.leave_root()?;
        }
        for controller in wanted {
            // One that can't be passed on is reported as missing.
            if write_at(root, "cgroup.subtree_control", &format!("+{controller}")).is_ok() {
                host.controllers.insert(controller);
            }
        }
        try_out(root)?;
        Ok(host)
    }

    /// The kernel lets a group bound others only where it holds no process itself. Processes that are not
    /// ours stay: then there are no controllers.
    fn leave_root(&self) -> Result<(), CgroupError> {
        let leaf = self.root.join(OWN_LEAF);
        make(&leaf)?;
        let me = std::process::id().to_string();
        for pid in read_at(&self.root, "cgroup.procs")?.split_whitespace() {
            if pid == me || parent_of(pid).as_deref() == Some(&me) {
                // One that ended meanwhile needs no place.
                let _ = write_at(&leaf, "cgroup.procs", pid);
            }
        }
        Ok(())
    }

    /// Controllers that sessions' groups have.
    pub fn controllers(&self) -> &BTreeSet<Controller> {
        &self.controllers
    }

    /// For reports, as the layer `cgroup`: what a session's group bounds.
    pub fn describe(&self) -> String {
        if self.controllers.is_empty() {
            return "a group to kill together, no controllers here: rlimits and watchdog"
                .to_owned();
        }
        let names: Vec<&str> = self.controllers.iter().map(|c| c.as_str()).collect();
        format!("a group of its own: {}", names.join(", "))
    }

    /// Makes the group of a session: letters, digits and `-` name it.
    pub fn create(&self, name: &str, limits: &Limits) -> Result<Group, CgroupError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
            return Err(CgroupError::Name(name.chars().take(NAME_MAX).collect()));
        }
        let path = self.root.join(format!("{PREFIX}{name}"));
        make(&path)?;
        // From here on, dropping removes it.
        let group = Group {
            path,
            controllers: self.controllers.clone(),
            removed: false,
        };
        for (file, text) in files(limits, &self.controllers) {
            match write_at(&group.path, file, &text) {
                // Kernels without swap accounting or io weights have no such file.
                Err(CgroupError::File { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && is_optional(file) => {}
                other => other?,
            }
        }
        Ok(group)
    }
}

/// For reports where [`Host::prepare`] fails.
pub const NONE_HERE: &str = "none here: rlimits and watchdog";

fn is_optional(file: &str) -> bool {
    matches!(file, "memory.swap.max" | "io.weight")
}

/// What is written for limits.
fn files(limits: &Limits, controllers: &BTreeSet<Controller>) -> Vec<(&'static str, String)> {
    /// Of `cpu.max`, in µs.
    const PERIOD: u64 = 100_000;
    let mut files = Vec::new();
    for controller in controllers {
        match controller {
            Controller::Memory => {
                files.push(("memory.max", limits.memory_bytes.to_string()));
                files.push(("memory.swap.max", "0".to_owned()));
                // A session without one of its processes is none.
                files.push(("memory.oom.group", "1".to_owned()));
            }
            Controller::Pids => files.push(("pids.max", limits.pids.to_string())),
            Controller::Cpu => {
                files.push(("cpu.weight", limits.cpu_weight.to_string()));
                if let Some(permille) = limits.cpu_permille {
                    let quota = u64::from(permille) * PERIOD / 1000;
                    files.push(("cpu.max", format!("{quota} {PERIOD}")));
                }
            }
            Controller::Io => files.push(("io.weight", limits.io_weight.to_string())),
        }
    }
    files
}

/// A session's group. Dropping it kills what is in it and removes it.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    controllers: BTreeSet<Controller>,
    removed: bool,
}

impl Group {
    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a process with all its threads in. What it starts later is in it too.
    pub fn add(&self, pid: i32) -> Result<(), CgroupError> {
        write_at(&self.path, "cgroup.procs", &pid.to_string())
    }

    /// The processes in it.
    pub fn processes(&self) -> Result<Vec<i32>, CgroupError> {
        let text = read_at(&self.path, "cgroup.procs")?;
        Ok(text
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect())
    }

    /// What it has used so far.
    pub fn usage(&self) -> Result<Usage, CgroupError> {
        let number = |file: &str| -> Result<Option<u64>, CgroupError> {
            Ok(read_at(&self.path, file)?.trim().parse().ok())
        };
        let has = |controller| self.controllers.contains(&controller);
        let mut usage = Usage::default();
        let stat = read_at(&self.path, "cpu.stat")?;
        usage.cpu = Duration::from_micros(keyed(&stat, "usage_usec").unwrap_or(0));
        if has(Controller::Memory) {
            usage.memory_bytes = number("memory.current")?;
            usage.oom_kills = keyed(&read_at(&self.path, "memory.events")?, "oom_kill");
        }
        if has(Controller::Pids) {
            usage.pids = number("pids.current")?;
            usage.pids_refused = keyed(&read_at(&self.path, "pids.events")?, "max");
        }
        Ok(usage)
    }

    /// Kills all its processes at once, those that are being started too.
    pub fn kill(&self) -> Result<(), CgroupError> {
        write_at(&self.path, "cgroup.kill", "1")
    }

    /// Kills, waits at most `limit` until it is empty, and removes it.
    pub fn kill_and_remove(mut self, limit: Duration) -> Result<(), CgroupError> {
        self.removed = true;
        self.end(limit)
    }

    fn end(&self, limit: Duration) -> Result<(), CgroupError> {
        let deadline = Instant::now() + limit;
        let killed = self.kill();
        loop {
            // Only an empty group can be removed: where that works, nothing is left to be killed.
            match (remove(&self.path), &killed) {
                (Ok(()), _) => return Ok(()),
                (Err(_), Ok(())) if Instant::now() < deadline => std::thread::sleep(LOOK),
                (Err(_), Ok(())) => return Err(CgroupError::Busy),
                (Err(_), Err(_)) => return killed,
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.removed {
            // The next start's group has another name; what is left is seen by the operator's tools.
            let _ = self.end(DROP_LIMIT);
        }
    }
}

/// What a session's group could bound here, changing nothing: for `kekkai doctor`.
pub fn look() -> Result<BTreeSet<Controller>, CgroupError> {
    let root = own_group()?;
    try_out(&root)?;
    let given = read_at(&root, "cgroup.controllers")?;
    Ok(named(&given).collect())
}

fn named(controllers: &str) -> impl Iterator<Item = Controller> {
    Controller::ALL.into_iter().filter(|one| {
        controllers
            .split_whitespace()
            .any(|name| name == one.as_str())
    })
}

/// Whether groups can be made at all: the folder may be somebody else's.
fn try_out(root: &Path) -> Result<(), CgroupError> {
    let path = root.join(format!("{PREFIX}trial-{}", std::process::id()));
    make(&path)?;
    remove(&path)
}

/// The folder of the group that this process is in.
fn own_group() -> Result<PathBuf, CgroupError> {
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|source| CgroupError::File {
            file: path.to_owned(),
            source,
        })
    };
    let mount = find_mount(&read("/proc/self/mountinfo")?)
        .ok_or_else(|| CgroupError::None("it is not mounted".to_owned()))?;
    let groups = read("/proc/self/cgroup")?;
    let own =
        find_own(&groups).ok_or_else(|| CgroupError::None("this process is in none".to_owned()))?;
    Ok(mount.join(own.trim_start_matches('/')))
}

fn parent_of(pid: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    Some(parent.trim().to_owned())
}

/// The mount point of the version 2 hierarchy (proc_pid_mountinfo(5)).
fn find_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let is_v2 = kind.split_whitespace().next() == Some("cgroup2");
        let place = mount.split_whitespace().nth(4)?;
        is_v2.then(|| PathBuf::from(place))
    })
}

/// Our group's path in it (cgroups(7)).
fn find_own(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::"))
}

fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

fn at_file(path: &Path, file: &str) -> impl Fn(io::Error) -> CgroupError {
    let file = path.join(file).display().to_string();
    move |source| CgroupError::File {
        file: file.clone(),
        source,
    }
}

fn read_at(path: &Path, file: &str) -> Result<String, CgroupError> {
    fs::read_to_string(path.join(file)).map_err(at_file(path, file))
}

/// Without creating: a file that isn't there belongs to a controller that isn't there.
fn write_at(path: &Path, file: &str, text: &str) -> Result<(), CgroupError> {
    let opened = fs::OpenOptions::new().write(true).open(path.join(file));
    let written = opened.and_then(|mut open| io::Write::write_all(&mut open, text.as_bytes()));
    written.map_err(at_file(path, file))
}

fn make(path: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(at_file(path, "")),
    }
}

fn remove(path: &Path) -> Result<(), CgroupError> {
    fs::remove_dir(path).map_err(at_file(path, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        memory_bytes: 64 << 20,
        pids: 100,
        cpu_weight: 50,
        cpu_permille: Some(1500),
        io_weight: 20,
    };

    #[test]
    fn own_group_is_found_beside_version_1() {
        let mountinfo = "30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
            40 30 0:36 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        let mount = find_mount(mountinfo).unwrap();
        assert_eq!(mount, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(
            find_own("4:memory:/a\n0::/system.slice/k\n"),
            Some("/system.slice/k")
        );
        assert_eq!(find_own("4:memory:/a\n"), None);
        assert_eq!(find_mount("31 30 0:27 / /c rw - cgroup cgroup rw\n"), None);
    }

    /// A folder of plain files stands in for the kernel's: it shows what is written, not that it holds.
    #[test]
    fn limits_are_written_to_a_tree_of_plain_files() {
        let dir = std::env::temp_dir().join(format!("kekkai-cgroup-{}", std::process::id()));
        let session = dir.join("kekkai-session-s1");
        fs::create_dir_all(&session).unwrap();
        fs::write(
            dir.join("cgroup.controllers"),
            "cpuset cpu io memory pids\n",
        )
        .unwrap();
        fs::write(dir.join("cgroup.subtree_control"), "").unwrap();
        for file in [
            "memory.max",
            "memory.oom.group",
            "pids.max",
            "cpu.weight",
            "cpu.max",
            "io.weight",
        ] {
            fs::write(session.join(file), "").unwrap();
        }
        let host = Host::at(&dir).unwrap();
        assert_eq!(host.describe(), "a group of its own: memory, pids, cpu, io");
        let group = host.create("s1", &LIMITS).unwrap();
        let written = |file: &str| fs::read_to_string(session.join(file)).unwrap();
        assert_eq!(written("memory.max"), "67108864");
        assert_eq!(written("memory.oom.group"), "1");
        assert_eq!(written("pids.max"), "100");
        assert_eq!(written("cpu.weight"), "50");
        assert_eq!(written("cpu.max"), "150000 100000");
        assert_eq!(written("io.weight"), "20");
        // A kernel without swap accounting has no file for it; none may be made up.
        assert!(!session.join("memory.swap.max").exists());
        fs::write(
            session.join("cpu.stat"),
            "usage_usec 2500000\nuser_usec 1\n",
        )
        .unwrap();
        fs::write(session.join("memory.current"), "4096\n").unwrap();
        fs::write(session.join("memory.events"), "low 0\noom 2\noom_kill 3\n").unwrap();
        fs::write(session.join("pids.current"), "7\n").unwrap();
        fs::write(session.join("pids.events"), "max 5\n").unwrap();
        let usage = group.usage().unwrap();
        assert_eq!(usage.cpu, Duration::from_millis(2500));
        assert_eq!((usage.memory_bytes, usage.oom_kills), (Some(4096), Some(3)));
        assert_eq!((usage.pids, usage.pids_refused), (Some(7), Some(5)));
        // Plain files neither kill nor vanish with their folder.
        std::mem::forget(group);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn limit_that_cannot_be_written_makes_no_group() {
        let dir = std::env::temp_dir().join(format!("kekkai-cgroup-no-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("cgroup.controllers"), "memory\n").unwrap();
        fs::write(dir.join("cgroup.subtree_control"), "").unwrap();
        let host = Host::at(&dir).unwrap();
        let error = host.create("s2", &LIMITS).unwrap_err();
        assert!(error.to_string().contains("memory.max"), "{error}");
        assert!(!dir.join("kekkai-session-s2").exists());
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        let host = Host {
            root: "/nowhere".into(),
            controllers: BTreeSet::new(),
        };
        for name in ["", "..", "a/b", "a.b", "a\n", &"x".repeat(101)] {
            let error = host.create(name, &LIMITS).unwrap_err();
            assert!(matches!(error, CgroupError::Name(_)), "{name}");
        }
    }
}
