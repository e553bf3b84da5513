//! What was changed afterwards is found, and where.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use common::{SMALL, Scene, append, files, pair, recorder, short};
use kekkai_recording::{End, Expected, Fault, Player, Report, verify};
use kekkai_types::{Digest, Timestamp};
use proptest::prelude::*;
use tempfile::TempDir;

/// The bytes of each part of one recording, and its report.
static RECORDED: LazyLock<(Vec<Vec<u8>>, Report)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    short(dir.path(), 100);
    let paths = files(dir.path());
    let report = plain(&paths).unwrap();
    assert!(paths.len() > 2);
    let parts = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
    (parts, report)
});

fn plain(paths: &[PathBuf]) -> Result<Report, Fault> {
    verify(paths, &Expected::default(), None, |_| ())
}

fn written(parts: &[Vec<u8>]) -> (TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let paths = (1..)
        .zip(parts)
        .map(|(number, bytes)| {
            let path = dir.path().join(format!("s-1-{number:04}.rec"));
            std::fs::write(&path, bytes).unwrap();
            path
        })
        .collect();
    (dir, paths)
}

/// Where the line ends, and where each chunk begins and ends.
fn layout(part: &[u8]) -> (usize, Vec<(usize, usize)>) {
    let start = part.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut chunks = Vec::new();
    let mut offset = start;
    while offset < part.len() {
        let length = u32::from_be_bytes(part[offset + 17..offset + 21].try_into().unwrap());
        let end = offset + 21 + usize::try_from(length).unwrap() + 32;
        chunks.push((offset, end));
        offset = end;
    }
    (start, chunks)
}

/// Neither a report of a finished recording, nor a player that shows anything from there on.
fn is_found(paths: &[PathBuf], what: &str) {
    match plain(paths) {
        Err(_) => {}
        Ok(report) => assert_ne!(report.end, End::Finished, "{what}"),
    }
    let (key, _) = pair(7);
    if let Ok(mut player) = Player::open(paths, &key) {
        let whole = RECORDED.1.chunks;
        let last = Timestamp(i64::MAX);
        let shown = player.seek(last).is_ok() && player.next_change().is_none();
        let report = verify(paths, &Expected::default(), Some(&key), |_| ());
        let is_whole = shown && report.is_ok_and(|report| report.chunks == whole);
        assert!(!is_whole, "{what}");
    }
}

#[test]
fn every_flipped_bit_of_a_line_a_chunks_head_and_a_link_is_found() {
    let (parts, _) = &*RECORDED;
    let (start, chunks) = layout(&parts[0]);
    let line = 0..start;
    let around = chunks.iter().take(3).flat_map(|(from, to)| {
        let (head, link) = (*from..*from + 21, *to - 32..*to);
        head.chain(link)
    });
    for at in line.chain(around) {
        let mut changed = parts.clone();
        changed[0][at] ^= 1 << (at % 8);
        let (_dir, paths) = written(&changed);
        is_found(&paths, &format!("byte {at}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    })]

    #[test]
    fn flipped_bit_anywhere_is_found(part in 0..3_usize, place in any::<proptest::sample::Index>(), bit in 0..8_u32) {
        let (parts, _) = &*RECORDED;
        let mut changed = parts.clone();
        let at = place.index(changed[part].len());
        changed[part][at] ^= 1_u8 << bit;
        let (_dir, paths) = written(&changed);
        is_found(&paths, &format!("part {part}, byte {at}, bit {bit}"));
    }

    #[test]
    fn cut_anywhere_is_said_or_found(part in 0..3_usize, place in any::<proptest::sample::Index>()) {
        let (parts, whole) = &*RECORDED;
        let mut cut = parts.clone();
        let at = place.index(cut[part].len());
        cut[part].truncate(at);
        cut.truncate(part + 1);
        let (_dir, paths) = written(&cut);
        match plain(&paths) {
            Ok(report) => {
                prop_assert_ne!(&report.end, &End::Finished);
                prop_assert!(report.chunks < whole.chunks);
                if let End::CutWithin(place) = &report.end {
                    prop_assert_eq!(place.chunk, report.chunks);
                }
            }
            Err(Fault::NotARecording { path }) => prop_assert_eq!(&path, &paths[part]),
            Err(other) => prop_assert!(false, "{}", other),
        }
        // The ledger knows better.
        let expected = Expected { header: None, reached: vec![(whole.chunks, whole.head)] };
        let with_ledger = verify(&paths, &expected, None, |_| ());
        let is_found = matches!(with_ledger, Err(Fault::Shorter { .. } | Fault::NotARecording { .. }));
        prop_assert!(is_found, "{:?}", with_ledger);
    }

    #[test]
    fn bytes_that_nobody_recorded_are_refused_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), keeps_line in any::<bool>()) {
        let (parts, _) = &*RECORDED;
        let (start, _) = layout(&parts[0]);
        let mut file = if keeps_line { parts[0][..start].to_vec() } else { Vec::new() };
        file.extend(bytes);
        let (_dir, paths) = written(&[file]);
        is_found(&paths, "noise");
    }
}

#[test]
fn faults_name_the_place() {
    let (parts, _) = &*RECORDED;
    let (_, chunks) = layout(&parts[1]);
    let before = layout(&parts[0]).1.len();
    let (from, _) = chunks[2];
    let mut changed = parts.clone();
    changed[1][from + 30] ^= 1;
    let (_dir, paths) = written(&changed);
    match plain(&paths) {
        Err(Fault::Changed(place)) => {
            assert_eq!(place.path, paths[1]);
            assert_eq!(place.chunk, u64::try_from(before + 2).unwrap());
            assert_eq!(place.offset, u64::try_from(from).unwrap());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn swapped_and_dropped_chunks_are_found() {
    let (parts, _) = &*RECORDED;
    let (start, chunks) = layout(&parts[0]);
    let bytes = &parts[0];
    let cut = |(from, to): (usize, usize)| bytes[from..to].to_vec();
    for first in 0..chunks.len() - 1 {
        let mut swapped = bytes[..start].to_vec();
        let mut dropped = bytes[..start].to_vec();
        for (index, chunk) in chunks.iter().enumerate() {
            let other = match index {
                i if i == first => chunks[first + 1],
                i if i == first + 1 => chunks[first],
                _ => *chunk,
            };
            swapped.extend(cut(other));
            if index != first {
                dropped.extend(cut(*chunk));
            }
        }
        for changed in [swapped, dropped] {
            let mut all = parts.clone();
            all[0] = changed;
            let (_dir, paths) = written(&all);
            assert!(matches!(
                plain(&paths),
                Err(Fault::OutOfOrder { place, .. }) if place.chunk == u64::try_from(first).unwrap()
            ));
        }
    }
}

#[test]
fn dropped_doubled_foreign_and_added_parts_are_found() {
    let (parts, whole) = &*RECORDED;
    let (_dir, paths) = written(parts);
    let without = |index: usize| -> Vec<PathBuf> {
        let mut rest = paths.clone();
        rest.remove(index);
        rest
    };
    assert!(matches!(
        plain(&without(0)),
        Err(Fault::PartMissing { part: 1, .. })
    ));
    assert!(matches!(
        plain(&without(1)),
        Err(Fault::PartMissing { part: 2, .. })
    ));
    // Without the last it says of itself that it isn't finished, and the ledger that something is missing.
    let short = without(paths.len() - 1);
    assert_eq!(plain(&short).unwrap().end, End::Unfinished);
    let expected = Expected {
        header: Some(whole.header),
        reached: vec![(whole.chunks, whole.head)],
    };
    assert!(matches!(
        verify(&short, &expected, None, |_| ()),
        Err(Fault::Shorter { expected, .. }) if expected == whole.chunks
    ));
    let mut twice = paths.clone();
    twice.push(paths[1].clone());
    assert!(matches!(plain(&twice), Err(Fault::PartTwice { .. })));
    assert!(matches!(plain(&[]), Err(Fault::Nothing)));

    // A part of another recording of the same session, begun at the same time.
    let other = tempfile::tempdir().unwrap();
    common::short(other.path(), 100);
    let mut mixed = paths.clone();
    mixed[1] = files(other.path())[1].clone();
    assert!(matches!(plain(&mixed), Err(Fault::PartNotNext { path }) if path == mixed[1]));

    // Something after the end.
    let mut more = parts.clone();
    let (_, chunks) = layout(&parts[0]);
    let last = more.len() - 1;
    more[last].extend(&parts[0][chunks[0].0..chunks[0].1]);
    let (_dir, longer) = written(&more);
    assert!(matches!(plain(&longer), Err(Fault::AfterEnd(_))));
}

/// Writes a part anew with other bodies and right links, as anybody can who has the file.
fn forged(part: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let (start, chunks) = layout(part);
    let mut bytes = part[..start].to_vec();
    let mut link = *Digest::of(&bytes).as_bytes();
    for (from, to) in chunks {
        let mut body = part[from..to - 32].to_vec();
        body[21] ^= 1;
        let mut hashed = Vec::new();
        hashed.write_all(&link).unwrap();
        hashed.write_all(&body).unwrap();
        link = *Digest::of(&hashed).as_bytes();
        bytes.extend(body);
        bytes.extend(link);
    }
    bytes
}

#[test]
fn recording_that_was_written_anew_is_found_by_the_ledger_and_by_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let (mut recorder, header) = recorder(SMALL, dir.path(), 0);
    let mut scene = Scene::new(320, 320);
    let mut reached = Vec::new();
    for at in 0..10 {
        let changes = scene.type_letter();
        append(&mut recorder, &mut scene, at, &changes);
        let now = recorder.reached();
        reached.push((now.chunks, now.head));
    }
    recorder.finish().unwrap();
    let paths = files(dir.path());
    assert_eq!(paths.len(), 1);
    let expected = Expected {
        header: Some(header),
        reached: vec![reached[4], reached[8]],
    };
    let (key, _) = pair(7);
    let report = verify(&paths, &expected, Some(&key), |_| ()).unwrap();
    assert_eq!((report.end, report.after_ledger), (End::Finished, Some(2)));

    let bytes = std::fs::read(&paths[0]).unwrap();
    std::fs::write(&paths[0], forged(&bytes)).unwrap();
    // Whole in itself: that is why there is a ledger.
    assert_eq!(plain(&paths).unwrap().end, End::Finished);
    assert!(matches!(
        verify(&paths, &expected, None, |_| ()),
        Err(Fault::NotRecorded(place)) if place.chunk == 4
    ));
    assert!(matches!(
        verify(&paths, &Expected::default(), Some(&key), |_| ()),
        Err(Fault::DoesNotOpen(place)) if place.chunk == 0
    ));

    // A recording of the same screen for the same auditors by somebody else: another line.
    let elsewhere = tempfile::tempdir().unwrap();
    let (mut other, _) = common::recorder(SMALL, elsewhere.path(), 0);
    append(&mut other, &mut scene, 0, &[]);
    other.finish().unwrap();
    assert!(matches!(
        verify(&files(elsewhere.path()), &expected, None, |_| ()),
        Err(Fault::HeaderNotRecorded { .. })
    ));
}

#[test]
fn texts_of_faults_are_there_in_both_languages() {
    use kekkai_types::Lang;
    let path = Path::new("x.rec").to_owned();
    let fault = Fault::NotARecording { path };
    assert_eq!(
        fault.message(Lang::En),
        "\"x.rec\": its first line is not that of a recording"
    );
    assert_eq!(
        fault.message(Lang::Ja),
        "「x.rec」の先頭行は録画のものではありません"
    );
}
