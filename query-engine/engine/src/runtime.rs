//! What statements of a session run on: memory, the disk that they may spill to, and the ways to join.

use std::ops::RangeInclusive;
use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use kekkai_spill::{SharedMemory, Spill};

use crate::file::BATCH_ROWS;
use crate::session::Terms;
use crate::table::LoadError;

/// A sorter keeps this share of the memory free for putting together what it spilled, at most
/// [`SORT_RESERVED_BYTES_MAX`]: each partition of each sort has it from the start.
const SORT_RESERVED_SHARE: usize = 32;
const SORT_RESERVED_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Runs that a sorter merges at once: one for so many bytes of a partition's memory. Left to itself the library
/// takes what memory there is for them, and the rest of the statement has none.
const BYTES_PER_RUN: usize = 4 * 1024 * 1024;
const RUNS: RangeInclusive<usize> = 4..=64;

/// How two tables are joined on equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joins {
    /// One side is held in memory: fast, and it can't be spilled.
    Hashed,
    /// Both sides are sorted, which can.
    Sorted,
}

/// The states that plans are made and run with; they share memory and disk.
pub(crate) struct States {
    hashed: SessionState,
    /// Where there is no disk to sort on, sorting gains nothing.
    sorted: Option<SessionState>,
}

impl States {
    pub(crate) fn new(terms: &Terms, spill: Option<Spill>) -> Result<Self, LoadError> {
        let can_spill = spill.is_some();
        let runtime = runtime(terms, spill)?;
        Ok(Self {
            hashed: state(terms, &runtime, Joins::Hashed),
            sorted: can_spill.then(|| state(terms, &runtime, Joins::Sorted)),
        })
    }

    pub(crate) fn get(&self, joins: Joins) -> &SessionState {
        match (joins, &self.sorted) {
            (Joins::Sorted, Some(sorted)) => sorted,
            _ => &self.hashed,
        }
    }

    /// Whether a statement whose joins outgrew the memory may be tried with [`Joins::Sorted`].
    pub(crate) fn can_sort(&self) -> bool {
        self.sorted.is_some()
    }
}

fn runtime(terms: &Terms, spill: Option<Spill>) -> Result<Arc<RuntimeEnv>, LoadError> {
    let memory_bytes = terms.memory_limit_bytes;
    let runs = memory_bytes / terms.threads.max(1) / BYTES_PER_RUN;
    let disk = DiskManagerBuilder::default()
        .with_max_spill_merge_fan_in(runs.clamp(*RUNS.start(), *RUNS.end()));
    let (disk, memory): (_, Arc<dyn MemoryPool>) = match spill {
        Some(spill) => (
            disk.with_temp_file_factory(Arc::new(spill)),
            Arc::new(SharedMemory::new(memory_bytes)),
        ),
        // Nothing is kept free for spilling where nothing spills.
        None => (
            disk.with_mode(DiskManagerMode::Disabled),
            Arc::new(FairSpillPool::new(memory_bytes)),
        ),
    };
    RuntimeEnvBuilder::new()
        .with_memory_pool(memory)
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|_| LoadError::Runtime)
}

fn state(terms: &Terms, runtime: &Arc<RuntimeEnv>, joins: Joins) -> SessionState {
    let reserved = (terms.memory_limit_bytes / SORT_RESERVED_SHARE).min(SORT_RESERVED_BYTES_MAX);
    let mut config = SessionConfig::new()
        .with_target_partitions(terms.threads.max(1))
        .with_batch_size(BATCH_ROWS)
        .with_sort_spill_reservation_bytes(reserved)
        .with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    options.sql_parser.parse_float_as_decimal = false;
    // The planner sees that `CASE WHEN x > 0 THEN x ELSE 0 END` is never null; what runs takes it for nullable,
    // which is as right.
    options.execution.skip_physical_aggregate_schema_check = true;
    options.optimizer.prefer_hash_join = joins == Joins::Hashed;
    // Scans take no predicate: there is nobody to push one to.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::clone(runtime))
        .build()
}
