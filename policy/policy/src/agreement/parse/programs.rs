//! `[programs]`: what a session's programs may do. Every bound is written out, so that the people who
//! sign an agreement see it.

use std::ops::RangeInclusive;

use kekkai_policy_api::ProgramTerms;
use kekkai_types::{ID_MAX, ToolName};
use toml::Spanned;

use super::super::AgreementError;
use super::super::raw::RawPrograms;
use super::At;

/// Tools of one agreement.
const TOOLS_MAX: usize = 64;
/// Seconds of one run: at most a day.
const TIME_LIMIT_S: RangeInclusive<u32> = 1..=86_400;
/// MiB of linear memory, which 32-bit WebAssembly can address.
const MEMORY_LIMIT_MIB: RangeInclusive<u32> = 1..=4_096;
/// Elements of tables.
const TABLE_ELEMENTS: RangeInclusive<u32> = 1..=1_000_000;
/// Core instances.
const INSTANCES: RangeInclusive<u32> = 1..=1_000;
/// Outputs of one run; none, where a project only looks.
const OUTPUTS: RangeInclusive<u32> = 0..=1_000;
/// KiB of one output: people review it.
const OUTPUT_KIB: RangeInclusive<u32> = 1..=16_384;
/// KiB of one run's log, which the analysis server keeps in memory.
const LOG_KIB: RangeInclusive<u32> = 1..=16_384;
/// KiB of one run's scratch.
const SCRATCH_KIB: RangeInclusive<u32> = 0..=1_048_576;
/// Milliseconds of one step of the clocks: none finer than 1 ms.
const CLOCK_MS: RangeInclusive<u32> = 1..=60_000;

/// The tools that the user organisation may bring in. A name becomes a word of a command, a part of a
/// path and a line of the ledger.
pub(super) fn tools(
    at: &At<'_>,
    values: Vec<Spanned<String>>,
) -> Result<Vec<String>, AgreementError> {
    let mut tools = Vec::new();
    for value in values {
        let name = value.get_ref();
        if ToolName::new(name.as_str()).is_err() {
            return Err(at.error(
                value.span(),
                format!("\"{name}\" is no tool's name"),
                format!(
                    "1 to {ID_MAX} of a-z, 0-9, '-', '_' and '.', beginning with a letter or digit"
                ),
            ));
        }
        if tools.contains(name) {
            return Err(at.error(
                value.span(),
                format!("tool \"{name}\" is named twice"),
                "each tool once",
            ));
        }
        if tools.len() >= TOOLS_MAX {
            return Err(at.error(
                value.span(),
                format!("there are more than {TOOLS_MAX} tools"),
                format!("at most {TOOLS_MAX} tools"),
            ));
        }
        tools.push(value.into_inner());
    }
    Ok(tools)
}

/// The terms of programs, within what this build can enforce and what the session itself may use.
pub(super) fn programs(
    at: &At<'_>,
    raw: &RawPrograms,
    tools: &[String],
    session_mib: u32,
) -> Result<ProgramTerms, AgreementError> {
    let within =
        |value, key: &str, range, unit| at.within(value, &format!("\"{key}\""), range, unit);
    let memory_limit_mib = within(
        &raw.memory_limit_mib,
        "memory_limit_mib",
        &MEMORY_LIMIT_MIB,
        "MiB",
    )?;
    if memory_limit_mib > session_mib {
        return Err(at.error(
            raw.memory_limit_mib.span(),
            format!("a program's \"memory_limit_mib\" is {memory_limit_mib}"),
            format!("at most {session_mib} MiB, which its session has"),
        ));
    }
    Ok(ProgramTerms {
        python: raw.python,
        tools: tools.to_vec(),
        rows: raw.rows,
        time_limit_s: within(&raw.time_limit_s, "time_limit_s", &TIME_LIMIT_S, "s")?,
        memory_limit_mib,
        table_elements_max: within(
            &raw.table_elements_max,
            "table_elements_max",
            &TABLE_ELEMENTS,
            "elements",
        )?,
        instances_max: within(&raw.instances_max, "instances_max", &INSTANCES, "instances")?,
        outputs_max: within(&raw.outputs_max, "outputs_max", &OUTPUTS, "outputs")?,
        output_kib_max: within(&raw.output_kib_max, "output_kib_max", &OUTPUT_KIB, "KiB")?,
        log_kib_max: within(&raw.log_kib_max, "log_kib_max", &LOG_KIB, "KiB")?,
        scratch_kib_max: within(&raw.scratch_kib_max, "scratch_kib_max", &SCRATCH_KIB, "KiB")?,
        clock_ms: within(&raw.clock_ms, "clock_ms", &CLOCK_MS, "ms")?,
    })
}
