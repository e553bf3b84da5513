//! Stock OpenSSH at the gateway's door: sign-in, console, sessions.
//! Needs `ssh` and `ssh-keygen` (Debian: openssh-client).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::ssh::{Terminal, text};
use common::{Stage, wait_for};
use kekkai_gateway_api::{LookUpAccount, Unlock};
use kekkai_policy_api::{EndReason, Event, Factor, SignInRefusal};
use kekkai_types::PersonId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
    assert_eq!(
        opened[0].factors,
        [Factor::Biometric, Factor::Token, Factor::Terminal]
    );
    assert_eq!(opened[0].address, "127.0.0.1");
    wait_for(|| stage.world.closed().len() == 1).await;
    assert_eq!(stage.world.ended_at_analysis().len(), 1);
    assert_eq!(stage.refusals(), []);
    // Record before effect: the sign-in stands before anything that it allows.
    let events = stage.world.events();
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::SignInAccepted { .. }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_may_come_after_the_answer_too() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut run = Terminal::new(&stage, "t1").ssh("sato", &[], &["status"]);
    let code = run.code().await;
    run.answer(&sato.next_code().await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.approve(&mut sato, "t1", &code).await, 200);
    assert_eq!(run.finish().await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_factor_alone_is_refused_recorded_and_counted() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let name = || Some("sato".to_owned());
    let terminal = Terminal::new(&stage, "t1");

    // The token alone.
    let mut run = terminal.ssh("sato", &[], &["status"]);
    run.code().await;
    let used = sato.next_code().await;
    run.answer(&used);
    assert_eq!(run.finish().await.status.code(), Some(255));
    assert_eq!(
        stage.refusals(),
        [(name(), SignInRefusal::ApprovalMissing, 1)]
    );

    // The finger alone.
    let mut run = terminal.ssh("sato", &[], &["status"]);
    let code = run.code().await;
    assert_eq!(stage.approve(&mut sato, "t1", &code).await, 200);
    run.answer("");
    assert_eq!(run.finish().await.status.code(), Some(255));
    assert_eq!(stage.refusals()[1], (name(), SignInRefusal::TokenWrong, 2));

    // A code that was shown already.
    let mut run = terminal.ssh("sato", &[], &["status"]);
    let code = run.code().await;
    assert_eq!(stage.approve(&mut sato, "t1", &code).await, 200);
    run.answer(&used);
    assert_eq!(run.finish().await.status.code(), Some(255));
    assert_eq!(
        stage.refusals()[2],
        (name(), SignInRefusal::TokenReplayed, 3)
    );
    assert!(stage.world.opened().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_connection_that_is_never_answered_counts() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut run = Terminal::new(&stage, "t1").ssh("sato", &[], &["status"]);
    let code = run.code().await;
    assert_eq!(stage.approve(&mut sato, "t1", &code).await, 200);
    run.child().kill().await.unwrap();
    wait_for(|| !stage.refusals().is_empty()).await;
    let name = Some("sato".to_owned());
    assert_eq!(stage.refusals(), [(name, SignInRefusal::TokenWrong, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_person_stays_out_until_staff_unlocks() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let terminal = Terminal::new(&stage, "t1");
    for _ in 0..5 {
        assert_eq!(stage.approve(&mut sato, "t1", "2222-2222").await, 403);
    }
    let person = PersonId::new("sato").unwrap();
    let locked = stage
        .world
        .events()
        .iter()
        .filter(|e| matches!(e, Event::AccountLocked { failures: 5, .. }))
        .count();
    assert_eq!(locked, 1);
    let admin = stage.admin("ono");
    let account = admin
        .call(&LookUpAccount {
            person: person.clone(),
        })
        .await
        .unwrap();
    assert!(account.locked && account.token && account.authenticators == 1);

    let mut run = terminal.ssh("sato", &[], &["status"]);
    let code = run.code().await;
    assert_eq!(stage.approve(&mut sato, "t1", &code).await, 403);
    run.answer(&sato.next_code().await);
    assert_eq!(run.finish().await.status.code(), Some(255));
    let last = stage.refusals().pop().unwrap();
    assert_eq!((last.1, last.2), (SignInRefusal::Locked, 5));

    // Not by anybody: the policy service decides.
    let other = stage
        .admin("kato")
        .call(&Unlock {
            person: person.clone(),
        })
        .await;
    assert!(other.is_err());
    admin
        .call(&Unlock {
            person: person.clone(),
        })
        .await
        .unwrap();
    let unlocked = Event::AccountUnlocked {
        person,
        by: PersonId::new("ono").unwrap(),
    };
    assert!(stage.world.events().contains(&unlocked));
    let run = terminal.ssh("sato", &[], &["status"]);
    let output = run.sign_in(&stage, &mut sato).await.finish().await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_is_asked_like_anybody_and_refused() {
    let stage = Stage::new().await;
    let sato = stage.enrol("sato").await;
    let terminal = Terminal::new(&stage, "t1");
    let mut prompts = Vec::new();
    let mut times = Vec::new();
    for name in ["sato", "zzzz"] {
        let mut run = terminal.ssh(name, &[], &["status"]);
        let code = run.code().await;
        prompts.push(
            run.prompt()
                .await
                .unwrap()
                .replace(&code, "CODE")
                .replace(name, "NAME"),
        );
        let begun = Instant::now();
        run.answer("123456");
        let output = run.finish().await;
        times.push(begun.elapsed());
        assert_eq!(output.status.code(), Some(255));
        prompts.push(text(&output.stderr).replace(name, "NAME"));
    }
    assert_eq!(prompts[0], prompts[2]);
    assert_eq!(prompts[1], prompts[3]);
    let difference = times[0].abs_diff(times[1]);
    assert!(difference < Duration::from_millis(400), "{times:?}");
    assert_eq!(stage.refusals()[1], (None, SignInRefusal::UnknownPerson, 0));
    drop(sato);

    // A terminal that nobody registered isn't asked at all.
    let unknown = Terminal::new(&stage, "t9");
    let mut run = unknown.ssh("sato", &[], &["status"]);
    assert_eq!(run.prompt().await, None);
    assert_eq!(
        stage.refusals().pop().unwrap(),
        (None, SignInRefusal::Terminal, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_nobody_gets_in() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut run = Terminal::new(&stage, "t1").ssh("sato", &[], &["status"]);
    let code = run.code().await;
    assert_eq!(stage.approve(&mut sato, "t1", &code).await, 200);
    stage.world.ledger_fails.store(true, Ordering::SeqCst);
    run.answer(&sato.next_code().await);
    assert_eq!(run.finish().await.status.code(), Some(255));
    assert!(stage.world.opened().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_session_says_why_in_the_persons_language() {
    let stage = Stage::new().await;
    let mut kato = stage.enrol("kato").await;
    let run = Terminal::new(&stage, "t1").ssh("kato", &[], &["status"]);
    let output = run.sign_in(&stage, &mut kato).await.finish().await;
    assert_eq!(output.status.code(), Some(1));
    let err = text(&output.stderr);
    assert!(
        err.contains("no session can be started") && err.contains("roster"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_give_their_exit_status() {
    let stage = Stage::new().await;
    let terminal = Terminal::new(&stage, "t1");
    let mut visitor = stage.enrol("visitor1").await;
    let control = stage.path("control");
    let control = format!("ControlPath={}", control.display());
    let mut master = terminal
        .ssh_with(
            "visitor1",
            &["-o", "ControlMaster=yes", "-o", &control],
            &[],
            Stdio::piped(),
        )
        .sign_in(&stage, &mut visitor)
        .await;
    let expected = [
        ("help", 0, "sql", ""),
        ("schema", 0, "", ""),
        (
            "sql SELECT sex, count(*) FROM patient GROUP BY sex",
            0,
            "",
            "",
        ),
        ("sql SELECT nonsense", 1, "", "nonsense"),
        ("jobs", 0, "", ""),
        ("submit 1 --title test", 0, "o1", ""),
        ("outputs", 0, "", ""),
        ("submit", 2, "", ""),
        ("lang fr", 2, "", ""),
        ("ls -la /", 1, "", "ls"),
    ];
    wait_for(|| stage.path("control").exists()).await;
    for (command, status, out, err) in expected {
        let run = terminal.ssh("visitor1", &["-o", &control], &[command]);
        let output = run.finish().await;
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(status),
            "{command}\n{stdout}\n{stderr}"
        );
        assert!(stdout.contains(out), "{command}: {stdout}");
        assert!(stderr.contains(err), "{command}: {stderr}");
    }
    assert_eq!(stage.world.opened().len(), 1, "one connection, one session");
    assert_eq!(stage.requests(), ["command ls -la /"]);
    master.child().kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn person_types_in_a_terminal() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let terminal = Terminal::new(&stage, "t1");
    let mut run = terminal
        .ssh_with("sato", &["-tt", "-o", "SendEnv=LANG"], &[], Stdio::piped())
        .sign_in(&stage, &mut sato)
        .await;
    let mut stdin = run.child().stdin.take().unwrap();
    let mut stdout = run.child().stdout.take().unwrap();
    let mut seen = String::new();
    let mut type_and_see = async |keys: &str, wanted: &str| {
        stdin.write_all(keys.as_bytes()).await.unwrap();
        let begun = Instant::now();
        seen.clear();
        let mut buffer = [0; 4096];
        while !seen.contains(wanted) {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "no {wanted:?} in {seen:?}"
            );
            let read = tokio::time::timeout(Duration::from_secs(10), stdout.read(&mut buffer));
            let read = read
                .await
                .unwrap_or_else(|_| panic!("no {wanted:?} in {seen:?}"))
                .unwrap();
            assert_ne!(read, 0, "no {wanted:?} in {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        seen.clone()
    };
    type_and_see("", "kekkai> ").await;
    // A full-width letter is taken back with both of its columns.
    type_and_see("lang 英\x7f\x7f en\r", "kekkai> ").await;
    type_and_see("sql SELECT sex,\r", "     -> ").await;
    type_and_see("count(*)\rFROM 患者;\r", "kekkai> ").await;
    assert_eq!(stage.world.queries(), ["SELECT sex,\ncount(*)\nFROM 患者;"]);
    // Ctrl-C leaves a statement, and stops a query.
    type_and_see("sql SELECT\r", "     -> ").await;
    type_and_see("\x03", "kekkai> ").await;
    type_and_see("sql SELECT slow;\r", "%").await;
    let stopped = type_and_see("\x03", "kekkai> ").await;
    assert!(
        stage.world.queries().last().unwrap().contains("cancelled"),
        "{stopped}"
    );
    type_and_see("rm -rf /\r", "rm").await;
    type_and_see("exit\r", "").await;
    let output = run.finish().await;
    assert_eq!(stage.requests(), ["command rm -rf /"]);
    assert!(output.status.code().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_ends_a_running_session_within_5_seconds() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let run = Terminal::new(&stage, "t1")
        .ssh_with("sato", &[], &[], Stdio::piped())
        .sign_in(&stage, &mut sato)
        .await;
    wait_for(|| stage.world.opened().len() == 1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.world.end_all(EndReason::NotOnRoster);
    let begun = Instant::now();
    let output = run.finish().await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let err = text(&output.stderr);
    assert!(err.contains("名簿"), "{err}");
    wait_for(|| !stage.world.closed().is_empty()).await;
    assert_eq!(stage.world.closed()[0].1, EndReason::NotOnRoster);
    assert_eq!(stage.world.ended_at_analysis().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_policy_service_ends_sessions_within_5_seconds() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let run = Terminal::new(&stage, "t1")
        .ssh_with("sato", &[], &[], Stdio::piped())
        .sign_in(&stage, &mut sato)
        .await;
    wait_for(|| stage.world.opened().len() == 1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.world.is_mute.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let output = run.finish().await;
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(2) && took < Duration::from_secs(6),
        "{took:?}"
    );
    wait_for(|| !stage.world.closed().is_empty()).await;
    assert_eq!(stage.world.closed()[0].1, EndReason::ServiceUnavailable);
    assert!(!output.stderr.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_gateway_ends_its_sessions_and_says_so() {
    let mut stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let run = Terminal::new(&stage, "t1")
        .ssh_with("sato", &[], &[], Stdio::piped())
        .sign_in(&stage, &mut sato)
        .await;
    wait_for(|| stage.world.opened().len() == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.stop().await;
    run.finish().await;
    assert_eq!(stage.world.closed().len(), 1);
    let last = stage.world.events().pop().unwrap();
    assert_eq!(last, Event::ServiceStopped);
}
