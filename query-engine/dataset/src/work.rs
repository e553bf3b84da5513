//! The folder in which a version is made: it becomes the version at once, or never.
//!
//! Work happens in a hidden sibling of the final folder, which is renamed when all in it is durable. A
//! process that dies at any line leaves the sibling behind; the next one to make a version of the same
//! dataset removes it, under the dataset's lock.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use kekkai_types::DatasetId;
use serde::Serialize;

use crate::layout;

/// Of the folder in which a version is made.
const PREFIX: &str = ".ingest-";
/// The file whose lock whoever makes a version of a dataset holds.
const LOCK: &str = ".ingest.lock";

/// Why a version can't be made here.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The version is there already; versions are never replaced.
    #[error("\"{path}\" exists: make a new version")]
    AlreadyThere {
        /// The final folder.
        path: PathBuf,
    },
    /// Another process makes a version of the same dataset.
    #[error("another process makes a version of this dataset in \"{path}\"")]
    Busy {
        /// The dataset's folder.
        path: PathBuf,
    },
    /// Something can't be written.
    #[error("\"{path}\" can't be written")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

/// The folder in which a version is made; removed when dropped before [`Work::commit`].
pub struct Work {
    folder: PathBuf,
    parent: PathBuf,
    final_folder: PathBuf,
    is_committed: bool,
    /// Held until the end.
    _lock: File,
}

impl Work {
    /// Takes the dataset's lock, removes what dead processes left, and makes a folder.
    ///
    /// # Errors
    /// Every variant of [`WorkError`].
    pub fn begin(out: &Path, dataset: &DatasetId, version: u32) -> Result<Self, WorkError> {
        let final_folder = layout::version_folder(out, dataset, version);
        let parent = out.join(dataset.as_str());
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| WorkError::Write { path, source }
        };
        fs::create_dir_all(&parent).map_err(failed(&parent))?;
        let lock_path = parent.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(WorkError::Busy { path: parent }),
            Err(TryLockError::Error(source)) => {
                return Err(WorkError::Write {
                    path: lock_path,
                    source,
                });
            }
        }
        // Under the lock: whoever made these is dead.
        for entry in fs::read_dir(&parent).map_err(failed(&parent))? {
            let entry = entry.map_err(failed(&parent))?;
            let path = entry.path();
            let is_stale = entry
                .file_name()
                .to_str()
                .is_some_and(|n| n.starts_with(PREFIX));
            if is_stale && path.is_dir() {
                fs::remove_dir_all(&path).map_err(failed(&path))?;
            }
        }
        if final_folder.exists() {
            return Err(WorkError::AlreadyThere { path: final_folder });
        }
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|_| WorkError::Randomness)?;
        let suffix = u64::from_be_bytes(random);
        let folder = parent.join(format!("{PREFIX}{version}-{suffix:016x}"));
        fs::create_dir(&folder).map_err(failed(&folder))?;
        Ok(Self {
            folder,
            parent,
            final_folder,
            is_committed: false,
            _lock: lock,
        })
    }

    /// Where to write.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file of JSON, durably.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_json(
        &self,
        name: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), WorkError> {
        let path = self.folder.join(name);
        let failed = |source| WorkError::Write {
            path: path.clone(),
            source,
        };
        let text =
            serde_json::to_vec_pretty(value).map_err(|error| failed(io::Error::other(error)))?;
        let mut file = File::create_new(&path).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        file.sync_all().map_err(failed)
    }

    /// Makes the folder the version's. The files in it are durable already.
    ///
    /// # Errors
    /// When it can't be renamed, or the version has come to be there.
    pub fn commit(mut self) -> Result<PathBuf, WorkError> {
        sync_folder(&self.folder)?;
        if self.final_folder.exists() {
            return Err(WorkError::AlreadyThere {
                path: self.final_folder.clone(),
            });
        }
        fs::rename(&self.folder, &self.final_folder).map_err(|source| WorkError::Write {
            path: self.final_folder.clone(),
            source,
        })?;
        self.is_committed = true;
        sync_folder(&self.parent)?;
        Ok(self.final_folder.clone())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.is_committed {
            // What can't be removed now is removed by the next one.
            let _left_for_the_next = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Makes a folder's entries durable.
///
/// # Errors
/// When it can't be opened or synchronised.
pub fn sync_folder(path: &Path) -> Result<(), WorkError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| WorkError::Write {
            path: path.to_owned(),
            source,
        })
}
