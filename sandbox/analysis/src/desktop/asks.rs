//! What a workspace asks for, answered as the console's calls are: the same checks, the same records, the same
//! codes.

use std::sync::Arc;

use kekkai_review_api::OutputDetail;
use kekkai_types::{JobId, Refusal};
use kekkai_worker_api::{Answer, Ask, ToDesktop};

use super::outbox::Outbox;
use crate::programs::Notebooks;
use crate::session::{Session, Words};

/// What an answer changed that the desk has to know of.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// A job began.
    Job(JobId),
    /// An output was handed over.
    Submitted,
    /// The person's outputs, as they are now.
    Outputs(Vec<OutputDetail>),
    /// The review service did not say.
    OutputsUnknown,
}

/// Answers one question. Waits for as long as its answer takes.
pub(super) async fn answer(
    session: &Arc<Session>,
    outbox: &Arc<Outbox>,
    request: u32,
    ask: Ask,
) -> Effect {
    let answered = match ask {
        Ask::Rows { sql } => rows(session, outbox, request, &sql).await,
        ask => work(session, ask).await.map(|(answer, effect)| {
            outbox.push(ToDesktop::Answer { request, answer }, Vec::new());
            effect
        }),
    };
    answered.unwrap_or_else(|refusal| {
        let answer = Answer::Refused(refusal);
        outbox.push(ToDesktop::Answer { request, answer }, Vec::new());
        Effect::None
    })
}

async fn work(session: &Arc<Session>, ask: Ask) -> Result<(Answer, Effect), Refusal> {
    let answer = match ask {
        Ask::Query { sql } => {
            let job = session.query(&sql).await?;
            return Ok((Answer::Started(job.clone()), Effect::Job(job)));
        }
        Ask::Run { program, args } => {
            let job = session.run(program, args).await?;
            return Ok((Answer::Started(job.clone()), Effect::Job(job)));
        }
        Ask::Cancel { job } => {
            session.cancel(&job).await?;
            Answer::Done
        }
        Ask::Programs => Answer::Programs(session.programs().await?),
        Ask::PutScript { name, source } => {
            on_disk(session, move |session| {
                session.scripts()?.put(&name, &source)
            })
            .await?;
            Answer::Done
        }
        Ask::GetScript { name } => {
            Answer::Text(on_disk(session, move |session| session.scripts()?.get(&name)).await?)
        }
        Ask::RemoveScript { name } => {
            on_disk(session, move |session| session.scripts()?.remove(&name)).await?;
            Answer::Done
        }
        Ask::Notebooks => {
            Answer::Names(of_notebooks(session, |notebooks| Ok(notebooks.names()?)).await?)
        }
        Ask::PutNotebook { name, body } => {
            of_notebooks(session, move |notebooks| notebooks.put(&name, &body)).await?;
            Answer::Done
        }
        Ask::GetNotebook { name } => {
            Answer::Text(of_notebooks(session, move |notebooks| notebooks.get(&name)).await?)
        }
        Ask::RemoveNotebook { name } => {
            of_notebooks(session, move |notebooks| notebooks.remove(&name)).await?;
            Answer::Done
        }
        Ask::Preview { job } => Answer::Findings(session.preview(&job).await?),
        Ask::Submit {
            job,
            title,
            purpose,
            method,
            replaces,
        } => {
            let words = Words {
                title,
                purpose,
                method,
                replaces,
            };
            let lang = session.desktop_terms()?.lang;
            let output = session.submit(job, words, lang).await?;
            return Ok((Answer::Submitted(output), Effect::Submitted));
        }
        Ask::Outputs => {
            let outputs = session.outputs().await?;
            let effect = Effect::Outputs(outputs.clone());
            return Ok((Answer::Outputs(outputs), effect));
        }
        // Rows have their own way; the desk answers the others itself.
        Ask::Rows { .. } | Ask::Typing { .. } | Ask::Lock | Ask::Leave => {
            return Err(Refusal::new("internal", "desk"));
        }
    };
    Ok((answer, Effect::None))
}

/// What waits for the disk.
async fn on_disk<T: Send + 'static>(
    session: &Arc<Session>,
    work: impl FnOnce(&Session) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let session = session.clone();
    tokio::task::spawn_blocking(move || work(&session))
        .await
        .unwrap_or_else(|_| Err(Refusal::new("internal", "disk")))
}

async fn of_notebooks<T: Send + 'static>(
    session: &Arc<Session>,
    work: impl FnOnce(&Notebooks) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    on_disk(session, move |session| work(session.notebooks()?)).await
}

/// Rows: the answer comes with a pipe, their end later.
async fn rows(
    session: &Arc<Session>,
    outbox: &Arc<Outbox>,
    request: u32,
    sql: &str,
) -> Result<Effect, Refusal> {
    let mut rows = session.rows(sql).await?;
    let job = rows.job.clone();
    if let Err(error) = rows.begun().await {
        let answer = Answer::Wrong(error);
        outbox.push(ToDesktop::Answer { request, answer }, Vec::new());
        return Ok(Effect::Job(job));
    }
    let answer = Answer::Rows(job.clone());
    let reading_end = rows.take_reading_end().into_iter().collect();
    // Where it is not taken nobody reads them: the pipe is closed, which ends them.
    outbox.push(ToDesktop::Answer { request, answer }, reading_end);
    let (outbox, effect) = (outbox.clone(), Effect::Job(job.clone()));
    // The question is answered; the rows have their own time.
    tokio::spawn(async move {
        let outcome = rows.done().await;
        outbox.push(ToDesktop::RowsEnd { job, outcome }, Vec::new());
    });
    Ok(effect)
}
