//! Programs: their compiled forms, the scripts and notebooks that people keep, and the tools of a project.

mod artefacts;
mod kept;
mod notebooks;
mod scripts;
mod tools;

pub use artefacts::{Artefact, Artefacts, CompileError, CompilerParts, Source};
pub use kept::{KeptError, KeptKey, Kind};
pub use notebooks::Notebooks;
pub use scripts::Scripts;
pub use tools::Tools;
