//! The console's commands, carried out at the analysis server and the review service.

use kekkai_analysis_api::{ListJobs, Program, StartQuery, SubmitOutput};
use kekkai_console::{Command, Status, message, render};
use kekkai_policy_api::EndReason;
use kekkai_review_api::ListOutputs;
use kekkai_service::CallError;
use kekkai_types::{Call, Timestamp};

use super::shell::{OK, REFUSED, Shell};
use super::{jobs, programs};
use crate::sessions::LiveSession;

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
                Ok(job) => jobs::wait(shell, live, &job).await,
                Err(error) => server_failed(shell, live, error).await,
            }
        }
        Command::RunScript { name, args } => programs::run_script(shell, live, name, args).await,
        Command::RunTool { name, args } => {
            let name = name.into();
            programs::run(shell, live, Program::Tool { name }, args).await
        }
        Command::Tools => programs::list(shell, live).await,
        Command::Scripts => programs::scripts(shell, live).await,
        Command::SaveScript(name) => programs::save(shell, live, name).await,
        Command::ShowScript(name) => programs::show(shell, live, name).await,
        Command::RemoveScript(name) => programs::remove(shell, live, name).await,
        Command::ShowJob(job) => jobs::wait(shell, live, &job).await,
        Command::CancelJob(job) => jobs::cancel(shell, live, job).await,
        Command::Jobs => match analysis(shell, live, &ListJobs { session }).await {
            Ok(jobs) => {
                shell.out(&render::jobs(&jobs, lang, shell.width())).await;
                OK
            }
            Err(status) => status,
        },
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

/// A call to the analysis server that ends with the session.
pub(super) async fn analysis<C: Call>(
    shell: &Shell,
    live: &LiveSession,
    call: &C,
) -> Result<C::Reply, u32> {
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
pub(super) async fn server_failed(shell: &Shell, live: &LiveSession, error: CallError) -> u32 {
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
