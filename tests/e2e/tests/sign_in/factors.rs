//! Each factor alone, copied, borrowed or worn out; then the lock-out.

use std::path::Path;
use std::process::Command;

use kekkai_authenticator::{Authenticator, Knobs, Model, OTHER_AAGUID, Token};
use kekkai_demo::info::Person;
use kekkai_demo::{DemoError, Web, approve, browser, enrol, token_code};
use kekkai_e2e::{TestWorld, said};
use kekkai_policy_api::{Event, SignInRefusal as Why};
use serde_json::{Value, json};

use crate::client::{Attempt, Client};
use crate::{accepted, administer, person, reconfigure, refusals, world_in_a_hurry};

/// Six digits that no step near now shows.
fn wrong_code(person: &Person) -> String {
    let token = Token::new(person.totp_secret.as_deref().unwrap()).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let near: Vec<String> = (0..40).map(|n| token.code(now + 300 - n * 30)).collect();
    (0..)
        .map(|n| format!("{n:06}"))
        .find(|code| !near.contains(code))
        .unwrap()
}

/// The code of a step.
fn code_of(person: &Person, step: i64) -> String {
    let token = Token::new(person.totp_secret.as_deref().unwrap()).unwrap();
    token.code(u64::try_from(step * 30).unwrap())
}

/// What a page that refuses says: always the same.
fn assert_refused(answer: Result<(), DemoError>, what: &str) {
    match answer {
        Err(DemoError::Refused {
            status: 403, body, ..
        }) => {
            assert!(body.contains("refused"), "{what}: {body}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

/// An approval with an authenticator that may misbehave.
async fn approve_with(
    world: &TestWorld,
    person: &Person,
    code: &str,
    sign: impl FnOnce(&Value, &str) -> Value,
) -> Result<(), DemoError> {
    let mut web: Web = browser(&world.facts(), person)?;
    let begin = json!({"person": person.person, "code": code});
    let options: Value = web.post("/approve/begin", &begin).await?;
    let credential = sign(&options, web.origin());
    let finish = json!({"person": person.person, "code": code, "credential": credential});
    let _: Value = web.post("/approve/finish", &finish).await?;
    Ok(())
}

/// A credential of an allowed model that nobody enrolled, signing for somebody else's challenge.
fn sign_as_stranger(own: &Authenticator, options: &Value, origin: &str) -> Value {
    let mut stranger = Authenticator::new(own.model().duplicate());
    let creation = json!({"publicKey": {
        "rp": {"id": "localhost", "name": "x"},
        "user": {"id": "AAAA", "name": "x", "displayName": "x"},
        "challenge": "AAAA",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    }});
    let made = stranger.create(&creation, origin).unwrap();
    let mut options = options.clone();
    options["publicKey"]["allowCredentials"] = json!([{"type": "public-key", "id": made["id"]}]);
    stranger.get(&options, origin).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_less_than_both_factors_signs_in_and_each_attempt_counts() {
    let world = world_in_a_hurry(10).await;
    let info = world.facts();

    // These end when their codes do: they begin first, and are looked at later.
    let token_alone = Attempt::begin(&world, &Client::of("r1"));
    let borrowed = borrowed_approvals(&world).await;
    let assertions = bad_assertions(&world).await;
    let r1 = person(&world, "r1");

    // The token alone: the right code, and no finger.
    let mut token_alone = token_alone;
    token_alone.code();
    let used = token_code(&r1).unwrap();
    token_alone.answer(&used.code);

    // Leaving doesn't help: neither after the finger, nor after the token.
    let mut left = Attempt::begin(&world, &Client::of("r9"));
    approve(&info, &person(&world, "r9"), &left.code())
        .await
        .unwrap();
    left.kill();
    let is_r9 =
        |e: &Event| matches!(e, Event::SignInRefused { person: Some(p), .. } if p.as_str() == "r9");
    world
        .wait_for_event("a finger that no token follows", is_r9)
        .await;
    assert_eq!(refusals(&world, "r9"), [(Why::TokenWrong, 1)]);
    let mut left = Attempt::begin(&world, &Client::of("r10"));
    left.code();
    left.answer(&token_code(&person(&world, "r10")).unwrap().code);
    std::thread::sleep(std::time::Duration::from_secs(1));
    left.kill();

    clone(&world).await;
    token_alone.refused();
    for (what, attempt) in borrowed.into_iter().chain(assertions) {
        println!("{what}: the attempt itself");
        attempt.refused();
    }
    for (who, first) in [
        ("r3", Why::ApprovalForeign),
        ("r5", Why::UserNotVerified),
        ("r6", Why::AssertionInvalid),
    ] {
        let expected = [(first, 1), (Why::ApprovalMissing, 2)];
        assert_eq!(refusals(&world, who), expected, "{who}");
        assert_eq!(accepted(&world, who), 0, "{who}");
    }
    let is_r10 = |e: &Event| matches!(e, Event::SignInRefused { person: Some(p), .. } if p.as_str() == "r10");
    world
        .wait_for_event("a token that no finger follows", is_r10)
        .await;
    assert_eq!(refusals(&world, "r10"), [(Why::ApprovalMissing, 1)]);

    security_key(&world);
    lock_out(&world, &r1, &used.code, used.step).await;
    models(&world).await;
}

/// Approvals of a code by somebody who isn't at its terminal.
async fn borrowed_approvals(world: &TestWorld) -> Vec<(&'static str, Attempt)> {
    let info = world.facts();
    let (r2, r3) = (person(world, "r2"), person(world, "r3"));
    let mut of_r2 = Attempt::begin(world, &Client::of("r2"));
    let mut of_r3 = Attempt::begin(world, &Client::of("r3"));
    let (code2, _) = (of_r2.code(), of_r3.code());
    // r3 approves what r2's terminal shows.
    let answer = approve(&info, &r3, &code2).await;
    assert_refused(answer, "another's code");
    assert_eq!(refusals(world, "r3"), [(Why::ApprovalForeign, 1)]);
    // r2's finger at r3's terminal: that terminal may test nothing of r2's, so it charges nothing.
    let mut elsewhere = r2.clone();
    elsewhere.terminal = r3.terminal.clone();
    assert_refused(
        approve(&info, &elsewhere, &code2).await,
        "another's terminal",
    );
    assert_eq!(refusals(world, "r2"), [(Why::Terminal, 0)]);
    // The control: the same code at its own terminal, by its own person.
    approve(&info, &r2, &code2).await.unwrap();
    of_r2.answer(&token_code(&r2).unwrap().code);
    of_r2.accepted();
    assert_eq!(accepted(world, "r2"), 1);
    // And r3's own terminal, whose code nobody approved, stays out with the right token.
    of_r3.answer(&token_code(&r3).unwrap().code);
    vec![("r3's own code, never approved", of_r3)]
}

/// Assertions that aren't a finger of an enrolled authenticator.
async fn bad_assertions(world: &TestWorld) -> Vec<(&'static str, Attempt)> {
    let r5 = person(world, "r5");
    let mut unverified = Attempt::begin(world, &Client::of("r5"));
    let answer = approve_with(world, &r5, &unverified.code(), |options, origin| {
        let mut authenticator = Authenticator::load(&r5.authenticator).unwrap();
        authenticator.knobs = Knobs {
            without_user_verification: true,
            ..Knobs::default()
        };
        authenticator.get(options, origin).unwrap()
    })
    .await;
    assert_refused(answer, "no user verification");
    assert_eq!(refusals(world, "r5"), [(Why::UserNotVerified, 1)]);
    unverified.answer(&token_code(&r5).unwrap().code);

    let r6 = person(world, "r6");
    let mut unknown = Attempt::begin(world, &Client::of("r6"));
    let answer = approve_with(world, &r6, &unknown.code(), |options, origin| {
        let own = Authenticator::load(&r6.authenticator).unwrap();
        sign_as_stranger(&own, options, origin)
    })
    .await;
    assert_refused(answer, "a credential that nobody enrolled");
    assert_eq!(refusals(world, "r6"), [(Why::AssertionInvalid, 1)]);
    unknown.answer(&token_code(&r6).unwrap().code);
    vec![
        ("no user verification", unverified),
        ("an unknown credential", unknown),
    ]
}

/// A copy of an authenticator, used after the original.
async fn clone(world: &TestWorld) {
    let info = world.facts();
    let r7 = person(world, "r7");
    let copy = std::fs::read(&r7.authenticator).unwrap();
    let mut original = Attempt::begin(world, &Client::of("r7"));
    approve(&info, &r7, &original.code()).await.unwrap();
    original.answer(&token_code(&r7).unwrap().code);
    original.accepted();
    let kept = std::fs::read(&r7.authenticator).unwrap();
    std::fs::write(&r7.authenticator, copy).unwrap();
    let mut cloned = Attempt::begin(world, &Client::of("r7"));
    let answer = approve(&info, &r7, &cloned.code()).await;
    assert_refused(answer, "a clone");
    assert_eq!(refusals(world, "r7"), [(Why::CounterWentBack, 1)]);
    // The control: the original, with the same code and at the same question.
    std::fs::write(&r7.authenticator, kept).unwrap();
    approve(&info, &r7, &cloned.code()).await.unwrap();
    cloned.answer(&token_code(&r7).unwrap().code);
    cloned.accepted();
    assert_eq!(accepted(world, "r7"), 2);
}

/// A security key as the terminal's key, which asks for no finger.
fn security_key(world: &TestWorld) {
    let folder = world.folder();
    let (provider, key) = (folder.join("security_key.so"), folder.join("sk"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sign_in/security_key.c");
    let is_made = ["0x000a0000", "0x00090000"].iter().any(|version| {
        let compiled = Command::new("gcc")
            .args([
                "-shared",
                "-fPIC",
                &format!("-DAPI_VERSION={version}"),
                "-o",
            ])
            .arg(&provider)
            .arg(&source)
            .arg("-lcrypto")
            .status()
            .unwrap();
        assert!(compiled.success(), "gcc and libssl-dev are needed");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519-sk", "-N", "", "-C", "test", "-w"])
            .arg(&provider)
            .arg("-f")
            .arg(&key)
            .output()
            .unwrap();
        made.status.success()
    });
    assert!(is_made, "ssh-keygen takes neither version of the provider");
    // The control: stock OpenSSH takes its signatures for good ones.
    let message = folder.join("message");
    std::fs::write(&message, "a message").unwrap();
    let signed = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", "file", "-f"])
        .arg(&key)
        .arg(&message)
        .env("SSH_SK_PROVIDER", &provider)
        .output()
        .unwrap();
    assert!(signed.status.success(), "{}", said(&signed));
    let checked = Command::new("ssh-keygen")
        .args(["-Y", "check-novalidate", "-n", "file", "-s"])
        .arg(folder.join("message.sig"))
        .stdin(std::fs::File::open(&message).unwrap())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", said(&checked));

    let public = key.with_extension("pub").display().to_string();
    let rest = [
        "--class",
        "console",
        "--ssh-key",
        &public,
        "--for",
        "r8",
        "t-r8-sk",
    ];
    administer(world, &["terminal", "add"], &rest);
    let provider = format!("SecurityKeyProvider={}", provider.display());
    let attempt = Attempt::begin(
        world,
        &Client {
            key: Some(&key),
            options: &["-o", &provider],
            ..Client::of("r8")
        },
    );
    attempt.refused();
    assert_eq!(refusals(world, "r8"), [(Why::SecurityKeyIsNotBiometric, 1)]);
    assert_eq!(accepted(world, "r8"), 0);
}

/// Four kinds of failures that count one by one, the fifth that locks, the right credentials that are
/// refused, and staff that lifts it.
async fn lock_out(world: &TestWorld, r1: &Person, used: &str, used_step: i64) {
    let info = world.facts();
    let mut expected = vec![(Why::ApprovalMissing, 1)];
    assert_eq!(refusals(world, "r1"), expected, "the token alone");
    let older = code_of(r1, used_step - 1);
    let wrong = wrong_code(r1);
    for (what, code, reason, locks) in [
        (
            "the finger and a wrong token",
            wrong.as_str(),
            Why::TokenWrong,
            false,
        ),
        ("a replayed code", used, Why::TokenReplayed, false),
        ("an older code", older.as_str(), Why::TokenReplayed, false),
        ("no code at all", "", Why::TokenWrong, true),
    ] {
        let mut attempt = Attempt::begin(world, &Client::of("r1"));
        approve(&info, r1, &attempt.code()).await.unwrap();
        let is_locked =
            |e: &Event| matches!(e, Event::AccountLocked { person, .. } if person == &r1.person);
        assert!(
            !world.events().iter().any(is_locked),
            "{what}: locked too early"
        );
        attempt.answer(code);
        attempt.refused();
        let failures = u32::try_from(expected.len()).unwrap() + 1;
        expected.push((reason, failures));
        assert_eq!(refusals(world, "r1"), expected, "{what}");
        assert_eq!(world.events().iter().any(is_locked), locks, "{what}");
    }
    let is_locked_at_five = |e: &Event| matches!(e, Event::AccountLocked { person, failures: 5 } if person == &r1.person);
    assert!(world.events().iter().any(is_locked_at_five));

    // The right finger and the right code, both refused.
    let right = token_code(r1).unwrap();
    let mut attempt = Attempt::begin(world, &Client::of("r1"));
    assert_refused(approve(&info, r1, &attempt.code()).await, "locked");
    attempt.answer(&right.code);
    attempt.refused();
    expected.extend([(Why::Locked, 5), (Why::Locked, 5)]);
    assert_eq!(refusals(world, "r1"), expected);
    assert_eq!(accepted(world, "r1"), 0);

    // Staff lifts it: now the very same code works.
    administer(world, &["person", "unlock"], &["r1"]);
    let by_kato = |e: &Event| {
        matches!(e, Event::AccountUnlocked { person, by }
            if person == &r1.person && by.as_str() == "kato")
    };
    assert!(world.events().iter().any(by_kato));
    let mut attempt = Attempt::begin(world, &Client::of("r1"));
    approve(&info, r1, &attempt.code()).await.unwrap();
    attempt.answer(&right.code);
    attempt.accepted();
    assert_eq!(accepted(world, "r1"), 1);
    assert_eq!(refusals(world, "r1"), expected);
}

/// Authenticators off the allow-list: at enrolment, and when the list changes later.
async fn models(world: &TestWorld) {
    let info = world.facts();
    let r4 = person(world, "r4");
    let emulated = Authenticator::load(&r4.authenticator)
        .unwrap()
        .model()
        .duplicate();
    let aaguid = emulated.aaguid();
    let models = [
        (
            "another model",
            Model::generate("other", OTHER_AAGUID).unwrap(),
        ),
        (
            "an allowed AAGUID under another authority",
            Model::generate("fake", kekkai_authenticator::EMULATED_AAGUID).unwrap(),
        ),
        ("the control: the allowed model", emulated),
    ];
    let ticket = administer(world, &["person", "enrol"], &["r4"]);
    let ticket = String::from_utf8(ticket.stdout).unwrap();
    let mut lines = ticket.lines();
    let (_, path) = lines.next().unwrap().rsplit_once("/enrol/").unwrap();
    let (_, secret) = lines.next().unwrap().rsplit_once(": ").unwrap();
    let mut expected = Vec::new();
    let mut last = None;
    for (n, (what, model)) in models.into_iter().enumerate() {
        let mut again = r4.clone();
        again.totp_secret = Some(secret.to_owned());
        again.authenticator = world.folder().join(format!("authenticator-{n}.json"));
        let enrolled = enrol(&info, &again, Authenticator::new(model), path).await;
        if n < 2 {
            assert_refused(enrolled, what);
            // The ticket is charged, not the account: who holds a ticket has no factor to try yet.
            expected.push((Why::ModelNotAllowed, 0));
        } else {
            enrolled.unwrap();
        }
        assert_eq!(refusals(world, "r4"), expected, "{what}");
        last = Some(again);
    }
    let r4 = last.unwrap();

    // Enrolled, then taken off the list.
    let other = "00000000-0000-4000-8000-000000000001";
    reconfigure(world, |text| text.replace(&aaguid, other));
    let mut attempt = Attempt::begin(world, &Client::of("r4"));
    assert_refused(approve(&info, &r4, &attempt.code()).await, "off the list");
    attempt.kill();
    expected.push((Why::ModelNotAllowed, 1));
    assert_eq!(refusals(world, "r4"), expected);
    // The control: back on it.
    reconfigure(world, |text| text.replace(other, &aaguid));
    let mut attempt = Attempt::begin(world, &Client::of("r4"));
    approve(&info, &r4, &attempt.code()).await.unwrap();
    attempt.answer(&token_code(&r4).unwrap().code);
    attempt.accepted();
    assert_eq!(accepted(world, "r4"), 1);
}
