//! Terminals and people who aren't known, aren't known any more, or aren't on a roster.

use std::process::{Command, Output};

use kekkai_authenticator::Authenticator;
use kekkai_demo::{DemoError, Web, approve, browser, token_code};
use kekkai_deploy::Authority;
use kekkai_e2e::{TestWorld, said};
use kekkai_policy_api::{EndReason, Event, SignInRefusal as Why};
use kekkai_types::{Peer, TerminalId};
use serde_json::{Value, json};

use crate::client::{Attempt, Client};
use crate::{accepted, administer, person, refusals, strangers};

/// A JSON document with each random text replaced by its length.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let masked = match (name.as_str(), value) {
                    ("challenge" | "id", Value::String(text)) => json!(text.len()),
                    _ => shape(value),
                };
                (name.clone(), masked)
            })
            .collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        other => other.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_nothing_and_those_without_a_place_get_no_session() {
    let world = kekkai_e2e::world(4, false).await;
    unknown_terminal(&world);
    unknown_person(&world).await;
    browsers(&world).await;
    no_place(&world).await;
    revoked_terminal(&world).await;
}

/// A key that nobody registered: no question is asked, whoever is said to be there.
fn unknown_terminal(world: &TestWorld) {
    let key = world.folder().join("foreign");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let mut texts = Vec::new();
    for login in ["r1", "zz9"] {
        let mut attempt = Attempt::begin(
            world,
            &Client {
                login,
                key: Some(&key),
                ..Client::of("r1")
            },
        );
        assert_eq!(attempt.prompt(), None, "{login} was asked");
        texts.push(attempt.refused().replace(login, "LOGIN"));
    }
    assert_eq!(texts[0], texts[1], "the answer says who exists");
    assert_eq!(
        strangers(world),
        [(None, Why::Terminal), (None, Why::Terminal)]
    );
    assert_eq!(refusals(world, "r1"), []);
}

/// From one registered terminal, a colleague and nobody at all look alike.
async fn unknown_person(world: &TestWorld) {
    let r1 = person(world, "r1");
    let mut seen = Vec::new();
    for login in ["zz9", "r2"] {
        let mut attempt = Attempt::begin(
            world,
            &Client {
                login,
                ..Client::of("r1")
            },
        );
        let code = attempt.code();
        let prompt = attempt.prompt().unwrap().replace(&code, "CODE");
        let prompt = prompt.replace(login, "LOGIN");
        // The page that approves: options, then the answer to a credential that neither has.
        let mut web = browser(&world.facts(), &r1).unwrap();
        let begin = json!({"person": login, "code": code});
        let options: Value = web.post("/approve/begin", &begin).await.unwrap();
        let mut own = options.clone();
        let mut authenticator = Authenticator::load(&r1.authenticator).unwrap();
        let state: Value = serde_json::from_str(&authenticator.to_json().unwrap()).unwrap();
        own["publicKey"]["allowCredentials"] =
            json!([{"type": "public-key", "id": state["credentials"][0]["id"]}]);
        let credential = authenticator.get(&own, web.origin()).unwrap();
        let finish = json!({"person": login, "code": code, "credential": credential});
        let told = web.post::<Value>("/approve/finish", &finish).await;
        let Err(DemoError::Refused { status, body, .. }) = told else {
            panic!("{login}: {told:?}");
        };
        attempt.answer("123456");
        let text = attempt.refused().replace(login, "LOGIN");
        seen.push((prompt, shape(&options), status, body, text));
    }
    assert_eq!(seen[0], seen[1], "the answer says who exists");
    let terminal = Some("t-r1".to_owned());
    let nobody = (terminal, Why::UnknownPerson);
    assert_eq!(strangers(world)[2..], [nobody.clone(), nobody]);
    // Another's terminal is no way to lock somebody out.
    assert_eq!(
        refusals(world, "r2"),
        [(Why::Terminal, 0), (Why::Terminal, 0)]
    );

    // The controls: r1 at the same terminal, then r2 at their own.
    for who in ["r1", "r2"] {
        let output = world.ssh(who, "status");
        assert!(output.status.success(), "{who}: {}", said(&output));
        assert_eq!(accepted(world, who), 1);
    }
}

/// Only a registered terminal's browser gets a form.
async fn browsers(world: &TestWorld) {
    let info = world.facts();
    let mut registered = browser(&info, &person(world, "r1")).unwrap();
    let page = registered.get("/approve").await.unwrap();
    assert_eq!(page.status, 200, "the control");
    assert!(
        page.text().contains("<form"),
        "the control: {}",
        page.text()
    );

    let https = &info.gateway.https;
    let mut without = Web::new(https, &info.gateway.web_authority, None).unwrap();
    for path in ["/approve", "/sign-in", "/enrol/x", "/", "/review"] {
        let page = without.get(path).await.unwrap();
        assert_eq!(page.status, 403, "{path}: {}", page.text());
        assert!(!page.text().contains("<form"), "{path}: {}", page.text());
    }
    let begin = json!({"person": "r1", "code": "2345-6789"});
    let told = without.post::<Value>("/approve/begin", &begin).await;
    assert!(
        matches!(told, Err(DemoError::Refused { status: 403, .. })),
        "{told:?}"
    );

    // A certificate of another authority with the right name; one of ours that nobody registered.
    let folder = world.folder().join("authorities");
    let foreign = Authority::create(&folder, "foreign").unwrap();
    let ours = Authority::load(&world.dir().join("authority"), "terminals").unwrap();
    for (authority, name) in [(foreign, "t-r1"), (ours, "t-unregistered")] {
        let peer = Peer::Terminal(TerminalId::new(name).unwrap());
        let issued = authority.issue_peer(&peer, &folder, name).unwrap();
        let pem = kekkai_demo::info::Pem {
            certificate: issued.certificate,
            key: issued.key,
        };
        let mut web = Web::new(https, &info.gateway.web_authority, Some(&pem)).unwrap();
        match web.get("/approve").await {
            // The handshake failed.
            Err(DemoError::Web(_)) => {}
            Ok(page) => {
                assert_eq!(page.status, 403, "{name}: {}", page.text());
                assert!(!page.text().contains("<form"), "{name}: {}", page.text());
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

/// Signs in with both factors, as one does who may not be here.
async fn signed_in(world: &TestWorld, login: &str) -> Output {
    let name = login.split('+').next().unwrap();
    let who = person(world, name);
    let mut attempt = Attempt::begin(
        world,
        &Client {
            login,
            ..Client::of(name)
        },
    );
    approve(&world.facts(), &who, &attempt.code())
        .await
        .unwrap();
    attempt.answer(&token_code(&who).unwrap().code);
    attempt.end()
}

/// Sessions of a person that were refused, in order.
fn sessions_refused(world: &TestWorld, who: &str) -> Vec<EndReason> {
    let of_person = |event| match event {
        Event::SessionRefused { person, reason, .. } if person.as_str() == who => Some(reason),
        _ => None,
    };
    world.events().into_iter().filter_map(of_person).collect()
}

/// yamada is on no roster, r3 is taken off one, suzuki asks for one of others: they are who they say,
/// and have no place.
async fn no_place(world: &TestWorld) {
    let output = signed_in(world, "r3+sample-2026").await;
    assert!(output.status.success(), "the control: {}", said(&output));
    administer(world, &["handler", "remove"], &["sample-2026", "r3"]);
    let mut told = Vec::new();
    // Not on it, or there is none of that name: one answer.
    for login in [
        "yamada",
        "r3+sample-2026",
        "suzuki+short-2026",
        "suzuki+zz-2026",
    ] {
        let output = signed_in(world, login).await;
        assert!(!output.status.success(), "{login}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{login}: {}", said(&output));
        let who = login.split('+').next().unwrap();
        assert_eq!(
            sessions_refused(world, who).last(),
            Some(&EndReason::NoAgreement),
            "{login}"
        );
        told.push(said(&output));
    }
    assert_eq!(told[2], told[3], "the answer says which agreements exist");
}

/// A terminal that is revoked: its key, then its certificate.
async fn revoked_terminal(world: &TestWorld) {
    let info = world.facts();
    let r4 = person(world, "r4");
    let mut attempt = Attempt::begin(world, &Client::of("r4"));
    approve(&info, &r4, &attempt.code()).await.unwrap();
    attempt.answer(&token_code(&r4).unwrap().code);
    attempt.accepted();
    administer(world, &["terminal", "revoke"], &["t-r4"]);
    let before = strangers(world).len();
    let mut attempt = Attempt::begin(world, &Client::of("r4"));
    assert_eq!(attempt.prompt(), None, "a revoked terminal was asked");
    attempt.refused();
    assert_eq!(strangers(world)[before..], [(None, Why::Terminal)]);
    let page = browser(&info, &r4).unwrap().get("/approve").await.unwrap();
    assert_eq!(page.status, 403, "{}", page.text());
    assert!(!page.text().contains("<form"), "{}", page.text());
}
