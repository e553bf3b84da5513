//! What is wrong with an agreement's text, and where.

use std::ops::Range;

/// An agreement that can't be used: the operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {found}; expected {expected}")]
pub struct AgreementError {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What is there, or missing.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

impl AgreementError {
    /// An error at a byte range of the text.
    pub(super) fn at(
        text: &str,
        span: &Range<usize>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let (line, column) = position(text, span.start);
        Self {
            line,
            column,
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// An error of TOML itself, or of a key or a type.
    pub(super) fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        let (found, expected) = match message.split_once(", expected ") {
            Some((found, expected)) => (found.to_owned(), expected.to_owned()),
            None => (message.to_owned(), expectation(message).to_owned()),
        };
        Self::at(text, &span, quoted(&found), quoted(&expected))
    }
}

/// What was expected, where the parser's message does not say so.
fn expectation(message: &str) -> &'static str {
    if message.starts_with("missing field") {
        "that key in the table that begins here"
    } else if message.starts_with("duplicate") {
        "each key once"
    } else if message.contains("an id") {
        "an id of a-z, 0-9, '-', '_' and '.', beginning with a letter or digit"
    } else {
        "TOML 1.0"
    }
}

/// Names are quoted alike in all messages.
fn quoted(text: &str) -> String {
    text.replace('`', "\"").trim_end().to_owned()
}

/// Line and column of a byte offset, both from 1; columns count characters.
fn position(text: &str, offset: usize) -> (u32, u32) {
    let mut line = 1_u32;
    let mut column = 1_u32;
    for (at, character) in text.char_indices() {
        if at >= offset {
            break;
        }
        if character == '\n' {
            line = line.saturating_add(1);
            column = 1;
        } else {
            column = column.saturating_add(1);
        }
    }
    (line, column)
}
