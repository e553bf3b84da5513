//! Jobs: waiting for one, with what it prints and how far it is; cancelling one.

use std::time::{Duration, Instant};

use kekkai_analysis_api::{CancelJob, Job, JobState, LogLine, WaitJob};
use kekkai_console::{message, render};
use kekkai_types::JobId;

use super::commands::{analysis, server_failed};
use super::shell::{OK, REFUSED, Shell};
use crate::sessions::LiveSession;

/// How long one call waits for a job, in milliseconds; then its progress is shown.
const WAIT_MS: u32 = 1_000;
/// A job that was cancelled is over after this long, or it is shown as it stands.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);
/// Takes a terminal's cursor to the beginning of an empty line.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Waits for a job, showing how it goes and what it prints. Interrupting cancels it, and so does leaving.
pub(super) async fn wait(shell: &mut Shell, live: &LiveSession, job: &JobId) -> u32 {
    let lang = shell.lang();
    let server = shell.connection.gateway.analysis.clone();
    let mut is_cancelled = false;
    let mut log_from = 0;
    // What stands on the terminal's last line.
    let mut progress = String::new();
    loop {
        let wait = WaitJob {
            session: live.opened.session.clone(),
            job: job.clone(),
            wait_ms: WAIT_MS,
            log_from,
        };
        let answer = {
            let call = server.call(&wait);
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
                        if let Err(error) = server.call(&cancel).await {
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
        let is_running = matches!(
            answer.state,
            JobState::Queued { .. } | JobState::Running { .. } | JobState::RunningProgram { .. }
        );
        if !progress.is_empty() && (!is_running || !answer.log.lines.is_empty()) {
            shell.err(CLEAR_LINE).await;
            progress.clear();
        }
        print(shell, &answer.log.lines).await;
        // It never goes back: a line is shown once.
        let is_log_whole = answer.log.lines.is_empty() || answer.log.next <= log_from;
        log_from = log_from.max(answer.log.next);
        if is_running && shell.is_terminal() {
            progress = render::progress_line(&answer, lang, shell.width());
            shell.err(&format!("{CLEAR_LINE}{progress}")).await;
        }
        if is_running || !is_log_whole {
            continue;
        }
        return show(shell, &answer).await;
    }
}

/// A program's lines, each to where the program wrote it.
async fn print(shell: &Shell, lines: &[LogLine]) {
    let width = shell.is_terminal().then(|| shell.width());
    for part in lines.chunk_by(|one, next| one.is_error == next.is_error) {
        let text: String = part
            .iter()
            .map(|line| render::log_line(line, width))
            .collect();
        if part.iter().any(|line| line.is_error) {
            shell.err(&text).await;
        } else {
            shell.out(&text).await;
        }
    }
}

/// What a job came to. On a pipe, a program's own lines stand alone.
async fn show(shell: &Shell, job: &Job) -> u32 {
    let lang = shell.lang();
    match &job.state {
        JobState::Failed(error) => {
            let text = message::sql_error(error, job.work.text(), lang);
            shell.err(&text).await;
            REFUSED
        }
        JobState::Cancelled { .. } | JobState::RunFailed { .. } => {
            shell.err(&render::job(job, lang, shell.view())).await;
            REFUSED
        }
        JobState::Ran { .. } => {
            shell.err(&render::job(job, lang, shell.view())).await;
            OK
        }
        JobState::Queued { .. }
        | JobState::Running { .. }
        | JobState::RunningProgram { .. }
        | JobState::Done(_) => {
            shell.out(&render::job(job, lang, shell.view())).await;
            OK
        }
    }
}

/// Cancels a job and shows where it stands then.
pub(super) async fn cancel(shell: &Shell, live: &LiveSession, job: JobId) -> u32 {
    let session = live.opened.session.clone();
    let cancel = CancelJob {
        session: session.clone(),
        job: job.clone(),
    };
    if let Err(status) = analysis(shell, live, &cancel).await {
        return status;
    }
    let begun = Instant::now();
    let mut wait = WaitJob {
        session,
        job,
        wait_ms: WAIT_MS,
        log_from: 0,
    };
    loop {
        let answer = match analysis(shell, live, &wait).await {
            Ok(answer) => answer,
            Err(status) => return status,
        };
        wait.log_from = wait.log_from.max(answer.log.next);
        let is_running = matches!(
            answer.state,
            JobState::Queued { .. } | JobState::Running { .. } | JobState::RunningProgram { .. }
        );
        // What it printed ends a wait, too.
        if is_running && begun.elapsed() < CANCEL_LIMIT {
            continue;
        }
        let line = render::job_line(&answer, shell.lang());
        shell.out(&format!("{line}\n")).await;
        return OK;
    }
}
