//! SQLite: what the service must still know after a restart. Every write follows its ledger entry.

mod extracts;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use kekkai_attest::{Enrolled, ReferenceValues};
use kekkai_policy::{Counted, Hour, PAST_KEPT_HOURS, SessionFacts};
use kekkai_policy_api::EndReason;
use kekkai_types::{
    AgreementId, DatasetCatalog, DatasetId, Digest, Lang, PersonId, Recipient, Role, ServerId,
    SessionId, TerminalClass, TerminalId, Timestamp, WrappedKey,
};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The schema that this build writes.
const SCHEMA_VERSION: i64 = 2;
/// Another connection (a backup) holds the database at most this long.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
CREATE TABLE person (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, lang TEXT NOT NULL, roles TEXT NOT NULL
) STRICT;
CREATE TABLE terminal (
    id TEXT PRIMARY KEY, class TEXT NOT NULL, ssh_key TEXT, spki TEXT, people TEXT NOT NULL,
    revoked INTEGER NOT NULL
) STRICT;
CREATE TABLE agreement (
    id TEXT PRIMARY KEY, toml TEXT NOT NULL, registered_at INTEGER NOT NULL,
    ended_at INTEGER, end_reason TEXT
) STRICT;
CREATE TABLE roster (
    agreement TEXT NOT NULL REFERENCES agreement (id), person TEXT NOT NULL REFERENCES person (id),
    PRIMARY KEY (agreement, person)
) STRICT;
CREATE TABLE dataset (
    id TEXT NOT NULL, version INTEGER NOT NULL, catalog TEXT NOT NULL,
    PRIMARY KEY (id, version)
) STRICT;
CREATE TABLE wrapped_key (
    dataset TEXT NOT NULL, version INTEGER NOT NULL, recipient TEXT NOT NULL,
    wrapped TEXT NOT NULL,
    PRIMARY KEY (dataset, version, recipient),
    FOREIGN KEY (dataset, version) REFERENCES dataset (id, version)
) STRICT;
CREATE TABLE server (
    id TEXT PRIMARY KEY, expected INTEGER NOT NULL, enrolled TEXT
) STRICT;
CREATE TABLE reference (
    digest TEXT PRIMARY KEY, body TEXT NOT NULL, withdrawn INTEGER NOT NULL
) STRICT;
CREATE TABLE session (
    id TEXT PRIMARY KEY, person TEXT NOT NULL, terminal TEXT NOT NULL, agreement TEXT NOT NULL,
    opened_at INTEGER NOT NULL, server TEXT, reference TEXT, ended_at INTEGER, end_reason TEXT
) STRICT;
CREATE INDEX session_open ON session (id) WHERE ended_at IS NULL;
";

/// What version 1 didn't have. An extract stays known when its keys are gone; `certified` once the ledger
/// says that they are.
const EXTRACTS: &str = "
CREATE TABLE extract (
    id TEXT NOT NULL, version INTEGER NOT NULL, agreement TEXT NOT NULL REFERENCES agreement (id),
    dataset TEXT NOT NULL, dataset_version INTEGER NOT NULL, catalog TEXT NOT NULL,
    key_digests TEXT NOT NULL, erased INTEGER NOT NULL, certified INTEGER NOT NULL,
    PRIMARY KEY (id, version)
) STRICT;
CREATE TABLE extract_key (
    id TEXT NOT NULL, version INTEGER NOT NULL, recipient TEXT NOT NULL, wrapped TEXT NOT NULL,
    PRIMARY KEY (id, version, recipient),
    FOREIGN KEY (id, version) REFERENCES extract (id, version)
) STRICT;
";

/// What came later without changing what was there: an older build reads such a database as before.
const ADDED: &str = "
CREATE TABLE IF NOT EXISTS used (
    agreement TEXT NOT NULL, person TEXT NOT NULL, hour INTEGER NOT NULL,
    statements INTEGER NOT NULL, rows INTEGER NOT NULL,
    PRIMARY KEY (agreement, person, hour)
) STRICT;
";

/// Why the state can't be read or written: the machine's fault, or ours.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the state database refused")]
    Sqlite(#[from] rusqlite::Error),
    /// A row that this build can't read.
    #[error("a row of table \"{0}\" can't be read")]
    Row(&'static str),
    /// Written by a newer build.
    #[error("the state database has schema version {0}, this build knows {SCHEMA_VERSION}")]
    Schema(i64),
    /// Somebody else reads the database: what was erased is still in its log.
    #[error("another process holds the state database open: erased keys can't be overwritten yet")]
    Held,
}

/// The database.
pub struct Store {
    db: Connection,
}

/// A person, as registered.
pub(crate) struct PersonRow {
    pub(crate) id: PersonId,
    pub(crate) name: String,
    pub(crate) lang: Lang,
    pub(crate) roles: BTreeSet<Role>,
}

/// A terminal, as registered.
#[derive(Clone)]
pub(crate) struct TerminalRow {
    pub(crate) id: TerminalId,
    pub(crate) class: TerminalClass,
    pub(crate) ssh_key: Option<String>,
    pub(crate) spki: Option<Digest>,
    pub(crate) people: BTreeSet<PersonId>,
    pub(crate) revoked: bool,
}

/// An agreement, as registered.
pub(crate) struct AgreementRow {
    pub(crate) toml: String,
    pub(crate) roster: BTreeSet<PersonId>,
    pub(crate) ended: bool,
}

/// Whose a session is or was.
pub(crate) struct SessionRow {
    pub(crate) person: PersonId,
    pub(crate) agreement: AgreementId,
    pub(crate) server: Option<ServerId>,
    pub(crate) ended: Option<EndReason>,
}

fn text<T: Serialize>(value: &T, table: &'static str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Row(table))
}

fn value<T: DeserializeOwned>(text: &str, table: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Row(table))
}

impl Store {
    /// Opens or creates the database in a directory.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let mut db = Connection::open(dir.join("policy.sqlite"))?;
        db.busy_timeout(BUSY_LIMIT)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        // Erased rows are overwritten with zeros.
        db.pragma_update(None, "secure_delete", true)?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 | 1 => {
                let change = db.transaction()?;
                if version == 0 {
                    change.execute_batch(SCHEMA)?;
                }
                change.execute_batch(EXTRACTS)?;
                change.pragma_update(None, "user_version", SCHEMA_VERSION)?;
                change.commit()?;
            }
            SCHEMA_VERSION => {}
            other => return Err(StoreError::Schema(other)),
        }
        db.execute_batch(ADDED)?;
        Ok(Self { db })
    }

    fn change<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let change = self.db.transaction()?;
        let result = write(&change)?;
        change.commit()?;
        crate::failpoint::reach(crate::failpoint::EFFECTED);
        Ok(result)
    }

    fn all<T>(
        &self,
        sql: &str,
        read: impl Fn(&rusqlite::Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    // People.

    pub(crate) fn put_person(&mut self, person: &PersonRow) -> Result<(), StoreError> {
        let roles = text(&person.roles, "person")?;
        self.change(|db| {
            db.execute(
                "INSERT INTO person (id, name, lang, roles) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET name = ?2, lang = ?3, roles = ?4",
                params![person.id.as_str(), person.name, person.lang.as_str(), roles],
            )?;
            Ok(())
        })
    }

    pub(crate) fn people(&self) -> Result<Vec<PersonRow>, StoreError> {
        self.all("SELECT id, name, lang, roles FROM person", read_person)
    }

    // Terminals.

    pub(crate) fn put_terminal(&mut self, terminal: &TerminalRow) -> Result<(), StoreError> {
        let class = text(&terminal.class, "terminal")?;
        let people = text(&terminal.people, "terminal")?;
        self.change(|db| {
            db.execute(
                "INSERT INTO terminal (id, class, ssh_key, spki, people, revoked)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (id) DO UPDATE
                 SET class = ?2, ssh_key = ?3, spki = ?4, people = ?5, revoked = ?6",
                params![
                    terminal.id.as_str(),
                    class,
                    terminal.ssh_key,
                    terminal.spki.map(|spki| spki.to_string()),
                    people,
                    terminal.revoked
                ],
            )?;
            Ok(())
        })
    }

    pub(crate) fn terminals(&self) -> Result<Vec<TerminalRow>, StoreError> {
        self.all(
            "SELECT id, class, ssh_key, spki, people, revoked FROM terminal",
            |row| {
                let bad = || StoreError::Row("terminal");
                let spki: Option<String> = row.get(3)?;
                Ok(TerminalRow {
                    id: TerminalId::new(row.get::<_, String>(0)?).map_err(|_| bad())?,
                    class: value(&row.get::<_, String>(1)?, "terminal")?,
                    ssh_key: row.get(2)?,
                    spki: spki
                        .map(|spki| spki.parse())
                        .transpose()
                        .map_err(|_| bad())?,
                    people: value(&row.get::<_, String>(4)?, "terminal")?,
                    revoked: row.get(5)?,
                })
            },
        )
    }

    // Agreements.

    pub(crate) fn put_agreement(
        &mut self,
        id: &AgreementId,
        toml: &str,
        roster: &BTreeSet<PersonId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|db| {
            db.execute(
                "INSERT INTO agreement (id, toml, registered_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET toml = ?2, registered_at = ?3",
                params![id.as_str(), toml, now.0],
            )?;
            db.execute("DELETE FROM roster WHERE agreement = ?1", [id.as_str()])?;
            for person in roster {
                db.execute(
                    "INSERT INTO roster (agreement, person) VALUES (?1, ?2)",
                    [id.as_str(), person.as_str()],
                )?;
            }
            Ok(())
        })
    }

    /// Ends an agreement and erases the keys that belong to it, both or neither.
    pub(crate) fn end_agreement(
        &mut self,
        id: &AgreementId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|db| {
            extracts::erase(db, "agreement = ?1", &[&id.as_str()])?;
            db.execute(
                "UPDATE agreement SET ended_at = ?2, end_reason = ?3 WHERE id = ?1",
                params![id.as_str(), now.0, reason],
            )?;
            Ok(())
        })
    }

    pub(crate) fn put_handler(
        &mut self,
        agreement: &AgreementId,
        person: &PersonId,
    ) -> Result<(), StoreError> {
        self.change(|db| {
            db.execute(
                "INSERT OR IGNORE INTO roster (agreement, person) VALUES (?1, ?2)",
                [agreement.as_str(), person.as_str()],
            )?;
            Ok(())
        })
    }

    pub(crate) fn remove_handler(
        &mut self,
        agreement: &AgreementId,
        person: &PersonId,
    ) -> Result<(), StoreError> {
        self.change(|db| {
            db.execute(
                "DELETE FROM roster WHERE agreement = ?1 AND person = ?2",
                [agreement.as_str(), person.as_str()],
            )?;
            Ok(())
        })
    }

    pub(crate) fn agreements(&self) -> Result<Vec<AgreementRow>, StoreError> {
        self.all(
            "SELECT toml, ended_at IS NOT NULL,
                    (SELECT json_group_array(person) FROM roster WHERE agreement = id)
             FROM agreement",
            |row| {
                Ok(AgreementRow {
                    toml: row.get(0)?,
                    ended: row.get(1)?,
                    roster: value(&row.get::<_, String>(2)?, "roster")?,
                })
            },
        )
    }

    // Datasets and wrapped keys.

    pub(crate) fn put_dataset(
        &mut self,
        catalog: &DatasetCatalog,
        keys: &[WrappedKey],
    ) -> Result<(), StoreError> {
        let body = text(catalog, "dataset")?;
        self.change(|db| {
            db.execute(
                "INSERT INTO dataset (id, version, catalog) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id, version) DO NOTHING",
                params![catalog.id.as_str(), catalog.version, body],
            )?;
            for key in keys {
                db.execute(
                    "INSERT INTO wrapped_key (dataset, version, recipient, wrapped)
                     VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (dataset, version, recipient) DO UPDATE SET wrapped = ?4",
                    params![
                        key.dataset.as_str(),
                        key.version,
                        text(&key.recipient, "wrapped_key")?,
                        text(key, "wrapped_key")?
                    ],
                )?;
            }
            Ok(())
        })
    }

    pub(crate) fn datasets(&self) -> Result<Vec<DatasetCatalog>, StoreError> {
        self.all("SELECT catalog FROM dataset", |row| {
            value(&row.get::<_, String>(0)?, "dataset")
        })
    }

    pub(crate) fn wrapped_key(
        &self,
        dataset: &DatasetId,
        version: u32,
        recipient: &Recipient,
    ) -> Result<Option<WrappedKey>, StoreError> {
        self.db
            .query_row(
                "SELECT wrapped FROM wrapped_key
                 WHERE dataset = ?1 AND version = ?2 AND recipient = ?3",
                params![dataset.as_str(), version, text(recipient, "wrapped_key")?],
                |row| row.get::<_, String>(0),
            )
            .optional()?
            .map(|wrapped| value(&wrapped, "wrapped_key"))
            .transpose()
    }

    // Servers and reference values.

    pub(crate) fn expect_server(&mut self, server: &ServerId) -> Result<(), StoreError> {
        self.change(|db| {
            db.execute(
                "INSERT INTO server (id, expected) VALUES (?1, 1)
                 ON CONFLICT (id) DO UPDATE SET expected = 1",
                [server.as_str()],
            )?;
            Ok(())
        })
    }

    pub(crate) fn enrol_server(&mut self, enrolled: &Enrolled) -> Result<(), StoreError> {
        let body = text(enrolled, "server")?;
        self.change(|db| {
            db.execute(
                "INSERT INTO server (id, expected, enrolled) VALUES (?1, 0, ?2)
                 ON CONFLICT (id) DO UPDATE SET expected = 0, enrolled = ?2",
                params![enrolled.server.as_str(), body],
            )?;
            Ok(())
        })
    }

    /// Each server: whether its enrolment is expected, and how it is enrolled.
    pub(crate) fn servers(&self) -> Result<Vec<(ServerId, bool, Option<Enrolled>)>, StoreError> {
        self.all("SELECT id, expected, enrolled FROM server", |row| {
            let enrolled: Option<String> = row.get(2)?;
            Ok((
                ServerId::new(row.get::<_, String>(0)?).map_err(|_| StoreError::Row("server"))?,
                row.get(1)?,
                enrolled.map(|body| value(&body, "server")).transpose()?,
            ))
        })
    }

    pub(crate) fn put_reference(&mut self, reference: &ReferenceValues) -> Result<(), StoreError> {
        let body = text(reference, "reference")?;
        self.change(|db| {
            db.execute(
                "INSERT INTO reference (digest, body, withdrawn) VALUES (?1, ?2, 0)
                 ON CONFLICT (digest) DO UPDATE SET body = ?2, withdrawn = 0",
                [reference.digest().to_string(), body],
            )?;
            Ok(())
        })
    }

    pub(crate) fn withdraw_reference(&mut self, digest: &Digest) -> Result<(), StoreError> {
        self.change(|db| {
            db.execute(
                "UPDATE reference SET withdrawn = 1 WHERE digest = ?1",
                [digest.to_string()],
            )?;
            Ok(())
        })
    }

    /// Reference values in force.
    pub(crate) fn references(&self) -> Result<Vec<ReferenceValues>, StoreError> {
        self.all(
            "SELECT body FROM reference WHERE withdrawn = 0 ORDER BY rowid",
            |row| value(&row.get::<_, String>(0)?, "reference"),
        )
    }

    // What people do.

    /// Keeps what was counted in an hour, and forgets hours that are too long ago to matter.
    pub(crate) fn put_used(
        &mut self,
        agreement: &AgreementId,
        person: &PersonId,
        hour: Hour,
        counted: Counted,
    ) -> Result<(), StoreError> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let change = self.db.transaction()?;
        change.execute(
            "INSERT INTO used (agreement, person, hour, statements, rows) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (agreement, person, hour) DO UPDATE SET statements = ?4, rows = ?5",
            params![
                agreement.as_str(),
                person.as_str(),
                hour.0,
                number(counted.statements),
                number(counted.rows)
            ],
        )?;
        change.execute(
            "DELETE FROM used WHERE agreement = ?1 AND person = ?2 AND hour < ?3",
            params![
                agreement.as_str(),
                person.as_str(),
                hour.0.saturating_sub(PAST_KEPT_HOURS)
            ],
        )?;
        change.commit()?;
        Ok(())
    }

    /// What was counted: whose, in which hour.
    pub(crate) fn used(&self) -> Result<Vec<(AgreementId, PersonId, Hour, Counted)>, StoreError> {
        let sql = "SELECT agreement, person, hour, statements, rows FROM used";
        self.all(sql, |row| {
            let bad = || StoreError::Row("used");
            let number = |count: i64| u64::try_from(count).map_err(|_| bad());
            Ok((
                AgreementId::new(row.get::<_, String>(0)?).map_err(|_| bad())?,
                PersonId::new(row.get::<_, String>(1)?).map_err(|_| bad())?,
                Hour(row.get(2)?),
                Counted {
                    statements: number(row.get(3)?)?,
                    rows: number(row.get(4)?)?,
                },
            ))
        })
    }

    // Sessions.

    pub(crate) fn put_session(
        &mut self,
        session: &SessionFacts,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|db| {
            db.execute(
                "INSERT INTO session (id, person, terminal, agreement, opened_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    session.session.as_str(),
                    session.person.as_str(),
                    session.terminal.as_str(),
                    session.agreement.as_str(),
                    now.0
                ],
            )?;
            Ok(())
        })
    }

    pub(crate) fn release_session(
        &mut self,
        session: &SessionId,
        server: &ServerId,
        reference: &Digest,
    ) -> Result<(), StoreError> {
        self.change(|db| {
            db.execute(
                "UPDATE session SET server = ?2, reference = ?3 WHERE id = ?1",
                params![session.as_str(), server.as_str(), reference.to_string()],
            )?;
            Ok(())
        })
    }

    pub(crate) fn end_sessions(
        &mut self,
        sessions: &[(SessionId, EndReason)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|db| {
            for (session, reason) in sessions {
                db.execute(
                    "UPDATE session SET ended_at = ?2, end_reason = ?3
                     WHERE id = ?1 AND ended_at IS NULL",
                    params![session.as_str(), now.0, text(reason, "session")?],
                )?;
            }
            Ok(())
        })
    }

    pub(crate) fn open_sessions(&self) -> Result<Vec<SessionId>, StoreError> {
        self.all("SELECT id FROM session WHERE ended_at IS NULL", |row| {
            SessionId::new(row.get::<_, String>(0)?).map_err(|_| StoreError::Row("session"))
        })
    }

    pub(crate) fn session(&self, session: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        let mut statement = self.db.prepare_cached(
            "SELECT person, agreement, server, end_reason FROM session WHERE id = ?1",
        )?;
        let mut rows = statement.query([session.as_str()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let bad = |_| StoreError::Row("session");
        let server: Option<String> = row.get(2)?;
        let ended: Option<String> = row.get(3)?;
        Ok(Some(SessionRow {
            person: PersonId::new(row.get::<_, String>(0)?).map_err(bad)?,
            agreement: AgreementId::new(row.get::<_, String>(1)?).map_err(bad)?,
            server: server.map(ServerId::new).transpose().map_err(bad)?,
            ended: ended.map(|ended| value(&ended, "session")).transpose()?,
        }))
    }
}

fn read_person(row: &rusqlite::Row<'_>) -> Result<PersonRow, StoreError> {
    let bad = || StoreError::Row("person");
    Ok(PersonRow {
        id: PersonId::new(row.get::<_, String>(0)?).map_err(|_| bad())?,
        name: row.get(1)?,
        lang: row.get::<_, String>(2)?.parse().map_err(|_| bad())?,
        roles: value(&row.get::<_, String>(3)?, "person")?,
    })
}
