//! A chunk: what was appended at once.

use kekkai_frames::{Compressor, Decompressor, Output, decode_output, encode_output};
use kekkai_types::{Digest, Timestamp};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::error::ContentError;

/// The longest body, in bytes: more than the largest screen takes without loss.
pub const CHUNK_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes before the body.
pub(crate) const HEAD_BYTES: usize = 21;
/// Bytes after the body.
pub(crate) const LINK_BYTES: usize = 32;
/// What AES-256-GCM adds.
pub(crate) const TAG_BYTES: usize = 16;

/// What a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes of what was there.
    Change,
    /// Everything anew: it can be read without what is before it.
    Keyframe,
    /// Nothing follows.
    End,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Change => 0,
            Self::Keyframe => 1,
            Self::End => 2,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::Change, Self::Keyframe, Self::End]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// What is in the clear before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    pub(crate) length: u32,
}

impl Head {
    pub(crate) fn bytes(&self) -> [u8; HEAD_BYTES] {
        let fields = [self.kind.number()]
            .into_iter()
            .chain(self.number.to_be_bytes())
            .chain(self.at.0.to_be_bytes())
            .chain(self.length.to_be_bytes());
        let mut bytes = [0; HEAD_BYTES];
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    /// `None`: no recorder writes this.
    pub(crate) fn parse(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (at, length) = rest.split_first_chunk::<8>()?;
        let head = Self {
            kind: Kind::from_number(*kind)?,
            number: u64::from_be_bytes(*number),
            at: Timestamp(i64::from_be_bytes(*at)),
            length: u32::from_be_bytes(length.try_into().ok()?),
        };
        let body = head.body_bytes()?;
        (TAG_BYTES..=CHUNK_BYTES_MAX)
            .contains(&body)
            .then_some(head)
    }

    pub(crate) fn body_bytes(&self) -> Option<usize> {
        usize::try_from(self.length).ok()
    }

    /// What the body is sealed under, beside the key: its place.
    pub(crate) fn aad(&self, before: &Digest) -> Vec<u8> {
        [before.as_bytes().as_slice(), &self.bytes()].concat()
    }
}

/// The chain's next link.
pub(crate) fn link(before: &Digest, head: &Head, body: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(before.as_bytes());
    hash.update(head.bytes());
    hash.update(body);
    Digest::from_bytes(hash.finalize().into())
}

/// A body's content, of messages. The stream is that of the chunks since the last keyframe.
pub(crate) fn pack(
    outputs: &[Output],
    stream: &mut Compressor,
) -> Result<Zeroizing<Vec<u8>>, ContentError> {
    let mut packed = Vec::with_capacity(outputs.len());
    for output in outputs {
        packed.push(stream.chunk(&encode_output(output))?);
    }
    // As long as it becomes, so that no copy stays behind in a smaller allocation.
    let length = packed.iter().map(|deflated| deflated.len() + 4).sum();
    let mut content = Zeroizing::new(Vec::with_capacity(length));
    for deflated in packed {
        let length = u32::try_from(deflated.len()).map_err(|_| ContentError::Shape)?;
        content.extend(length.to_be_bytes());
        content.extend_from_slice(&deflated);
        if let Ok(mut deflated) = deflated.try_into_mut() {
            deflated.zeroize();
        }
    }
    if content.len() > CHUNK_BYTES_MAX - TAG_BYTES {
        return Err(ContentError::Shape);
    }
    Ok(content)
}

/// The messages of a body's content.
pub(crate) fn unpack(
    content: &[u8],
    stream: &mut Decompressor,
) -> Result<Vec<Output>, ContentError> {
    let mut outputs = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(ContentError::Shape)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (deflated, after) = after.split_at_checked(length).ok_or(ContentError::Shape)?;
        outputs.push(decode_output(&stream.next(deflated)?)?);
        rest = after;
    }
    Ok(outputs)
}
