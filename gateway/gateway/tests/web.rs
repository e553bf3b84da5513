//! The HTTPS door: who gets through, what passes, what is recorded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::sync::atomic::Ordering;

use common::browser::{Answer, Browser};
use common::pki::Pki;
use common::{Person, Stage};
use kekkai_authenticator::{Authenticator, Model, OTHER_AAGUID};
use kekkai_policy_api::{Event, Factor, SignInRefusal};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn sign_in(stage: &Stage, browser: &mut Browser, person: &mut Person) -> Answer {
    let body = json!({"person": person.name});
    let options = browser.post("/sign-in/begin", &body).await;
    assert_eq!(options.status, 200, "{}", options.text);
    let credential = person
        .authenticator
        .get(&options.json(), &stage.origin)
        .unwrap();
    let code = person.next_code().await;
    let body = json!({"person": person.name, "credential": credential, "token_code": code});
    browser.post("/sign-in/finish", &body).await
}

/// Every page and every screen: each asks for a terminal first.
const PAGES: [&str; 13] = [
    "/",
    "/approve",
    "/sign-in",
    "/enrol/x",
    "/review/",
    "/release/x",
    "/review/../x",
    "/nothing",
    "/desktop",
    "/desktop/screen?w=640&h=400&scale=100",
    "/watch",
    "/watch/x",
    "/watch/x/screen",
];

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminals_certificate_there_is_one_page() {
    let stage = Stage::new().await;
    let mut nobody = Browser::new(&stage, None);
    let mut stranger = Browser::new(&stage, Some(stage.pki.terminal("t9")));
    // The right name with another key: an old certificate of that terminal.
    let _current = stage.browser("t1");
    let mut old = Browser::new(&stage, Some(stage.pki.terminal("t1")));
    for browser in [&mut nobody, &mut stranger, &mut old] {
        for page in PAGES {
            let answer = browser.get(page).await;
            assert_eq!(answer.status, 403, "{page}");
            assert!(
                answer.text.contains("registered terminal"),
                "{page}: {}",
                answer.text
            );
        }
        let answer = browser
            .post("/approve/begin", &json!({"person": "sato", "code": "x"}))
            .await;
        assert_eq!(answer.status, 403);
        assert!(!answer.text.contains("challenge"));
    }
    // Another authority's certificate ends the handshake.
    let foreign = Pki::identity(&stage.pki.web, "t1");
    let mut foreign = Browser::new(&stage, Some(foreign));
    assert!(foreign.send("GET", "/", &[], Vec::new()).await.is_err());
}

/// The routes as the code has them: method and path, with `x` for what varies.
fn routes(code: &str) -> Vec<(&'static str, String)> {
    let calls = code.split(".route(\"").skip(1);
    calls
        .map(|call| {
            let (path, rest) = call.split_once("\", ").unwrap();
            let method = match rest.split('(').next().unwrap() {
                "post" => "POST",
                _ => "GET",
            };
            let mut sample = String::new();
            for part in path.split_inclusive(['{', '}']) {
                match part.strip_suffix('}') {
                    Some(_) => sample.push('x'),
                    None => sample.push_str(part.trim_end_matches('{')),
                }
            }
            (method, sample)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_but_static_files_asks_for_a_terminal_first() {
    let code = include_str!("../src/https/mod.rs");
    let (pages, files) = code.split_once(".layer(axum::middleware").unwrap();
    let (pages, files) = (routes(pages), routes(files));
    assert!(pages.len() > 20, "{pages:?}");
    assert!(pages.contains(&("POST", "/watch/x/end".to_owned())));
    let files: Vec<_> = files.iter().map(|(_, path)| path.as_str()).collect();
    let expected = [
        "/static/kekkai.js",
        "/static/kekkai.css",
        "/static/desktop/x",
        "/favicon.ico",
    ];
    assert_eq!(files, expected);
    let stage = Stage::new().await;
    let mut nobody = Browser::new(&stage, None);
    for (method, path) in pages {
        let kind = [("content-type", "application/json")];
        let answer = nobody.send(method, &path, &kind, b"{}".to_vec()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 403, "{method} {path}");
        assert!(answer.text.contains("registered terminal"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_terminal_is_out_with_its_next_request() {
    let stage = Stage::new().await;
    let mut mori = stage.enrol("mori").await;
    let mut browser = stage.browser("t1");
    assert_eq!(sign_in(&stage, &mut browser, &mut mori).await.status, 200);
    assert_eq!(browser.get("/review/").await.status, 200);
    stage.world.revoke("t1");
    assert_eq!(browser.get("/review/").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tls_1_3_is_spoken() {
    let stage = Stage::new().await;
    // A ClientHello of TLS 1.2, written out: no `supported_versions`, an ECDHE suite, P-256.
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    let extensions = [
        0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3, 0, 11, 0, 2, 1, 0,
    ];
    body.extend([0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    let mut hello = vec![0x16, 3, 1, 0, length + 4, 1, 0, 0, length];
    hello.extend(body);
    let mut stream = TcpStream::connect(stage.config.https.listen).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(std::time::Duration::from_secs(8), read)
        .await
        .unwrap()
        .unwrap();
    // An alert, `protocol_version`, and no ServerHello.
    assert_eq!(answer, [0x15, 3, 3, 0, 2, 2, 70], "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_post_nothing() {
    let stage = Stage::new().await;
    let mut browser = stage.browser("t1");
    let body = json!({"person": "sato", "code": "ABCD2345"});
    for origin in [
        None,
        Some("https://evil.example"),
        Some("null"),
        Some("https://localhost"),
    ] {
        browser.origin = origin.map(str::to_owned);
        assert_eq!(
            browser.post("/approve/begin", &body).await.status,
            403,
            "{origin:?}"
        );
    }
    browser.origin = Some(stage.origin.clone());
    assert_eq!(browser.post("/approve/begin", &body).await.status, 200);
    // A form's body is no script's.
    let form = browser.form("/approve/begin", "person=sato&code=x").await;
    assert_eq!(form.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_trust_no_other_origin_and_speak_both_languages() {
    let stage = Stage::new().await;
    let mut browser = stage.browser("t1");
    for (path, ja, en) in [
        ("/approve", "接続の承認", "Approve a connection"),
        ("/sign-in", "サインイン", "Sign in"),
        (
            "/nothing",
            "そのページはありません",
            "There is no such page",
        ),
    ] {
        browser.lang = "ja-JP,ja;q=0.9,en;q=0.5";
        let page = browser.get(path).await;
        assert!(page.text.contains(ja), "{}", page.text);
        assert!(page.text.contains("デモ環境"), "{}", page.text);
        browser.lang = "fr, en-GB;q=0.8";
        let page = browser.get(path).await;
        assert!(page.text.contains(en), "{}", page.text);
        assert!(page.text.contains("Demonstration"), "{}", page.text);
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(!page.text.contains("style=") && !page.text.contains("onclick"));
        assert!(!page.text.contains("http://") && !page.text.contains("https://"));
    }
    browser.get("/approve?lang=ja").await;
    assert!(
        browser.get("/approve").await.text.contains("接続の承認"),
        "the choice is kept"
    );
    let script = browser.get("/static/kekkai.js").await;
    assert!(script.header("content-type").starts_with("text/javascript"));
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_sign_in_with_both_factors_and_out_again() {
    let stage = Stage::new().await;
    let mut mori = stage.enrol("mori").await;
    let mut browser = stage.browser("t1");
    assert_eq!(browser.get("/").await.status, 303);
    let mut answer = sign_in(&stage, &mut browser, &mut mori).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let cookie = answer.headers.remove("set-cookie").unwrap();
    let cookie = cookie.to_str().unwrap();
    for wanted in [
        "__Host-kekkai=",
        "Secure",
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
    ] {
        assert!(cookie.contains(wanted), "{cookie}");
    }
    let accepted = stage.world.events().into_iter().find_map(|e| match e {
        Event::SignInAccepted {
            person, factors, ..
        } => Some((person, factors)),
        _ => None,
    });
    let (person, factors) = accepted.unwrap();
    assert_eq!(person.as_str(), "mori");
    assert_eq!(
        factors,
        [Factor::Biometric, Factor::Token, Factor::Terminal]
    );
    assert!(browser.get("/").await.text.contains("森 由紀"));

    // The cookie is the terminal's: elsewhere it is nobody's.
    let mut elsewhere = stage.browser("t2");
    elsewhere.cookies = browser.cookies.clone();
    assert_eq!(elsewhere.get("/review/").await.status, 303);

    let kept = browser.cookies.clone();
    assert_eq!(browser.form("/sign-out", "").await.status, 303);
    browser.cookies = kept;
    assert_eq!(
        browser.get("/review/").await.status,
        303,
        "the cookie is void, not only forgotten"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_with_one_wrong_factor_says_the_same_and_records_which() {
    let stage = Stage::new().await;
    let mut mori = stage.enrol("mori").await;
    let mut browser = stage.browser("t1");
    let mut answers = Vec::new();
    for (finger, code) in [
        (true, "000000x".to_owned()),
        (false, mori.next_code().await),
    ] {
        let options = browser
            .post("/sign-in/begin", &json!({"person": "mori"}))
            .await;
        mori.authenticator.knobs.without_user_verification = !finger;
        let credential = mori
            .authenticator
            .get(&options.json(), &stage.origin)
            .unwrap();
        let body = json!({"person": "mori", "credential": credential, "token_code": code});
        let answer = browser.post("/sign-in/finish", &body).await;
        answers.push((answer.status, answer.text));
    }
    // Nobody of that name, with anybody's authenticator.
    let body = json!({"person": "nobody"});
    let options = browser.post("/sign-in/begin", &body).await;
    assert_eq!(options.status, 200);
    let mut other = Authenticator::new(stage.model.duplicate());
    assert!(
        other.get(&options.json(), &stage.origin).is_err(),
        "no such credential anywhere"
    );
    let options = browser
        .post("/sign-in/begin", &json!({"person": "mori"}))
        .await;
    let credential = mori
        .authenticator
        .get(&options.json(), &stage.origin)
        .unwrap();
    let body = json!({"person": "nobody", "credential": credential, "token_code": "123456"});
    let answer = browser.post("/sign-in/finish", &body).await;
    answers.push((answer.status, answer.text));
    assert_eq!(answers[0].0, 403);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    let name = || Some("mori".to_owned());
    assert_eq!(
        stage.refusals(),
        [
            (name(), SignInRefusal::TokenWrong, 1),
            (name(), SignInRefusal::UserNotVerified, 2),
            (None, SignInRefusal::UnknownPerson, 0),
        ]
    );
    assert!(browser.cookies.keys().all(|name| name != "__Host-kekkai"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_no_browser_signs_in_and_nothing_is_enrolled() {
    let stage = Stage::new().await;
    let mut mori = stage.enrol("mori").await;
    let mut browser = stage.browser("t1");
    let ticket = stage.ticket("sato").await;
    stage.world.ledger_fails.store(true, Ordering::SeqCst);
    assert_eq!(sign_in(&stage, &mut browser, &mut mori).await.status, 503);
    assert!(browser.cookies.keys().all(|name| name != "__Host-kekkai"));

    let mut authenticator = Authenticator::new(stage.model.duplicate());
    let token = kekkai_authenticator::Token::new(&ticket.totp_secret).unwrap();
    let begin = format!("/enrol/{}/begin", ticket.ticket);
    let options = browser.post(&begin, &json!({})).await;
    let credential = authenticator
        .create(&options.json(), &stage.origin)
        .unwrap();
    let body = json!({"credential": credential, "token_code": token.code_now()});
    let finish = format!("/enrol/{}/finish", ticket.ticket);
    assert_eq!(browser.post(&finish, &body).await.status, 503);
    let person = kekkai_types::PersonId::new("sato").unwrap();
    let account = kekkai_gateway_api::LookUpAccount { person };
    let account = stage.admin("ono").call(&account).await.unwrap();
    assert_eq!((account.authenticators, account.token), (0, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn enrolment_takes_allowed_models_only_and_is_recorded() {
    let stage = Stage::new().await;
    for model in [
        Model::generate("other", OTHER_AAGUID).unwrap(),
        Model::emulated().unwrap(),
    ] {
        let (status, _, _) = stage.try_enrol("sato", Authenticator::new(model)).await;
        assert_eq!(status, 403);
    }
    let refusals = stage.refusals();
    assert_eq!(refusals.len(), 2);
    assert!(
        refusals
            .iter()
            .all(|(_, reason, _)| *reason == SignInRefusal::ModelNotAllowed)
    );
    stage.enrol("sato").await;
    let enrolled: Vec<_> = stage
        .world
        .events()
        .into_iter()
        .filter_map(|e| match e {
            Event::CredentialEnrolled {
                person,
                factor,
                model,
                by,
            } => Some((person.to_string(), factor, model, by.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(enrolled.len(), 2);
    assert_eq!(
        enrolled[0],
        (
            "sato".into(),
            Factor::Biometric,
            "emulated".into(),
            "ono".into()
        )
    );
    assert_eq!(enrolled[1].1, Factor::Token);

    // A ticket is for its person's terminals, and for once.
    let ticket = stage.ticket("sato").await;
    let mut katos = stage.browser("t2");
    assert_eq!(
        katos.get(&format!("/enrol/{}", ticket.ticket)).await.status,
        404
    );
    assert!(
        stage
            .admin("kato")
            .call(&kekkai_gateway_api::CreateEnrolment {
                person: kekkai_types::PersonId::new("sato").unwrap(),
            })
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn review_learns_who_asks_from_the_gateway_only() {
    let stage = Stage::new().await;
    let mut mori = stage.enrol("mori").await;
    let mut browser = stage.browser("t1");
    assert_eq!(sign_in(&stage, &mut browser, &mut mori).await.status, 200);
    let forged = [
        ("x-kekkai-person", "kato"),
        ("X-Kekkai-Terminal", "desk"),
        ("x-kekkai-csrf", "forged"),
        ("x-kekkai-demo", "0"),
        ("cookie", "a=b"),
        ("authorization", "Basic x"),
        ("x-forwarded-for", "1.2.3.4"),
        ("accept", "text/html"),
    ];
    let answer = browser
        .send("GET", "/review/queue?x=1", &forged, Vec::new())
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    let text = &answer.text;
    assert!(text.starts_with("GET /review/queue?x=1"), "{text}");
    for wanted in [
        "x-kekkai-person: mori",
        "x-kekkai-terminal: t1",
        "x-kekkai-lang: ja",
        "x-kekkai-demo: 1",
        "accept: text/html",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    for unwanted in [
        "kato",
        "desk",
        "forged",
        "cookie",
        "authorization",
        "x-forwarded",
    ] {
        assert!(!text.contains(unwanted), "{unwanted}: {text}");
    }
    // Its headers are ours.
    assert!(
        answer
            .header("content-security-policy")
            .contains("default-src 'none'")
    );

    let csrf = text
        .lines()
        .find_map(|line| line.strip_prefix("x-kekkai-csrf: "))
        .unwrap()
        .to_owned();
    let vote = browser
        .form("/review/vote", &format!("vote=accept&csrf={csrf}"))
        .await;
    assert_eq!(vote.status, 200);
    assert!(vote.text.contains("vote=accept"), "{}", vote.text);
    let zeroes = "0".repeat(csrf.len());
    for body in [
        "vote=accept".to_owned(),
        "vote=accept&csrf=".to_owned(),
        format!("vote=accept&csrf={zeroes}"),
        format!("csrf={csrf}&csrf={csrf}"),
    ] {
        assert_eq!(
            browser.form("/review/vote", &body).await.status,
            403,
            "{body}"
        );
    }
    let json = browser.post("/review/vote", &json!({"csrf": csrf})).await;
    assert_eq!(json.status, 403);
    browser.origin = Some("https://evil.example".into());
    assert_eq!(
        browser
            .form("/review/vote", &format!("csrf={csrf}"))
            .await
            .status,
        403
    );
    browser.origin = Some(stage.origin.clone());
    let put = browser
        .send(
            "PUT",
            "/review/vote",
            &[("origin", &stage.origin)],
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(put.status, 405);
    let large = format!("csrf={csrf}&x={}", "x".repeat(1024 * 1024));
    assert_eq!(browser.form("/review/vote", &large).await.status, 413);
    // The calls between services are not pages.
    assert_eq!(browser.get("/v1/output/list").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_terminal_asks_only_so_often() {
    let stage = Stage::with(|config| config.limits.sign_in_requests_per_minute = 5).await;
    let mut browser = stage.browser("t1");
    let mut last = 0;
    for _ in 0..7 {
        last = browser
            .post("/sign-in/begin", &json!({"person": "sato"}))
            .await
            .status;
    }
    assert_eq!(last, 429);
    let mut other = stage.browser("t2");
    assert_eq!(
        other
            .post("/sign-in/begin", &json!({"person": "sato"}))
            .await
            .status,
        200
    );
}
