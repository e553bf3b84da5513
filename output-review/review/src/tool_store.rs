//! Tools in the database. As with outputs, whatever tells something of them is sealed for its place; a
//! state is sealed too, since whoever could write "admitted" would let a tool in.

use kekkai_review_api::ToolState;
use kekkai_types::{AgreementId, Digest, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use crate::model::Vote;
use crate::seal::SealError;
use crate::store::{Store, StoreError, altered};
use crate::tool::{ListedTool, ToolHead, ToolStep, keeps_component, next, state_name};

/// Requests that lists reach back to.
const TOOLS_LISTED_MAX: u32 = 500;

/// Requests, and the ids of those whose stored bytes were changed.
#[derive(Debug, Default)]
pub struct ToolListing {
    /// Readable ones.
    pub tools: Vec<ListedTool>,
    /// Ids as the database has them.
    pub altered: Vec<String>,
}

/// The sealed state.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Standing {
    state: ToolState,
    changed: Timestamp,
}

struct Raw {
    id: String,
    standing: Vec<u8>,
    head: Vec<u8>,
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            standing: row.get(1)?,
            head: row.get(2)?,
        })
    }
}

impl Store {
    /// Stores a request that arrived; the ledger knows it already.
    pub fn insert_tool(&self, head: &ToolHead, component: &[u8]) -> Result<(), StoreError> {
        let request = head.manifest.digest();
        let id = request.to_string();
        let state = next(None, ToolStep::Submitted)
            .ok_or_else(|| refused(&request, ToolStep::Submitted))?;
        let standing = self.standing(&request, state, head.submitted)?;
        let sealed_head = self.seal(&head_place(&request), head)?;
        let sealed_component = self
            .sealer()
            .seal(&component_place(&request), component)
            .map_err(StoreError::Seal)?;
        self.lock().execute(
            "INSERT INTO tools (id, agreement, name, state, submitted, standing, head, component)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                id,
                head.manifest.agreement.as_str(),
                head.manifest.name.as_str(),
                state_name(state),
                head.submitted.0,
                standing,
                sealed_head,
                sealed_component
            ],
        )?;
        Ok(())
    }

    /// A request with its votes; `None` where there is none.
    pub fn find_tool(&self, request: &Digest) -> Result<Option<ListedTool>, StoreError> {
        let raw = self
            .lock()
            .query_row(
                "SELECT id, standing, head FROM tools WHERE id = ?1",
                [request.to_string()],
                Raw::read,
            )
            .optional()?;
        raw.map(|raw| self.listed_tool(&raw)).transpose()
    }

    /// Requests of one project or of all: first what waits or runs, and of each the newest first.
    pub fn tools(&self, agreement: Option<&AgreementId>) -> Result<ToolListing, StoreError> {
        let raw: Vec<Raw> = {
            let connection = self.lock();
            let mut statement = connection.prepare(
                "SELECT id, standing, head FROM tools WHERE ?1 IS NULL OR agreement = ?1
                 ORDER BY state IN ('waiting', 'half-voted', 'admitted') DESC, submitted DESC, id
                 LIMIT ?2",
            )?;
            let id = agreement.map(AgreementId::as_str);
            let rows = statement.query_map(params![id, TOOLS_LISTED_MAX], Raw::read)?;
            rows.collect::<Result<_, _>>()?
        };
        let mut listing = ToolListing::default();
        for raw in raw {
            match self.listed_tool(&raw) {
                Ok(listed) => listing.tools.push(listed),
                Err(StoreError::Altered { output, .. }) => listing.altered.push(output),
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }

    /// The component of a request, whose digest is computed anew; `None` where it is not kept any more.
    pub fn tool_component(&self, head: &ToolHead) -> Result<Option<Vec<u8>>, StoreError> {
        let request = head.manifest.digest();
        let id = request.to_string();
        let sealed: Option<Vec<u8>> =
            self.lock()
                .query_row("SELECT component FROM tools WHERE id = ?1", [&id], |row| {
                    row.get(0)
                })?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let component = self.open_bytes(&id, &component_place(&request), &sealed)?;
        if Digest::of(&component) != head.manifest.component_sha256 {
            return Err(altered(&id, SealError::Altered));
        }
        Ok(Some(component))
    }

    /// Stores a vote that the ledger knows.
    pub fn vote_on_tool(
        &self,
        request: &Digest,
        vote: &Vote,
        is_first: bool,
    ) -> Result<(), StoreError> {
        let id = request.to_string();
        let sealed = self.seal(&vote_place(request, vote.reviewer.as_str()), vote)?;
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute(
            "INSERT INTO tool_votes (tool, reviewer, sealed) VALUES (?1, ?2, ?3)",
            params![id, vote.reviewer.as_str(), sealed],
        )?;
        if is_first {
            self.move_tool(
                &tx,
                request,
                ToolState::Waiting,
                ToolStep::FirstVote,
                vote.at,
            )?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Requests with two votes that are not concluded: work for a restart.
    pub fn unconcluded_tools(&self) -> Result<Vec<Digest>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare(
            "SELECT id FROM tools t WHERE state = 'half-voted' AND 2 <=
               (SELECT COUNT(*) FROM tool_votes v WHERE v.tool = t.id)
             ORDER BY submitted, id",
        )?;
        let ids = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut found = Vec::new();
        for id in ids {
            // An id that is no digest can't be one of ours.
            if let Ok(id) = id?.parse() {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Concludes a request; the ledger knows it already. An admitted one takes the place of the version
    /// before it, in one commit.
    pub fn conclude_tool(
        &self,
        listed: &ListedTool,
        before: &[Digest],
        step: ToolStep,
        at: Timestamp,
    ) -> Result<ToolState, StoreError> {
        let request = listed.head.manifest.digest();
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for earlier in before {
            self.move_tool(&tx, earlier, ToolState::Admitted, ToolStep::Replaced, at)?;
        }
        let state = self.move_tool(&tx, &request, ToolState::HalfVoted, step, at)?;
        tx.commit()?;
        Ok(state)
    }

    /// Takes requests back; the ledger knows it already.
    pub fn withdraw_tools(&self, tools: &[ListedTool], at: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for listed in tools {
            let request = listed.head.manifest.digest();
            self.move_tool(&tx, &request, listed.state, ToolStep::Withdrawn, at)?;
        }
        tx.commit()?;
        Ok(())
    }

    fn standing(
        &self,
        request: &Digest,
        state: ToolState,
        changed: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        self.seal(&standing_place(request), &Standing { state, changed })
    }

    /// The state that the caller saw must still be there. Bytes that can't run any more are not kept.
    fn move_tool(
        &self,
        tx: &Transaction<'_>,
        request: &Digest,
        from: ToolState,
        step: ToolStep,
        at: Timestamp,
    ) -> Result<ToolState, StoreError> {
        let to = next(Some(from), step).ok_or_else(|| refused(request, step))?;
        let changed = tx.execute(
            "UPDATE tools SET state = ?2, standing = ?3,
               component = CASE WHEN ?5 THEN component ELSE NULL END
             WHERE id = ?1 AND state = ?4",
            params![
                request.to_string(),
                state_name(to),
                self.standing(request, to, at)?,
                state_name(from),
                keeps_component(to)
            ],
        )?;
        if changed == 1 {
            Ok(to)
        } else {
            Err(refused(request, step))
        }
    }

    fn listed_tool(&self, raw: &Raw) -> Result<ListedTool, StoreError> {
        let id = raw.id.as_str();
        let request: Digest = id.parse().map_err(|_| altered(id, SealError::Altered))?;
        let head: ToolHead = self.unseal(id, &head_place(&request), &raw.head)?;
        let Standing { state, .. } = self.unseal(id, &standing_place(&request), &raw.standing)?;
        if head.manifest.digest() != request {
            return Err(altered(id, SealError::Altered));
        }
        let rows: Vec<(String, Vec<u8>)> = {
            let connection = self.lock();
            let mut statement = connection
                .prepare_cached("SELECT reviewer, sealed FROM tool_votes WHERE tool = ?1")?;
            let rows = statement.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        let mut votes = Vec::with_capacity(rows.len());
        for (reviewer, sealed) in rows {
            votes.push(self.unseal::<Vote>(id, &vote_place(&request, &reviewer), &sealed)?);
        }
        votes.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.reviewer.cmp(&b.reviewer)));
        Ok(ListedTool { head, state, votes })
    }
}

fn refused(request: &Digest, step: ToolStep) -> StoreError {
    StoreError::ToolStep {
        tool: *request,
        step: step.as_str(),
    }
}

fn head_place(request: &Digest) -> String {
    format!("tool-head/{request}")
}

fn standing_place(request: &Digest) -> String {
    format!("tool-standing/{request}")
}

fn component_place(request: &Digest) -> String {
    format!("tool-component/{request}")
}

fn vote_place(request: &Digest, reviewer: &str) -> String {
    format!("tool-vote/{request}/{reviewer}")
}
