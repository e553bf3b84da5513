//! The first line of each part: in the clear, so that parts are found and compared without a key.

use kekkai_types::{Digest, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

/// The format's name and version.
pub const FORMAT: &str = "kekkai-recording/1";
/// The longest first line, in bytes with its end.
pub const HEADER_BYTES_MAX: usize = 1024;
/// Characters of a mark.
const MARK_CHARS_MAX: usize = 128;
/// Bytes of a point of P-256, SEC 1 uncompressed.
const ENCAPSULATED_BYTES: usize = 65;

/// What a part says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The session.
    pub session: SessionId,
    /// The invisible mark of its pixels, as the ledger has it.
    pub mark: String,
    /// When the recording began; the same in all its parts.
    pub began: Timestamp,
    /// Counts from 1.
    pub part: u32,
    /// The number of its first chunk.
    pub first: u64,
    /// The last link of the part before.
    pub previous: Option<Digest>,
    /// The digest of the auditors' public key.
    pub recipient: Digest,
    /// What the auditors make the part's key of.
    pub(crate) encapsulated: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: String,
    session: SessionId,
    mark: String,
    began: Timestamp,
    part: u32,
    first: u64,
    previous: Option<Digest>,
    recipient: Digest,
    encapsulated: String,
}

impl Header {
    /// The line with its end. `None` where a mark is none.
    pub(crate) fn line(&self) -> Option<Vec<u8>> {
        let mut bytes = self.json(hex(&self.encapsulated));
        bytes.push(b'\n');
        let is_short = bytes.len() <= HEADER_BYTES_MAX;
        (is_short && is_plain(&self.mark)).then_some(bytes)
    }

    /// Reads a line, with or without its end.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let line: Line = serde_json::from_slice(line).ok()?;
        let is_ours = line.format == FORMAT
            && line.part > 0
            && (line.part == 1) == line.previous.is_none()
            && is_plain(&line.mark);
        is_ours.then_some(Self {
            encapsulated: unhex(&line.encapsulated)?,
            session: line.session,
            mark: line.mark,
            began: line.began,
            part: line.part,
            first: line.first,
            previous: line.previous,
            recipient: line.recipient,
        })
    }

    /// What the part's key is bound to: the line with an empty encapsulation.
    pub(crate) fn info(&self) -> Vec<u8> {
        self.json(String::new())
    }

    fn json(&self, encapsulated: String) -> Vec<u8> {
        let line = Line {
            format: FORMAT.to_owned(),
            session: self.session.clone(),
            mark: self.mark.clone(),
            began: self.began,
            part: self.part,
            first: self.first,
            previous: self.previous,
            recipient: self.recipient,
            encapsulated,
        };
        // Strings and numbers are always JSON.
        serde_json::to_vec(&line).unwrap_or_default()
    }
}

/// A mark is shown in an auditor's terminal.
fn is_plain(mark: &str) -> bool {
    mark.len() <= MARK_CHARS_MAX && mark.chars().all(|c| c.is_ascii_graphic())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex || text.len() != ENCAPSULATED_BYTES * 2 {
        return None;
    }
    (0..ENCAPSULATED_BYTES)
        .map(|i| u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            session: SessionId::new("s-1").unwrap(),
            mark: "00ff".to_owned(),
            began: Timestamp(1),
            part: 1,
            first: 0,
            previous: None,
            recipient: Digest::of(b"key"),
            encapsulated: vec![4; 65],
        }
    }

    #[test]
    fn line_reads_back_and_nothing_else_is_a_header() {
        let line = header().line().unwrap();
        assert_eq!(Header::parse(&line), Some(header()));
        let text = String::from_utf8(line).unwrap();
        for (from, to) in [
            ("recording/1", "recording/2"),
            ("\"part\":1", "\"part\":0"),
            ("\"part\":1", "\"part\":2"),
            ("00ff", "\\u001b[2J"),
            ("\"mark\"", "\"more\":1,\"mark\""),
        ] {
            let other = text.replace(from, to);
            assert_ne!(other, text);
            assert_eq!(Header::parse(other.as_bytes()), None, "{other}");
        }
        for cut in 0..text.len() - 1 {
            assert_eq!(Header::parse(&text.as_bytes()[..cut]), None);
        }
    }

    #[test]
    fn mark_that_would_drive_a_terminal_or_fill_the_line_is_refused() {
        for mark in ["a b".to_owned(), "\u{1b}".to_owned(), "f".repeat(129)] {
            assert!(Header { mark, ..header() }.line().is_none());
        }
    }
}
