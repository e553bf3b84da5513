//! Reads the files of a recording, chunk by chunk.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use kekkai_types::Digest;

use crate::chunk::{HEAD_BYTES, Head, LINK_BYTES};
use crate::error::{Fault, Place};
use crate::header::{HEADER_BYTES_MAX, Header};

/// A part's file. Its line is well formed; nothing else is known of it.
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    /// The digest of its line: the link before its first chunk.
    pub(crate) digest: Digest,
    file: File,
    /// Where the first chunk begins.
    start: u64,
    length: u64,
}

/// What stands at an offset.
pub(crate) enum Found {
    /// A whole chunk.
    Chunk(Stands),
    /// The file ends here.
    Nothing,
    /// It ends within a chunk.
    Cut,
}

/// A chunk in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stands {
    pub(crate) head: Head,
    pub(crate) offset: u64,
    pub(crate) end: u64,
}

impl Part {
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let in_file = |source| Fault::File {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(in_file)?;
        let length = file.metadata().map_err(in_file)?.len();
        let mut bytes =
            vec![0; HEADER_BYTES_MAX.min(usize::try_from(length).unwrap_or(usize::MAX))];
        file.read_exact_at(&mut bytes, 0).map_err(in_file)?;
        let line = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .next()
            .filter(|line| line.ends_with(b"\n"));
        let header = line.and_then(Header::parse);
        let (Some(line), Some(header)) = (line, header) else {
            return Err(Fault::NotARecording {
                path: path.to_owned(),
            });
        };
        Ok(Self {
            path: path.to_owned(),
            digest: Digest::of(line),
            start: to_u64(line.len()),
            header,
            file,
            length,
        })
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What stands at an offset; `number` is only for the place of a fault.
    pub(crate) fn at(&self, offset: u64, number: u64) -> Result<Found, Fault> {
        let left = self.length.saturating_sub(offset);
        if left == 0 {
            return Ok(Found::Nothing);
        }
        let mut head = [0; HEAD_BYTES];
        if left < to_u64(HEAD_BYTES) {
            return Ok(Found::Cut);
        }
        self.read(&mut head, offset)?;
        let head = Head::parse(&head).ok_or_else(|| Fault::NoChunk(self.place(number, offset)))?;
        let length = to_u64(HEAD_BYTES + LINK_BYTES).saturating_add(u64::from(head.length));
        if left < length {
            return Ok(Found::Cut);
        }
        Ok(Found::Chunk(Stands {
            head,
            offset,
            end: offset.saturating_add(length),
        }))
    }

    /// A chunk's body and the link that stands after it.
    pub(crate) fn body(&self, chunk: &Stands) -> Result<(Vec<u8>, Digest), Fault> {
        let length = chunk.head.body_bytes().unwrap_or_default();
        let mut bytes = vec![0; length.saturating_add(LINK_BYTES)];
        self.read(&mut bytes, chunk.offset.saturating_add(to_u64(HEAD_BYTES)))?;
        let mut link = [0; LINK_BYTES];
        for (to, from) in link.iter_mut().zip(bytes.drain(length..)) {
            *to = from;
        }
        Ok((bytes, Digest::from_bytes(link)))
    }

    /// The link that ends at an offset.
    pub(crate) fn link_before(&self, offset: u64) -> Result<Digest, Fault> {
        if offset <= self.start {
            return Ok(self.digest);
        }
        let mut link = [0; LINK_BYTES];
        self.read(&mut link, offset.saturating_sub(to_u64(LINK_BYTES)))?;
        Ok(Digest::from_bytes(link))
    }

    pub(crate) fn place(&self, chunk: u64, offset: u64) -> Place {
        Place {
            path: self.path.clone(),
            chunk,
            offset,
        }
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<(), Fault> {
        self.file
            .read_exact_at(bytes, offset)
            .map_err(|source| Fault::File {
                path: self.path.clone(),
                source,
            })
    }
}

/// What a file says of itself.
///
/// # Errors
/// It can't be read, or is none of a recording.
pub fn header_of(path: &Path) -> Result<Header, Fault> {
    Part::open(path).map(|part| part.header)
}

/// The parts of one recording, in order, from the first: as many as were named.
pub(crate) fn open_all(paths: &[PathBuf]) -> Result<Vec<Part>, Fault> {
    let opened: Result<Vec<Part>, Fault> = paths.iter().map(|path| Part::open(path)).collect();
    let mut parts = opened?;
    parts.sort_by_key(|part| part.header.part);
    let first = parts.first().ok_or(Fault::Nothing)?.header.clone();
    for (wanted, part) in (1_u32..).zip(&parts) {
        let header = &part.header;
        let is_same = header.session == first.session
            && header.mark == first.mark
            && header.began == first.began
            && header.recipient == first.recipient;
        if !is_same {
            return Err(Fault::OtherRecording {
                path: part.path.clone(),
                session: first.session,
            });
        }
        if header.part < wanted {
            return Err(Fault::PartTwice {
                path: part.path.clone(),
            });
        }
        if header.part > wanted {
            return Err(Fault::PartMissing {
                session: first.session,
                part: wanted,
            });
        }
    }
    Ok(parts)
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
