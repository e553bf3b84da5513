//! The tools of projects: bytes that two reviewers admitted, fetched from the review service and believed
//! by their digest only.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kekkai_analysis_api::ToolEntry;
use kekkai_review_api::{FetchTool, ListTools, ToolName};
use kekkai_service::{CallError, Client};
use kekkai_sys::memfd;
use kekkai_types::{AgreementId, Digest, Refusal};
use kekkai_worker_api::COMPONENT_MAX;

/// Components that are kept in memory; all are forgotten when there are more.
const KEPT_MAX: usize = 32;

/// Components that were fetched, by their digests.
#[derive(Default)]
pub struct Tools {
    kept: Mutex<BTreeMap<Digest, Arc<File>>>,
}

impl Tools {
    /// The tools of a project.
    pub async fn list(
        &self,
        review: &Client,
        agreement: &AgreementId,
    ) -> Result<Vec<ToolEntry>, Refusal> {
        let call = ListTools {
            agreement: agreement.clone(),
        };
        let tools = review.call(&call).await.map_err(CallError::into_refusal)?;
        let entry = |tool: kekkai_review_api::AdmittedTool| ToolEntry {
            name: tool.name.to_string(),
            digest: tool.digest,
            description: tool.description,
        };
        Ok(tools.into_iter().map(entry).collect())
    }

    /// A tool's component in sealed memory, and its digest: the one that was admitted last.
    pub async fn get(
        &self,
        review: &Client,
        agreement: &AgreementId,
        name: &str,
    ) -> Result<(Digest, Arc<File>), Refusal> {
        let tools = self.list(review, agreement).await?;
        let admitted = tools
            .into_iter()
            .find(|tool| tool.name == name)
            .ok_or_else(|| Refusal::new("tool-unknown", name))?;
        if let Some(file) = self.kept().get(&admitted.digest) {
            return Ok((admitted.digest, file.clone()));
        }
        let call = FetchTool {
            agreement: agreement.clone(),
            name: ToolName::new(name).map_err(|_| Refusal::new("tool-unknown", name))?,
        };
        let fetched = review.call(&call).await.map_err(CallError::into_refusal)?;
        let bytes = BASE64_STANDARD.decode(&fetched.component).ok();
        let Some(bytes) = bytes.filter(|bytes| Digest::of(bytes) == admitted.digest) else {
            // Whatever was admitted, this is not it.
            return Err(Refusal::new("tool-changed", name));
        };
        let sealed = memfd::seal("component", &mut bytes.as_slice(), COMPONENT_MAX, |_| ());
        let file = sealed.map_err(|error| Refusal::new("internal", error.to_string()))?;
        let file = Arc::new(File::from(file));
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(admitted.digest, file.clone());
        Ok((admitted.digest, file))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Arc<File>>> {
        // Only whole changes are made under this lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
