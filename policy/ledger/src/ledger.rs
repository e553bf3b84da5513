//! The writer: entries become durable together, a checkpoint at a time.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use signed_note::{Signer as _, StandardSigner};
use tlog_tiles::record_hash;

use crate::head::{Head, Judge, sign};
use crate::path::{Kind, TILE_WIDTH, TilePath, count_at};
use crate::store::{
    CHECKPOINT_NEW, Pending, last_partial, publish_checkpoint, push_entry, read_bundle,
    read_checkpoint, read_tile, remove_partials, split, sync_folder, visit,
};
use crate::tree::Tree;
use crate::verify::walk;
use crate::witness::{WitnessReader, WitnessWriter};
use crate::{ENTRY_MAX, LedgerError, VerifyError, verifier_key};

/// Calls that may wait for the writer; the next one waits to get in line.
pub const APPEND_QUEUE_MAX: usize = 1024;
/// Entries in one call of [`Ledger::append_many`].
pub const APPEND_MANY_MAX: usize = 4_096;
/// Entries that one checkpoint adds, at most: what a killed writer leaves is bounded.
pub const BATCH_ENTRIES_MAX: usize = APPEND_MANY_MAX;
/// The writer takes no further call into a checkpoint that adds this many bytes.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Entries that are read again when a ledger is opened. Older ones are vouched for by the tiles
/// above them, all of which are checked; [`crate::verify`] reads everything.
const OPEN_RECHECK: u64 = 1_000_000;
/// Held while a ledger is open.
const LOCK: &str = "lock";

/// An open ledger: the only writer of its directory.
///
/// Threads share it; appends that come at the same time share their syncs.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    vkey: String,
    size: Arc<AtomicU64>,
    queue: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
}

struct Request {
    entries: Vec<Vec<u8>>,
    reply: SyncSender<Result<u64, LedgerError>>,
}

impl Ledger {
    /// Opens the ledger in a directory, or begins one. The key (`PRIVATE+KEY+NAME+ID+KEY`) signs
    /// checkpoints, and its name is the log's origin.
    ///
    /// Refuses when another process holds it, when files don't agree with the checkpoint, and when
    /// the witness knows more than the checkpoint or something else. What a killed writer left after
    /// the checkpoint is removed.
    pub fn open(dir: &Path, signer_key: &str, witness: Option<&Path>) -> Result<Self, LedgerError> {
        let vkey = verifier_key(signer_key)?;
        let signer = StandardSigner::new(signer_key).map_err(|_| LedgerError::SignerKey)?;
        let judge = Judge::new(&vkey)?;
        fs::create_dir_all(dir).map_err(LedgerError::io(dir, "created"))?;
        let lock = lock(dir)?;

        let reader = witness.map(WitnessReader::open).transpose()?;
        let note = match read_checkpoint(dir)? {
            Some(note) => note,
            None => begin(dir, &signer, reader.as_ref())?,
        };
        let head = judge.open(&note)?;
        let recheck = head.size.saturating_sub(OPEN_RECHECK);
        let walked = walk(dir, &judge, head, &note, reader, recheck)?;
        if let Some(far) = walked.far_after {
            let path = far.to_path();
            return Err(VerifyError::CutBack {
                path,
                size: head.size,
            }
            .into());
        }
        clear(dir, head)?;
        let witness = match (witness, &walked.witness) {
            (Some(path), Some(end)) => Some(WitnessWriter::resume(path, end, head, &note)?),
            _ => None,
        };

        let size = Arc::new(AtomicU64::new(head.size));
        let (queue, requests) = sync_channel(APPEND_QUEUE_MAX);
        let writer = Writer {
            dir: dir.to_owned(),
            signer,
            tree: walked.tree,
            bundle: walked.bundle,
            witness,
            size: Arc::clone(&size),
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run(&requests))
            .map_err(LedgerError::io(dir, "given a thread"))?;
        Ok(Self {
            dir: dir.to_owned(),
            vkey,
            size,
            queue: Some(queue),
            writer: Some(thread),
        })
    }

    /// Appends an entry of at most [`ENTRY_MAX`] bytes. When its index is there, it can't be lost.
    /// Blocks for the disk.
    pub fn append(&self, entry: Vec<u8>) -> Result<u64, LedgerError> {
        self.append_many(vec![entry]).map(|range| range.start)
    }

    /// Appends entries in one checkpoint: after a crash, all of them are there or none. At most
    /// [`APPEND_MANY_MAX`].
    pub fn append_many(&self, entries: Vec<Vec<u8>>) -> Result<Range<u64>, LedgerError> {
        if let Some(long) = entries.iter().find(|entry| entry.len() > ENTRY_MAX) {
            return Err(LedgerError::EntryTooLarge(long.len()));
        }
        if entries.len() > APPEND_MANY_MAX {
            return Err(LedgerError::TooManyEntries(entries.len()));
        }
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let (reply, answer) = sync_channel(1);
        let queue = self.queue.as_ref().ok_or(LedgerError::Stopped)?;
        queue
            .send(Request { entries, reply })
            .map_err(|_| LedgerError::Stopped)?;
        let first = answer.recv().map_err(|_| LedgerError::Stopped)??;
        Ok(first..first.saturating_add(count))
    }

    /// Durable entries.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// The key that verifies this ledger: `NAME+ID+KEY`.
    pub fn vkey(&self) -> &str {
        &self.vkey
    }

    /// The newest checkpoint as it is on the disk.
    pub fn checkpoint(&self) -> Result<Vec<u8>, LedgerError> {
        Ok(read_checkpoint(&self.dir)?.ok_or(VerifyError::CheckpointMissing)?)
    }

    /// Reads durable entries, each compared with its hash.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, LedgerError> {
        let size = self.size();
        if range.start > range.end || range.end > size {
            return Err(LedgerError::OutOfRange {
                from: range.start,
                to: range.end,
                size,
            });
        }
        let mut found = Vec::new();
        let bundles = range.start / TILE_WIDTH..range.end.div_ceil(TILE_WIDTH);
        for n in bundles {
            let first = n.saturating_mul(TILE_WIDTH);
            let width = size.saturating_sub(first).min(TILE_WIDTH);
            let bundle = TilePath::new(Kind::Entries, n, width);
            let hashes = read_tile(
                &self.dir,
                TilePath {
                    kind: Kind::Hashes(0),
                    ..bundle
                },
            )?;
            let bundle = read_bundle(&self.dir, bundle)?;
            let (entries, _) = split(&bundle.bytes, width);
            for ((index, entry), hash) in (first..).zip(entries).zip(hashes.chunks(32)) {
                if !range.contains(&index) {
                    continue;
                }
                if record_hash(entry).0 != hash {
                    let path = bundle.path.clone();
                    return Err(VerifyError::Entry { path, entry: index }.into());
                }
                found.push(entry.to_vec());
            }
        }
        let expected = range.end.saturating_sub(range.start);
        if u64::try_from(found.len()) != Ok(expected) {
            let entry = range
                .start
                .saturating_add(found.len().try_into().unwrap_or(u64::MAX));
            let path = TilePath::new(Kind::Entries, entry / TILE_WIDTH, TILE_WIDTH).to_path();
            return Err(VerifyError::BundleTruncated { path, entry }.into());
        }
        Ok(found)
    }
}

impl Drop for Ledger {
    /// Waits for appends that are under way, then lets the directory go.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn lock(dir: &Path) -> Result<File, LedgerError> {
    let path = dir.join(LOCK);
    let file = File::create(&path).map_err(LedgerError::io(&path, "created"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(LedgerError::Locked(dir.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(LedgerError::io(&path, "locked")(error)),
    }
}

/// Signs the checkpoint of an empty log. Nothing else is ever written before it: tiles or witness
/// lines without a checkpoint mean that it was removed.
fn begin(
    dir: &Path,
    signer: &StandardSigner,
    witness: Option<&WitnessReader>,
) -> Result<Vec<u8>, LedgerError> {
    let mut has_tiles = false;
    visit(dir, &mut |_| {
        has_tiles = true;
        Ok(())
    })?;
    if has_tiles || witness.is_some_and(|witness| !witness.is_empty()) {
        return Err(VerifyError::CheckpointMissing.into());
    }
    let head = Head {
        size: 0,
        root: Tree::default().root(),
    };
    let note = sign(signer, signer.name(), head).ok_or(LedgerError::SignerKey)?;
    let mut pending = Pending::new(dir);
    pending.write_checkpoint(&note)?;
    pending.finish()?;
    publish_checkpoint(dir)?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent)?;
    }
    Ok(note)
}

/// Removes what lies after the checkpoint, and partial tiles that full ones replace.
fn clear(dir: &Path, head: Head) -> Result<(), LedgerError> {
    let mut after = Vec::new();
    visit(dir, &mut |tile| {
        let count = count_at(tile.level(), head.size);
        let is_replaced = !tile.is_full() && tile.full().end() <= count;
        if tile.end() > count || is_replaced {
            after.push(tile);
        }
        Ok(())
    })?;
    for tile in after {
        let path = dir.join(tile.to_path());
        fs::remove_file(&path).map_err(LedgerError::io(&path, "removed"))?;
    }
    let _ = fs::remove_file(dir.join(CHECKPOINT_NEW));
    Ok(())
}

struct Writer {
    dir: PathBuf,
    signer: StandardSigner,
    tree: Tree,
    /// The bytes of the last bundle, if it is not full.
    bundle: Vec<u8>,
    witness: Option<WitnessWriter>,
    size: Arc<AtomicU64>,
    _lock: File,
}

impl Writer {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut left_over = None;
        while let Some(first) = left_over.take().or_else(|| requests.recv().ok()) {
            let mut batch = vec![first];
            left_over = gather(requests, &mut batch);
            let before = self.tree.size();
            if let Err(error) = self.commit(&batch) {
                answer(batch, |_| Err(error.clone()));
                break;
            }
            self.size.store(self.tree.size(), Ordering::Release);
            let mut next = before;
            answer(batch, |entries| {
                let first = next;
                next = next.saturating_add(entries);
                Ok(first)
            });
            self.tidy(before);
        }
        // After an error: the queue closes, and whoever waits in it hears that the ledger stopped.
    }

    /// Entries and tiles, then the checkpoint, then the witness; each durable before the next.
    fn commit(&mut self, batch: &[Request]) -> Result<(), LedgerError> {
        let before = self.tree.size();
        let mut pending = Pending::new(&self.dir);
        for entry in batch.iter().flat_map(|request| &request.entries) {
            push_entry(&mut self.bundle, entry).ok_or(LedgerError::EntryTooLarge(entry.len()))?;
            let mut filled = Vec::new();
            self.tree.push(record_hash(entry), |level, n, bytes| {
                let tile = TilePath::new(Kind::Hashes(level), n, TILE_WIDTH);
                filled.push((tile, bytes.to_vec()));
            });
            for (tile, bytes) in filled {
                pending.write_tile(tile, &bytes)?;
                if tile.level() == 0 {
                    let bundle = std::mem::take(&mut self.bundle);
                    pending.write_tile(
                        TilePath {
                            kind: Kind::Entries,
                            ..tile
                        },
                        &bundle,
                    )?;
                }
            }
        }
        let size = self.tree.size();
        if size == before {
            return Ok(());
        }
        if let Some(tile) = last_partial(Kind::Entries, size) {
            pending.write_tile(tile, &self.bundle)?;
        }
        for (level, bytes) in self.tree.unfinished() {
            let count = count_at(level, size);
            if let Some(tile) = last_partial(Kind::Hashes(level), count)
                && count != count_at(level, before)
            {
                pending.write_tile(tile, bytes)?;
            }
        }
        let head = Head {
            size,
            root: self.tree.root(),
        };
        let note = sign(&self.signer, self.signer.name(), head).ok_or(LedgerError::SignerKey)?;
        pending.write_checkpoint(&note)?;
        pending.finish()?;
        publish_checkpoint(&self.dir)?;
        match &mut self.witness {
            Some(witness) => witness.append(head, &note),
            None => Ok(()),
        }
    }

    /// Removes the partial tiles that became full.
    fn tidy(&self, before: u64) {
        let size = self.tree.size();
        for level in (0_u8..).take_while(|level| count_at(*level, size) > 0) {
            let full = |size| count_at(level, size) / TILE_WIDTH;
            for n in full(before)..full(size) {
                remove_partials(&self.dir, TilePath::new(Kind::Hashes(level), n, TILE_WIDTH));
                if level == 0 {
                    remove_partials(&self.dir, TilePath::new(Kind::Entries, n, TILE_WIDTH));
                }
            }
        }
    }
}

/// Takes what else is waiting into a batch, within its bounds. Returns a call that didn't fit.
fn gather(requests: &Receiver<Request>, batch: &mut Vec<Request>) -> Option<Request> {
    let count = |request: &Request| request.entries.len();
    let bytes = |request: &Request| -> usize { request.entries.iter().map(Vec::len).sum() };
    let mut entries: usize = batch.iter().map(count).sum();
    let mut size: usize = batch.iter().map(bytes).sum();
    while size < BATCH_BYTES_MAX {
        let next = requests.try_recv().ok()?;
        entries = entries.saturating_add(count(&next));
        size = size.saturating_add(bytes(&next));
        if entries > BATCH_ENTRIES_MAX {
            return Some(next);
        }
        batch.push(next);
    }
    None
}

fn answer(batch: Vec<Request>, mut result: impl FnMut(u64) -> Result<u64, LedgerError>) {
    for request in batch {
        let entries = u64::try_from(request.entries.len()).unwrap_or(u64::MAX);
        // The caller may be gone; its entries stay.
        let _ = request.reply.send(result(entries));
    }
}
