//! The shape of a frame, without a socket.

use std::io::{self, Write};

use kekkai_sys::LockedBytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::{
    FRAME_MAX, FromCompiler, FromDesktop, FromProgram, FromWorker, ToCompiler, ToDesktop,
    ToProgram, ToWorker,
};

/// Descriptors that one frame may bring.
pub const FRAME_FDS_MAX: usize = 1_000;
/// The longest frame that may carry keys, in bytes: it lies in locked memory.
pub const SECRET_FRAME_MAX: usize = 2 * 1024 * 1024;
/// Bytes before the JSON and the descriptors.
pub(crate) const HEADER_BYTES: usize = 8;

/// Why frames stop. After any of these the channel is of no use: close it.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer announces more than it may.
    #[error("the peer announces {bytes} bytes and {fds} descriptors, more than allowed")]
    TooLarge {
        /// Bytes of JSON.
        bytes: usize,
        /// Descriptors.
        fds: usize,
    },
    /// Ours to send is larger than a frame may be.
    #[error("a frame of {bytes} bytes and {fds} descriptors is more than allowed")]
    OursTooLarge {
        /// Bytes of JSON.
        bytes: usize,
        /// Descriptors.
        fds: usize,
    },
    /// The peer's bytes are no message. What they are is not said: they may hold data.
    #[error("the peer's frame is no message")]
    Malformed,
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Truncated,
    /// Other descriptors came than were announced.
    #[error("the peer's descriptors are not those it announced")]
    Descriptors,
    /// A message of ours can't be written as JSON.
    #[error("bug: a message can't be serialized")]
    Serialize,
    /// The frame's keys can't be kept in locked memory.
    #[error("a frame can't be kept in locked memory")]
    Locked(#[source] io::Error),
    /// The socket failed.
    #[error("the socket failed")]
    Socket(#[from] io::Error),
}

/// A message that a frame carries, with the bounds that its receiver keeps.
pub trait Message: Serialize + DeserializeOwned {
    /// It may hold keys: its frames lie in locked memory.
    const SECRET: bool = false;
    /// The longest frame, in bytes.
    const BYTES_MAX: usize;
    /// Descriptors that may come with it.
    const FDS_MAX: usize = 0;
}

impl Message for FromWorker {
    const BYTES_MAX: usize = FRAME_MAX;
}

impl Message for ToWorker {
    const SECRET: bool = true;
    const BYTES_MAX: usize = SECRET_FRAME_MAX;
    const FDS_MAX: usize = FRAME_FDS_MAX;
}

impl Message for ToProgram {
    const BYTES_MAX: usize = 4 * 1024 * 1024;
    const FDS_MAX: usize = 1;
}

impl Message for FromProgram {
    const BYTES_MAX: usize = 16 * 1024 * 1024;
}

impl Message for ToDesktop {
    const BYTES_MAX: usize = FRAME_MAX;
    const FDS_MAX: usize = 8;
}

impl Message for FromDesktop {
    const BYTES_MAX: usize = 4 * 1024 * 1024;
}

impl Message for ToCompiler {
    const BYTES_MAX: usize = 1024;
    const FDS_MAX: usize = 2;
}

impl Message for FromCompiler {
    const BYTES_MAX: usize = 16 * 1024;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) bytes: usize,
    pub(crate) fds: usize,
}

impl Header {
    pub(crate) fn parse<M: Message>(bytes: [u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let [a, b, c, d, e, f, g, h] = bytes;
        let number = |bytes| usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
        let header = Self {
            bytes: number([a, b, c, d]),
            fds: number([e, f, g, h]),
        };
        if header.bytes > M::BYTES_MAX || header.fds > M::FDS_MAX {
            return Err(FrameError::TooLarge {
                bytes: header.bytes,
                fds: header.fds,
            });
        }
        Ok(header)
    }

    fn to_bytes(self) -> Result<[u8; HEADER_BYTES], FrameError> {
        let ours_too_large = |_| FrameError::OursTooLarge {
            bytes: self.bytes,
            fds: self.fds,
        };
        let bytes = u32::try_from(self.bytes).map_err(ours_too_large)?;
        let fds = u32::try_from(self.fds).map_err(ours_too_large)?;
        let [a, b, c, d] = bytes.to_be_bytes();
        let [e, f, g, h] = fds.to_be_bytes();
        Ok([a, b, c, d, e, f, g, h])
    }
}

/// A frame to send: its header, and its JSON in memory that is wiped.
pub(crate) struct Frame {
    pub(crate) header: [u8; HEADER_BYTES],
    pub(crate) body: Body,
}

/// Where the JSON of a frame lies.
pub(crate) enum Body {
    /// May hold keys.
    Locked(LockedBytes),
    /// Too large to be locked; may hold results.
    Wiped(Zeroizing<Vec<u8>>),
}

impl Body {
    /// Memory of the right size from the start: one that grows leaves copies behind.
    pub(crate) fn with_len(len: usize, secret: bool) -> Result<Self, FrameError> {
        if secret {
            LockedBytes::zeroed(len)
                .map(Self::Locked)
                .map_err(FrameError::Locked)
        } else {
            // Zeroed pages come untouched from the kernel: a length that is announced but never
            // sent costs address space only.
            Ok(Self::Wiped(Zeroizing::new(vec![0; len])))
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Locked(bytes) => bytes,
            Self::Wiped(bytes) => bytes,
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Locked(bytes) => bytes,
            Self::Wiped(bytes) => bytes,
        }
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        // serde_json's error quotes what it read: it must not get any further.
        serde_json::from_slice(self.bytes()).map_err(|_| FrameError::Malformed)
    }
}

impl Frame {
    /// Writes a message. Twice: first to know the length.
    pub(crate) fn of<M: Message>(message: &M, fds: usize) -> Result<Self, FrameError> {
        let mut counter = Counter(0);
        serde_json::to_writer(&mut counter, message).map_err(|_| FrameError::Serialize)?;
        let bytes = counter.0;
        if bytes > M::BYTES_MAX || fds > M::FDS_MAX {
            return Err(FrameError::OursTooLarge { bytes, fds });
        }
        let mut body = Body::with_len(bytes, M::SECRET)?;
        serde_json::to_writer(body.bytes_mut(), message).map_err(|_| FrameError::Serialize)?;
        Ok(Self {
            header: Header { bytes, fds }.to_bytes()?,
            body,
        })
    }
}

struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
