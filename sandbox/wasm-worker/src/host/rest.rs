//! `progress`, `log`, `args`, `scratch`.

use std::time::{Duration, Instant};

use kekkai_analysis_api::RunErrorCode;

use super::{State, refusal};
use crate::bindings::kekkai::session::types::Failure;
use crate::bindings::kekkai::session::{args, log, progress, scratch, types};
use crate::broker::Broker;

/// The longest note of a progress report, in characters.
const NOTE_MAX: usize = 200;
/// The least time between two progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// The longest name in the scratch, in bytes.
const SCRATCH_NAME_MAX: usize = 256;
/// What a name in the scratch costs beside its bytes: many empty names are not free.
const SCRATCH_ENTRY_BYTES: usize = 256;

impl types::Host for State {}

/// What the person was shown of the program's progress.
#[derive(Debug, Default)]
pub(super) struct Shown {
    at: Option<Instant>,
    waiting: Option<(u16, String)>,
}

impl Shown {
    fn report(&mut self, broker: &dyn Broker, now: Instant, permille: u16, note: String) {
        let is_early = |at| now.saturating_duration_since(at) < PROGRESS_INTERVAL;
        if self.at.is_some_and(is_early) {
            self.waiting = Some((permille, note));
        } else {
            self.at = Some(now);
            self.waiting = None;
            broker.progress(permille, &note);
        }
    }

    /// Shows the last report, where it came too early for its turn.
    pub(super) fn finish(&mut self, broker: &dyn Broker) {
        if let Some((permille, note)) = self.waiting.take() {
            broker.progress(permille, &note);
        }
    }
}

impl progress::Host for State {
    async fn report(&mut self, fraction: f64, note: String) -> wasmtime::Result<()> {
        let note = note
            .chars()
            .filter(|c| !c.is_control())
            .take(NOTE_MAX)
            .collect();
        let broker = self.broker.clone();
        let permille = permille(fraction);
        self.shown.report(&*broker, Instant::now(), permille, note);
        Ok(())
    }
}

/// 0 to 1,000; what is no number is 0.
fn permille(fraction: f64) -> u16 {
    let fraction = if fraction.is_nan() { 0.0 } else { fraction };
    let wanted = fraction.clamp(0.0, 1.0) * 1000.0;
    (0..=1000_u16)
        .rev()
        .find(|permille| f64::from(*permille) <= wanted)
        .unwrap_or(0)
}

impl log::Host for State {
    async fn write(&mut self, to: log::Channel, text: String) -> wasmtime::Result<()> {
        self.log.write_lines(to == log::Channel::Error, &text);
        Ok(())
    }
}

impl args::Host for State {
    async fn get(&mut self) -> wasmtime::Result<Vec<String>> {
        self.count_call()?;
        Ok(self.args.clone())
    }
}

impl scratch::Host for State {
    async fn read(&mut self, name: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.count_call()?;
        Ok(self.scratch.get(&name).cloned())
    }

    async fn write(
        &mut self,
        name: String,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Failure>> {
        self.count_call()?;
        if name.len() > SCRATCH_NAME_MAX {
            return Ok(Err(refusal("name-too-long", &SCRATCH_NAME_MAX.to_string())));
        }
        let kib = usize::try_from(self.limits.scratch_kib_max).unwrap_or(usize::MAX);
        let replaced = self.scratch.get(&name).map_or(0, |bytes| cost(bytes));
        let used = self
            .scratch_used
            .saturating_sub(replaced)
            .saturating_add(cost(&bytes));
        if used > kib.saturating_mul(1024) {
            return Ok(Err(self.over(RunErrorCode::ScratchLimit)));
        }
        self.scratch_used = used;
        self.scratch.insert(name, bytes);
        Ok(Ok(()))
    }

    async fn remove(&mut self, name: String) -> wasmtime::Result<()> {
        self.count_call()?;
        if let Some(bytes) = self.scratch.remove(&name) {
            self.scratch_used = self.scratch_used.saturating_sub(cost(&bytes));
        }
        Ok(())
    }

    async fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        self.count_call()?;
        Ok(self.scratch.keys().cloned().collect())
    }
}

fn cost(bytes: &[u8]) -> usize {
    bytes.len().saturating_add(SCRATCH_ENTRY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_is_a_progress_between_nothing_and_all() {
        for (fraction, expected) in [
            (0.0, 0),
            (0.5, 500),
            (0.9999, 999),
            (1.0, 1000),
            (7.0, 1000),
            (-1.0, 0),
            (f64::NAN, 0),
            (f64::INFINITY, 1000),
        ] {
            assert_eq!(permille(fraction), expected, "{fraction}");
        }
    }
}
