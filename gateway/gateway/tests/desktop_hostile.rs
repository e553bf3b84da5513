//! A hostile client costs the others nothing; a hostile analysis server sends no client a byte of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::time::{Duration, Instant};

use common::screens::{Behaviour, bytes, frame};
use common::socket::{BINARY, PING, Socket, TEXT};
use common::{Stage, wait_for};
use kekkai_frames::{
    Codec, INPUT_BYTES_MAX, Input, Output, Rect, Tile, encode_input, encode_output, prefix,
};
use kekkai_policy_api::EndReason;

/// A word of data that no client may ever see.
const SENTINEL: &[u8] = b"SENTINEL-4711";

async fn shown(stage: &Stage, name: &str) -> Socket {
    let mut visitor = stage.enrol(name).await;
    let mut browser = stage.browser("b1");
    stage.open_desktop(&mut browser, &mut visitor).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw().await;
    screen
}

/// What a client sends, and why it is cut for it.
fn hostile_messages() -> Vec<(&'static str, Vec<u8>)> {
    let ack = |number, is_ping| encode_input(&Input::Ack { number, is_ping });
    let mut trailing = encode_input(&Input::Text("a".into())).to_vec();
    trailing.push(0);
    let text = Socket::frame(TEXT, b"{\"paste\": \"x\"}");
    let mut unmasked = vec![0x82, 3];
    unmasked.extend([1, 2, 3]);
    vec![
        ("garbage", Socket::frame(BINARY, &[0xff; 40])),
        ("empty", Socket::frame(BINARY, b"")),
        ("trailing", Socket::frame(BINARY, &trailing)),
        ("text", text),
        ("unmasked", unmasked),
        (
            "oversized",
            Socket::frame(BINARY, &vec![1; INPUT_BYTES_MAX + 1]),
        ),
        // A length alone: gigabytes are announced and nothing comes.
        (
            "announced",
            vec![0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4],
        ),
        ("ack of nothing", Socket::frame(BINARY, &ack(77, false))),
        ("ack again", Socket::frame(BINARY, &ack(1, false))),
        ("ping's ack", Socket::frame(BINARY, &ack(1, true))),
        (
            "an output",
            Socket::frame(BINARY, &encode_output(&frame(1))),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_client_is_cut_recorded_and_costs_the_others_nothing() {
    let stage = Stage::new().await;
    let mut honest = shown(&stage, "sato").await;
    let mut number = 1;
    for (what, message) in hostile_messages() {
        let refused = stage.requests().len();
        let mut screen = shown(&stage, &format!("visitor{number}")).await;
        screen.send_raw(&message).await.unwrap();
        assert_eq!(
            screen.closed().await,
            (4005, "out-of-protocol".into()),
            "{what}"
        );
        wait_for(|| stage.requests().len() == refused + 1).await;
        assert!(stage.requests()[refused].starts_with("screen: "), "{what}");
        // The other's keys are answered as ever.
        let begun = Instant::now();
        honest.text("x").await;
        number += 1;
        assert_eq!(honest.draw().await, number);
        assert!(begun.elapsed() < Duration::from_secs(1), "{what}");
    }
    let typed = stage.world.screens(|screens| screens.typed());
    assert!(typed.iter().all(|text| text == "x"), "{typed:?}");
    assert!(
        stage.world.closed().is_empty(),
        "sessions wait for their people"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_is_cut_whether_of_inputs_or_of_pings() {
    let stage = Stage::new().await;
    let mut honest = shown(&stage, "sato").await;
    let pointer = |x| Input::Pointer {
        x,
        y: 1,
        buttons: 0,
        wheel_x: 0,
        wheel_y: 0,
        modifiers: kekkai_frames::Modifiers::default(),
    };
    let moves = (0..600).map(|x| Socket::frame(BINARY, &encode_input(&pointer(x))));
    let moves: Vec<u8> = moves.collect::<Vec<_>>().concat();
    let text = Input::Text("x".repeat(500));
    let texts = Socket::frame(BINARY, &encode_input(&text)).repeat(400);
    let pings = Socket::frame(PING, b"").repeat(600);
    for (name, flood) in [
        ("visitor1", moves),
        ("visitor2", texts),
        ("visitor3", pings),
    ] {
        let mut screen = shown(&stage, name).await;
        for _ in 0..20 {
            if screen.send_raw(&flood).await.is_err() {
                break;
            }
        }
        assert_eq!(screen.closed().await.0, 4005, "{name}");
    }
    honest.text("x").await;
    assert_eq!(honest.draw().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_closed_client_is_gone_and_its_session_waits() {
    let stage = Stage::new().await;
    let mut screen = shown(&stage, "sato").await;
    screen.half_close().await;
    wait_for(|| stage.screen_events() == ["attached", "cut"]).await;
    assert!(stage.world.closed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_acknowledges_nothing_is_cut_after_fifteen_seconds() {
    let stage = Stage::new().await;
    let mut visitor = stage.enrol("visitor1").await;
    let mut browser = stage.browser("b1");
    stage.open_desktop(&mut browser, &mut visitor).await;
    let mut screen = browser.screen().await.unwrap();
    screen.draw_unanswered().await;
    let begun = Instant::now();
    while stage.screen_events() != ["attached", "cut"] {
        assert!(begun.elapsed() < Duration::from_secs(20), "never cut");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(14));
    assert!(stage.world.closed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_reader_holds_up_nothing_but_its_own_frames() {
    let stage = Stage::new().await;
    let mut honest = shown(&stage, "sato").await;
    stage
        .world
        .screens(|screens| screens.behaviour = Behaviour::Races);
    let mut slow = shown(&stage, "visitor1").await;
    // Each acknowledgement costs the server a frame; without one it draws nothing ahead.
    let mut last = 0;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let drawn = stage.world.screens(|screens| screens.frames);
        assert!(drawn <= last + 2, "{drawn} after {last}");
        last = slow.draw().await;
        honest.text("x").await;
        let begun = Instant::now();
        honest.draw().await;
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

/// What an analysis server sends that is no frame.
fn hostile_streams() -> Vec<(&'static str, Vec<u8>)> {
    let tile = |x, codec, data: &'static [u8]| Output::Tiles {
        frame: 2,
        ends_frame: true,
        tiles: vec![Tile {
            at: Rect {
                x,
                y: 0,
                width: 8,
                height: 8,
            },
            codec,
            data: bytes::Bytes::from_static(data),
        }],
    };
    let mut trailing = encode_output(&frame(2)).to_vec();
    trailing.extend(SENTINEL);
    let scroll = Output::Scroll {
        frame: 2,
        from: Rect {
            x: 0,
            y: 0,
            width: 64,
            height: 64,
        },
        dx: 0,
        dy: 390,
    };
    vec![
        ("garbage", SENTINEL.repeat(100)),
        ("text", prefix(SENTINEL).to_vec()),
        ("nothing", prefix(b"").to_vec()),
        ("oversized", [&[0, 5, 0, 0], SENTINEL].concat()),
        ("endless", [&[0xff, 0xff, 0xff, 0xff], SENTINEL].concat()),
        ("trailing", prefix(&trailing).to_vec()),
        (
            "an input",
            prefix(&encode_input(&Input::Text("SENTINEL-4711".into()))).to_vec(),
        ),
        (
            "pixels",
            bytes(&tile(0, Codec::Lossless, SENTINEL)).to_vec(),
        ),
        ("picture", bytes(&tile(0, Codec::Lossy, SENTINEL)).to_vec()),
        (
            "outside",
            bytes(&tile(636, Codec::Lossless, SENTINEL)).to_vec(),
        ),
        ("scroll", bytes(&scroll).to_vec()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_analysis_server_ends_the_session_and_no_byte_of_it_passes() {
    let stage = Stage::new().await;
    let mut ended = 0;
    for (what, stream) in hostile_streams() {
        stage
            .world
            .screens(|screens| screens.behaviour = Behaviour::Sends(stream));
        let mut screen = shown(&stage, &format!("visitor{ended}")).await;
        let (code, _) = screen.closed().await;
        assert!([4002, 4004].contains(&code), "{what}: {code}");
        let passed = screen.bytes.windows(8).any(|w| w == &SENTINEL[..8]);
        assert!(!passed, "{what}");
        ended += 1;
        wait_for(|| stage.world.closed().len() == ended).await;
        assert_eq!(stage.world.closed()[ended - 1].1, EndReason::ServerLost);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn analysis_server_that_waits_for_no_acknowledgement_is_not_followed() {
    let stage = Stage::new().await;
    stage
        .world
        .screens(|screens| screens.behaviour = Behaviour::Overruns);
    let mut visitor = stage.enrol("visitor1").await;
    let mut browser = stage.browser("b1");
    stage.open_desktop(&mut browser, &mut visitor).await;
    let mut screen = browser.screen().await.unwrap();
    let mut frames = 0;
    while let common::socket::Got::Output(output) = screen.next().await {
        frames += u32::from(matches!(output, Output::Tiles { .. }));
    }
    assert_eq!(frames, 4, "as many as may be under way");
    wait_for(|| stage.world.closed().len() == 1).await;
}
