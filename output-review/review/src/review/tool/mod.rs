//! Tools that somebody brings in: submitted, voted on, listed, withdrawn.

mod give;
mod submit;
mod vote;

use kekkai_policy_api::Resource;
use kekkai_review_api::{ToolManifest, ToolSummary};
use kekkai_types::Refusal;

pub use submit::TOOLS_WAITING_MAX;
pub use vote::ToolBallot;

use crate::policy::PolicyError;
use crate::store::StoreError;
use crate::tool::{ListedTool, ToolHead, takes_votes};

/// What the policy service is asked about.
pub fn tool_resource(head: &ToolHead) -> Resource {
    resource_of(&head.manifest)
}

fn resource_of(manifest: &ToolManifest) -> Resource {
    Resource::Tool {
        tool: manifest.name.to_string(),
        agreement: manifest.agreement.clone(),
        author: manifest.author.clone(),
    }
}

/// For staff: comments once both have voted.
fn summary(listed: &ListedTool) -> ToolSummary {
    let manifest = &listed.head.manifest;
    let comments = if takes_votes(listed.state) {
        Vec::new()
    } else {
        let comments = listed.votes.iter().map(|vote| vote.comment.clone());
        comments.filter(|comment| !comment.is_empty()).collect()
    };
    ToolSummary {
        agreement: manifest.agreement.clone(),
        name: manifest.name.clone(),
        digest: manifest.component_sha256,
        author: manifest.author.clone(),
        submitted: listed.head.submitted,
        state: listed.state,
        comments,
    }
}

fn internal(error: &StoreError) -> Refusal {
    tracing::error!(%error, "database");
    Refusal::new("internal", "review")
}

fn unrecorded(error: PolicyError) -> Refusal {
    match error {
        PolicyError::NoAnswer(cause) => cause.into_refusal(),
        PolicyError::Refused(_) => Refusal::new("internal", "record"),
    }
}
