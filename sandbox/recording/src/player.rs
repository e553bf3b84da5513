//! Shows what a screen showed, at any time.

use std::path::PathBuf;

use kekkai_frames::{Canvas, Decompressor};
use kekkai_types::{SessionId, Timestamp};

use crate::chunk::{Kind, link, unpack};
use crate::error::Fault;
use crate::key::{AuditorKey, Cipher};
use crate::part::{Found, Part, Stands, open_all};
use crate::verify::{apply, cipher_of};

/// A recording, open at one moment. Each chunk that is shown is compared with the chain and with its seal;
/// that all of them are there, [`verify`](crate::verify) says.
pub struct Player {
    parts: Vec<(Part, Cipher)>,
    /// In order. Opening reads only what is in the clear before each.
    chunks: Vec<Entry>,
    /// How many of `chunks` are on the canvas.
    shown: usize,
    stream: Decompressor,
    canvas: Option<Canvas>,
}

struct Entry {
    part: usize,
    chunk: Stands,
}

impl Player {
    /// Opens the parts of a recording; the files need no order. A recording that ends early is shown as far
    /// as it goes.
    ///
    /// # Errors
    /// Files that are not the parts of one recording from its first on, or are for another key.
    pub fn open(paths: &[PathBuf], key: &AuditorKey) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut chunks: Vec<Entry> = Vec::new();
        for part in open_all(paths)? {
            let mut offset = part.start();
            let mut number = part.header.first;
            while let Found::Chunk(chunk) = part.at(offset, number)? {
                if chunk.head.number != number {
                    return Err(Fault::OutOfOrder {
                        place: part.place(number, offset),
                        found: chunk.head.number,
                    });
                }
                if chunks
                    .last()
                    .is_some_and(|l| l.chunk.head.at > chunk.head.at)
                {
                    return Err(Fault::BackInTime(part.place(number, offset)));
                }
                chunks.push(Entry {
                    part: parts.len(),
                    chunk,
                });
                offset = chunk.end;
                number = number.saturating_add(1);
            }
            let cipher = cipher_of(key, &part)?;
            parts.push((part, cipher));
        }
        Ok(Self {
            parts,
            chunks,
            shown: 0,
            stream: Decompressor::new(),
            canvas: None,
        })
    }

    /// Whose screen it is.
    pub fn session(&self) -> Option<&SessionId> {
        self.parts.first().map(|(part, _)| &part.header.session)
    }

    /// The time of the first picture and of the last change; `None` where nothing was recorded.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let at = |entry: &Entry| entry.chunk.head.at;
        Some((at(self.chunks.first()?), at(self.chunks.last()?)))
    }

    /// Goes to the screen as it was at a time.
    ///
    /// # Errors
    /// [`Fault::BeforeStart`]; a chunk on the way that was changed.
    pub fn seek(&mut self, at: Timestamp) -> Result<&Canvas, Fault> {
        let wanted = self.chunks.partition_point(|e| e.chunk.head.at <= at);
        let before = self.chunks.get(..wanted).unwrap_or_default();
        let keyframe = before
            .iter()
            .rposition(|entry| entry.chunk.head.kind == Kind::Keyframe)
            .ok_or(Fault::BeforeStart)?;
        // What is shown already is as good a beginning, unless it lies ahead or a keyframe is nearer.
        if !(keyframe + 1..=wanted).contains(&self.shown) {
            self.shown = keyframe;
            self.canvas = None;
        }
        while self.shown < wanted {
            self.step()?;
        }
        self.canvas.as_ref().ok_or(Fault::BeforeStart)
    }

    /// When the next change after what is shown was.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.chunks
            .get(self.shown)
            .filter(|entry| entry.chunk.head.kind != Kind::End)
            .map(|entry| entry.chunk.head.at)
    }

    fn step(&mut self) -> Result<(), Fault> {
        let entry = self.chunks.get(self.shown).ok_or(Fault::BeforeStart)?;
        let (part, cipher) = self.parts.get(entry.part).ok_or(Fault::Nothing)?;
        let Stands { head, offset, .. } = entry.chunk;
        let place = || part.place(head.number, offset);
        let before = part.link_before(offset)?;
        let (body, stored) = part.body(&entry.chunk)?;
        if link(&before, &head, &body) != stored {
            return Err(Fault::Changed(place()));
        }
        let content = cipher
            .open(head.number, &head.aad(&before), &body)
            .ok_or_else(|| Fault::DoesNotOpen(place()))?;
        if head.kind == Kind::Keyframe {
            self.stream = Decompressor::new();
        }
        let shown = unpack(&content, &mut self.stream)
            .and_then(|outputs| apply(&mut self.canvas, head.kind, &outputs));
        if let Err(source) = shown {
            // Half of its messages may be on the canvas.
            self.canvas = None;
            self.shown = 0;
            return Err(Fault::Content {
                place: place(),
                source,
            });
        }
        self.shown += 1;
        Ok(())
    }
}
