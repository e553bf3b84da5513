//! `kekkai-policy`: the policy service's daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use kekkai_policyd::config::Config;
use kekkai_policyd::{Service, routes};
use kekkai_types::Timestamp;
use tokio::net::TcpListener;

/// How often sessions are looked for that nobody holds any more.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Decides, releases wrapped keys, and writes the ledger.
#[derive(Debug, Parser)]
#[command(name = "kekkai-policy", version)]
struct Arguments {
    /// The configuration (TOML).
    #[arg(long)]
    config: PathBuf,
    /// Read the configuration and the files that it names, then leave.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kekkai-policy: {}", describe(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config: Config = kekkai_service::config::load(&arguments.config)?;
    if arguments.check {
        config.check()?;
        kekkai_service::tls::server_config(&config.tls)?;
        println!("{}: ok", arguments.config.display());
        return Ok(());
    }
    kekkai_service::log::init("kekkai-policy");
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(&config))
}

async fn serve(config: &Config) -> Result<(), Failure> {
    let service = Arc::new(config.start(Timestamp::now())?);
    let listener = TcpListener::bind(config.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let sweeper = tokio::spawn(sweep(service.clone()));
    let router = routes(&service).router();
    let served = kekkai_service::serve(
        listener,
        &config.tls,
        router,
        kekkai_service::drain::signal(),
    )
    .await;
    sweeper.abort();
    // No answer was promised for this entry: without a ledger there is nothing left to do but leave.
    if let Err(refusal) = service.stop(Timestamp::now()) {
        tracing::error!(code = refusal.code, "the end is not in the ledger");
    }
    served?;
    tracing::info!("stopped");
    Ok(())
}

async fn sweep(service: Arc<Service>) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tick.tick().await;
        let service = service.clone();
        let swept = tokio::task::spawn_blocking(move || service.sweep(Timestamp::now())).await;
        if let Ok(Err(refusal)) = swept {
            tracing::warn!(code = refusal.code, "sessions could not be looked through");
        }
    }
}

/// An error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
