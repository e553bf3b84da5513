//! What a program prints, as far as its terminal may show it.

use std::collections::VecDeque;

use kekkai_analysis_api::{LOG_LINE_MAX, LogLine, LogPart};

/// Lines of one answer: the caller asks again for the rest.
const LINES_AT_ONCE: usize = 1_000;

/// A run's log.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<LogLine>,
    bytes: u64,
    bytes_max: u64,
    /// Counted here, never kept.
    withheld: u64,
    dropped: u64,
}

impl Log {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            ..Self::default()
        }
    }

    /// A line that may be shown. Over the limit it is dropped and counted.
    pub(super) fn push(&mut self, is_error: bool, text: &str) {
        let text = crate::plain(text, LOG_LINE_MAX / 4);
        let size = u64::try_from(text.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        if self.bytes.saturating_add(size) > self.bytes_max {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.bytes += size;
        self.lines.push_back(LogLine { is_error, text });
    }

    /// Lines that may not be shown.
    pub(super) fn withhold(&mut self, lines: u64) {
        self.withheld = self.withheld.saturating_add(lines);
    }

    /// Lines that never came, over the process's own count of the limit.
    pub(super) fn drop_to(&mut self, dropped: u64) {
        self.dropped = self.dropped.max(dropped);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn withheld(&self) -> u64 {
        self.withheld
    }

    pub(super) fn part(&self, from: u64) -> LogPart {
        let skip = usize::try_from(from)
            .unwrap_or(usize::MAX)
            .min(self.lines.len());
        let lines: Vec<LogLine> = self
            .lines
            .iter()
            .skip(skip)
            .take(LINES_AT_ONCE)
            .cloned()
            .collect();
        LogPart {
            next: u64::try_from(skip.saturating_add(lines.len())).unwrap_or(u64::MAX),
            lines,
            withheld: self.withheld > 0,
            // After rows, a count is something that the program chooses.
            dropped: if self.withheld > 0 { 0 } else { self.dropped },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_is_read_on_from_where_the_reader_was() {
        let mut log = Log::new(1_000);
        log.push(false, "one");
        log.push(true, "two");
        let part = log.part(0);
        assert_eq!(part.lines.len(), 2);
        assert_eq!(part.next, 2);
        log.push(false, "three");
        assert_eq!(log.part(part.next).lines[0].text, "three");
        assert!(log.part(99).lines.is_empty());
    }

    #[test]
    fn lines_over_the_limit_are_counted_and_nowhere() {
        let mut log = Log::new(8);
        log.push(false, "1234567");
        log.push(false, "8");
        assert_eq!(log.part(0).lines.len(), 1);
        assert_eq!(log.part(0).dropped, 1);
    }

    #[test]
    fn control_characters_never_reach_a_line() {
        let mut log = Log::new(1_000);
        log.push(false, "a\x1b[2Jb\u{202e}c");
        assert_eq!(log.part(0).lines[0].text, "a[2Jbc");
    }
}
