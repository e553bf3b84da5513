//! What was recorded is what is seen, at any time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::io::Cursor;
use std::time::{Duration, Instant};

use common::{SMALL, Scene, append, files, pair, recorder, session, short};
use kekkai_recording::{
    AuditorKey, End, Expected, Fault, Limits, Player, Recipient, Recorder, RecordingError, film,
    list, png, verify,
};
use kekkai_types::{Digest, Timestamp};

#[test]
fn every_moment_is_seen_as_it_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let shown = short(dir.path(), 120);
    let (key, _) = pair(7);
    let paths = files(dir.path());
    assert!(paths.len() > 2, "{paths:?}");
    let report = verify(&paths, &Expected::default(), Some(&key), |_| ()).unwrap();
    assert_eq!(report.end, End::Finished);
    assert!(report.keyframes > 5, "{report:?}");
    assert_eq!(report.chunks, 121);

    let mut player = Player::open(&paths, &key).unwrap();
    assert_eq!(player.session(), Some(&session()));
    assert_eq!(player.span(), Some((shown[0].0, shown[119].0)));
    // Forwards, backwards, and between two changes.
    for (at, digest) in shown.iter().chain(shown.iter().rev()) {
        for later in [0, 249] {
            let canvas = player.seek(at.plus_ms(later)).unwrap();
            assert_eq!(Digest::of(canvas.rgba()), *digest, "{at}");
        }
    }
    assert!(matches!(
        player.seek(shown[0].0.plus_ms(-1)),
        Err(Fault::BeforeStart)
    ));
    // A missing part, or files in another order.
    let mut reversed = paths.clone();
    reversed.reverse();
    Player::open(&reversed, &key).unwrap();
    assert!(matches!(
        Player::open(&paths[1..], &key),
        Err(Fault::PartMissing { part: 1, .. })
    ));
}

#[test]
fn only_the_auditors_key_opens_a_recording_and_no_pixel_is_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    short(dir.path(), 10);
    let (other, _) = pair(8);
    let paths = files(dir.path());
    assert!(matches!(
        Player::open(&paths, &other),
        Err(Fault::OtherKey { .. })
    ));
    assert!(matches!(
        verify(&paths, &Expected::default(), Some(&other), |_| ()),
        Err(Fault::OtherKey { .. })
    ));
    // Whoever has another key and lies about whose it is opens nothing either.
    let line = std::fs::read_to_string(&paths[0]).unwrap_or_default();
    assert!(line.is_empty(), "a recording is no text");
    let bytes = std::fs::read(&paths[0]).unwrap();
    let text = String::from_utf8_lossy(&bytes)
        .replace(&pair(7).0.digest().to_string(), &other.digest().to_string());
    assert!(text.contains(&other.digest().to_string()));
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    let forged: Vec<u8> = text
        .lines()
        .next()
        .unwrap()
        .bytes()
        .chain(bytes[end..].iter().copied())
        .collect();
    std::fs::write(&paths[0], forged).unwrap();
    let mut player = Player::open(&paths[..1], &other).unwrap();
    assert!(matches!(
        player.seek(Timestamp(i64::MAX)),
        Err(Fault::DoesNotOpen(_))
    ));
    // A white screen's bytes are nowhere.
    let white = [255_u8; 64];
    assert!(!bytes.windows(64).any(|window| window == white));
}

#[test]
fn recording_begins_with_a_keyframe_and_asks_for_more_as_things_change() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        keyframe_ms: 1_000,
        keyframe_bytes: 1 << 40,
        ..SMALL
    };
    let (mut recorder, _) = recorder(limits, dir.path(), 0);
    let mut scene = Scene::new(320, 320);
    let letter = scene.type_letter();
    assert!(recorder.keyframe_due(Timestamp(0)));
    assert!(matches!(
        recorder.append(Timestamp(0), &letter),
        Err(RecordingError::KeyframeMissing)
    ));
    recorder.append(Timestamp(0), &scene.keyframe()).unwrap();
    assert!(
        !recorder.keyframe_due(Timestamp(999_999)),
        "nothing changed"
    );
    recorder.append(Timestamp(1), &scene.type_letter()).unwrap();
    assert!(!recorder.keyframe_due(Timestamp(999)));
    assert!(recorder.keyframe_due(Timestamp(1_000)));
    recorder.append(Timestamp(1), &[]).unwrap();
    assert_eq!(recorder.reached().chunks, 2, "nothing is no chunk");
}

#[test]
fn clock_that_goes_back_does_not_take_the_recording_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(SMALL, dir.path(), 0);
    let mut scene = Scene::new(320, 320);
    recorder
        .append(Timestamp(5_000), &scene.keyframe())
        .unwrap();
    recorder
        .append(Timestamp(1_000), &scene.type_letter())
        .unwrap();
    recorder.finish().unwrap();
    let (key, _) = pair(7);
    let paths = files(dir.path());
    let report = verify(&paths, &Expected::default(), Some(&key), |_| ()).unwrap();
    assert_eq!(report.span, Some((Timestamp(5_000), Timestamp(5_000))));
    let mut player = Player::open(&paths, &key).unwrap();
    let canvas = player.seek(Timestamp(5_000)).unwrap();
    assert_eq!(Digest::of(canvas.rgba()), scene.digest());
}

#[test]
fn screen_that_changes_its_size_is_recorded_too() {
    let dir = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(SMALL, dir.path(), 0);
    let (mut small, mut large) = (Scene::new(320, 320), Scene::new(640, 400));
    recorder.append(Timestamp(0), &small.keyframe()).unwrap();
    recorder.append(Timestamp(100), &large.keyframe()).unwrap();
    recorder
        .append(Timestamp(200), &large.type_letter())
        .unwrap();
    recorder.finish().unwrap();
    let (key, _) = pair(7);
    let mut player = Player::open(&files(dir.path()), &key).unwrap();
    assert_eq!(player.seek(Timestamp(50)).unwrap().width(), 320);
    assert_eq!(player.seek(Timestamp(150)).unwrap().width(), 640);
    let mut out = Vec::new();
    let filmed = film(
        &mut player,
        Timestamp(0),
        Timestamp(300),
        &mut out,
        |_, _| (),
    )
    .unwrap();
    assert_eq!((filmed.pictures, filmed.size), (3, (640, 400)));
}

/// Decodes an animated PNG: what each picture shows when it is there, and for how long in milliseconds.
fn pictures(bytes: &[u8]) -> Vec<(Vec<u8>, u32)> {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
    let (width, height) = (reader.info().width, reader.info().height);
    let count = reader.info().animation_control().unwrap().num_frames;
    let mut sheet = vec![0; usize::try_from(width * height * 3).unwrap()];
    let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
    (0..count)
        .map(|_| {
            reader.next_frame(&mut buffer).unwrap();
            let control = *reader.info().frame_control().unwrap();
            for row in 0..control.height {
                let part = usize::try_from(control.width * 3).unwrap();
                let from = usize::try_from(row).unwrap() * part;
                let to = (control.y_offset + row) * width + control.x_offset;
                let to = usize::try_from(to * 3).unwrap();
                sheet[to..to + part].copy_from_slice(&buffer[from..from + part]);
            }
            let ms = u32::from(control.delay_num) * 1000 / u32::from(control.delay_den);
            (sheet.clone(), ms)
        })
        .collect()
}

fn without_alpha(rgba: &[u8]) -> Vec<u8> {
    rgba.chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect()
}

#[test]
fn film_shows_each_picture_as_long_as_it_stayed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(SMALL, dir.path(), 0);
    let mut scene = Scene::new(320, 320);
    let mut wanted = Vec::new();
    // The third change comes 10 ms after the second: one picture, 40 ms after it.
    for at in [0, 1_000, 1_010, 91_010] {
        let changes = scene.type_letter();
        append(&mut recorder, &mut scene, at, &changes);
        wanted.push(without_alpha(scene.canvas.rgba()));
    }
    recorder.finish().unwrap();
    let (key, _) = pair(7);
    let mut player = Player::open(&files(dir.path()), &key).unwrap();
    let mut bytes = Vec::new();
    let mut done = 0;
    let filmed = film(
        &mut player,
        Timestamp(0),
        Timestamp(100_000),
        &mut bytes,
        |_, _| done += 1,
    )
    .unwrap();
    assert_eq!((filmed.pictures, done), (4, 4));
    let found = pictures(&bytes);
    let times: Vec<u32> = found.iter().map(|(_, ms)| *ms).collect();
    assert_eq!(times, [1_000, 40, 89_970, 8_990]);
    for ((shown, _), wanted) in found.iter().zip(&wanted) {
        assert!(shown == wanted);
    }
    // A single picture.
    let mut bytes = Vec::new();
    png(player.seek(Timestamp(1_000)).unwrap(), &mut bytes).unwrap();
    let mut reader = png::Decoder::new(Cursor::new(&bytes)).read_info().unwrap();
    let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut buffer).unwrap();
    assert!(buffer == wanted[1]);
}

#[test]
fn list_says_what_is_there_and_what_is_no_recording() {
    let dir = tempfile::tempdir().unwrap();
    short(dir.path(), 60);
    let (_, recipient) = pair(7);
    let other = kekkai_types::SessionId::new("s-2").unwrap();
    let (mut open, _) =
        Recorder::create(dir.path(), &other, "ff", &recipient, Timestamp(9)).unwrap();
    open.append(Timestamp(9), &Scene::new(320, 320).keyframe())
        .unwrap();
    std::fs::write(dir.path().join("x.rec"), "nothing\n").unwrap();
    std::fs::write(dir.path().join("notes.txt"), "nothing").unwrap();
    let (found, others) = list(dir.path()).unwrap();
    assert_eq!(others, [dir.path().join("x.rec")]);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].session.as_str(), found[0].chunks), ("s-2", 1));
    assert!(!found[0].is_finished && found[1].is_finished);
    assert_eq!(found[1].chunks, 61);
    assert_eq!(found[1].paths.len(), files(dir.path()).len() - 2);
}

#[test]
fn keys_of_another_kind_are_refused() {
    for text in [
        "",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        assert!(Recipient::from_pem(text).is_err());
        assert!(AuditorKey::from_pem(text).is_err());
    }
    assert!(Recipient::from_sec1(&[4; 65]).is_err());
}

/// Four hours as people work: typing in bursts, scrolling through results, long looks at what is there.
#[test]
fn four_hours_are_searched_in_less_than_a_second() {
    const HOURS_MS: i64 = 4 * 3_600_000;
    const MINUTE_MS: i64 = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        part_bytes: 8 << 20,
        ..Limits::default()
    };
    let (mut recorder, header) = recorder(limits, dir.path(), 0);
    let mut scene = Scene::new(1024, 640);
    let mut seen = Vec::new();
    let mut appends = Vec::new();
    for minute in 0..HOURS_MS / MINUTE_MS {
        let start = minute * MINUTE_MS;
        let typing = (0..100).map(|n| (start + n * 200, false));
        let scrolling = (0..20).map(|n| (start + 25_000 + n * 50, true));
        for (at, scrolls) in typing.chain(scrolling) {
            let changes = match scrolls {
                true => scene.scroll(),
                false => scene.type_letter(),
            };
            let outputs = match recorder.keyframe_due(Timestamp(at)) {
                true => scene.keyframe(),
                false => changes,
            };
            let began = Instant::now();
            recorder.append(Timestamp(at), &outputs).unwrap();
            appends.push(began.elapsed());
        }
        // A time within the rest, and one within the typing.
        if minute % 24 == 7 {
            seen.push((Timestamp(start + 40_000), scene.digest()));
        }
    }
    let reached = recorder.finish().unwrap();
    let (key, _) = pair(7);
    let paths = files(dir.path());

    let began = Instant::now();
    let expected = Expected {
        header: Some(header),
        reached: vec![(reached.chunks, reached.head)],
    };
    let report = verify(&paths, &expected, None, |_| ()).unwrap();
    let verified = began.elapsed();
    assert_eq!(report.end, End::Finished);
    assert_eq!(report.after_ledger, Some(0));

    let began = Instant::now();
    let mut player = Player::open(&paths, &key).unwrap();
    let opened = began.elapsed();
    let mut seeks = Vec::new();
    // Back and forth, so that nothing is near.
    seen.reverse();
    for (at, digest) in seen.iter().chain(seen.iter().rev()) {
        let began = Instant::now();
        let canvas = player.seek(*at).unwrap();
        seeks.push(began.elapsed());
        assert_eq!(Digest::of(canvas.rgba()), *digest);
    }
    let worst = seeks.iter().max().copied().unwrap();
    appends.sort_unstable();
    let append = |permille: usize| appends[(appends.len() - 1) * permille / 1000];
    println!(
        "4 h at 1024 x 640: {:.1} MB in {} parts, {} chunks, {} keyframes; append p50 {:?}, \
         p99 {:?}, slowest {:?}; verified in {verified:?}, opened in {opened:?}, slowest of {} seeks {worst:?}",
        report.bytes as f64 / 1e6,
        report.parts,
        report.chunks,
        report.keyframes,
        append(500),
        append(990),
        append(1000),
        seeks.len(),
    );
    assert!(report.parts > 1, "{report:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
}
