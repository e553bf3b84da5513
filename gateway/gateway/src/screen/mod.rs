//! A session's desktop and whoever looks at it: the same relay for browsers, the native client and staff.
//!
//! A worked story. Sato signs in and opens a desktop: the session is launched, and nobody looks at it yet
//! ([`open`]). The page's WebSocket takes the session's one [seat](seat); that is recorded, and only then
//! does the analysis server's first frame pass ([`show`]). Sato's train enters a tunnel: the seat is empty
//! again and the session goes on, for as long as the agreement waits. Back in the light, Sato signs in anew,
//! with both factors at the same terminal, and sits down at the same session. Had they gone for coffee, the
//! screen would have been locked, which is the same thing with another reason.
//!
//! Neither side is believed. What the analysis server sends is decoded, checked against the screen and
//! encoded anew ([`Checker`](check::Checker)); what a client sends is decoded, counted and encoded anew
//! ([`Meter`](meter::Meter)). Nothing is queued: who reads slowly is sent to slowly, up to a limit.

mod check;
mod keep;
mod meter;
mod open;
mod relay;
mod seat;
mod show;

use std::time::Duration;

use bytes::Bytes;
use kekkai_types::EndReason;

pub(crate) use open::{Admission, Keepers, Opening};
pub(crate) use seat::Desk;
pub(crate) use show::{Guest, show, watch};

/// Sending one chunk, or passing one input on, takes at most this long.
pub(crate) const SEND_LIMIT: Duration = Duration::from_secs(15);
/// A frame or a ping is acknowledged within this time, or the line counts as cut.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// A client that has to say its size first does so within this time.
pub(crate) const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// Messages of one client in one second. A mouse that reports a thousand times has room.
pub(crate) const INPUTS_PER_SECOND_MAX: u32 = 2000;
/// Their bytes.
pub(crate) const INPUT_BYTES_PER_SECOND_MAX: usize = 256 * 1024;
/// Staff that look at one screen at once.
pub(crate) const WATCHERS_MAX: u32 = 4;
/// Telling a client why it is cut takes at most this long: it may not be reading.
pub(crate) const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// A client's area: width and height in pixels, pixels per point in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    width: u16,
    height: u16,
    scale: u16,
}

impl Area {
    /// An area as far as the protocol allows it: its own decoder says.
    pub(crate) fn new(width: u16, height: u16, scale: u16) -> Option<Self> {
        let resize = kekkai_frames::Input::Resize {
            width,
            height,
            scale,
        };
        kekkai_frames::decode_input(&kekkai_frames::encode_input(&resize)).ok()?;
        Some(Self {
            width,
            height,
            scale,
        })
    }

    fn triple(self) -> (u16, u16, u16) {
        (self.width, self.height, self.scale)
    }
}

/// What a client sent.
pub(crate) enum Arrived {
    /// A message's bytes, not looked at yet.
    Message(Bytes),
    /// Something of the carrier's own, which costs time too.
    Nothing,
    /// What this carrier doesn't carry.
    OutOfProtocol(&'static str),
    /// The client is gone, or half of it.
    Gone,
}

/// Nobody takes anything any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// From a client. Dropping the future of [`next`](Self::next) loses nothing.
pub(crate) trait Inlet: Send {
    /// What comes next.
    fn next(&mut self) -> impl Future<Output = Arrived> + Send;
}

/// To a client.
pub(crate) trait Outlet: Send {
    /// Sends a chunk of the connection's compressed stream; waits while the client doesn't read.
    fn send(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Says why nothing more comes. Given up after [`FAREWELL_LIMIT`].
    fn close(&mut self, close: Close) -> impl Future<Output = ()> + Send;
}

/// Why a screen is no longer shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// Nobody did anything for too long, or the person asked for it.
    Locked,
    /// The session is over.
    Ended(EndReason),
    /// The person opened another screen.
    Replaced,
    /// The analysis server's stream ended, or made no sense.
    ServerGone,
    /// The client did what no client does.
    OutOfProtocol(&'static str),
    /// A watcher's session is over, or the watcher may not look any longer.
    WatchOver,
    /// The client is gone.
    Cut,
}

impl Close {
    /// The WebSocket's close code (4000 to 4999 are an application's own, RFC 6455 §7.4.2). `None`: nobody
    /// is there to be told.
    pub(crate) fn code(self) -> Option<u16> {
        Some(match self {
            Self::Locked => 4001,
            Self::Ended(_) => 4002,
            Self::Replaced => 4003,
            Self::ServerGone => 4004,
            Self::OutOfProtocol(_) => 4005,
            Self::WatchOver => 4006,
            Self::Cut => return None,
        })
    }

    /// For a program to read, in kebab case.
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Locked => "locked".to_owned(),
            Self::Ended(reason) => kebab(reason),
            Self::Replaced => "replaced".to_owned(),
            Self::ServerGone => "server-gone".to_owned(),
            Self::OutOfProtocol(_) => "out-of-protocol".to_owned(),
            Self::WatchOver => "watch-over".to_owned(),
            Self::Cut => "cut".to_owned(),
        }
    }

    /// For the ledger: as [`ScreenDetached`](kekkai_policy_api::Event::ScreenDetached) lists them.
    fn detached(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Replaced => "replaced",
            Self::Ended(EndReason::ClosedByUser) => "left",
            Self::Ended(_) => "ended",
            Self::ServerGone | Self::OutOfProtocol(_) | Self::WatchOver | Self::Cut => "cut",
        }
    }
}

/// A reason's stable code.
pub(crate) fn kebab(reason: EndReason) -> String {
    serde_json::to_value(reason)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_else(|| "internal".to_owned())
}
