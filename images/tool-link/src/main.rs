//! `kekkai-tool-link`: makes a tool's component of a core WebAssembly module.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use kekkai_tool_link::{LinkError, WIT, link};
use kekkai_types::Lang;

#[derive(Debug, Parser)]
#[command(name = "kekkai-tool-link", version)]
struct Options {
    #[arg(required_unless_present = "wit")]
    module: Option<PathBuf>,
    #[arg(short, long, value_name = "FILE", required_unless_present = "wit")]
    output: Option<PathBuf>,
    #[arg(long)]
    wit: bool,
}

fn main() -> ExitCode {
    let lang = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
        .unwrap_or(Lang::En);
    let options = match Options::from_arg_matches(&describe(lang).get_matches()) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let (Some(module), Some(output)) = (options.module, options.output) else {
        print!("{WIT}");
        return ExitCode::SUCCESS;
    };
    match run(&module, &output, lang) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// The command with its help in the person's language.
fn describe(lang: Lang) -> clap::Command {
    let texts = [
        (
            "module",
            "kekkai:session に対してコンパイルした WebAssembly モジュール",
            "a core module, compiled against kekkai:session",
        ),
        (
            "output",
            "作成するコンポーネントのファイル",
            "the component to write",
        ),
        (
            "wit",
            "インターフェース (WIT) を表示して終わる",
            "print the interface (WIT) and end",
        ),
    ];
    let about = lang.pick(
        "モジュールからツールのコンポーネントを作り、セッションと同じ検査を行います",
        "makes a tool's component of a module, and checks it as a session does",
    );
    let command = Options::command().about(about);
    texts.iter().fold(command, |command, (id, ja, en)| {
        command.mut_arg(id, |arg| arg.help(lang.pick(ja, en).to_owned()))
    })
}

fn run(module: &Path, output: &Path, lang: Lang) -> Result<(), String> {
    let bytes = std::fs::read(module).map_err(|e| {
        let what = lang.pick("読めません", "can't be read");
        format!("\"{}\" {what}: {e}", module.display())
    })?;
    let component = link(&bytes).map_err(|e| {
        let (what, why) = match e {
            LinkError::Unfit(error) => (
                lang.pick(
                    "ツールの形に合いません",
                    "doesn't fit the interface of tools",
                ),
                format!("{error:#}"),
            ),
            LinkError::Refused(error) => (
                lang.pick("セッションでは実行できません", "no session would run it"),
                error.to_string(),
            ),
            LinkError::NotATool => (
                lang.pick("ツールではありません", "it is no tool"),
                "run-script".to_owned(),
            ),
        };
        format!("\"{}\": {what}: {why}", module.display())
    })?;
    std::fs::write(output, component).map_err(|e| {
        let what = lang.pick("書けません", "can't be written");
        format!("\"{}\" {what}: {e}", output.display())
    })
}
