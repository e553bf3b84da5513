//! Staff look at desktops and end them: allowed by policy, recorded first, read only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::sync::atomic::Ordering;

use common::browser::Browser;
use common::socket::Socket;
use common::{Stage, wait_for};
use kekkai_analysis_api::Viewer;
use kekkai_frames::Input;
use kekkai_policy_api::{EndReason, Event};
use serde_json::json;

struct Scene {
    stage: Stage,
    session: String,
    screen: Socket,
}

async fn scene() -> Scene {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let mut browser = stage.browser("b1");
    let session = stage.open_desktop(&mut browser, &mut sato).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    Scene {
        stage,
        session,
        screen,
    }
}

async fn staff(stage: &Stage, name: &str) -> Browser {
    let mut person = stage.enrol(name).await;
    let mut browser = stage.browser("desk");
    assert_eq!(stage.sign_in(&mut browser, &mut person).await.status, 200);
    browser
}

fn csrf(page: &str) -> String {
    let (_, rest) = page.split_once(r#"name="csrf" value=""#).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_watches_a_desktop_and_the_ledger_knew_first() {
    let mut scene = scene().await;
    let mut ono = staff(&scene.stage, "ono").await;
    ono.lang = "en";
    let list = ono.get("/watch?lang=en").await;
    assert_eq!(list.status, 200);
    assert!(list.text.contains("佐藤 花子") && list.text.contains(&scene.session));
    let path = format!("/watch/{}", scene.session);
    let page = ono.get(&path).await;
    assert!(
        page.text
            .contains(&format!(r#"data-watch="{path}/screen""#)),
        "{}",
        page.text
    );
    assert!(
        page.header("content-security-policy")
            .contains("form-action 'self'")
    );

    let mut watcher = ono.socket(&format!("{path}/screen")).await.unwrap();
    watcher.draw().await;
    assert_eq!(scene.stage.screen_events(), ["attached", "watched by ono"]);
    let attached = scene
        .stage
        .world
        .screens(|screens| screens.attached.clone());
    assert_eq!(attached.len(), 2);
    assert!(matches!(&attached[1].viewer, Viewer::Watcher(by) if by.as_str() == "ono"));
    // The researcher keeps their seat.
    scene.screen.text("x").await;
    scene.screen.draw().await;
    drop(watcher);
    wait_for(|| scene.stage.screen_events().last().unwrap() == "watch-ended").await;
    assert!(scene.stage.world.closed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn watcher_cannot_type() {
    let scene = scene().await;
    let ono = staff(&scene.stage, "ono").await;
    let path = format!("/watch/{}/screen", scene.session);
    for input in [
        Input::Text("DROP".into()),
        Input::Key {
            key: kekkai_frames::Key::Enter,
            is_down: true,
            modifiers: kekkai_frames::Modifiers::default(),
        },
        Input::Resize {
            width: 640,
            height: 400,
            scale: 100,
        },
    ] {
        let mut watcher = ono.socket(&path).await.unwrap();
        watcher.draw().await;
        watcher.send(&input).await;
        assert_eq!(watcher.closed().await.0, 4005, "{input:?}");
    }
    let of_watchers = scene.stage.world.screens(|screens| {
        let inputs = screens.inputs.iter();
        inputs
            .filter(|(viewer, _)| *viewer != Viewer::Researcher)
            .all(|(_, input)| matches!(input, Input::Ack { .. }))
    });
    assert!(of_watchers);
    wait_for(|| scene.stage.requests().len() == 3).await;
    assert_eq!(scene.stage.requests()[0], "screen: a watcher's input");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_others_there_is_nothing_to_watch() {
    let scene = scene().await;
    let path = format!("/watch/{}", scene.session);
    let screen = format!("{path}/screen");
    let mut nobody = scene.stage.browser("desk");
    for page in ["/watch", &path] {
        let away = nobody.get(page).await;
        assert_eq!(
            (away.status, away.header("location")),
            (303, "/sign-in?next=/watch"),
            "{page}"
        );
    }
    assert_eq!(nobody.socket(&screen).await.err(), Some(303));

    let mut visitor = staff(&scene.stage, "visitor1").await;
    for page in ["/watch", &path] {
        let answer = visitor.get(page).await;
        assert_eq!(answer.status, 404, "{page}");
        assert!(!answer.text.contains("佐藤"), "{page}");
    }
    assert_eq!(visitor.socket(&screen).await.err(), Some(404));
    let end = visitor
        .form(&format!("{path}/end"), "csrf=x&confirm=yes")
        .await;
    assert_eq!(end.status, 404);

    // An operator whom the policy service refuses sees no frame.
    let mut ota = staff(&scene.stage, "ota").await;
    assert_eq!(ota.socket(&screen).await.err(), Some(403));
    let token = csrf(&ota.get(&path).await.text);
    let body = format!("csrf={token}&confirm=yes");
    assert_eq!(ota.form(&format!("{path}/end"), &body).await.status, 403);

    // Another page's WebSocket, or one for another session.
    let mut ono = staff(&scene.stage, "ono").await;
    ono.origin = Some("https://evil.example".into());
    assert_eq!(ono.socket(&screen).await.err(), Some(403));
    ono.origin = Some(scene.stage.origin.clone());
    assert_eq!(ono.socket_as(&screen, "x").await.err(), Some(400));
    let other = kekkai_types::SessionId::random().unwrap();
    assert_eq!(
        ono.socket(&format!("/watch/{other}/screen")).await.err(),
        Some(404)
    );
    assert_eq!(scene.stage.screen_events(), ["attached"]);
    assert!(scene.stage.world.closed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_end_a_session_with_a_confirmed_form() {
    let mut scene = scene().await;
    let mut ono = staff(&scene.stage, "ono").await;
    let path = format!("/watch/{}", scene.session);
    let mut watcher = ono.socket(&format!("{path}/screen")).await.unwrap();
    watcher.draw().await;
    let token = csrf(&ono.get(&path).await.text);
    let end = format!("{path}/end");
    for (body, status) in [
        ("confirm=yes".to_owned(), 403),
        (format!("csrf={}&confirm=yes", "0".repeat(64)), 403),
        (format!("csrf={token}"), 400),
    ] {
        assert_eq!(ono.form(&end, &body).await.status, status, "{body}");
    }
    assert_eq!(ono.post(&end, &json!({"csrf": token})).await.status, 403);
    assert!(scene.stage.world.closed().is_empty());

    let body = format!("csrf={token}&confirm=yes");
    assert_eq!(ono.form(&end, &body).await.status, 303);
    assert_eq!(scene.screen.closed().await, (4002, "ended-by-staff".into()));
    assert_eq!(watcher.closed().await, (4006, "watch-over".into()));
    let closed = scene.stage.world.closed();
    assert_eq!(closed[0].1, EndReason::EndedByStaff);
    assert_eq!(ono.get(&path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_ends_with_the_sign_in_and_with_the_terminal() {
    let scene = scene().await;
    let mut ono = staff(&scene.stage, "ono").await;
    let path = format!("/watch/{}/screen", scene.session);
    let mut watcher = ono.socket(&path).await.unwrap();
    watcher.draw().await;
    assert_eq!(ono.form("/sign-out", "").await.status, 303);
    assert_eq!(watcher.closed().await.0, 4006);

    let ono = staff(&scene.stage, "ono").await;
    let mut watcher = ono.socket(&path).await.unwrap();
    watcher.draw().await;
    scene.stage.world.revoke("desk");
    assert_eq!(watcher.closed().await.0, 4006);
    assert!(scene.stage.world.closed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_watches_unrecorded_and_watchers_are_few() {
    let scene = scene().await;
    let ono = staff(&scene.stage, "ono").await;
    let path = format!("/watch/{}/screen", scene.session);
    scene.stage.world.ledger_fails.store(true, Ordering::SeqCst);
    let mut watcher = ono.socket(&path).await.unwrap();
    assert_eq!(watcher.closed().await.0, 4004);
    assert!(watcher.bytes.is_empty());
    scene
        .stage
        .world
        .ledger_fails
        .store(false, Ordering::SeqCst);

    let mut watchers = Vec::new();
    for _ in 0..4 {
        let mut watcher = ono.socket(&path).await.unwrap();
        watcher.draw().await;
        watchers.push(watcher);
    }
    let mut fifth = ono.socket(&path).await.unwrap();
    assert_eq!(fifth.closed().await.0, 4006);
    assert!(fifth.bytes.is_empty());
    let recorded = scene.stage.world.events();
    let recorded = recorded
        .iter()
        .filter(|event| matches!(event, Event::SessionWatched { .. }));
    assert_eq!(recorded.count(), 4);
}
