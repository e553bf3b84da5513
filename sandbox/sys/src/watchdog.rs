//! Bounds on a session where no control group holds them: its processes are looked at now and then.
//!
//! Each process has its rlimits; what they can't bound is what a session's processes use together, and
//! memory that is shared. Between two looks a session may go beyond its bounds: a watchdog ends it, it
//! does not prevent.

use std::fs;
use std::io;
use std::time::Duration;

/// What a session's processes may use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Memory that is in use, in bytes: anonymous and memory files, without mapped images.
    pub memory_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Processors kept busy from one look to the next, in thousandths of one. `None`: all.
    pub cpu_permille: Option<u32>,
}

/// What they use at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Memory in use, in bytes.
    pub memory_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Processor time of all of them so far.
    pub cpu: Duration,
}

/// Which bound was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Memory.
    #[error("{used} bytes of memory in use, {bound} are allowed")]
    Memory {
        /// In bytes.
        used: u64,
        /// In bytes.
        bound: u64,
    },
    /// Threads.
    #[error("{used} threads, {bound} are allowed")]
    Threads {
        /// How many.
        used: u64,
        /// How many may be.
        bound: u64,
    },
    /// Processor time.
    #[error("{used} thousandths of a processor in use, {bound} are allowed")]
    Cpu {
        /// In thousandths of a processor.
        used: u64,
        /// In thousandths of a processor.
        bound: u64,
    },
}

/// Compares a sample with its bounds; `before` is the last one and how long ago it was taken.
pub fn judge(
    bounds: &Bounds,
    before: Option<(Sample, Duration)>,
    now: Sample,
) -> Result<(), Excess> {
    if now.memory_bytes > bounds.memory_bytes {
        return Err(Excess::Memory {
            used: now.memory_bytes,
            bound: bounds.memory_bytes,
        });
    }
    if now.threads > bounds.threads {
        return Err(Excess::Threads {
            used: now.threads,
            bound: bounds.threads,
        });
    }
    if let (Some(bound), Some((before, elapsed))) = (bounds.cpu_permille, before) {
        // A process that ended takes its time with it: then the difference says nothing.
        let cpu = now.cpu.checked_sub(before.cpu).unwrap_or_default();
        let used = cpu.as_micros() * 1000 / elapsed.as_micros().max(1);
        let used = u64::try_from(used).unwrap_or(u64::MAX);
        let bound = u64::from(bound);
        if used > bound {
            return Err(Excess::Cpu { used, bound });
        }
    }
    Ok(())
}

/// Looks at processes. One that has ended counts as nothing.
pub fn sample(pids: &[i32]) -> io::Result<Sample> {
    let tick = tick()?;
    let mut sum = Sample::default();
    for pid in pids {
        let read = |file: &str| match fs::read_to_string(format!("/proc/{pid}/{file}")) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
            Err(error) => Err(error),
        };
        let (Some(status), Some(stat)) = (read("status")?, read("stat")?) else {
            continue;
        };
        let (threads, ticks) = threads_and_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        sum.threads += threads;
        sum.cpu += tick.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
        sum.memory_bytes += memory(&status);
    }
    Ok(sum)
}

/// How long a tick of /proc is.
fn tick() -> io::Result<Duration> {
    use nix::unistd::{SysconfVar, sysconf};
    let per_second = sysconf(SysconfVar::CLK_TCK)?
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(Duration::from_secs(1) / per_second)
}

/// Of proc_pid_stat(5): threads, and user and system time in ticks. The second field is a name in
/// parentheses, which may hold spaces and parentheses.
fn threads_and_ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let field = |number: usize| rest.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
    Some((field(20)?, field(14)? + field(15)?))
}

/// Of proc_pid_status(5). A process that is ending has no such lines.
fn memory(status: &str) -> u64 {
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    };
    (kib("RssAnon:").unwrap_or(0) + kib("RssShmem:").unwrap_or(0)) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        memory_bytes: 1000,
        threads: 10,
        cpu_permille: Some(500),
    };

    fn used(memory_bytes: u64, threads: u64, cpu_ms: u64) -> Sample {
        Sample {
            memory_bytes,
            threads,
            cpu: Duration::from_millis(cpu_ms),
        }
    }

    #[test]
    fn each_bound_is_judged_and_may_be_reached() {
        let second = Duration::from_secs(1);
        let before = Some((used(0, 1, 1000), second));
        assert_eq!(judge(&BOUNDS, before, used(1000, 10, 1500)), Ok(()));
        let memory = judge(&BOUNDS, before, used(1001, 1, 1000));
        assert!(matches!(memory, Err(Excess::Memory { used: 1001, .. })));
        let threads = judge(&BOUNDS, before, used(1, 11, 1000));
        assert!(matches!(threads, Err(Excess::Threads { used: 11, .. })));
        let cpu = judge(&BOUNDS, before, used(1, 1, 1502));
        assert_eq!(
            cpu,
            Err(Excess::Cpu {
                used: 502,
                bound: 500
            })
        );
        // The first look has nothing to compare with, nor has one after a process ended.
        assert_eq!(judge(&BOUNDS, None, used(1, 1, 99_999)), Ok(()));
        assert_eq!(judge(&BOUNDS, before, used(1, 1, 10)), Ok(()));
    }

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let stat = "7 (a) R 1 (b) S 1 1 1 0 -1 0 0 0 0 0 30 12 0 0 20 0 5 0 100";
        assert_eq!(threads_and_ticks(stat), Some((5, 42)));
        assert_eq!(threads_and_ticks("7 (a"), None);
    }

    #[test]
    fn own_memory_and_time_are_seen() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let before = sample(&[pid]).unwrap();
        let block = std::hint::black_box(vec![1_u8; 32 << 20]);
        let start = std::time::Instant::now();
        let mut spins = 0_u64;
        while start.elapsed() < Duration::from_millis(60) {
            spins = std::hint::black_box(spins + 1);
        }
        let after = sample(&[pid]).unwrap();
        assert!(after.memory_bytes >= before.memory_bytes + (30 << 20));
        assert!(after.cpu > before.cpu && after.threads >= 1);
        drop(block);
        assert_eq!(sample(&[]).unwrap(), Sample::default());
    }
}
