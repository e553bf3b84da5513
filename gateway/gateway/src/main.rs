//! `kekkai-gateway --config FILE`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// The gateway of a Kekkai visiting environment.
#[derive(Parser)]
#[command(name = "kekkai-gateway", version)]
struct Arguments {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    kekkai_service::log::init("kekkai-gateway");
    match start(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                message.push_str(": ");
                message.push_str(&error.to_string());
                cause = error.source();
            }
            tracing::error!(error = message, "not started");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = kekkai_service::config::load(&arguments.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(kekkai_gateway::run(config, kekkai_service::drain::signal()))?;
    Ok(())
}
