//! A line of arguments.

use kekkai_analysis_api::{ARG_MAX, ARGS_MAX};
use kekkai_types::Lang;

use super::words;

/// Why a line is no list of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    /// A quote is not closed.
    #[error("a quote is not closed")]
    QuoteOpen,
    /// More than [`ARGS_MAX`], or one longer than [`ARG_MAX`].
    #[error("more than {ARGS_MAX} arguments, or one of more than {ARG_MAX} bytes")]
    TooMany,
}

/// Parts a line at blanks; what stands in quotes stays together. Nothing is expanded.
pub(crate) fn parse(line: &str) -> Result<Vec<String>, ArgsError> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            // A full-width blank, too: Japanese keyboards make it easily.
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(ArgsError::QuoteOpen);
    }
    words.extend(word);
    if words.len() > ARGS_MAX || words.iter().any(|word| word.len() > ARG_MAX) {
        return Err(ArgsError::TooMany);
    }
    Ok(words)
}

impl ArgsError {
    /// For people.
    pub(crate) fn text(self, lang: Lang) -> String {
        match self {
            Self::QuoteOpen => words::ARGS_BAD.get(lang).to_owned(),
            Self::TooMany => {
                words::ARGS_MANY.with(lang, &[&ARGS_MAX.to_string(), &ARG_MAX.to_string()])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_and_nothing_is_expanded() {
        let cases: [(&str, &[&str]); 5] = [
            ("", &[]),
            ("--year 2024  $HOME *", &["--year", "2024", "$HOME", "*"]),
            ("'脳 梗塞'\u{3000}\"a 'b'\"", &["脳 梗塞", "a 'b'"]),
            ("'' x''y", &["", "xy"]),
            (r"a\b", &[r"a\b"]),
        ];
        for (line, words) in cases {
            assert_eq!(parse(line).unwrap(), words, "{line}");
        }
        assert_eq!(parse("'a"), Err(ArgsError::QuoteOpen));
        assert_eq!(parse(&"a ".repeat(ARGS_MAX + 1)), Err(ArgsError::TooMany));
        assert_eq!(parse(&"a".repeat(ARG_MAX + 1)), Err(ArgsError::TooMany));
    }
}
