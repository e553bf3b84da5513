//! The calls of `kekkai-analysis-api`.

use std::sync::Arc;
use std::time::Duration;

use kekkai_analysis_api::{CancelJob, End, Launch, ListJobs, StartQuery, SubmitOutput, WaitJob};
use kekkai_review_api::Submit;
use kekkai_service::{CallError, Routes};
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
            .wait_job(&call.job, wait)
            .await
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
    for (what, text, max) in [
        ("title", &call.title, TITLE_MAX),
        ("purpose", &call.purpose, PURPOSE_MAX),
    ] {
        if text.trim().is_empty() || text.chars().count() > max {
            return Err(Refusal::new(
                "text-length",
                format!("{what}: 1 to {max} characters"),
            ));
        }
    }
    let session = broker.session(&call.session)?;
    let submission = session.submission(&call.job, &call.title, &call.purpose)?;
    let terms = &session.terms().session;
    let digest = submission
        .table
        .digest()
        .map_err(|e| Refusal::new("internal", e.to_string()))?;
    let request = Submit {
        output: submission.output.clone(),
        session: call.session,
        job: call.job,
        author: terms.person.clone(),
        agreement: terms.agreement.clone(),
        sdc_profile: terms.sdc_profile.clone(),
        title: call.title,
        purpose: call.purpose,
        lang: call.lang,
        table: (*submission.table).clone(),
    };
    let mut tries = 0;
    let stored = loop {
        tries += 1;
        match broker.review().call(&request).await {
            // The call may have had its effect: under the same id it has it once.
            Err(CallError::Unavailable { .. }) if tries < SUBMIT_TRIES => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            other => break other.map_err(CallError::into_refusal)?,
        }
    };
    if stored != digest {
        tracing::error!(output = %submission.output, "the review service stored other bytes");
        return Err(Refusal::new("internal", "digest"));
    }
    Ok(submission.output)
}
