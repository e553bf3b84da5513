//! What a program may call.
//!
//! One [`State`] lives as long as one run. A refusal that a program can act on is an answer (`failure`); what
//! it can't be allowed to go on after is an error, which ends it as a trap does.

mod data;
mod output;
mod rest;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kekkai_analysis_api::RunErrorCode;
use kekkai_types::DatasetCatalog;
use kekkai_worker_api::RunLimits;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub use data::Rows;

use crate::bindings::kekkai::session::types::Failure;
use crate::broker::Broker;
use crate::limits::{Allocations, Calls};
use crate::log::Log;
use crate::wasi::{self, SteppingClock};
use rest::Shown;

/// Handles of resources that a program may hold: pollables, streams, rows.
const HANDLES_MAX: usize = 1_000;

/// Why the host ends a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// A limit that is no answer.
    #[error("a limit is reached")]
    Limit(RunErrorCode),
    /// Nobody is there to ask.
    #[error("the broker is gone")]
    Gone,
}

/// Everything that belongs to one run.
pub(crate) struct State {
    pub(crate) allocations: Allocations,
    pub(crate) log: Log,
    broker: Arc<dyn Broker>,
    limits: RunLimits,
    catalogs: Vec<DatasetCatalog>,
    args: Vec<String>,
    calls: Calls,
    shown: Shown,
    scratch: BTreeMap<String, Vec<u8>>,
    /// Bytes that the scratch is charged for.
    scratch_used: usize,
    outputs: u32,
    rows_are_open: bool,
    /// The limit whose refusal the program was answered last.
    answered: Option<RunErrorCode>,
    clock: SteppingClock,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl State {
    pub(crate) fn new(
        broker: Arc<dyn Broker>,
        limits: RunLimits,
        catalogs: Vec<DatasetCatalog>,
        args: Vec<String>,
    ) -> Self {
        let log = Log::new(&limits);
        let step = Duration::from_millis(u64::from(limits.clock_ms));
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        Self {
            allocations: Allocations::new(&limits),
            wasi: wasi::context(&args, &log, step),
            log,
            broker,
            limits,
            catalogs,
            args,
            calls: Calls::new(Instant::now()),
            shown: Shown::default(),
            scratch: BTreeMap::new(),
            scratch_used: 0,
            outputs: 0,
            rows_are_open: false,
            answered: None,
            clock: SteppingClock::new(step),
            table,
        }
    }

    /// The limit whose refusal the program was answered last, and the code in that answer.
    pub(crate) fn answered_limit(&self) -> Option<(RunErrorCode, &'static str)> {
        let code = self.answered?;
        Some((code, failure_code(code)))
    }

    /// Shows what is still to be shown.
    pub(crate) fn finish(&mut self) {
        self.log.finish(&*self.broker);
        self.shown.finish(&*self.broker);
    }

    pub(crate) fn clock(&self) -> SteppingClock {
        self.clock
    }

    /// Calls that cost more than themselves begin with this.
    fn count_call(&mut self) -> wasmtime::Result<()> {
        if self.calls.count(Instant::now()) {
            Ok(())
        } else {
            Err(Stop::Limit(RunErrorCode::CallsLimit).into())
        }
    }

    /// A limit as an answer.
    fn over(&mut self, code: RunErrorCode) -> Failure {
        self.answered = Some(code);
        let name = crate::limits::limit_error(&self.limits, code).name;
        refusal(failure_code(code), &name)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// What `failure.code` is for a limit.
fn failure_code(code: RunErrorCode) -> &'static str {
    match code {
        RunErrorCode::OutputsLimit => "limit-outputs",
        RunErrorCode::OutputSizeLimit => "limit-output-size",
        RunErrorCode::ScratchLimit => "limit-scratch",
        _ => "limit",
    }
}

fn refusal(code: &str, name: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        name: name.to_owned(),
        line: 0,
        column: 0,
    }
}
