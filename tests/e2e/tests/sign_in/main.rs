//! Sign-in by stock OpenSSH at the real daemons: both factors let in, anything less is refused,
//! recorded with its reason, and counts (issue 2, Shows 2).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod client;
mod doors;
mod factors;

use std::path::PathBuf;
use std::process::Output;

use kekkai_demo::Kind;
use kekkai_demo::info::Person;
use kekkai_e2e::{TestWorld, said};
use kekkai_policy_api::{Event, SignInRefusal};

/// How long a connection code waits here, in seconds: a test that waits for its end takes as long.
const CODE_LIFE_S: u32 = 20;

/// Refusals of a person in the ledger, in order: the reason, and how many failures are counted.
fn refusals(world: &TestWorld, person: &str) -> Vec<(SignInRefusal, u32)> {
    let of_person = |event| match event {
        Event::SignInRefused {
            person: Some(who),
            reason,
            failures,
            ..
        } if who.as_str() == person => Some((reason, failures)),
        _ => None,
    };
    world.events().into_iter().filter_map(of_person).collect()
}

/// Refusals without a person: the terminal, if it is known, and the reason.
fn strangers(world: &TestWorld) -> Vec<(Option<String>, SignInRefusal)> {
    let of_nobody = |event| match event {
        Event::SignInRefused {
            person: None,
            terminal,
            reason,
            failures,
            ..
        } => {
            assert_eq!(failures, 0, "nobody has no account to charge");
            Some((terminal.map(|t| t.to_string()), reason))
        }
        _ => None,
    };
    world.events().into_iter().filter_map(of_nobody).collect()
}

/// How often a person was let in.
fn accepted(world: &TestWorld, who: &str) -> usize {
    let is =
        |e: &Event| matches!(e, Event::SignInAccepted { person, .. } if person.as_str() == who);
    world.events().iter().filter(|event| is(event)).count()
}

fn person(world: &TestWorld, name: &str) -> Person {
    world.facts().person(name).unwrap().clone()
}

/// The administration command, as kato.
fn administer(world: &TestWorld, subject: &[&str], rest: &[&str]) -> Output {
    let connect = world.dir().join("admin/kato.toml");
    let output = world
        .kekkai()
        .args(subject)
        .arg("--connect")
        .arg(connect)
        .args(rest)
        .output()
        .unwrap();
    assert!(output.status.success(), "{subject:?}: {}", said(&output));
    output
}

fn gateway_config(world: &TestWorld) -> PathBuf {
    world.facts().services["gateway"].config.clone()
}

/// Stops the gateway, changes its configuration, starts it again.
fn reconfigure(world: &TestWorld, change: impl FnOnce(String) -> String) {
    let path = gateway_config(world);
    let before = std::fs::read_to_string(&path).unwrap();
    let after = change(before.clone());
    assert_ne!(before, after, "the configuration didn't change");
    world.stop_daemon(Kind::Gateway).unwrap();
    std::fs::write(&path, after).unwrap();
    world.start_daemon(Kind::Gateway).unwrap();
}

/// A world whose connection codes wait for [`CODE_LIFE_S`].
async fn world_in_a_hurry(researchers: u32) -> TestWorld {
    let world = kekkai_e2e::world(researchers, false).await;
    reconfigure(&world, |text| {
        format!("{text}\n[limits]\ncode_life_s = {CODE_LIFE_S}\nlogin_grace_s = 60\n")
    });
    world
}
