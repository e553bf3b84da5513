//! A line editor for a terminal: pure, bytes in, lines and echo out.

use unicode_width::UnicodeWidthChar as _;

/// The longest line, in bytes: a statement's longest.
const LINE_BYTES_MAX: usize = kekkai_analysis_api::SQL_MAX;
/// The longest line of a script, in bytes: enough for the script to be refused as too long.
const TEXT_LINE_BYTES_MAX: usize = kekkai_analysis_api::SOURCE_MAX + 1;
/// Blanks that the tab key gives in a script.
const INDENT: usize = 4;
/// Lines that the arrow keys bring back.
const HISTORY_MAX: usize = 100;
const BELL: &str = "\x07";

/// What a person did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Ended a line.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    End,
}

#[derive(Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Started,
    Control,
    /// One more byte, of a key that is ignored.
    Single,
}

/// The line under the cursor, which stands at its end.
#[derive(Default)]
pub(super) struct Editor {
    line: String,
    partial: Vec<u8>,
    escape: Escape,
    after_return: bool,
    history: Vec<String>,
    /// Counted from the newest, while the arrow keys are used.
    recalled: Option<usize>,
    /// Lines of a script are typed: tabs indent, and nothing is remembered.
    is_text: bool,
}

impl Editor {
    /// Whether lines of a script follow, or commands.
    pub(super) fn set_text(&mut self, is_text: bool) {
        self.is_text = is_text;
        self.recalled = None;
    }

    /// The line that was begun, shown again after other output.
    pub(super) fn line(&self) -> &str {
        &self.line
    }

    /// Takes a byte; what the terminal shall show is appended to `echo`.
    pub(super) fn feed(&mut self, byte: u8, echo: &mut String) -> Option<Key> {
        if self.escape != Escape::None {
            self.escaped(byte, echo);
            return None;
        }
        let after_return = std::mem::take(&mut self.after_return);
        match byte {
            // CR LF ends one line, not two.
            b'\n' if after_return => None,
            b'\r' | b'\n' => {
                self.after_return = byte == b'\r';
                echo.push_str("\r\n");
                let line = std::mem::take(&mut self.line);
                self.partial.clear();
                self.remember(&line);
                Some(Key::Line(line))
            }
            0x03 => {
                echo.push_str("^C\r\n");
                self.line.clear();
                self.partial.clear();
                self.recalled = None;
                Some(Key::Interrupt)
            }
            0x04 => self.line.is_empty().then_some(Key::End),
            0x08 | 0x7f => {
                self.erase(1, echo);
                None
            }
            0x15 => {
                self.erase(usize::MAX, echo);
                None
            }
            0x17 => {
                let kept = self.line.trim_end().rfind(' ').map_or(0, |at| at + 1);
                let word = self.line.get(kept..).map_or(0, |word| word.chars().count());
                self.erase(word, echo);
                None
            }
            0x1b => {
                self.escape = Escape::Started;
                None
            }
            b'\t' => {
                for _ in 0..if self.is_text { INDENT } else { 1 } {
                    self.push(' ', echo);
                }
                None
            }
            0x00..=0x1f => None,
            _ => {
                self.utf8(byte, echo);
                None
            }
        }
    }

    fn escaped(&mut self, byte: u8, echo: &mut String) {
        self.escape = match (&self.escape, byte) {
            (Escape::Started, b'[') => Escape::Control,
            (Escape::Started, b'O') => Escape::Single,
            // Parameters and intermediates; the final byte ends it (ECMA-48 §5.4).
            (Escape::Control, 0x20..=0x3f) => Escape::Control,
            (Escape::Control, b'A') => {
                self.recall(1, echo);
                Escape::None
            }
            (Escape::Control, b'B') => {
                self.recall(-1, echo);
                Escape::None
            }
            _ => Escape::None,
        };
    }

    fn utf8(&mut self, byte: u8, echo: &mut String) {
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(text) => {
                if let Some(c) = text.chars().next() {
                    self.partial.clear();
                    self.push(c, echo);
                }
            }
            // Not a character: forgotten, but for the byte that may begin the next one.
            Err(error) if error.error_len().is_some() || self.partial.len() >= 4 => {
                let was_alone = self.partial.len() == 1;
                self.partial.clear();
                if !was_alone {
                    self.utf8(byte, echo);
                }
            }
            Err(_) => {}
        }
    }

    fn push(&mut self, c: char, echo: &mut String) {
        let is_wide = c.width().unwrap_or(0) > 0;
        // Zero-width and control characters would let a line look like another. In a script they stand
        // for themselves: it is refused for those that hide something.
        if !is_wide && !self.is_text {
            return;
        }
        let max = if self.is_text {
            TEXT_LINE_BYTES_MAX
        } else {
            LINE_BYTES_MAX
        };
        if self.line.len() + c.len_utf8() > max {
            echo.push_str(BELL);
            return;
        }
        self.line.push(c);
        if is_wide {
            echo.push(c);
        }
    }

    fn erase(&mut self, characters: usize, echo: &mut String) {
        self.partial.clear();
        for _ in 0..characters {
            let Some(c) = self.line.pop() else { break };
            for _ in 0..c.width().unwrap_or(0) {
                echo.push_str("\x08 \x08");
            }
        }
    }

    fn remember(&mut self, line: &str) {
        self.recalled = None;
        if self.is_text
            || line.trim().is_empty()
            || self.history.last().is_some_and(|last| last == line)
        {
            return;
        }
        if self.history.len() >= HISTORY_MAX {
            self.history.remove(0);
        }
        self.history.push(line.to_owned());
    }

    fn recall(&mut self, older: isize, echo: &mut String) {
        if self.is_text {
            return;
        }
        let next = match (self.recalled, older > 0) {
            (None, true) => Some(0),
            (None, false) => return,
            (Some(at), true) => Some(at + 1),
            (Some(at), false) => at.checked_sub(1),
        };
        let line = match next {
            None => String::new(),
            Some(at) => match self.history.iter().rev().nth(at) {
                Some(line) => line.clone(),
                None => return,
            },
        };
        self.erase(usize::MAX, echo);
        echo.push_str(&line);
        self.line = line;
        self.recalled = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(editor: &mut Editor, bytes: &[u8]) -> (Vec<Key>, String) {
        let mut echo = String::new();
        let keys = bytes
            .iter()
            .filter_map(|byte| editor.feed(*byte, &mut echo));
        (keys.collect(), echo)
    }

    #[test]
    fn backspace_takes_both_columns_of_a_full_width_character() {
        let mut editor = Editor::default();
        let (_, echo) = feed(&mut editor, "a患".as_bytes());
        assert_eq!(echo, "a患");
        let (_, echo) = feed(&mut editor, b"\x7f");
        assert_eq!(echo, "\x08 \x08\x08 \x08");
        let (keys, _) = feed(&mut editor, b"\x7f\x7f\r");
        assert_eq!(keys, [Key::Line(String::new())]);
    }

    #[test]
    fn character_that_arrives_in_pieces_is_one_character() {
        let mut editor = Editor::default();
        for byte in "病".as_bytes() {
            feed(&mut editor, &[*byte]);
        }
        let (keys, _) = feed(&mut editor, b"\r\n");
        assert_eq!(keys, [Key::Line("病".to_owned())]);
    }

    #[test]
    fn broken_utf8_and_control_characters_never_reach_a_line() {
        let mut editor = Editor::default();
        let (keys, echo) = feed(
            &mut editor,
            b"\xff\xfea\x00\x01\xe7\x97b\x1b[31mc\x1bOPd\xe2\x80\x8be\r",
        );
        assert_eq!(keys, [Key::Line("abcde".to_owned())]);
        assert!(!echo.contains('\x1b'));
    }

    #[test]
    fn arrows_bring_lines_back() {
        let mut editor = Editor::default();
        feed(&mut editor, b"one\rtwo\r");
        let (keys, _) = feed(&mut editor, b"\x1b[A\x1b[A\x1b[A\x1b[B\r");
        assert_eq!(keys, [Key::Line("two".to_owned())]);
        let (keys, _) = feed(&mut editor, b"\x1b[A\x1b[A\x1b[A\r");
        assert_eq!(keys, [Key::Line("one".to_owned())]);
    }

    #[test]
    fn line_is_bounded() {
        let mut editor = Editor::default();
        let (_, echo) = feed(&mut editor, &vec![b'x'; LINE_BYTES_MAX + 10]);
        assert!(echo.ends_with(BELL));
        assert_eq!(editor.line().len(), LINE_BYTES_MAX);
    }

    #[test]
    fn lines_of_a_script_are_indented_by_tabs_and_not_remembered() {
        let mut editor = Editor::default();
        feed(&mut editor, b"run python -\r");
        editor.set_text(true);
        let (keys, echo) = feed(&mut editor, "\tx = 'か\u{3099}\u{202e}'\x1b[A\r".as_bytes());
        // What hides something is kept, so that the script is refused for it, but never echoed.
        assert_eq!(keys, [Key::Line("    x = 'か\u{3099}\u{202e}'".to_owned())]);
        assert!(!echo.contains('\u{202e}'), "{echo:?}");
        editor.set_text(false);
        let (keys, _) = feed(&mut editor, b"\x1b[A\r");
        assert_eq!(keys, [Key::Line("run python -".to_owned())]);
    }

    #[test]
    fn control_keys_interrupt_and_end() {
        let mut editor = Editor::default();
        assert_eq!(feed(&mut editor, b"abc\x03").0, [Key::Interrupt]);
        assert_eq!(feed(&mut editor, b"abc\x04").0, []);
        assert_eq!(feed(&mut editor, b"\x15\x04").0, [Key::End]);
        assert_eq!(
            feed(&mut editor, b"one two \x17x\r").0,
            [Key::Line("one x".to_owned())]
        );
    }
}
