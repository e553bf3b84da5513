//! Outputs of a session: previewed, handed to the review service, followed.

use kekkai_output::Content;
use kekkai_review_api::{OutputDetail, Preview, Said, SessionOutputs, Submit};
use kekkai_service::{CallError, Client};
use kekkai_types::{JobId, Lang, OutputId, Refusal};

use super::{Session, Words};

/// A title's length, and that of a purpose or a method, in characters.
const TITLE_MAX: usize = 200;
const TEXT_MAX: usize = 2_000;
/// Tries to hand an output over, under the same id.
const SUBMIT_TRIES: u32 = 3;

impl Session {
    /// Hands a job's result to the review service, under an id that stays the same when it is repeated.
    pub async fn submit(&self, job: JobId, words: Words, lang: Lang) -> Result<OutputId, Refusal> {
        check_words(&words.title, &words.purpose)?;
        if words.method.chars().count() > TEXT_MAX {
            let detail = format!("method: 0 to {TEXT_MAX} characters");
            return Err(Refusal::new("text-length", detail));
        }
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let submission = self.jobs().submission(&job, &words)?;
        let terms = &self.terms.session;
        let request = Submit {
            output: submission.output.clone(),
            session: terms.session.clone(),
            job,
            author: terms.person.clone(),
            agreement: terms.agreement.clone(),
            sdc_profile: terms.sdc_profile.clone(),
            title: words.title,
            purpose: words.purpose,
            method: words.method,
            replaces: words.replaces,
            lang,
            content: Content::Table((*submission.table).clone()),
            seen: submission.seen,
        };
        hand_over(&self.around.review, &request).await?;
        Ok(submission.output)
    }

    /// What the automatic checks would say of a job's result.
    pub(crate) async fn preview(&self, job: &JobId) -> Result<Vec<Said>, Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let (table, seen) = {
            let mut jobs = self.jobs();
            (jobs.result(job)?, jobs.find(job).and_then(|job| job.seen()))
        };
        let terms = &self.terms.session;
        let call = Preview {
            author: terms.person.clone(),
            agreement: terms.agreement.clone(),
            sdc_profile: terms.sdc_profile.clone(),
            content: Content::Table((*table).clone()),
            seen,
        };
        let said = self.around.review.call(&call).await;
        said.map_err(CallError::into_refusal)
    }

    /// The person's outputs in the project, newest first.
    pub(crate) async fn outputs(&self) -> Result<Vec<OutputDetail>, Refusal> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let terms = &self.terms.session;
        let call = SessionOutputs {
            agreement: terms.agreement.clone(),
            author: terms.person.clone(),
        };
        let outputs = self.around.review.call(&call).await;
        outputs.map_err(CallError::into_refusal)
    }
}

/// What a person or their program says of an output.
pub(super) fn check_words(title: &str, purpose: &str) -> Result<(), Refusal> {
    for (what, text, max) in [("title", title, TITLE_MAX), ("purpose", purpose, TEXT_MAX)] {
        if text.trim().is_empty() || text.chars().count() > max {
            return Err(Refusal::new(
                "text-length",
                format!("{what}: 1 to {max} characters"),
            ));
        }
    }
    Ok(())
}

/// Hands an output to the review service, under an id that stays the same when it is repeated.
pub(super) async fn hand_over(review: &Client, request: &Submit) -> Result<(), Refusal> {
    let digest = request
        .content
        .digest()
        .map_err(|e| Refusal::new("internal", e.to_string()))?;
    let mut tries = 0;
    let stored = loop {
        tries += 1;
        match review.call(request).await {
            // The call may have had its effect: under the same id it has it once.
            Err(CallError::Unavailable { .. }) if tries < SUBMIT_TRIES => {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
            other => break other.map_err(CallError::into_refusal)?,
        }
    };
    if stored != digest {
        tracing::error!(output = %request.output, "the review service stored other bytes");
        return Err(Refusal::new("internal", "digest"));
    }
    Ok(())
}
