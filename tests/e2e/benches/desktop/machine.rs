//! What processes take, from `/proc`.

use std::collections::BTreeMap;

/// Processor time and memory of processes of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Part {
    /// Of processor time: 10 ms each.
    pub(crate) ticks: u64,
    /// Memory that is nobody else's.
    pub(crate) private_kib: u64,
}

/// An analysis server and all that it started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) broker: Part,
    pub(crate) desktop: Part,
    pub(crate) worker: Part,
}

impl Usage {
    pub(crate) fn ticks(&self) -> u64 {
        self.broker.ticks + self.desktop.ticks + self.worker.ticks
    }
}

/// Of the analysis server with this process: other servers of the machine are not in it.
pub(crate) fn usage(broker: u32) -> Usage {
    let mut parents = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(fields) = stat(id) {
            parents.insert(id, u32::try_from(fields[1]).unwrap_or(0));
        }
    }
    let is_its = |mut id: u32| {
        while id != broker {
            match parents.get(&id) {
                Some(parent) => id = *parent,
                None => return false,
            }
        }
        true
    };
    let mut usage = Usage::default();
    for id in parents.keys().copied().filter(|id| is_its(*id)) {
        // They are executed from memory files: their first argument says what they are.
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let name = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let part = if name.ends_with(b"kekkai-desktop") {
            &mut usage.desktop
        } else if name.ends_with(b"kekkai-sql-worker") {
            &mut usage.worker
        } else {
            &mut usage.broker
        };
        part.ticks += ticks(id);
        part.private_kib += private_kib(id);
    }
    usage
}

/// Of this process.
pub(crate) fn own_ticks() -> u64 {
    ticks(std::process::id())
}

/// Of the last minute: other work on the machine makes times longer.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The numbers after a process's name: its state, which is none, as 0; its parent; and so on (proc(5)).
fn stat(id: u32) -> Option<Vec<u64>> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    let fields = after.split_whitespace();
    Some(fields.map(|field| field.parse().unwrap_or(0)).collect())
}

/// In user and in kernel mode.
fn ticks(id: u32) -> u64 {
    stat(id).map_or(0, |fields| fields[11] + fields[12])
}

fn private_kib(id: u32) -> u64 {
    let memory = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    memory
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}
