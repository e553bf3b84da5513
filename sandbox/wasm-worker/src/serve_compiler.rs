//! The compiler's conversation with the broker: one component in, one artefact out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{RecvTimeoutError, Sender as StopSender, channel};
use std::thread;
use std::time::{Duration, Instant};

use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_program_check::Kind;
use kekkai_worker_api::{COMPONENT_MAX, FromCompiler, Sender, ToCompiler, worker_channel};

use crate::compile::compile;
use crate::serve::ServeError;

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Bytes of a component that are compiled in a second, as a guess: a program's time differs with its shape.
const BYTES_PER_SECOND: f64 = 1.5e6;

/// Compiles what the broker sends, answers, and returns. `layers` is what holds this process.
pub fn serve_compiler(socket: OwnedFd, layers: BTreeMap<String, String>) -> Result<(), ServeError> {
    let (sender, mut receiver) = worker_channel::<FromCompiler, ToCompiler>(socket);
    sender.send(&FromCompiler::Jailed { layers })?;
    let Some((ToCompiler::Compile { bytes, is_language }, descriptors)) = receiver.receive()?
    else {
        return Ok(());
    };
    let Ok([component, artefact]) = <[OwnedFd; 2]>::try_from(descriptors) else {
        return Err(ServeError::OutOfTurn);
    };
    let answer = match compiled(&sender, bytes, is_language, component, artefact) {
        Ok(bytes) => FromCompiler::Compiled { bytes },
        Err(error) => FromCompiler::Refused { error },
    };
    Ok(sender.send(&answer)?)
}

fn compiled(
    sender: &Sender<FromCompiler>,
    bytes: u64,
    is_language: bool,
    component: OwnedFd,
    artefact: OwnedFd,
) -> Result<u64, RunError> {
    if bytes > COMPONENT_MAX {
        return Err(refused(RunErrorCode::NotAComponent, "too large"));
    }
    let mut text = Vec::new();
    File::from(component)
        .take(bytes)
        .read_to_end(&mut text)
        .map_err(|e| refused(RunErrorCode::Internal, &e.to_string()))?;
    if u64::try_from(text.len()).ok() != Some(bytes) {
        return Err(refused(RunErrorCode::NotAComponent, "truncated"));
    }
    let telling = Telling::start(sender.clone(), text.len());
    let compiled = compile(&text);
    drop(telling);
    let compiled = compiled?;
    if (compiled.kind == Kind::Language) != is_language {
        return Err(refused(
            RunErrorCode::NotAComponent,
            "another kind of program",
        ));
    }
    File::from(artefact)
        .write_all(&compiled.bytes)
        .map_err(|e| refused(RunErrorCode::Internal, &e.to_string()))?;
    Ok(u64::try_from(compiled.bytes.len()).unwrap_or(u64::MAX))
}

fn refused(code: RunErrorCode, name: &str) -> RunError {
    RunError {
        code,
        name: name.to_owned(),
        line: 0,
    }
}

/// Tells the broker how far it may be, as long as this lives.
struct Telling {
    stop: Option<StopSender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Telling {
    /// Without a thread to spare nothing is told, which harms nobody.
    fn start(sender: Sender<FromCompiler>, bytes: usize) -> Self {
        let (stop, stopped) = channel();
        let bytes = u32::try_from(bytes).map_or(f64::MAX, f64::from);
        let thread = thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                let start = Instant::now();
                while stopped.recv_timeout(PROGRESS_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    let expected = bytes / BYTES_PER_SECOND;
                    let permille = permille(start.elapsed().as_secs_f64(), expected);
                    if sender.send(&FromCompiler::Progress { permille }).is_err() {
                        return;
                    }
                }
            });
        Self {
            stop: Some(stop),
            thread: thread.ok(),
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ever slower towards its end, which it never reaches: a guess must not claim to be done.
fn permille(elapsed_s: f64, expected_s: f64) -> u16 {
    let left = (-2.0 * elapsed_s / expected_s.max(0.1)).exp();
    let done = (1.0 - left) * 1000.0;
    (0..=999_u16)
        .rev()
        .find(|permille| f64::from(*permille) <= done)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::permille;

    #[test]
    fn a_guess_grows_and_never_claims_to_be_done() {
        let guesses: Vec<u16> = [0.0, 1.0, 5.0, 10.0, 1e9]
            .map(|elapsed| permille(elapsed, 10.0))
            .to_vec();
        assert!(guesses.is_sorted());
        assert_eq!((guesses[0], guesses[4]), (0, 999));
    }
}
