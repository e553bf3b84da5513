//! Limits of the agreement, met by scripts through the whole enclave: each says which limit, how large it
//! is, and whom to ask for more (issue 4, Shows 6). Time, tables, instances and the stack are met in
//! `sandbox/wasm-worker/tests/attacks.rs`, their words are shown in `gateway/console`.

use kekkai_e2e::said;
use kekkai_policy_api::Event;

use super::{typed, world};

/// What a script does, the outcome in the ledger, what the person reads.
const CASES: [(&str, &str, [&str; 2]); 5] = [
    (
        "kept = []\nwhile True:\n    kept.append(bytearray(16 * 1024 * 1024))\n",
        "failed: memory-limit",
        ["1024 MiB", "memory_limit_mib"],
    ),
    (
        "import kekkai\nfor n in range(30):\n    kekkai.submit_text(f'note {n}', 'a test', f'words {n}')\n",
        "failed: outputs-limit",
        ["20", "outputs_max"],
    ),
    (
        "import kekkai\nkekkai.submit_text('a note', 'a test', 'word ' * 100_000)\n",
        "failed: output-size-limit",
        ["256 KiB", "output_kib_max"],
    ),
    (
        "import kekkai\nkekkai.scratch['x'] = bytes(17 * 1024 * 1024)\n",
        "failed: scratch-limit",
        ["16384 KiB", "scratch_kib_max"],
    ),
    (
        "for n in range(40_000):\n    print('a line of more than forty characters,', n)\n",
        "done",
        ["dropped", "log_kib_max"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_agreement_say_which_and_how_to_ask_for_more() {
    let world = world(5, false).await;
    for (n, (script, outcome, parts)) in CASES.iter().enumerate() {
        let who = format!("r{}", n + 1);
        let output = typed(
            &world,
            &format!("{who}+sample-2026"),
            "run python -",
            script,
        );
        let text = said(&output);
        for part in parts {
            assert!(text.contains(part), "{part}: {}", tail(&text));
        }
        let recorded = world
            .events()
            .into_iter()
            .rev()
            .find_map(|event| match event {
                Event::RunEnded { outcome, .. } => Some(outcome),
                _ => None,
            });
        assert_eq!(recorded.as_deref(), Some(*outcome), "{}", tail(&text));
    }
}

fn tail(text: &str) -> &str {
    let from = text.len().saturating_sub(600);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at));
    from.map_or(text, |from| &text[from..])
}
