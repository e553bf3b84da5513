//! How much may be under way to a viewer: what its acknowledgements say of the way and of itself.

use std::collections::VecDeque;

use kekkai_frames::FRAMES_UNACKNOWLEDGED_MAX;

/// Bytes under way before anything is known of the way, or while little is.
const BUDGET_MIN: u64 = 32 * 1024;
/// Bytes under way at most; one frame may go beyond.
const BUDGET_MAX: u64 = 1024 * 1024;
/// A frame is cut where it would take the way for longer, in milliseconds.
const FRAME_MS: u64 = 300;
/// A frame that takes the way for longer is worth a loss where the picture changes fast, in milliseconds.
const SMOOTH_MS: u64 = 80;
/// From one ping to the next, in milliseconds.
const PING_EVERY_MS: u64 = 10_000;

/// An acknowledgement of something that isn't under way, or out of turn: the client broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing that waits for it has the number {number}")]
pub struct AcknowledgeError {
    /// The number that was acknowledged.
    pub number: u32,
}

/// One viewer's way. Bytes are those on the wire, roughly.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    under_way: VecDeque<Sent>,
    bytes_under_way: u64,
    /// Acknowledged so far.
    delivered: u64,
    delivered_at_ms: u64,
    /// Bytes a second; `None` until a frame was acknowledged.
    rate: Option<u64>,
    /// The shortest way there and back, in milliseconds, that was seen of late.
    round_trip_ms: Option<u64>,
    /// Something had to wait since the frame that is acknowledged next was sent.
    is_blocked: bool,
    ping: Option<(u32, u64)>,
    pinged_at_ms: Option<u64>,
    pings: u32,
}

#[derive(Debug)]
struct Sent {
    number: u32,
    bytes: u64,
    at_ms: u64,
    delivered_before: u64,
    /// From when on the way was this frame's and that of those before it.
    since_ms: u64,
}

impl Flow {
    /// Whether another frame may go.
    pub(crate) fn is_open(&self) -> bool {
        self.under_way.is_empty()
            || (self.under_way.len() < FRAMES_UNACKNOWLEDGED_MAX
                && self.bytes_under_way < self.budget())
    }

    /// Something waits.
    pub(crate) fn note_waiting(&mut self) {
        self.is_blocked = true;
    }

    /// The most that a frame may hold, in bytes.
    pub(crate) fn frame_bytes_max(&self) -> u64 {
        self.rate.map_or(BUDGET_MAX, |rate| {
            (rate * FRAME_MS / 1_000).clamp(BUDGET_MIN, BUDGET_MAX)
        })
    }

    /// Whether the way is the limit, and so many bytes are more than it takes while a picture seems to move.
    pub(crate) fn is_too_much(&self, bytes: u64) -> bool {
        let takes_long = |rate| bytes * 1_000 > rate * SMOOTH_MS;
        self.is_blocked && self.rate.is_some_and(takes_long)
    }

    /// Twice what the way holds, so that it is never empty while a client draws.
    fn budget(&self) -> u64 {
        match (self.rate, self.round_trip_ms) {
            (Some(rate), Some(round_trip)) => {
                (rate * round_trip * 2 / 1_000).clamp(BUDGET_MIN, BUDGET_MAX)
            }
            _ => BUDGET_MIN,
        }
    }

    /// A frame goes. The number of a ping that goes with it, now and then.
    pub(crate) fn sent(&mut self, number: u32, bytes: u64, now_ms: u64) -> Option<u32> {
        let since_ms = match self.under_way.is_empty() {
            true => now_ms,
            false => self.delivered_at_ms,
        };
        if self.under_way.is_empty() {
            self.is_blocked = false;
        }
        self.under_way.push_back(Sent {
            number,
            bytes,
            at_ms: now_ms,
            delivered_before: self.delivered,
            since_ms,
        });
        self.bytes_under_way += bytes;
        let is_due = self
            .pinged_at_ms
            .is_none_or(|at| now_ms.saturating_sub(at) >= PING_EVERY_MS);
        if self.ping.is_some() || !is_due {
            return None;
        }
        self.pings = self.pings.wrapping_add(1);
        self.ping = Some((self.pings, now_ms));
        self.pinged_at_ms = Some(now_ms);
        Some(self.pings)
    }

    /// The oldest frame under way was drawn.
    pub(crate) fn frame_arrived(
        &mut self,
        number: u32,
        now_ms: u64,
    ) -> Result<(), AcknowledgeError> {
        let sent = match self.under_way.front() {
            Some(sent) if sent.number == number => self.under_way.pop_front(),
            _ => None,
        };
        let sent = sent.ok_or(AcknowledgeError { number })?;
        self.bytes_under_way = self.bytes_under_way.saturating_sub(sent.bytes);
        self.delivered += sent.bytes;
        self.delivered_at_ms = now_ms;
        self.note_round_trip(now_ms.saturating_sub(sent.at_ms));
        let took_ms = now_ms.saturating_sub(sent.since_ms).max(1);
        let seen = (self.delivered - sent.delivered_before).saturating_mul(1_000) / took_ms;
        self.rate = Some(match self.rate {
            // The way took at least this much; less says something only if it was full.
            Some(rate) if seen > rate => seen,
            Some(rate) if self.is_blocked => rate - rate / 8 + seen / 8,
            Some(rate) => rate,
            None => seen.max(BUDGET_MIN),
        });
        Ok(())
    }

    /// A ping came back.
    pub(crate) fn ping_arrived(
        &mut self,
        number: u32,
        now_ms: u64,
    ) -> Result<(), AcknowledgeError> {
        let (_, at_ms) = self
            .ping
            .take_if(|(expected, _)| *expected == number)
            .ok_or(AcknowledgeError { number })?;
        self.note_round_trip(now_ms.saturating_sub(at_ms));
        Ok(())
    }

    /// When the oldest frame under way was sent.
    pub(crate) fn waits_since_ms(&self) -> Option<u64> {
        self.under_way.front().map(|sent| sent.at_ms)
    }

    fn note_round_trip(&mut self, seen_ms: u64) {
        self.round_trip_ms = Some(match self.round_trip_ms {
            // Ways become longer, too: slowly forget the best.
            Some(best) if seen_ms > best => best + (seen_ms - best) / 16,
            _ => seen_ms.max(1),
        });
    }
}
