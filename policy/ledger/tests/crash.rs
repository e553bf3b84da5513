//! Killed at any line, nothing that was acknowledged is lost, and the log opens again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

mod common;
mod reader;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{Dice, Lab, copy, entry, files, seed};
use kekkai_ledger::{Ledger, LedgerError};
use reader::read_log;

const CHILD: &str = "KEKKAI_LEDGER_CHILD";

/// Not a test by itself: what the killed process runs. Says each entry after it was acknowledged.
#[test]
fn child_appends() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let dir = PathBuf::from(dir);
    let skey = fs::read_to_string(dir.join("key")).unwrap();
    let ledger = Ledger::open(&dir.join("ledger"), &skey, Some(&dir.join("witness")));
    let ledger = Arc::new(ledger.unwrap());
    let threads: Vec<_> = (0..6)
        .map(|thread| {
            let ledger = Arc::clone(&ledger);
            std::thread::spawn(move || {
                for i in 0..100_000 {
                    let text = format!("{}-{thread}-{i}", std::process::id());
                    let index = ledger.append(text.clone().into_bytes()).unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "ack {index} {text}").unwrap();
                    out.flush().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Kills its child when the test ends, however it ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn kill_9_loses_no_acknowledged_entry() {
    let lab = Lab::new();
    let mut dice = Dice(seed());
    fs::write(lab.temp.path().join("key"), &lab.skey).unwrap();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..15 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_appends",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, lab.temp.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut child = Killed(child);
        let out = BufReader::new(child.0.stdout.take().unwrap());
        let target = 1 + dice.below(120);
        let mut seen = 0;
        let mut killed = false;
        // Reads on after the kill: what was said before it counts.
        for line in out.lines() {
            let Ok(line) = line else { break };
            // The harness's own words may stand before the first one on a line.
            if let Some((_, ack)) = line.split_once("ack ")
                && let Some((index, text)) = ack.split_once(' ')
            {
                acknowledged.push((index.parse().unwrap(), text.to_owned()));
                seen += 1;
            }
            if seen >= target && !killed {
                std::thread::sleep(Duration::from_micros(dice.below(8_000)));
                child.0.kill().unwrap();
                killed = true;
            }
        }
        drop(child);
        assert!(
            killed,
            "round {round}: the child ended by itself after {seen} entries"
        );
        // As the killed process left it.
        lab.verify().unwrap();
        let (_, entries) = read_log(&lab.dir(), &lab.vkey).unwrap();
        for (index, text) in &acknowledged {
            assert_eq!(entries[*index as usize], text.as_bytes(), "round {round}");
        }
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    let report = lab.verify().unwrap();
    println!(
        "{} acknowledged, {} in the log",
        acknowledged.len(),
        report.size
    );
}

/// Where a write of the writer ends up, in the order in which the writer makes them.
fn rank(path: &Path) -> u8 {
    match path.to_string_lossy().as_ref() {
        "ledger/checkpoint" => 1,
        "witness" => 2,
        _ => 0,
    }
}

/// Opens a state that a killed writer can have left, and goes on from it.
fn recovers(lab: &Lab, size: u64, what: &str) {
    let note = fs::read(lab.dir().join("checkpoint")).unwrap();
    let ledger = lab.open().unwrap_or_else(|e| panic!("{what}: {e:?}"));
    assert_eq!(ledger.size(), size, "{what}");
    assert_eq!(
        fs::read(lab.dir().join("checkpoint")).unwrap(),
        note,
        "{what}"
    );
    assert_eq!(lab.verify().unwrap().files_after_checkpoint, 0, "{what}");
    // Other entries than those whose write was interrupted.
    for i in 0..3 {
        ledger.append(format!("after {i}").into_bytes()).unwrap();
    }
    drop(ledger);
    let report = lab.verify().unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(report.size, size + 3, "{what}");
    let newest = report.witness.unwrap().newest_size;
    assert_eq!(newest, size + 3, "{what}");
    let (_, entries) = read_log(&lab.dir(), &lab.vkey).unwrap();
    assert!((0..size).all(|i| entries[i as usize] == entry(i)), "{what}");
}

#[test]
fn every_state_between_two_checkpoints_opens() {
    // One more entry; the one that fills a tile; one after a full tile; several tiles at once.
    for (size, more) in [(0, 1), (4, 1), (255, 1), (256, 1), (250, 600)] {
        let lab = Lab::new();
        lab.fill(size, 100);
        drop(lab.open().unwrap());
        let root = lab.temp.path();
        let keep = tempfile::TempDir::new().unwrap();
        let (before, after) = (keep.path().join("before"), keep.path().join("after"));
        copy(root, &before);
        lab.fill(more, more);
        copy(root, &after);

        let was = |path: &Path| fs::read(before.join(path)).unwrap_or_default();
        let is = |path: &Path| fs::read(after.join(path)).unwrap();
        let mut written: Vec<PathBuf> = files(&after);
        written.retain(|path| was(path) != is(path) || !before.join(path).exists());
        written.sort_by_key(|path| rank(path));
        assert!(written.len() >= 4, "{written:?}");

        for (done, path) in written.iter().enumerate() {
            let bytes = is(path);
            let lengths: BTreeSet<usize> = match rank(path) {
                // Renamed into place: old or new, nothing between.
                1 => [bytes.len()].into(),
                // Appended to: every length.
                2 => (was(path).len()..=bytes.len())
                    .step_by(41)
                    .chain([bytes.len() - 1])
                    .collect(),
                _ => [0, 1, bytes.len() / 2, bytes.len()].into(),
            };
            for length in lengths {
                copy(&before, root);
                for complete in &written[..done] {
                    let target = root.join(complete);
                    fs::create_dir_all(target.parent().unwrap()).unwrap();
                    fs::copy(after.join(complete), target).unwrap();
                }
                let target = root.join(path);
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::write(&target, &bytes[..length]).unwrap();
                if rank(path) == 1 {
                    // A second writer's unfinished checkpoint lies about, too.
                    fs::write(root.join("ledger/checkpoint.new"), b"half a no").unwrap();
                }
                let expected = if rank(path) == 0 { size } else { size + more };
                recovers(
                    &lab,
                    expected,
                    &format!("{size}+{more}: {} at {length}", path.display()),
                );
            }
        }
    }
}

#[test]
fn stale_full_tile_after_the_checkpoint_never_serves() {
    let lab = Lab::new();
    lab.fill(250, 50);
    // A killed writer filled the tile with other entries than those that come in the end.
    fs::write(lab.dir().join("tile/0/000"), vec![7; 8192]).unwrap();
    fs::write(lab.dir().join("tile/entries/000"), vec![0; 512]).unwrap();
    fs::create_dir_all(lab.dir().join("tile/1/000.p")).unwrap();
    fs::write(lab.dir().join("tile/1/000.p/1"), vec![9; 32]).unwrap();
    lab.verify().unwrap();
    recovers(&lab, 250, "stale full tile");
}

#[test]
fn after_a_failed_write_the_ledger_refuses_until_it_is_opened_again() {
    let lab = Lab::new();
    let ledger = lab.open().unwrap();
    ledger.append(b"one".to_vec()).unwrap();
    // A folder where the new checkpoint should be written.
    let obstacle = lab.dir().join("checkpoint.new");
    fs::create_dir(&obstacle).unwrap();
    let error = ledger.append(b"two".to_vec()).unwrap_err();
    assert!(matches!(error, LedgerError::Io { .. }), "{error}");
    fs::remove_dir(&obstacle).unwrap();
    for _ in 0..3 {
        let error = ledger.append(b"three".to_vec()).unwrap_err();
        assert!(matches!(error, LedgerError::Stopped), "{error}");
    }
    assert_eq!(ledger.size(), 1);
    drop(ledger);
    let ledger = lab.open().unwrap();
    assert_eq!(ledger.append(b"four".to_vec()).unwrap(), 1);
    assert_eq!(
        ledger.read(0..2).unwrap(),
        [b"one".to_vec(), b"four".to_vec()]
    );
    lab.verify().unwrap();
}

#[test]
fn unwritable_witness_stops_the_ledger() {
    let lab = Lab::new();
    lab.fill(1, 1);
    // The witness's disk is full.
    let ledger = Ledger::open(
        &lab.temp.path().join("other"),
        &lab.skey,
        Some(Path::new("/dev/full")),
    );
    assert!(matches!(ledger, Err(LedgerError::Io { .. })), "{ledger:?}");
}

#[test]
fn two_processes_never_write_the_same_ledger() {
    let lab = Lab::new();
    let first = lab.open().unwrap();
    assert!(matches!(lab.open(), Err(LedgerError::Locked(_))));
    drop(first);
    lab.open().unwrap();
}

#[test]
fn concurrent_appends_share_checkpoints_and_keep_their_indexes() {
    let lab = Lab::new();
    let ledger = Arc::new(lab.open().unwrap());
    let threads: Vec<_> = (0..32)
        .map(|thread| {
            let ledger = Arc::clone(&ledger);
            std::thread::spawn(move || {
                (0..20)
                    .map(|i| {
                        let text = format!("{thread}/{i}");
                        let index = ledger.append(text.clone().into_bytes()).unwrap();
                        assert!(ledger.size() > index, "acknowledged before it was durable");
                        (index, text)
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    // Verifying doesn't disturb a running ledger, nor the other way round.
    let mut checks = 0;
    while threads.iter().any(|thread| !thread.is_finished()) {
        lab.verify().unwrap();
        checks += 1;
    }
    let mut all: Vec<_> = threads
        .into_iter()
        .flat_map(|t| t.join().unwrap())
        .collect();
    all.sort();
    assert!(all.iter().zip(0..).all(|((index, _), i)| *index == i));
    let entries = ledger.read(0..640).unwrap();
    assert!(
        all.iter()
            .all(|(i, text)| entries[*i as usize] == text.as_bytes())
    );
    let checkpoints = lab.verify().unwrap().witness.unwrap().checkpoints;
    println!("640 entries in {checkpoints} checkpoints, verified {checks} times meanwhile");
    assert!(checkpoints < 640, "{checkpoints}");
}
