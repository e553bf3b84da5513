//! Programs and the scripts that a session keeps.

use kekkai_analysis_api::{GetScript, ListPrograms, Program, PutScript, RemoveScript, StartRun};
use kekkai_console::render;

use super::commands::analysis;
use super::jobs;
use super::shell::{OK, Shell};
use crate::sessions::LiveSession;

/// What tracebacks and the ledger call a script that was typed.
const TYPED_NAME: &str = "typed.py";

/// Runs a script: one that is kept, or one that is typed or piped now.
pub(super) async fn run_script(
    shell: &mut Shell,
    live: &LiveSession,
    name: Option<String>,
    args: Vec<String>,
) -> u32 {
    let program = match name {
        Some(name) => Program::Script { name },
        None => match shell.source(live).await {
            Ok(source) => Program::Python {
                name: TYPED_NAME.to_owned(),
                source,
            },
            Err(status) => return status,
        },
    };
    run(shell, live, program, args).await
}

/// Starts a program and waits for it.
pub(super) async fn run(
    shell: &mut Shell,
    live: &LiveSession,
    program: Program,
    args: Vec<String>,
) -> u32 {
    let start = StartRun {
        session: live.opened.session.clone(),
        program,
        args,
    };
    match analysis(shell, live, &start).await {
        Ok(job) => jobs::wait(shell, live, &job).await,
        Err(status) => status,
    }
}

/// What may be run.
pub(super) async fn list(shell: &Shell, live: &LiveSession) -> u32 {
    let list = ListPrograms {
        session: live.opened.session.clone(),
    };
    match analysis(shell, live, &list).await {
        Ok(programs) => {
            let text = render::program_list(&programs, shell.lang(), shell.width());
            shell.out(&text).await;
            OK
        }
        Err(status) => status,
    }
}

/// The scripts that are kept.
pub(super) async fn scripts(shell: &Shell, live: &LiveSession) -> u32 {
    let list = ListPrograms {
        session: live.opened.session.clone(),
    };
    match analysis(shell, live, &list).await {
        Ok(programs) => {
            let text = render::scripts(&programs.scripts, shell.lang());
            shell.out(&text).await;
            OK
        }
        Err(status) => status,
    }
}

/// Keeps a script that is typed or piped now.
pub(super) async fn save(shell: &mut Shell, live: &LiveSession, name: String) -> u32 {
    let source = match shell.source(live).await {
        Ok(source) => source,
        Err(status) => return status,
    };
    let bytes = source.len();
    let put = PutScript {
        session: live.opened.session.clone(),
        name: name.clone(),
        source,
    };
    match analysis(shell, live, &put).await {
        Ok(()) => {
            let text = render::script_saved(&name, bytes, shell.lang());
            shell.out(&text).await;
            OK
        }
        Err(status) => status,
    }
}

/// A script's text.
pub(super) async fn show(shell: &Shell, live: &LiveSession, name: String) -> u32 {
    let get = GetScript {
        session: live.opened.session.clone(),
        name,
    };
    match analysis(shell, live, &get).await {
        Ok(text) => {
            let text = render::script_text(&text, shell.is_terminal());
            shell.out(&text).await;
            OK
        }
        Err(status) => status,
    }
}

/// Erases a script.
pub(super) async fn remove(shell: &Shell, live: &LiveSession, name: String) -> u32 {
    let remove = RemoveScript {
        session: live.opened.session.clone(),
        name: name.clone(),
    };
    match analysis(shell, live, &remove).await {
        Ok(()) => {
            let text = render::script_removed(&name, shell.lang());
            shell.out(&text).await;
            OK
        }
        Err(status) => status,
    }
}
