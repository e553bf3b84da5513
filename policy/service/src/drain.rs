//! Draining: the first SIGTERM or SIGINT lets requests under way end, then the daemon leaves.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal as listen};

/// How long requests under way may take after the signal.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Resolves at the first SIGTERM or SIGINT.
pub async fn signal() {
    let (Ok(mut term), Ok(mut int)) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
    ) else {
        // Without handlers the signals' default action ends the process: nothing to wait for.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("draining");
}
