//! A request for a tool arrives, handed on by staff.

use kekkai_policy_api::{Action, EndReason, Event};
use kekkai_review_api::{SubmitTool, ToolSummary};
use kekkai_tool::{Opened, open};
use kekkai_types::{PersonId, Refusal, Role, TerminalId, Timestamp};

use super::{internal, resource_of, summary, unrecorded};
use crate::policy::{Actor, PolicyError};
use crate::review::Review;
use crate::tool::{ToolHead, ToolPart, keeps_component, takes_votes};

/// Requests that may wait for votes at once: each may have 64 MiB.
pub const TOOLS_WAITING_MAX: usize = 50;
/// Characters of a reason, in the ledger.
const REASON_MAX: usize = 200;

/// Why a request is refused, for the ledger and for whoever handed it on.
struct Fault {
    code: &'static str,
    detail: String,
    /// Known once the signature verified.
    author: Option<PersonId>,
}

impl Fault {
    fn by(opened: &Opened, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            author: Some(opened.manifest().author.clone()),
        }
    }
}

impl Review {
    /// Takes a request: checks it, asks whether its author may, records it, stores it. The same request
    /// a second time changes nothing. What is refused is written to the ledger with its reason.
    pub async fn submit_tool(
        &self,
        by: PersonId,
        submit: SubmitTool,
        now: Timestamp,
    ) -> Result<ToolSummary, Refusal> {
        self.operator(&by).await?;
        let claimed = submit.request.manifest.clone();
        // One at a time: each may hold several times 64 MiB.
        let opened = {
            let _opening = self.opening.lock().await;
            let work = move || open(&submit.request);
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|_| Refusal::new("internal", "tool"))?
        };
        let judged = match opened {
            Err(error) => Err(Fault {
                code: error.code(),
                detail: error.detail(),
                author: None,
            }),
            Ok(opened) => match self.author_may(&opened).await? {
                Ok(terminal) => Ok((opened, terminal)),
                Err(fault) => Err(fault),
            },
        };
        let _turn = self.turn.lock().await;
        let judged = match judged {
            Ok((opened, terminal)) => self.fits(opened, terminal).await?,
            Err(fault) => Err(fault),
        };
        let (opened, terminal) = match judged {
            Ok(Fit::New(opened, terminal)) => (opened, terminal),
            Ok(Fit::Known(summary)) => return Ok(*summary),
            Err(fault) => {
                let detail: String = fault.detail.chars().take(REASON_MAX).collect();
                let reason = if detail.is_empty() {
                    fault.code.to_owned()
                } else {
                    format!("{}: {detail}", fault.code)
                };
                tracing::warn!(tool = claimed.name.as_str(), reason, "tool refused");
                self.policy
                    .record(Event::ToolRefused {
                        agreement: claimed.agreement,
                        tool: claimed.name.into(),
                        digest: claimed.component_sha256,
                        author: fault.author,
                        reason,
                    })
                    .await
                    .map_err(unrecorded)?;
                return Err(Refusal::new(fault.code, detail));
            }
        };
        let head = head_of(&opened, terminal, by, now);
        let manifest = &head.manifest;
        self.policy
            .record(Event::ToolSubmitted {
                agreement: manifest.agreement.clone(),
                tool: manifest.name.to_string(),
                digest: manifest.component_sha256,
                author: manifest.author.clone(),
                by: head.by.clone(),
            })
            .await
            .map_err(unrecorded)?;
        tracing::info!(tool = manifest.name.as_str(), "tool arrived");
        let request = manifest.digest();
        let stored = self
            .store
            .run(move |store| {
                store.insert_tool(&head, opened.component())?;
                store.find_tool(&request)
            })
            .await
            .map_err(|error| internal(&error))?;
        stored
            .map(|listed| summary(&listed))
            .ok_or_else(|| Refusal::new("internal", "tool"))
    }

    /// Is the author the owner of the key, and may they bring this tool? The policy service says.
    async fn author_may(&self, opened: &Opened) -> Result<Result<TerminalId, Fault>, Refusal> {
        let known = self
            .policy
            .terminal_of_key(&opened.signer().key)
            .await
            .map_err(unrecorded)?;
        let Some(known) = known else {
            let fingerprint = &opened.signer().fingerprint;
            return Ok(Err(Fault::by(opened, "tool-signer-unknown", fingerprint)));
        };
        let manifest = opened.manifest();
        let author = Actor {
            person: manifest.author.clone(),
            terminal: known.terminal.clone(),
        };
        let resource = resource_of(manifest);
        match self
            .policy
            .allow(&author, Action::BringTool, resource)
            .await
        {
            Ok(()) => Ok(Ok(known.terminal)),
            Err(PolicyError::Refused(reason)) => {
                let code = match reason {
                    EndReason::RoleNotAllowed => "tool-not-agreed",
                    EndReason::TerminalNotAllowed => "tool-signer-not-author",
                    EndReason::AgreementEnded => "agreement-ended",
                    _ => "tool-author-not-on-roster",
                };
                Ok(Err(Fault::by(opened, code, manifest.name.as_str())))
            }
            Err(error) => Err(unrecorded(error)),
        }
    }

    /// Is there room, and is it new?
    async fn fits(
        &self,
        opened: Opened,
        terminal: TerminalId,
    ) -> Result<Result<Fit, Fault>, Refusal> {
        let request = opened.manifest().digest();
        let (known, listing) = self
            .store
            .run(move |store| Ok((store.find_tool(&request)?, store.tools(None)?)))
            .await
            .map_err(|error| internal(&error))?;
        let manifest = opened.manifest();
        if let Some(known) = known {
            return Ok(if keeps_component(known.state) {
                Ok(Fit::Known(Box::new(summary(&known))))
            } else {
                Err(Fault::by(&opened, "tool-decided", manifest.name.as_str()))
            });
        }
        let waiting = listing
            .tools
            .iter()
            .filter(|listed| takes_votes(listed.state));
        // Two versions that wait side by side would leave open which of them reviewers mean.
        let is_twin = waiting.clone().any(|listed| {
            listed.head.manifest.name == manifest.name
                && listed.head.manifest.agreement == manifest.agreement
        });
        if is_twin {
            return Ok(Err(Fault::by(
                &opened,
                "tool-waits",
                manifest.name.as_str(),
            )));
        }
        if waiting.count() >= TOOLS_WAITING_MAX {
            let max = TOOLS_WAITING_MAX.to_string();
            return Ok(Err(Fault::by(&opened, "tool-queue-full", max)));
        }
        Ok(Ok(Fit::New(Box::new(opened), terminal)))
    }

    /// Staff are operators; a certificate of somebody who is no operator any more moves nothing.
    pub(super) async fn operator(&self, by: &PersonId) -> Result<(), Refusal> {
        let known = self.policy.person(by).await.map_err(unrecorded)?;
        if known.is_some_and(|known| known.roles.contains(&Role::Operator)) {
            Ok(())
        } else {
            Err(Refusal::new("role-not-allowed", by.as_str()))
        }
    }
}

enum Fit {
    New(Box<Opened>, TerminalId),
    Known(Box<ToolSummary>),
}

fn head_of(opened: &Opened, terminal: TerminalId, by: PersonId, now: Timestamp) -> ToolHead {
    let sbom = opened.sbom();
    ToolHead {
        manifest: opened.manifest().clone(),
        fingerprint: opened.signer().fingerprint.clone(),
        terminal,
        by,
        submitted: now,
        imports: opened.imports().to_vec(),
        version: sbom.version.clone(),
        parts: sbom
            .parts
            .iter()
            .map(|part| ToolPart {
                name: part.name.clone(),
                version: part.version.clone(),
                purl: part.purl.clone(),
            })
            .collect(),
    }
}
