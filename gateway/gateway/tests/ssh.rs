//! Stock OpenSSH at the gateway's door. Needs `ssh`, `scp`, `sftp`, `ssh-keygen` (Debian: openssh-client).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::Stage;
use common::ssh::{Terminal, text};
use kekkai_policy_api::{EndReason, Event, Factor, SignInRefusal};

#[tokio::test(flavor = "multi_thread")]
async fn stock_ssh_signs_in_and_runs_a_command() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let terminal = Terminal::new(&stage, "t1");
    let run = terminal.ssh("sato+g1", &[], &["status"]);
    let output = run.sign_in(&stage, &mut sato).await.finish().await;
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    assert!(out.contains("g1") && out.contains("佐藤 花子"), "{out}");
    assert!(err.contains("EMULATED"), "{err}");

    let opened = stage.world.opened();
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].agreement.as_ref().unwrap().as_str(), "g1");
    assert_eq!(opened[0].factors, [Factor::Biometric, Factor::Token, Factor::Terminal]);
    assert_eq!(opened[0].address, "127.0.0.1");
    let accepted = stage
        .world
        .events()
        .iter()
        .filter(|e| matches!(e, Event::SignInAccepted { .. }))
        .count();
    assert_eq!(accepted, 1);
    wait_for(|| stage.world.closed().len() == 1).await;
    assert_eq!(stage.world.ended_at_analysis().len(), 1);
    assert_eq!(stage.refusals(), []);
}

async fn wait_for(mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it never holds");
}
