//! Processes that wait in their jails for a session: started, seen from outside, and told nothing yet.
//!
//! A session takes one and the pool starts its successor. A jail's bound on memory is fixed when it is
//! entered, so spares are kept for each bound that was asked for lately.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kekkai_sys::{JailSpec, Spawner};
use kekkai_worker_api::Message;

use crate::worker::{self, Greeting, Jailed, WorkerError};

/// Bounds on memory for which spares are kept.
const SPECS_MAX: usize = 4;
/// Spares of one bound that are started at once, when none was there in time.
const STARTING_MAX: usize = 2;

/// While closing, how often it is looked whether all starts are over, and between looks.
const CLOSE_LOOKS: u32 = 500;
const CLOSE_LOOK: Duration = Duration::from_millis(20);

/// Waiting processes of one kind.
pub struct Pool<S, R> {
    inner: Arc<Inner<S, R>>,
}

impl<S, R> Clone for Pool<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

struct Inner<S, R> {
    spawner: Spawner,
    image: File,
    name: &'static str,
    /// Spares of one bound on memory; 0: each process is started when it is asked for.
    size: usize,
    shelves: Mutex<Shelves<S, R>>,
}

struct Shelves<S, R> {
    /// The one asked for last is at the back.
    shelves: VecDeque<Shelf<S, R>>,
    /// Spares that are being started, on whatever shelf.
    starting: usize,
    is_closed: bool,
}

struct Shelf<S, R> {
    spec: JailSpec,
    spares: VecDeque<Jailed<S, R>>,
    starting: usize,
}

impl<S: Message + Send + 'static, R: Greeting + Send + 'static> Pool<S, R> {
    /// A pool without spares: the first are started by [`warm`](Self::warm) or a first use.
    pub fn new(spawner: Spawner, image: File, name: &'static str, size: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                spawner,
                image,
                name,
                size,
                shelves: Mutex::new(Shelves {
                    shelves: VecDeque::new(),
                    starting: 0,
                    is_closed: false,
                }),
            }),
        }
    }

    // Only whole changes are made under this lock.
    fn shelves(&self) -> MutexGuard<'_, Shelves<S, R>> {
        self.inner
            .shelves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts spares for a jail of this kind. Within a tokio runtime.
    pub fn warm(&self, spec: &JailSpec) {
        self.refill(spec);
    }

    /// A process in a jail of this kind: a spare that still stands as it did, or a new one.
    pub async fn take(&self, spec: &JailSpec) -> Result<Jailed<S, R>, WorkerError> {
        let spare = loop {
            let Some(spare) = self.spare(spec) else {
                break None;
            };
            if spare.has_ended() {
                tracing::warn!(process = self.inner.name, "a spare process has ended");
                continue;
            }
            match spare.look().await {
                Ok(()) => break Some(spare),
                Err(error) => {
                    tracing::error!(process = self.inner.name, %error, "a spare process is dropped");
                }
            }
        };
        let taken = match spare {
            Some(spare) => Ok(spare),
            None => self.start(spec).await,
        };
        self.refill(spec);
        taken
    }

    async fn start(&self, spec: &JailSpec) -> Result<Jailed<S, R>, WorkerError> {
        let inner = &self.inner;
        worker::start(&inner.spawner, &inner.image, inner.name, spec.clone()).await
    }

    fn spare(&self, spec: &JailSpec) -> Option<Jailed<S, R>> {
        let mut shelves = self.shelves();
        let shelf = shelves
            .shelves
            .iter_mut()
            .find(|shelf| shelf.spec == *spec)?;
        shelf.spares.pop_front()
    }

    /// Starts what is missing, in the background. A bound that nobody asked for lately loses its spares.
    fn refill(&self, spec: &JailSpec) {
        let mut dropped = None;
        let missing = {
            let mut shelves = self.shelves();
            if shelves.is_closed || self.inner.size == 0 {
                return;
            }
            let at = shelves.shelves.iter().position(|shelf| shelf.spec == *spec);
            let shelf = at.and_then(|at| shelves.shelves.remove(at));
            let mut shelf = shelf.unwrap_or_else(|| Shelf {
                spec: spec.clone(),
                spares: VecDeque::new(),
                starting: 0,
            });
            let there = shelf.spares.len() + shelf.starting;
            let missing = self.inner.size.saturating_sub(there).min(STARTING_MAX);
            shelf.starting += missing;
            shelves.starting += missing;
            shelves.shelves.push_back(shelf);
            if shelves.shelves.len() > SPECS_MAX {
                dropped = shelves.shelves.pop_front();
            }
            missing
        };
        for _ in 0..missing {
            let (pool, spec) = (self.clone(), spec.clone());
            tokio::spawn(async move { pool.add(&spec).await });
        }
        // Killing waits for the kernel: not on a thread of the runtime.
        if let Some(shelf) = dropped {
            tokio::task::spawn_blocking(move || drop(shelf));
        }
    }

    async fn add(&self, spec: &JailSpec) {
        let started = self.start(spec).await;
        let surplus = {
            let mut shelves = self.shelves();
            let is_closed = shelves.is_closed;
            let shelf = shelves.shelves.iter_mut().find(|shelf| shelf.spec == *spec);
            match (shelf, started) {
                (Some(shelf), started) => {
                    shelf.starting = shelf.starting.saturating_sub(1);
                    match started {
                        Ok(jailed) if !is_closed => {
                            shelf.spares.push_back(jailed);
                            None
                        }
                        Ok(jailed) => Some(jailed),
                        Err(error) => {
                            tracing::error!(process = self.inner.name, %error, "no spare process");
                            None
                        }
                    }
                }
                (None, Ok(jailed)) => Some(jailed),
                (None, Err(_)) => None,
            }
        };
        if let Some(jailed) = surplus {
            // A failed task leaves the process to the spawner, which dies with us.
            let _ = tokio::task::spawn_blocking(move || drop(jailed)).await;
        }
        let mut shelves = self.shelves();
        shelves.starting = shelves.starting.saturating_sub(1);
    }

    /// Spares that wait now.
    pub fn waiting(&self) -> usize {
        let shelves = self.shelves();
        shelves.shelves.iter().map(|shelf| shelf.spares.len()).sum()
    }

    /// Ends all spares, and starts no more. Those that were being started are gone too when this returns.
    pub async fn close(&self) {
        let shelves = {
            let mut shelves = self.shelves();
            shelves.is_closed = true;
            std::mem::take(&mut shelves.shelves)
        };
        // A failed task leaves the processes to the spawner, which dies with us.
        let _ = tokio::task::spawn_blocking(move || drop(shelves)).await;
        for _ in 0..CLOSE_LOOKS {
            if self.shelves().starting == 0 {
                return;
            }
            tokio::time::sleep(CLOSE_LOOK).await;
        }
    }
}
