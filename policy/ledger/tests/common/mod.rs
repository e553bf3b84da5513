//! What the tests of the ledger share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "test code"
)]

use std::fs;
use std::path::{Path, PathBuf};

use kekkai_ledger::{Ledger, generate_key};
use tempfile::TempDir;

/// A log in a temporary directory, with its key and a witness beside it.
pub struct Lab {
    pub temp: TempDir,
    pub skey: String,
    pub vkey: String,
}

impl Lab {
    pub fn new() -> Self {
        let (skey, vkey) = generate_key("ledger.example/test").unwrap();
        Self {
            temp: TempDir::new().unwrap(),
            skey: skey.to_string(),
            vkey,
        }
    }

    pub fn dir(&self) -> PathBuf {
        self.temp.path().join("ledger")
    }

    pub fn witness(&self) -> PathBuf {
        self.temp.path().join("witness")
    }

    pub fn open(&self) -> Result<Ledger, kekkai_ledger::LedgerError> {
        Ledger::open(&self.dir(), &self.skey, Some(&self.witness()))
    }

    pub fn verify(&self) -> Result<kekkai_ledger::Report, kekkai_ledger::VerifyError> {
        kekkai_ledger::verify(&self.dir(), &self.vkey, Some(&self.witness()))
    }

    /// Appends `count` entries, so many in each checkpoint.
    pub fn fill(&self, count: u64, per_checkpoint: u64) {
        let ledger = self.open().unwrap();
        let mut next = ledger.size();
        let end = next + count;
        while next < end {
            let until = (next + per_checkpoint).min(end);
            ledger
                .append_many((next..until).map(entry).collect())
                .unwrap();
            next = until;
        }
    }
}

/// Entry `i` of a test log: varied, recognisable.
pub fn entry(i: u64) -> Vec<u8> {
    format!("{{\"i\":{i},\"pad\":\"{}\"}}", "あ".repeat(i as usize % 5)).into_bytes()
}

/// Every file below a folder, relative to it, sorted.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    fn below(dir: &Path, base: &Path, found: &mut Vec<PathBuf>) {
        for item in fs::read_dir(dir).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                below(&path, base, found);
            } else {
                found.push(path.strip_prefix(base).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    below(dir, dir, &mut found);
    found.sort();
    found
}

/// A byte-for-byte copy of a folder.
pub fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&file), target).unwrap();
    }
}

/// A seed from the environment (`KEKKAI_SEED`) or the clock, printed so that a run can be replayed.
pub fn seed() -> u64 {
    let seed = std::env::var("KEKKAI_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64
    });
    println!("KEKKAI_SEED={seed}");
    seed
}

/// A small generator of numbers (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}
