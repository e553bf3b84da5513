//! What a program prints: lines, cut and counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kekkai_analysis_api::LOG_LINE_MAX;
use kekkai_worker_api::RunLimits;

use crate::broker::Broker;

/// Spaces in place of a tab.
const TAB: &str = "    ";

/// The log of one run, shared by `log.write` and WASI's standard output and error.
#[derive(Debug, Clone)]
pub(crate) struct Log(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    /// Bytes that may still be taken.
    left: usize,
    /// Lines that nobody has yet.
    lines: Vec<(bool, String)>,
    dropped: u64,
    /// What `dropped` was when it was last told.
    told_dropped: u64,
    /// Beginnings of lines: standard output's and standard error's.
    partial: [Vec<u8>; 2],
}

impl Log {
    pub(crate) fn new(limits: &RunLimits) -> Self {
        let kib = usize::try_from(limits.log_kib_max).unwrap_or(usize::MAX);
        Self(Arc::new(Mutex::new(Inner {
            left: kib.saturating_mul(1024),
            lines: Vec::new(),
            dropped: 0,
            told_dropped: 0,
            partial: [Vec::new(), Vec::new()],
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One or more whole lines.
    pub(crate) fn write_lines(&self, is_error: bool, text: &str) {
        let mut inner = self.inner();
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            inner.line(is_error, line.as_bytes());
        }
    }

    /// A piece of a byte stream; a line is taken when its end comes.
    pub(crate) fn write_bytes(&self, is_error: bool, bytes: &[u8]) {
        let mut inner = self.inner();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let mut line = std::mem::take(inner.partial(is_error));
            let room = LOG_LINE_MAX.saturating_sub(line.len());
            let (text, is_whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            line.extend_from_slice(text.get(..room.min(text.len())).unwrap_or_default());
            if is_whole {
                inner.line(is_error, &line);
            } else {
                *inner.partial(is_error) = line;
            }
        }
    }

    /// Hands over what came since the last call.
    pub(crate) fn flush(&self, broker: &dyn Broker) {
        let (lines, dropped) = {
            let mut inner = self.inner();
            if inner.lines.is_empty() && inner.dropped == inner.told_dropped {
                return;
            }
            inner.told_dropped = inner.dropped;
            (std::mem::take(&mut inner.lines), inner.dropped)
        };
        broker.log(lines, dropped);
    }

    /// Hands over everything, lines without an end included.
    pub(crate) fn finish(&self, broker: &dyn Broker) {
        for is_error in [false, true] {
            let mut inner = self.inner();
            let line = std::mem::take(inner.partial(is_error));
            if !line.is_empty() {
                inner.line(is_error, &line);
            }
        }
        self.flush(broker);
    }
}

impl Inner {
    fn partial(&mut self, is_error: bool) -> &mut Vec<u8> {
        let [out, error] = &mut self.partial;
        if is_error { error } else { out }
    }

    fn line(&mut self, is_error: bool, bytes: &[u8]) {
        let text = clean(bytes);
        // The line's end counts, so that empty lines are bounded, too.
        match self.left.checked_sub(text.len().saturating_add(1)) {
            Some(left) => {
                self.left = left;
                self.lines.push((is_error, text));
            }
            None => {
                // Shorter lines that follow would make a log with holes.
                self.left = 0;
                self.dropped = self.dropped.saturating_add(1);
            }
        }
    }
}

/// Text without control characters, at most [`LOG_LINE_MAX`] bytes.
fn clean(bytes: &[u8]) -> String {
    let bytes = bytes.get(..LOG_LINE_MAX).unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        let mut buffer = [0; 4];
        let piece = match c {
            '\t' => TAB,
            c if c.is_control() => continue,
            c => c.encode_utf8(&mut buffer),
        };
        if text.len() + piece.len() > LOG_LINE_MAX {
            break;
        }
        text.push_str(piece);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{NoAnswer, RowStream, Statement, Submission};
    use kekkai_analysis_api::SqlError;
    use kekkai_types::OutputId;

    #[derive(Default)]
    struct Lines(Mutex<(Vec<(bool, String)>, u64)>);

    #[async_trait::async_trait]
    impl Broker for Lines {
        async fn query(&self, _: Statement) -> Result<Box<dyn RowStream>, NoAnswer<SqlError>> {
            Err(NoAnswer::Gone)
        }
        async fn submit(&self, _: Submission) -> Result<OutputId, NoAnswer<(String, String)>> {
            Err(NoAnswer::Gone)
        }
        fn log(&self, lines: Vec<(bool, String)>, dropped: u64) {
            let mut all = self.0.lock().unwrap();
            all.0.extend(lines);
            all.1 = dropped;
        }
        fn progress(&self, _: u16, _: &str) {}
    }

    fn log_of(kib: u32) -> Log {
        Log::new(&RunLimits {
            time_limit_s: 1,
            memory_limit_mib: 1,
            table_elements_max: 1,
            instances_max: 1,
            outputs_max: 1,
            output_kib_max: 1,
            log_kib_max: kib,
            scratch_kib_max: 1,
            clock_ms: 1,
        })
    }

    fn text(all: &Lines) -> Vec<String> {
        let all = all.0.lock().unwrap();
        all.0.iter().map(|(_, text)| text.clone()).collect()
    }

    #[test]
    fn bytes_become_lines_where_their_ends_come() {
        let (log, all) = (log_of(1), Lines::default());
        log.write_bytes(false, b"one\ntw");
        log.write_bytes(true, b"error");
        log.write_bytes(false, b"o\n\nthr");
        log.flush(&all);
        assert_eq!(text(&all), ["one", "two", ""]);
        log.finish(&all);
        assert_eq!(text(&all), ["one", "two", "", "thr", "error"]);
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        let (log, all) = (log_of(1), Lines::default());
        log.write_lines(false, "a\u{1b}[2J\tb\r\u{7}\u{9b}c\n");
        log.finish(&all);
        assert_eq!(text(&all), ["a[2J    bc"]);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let (log, all) = (log_of(100), Lines::default());
        log.write_lines(false, &"あ".repeat(LOG_LINE_MAX));
        log.write_bytes(false, &vec![b'x'; 10 * LOG_LINE_MAX]);
        log.finish(&all);
        let lines = text(&all);
        assert!(lines.iter().all(|line| line.len() <= LOG_LINE_MAX));
        assert_eq!(lines[1].len(), LOG_LINE_MAX);
    }

    #[test]
    fn what_is_over_the_limit_is_dropped_and_counted() {
        let (log, all) = (log_of(1), Lines::default());
        for _ in 0..1_000 {
            log.write_lines(false, "");
            log.write_lines(false, "123456789");
        }
        log.finish(&all);
        let (lines, dropped) = &*all.0.lock().unwrap();
        let bytes: usize = lines.iter().map(|(_, line)| line.len() + 1).sum();
        assert!(bytes <= 1024, "{bytes}");
        assert_eq!(u64::try_from(lines.len()).unwrap() + dropped, 2_000);
    }
}
