//! Disks that are full, processes that are killed: nothing is taken for recorded that is not.
//!
//! Needs `unshare` (util-linux) and unprivileged user namespaces, or root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{SMALL, Scene, files, pair, recorder, session};
use kekkai_recording::{End, Expected, Limits, Player, Recorder, RecordingError, verify};
use kekkai_types::{Digest, Timestamp};

/// Where a test that runs as a child finds its directory: it is the same program again.
const DIR: &str = "KEKKAI_TEST_RECORDING_DIR";

/// This program again, for one of its tests.
fn child(program: &str, args: &[&str], test: &str, dir: &Path) -> Command {
    let me = std::env::current_exe().unwrap();
    let mut command = match program {
        "" => Command::new(&me),
        wrapper => {
            let mut command = Command::new(wrapper);
            command.args(args).arg(&me);
            command
        }
    };
    command
        .args(["--exact", test, "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

fn dir_of_child() -> Option<PathBuf> {
    std::env::var_os(DIR).map(PathBuf::from)
}

/// Records until it is killed; says after each append how many chunks there are.
#[test]
fn recorder_killed_at_any_moment_leaves_every_chunk_that_it_told_of() {
    if let Some(dir) = dir_of_child() {
        let (mut recorder, _) = recorder(SMALL, &dir, 0);
        let mut scene = Scene::new(640, 320);
        let noise = scene.noise();
        recorder.append(Timestamp(0), &scene.keyframe()).unwrap();
        for at in 0.. {
            match at % 8 {
                7 => recorder.append(Timestamp(at), &scene.keyframe()).unwrap(),
                _ => recorder.append(Timestamp(at), &noise).unwrap(),
            }
            println!("{}", recorder.reached().chunks);
        }
    }
    let (key, _) = pair(7);
    let mut cut = 0;
    for turn in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let test = "recorder_killed_at_any_moment_leaves_every_chunk_that_it_told_of";
        let mut recording = child("", &[], test, dir.path()).spawn().unwrap();
        let mut said = BufReader::new(recording.stdout.take().unwrap());
        let mut last = 0;
        while last < 3 + turn {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "the child ended");
            last = line.trim().parse().unwrap_or(last);
        }
        recording.kill().unwrap();
        recording.wait().unwrap();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        // A line that was cut off by the kill itself says less, never more.
        let told = rest.lines().filter_map(|line| line.parse().ok()).max();
        let told: u64 = told.unwrap_or(last).max(last);
        let paths = files(dir.path());
        let report = verify(&paths, &Expected::default(), Some(&key), |_| ()).unwrap();
        assert!(report.chunks >= told, "{} of {told}", report.chunks);
        match &report.end {
            End::CutWithin(place) => {
                cut += 1;
                assert_eq!(place.chunk, report.chunks);
                assert_eq!(Some(&place.path), paths.last());
            }
            other => assert_eq!(*other, End::Unfinished),
        }
        let mut player = Player::open(&paths, &key).unwrap();
        player.seek(Timestamp(i64::MAX)).unwrap();
        assert_eq!(player.next_change(), None);
    }
    println!("cut within a chunk: {cut} of 8");
}

/// The system stops the process in the middle of a write, at a byte that the test chose.
#[test]
fn recorder_that_dies_within_a_write_leaves_what_was_whole_before() {
    let limits = Limits {
        part_bytes: 1 << 30,
        ..SMALL
    };
    if let Some(dir) = dir_of_child() {
        let (mut recorder, _) = recorder(limits, &dir, 0);
        let mut scene = Scene::new(320, 320);
        for at in 0.. {
            recorder.append(Timestamp(at), &scene.keyframe()).unwrap();
            recorder.append(Timestamp(at), &scene.noise()).unwrap();
            println!("{}", recorder.reached().chunks);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    // In blocks of 512 or 1,024 bytes, as the shell counts. The signal is SIGXFSZ.
    let script = "ulimit -c 0; ulimit -f 1300; exec \"$@\"";
    let test = "recorder_that_dies_within_a_write_leaves_what_was_whole_before";
    let output = child("sh", &["-c", script, "sh"], test, dir.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    let told: u64 = said
        .lines()
        .filter_map(|line| line.parse().ok())
        .max()
        .unwrap();
    let (key, _) = pair(7);
    let paths = files(dir.path());
    let report = verify(&paths, &Expected::default(), Some(&key), |_| ()).unwrap();
    assert!(
        report.chunks >= told && told > 0,
        "{} of {told}",
        report.chunks
    );
    assert!(
        matches!(&report.end, End::CutWithin(place)
            if place.chunk == report.chunks && place.offset < report.bytes),
        "{:?}",
        report.end
    );
    assert_eq!(report.bytes % 512, 0, "the file is as long as it may be");
    let mut player = Player::open(&paths, &key).unwrap();
    player.seek(Timestamp(i64::MAX)).unwrap();
}

/// A recording cut off at each byte of its last chunk, as a kill can leave it.
#[test]
fn recording_cut_within_its_last_chunk_is_whole_up_to_there() {
    let dir = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(SMALL, dir.path(), 0);
    let mut scene = Scene::new(320, 320);
    recorder.append(Timestamp(0), &scene.keyframe()).unwrap();
    let before = (recorder.reached(), scene.digest());
    recorder.append(Timestamp(1), &scene.type_letter()).unwrap();
    drop(recorder);
    let (key, _) = pair(7);
    let paths = files(dir.path());
    let bytes = std::fs::read(&paths[0]).unwrap();
    let from = usize::try_from(before.0.bytes).unwrap();
    for length in from + 1..bytes.len() {
        std::fs::write(&paths[0], &bytes[..length]).unwrap();
        let report = verify(&paths, &Expected::default(), Some(&key), |_| ()).unwrap();
        assert_eq!((report.chunks, report.head), (1, before.0.head));
        assert!(
            matches!(&report.end, End::CutWithin(place)
                if place.chunk == 1 && place.offset == before.0.bytes),
            "{length}"
        );
        let mut player = Player::open(&paths, &key).unwrap();
        let canvas = player.seek(Timestamp(i64::MAX)).unwrap();
        assert_eq!(Digest::of(canvas.rgba()), before.1);
    }
}

/// On a file system of a megabyte of its own.
#[test]
fn full_disk_stops_the_recording_until_there_is_room_and_loses_nothing() {
    let Some(dir) = dir_of_child() else {
        let dir = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o size=1m,mode=0700 tmpfs \"$KEKKAI_TEST_RECORDING_DIR\" && exec \"$@\"";
        let args = [
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ];
        let test = "full_disk_stops_the_recording_until_there_is_room_and_loses_nothing";
        let output = child("unshare", &args, test, dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("the disk was full"), "{said}");
        return;
    };
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![1; 700 * 1024]).unwrap();
    // Parts of 64 KiB: the disk becomes full within a chunk, and at the beginning of a part.
    let limits = Limits {
        part_bytes: 64 * 1024,
        keyframe_bytes: 16 * 1024,
        ..SMALL
    };
    let (mut recorder, _) = recorder(limits, &dir, 0);
    let mut scene = Scene::new(640, 400);
    let mut shown = Vec::new();
    let mut stops = 0;
    for at in 0..400 {
        let changes = match at % 5 {
            4 => scene.scroll(),
            _ => scene.type_letter(),
        };
        let now = Timestamp(at);
        let outputs = match recorder.keyframe_due(now) {
            true => scene.keyframe(),
            false => changes,
        };
        let before = recorder.reached();
        if let Err(error) = recorder.append(now, &outputs) {
            stops += 1;
            assert!(error.is_full(), "{error:?}");
            assert_eq!(error.code(), "storage-full");
            println!("the disk was full after {} chunks", before.chunks);
            assert_eq!(recorder.reached(), before, "nothing more is recorded");
            // Nothing goes on meanwhile, and trying again does not help.
            assert!(matches!(
                recorder.append(now, &outputs),
                Err(RecordingError::Stopped)
            ));
            assert!(recorder.retry().is_err_and(|error| error.is_full()));
            // What is on the disk is whole up to there.
            let report = verify(&files(&dir), &Expected::default(), None, |_| ());
            match report {
                Ok(report) => {
                    assert_eq!((report.chunks, report.head), (before.chunks, before.head))
                }
                // The next part's line is not all there.
                Err(fault) => println!("next part: {fault}"),
            }
            std::fs::File::options()
                .write(true)
                .open(&ballast)
                .and_then(|file| file.set_len(700 * 1024 - stops * 150 * 1024))
                .unwrap();
            recorder.retry().unwrap();
        }
        shown.push((now, scene.digest()));
    }
    let reached = recorder.finish().unwrap();
    assert!(stops > 1, "the disk was never full again");
    let (key, _) = pair(7);
    let paths = files(&dir);
    assert!(paths.len() > 2);
    let expected = Expected {
        header: None,
        reached: vec![(reached.chunks, reached.head)],
    };
    let report = verify(&paths, &expected, Some(&key), |_| ()).unwrap();
    assert_eq!(report.end, End::Finished);
    let mut player = Player::open(&paths, &key).unwrap();
    for (at, digest) in shown {
        assert_eq!(Digest::of(player.seek(at).unwrap().rgba()), digest);
    }
}

#[test]
fn recording_has_a_bound_and_its_end_can_still_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        total_bytes: 60_000,
        ..SMALL
    };
    let (mut recorder, _) = recorder(limits, dir.path(), 0);
    let mut scene = Scene::new(320, 320);
    recorder.append(Timestamp(0), &scene.keyframe()).unwrap();
    let mut error = None;
    for at in 1..100 {
        error = recorder.append(Timestamp(at), &scene.noise()).err();
        if error.is_some() {
            break;
        }
    }
    let error = error.unwrap();
    assert!(matches!(error, RecordingError::Limit { max: 60_000 }));
    assert_eq!(error.code(), "recording-limit");
    recorder.finish().unwrap();
    let report = verify(&files(dir.path()), &Expected::default(), None, |_| ()).unwrap();
    assert_eq!(report.end, End::Finished);
}

#[test]
fn nobody_elses_file_is_written_over_and_others_may_not_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let (first, header) = recorder(SMALL, dir.path(), 0);
    let (_, recipient) = pair(7);
    let second = Recorder::create(dir.path(), &session(), "ff", &recipient, Timestamp(0));
    assert!(matches!(
        second.err(),
        Some(RecordingError::File {
            action: "created",
            ..
        })
    ));
    let path = &files(dir.path())[0];
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let line = std::fs::read(path).unwrap();
    assert_eq!(Digest::of(&line), header, "sha256sum of the first line");
    assert_eq!(first.reached().head, header);
    assert_eq!(first.name(), "s-1");
    let gone = dir.path().join("nowhere");
    assert!(Recorder::create(&gone, &session(), "ff", &recipient, Timestamp(0)).is_err());
    let marked = Recorder::create(dir.path(), &session(), "a b", &recipient, Timestamp(0));
    assert!(matches!(marked.err(), Some(RecordingError::Mark)));
}

#[test]
fn after_messages_that_no_protocol_carries_a_keyframe_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(SMALL, dir.path(), 0);
    let mut scene = Scene::new(320, 320);
    recorder.append(Timestamp(0), &scene.keyframe()).unwrap();
    let huge = kekkai_frames::Output::Tiles {
        frame: 1,
        ends_frame: true,
        tiles: vec![kekkai_frames::Tile {
            at: kekkai_frames::Rect::of_size(64, 64),
            codec: kekkai_frames::Codec::Lossless,
            data: bytes::Bytes::from(vec![0; kekkai_frames::OUTPUT_BYTES_MAX]),
        }],
    };
    let letter = scene.type_letter();
    let mixed = [letter.clone(), vec![huge]].concat();
    assert!(matches!(
        recorder.append(Timestamp(1), &mixed),
        Err(RecordingError::Content(_))
    ));
    assert!(recorder.keyframe_due(Timestamp(1)));
    assert!(matches!(
        recorder.append(Timestamp(1), &letter),
        Err(RecordingError::KeyframeMissing)
    ));
    recorder.append(Timestamp(2), &scene.keyframe()).unwrap();
    recorder.finish().unwrap();
    let (key, _) = pair(7);
    let paths = files(dir.path());
    verify(&paths, &Expected::default(), Some(&key), |_| ()).unwrap();
}
