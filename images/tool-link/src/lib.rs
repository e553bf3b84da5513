//! Makes a tool's component of a core WebAssembly module.
//!
//! Compilers of C, C++, Zig … know nothing of components: they make a core module whose imports and exports
//! have the canonical ABI's names. Here the module gets the interface's types, and what its C library
//! imports of WASI preview 1 is adapted to WASI 0.2. The result is checked as a session would check it.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use anyhow::Context as _;
use kekkai_program_check::{Checked, Kind};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The interface that tools are written against.
pub const WIT: &str = include_str!("../../../sandbox/wasm-worker/wit/kekkai-session.wit");
/// The world of tools.
const WORLD: &str = "tool";

/// Why no component was made.
#[derive(Debug)]
pub enum LinkError {
    /// The module doesn't fit the world: a wrong export, an import that nobody offers, or no module at all.
    Unfit(anyhow::Error),
    /// It fits, but no session would run it.
    Refused(kekkai_program_check::CheckError),
    /// It is a component, but no tool.
    NotATool,
}

/// A tool's component, of a core module whose strings are UTF-8.
pub fn link(module: &[u8]) -> Result<Vec<u8>, LinkError> {
    let component = encode(module).map_err(LinkError::Unfit)?;
    let checked: Checked = kekkai_program_check::check(&component).map_err(LinkError::Refused)?;
    match checked.kind() {
        Kind::Tool => Ok(component),
        Kind::Language => Err(LinkError::NotATool),
    }
}

fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve
        .push_str("kekkai-session.wit", WIT)
        .context("the interface")?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )?
        .encode()
}

#[cfg(test)]
mod tests {
    use super::{LinkError, link};

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    /// A tool that says that all went well.
    const GOOD: &str = r#"(module
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
        (func (export "run") (result i32) i32.const 16))"#;

    #[test]
    fn a_module_of_the_world_becomes_a_tool() {
        let component = link(&module(GOOD)).unwrap();
        assert_eq!(component.get(..8), Some(b"\0asm\x0d\0\x01\0".as_slice()));
    }

    #[test]
    fn preview_1_of_the_c_library_becomes_wasi_0_2() {
        let text = GOOD.replacen(
            "(module",
            r#"(module (import "wasi_snapshot_preview1" "fd_write"
                (func (param i32 i32 i32 i32) (result i32)))"#,
            1,
        );
        assert!(link(&module(&text)).is_ok());
    }

    #[test]
    fn imports_that_nobody_offers_are_refused_by_name() {
        let text = GOOD.replacen(
            "(module",
            r#"(module (import "env" "system" (func (param i32) (result i32)))"#,
            1,
        );
        let Err(LinkError::Unfit(error)) = link(&module(&text)) else {
            panic!("linked");
        };
        assert!(format!("{error:#}").contains("system"), "{error:#}");
    }

    #[test]
    fn a_module_without_run_is_refused() {
        let text = GOOD.replace("\"run\"", "\"walk\"");
        let Err(LinkError::Unfit(error)) = link(&module(&text)) else {
            panic!("linked");
        };
        assert!(format!("{error:#}").contains("run"), "{error:#}");
    }

    #[test]
    fn bytes_that_are_no_module_are_refused() {
        assert!(matches!(link(b"#!/bin/sh"), Err(LinkError::Unfit(_))));
    }
}
