//! Compiling takes seconds: what was compiled is kept in the author's own cache folder.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use kekkai_sys::memfd;
use kekkai_types::Digest;
use kekkai_wasm_worker::{Programs, compile};
use wasmtime::component::Component;

/// Loads a component, compiling it where that was not done yet. `compiling` is called before it takes long.
pub(crate) fn load(
    programs: &Programs,
    component: &[u8],
    compiling: impl FnOnce(),
) -> Result<Component, String> {
    let kept = folder().map(|folder| folder.join(format!("{}.artefact", Digest::of(component))));
    if let Some(path) = &kept
        && let Ok(mut file) = File::open(path)
        // Another version of this program left it: then it is made anew.
        && let Ok(component) = seal_and_load(programs, &mut file)
    {
        return Ok(component);
    }
    compiling();
    let artefact = compile(component).map_err(|e| e.to_string())?;
    if let Some(path) = kept {
        // Without it, the next start compiles again.
        let _ = keep(&path, &artefact.bytes);
    }
    seal_and_load(programs, &mut artefact.bytes.as_slice())
}

fn seal_and_load(programs: &Programs, bytes: &mut impl std::io::Read) -> Result<Component, String> {
    let sealed = memfd::seal("artefact", bytes, kekkai_sys_wasm::ARTEFACT_MAX, |_| ())
        .map_err(|e| e.to_string())?;
    kekkai_sys_wasm::load(programs.engine(), sealed).map_err(|e| e.to_string())
}

/// Written beside and renamed, so that nobody reads half of it; private, since it is executed.
fn keep(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let beside = path.with_extension(format!("{}", std::process::id()));
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?
        .write_all(bytes)?;
    std::fs::rename(&beside, path)
}

fn folder() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    cache.is_absolute().then(|| cache.join("kekkai/stand-in"))
}
