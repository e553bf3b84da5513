//! The format on the disk, as a reader that was written from the specification sees it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

mod common;
mod reader;

use common::{Dice, Lab, entry, seed};
use reader::read_log;

#[test]
fn independent_reader_agrees_at_every_boundary() {
    let lab = Lab::new();
    drop(lab.open().unwrap());
    let mut size = 0;
    for target in [
        0, 1, 2, 3, 254, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 65_800, 70_000,
    ] {
        lab.fill(target - size, 4096);
        size = target;
        let (head, entries) = read_log(&lab.dir(), &lab.vkey).unwrap();
        assert_eq!(head.size, size);
        assert_eq!(entries.len() as u64, size);
        assert!((0..size).all(|i| entries[i as usize] == entry(i)));
        let report = lab.verify().unwrap();
        assert_eq!((report.size, report.files_after_checkpoint), (size, 0));
        assert_eq!(report.witness.unwrap().newest_size, size);
        use base64::prelude::*;
        assert_eq!(report.root, BASE64_STANDARD.encode(&head.root));
    }
    let layout = |path: &str| lab.dir().join(path).is_file();
    // The specification's own example of 70,000 entries.
    assert!(layout("tile/0/272") && layout("tile/0/273.p/112") && layout("tile/entries/273.p/112"));
    assert!(layout("tile/1/000") && layout("tile/1/001.p/17") && layout("tile/2/000.p/1"));
    assert!(
        !lab.dir().join("tile/0/272.p").exists(),
        "old partial tiles are removed"
    );
    assert!(
        !lab.dir().join("tile/1/000.p").exists(),
        "old partial tiles are removed"
    );
}

#[test]
fn every_size_up_to_three_tiles_is_readable_one_entry_at_a_time() {
    let lab = Lab::new();
    for size in 1..=520_u64 {
        lab.fill(1, 1);
        if size % 37 == 0 || size % 256 < 2 || size % 256 == 255 {
            let (head, entries) = read_log(&lab.dir(), &lab.vkey).unwrap();
            assert_eq!((head.size, entries.len() as u64), (size, size));
            lab.verify().unwrap();
        }
    }
    // Each checkpoint of the unfinished tile keeps its partial tiles.
    for width in 1..=8 {
        assert!(
            lab.dir()
                .join(format!("tile/entries/002.p/{width}"))
                .is_file()
        );
    }
}

#[test]
fn entries_of_every_length_survive() {
    let lab = Lab::new();
    let ledger = lab.open().unwrap();
    let long = vec![0xff; kekkai_ledger::ENTRY_MAX];
    let all = vec![
        Vec::new(),
        vec![0],
        long.clone(),
        Vec::new(),
        b"\n\r\0".to_vec(),
    ];
    assert_eq!(ledger.append_many(all.clone()).unwrap(), 0..5);
    assert!(
        ledger
            .append(vec![0; kekkai_ledger::ENTRY_MAX + 1])
            .is_err()
    );
    assert_eq!(ledger.append_many(Vec::new()).unwrap(), 5..5);
    assert_eq!(ledger.read(0..5).unwrap(), all);
    assert_eq!(ledger.read(2..3).unwrap(), [long]);
    assert!(ledger.read(4..6).is_err());
    assert_eq!(read_log(&lab.dir(), &lab.vkey).unwrap().1, all);
    let listed: Vec<_> = kekkai_ledger::entries(&lab.dir())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(listed.len(), 5);
    assert!(
        listed
            .iter()
            .zip(0..)
            .all(|((i, e), n)| *i == n && *e == all[n as usize])
    );
    lab.verify().unwrap();
}

#[test]
fn any_sequence_of_appends_and_openings_keeps_every_entry() {
    let mut dice = Dice(seed());
    let lab = Lab::new();
    let mut expected: Vec<Vec<u8>> = Vec::new();
    for _ in 0..12 {
        let ledger = lab.open().unwrap();
        assert_eq!(ledger.size(), expected.len() as u64);
        for _ in 0..1 + dice.below(5) {
            let count = [1, 1, 2, 17, 255, 256, 300][dice.below(7) as usize];
            let length = dice.below(40) as usize;
            let batch: Vec<Vec<u8>> = (0..count)
                .map(|i| format!("{i}{}", "x".repeat(length)).into_bytes())
                .collect();
            let first = expected.len() as u64;
            assert_eq!(
                ledger.append_many(batch.clone()).unwrap(),
                first..first + count
            );
            expected.extend(batch);
        }
    }
    assert!(read_log(&lab.dir(), &lab.vkey).unwrap().1 == expected);
    lab.verify().unwrap();
}
