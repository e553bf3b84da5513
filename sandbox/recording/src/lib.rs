//! Recordings of screens: written before they are shown, readable by auditors only.
//!
//! A worked story. The broker makes a recording for a session: a first line that says whose screen it is
//! and for which auditors' key, its digest into the ledger, and a [`Recorder`]. For each frame that a
//! screen is to show, it first calls [`Recorder::append`]; only when that returns does anything go to a
//! client. The disk becomes full: `append` fails, nothing is sent, the screen says so and stands still.
//! Somebody makes room, [`Recorder::retry`] writes the same bytes again, and the session goes on. From
//! time to time the ledger hears how far the recording is ([`Recorder::reached`]). A year later an auditor
//! compares it with the ledger ([`verify`]), and looks at what the screen showed at ten past three
//! ([`Player`]).
//!
//! The broker can't read what it wrote: the key of each part is made for the auditors' public key (HPKE,
//! RFC 9180: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM) and forgotten with the session.
//!
//! # Format `kekkai-recording/1`
//!
//! A recording is one or more files, `SESSION-0001.rec`, `SESSION-0002.rec` … Numbers are big-endian.
//!
//! ```text
//! part  := line chunk*
//! line  := JSON object of `Header`, then "\n"; at most HEADER_BYTES_MAX bytes
//! chunk := head body link
//! head  := kind:u8  number:u64  at:i64  length:u32      21 bytes; `length` is that of the body
//! body  := AES-256-GCM(key of the part, nonce, AAD = link before ‖ head, content)
//! link  := SHA-256(link before ‖ head ‖ body)
//! content := (length:u32 deflated)*                      messages of `kekkai-frames`
//! ```
//!
//! - `kind`: 0 changes, 1 a keyframe (begins with a `Size` message: nothing before it is needed), 2 the end.
//! - `number` counts from 0 through all parts. The nonce is 4 zero bytes and the number; each part has a key
//!   of its own.
//! - `at`: milliseconds since 1970 UTC; never less than that of the chunk before.
//! - The link before a part's first chunk is SHA-256 of its line. The line names the last link of the part
//!   before: `head -n 1 FILE | sha256sum` prints what the ledger has as the recording's header.
//! - `key`: the exporter secret of the HPKE context under `info` = the line's other fields, see
//!   [`Header`].
//! - `deflated`: one raw deflate stream from keyframe to keyframe, flushed after each message.
//!
//! # What is found, and by what
//!
//! | change | without the ledger or the key | with the ledger | with the key |
//! |---|---|---|---|
//! | a flipped byte, anywhere | yes | yes | yes |
//! | chunks or parts dropped, swapped, from another recording | yes | yes | yes |
//! | cut off within a chunk | yes | yes | yes |
//! | cut off after a chunk | says "not finished" | yes, up to what the ledger heard last | says "not finished" |
//! | written anew as a whole, by who has the public key | no | yes | no |
//!
//! # What a power cut loses
//!
//! `append` returns when the operating system has the bytes: a killed process loses nothing. A thread
//! of each recorder has them on the disk at most [`SYNC_INTERVAL`] later: that much, at the end, can be
//! missing after a power cut.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

mod chunk;
mod error;
mod export;
mod header;
mod key;
mod list;
mod part;
mod player;
mod recorder;
mod sync;
mod verify;

pub use chunk::{CHUNK_BYTES_MAX, Kind};
pub use error::{ContentError, Fault, Place, RecordingError};
pub use export::{FRAME_MS_MIN, Filmed, film, png};
pub use header::{FORMAT, HEADER_BYTES_MAX, Header};
pub use key::{AuditorKey, KeyError, Recipient};
pub use list::{EXTENSION, Listed, list};
pub use part::header_of;
pub use player::Player;
pub use recorder::{Limits, Reached, Recorder};
pub use sync::SYNC_INTERVAL;
pub use verify::{End, Expected, Report, verify};
