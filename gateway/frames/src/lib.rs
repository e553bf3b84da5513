//! The frame protocol: what a screen sends to whoever looks at it, and what comes back. There is no
//! message for a clipboard, a file, a printer, a sound or a device (invariant 1).
//!
//! ```text
//!            Output: Tiles · Scroll · Cursor · Size · Ping
//!  screen  ─────────────────────────────────────────────────▶  browser canvas, kekkai-vdi, a watcher
//!          ◀─────────────────────────────────────────────────
//!            Input: Key · Text · Pointer · Resize · Ack
//! ```
//!
//! A frame is a run of [`Output`] messages with one sequence number; the last one says so. Whoever draws
//! acknowledges it, and a screen has at most [`FRAMES_UNACKNOWLEDGED_MAX`] frames under way: what changed
//! meanwhile is sent as it is then, never as it was (latest wins).
//!
//! On a byte stream each message stands behind its length (`u32`, big-endian); a WebSocket carries one
//! message in each binary message.

//!
//! Towards clients the messages of one connection run through one raw deflate stream ([`Compressor`]), flushed
//! after each message. What the bytes are: `PROTOCOL.md`, written from [`MESSAGES`].
//!
//! This crate does no input or output. Decoders take what a hostile peer may send: they refuse, they never
//! panic, and they allocate no more than a bound that the input's size or a constant here gives.

mod canvas;
mod codec;
mod deflate;
mod error;
mod filter;
mod lossless;
mod lossy;
mod message;
mod stream;
mod table;
mod wiped;
mod wire;

pub use canvas::Canvas;
pub use codec::{decode_input, decode_output, encode_input, encode_output};
pub use deflate::{Compressor, Decompressor};
pub use error::{CanvasError, TileError, WireError};
pub use lossless::{decode_lossless, encode_lossless, encode_over};
pub use lossy::{decode_lossy, encode_lossy};
pub use message::{
    Codec, Cursor, CursorShape, Input, Key, Modifiers, Output, Rect, Tile, caret_none,
};
pub use stream::{Deframer, prefix};
pub use table::{Direction, Field, FieldKind, MESSAGES, MessageRow, protocol_tables};
pub use wiped::{Wiped, wipe};

/// The version that both sides name when they connect (`kekkai-frames/1`).
pub const VERSION: u8 = 1;
/// A tile's side, in pixels.
pub const TILE: u16 = 64;
/// The widest screen, in pixels.
pub const WIDTH_MAX: u16 = 2560;
/// The highest screen, in pixels.
pub const HEIGHT_MAX: u16 = 1600;
/// The smallest screen, in pixels, either way.
pub const SIDE_MIN: u16 = 320;
/// Tiles of one message: those of the largest screen.
pub const TILES_MAX: usize = 40 * 25;
/// The longest pixels of one tile, in bytes: more than the worst tile takes without loss.
pub const TILE_DATA_MAX: usize = 16 * 1024;
/// The furthest that a wheel turns in one message, in pixels.
pub const WHEEL_MAX: i16 = 4096;
/// The longest message to a client, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// The longest compressed message to a client, in bytes: what deflate makes of bytes that it can't shrink.
pub const CHUNK_BYTES_MAX: usize = OUTPUT_BYTES_MAX + 4096;
/// The longest message from a client, in bytes.
pub const INPUT_BYTES_MAX: usize = 1024;
/// The longest text of one [`Input::Text`], in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 512;
/// Frames that were sent and not acknowledged.
pub const FRAMES_UNACKNOWLEDGED_MAX: usize = 4;
