//! The calls of `kekkai-analysis-api`.

use std::sync::Arc;
use std::time::Duration;

use kekkai_analysis_api::{
    AttachScreen, CancelJob, End, GetScript, JoinPart, Launch, LaunchPart, ListJobs, ListPrograms,
    PutScript, RemoveScript, StartQuery, StartRun, SubmitOutput, WaitJob, WaitScreen,
};
use kekkai_service::Routes;
use kekkai_types::{OutputId, Refusal};

use crate::attester::Attester;
use crate::broker::Broker;
use crate::parts::{carry, hold};
use crate::session::Words;

/// The longest wait of one `WaitJob`, in milliseconds.
const WAIT_MS_MAX: u32 = 20_000;

/// What answers calls.
#[derive(Clone)]
pub struct Server {
    /// The sessions.
    pub broker: Arc<Broker>,
    /// The TPM's side.
    pub attester: Arc<Attester>,
}

/// All calls. The gateway is the caller of most, other analysis servers of the rest: each request type says so itself.
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
    let routes = on(routes, broker, |broker, call: SubmitOutput| async move {
        submit(&broker, call).await
    });
    parts(screens(routes, broker), server)
}

/// The calls of other analysis servers.
fn parts(routes: Routes, server: &Server) -> Routes {
    let broker = server.broker.clone();
    let routes = routes.stream({
        let server = server.clone();
        move |from, call: LaunchPart| {
            let server = server.clone();
            // In a task of its own: a server that hangs up must not leave a launch half-way.
            let work = async move {
                let Server { broker, attester } = &server;
                broker.launch_part(attester, &from.peer, &call).await
            };
            let work = tokio::spawn(work);
            async move {
                let launched = work.await;
                let launched = launched.unwrap_or_else(|_| Err(Refusal::new("internal", "launch")));
                let part = launched?;
                Ok(move |stream| hold(part, stream))
            }
        }
    });
    routes.stream(move |from, call: JoinPart| {
        let broker = broker.clone();
        async move {
            let (session, ours) = broker.join_part(&from.peer, &call).await?;
            Ok(move |stream| carry(session, ours, stream))
        }
    })
}

/// The calls about screens.
pub fn screens(routes: Routes, broker: &Arc<Broker>) -> Routes {
    let routes = on(routes, broker, |broker, call: WaitScreen| async move {
        let session = broker.session(&call.session)?;
        session.wait_screen(call.seen).await
    });
    let broker = broker.clone();
    routes.stream(move |_, call: AttachScreen| {
        let session = broker.session(&call.session);
        async move {
            let attachment = session?.attach(call.viewer, call.size)?;
            Ok(move |stream| attachment.run(stream))
        }
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

/// Hands a job's result to the review service.
pub async fn submit(broker: &Broker, call: SubmitOutput) -> Result<OutputId, Refusal> {
    let words = Words {
        title: call.title,
        purpose: call.purpose,
        ..Words::default()
    };
    let session = broker.session(&call.session)?;
    session.submit(call.job, words, call.lang).await
}
