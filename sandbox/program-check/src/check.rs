//! The check.

use wasmparser::{
    ComponentExternalKind, ComponentTypeRef, Encoding, Parser, Payload, TypeBounds, Validator,
    WasmFeatures,
};

use crate::is_allowed;

/// The largest component, in bytes.
pub const COMPONENT_MAX: usize = 64 * 1024 * 1024;
/// Components within components, the outermost counted. `wit-component` makes 2.
pub const NESTING_MAX: usize = 8;
/// Core modules in one component. Python has about a dozen.
pub const MODULES_MAX: usize = 256;
/// Functions in all core modules together. Python has about 20,000.
pub const FUNCTIONS_MAX: usize = 250_000;
/// The longest name that an error quotes, in characters.
const QUOTED_MAX: usize = 120;

/// What a component is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// World `tool`: it exports `run`.
    Tool,
    /// World `interpreter`: it exports `run-script`.
    Language,
}

/// A component that passed. Only [`check`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    kind: Kind,
    imports: Vec<String>,
}

impl Checked {
    /// What it is run for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it imports, for reviewers; each is on the allow-list.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }
}

/// Why bytes are no program of a session. All are the author's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Longer than a component may be.
    #[error("{0} bytes are more than {COMPONENT_MAX}")]
    TooLarge(usize),
    /// Not WebAssembly, a core module, or a component that is not valid.
    #[error("not a valid component: {0}")]
    NotAComponent(String),
    /// More of something than a component may hold.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// It imports what a session doesn't offer.
    #[error("the import \"{0}\" is not allowed")]
    ImportNotAllowed(String),
    /// It exports neither `run` nor `run-script`, or both.
    #[error("it must export one function, `run` or `run-script`")]
    NoEntry,
}

/// The WebAssembly that programs may use: what the compiler is configured for, too. No threads, no shared
/// memory, no 64-bit memories, no garbage collection, no component-model proposals.
pub fn features() -> WasmFeatures {
    let mut features = WasmFeatures::WASM2
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::COMPONENT_MODEL;
    features.remove(WasmFeatures::GC_TYPES);
    features
}

/// Checks a component.
pub fn check(bytes: &[u8]) -> Result<Checked, CheckError> {
    if bytes.len() > COMPONENT_MAX {
        return Err(CheckError::TooLarge(bytes.len()));
    }
    // Structure first: what is nested too deep is not shown to the validator.
    let outline = Outline::read(bytes)?;
    let kind = outline.kind()?;
    Validator::new_with_features(features())
        .validate_all(bytes)
        .map_err(invalid)?;
    Ok(Checked {
        kind,
        imports: outline.imports,
    })
}

#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    runs: bool,
    runs_scripts: bool,
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Self, CheckError> {
        let mut outline = Self::default();
        let (mut depth, mut modules, mut functions) = (0_usize, 0_usize, 0_usize);
        let mut parser = Parser::new(0);
        parser.set_features(features());
        for payload in parser.parse_all(bytes) {
            match payload.map_err(invalid)? {
                Payload::Version { encoding, .. } => {
                    depth += 1;
                    at_most("levels of nesting", depth, NESTING_MAX)?;
                    if depth == 1 && encoding != Encoding::Component {
                        let text = "it is a core module".to_owned();
                        return Err(CheckError::NotAComponent(text));
                    }
                    if encoding == Encoding::Module {
                        modules += 1;
                        at_most("core modules", modules, MODULES_MAX)?;
                    }
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CodeSectionStart { count, .. } => {
                    functions =
                        functions.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
                    at_most("functions", functions, FUNCTIONS_MAX)?;
                }
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        let import = import.map_err(invalid)?;
                        let name = import.name.name;
                        // A type that a world names for itself: it brings nothing in.
                        if matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                            continue;
                        }
                        if !is_allowed(name) {
                            return Err(CheckError::ImportNotAllowed(quotable(name)));
                        }
                        outline.imports.push(name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        let export = export.map_err(invalid)?;
                        let is_function = export.kind == ComponentExternalKind::Func;
                        outline.runs |= is_function && export.name.name == "run";
                        outline.runs_scripts |= is_function && export.name.name == "run-script";
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn kind(&self) -> Result<Kind, CheckError> {
        match (self.runs, self.runs_scripts) {
            (true, false) => Ok(Kind::Tool),
            (false, true) => Ok(Kind::Language),
            _ => Err(CheckError::NoEntry),
        }
    }
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), CheckError> {
    if found > max {
        Err(CheckError::TooMany { what, max })
    } else {
        Ok(())
    }
}

/// A name of the component's author, on one line of bounded length.
fn quotable(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(QUOTED_MAX)
        .collect()
}

fn invalid(error: wasmparser::BinaryReaderError) -> CheckError {
    let text = format!("{} at byte {}", error.message(), error.offset());
    CheckError::NotAComponent(quotable(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Checked, CheckError> {
        check(&wat::parse_str(text).unwrap())
    }

    /// A tool that does nothing, with `more` in it.
    fn tool(more: &str) -> String {
        format!(
            r#"(component {more}
                (core module $m (func (export "run")))
                (core instance $i (instantiate $m))
                (func (export "run") (canon lift (core func $i "run"))))"#
        )
    }

    #[test]
    fn tools_and_languages_are_told_apart_by_their_export() {
        assert_eq!(checked(&tool("")).unwrap().kind(), Kind::Tool);
        let language = tool("").replace(
            "(func (export \"run\") (canon",
            "(func (export \"run-script\") (canon",
        );
        assert_eq!(checked(&language).unwrap().kind(), Kind::Language);
        assert_eq!(checked("(component)"), Err(CheckError::NoEntry));
        let both = r#"(component
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run")))
            (func (export "run-script") (canon lift (core func $i "run"))))"#;
        assert_eq!(checked(both), Err(CheckError::NoEntry));
    }

    #[test]
    fn an_import_that_is_not_on_the_list_is_refused_by_its_name() {
        let import = |name: &str| tool(&format!("(import \"{name}\" (instance))"));
        let good = checked(&import("wasi:io/poll@0.2.0")).unwrap();
        assert_eq!(good.imports(), ["wasi:io/poll@0.2.0"]);
        for name in [
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:keyvalue/store@0.2.0",
            "wasi:blobstore/container@0.2.0",
            "kekkai:session/data@0.9.0",
            "host",
        ] {
            let expected = Err(CheckError::ImportNotAllowed(name.to_owned()));
            assert_eq!(checked(&import(name)), expected);
        }
    }

    #[test]
    fn a_type_may_be_imported_but_no_resource() {
        let equal = "(type $t u32) (import \"t\" (type (eq $t)))";
        assert!(checked(&tool(equal)).unwrap().imports().is_empty());
        assert_eq!(
            checked(&tool("(import \"r\" (type (sub resource)))")),
            Err(CheckError::ImportNotAllowed("r".to_owned()))
        );
    }

    #[test]
    fn what_is_no_component_is_refused() {
        let core = wat::parse_str("(module)").unwrap();
        assert!(matches!(check(&core), Err(CheckError::NotAComponent(_))));
        for bytes in [&b""[..], b"\0asm", b"#!/bin/sh\n", &[0xff; 64]] {
            assert!(matches!(check(bytes), Err(CheckError::NotAComponent(_))));
        }
    }

    #[test]
    fn no_truncation_and_no_changed_byte_passes_as_something_else() {
        let bytes = wat::parse_str(tool("(import \"wasi:io/poll@0.2.0\" (instance))")).unwrap();
        let whole = check(&bytes).unwrap();
        for len in 0..bytes.len() {
            // What may be missing is the names at the end, which mean nothing.
            if let Ok(checked) = check(&bytes[..len]) {
                assert_eq!(checked, whole, "{len}");
            }
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Ok(checked) = check(&changed) {
                    assert!(checked.imports().iter().all(|name| is_allowed(name)));
                }
            }
        }
    }

    #[test]
    fn forbidden_webassembly_is_refused() {
        let with = |core: &str| tool(&format!("(core module $x {core})"));
        assert!(checked(&with("(memory 1)")).is_ok());
        for core in [
            "(memory i64 1)",
            "(memory 1 2 shared)",
            "(type (struct))",
            "(tag)",
        ] {
            assert!(
                matches!(checked(&with(core)), Err(CheckError::NotAComponent(_))),
                "{core}"
            );
        }
    }

    #[test]
    fn bombs_are_refused_before_they_are_validated() {
        let mut nested = "(component)".to_owned();
        for _ in 0..NESTING_MAX {
            nested = format!("(component {nested})");
        }
        assert!(matches!(checked(&nested), Err(CheckError::TooMany { .. })));
        let modules = "(core module)".repeat(MODULES_MAX + 1);
        assert!(matches!(
            checked(&tool(&modules)),
            Err(CheckError::TooMany { .. })
        ));
        // The control: one fewer, with the tool's own.
        let modules = "(core module)".repeat(MODULES_MAX - 1);
        assert!(checked(&tool(&modules)).is_ok());
        let large = vec![0; COMPONENT_MAX + 1];
        assert_eq!(check(&large), Err(CheckError::TooLarge(COMPONENT_MAX + 1)));
    }
}
