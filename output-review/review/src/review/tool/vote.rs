//! Reviewers vote on a tool, blind until both have; two acceptances let it in.

use kekkai_output::OutputDigest;
use kekkai_policy_api::{Action, Event};
use kekkai_review_api::ToolState;
use kekkai_types::{Digest, Timestamp};

use super::tool_resource;
use crate::model::Vote;
use crate::policy::Actor;
use crate::review::{Review, VoteError, checked_comment};
use crate::tool::{ListedTool, ToolStep, takes_votes};

/// A vote on a tool as a reviewer sends it.
#[derive(Debug, Clone)]
pub struct ToolBallot {
    /// On which request: the digest of what its author signed.
    pub request: Digest,
    /// What the page showed.
    pub shown: Digest,
    /// True: let it in.
    pub accept: bool,
    /// Needed where `accept` is false.
    pub comment: String,
}

impl Review {
    /// Takes a vote on a tool. Whatever refuses it is written to the ledger, where the ledger can be
    /// reached.
    pub async fn vote_on_tool(
        &self,
        actor: &Actor,
        ballot: ToolBallot,
        now: Timestamp,
    ) -> Result<ToolState, VoteError> {
        let _turn = self.turn.lock().await;
        let request = ballot.request;
        let error = match self.try_vote_on_tool(actor, ballot, now).await {
            Ok(state) => return Ok(state),
            Err(error) => error,
        };
        if let Some(code) = error.code() {
            let event = Event::RequestRefused {
                person: Some(actor.person.clone()),
                session: None,
                terminal: Some(actor.terminal.clone()),
                request: format!("vote on tool request {request}: {code}"),
            };
            if let Err(cause) = self.policy.record(event).await {
                tracing::error!(error = %cause, "a refused vote could not be recorded");
            }
        }
        tracing::warn!(tool = %request, %error, "vote refused");
        Err(error)
    }

    async fn try_vote_on_tool(
        &self,
        actor: &Actor,
        ballot: ToolBallot,
        now: Timestamp,
    ) -> Result<ToolState, VoteError> {
        let request = ballot.request;
        let listed = self
            .store
            .run(move |store| store.find_tool(&request))
            .await?
            .ok_or(VoteError::NotFound)?;
        self.policy
            .allow(actor, Action::Vote, tool_resource(&listed.head))
            .await?;
        may_vote(actor, &ballot, &listed)?;
        let vote = Vote {
            reviewer: actor.person.clone(),
            accept: ballot.accept,
            digest: OutputDigest(request),
            comment: checked_comment(&ballot.comment, ballot.accept)?,
            at: now,
        };
        let manifest = &listed.head.manifest;
        self.policy
            .record(Event::ToolVoted {
                agreement: manifest.agreement.clone(),
                tool: manifest.name.to_string(),
                digest: manifest.component_sha256,
                reviewer: actor.person.clone(),
                accept: ballot.accept,
            })
            .await?;
        let is_first = listed.votes.is_empty();
        self.store
            .run(move |store| store.vote_on_tool(&request, &vote, is_first))
            .await?;
        if is_first {
            return Ok(ToolState::HalfVoted);
        }
        // The votes are in. When the ledger fails just now, the next attempt concludes.
        match self.conclude_tool(&request, now).await {
            Ok(state) => Ok(state),
            Err(error) => {
                tracing::warn!(tool = %request, %error, "not concluded yet");
                Ok(ToolState::HalfVoted)
            }
        }
    }

    /// Concludes a request that has two votes: first the ledger, then the effect.
    async fn conclude_tool(
        &self,
        request: &Digest,
        now: Timestamp,
    ) -> Result<ToolState, VoteError> {
        let id = *request;
        let (listed, all) = self
            .store
            .run(move |store| {
                let listed = store.find_tool(&id)?;
                let agreement = listed.as_ref().map(|l| l.head.manifest.agreement.clone());
                Ok((listed, store.tools(agreement.as_ref())?))
            })
            .await?;
        let listed = listed.ok_or(VoteError::NotFound)?;
        if listed.state != ToolState::HalfVoted || listed.votes.len() < 2 {
            return Err(VoteError::Over);
        }
        let manifest = listed.head.manifest.clone();
        let (agreement, tool) = (manifest.agreement.clone(), manifest.name.to_string());
        let digest = manifest.component_sha256;
        let (step, event, before) = match listed.admitted_by() {
            Some(reviewers) => {
                // The bytes that will run are those that were signed and voted on, or nothing.
                let head = listed.head.clone();
                self.store
                    .run(move |store| store.tool_component(&head))
                    .await?
                    .ok_or(VoteError::NotFound)?;
                let earlier = all.tools.iter().filter(|other| {
                    other.state == ToolState::Admitted && other.head.manifest.name == manifest.name
                });
                let before: Vec<Digest> =
                    earlier.map(|other| other.head.manifest.digest()).collect();
                let event = Event::ToolAdmitted {
                    agreement,
                    tool,
                    digest,
                    reviewers,
                };
                (ToolStep::BothAccepted, event, before)
            }
            None => {
                let event = Event::ToolRejected {
                    agreement,
                    tool,
                    digest,
                };
                (ToolStep::NotBoth, event, Vec::new())
            }
        };
        self.policy.record(event).await?;
        let state = self
            .store
            .run(move |store| store.conclude_tool(&listed, &before, step, now))
            .await?;
        tracing::info!(tool = %request, step = step.as_str(), "tool concluded");
        Ok(state)
    }

    /// Concludes whatever has its two votes: after a restart, or when the ledger is back.
    pub async fn conclude_all_tools(&self, now: Timestamp) {
        let found = self.store.run(crate::store::Store::unconcluded_tools).await;
        for request in found.unwrap_or_default() {
            let _turn = self.turn.lock().await;
            match self.conclude_tool(&request, now).await {
                Ok(_) | Err(VoteError::Over) => {}
                Err(error) => tracing::warn!(tool = %request, %error, "not concluded yet"),
            }
        }
    }
}

/// Does the state allow this vote? Whether the person may is asked elsewhere.
fn may_vote(actor: &Actor, ballot: &ToolBallot, listed: &ListedTool) -> Result<(), VoteError> {
    // The policy service has said so already; what runs hangs on it, so it is asked twice.
    if actor.person == listed.head.manifest.author {
        return Err(VoteError::OwnOutput);
    }
    if listed.vote_of(&actor.person).is_some() {
        return Err(VoteError::VotedAlready);
    }
    if !takes_votes(listed.state) || listed.votes.len() > 1 {
        return Err(VoteError::Over);
    }
    if ballot.shown != ballot.request {
        return Err(VoteError::OtherBytes);
    }
    Ok(())
}
