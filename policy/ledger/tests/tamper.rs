//! Whatever is changed in a log's files is found, and named.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

mod common;
mod reader;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Dice, Lab, copy, entry, files, seed};
use kekkai_ledger::{Ledger, VerifyError, WitnessFault, start_witness, verify};
use reader::read_log;

/// The log's files and the witness. The lock holds nothing.
fn all_files(lab: &Lab) -> Vec<PathBuf> {
    let root = lab.temp.path();
    let mut all = files(root);
    all.retain(|path| path.file_name().unwrap() != "lock");
    all.iter().map(|path| root.join(path)).collect()
}

/// Whether the independent reader looks at this file: the checkpoint and the tiles that it needs.
fn is_needed(lab: &Lab, path: &Path) -> bool {
    let size = read_log(&lab.dir(), &lab.vkey).unwrap().0.size;
    let name = path
        .strip_prefix(lab.dir())
        .map(|p| p.to_string_lossy().into_owned());
    match name {
        Err(_) => false,
        Ok(name) => match name.split_once(".p/") {
            None => true,
            Some((tile, width)) => {
                let level: u32 = tile.split('/').nth(1).unwrap().parse().unwrap_or(0);
                let n: u64 = tile.rsplit('/').next().unwrap().parse().unwrap();
                let count = size >> (8 * level);
                n == count / 256 && width.parse() == Ok(count % 256)
            }
        },
    }
}

/// Runs a check with a file changed, then puts the file back.
fn with_change(path: &Path, change: impl FnOnce(&Path), check: impl FnOnce()) {
    let before = fs::read(path).unwrap();
    change(path);
    check();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, before).unwrap();
}

#[test]
fn every_flipped_byte_of_a_small_log_is_found() {
    let lab = Lab::new();
    lab.fill(2, 1);
    lab.fill(3, 2);
    lab.verify().unwrap();
    let mut flips = 0;
    for path in all_files(&lab) {
        let is_needed = is_needed(&lab, &path);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            for mask in [0x01, 0x20, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= mask;
                fs::write(&path, &bad).unwrap();
                assert!(
                    lab.verify().is_err(),
                    "{} byte {at} ^ {mask:#x}",
                    path.display()
                );
                if is_needed {
                    assert!(
                        read_log(&lab.dir(), &lab.vkey).is_err(),
                        "{} byte {at}",
                        path.display()
                    );
                }
                // The witness isn't needed to find a change in the log itself.
                if path != lab.witness() {
                    assert!(
                        verify(&lab.dir(), &lab.vkey, None).is_err(),
                        "{} byte {at}",
                        path.display()
                    );
                }
                flips += 1;
            }
        }
        fs::write(&path, &good).unwrap();
    }
    assert!(flips > 5_000, "{flips}");
    lab.verify().unwrap();
}

#[test]
fn flipped_bytes_of_a_log_with_full_tiles_are_found_by_verify_and_at_opening() {
    let lab = Lab::new();
    lab.fill(600, 90);
    let mut dice = Dice(seed());
    for path in all_files(&lab) {
        let good = fs::read(&path).unwrap();
        let is_needed = is_needed(&lab, &path);
        let last = good.len() as u64 - 1;
        let mut offsets = vec![0, last];
        offsets.extend((0..12).map(|_| dice.below(last + 1)));
        for at in offsets {
            let mut bad = good.clone();
            bad[at as usize] ^= 1 << dice.below(8);
            fs::write(&path, &bad).unwrap();
            assert!(lab.verify().is_err(), "{} byte {at}", path.display());
            assert!(lab.open().is_err(), "{} byte {at}", path.display());
            assert_eq!(
                fs::read(&path).unwrap(),
                bad,
                "a refused log is left as it is"
            );
            if is_needed {
                assert!(
                    read_log(&lab.dir(), &lab.vkey).is_err(),
                    "{} byte {at}",
                    path.display()
                );
            }
        }
        fs::write(&path, &good).unwrap();
    }
    lab.verify().unwrap();
}

#[test]
fn removed_cut_or_longer_files_are_found() {
    let lab = Lab::new();
    lab.fill(260, 50);
    for path in all_files(&lab) {
        let name = path.display().to_string();
        let is_needed = is_needed(&lab, &path);
        let bad = || {
            assert!(lab.verify().is_err(), "{name}");
            if is_needed {
                assert!(read_log(&lab.dir(), &lab.vkey).is_err(), "{name}");
            }
        };
        with_change(&path, |p| fs::remove_file(p).unwrap(), bad);
        with_change(&path, |p| fs::write(p, b"").unwrap(), bad);
        let length = fs::read(&path).unwrap().len();
        // A witness that lost the end of its newest line is what a killed writer leaves.
        if path != lab.witness() {
            with_change(
                &path,
                |p| fs::write(p, &fs::read(p).unwrap()[..length - 1]).unwrap(),
                bad,
            );
            with_change(
                &path,
                |p| fs::write(p, &fs::read(p).unwrap()[..length / 2]).unwrap(),
                bad,
            );
        }
        let longer = |p: &Path| fs::write(p, [fs::read(p).unwrap(), vec![b'\n']].concat()).unwrap();
        with_change(&path, longer, bad);
    }
    lab.verify().unwrap();
}

/// Rewrites the newest bundle of a log by way of its list of entries.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let bytes = fs::read(path).unwrap();
    let mut entries = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        entries.push(bytes[at + 2..at + 2 + length].to_vec());
        at += 2 + length;
    }
    change(&mut entries);
    let bytes: Vec<u8> = entries
        .iter()
        .flat_map(|e| [&(e.len() as u16).to_be_bytes()[..], e].concat())
        .collect();
    fs::write(path, bytes).unwrap();
}

#[test]
fn changed_entries_are_named() {
    let lab = Lab::new();
    lab.fill(300, 300);
    for (file, first) in [("tile/entries/000", 0), ("tile/entries/001.p/44", 256)] {
        let path = lab.dir().join(file);
        let names = |wrong: u64| {
            move |lab: &Lab| match lab.verify() {
                Err(VerifyError::Entry { path, entry }) => {
                    assert_eq!((path.as_str(), entry), (file, wrong));
                    assert!(read_log(&lab.dir(), &lab.vkey).is_err());
                }
                other => panic!("{other:?}"),
            }
        };
        let changed = |p: &Path| rewrite(p, |e| e[7] = b"forged".to_vec());
        with_change(&path, changed, || names(first + 7)(&lab));
        let swapped = |p: &Path| rewrite(p, |e| e.swap(3, 20));
        with_change(&path, swapped, || names(first + 3)(&lab));
        let removed = |p: &Path| rewrite(p, |e| drop(e.remove(10)));
        with_change(&path, removed, || names(first + 10)(&lab));
        let doubled = |p: &Path| rewrite(p, |e| e.insert(12, e[11].clone()));
        with_change(&path, doubled, || names(first + 12)(&lab));
        let emptied = |p: &Path| rewrite(p, |e| e[0].clear());
        with_change(&path, emptied, || names(first)(&lab));
    }
    let path = lab.dir().join("tile/entries/001.p/44");
    with_change(
        &path,
        |p| rewrite(p, |e| drop(e.pop())),
        || {
            let error = lab.verify().unwrap_err();
            assert!(
                matches!(error, VerifyError::BundleTruncated { entry: 299, .. }),
                "{error}"
            );
        },
    );
    with_change(
        &path,
        |p| rewrite(p, |e| e.push(entry(300))),
        || {
            let error = lab.verify().unwrap_err();
            assert!(
                matches!(error, VerifyError::BundleTrailing { .. }),
                "{error}"
            );
        },
    );
}

#[test]
fn changed_tiles_are_named_with_their_entries() {
    let lab = Lab::new();
    lab.fill(600, 600);
    let check = |file: &str, hash: usize, first: u64, last: u64| {
        let flip = |p: &Path| {
            let mut bytes = fs::read(p).unwrap();
            bytes[hash * 32 + 5] ^= 4;
            fs::write(p, bytes).unwrap();
        };
        with_change(&lab.dir().join(file), flip, || match lab.verify() {
            Err(VerifyError::Tile {
                path,
                hash: h,
                first: f,
                last: l,
            }) => {
                assert_eq!((path.as_str(), h, f, l), (file, hash, first, last));
            }
            other => panic!("{other:?}"),
        });
    };
    check("tile/0/001", 9, 265, 265);
    check("tile/0/002.p/88", 87, 599, 599);
    check("tile/1/000.p/2", 1, 256, 511);
    let removed = lab.dir().join("tile/1/000.p/2");
    with_change(
        &removed,
        |p| fs::remove_file(p).unwrap(),
        || {
            let error = lab.verify().unwrap_err();
            assert!(
                matches!(&error, VerifyError::Missing { path } if path == "tile/1/000.p/2"),
                "{error}"
            );
        },
    );
}

#[test]
fn entry_and_tile_changed_together_are_found() {
    let lab = Lab::new();
    lab.fill(300, 300);
    // A forger without the key makes a log of other entries, and keeps the checkpoint.
    let forger = Lab::new();
    let ledger = forger.open().unwrap();
    let forged = |i| if i == 5 { b"forged".to_vec() } else { entry(i) };
    ledger.append_many((0..300).map(forged).collect()).unwrap();
    drop(ledger);
    let mix = |names: &[&str]| {
        let target = lab.temp.path().join("mixed");
        copy(&lab.dir(), &target);
        for name in names {
            fs::copy(forger.dir().join(name), target.join(name)).unwrap();
        }
        let error = verify(&target, &lab.vkey, None).unwrap_err();
        assert!(read_log(&target, &lab.vkey).is_err());
        fs::remove_dir_all(target).unwrap();
        error
    };
    let error = mix(&["tile/entries/000", "tile/0/000"]);
    assert!(
        matches!(
            error,
            VerifyError::Tile {
                first: 0,
                last: 255,
                ..
            }
        ),
        "{error}"
    );
    let error = mix(&["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
    assert!(matches!(error, VerifyError::Root { size: 300 }), "{error}");
    let error = mix(&["checkpoint"]);
    assert!(
        matches!(error, VerifyError::CheckpointSignature { .. }),
        "{error}"
    );
}

#[test]
fn only_the_witness_shows_a_log_that_was_cut_back() {
    let lab = Lab::new();
    lab.fill(270, 90);
    let old = lab.temp.path().join("old");
    copy(&lab.dir(), &old);
    lab.fill(30, 10);
    // The positive control: an old copy is a whole log, to whoever has no witness.
    assert_eq!(verify(&old, &lab.vkey, None).unwrap().size, 270);
    assert!(read_log(&old, &lab.vkey).is_ok());
    copy(&old, &lab.dir());
    let error = lab.verify().unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Witness {
                fault: WitnessFault::Ahead {
                    witnessed: 300,
                    size: 270
                },
                ..
            }
        ),
        "{error}"
    );
    assert!(lab.open().is_err());
    // Nor can the directory be emptied.
    fs::remove_dir_all(lab.dir()).unwrap();
    assert!(lab.open().is_err());
    assert!(!lab.dir().join("checkpoint").exists());
}

#[test]
fn only_the_witness_shows_a_log_that_was_rewritten_with_its_own_key() {
    let lab = Lab::new();
    lab.fill(200, 50);
    fs::remove_dir_all(lab.dir()).unwrap();
    let ledger = Ledger::open(&lab.dir(), &lab.skey, None).unwrap();
    let forged = |i| {
        if i == 120 {
            b"forged".to_vec()
        } else {
            entry(i)
        }
    };
    ledger.append_many((0..250).map(forged).collect()).unwrap();
    drop(ledger);
    assert!(verify(&lab.dir(), &lab.vkey, None).is_ok(), "the control");
    let error = lab.verify().unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Witness {
                line: 4,
                fault: WitnessFault::Rewritten { size: 150 },
                ..
            }
        ),
        "{error}"
    );
    assert!(lab.open().is_err());
}

#[test]
fn checkpoint_replaced_by_an_older_one_is_found_even_without_a_witness_when_files_remain() {
    let lab = Lab::new();
    lab.fill(10, 10);
    let old = fs::read(lab.dir().join("checkpoint")).unwrap();
    lab.fill(9_000, 3000);
    fs::write(lab.dir().join("checkpoint"), old).unwrap();
    let error = verify(&lab.dir(), &lab.vkey, None).unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::CutBack { size: 10, .. } | VerifyError::OlderPartial { .. }
        ),
        "{error}"
    );
    assert!(Ledger::open(&lab.dir(), &lab.skey, None).is_err());
}

#[test]
fn witness_lines_removed_swapped_or_gone_are_found() {
    let lab = Lab::new();
    lab.fill(40, 10);
    let text = fs::read_to_string(lab.witness()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    let fault = |lines: &[&str]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(lab.witness(), text).unwrap();
        match lab.verify() {
            Err(VerifyError::Witness { line, fault, .. }) => (line, fault),
            other => panic!("{other:?}"),
        }
    };
    let [a, b, c, d, e] = lines[..] else { panic!() };
    assert_eq!(fault(&[a, b, d, e]), (3, WitnessFault::Chain));
    assert_eq!(fault(&[b, c, d, e]), (1, WitnessFault::Chain));
    assert_eq!(fault(&[a, c, b, d, e]), (2, WitnessFault::Chain));
    assert_eq!(fault(&[a, b, c, d, e, e]), (6, WitnessFault::Chain));
    assert_eq!(fault(&[]), (1, WitnessFault::Absent { size: 40 }));
    assert!(lab.open().is_err());
    fs::remove_file(lab.witness()).unwrap();
    assert!(lab.verify().is_err());
    assert!(lab.open().is_err());
    // A lost witness is replaced by an explicit act, and only for a log that verifies.
    start_witness(&lab.dir(), &lab.vkey, &lab.witness()).unwrap();
    assert_eq!(lab.verify().unwrap().witness.unwrap().checkpoints, 1);
    assert!(start_witness(&lab.dir(), &lab.vkey, &lab.witness()).is_err());
    lab.fill(5, 1);
    assert_eq!(lab.verify().unwrap().witness.unwrap().checkpoints, 6);
}

#[test]
fn another_key_is_refused() {
    let lab = Lab::new();
    lab.fill(3, 3);
    let other = Lab::new();
    assert!(verify(&lab.dir(), &other.vkey, None).is_err());
    assert!(read_log(&lab.dir(), &other.vkey).is_err());
    assert!(Ledger::open(&lab.dir(), &other.skey, None).is_err());
    assert!(verify(&lab.dir(), "nonsense", None).is_err());
}

#[test]
fn foreign_files_among_the_tiles_are_found() {
    let lab = Lab::new();
    lab.fill(3, 3);
    for name in [
        "tile/0/000.p/0",
        "tile/0/000.p/03",
        "tile/0/notes.txt",
        "tile/readme",
        "tile/64/000",
    ] {
        let path = lab.dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"x").unwrap();
        let error = lab.verify().unwrap_err();
        assert!(
            matches!(&error, VerifyError::Foreign { path } if path == name),
            "{error}"
        );
        fs::remove_file(path).unwrap();
    }
    lab.verify().unwrap();
}
