//! The database: one file, write-ahead log, every commit on the disk before it is acknowledged.
//!
//! States and rounds are in the clear; whatever tells something of an output, a vote or a release is
//! sealed for its place ([`crate::seal`]), so that a changed, copied or exchanged row doesn't open.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kekkai_output::Content;
use kekkai_review_api::OutputState;
use kekkai_types::{AgreementId, KeyText, OutputId, PersonId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{Head, Listed, Stored, Vote};
use crate::seal::{SealError, Sealer};
use crate::state::{self, Step};

/// The file in the state directory.
pub const DATABASE: &str = "review.sqlite";
/// Outputs that may wait for votes at once.
pub const OUTPUTS_WAITING_MAX: u32 = 300;

const SCHEMA: &str = "
    CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), sealed BLOB NOT NULL) STRICT;
    CREATE TABLE outputs (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        round INTEGER NOT NULL,
        submitted INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        head BLOB NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE votes (
        output TEXT NOT NULL REFERENCES outputs (id),
        round INTEGER NOT NULL,
        reviewer TEXT NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (output, round, reviewer)
    ) STRICT;
    CREATE TABLE releases (
        output TEXT PRIMARY KEY REFERENCES outputs (id),
        prepared BLOB NOT NULL,
        ledger_index INTEGER,
        bundle BLOB
    ) STRICT;
";
/// What version 2 added.
const SCHEMA_TOOLS: &str = "
    CREATE TABLE tools (
        id TEXT PRIMARY KEY,
        agreement TEXT NOT NULL,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        submitted INTEGER NOT NULL,
        standing BLOB NOT NULL,
        head BLOB NOT NULL,
        component BLOB
    ) STRICT;
    CREATE TABLE tool_votes (
        tool TEXT NOT NULL REFERENCES tools (id),
        reviewer TEXT NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (tool, reviewer)
    ) STRICT;
    PRAGMA user_version = 2;
";

/// What version 3 added: by whom and where an output is looked for, and what it is in place of. An index
/// only: what counts is in the sealed head.
const SCHEMA_REPLACES: &str = "
    ALTER TABLE outputs ADD COLUMN agreement TEXT;
    ALTER TABLE outputs ADD COLUMN author TEXT;
    ALTER TABLE outputs ADD COLUMN replaces TEXT;
    CREATE INDEX outputs_of ON outputs (agreement, author, submitted);
    CREATE UNIQUE INDEX outputs_replaces ON outputs (replaces) WHERE replaces IS NOT NULL;
    PRAGMA user_version = 3;
";

/// Why the database does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite.
    #[error("the database refuses")]
    Sqlite(#[from] rusqlite::Error),
    /// A value was changed behind the service's back.
    #[error("output \"{output}\": {source}")]
    Altered {
        /// Which output.
        output: String,
        /// How it shows.
        source: SealError,
    },
    /// The storage key is not the one that this database was made with.
    #[error("the storage key isn't the one that this database was made with")]
    OtherKey,
    /// Sealing failed.
    #[error("a value can't be sealed")]
    Seal(#[source] SealError),
    /// Made by a newer version of this program.
    #[error("the database has version {0}, this program knows 3")]
    Version(u32),
    /// A step that the table of transitions doesn't have, or a state that changed meanwhile.
    #[error("output \"{output}\" can't go by \"{step}\" from where it stands")]
    Step {
        /// Which output.
        output: OutputId,
        /// Which step.
        step: &'static str,
    },
    /// Likewise, of a tool.
    #[error("tool \"{tool}\" can't go by \"{step}\" from where it stands")]
    ToolStep {
        /// Which request.
        tool: kekkai_types::Digest,
        /// Which step.
        step: &'static str,
    },
    /// A value can't be written as JSON: a bug.
    #[error("bug: a value can't be serialized")]
    Serialize(#[source] serde_json::Error),
    /// The worker thread is gone: a bug, or the process is ending.
    #[error("bug: the database's thread is gone")]
    Thread,
}

/// Outputs, and the ids of those whose stored bytes were changed.
#[derive(Debug, Default)]
pub struct Listing {
    /// Readable ones.
    pub outputs: Vec<Listed>,
    /// Ids as the database has them.
    pub altered: Vec<String>,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    connection: Mutex<Connection>,
    sealer: Sealer,
}

impl Store {
    /// Opens or makes the database in a directory.
    pub fn open(dir: &Path, key: &KeyText) -> Result<Self, StoreError> {
        let connection = Connection::open(dir.join(DATABASE))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let sealer = Sealer::new(key);
        let mut inner = Inner {
            connection: Mutex::new(connection),
            sealer,
        };
        inner.prepare()?;
        Ok(Self(Arc::new(inner)))
    }

    /// Runs database work on a thread that may block.
    pub async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .map_err(|_| StoreError::Thread)?
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves no half transaction: rusqlite rolls back when it unwinds.
        self.0
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    pub(crate) fn seal<T: Serialize>(&self, place: &str, value: &T) -> Result<Vec<u8>, StoreError> {
        let bytes = serde_json::to_vec(value).map_err(StoreError::Serialize)?;
        self.0.sealer.seal(place, &bytes).map_err(StoreError::Seal)
    }

    pub(crate) fn open_bytes(
        &self,
        output: &str,
        place: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        self.0
            .sealer
            .open(place, sealed)
            .map_err(|source| altered(output, source))
    }

    pub(crate) fn unseal<T: DeserializeOwned>(
        &self,
        output: &str,
        place: &str,
        sealed: &[u8],
    ) -> Result<T, StoreError> {
        let bytes = self.open_bytes(output, place, sealed)?;
        serde_json::from_slice(&bytes).map_err(|_| altered(output, SealError::Altered))
    }

    /// Stores an output that arrived; the ledger knows it already.
    pub fn insert(&self, head: &Head, content: &Content, step: Step) -> Result<(), StoreError> {
        let id = &head.output;
        let to = state::next(None, step).ok_or_else(|| refused(id, step))?;
        let sealed_head = self.seal(&head_place(id.as_str()), head)?;
        let sealed_body = self.seal(&body_place(id.as_str()), content)?;
        self.lock().execute(
            "INSERT INTO outputs
               (id, state, round, submitted, changed, head, body, agreement, author, replaces)
             VALUES (?1, ?2, 1, ?3, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                id.as_str(),
                state::state_name(to),
                head.submitted.0,
                sealed_head,
                sealed_body,
                head.agreement.as_str(),
                head.author.as_str(),
                head.replaces.as_ref().map(OutputId::as_str)
            ],
        )?;
        Ok(())
    }

    /// An output without its content; `None` where there is none.
    pub fn find(&self, output: &OutputId) -> Result<Option<Listed>, StoreError> {
        let raw = self
            .lock()
            .query_row(
                "SELECT id, state, round, changed, head FROM outputs WHERE id = ?1",
                [output.as_str()],
                Raw::read,
            )
            .optional()?;
        raw.map(|raw| self.listed(raw)).transpose()
    }

    /// An output with its content, whose digest is computed anew and compared.
    pub fn load(&self, output: &OutputId) -> Result<Option<Stored>, StoreError> {
        let Some(listed) = self.find(output)? else {
            return Ok(None);
        };
        let sealed: Vec<u8> = self.lock().query_row(
            "SELECT body FROM outputs WHERE id = ?1",
            [output.as_str()],
            |row| row.get(0),
        )?;
        let id = output.as_str();
        let content: Content = self.unseal(id, &body_place(id), &sealed)?;
        // The seal already says so; the digest is what people vote on, so it is asked again.
        if content.digest().ok() != Some(listed.head.digest) {
            return Err(altered(id, SealError::Altered));
        }
        Ok(Some(Stored { listed, content }))
    }

    /// Outputs that take votes, the oldest first, or decided ones, the newest first.
    pub fn list(&self, deciding: bool, max: u32) -> Result<Listing, StoreError> {
        let sql = if deciding {
            "SELECT id, state, round, changed, head FROM outputs
             WHERE state IN ('waiting', 'half-voted') ORDER BY submitted, id LIMIT ?1"
        } else {
            "SELECT id, state, round, changed, head FROM outputs
             WHERE state NOT IN ('waiting', 'half-voted') ORDER BY changed DESC, id LIMIT ?1"
        };
        let raw: Vec<Raw> = {
            let connection = self.lock();
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([max], Raw::read)?;
            rows.collect::<Result<_, _>>()?
        };
        self.readable(raw)
    }

    fn readable(&self, raw: Vec<Raw>) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        for raw in raw {
            match self.listed(raw) {
                Ok(listed) => listing.outputs.push(listed),
                // One spoilt row must not hide the others, nor pass unseen.
                Err(StoreError::Altered { output, .. }) => listing.altered.push(output),
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }

    /// The output in place of this one.
    pub fn replacement(&self, output: &OutputId) -> Result<Option<Listed>, StoreError> {
        let raw = self
            .lock()
            .query_row(
                "SELECT id, state, round, changed, head FROM outputs WHERE replaces = ?1",
                [output.as_str()],
                Raw::read,
            )
            .optional()?;
        let found = raw.map(|raw| self.listed(raw)).transpose()?;
        match found {
            // A link that was written behind the service's back.
            Some(listed) if listed.head.replaces.as_ref() != Some(output) => {
                Err(altered(listed.head.output.as_str(), SealError::Altered))
            }
            found => Ok(found),
        }
    }

    /// A person's own outputs of a project, the newest first.
    pub fn own(
        &self,
        agreement: &AgreementId,
        author: &PersonId,
        max: u32,
    ) -> Result<Listing, StoreError> {
        let raw: Vec<Raw> = {
            let connection = self.lock();
            let mut statement = connection.prepare_cached(
                "SELECT id, state, round, changed, head FROM outputs
                 WHERE agreement = ?1 AND author = ?2 ORDER BY submitted DESC, id LIMIT ?3",
            )?;
            let key = params![agreement.as_str(), author.as_str(), max];
            let rows = statement.query_map(key, Raw::read)?;
            rows.collect::<Result<_, _>>()?
        };
        let mut listing = self.readable(raw)?;
        // The index can be written to by others; the head can't.
        listing
            .outputs
            .retain(|l| l.head.agreement == *agreement && l.head.author == *author);
        Ok(listing)
    }

    /// Outputs with two votes that are not concluded: work for a restart.
    pub fn unconcluded(&self) -> Result<Vec<OutputId>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare(
            "SELECT id FROM outputs o WHERE state = 'half-voted' AND 2 <=
               (SELECT COUNT(*) FROM votes v WHERE v.output = o.id AND v.round = o.round)
             ORDER BY changed, id",
        )?;
        let ids = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut found = Vec::new();
        for id in ids {
            // An id that is none can't be one of ours.
            if let Ok(id) = OutputId::new(id?) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Stores a vote that the ledger knows. `prepared` is the release that both accepted.
    pub fn vote(
        &self,
        output: &OutputId,
        round: u32,
        vote: &Vote,
        is_first: bool,
        prepared: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let id = output.as_str();
        let sealed = self.seal(&vote_place(id, round, vote.reviewer.as_str()), vote)?;
        let prepared = prepared
            .map(|bytes| self.0.sealer.seal(&prepared_place(id), bytes))
            .transpose()
            .map_err(StoreError::Seal)?;
        let from = if is_first {
            OutputState::Waiting
        } else {
            OutputState::HalfVoted
        };
        let to = if is_first {
            state::next(Some(from), Step::FirstVote)
                .ok_or_else(|| refused(output, Step::FirstVote))?
        } else {
            from
        };
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute(
            "INSERT INTO votes (output, round, reviewer, sealed) VALUES (?1, ?2, ?3, ?4)",
            params![id, round, vote.reviewer.as_str(), sealed],
        )?;
        if let Some(prepared) = prepared {
            tx.execute(
                "INSERT OR REPLACE INTO releases (output, prepared) VALUES (?1, ?2)",
                params![id, prepared],
            )?;
        }
        move_on(&tx, output, round, from, to, vote.at, Step::FirstVote)?;
        tx.commit()?;
        Ok(())
    }

    /// The release that was prepared when the second vote came.
    pub fn prepared(&self, output: &OutputId) -> Result<Option<Vec<u8>>, StoreError> {
        let id = output.as_str();
        let sealed: Option<Vec<u8>> = self
            .lock()
            .query_row(
                "SELECT prepared FROM releases WHERE output = ?1",
                [id],
                |row| row.get(0),
            )
            .optional()?;
        sealed
            .map(|sealed| self.open_bytes(id, &prepared_place(id), &sealed))
            .transpose()
    }

    /// Concludes without a release; the ledger knows it already.
    pub fn conclude(
        &self,
        output: &OutputId,
        round: u32,
        step: Step,
        at: Timestamp,
    ) -> Result<OutputState, StoreError> {
        let from = OutputState::HalfVoted;
        let to = state::next(Some(from), step)
            .filter(|to| *to != OutputState::Released)
            .ok_or_else(|| refused(output, step))?;
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        move_on(&tx, output, round, from, to, at, step)?;
        tx.commit()?;
        Ok(to)
    }

    /// Concludes with a release: state and bundle in one commit. The ledger knows it already.
    pub fn release(
        &self,
        output: &OutputId,
        round: u32,
        ledger_index: u64,
        bundle: &[u8],
        at: Timestamp,
    ) -> Result<OutputState, StoreError> {
        let id = output.as_str();
        let sealed = self
            .0
            .sealer
            .seal(&bundle_place(id), bundle)
            .map_err(StoreError::Seal)?;
        let step = Step::BothAccepted;
        let from = OutputState::HalfVoted;
        let to = state::next(Some(from), step).ok_or_else(|| refused(output, step))?;
        let index = i64::try_from(ledger_index).map_err(|_| refused(output, step))?;
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changed = tx.execute(
            "UPDATE releases SET ledger_index = ?2, bundle = ?3 WHERE output = ?1 AND bundle IS NULL",
            params![id, index, sealed],
        )?;
        if changed != 1 {
            return Err(refused(output, step));
        }
        move_on(&tx, output, round, from, to, at, step)?;
        tx.commit()?;
        Ok(to)
    }

    /// The signed bundle of a released output.
    pub fn bundle(&self, output: &OutputId) -> Result<Option<Vec<u8>>, StoreError> {
        let id = output.as_str();
        let sealed: Option<Option<Vec<u8>>> = self
            .lock()
            .query_row(
                "SELECT bundle FROM releases r JOIN outputs o ON o.id = r.output
                 WHERE r.output = ?1 AND o.state = 'released'",
                [id],
                |row| row.get(0),
            )
            .optional()?;
        sealed
            .flatten()
            .map(|sealed| self.open_bytes(id, &bundle_place(id), &sealed))
            .transpose()
    }

    /// Stores what the changed rules say, and begins a new round of votes.
    pub fn recheck(
        &self,
        listed: &Listed,
        head: &Head,
        step: Step,
        at: Timestamp,
    ) -> Result<OutputState, StoreError> {
        let output = &head.output;
        let to = state::next(Some(listed.state), step).ok_or_else(|| refused(output, step))?;
        let sealed = self.seal(&head_place(output.as_str()), head)?;
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        move_on(&tx, output, listed.round, listed.state, to, at, step)?;
        tx.execute(
            "UPDATE outputs SET head = ?2, round = round + 1 WHERE id = ?1",
            params![output.as_str(), sealed],
        )?;
        tx.commit()?;
        Ok(to)
    }

    fn listed(&self, raw: Raw) -> Result<Listed, StoreError> {
        let Raw {
            id,
            state,
            round,
            changed,
            head,
        } = raw;
        let head: Head = self.unseal(&id, &head_place(&id), &head)?;
        let state = state::parse_state(&state).ok_or_else(|| altered(&id, SealError::Altered))?;
        let rows: Vec<(String, Vec<u8>)> = {
            let connection = self.lock();
            let mut statement = connection.prepare_cached(
                "SELECT reviewer, sealed FROM votes WHERE output = ?1 AND round = ?2",
            )?;
            let rows =
                statement.query_map(params![id, round], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        let mut votes = Vec::with_capacity(rows.len());
        for (reviewer, sealed) in rows {
            let vote: Vote = self.unseal(&id, &vote_place(&id, round, &reviewer), &sealed)?;
            votes.push(vote);
        }
        votes.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.reviewer.cmp(&b.reviewer)));
        Ok(Listed {
            head,
            state,
            round,
            changed: Timestamp(changed),
            votes,
        })
    }
}

impl Inner {
    fn prepare(&mut self) -> Result<(), StoreError> {
        let connection = self
            .connection
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => {
                let probe = self
                    .sealer
                    .seal("probe", b"kekkai-review")
                    .map_err(StoreError::Seal)?;
                let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                tx.execute_batch(SCHEMA)?;
                tx.execute_batch(SCHEMA_TOOLS)?;
                tx.execute_batch(SCHEMA_REPLACES)?;
                tx.execute("INSERT INTO probe (id, sealed) VALUES (1, ?1)", [probe])?;
                tx.commit()?;
            }
            1..=3 => {
                let probe: Vec<u8> =
                    connection.query_row("SELECT sealed FROM probe", [], |row| row.get(0))?;
                self.sealer
                    .open("probe", &probe)
                    .map_err(|_| StoreError::OtherKey)?;
                let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                if version < 2 {
                    tx.execute_batch(SCHEMA_TOOLS)?;
                }
                if version < 3 {
                    tx.execute_batch(SCHEMA_REPLACES)?;
                    index_heads(&tx, &self.sealer)?;
                }
                tx.commit()?;
            }
            newer => return Err(StoreError::Version(newer)),
        }
        Ok(())
    }
}

/// Fills in by whom and where, for outputs that came before it was asked.
fn index_heads(tx: &rusqlite::Transaction<'_>, sealer: &Sealer) -> Result<(), StoreError> {
    let mut statement = tx.prepare("SELECT id, head FROM outputs")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, sealed): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let opened = sealer.open(&head_place(&id), &sealed).ok();
        let head = opened.and_then(|bytes| serde_json::from_slice::<Head>(&bytes).ok());
        // A spoilt row stays as it is, to be found by whoever looks at it, and stops no upgrade.
        if let Some(head) = head {
            tx.execute(
                "UPDATE outputs SET agreement = ?2, author = ?3 WHERE id = ?1",
                params![id, head.agreement.as_str(), head.author.as_str()],
            )?;
        }
    }
    Ok(())
}

struct Raw {
    id: String,
    state: String,
    round: u32,
    changed: i64,
    head: Vec<u8>,
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            state: row.get(1)?,
            round: row.get(2)?,
            changed: row.get(3)?,
            head: row.get(4)?,
        })
    }
}

/// The state that the caller saw must still be there.
fn move_on(
    tx: &rusqlite::Transaction<'_>,
    output: &OutputId,
    round: u32,
    from: OutputState,
    to: OutputState,
    at: Timestamp,
    step: Step,
) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE outputs SET state = ?2, changed = ?3 WHERE id = ?1 AND state = ?4 AND round = ?5",
        params![
            output.as_str(),
            state::state_name(to),
            at.0,
            state::state_name(from),
            round
        ],
    )?;
    if changed == 1 {
        Ok(())
    } else {
        Err(refused(output, step))
    }
}

fn refused(output: &OutputId, step: Step) -> StoreError {
    StoreError::Step {
        output: output.clone(),
        step: step.as_str(),
    }
}

pub(crate) fn altered(output: &str, source: SealError) -> StoreError {
    StoreError::Altered {
        output: output.to_owned(),
        source,
    }
}

fn head_place(output: &str) -> String {
    format!("head/{output}")
}

fn body_place(output: &str) -> String {
    format!("body/{output}")
}

fn vote_place(output: &str, round: u32, reviewer: &str) -> String {
    format!("vote/{output}/{round}/{reviewer}")
}

fn prepared_place(output: &str) -> String {
    format!("prepared/{output}")
}

fn bundle_place(output: &str) -> String {
    format!("bundle/{output}")
}
