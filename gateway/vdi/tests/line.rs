//! The line without a window: signing in, frames, and every way in which it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::process::Command as Program;
use std::sync::Arc;

use common::emulator::{Finger, Happened};
use common::gateway::{CODE, Gateway, until};
use common::{Person, Terminal};
use kekkai_frames::{Input, Output};
use kekkai_vdi::config::{Config, Pin, TerminalKey};
use kekkai_vdi::fido::FidoError;
use kekkai_vdi::link::{Area, Command, End, Event, Link, Refusal, Step};
use zeroize::Zeroizing;

const AREA: Area = Area {
    width: 800,
    height: 600,
    scale: 100,
};

fn start(config: Config) -> Link {
    let runtime = tokio::runtime::Handle::current();
    Link::start(
        &runtime,
        Arc::new(config),
        "hanako+cohort".parse().unwrap(),
        AREA,
        || {},
    )
}

/// Goes on until the code is asked for, or the line is over.
async fn to_code(link: &mut Link) -> Result<(), End> {
    loop {
        match link
            .events
            .recv()
            .await
            .expect("an end comes before silence")
        {
            Event::Step(Step::CodeNeeded) => return Ok(()),
            Event::Step(_) => {}
            Event::Output(output) => panic!("{output:?} before signing in"),
            Event::Over(end) => return Err(end),
        }
    }
}

async fn code(link: &Link, code: &str) {
    let code = Zeroizing::new(code.to_owned());
    link.commands.send(Command::Code(code)).await.unwrap();
}

async fn end(link: &mut Link) -> End {
    loop {
        if let Event::Over(end) = link.events.recv().await.expect("an end") {
            return end;
        }
    }
}

async fn output(link: &mut Link) -> Output {
    loop {
        match link.events.recv().await.expect("an output") {
            Event::Output(output) => return output,
            Event::Step(_) => {}
            Event::Over(end) => panic!("{end:?}"),
        }
    }
}

async fn running(gateway: &Gateway, config: Config) -> Link {
    let mut link = start(config);
    to_code(&mut link).await.unwrap();
    code(&link, CODE).await;
    gateway.attached().await;
    link
}

const SIZE: Output = Output::Size {
    width: 800,
    height: 600,
};

#[tokio::test(flavor = "multi_thread")]
async fn both_factors_open_the_screen() {
    let person = Person::enrol();
    let gateway = Gateway::start(&person).await;
    let terminal = Terminal::new(&gateway, &person, "");
    let mut link = running(&gateway, terminal.load()).await;
    gateway.show(&[SIZE]).await;
    assert_eq!(output(&mut link).await, SIZE);
    assert_eq!(
        gateway.heard(),
        ["user hanako+cohort", "submethods kekkai-vdi/1", "signed in"]
    );
    assert_eq!(person.happened(), [Happened::Signed]);
    // The size comes first.
    let first = Input::from(AREA);
    gateway.input("no size", |_| true).await;
    assert_eq!(gateway.inputs()[0], first);
    link.commands.send(Command::Leave).await.unwrap();
    assert!(matches!(end(&mut link).await, End::Left));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_host_key_is_told_nothing() {
    let person = Person::enrol();
    let gateway = Gateway::start(&person).await;
    let terminal = Terminal::new(&gateway, &person, "");
    let mut config = terminal.load();
    let other: Pin = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
        .parse()
        .unwrap();
    let right = std::mem::replace(&mut config.host_keys, vec![other]);
    let mut link = start(config.clone());
    let Err(End::Refused(Refusal::HostKey(shown))) = to_code(&mut link).await else {
        panic!("the wrong key was taken");
    };
    assert_eq!(shown, gateway.fingerprint);
    assert_eq!(gateway.heard(), Vec::<String>::new());
    assert_eq!(person.happened(), []);
    // The control: with the right pin beside it, as during a change of keys, it goes on.
    config.host_keys.extend(right);
    assert!(to_code(&mut start(config)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_for_a_foreign_origin() {
    let person = Person::enrol();
    let gateway = Gateway::start(&person).await;
    let terminal = Terminal::new(&gateway, &person, "");
    *gateway.shared.origin.lock().unwrap() = "https://bank.example".to_owned();
    let ended = to_code(&mut start(terminal.load())).await;
    assert!(matches!(
        ended,
        Err(End::Refused(Refusal::Authenticator(
            FidoError::ForeignOrigin { .. }
        )))
    ));
    assert_eq!(person.happened(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_finger_or_wrong_code_shows_nothing() {
    let person = Person::enrol();
    let gateway = Gateway::start(&person).await;
    let terminal = Terminal::new(&gateway, &person, "");
    person.finger(Finger::Wrong);
    let ended = to_code(&mut start(terminal.load())).await;
    assert!(matches!(
        ended,
        Err(End::Refused(Refusal::Authenticator(FidoError::NotVerified)))
    ));
    person.finger(Finger::Right);
    let mut link = start(terminal.load());
    to_code(&mut link).await.unwrap();
    code(&link, "000000").await;
    assert!(matches!(
        end(&mut link).await,
        End::Refused(Refusal::Person(_))
    ));
    assert_eq!(gateway.heard().last().unwrap(), "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_terminal_doesnt_reach_the_persons_factors() {
    let person = Person::enrol();
    let gateway = Gateway::start(&person).await;
    let other = Gateway::start(&person).await;
    let terminal = Terminal::new(&gateway, &person, "");
    let mut config = terminal.load();
    let foreign = Terminal::new(&other, &person, "");
    config.terminal_key = foreign.load().terminal_key;
    let ended = to_code(&mut start(config)).await;
    assert!(matches!(ended, Err(End::Refused(Refusal::Terminal))));
    assert_eq!(person.happened(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_in_an_agent_signs_for_the_terminal() {
    // Stock ssh-agent; on the on-site terminal the same agent holds the TPM's key by PKCS #11.
    let person = Person::enrol();
    let gateway = Gateway::start(&person).await;
    let terminal = Terminal::new(&gateway, &person, "");
    let folder = terminal.folder.path();
    let socket = folder.join("agent");
    let key = folder.join("terminal_key");
    let mut agent = Program::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .spawn()
        .unwrap();
    until("no agent", || socket.exists()).await;
    let added = Program::new("ssh-add")
        .arg(&key)
        .env("SSH_AUTH_SOCK", &socket)
        .status()
        .unwrap();
    assert!(added.success());
    let public_key = folder.join("terminal_key.pub");
    let public = gateway.terminal_key.public_key().to_openssh().unwrap();
    std::fs::write(&public_key, public).unwrap();
    std::fs::remove_file(&key).unwrap();
    let mut config = terminal.load();
    config.terminal_key = TerminalKey::Agent {
        socket: socket.clone(),
        public_key,
    };
    let signed = to_code(&mut start(config.clone())).await;
    // An agent without the key doesn't sign.
    Program::new("ssh-add")
        .arg("-D")
        .env("SSH_AUTH_SOCK", &socket)
        .status()
        .unwrap();
    let unsigned = to_code(&mut start(config)).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(signed.is_ok(), "{signed:?}");
    assert!(
        matches!(unsigned, Err(End::Refused(Refusal::TerminalKey(_)))),
        "{unsigned:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_told_apart() {
    let person = Person::enrol();
    let gateway = Gateway::start(&person).await;
    let terminal = Terminal::new(&gateway, &person, "");
    type Check = fn(&End) -> bool;
    let ends: [(u32, &str, Check); 5] = [
        (0, "", |e| matches!(e, End::Left)),
        (3, "", |e| matches!(e, End::Locked)),
        (
            4,
            "ended-by-staff\nask them\n",
            |e| matches!(e, End::Ended { reason, said } if reason == "ended-by-staff" && said == "ask them"),
        ),
        (5, "", |e| matches!(e, End::Replaced)),
        (
            1,
            "no session\u{1b}[2J",
            |e| matches!(e, End::Fault(said) if said == "no session[2J"),
        ),
    ];
    for (status, stderr, is_it) in ends {
        let mut link = running(&gateway, terminal.load()).await;
        gateway.exit(status, stderr).await;
        let end = end(&mut link).await;
        assert!(is_it(&end), "{status}: {end:?}");
    }
    let mut link = running(&gateway, terminal.load()).await;
    gateway.cut();
    assert!(matches!(end(&mut link).await, End::Cut));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_gateway_sends_ends_the_line() {
    let person = Person::enrol();
    let gateway = Gateway::start(&person).await;
    let terminal = Terminal::new(&gateway, &person, "");
    for hostile in [
        &[0xff, 0xff, 0xff, 0xff][..],
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 0xff, 0xff, 0xff],
    ] {
        let mut link = running(&gateway, terminal.load()).await;
        gateway.send_raw(hostile).await;
        let end = end(&mut link).await;
        assert!(matches!(end, End::Violation(_)), "{hostile:?}: {end:?}");
        gateway.cut();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_while_the_finger_is_asked_reaches_the_authenticator() {
    let person = Person::enrol();
    let gateway = Gateway::start(&person).await;
    let terminal = Terminal::new(&gateway, &person, "");
    person.finger(Finger::None);
    let mut link = start(terminal.load());
    while !matches!(
        link.events.recv().await,
        Some(Event::Step(Step::Authenticator(_)))
    ) {}
    link.commands.send(Command::Leave).await.unwrap();
    assert!(matches!(end(&mut link).await, End::Left));
    until("no CTAPHID_CANCEL came", || {
        person.happened() == [Happened::Cancelled]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_that_sends_faster_than_the_window_draws_waits() {
    let person = Person::enrol();
    let gateway = Arc::new(Gateway::start(&person).await);
    let terminal = Terminal::new(&gateway, &person, "");
    let mut link = running(&gateway, terminal.load()).await;
    // Incompressible enough to fill every window on the way: nothing here takes them meanwhile.
    let sender = gateway.clone();
    let flood = tokio::spawn(async move {
        for number in 0..200_000_u32 {
            sender
                .show(&[Output::Ping {
                    number: number.wrapping_mul(2_654_435_761),
                }])
                .await;
        }
    });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(link.events.len() <= kekkai_vdi::link::EVENTS_MAX);
    // What was sent arrives whole and in order once somebody looks.
    for number in 0..1000_u32 {
        let expected = number.wrapping_mul(2_654_435_761);
        assert_eq!(output(&mut link).await, Output::Ping { number: expected });
    }
    flood.abort();
}
