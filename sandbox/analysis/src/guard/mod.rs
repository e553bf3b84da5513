//! The guard against differencing: what a project has seen, over all its sessions on this server.
//!
//! Before a statistic is shown, its populations are held against those of everything that the project was
//! shown before ([`kekkai_differencing`]). What is too close is not shown. What is shown is first written down,
//! sealed under keys that the project's data keys make, so that a killed process forgets nothing that anybody
//! saw, and so that the end of the agreement ends this, too.

mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kekkai_differencing::{Close, History, HistoryError, Shown};
use kekkai_types::{AgreementId, DatasetId, JobId, PersonId, SessionId, Timestamp};
use kekkai_worker_api::FileKey;
use serde::{Deserialize, Serialize};

pub use store::StoreError;
use store::{Store, StoreKey};

/// Populations that a project may have been shown, in bytes of memory. A grouped count over 100 groups of
/// 1,000,000 persons takes about 2 MB.
const HISTORY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A statement, as its people know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Whose.
    pub person: PersonId,
    /// The session.
    pub session: SessionId,
    /// The job.
    pub job: JobId,
    /// When it ended.
    pub at: Timestamp,
}

/// Why a statistic is not shown.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// It and an earlier one are about nearly the same persons.
    #[error("too close to an earlier statistic")]
    Close(Close<Label>),
    /// The project was shown as much as can be remembered.
    #[error(transparent)]
    Full(#[from] HistoryError),
    /// Populations that can't be compared.
    #[error("its populations can't be compared")]
    Unfit,
    /// What was shown before can't be read, or this can't be written down.
    #[error("what the project was shown can't be read or written")]
    Store(#[from] StoreError),
}

/// The guards of all projects on this server.
#[derive(Debug)]
pub struct Guards {
    /// `None`: histories live as long as this process.
    dir: Option<PathBuf>,
    open: Mutex<BTreeMap<AgreementId, Arc<Guard>>>,
}

impl Guards {
    /// With histories below `dir`.
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self {
            dir,
            open: Mutex::default(),
        }
    }

    /// A project's guard, for these datasets. What it was shown of them is read when it is first asked.
    pub fn of(&self, agreement: &AgreementId, threshold: u32, keys: &[FileKey]) -> Arc<Guard> {
        let guard = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let guard = open
                .entry(agreement.clone())
                .or_insert_with(|| Arc::new(Guard::new(threshold)));
            Arc::clone(guard)
        };
        let dir = self.dir.as_ref().map(|dir| dir.join(agreement.as_str()));
        guard.expect(dir.as_deref(), agreement, threshold, keys);
        guard
    }
}

/// What one project was shown.
#[derive(Debug)]
pub struct Guard(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    threshold: u32,
    history: History<Label>,
    stores: BTreeMap<(DatasetId, u32), Kept>,
}

#[derive(Debug)]
enum Kept {
    /// Not read yet. Where that failed it is tried again, and nothing is shown meanwhile.
    Closed(PathBuf, StoreKey),
    Open(Store),
}

impl Guard {
    /// Nothing was shown; nothing is written down. `threshold`: persons by which two populations must differ.
    pub fn new(threshold: u32) -> Self {
        Self(Mutex::new(Inner {
            threshold,
            history: History::new(threshold, HISTORY_BYTES_MAX),
            stores: BTreeMap::new(),
        }))
    }

    fn expect(
        &self,
        dir: Option<&Path>,
        agreement: &AgreementId,
        threshold: u32,
        keys: &[FileKey],
    ) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A stricter agreement compares more; a laxer one is not applied to what is remembered already.
        if threshold > inner.threshold {
            inner.threshold = threshold;
            inner.history.raise_threshold(threshold);
        }
        for (key, dir) in keys.iter().filter_map(|key| Some((key, dir?))) {
            let of = (key.dataset.clone(), key.version);
            let path = dir.join(format!("{}@{}.shown", key.dataset, key.version));
            inner
                .stores
                .entry(of)
                .or_insert_with(|| Kept::Closed(path, StoreKey::derive(key, agreement)));
        }
    }

    /// Compares a statistic's populations with what was shown before and, where nothing is too close, remembers
    /// them: from then on they count as shown. Reads and writes files: not for an async thread.
    #[must_use = "what was denied must not be shown"]
    pub fn admit(&self, by: &Label, new: Vec<Shown>) -> Result<(), Denied> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        for kept in inner.stores.values_mut() {
            if let Kept::Closed(path, key) = kept {
                let (store, known) = Store::open(path, key.clone())?;
                inner.history.add(known);
                *kept = Kept::Open(store);
            }
        }
        if let Some(close) = inner.history.compare(&new) {
            return Err(Denied::Close(close));
        }
        let unknown = inner.history.unknown(by, new)?;
        for (of, kept) in &mut inner.stores {
            let Kept::Open(store) = kept else {
                return Err(StoreError::Sealed.into());
            };
            let own: Vec<_> = unknown
                .iter()
                .filter(|known| known.shown.dataset == of.0 && known.shown.version == of.1)
                .collect();
            store.append(&own)?;
        }
        inner.history.add(unknown);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
