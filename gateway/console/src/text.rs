//! Text in columns of a terminal, where a Japanese letter takes two.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The mark of a text that was cut. ASCII: the width of an ellipsis depends on the terminal.
const CUT: &str = "..";

/// Makes a text harmless to a terminal: control characters, escape sequences, and what reorders or
/// hides text become visible (`\u{1b}`).
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push(' '),
            c if is_unsafe(c) => {
                // Writing to a string can't fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Control characters, and format characters that change the order of text or leave no trace.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The columns that a text takes in a terminal.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// Cuts a text to some columns; never through a letter.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if columns(text) <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub(CUT.len());
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        if columns(&out) > room {
            out.pop();
            break;
        }
    }
    out.push_str(CUT.get(..max.min(CUT.len())).unwrap_or_default());
    out
}

/// Appends a text with blanks after it.
pub(crate) fn pad_left_aligned(out: &mut String, text: &str, width: usize) {
    out.push_str(text);
    out.extend(std::iter::repeat_n(
        ' ',
        width.saturating_sub(columns(text)),
    ));
}

/// Appends a text with blanks before it.
pub(crate) fn pad_right_aligned(out: &mut String, text: &str, width: usize) {
    out.extend(std::iter::repeat_n(
        ' ',
        width.saturating_sub(columns(text)),
    ));
    out.push_str(text);
}

/// Appends a line without the blanks at its end.
pub(crate) fn push_line(out: &mut String, line: &str) {
    out.push_str(line.trim_end_matches(' '));
    out.push('\n');
}

/// Breaks a text into lines of at most `width` columns: at blanks, or between Japanese letters.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in pieces(text) {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word.trim_start());
        } else if columns(line).saturating_add(columns(word.trim_end())) > width
            && !begins_late(word)
        {
            let trimmed = line.trim_end().len();
            line.truncate(trimmed);
            lines.push(word.trim_start().to_owned());
        } else {
            line.push_str(word);
        }
    }
    lines
}

/// Punctuation that must not begin a line (kinsoku).
fn begins_late(word: &str) -> bool {
    word.starts_with(['、', '。', '）', '」', 'ー', '．', '，', '：'])
}

/// Words with the blanks after them; each full-width letter is a word.
fn pieces(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let is_wide = c.width().unwrap_or(0) > 1;
        let was_wide = before.width().unwrap_or(0) > 1;
        if at > start && (is_wide || was_wide || (before == ' ' && c != ' ')) {
            found.extend(text.get(start..at));
            start = at;
        }
        before = c;
    }
    found.extend(text.get(start..));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_hides_text_survives() {
        let bad = "a\u{1b}[2J\u{7}\u{9b}31m\r\n\u{202e}b\u{200b}\u{0}\u{e0041}c";
        let shown = clean(bad);
        assert_eq!(
            shown,
            "a\\u{1b}[2J\\u{7}\\u{9b}31m\\r\\n\\u{202e}b\\u{200b}\\u{0}\\u{e0041}c"
        );
        assert!(shown.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let shown = clean(&c.to_string());
            assert!(!shown.chars().any(char::is_control), "{c:?}");
        }
        assert_eq!(clean("胃潰瘍 α é 🦠"), "胃潰瘍 α é 🦠");
    }

    #[test]
    fn cut_counts_columns_and_spares_letters() {
        assert_eq!(cut("胃潰瘍の既往", 12), "胃潰瘍の既往");
        assert_eq!(cut("胃潰瘍の既往", 11), "胃潰瘍の..");
        assert_eq!(cut("胃潰瘍の既往", 9), "胃潰瘍..");
        assert_eq!(cut("abcdef", 1), ".");
    }

    #[test]
    fn wrap_keeps_within_its_width() {
        let text = "病名は ICD-10 で記録されています。主傷病名だけを含みます。";
        for line in wrap(text, 20) {
            assert!(columns(&line) <= 22, "{line}");
            assert!(!line.starts_with('。'), "{line}");
        }
        let joined = wrap(text, 20).concat();
        assert_eq!(joined.replace(' ', ""), text.replace(' ', ""));
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    }
}
