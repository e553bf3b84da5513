//! The durable state: accounts, tokens, authenticators, tickets. Every answer waits for the disk.

use std::path::Path;

use kekkai_types::{Digest, PersonId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use webauthn_rs::prelude::AttestedPasskey;

use crate::StorageError;

/// The row that stands in for everybody who doesn't exist. Not an id that a person can have.
const NOBODY: &str = "";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS account (
    person   TEXT PRIMARY KEY,
    failures INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS token (
    person    TEXT PRIMARY KEY,
    sealed    BLOB NOT NULL,
    last_step INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS authenticator (
    person  TEXT NOT NULL,
    id      TEXT NOT NULL PRIMARY KEY,
    passkey TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS ticket (
    digest   TEXT PRIMARY KEY,
    person   TEXT NOT NULL,
    made_by  TEXT NOT NULL,
    sealed   BLOB NOT NULL,
    expires  INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT OR IGNORE INTO account (person) VALUES ('');
";

/// What is stored about a person's factors.
pub(crate) struct Factors {
    pub(crate) sealed_secret: Option<Vec<u8>>,
    pub(crate) last_step: Option<u64>,
    pub(crate) passkeys: Vec<StoredPasskey>,
}

/// An authenticator, and the text it is stored as: what an update must find unchanged.
pub(crate) struct StoredPasskey {
    pub(crate) text: String,
    pub(crate) passkey: AttestedPasskey,
}

/// A ticket whose attempt was already counted.
pub(crate) struct TicketRow {
    pub(crate) person: PersonId,
    pub(crate) made_by: PersonId,
    pub(crate) sealed_secret: Vec<u8>,
    pub(crate) expires: Timestamp,
    pub(crate) attempts: u32,
}

pub(crate) struct Store(Connection);

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // FULL: a commit is on the disk when it returns. An attempt that is counted stays counted.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(connection))
    }

    /// Begins a transaction that no other writer can overtake.
    pub(crate) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let tx = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }

    /// Failures of an account; `None` when there is none.
    pub(crate) fn failures(&self, person: &PersonId) -> Result<Option<u32>, StorageError> {
        Ok(self
            .0
            .query_row(
                "SELECT failures FROM account WHERE person = ?1",
                [person.as_str()],
                |row| row.get(0),
            )
            .optional()?)
    }

    pub(crate) fn factors(&self, person: &PersonId) -> Result<Factors, StorageError> {
        let token = self
            .0
            .query_row(
                "SELECT sealed, last_step FROM token WHERE person = ?1",
                [person.as_str()],
                |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<i64>>(1)?)),
            )
            .optional()?;
        let (sealed_secret, last_step) = token.unzip();
        let last_step = match last_step.flatten() {
            None => None,
            Some(step) => {
                Some(u64::try_from(step).map_err(|_| StorageError::Unreadable("token step"))?)
            }
        };
        let mut statement = self
            .0
            .prepare_cached("SELECT passkey FROM authenticator WHERE person = ?1 ORDER BY id")?;
        let rows = statement.query_map([person.as_str()], |row| row.get::<_, String>(0))?;
        let mut passkeys = Vec::new();
        for row in rows {
            let text = row?;
            let passkey = serde_json::from_str(&text)
                .map_err(|_| StorageError::Unreadable("authenticator"))?;
            passkeys.push(StoredPasskey { text, passkey });
        }
        Ok(Factors {
            sealed_secret,
            last_step,
            passkeys,
        })
    }

    /// Counts an attempt before it is checked. `Ok(None)`: the account is locked, nothing was counted.
    pub(crate) fn charge(
        &mut self,
        person: Option<&PersonId>,
        failures_max: u32,
    ) -> Result<Option<u32>, StorageError> {
        let name = person.map_or(NOBODY, PersonId::as_str);
        let is_somebody = person.is_some();
        self.write(|tx| {
            let failures: u32 = tx.query_row(
                "SELECT failures FROM account WHERE person = ?1",
                [name],
                |row| row.get(0),
            )?;
            if is_somebody && failures >= failures_max {
                // The same write as below: a locked account is as slow as another.
                tx.execute(
                    "UPDATE account SET failures = failures WHERE person = ?1",
                    [name],
                )?;
                return Ok(None);
            }
            // Nobody's count stays in its type for a few centuries; wrap rather than fail.
            let counted = failures.checked_add(1).unwrap_or(1);
            tx.execute(
                "UPDATE account SET failures = ?2 WHERE person = ?1",
                params![name, counted],
            )?;
            Ok(Some(counted))
        })
    }

    pub(crate) fn set_failures(
        &mut self,
        person: &PersonId,
        failures: u32,
    ) -> Result<bool, StorageError> {
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE account SET failures = ?2 WHERE person = ?1",
                params![person.as_str(), failures],
            )?;
            Ok(changed == 1)
        })
    }

    pub(crate) fn add_ticket(
        &mut self,
        digest: &Digest,
        person: &PersonId,
        made_by: &PersonId,
        sealed_secret: &[u8],
        expires: Timestamp,
    ) -> Result<(), StorageError> {
        self.write(|tx| {
            // One ticket a person: an older one, perhaps lost, opens nothing any more.
            tx.execute("DELETE FROM ticket WHERE person = ?1", [person.as_str()])?;
            tx.execute(
                "INSERT INTO ticket (digest, person, made_by, sealed, expires)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    digest.to_string(),
                    person.as_str(),
                    made_by.as_str(),
                    sealed_secret,
                    expires.0
                ],
            )?;
            Ok(())
        })
    }

    /// A ticket; with `count`, its attempt is counted first.
    pub(crate) fn ticket(
        &mut self,
        digest: &Digest,
        count: bool,
    ) -> Result<Option<TicketRow>, StorageError> {
        let key = digest.to_string();
        self.write(|tx| {
            if count {
                tx.execute(
                    "UPDATE ticket SET attempts = attempts + 1 WHERE digest = ?1",
                    [&key],
                )?;
            }
            let row = tx
                .query_row(
                    "SELECT person, made_by, sealed, expires, attempts FROM ticket WHERE digest = ?1",
                    [&key],
                    |row| {
                        Ok((
                            row.get::<_, String>(0)?,
                            row.get::<_, String>(1)?,
                            row.get(2)?,
                            row.get(3)?,
                            row.get(4)?,
                        ))
                    },
                )
                .optional()?;
            let Some((person, made_by, sealed_secret, expires, attempts)) = row else {
                return Ok(None);
            };
            let id = |text: String| {
                PersonId::new(text).map_err(|_| StorageError::Unreadable("ticket"))
            };
            Ok(Some(TicketRow {
                person: id(person)?,
                made_by: id(made_by)?,
                sealed_secret,
                expires: Timestamp(expires),
                attempts,
            }))
        })
    }
}

/// Stores a step as used. False when it, or a later one, was used meanwhile.
pub(crate) fn spend_step(
    tx: &Transaction<'_>,
    person: &PersonId,
    step: u64,
) -> Result<bool, StorageError> {
    let step = i64::try_from(step).map_err(|_| StorageError::Unreadable("token step"))?;
    let changed = tx.execute(
        "UPDATE token SET last_step = ?2
         WHERE person = ?1 AND (last_step IS NULL OR last_step < ?2)",
        params![person.as_str(), step],
    )?;
    Ok(changed == 1)
}

/// Stores an authenticator's new counter.
pub(crate) fn update_passkey(
    tx: &Transaction<'_>,
    person: &PersonId,
    before: &str,
    after: &AttestedPasskey,
) -> Result<bool, StorageError> {
    let after =
        serde_json::to_string(after).map_err(|_| StorageError::Unreadable("authenticator"))?;
    // Compare and swap: of two assertions with one counter, one is a clone's.
    let changed = tx.execute(
        "UPDATE authenticator SET passkey = ?3 WHERE person = ?1 AND passkey = ?2",
        params![person.as_str(), before, after],
    )?;
    Ok(changed == 1)
}

/// Takes an attempt's charge back.
pub(crate) fn refund(tx: &Transaction<'_>, person: &PersonId) -> Result<(), StorageError> {
    tx.execute(
        "UPDATE account SET failures = max(failures - 1, 0) WHERE person = ?1",
        [person.as_str()],
    )?;
    Ok(())
}

/// Puts new factors in the place of old ones and spends the ticket.
pub(crate) fn enrol(
    tx: &Transaction<'_>,
    ticket: &Digest,
    person: &PersonId,
    sealed_secret: &[u8],
    step: u64,
    passkey: &AttestedPasskey,
) -> Result<bool, StorageError> {
    let spent = tx.execute("DELETE FROM ticket WHERE digest = ?1", [ticket.to_string()])?;
    if spent != 1 {
        return Ok(false);
    }
    let step = i64::try_from(step).map_err(|_| StorageError::Unreadable("token step"))?;
    let id = Digest::of(passkey.cred_id().as_ref()).to_string();
    let text =
        serde_json::to_string(passkey).map_err(|_| StorageError::Unreadable("authenticator"))?;
    // Failures stay: enrolling again doesn't lift a lock-out.
    tx.execute(
        "INSERT OR IGNORE INTO account (person) VALUES (?1)",
        [person.as_str()],
    )?;
    tx.execute("DELETE FROM token WHERE person = ?1", [person.as_str()])?;
    tx.execute(
        "DELETE FROM authenticator WHERE person = ?1",
        [person.as_str()],
    )?;
    tx.execute(
        "INSERT INTO token (person, sealed, last_step) VALUES (?1, ?2, ?3)",
        params![person.as_str(), sealed_secret, step],
    )?;
    tx.execute(
        "INSERT INTO authenticator (person, id, passkey) VALUES (?1, ?2, ?3)",
        params![person.as_str(), id, text],
    )?;
    Ok(true)
}
