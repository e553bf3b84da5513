//! From a component to machine code.

use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_program_check::Kind;
use wasmtime::Engine;

use crate::{check_component, config};

/// The longest reason that is told, in characters.
const REASON_MAX: usize = 200;

/// A component as machine code of this machine.
#[derive(Debug)]
pub struct Artefact {
    /// What it is run for.
    pub kind: Kind,
    /// For an engine of [`config::worker`].
    pub bytes: Vec<u8>,
}

/// Checks a component and compiles it, on all processors. Nothing here is made executable.
pub fn compile(component: &[u8]) -> Result<Artefact, RunError> {
    let kind = check_component(component)?.kind();
    let failed = |code, error: &wasmtime::Error| RunError {
        code,
        name: error
            .root_cause()
            .to_string()
            .chars()
            .filter(|c| !c.is_control())
            .take(REASON_MAX)
            .collect(),
        line: 0,
    };
    let engine =
        Engine::new(&config::compiler()).map_err(|e| failed(RunErrorCode::Internal, &e))?;
    let bytes = engine
        .precompile_component(component)
        .map_err(|e| failed(RunErrorCode::NotAComponent, &e))?;
    Ok(Artefact { kind, bytes })
}
