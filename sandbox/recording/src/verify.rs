//! Compares a recording with itself, with the ledger, and with what its key opens.

use std::path::PathBuf;

use kekkai_frames::{Canvas, Decompressor, Output};
use kekkai_types::{Digest, SessionId, Timestamp};

use crate::chunk::{Kind, link, unpack};
use crate::error::{ContentError, Fault, Place};
use crate::key::{AuditorKey, Cipher};
use crate::part::{Found, Part, Stands, open_all};

/// What the ledger says of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The digest of the first part's line.
    pub header: Option<Digest>,
    /// How far it was whole, whenever the ledger heard of it: the number of chunks, the last link.
    pub reached: Vec<(u64, Digest)>,
}

/// How a recording ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Its recorder wrote the end.
    Finished,
    /// After a whole chunk: its recorder was stopped, or the end was cut off. Without the ledger nobody can
    /// tell.
    Unfinished,
    /// Within a chunk: its recorder was killed, its disk was full, or the end was cut off. What is before is
    /// whole.
    CutWithin(Place),
}

/// A recording that is whole as far as it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose.
    pub session: SessionId,
    /// The mark of its pixels.
    pub mark: String,
    /// For whom it is.
    pub recipient: Digest,
    /// The digest of the first part's line.
    pub header: Digest,
    /// When it was begun.
    pub began: Timestamp,
    /// The first and the last chunk's time.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Files.
    pub parts: usize,
    /// Whole chunks.
    pub chunks: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The last chunk's link; before the first, the digest of the line.
    pub head: Digest,
    /// How it ends.
    pub end: End,
    /// Chunks at the end that the ledger had not heard of yet; `None` where it was not asked, or never heard.
    pub after_ledger: Option<u64>,
}

/// Reads all of a recording: its chain, what the ledger knows, and, with the auditors' key, that every
/// message opens and can be shown. `progress` hears of each chunk how many bytes were read.
///
/// # Errors
/// The first thing that is wrong, and where. A recording that only ends early is a report ([`Report::end`]).
pub fn verify(
    paths: &[PathBuf],
    expected: &Expected,
    key: Option<&AuditorKey>,
    mut progress: impl FnMut(u64),
) -> Result<Report, Fault> {
    let parts = open_all(paths)?;
    let first = parts.first().ok_or(Fault::Nothing)?;
    if let Some(header) = expected.header.filter(|header| *header != first.digest) {
        return Err(Fault::HeaderNotRecorded {
            path: first.path.clone(),
            expected: header,
        });
    }
    let mut walk = Walk {
        expected,
        report: Report {
            session: first.header.session.clone(),
            mark: first.header.mark.clone(),
            recipient: first.header.recipient,
            header: first.digest,
            began: first.header.began,
            span: None,
            parts: parts.len(),
            chunks: 0,
            keyframes: 0,
            bytes: parts.iter().map(Part::length).sum(),
            head: first.digest,
            end: End::Unfinished,
            after_ledger: None,
        },
        link: first.digest,
        screen: key.map(Screen::new),
    };
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        walk.part(part, is_last, &mut progress)?;
    }
    walk.conclude()
}

struct Walk<'a> {
    expected: &'a Expected,
    report: Report,
    /// The link before the next chunk.
    link: Digest,
    screen: Option<Screen<'a>>,
}

impl Walk<'_> {
    fn part(
        &mut self,
        part: &Part,
        is_last: bool,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), Fault> {
        let not_next = || Fault::PartNotNext {
            path: part.path.clone(),
        };
        let before = (part.header.part > 1).then_some(self.report.head);
        if part.header.previous != before || part.header.first != self.report.chunks {
            return Err(not_next());
        }
        if let Some(screen) = &mut self.screen {
            screen.enter(part)?;
        }
        self.link = part.digest;
        let mut offset = part.start();
        loop {
            let number = self.report.chunks;
            match part.at(offset, number)? {
                Found::Chunk(chunk) => {
                    self.chunk(part, &chunk)?;
                    progress(chunk.end.saturating_sub(offset));
                    offset = chunk.end;
                }
                Found::Nothing => return Ok(()),
                Found::Cut if is_last && self.report.end != End::Finished => {
                    self.report.end = End::CutWithin(part.place(number, offset));
                    return Ok(());
                }
                // Another part could not have begun.
                Found::Cut => return Err(Fault::Changed(part.place(number, offset))),
            }
        }
    }

    fn chunk(&mut self, part: &Part, chunk: &Stands) -> Result<(), Fault> {
        let number = self.report.chunks;
        let place = || part.place(number, chunk.offset);
        if self.report.end == End::Finished {
            return Err(Fault::AfterEnd(place()));
        }
        let head = chunk.head;
        if head.number != number {
            return Err(Fault::OutOfOrder {
                place: place(),
                found: head.number,
            });
        }
        let (from, last) = self.report.span.unwrap_or((head.at, head.at));
        if head.at < last {
            return Err(Fault::BackInTime(place()));
        }
        let before = self.link;
        let (body, stored) = part.body(chunk)?;
        let computed = link(&before, &head, &body);
        if computed != stored {
            return Err(Fault::Changed(place()));
        }
        if let Some(screen) = &mut self.screen {
            screen.show(part, chunk, &before, &body, &place)?;
        }
        self.report.chunks = number.saturating_add(1);
        self.link = computed;
        self.report.head = computed;
        self.report.span = Some((from, head.at));
        match head.kind {
            Kind::End => self.report.end = End::Finished,
            Kind::Keyframe => self.report.keyframes = self.report.keyframes.saturating_add(1),
            Kind::Change => {}
        }
        let is_other = |(chunks, head): &(u64, Digest)| {
            *chunks == self.report.chunks && *head != self.report.head
        };
        if self.expected.reached.iter().any(is_other) {
            return Err(Fault::NotRecorded(place()));
        }
        Ok(())
    }

    fn conclude(mut self) -> Result<Report, Fault> {
        let furthest = self
            .expected
            .reached
            .iter()
            .map(|(chunks, _)| *chunks)
            .max();
        if let Some(furthest) = furthest {
            let left = self.report.chunks.checked_sub(furthest);
            self.report.after_ledger = Some(left.ok_or(Fault::Shorter {
                found: self.report.chunks,
                expected: furthest,
            })?);
        }
        Ok(self.report)
    }
}

/// What a recording shows, as it is read from its beginning.
struct Screen<'a> {
    key: &'a AuditorKey,
    cipher: Option<Cipher>,
    stream: Decompressor,
    canvas: Option<Canvas>,
}

impl<'a> Screen<'a> {
    fn new(key: &'a AuditorKey) -> Self {
        Self {
            key,
            cipher: None,
            stream: Decompressor::new(),
            canvas: None,
        }
    }

    fn enter(&mut self, part: &Part) -> Result<(), Fault> {
        self.cipher = Some(cipher_of(self.key, part)?);
        Ok(())
    }

    fn show(
        &mut self,
        part: &Part,
        chunk: &Stands,
        before: &Digest,
        body: &[u8],
        place: &dyn Fn() -> Place,
    ) -> Result<(), Fault> {
        let head = chunk.head;
        let opened = self
            .cipher
            .as_ref()
            .and_then(|cipher| cipher.open(head.number, &head.aad(before), body));
        let content = opened.ok_or_else(|| Fault::DoesNotOpen(place()))?;
        if head.kind == Kind::Keyframe {
            self.stream = Decompressor::new();
        }
        let shown = unpack(&content, &mut self.stream)
            .and_then(|outputs| apply(&mut self.canvas, head.kind, &outputs));
        shown.map_err(|source| Fault::Content {
            place: part.place(head.number, chunk.offset),
            source,
        })
    }
}

/// The cipher of a part, of the right key.
pub(crate) fn cipher_of(key: &AuditorKey, part: &Part) -> Result<Cipher, Fault> {
    if key.digest() != part.header.recipient {
        return Err(Fault::OtherKey {
            recipient: part.header.recipient,
            key: key.digest(),
        });
    }
    key.open(&part.header).map_err(|source| Fault::Key {
        path: part.path.clone(),
        source,
    })
}

/// Shows messages. A keyframe is what begins with a size, and only that makes a screen.
pub(crate) fn apply(
    canvas: &mut Option<Canvas>,
    kind: Kind,
    outputs: &[Output],
) -> Result<(), ContentError> {
    if kind == Kind::Keyframe {
        let Some(Output::Size { width, height }) = outputs.first() else {
            return Err(ContentError::NoSize);
        };
        *canvas = Some(Canvas::new(*width, *height)?);
    }
    for output in outputs {
        canvas.as_mut().ok_or(ContentError::NoSize)?.apply(output)?;
    }
    Ok(())
}
