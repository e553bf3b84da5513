//! Reading and writing the files, without an opinion about them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tlog_tiles::HASH_SIZE;

use crate::path::{Kind, TILE_WIDTH, TilePath};
use crate::tree::TILE_BYTES;
use crate::{ENTRY_MAX, LedgerError, VerifyError};

/// The checkpoint's name.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// Where the next checkpoint is written before it takes the name.
pub(crate) const CHECKPOINT_NEW: &str = "checkpoint.new";
/// Syncs that run side by side.
const SYNC_THREADS_MAX: usize = 8;
/// The longest checkpoint that is read, in bytes.
const CHECKPOINT_MAX: usize = 64 * 1024;
/// The longest bundle, in bytes.
const BUNDLE_MAX: usize = 256 * (2 + ENTRY_MAX);

/// Reads a file of at most `max` bytes; one byte more when it is longer. `None`: it isn't there.
fn read_bounded(path: &Path, max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A folder's name became a file's, or the other way round: nothing is there to read.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let max = u64::try_from(max).unwrap_or(u64::MAX);
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn read(dir: &Path, name: &str, max: usize) -> Result<Option<Vec<u8>>, VerifyError> {
    read_bounded(&dir.join(name), max).map_err(|source| VerifyError::Io {
        path: name.into(),
        source,
    })
}

pub(crate) fn read_checkpoint(dir: &Path) -> Result<Option<Vec<u8>>, VerifyError> {
    let note = read(dir, CHECKPOINT, CHECKPOINT_MAX)?;
    match note {
        Some(note) if note.len() > CHECKPOINT_MAX => Err(VerifyError::CheckpointMalformed),
        note => Ok(note),
    }
}

/// Reads a tile of hashes, checked for its length. Where a partial tile is gone because the full
/// one came, the full one's beginning serves, as the specification allows.
pub(crate) fn read_tile(dir: &Path, tile: TilePath) -> Result<Vec<u8>, VerifyError> {
    for candidate in [tile, tile.full()] {
        let path = candidate.to_path();
        let Some(mut bytes) = read(dir, &path, TILE_BYTES)? else {
            continue;
        };
        if bytes.len() != hash_bytes(candidate.width) {
            return Err(VerifyError::TileLength {
                path,
                expected: candidate.width.saturating_mul(32),
                found: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            });
        }
        bytes.truncate(hash_bytes(tile.width));
        return Ok(bytes);
    }
    Err(VerifyError::Missing {
        path: tile.to_path(),
    })
}

fn hash_bytes(width: u64) -> usize {
    usize::try_from(width)
        .unwrap_or(usize::MAX)
        .saturating_mul(HASH_SIZE)
}

/// The bytes of a bundle, and where they were found.
pub(crate) struct Bundle {
    pub(crate) path: String,
    /// More than was asked for when a full bundle stands in for a partial one.
    pub(crate) is_full: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Reads a bundle of entries; see [`read_tile`].
pub(crate) fn read_bundle(dir: &Path, tile: TilePath) -> Result<Bundle, VerifyError> {
    for candidate in [tile, tile.full()] {
        let path = candidate.to_path();
        if let Some(bytes) = read(dir, &path, BUNDLE_MAX)? {
            return Ok(Bundle {
                path,
                is_full: candidate.is_full(),
                bytes,
            });
        }
    }
    Err(VerifyError::Missing {
        path: tile.to_path(),
    })
}

/// What follows the entries that could be split off.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    End,
    /// The next entry is cut off, or isn't there.
    Truncated,
    /// This many bytes too many.
    Trailing(usize),
}

/// Splits a bundle into at most `width` entries.
pub(crate) fn split(mut bytes: &[u8], width: u64) -> (Vec<&[u8]>, Rest) {
    let mut entries = Vec::new();
    for _ in 0..width {
        let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
            return (entries, Rest::Truncated);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, rest)) = rest.split_at_checked(length) else {
            return (entries, Rest::Truncated);
        };
        entries.push(entry);
        bytes = rest;
    }
    match bytes.len() {
        0 => (entries, Rest::End),
        more => (entries, Rest::Trailing(more)),
    }
}

/// Appends an entry to a bundle's bytes. `None`: it is too long.
pub(crate) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Option<()> {
    let length = u16::try_from(entry.len()).ok()?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Some(())
}

/// Whether a partial tile, or the full one that replaces it, is there.
pub(crate) fn has(dir: &Path, tile: TilePath) -> bool {
    [tile, tile.full()]
        .iter()
        .any(|tile| dir.join(tile.to_path()).is_file())
}

/// Every file below `tile/`, to a visitor.
pub(crate) fn visit(
    dir: &Path,
    visitor: &mut impl FnMut(TilePath) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    if dir.join("tile").exists() {
        visit_below(dir, "tile", visitor)?;
    }
    Ok(())
}

fn visit_below(
    dir: &Path,
    folder: &str,
    visitor: &mut impl FnMut(TilePath) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    let io = |source| VerifyError::Io {
        path: folder.into(),
        source,
    };
    let listing = match fs::read_dir(dir.join(folder)) {
        Ok(listing) => listing,
        // A live writer removes the folders of partial tiles that it completed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    for entry in listing {
        let entry = entry.map_err(io)?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        // Not following links: a link among the tiles is foreign.
        let kind = entry.file_type().map_err(io)?;
        // The longest path of the format has fewer parts; deeper folders are somebody else's.
        if kind.is_dir() && path.split('/').count() < 16 {
            visit_below(dir, &path, visitor)?;
        } else if let (true, Some(tile)) = (kind.is_file(), TilePath::parse(&path)) {
            visitor(tile)?;
        } else {
            return Err(VerifyError::Foreign { path });
        }
    }
    Ok(())
}

/// Writes what a new checkpoint needs, and the checkpoint itself under another name, so that all of
/// it is on the disk when [`Self::finish`] returns. Nothing is published before that.
pub(crate) struct Pending<'a> {
    dir: &'a Path,
    files: Vec<(PathBuf, File)>,
    folders: BTreeSet<PathBuf>,
}

impl<'a> Pending<'a> {
    pub(crate) fn new(dir: &'a Path) -> Self {
        Self {
            dir,
            files: Vec::new(),
            folders: BTreeSet::new(),
        }
    }

    /// Writes a tile. No checkpoint speaks of it yet, so it may be written in place.
    pub(crate) fn write_tile(&mut self, tile: TilePath, bytes: &[u8]) -> Result<(), LedgerError> {
        let path = self.dir.join(tile.to_path());
        if let Some(folder) = path.parent() {
            self.make_folder(folder)?;
        }
        self.write(path, bytes)
    }

    /// Writes the checkpoint that [`publish_checkpoint`] gives its name.
    pub(crate) fn write_checkpoint(&mut self, note: &[u8]) -> Result<(), LedgerError> {
        self.write(self.dir.join(CHECKPOINT_NEW), note)
    }

    fn write(&mut self, path: PathBuf, bytes: &[u8]) -> Result<(), LedgerError> {
        let mut file = File::create(&path).map_err(LedgerError::io(&path, "created"))?;
        file.write_all(bytes)
            .map_err(LedgerError::io(&path, "written"))?;
        self.folders.extend(path.parent().map(Path::to_owned));
        self.files.push((path, file));
        Ok(())
    }

    fn make_folder(&mut self, folder: &Path) -> Result<(), LedgerError> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_folder(parent)?;
            self.folders.insert(parent.to_owned());
        }
        fs::create_dir(folder).map_err(LedgerError::io(folder, "created"))
    }

    /// Syncs files and their names, side by side: a journaling file system writes them together,
    /// so that a checkpoint costs about one sync instead of six.
    pub(crate) fn finish(self) -> Result<(), LedgerError> {
        let file = |(path, file): &(PathBuf, File)| {
            file.sync_data().map_err(LedgerError::io(path, "synced"))
        };
        let files: Vec<&(PathBuf, File)> = self.files.iter().collect();
        let folders: Vec<&PathBuf> = self.folders.iter().collect();
        let per_thread = files.len().div_ceil(SYNC_THREADS_MAX / 2).max(1);
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for part in files.chunks(per_thread) {
                threads.push(scope.spawn(move || part.iter().try_for_each(|one| file(one))));
            }
            let per_thread = folders.len().div_ceil(SYNC_THREADS_MAX / 2).max(1);
            for part in folders.chunks(per_thread) {
                let sync = move || part.iter().try_for_each(|folder| sync_folder(folder));
                threads.push(scope.spawn(sync));
            }
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or(Err(LedgerError::Stopped)))
        })
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), LedgerError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(LedgerError::io(folder, "synced"))
}

/// Gives the new checkpoint, which is on the disk, its name, durably.
pub(crate) fn publish_checkpoint(dir: &Path) -> Result<(), LedgerError> {
    let path = dir.join(CHECKPOINT);
    fs::rename(dir.join(CHECKPOINT_NEW), &path).map_err(LedgerError::io(&path, "replaced"))?;
    sync_folder(dir)
}

/// Removes the partial tiles that a full one replaces. What stays is removed at the next opening.
pub(crate) fn remove_partials(dir: &Path, full: TilePath) {
    let _ = fs::remove_dir_all(dir.join(format!("{}.p", full.to_path())));
}

/// The tile that holds the last hashes of a level, or the last entries; `None` when there are none
/// or the last tile is full.
pub(crate) fn last_partial(kind: Kind, count: u64) -> Option<TilePath> {
    let width = count % TILE_WIDTH;
    (width > 0).then(|| TilePath::new(kind, count / TILE_WIDTH, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_splits_as_it_was_written() {
        let mut bundle = Vec::new();
        for entry in [&b""[..], b"a", &[7; ENTRY_MAX]] {
            push_entry(&mut bundle, entry).unwrap();
        }
        assert_eq!(push_entry(&mut bundle, &[0; ENTRY_MAX + 1]), None);
        let (entries, rest) = split(&bundle, 3);
        assert_eq!((entries.len(), rest), (3, Rest::End));
        assert_eq!(split(&bundle, 2).1, Rest::Trailing(2 + ENTRY_MAX));
        assert_eq!(split(&bundle, 4).1, Rest::Truncated);
        assert_eq!(split(&bundle[..5], 3).1, Rest::Truncated);
        assert_eq!(split(&bundle[..bundle.len() - 1], 3).0.len(), 2);
    }
}
