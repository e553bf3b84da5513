//! A session's spill: one file on disk, one key.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::spill_file::{SpillFile, TempFileFactory};

use crate::SpillError;
use crate::file::SealedFile;
use crate::seal::{Key, Place};
use crate::slots::{Slots, position};

/// A session's spill. Cheap to clone: clones share file, key and quota.
#[derive(Clone)]
pub struct Spill(Arc<Inner>);

struct Inner {
    file: File,
    key: Key,
    slots: Mutex<Slots>,
    files: AtomicU32,
}

impl std::fmt::Debug for Spill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spill(…)")
    }
}

impl Spill {
    /// Spills into `file`, which must be empty and must have no name: what has none is gone with the
    /// process. It never becomes longer than `bytes_max`.
    pub fn new(file: File, bytes_max: u64) -> std::result::Result<Self, SpillError> {
        let found = file.metadata().map_err(SpillError::Read)?;
        if !found.is_file() || found.nlink() != 0 || found.len() != 0 {
            return Err(SpillError::NotFresh);
        }
        Ok(Self(Arc::new(Inner {
            file,
            key: Key::random()?,
            slots: Mutex::new(Slots::new(bytes_max)),
            files: AtomicU32::new(0),
        })))
    }

    /// Bytes on disk that files have now; slots of dropped files are not counted.
    pub fn bytes_in_use(&self) -> u64 {
        position(self.slots().in_use())
    }

    // Only whole changes are made under this lock.
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_file(&self) -> std::result::Result<u32, SpillError> {
        self.0
            .files
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_add(1))
            .map_err(|_| SpillError::TooManyFiles)
    }

    /// Seals a block and writes it to a free slot; gives the slot. The block is sealed then, also where
    /// writing fails: it must not be sealed a second time.
    pub(crate) fn put(
        &self,
        file: u32,
        block: u64,
        bytes: &mut Vec<u8>,
    ) -> std::result::Result<u64, SpillError> {
        let slot = self.slots().take()?;
        let place = Place { file, block, slot };
        let written = self.0.key.seal(place, bytes).and_then(|()| {
            let at = position(slot);
            self.0
                .file
                .write_all_at(bytes, at)
                .map_err(SpillError::Write)
        });
        if let Err(error) = written {
            self.give_back([slot]);
            return Err(error);
        }
        Ok(slot)
    }

    /// Reads a block of `sealed` bytes back.
    pub(crate) fn get(
        &self,
        place: Place,
        sealed: usize,
    ) -> std::result::Result<Vec<u8>, SpillError> {
        let mut bytes = vec![0; sealed];
        let read = self.0.file.read_exact_at(&mut bytes, position(place.slot));
        read.map_err(|error| match error.kind() {
            // The file is shorter than what was written to it.
            std::io::ErrorKind::UnexpectedEof => SpillError::Changed,
            _ => SpillError::Read(error),
        })?;
        self.0.key.open(place, &mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn give_back(&self, slots: impl IntoIterator<Item = u64>) {
        self.slots().give_back(slots);
    }
}

impl TempFileFactory for Spill {
    fn create_temp_file(&self, _description: &str) -> Result<Arc<dyn SpillFile>> {
        let number = self
            .next_file()
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Arc::new(SealedFile::new(self.clone(), number)))
    }
}
