//! Desktops in a browser: who gets one, what passes, when it is locked, cut, found again, over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::browser::Browser;
use common::screens::{Behaviour, shade};
use common::socket::Got;
use common::{Stage, wait_for};
use kekkai_analysis_api::Viewer;
use kekkai_frames::Input;
use kekkai_policy_api::{DesktopTimes, EndReason, Event, View};
use serde_json::json;

const SCREEN: &str = "/desktop/screen?w=640&h=400&scale=100";

fn times(stage: &Stage, lock_after_s: u32, reconnect_limit_s: u32) {
    stage.world.screens(|screens| {
        screens.times = DesktopTimes {
            lock_after_s,
            reconnect_limit_s,
        };
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn desktop_is_opened_shown_typed_into_and_left() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    let session = stage.open_desktop(&mut browser, &mut sato).await;
    let opened = stage.world.opened();
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].view, View::Desktop);
    assert_eq!(opened[0].terminal.as_str(), "b1");

    let mut screen = browser.screen().await.unwrap();
    assert_eq!(screen.draw().await, 1);
    assert_eq!(screen.shade(), shade(1));
    let attached = stage.world.screens(|screens| screens.attached.clone());
    assert_eq!(attached.len(), 1);
    assert_eq!(attached[0].session.as_str(), session);
    assert_eq!(attached[0].viewer, Viewer::Researcher);
    assert_eq!(attached[0].size, (640, 400, 100));
    assert_eq!(stage.screen_events(), ["attached"]);

    screen.text("SELECT 年齢").await;
    assert_eq!(screen.draw().await, 2);
    assert_eq!(screen.shade(), shade(2));
    let typed = || stage.world.screens(|screens| screens.typed());
    assert_eq!(typed(), ["SELECT 年齢"]);

    // Nothing changes, nothing is sent.
    assert!(screen.is_quiet(Duration::from_secs(3)).await);

    stage.world.screens(|screens| screens.wish(false, true));
    assert_eq!(screen.closed().await, (4002, "closed-by-user".into()));
    wait_for(|| !stage.world.closed().is_empty()).await;
    assert_eq!(stage.world.closed()[0].1, EndReason::ClosedByUser);
    assert_eq!(stage.world.ended_at_analysis().len(), 1);
    wait_for(|| stage.screen_events() == ["attached", "left"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn screen_opens_for_its_own_page_only_after_its_own_sign_in_once() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    assert_eq!(browser.screen().await.err(), Some(401), "not signed in");
    let body = json!({"agreement": null});
    let refused = browser.post("/desktop/open", &body).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["code"], "sign-in-needed");
    assert!(!refused.json()["text"].as_str().unwrap().is_empty());

    assert_eq!(stage.sign_in(&mut browser, &mut sato).await.status, 200);
    assert_eq!(browser.screen().await.err(), Some(403), "not opened");
    assert_eq!(browser.post("/desktop/open", &body).await.status, 200);
    let again = browser.post("/desktop/open", &body).await;
    assert_eq!(again.status, 401, "the sign-in is spent");

    for origin in [None, Some("https://evil.example"), Some("null")] {
        browser.origin = origin.map(str::to_owned);
        assert_eq!(browser.screen().await.err(), Some(403), "{origin:?}");
    }
    browser.origin = Some(stage.origin.clone());
    for protocol in ["", "kekkai-frames-2", "chat"] {
        let refused = browser.socket_as(SCREEN, protocol).await.err();
        assert_eq!(refused, Some(400), "{protocol}");
    }
    for size in ["w=1&h=400&scale=100", "w=9999&h=400&scale=100", "w=640", ""] {
        let path = format!("/desktop/screen?{size}");
        assert_eq!(browser.socket(&path).await.err(), Some(400), "{size}");
    }
    let plain = browser.get(SCREEN).await;
    assert_eq!(plain.status, 400, "no WebSocket");
    // The cookie is another terminal's nobody.
    let mut elsewhere = stage.browser("b2");
    elsewhere.cookies = browser.cookies.clone();
    assert_eq!(elsewhere.screen().await.err(), Some(401));
    let stranger = Browser::new(&stage, None);
    assert_eq!(stranger.screen().await.err(), Some(403));
    assert!(stage.world.screens(|screens| screens.attached.is_empty()));
    assert!(stage.screen_events().is_empty());

    // None of this spent what the page was admitted to.
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    assert_eq!(browser.screen().await.err(), Some(403), "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn terminal_of_another_class_and_a_refused_person_get_no_desktop() {
    let stage = Stage::new().await;
    let body = json!({"agreement": null});
    let mut sato = stage.enrol("sato").await;
    let mut console = stage.browser("t1");
    assert_eq!(stage.sign_in(&mut console, &mut sato).await.status, 200);
    let refused = console.post("/desktop/open", &body).await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str().unwrap()),
        (403, "desktop-off")
    );
    assert!(stage.world.opened().is_empty());

    let mut kato = stage.enrol("kato").await;
    let mut browser = stage.browser("b1");
    assert_eq!(stage.sign_in(&mut browser, &mut kato).await.status, 200);
    let refused = browser.post("/desktop/open", &body).await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str().unwrap()),
        (403, "not-on-roster")
    );
    assert_eq!(
        browser.post("/desktop/open", &body).await.status,
        401,
        "each try costs a sign-in"
    );
    let odd = browser
        .post("/desktop/open", &json!({"agreement": 1}))
        .await;
    assert_eq!(odd.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn screen_is_locked_without_input_and_returns_after_a_new_sign_in() {
    let stage = Stage::new().await;
    times(&stage, 3, 600);
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    let session = stage.open_desktop(&mut browser, &mut sato).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    // Acknowledgements are no sign of a person; keys are.
    tokio::time::sleep(Duration::from_secs(2)).await;
    screen.text("a").await;
    screen.draw().await;
    assert!(screen.is_quiet(Duration::from_secs(2)).await);
    assert_eq!(screen.closed().await, (4001, "locked".into()));
    assert!(stage.world.closed().is_empty(), "the session goes on");
    wait_for(|| stage.screen_events() == ["attached", "locked"]).await;

    // Being signed in is not enough.
    let body = json!({"agreement": null});
    assert_eq!(browser.post("/desktop/open", &body).await.status, 401);
    assert_eq!(browser.screen().await.err(), Some(403));
    assert_eq!(stage.open_desktop(&mut browser, &mut sato).await, session);
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    assert_eq!(stage.world.opened().len(), 1, "the same session");
    assert_eq!(stage.screen_events(), ["attached", "locked", "attached"]);

    // By the person's own wish, too.
    stage.world.screens(|screens| screens.wish(true, false));
    assert_eq!(screen.closed().await, (4001, "locked".into()));
    assert!(stage.world.closed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_line_leaves_the_session_running_for_its_own_person_and_terminal() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    let session = stage.open_desktop(&mut browser, &mut sato).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    drop(screen);
    wait_for(|| stage.screen_events() == ["attached", "cut"]).await;
    assert!(stage.world.closed().is_empty());

    // Somebody else at this terminal gets another session.
    let mut visitor = stage.enrol("visitor1").await;
    let mut other = stage.browser("b1");
    assert_ne!(stage.open_desktop(&mut other, &mut visitor).await, session);
    // So does the same person at another terminal.
    let mut elsewhere = stage.browser("b2");
    assert_ne!(stage.open_desktop(&mut elsewhere, &mut sato).await, session);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_screen_takes_the_first_ones_place() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    let session = stage.open_desktop(&mut browser, &mut sato).await;
    let mut first = browser.screen().await.unwrap();
    first.draw().await;
    let mut tab = stage.browser("b1");
    assert_eq!(stage.open_desktop(&mut tab, &mut sato).await, session);
    let mut second = tab.screen().await.unwrap();
    assert_eq!(first.closed().await, (4003, "replaced".into()));
    second.draw().await;
    second.text("still there").await;
    second.draw().await;
    wait_for(|| stage.screen_events().contains(&"replaced".to_owned())).await;
    // The place that was lost does not count as an empty one.
    assert!(second.is_quiet(Duration::from_secs(1)).await);
    assert!(stage.world.closed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_back_in_time_and_the_session_ends() {
    let stage = Stage::new().await;
    times(&stage, 1, 2);
    let mut reasons = Vec::new();
    for (name, is_cut) in [("visitor1", true), ("visitor2", false)] {
        let mut visitor = stage.enrol(name).await;
        let mut browser = stage.browser("b1");
        stage.open_desktop(&mut browser, &mut visitor).await;
        let mut screen = browser.screen().await.unwrap();
        screen.draw().await;
        if is_cut {
            drop(screen);
        } else {
            assert_eq!(screen.closed().await.0, 4001);
        }
        wait_for(|| stage.world.closed().len() > reasons.len()).await;
        reasons.push(stage.world.closed().last().unwrap().1);
    }
    assert_eq!(reasons, [EndReason::Disconnected, EndReason::Idle]);
    // One that was opened and never shown is not forgotten either.
    let mut visitor = stage.enrol("visitor3").await;
    let mut browser = stage.browser("b1");
    stage.open_desktop(&mut browser, &mut visitor).await;
    wait_for(|| stage.world.closed().len() == 3).await;
    assert_eq!(stage.world.closed()[2].1, EndReason::Disconnected);
    assert_eq!(stage.world.ended_at_analysis().len(), 3);
    assert_eq!(browser.screen().await.unwrap().closed().await.0, 4002);
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_ends_a_session_that_is_shown_and_one_that_is_cut() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    let first = stage.open_desktop(&mut browser, &mut sato).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    stage.world.end_all(EndReason::NotOnRoster);
    assert_eq!(screen.closed().await, (4002, "not-on-roster".into()));
    wait_for(|| stage.world.closed().len() == 1).await;

    let mut visitor = stage.enrol("visitor1").await;
    let mut browser = stage.browser("b1");
    let session = stage.open_desktop(&mut browser, &mut visitor).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    drop(screen);
    wait_for(|| stage.screen_events().last().unwrap() == "cut").await;
    stage.world.end_all(EndReason::AgreementEnded);
    wait_for(|| stage.world.closed().len() == 2).await;
    assert_eq!(stage.world.closed()[1].1, EndReason::AgreementEnded);
    let found = stage.open_desktop(&mut browser, &mut visitor).await;
    assert!(found != session && found != first, "it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_that_the_ledger_does_not_take() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    stage.open_desktop(&mut browser, &mut sato).await;
    stage.world.ledger_fails.store(true, Ordering::SeqCst);
    let mut screen = browser.screen().await.unwrap();
    assert_eq!(screen.next().await, Got::Close(4004, "server-gone".into()));
    assert!(stage.world.screens(|screens| screens.attached.is_empty()));
    assert!(stage.world.closed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn analysis_server_that_hangs_up_leaves_the_session_to_its_lease() {
    let stage = Stage::new().await;
    stage
        .world
        .screens(|screens| screens.behaviour = Behaviour::HangsUp);
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    stage.open_desktop(&mut browser, &mut sato).await;
    let mut screen = browser.screen().await.unwrap();
    assert_eq!(screen.closed().await, (4004, "server-gone".into()));
    assert!(stage.world.closed().is_empty());
    wait_for(|| stage.screen_events() == ["attached", "cut"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_locks_the_screen() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    stage.open_desktop(&mut browser, &mut sato).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    assert_eq!(browser.form("/sign-out", "").await.status, 303);
    assert_eq!(screen.closed().await, (4001, "locked".into()));
    assert!(stage.world.closed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn page_holds_no_data_and_trusts_nothing_but_itself() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    let away = browser.get("/desktop").await;
    assert_eq!(
        (away.status, away.header("location")),
        (303, "/sign-in?next=/desktop")
    );
    let form = browser.get("/sign-in?next=/desktop").await;
    assert!(form.text.contains(r#"name="next" value="/desktop""#));
    let form = browser.get("/sign-in?next=https://evil.example/").await;
    assert!(form.text.contains(r#"name="next" value="/""#));
    assert!(!form.text.contains("evil"));
    assert_eq!(stage.sign_in(&mut browser, &mut sato).await.status, 200);

    let page = browser.get("/desktop").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    for wanted in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "blob:",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(wanted), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("data:"));
    assert_eq!(page.header("cache-control"), "no-store");
    for denied in [
        "display-capture=()",
        "clipboard-read=()",
        "clipboard-write=()",
        "usb=()",
    ] {
        assert!(
            page.header("permissions-policy").contains(denied),
            "{denied}"
        );
    }
    assert!(!page.text.contains("style=") && !page.text.contains("onclick"));
    assert!(
        !page.text.contains("糖尿病"),
        "not even the project's title"
    );
    for name in ["main.js", "frames.js", "input.js", "signin.js", "words.js"] {
        let script = browser.get(&format!("/static/desktop/{name}")).await;
        assert_eq!(script.status, 200, "{name}");
        assert!(script.header("content-type").starts_with("text/javascript"));
        for foreign in ["http://", "https://", "eval(", "innerHTML"] {
            assert!(!script.text.contains(foreign), "{name}: {foreign}");
        }
    }
    assert_eq!(
        browser.get("/static/desktop/../kekkai.js").await.status,
        404
    );
    assert_eq!(browser.get("/static/desktop/x.js").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_gateway_ends_desktops_everywhere() {
    let mut stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    stage.open_desktop(&mut browser, &mut sato).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    stage.stop().await;
    let closed = stage.world.closed();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].1, EndReason::Disconnected);
    assert_eq!(stage.world.ended_at_analysis().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_at_once_get_one_session() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let (mut one, mut two) = (stage.browser("b1"), stage.browser("b1"));
    assert_eq!(stage.sign_in(&mut one, &mut sato).await.status, 200);
    assert_eq!(stage.sign_in(&mut two, &mut sato).await.status, 200);
    let body = json!({"agreement": "g1"});
    let (one, two) = tokio::join!(
        one.post("/desktop/open", &body),
        two.post("/desktop/open", &body)
    );
    assert_eq!(
        (one.status, two.status),
        (200, 200),
        "{} {}",
        one.text,
        two.text
    );
    assert_eq!(one.json()["session"], two.json()["session"]);
    assert_eq!(stage.world.opened().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pointer_keys_and_sizes_pass_as_they_are() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    stage.open_desktop(&mut browser, &mut sato).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    let sent = [
        Input::Key {
            key: kekkai_frames::Key::Enter,
            is_down: true,
            modifiers: kekkai_frames::Modifiers::default(),
        },
        Input::Pointer {
            x: 10,
            y: 20,
            buttons: 1,
            wheel_x: 0,
            wheel_y: -120,
            modifiers: kekkai_frames::Modifiers::default(),
        },
        Input::Resize {
            width: 1280,
            height: 800,
            scale: 200,
        },
        Input::Text("同意".into()),
    ];
    for input in &sent {
        screen.send(input).await;
    }
    screen.draw().await;
    let arrived = stage.world.screens(|screens| {
        let all = screens.inputs.iter().map(|(_, input)| input.clone());
        all.filter(|input| !matches!(input, Input::Ack { .. }))
            .collect::<Vec<_>>()
    });
    assert_eq!(arrived, sent);
    let refused = |event: &Event| matches!(event, Event::RequestRefused { .. });
    assert!(!stage.world.events().iter().any(refused));
}
