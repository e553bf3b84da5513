//! The text of a script that is typed or piped.
//!
//! Reviewers read it beside the outputs that it made, so it must be what it looks like: no control
//! characters, and none that reorder or hide text.

use kekkai_analysis_api::SOURCE_MAX;
use kekkai_types::Lang;

use crate::message::said;
use crate::text::is_unsafe;

/// The line that ends a script where commands may follow it.
const END: &str = ".";

/// A script that arrives bit by bit.
#[derive(Debug, Default)]
pub struct Source {
    bytes: Vec<u8>,
    is_too_long: bool,
}

/// Why a text is not a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing but blanks.
    #[error("the script is empty")]
    Empty,
    /// More than [`SOURCE_MAX`] bytes.
    #[error("the script has more than {SOURCE_MAX} bytes")]
    TooLong,
    /// A line, from 1, that is not UTF-8.
    #[error("line {0} is not UTF-8")]
    NotUtf8(usize),
    /// A line, from 1, with a character that drives terminals, reorders or hides text.
    #[error("line {0} has the character U+{number:04X}", number = u32::from(*.1))]
    NotPlain(usize, char),
}

impl Source {
    /// Takes a line without its end. True when it was the script's end: a `.` alone.
    #[must_use = "after its end, lines are commands again"]
    pub fn line(&mut self, line: &str) -> bool {
        if line == END {
            return true;
        }
        self.bytes(line.as_bytes());
        self.bytes(b"\n");
        false
    }

    /// Takes bytes of a script that ends with its input. What is too much is not kept.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.bytes.len().saturating_add(bytes.len()) > SOURCE_MAX;
        if !self.is_too_long {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Whether it is longer than [`SOURCE_MAX`] already.
    pub fn is_too_long(&self) -> bool {
        self.is_too_long
    }

    /// The script, with the line ends of Unix and without a byte order mark.
    pub fn finish(self) -> Result<String, SourceError> {
        if self.is_too_long {
            return Err(SourceError::TooLong);
        }
        let text = String::from_utf8(self.bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..good).unwrap_or_default();
            SourceError::NotUtf8(line_of(
                before.iter().filter(|byte| **byte == b'\n').count(),
            ))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let text = text.replace("\r\n", "\n");
        for (index, line) in text.split('\n').enumerate() {
            if let Some(c) = line.chars().find(|c| *c != '\t' && is_unsafe(*c)) {
                return Err(SourceError::NotPlain(line_of(index), c));
            }
        }
        if text.trim().is_empty() {
            return Err(SourceError::Empty);
        }
        Ok(text)
    }
}

/// Lines count from 1.
fn line_of(before: usize) -> usize {
    before.saturating_add(1)
}

/// How a script is typed; shown before its first line.
pub fn source_hint(lang: Lang) -> &'static str {
    lang.pick(
        "スクリプトを入力してください。「.」だけの行で終わります (Ctrl-C で取消)。\n",
        "Type the script; a line with a single . ends it (Ctrl-C forgets it).\n",
    )
}

/// Why a text is not taken for a script, and what to do.
pub fn source_error(error: &SourceError, lang: Lang) -> String {
    match error {
        SourceError::Empty => said(
            lang,
            (
                "スクリプトがありません。",
                "スクリプトを入力するか、run python - < ファイル のように渡してください。",
            ),
            (
                "There is no script.",
                "type one, or pipe one in: run python - < FILE.",
            ),
        ),
        SourceError::TooLong => {
            let kib = SOURCE_MAX / 1024;
            let ja =
                format!("スクリプトが長すぎます (上限 {kib} KiB)。実行も保存もしていません。");
            let en = format!(
                "The script is too long (at most {kib} KiB). It was neither run nor kept."
            );
            said(
                lang,
                (
                    &ja,
                    "短くするか、繰り返し使う部分をツールとして申請してください。",
                ),
                (
                    &en,
                    "shorten it, or bring what you use again and again in as a tool.",
                ),
            )
        }
        SourceError::NotUtf8(line) => {
            let ja = format!("スクリプトの{line}行目が UTF-8 ではありません。");
            let en = format!("Line {line} of the script is not UTF-8.");
            said(
                lang,
                (&ja, "UTF-8 で保存し直してください。"),
                (&en, "save it as UTF-8."),
            )
        }
        SourceError::NotPlain(line, c) => {
            let code = format!("U+{:04X}", u32::from(*c));
            let ja = format!("スクリプトの{line}行目に、見えない文字または制御文字 {code} があります。");
            let en = format!("Line {line} of the script has the invisible or control character {code}.");
            said(
                lang,
                (
                    &ja,
                    "取り除くか、文字列の中では \\u による表記にしてください。審査で見えるものと実行されるものを同じにするためです。",
                ),
                (
                    &en,
                    "remove it, or write it as an escape in a string: reviewers must see what runs.",
                ),
            )
        }
    }
    .show(lang)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::check;

    fn of(bytes: &[u8]) -> Result<String, SourceError> {
        let mut source = Source::default();
        source.bytes(bytes);
        source.finish()
    }

    #[test]
    fn script_is_kept_as_it_was_typed_up_to_its_dot() {
        let mut source = Source::default();
        for line in ["def f():", "\treturn '患者'", "", "  .", "..", "x = 1."] {
            assert!(!source.line(line), "{line:?}");
        }
        assert!(source.line("."));
        let text = "def f():\n\treturn '患者'\n\n  .\n..\nx = 1.\n";
        assert_eq!(source.finish().unwrap(), text);
    }

    #[test]
    fn windows_line_ends_and_byte_order_mark_are_not_part_of_a_script() {
        assert_eq!(
            of(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n").unwrap(),
            "a = 1\nb = 2\n"
        );
    }

    #[test]
    fn text_that_is_no_script_is_refused_with_its_line() {
        assert_eq!(of(b" \n\t\n"), Err(SourceError::Empty));
        assert_eq!(of(b"a\nb\xff"), Err(SourceError::NotUtf8(2)));
        let hidden = [
            '\u{202e}', '\u{200b}', '\u{1b}', '\0', '\r', '\u{feff}', '\u{2028}',
        ];
        for c in hidden {
            let text = format!("a\nb = '{c}'\n");
            assert_eq!(
                of(text.as_bytes()),
                Err(SourceError::NotPlain(2, c)),
                "{c:?}"
            );
        }
        let most = vec![b'a'; SOURCE_MAX];
        assert!(of(&most).is_ok());
        assert_eq!(of(&vec![b'a'; SOURCE_MAX + 1]), Err(SourceError::TooLong));
    }

    #[test]
    fn endless_script_takes_no_memory() {
        let mut source = Source::default();
        for _ in 0..10_000 {
            assert!(!source.line(&"x".repeat(1_000)));
        }
        assert!(source.is_too_long());
        assert!(source.bytes.len() <= SOURCE_MAX);
        // What was cut in the middle does not become whole again by a short line.
        assert!(!source.line("y"));
        assert_eq!(source.finish(), Err(SourceError::TooLong));
    }

    #[test]
    fn every_refusal_is_explained_in_both_languages() {
        let all = [
            SourceError::Empty,
            SourceError::TooLong,
            SourceError::NotUtf8(3),
            SourceError::NotPlain(7, '\u{202e}'),
        ];
        for lang in [Lang::Ja, Lang::En] {
            for error in &all {
                check(&source_error(error, lang), lang);
            }
        }
        assert!(source_error(&all[3], Lang::En).contains("Line 7"));
        assert!(source_error(&all[3], Lang::Ja).contains("U+202E"));
    }
}
