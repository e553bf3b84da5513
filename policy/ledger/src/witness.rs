//! The witness file: one line per checkpoint, appended, never rewritten, on another disk.
//!
//! ```json
//! {"size":3,"root":"…","prev":"…","checkpoint":"…"}
//! ```
//! `prev` is the SHA-256 of the line before, its newline included, in hexadecimal; zeroes in the
//! first line. The checkpoint is the signed note as it was in the log.
//!
//! A line is written after its checkpoint is durable and before the append returns. So a killed
//! writer leaves at most one line unfinished, which begins as the current checkpoint's line does:
//! the next opening writes the rest. The file is only ever appended to (`chattr +a` suits it).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tlog_tiles::Hash;

use crate::head::{Head, Judge};
use crate::store::{read_checkpoint, sync_folder};
use crate::{LedgerError, VerifyError, WitnessFault};

/// The longest line, in bytes: a checkpoint with some cosignatures has room.
const LINE_MAX: u64 = 64 * 1024;
/// `prev` of the first line.
const NOTHING: [u8; 32] = [0; 32];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    size: u64,
    root: String,
    prev: String,
    checkpoint: String,
}

/// The line for a checkpoint, its newline included. `None`: the note isn't text, a bug.
fn line_for(prev: &[u8; 32], head: Head, note: &[u8]) -> Option<Vec<u8>> {
    let line = Line {
        size: head.size,
        root: head.root.to_string(),
        prev: hex::encode(prev),
        checkpoint: std::str::from_utf8(note).ok()?.to_owned(),
    };
    let mut text = serde_json::to_vec(&line).ok()?;
    text.push(b'\n');
    Some(text)
}

/// A checkpoint that was witnessed.
pub(crate) struct Witnessed {
    pub(crate) line: u64,
    pub(crate) head: Head,
    note: String,
}

/// Reads a witness file from its beginning, checking each line against the one before.
pub(crate) struct WitnessReader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// The file's length when reading began: lines that begin after it came later.
    length: u64,
    offset: u64,
    lines: u64,
    prev: [u8; 32],
    newest: Option<Witnessed>,
    unfinished: Vec<u8>,
}

/// What a whole witness file says.
pub(crate) struct WitnessEnd {
    pub(crate) lines: u64,
    pub(crate) newest: Option<Head>,
    prev: [u8; 32],
    unfinished: Vec<u8>,
}

impl WitnessReader {
    /// Opens the file. A live log's checkpoint must be read after this, or the witness may seem to be ahead.
    pub(crate) fn open(path: &Path) -> Result<Self, VerifyError> {
        let io = |source| VerifyError::Io {
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io(error)),
        };
        let length = match &file {
            Some(file) => file.metadata().map_err(io)?.len(),
            None => 0,
        };
        Ok(Self {
            path: path.to_owned(),
            file: file.map(BufReader::new),
            length,
            offset: 0,
            lines: 0,
            prev: NOTHING,
            newest: None,
            unfinished: Vec::new(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The newest line's number, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.lines
    }

    pub(crate) fn fault(&self, line: u64, fault: WitnessFault) -> VerifyError {
        VerifyError::Witness {
            path: self.path.clone(),
            line,
            fault,
        }
    }

    /// The next line. `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Head>, VerifyError> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        if self.offset >= self.length {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(LINE_MAX)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| VerifyError::Io {
                path: self.path.clone(),
                source,
            })?;
        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(read);
        let line = self.lines.saturating_add(1);
        if bytes.last() != Some(&b'\n') {
            if read >= LINE_MAX {
                return Err(self.fault(line, WitnessFault::Malformed));
            }
            self.unfinished = bytes;
            self.offset = self.length;
            return Ok(None);
        }
        let witnessed = self.judge(line, &bytes)?;
        self.lines = line;
        self.prev = Sha256::digest(&bytes).into();
        let head = witnessed.head;
        self.newest = Some(witnessed);
        Ok(Some(head))
    }

    fn judge(&self, line: u64, bytes: &[u8]) -> Result<Witnessed, VerifyError> {
        let malformed = || self.fault(line, WitnessFault::Malformed);
        let parsed: Line = serde_json::from_slice(bytes).map_err(|_| malformed())?;
        let root = Hash::parse_hash(&parsed.root).map_err(|_| malformed())?;
        let said =
            crate::head::unverified(parsed.checkpoint.as_bytes()).map_err(|_| malformed())?;
        let head = Head {
            size: parsed.size,
            root,
        };
        let mut prev = NOTHING;
        hex::decode_to_slice(&parsed.prev, &mut prev).map_err(|_| malformed())?;
        // One line has one spelling: whatever was changed in it shows.
        if said != head
            || line_for(&prev, head, parsed.checkpoint.as_bytes()).as_deref() != Some(bytes)
        {
            return Err(malformed());
        }
        if prev != self.prev {
            return Err(self.fault(line, WitnessFault::Chain));
        }
        if let Some(before) = &self.newest
            && before.head.size >= head.size
        {
            return Err(self.fault(line, WitnessFault::Order { size: head.size }));
        }
        Ok(Witnessed {
            line,
            head,
            note: parsed.checkpoint,
        })
    }

    /// Ends reading: the file as a whole must fit the log's checkpoint. Older lines are bound by
    /// their roots, which the caller compared, and by the chain; the newest by its signature.
    pub(crate) fn finish(
        mut self,
        judge: &Judge,
        head: Head,
        note: &[u8],
    ) -> Result<WitnessEnd, VerifyError> {
        while self.next()?.is_some() {}
        let (size, lines) = (head.size, self.lines);
        match &self.newest {
            None if size > 0 => {
                return Err(self.fault(lines.saturating_add(1), WitnessFault::Absent { size }));
            }
            None => {}
            Some(newest) => {
                if judge.open(newest.note.as_bytes()).ok() != Some(newest.head) {
                    return Err(self.fault(newest.line, WitnessFault::Signature));
                }
                let witnessed = newest.head.size;
                if witnessed > size {
                    let fault = WitnessFault::Ahead { witnessed, size };
                    return Err(self.fault(newest.line, fault));
                }
                if witnessed == size && newest.head.root != head.root {
                    return Err(self.fault(newest.line, WitnessFault::Rewritten { size }));
                }
            }
        }
        let is_written = self.newest.as_ref().is_some_and(|n| n.head.size == size);
        let is_explained = match (is_written, line_for(&self.prev, head, note)) {
            _ if self.unfinished.is_empty() => true,
            (false, Some(line)) => line.starts_with(&self.unfinished),
            _ => false,
        };
        if !is_explained {
            return Err(self.fault(lines.saturating_add(1), WitnessFault::Unfinished));
        }
        Ok(WitnessEnd {
            lines,
            newest: self.newest.map(|newest| newest.head),
            prev: self.prev,
            unfinished: self.unfinished,
        })
    }
}

/// Appends to a witness file.
pub(crate) struct WitnessWriter {
    path: PathBuf,
    file: File,
    prev: [u8; 32],
}

impl WitnessWriter {
    /// Opens the file where reading ended, and writes what a killed writer owes it.
    pub(crate) fn resume(
        path: &Path,
        end: &WitnessEnd,
        head: Head,
        note: &[u8],
    ) -> Result<Self, LedgerError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(LedgerError::io(path, "opened"))?;
        if let Some(folder) = path.parent() {
            let here = Path::new(".");
            sync_folder(if folder.as_os_str().is_empty() {
                here
            } else {
                folder
            })?;
        }
        let mut writer = Self {
            path: path.to_owned(),
            file,
            prev: end.prev,
        };
        if end.newest.is_none_or(|newest| newest.size < head.size) {
            writer.append_after(&end.unfinished, head, note)?;
        }
        Ok(writer)
    }

    /// Appends a checkpoint's line, durably.
    pub(crate) fn append(&mut self, head: Head, note: &[u8]) -> Result<(), LedgerError> {
        self.append_after(&[], head, note)
    }

    fn append_after(&mut self, there: &[u8], head: Head, note: &[u8]) -> Result<(), LedgerError> {
        let line = line_for(&self.prev, head, note).ok_or(LedgerError::Stopped)?;
        let rest = line.strip_prefix(there).ok_or(LedgerError::Stopped)?;
        // One write: a reader sees all of a line or, in practice, nothing.
        self.file
            .write_all(rest)
            .map_err(LedgerError::io(&self.path, "written"))?;
        self.file
            .sync_data()
            .map_err(LedgerError::io(&self.path, "synced"))?;
        self.prev = Sha256::digest(&line).into();
        Ok(())
    }
}

/// Begins a new witness file for a log that already has entries: after the loss of the old one, or
/// when a log gets its first. The log is verified, and the file must not exist.
pub fn start_witness(dir: &Path, vkey: &str, path: &Path) -> Result<(), LedgerError> {
    crate::verify(dir, vkey, None)?;
    let judge = Judge::new(vkey)?;
    let note = read_checkpoint(dir)?.ok_or(VerifyError::CheckpointMissing)?;
    let head = judge.open(&note)?;
    drop(File::create_new(path).map_err(LedgerError::io(path, "created"))?);
    let end = WitnessEnd {
        lines: 0,
        newest: None,
        prev: NOTHING,
        unfinished: Vec::new(),
    };
    WitnessWriter::resume(path, &end, head, &note).map(|_| ())
}

#[cfg(test)]
mod tests {
    use signed_note::StandardSigner;
    use tlog_tiles::record_hash;

    use super::*;
    use crate::generate_key;
    use crate::head::sign;

    #[test]
    fn sizes_must_grow_and_the_newest_line_must_be_signed() {
        let (skey, vkey) = generate_key("l").unwrap();
        let (other, _) = generate_key("l").unwrap();
        let judge = Judge::new(&vkey).unwrap();
        let head = |size| Head {
            size,
            root: record_hash(&[7]),
        };
        let fault = |lines: &[(&str, u64)]| {
            let temp = tempfile::TempDir::new().unwrap();
            let path = temp.path().join("w");
            let mut file = File::create(&path).unwrap();
            let mut prev = NOTHING;
            for (skey, size) in lines {
                let signer = StandardSigner::new(skey).unwrap();
                let note = sign(&signer, "l", head(*size)).unwrap();
                let line = line_for(&prev, head(*size), &note).unwrap();
                prev = Sha256::digest(&line).into();
                file.write_all(&line).unwrap();
            }
            let reader = WitnessReader::open(&path).unwrap();
            match reader.finish(&judge, head(9), b"") {
                Err(VerifyError::Witness { line, fault, .. }) => Some((line, fault)),
                Err(other) => panic!("{other}"),
                Ok(_) => None,
            }
        };
        assert_eq!(fault(&[(&skey, 3), (&skey, 4)]), None);
        assert_eq!(
            fault(&[(&skey, 3), (&skey, 3)]),
            Some((2, WitnessFault::Order { size: 3 }))
        );
        assert_eq!(
            fault(&[(&skey, 4), (&skey, 3)]),
            Some((2, WitnessFault::Order { size: 3 }))
        );
        assert_eq!(
            fault(&[(&skey, 3), (&other, 4)]),
            Some((2, WitnessFault::Signature))
        );
        let ahead = WitnessFault::Ahead {
            witnessed: 10,
            size: 9,
        };
        assert_eq!(fault(&[(&skey, 10)]), Some((1, ahead)));
        assert_eq!(fault(&[]), Some((1, WitnessFault::Absent { size: 9 })));
    }
}
