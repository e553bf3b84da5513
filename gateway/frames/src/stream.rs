//! Messages on a byte stream: each behind its length (`u32`, big-endian).

use bytes::{Bytes, BytesMut};
use zeroize::Zeroize;

use crate::WireError;

const LENGTH_BYTES: usize = 4;

/// A message, or a compressed chunk, with its length before it. It has to be shorter than 4 GiB, as all that
/// this protocol knows is by far.
pub fn prefix(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(LENGTH_BYTES + message.len());
    bytes.extend(length.to_be_bytes());
    bytes.extend_from_slice(message);
    Bytes::from(bytes)
}

/// Cuts a byte stream into messages. It holds what was fed and not taken: after each
/// [`feed`](Self::feed), take messages with [`next`](Self::next) until there is none, and it never holds
/// more than one message and one feed.
#[derive(Debug)]
pub struct Deframer {
    waiting: BytesMut,
    message_max: usize,
    has_failed: bool,
}

impl Deframer {
    /// For messages of at most this many bytes.
    pub fn new(message_max: usize) -> Self {
        Self {
            waiting: BytesMut::new(),
            message_max,
            has_failed: false,
        }
    }

    /// Takes bytes as they come.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.has_failed {
            self.waiting.extend_from_slice(bytes);
        }
    }

    /// The next message, once all of it is there.
    ///
    /// # Errors
    /// A message without a byte, or one that announces more than the bound; from then on always.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator that ends goes on after the next feed"
    )]
    pub fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        if self.has_failed {
            return Err(WireError::Failed);
        }
        let Some(length) = self.waiting.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 || length > self.message_max {
            self.has_failed = true;
            self.waiting.as_mut().zeroize();
            self.waiting.clear();
            return Err(match length {
                0 => WireError::Truncated,
                bytes => WireError::TooLong {
                    bytes,
                    max: self.message_max,
                },
            });
        }
        if self.waiting.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        let mut message = self.waiting.split_to(LENGTH_BYTES + length);
        let _length = message.split_to(LENGTH_BYTES);
        Ok(Some(message.freeze()))
    }

    /// Whether the stream may end here: nothing waits for its rest.
    pub fn is_between_messages(&self) -> bool {
        self.waiting.is_empty()
    }
}
