//! `kekkai-review --config FILE`

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use kekkai_review::config::Config;

/// The review service of a Kekkai deployment.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration (TOML).
    #[arg(long)]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config: Config = match kekkai_service::config::load(&arguments.config) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    kekkai_service::log::init("kekkai-review");
    match kekkai_review::run(&config, kekkai_service::drain::signal()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// One line for each cause, for whoever starts the service.
fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("kekkai-review: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        eprintln!("  because {inner}");
        cause = inner.source();
    }
    ExitCode::FAILURE
}
