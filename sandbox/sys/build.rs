//! Compiles each list of system calls into filters: what is malformed stops the build, and a process that
//! enters its jail has nothing to parse.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

#[path = "src/seccomp"]
mod seccomp {
    #[allow(unreachable_pub, reason = "public in the crate")]
    pub(crate) mod list;
    pub(crate) mod numbers;

    /// Filters of a list, and how many system calls it allows.
    pub(crate) fn compile(
        text: &str,
    ) -> Result<(Vec<seccompiler::BpfProgram>, usize), list::ListError> {
        let list = list::parse(text, None)?;
        let allowed = list.allowed();
        Ok((list.compile()?, allowed))
    }
}

const KINDS: [&str; 5] = [
    "broker",
    "sql-worker",
    "wasm-worker",
    "wasm-compiler",
    "desktop",
];

fn main() -> Result<(), Box<dyn Error>> {
    // Numbers of system calls are those of the machine that builds.
    if std::env::var("HOST")? != std::env::var("TARGET")? {
        return Err("kekkai-sys must be built on the architecture that it runs on".into());
    }
    println!("cargo::rerun-if-changed=seccomp");
    println!("cargo::rerun-if-changed=src/seccomp");
    let mut text = String::new();
    for kind in KINDS {
        let list = std::fs::read_to_string(format!("seccomp/{kind}.list"))?;
        let (programs, allowed) = seccomp::compile(&list).map_err(|e| format!("{kind}: {e}"))?;
        let name = kind.replace('-', "_").to_uppercase();
        writeln!(
            text,
            "pub(super) const {name}: ([&[Instruction]; {}], usize) = ([",
            programs.len()
        )?;
        for program in programs {
            let instructions = program.iter().map(|i| (i.code, i.jt, i.jf, i.k));
            writeln!(text, "    &{:?},", instructions.collect::<Vec<_>>())?;
        }
        writeln!(text, "], {allowed});")?;
    }
    let out = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&out).join("filters.rs"), text)?;
    Ok(())
}
