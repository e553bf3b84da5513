//! The jailed compiler, and artefacts that are not what it made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use kekkai_analysis_api::RunErrorCode as Code;
use kekkai_wasm_worker::{PROGRAMS_MAX, config};
use support::guest::{good, tool};
use support::{LIMITS, Script, Worker, artefact, compile, on_runtime, run, sealed};
use wasmtime::{Engine, ModuleVersionStrategy};

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// The smallest tool, with `more` in it.
fn with(more: &str) -> Vec<u8> {
    component(&format!(
        r#"(component {more}
            (core module $m (memory (export "memory") 1)
                (func (export "run") (result i32) (i32.const 16)))
            (core instance $i (instantiate $m))
            (func (export "run") (result (result (error string)))
                (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#
    ))
}

/// The same, with the import that it is refused for.
fn importing(name: &str) -> Vec<u8> {
    with(&format!("(import \"{name}\" (instance))"))
}

#[test]
fn jailed_compiler_makes_what_the_jailed_worker_runs() {
    on_runtime(async {
        let made = compile(&good(), false).await.unwrap().unwrap();
        let mut worker = Worker::start().await;
        for _ in 0..3 {
            let outcome = worker.run(&made, run(LIMITS), &Script::default()).await;
            let outcome = outcome.unwrap();
            assert_eq!(
                (outcome.ended.clone(), outcome.text()),
                (Ok(()), "hello".to_owned())
            );
        }
    });
}

#[test]
fn what_is_no_program_is_refused_with_its_reason() {
    on_runtime(async {
        let good = good();
        let mut flipped = good.clone();
        flipped[9] ^= 0x40;
        for (name, bytes, code, says) in [
            ("nothing", Vec::new(), Code::NotAComponent, ""),
            (
                "a core module",
                component("(module)"),
                Code::NotAComponent,
                "core module",
            ),
            ("noise", vec![0x5a; 10_000], Code::NotAComponent, ""),
            (
                "half of a component",
                good[..good.len() / 2].to_vec(),
                Code::NotAComponent,
                "",
            ),
            ("a changed byte", flipped, Code::NotAComponent, ""),
            (
                "no entry",
                component("(component)"),
                Code::NotAComponent,
                "run",
            ),
            (
                "shared memory",
                with("(core module (memory 1 2 shared))"),
                Code::NotAComponent,
                "",
            ),
            (
                "64-bit memory",
                with("(core module (memory i64 1))"),
                Code::NotAComponent,
                "",
            ),
            (
                "HTTP",
                importing("wasi:http/outgoing-handler@0.2.0"),
                Code::ImportNotAllowed,
                "http",
            ),
            (
                "key-value",
                importing("wasi:keyvalue/store@0.2.0"),
                Code::ImportNotAllowed,
                "keyvalue",
            ),
            (
                "another WASI",
                importing("wasi:io/poll@0.3.0"),
                Code::ImportNotAllowed,
                "0.3.0",
            ),
            (
                "another Kekkai",
                importing("kekkai:session/data@0.2.0"),
                Code::ImportNotAllowed,
                "0.2.0",
            ),
            (
                "a name of its own",
                importing("host"),
                Code::ImportNotAllowed,
                "host",
            ),
        ] {
            let error = compile(&bytes, false).await.expect(name).unwrap_err();
            assert_eq!(error.code, code, "{name}: {error:?}");
            assert!(error.name.contains(says), "{name}: {error:?}");
        }
        let error = compile(&good, true).await.unwrap().unwrap_err();
        assert_eq!(error.code, Code::NotAComponent, "a tool is no language");
        // The controls: an allowed import, and the whole component.
        for bytes in [importing("wasi:io/poll@0.2.0"), good] {
            assert!(compile(&bytes, false).await.unwrap().is_ok());
        }
    });
}

#[test]
fn bombs_are_refused_or_compiled_within_bounds() {
    on_runtime(async {
        let nested = (0..20).fold("(component)".to_owned(), |inner, _| {
            format!("(component {inner})")
        });
        let functions = |count: usize| with(&format!("(core module {})", "(func)".repeat(count)));
        let types = (0..9).fold("(type $t0 u8)".to_owned(), |all, i| {
            let eight = format!("$t{i} ").repeat(8);
            format!("{all} (type $t{} (tuple {eight}))", i + 1)
        });
        for (name, bytes) in [
            ("components within components", with(&nested)),
            ("functions", functions(250_001)),
            ("modules", with(&"(core module)".repeat(1_000))),
            ("types that double", with(&types)),
            (
                "locals",
                with(&format!(
                    "(core module (func (local {})))",
                    "i64 ".repeat(60_000)
                )),
            ),
        ] {
            let error = compile(&bytes, false).await.expect(name).unwrap_err();
            assert_eq!(error.code, Code::NotAComponent, "{name}: {error:?}");
        }
        let deep = format!("{}{}", "(block ".repeat(5_000), ")".repeat(5_000));
        let locals = format!("(func (local {}))", "i64 ".repeat(40_000)).repeat(50);
        for (name, bytes) in [
            ("some functions", functions(20_000)),
            (
                "data",
                with(&format!(
                    "(core module (memory 1000) (data (i32.const 0) \"{}\"))",
                    "x".repeat(4_000_000)
                )),
            ),
            (
                "blocks within blocks",
                with(&format!("(core module (func {deep}))")),
            ),
            ("many locals", with(&format!("(core module {locals})"))),
        ] {
            // Whether it compiles or dies of its bounds: the next one is another process.
            let _ = compile(&bytes, false).await;
            assert!(
                compile(&good(), false).await.unwrap().is_ok(),
                "after: {name}"
            );
        }
    });
}

/// A copy with some bytes changed.
fn forged(artefact: &OwnedFd, change: impl FnOnce(&mut Vec<u8>)) -> OwnedFd {
    let file = File::from(artefact.try_clone().unwrap());
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0).unwrap();
    change(&mut bytes);
    sealed(&bytes)
}

#[test]
fn an_artefact_of_another_version_or_configuration_is_refused() {
    on_runtime(async {
        let good_one = artefact(&good());
        let other = {
            let mut config = wasmtime::Config::new();
            config.wasm_component_model(true);
            let engine = Engine::new(&config).unwrap();
            sealed(&engine.precompile_component(&good()).unwrap())
        };
        let other_version = {
            let mut config = config::compiler();
            config
                .module_version(ModuleVersionStrategy::Custom("47".to_owned()))
                .unwrap();
            let engine = Engine::new(&config).unwrap();
            sealed(&engine.precompile_component(&good()).unwrap())
        };
        let mut unsealed = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut unsealed, b"not sealed").unwrap();
        let mut worker = Worker::start().await;
        for (name, artefact) in [
            ("another configuration", other),
            ("nothing", sealed(b"")),
            ("noise", sealed(&[0x5a; 8_192])),
            ("the component itself", sealed(&good())),
            ("a file that can change", unsealed.into()),
            ("another version", other_version),
            ("no ELF file", forged(&good_one, |bytes| bytes[0] ^= 1)),
            (
                "half of it",
                forged(&good_one, |bytes| bytes.truncate(bytes.len() / 2)),
            ),
        ] {
            let outcome = worker.run(&artefact, run(LIMITS), &Script::default()).await;
            let error = outcome.expect(name).ended.expect_err(name);
            assert_eq!(
                (error.code, error.name.as_str()),
                (Code::Internal, "artefact"),
                "{name}"
            );
        }
        let outcome = worker.run(&good_one, run(LIMITS), &Script::default()).await;
        assert_eq!(outcome.unwrap().ended, Ok(()));
    });
}

/// The broker's HMAC keeps such an artefact from ever coming here. If it came: it is contained.
#[test]
fn a_changed_byte_in_an_artefact_harms_its_own_process_only() {
    on_runtime(async {
        let good_one = artefact(&good());
        let length = std::fs::File::from(good_one.try_clone().unwrap())
            .metadata()
            .unwrap()
            .len();
        let length = usize::try_from(length).unwrap();
        let mut died = 0;
        for sample in 0..24 {
            let at = sample * length / 24 + 7;
            let changed = forged(&good_one, |bytes| bytes[at.min(length - 1)] ^= 0x10);
            let mut worker = Worker::start().await;
            let script = Script::default();
            // Machine code that never ends is the watchdog's: here, the child is killed when dropped.
            let ran = worker.run(&changed, run(LIMITS), &script);
            match tokio::time::timeout(Duration::from_secs(5), ran).await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => died += 1,
            }
        }
        assert!(died < 24, "most bytes are not code");
        let mut worker = Worker::start().await;
        let outcome = worker.run(&good_one, run(LIMITS), &Script::default()).await;
        assert_eq!(outcome.unwrap().ended, Ok(()));
    });
}

#[test]
fn a_worker_loads_so_many_programs_and_no_more() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let made: Vec<OwnedFd> = {
            let one = artefact(&tool("", ""));
            (0..=PROGRAMS_MAX).map(|_| forged(&one, |_| ())).collect()
        };
        for artefact in &made[..PROGRAMS_MAX] {
            let outcome = worker.run(artefact, run(LIMITS), &Script::default()).await;
            assert_eq!(outcome.unwrap().ended, Ok(()));
        }
        let script = Script::default();
        let outcome = worker.run(&made[PROGRAMS_MAX], run(LIMITS), &script).await;
        assert_eq!(outcome.unwrap().code(), Some(Code::Internal));
        // One that is loaded already runs on.
        let outcome = worker.run(&made[0], run(LIMITS), &script).await;
        assert_eq!(outcome.unwrap().ended, Ok(()));
    });
}
