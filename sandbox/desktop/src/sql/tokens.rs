//! A statement's parts, with their places in bytes.

use std::ops::Range;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token as SqlToken, TokenWithSpan, Tokenizer, Whitespace};

use crate::editor::{CodeKind, CodePart};

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A word of the language.
    Keyword,
    /// A name, perhaps in quotes.
    Name,
    /// A text.
    Text,
    /// A number.
    Number,
    /// A comment.
    Comment,
    /// A sign: `.`, `,`, `(` …
    Sign,
}

/// A part of a statement. Blanks are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Where.
    pub bytes: Range<usize>,
    /// What.
    pub kind: TokenKind,
}

impl Token {
    /// Its text, without the quotes of a name.
    pub fn word<'a>(&self, sql: &'a str) -> &'a str {
        let text = sql.get(self.bytes.clone()).unwrap_or_default();
        match self.kind {
            TokenKind::Name => text.trim_matches('"'),
            _ => text,
        }
    }

    /// Whether it is this word of the language.
    pub fn is(&self, sql: &str, word: &str) -> bool {
        self.word(sql).eq_ignore_ascii_case(word)
    }
}

/// The parts of a statement, as the engine's dialect has them. What can't be read, such as a text whose end
/// is missing, is one text up to the end.
pub fn tokens(sql: &str) -> Vec<Token> {
    let mut found: Vec<TokenWithSpan> = Vec::new();
    let dialect = PostgreSqlDialect {};
    // The error's place is where the last part that was read ends.
    let is_whole = Tokenizer::new(&dialect, sql)
        .tokenize_with_location_into_buf(&mut found)
        .is_ok();
    let mut places = Places::new(sql);
    let mut tokens = Vec::new();
    let mut end = 0;
    for TokenWithSpan { token, span } in found {
        let start = places.byte_of(span.start);
        end = places.byte_of(span.end);
        if let Some(kind) = kind(&token) {
            tokens.push(Token {
                bytes: start..end,
                kind,
            });
        }
    }
    if !is_whole && end < sql.len() {
        tokens.push(Token {
            bytes: end..sql.len(),
            kind: TokenKind::Text,
        });
    }
    tokens
}

fn kind(token: &SqlToken) -> Option<TokenKind> {
    Some(match token {
        SqlToken::Whitespace(
            Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
        ) => TokenKind::Comment,
        SqlToken::Whitespace(_) | SqlToken::EOF => return None,
        SqlToken::Word(word)
            if word.keyword != Keyword::NoKeyword && word.quote_style.is_none() =>
        {
            TokenKind::Keyword
        }
        SqlToken::Word(_) => TokenKind::Name,
        SqlToken::Number(..) => TokenKind::Number,
        SqlToken::SingleQuotedString(_)
        | SqlToken::DollarQuotedString(_)
        | SqlToken::EscapedStringLiteral(_)
        | SqlToken::NationalStringLiteral(_)
        | SqlToken::UnicodeStringLiteral(_)
        | SqlToken::HexStringLiteral(_) => TokenKind::Text,
        _ => TokenKind::Sign,
    })
}

/// Lines and columns as bytes, walked through once.
struct Places<'a> {
    chars: std::str::CharIndices<'a>,
    at: usize,
    line: u64,
    column: u64,
}

impl<'a> Places<'a> {
    fn new(sql: &'a str) -> Self {
        Self {
            chars: sql.char_indices(),
            at: 0,
            line: 1,
            column: 1,
        }
    }

    /// Places must be asked for in order.
    fn byte_of(&mut self, place: Location) -> usize {
        while (self.line, self.column) < (place.line, place.column) {
            let Some((_, c)) = self.chars.next() else {
                break;
            };
            self.at = self.chars.offset();
            if c == '\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            } else {
                self.column = self.column.saturating_add(1);
            }
        }
        self.at
    }
}

/// Words that are coloured though they may also be names, and those that are names though the language
/// could read them as words, are told apart by what follows: a function has a bracket.
pub fn highlight(sql: &str) -> Vec<CodePart> {
    let tokens = tokens(sql);
    let mut parts = Vec::with_capacity(tokens.len());
    let mut followers = tokens.iter().skip(1);
    for token in &tokens {
        let next = followers.next();
        let calls =
            next.is_some_and(|next| next.is(sql, "(") && next.bytes.start == token.bytes.end);
        let kind = match token.kind {
            TokenKind::Keyword | TokenKind::Name if calls => CodeKind::Function,
            TokenKind::Keyword if is_plain(token.word(sql)) => continue,
            TokenKind::Keyword => CodeKind::Keyword,
            TokenKind::Text => CodeKind::String,
            TokenKind::Number => CodeKind::Number,
            TokenKind::Comment => CodeKind::Comment,
            TokenKind::Name | TokenKind::Sign => continue,
        };
        parts.push((token.bytes.clone(), kind));
    }
    parts
}

/// Words that some dialect knows and that are mostly columns here.
fn is_plain(word: &str) -> bool {
    const COLUMNS: [&str; 12] = [
        "n", "name", "region", "type", "value", "key", "year", "month", "day", "date", "count",
        "id",
    ];
    COLUMNS
        .iter()
        .any(|column| word.eq_ignore_ascii_case(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_where_they_stand_also_behind_japanese() {
        let sql = "SELECT \"年齢\", 'あ''い' -- 注\nFROM visit";
        let words: Vec<&str> = tokens(sql)
            .iter()
            .map(|token| &sql[token.bytes.clone()])
            .collect();
        assert_eq!(
            words,
            [
                "SELECT",
                "\"年齢\"",
                ",",
                "'あ''い'",
                "-- 注\n",
                "FROM",
                "visit"
            ]
        );
    }

    #[test]
    fn text_without_an_end_reaches_to_the_end() {
        let sql = "SELECT 'abc, 1";
        let last = tokens(sql).pop().unwrap();
        assert_eq!(
            (&sql[last.bytes], last.kind),
            (" 'abc, 1".trim_start(), TokenKind::Text)
        );
    }

    #[test]
    fn functions_words_and_columns_have_their_colours() {
        let sql = "SELECT count(*) AS n, 'x', 12 FROM visit";
        let parts: Vec<(&str, CodeKind)> = highlight(sql)
            .into_iter()
            .map(|(bytes, kind)| (&sql[bytes], kind))
            .collect();
        assert_eq!(
            parts,
            [
                ("SELECT", CodeKind::Keyword),
                ("count", CodeKind::Function),
                ("AS", CodeKind::Keyword),
                ("'x'", CodeKind::String),
                ("12", CodeKind::Number),
                ("FROM", CodeKind::Keyword),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_parts_in_order_and_apart(sql in "\\PC{0,80}") {
            let mut at = 0;
            for token in tokens(&sql) {
                assert!(at <= token.bytes.start && token.bytes.start <= token.bytes.end, "{sql:?}");
                assert!(sql.get(token.bytes.clone()).is_some(), "{sql:?}");
                at = token.bytes.end;
            }
        }
    }
}
