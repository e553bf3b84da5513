//! One byte changed in what was measured: no session launches, and the message says which measurement
//! (issue 2, Shows 7).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::{Path, PathBuf};

use kekkai_demo::Kind;
use kekkai_e2e::{TestWorld, said, world};
use kekkai_policy_api::Event;

/// Reasons for which keys were refused, in order.
fn refusals(world: &TestWorld) -> Vec<String> {
    world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::KeysRefused { reason, .. } => Some(reason),
            _ => None,
        })
        .collect()
}

/// Writes `bytes` at `path` as a file of its own: the build's file behind a link stays as it is.
fn replace(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// A byte that changes nothing in how the program runs: in the last text of a binary's comment
/// section, or a space at the end of a configuration.
fn changed(path: &Path, original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    if path.extension().is_some_and(|e| e == "toml") {
        bytes.push(b'\n');
    } else {
        // Section names lie near the end of an ELF file; the loader doesn't look at them.
        let needle = b".comment";
        let at = bytes
            .windows(needle.len())
            .rposition(|w| w == needle)
            .expect("an ELF file");
        bytes[at + 1] ^= 1;
    }
    assert_ne!(bytes, original);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_byte_launches_no_session_and_is_named() {
    let world = world(8, false).await;
    let dir = world.dir().to_owned();
    let control = world.ssh("r1", "status");
    assert!(control.status.success(), "the control: {}", said(&control));

    let cases: [(&str, PathBuf); 3] = [
        (
            "kekkai-sql-worker",
            dir.join("analysis/bin/kekkai-sql-worker"),
        ),
        ("analysis.toml", dir.join("analysis/analysis.toml")),
        ("kekkai-analysis", dir.join("analysis/bin/kekkai-analysis")),
    ];
    let mut person = 2;
    for (name, path) in &cases {
        let original = std::fs::read(path).unwrap();
        let before = refusals(&world).len();

        // While the server runs …
        replace(path, &changed(path, &original));
        let output = world.ssh(&format!("r{person}"), "status");
        assert!(
            !output.status.success(),
            "{name}, changed while running: {}",
            said(&output)
        );
        let text = said(&output);
        assert!(text.contains(name), "the message names \"{name}\": {text}");

        // … and when it starts with the changed file.
        world.stop_daemon(Kind::Analysis).unwrap();
        world.start_daemon(Kind::Analysis).unwrap();
        let output = world.ssh(&format!("r{}", person + 1), "status");
        assert!(
            !output.status.success(),
            "{name}, changed before the start: {}",
            said(&output)
        );
        let text = said(&output);
        assert!(text.contains(name), "the message names \"{name}\": {text}");

        let reasons = refusals(&world);
        assert!(reasons.len() >= before + 2, "{reasons:?}");
        for reason in &reasons[before..] {
            assert!(
                reason.contains(name),
                "the ledger names \"{name}\": {reason}"
            );
        }

        // The original again: after a restart sessions launch.
        replace(path, &original);
        world.stop_daemon(Kind::Analysis).unwrap();
        world.start_daemon(Kind::Analysis).unwrap();
        person += 2;
    }
    let output = world.ssh("r8", "status");
    assert!(
        output.status.success(),
        "the original files: {}",
        said(&output)
    );
}
