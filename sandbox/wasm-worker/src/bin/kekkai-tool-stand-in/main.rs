//! Runs a program without a session, for those who write one: the same engine, the same limits, the same
//! interface; queries are answered from CSV files, and what is submitted is printed.

mod answers;
mod cache;
mod print;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser};
use kekkai_types::Lang;
use kekkai_wasm_worker::{Cancel, Programs, check_component, config};
use kekkai_worker_api::{Run, RunLimits};

use answers::Answers;
use print::Printing;

/// The limits of the example agreement.
const LIMITS: RunLimits = RunLimits {
    time_limit_s: 600,
    memory_limit_mib: 1024,
    table_elements_max: 100_000,
    instances_max: 100,
    outputs_max: 20,
    output_kib_max: 256,
    log_kib_max: 1024,
    scratch_kib_max: 16_384,
    clock_ms: 10,
};

#[derive(Debug, Parser)]
#[command(name = "kekkai-tool-stand-in", version)]
struct Options {
    component: PathBuf,
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    #[arg(long, value_name = "TOML")]
    answers: Option<PathBuf>,
    #[arg(long)]
    json: bool,
    #[arg(long, value_name = "SECONDS", default_value_t = LIMITS.time_limit_s)]
    time_limit: u32,
    #[arg(long, value_name = "MIB", default_value_t = LIMITS.memory_limit_mib)]
    memory_limit: u32,
    #[arg(long, value_name = "ja|en", value_parser = |text: &str| text.parse::<Lang>())]
    lang: Option<Lang>,
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

fn main() -> ExitCode {
    let lang = words::language(std::env::args());
    let command = words::describe(Options::command(), lang);
    let options = match Options::from_arg_matches(&command.get_matches()) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match run(options, lang) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(2)
        }
    }
}

/// Whether the program ended well. An error is a sentence for the person.
fn run(options: Options, lang: Lang) -> Result<bool, String> {
    let component = read(&options.component, lang)?;
    let checked = check_component(&component).map_err(|e| words::ended(&e, lang))?;
    let script = match &options.script {
        Some(path) => Some(script(path, lang)?),
        None => None,
    };
    let answers = match &options.answers {
        Some(path) => Answers::read(path).map_err(|e| words::answers(&e, lang))?,
        None => Answers::default(),
    };
    if script.is_some() != (checked.kind() == kekkai_program_check::Kind::Language) {
        return Err(words::script_mismatch(script.is_some(), lang).to_owned());
    }
    let programs = Programs::new(&config::worker()).map_err(|e| e.to_string())?;
    let compiled = cache::load(&programs, &component, || {
        eprintln!("{}", words::compiling(lang));
    })?;
    let program = programs
        .prepare(&compiled)
        .map_err(|e| words::ended(&e, lang))?;
    let run = Run {
        script,
        args: options.args,
        catalogs: answers.catalogs(),
        limits: RunLimits {
            time_limit_s: options.time_limit,
            memory_limit_mib: options.memory_limit,
            ..LIMITS
        },
    };
    let printing = Arc::new(Printing::new(answers, options.json));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let ended = runtime.block_on(programs.run(&program, run, printing, &Cancel::default()));
    match ended {
        Ok(()) => Ok(true),
        Err(error) => {
            eprintln!("{}", words::ended(&error, lang));
            Ok(false)
        }
    }
}

fn read(path: &std::path::Path, lang: Lang) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| words::unreadable(path, &e, lang))
}

/// A script's name, as tracebacks call it, and text.
fn script(path: &std::path::Path, lang: Lang) -> Result<(String, String), String> {
    let bytes = read(path, lang)?;
    let text = String::from_utf8(bytes)
        .map_err(|e| words::unreadable(path, &std::io::Error::other(e), lang))?;
    let name = path.file_name().map_or_else(
        || "script".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    Ok((name, text))
}
