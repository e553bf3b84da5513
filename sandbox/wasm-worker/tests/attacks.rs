//! Programs that attack from within WebAssembly, in the real jailed worker. Each has a control: the same
//! program within its limits, or the same call with what it may be called with, succeeds. After each the same
//! worker runs a good program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use kekkai_analysis_api::RunErrorCode as Code;
use kekkai_worker_api::RunLimits;
use support::guest::{READ_ALL, good, module, tool, wasi_tool};
use support::{Answer, LIMITS, Outcome, Script, Worker, artefact, on_runtime, run};

/// One attack: what it runs, how the broker behaves, how it ends.
struct Attack {
    name: &'static str,
    program: Vec<u8>,
    limits: RunLimits,
    script: Script,
    expected: Code,
    /// What the error's name says.
    says: &'static str,
}

/// The control of an attack.
struct Control {
    program: Vec<u8>,
    limits: RunLimits,
}

fn attack(name: &'static str, program: Vec<u8>, expected: Code, says: &'static str) -> Attack {
    Attack {
        name,
        program,
        limits: LIMITS,
        script: Script::default(),
        expected,
        says,
    }
}

impl Attack {
    fn limits(mut self, limits: RunLimits) -> Self {
        self.limits = limits;
        self
    }

    fn answered(mut self, answer: Answer) -> Self {
        self.script.answer = answer;
        self
    }

    /// Runs the attack and its control in one worker, and a good program after each.
    async fn against(self, worker: &mut Worker, control: Control) {
        let name = self.name;
        let outcome = worker
            .run(&artefact(&self.program), run(self.limits), &self.script)
            .await
            .unwrap_or_else(|| panic!("{name}: the worker died"));
        let error = outcome.ended.as_ref().expect_err(name);
        assert_eq!(error.code, self.expected, "{name}: {outcome:?}");
        assert!(error.name.contains(self.says), "{name}: {error:?}");
        runs_a_good_program(worker, name).await;
        let outcome = worker
            .run(
                &artefact(&control.program),
                run(control.limits),
                &self.script,
            )
            .await
            .unwrap_or_else(|| panic!("{name}: the worker died of the control"));
        assert_eq!(outcome.ended, Ok(()), "the control of: {name}");
    }
}

fn control(program: Vec<u8>) -> Control {
    Control {
        program,
        limits: LIMITS,
    }
}

async fn runs_a_good_program(worker: &mut Worker, after: &str) {
    let outcome = worker
        .run(&artefact(&good()), run(LIMITS), &Script::default())
        .await
        .unwrap_or_else(|| panic!("the worker died after: {after}"));
    assert_eq!(outcome.ended, Ok(()), "after: {after}");
    assert_eq!(outcome.text(), "hello", "after: {after}");
    assert_eq!(outcome.submitted.len(), 1, "after: {after}");
}

async fn ran(program: &[u8], limits: RunLimits, script: &Script) -> Outcome {
    let mut worker = Worker::start().await;
    let outcome = worker.run(&artefact(program), run(limits), script).await;
    let outcome = outcome.expect("the worker lives");
    runs_a_good_program(&mut worker, "it").await;
    outcome
}

const SHORT: RunLimits = RunLimits {
    time_limit_s: 1,
    ..LIMITS
};

fn counting(times: i64) -> String {
    format!(
        r#"(block $end (loop $again
            (br_if $end (i64.ge_u (local.get $n) (i64.const {times})))
            (local.set $n (i64.add (local.get $n) (i64.const 1)))
            (br $again)))"#
    )
}

#[test]
fn programs_that_never_end_are_stopped_at_the_time_limit() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        attack(
            "endless loop",
            tool("", "(loop $l (br $l))"),
            Code::TimeLimit,
            "1 s",
        )
        .limits(SHORT)
        .against(&mut worker, control(tool("", &counting(1_000_000))))
        .await;
        let start = |body: &str| tool(&format!("(func $s (local $n i64) {body}) (start $s)"), "");
        attack(
            "endless loop in the start function",
            start("(loop $l (br $l))"),
            Code::TimeLimit,
            "1 s",
        )
        .limits(SHORT)
        .against(&mut worker, control(start(&counting(1_000_000))))
        .await;
        let realloc = |body: &str| {
            module(&format!(
                r#"(memory (export "memory") 2)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    {body} (i32.const 65536))
                (func (export "run") (result i32) (call $args (i32.const 64)) (i32.const 16))"#
            ))
        };
        attack(
            "endless loop in realloc",
            realloc("(loop $l (br $l))"),
            Code::TimeLimit,
            "1 s",
        )
        .limits(SHORT)
        .against(&mut worker, control(realloc("")))
        .await;
        let recursion = r#"(func $a (call $b)) (func $b (local $n i64) (loop $l (br $l)))"#;
        attack(
            "endless loop deep in calls",
            tool(recursion, "(call $a)"),
            Code::TimeLimit,
            "1 s",
        )
        .limits(SHORT)
        .against(&mut worker, control(tool("(func $a)", "(call $a)")))
        .await;
        attack(
            "a query that is never answered",
            tool("", READ_ALL),
            Code::TimeLimit,
            "1 s",
        )
        .limits(SHORT)
        .answered(Answer::Silence)
        .against(&mut worker, control(good()))
        .await;
    });
}

const POLL: &str = r#"(import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))"#;

/// Sleeps for so many nanoseconds: one subscription to the monotonic clock at 2048.
fn sleeping(nanoseconds: u64) -> String {
    format!(
        r#"(i64.store (i32.const 2048) (i64.const 7))
        (i32.store8 (i32.const 2056) (i32.const 0))
        (i32.store (i32.const 2064) (i32.const 1))
        (i64.store (i32.const 2072) (i64.const {nanoseconds}))
        (i64.store (i32.const 2080) (i64.const 0))
        (i32.store16 (i32.const 2088) (i32.const 0))
        (drop (call $poll (i32.const 2048) (i32.const 2304) (i32.const 1) (i32.const 2560)))"#
    )
}

#[test]
fn programs_that_sleep_are_stopped_at_the_time_limit() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let forever = wasi_tool(POLL, "", &sleeping(u64::MAX / 4));
        attack("sleeping for ever", forever, Code::TimeLimit, "1 s")
            .limits(SHORT)
            .against(
                &mut worker,
                control(wasi_tool(POLL, "", &sleeping(1_000_000))),
            )
            .await;
    });
}

#[test]
fn cancelling_stops_a_program_wherever_it_is() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let script = Script {
            cancel_after: Some(Duration::from_millis(200)),
            answer: Answer::Silence,
            accepts: false,
        };
        for (name, program) in [
            ("computing", tool("", "(loop $l (br $l))")),
            ("sleeping", wasi_tool(POLL, "", &sleeping(u64::MAX / 4))),
            ("waiting for rows", tool("", READ_ALL)),
            ("waiting for a submission", good()),
        ] {
            let outcome = worker
                .run(&artefact(&program), run(LIMITS), &script)
                .await
                .unwrap_or_else(|| panic!("{name}: the worker died"));
            let error = outcome.ended.unwrap_err();
            assert_eq!(
                (error.code, error.name.as_str()),
                (Code::Failed, "cancelled"),
                "{name}"
            );
            assert!(
                outcome.took < Duration::from_secs(2),
                "{name}: {:?}",
                outcome.took
            );
            runs_a_good_program(&mut worker, name).await;
        }
    });
}

#[test]
fn memory_beyond_the_limit_is_refused() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let grow = |pages: u32| {
            let text = format!(
                "(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))"
            );
            tool("", &text)
        };
        attack("growing at once", grow(2_000), Code::MemoryLimit, "64 MiB")
            .against(&mut worker, control(grow(500)))
            .await;
        let page_by_page = r#"(loop $l
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
            (i32.store (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536)) (i32.const 1))
            (br $l))"#;
        attack(
            "growing page by page",
            tool("", page_by_page),
            Code::MemoryLimit,
            "64 MiB",
        )
        .against(&mut worker, control(grow(1)))
        .await;
        let born = |pages: u32| {
            module(&format!(
                r#"(memory (export "memory") {pages})
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "run") (result i32) (i32.const 16))"#
            ))
        };
        attack("born too large", born(1_025), Code::MemoryLimit, "64 MiB")
            .against(&mut worker, control(born(1_000)))
            .await;
    });
}

#[test]
fn tables_beyond_the_limit_are_refused() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let grow = |by: u32| {
            tool(
                "(table $t 10 funcref)",
                &format!(
                    "(if (i32.eq (table.grow $t (ref.null func) (i32.const {by})) (i32.const -1))
                        (then unreachable))"
                ),
            )
        };
        attack("growing a table", grow(10_000), Code::TableLimit, "10000")
            .against(&mut worker, control(grow(9_000)))
            .await;
        let born = |elements: u32| tool(&format!("(table $t {elements} funcref)"), "");
        attack(
            "a table born too large",
            born(20_000),
            Code::TableLimit,
            "10000",
        )
        .against(&mut worker, control(born(9_000)))
        .await;
        let many = |tables: usize| tool(&"(table 1000 funcref)".repeat(tables), "");
        attack("many tables", many(30), Code::TableLimit, "10000")
            .against(&mut worker, control(many(5)))
            .await;
    });
}

#[test]
fn deep_recursion_ends_the_program_only() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let deep = |times: i32| {
            tool(
                r#"(func $f (param i32) (result i32)
                    (if (result i32) (local.get 0)
                        (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
                        (else (i32.const 0))))"#,
                &format!("(drop (call $f (i32.const {times})))"),
            )
        };
        attack(
            "recursion without end",
            deep(-1),
            Code::StackLimit,
            "4096 KiB",
        )
        .against(&mut worker, control(deep(10_000)))
        .await;
    });
}

#[test]
fn many_instances_are_refused() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let many = |instances: usize| {
            let all: String = (0..instances)
                .map(|i| format!("(core instance $i{i} (instantiate $m))"))
                .collect();
            wat::parse_str(format!(
                r#"(component
                    (core module $m
                        (memory (export "memory") 0)
                        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                        (func (export "run") (result i32) (i32.const 0)))
                    (core module $n
                        (memory (export "memory") 1)
                        (func (export "run") (result i32) (i32.const 16)))
                    (core module $e)
                    {}
                    (core instance $i (instantiate $n))
                    (func (export "run") (result (result (error string)))
                        (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#,
                all.replace("$m", "$e")
            ))
            .unwrap()
        };
        attack("many instances", many(50), Code::InstanceLimit, "20")
            .against(&mut worker, control(many(15)))
            .await;
        let memories = |count: usize| {
            let all: String = (0..count)
                .map(|i| format!("(core instance $i{i} (instantiate $m))"))
                .collect();
            wat::parse_str(format!(
                r#"(component
                    (core module $m (memory (export "memory") 1)
                        (func (export "run") (result i32) (i32.const 16)))
                    {all}
                    (core instance $i (instantiate $m))
                    (func (export "run") (result (result (error string)))
                        (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#
            ))
            .unwrap()
        };
        attack(
            "many memories",
            memories(10),
            Code::MemoryLimit,
            "4 memories",
        )
        .against(&mut worker, control(memories(2)))
        .await;
    });
}

#[test]
fn what_webassembly_forbids_ends_the_program_only() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        for (name, more, body, says) in [
            (
                "reading out of bounds",
                "",
                "(drop (i32.load (i32.const -8)))",
                "out of bounds",
            ),
            (
                "writing out of bounds",
                "",
                "(i64.store (i32.const 0x7fffffff) (i64.const 1))",
                "out of bounds",
            ),
            (
                "dividing by zero",
                "",
                "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
                "divide by zero",
            ),
            ("giving up", "", "unreachable", "unreachable"),
            (
                "calling with a wrong type",
                "(type $t (func (param i64))) (func $g) (table 1 funcref) (elem (i32.const 0) $g)",
                "(call_indirect (type $t) (i64.const 1) (i32.const 0))",
                "type mismatch",
            ),
            (
                "calling nothing",
                "(type $t (func)) (table 1 funcref)",
                "(call_indirect (type $t) (i32.const 0))",
                "uninitialized",
            ),
            (
                "calling outside the table",
                "(type $t (func)) (table 1 funcref)",
                "(call_indirect (type $t) (i32.const 99))",
                "undefined element",
            ),
        ] {
            attack(name, tool(more, body), Code::Trap, says)
                .against(&mut worker, control(tool(more, "")))
                .await;
        }
    });
}

#[test]
fn pointers_that_lie_are_refused() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let log = |at: i64, len: i64| {
            tool(
                "",
                &format!("(call $log (i32.const 0) (i32.const {at}) (i32.const {len}))"),
            )
        };
        let good = || control(log(1072, 5));
        attack(
            "a string outside memory",
            log(131_000, 1_000_000),
            Code::Trap,
            "out of bounds",
        )
        .against(&mut worker, good())
        .await;
        attack(
            "a string around the end of memory",
            log(4_294_967_000, 4_294_967_000),
            Code::Trap,
            "",
        )
        .against(&mut worker, good())
        .await;
        let not_text = tool(
            "(data (i32.const 3000) \"\\ff\\fe\\80\")",
            "(call $log (i32.const 0) (i32.const 3000) (i32.const 3))",
        );
        attack("a string that is no text", not_text, Code::Trap, "utf-8")
            .against(&mut worker, good())
            .await;
        let kind = |kind: i32| {
            let body = format!("(call $log (i32.const {kind}) (i32.const 1072) (i32.const 5))");
            tool("", &body)
        };
        attack("an enum's case that isn't there", kind(7), Code::Trap, "")
            .against(&mut worker, control(kind(1)))
            .await;
        let unaligned = |at: i32| tool("", &format!("(call $args (i32.const {at}))"));
        attack(
            "an unaligned place for an answer",
            unaligned(65),
            Code::Trap,
            "",
        )
        .against(&mut worker, control(unaligned(64)))
        .await;
        attack(
            "a place for an answer outside memory",
            unaligned(1_000_000),
            Code::Trap,
            "out of bounds",
        )
        .against(&mut worker, control(unaligned(64)))
        .await;
        let realloc = |at: i32| {
            module(&format!(
                r#"(memory (export "memory") 2)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const {at}))
                (func (export "run") (result i32) (call $args (i32.const 64)) (i32.const 16))"#
            ))
        };
        attack(
            "realloc gives what isn't there",
            realloc(16_777_216),
            Code::Trap,
            "out of bounds",
        )
        .against(&mut worker, control(realloc(65_536)))
        .await;
    });
}

#[test]
fn calling_out_while_being_called_is_refused() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let realloc = |body: &str| {
            module(&format!(
                r#"(memory (export "memory") 2)
                (data (i32.const 1072) "hello")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    {body} (i32.const 65536))
                (func (export "run") (result i32) (call $args (i32.const 64)) (i32.const 16))"#
            ))
        };
        let inside = realloc("(call $log (i32.const 0) (i32.const 1072) (i32.const 5))");
        attack(
            "calling the host within realloc",
            inside,
            Code::Trap,
            "leave component",
        )
        .against(&mut worker, control(realloc("")))
        .await;
        let again = realloc("(call $args (i32.const 64))");
        attack(
            "the same call within itself",
            again,
            Code::Trap,
            "leave component",
        )
        .against(&mut worker, control(realloc("")))
        .await;
    });
}

#[test]
fn forged_handles_open_nothing() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let rows = || Answer::Whole(vec![1; 1_000]);
        let proper = || control(tool("", READ_ALL));
        for (name, body) in [
            (
                "a handle from nowhere",
                "(call $next (i32.const 5) (i32.const 64))",
            ),
            ("handle 0", "(call $next (i32.const 0) (i32.const 64))"),
            (
                "a handle of -1",
                "(call $next (i32.const -1) (i32.const 64))",
            ),
            ("dropping what isn't there", "(call $drop (i32.const 3))"),
            (
                "using what was dropped",
                "(local.set $i (call $open)) (call $drop (local.get $i))
                 (call $next (local.get $i) (i32.const 64))",
            ),
            (
                "dropping twice",
                "(local.set $i (call $open)) (call $drop (local.get $i)) (call $drop (local.get $i))",
            ),
            (
                "the neighbour of a handle",
                "(call $next (i32.add (call $open) (i32.const 1)) (i32.const 64))",
            ),
        ] {
            attack(name, tool("", body), Code::Trap, "")
                .answered(rows())
                .against(&mut worker, proper())
                .await;
        }
    });
}

#[test]
fn a_storm_of_calls_is_stopped() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let times = |call: &str, n: i32| {
            let body = format!(
                "(local.set $i (i32.const {n}))
                 (loop $l (call $reset) {call}
                    (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
            );
            tool("", &body)
        };
        for (name, call) in [
            ("a storm of schema", "(call $schema (i32.const 64))"),
            ("a storm of names", "(call $names (i32.const 64))"),
            ("a storm of arguments", "(call $args (i32.const 64))"),
        ] {
            attack(name, times(call, -1), Code::CallsLimit, "10000/s")
                .against(&mut worker, control(times(call, 100)))
                .await;
        }
        // A query makes a round trip: the broker is asked as often as it answers, until time is up.
        let query = "(call $query (i32.const 1024) (i32.const 15) (i32.const 0) (i32.const 0)
            (i32.const 64))";
        let flood = artefact(&times(query, -1));
        let outcome = worker.run(&flood, run(SHORT), &Script::default()).await;
        let outcome = outcome.expect("a flood of queries");
        assert!(matches!(
            outcome.code(),
            Some(Code::TimeLimit | Code::CallsLimit)
        ));
        assert!(outcome.queries.len() > 100);
        runs_a_good_program(&mut worker, "a flood of queries").await;
        // The person sees at most four reports a second, the last among them.
        let report = "(call $report (f64.const 0.5) (i32.const 1072) (i32.const 5))";
        let storm = artefact(&times(report, 20_000));
        let outcome = worker.run(&storm, run(LIMITS), &Script::default()).await;
        let outcome = outcome.expect("a storm of progress");
        assert_eq!(outcome.ended, Ok(()));
        let seconds = usize::try_from(outcome.took.as_secs()).unwrap() + 1;
        let shown = outcome.progress.len();
        assert!((2..=4 * seconds + 1).contains(&shown), "{shown}");
        runs_a_good_program(&mut worker, "a storm of progress").await;
    });
}

#[test]
fn a_flood_of_lines_is_dropped_and_counted() {
    on_runtime(async {
        let printing = |times: i32| {
            let body = format!(
                "(local.set $i (i32.const {times}))
                 (loop $l (call $log (i32.const 0) (i32.const 1072) (i32.const 5))
                    (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
            );
            tool("", &body)
        };
        let outcome = ran(&printing(1_000_000), LIMITS, &Script::default()).await;
        assert_eq!(outcome.ended, Ok(()));
        let bytes: usize = outcome.lines.iter().map(|(_, line)| line.len() + 1).sum();
        assert!(bytes <= 64 * 1024, "{bytes}");
        let lines = u64::try_from(outcome.lines.len()).unwrap();
        assert_eq!(lines + outcome.dropped, 1_000_000);
        let outcome = ran(&printing(100), LIMITS, &Script::default()).await;
        assert_eq!((outcome.lines.len(), outcome.dropped), (100, 0));
    });
}

#[test]
fn outputs_beyond_the_limits_are_refused() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let submit =
            "(call $submit-text (i32.const 1056) (i32.const 5) (i32.const 1072) (i32.const 5)
            (i32.const 1072) (i32.const 5) (i32.const 64))";
        // The host's answer is what `run` says: an error with the failure's code as its text.
        let fail = "(if (i32.load8_u (i32.const 64)) (then
            (i32.store8 (i32.const 16) (i32.const 1))
            (i32.store (i32.const 20) (i32.load (i32.const 68)))
            (i32.store (i32.const 24) (i32.load (i32.const 72)))))";
        let many = |times: usize| tool("", &format!("{} {fail}", submit.repeat(times)));
        attack("too many outputs", many(4), Code::OutputsLimit, "3")
            .against(&mut worker, control(many(3)))
            .await;
        let large = |bytes: u32| {
            tool(
                "",
                &format!(
                    "(drop (memory.grow (i32.const 100)))
                     (memory.fill (i32.const 131072) (i32.const 97) (i32.const {bytes}))
                     (call $submit-text (i32.const 1056) (i32.const 5) (i32.const 1072) (i32.const 5)
                        (i32.const 131072) (i32.const {bytes}) (i32.const 64)) {fail}"
                ),
            )
        };
        attack(
            "an output too large",
            large(70_000),
            Code::OutputSizeLimit,
            "64 KiB",
        )
        .against(&mut worker, control(large(60_000)))
        .await;
        attack(
            "a text of megabytes",
            large(6_000_000),
            Code::OutputSizeLimit,
            "KiB",
        )
        .against(&mut worker, control(large(1_000)))
        .await;
    });
}

#[test]
fn the_scratch_is_bounded_and_gone_afterwards() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let fail = "(if (i32.load8_u (i32.const 64)) (then
            (i32.store8 (i32.const 16) (i32.const 1))
            (i32.store (i32.const 20) (i32.load (i32.const 68)))
            (i32.store (i32.const 24) (i32.load (i32.const 72)))))";
        let fill = |bytes: u32| {
            tool(
                "",
                &format!(
                    "(drop (memory.grow (i32.const 10)))
                     (call $scratch (i32.const 1088) (i32.const 7) (i32.const 0) (i32.const {bytes})
                        (i32.const 64)) {fail}"
                ),
            )
        };
        attack(
            "filling the scratch at once",
            fill(70_000),
            Code::ScratchLimit,
            "64 KiB",
        )
        .against(&mut worker, control(fill(60_000)))
        .await;
        // Names of their own, each empty: what a name costs counts.
        let names = |times: i32| {
            let body = format!(
                "(local.set $i (i32.const {times}))
                 (loop $l
                    (i32.store8 (i32.const 3000) (i32.add (i32.const 48) (i32.and (local.get $i) (i32.const 63))))
                    (i32.store8 (i32.const 3001) (i32.add (i32.const 48)
                        (i32.and (i32.shr_u (local.get $i) (i32.const 6)) (i32.const 63))))
                    (call $scratch (i32.const 3000) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 64))
                    (br_if $l (i32.and (i32.eqz (i32.load8_u (i32.const 64)))
                        (i32.ne (i32.const 0) (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))
                 {fail}"
            );
            tool("", &body)
        };
        attack(
            "many empty names",
            names(4_000),
            Code::ScratchLimit,
            "64 KiB",
        )
        .against(&mut worker, control(names(10)))
        .await;
        // What a run kept, the next does not see.
        let empty = tool(
            "",
            "(call $names (i32.const 64)) (if (i32.load (i32.const 68)) (then unreachable))",
        );
        let program = fill(60_000);
        let kept = worker
            .run(&artefact(&program), run(LIMITS), &Script::default())
            .await;
        assert_eq!(kept.unwrap().ended, Ok(()));
        let next = worker
            .run(&artefact(&empty), run(LIMITS), &Script::default())
            .await;
        assert_eq!(next.unwrap().ended, Ok(()));
    });
}

#[test]
fn rows_are_whole_only_when_the_broker_says_so() {
    on_runtime(async {
        let mut worker = Worker::start().await;
        let bytes = vec![7; 9_000_000];
        let script = |answer| Script {
            answer,
            ..Script::default()
        };
        let reading = artefact(&tool("", READ_ALL));
        let whole = script(Answer::Whole(bytes.clone()));
        let outcome = worker.run(&reading, run(LIMITS), &whole).await.unwrap();
        assert_eq!(outcome.ended, Ok(()));
        // The same bytes, and then a failure: the program hears of it and traps.
        let broken = script(Answer::Broken(bytes));
        let outcome = worker.run(&reading, run(LIMITS), &broken).await.unwrap();
        assert_eq!(outcome.code(), Some(Code::Trap));
        let early = artefact(&tool(
            "",
            "(local.set $i (call $open))
             (call $next (local.get $i) (i32.const 64))
             (call $drop (local.get $i))",
        ));
        let outcome = worker.run(&early, run(LIMITS), &whole).await.unwrap();
        assert_eq!((outcome.ended, outcome.rows_dropped.len()), (Ok(()), 1));
        // Two at once are refused.
        let two = artefact(&tool("", "(drop (call $open)) (drop (call $open))"));
        let outcome = worker.run(&two, run(LIMITS), &whole).await.unwrap();
        assert_eq!(
            (outcome.code(), outcome.queries.len()),
            (Some(Code::Trap), 1)
        );
        runs_a_good_program(&mut worker, "rows").await;
    });
}

#[test]
fn clocks_and_timers_go_in_steps() {
    on_runtime(async {
        // Looks at the clock until it changes, 20 times: each change is a whole step.
        let steps = r#"
            (func $now (result i64)
                (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 2048)))
                (i64.load (i32.const 2048)))
            (func $check (param $step i64) (local $i i32) (local $a i64) (local $b i64)
                (loop $more
                    (local.set $a (call $now))
                    (loop $same (br_if $same (i64.eq (local.get $a) (local.tee $b (call $now)))))
                    (if (i64.ne (i64.const 0)
                            (i64.rem_u (i64.sub (local.get $b) (local.get $a)) (local.get $step)))
                        (then unreachable))
                    (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                        (i32.const 20)))))"#;
        let program =
            |step: u64| wasi_tool(POLL, steps, &format!("(call $check (i64.const {step}))"));
        let outcome = ran(&program(10_000_000), LIMITS, &Script::default()).await;
        assert_eq!(outcome.ended, Ok(()));
        // The control: with a finer clock the same program sees finer steps.
        let fine = RunLimits {
            clock_ms: 1,
            ..LIMITS
        };
        let outcome = ran(&program(10_000_000), fine, &Script::default()).await;
        assert_eq!(outcome.code(), Some(Code::Trap));
        // A timer can't be used as a finer clock: it ends at a step.
        let nap = format!(
            r#"(local.set $n (call $now))
            {}
            (if (i64.lt_u (i64.sub (call $now) (local.get $n)) (i64.const 10000000)) (then unreachable))"#,
            sleeping(100_000)
        );
        let outcome = ran(&wasi_tool(POLL, steps, &nap), LIMITS, &Script::default()).await;
        assert_eq!(outcome.ended, Ok(()));
    });
}

#[test]
fn there_are_no_files_variables_or_sockets() {
    on_runtime(async {
        let imports = r#"
            (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $path-open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $args-sizes (param i32 i32) (result i32)))"#;
        let names = r#"(data (i32.const 3000) "etc/passwd")"#;
        for (name, body) in [
            (
                "variables",
                "(drop (call $environ (i32.const 2048) (i32.const 2052)))
                 (if (i32.load (i32.const 2048)) (then unreachable))",
            ),
            (
                "folders",
                "(if (i32.eqz (call $prestat (i32.const 3) (i32.const 2048))) (then unreachable))",
            ),
            (
                "opening by a forged folder",
                "(loop $l
                    (if (i32.eqz (call $path-open (local.get $i) (i32.const 0) (i32.const 3000)
                        (i32.const 10) (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0)
                        (i32.const 2048))) (then unreachable))
                    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                        (i32.const 32))))",
            ),
            (
                "input",
                "(i32.store (i32.const 2048) (i32.const 4096)) (i32.store (i32.const 2052) (i32.const 16))
                 (drop (call $read (i32.const 0) (i32.const 2048) (i32.const 1) (i32.const 2056)))
                 (if (i32.load (i32.const 2056)) (then unreachable))",
            ),
        ] {
            let outcome = ran(&wasi_tool(imports, names, body), LIMITS, &Script::default()).await;
            assert_eq!(outcome.ended, Ok(()), "{name}");
        }
        // The control: the same looking finds arguments, which there are.
        let found = "(drop (call $args-sizes (i32.const 2048) (i32.const 2052)))
            (if (i32.load (i32.const 2048)) (then unreachable))";
        let outcome = ran(
            &wasi_tool(imports, names, found),
            LIMITS,
            &Script::default(),
        )
        .await;
        assert_eq!(outcome.code(), Some(Code::Trap));
    });
}
