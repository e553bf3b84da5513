//! Everything is computed again from the entries, one bundle at a time: entries → leaf hashes →
//! tiles → root → signed checkpoint, and on the way each root that the witness saw.

use std::path::Path;

use tlog_tiles::{HASH_SIZE, Hash, record_hash};

use crate::head::{Head, Judge};
use crate::ledger::BATCH_ENTRIES_MAX;
use crate::path::{Kind, TILE_WIDTH, TilePath, count_at};
use crate::store::{
    Bundle, Rest, has, last_partial, read_bundle, read_checkpoint, read_tile, split, visit,
};
use crate::tree::Tree;
use crate::witness::{WitnessEnd, WitnessReader};
use crate::{VerifyError, WitnessFault};

/// A log that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The log's name, from the key.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// The root hash, base64.
    pub root: String,
    /// Bytes in all entries.
    pub entry_bytes: u64,
    /// Files after the checkpoint: what an interrupted writer left, or a running one is writing.
    pub files_after_checkpoint: u64,
    /// What the witness says, where one was given.
    pub witness: Option<WitnessReport>,
}

/// A witness file that agrees with its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessReport {
    /// Checkpoints that it saw.
    pub checkpoints: u64,
    /// Entries in the newest of them.
    pub newest_size: u64,
}

/// Verifies a log's directory against its public key (`NAME+ID+KEY`), and against its witness
/// where one is given. Reads every file; needs memory for one bundle. The log may be in use.
pub fn verify(dir: &Path, vkey: &str, witness: Option<&Path>) -> Result<Report, VerifyError> {
    let judge = Judge::new(vkey)?;
    // The witness first: a running log's checkpoint is never behind it.
    let witness = witness.map(WitnessReader::open).transpose()?;
    let note = read_checkpoint(dir)?.ok_or(VerifyError::CheckpointMissing)?;
    let head = judge.open(&note)?;
    let walked = walk(dir, &judge, head, &note, witness, 0)?;
    if let Some(far) = walked.far_after {
        // A running log moves on while it is being verified.
        if read_checkpoint(dir)?.as_deref() == Some(note.as_slice()) {
            return Err(VerifyError::CutBack {
                path: far.to_path(),
                size: head.size,
            });
        }
    }
    Ok(Report {
        origin: judge.name().to_owned(),
        size: head.size,
        root: head.root.to_string(),
        entry_bytes: walked.entry_bytes,
        files_after_checkpoint: walked.after,
        witness: walked.witness.map(|end| WitnessReport {
            checkpoints: end.lines,
            newest_size: end.newest.map_or(0, |newest| newest.size),
        }),
    })
}

/// What a walk through a log's files found.
pub(crate) struct Walked {
    pub(crate) tree: Tree,
    /// The bytes of the last bundle, if it is not full.
    pub(crate) bundle: Vec<u8>,
    pub(crate) entry_bytes: u64,
    pub(crate) witness: Option<WitnessEnd>,
    /// Files after the checkpoint.
    after: u64,
    /// One of them that no interrupted writer can have left.
    pub(crate) far_after: Option<TilePath>,
}

/// Walks through all files. Entries before `recheck` are taken from level 1 of the tree.
pub(crate) fn walk(
    dir: &Path,
    judge: &Judge,
    head: Head,
    note: &[u8],
    witness: Option<WitnessReader>,
    recheck: u64,
) -> Result<Walked, VerifyError> {
    let mut walker = Walker {
        dir,
        head,
        tree: Tree::default(),
        bundle: Vec::new(),
        entry_bytes: 0,
        awaited: None,
        missing: None,
        witness,
    };
    walker.await_witness()?;
    walker.check_witness()?;
    for n in 0..head.size.div_ceil(TILE_WIDTH) {
        let first = n.saturating_mul(TILE_WIDTH);
        let width = head.size.saturating_sub(first).min(TILE_WIDTH);
        let bundle = TilePath::new(Kind::Entries, n, width);
        if bundle.is_full() && bundle.end() <= recheck {
            walker.skip(bundle)?;
        } else {
            walker.check_bundle(bundle)?;
        }
    }
    walker.check_unfinished()?;
    if walker.tree.root() != head.root {
        return Err(VerifyError::Root { size: head.size });
    }
    let (after, far_after) = check_others(dir, head)?;
    let witness = match walker.witness {
        Some(reader) => Some(reader.finish(judge, head, note)?),
        None => None,
    };
    if let Some(missing) = walker.missing {
        return Err(missing);
    }
    Ok(Walked {
        tree: walker.tree,
        bundle: walker.bundle,
        entry_bytes: walker.entry_bytes,
        witness,
        after,
        far_after,
    })
}

struct Walker<'a> {
    dir: &'a Path,
    head: Head,
    tree: Tree,
    bundle: Vec<u8>,
    entry_bytes: u64,
    witness: Option<WitnessReader>,
    /// The next root that the witness saw, and its line.
    awaited: Option<(Head, u64)>,
    /// The first partial tile that a witnessed checkpoint lacks.
    missing: Option<VerifyError>,
}

impl Walker<'_> {
    /// Takes a full bundle's root from level 1.
    fn skip(&mut self, bundle: TilePath) -> Result<(), VerifyError> {
        let root = self.parent(bundle.n)?;
        let mut filled = Vec::new();
        self.tree.push_tile(root, |level, n, bytes| {
            filled.push((level, n, bytes.to_vec()))
        });
        self.check_filled(&filled)?;
        self.check_witness()
    }

    /// What level 1 says of a full tile of level 0.
    fn parent(&self, n: u64) -> Result<Hash, VerifyError> {
        let count = count_at(1, self.head.size);
        let number = n / TILE_WIDTH;
        let width = count
            .saturating_sub(number.saturating_mul(TILE_WIDTH))
            .clamp(1, TILE_WIDTH);
        let tile = TilePath::new(Kind::Hashes(1), number, width);
        let bytes = read_tile(self.dir, tile)?;
        let index = usize::try_from(n % TILE_WIDTH).unwrap_or(usize::MAX);
        hash_in(&bytes, index).ok_or_else(|| VerifyError::Missing {
            path: tile.to_path(),
        })
    }

    fn check_bundle(&mut self, tile: TilePath) -> Result<(), VerifyError> {
        let first = tile.n.saturating_mul(TILE_WIDTH);
        let bundle = read_bundle(self.dir, tile)?;
        let hashes = read_tile(
            self.dir,
            TilePath {
                kind: Kind::Hashes(0),
                ..tile
            },
        )?;
        let (entries, rest) = split(&bundle.bytes, tile.width);
        let leaves: Vec<Hash> = entries.iter().map(|entry| record_hash(entry)).collect();
        let differs = leaves
            .iter()
            .enumerate()
            .find(|(i, leaf)| hash_in(&hashes, *i).as_ref() != Some(leaf));
        if let Some((i, _)) = differs {
            return Err(self.blame(tile, &bundle.path, &leaves, &hashes, i));
        }
        let path = bundle.path.clone();
        match rest {
            Rest::Truncated => {
                let entry = first.saturating_add(leaves.len().try_into().unwrap_or(u64::MAX));
                return Err(VerifyError::BundleTruncated { path, entry });
            }
            // A full bundle that stands in for a partial one has more, and the checkpoint doesn't
            // speak of it.
            Rest::Trailing(bytes) if bundle.is_full == tile.is_full() => {
                let bytes = bytes.try_into().unwrap_or(u64::MAX);
                return Err(VerifyError::BundleTrailing { path, bytes });
            }
            Rest::Trailing(_) | Rest::End => {}
        }
        for (entry, leaf) in entries.iter().zip(&leaves) {
            let bytes = u64::try_from(entry.len()).unwrap_or(u64::MAX);
            self.entry_bytes = self.entry_bytes.saturating_add(bytes);
            let mut filled = Vec::new();
            self.tree.push(*leaf, |level, n, bytes| {
                // Level 0 was compared above.
                if level > 0 {
                    filled.push((level, n, bytes.to_vec()));
                }
            });
            self.check_filled(&filled)?;
            self.check_witness()?;
        }
        if !tile.is_full() {
            self.bundle = prefix(&bundle, tile.width);
        }
        Ok(())
    }

    /// An entry and its hash differ. The tree above says which of them was changed.
    fn blame(
        &self,
        tile: TilePath,
        bundle: &str,
        leaves: &[Hash],
        hashes: &[u8],
        differs: usize,
    ) -> VerifyError {
        let stored: Vec<Hash> = (0..).map_while(|i| hash_in(hashes, i)).collect();
        let fits = |candidate: &[Hash]| {
            let mut tree = if tile.is_full() {
                Tree::default()
            } else {
                self.tree.clone()
            };
            for leaf in candidate {
                tree.push(*leaf, |_, _, _| {});
            }
            let above = if tile.is_full() {
                self.parent(tile.n).ok()
            } else {
                Some(self.head.root)
            };
            above == Some(tree.root())
        };
        let index = u64::try_from(differs).unwrap_or(u64::MAX);
        let entry = tile.n.saturating_mul(TILE_WIDTH).saturating_add(index);
        let path = TilePath {
            kind: Kind::Hashes(0),
            ..tile
        }
        .to_path();
        match (fits(&stored), fits(leaves)) {
            (true, _) => VerifyError::Entry {
                path: bundle.to_owned(),
                entry,
            },
            (false, true) => VerifyError::Tile {
                path,
                hash: differs,
                first: entry,
                last: entry,
            },
            (false, false) => VerifyError::Both { path, entry },
        }
    }

    fn check_filled(&self, filled: &[(u8, u64, Vec<u8>)]) -> Result<(), VerifyError> {
        filled.iter().try_for_each(|(level, n, bytes)| {
            let tile = TilePath::new(Kind::Hashes(*level), *n, TILE_WIDTH);
            check_tile(self.dir, tile, bytes)
        })
    }

    fn check_unfinished(&self) -> Result<(), VerifyError> {
        for (level, bytes) in self.tree.unfinished() {
            let count = count_at(level, self.head.size);
            if let Some(tile) = last_partial(Kind::Hashes(level), count) {
                check_tile(self.dir, tile, bytes)?;
            }
        }
        Ok(())
    }

    fn await_witness(&mut self) -> Result<(), VerifyError> {
        self.awaited = None;
        if let Some(witness) = &mut self.witness {
            let line = witness.next()?;
            self.awaited = line.map(|head| (head, witness.line()));
        }
        Ok(())
    }

    /// Compares the root that the witness saw at the size that is reached now.
    fn check_witness(&mut self) -> Result<(), VerifyError> {
        let size = self.tree.size();
        while let Some((seen, line)) = self.awaited {
            if seen.size > size {
                break;
            }
            // A skipped bundle's inside isn't compared: `verify` does that.
            if seen.size == size {
                if seen.root != self.tree.root() {
                    return Err(self.witness_fault(line, WitnessFault::Rewritten { size }));
                }
                // Said last: a log that was rewritten lacks partial tiles, too.
                if self.missing.is_none() {
                    self.missing = self.check_partials(size, line).err();
                }
            }
            self.await_witness()?;
        }
        Ok(())
    }

    /// Each checkpoint keeps its partial tiles until full ones come.
    fn check_partials(&self, size: u64, line: u64) -> Result<(), VerifyError> {
        let levels = (0_u8..).take_while(|level| count_at(*level, size) > 0);
        let tiles = levels.map(Kind::Hashes).chain([Kind::Entries]);
        for kind in tiles {
            let level = TilePath::new(kind, 0, 1).level();
            let now = count_at(level, self.head.size) / TILE_WIDTH;
            let Some(tile) = last_partial(kind, count_at(level, size)) else {
                continue;
            };
            if tile.n == now && !has(self.dir, tile) {
                let path = tile.to_path();
                return Err(self.witness_fault(line, WitnessFault::PartialMissing { path }));
            }
        }
        Ok(())
    }

    fn witness_fault(&self, line: u64, fault: WitnessFault) -> VerifyError {
        match &self.witness {
            Some(witness) => witness.fault(line, fault),
            None => VerifyError::Root {
                size: self.head.size,
            },
        }
    }
}

fn hash_in(tile: &[u8], index: usize) -> Option<Hash> {
    let at = index.checked_mul(HASH_SIZE)?;
    let hash = tile.get(at..)?.first_chunk::<HASH_SIZE>()?;
    Some(Hash(*hash))
}

/// The first entries of a bundle, as bytes.
fn prefix(bundle: &Bundle, width: u64) -> Vec<u8> {
    let (entries, _) = split(&bundle.bytes, width);
    let length: usize = entries
        .iter()
        .map(|entry| entry.len().saturating_add(2))
        .sum();
    bundle.bytes.iter().take(length).copied().collect()
}

/// Compares a tile of level 1 or above with what the levels below make it.
fn check_tile(dir: &Path, tile: TilePath, computed: &[u8]) -> Result<(), VerifyError> {
    let stored = read_tile(dir, tile)?;
    let differs = computed
        .chunks(HASH_SIZE)
        .zip(stored.chunks(HASH_SIZE))
        .position(|(a, b)| a != b);
    match differs {
        None if computed.len() == stored.len() => Ok(()),
        differs => {
            let hash = differs.unwrap_or(0);
            let span = 256_u64.saturating_pow(u32::from(tile.level()));
            let number = tile
                .n
                .saturating_mul(TILE_WIDTH)
                .saturating_add(hash.try_into().unwrap_or(u64::MAX));
            let first = number.saturating_mul(span);
            Err(VerifyError::Tile {
                path: tile.to_path(),
                hash,
                first,
                last: first.saturating_add(span.saturating_sub(1)),
            })
        }
    }
}

/// Looks at every file that the walk along the checkpoint did not need: partial tiles of earlier
/// checkpoints, what lies after the checkpoint, and what isn't a log's.
fn check_others(dir: &Path, head: Head) -> Result<(u64, Option<TilePath>), VerifyError> {
    let batch = u64::try_from(BATCH_ENTRIES_MAX).unwrap_or(u64::MAX);
    let reachable = head.size.saturating_add(batch);
    let mut after: u64 = 0;
    let mut far_after = None;
    visit(dir, &mut |tile| {
        let count = count_at(tile.level(), head.size);
        if tile.end() > count {
            after = after.saturating_add(1);
            if tile.end() > count_at(tile.level(), reachable) {
                far_after = Some(tile);
            }
            return Ok(());
        }
        if tile.is_full() {
            return Ok(());
        }
        let whole = count.saturating_sub(tile.n.saturating_mul(TILE_WIDTH));
        let whole = TilePath {
            width: whole.min(TILE_WIDTH),
            ..tile
        };
        if whole == tile || is_beginning(dir, tile, whole)? {
            Ok(())
        } else {
            Err(VerifyError::OlderPartial {
                path: tile.to_path(),
            })
        }
    })?;
    Ok((after, far_after))
}

/// Whether a partial tile is the beginning of the one that came later.
fn is_beginning(dir: &Path, tile: TilePath, whole: TilePath) -> Result<bool, VerifyError> {
    let path = dir.join(tile.to_path());
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        // A running log removed it: the full tile is there.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(has(dir, tile)),
        Err(source) => {
            let path = tile.to_path().into();
            return Err(VerifyError::Io { path, source });
        }
    };
    Ok(match tile.kind {
        Kind::Entries => prefix(&read_bundle(dir, whole)?, tile.width) == bytes,
        Kind::Hashes(_) => {
            let whole = read_tile(dir, whole)?;
            let length = usize::try_from(tile.width).unwrap_or(usize::MAX);
            whole.get(..length.saturating_mul(HASH_SIZE)) == Some(bytes.as_slice())
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{Ledger, generate_key};

    use super::*;

    /// A log of 1,000 entries, its key and witness.
    fn lab() -> (tempfile::TempDir, String) {
        let temp = tempfile::TempDir::new().unwrap();
        let (skey, vkey) = generate_key("l").unwrap();
        let witness = temp.path().join("w");
        let ledger = Ledger::open(&temp.path().join("l"), &skey, Some(&witness)).unwrap();
        for _ in 0..10 {
            ledger.append_many(vec![b"x".to_vec(); 100]).unwrap();
        }
        (temp, vkey)
    }

    fn walk_from(
        temp: &tempfile::TempDir,
        vkey: &str,
        recheck: u64,
    ) -> Result<Walked, VerifyError> {
        let (dir, witness) = (temp.path().join("l"), temp.path().join("w"));
        let judge = Judge::new(vkey).unwrap();
        let note = read_checkpoint(&dir).unwrap().unwrap();
        let head = judge.open(&note).unwrap();
        let witness = WitnessReader::open(&witness).unwrap();
        walk(&dir, &judge, head, &note, Some(witness), recheck)
    }

    #[test]
    fn walk_that_skips_old_entries_ends_with_the_same_tree() {
        let (temp, vkey) = lab();
        let whole = walk_from(&temp, &vkey, 0).unwrap();
        for recheck in [1, 255, 256, 257, 700, 768, 1000, u64::MAX] {
            let walked = walk_from(&temp, &vkey, recheck).unwrap();
            assert_eq!(walked.tree.root(), whole.tree.root());
            assert!(
                walked
                    .tree
                    .unfinished()
                    .skip(1)
                    .eq(whole.tree.unfinished().skip(1))
            );
            assert_eq!(walked.bundle, whole.bundle, "{recheck}");
            assert_eq!(walked.tree.size(), 1000);
        }
    }

    #[test]
    fn walk_that_skips_old_entries_still_checks_the_tiles_above_them() {
        let (temp, vkey) = lab();
        let flip = |name: &str| {
            let path = temp.path().join("l").join(name);
            let mut bytes = fs::read(&path).unwrap();
            bytes[3] ^= 1;
            fs::write(path, bytes).unwrap();
        };
        flip("tile/entries/000");
        assert!(walk_from(&temp, &vkey, 0).is_err());
        assert!(walk_from(&temp, &vkey, 255).is_err());
        // The documented limit of opening: what is older than its bound is `verify`'s to find.
        assert!(walk_from(&temp, &vkey, 256).is_ok());
        flip("tile/1/000.p/3");
        assert!(walk_from(&temp, &vkey, 256).is_err());
        assert!(walk_from(&temp, &vkey, u64::MAX).is_err());
    }
}
