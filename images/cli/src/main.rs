//! `kekkai`: administration, data, verification, and the demo.

mod admin;
mod data;
mod demo;
mod doctor;
mod extract;
mod ledger;
mod recording;
mod reference;
mod release;
mod tool;
mod watermark;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kekkai_types::Lang;

/// Kekkai: a visiting environment for pseudonymized medical data.
#[derive(Parser)]
#[command(name = "kekkai", version, propagate_version = true)]
struct Cli {
    /// The language of messages: ja or en (from LC_ALL, LC_MESSAGES or LANG without it).
    #[arg(long, global = true)]
    lang: Option<Lang>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make Japanese hospital data, raw, with a seed.
    Sample(data::Sample),
    /// Pseudonymize, check and encrypt raw data, and register the dataset.
    Ingest(data::Ingest),
    /// Make a project's own copy of the data that its agreement grants, under its own keys and pseudonyms.
    Extract(extract::Extract),
    /// Agreements: register, end.
    #[command(subcommand)]
    Agreement(admin::Agreement),
    /// The roster of an agreement: add, remove.
    #[command(subcommand)]
    Handler(admin::Handler),
    /// People: add, enrol, unlock, show.
    #[command(subcommand)]
    Person(admin::Person),
    /// Terminals: add, revoke.
    #[command(subcommand)]
    Terminal(admin::Terminal),
    /// Analysis servers: expect, list.
    #[command(subcommand)]
    Server(admin::Server),
    /// Reference values: make, add, withdraw.
    #[command(subcommand)]
    Reference(reference::Reference),
    /// What is registered and running.
    Status(admin::Connect),
    /// The ledger: verify, show, export.
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Recordings of screens: make the auditors' key, list, verify, export.
    #[command(subcommand)]
    Recording(recording::Recording),
    /// Releases: verify.
    #[command(subcommand)]
    Release(release::Release),
    /// Tools that researchers bring in: pack, check, submit, list, withdraw.
    #[command(subcommand)]
    Tool(tool::Tool),
    /// The invisible mark in pictures of screens: read.
    #[command(subcommand)]
    Watermark(watermark::Watermark),
    /// Say what this machine can enforce, and how to mend what it can't.
    Doctor,
    /// Play the whole story on loopback, or act as a person of a demo that runs.
    Demo(demo::Demo),
}

/// What ends a command: its text says what to do next.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let lang = cli.lang.unwrap_or_else(lang_of_locale);
    if matches!(cli.command, Command::Doctor) {
        return doctor::run(lang);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kekkai: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command, lang)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kekkai: {error}");
            let mut cause = error.source();
            while let Some(next) = cause {
                eprintln!("  {}: {next}", lang.pick("原因", "because"));
                cause = next.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, lang: Lang) -> Outcome {
    match command {
        Command::Sample(sample) => data::sample(&sample, lang),
        Command::Ingest(ingest) => data::ingest(&ingest, lang).await,
        Command::Extract(extract) => extract::run(extract, lang).await,
        Command::Agreement(agreement) => admin::agreement(agreement, lang).await,
        Command::Handler(handler) => admin::handler(handler, lang).await,
        Command::Person(person) => admin::person(person, lang).await,
        Command::Terminal(terminal) => admin::terminal(terminal, lang).await,
        Command::Server(server) => admin::server(server, lang).await,
        Command::Reference(reference) => reference::run(reference, lang).await,
        Command::Status(connect) => admin::status(&connect, lang).await,
        Command::Ledger(ledger) => ledger::run(ledger, lang),
        Command::Recording(recording) => recording::run(recording, lang),
        Command::Release(release) => release::run(release, lang),
        Command::Tool(tool) => tool::run(tool, lang).await,
        Command::Watermark(watermark) => watermark::run(watermark, lang),
        Command::Demo(demo) => demo::run(demo, lang).await,
        // Answered in `main`, before there are threads.
        Command::Doctor => Ok(()),
    }
}

/// English, unless the locale says Japanese.
fn lang_of_locale() -> Lang {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .and_then(|value| value.parse().ok())
        .unwrap_or(Lang::En)
}
