//! A program that makes sockets: it may import what makes them, since every C library does, and is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use support::{LIMITS, Script, Worker, artefact, on_runtime, run};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, Trap};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Ends well where the socket is refused with `access-denied`; traps where it is made.
fn making(kind: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (import "wasi:sockets/network@0.2.0" (instance $network
                (type $errors (enum "unknown" "access-denied" "not-supported" "invalid-argument"
                    "out-of-memory" "timeout" "concurrency-conflict" "not-in-progress"
                    "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
                    "address-in-use" "remote-unreachable" "connection-refused"
                    "connection-reset" "connection-aborted" "datagram-too-large"
                    "name-unresolvable" "temporary-resolver-failure"
                    "permanent-resolver-failure"))
                (export "error-code" (type (eq $errors)))
                (type $families (enum "ipv4" "ipv6"))
                (export "ip-address-family" (type (eq $families)))))
            (alias export $network "error-code" (type $error))
            (alias export $network "ip-address-family" (type $family))
            (import "wasi:sockets/{kind}@0.2.0" (instance $sockets
                (export "{kind}-socket" (type (sub resource)))))
            (alias export $sockets "{kind}-socket" (type $socket))
            (import "wasi:sockets/{kind}-create-socket@0.2.0" (instance $create
                (alias outer 1 $socket (type $s0)) (export "{kind}-socket" (type $s (eq $s0)))
                (alias outer 1 $error (type $e0)) (export "error-code" (type $e (eq $e0)))
                (alias outer 1 $family (type $f0)) (export "ip-address-family" (type $f (eq $f0)))
                (export "create-{kind}-socket" (func (param "address-family" $f)
                    (result (result (own $s) (error $e)))))))
            (core module $memory (memory (export "memory") 1))
            (core instance $m (instantiate $memory))
            (core func $make (canon lower (func $create "create-{kind}-socket")
                (memory (core memory $m "memory"))))
            (core module $tool
                (import "host" "make" (func $make (param i32 i32)))
                (import "host" "memory" (memory 1))
                (func (export "run") (result i32)
                    (call $make (i32.const 0) (i32.const 64))
                    ;; `err`, and its case 1.
                    (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))
                    (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))
                    (i32.const 16)))
            (core instance $t (instantiate $tool (with "host" (instance
                (export "make" (func $make)) (export "memory" (memory $m "memory"))))))
            (func (export "run") (result (result (error string)))
                (canon lift (core func $t "run") (memory (core memory $m "memory")))))"#
    );
    wat::parse_str(&text).unwrap_or_else(|e| panic!("{e}"))
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// The control: the same program under a host that has a network.
async fn with_a_network(program: &[u8]) -> wasmtime::Error {
    let engine = Engine::default();
    let mut linker = Linker::<Host>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    let host = Host {
        wasi: WasiCtx::builder()
            .inherit_network()
            .allow_tcp(true)
            .allow_udp(true)
            .build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, host);
    let component = Component::new(&engine, program).unwrap();
    let instance = linker
        .instantiate_async(&mut store, &component)
        .await
        .unwrap();
    let run = instance
        .get_typed_func::<(), (Result<(), String>,)>(&mut store, "run")
        .unwrap();
    run.call_async(&mut store, ()).await.unwrap_err()
}

#[test]
fn a_program_makes_no_socket() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        for kind in ["tcp", "udp"] {
            let program = making(kind);
            let outcome = worker
                .run(&artefact(&program), run(LIMITS), &Script::default())
                .await;
            assert_eq!(outcome.expect(kind).ended, Ok(()), "{kind}");
            let trap = with_a_network(&program).await;
            let trap = trap.downcast_ref::<Trap>();
            assert_eq!(trap, Some(&Trap::UnreachableCodeReached), "{kind}: made");
        }
    });
}
