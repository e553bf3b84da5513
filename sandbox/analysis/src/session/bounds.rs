//! What a session's processes may use together: a control group where the host gives one, and a watchdog
//! for what the group can't bound.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kekkai_analysis_api::JOBS_ACTIVE_MAX;
use kekkai_policy_api::{EndReason, SessionTerms};
use kekkai_sys::cgroup::{Controller, Group, Host, Limits, NONE_HERE, WEIGHT_DEFAULT};
use kekkai_sys::watchdog::{self, Sample};

use super::Session;
use crate::broker::WORKER_OVERHEAD_MIB;
use crate::desktop::{DESKTOP_MEMORY_MIB, DESKTOP_SHARED_MIB};

/// Between two looks of the watchdog.
const LOOK: Duration = Duration::from_millis(500);
/// A killed group must be empty by then.
const EMPTY_LIMIT: Duration = Duration::from_secs(2);
/// Threads and processes of one jailed process, as its own limit says.
const THREADS_MAX: u32 = 256;
/// Memory of a program's process beyond the program's own, in MiB.
pub(super) const PROGRAM_OVERHEAD_MIB: u32 = 512;

/// A session's bounds.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// Gone with the session.
    group: Mutex<Option<Group>>,
    /// For the ledger.
    pub(crate) described: String,
    watched: watchdog::Bounds,
    /// The kernel keeps the bounds itself.
    is_kept: bool,
    pids: Mutex<BTreeSet<i32>>,
}

impl Bounds {
    /// For a session under these terms. Where no group can be had, the watchdog is all there is.
    pub(crate) fn new(host: Option<&Host>, terms: &SessionTerms) -> Self {
        let programs = terms.programs.as_ref().map_or(0, |programs| {
            let each = programs
                .memory_limit_mib
                .saturating_add(PROGRAM_OVERHEAD_MIB);
            each.saturating_mul(u32::try_from(JOBS_ACTIVE_MAX).unwrap_or(u32::MAX))
        });
        let desktop = match &terms.desktop {
            Some(_) => DESKTOP_MEMORY_MIB.saturating_add(DESKTOP_SHARED_MIB),
            None => 0,
        };
        let mib = terms
            .memory_limit_mib
            .saturating_add(WORKER_OVERHEAD_MIB)
            .saturating_add(programs)
            .saturating_add(desktop);
        let memory_bytes = u64::from(mib) * 1024 * 1024;
        let processes = u32::try_from(JOBS_ACTIVE_MAX)
            .unwrap_or(u32::MAX)
            .saturating_add(1)
            .saturating_add(u32::from(terms.desktop.is_some()));
        let pids = processes.saturating_mul(THREADS_MAX);
        let limits = Limits {
            memory_bytes,
            pids,
            cpu_weight: WEIGHT_DEFAULT,
            cpu_permille: None,
            io_weight: WEIGHT_DEFAULT,
        };
        let made = host.map(|host| host.create(terms.session.as_str(), &limits));
        let (group, described, is_kept) = match (made, host) {
            (Some(Ok(group)), Some(host)) => {
                let has = |controller| host.controllers().contains(&controller);
                let is_kept = has(Controller::Memory) && has(Controller::Pids);
                (Some(group), host.describe(), is_kept)
            }
            (Some(Err(error)), _) => {
                tracing::error!(error = %crate::explain(&error), "no group for a session");
                (None, NONE_HERE.to_owned(), false)
            }
            _ => (None, NONE_HERE.to_owned(), false),
        };
        Self {
            group: Mutex::new(group),
            described,
            watched: watchdog::Bounds {
                memory_bytes,
                threads: u64::from(pids),
                cpu_permille: None,
            },
            is_kept,
            pids: Mutex::default(),
        }
    }

    /// Holds a process. False when the group that there is doesn't take it: it must not go on.
    pub(crate) fn add(&self, pid: i32) -> bool {
        self.pids().insert(pid);
        let group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        match group.as_ref().map(|group| group.add(pid)) {
            Some(Err(error)) => {
                tracing::error!(error = %crate::explain(&error), "a process is outside its group");
                false
            }
            _ => true,
        }
    }

    /// A process that is gone.
    pub(super) fn forget(&self, pid: i32) {
        self.pids().remove(&pid);
    }

    fn pids(&self) -> std::sync::MutexGuard<'_, BTreeSet<i32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills what is left in the group, and removes it. Waits: not for a thread of the runtime.
    pub(super) fn finish(&self) {
        let group = self
            .group
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(error)) = group.map(|group| group.kill_and_remove(EMPTY_LIMIT)) {
            tracing::error!(error = %crate::explain(&error), "a session's group is left");
        }
    }
}

/// Ends a session that goes beyond its bounds, where the kernel doesn't keep them.
pub(super) async fn watch(session: Arc<Session>) {
    if session.bounds.is_kept {
        return;
    }
    let mut before: Option<(Sample, Instant)> = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = session.wait_end() => return,
        }
        let pids: Vec<i32> = session.bounds.pids().iter().copied().collect();
        let sampled = tokio::task::spawn_blocking(move || watchdog::sample(&pids)).await;
        let Ok(Ok(now)) = sampled else {
            tracing::error!(session = %session.id(), "a session's processes can't be looked at");
            return session.end(EndReason::ServerLost).await;
        };
        let last = before.map(|(sample, at)| (sample, at.elapsed()));
        if let Err(excess) = watchdog::judge(&session.bounds.watched, last, now) {
            session.record_killed("session", &excess.to_string()).await;
            return session.end(EndReason::ServerLost).await;
        }
        before = Some((now, Instant::now()));
    }
}
