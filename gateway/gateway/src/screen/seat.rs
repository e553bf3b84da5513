//! A desktop's one seat: who sits there, since when nobody does, and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kekkai_policy_api::DesktopTimes;
use kekkai_types::EndReason;
use tokio::sync::watch;
use tokio::time::Instant;

use super::WATCHERS_MAX;
use crate::sessions::LiveSession;

/// A desktop's seat and its watchers.
#[derive(Debug)]
pub(crate) struct Desk {
    times: DesktopTimes,
    seat: watch::Sender<Seat>,
    watchers: AtomicU32,
}

#[derive(Debug, Clone, Copy)]
struct Seat {
    /// How often somebody sat down: the last one sits.
    taken: u64,
    /// How often the screen was to be locked.
    locks: u64,
    /// Since when nobody sits there, and why.
    empty: Option<(Instant, EndReason)>,
}

/// Why somebody has to stand up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Replaced,
    Locked,
}

/// The seat, taken. Given back when dropped, if nobody took it meanwhile.
pub(super) struct Place {
    live: Arc<LiveSession>,
    number: u64,
    locks: u64,
}

/// A watcher's place, given back when dropped.
pub(super) struct WatchPlace(Arc<LiveSession>);

impl Desk {
    /// Nobody sits there yet, and whoever opened it is waited for like somebody who was cut.
    pub(crate) fn new(times: DesktopTimes) -> Self {
        Self {
            times,
            seat: watch::Sender::new(Seat {
                taken: 0,
                locks: 0,
                empty: Some((Instant::now(), EndReason::Disconnected)),
            }),
            watchers: AtomicU32::new(0),
        }
    }

    /// Without input for this long, the screen is locked.
    pub(super) fn lock_after(&self) -> Duration {
        Duration::from_secs(self.times.lock_after_s.into())
    }

    /// Locks the screen, if somebody looks at it.
    pub(crate) fn lock(&self) {
        self.seat
            .send_modify(|seat| seat.locks = seat.locks.wrapping_add(1));
    }

    /// Resolves when nobody came back in time, with the reason for the session's end.
    pub(super) async fn left_alone(&self) -> EndReason {
        let limit = Duration::from_secs(self.times.reconnect_limit_s.into());
        let mut changes = self.seat.subscribe();
        loop {
            let empty = changes.borrow_and_update().empty;
            let over = async {
                match empty {
                    Some((since, reason)) => {
                        tokio::time::sleep_until(since + limit).await;
                        reason
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                reason = over => return reason,
                changed = changes.changed() => if changed.is_err() {
                    return EndReason::Disconnected;
                },
            }
        }
    }
}

impl Place {
    /// Sits down. Whoever sat there stands up. `None`: a console has no seat.
    pub(super) fn take(live: &Arc<LiveSession>) -> Option<Self> {
        let desk = live.desk.as_ref()?;
        let (mut number, mut locks) = (0, 0);
        desk.seat.send_modify(|seat| {
            seat.taken = seat.taken.wrapping_add(1);
            seat.empty = None;
            (number, locks) = (seat.taken, seat.locks);
        });
        Some(Self {
            live: live.clone(),
            number,
            locks,
        })
    }

    /// Resolves when somebody else sat down, or the screen is to be locked.
    pub(super) async fn lost(&self) -> Lost {
        let Some(desk) = &self.live.desk else {
            return Lost::Replaced;
        };
        let mut changes = desk.seat.subscribe();
        let is_lost = |seat: &Seat| seat.taken != self.number || seat.locks != self.locks;
        match changes.wait_for(is_lost).await {
            Ok(seat) if seat.taken == self.number => Lost::Locked,
            _ => Lost::Replaced,
        }
    }

    /// Stands up: the session ends for this reason when nobody comes back in time.
    pub(super) fn leave(self, reason: EndReason) {
        self.empty(reason);
    }

    fn empty(&self, reason: EndReason) {
        let Some(desk) = &self.live.desk else { return };
        desk.seat.send_if_modified(|seat| {
            let is_mine = seat.taken == self.number && seat.empty.is_none();
            if is_mine {
                seat.empty = Some((Instant::now(), reason));
            }
            is_mine
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.empty(EndReason::Disconnected);
    }
}

impl WatchPlace {
    /// A place to look from, if there is one.
    pub(super) fn take(live: &Arc<LiveSession>) -> Option<Self> {
        let desk = live.desk.as_ref()?;
        desk.watchers
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
                (n < WATCHERS_MAX).then_some(n.saturating_add(1))
            })
            .ok()?;
        Some(Self(live.clone()))
    }
}

impl Drop for WatchPlace {
    fn drop(&mut self) {
        if let Some(desk) = &self.0.desk {
            let _ = desk
                .watchers
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        }
    }
}
