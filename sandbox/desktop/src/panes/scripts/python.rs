//! Python's words, texts, numbers and comments, for the editor's colours. A text that is no Python gets
//! some colours, too, and never an error.

use crate::editor::{CodeKind, CodePart};

const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class",
    "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if",
    "import", "in", "is", "lambda", "match", "nonlocal", "not", "or", "pass", "raise", "return",
    "try", "while", "with", "yield",
];

/// The parts of a text that have a colour, in order.
pub(crate) fn parts(text: &str) -> Vec<CodePart> {
    let mut parts = Vec::new();
    let mut at = 0;
    let mut names_next = false;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or(' ');
        let (length, kind) = match first {
            '#' => (line(rest), Some(CodeKind::Comment)),
            '"' | '\'' => (string(rest, 0), Some(CodeKind::String)),
            '@' => {
                let name = word(rest.get(1..).unwrap_or_default());
                (name.saturating_add(1), Some(CodeKind::Function))
            }
            c if c.is_ascii_digit() => (number(rest), Some(CodeKind::Number)),
            c if is_word(c) => {
                let length = word(rest);
                let name = rest.get(..length).unwrap_or_default();
                let quote = rest
                    .get(length..)
                    .is_some_and(|r| r.starts_with(['"', '\'']));
                let is_prefix = matches!(
                    name.to_ascii_lowercase().as_str(),
                    "r" | "b" | "f" | "u" | "t" | "rb" | "br" | "fr" | "rf"
                );
                let was_named = std::mem::take(&mut names_next);
                if quote && is_prefix {
                    (string(rest, length), Some(CodeKind::String))
                } else if KEYWORDS.contains(&name) {
                    names_next = matches!(name, "def" | "class");
                    (length, Some(CodeKind::Keyword))
                } else if was_named {
                    (length, Some(CodeKind::Function))
                } else {
                    (length, None)
                }
            }
            c => (c.len_utf8(), None),
        };
        let end = at.saturating_add(length.max(1)).min(text.len());
        if let Some(kind) = kind {
            parts.push((at..end, kind));
        }
        at = end;
    }
    parts
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn word(text: &str) -> usize {
    text.find(|c: char| !is_word(c)).unwrap_or(text.len())
}

fn number(text: &str) -> usize {
    let mut last = ' ';
    text.find(|c: char| {
        let is_sign = matches!(c, '+' | '-') && matches!(last, 'e' | 'E');
        last = c;
        !(is_word(c) || c == '.' || is_sign)
    })
    .unwrap_or(text.len())
}

/// A text in quotes behind a prefix of so many bytes. One in single quotes ends with its line.
fn string(text: &str, prefix: usize) -> usize {
    let Some(body) = text.get(prefix..) else {
        return text.len();
    };
    let triple = ["\"\"\"", "'''"].into_iter().find(|t| body.starts_with(t));
    let quote = triple.or_else(|| body.get(..1)).unwrap_or("\"");
    let is_raw = text
        .get(..prefix)
        .is_some_and(|prefix| prefix.contains(['r', 'R']));
    let mut at = quote.len();
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(quote) {
            return prefix.saturating_add(at).saturating_add(quote.len());
        }
        let c = rest.chars().next().unwrap_or(' ');
        if c == '\n' && triple.is_none() {
            return prefix.saturating_add(at);
        }
        let mut step = c.len_utf8();
        // Even in a raw text, a backslash keeps a quote from ending it.
        if c == '\\' && (!is_raw || rest.get(1..).is_some_and(|r| r.starts_with(quote))) {
            step = step.saturating_add(rest.chars().nth(1).map_or(0, char::len_utf8));
        }
        at = at.saturating_add(step);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(&str, CodeKind)> {
        parts(text)
            .into_iter()
            .map(|(range, kind)| (&text[range], kind))
            .collect()
    }

    #[test]
    fn words_texts_numbers_and_comments_are_told_apart() {
        use CodeKind::{Comment, Function, Keyword, Number, String};
        let text = "@once\ndef 年齢(x):  # 計算\n    return f'{x}\\'s' + \"a\" + 1_0.5e-3\n";
        assert_eq!(
            shown(text),
            [
                ("@once", Function),
                ("def", Keyword),
                ("年齢", Function),
                ("# 計算", Comment),
                ("return", Keyword),
                ("f'{x}\\'s'", String),
                ("\"a\"", String),
                ("1_0.5e-3", Number),
            ]
        );
        assert_eq!(
            shown("'''a\n'b' ''' if '開\nin"),
            [
                ("'''a\n'b' '''", String),
                ("if", Keyword),
                ("'開", String),
                ("in", Keyword)
            ]
        );
        assert_eq!(shown("r'\\' + x"), [("r'\\' + x", String)]);
    }

    #[test]
    fn parts_are_in_order_and_never_split_a_letter() {
        proptest::proptest!(|(text in "[a'\"\\\\#\n@1年 rdef]{0,60}")| {
            let mut before = 0;
            for (range, _) in parts(&text) {
                assert!(range.start >= before && range.end > range.start);
                assert!(text.get(range.clone()).is_some());
                before = range.end;
            }
        });
    }
}
