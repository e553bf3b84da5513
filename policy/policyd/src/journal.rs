//! Entries on their way into the ledger: written before the effect, or nothing happens.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use kekkai_ledger::{Ledger, LedgerError};
use kekkai_policy_api::{ENTRY_VERSION, Entry, Event};
use kekkai_types::{Peer, Refusal, Timestamp};

use crate::refuse;

/// After a failed write, the ledger is opened again at most this often.
const REOPEN_EVERY_MS: i64 = 1_000;

/// The ledger, with what is needed to open it again after a failure.
pub struct Journal {
    dir: PathBuf,
    /// The signer's key: secret. Never printed, since `Journal` has no `Debug`.
    key: zeroize::Zeroizing<String>,
    witness: Option<PathBuf>,
    open: Mutex<Open>,
}

struct Open {
    /// `None` after a failed write: what the disk holds is unknown until it is opened again.
    ledger: Option<Arc<Ledger>>,
    tried: Timestamp,
    /// Entries that were durable when it was last seen: a ledger that has fewer is not this one.
    size: u64,
}

impl Journal {
    /// Opens the ledger; it stays this process's alone.
    pub fn open(
        dir: PathBuf,
        key: zeroize::Zeroizing<String>,
        witness: Option<PathBuf>,
    ) -> Result<Self, LedgerError> {
        let ledger = Ledger::open(&dir, &key, witness.as_deref())?;
        Ok(Self {
            dir,
            key,
            witness,
            open: Mutex::new(Open {
                size: ledger.size(),
                ledger: Some(Arc::new(ledger)),
                tried: Timestamp(0),
            }),
        })
    }

    /// Refuses while the ledger can't be written; tries to open it again now and then. Asked at the
    /// beginning of every call, those that only look included: a service that can't record must not
    /// keep sessions alive.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        self.ledger(now).map(|_| ())
    }

    /// Durable entries.
    pub(crate) fn size(&self, now: Timestamp) -> Result<u64, Refusal> {
        Ok(self.ledger(now)?.size())
    }

    /// Writes one entry. When the index is there, it is durable.
    pub(crate) fn record(
        &self,
        source: &Peer,
        now: Timestamp,
        event: Event,
    ) -> Result<u64, Refusal> {
        let ledger = self.ledger(now)?;
        let entry = encode(source, now, event)?;
        let index = ledger.append(entry).map_err(|error| self.failed(error))?;
        crate::failpoint::reach(crate::failpoint::RECORDED);
        Ok(index)
    }

    /// Writes several entries: after a crash all are there, or none.
    pub(crate) fn record_all(
        &self,
        source: &Peer,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<(), Refusal> {
        let ledger = self.ledger(now)?;
        let mut entries = Vec::with_capacity(events.len());
        for event in events {
            entries.push(encode(source, now, event)?);
        }
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(kekkai_ledger::APPEND_MANY_MAX));
            ledger
                .append_many(entries)
                .map_err(|error| self.failed(error))?;
            entries = rest;
        }
        crate::failpoint::reach(crate::failpoint::RECORDED);
        Ok(())
    }

    fn ledger(&self, now: Timestamp) -> Result<Arc<Ledger>, Refusal> {
        let mut open = self.open.lock().map_err(|_| refuse::internal())?;
        if let Some(ledger) = &open.ledger {
            return Ok(ledger.clone());
        }
        // A clock that was set back must not put this off.
        let since = now.ms_since(open.tried);
        if (0..REOPEN_EVERY_MS).contains(&since) {
            return Err(refuse::ledger_unavailable());
        }
        open.tried = now;
        match Ledger::open(&self.dir, &self.key, self.witness.as_deref()) {
            Ok(ledger) if ledger.size() < open.size => {
                tracing::error!(size = ledger.size(), "the ledger lost entries");
                Err(refuse::ledger_unavailable())
            }
            Ok(ledger) => {
                tracing::info!(size = ledger.size(), "the ledger is open again");
                let ledger = Arc::new(ledger);
                open.ledger = Some(ledger.clone());
                Ok(ledger)
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "the ledger can't be opened again");
                Err(refuse::ledger_unavailable())
            }
        }
    }

    fn failed(&self, error: LedgerError) -> Refusal {
        if let LedgerError::EntryTooLarge(bytes) = error {
            return Refusal::new("entry-too-large", format!("{bytes} bytes"));
        }
        tracing::error!(error = chain(&error), "the ledger can't be written");
        if let Ok(mut open) = self.open.lock()
            && let Some(ledger) = open.ledger.take()
        {
            open.size = ledger.size();
        }
        refuse::ledger_unavailable()
    }
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn encode(source: &Peer, now: Timestamp, event: Event) -> Result<Vec<u8>, Refusal> {
    let entry = Entry {
        v: ENTRY_VERSION,
        at: now,
        source: source.to_uri(),
        event,
    };
    serde_json::to_vec(&entry).map_err(|_| refuse::internal())
}
