//! People look for their token; a sign-in waits for them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::process::Stdio;

use kekkai_e2e::{Answer, said, world};

/// Longer than any keepalive of the gateway: OpenSSH hangs up on a global request before sign-in.
const SECONDS: u32 = 35;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_takes_long_to_find_the_token_still_signs_in() {
    let world = world(1, false).await;
    let script = format!(
        "sleep {SECONDS}\nexec \"$KEKKAI\" demo askpass --state \"$STATE\" --as \"$WHO\" -- \"$1\""
    );
    let output = world
        .ssh_with("r1", &Answer::Script(&script))
        .args(["127.0.0.1", "status"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}
