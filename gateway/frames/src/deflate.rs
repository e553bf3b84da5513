//! One raw deflate stream (RFC 1951) for the messages of a connection, flushed after each: what a message
//! has in common with those before it costs nothing again, and each is whole when its chunk is.
//!
//! The streams' windows (32 KiB of messages) are not wiped when they end: the library offers no way.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{CHUNK_BYTES_MAX, OUTPUT_BYTES_MAX, WireError, wipe};

/// How hard to search. Measured on typing, scrolling and charts: see `benches/screen.rs` of `kekkai-screen`.
const LEVEL: u32 = 6;
/// What every chunk ends with: the empty block of a synchronous flush.
const FLUSH_MARK: [u8; 4] = [0, 0, 0xff, 0xff];
/// Output is made in pieces of this size.
const PIECE_BYTES: usize = 4096;

/// Makes chunks of messages.
pub struct Compressor {
    stream: Compress,
    has_failed: bool,
}

impl Compressor {
    /// For one connection, from its first message on.
    pub fn new() -> Self {
        Self {
            stream: Compress::new(Compression::new(LEVEL), false),
            has_failed: false,
        }
    }

    /// The chunk of a message. Chunks are sent in the order in which they were made, all of them.
    ///
    /// # Errors
    /// A message that is empty or longer than [`OUTPUT_BYTES_MAX`]; a failed stream, which stays so.
    pub fn chunk(&mut self, message: &[u8]) -> Result<Bytes, WireError> {
        if self.has_failed {
            return Err(WireError::Failed);
        }
        // Its chunk would be empty as well, and no chunk is.
        if message.is_empty() {
            return Err(WireError::Truncated);
        }
        if message.len() > OUTPUT_BYTES_MAX {
            return Err(WireError::TooLong {
                bytes: message.len(),
                max: OUTPUT_BYTES_MAX,
            });
        }
        let made = self.run(message);
        self.has_failed = made.is_err();
        made
    }

    fn run(&mut self, message: &[u8]) -> Result<Bytes, WireError> {
        let start = self.stream.total_in();
        let mut chunk = Vec::with_capacity(PIECE_BYTES.min(message.len() + 64));
        loop {
            let taken = usize::try_from(self.stream.total_in() - start).unwrap_or(usize::MAX);
            let rest = message.get(taken..).ok_or(WireError::Deflate)?;
            let status = self
                .stream
                .compress_vec(rest, &mut chunk, FlushCompress::Sync)
                .map_err(|_| WireError::Deflate)?;
            let is_all_in = usize::try_from(self.stream.total_in() - start) == Ok(message.len());
            // Room that is left over says that nothing waits inside.
            if is_all_in && chunk.len() < chunk.capacity() {
                return Ok(Bytes::from(chunk));
            }
            if status == Status::StreamEnd || chunk.len() > CHUNK_BYTES_MAX {
                return Err(WireError::Deflate);
            }
            chunk.reserve(PIECE_BYTES);
        }
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes messages of chunks.
pub struct Decompressor {
    stream: Decompress,
    message_max: usize,
    has_failed: bool,
}

impl Decompressor {
    /// For one connection, from its first chunk on, for messages to a client.
    pub fn new() -> Self {
        Self {
            stream: Decompress::new(false),
            message_max: OUTPUT_BYTES_MAX,
            has_failed: false,
        }
    }

    /// The message of a chunk.
    ///
    /// # Errors
    /// A chunk that is too long or damaged, ends the stream, doesn't end with a flush, or holds more than
    /// [`OUTPUT_BYTES_MAX`] bytes. From then on always: what follows can't be understood.
    #[allow(
        clippy::should_implement_trait,
        reason = "each call takes a chunk; it is no iterator"
    )]
    pub fn next(&mut self, chunk: &[u8]) -> Result<Bytes, WireError> {
        if self.has_failed {
            return Err(WireError::Failed);
        }
        let made = self.run(chunk);
        self.has_failed = made.is_err();
        made
    }

    fn run(&mut self, chunk: &[u8]) -> Result<Bytes, WireError> {
        if chunk.len() > CHUNK_BYTES_MAX {
            return Err(WireError::TooLong {
                bytes: chunk.len(),
                max: CHUNK_BYTES_MAX,
            });
        }
        if !chunk.ends_with(&FLUSH_MARK) {
            return Err(WireError::Deflate);
        }
        let start = self.stream.total_in();
        let mut message = Vec::new();
        loop {
            let taken = usize::try_from(self.stream.total_in() - start).unwrap_or(usize::MAX);
            let rest = chunk.get(taken..).ok_or(WireError::Deflate)?;
            // One byte more than allowed, so that a bomb is seen before it unfolds.
            let room = (self.message_max + 1).saturating_sub(message.len());
            reserve_wiped(&mut message, PIECE_BYTES.min(room));
            let before = (self.stream.total_in(), message.len());
            let status = self
                .stream
                .decompress_vec(rest, &mut message, FlushDecompress::Sync)
                .map_err(|_| WireError::Deflate)?;
            if message.len() > self.message_max {
                return Err(WireError::TooLong {
                    bytes: message.len(),
                    max: self.message_max,
                });
            }
            if status == Status::StreamEnd {
                return Err(WireError::Deflate);
            }
            let is_all_in = usize::try_from(self.stream.total_in() - start) == Ok(chunk.len());
            if is_all_in && message.len() < message.capacity() {
                return Ok(Bytes::from(message));
            }
            if before == (self.stream.total_in(), message.len()) {
                return Err(WireError::Deflate);
            }
        }
    }
}

/// Makes room, and wipes what a larger allocation leaves behind.
fn reserve_wiped(bytes: &mut Vec<u8>, more: usize) {
    if bytes.capacity() - bytes.len() >= more {
        return;
    }
    let mut larger = Vec::with_capacity((bytes.len() + more).max(bytes.capacity() * 2));
    larger.extend_from_slice(bytes);
    wipe(bytes);
    *bytes = larger;
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}
