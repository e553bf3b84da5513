//! The calls of `kekkai-analysis-api`.

use std::sync::Arc;
use std::time::Duration;

use kekkai_analysis_api::{
    CancelJob, End, GetScript, Launch, ListJobs, ListPrograms, PutScript, RemoveScript, StartQuery,
    StartRun, SubmitOutput, WaitJob,
};
use kekkai_output::Content;
use kekkai_review_api::Submit;
use kekkai_service::{CallError, Client, Routes};
use kekkai_types::{OutputId, Refusal};

use crate::attester::Attester;
use crate::broker::Broker;

/// The longest wait of one `WaitJob`, in milliseconds.
const WAIT_MS_MAX: u32 = 20_000;
/// A title's and a purpose's length, in characters.
const TITLE_MAX: usize = 200;
const PURPOSE_MAX: usize = 2_000;
/// Tries to hand an output over, under the same id.
const SUBMIT_TRIES: u32 = 3;

/// What answers calls.
#[derive(Clone)]
pub struct Server {
    /// The sessions.
    pub broker: Arc<Broker>,
    /// The TPM's side.
    pub attester: Arc<Attester>,
}

/// All calls. The gateway is the only caller: each request type says so itself.
pub fn routes(server: &Server) -> Routes {
    let broker = &server.broker;
    let routes = Routes::new().call({
        let server = server.clone();
        move |_, call: Launch| {
            let server = server.clone();
            // In a task of its own: a gateway that hangs up must not leave a launch half-way.
            let work = async move { server.broker.launch(&server.attester, &call.session).await };
            let work = tokio::spawn(work);
            async move {
                work.await
                    .unwrap_or_else(|_| Err(Refusal::new("internal", "launch")))
            }
        }
    });
    let routes = on(routes, broker, |broker, call: End| async move {
        let session = broker.session(&call.session)?;
        session.end(call.reason).await;
        Ok(())
    });
    let routes = on(routes, broker, |broker, call: StartQuery| async move {
        broker.session(&call.session)?.query(&call.sql).await
    });
    let routes = on(routes, broker, |broker, call: WaitJob| async move {
        let wait = Duration::from_millis(call.wait_ms.min(WAIT_MS_MAX).into());
        broker
            .session(&call.session)?
            .wait_job(&call.job, wait, call.log_from)
            .await
    });
    let routes = on(routes, broker, |broker, call: StartRun| async move {
        let session = broker.session(&call.session)?;
        session.run(call.program, call.args).await
    });
    let routes = on(routes, broker, |broker, call: ListPrograms| async move {
        broker.session(&call.session)?.programs().await
    });
    let routes = on(routes, broker, |broker, call: PutScript| async move {
        let session = broker.session(&call.session)?;
        off_thread(move || session.scripts()?.put(&call.name, &call.source)).await
    });
    let routes = on(routes, broker, |broker, call: GetScript| async move {
        let session = broker.session(&call.session)?;
        off_thread(move || session.scripts()?.get(&call.name)).await
    });
    let routes = on(routes, broker, |broker, call: RemoveScript| async move {
        let session = broker.session(&call.session)?;
        off_thread(move || session.scripts()?.remove(&call.name)).await
    });
    let routes = on(routes, broker, |broker, call: ListJobs| async move {
        broker.session(&call.session)?.list()
    });
    let routes = on(routes, broker, |broker, call: CancelJob| async move {
        broker.session(&call.session)?.cancel(&call.job).await
    });
    on(routes, broker, |broker, call: SubmitOutput| async move {
        submit(&broker, call).await
    })
}

/// What waits for the disk.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Refusal::new("internal", "disk")))
}

fn on<C, F, R>(routes: Routes, broker: &Arc<Broker>, handler: F) -> Routes
where
    C: kekkai_types::Call + 'static,
    F: Fn(Arc<Broker>, C) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<C::Reply, Refusal>> + Send + 'static,
{
    let broker = broker.clone();
    routes.call(move |_, call: C| handler(broker.clone(), call))
}

/// Hands a job's result to the review service, under an id that stays the same when it is repeated.
pub async fn submit(broker: &Broker, call: SubmitOutput) -> Result<OutputId, Refusal> {
    check_words(&call.title, &call.purpose)?;
    let session = broker.session(&call.session)?;
    let submission = session.submission(&call.job, &call.title, &call.purpose)?;
    let terms = &session.terms().session;
    let request = Submit {
        output: submission.output.clone(),
        session: call.session,
        job: call.job,
        author: terms.person.clone(),
        agreement: terms.agreement.clone(),
        sdc_profile: terms.sdc_profile.clone(),
        title: call.title,
        purpose: call.purpose,
        method: String::new(),
        replaces: None,
        lang: call.lang,
        content: Content::Table((*submission.table).clone()),
    };
    hand_over(broker.review(), &request).await?;
    Ok(submission.output)
}

/// What a person or their program says of an output.
pub(crate) fn check_words(title: &str, purpose: &str) -> Result<(), Refusal> {
    for (what, text, max) in [
        ("title", title, TITLE_MAX),
        ("purpose", purpose, PURPOSE_MAX),
    ] {
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
pub(crate) async fn hand_over(review: &Client, request: &Submit) -> Result<(), Refusal> {
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
                tokio::time::sleep(Duration::from_millis(200)).await;
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
