//! The native client: FIDO2 in band, and a screen as an SSH subsystem. Stock `ssh` has neither.
//! Needs `ssh` (Debian: openssh-client).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use common::screens::shade;
use common::ssh::{Terminal, text};
use common::vdi::{self, Screen};
use common::{Stage, wait_for};
use kekkai_authenticator::Authenticator;
use kekkai_frames::{INPUT_BYTES_MAX, Input};
use kekkai_policy_api::{DesktopTimes, EndReason, SignInRefusal, View};

#[tokio::test(flavor = "multi_thread")]
async fn native_client_signs_in_in_band_and_is_shown_its_desktop() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let client = vdi::sign_in(&stage, "v1", &mut sato).await;
    let mut screen = Screen::open(&client).await;
    screen.hello().await;
    assert_eq!(screen.draw().await, 1);
    assert_eq!(screen.canvas.rgba()[0], shade(1));
    screen.send(&Input::Text("SELECT 1".into())).await;
    assert_eq!(screen.draw().await, 2);
    let opened = stage.world.opened();
    assert_eq!(opened.len(), 1);
    assert_eq!(
        (opened[0].view, opened[0].terminal.as_str()),
        (View::Desktop, "v1")
    );
    assert_eq!(stage.screen_events(), ["attached"]);
    let typed = stage.world.screens(|screens| screens.typed());
    assert_eq!(typed, ["SELECT 1"]);

    stage.world.screens(|screens| screens.wish(false, true));
    let (status, said) = screen.ended().await;
    assert_eq!(status, Some(0), "{said}");
    wait_for(|| stage.world.closed().len() == 1).await;
    assert_eq!(stage.world.closed()[0].1, EndReason::ClosedByUser);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_band_sign_in_needs_every_factor_of_this_connection() {
    let stage = Stage::new().await;
    let name = |person: &str| Some(person.to_owned());

    // The authenticator did not verify its user.
    let mut sato = stage.enrol("sato").await;
    // Codes are always fetched first: the wait for one may be longer than a connection's grace.
    let code = sato.next_code().await;
    let mut client = vdi::at(&stage, "v1", "sato").await;
    let question = vdi::question(&mut client, "sato").await.unwrap();
    assert_eq!(question["publicKey"]["userVerification"], "required");
    assert_eq!(question["origin"], stage.origin.as_str());
    sato.authenticator.knobs.without_user_verification = true;
    let falsified = vdi::assertion(&mut sato, &question);
    sato.authenticator.knobs.without_user_verification = false;
    assert!(!vdi::answer(&mut client, vec![falsified, code]).await);
    assert_eq!(
        stage.refusals().pop().unwrap(),
        (name("sato"), SignInRefusal::UserNotVerified, 1)
    );

    // The token is wrong.
    let mut client = vdi::at(&stage, "v1", "sato").await;
    let question = vdi::question(&mut client, "sato").await.unwrap();
    let good = vdi::assertion(&mut sato, &question);
    assert!(!vdi::answer(&mut client, vec![good.clone(), "000000x".into()]).await);
    assert_eq!(
        stage.refusals().pop().unwrap(),
        (name("sato"), SignInRefusal::TokenWrong, 2)
    );

    // An assertion of another connection.
    let code = sato.next_code().await;
    let mut client = vdi::at(&stage, "v1", "sato").await;
    vdi::question(&mut client, "sato").await.unwrap();
    assert!(!vdi::answer(&mut client, vec![good, code]).await);
    assert_eq!(
        stage.refusals().pop().unwrap(),
        (name("sato"), SignInRefusal::AssertionInvalid, 3)
    );

    // Another person's authenticator.
    let mut visitor = stage.enrol("visitor1").await;
    let mut client = vdi::at(&stage, "v1", "visitor1").await;
    let theirs = vdi::question(&mut client, "visitor1").await.unwrap();
    let theirs = vdi::assertion(&mut visitor, &theirs);
    let mut client = vdi::at(&stage, "v1", "sato").await;
    vdi::question(&mut client, "sato").await.unwrap();
    assert!(!vdi::answer(&mut client, vec![theirs, "123456".into()]).await);
    let last = stage.refusals().pop().unwrap();
    assert_eq!((last.0, last.2), (name("sato"), 4));

    // Lock-out counts as everywhere: the fifth one locks, and then the right answers are refused, too.
    let mut client = vdi::at(&stage, "v1", "sato").await;
    vdi::question(&mut client, "sato").await.unwrap();
    assert!(!vdi::answer(&mut client, vec!["{".into(), "123456".into()]).await);
    let code = sato.next_code().await;
    let mut client = vdi::at(&stage, "v1", "sato").await;
    let question = vdi::question(&mut client, "sato").await.unwrap();
    let answers = vec![vdi::assertion(&mut sato, &question), code];
    assert!(!vdi::answer(&mut client, answers).await);
    assert_eq!(
        stage.refusals().pop().unwrap(),
        (name("sato"), SignInRefusal::Locked, 5)
    );
    assert!(stage.world.opened().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_answers_are_refused_and_nobodys_name_is_asked_like_a_colleagues() {
    let stage = Stage::new().await;
    let mut count = 0;
    for answers in [
        Vec::new(),
        vec!["{}".to_owned()],
        vec!["{}".to_owned(), "123456".to_owned(), "x".to_owned()],
        vec!["x".repeat(5000), "123456".to_owned()],
    ] {
        let name = format!("visitor{count}");
        stage.enrol(&name).await;
        let mut client = vdi::at(&stage, "v1", &name).await;
        vdi::question(&mut client, &name).await.unwrap();
        assert!(!vdi::answer(&mut client, answers).await, "{count}");
        count += 1;
        let refusals = stage.refusals();
        assert_eq!(refusals.len(), count);
        assert_eq!(refusals[count - 1].1, SignInRefusal::AssertionInvalid);
    }
    let mut client = vdi::at(&stage, "v1", "nobody").await;
    let question = vdi::question(&mut client, "nobody").await.unwrap();
    let mut other = Authenticator::new(stage.model.duplicate());
    let options = serde_json::json!({"publicKey": question["publicKey"]});
    assert!(other.get(&options, &stage.origin).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_terminals_with_the_native_client_are_asked_in_band() {
    let stage = Stage::new().await;
    for terminal in ["t1", "b1", "desk"] {
        let mut client = vdi::at(&stage, terminal, "sato").await;
        assert!(
            vdi::question(&mut client, "sato").await.is_none(),
            "{terminal}"
        );
        let last = stage.requests().pop().unwrap();
        assert!(last.starts_with("kekkai-vdi/1"), "{last}");
    }
    // Another's terminal: the same question, and no account is charged.
    let mut sato = stage.enrol("sato").await;
    let code = sato.next_code().await;
    let mut client = vdi::at(&stage, "v2", "sato").await;
    let question = vdi::question(&mut client, "sato").await.unwrap();
    let answers = vec![vdi::assertion(&mut sato, &question), code];
    assert!(!vdi::answer(&mut client, answers).await);
    assert_eq!(
        stage.refusals().pop().unwrap(),
        (Some("sato".into()), SignInRefusal::Terminal, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_of_a_screen_carries_nothing_else() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let client = vdi::sign_in(&stage, "v1", &mut sato).await;
    let mut screen = Screen::open(&client).await;
    screen.hello().await;
    screen.draw().await;
    assert!(client.channel_open_session().await.is_err());
    assert!(
        client
            .channel_open_direct_tcpip("127.0.0.1", 22, "127.0.0.1", 1)
            .await
            .is_err()
    );
    let requests = stage.requests();
    assert_eq!(
        requests,
        [
            "another channel beside a screen",
            "direct-tcpip 127.0.0.1:22"
        ]
    );
    screen.send(&Input::Text("x".into())).await;
    screen.draw().await;

    // A shell or a command on such a connection opens no session.
    let mut visitor = stage.enrol("visitor1").await;
    let client = vdi::sign_in(&stage, "v1", &mut visitor).await;
    let channel = client.channel_open_session().await.unwrap();
    channel.request_shell(true).await.unwrap();
    channel.exec(true, "status").await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    wait_for(|| stage.requests().len() == 5).await;
    let requests = stage.requests();
    assert_eq!(requests[2], "shell on a screen's connection");
    assert_eq!(requests[3], "exec on a screen's connection");
    assert_eq!(requests[4], "subsystem sftp");
    assert_eq!(stage.world.opened().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_ssh_has_no_screen_whatever_its_terminal() {
    let stage = Stage::new().await;
    for (name, terminal) in [("visitor1", "t1"), ("visitor2", "v1")] {
        let mut visitor = stage.enrol(name).await;
        let ssh = Terminal::new(&stage, terminal);
        let mut run = ssh.ssh(name, &["-s"], &["kekkai-vdi"]);
        let code = run.code().await;
        assert_eq!(stage.approve(&mut visitor, terminal, &code).await, 200);
        run.answer(&visitor.next_code().await);
        let output = run.finish().await;
        assert_ne!(output.status.code(), Some(0), "{terminal}");
        assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
        assert_eq!(stage.requests().pop().unwrap(), "subsystem kekkai-vdi");
    }
    assert!(stage.world.opened().is_empty());
    // The text console is there as before.
    let mut visitor = stage.enrol("visitor3").await;
    let ssh = Terminal::new(&stage, "v1");
    let mut run = ssh.ssh("visitor3", &[], &["status"]);
    let code = run.code().await;
    assert_eq!(stage.approve(&mut visitor, "v1", &code).await, 200);
    run.answer(&visitor.next_code().await);
    let output = run.finish().await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(stage.world.opened()[0].view, View::Console);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_client_comes_back_to_its_session_and_a_locked_one_too() {
    let stage = Stage::new().await;
    stage.world.screens(|screens| {
        screens.times = DesktopTimes {
            lock_after_s: 3,
            reconnect_limit_s: 600,
        };
    });
    let mut sato = stage.enrol("sato").await;
    let client = vdi::sign_in(&stage, "v1", &mut sato).await;
    let mut screen = Screen::open(&client).await;
    screen.hello().await;
    screen.draw().await;
    drop((screen, client));
    wait_for(|| stage.screen_events() == ["attached", "cut"]).await;

    let client = vdi::sign_in(&stage, "v1", &mut sato).await;
    let mut screen = Screen::open(&client).await;
    screen.hello().await;
    screen.draw().await;
    assert_eq!(stage.world.opened().len(), 1, "the same session");
    let (status, said) = screen.ended().await;
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("ロック"), "{said}");
    wait_for(|| stage.screen_events() == ["attached", "cut", "attached", "locked"]).await;
    assert!(stage.world.closed().is_empty());
    // The connection has nothing more to give.
    let begun = std::time::Instant::now();
    while !client.is_closed() {
        assert!(begun.elapsed() < Duration::from_secs(8), "still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    stage.world.end_all(EndReason::AgreementEnded);
    wait_for(|| stage.world.closed().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_session_says_why_in_its_first_line() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let client = vdi::sign_in(&stage, "v1", &mut sato).await;
    let mut screen = Screen::open(&client).await;
    screen.hello().await;
    screen.draw().await;
    stage.world.end_all(EndReason::OutsideHours);
    let (status, said) = screen.ended().await;
    assert_eq!(status, Some(4));
    assert_eq!(said.lines().next(), Some("outside-hours"), "{said}");
    assert!(said.lines().count() > 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_native_client_is_cut_and_its_session_waits() {
    let stage = Stage::new().await;
    let oversized = u32::try_from(INPUT_BYTES_MAX + 1).unwrap().to_be_bytes();
    for (name, message) in [
        ("visitor1", oversized.to_vec()),
        ("visitor2", vec![0, 0, 0, 0]),
        ("visitor3", vec![0, 0, 0, 2, 0xff, 0xff]),
    ] {
        let mut visitor = stage.enrol(name).await;
        let client = vdi::sign_in(&stage, "v1", &mut visitor).await;
        let mut screen = Screen::open(&client).await;
        screen.hello().await;
        screen.draw().await;
        screen.raw(&message).await;
        assert_eq!(screen.ended().await.0, Some(1), "{name}");
        let last = stage.requests().pop().unwrap();
        assert!(last.starts_with("screen: "), "{last}");
    }
    assert!(stage.world.closed().is_empty());

    // Nothing is opened for one that doesn't say its size, or says something else first.
    let opened = stage.world.opened().len();
    let mut visitor = stage.enrol("visitor4").await;
    let client = vdi::sign_in(&stage, "v1", &mut visitor).await;
    let mut screen = Screen::open(&client).await;
    screen.send(&Input::Text("SELECT 1".into())).await;
    let (status, said) = screen.ended().await;
    assert_eq!(status, Some(1), "{said}");
    assert_eq!(stage.world.opened().len(), opened);
    assert_eq!(stage.requests().pop().unwrap(), "screen without a size");

    // One that half closes its channel is gone.
    let mut visitor = stage.enrol("visitor5").await;
    let client = vdi::sign_in(&stage, "v1", &mut visitor).await;
    let mut screen = Screen::open(&client).await;
    screen.hello().await;
    screen.draw().await;
    screen.eof().await;
    wait_for(|| stage.screen_events().last().unwrap() == "cut").await;
}
