//! The service: everything that changes an output goes through here, and in this order: ask, record,
//! then do.

use std::time::Duration;

use kekkai_bundle::{
    Approval, ApprovalError, BundleError, Candidate, Release, ReleaseSigner, verify,
};
use kekkai_checks::{Profile, Report, Verdict, check};
use kekkai_output::OutputDigest;
use kekkai_policy_api::{Action, EndReason, Event, Resource};
use kekkai_review_api::{OutputState, Submit};
use kekkai_types::{OutputId, Refusal, ServerId, Timestamp};
use tokio::sync::Mutex;

use crate::model::{Head, Listed, Stored, Vote};
use crate::policy::{Actor, Policy, PolicyError};
use crate::state::{Step, takes_votes};
use crate::store::{OUTPUTS_WAITING_MAX, Store, StoreError};

/// Characters of a title.
pub const TITLE_MAX: usize = 200;
/// Characters of a purpose.
pub const PURPOSE_MAX: usize = 2_000;
/// Columns of a table: a reviewer must be able to look at each.
pub const COLUMNS_MAX: usize = 1_000;
/// Outputs of one author that may wait for votes at once.
pub const AUTHOR_WAITING_MAX: usize = 20;
/// Characters of a reviewer's comment.
pub const COMMENT_MAX: usize = 2_000;
/// How often votes that could not be concluded are tried again.
pub const CONCLUDE_INTERVAL: Duration = Duration::from_secs(3);

/// The review service.
pub struct Review {
    store: Store,
    policy: Policy,
    signer: ReleaseSigner,
    /// One change at a time: two votes that come together are a first and a second.
    turn: Mutex<()>,
}

/// A vote as a reviewer sends it.
#[derive(Debug, Clone)]
pub struct Ballot {
    /// On which output.
    pub output: OutputId,
    /// What the page showed.
    pub digest: OutputDigest,
    /// The round that the page showed.
    pub round: u32,
    /// True: let it leave.
    pub accept: bool,
    /// Needed where `accept` is false.
    pub comment: String,
}

/// Why a vote has no effect.
#[derive(Debug, thiserror::Error)]
pub enum VoteError {
    /// No such output, or this person may not know.
    #[error("no such output")]
    NotFound,
    /// The policy service said no, or nothing.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Nobody votes on their own output.
    #[error("the author voted")]
    OwnOutput,
    /// The page showed other bytes.
    #[error("the vote is about other bytes")]
    OtherBytes,
    /// The page showed an earlier round.
    #[error("the vote is about another round")]
    OtherRound,
    /// One person, one vote.
    #[error("the person has voted already")]
    VotedAlready,
    /// Nothing is left to decide.
    #[error("the output is decided")]
    Over,
    /// A refusal tells the author why.
    #[error("a refusal needs a comment")]
    CommentMissing,
    /// Longer than [`COMMENT_MAX`].
    #[error("the comment is longer than {COMMENT_MAX} characters")]
    CommentTooLong,
    /// The two votes don't make an approval.
    #[error("no approval")]
    Approval(#[from] ApprovalError),
    /// The release can't be prepared: a bug.
    #[error("no release")]
    Bundle(#[from] BundleError),
    /// The database; an altered row is among its reasons.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a bundle is not given out.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No release, or this person may not know.
    #[error("no such release")]
    NotFound,
    /// The policy service said no, or nothing.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The stored bundle is not the one that was signed.
    #[error("the stored bundle doesn't verify")]
    Bundle(#[from] BundleError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl VoteError {
    /// The ledger's words; `None` where nobody voted yet: the form was not filled in.
    fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound => "no-such-output",
            Self::Policy(PolicyError::Refused(EndReason::OwnOutput)) | Self::OwnOutput => {
                "own-output"
            }
            Self::Policy(PolicyError::Refused(_)) => "policy-refused",
            Self::OtherBytes => "other-bytes",
            Self::OtherRound => "other-round",
            Self::VotedAlready => "voted-already",
            Self::Over => "decided-already",
            Self::Approval(_) => "no-approval",
            Self::Store(StoreError::Altered { .. }) => "stored-output-altered",
            Self::CommentMissing | Self::CommentTooLong => return None,
            // Nothing can be recorded, or the fault is ours.
            Self::Policy(PolicyError::NoAnswer(_)) | Self::Bundle(_) | Self::Store(_) => {
                return None;
            }
        })
    }
}

impl Review {
    /// Puts the parts together.
    pub fn new(store: Store, policy: Policy, signer: ReleaseSigner) -> Self {
        Self {
            store,
            policy,
            signer,
            turn: Mutex::new(()),
        }
    }

    /// The database, for pages.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The policy service, for pages.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes an output from an analysis server: checks it, records it, stores it. The same output a
    /// second time changes nothing.
    pub async fn submit(
        &self,
        server: ServerId,
        submit: Submit,
        now: Timestamp,
    ) -> Result<OutputDigest, Refusal> {
        let profile = Profile::named(&submit.sdc_profile)
            .map_err(|error| Refusal::new("profile-unknown", error.0))?;
        if submit.title.trim().is_empty() || submit.title.chars().count() > TITLE_MAX {
            return Err(Refusal::new("title-length", TITLE_MAX.to_string()));
        }
        if submit.purpose.chars().count() > PURPOSE_MAX {
            return Err(Refusal::new("purpose-length", PURPOSE_MAX.to_string()));
        }
        // They are shown in terminals too, where a control character is a command.
        let is_plain = |text: &str| text.chars().all(|c| !c.is_control() || c == '\n');
        if !is_plain(&submit.purpose) || !is_plain(&submit.title) || submit.title.contains('\n') {
            return Err(Refusal::new("control-characters", "title or purpose"));
        }
        if submit.table.columns.len() > COLUMNS_MAX {
            return Err(Refusal::new("table-columns", COLUMNS_MAX.to_string()));
        }
        let judged = tokio::task::spawn_blocking(move || judge(submit, &profile)).await;
        let (submit, report, digest) = judged.map_err(|_| Refusal::new("internal", "checks"))??;
        let table = submit.table;
        let head = Head {
            output: submit.output,
            server,
            session: submit.session,
            job: submit.job,
            author: submit.author,
            agreement: submit.agreement,
            title: submit.title,
            purpose: submit.purpose,
            lang: submit.lang,
            submitted: now,
            digest,
            report,
        };

        let _turn = self.turn.lock().await;
        let output = head.output.clone();
        let found = self
            .store
            .run(move |store| Ok((store.find(&output)?, store.list(true, OUTPUTS_WAITING_MAX)?)))
            .await;
        let (existing, waiting) = found.map_err(|error| internal(&error))?;
        if let Some(existing) = existing {
            let known = existing.head;
            let is_same = known.digest == head.digest
                && known.author == head.author
                && known.agreement == head.agreement
                && known.session == head.session
                && known.job == head.job
                && known.server == head.server;
            return if is_same {
                Ok(known.digest)
            } else {
                Err(Refusal::new("output-exists", head.output.as_str()))
            };
        }
        let all = waiting.outputs.len().saturating_add(waiting.altered.len());
        if u32::try_from(all).is_ok_and(|all| all >= OUTPUTS_WAITING_MAX) {
            return Err(Refusal::new("queue-full", OUTPUTS_WAITING_MAX.to_string()));
        }
        // One author must not fill the queue for everybody.
        let own = waiting
            .outputs
            .iter()
            .filter(|listed| listed.head.author == head.author);
        if own.count() >= AUTHOR_WAITING_MAX {
            return Err(Refusal::new(
                "author-queue-full",
                AUTHOR_WAITING_MAX.to_string(),
            ));
        }
        let is_failing = head.report.verdict == Verdict::Fail;
        self.record(Event::OutputSubmitted {
            output: head.output.clone(),
            digest: digest.0,
            author: head.author.clone(),
            agreement: head.agreement.clone(),
            session: head.session.clone(),
        })
        .await?;
        if is_failing {
            // Rejected by the checks: an entry without votes before it says so.
            self.record(Event::OutputRejected {
                output: head.output.clone(),
                digest: digest.0,
            })
            .await?;
        }
        let step = if is_failing {
            Step::SubmittedFailing
        } else {
            Step::Submitted
        };
        tracing::info!(
            output = head.output.as_str(),
            step = step.as_str(),
            "output arrived"
        );
        self.store
            .run(move |store| store.insert(&head, &table, step))
            .await
            .map_err(|error| internal(&error))?;
        Ok(digest)
    }

    async fn record(&self, event: Event) -> Result<u64, Refusal> {
        self.policy
            .record(event)
            .await
            .map_err(|error| match error {
                PolicyError::NoAnswer(cause) => cause.into_refusal(),
                PolicyError::Refused(_) => Refusal::new("internal", "record"),
            })
    }

    /// Takes a vote. Whatever refuses it is written to the ledger, where the ledger can be reached.
    pub async fn vote(
        &self,
        actor: &Actor,
        ballot: Ballot,
        now: Timestamp,
    ) -> Result<OutputState, VoteError> {
        let _turn = self.turn.lock().await;
        let output = ballot.output.clone();
        match self.try_vote(actor, ballot, now).await {
            Ok(state) => Ok(state),
            Err(error) => {
                if let Some(code) = error.code() {
                    let event = Event::VoteRefused {
                        output: output.clone(),
                        reviewer: actor.person.clone(),
                        reason: code.to_owned(),
                    };
                    if let Err(cause) = self.policy.record(event).await {
                        tracing::error!(error = %cause, "a refused vote could not be recorded");
                    }
                }
                tracing::warn!(output = output.as_str(), %error, "vote refused");
                Err(error)
            }
        }
    }

    async fn try_vote(
        &self,
        actor: &Actor,
        ballot: Ballot,
        now: Timestamp,
    ) -> Result<OutputState, VoteError> {
        // Browsers end lines with CR LF; other control characters are commands to a terminal.
        let comment: String = ballot
            .comment
            .chars()
            .filter(|c| !c.is_control() || *c == '\n')
            .collect();
        let comment = comment.trim().to_owned();
        let output = ballot.output.clone();
        let stored = self
            .store
            .run(move |store| store.load(&output))
            .await?
            .ok_or(VoteError::NotFound)?;
        let head = &stored.listed.head;
        self.policy
            .allow(actor, Action::Vote, resource(head))
            .await?;
        may_vote(actor, &ballot, &stored.listed)?;
        if comment.chars().count() > COMMENT_MAX {
            return Err(VoteError::CommentTooLong);
        }
        if !ballot.accept && comment.is_empty() {
            return Err(VoteError::CommentMissing);
        }
        let vote = Vote {
            reviewer: actor.person.clone(),
            accept: ballot.accept,
            digest: ballot.digest,
            comment,
            at: now,
        };
        // Both votes make an approval or none: found out before anything is recorded.
        let prepared = match stored.listed.votes.first() {
            Some(first) if first.accept && vote.accept => {
                let (approval, candidate) = approve(&stored, first, &vote)?;
                Some(Release::prepare(approval, &candidate)?.bytes().to_vec())
            }
            _ => None,
        };
        self.policy
            .record(Event::OutputVoted {
                output: ballot.output.clone(),
                digest: ballot.digest.0,
                reviewer: actor.person.clone(),
                accept: ballot.accept,
                round: ballot.round,
            })
            .await?;
        let is_first = stored.listed.votes.is_empty();
        let output = ballot.output.clone();
        self.store
            .run(move |store| {
                store.vote(&output, ballot.round, &vote, is_first, prepared.as_deref())
            })
            .await?;
        if is_first {
            return Ok(OutputState::HalfVoted);
        }
        // The votes are in. When the ledger fails just now, the next attempt concludes.
        match self.conclude(&ballot.output, now).await {
            Ok(state) => Ok(state),
            Err(error) => {
                tracing::warn!(output = ballot.output.as_str(), %error, "not concluded yet");
                Ok(OutputState::HalfVoted)
            }
        }
    }

    /// Concludes an output that has two votes: first the ledger, then the effect. Repeating it is
    /// safe: the prepared release is stored, so that the ledger names the same bytes each time.
    async fn conclude(&self, output: &OutputId, now: Timestamp) -> Result<OutputState, VoteError> {
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
            let head = Head {
                report: check(&stored.table, &profile),
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

    /// Gives a release out: asked, verified with the public key, recorded, then given.
    pub async fn fetch(&self, actor: &Actor, output: &OutputId) -> Result<Vec<u8>, FetchError> {
        let id = output.clone();
        let listed = self
            .store
            .run(move |store| store.find(&id))
            .await?
            .ok_or(FetchError::NotFound)?;
        self.policy
            .allow(actor, Action::FetchRelease, resource(&listed.head))
            .await?;
        let id = output.clone();
        let bundle = self
            .store
            .run(move |store| store.bundle(&id))
            .await?
            .ok_or(FetchError::NotFound)?;
        let verified = verify(&bundle, &self.signer.public())?;
        if verified.record.output != *output || verified.record.digest != listed.head.digest {
            return Err(BundleError::OtherApproval.into());
        }
        self.policy
            .record(Event::BundleFetched {
                output: output.clone(),
                bundle: verified.digest,
                person: actor.person.clone(),
                terminal: actor.terminal.clone(),
            })
            .await?;
        Ok(bundle)
    }
}

/// The work of a submission that needs no other service.
fn judge(submit: Submit, profile: &Profile) -> Result<(Submit, Report, OutputDigest), Refusal> {
    // A table from another process is an allegation until its shape is checked.
    submit
        .table
        .check_shape()
        .map_err(|error| Refusal::new("table-shape", error.to_string()))?;
    let report = check(&submit.table, profile);
    let digest = submit
        .table
        .digest()
        .map_err(|_| Refusal::new("internal", "digest"))?;
    Ok((submit, report, digest))
}

/// What the policy service is asked about.
pub fn resource(head: &Head) -> Resource {
    Resource::Output {
        output: head.output.clone(),
        agreement: head.agreement.clone(),
        author: head.author.clone(),
    }
}

/// Does the state allow this vote? Whether the person may is asked elsewhere.
fn may_vote(actor: &Actor, ballot: &Ballot, listed: &Listed) -> Result<(), VoteError> {
    // The policy service has said so already; a release hangs on it, so it is asked twice.
    if actor.person == listed.head.author {
        return Err(VoteError::OwnOutput);
    }
    if listed.vote_of(&actor.person).is_some() {
        return Err(VoteError::VotedAlready);
    }
    if !takes_votes(listed.state) || listed.votes.len() > 1 {
        return Err(VoteError::Over);
    }
    if ballot.digest != listed.head.digest {
        return Err(VoteError::OtherBytes);
    }
    // Findings of changed rules are about to be made anew, in another round.
    let is_current = listed.head.report.profile.profile().hash() == listed.head.report.profile_hash;
    if ballot.round != listed.round || !is_current {
        return Err(VoteError::OtherRound);
    }
    Ok(())
}

fn approve<'a>(
    stored: &'a Stored,
    first: &Vote,
    second: &Vote,
) -> Result<(Approval, Candidate<'a>), VoteError> {
    let head = &stored.listed.head;
    let candidate = Candidate {
        output: &head.output,
        agreement: &head.agreement,
        author: &head.author,
        submitted: head.submitted,
        table: &stored.table,
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

fn internal(error: &StoreError) -> Refusal {
    tracing::error!(%error, "database");
    Refusal::new("internal", "review")
}
