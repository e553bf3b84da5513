//! Text of a declared encoding to UTF-8, strictly: a byte that the encoding doesn't have is an error
//! with its line, never a replacement character in somebody's record.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{DecoderResult, SHIFT_JIS, UTF_8};
use kekkai_dataset::Encoding;

/// Bytes that are read from a source file at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// The longest record of a CSV file, in bytes of UTF-8.
pub const RECORD_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes at the beginning of a file that decide whether it looks like CP932.
const HINT_BYTES: usize = 64 * 1024;

/// Why decoding stopped; inside an [`io::Error`], since a [`Read`] has no other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// At this line.
    #[error("malformed text")]
    Malformed { line: u64, is_cp932: bool },
    /// The consumer got more than [`RECORD_BYTES_MAX`] and found no end of the record.
    #[error("record too long")]
    TooLong,
}

/// A reader of UTF-8.
pub(crate) struct Decoding<R> {
    inner: R,
    encoding: Encoding,
    decoder: encoding_rs::Decoder,
    input: Vec<u8>,
    filled: usize,
    used: usize,
    is_at_end: bool,
    is_finished: bool,
    line: u64,
    head: Vec<u8>,
    /// Bytes handed out since the consumer last finished a record; it sets this to zero.
    since_record: Arc<AtomicU64>,
}

impl<R: Read> Decoding<R> {
    pub(crate) fn new(inner: R, encoding: Encoding, since_record: Arc<AtomicU64>) -> Self {
        let decoder = match encoding {
            // With the removal of a byte order mark.
            Encoding::Utf8 => UTF_8.new_decoder_with_bom_removal(),
            Encoding::Cp932 => SHIFT_JIS.new_decoder_without_bom_handling(),
        };
        Self {
            inner,
            encoding,
            decoder,
            input: vec![0; CHUNK_BYTES],
            filled: 0,
            used: 0,
            is_at_end: false,
            is_finished: false,
            line: 1,
            head: Vec::new(),
            since_record,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.used = 0;
        self.filled = loop {
            match self.inner.read(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.is_at_end = self.filled == 0;
        if self.encoding == Encoding::Utf8 && self.head.len() < HINT_BYTES {
            let room = HINT_BYTES - self.head.len();
            let new = self.input.get(..self.filled.min(room)).unwrap_or_default();
            self.head.extend_from_slice(new);
        }
        Ok(())
    }

    /// Only for a file that was declared as UTF-8. Its beginning must decode as CP932, hold Japanese, and
    /// may end within a character.
    fn is_cp932(&self) -> bool {
        if self.encoding != Encoding::Utf8 {
            return false;
        }
        let mut decoder = SHIFT_JIS.new_decoder_without_bom_handling();
        let mut text = String::with_capacity(self.head.len() * 3 + 16);
        let (result, _) =
            decoder.decode_to_string_without_replacement(&self.head, &mut text, false);
        matches!(result, encoding_rs::DecoderResult::InputEmpty)
            && text
                .chars()
                .any(|c| matches!(c, '\u{3041}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}'))
    }
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.is_finished || out.is_empty() {
            return Ok(0);
        }
        if self.since_record.load(Ordering::Relaxed) > RECORD_BYTES_MAX {
            return Err(io::Error::other(Stop::TooLong));
        }
        loop {
            if self.used == self.filled && !self.is_at_end {
                self.fill()?;
            }
            let input = self.input.get(self.used..self.filled).unwrap_or_default();
            let (result, read, written) =
                self.decoder
                    .decode_to_utf8_without_replacement(input, out, self.is_at_end);
            self.used += read;
            let text = out.get(..written).unwrap_or_default();
            self.line += newlines(text);
            match result {
                DecoderResult::Malformed(..) => {
                    let is_cp932 = self.is_cp932();
                    return Err(io::Error::other(Stop::Malformed {
                        line: self.line,
                        is_cp932,
                    }));
                }
                DecoderResult::InputEmpty if self.is_at_end => self.is_finished = true,
                DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
            }
            if written > 0 || self.is_finished {
                self.since_record
                    .fetch_add(u64::try_from(written).unwrap_or(0), Ordering::Relaxed);
                return Ok(written);
            }
            // The output has room for no character, and none was written: a bug of the caller's.
            if matches!(result, DecoderResult::OutputFull) {
                return Err(io::Error::other("a buffer of less than four bytes"));
            }
        }
    }
}

fn newlines(text: &[u8]) -> u64 {
    u64::try_from(text.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], encoding: Encoding) -> Result<String, (u64, bool)> {
        let mut text = String::new();
        let mut decoding = Decoding::new(bytes, encoding, Arc::default());
        match decoding.read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => match error.get_ref().and_then(|e| e.downcast_ref::<Stop>()) {
                Some(Stop::Malformed { line, is_cp932 }) => Err((*line, *is_cp932)),
                _ => panic!("{error}"),
            },
        }
    }

    #[test]
    fn both_encodings_are_decoded() {
        let text = "患者ID,氏名\n1,髙橋 ①\n";
        assert_eq!(decode(text.as_bytes(), Encoding::Utf8).unwrap(), text);
        let (bytes, _, _) = SHIFT_JIS.encode(text);
        assert_eq!(decode(&bytes, Encoding::Cp932).unwrap(), text);
        let with_mark = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        assert_eq!(decode(&with_mark, Encoding::Utf8).unwrap(), text);
    }

    #[test]
    fn undeclared_cp932_is_refused_with_line_and_hint() {
        let (bytes, _, _) = SHIFT_JIS.encode("id,name\n1,x\n2,患者\n");
        assert_eq!(decode(&bytes, Encoding::Utf8), Err((3, true)));
    }

    #[test]
    fn malformed_bytes_are_refused_without_a_hint() {
        assert_eq!(decode(b"id\n\xff\xff\n", Encoding::Utf8), Err((2, false)));
        assert_eq!(decode(b"id\n1\n\x81", Encoding::Cp932), Err((3, false)));
        assert_eq!(
            decode(b"id\n\xe6\x82", Encoding::Utf8).map_err(|e| e.0),
            Err(2)
        );
    }

    #[test]
    fn consumer_that_finds_no_record_is_stopped() {
        let since = Arc::new(AtomicU64::new(0));
        let mut decoding = Decoding::new(io::repeat(b'x'), Encoding::Utf8, Arc::clone(&since));
        let mut buffer = vec![0; 64 * 1024];
        let mut total = 0;
        let error = loop {
            match decoding.read(&mut buffer) {
                Ok(count) => total += count as u64,
                Err(error) => break error,
            }
        };
        assert!(matches!(
            error.get_ref().and_then(|e| e.downcast_ref()),
            Some(Stop::TooLong)
        ));
        assert!(total <= RECORD_BYTES_MAX + 2 * 64 * 1024);
    }
}
