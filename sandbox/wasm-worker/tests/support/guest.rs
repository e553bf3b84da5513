//! Guests, written in WebAssembly's text: what an author of attacks would write, without a compiler's help.

/// Imports of `kekkai:session`, and a few of WASI preview 1, which the adapter makes into WASI 0.2.
const IMPORTS: &str = r#"
    (import "kekkai:session/data@0.1.0" "schema" (func $schema (param i32)))
    (import "kekkai:session/data@0.1.0" "statistic"
        (func $statistic (param i32 i32 i32 i32 i32)))
    (import "kekkai:session/data@0.1.0" "query" (func $query (param i32 i32 i32 i32 i32)))
    (import "kekkai:session/data@0.1.0" "[method]rows.next" (func $next (param i32 i32)))
    (import "kekkai:session/data@0.1.0" "[resource-drop]rows" (func $drop (param i32)))
    (import "kekkai:session/output@0.1.0" "submit-text"
        (func $submit-text (param i32 i32 i32 i32 i32 i32 i32)))
    (import "kekkai:session/progress@0.1.0" "report" (func $report (param f64 i32 i32)))
    (import "kekkai:session/log@0.1.0" "write" (func $log (param i32 i32 i32)))
    (import "kekkai:session/args@0.1.0" "get" (func $args (param i32)))
    (import "kekkai:session/scratch@0.1.0" "write" (func $scratch (param i32 i32 i32 i32 i32)))
    (import "kekkai:session/scratch@0.1.0" "names" (func $names (param i32)))
"#;

/// Memory: 0 to 15 unused; 16: the answer of `run`, which is `ok` while it is zero; 64: where the host writes
/// its answers; 1024: strings; from 64 KiB: what `cabi_realloc` gives out, never taken back but by `$reset`.
const BASE: &str = r#"
    (memory (export "memory") 2)
    (global $heap (mut i32) (i32.const 65536))
    (func $reset (global.set $heap (i32.const 65536)))
    (func $realloc (export "cabi_realloc")
        (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32) (local $end i32)
        (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
        (local.set $end (i32.add (local.get $at) (local.get $size)))
        (global.set $heap (local.get $end))
        (block $fits (loop $grow
            (br_if $fits (i32.le_u (local.get $end) (i32.mul (memory.size) (i32.const 65536))))
            (br_if $grow (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))
            unreachable))
        (local.get $at))
    (data (i32.const 1024) "SELECT x FROM t")
    (data (i32.const 1056) "title")
    (data (i32.const 1072) "hello")
    (data (i32.const 1088) "scratch")
    (func $open (result i32)
        (call $query (i32.const 1024) (i32.const 15) (i32.const 0) (i32.const 0) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (i32.load (i32.const 68)))
"#;

/// A tool whose `run` does `body`; `more` stands beside it.
pub(crate) fn tool(more: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {IMPORTS} {BASE} {more}
            (func (export "run") (result i32) (local $i i32) (local $n i64)
                {body}
                (i32.const 16)))"#
    );
    link(&text)
}

/// A whole module of one's own, with the imports above.
pub(crate) fn module(rest: &str) -> Vec<u8> {
    link(&format!("(module {IMPORTS} {rest})"))
}

/// A module with imports of WASI preview 1, too.
pub(crate) fn wasi_tool(imports: &str, more: &str, body: &str) -> Vec<u8> {
    link(&format!(
        r#"(module {imports} {IMPORTS} {BASE} {more}
            (func (export "run") (result i32) (local $i i32) (local $n i64)
                {body}
                (i32.const 16)))"#
    ))
}

fn link(text: &str) -> Vec<u8> {
    let module = wat::parse_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    kekkai_tool_link::link(&module).unwrap_or_else(|e| panic!("{e:?}"))
}

/// A program that does everything right: it says hello and submits a text.
pub(crate) fn good() -> Vec<u8> {
    tool(
        "",
        r#"(call $log (i32.const 0) (i32.const 1072) (i32.const 5))
           (call $submit-text (i32.const 1056) (i32.const 5) (i32.const 1072) (i32.const 5)
               (i32.const 1072) (i32.const 5) (i32.const 64))
           (if (i32.load8_u (i32.const 64)) (then unreachable))"#,
    )
}

/// Reads a query's rows to their end and logs nothing; traps where they fail.
pub(crate) const READ_ALL: &str = r#"
    (local.set $i (call $open))
    (block $end (loop $more
        (call $reset)
        (call $next (local.get $i) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (br_if $end (i32.eqz (i32.load8_u (i32.const 68))))
        (local.set $n (i64.add (local.get $n) (i64.extend_i32_u (i32.load (i32.const 76)))))
        (br $more)))
    (call $drop (local.get $i))"#;
