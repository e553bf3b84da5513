//! The agreement's bounds on one run.

use std::time::{Duration, Instant};

use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_worker_api::RunLimits;
use wasmtime::ResourceLimiter;

use crate::config::{INSTANCES_MAX, MEMORIES_MAX, STACK_KIB, TABLES_MAX};

/// Calls to `kekkai:session` that a program may make in a second, but for `log` and `progress`: what those
/// cost others is bounded by itself.
pub const CALLS_PER_SECOND_MAX: u32 = 10_000;
const MIB: usize = 1024 * 1024;

/// The error that says which limit ended a run, and how large it is.
pub(crate) fn limit_error(limits: &RunLimits, code: RunErrorCode) -> RunError {
    let name = match code {
        RunErrorCode::TimeLimit => format!("{} s", limits.time_limit_s),
        RunErrorCode::MemoryLimit => format!("{} MiB", limits.memory_limit_mib),
        RunErrorCode::TableLimit => limits.table_elements_max.to_string(),
        RunErrorCode::InstanceLimit => limits.instances_max.min(INSTANCES_MAX).to_string(),
        RunErrorCode::OutputsLimit => limits.outputs_max.to_string(),
        RunErrorCode::OutputSizeLimit => format!("{} KiB", limits.output_kib_max),
        RunErrorCode::ScratchLimit => format!("{} KiB", limits.scratch_kib_max),
        RunErrorCode::CallsLimit => format!("{CALLS_PER_SECOND_MAX}/s"),
        RunErrorCode::StackLimit => format!("{STACK_KIB} KiB"),
        _ => String::new(),
    };
    RunError {
        code,
        name,
        line: 0,
    }
}

/// Counts what wasmtime allocates for a program: over all its memories and tables, not for each.
#[derive(Debug)]
pub(crate) struct Allocations {
    memory_max: usize,
    elements_max: usize,
    instances_max: usize,
    memory: usize,
    elements: usize,
    refused: Option<RunErrorCode>,
}

impl Allocations {
    pub(crate) fn new(limits: &RunLimits) -> Self {
        let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            memory_max: number(limits.memory_limit_mib).saturating_mul(MIB),
            elements_max: number(limits.table_elements_max),
            instances_max: number(limits.instances_max.min(INSTANCES_MAX)),
            memory: 0,
            elements: 0,
            refused: None,
        }
    }

    /// What was refused last, if anything: a program that ends badly afterwards ended for it.
    pub(crate) fn refused(&self) -> Option<RunErrorCode> {
        self.refused
    }
}

/// The new total, where it is within the bound.
fn grown(total: usize, current: usize, desired: usize, max: usize) -> Option<usize> {
    total
        .checked_add(desired.checked_sub(current)?)
        .filter(|new| *new <= max)
}

impl ResourceLimiter for Allocations {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // The program's own bound: not ours to report.
            return Ok(false);
        }
        let new = grown(self.memory, current, desired, self.memory_max);
        match new {
            Some(new) => self.memory = new,
            None => self.refused = Some(RunErrorCode::MemoryLimit),
        }
        Ok(new.is_some())
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        // The process's own limit came first: pages that were counted and not given.
        self.refused = Some(RunErrorCode::MemoryLimit);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let new = grown(self.elements, current, desired, self.elements_max);
        match new {
            Some(new) if maximum.is_none_or(|maximum| desired <= maximum) => self.elements = new,
            Some(_) => return Ok(false),
            None => self.refused = Some(RunErrorCode::TableLimit),
        }
        Ok(new.is_some())
    }

    fn instances(&self) -> usize {
        self.instances_max
    }

    fn tables(&self) -> usize {
        usize::try_from(TABLES_MAX).unwrap_or(usize::MAX)
    }

    fn memories(&self) -> usize {
        usize::try_from(MEMORIES_MAX).unwrap_or(usize::MAX)
    }
}

/// Counts calls within the current second.
#[derive(Debug)]
pub(crate) struct Calls {
    since: Instant,
    count: u32,
}

impl Calls {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            count: 0,
        }
    }

    /// One more. False when it is one too many.
    pub(crate) fn count(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        self.count = self.count.saturating_add(1);
        self.count <= CALLS_PER_SECOND_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> RunLimits {
        RunLimits {
            time_limit_s: 1,
            memory_limit_mib: 1,
            table_elements_max: 100,
            instances_max: 5_000,
            outputs_max: 1,
            output_kib_max: 1,
            log_kib_max: 1,
            scratch_kib_max: 1,
            clock_ms: 1,
        }
    }

    #[test]
    fn memories_are_bounded_together() {
        let mut all = Allocations::new(&limits());
        let half = MIB / 2;
        assert!(all.memory_growing(0, half, None).unwrap());
        assert!(all.memory_growing(0, half, None).unwrap());
        assert_eq!(all.refused(), None);
        assert!(!all.memory_growing(half, half + 65_536, None).unwrap());
        assert_eq!(all.refused(), Some(RunErrorCode::MemoryLimit));
    }

    #[test]
    fn a_programs_own_bound_is_not_reported_as_ours() {
        let mut all = Allocations::new(&limits());
        assert!(!all.memory_growing(0, 2 * MIB, Some(MIB)).unwrap());
        assert!(!all.table_growing(0, 50, Some(10)).unwrap());
        assert_eq!(all.refused(), None);
    }

    #[test]
    fn tables_are_bounded_together() {
        let mut all = Allocations::new(&limits());
        assert!(all.table_growing(0, 60, None).unwrap());
        assert!(!all.table_growing(0, 60, None).unwrap());
        assert_eq!(all.refused(), Some(RunErrorCode::TableLimit));
    }

    #[test]
    fn instances_are_bounded_by_the_pool_too() {
        let max = usize::try_from(INSTANCES_MAX).unwrap();
        assert_eq!(Allocations::new(&limits()).instances(), max);
    }

    #[test]
    fn calls_are_counted_anew_each_second() {
        let start = Instant::now();
        let mut calls = Calls::new(start);
        assert!((0..CALLS_PER_SECOND_MAX).all(|_| calls.count(start)));
        assert!(!calls.count(start));
        assert!(calls.count(start + Duration::from_secs(1)));
    }
}
