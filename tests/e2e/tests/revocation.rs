//! Whatever a session rests on can be withdrawn: new sessions are refused, the running one ends within
//! 5 s (issue 2, Shows 10).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use kekkai_demo::Admin;
use kekkai_e2e::{Answer, TestWorld, said, world};
use kekkai_policy_api::{
    EndAgreement, EndReason, Event, RemoveHandler, RevokeTerminal, WithdrawReference,
};
use kekkai_types::{AgreementId, PersonId, SessionId, TerminalId};

/// From the revocation to the end of the researcher's ssh.
const LIMIT: Duration = Duration::from_secs(5);

struct Running {
    ssh: Child,
    _input: ChildStdin,
    session: SessionId,
}

/// A session that waits for input; it is in the ledger when this returns.
async fn running(world: &TestWorld, who: &str) -> Running {
    let mut ssh = world
        .ssh_with(who, &Answer::Properly)
        .arg("127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = ssh.stdin.take().unwrap();
    let event = world
        .wait_for_event(
            "the session's launch",
            |event| matches!(event, Event::SessionOpened { person, .. } if person.as_str() == who),
        )
        .await;
    let Event::SessionOpened { session, .. } = event else {
        unreachable!()
    };
    world
        .wait_for_event(
            "the session's launch",
            |event| matches!(event, Event::SessionLaunched { session: s, .. } if *s == session),
        )
        .await;
    Running {
        ssh,
        _input: input,
        session,
    }
}

impl Running {
    /// Waits for the end and checks that it came in time and for the reason.
    async fn ends(mut self, world: &TestWorld, since: Instant, reason: EndReason) {
        while self.ssh.try_wait().unwrap().is_none() {
            if since.elapsed() > LIMIT * 3 {
                self.ssh.kill().unwrap();
                panic!("{reason:?}: the session still ran after {:?}", LIMIT * 3);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = since.elapsed();
        assert!(took < LIMIT, "{reason:?}: the session ended after {took:?}");
        println!("{reason:?}: over after {took:?}");
        let session = self.session.clone();
        let event = world
            .wait_for_event(
                "the session's end",
                |event| matches!(event, Event::SessionEnded { session: s, .. } if *s == session),
            )
            .await;
        let Event::SessionEnded {
            reason: recorded, ..
        } = event
        else {
            unreachable!()
        };
        assert_eq!(recorded, reason);
        drop(self._input);
        let text = self.ssh.wait_with_output().unwrap();
        assert!(
            !text.stderr.is_empty(),
            "the researcher was told nothing: {}",
            said(&text)
        );
    }
}

fn agreement() -> AgreementId {
    AgreementId::new("sample-2026").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_revocation_ends_its_sessions_within_5_s_and_bars_new_ones() {
    let world = world(4, false).await;
    let info = world.facts();
    let admin = Admin::connect(&info).unwrap();

    // Off the roster.
    let session = running(&world, "r1").await;
    let bystander = running(&world, "r4").await;
    let since = Instant::now();
    let person = PersonId::new("r1").unwrap();
    admin
        .policy
        .call(&RemoveHandler {
            agreement: agreement(),
            person,
        })
        .await
        .unwrap();
    session.ends(&world, since, EndReason::NotOnRoster).await;
    let refused = world.ssh("r1", "status");
    assert!(!refused.status.success(), "{}", said(&refused));

    // Terminal revoked.
    let session = running(&world, "r2").await;
    let since = Instant::now();
    let terminal = TerminalId::new("t-r2").unwrap();
    admin
        .policy
        .call(&RevokeTerminal { terminal })
        .await
        .unwrap();
    session
        .ends(&world, since, EndReason::TerminalNotAllowed)
        .await;
    let refused = world.ssh("r2", "status");
    assert!(!refused.status.success(), "{}", said(&refused));

    // Another person's revocations left this session alone: a check that cannot fail is none.
    let mut bystander = bystander;
    assert!(
        bystander.ssh.try_wait().unwrap().is_none(),
        "the bystander's session ended too"
    );
    bystander._input.write_all(b"exit\n").unwrap();
    bystander
        .ends(&world, Instant::now(), EndReason::ClosedByUser)
        .await;

    // Agreement ended: yoshida works under another one.
    let session = running(&world, "r3").await;
    let since = Instant::now();
    let call = EndAgreement {
        agreement: agreement(),
        reason: "test".to_owned(),
    };
    admin.policy.call(&call).await.unwrap();
    session.ends(&world, since, EndReason::AgreementEnded).await;
    let refused = world.ssh("r3", "status");
    assert!(!refused.status.success(), "{}", said(&refused));

    // Reference value withdrawn.
    let session = running(&world, "yoshida").await;
    let since = Instant::now();
    admin
        .policy
        .call(&WithdrawReference {
            reference: info.reference,
        })
        .await
        .unwrap();
    session
        .ends(&world, since, EndReason::ServerNotTrusted)
        .await;
    let refused = world.ssh("yoshida", "status");
    assert!(!refused.status.success(), "{}", said(&refused));
    world
        .wait_for_event("the refused key release", |event| {
            matches!(event, Event::KeysRefused { .. })
        })
        .await;
}
