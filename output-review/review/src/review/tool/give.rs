//! Tools are listed, handed to analysis servers, and taken back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kekkai_policy_api::Event;
use kekkai_review_api::{
    AdmittedTool, FetchTool, FetchedTool, ListToolRequests, ListTools, ToolState, ToolSummary,
    WithdrawTool,
};
use kekkai_types::{PersonId, Refusal, Timestamp};

use super::{internal, summary, unrecorded};
use crate::review::Review;
use crate::tool::{ListedTool, ToolStep, next};

impl Review {
    /// The tools that a project's sessions may run.
    pub async fn list_tools(&self, call: ListTools) -> Result<Vec<AdmittedTool>, Refusal> {
        let listing = self
            .store
            .run(move |store| store.tools(Some(&call.agreement)))
            .await
            .map_err(|error| internal(&error))?;
        Ok(listing
            .tools
            .into_iter()
            .filter(is_admitted)
            .map(|listed| AdmittedTool {
                name: listed.head.manifest.name,
                digest: listed.head.manifest.component_sha256,
                description: listed.head.manifest.description,
            })
            .collect())
    }

    /// The bytes of an admitted tool, verified against what was signed and voted on.
    pub async fn fetch_tool(&self, call: FetchTool) -> Result<FetchedTool, Refusal> {
        let not_found = Refusal::not_found(call.name.as_str());
        // One at a time: each may hold several times 64 MiB.
        let _opening = self.opening.lock().await;
        let found =
            self.store
                .run(move |store| {
                    let listing = store.tools(Some(&call.agreement))?;
                    let wanted = listing.tools.into_iter().find(|listed| {
                        listed.head.manifest.name == call.name && is_admitted(listed)
                    });
                    let Some(listed) = wanted else {
                        return Ok(None);
                    };
                    let component = store.tool_component(&listed.head)?;
                    let digest = listed.head.manifest.component_sha256;
                    Ok(component.map(|component| FetchedTool {
                        digest,
                        component: STANDARD.encode(component),
                    }))
                })
                .await
                .map_err(|error| internal(&error))?;
        found.ok_or(not_found)
    }

    /// Requests and tools, for staff.
    pub async fn list_tool_requests(
        &self,
        by: &PersonId,
        call: ListToolRequests,
    ) -> Result<Vec<ToolSummary>, Refusal> {
        self.operator(by).await?;
        let listing = self
            .store
            .run(move |store| store.tools(call.agreement.as_ref()))
            .await
            .map_err(|error| internal(&error))?;
        Ok(listing.tools.iter().map(summary).collect())
    }

    /// Takes back every version of a tool that is admitted or waits. `not-found` where none is.
    pub async fn withdraw_tool(
        &self,
        by: PersonId,
        call: WithdrawTool,
        now: Timestamp,
    ) -> Result<Vec<ToolSummary>, Refusal> {
        self.operator(&by).await?;
        let _turn = self.turn.lock().await;
        let (agreement, name) = (call.agreement.clone(), call.name.clone());
        let listing = self
            .store
            .run(move |store| store.tools(Some(&agreement)))
            .await
            .map_err(|error| internal(&error))?;
        let standing: Vec<ListedTool> = listing
            .tools
            .into_iter()
            .filter(|listed| {
                listed.head.manifest.name == name
                    && next(Some(listed.state), ToolStep::Withdrawn).is_some()
            })
            .collect();
        if standing.is_empty() {
            return Err(Refusal::not_found(name.as_str()));
        }
        for listed in &standing {
            self.policy
                .record(Event::ToolWithdrawn {
                    agreement: call.agreement.clone(),
                    tool: name.to_string(),
                    digest: listed.head.manifest.component_sha256,
                    by: by.clone(),
                })
                .await
                .map_err(unrecorded)?;
        }
        let summaries = standing
            .iter()
            .map(|listed| ToolSummary {
                state: ToolState::Withdrawn,
                ..summary(listed)
            })
            .collect();
        self.store
            .run(move |store| store.withdraw_tools(&standing, now))
            .await
            .map_err(|error| internal(&error))?;
        tracing::info!(tool = name.as_str(), "tool withdrawn");
        Ok(summaries)
    }
}

/// A state alone lets nothing run: the two votes are looked at each time.
fn is_admitted(listed: &ListedTool) -> bool {
    listed.state == ToolState::Admitted && listed.admitted_by().is_some()
}
