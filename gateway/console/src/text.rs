//! Text in columns of a terminal, where a Japanese letter takes two.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The mark of a text that was cut. ASCII: the width of an ellipsis depends on the terminal.
const CUT: &str = "..";
/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// Characters without a width that may follow a letter: an accent, and a voicing mark, say. More of
/// them grow over the lines above and below.
const MARKS_MAX: u32 = 2;

/// Makes a text harmless to a terminal: control characters, escape sequences, and what reorders, hides
/// or overprints text become visible (`\u{1b}`).
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // A mark at the beginning would stand on whatever is before this text.
    let mut marks = MARKS_MAX;
    for c in text.chars() {
        marks = match c.width() {
            Some(0) => marks.saturating_add(1),
            _ => 0,
        };
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push(' '),
            c if is_unsafe(c) || marks > MARKS_MAX => {
                // Writing to a string can't fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a text has nothing that [`clean`] would make visible, but for marks.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(is_unsafe)
}

/// Control characters, and format characters (Unicode's category Cf and its kin) that change the order
/// of text or leave no trace.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Breaks a text into lines of at most `width` columns, wherever that is: what a program printed has a
/// layout of its own. A width under 2 is taken for 2: a full-width letter needs as much.
pub(crate) fn fold(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut lines = vec![String::new()];
    let mut used: usize = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used.saturating_add(wide) > width {
            lines.push(String::new());
            used = 0;
        }
        used = used.saturating_add(wide);
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
    }
    lines
}

/// Tabs become blanks up to the next stop.
pub(crate) fn untab(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut at: usize = 0;
    for c in line.chars() {
        if c == '\t' {
            let blanks = TAB.saturating_sub(at.checked_rem(TAB).unwrap_or(0));
            out.extend(std::iter::repeat_n(' ', blanks));
            at = at.saturating_add(blanks);
        } else {
            out.push(c);
            at = at.saturating_add(c.width().unwrap_or(0));
        }
    }
    out
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
        // Every character that may stay has a place of its own, or stands on a letter.
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let shown = clean(&c.to_string());
            assert!(columns(&shown) > 0, "{c:?}");
        }
    }

    #[test]
    fn marks_neither_pile_up_nor_reach_what_stands_before() {
        assert_eq!(clean("か\u{3099}"), "か\u{3099}");
        assert_eq!(clean("\u{301}a"), "\\u{301}a");
        let zalgo = format!("a{}b", "\u{301}".repeat(100));
        let shown = clean(&zalgo);
        assert_eq!(shown.matches('\u{301}').count(), 2);
        assert_eq!(shown.matches("\\u{301}").count(), 98);
    }

    #[test]
    fn fold_breaks_at_columns_and_loses_nothing() {
        assert_eq!(fold("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(fold("a患者b", 3), ["a患", "者b"]);
        assert_eq!(fold("", 4), [""]);
        assert_eq!(fold("患者", 0), ["患", "者"]);
        assert_eq!(untab("a\tb\t"), "a       b       ");
        assert_eq!(untab("患者\tx"), "患者    x");
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
