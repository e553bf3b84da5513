//! The console's commands, carried out at the analysis server and the review service.

use kekkai_analysis_api::{CancelJob, Job, JobState, ListJobs, StartQuery, SubmitOutput, WaitJob};
use kekkai_console::{Command, Status, message, render};
use kekkai_policy_api::EndReason;
use kekkai_review_api::ListOutputs;
use kekkai_service::CallError;
use kekkai_types::{Call, JobId, Timestamp};

use super::shell::{OK, REFUSED, Shell};
use crate::sessions::LiveSession;

/// How long one call waits for a job, in milliseconds; then its progress is shown.
const WAIT_MS: u32 = 1_000;

/// Carries a command out; gives the exit status.
pub(super) async fn run(shell: &mut Shell, live: &LiveSession, command: Command) -> u32 {
    let lang = shell.lang();
    let session = live.opened.session.clone();
    match command {
        Command::Help(topic) => {
            shell.out(&render::help(topic, lang)).await;
            OK
        }
        Command::Schema(table) => {
            let catalogs = &live.launched.catalogs;
            let text = render::schema(catalogs, table.as_deref(), lang, shell.width());
            // A script must be able to tell a table from a suggestion.
            let is_there = |name: &str| {
                let mut tables = catalogs.iter().flat_map(|dataset| &dataset.tables);
                tables.any(|found| found.name.eq_ignore_ascii_case(name))
            };
            if table.as_deref().is_none_or(is_there) {
                shell.out(&text).await;
                OK
            } else {
                shell.err(&text).await;
                REFUSED
            }
        }
        Command::Sql(sql) => {
            let start = StartQuery { session, sql };
            match shell.connection.gateway.analysis.call(&start).await {
                Ok(job) => wait(shell, live, &job).await,
                Err(error) => server_failed(shell, live, error).await,
            }
        }
        Command::ShowJob(job) => wait(shell, live, &job).await,
        Command::Jobs => match analysis(shell, live, &ListJobs { session }).await {
            Ok(jobs) => {
                shell.out(&render::jobs(&jobs, lang, shell.width())).await;
                OK
            }
            Err(status) => status,
        },
        Command::CancelJob(job) => {
            let cancel = CancelJob {
                session: session.clone(),
                job: job.clone(),
            };
            if let Err(status) = analysis(shell, live, &cancel).await {
                return status;
            }
            let wait = WaitJob {
                session,
                job,
                wait_ms: WAIT_MS,
            };
            match analysis(shell, live, &wait).await {
                Ok(job) => {
                    shell
                        .out(&format!("{}\n", render::job_line(&job, lang)))
                        .await;
                    OK
                }
                Err(status) => status,
            }
        }
        Command::Submit {
            job,
            title,
            purpose,
        } => {
            let submit = SubmitOutput {
                session,
                job: job.clone(),
                title,
                purpose,
                lang,
            };
            match analysis(shell, live, &submit).await {
                Ok(output) => {
                    shell.out(&render::submitted(&job, &output, lang)).await;
                    OK
                }
                Err(status) => status,
            }
        }
        Command::Outputs => {
            let list = ListOutputs {
                agreement: live.opened.agreement.clone(),
                person: live.person.person.clone(),
                terminal: live.terminal.clone(),
            };
            match shell.connection.gateway.review.call(&list).await {
                Ok(outputs) => {
                    shell
                        .out(&render::outputs(&outputs, lang, shell.width()))
                        .await;
                    OK
                }
                Err(error) => failed(shell, error).await,
            }
        }
        Command::Status => {
            let text = render::status(&status(shell, live), lang);
            shell.out(&text).await;
            OK
        }
        Command::Lang(lang) => {
            shell.connection.set_lang(lang);
            OK
        }
        Command::Exit => OK,
    }
}

/// Where the person is.
pub(super) fn status<'a>(shell: &Shell, live: &'a LiveSession) -> Status<'a> {
    Status {
        person: &live.person.name,
        agreement: &live.opened.agreement,
        title: &live.opened.title,
        session: &live.opened.session,
        started: live.started,
        now: Timestamp::now(),
        idle_limit_s: live.opened.idle_limit_s,
        server: &live.launched.server,
        console: live.opened.console,
        class: live.opened.class,
        is_emulated: live.launched.emulated || shell.connection.gateway.config.demo,
        waived: &live.launched.waived,
    }
}

/// Waits for a job, showing how it goes. Interrupting cancels it, and so does leaving.
async fn wait(shell: &mut Shell, live: &LiveSession, job: &JobId) -> u32 {
    let lang = shell.lang();
    let analysis = shell.connection.gateway.analysis.clone();
    let mut is_cancelled = false;
    let mut progress = String::new();
    loop {
        let wait = WaitJob {
            session: live.opened.session.clone(),
            job: job.clone(),
            wait_ms: WAIT_MS,
        };
        let answer = {
            let call = analysis.call(&wait);
            tokio::pin!(call);
            loop {
                tokio::select! {
                    answer = &mut call => break answer,
                    reason = live.ended() => {
                        shell.ended(reason).await;
                        return REFUSED;
                    }
                    () = shell.interrupted(), if !is_cancelled => {
                        is_cancelled = true;
                        let cancel = CancelJob {
                            session: live.opened.session.clone(),
                            job: job.clone(),
                        };
                        if let Err(error) = analysis.call(&cancel).await {
                            return server_failed(shell, live, error).await;
                        }
                    }
                }
            }
        };
        // The person waits, so they are not idle.
        shell.connection.touch();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return server_failed(shell, live, error).await,
        };
        if let JobState::Running { .. } = answer.state {
            if shell.is_terminal() {
                progress = render::job_line(&answer, lang);
                shell.err(&format!("\r\x1b[K{progress}")).await;
            }
            continue;
        }
        if !progress.is_empty() {
            shell.err("\r\x1b[K").await;
        }
        return show(shell, &answer).await;
    }
}

async fn show(shell: &Shell, job: &Job) -> u32 {
    let lang = shell.lang();
    match &job.state {
        JobState::Failed(error) => {
            shell.err(&message::sql_error(error, &job.sql, lang)).await;
            REFUSED
        }
        JobState::Cancelled { .. } => {
            shell.err(&render::job(job, lang, shell.view())).await;
            REFUSED
        }
        JobState::Running { .. } | JobState::Done(_) => {
            shell.out(&render::job(job, lang, shell.view())).await;
            OK
        }
    }
}

/// A call to the analysis server that ends with the session.
async fn analysis<C: Call>(shell: &Shell, live: &LiveSession, call: &C) -> Result<C::Reply, u32> {
    let answer = tokio::select! {
        answer = shell.connection.gateway.analysis.call(call) => answer,
        reason = live.ended() => {
            shell.ended(reason).await;
            return Err(REFUSED);
        }
    };
    match answer {
        Ok(reply) => Ok(reply),
        Err(error) => Err(server_failed(shell, live, error).await),
    }
}

/// A call to the analysis server failed. A session lives in that server's memory: when the server
/// is gone, so is the session, and waiting for another answer would only look like hope.
async fn server_failed(shell: &Shell, live: &LiveSession, error: CallError) -> u32 {
    if matches!(error, CallError::Unavailable { .. }) {
        live.end(EndReason::ServerLost);
    }
    failed(shell, error).await
}

async fn failed(shell: &Shell, error: CallError) -> u32 {
    if !matches!(error, CallError::Refused(_)) {
        tracing::warn!(%error, "a console's call failed");
    }
    let refusal = error.into_refusal();
    shell.err(&message::refusal(&refusal, shell.lang())).await;
    REFUSED
}
