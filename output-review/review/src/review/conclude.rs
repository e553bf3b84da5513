//! Two votes are in: what becomes of the output.

use std::time::Duration;

use kekkai_bundle::{Approval, BundleError, Candidate, Release};
use kekkai_policy_api::Event;
use kekkai_review_api::OutputState;
use kekkai_types::{OutputId, Timestamp};

use super::{Review, VoteError};
use crate::model::{Stored, Vote};
use crate::state::Step;
use crate::store::Store;

/// How often votes that could not be concluded are tried again.
pub const CONCLUDE_INTERVAL: Duration = Duration::from_secs(3);

impl Review {
    /// Concludes an output that has two votes: first the ledger, then the effect. Repeating it is
    /// safe: the prepared release is stored, so that the ledger names the same bytes each time.
    pub(super) async fn conclude(
        &self,
        output: &OutputId,
        now: Timestamp,
    ) -> Result<OutputState, VoteError> {
        let id = output.clone();
        let stored = self
            .store
            .run(move |store| store.load(&id))
            .await?
            .ok_or(VoteError::NotFound)?;
        let listed = &stored.listed;
        let round = listed.round;
        let digest = listed.head.digest;
        let [first, second] = listed.votes.as_slice() else {
            return Err(VoteError::Over);
        };
        if listed.state != OutputState::HalfVoted {
            return Err(VoteError::Over);
        }
        let id = output.clone();
        let (step, event) = match (first.accept, second.accept) {
            (true, true) => {
                let (approval, _) = approve(&stored, first, second)?;
                // Stored in one commit with the second vote.
                let kept = self.store.run(move |store| store.prepared(&id)).await?;
                let kept = kept.ok_or(BundleError::Record("no release was prepared"))?;
                let release = Release::resume(approval, &kept)?;
                let ledger_index = self
                    .policy
                    .record(Event::OutputReleased {
                        output: output.clone(),
                        digest: digest.0,
                        bundle: release.digest(),
                        reviewers: [first.reviewer.clone(), second.reviewer.clone()],
                    })
                    .await?;
                let bundle = release.sign(&self.signer, ledger_index)?;
                let id = output.clone();
                let state = self
                    .store
                    .run(move |store| store.release(&id, round, ledger_index, &bundle, now))
                    .await?;
                tracing::info!(output = output.as_str(), ledger_index, "released");
                return Ok(state);
            }
            (false, false) => (
                Step::BothRefused,
                Event::OutputRejected {
                    output: id,
                    digest: digest.0,
                },
            ),
            _ => (
                Step::Disagreed,
                Event::OutputReturned {
                    output: id,
                    digest: digest.0,
                },
            ),
        };
        self.policy.record(event).await?;
        let id = output.clone();
        let state = self
            .store
            .run(move |store| store.conclude(&id, round, step, now))
            .await?;
        tracing::info!(output = output.as_str(), step = step.as_str(), "concluded");
        Ok(state)
    }

    /// Concludes whatever has its two votes: after a restart, or when the ledger is back.
    pub async fn conclude_all(&self, now: Timestamp) {
        let found = self.store.run(Store::unconcluded).await;
        for output in found.unwrap_or_default() {
            let _turn = self.turn.lock().await;
            match self.conclude(&output, now).await {
                Ok(_) | Err(VoteError::Over) => {}
                Err(error) => tracing::warn!(output = output.as_str(), %error, "not concluded yet"),
            }
        }
    }
}

pub(super) fn approve<'a>(
    stored: &'a Stored,
    first: &Vote,
    second: &Vote,
) -> Result<(Approval, Candidate<'a>), VoteError> {
    let head = &stored.listed.head;
    // Votes of one moment come from the database in this order: the prepared release has it too.
    let [first, second] = if (first.at, &first.reviewer) <= (second.at, &second.reviewer) {
        [first, second]
    } else {
        [second, first]
    };
    let candidate = Candidate {
        output: &head.output,
        agreement: &head.agreement,
        author: &head.author,
        submitted: head.submitted,
        content: &stored.content,
        report: &head.report,
    };
    let (Some(a), Some(b)) = (
        first.as_accept(&head.output),
        second.as_accept(&head.output),
    ) else {
        return Err(VoteError::Over);
    };
    Ok((Approval::grant(&candidate, [&a, &b])?, candidate))
}
