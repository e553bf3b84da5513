//! Why a run ended, in the words of [`RunErrorCode`].
//!
//! What is said here is shown where rows are not: every name comes from a list of ours or from the
//! agreement, none from the program.

use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_worker_api::RunLimits;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use crate::bindings::interpreter::Stopped;
use crate::config::{MEMORIES_MAX, TABLES_MAX};
use crate::host::{State, Stop};
use crate::limits::limit_error;
use crate::python::error_name;

/// What a program may hand to the host in one call beside outputs and scratch, in bytes: a statement, lines.
const CALL_BYTES: usize = 2 * 1024 * 1024;
/// The longest text of an error, in characters.
const ERROR_TEXT_MAX: usize = 200;

/// A tool says why it failed: for its person, in the log. The error names a limit where that was the reason.
pub(crate) fn said(limits: &RunLimits, state: &State, text: &str) -> RunError {
    state.log.write_lines(true, text);
    match state.answered_limit() {
        Some((code, word)) if text.contains(word) => limit_error(limits, code),
        _ => error(RunErrorCode::Failed, ""),
    }
}

/// A script ended with an error that it did not handle.
pub(crate) fn script_stopped(limits: &RunLimits, state: &State, stopped: Stopped) -> RunError {
    let Stopped { kind, line, text } = stopped;
    state.log.write_lines(true, &text);
    let limit = match state.answered_limit() {
        Some((code, word)) if text.contains(word) => Some(code),
        _ if kind == "MemoryError" => state.allocations.refused(),
        _ => None,
    };
    let stopped = match limit {
        Some(code) => limit_error(limits, code),
        None => error(RunErrorCode::Failed, error_name(&kind)),
    };
    RunError { line, ..stopped }
}

/// The program was ended by WebAssembly or by us, or left.
pub(crate) fn ended(
    limits: &RunLimits,
    state: &State,
    trap: &wasmtime::Error,
) -> Result<(), RunError> {
    if let Some(exit) = trap.downcast_ref::<I32Exit>() {
        return match exit.0 {
            0 => Ok(()),
            // Not with its number, which could be anything that the program read.
            _ => Err(error(RunErrorCode::Failed, "exit")),
        };
    }
    if let Some(stop) = trap.downcast_ref::<Stop>() {
        return Err(match stop {
            Stop::Limit(code) => limit_error(limits, *code),
            Stop::Gone => error(RunErrorCode::Internal, "broker"),
        });
    }
    if let Some(trap) = trap.downcast_ref::<Trap>() {
        return Err(match (trap, state.allocations.refused()) {
            (Trap::StackOverflow, _) => limit_error(limits, RunErrorCode::StackLimit),
            // A program that gets no memory usually gives up by `unreachable`.
            (Trap::UnreachableCodeReached | Trap::AllocationTooLarge, Some(code)) => {
                limit_error(limits, code)
            }
            (trap, _) => error(RunErrorCode::Trap, &trap.to_string()),
        });
    }
    Err(not_started(limits, state, trap))
}

/// Errors of wasmtime that have no type: instances, memories and tables that can't be made, and calls with
/// handles or bytes that are not what they should be. Their texts are looked at, never passed on: a handle's
/// number, say, is the program's choice. Tests notice when the words change.
fn not_started(limits: &RunLimits, state: &State, trap: &wasmtime::Error) -> RunError {
    if let Some(code) = state.allocations.refused() {
        return limit_error(limits, code);
    }
    let texts: Vec<String> = trap.chain().map(ToString::to_string).collect();
    let says = |words: &str| texts.iter().any(|text| text.contains(words));
    let is_pool = trap.downcast_ref::<PoolConcurrencyLimitError>().is_some();
    if says("instance count too high") || is_pool && says("core instance") {
        limit_error(limits, RunErrorCode::InstanceLimit)
    } else if says("memory count too high") || is_pool && says("memor") {
        error(
            RunErrorCode::MemoryLimit,
            &format!("{MEMORIES_MAX} memories"),
        )
    } else if says("table count too high") || is_pool && says("table") {
        error(RunErrorCode::TableLimit, &format!("{TABLES_MAX} tables"))
    } else if says("fuel allocated for hostcalls") {
        let kib = call_bytes(limits) / 1024;
        error(RunErrorCode::OutputSizeLimit, &format!("{kib} KiB"))
    } else {
        let known = [
            ("utf-8", "utf-8"),
            ("handle", "handle"),
            ("index", "handle"),
            ("resource", "handle"),
            ("beyond end of memory", "out of bounds"),
            ("out of bounds", "out of bounds"),
            ("aligned", "alignment"),
            ("discriminant", "discriminant"),
        ];
        let name = known.into_iter().find(|(words, _)| says(words));
        error(
            RunErrorCode::Trap,
            name.map_or("component", |(_, name)| name),
        )
    }
}

/// What a program may hand to the host in one call, in bytes.
pub(crate) fn call_bytes(limits: &RunLimits) -> usize {
    let kib = |n: u32| {
        usize::try_from(n)
            .unwrap_or(usize::MAX)
            .saturating_mul(1024)
    };
    kib(limits.output_kib_max)
        .max(kib(limits.scratch_kib_max))
        .saturating_add(CALL_BYTES)
}

pub(crate) fn error(code: RunErrorCode, name: &str) -> RunError {
    let name = name
        .chars()
        .filter(|c| !c.is_control())
        .take(ERROR_TEXT_MAX)
        .collect();
    RunError {
        code,
        name,
        line: 0,
    }
}
