//! Looking for texts where they must not lie: in files, in files without a name, in memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// An instruction that is none: `udf` of 64-bit ARM, `ud2` of x86-64.
const UNDEFINED: [u8; 4] = match cfg!(target_arch = "aarch64") {
    true => [0; 4],
    false => [0x0f, 0x0b, 0x0f, 0x0b],
};

/// A text of this run's own: not even this source holds it.
pub(crate) fn marker() -> String {
    let time = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    letters(&format!("{time:x}{:x}", std::process::id()))
}

/// Hexadecimal digits as letters: digits could be taken for somebody's number.
pub(crate) fn letters(hex: &str) -> String {
    hex.chars()
        .map(|c| char::from(b'A' + u8::try_from(c.to_digit(16).unwrap()).unwrap()))
        .collect()
}

/// The ways in which a text may lie in a file.
pub(crate) fn spellings(text: &str) -> Vec<Vec<u8>> {
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let escaped: String = text
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    vec![
        text.as_bytes().to_vec(),
        utf16,
        escaped.into_bytes(),
        hex.into_bytes(),
    ]
}

pub(crate) fn holds(haystack: &[u8], needles: &[Vec<u8>]) -> bool {
    let contains = |needle: &Vec<u8>| memchr::memmem::find(haystack, needle).is_some();
    needles.iter().any(contains)
}

/// Regular files below a folder that hold one of the needles.
pub(crate) fn files_with(folder: &Path, needles: &[Vec<u8>], skip: &[PathBuf]) -> Vec<PathBuf> {
    files_since(SystemTime::UNIX_EPOCH, folder, needles, skip)
}

/// Those of them that changed since then.
fn files_since(
    since: SystemTime,
    folder: &Path,
    needles: &[Vec<u8>],
    skip: &[PathBuf],
) -> Vec<PathBuf> {
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let since = i64::try_from(since.as_secs()).unwrap();
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if skip.contains(&path) {
            continue;
        }
        let Ok(kind) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if kind.is_dir() {
            let Ok(entries) = std::fs::read_dir(&path) else {
                continue;
            };
            open.extend(entries.filter_map(Result::ok).map(|e| e.path()));
        } else if kind.is_file()
            && kind.ctime() >= since
            && let Ok(bytes) = std::fs::read(&path)
            && holds(&bytes, needles)
        {
            found.push(path);
        }
    }
    found
}

/// Files with one of the needles where a system may put what processes leave behind, core files among it: those
/// that changed since this run began. `own` is the test's folder, which is not looked at.
pub(crate) fn left_behind(since: SystemTime, needles: &[Vec<u8>], own: &Path) -> Vec<PathBuf> {
    let mut folders = vec![
        std::env::temp_dir(),
        PathBuf::from("/var/tmp"),
        PathBuf::from("/dev/shm"),
        PathBuf::from("/var/lib/systemd/coredump"),
        PathBuf::from("/var/crash"),
        // The working folder of this process, and of those that it starts.
        std::env::current_dir().unwrap(),
    ];
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let core = Path::new(pattern.trim());
    folders.extend(
        core.parent()
            .filter(|p| p.is_absolute())
            .map(Path::to_owned),
    );
    let skip = [own.to_owned()];
    let found = folders
        .iter()
        .map(|folder| files_since(since, folder, needles, &skip));
    found.flatten().collect()
}

/// A file without a name that a process has open.
pub(crate) struct Nameless {
    pub(crate) pid: u32,
    /// Another descriptor of it: it stays readable when everybody else is gone.
    pub(crate) file: File,
}

impl Nameless {
    /// Bytes that it takes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.metadata().unwrap().blocks() * 512
    }

    /// When something was last written to it.
    pub(crate) fn written(&self) -> SystemTime {
        self.file.metadata().unwrap().modified().unwrap()
    }

    pub(crate) fn holds(&self, needles: &[Vec<u8>]) -> bool {
        let mut bytes = Vec::new();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        holds(&bytes, needles)
    }
}

/// The files without a name that lie below a folder, with whoever has them open. Needs root.
pub(crate) fn nameless(folder: &Path) -> Vec<Nameless> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|p| p.parse().ok()) else {
            continue;
        };
        // Processes and descriptors come and go meanwhile.
        let descriptors = std::fs::read_dir(process.path().join("fd"));
        for descriptor in descriptors.into_iter().flatten().flatten() {
            let link = std::fs::read_link(descriptor.path()).unwrap_or_default();
            if link.starts_with(folder)
                && link.to_string_lossy().ends_with(" (deleted)")
                && let Ok(file) = File::open(descriptor.path())
            {
                found.push(Nameless { pid, file });
            }
        }
    }
    found
}

/// Whether a process's memory holds one of the needles. Needs root, as CI has.
pub(crate) fn memory_holds(pid: u32, needles: &[Vec<u8>]) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    for line in maps.lines() {
        let (range, access) = mapping(line).unwrap();
        if !access.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
        if memory.seek(SeekFrom::Start(range.start)).is_ok()
            && memory.read_exact(&mut bytes).is_ok()
            && holds(&bytes, needles)
        {
            return true;
        }
    }
    false
}

/// A process and all that descend from it.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        let tasks = format!("/proc/{parent}/task");
        for task in std::fs::read_dir(tasks).into_iter().flatten().flatten() {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|c| c.parse::<u32>().ok()),
            );
        }
        next += 1;
    }
    all
}

pub(crate) fn kill(signal: &str, pid: u32) {
    let killed = std::process::Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(killed.unwrap().success(), "kill {signal} {pid}");
}

/// Makes a process crash at its next instruction, whatever it is: its code is no code any longer. (The first
/// process of a namespace takes no signal from outside but the one that can't be caught.) Needs root.
pub(crate) fn crash(pid: u32) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::options().write(true).open(format!("/proc/{pid}/mem"));
    let mut memory = memory.unwrap();
    for (range, access) in maps.lines().filter_map(mapping) {
        if access.contains('x')
            && memory.seek(SeekFrom::Start(range.start)).is_ok()
            && let Ok(length) = usize::try_from(range.end - range.start)
        {
            // It may be gone before all of it is overwritten.
            let _ = memory.write_all(&UNDEFINED.repeat(length / UNDEFINED.len()));
        }
    }
}

/// A line of a process's maps: where, and with what access.
fn mapping(line: &str) -> Option<(Range<u64>, &str)> {
    let mut words = line.split_whitespace();
    let (range, access) = (words.next()?, words.next()?);
    let (from, to) = range.split_once('-')?;
    let number = |hex| u64::from_str_radix(hex, 16).ok();
    Some((number(from)?..number(to)?, access))
}

/// Whether a process is there and not over.
pub(crate) fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:") && !status.contains("State:\tZ")
}
