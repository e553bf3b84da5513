//! Brings to the disk what the operating system has: soon, and not on the way to a screen.

use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Written bytes are on the disk at most this long after.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
struct State {
    /// What has bytes that the disk may not have.
    dirty: Option<Arc<File>>,
    failure: Option<std::io::Error>,
    is_over: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that syncs a recorder's file once a second while it is written to, and sleeps otherwise.
pub(crate) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(crate) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().spawn({
            let shared = shared.clone();
            move || run(&shared)
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Says that bytes were written. An earlier sync that failed comes back: the disk has lost bytes that
    /// were thought to be there.
    pub(crate) fn wrote(&self, file: &Arc<File>) -> std::io::Result<()> {
        let mut state = self.shared.lock();
        if let Some(failure) = &state.failure {
            return Err(std::io::Error::new(failure.kind(), failure.to_string()));
        }
        // A recorder syncs a part by itself before it goes on with the next.
        if state.dirty.replace(file.clone()).is_none() {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Ends the thread, and says whether all that it synced is there.
    pub(crate) fn stop(&mut self) -> std::io::Result<()> {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            thread
                .join()
                .map_err(|_| std::io::Error::other("bug: the syncing thread failed"))?;
        }
        self.shared.lock().failure.take().map_or(Ok(()), Err)
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        // A recorder that is dropped was not finished: what it wrote still goes to the disk.
        let _ = self.stop();
    }
}

fn run(shared: &Shared) {
    loop {
        let (file, is_over) = {
            let mut state = shared.lock();
            while state.dirty.is_none() && !state.is_over {
                state = shared
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            // What is written within this time is synced with it.
            if !state.is_over {
                let (waited, _) = shared
                    .changed
                    .wait_timeout_while(state, SYNC_INTERVAL / 2, |state| !state.is_over)
                    .unwrap_or_else(PoisonError::into_inner);
                state = waited;
            }
            (state.dirty.take(), state.is_over)
        };
        if let Some(Err(failure)) = file.map(|file| file.sync_all()) {
            // The system may have dropped those bytes: trying again would say that all is well.
            shared.lock().failure.get_or_insert(failure);
        }
        if is_over {
            return;
        }
    }
}
