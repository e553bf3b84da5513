//! The rules have changed: what waits is checked anew.

use kekkai_checks::{Verdict, check_content};
use kekkai_policy_api::Event;
use kekkai_types::Timestamp;

use super::{Review, VoteError};
use crate::model::Head;
use crate::state::Step;
use crate::store::OUTPUTS_WAITING_MAX;

impl Review {
    /// Checks again what waits under rules that have changed since. Votes that were given on the old
    /// findings are annulled, which the ledger hears first.
    pub async fn recheck_all(&self, now: Timestamp) -> Result<(), VoteError> {
        let _turn = self.turn.lock().await;
        let waiting = self
            .store
            .run(|store| store.list(true, OUTPUTS_WAITING_MAX))
            .await?;
        for listed in waiting.outputs {
            let profile = listed.head.report.profile.profile();
            // Two votes are a decision: it stands.
            if listed.head.report.profile_hash == profile.hash() || listed.votes.len() > 1 {
                continue;
            }
            let output = listed.head.output.clone();
            let stored = self
                .store
                .run(move |store| store.load(&output))
                .await?
                .ok_or(VoteError::NotFound)?;
            let mut report = check_content(&stored.content, &profile);
            report.add(listed.head.report.added().cloned());
            let head = Head {
                report,
                ..listed.head.clone()
            };
            for vote in &listed.votes {
                self.policy
                    .record(Event::VoteRefused {
                        output: head.output.clone(),
                        reviewer: vote.reviewer.clone(),
                        reason: "rules-changed".to_owned(),
                    })
                    .await?;
            }
            let mut step = Step::Rechecked;
            if head.report.verdict == Verdict::Fail {
                step = Step::RecheckFailed;
                self.policy
                    .record(Event::OutputRejected {
                        output: head.output.clone(),
                        digest: head.digest.0,
                    })
                    .await?;
            }
            tracing::info!(
                output = head.output.as_str(),
                step = step.as_str(),
                "rules changed"
            );
            self.store
                .run(move |store| store.recheck(&listed, &head, step, now))
                .await?;
        }
        Ok(())
    }
}
