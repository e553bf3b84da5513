//! Stopping a program from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Stops a run. Cheap to clone; stays cancelled.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_cancelled: AtomicBool,
    changed: Notify,
}

impl Cancel {
    /// Asks the run to stop, whether it computes, waits or sleeps.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }

    /// Waits until somebody asks.
    pub(crate) async fn cancelled(&self) {
        loop {
            // Registered before the look, so that no call between the two is missed.
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if self.0.is_cancelled.load(Ordering::SeqCst) {
                return;
            }
            changed.await;
        }
    }
}
