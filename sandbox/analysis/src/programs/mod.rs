//! Programs: their compiled forms, the scripts that people keep, and the tools of a project.

mod artefacts;
mod scripts;
mod tools;

pub use artefacts::{Artefact, Artefacts, CompileError, CompilerParts, Source};
pub use scripts::{ScriptError, ScriptKey, Scripts};
pub use tools::Tools;
