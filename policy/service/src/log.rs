//! Structured logs: one JSON object a line on standard error, for the journal.
//!
//! Logs serve whoever runs the machine: they hold ids and codes, never a person's name, a statement,
//! or data. What must be kept goes to the ledger.

use tracing_subscriber::EnvFilter;

/// Starts logging. `KEKKAI_LOG` sets levels (`info` without it).
pub fn init(program: &'static str) {
    let filter = EnvFilter::try_from_env("KEKKAI_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .finish();
    // A second call in one process (a test) keeps the first subscriber.
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        tracing::info!(program, version = env!("CARGO_PKG_VERSION"), "starting");
    }
    // Panic messages may quote data: the place is enough for us.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "bug: panicked");
    }));
}
