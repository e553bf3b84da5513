//! `kill -9` of each service at each step of the story, then a restart: no effect without its entry, no
//! entry lost, no half release, and the researcher is told (issue 2, Shows 11).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::process::Stdio;
use std::time::Duration;

use kekkai_demo::{Kind, fetch_release, sign_in, vote};
use kekkai_e2e::{Answer, TestWorld, said, world};
use kekkai_policy_api::Event;

/// Entries that a verified ledger held before may never be missing or different later.
struct Memory {
    seen: Vec<Event>,
}

impl Memory {
    fn grows(&mut self, world: &TestWorld, when: &str) {
        let now = world.events();
        assert!(now.len() >= self.seen.len(), "{when}: entries were lost");
        for (index, (before, after)) in self.seen.iter().zip(&now).enumerate() {
            assert_eq!(before, after, "{when}: entry {index} changed");
        }
        self.seen = now;
    }
}

/// Each release has two accepted votes of others on its digest, and what was submitted is that digest.
fn releases_are_whole(events: &[Event], when: &str) {
    for event in events {
        let Event::OutputReleased {
            output,
            digest,
            reviewers,
            ..
        } = event
        else {
            continue;
        };
        let votes = events.iter().filter(|e| {
            matches!(e, Event::OutputVoted { output: o, digest: d, accept: true, reviewer, .. }
                if o == output && d == digest && reviewers.contains(reviewer))
        });
        assert!(votes.count() >= 2, "{when}: a release without its votes");
        assert!(
            events.iter().any(|e| matches!(e, Event::OutputSubmitted { output: o, digest: d, .. } if o == output && d == digest)),
            "{when}: a release of something that was not submitted"
        );
    }
}

fn restart(world: &TestWorld, kind: Kind) {
    world.kill_daemon(kind).unwrap();
    world.start_daemon(kind).unwrap();
}

/// The console says something, in words, to somebody whose service went away under them.
fn killed_under_a_session(world: &TestWorld, who: &str, kind: Kind) {
    let mut ssh = world
        .ssh_with(who, &Answer::Properly)
        .arg("127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    let mut input = ssh.stdin.take().unwrap();
    input.write_all(b"status\n").unwrap();
    let opened = |world: &TestWorld| {
        let events = world.events();
        let session = events.iter().rev().find_map(|e| match e {
            Event::SessionOpened {
                person, session, ..
            } if person.as_str() == who => Some(session.clone()),
            _ => None,
        });
        session.is_some_and(|session| {
            events
                .iter()
                .any(|e| matches!(e, Event::SessionLaunched { session: s, .. } if *s == session))
        })
    };
    let start = std::time::Instant::now();
    while !opened(world) {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{who} has no session"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    world.kill_daemon(kind).unwrap();
    let _ = input.write_all(b"sql SELECT count(*) FROM patients;\n");
    let start = std::time::Instant::now();
    while ssh.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(15) {
            ssh.kill().unwrap();
            panic!("{kind:?}: the researcher's ssh hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(input);
    let output = ssh.wait_with_output().unwrap();
    assert!(
        !output.stderr.is_empty(),
        "{kind:?} died and the researcher was told nothing: {}",
        said(&output)
    );
    println!(
        "{kind:?} killed: {}",
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or_default()
    );
    world.start_daemon(kind).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_killed_at_each_step_leaves_nothing_half_done() {
    let world = world(6, false).await;
    let info = world.facts();
    let mut memory = Memory {
        seen: world.events(),
    };

    // Under a running session, each service in turn.
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        if kind == Kind::Review {
            // A session doesn't need it: submitting is the step below.
            continue;
        }
        killed_under_a_session(&world, &format!("r{}", n + 1), kind);
        memory.grows(&world, kind.name());
    }

    // Between submitting and the votes, between the votes, after the release.
    let submit = world.ssh_lines(
        "r5",
        "sql SELECT sex, count(*) AS n FROM patients GROUP BY sex;\nsubmit 1 --title \"t\" --purpose \"p\"\nexit\n",
    );
    assert!(submit.status.success(), "{}", said(&submit));
    let events = world.events();
    let output = events
        .iter()
        .rev()
        .find_map(|e| match e {
            Event::OutputSubmitted { output, .. } => Some(output.to_string()),
            _ => None,
        })
        .unwrap();
    for kind in [Kind::Review, Kind::Policy] {
        restart(&world, kind);
    }
    memory.grows(&world, "after submitting");
    let mut ito = sign_in(&info, info.person("ito").unwrap()).await.unwrap();
    vote(&mut ito, &output, true).await.unwrap();
    for kind in [Kind::Policy, Kind::Review] {
        restart(&world, kind);
        memory.grows(&world, "after the first vote");
        releases_are_whole(&memory.seen, "after the first vote");
    }

    // The second vote while the review service dies: repeatedly, at times that differ. Either the vote
    // counted and the release is whole, or it did not and can be given again.
    let mut watanabe = sign_in(&info, info.person("watanabe").unwrap())
        .await
        .unwrap();
    for delay_ms in [0_u64, 5, 20, 80, 160, 320] {
        let attempt = vote(&mut watanabe, &output, true);
        let killer = async {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            world.kill_daemon(Kind::Review).unwrap();
        };
        let (answer, ()) = tokio::join!(attempt, killer);
        world.start_daemon(Kind::Review).unwrap();
        memory.grows(&world, "killed in the second vote");
        releases_are_whole(&memory.seen, "killed in the second vote");
        println!(
            "killed after {delay_ms} ms: {}",
            if answer.is_ok() { "voted" } else { "no answer" }
        );
    }
    if !memory
        .seen
        .iter()
        .any(|e| matches!(e, Event::OutputReleased { .. }))
    {
        vote(&mut watanabe, &output, true).await.unwrap();
        memory.grows(&world, "the second vote");
    }
    let count = |events: &[Event]| {
        events
            .iter()
            .filter(|e| matches!(e, Event::OutputReleased { .. }))
            .count()
    };
    assert_eq!(count(&memory.seen), 1, "one release, once");
    restart(&world, Kind::Review);
    let mut takahashi = sign_in(&info, info.person("takahashi").unwrap())
        .await
        .unwrap();
    let bundle = fetch_release(&mut takahashi, &output).await.unwrap();
    let key = std::fs::read_to_string(&info.release_key)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let verified = kekkai_bundle::verify(&bundle.body, &key).unwrap();
    memory.grows(&world, "fetched");
    assert!(
        memory.seen.iter().any(
            |e| matches!(e, Event::OutputReleased { bundle, .. } if *bundle == verified.digest)
        )
    );

    // The gateway's browser sessions are in its memory: after a restart one signs in again.
    restart(&world, Kind::Gateway);
    assert!(fetch_release(&mut takahashi, &output).await.is_err());
    // Everything killed at once, and the story goes on.
    for kind in Kind::ALL {
        world.kill_daemon(kind).unwrap();
    }
    for kind in Kind::ALL {
        world.start_daemon(kind).unwrap();
    }
    let answer = world.ssh("r6", "sql SELECT count(*) FROM patients");
    assert!(answer.status.success(), "{}", said(&answer));
    memory.grows(&world, "everything restarted");
}
