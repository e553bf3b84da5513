//! Words of a command line, quoted as in a shell.

/// Why a line has no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnclosedQuote;

/// Splits a line at blanks. `'…'` is taken as it is; in `"…"` and outside quotes, `\` takes the
/// next character as it is. Nothing is ever expanded: `$`, `*` and `~` mean themselves.
pub(crate) fn split(line: &str) -> Result<Vec<String>, UnclosedQuote> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => {
                let next = chars.next().ok_or(UnclosedQuote)?;
                word.get_or_insert_default().push(next);
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            // A full-width blank parts words, too: Japanese keyboards make it easily.
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(UnclosedQuote);
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_in_a_shell_and_never_expanded() {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("  a  b ", &["a", "b"]),
            ("--title '年齢 $HOME'", &["--title", "年齢 $HOME"]),
            (r#"--title "a \"b\" 'c'""#, &["--title", "a \"b\" 'c'"]),
            (r"a\ b '' c", &["a b", "", "c"]),
            ("--title=\"x y\"z", &["--title=x yz"]),
            ("a\u{3000}b", &["a", "b"]),
            ("`id` $(id) ~ *", &["`id`", "$(id)", "~", "*"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        for line in ["'a", "\"a", "a\\", "\"a\\"] {
            assert_eq!(split(line), Err(UnclosedQuote), "{line}");
        }
    }
}
