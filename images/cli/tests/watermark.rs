//! From a picture to a session, with the command itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::path::Path;
use std::process::{Command, Output};

use image::RgbImage;
use kekkai_ledger::{Ledger, generate_key, verifier_key};
use kekkai_policy_api::{ENTRY_VERSION, Entry, Event};
use kekkai_types::{Digest, TerminalClass, Timestamp};
use kekkai_watermark::{Mark, Rect, Watermark};

const MARK: u32 = 0x7f3a_09c1;

/// A white screen with some grey boxes, marked.
fn screenshot(path: &Path, mark: Option<Mark>) {
    let (width, height) = (640_u16, 480_u16);
    let mut rgba: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let level = if x % 90 < 60 && y % 40 < 12 { 70 } else { 255 };
            [level, level, level, 255]
        })
        .collect();
    if let Some(mark) = mark {
        let mut watermark = Watermark::new(mark, "sato", "s-01");
        let _ = watermark.set_time(Timestamp(1_790_000_000_000));
        watermark.apply(
            &mut rgba,
            Rect {
                x: 0,
                y: 0,
                width,
                height,
            },
        );
    }
    let rgb = rgba
        .chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect();
    RgbImage::from_raw(width.into(), height.into(), rgb)
        .unwrap()
        .save(path)
        .unwrap();
}

/// A ledger of a session with the mark, and of one with another; its verifier key.
fn ledger(dir: &Path) -> String {
    let (secret, _) = generate_key("kekkai.test/ledger").unwrap();
    let ledger = Ledger::open(dir, &secret, None).unwrap();
    for (session, person, mark) in [
        ("s-00", "suzuki", Mark::new(MARK ^ 1)),
        ("s-01", "sato", Mark::new(MARK)),
    ] {
        let events = [
            Event::SessionOpened {
                session: session.parse().unwrap(),
                person: person.parse().unwrap(),
                terminal: "t-1".parse().unwrap(),
                class: TerminalClass::Vdi,
                agreement: "a-1".parse().unwrap(),
            },
            Event::RecordingBegan {
                session: session.parse().unwrap(),
                recording: format!("{session}-0001"),
                header: Digest::of(b"header"),
                recipient: Digest::of(b"auditors"),
                mark: mark.to_string(),
            },
        ];
        for event in events {
            let entry = Entry {
                v: ENTRY_VERSION,
                at: Timestamp(1_790_000_000_000),
                source: "kekkai://policy".to_owned(),
                event,
            };
            ledger.append(serde_json::to_vec(&entry).unwrap()).unwrap();
        }
    }
    verifier_key(&secret).unwrap()
}

fn kekkai(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kekkai"))
        .args(["--lang", "en", "watermark", "read"])
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn picture_leads_to_its_session_and_to_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (image, log) = (dir.path().join("a.png"), dir.path().join("ledger"));
    screenshot(&image, Some(Mark::new(MARK)));
    let vkey = ledger(&log);
    let done = kekkai(&[
        image.to_str().unwrap(),
        "--ledger",
        log.to_str().unwrap(),
        "--vkey",
        &vkey,
    ]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(text.contains("mark: 7f3a09c1"), "{text}");
    assert!(text.contains("ledger: verified"), "{text}");
    assert!(text.contains("session s-01 opened: sato"), "{text}");
    assert!(!text.contains("suzuki") && !text.contains("s-00"), "{text}");
}

#[test]
fn unmarked_picture_gives_no_mark_and_says_what_to_try() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("a.png");
    screenshot(&image, None);
    let done = kekkai(&[image.to_str().unwrap()]);
    let text = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success() && done.stdout.is_empty(), "{text}");
    assert!(
        text.contains("no mark was") && text.contains("--corners"),
        "{text}"
    );
}

#[test]
fn mark_of_no_session_in_the_ledger_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (image, log) = (dir.path().join("a.png"), dir.path().join("ledger"));
    screenshot(&image, Some(Mark::new(42)));
    ledger(&log);
    let done = kekkai(&[image.to_str().unwrap(), "--ledger", log.to_str().unwrap()]);
    let text = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success(), "{text}");
    assert!(
        text.contains("no session of this ledger has this mark"),
        "{text}"
    );
}

#[test]
fn bad_corners_and_files_that_are_no_pictures_are_refused_clearly() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("a.png");
    std::fs::write(&image, b"no picture").unwrap();
    let path = image.to_str().unwrap();
    let done = kekkai(&[path]);
    assert!(
        String::from_utf8(done.stderr)
            .unwrap()
            .contains("can't be read")
    );
    let done = kekkai(&[path, "--corners", "1,2", "3,4", "5,6", "seven"]);
    assert!(
        String::from_utf8(done.stderr)
            .unwrap()
            .contains("\"seven\" is no place")
    );
    screenshot(&image, None);
    let done = kekkai(&[path, "--corners", "0,0", "9,9", "9,0", "0,9"]);
    assert!(
        String::from_utf8(done.stderr)
            .unwrap()
            .contains("quadrilateral")
    );
}
