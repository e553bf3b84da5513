//! Machine code from sealed memory.
//!
//! The broker hands the process that runs programs an artefact: what `kekkai-wasm-compiler` made of a
//! component, as a sealed memory file. Here it is mapped once, readable and executable, never writable, and
//! given to wasmtime as it lies. So its pages are shared with every other session that runs the same
//! program, and the process needs no call that makes written memory executable.
//!
//! This is the only place beside `kekkai-sys` with `unsafe`: wasmtime can't know whose code it is given. It
//! is a crate of its own so that nothing else that enters a jail has wasmtime among its dependencies.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::Arc;

use kekkai_sys::memfd;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use wasmtime::component::Component;
use wasmtime::{Config, CustomCodeMemory, Engine};

/// The largest artefact, in bytes.
pub const ARTEFACT_MAX: u64 = 1 << 30;

/// Why an artefact can't be loaded. All are the broker's doing.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Somebody could still change it.
    #[error("the artefact is not sealed")]
    NotSealed,
    /// Empty, or longer than [`ARTEFACT_MAX`].
    #[error("the artefact has {0} bytes")]
    Length(u64),
    /// The file can't be mapped.
    #[error("the artefact can't be mapped")]
    Map(#[source] nix::Error),
    /// Another version, another configuration, or no artefact at all.
    #[error("the artefact doesn't fit this process: {0}")]
    Unfit(String),
}

/// Makes an engine of this configuration run what [`load`] gives it, and nothing else: code that it
/// compiled or copied itself is not made executable.
pub fn execute_mapped_code_only(config: &mut Config) {
    config.with_custom_code_memory(Some(Arc::new(Mapped)));
}

/// Pages that are executable since they were mapped.
struct Mapped;

impl CustomCodeMemory for Mapped {
    fn required_alignment(&self) -> usize {
        PAGE_BYTES
    }

    fn publish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }

    fn unpublish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// The smallest page of the machines that run sessions; mappings are aligned to the real one.
const PAGE_BYTES: usize = 4096;

/// Maps an artefact and loads the component in it. The mapping stays until the process ends: a caller
/// bounds how many it loads.
///
/// Not `unsafe` to call, though the artefact is executed: it must be sealed memory, and a jailed process can
/// make none and gets descriptors from the broker only, which authenticates artefacts.
pub fn load(engine: &Engine, artefact: impl AsFd) -> Result<Component, LoadError> {
    let artefact = artefact.as_fd();
    if !memfd::is_sealed(artefact) {
        return Err(LoadError::NotSealed);
    }
    let bytes = nix::sys::stat::fstat(artefact)
        .map_err(LoadError::Map)?
        .st_size;
    let bytes = u64::try_from(bytes).unwrap_or(0);
    let length = usize::try_from(bytes)
        .ok()
        .filter(|_| bytes <= ARTEFACT_MAX)
        .and_then(NonZeroUsize::new)
        .ok_or(LoadError::Length(bytes))?;
    let executable = ProtFlags::PROT_READ | ProtFlags::PROT_EXEC;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours. The file is
    // sealed against writing, shrinking and growing (checked above), so that each of its `length` bytes
    // stays readable and as it is; nothing unmaps it.
    let start = unsafe { mmap(None, length, executable, MapFlags::MAP_PRIVATE, artefact, 0) }
        .map_err(LoadError::Map)?;
    let memory = NonNull::slice_from_raw_parts(start.cast::<u8>(), length.get());
    // SAFETY: `memory` is the mapping made above: never unmapped, hence there as long as any component;
    // never written, since it is mapped without that right from a file that is sealed. It is an artefact of
    // wasmtime's own making because the broker, the only source of descriptors here, passes only what our
    // compiler wrote and it authenticated; wasmtime checks version and configuration itself.
    let loaded = unsafe { Component::deserialize_raw(engine, memory) };
    loaded.map_err(|error| LoadError::Unfit(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use wasmtime::{InstanceAllocationStrategy, Store};

    fn config() -> Config {
        let mut config = Config::new();
        config.wasm_component_model(true);
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        execute_mapped_code_only(&mut config);
        config
    }

    fn artefact() -> Vec<u8> {
        let component = r#"(component
            (core module $m (func (export "f") (result i32) (i32.const 42)))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
        let engine = Engine::new(&config()).unwrap();
        engine
            .precompile_component(&wat::parse_str(component).unwrap())
            .unwrap()
    }

    fn sealed(bytes: &[u8]) -> std::os::fd::OwnedFd {
        memfd::seal("kekkai-test-artefact", &mut &*bytes, 1 << 30, |_| ()).unwrap()
    }

    #[test]
    fn a_sealed_artefact_runs_from_pages_that_were_never_writable() {
        let engine = Engine::new(&config()).unwrap();
        let component = load(&engine, sealed(&artefact())).unwrap();
        let mut store = Store::new(&engine, ());
        let linker = wasmtime::component::Linker::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let f = instance
            .get_typed_func::<(), (u32,)>(&mut store, "f")
            .unwrap();
        assert_eq!(f.call(&mut store, ()).unwrap(), (42,));
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let ours: Vec<&str> = maps
            .lines()
            .filter(|line| line.contains("kekkai-test-artefact"))
            .collect();
        assert!(!ours.is_empty());
        assert!(ours.iter().all(|line| line.contains(" r-xp ")), "{ours:?}");
    }

    #[test]
    fn what_could_still_change_is_refused() {
        let engine = Engine::new(&config()).unwrap();
        let mut file = std::fs::File::from(memfd::unsealed("artefact").unwrap());
        file.write_all(&artefact()).unwrap();
        assert!(matches!(load(&engine, file), Err(LoadError::NotSealed)));
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(load(&engine, null), Err(LoadError::NotSealed)));
    }

    #[test]
    fn nothing_and_noise_are_refused() {
        let engine = Engine::new(&config()).unwrap();
        assert!(matches!(
            load(&engine, sealed(b"")),
            Err(LoadError::Length(0))
        ));
        assert!(matches!(
            load(&engine, sealed(&[7; 5_000])),
            Err(LoadError::Unfit(_))
        ));
    }
}
