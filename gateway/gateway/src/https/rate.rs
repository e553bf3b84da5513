//! How often one terminal may ask for sign-in work.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kekkai_types::TerminalId;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);
/// Terminals whose requests are counted at once; there are no more than are registered.
const TERMINALS_MAX: usize = 10_000;

/// Requests of the present minute, by terminal.
pub(crate) struct Rate {
    max: u32,
    counts: Mutex<HashMap<TerminalId, (Instant, u32)>>,
}

impl Rate {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            max,
            counts: Mutex::default(),
        }
    }

    /// True when the request is within bounds.
    pub(crate) fn allows(&self, terminal: &TerminalId) -> bool {
        let now = Instant::now();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= TERMINALS_MAX {
            counts.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        let (since, count) = counts.entry(terminal.clone()).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.max
    }
}
