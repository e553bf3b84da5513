//! An output arrives.

use kekkai_checks::{Profile, Report, Verdict, check_content, seen};
use kekkai_output::{BodyKind, Content, OutputDigest, Seen, ShapeError};
use kekkai_policy_api::{Event, OutputKind};
use kekkai_review_api::{OutputState, Preview, Said, Submit};
use kekkai_types::{Refusal, ServerId, Timestamp};

use super::Review;
use crate::model::Head;
use crate::policy::PolicyError;
use crate::said;
use crate::state::Step;
use crate::store::{OUTPUTS_WAITING_MAX, StoreError};

/// Characters of a title.
pub const TITLE_MAX: usize = 200;
/// Characters of a purpose.
pub const PURPOSE_MAX: usize = 2_000;
/// Characters of a method.
pub const METHOD_MAX: usize = 2_000;
/// Outputs of one author that may wait for votes at once.
pub const AUTHOR_WAITING_MAX: usize = 20;

impl Review {
    /// Takes an output from an analysis server: checks it, records it, stores it. The same output a
    /// second time changes nothing.
    pub async fn submit(
        &self,
        server: ServerId,
        submit: Submit,
        now: Timestamp,
    ) -> Result<OutputDigest, Refusal> {
        let profile = profile_of(&submit.sdc_profile)?;
        if submit.title.trim().is_empty() || submit.title.chars().count() > TITLE_MAX {
            return Err(Refusal::new("title-length", TITLE_MAX.to_string()));
        }
        if submit.purpose.chars().count() > PURPOSE_MAX {
            return Err(Refusal::new("purpose-length", PURPOSE_MAX.to_string()));
        }
        // They are shown in terminals too, where a control character is a command.
        if submit.method.chars().count() > METHOD_MAX {
            return Err(Refusal::new("method-length", METHOD_MAX.to_string()));
        }
        let is_plain = |text: &str| text.chars().all(|c| !c.is_control() || c == '\n');
        let texts = [&submit.purpose, &submit.method, &submit.title];
        if !texts.into_iter().all(|text| is_plain(text)) || submit.title.contains('\n') {
            return Err(Refusal::new(
                "control-characters",
                "title, purpose or method",
            ));
        }
        let (content, judged) = self.judged(submit.content, submit.seen, profile).await?;
        let Judged { report, digest } = judged;
        let kind = kind_of(&content);
        let head = Head {
            output: submit.output,
            server,
            session: submit.session,
            job: submit.job,
            author: submit.author,
            agreement: submit.agreement,
            title: submit.title,
            purpose: submit.purpose,
            method: submit.method,
            replaces: submit.replaces,
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
                && known.server == head.server
                && known.replaces == head.replaces;
            return if is_same {
                Ok(known.digest)
            } else {
                Err(Refusal::new("output-exists", head.output.as_str()))
            };
        }
        self.check_replaced(&head).await?;
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
            kind: Some(kind),
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
            .run(move |store| store.insert(&head, &content, step))
            .await
            .map_err(|error| internal(&error))?;
        Ok(digest)
    }

    /// What the checks would say, as the author may read it. Nothing is stored.
    pub async fn preview(&self, preview: Preview) -> Result<Vec<Said>, Refusal> {
        let profile = profile_of(&preview.sdc_profile)?;
        let (content, judged) = self.judged(preview.content, preview.seen, profile).await?;
        Ok(match content {
            Content::Table(_) => said::all(&judged.report),
            Content::Program(_) => said::of_program(&judged.report),
        })
    }

    /// Only what came back can be replaced, by its author, in its project, and once: a chain of versions
    /// and no tree.
    async fn check_replaced(&self, head: &Head) -> Result<(), Refusal> {
        let Some(replaced) = head.replaces.clone() else {
            return Ok(());
        };
        let refuse = || Refusal::new("replaces-not-returned", replaced.as_str());
        let output = replaced.clone();
        let (earlier, taken) = self
            .store
            .run(move |store| Ok((store.find(&output)?, store.replacement(&output)?)))
            .await
            .map_err(|error| internal(&error))?;
        // Another's output is refused in the same words as one that doesn't exist.
        let earlier = earlier.ok_or_else(refuse)?;
        let is_own = earlier.head.author == head.author && earlier.head.agreement == head.agreement;
        let came_back = matches!(
            earlier.state,
            OutputState::Returned | OutputState::Rejected | OutputState::FailedChecks
        );
        if is_own && came_back && taken.is_none() {
            Ok(())
        } else {
            Err(refuse())
        }
    }

    /// Checks a content on a thread that may compute, a few at a time.
    async fn judged(
        &self,
        content: Content,
        seen: Option<Seen>,
        profile: Profile,
    ) -> Result<(Content, Judged), Refusal> {
        let closed = |_| Refusal::new("internal", "checks");
        let _turn = self.judging.acquire().await.map_err(closed)?;
        tokio::task::spawn_blocking(move || judge(content, seen.as_ref(), &profile))
            .await
            .map_err(|_| Refusal::new("internal", "checks"))?
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
}

struct Judged {
    report: Report,
    digest: OutputDigest,
}

/// The work of a submission that needs no other service.
fn judge(
    content: Content,
    earlier: Option<&Seen>,
    profile: &Profile,
) -> Result<(Content, Judged), Refusal> {
    // What comes from another process is an allegation until its shape is checked.
    content.check_shape().map_err(shape_refused)?;
    let mut report = check_content(&content, profile);
    report.add(earlier.map(seen));
    let digest = content
        .digest()
        .map_err(|_| Refusal::new("internal", "digest"))?;
    Ok((content, Judged { report, digest }))
}

fn profile_of(name: &str) -> Result<Profile, Refusal> {
    Profile::named(name).map_err(|error| Refusal::new("profile-unknown", error.0))
}

/// What the agreement calls it. Words say what a table would.
fn kind_of(content: &Content) -> OutputKind {
    match content {
        Content::Table(_) => OutputKind::Table,
        Content::Program(output) => match output.body.kind() {
            BodyKind::Table | BodyKind::Text => OutputKind::Table,
            BodyKind::Figure => OutputKind::Plot,
            BodyKind::Model => OutputKind::Model,
        },
    }
}

fn shape_refused(error: ShapeError) -> Refusal {
    match error {
        ShapeError::Table(error) => Refusal::new("table-shape", error.to_string()),
        ShapeError::TooMany {
            what: "columns",
            max,
            ..
        } => Refusal::new("table-columns", max.to_string()),
        ShapeError::TooMany { what, max, .. } => {
            Refusal::new("output-too-large", format!("{what}, {max}"))
        }
        error => Refusal::new("output-shape", error.to_string()),
    }
}

fn internal(error: &StoreError) -> Refusal {
    tracing::error!(%error, "database");
    Refusal::new("internal", "review")
}
