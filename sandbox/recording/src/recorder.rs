//! Writes a recording.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kekkai_frames::{Compressor, Output};
use kekkai_types::{Digest, SessionId, Timestamp};

use crate::chunk::{HEAD_BYTES, Head, Kind, LINK_BYTES, TAG_BYTES, link, pack};
use crate::error::RecordingError;
use crate::header::Header;
use crate::key::{Cipher, KeyError, Recipient};
use crate::list::EXTENSION;
use crate::sync::Syncer;

/// Bounds of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A keyframe is due so long after the last one, in milliseconds, if anything changed.
    pub keyframe_ms: i64,
    /// A keyframe is due after so many bytes of changes.
    pub keyframe_bytes: u64,
    /// A part ends with the first keyframe after so many bytes.
    pub part_bytes: u64,
    /// A recording has no more than so many bytes: a screen full of noise must not fill everybody's disk.
    pub total_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keyframe_ms: 60_000,
            keyframe_bytes: 4 << 20,
            part_bytes: 256 << 20,
            total_bytes: 16 << 30,
        }
    }
}

/// How far a recording is whole: what the ledger hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Chunks, over all parts.
    pub chunks: u64,
    /// Bytes, over all parts.
    pub bytes: u64,
    /// The last link of the chain; before the first chunk, the digest of the header's line.
    pub head: Digest,
}

/// Writes what a screen shows, before it is shown. Blocks while it writes.
///
/// After an error it writes nothing but what failed: [`Recorder::retry`].
pub struct Recorder {
    dir: PathBuf,
    limits: Limits,
    header: Header,
    recipient: Recipient,
    part: Part,
    reached: Reached,
    /// The time of the last chunk.
    at: Timestamp,
    keyframe_at: Timestamp,
    bytes_since_keyframe: u64,
    needs_keyframe: bool,
    pending: Option<Pending>,
    is_lost: bool,
    syncer: Syncer,
}

/// The file that is written to.
struct Part {
    path: PathBuf,
    file: Arc<File>,
    /// Where the next chunk begins.
    length: u64,
    cipher: Cipher,
    stream: Compressor,
}

/// Sealed bytes that are not all written. They are written again as they are: the same number is never
/// sealed twice under one key.
struct Pending {
    next: Next,
    bytes: Vec<u8>,
    head: Head,
    reached: Digest,
}

enum Next {
    /// At the end of the present part.
    Here,
    /// A part of its own, which is not there yet, or only in parts.
    Part(Box<NewPart>),
}

struct NewPart {
    path: PathBuf,
    file: Option<Arc<File>>,
    header: Header,
    cipher: Cipher,
    stream: Compressor,
}

impl Recorder {
    /// Makes a recording: its first part, `DIR/SESSION-0001.rec` (mode 0600), with nothing but its line.
    /// What comes back with it is the line's digest, for the ledger.
    ///
    /// # Errors
    /// A file that can't be made (one of this name is there already), a mark that is none.
    pub fn create(
        dir: &Path,
        session: &SessionId,
        mark: &str,
        recipient: &Recipient,
        now: Timestamp,
    ) -> Result<(Self, Digest), RecordingError> {
        Self::create_within(Limits::default(), dir, session, mark, recipient, now)
    }

    /// As [`Recorder::create`], with other bounds.
    ///
    /// # Errors
    /// As there.
    pub fn create_within(
        limits: Limits,
        dir: &Path,
        session: &SessionId,
        mark: &str,
        recipient: &Recipient,
        now: Timestamp,
    ) -> Result<(Self, Digest), RecordingError> {
        let mut header = Header {
            session: session.clone(),
            mark: mark.to_owned(),
            began: now,
            part: 1,
            first: 0,
            previous: None,
            recipient: recipient.digest(),
            encapsulated: Vec::new(),
        };
        let cipher = Cipher::make(recipient, &mut header)?;
        let line = header.line().ok_or(RecordingError::Mark)?;
        let digest = Digest::of(&line);
        let path = part_path(dir, session, header.part);
        let file = create_new(dir, &path)?;
        let written = (&*file)
            .write_all(&line)
            .and_then(|()| file.sync_all())
            .and_then(|()| Syncer::start());
        let syncer = written.map_err(failed(&path, "written"))?;
        let length = to_u64(line.len());
        let recorder = Self {
            dir: dir.to_owned(),
            limits,
            header,
            recipient: recipient.clone(),
            part: Part {
                path,
                file,
                length,
                cipher,
                stream: Compressor::new(),
            },
            reached: Reached {
                chunks: 0,
                bytes: length,
                head: digest,
            },
            at: now,
            keyframe_at: now,
            bytes_since_keyframe: 0,
            needs_keyframe: true,
            pending: None,
            is_lost: false,
            syncer,
        };
        Ok((recorder, digest))
    }

    /// The recording's name: that of its session.
    pub fn name(&self) -> &str {
        self.header.session.as_str()
    }

    /// Writes messages that a screen is to show. When this returns, the operating system has them, and they
    /// may be sent. Messages that begin with [`Output::Size`] are a keyframe: what comes before them is not
    /// needed to read what comes after.
    ///
    /// `now` may stand still; where it goes back, the time of the chunk before is written.
    ///
    /// # Errors
    /// Whatever keeps the messages from being written. From then on, until [`Recorder::retry`] succeeds,
    /// nothing more is.
    pub fn append(&mut self, now: Timestamp, outputs: &[Output]) -> Result<(), RecordingError> {
        let Some(first) = outputs.first() else {
            return Ok(());
        };
        self.check_going()?;
        let kind = match first {
            Output::Size { .. } => Kind::Keyframe,
            _ if self.needs_keyframe => return Err(RecordingError::KeyframeMissing),
            _ => Kind::Change,
        };
        // Until this has gone well the deflated stream may have swallowed something that is not written.
        self.needs_keyframe = true;
        let mut next = Next::Here;
        if kind == Kind::Keyframe {
            self.part.stream = Compressor::new();
            if self.part.length >= self.limits.part_bytes {
                next = Next::Part(Box::new(self.new_part()?));
            }
        }
        let stream = match &mut next {
            Next::Here => &mut self.part.stream,
            Next::Part(part) => &mut part.stream,
        };
        let content = pack(outputs, stream)?;
        self.at = self.at.max(now);
        self.seal(next, kind, &content)?;
        self.needs_keyframe = false;
        self.write()
    }

    /// A keyframe would be good now: the next [`Recorder::append`] should begin with [`Output::Size`] and all
    /// that the screen shows. False while nothing was appended since the last one.
    pub fn keyframe_due(&self, now: Timestamp) -> bool {
        if self.needs_keyframe {
            return true;
        }
        let is_old = now.ms_since(self.keyframe_at) >= self.limits.keyframe_ms;
        let has_changes = self.bytes_since_keyframe > 0;
        has_changes
            && (is_old
                || self.bytes_since_keyframe >= self.limits.keyframe_bytes
                || self.part.length >= self.limits.part_bytes)
    }

    /// How far the recording is whole.
    pub fn reached(&self) -> Reached {
        self.reached
    }

    /// Writes again what could not be written: the same bytes, over those that may be there already. When
    /// this returns, the messages whose [`Recorder::append`] failed are recorded, and may be shown. Without
    /// an earlier failure it does nothing.
    ///
    /// # Errors
    /// It still can't be written; or never can: the disk lost what it had accepted.
    pub fn retry(&mut self) -> Result<(), RecordingError> {
        if self.is_lost {
            return Err(RecordingError::Stopped);
        }
        self.write()
    }

    /// Writes the end, and waits until the disk has all of it.
    ///
    /// # Errors
    /// It can't be written: the recording then says of itself that it is not finished.
    pub fn finish(mut self) -> Result<Reached, RecordingError> {
        self.retry()?;
        self.seal(Next::Here, Kind::End, &[])?;
        self.write()?;
        let synced = self.syncer.stop().and_then(|()| self.part.file.sync_all());
        synced.map_err(failed(&self.part.path, "synced"))?;
        Ok(self.reached)
    }

    fn check_going(&self) -> Result<(), RecordingError> {
        if self.is_lost || self.pending.is_some() {
            return Err(RecordingError::Stopped);
        }
        // What is over the bound is the last: a recording may be longer by one chunk.
        if self.reached.bytes >= self.limits.total_bytes {
            return Err(RecordingError::Limit {
                max: self.limits.total_bytes,
            });
        }
        Ok(())
    }

    fn new_part(&self) -> Result<NewPart, RecordingError> {
        let mut header = Header {
            part: self.header.part.saturating_add(1),
            first: self.reached.chunks,
            previous: Some(self.reached.head),
            ..self.header.clone()
        };
        let cipher = Cipher::make(&self.recipient, &mut header)?;
        Ok(NewPart {
            path: part_path(&self.dir, &header.session, header.part),
            file: None,
            header,
            cipher,
            stream: Compressor::new(),
        })
    }

    fn seal(&mut self, next: Next, kind: Kind, content: &[u8]) -> Result<(), RecordingError> {
        let length = content.len().saturating_add(TAG_BYTES);
        let head = Head {
            kind,
            number: self.reached.chunks,
            at: self.at,
            length: u32::try_from(length).map_err(|_| KeyError::Internal)?,
        };
        let mut bytes = Vec::with_capacity(HEAD_BYTES + length + LINK_BYTES);
        let (before, cipher) = match &next {
            Next::Here => (self.reached.head, &self.part.cipher),
            Next::Part(part) => {
                bytes = part.header.line().ok_or(RecordingError::Mark)?;
                (Digest::of(&bytes), &part.cipher)
            }
        };
        let body = cipher.seal(head.number, &head.aad(&before), content)?;
        let reached = link(&before, &head, &body);
        bytes.extend(head.bytes());
        bytes.extend_from_slice(&body);
        bytes.extend(reached.as_bytes());
        self.pending = Some(Pending {
            next,
            bytes,
            head,
            reached,
        });
        Ok(())
    }

    /// Writes what is pending, from its beginning.
    fn write(&mut self) -> Result<(), RecordingError> {
        let Some(pending) = &mut self.pending else {
            return Ok(());
        };
        let (path, file, offset) = match &mut pending.next {
            Next::Here => (&self.part.path, self.part.file.clone(), self.part.length),
            Next::Part(part) => {
                let file = match &part.file {
                    Some(file) => file.clone(),
                    None => {
                        // All of the part before is on the disk before there is another.
                        let synced = self.part.file.sync_all();
                        synced.map_err(failed(&self.part.path, "synced"))?;
                        create_new(&self.dir, &part.path)?
                    }
                };
                part.file = Some(file.clone());
                (&part.path, file, 0)
            }
        };
        let written = (&*file)
            .seek(SeekFrom::Start(offset))
            .and_then(|_| (&*file).write_all(&pending.bytes));
        written.map_err(failed(path, "written"))?;
        if let Err(source) = self.syncer.wrote(&file) {
            self.is_lost = true;
            return Err(failed(path, "synced")(source));
        }
        if let Some(pending) = self.pending.take() {
            self.go_on(pending, file);
        }
        Ok(())
    }

    /// What is pending was written.
    fn go_on(&mut self, pending: Pending, file: Arc<File>) {
        let bytes = to_u64(pending.bytes.len());
        match pending.next {
            Next::Here => self.part.length = self.part.length.saturating_add(bytes),
            Next::Part(new) => {
                self.header = new.header;
                self.part = Part {
                    path: new.path,
                    file,
                    length: bytes,
                    cipher: new.cipher,
                    stream: new.stream,
                };
            }
        }
        self.reached = Reached {
            chunks: self.reached.chunks.saturating_add(1),
            bytes: self.reached.bytes.saturating_add(bytes),
            head: pending.reached,
        };
        if pending.head.kind == Kind::Keyframe {
            self.keyframe_at = pending.head.at;
            self.bytes_since_keyframe = 0;
        } else {
            self.bytes_since_keyframe = self.bytes_since_keyframe.saturating_add(bytes);
        }
    }
}

fn part_path(dir: &Path, session: &SessionId, part: u32) -> PathBuf {
    dir.join(format!("{session}-{part:04}.{EXTENSION}"))
}

/// A file that was not there, and that a power cut does not take away again.
fn create_new(dir: &Path, path: &Path) -> Result<Arc<File>, RecordingError> {
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed(path, "created"))?;
    if let Err(source) = File::open(dir).and_then(|dir| dir.sync_all()) {
        // Nothing is in it, and a retry makes it anew.
        let _ = std::fs::remove_file(path);
        return Err(failed(dir, "synced")(source));
    }
    Ok(Arc::new(file))
}

fn failed(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> RecordingError {
    let path = path.to_owned();
    move |source| RecordingError::File {
        path,
        action,
        source,
    }
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
