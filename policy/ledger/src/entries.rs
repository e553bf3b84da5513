//! Entries one after the other, for showing and exporting.

use std::path::{Path, PathBuf};

use crate::VerifyError;
use crate::head::unverified;
use crate::path::{Kind, TILE_WIDTH, TilePath};
use crate::store::{read_bundle, read_checkpoint, split};

/// The entries of a log with their indexes, in order, up to its checkpoint. Nothing is verified
/// here: call [`crate::verify`] first.
pub fn entries(dir: &Path) -> Result<Entries, VerifyError> {
    let note = read_checkpoint(dir)?.ok_or(VerifyError::CheckpointMissing)?;
    Ok(Entries {
        dir: dir.to_owned(),
        size: unverified(&note)?.size,
        next: 0,
        bundle: Vec::new().into_iter(),
    })
}

/// See [`entries`]. Holds one bundle in memory; ends after its first error.
#[derive(Debug)]
pub struct Entries {
    dir: PathBuf,
    size: u64,
    next: u64,
    bundle: std::vec::IntoIter<Vec<u8>>,
}

impl Entries {
    /// Entries by the checkpoint.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn load(&mut self) -> Result<(), VerifyError> {
        let n = self.next / TILE_WIDTH;
        let first = n.saturating_mul(TILE_WIDTH);
        let width = self.size.saturating_sub(first).min(TILE_WIDTH);
        let bundle = read_bundle(&self.dir, TilePath::new(Kind::Entries, n, width))?;
        let (entries, _) = split(&bundle.bytes, width);
        if u64::try_from(entries.len()) != Ok(width) {
            return Err(VerifyError::BundleTruncated {
                path: bundle.path,
                entry: first.saturating_add(entries.len().try_into().unwrap_or(u64::MAX)),
            });
        }
        let entries: Vec<Vec<u8>> = entries.into_iter().map(<[u8]>::to_vec).collect();
        self.bundle = entries.into_iter();
        Ok(())
    }
}

impl Iterator for Entries {
    type Item = Result<(u64, Vec<u8>), VerifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.size {
            return None;
        }
        if self.bundle.len() == 0
            && let Err(error) = self.load()
        {
            self.size = self.next;
            return Some(Err(error));
        }
        let entry = self.bundle.next()?;
        let index = self.next;
        self.next = index.saturating_add(1);
        Some(Ok((index, entry)))
    }
}
