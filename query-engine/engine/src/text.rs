//! The statement as written: its words and where they stand.
//!
//! Plans forget where they came from. A refusal finds its place again here, by the word that asked for
//! what is refused.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace, Word};
use kekkai_analysis_api::{SQL_MAX, SqlError, SqlErrorCode};

use crate::head::{self, Head};
use crate::mistakes;

/// Line and column, both from 1, in characters.
pub(crate) type Place = (u32, u32);

/// Operators that a statement may have: each deepens the tree that later steps walk recursively.
pub(crate) const OPERATORS_MAX: usize = 400;

/// No name of a statement may begin so: hidden columns do.
pub(crate) const HIDDEN_PREFIX: &str = "__kekkai";

/// A refusal.
pub(crate) fn refuse(code: SqlErrorCode, name: impl Into<String>, at: Option<Place>) -> SqlError {
    SqlError {
        code,
        name: name.into(),
        at,
        candidates: Vec::new(),
        hint: None,
    }
}

/// A statement's words.
pub(crate) struct Text {
    head: Head,
    /// Those of the query: the head is taken off.
    tokens: Vec<TokenWithSpan>,
    /// Where each `?` stands.
    parameters: Vec<Option<Place>>,
}

impl Text {
    /// Splits a text into words, and refuses what needs no grammar to be refused.
    pub(crate) fn new(sql: &str) -> Result<Self, SqlError> {
        if sql.len() > SQL_MAX {
            return Err(refuse(SqlErrorCode::TooLong, "", None));
        }
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
            .tokenize_with_location()
            .map_err(|error| {
                let at = place(error.location.line, error.location.column);
                SqlError {
                    hint: mistakes::unended(&error.message),
                    ..refuse(SqlErrorCode::Syntax, "", at)
                }
            })?;
        let (head, tokens) = head::split(tokens).map_err(|error| mistakes::of_statement(*error))?;
        let (tokens, parameters) = number_parameters(tokens);
        let text = Self {
            head,
            tokens,
            parameters,
        };
        text.check_words()?;
        // A character that looks like a space may have made the first word longer than it is.
        mistakes::look_alike(&text.meant_tokens())?;
        if !matches!(text.head, Head::Drop { .. }) {
            text.check_single()
                .map_err(|error| mistakes::advised(error, &text))?;
        }
        mistakes::in_words(&text.meant_tokens())?;
        Ok(text)
    }

    /// What is done with the query.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// Refuses whatever is more than a query.
    pub(crate) fn only_query(&self) -> Result<(), SqlError> {
        let word = match self.head {
            Head::Query => return Ok(()),
            Head::Explain => "EXPLAIN",
            Head::Create { .. } => "CREATE",
            Head::Drop { .. } => "DROP",
        };
        Err(refuse(
            SqlErrorCode::StatementNotAllowed,
            word,
            Some((1, 1)),
        ))
    }

    /// The words with their places, for the parser.
    pub(crate) fn tokens(&self) -> &[TokenWithSpan] {
        &self.tokens
    }

    /// Where each `?` stands, in their order.
    pub(crate) fn parameters(&self) -> &[Option<Place>] {
        &self.parameters
    }

    fn meant(&self) -> impl Iterator<Item = &TokenWithSpan> {
        self.tokens
            .iter()
            .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
    }

    /// The words that mean something, in their order.
    pub(crate) fn meant_tokens(&self) -> Vec<&TokenWithSpan> {
        self.meant().collect()
    }

    fn words(&self) -> impl Iterator<Item = (&Word, Option<Place>)> {
        self.meant().filter_map(|token| match &token.token {
            Token::Word(word) => Some((word, start(token))),
            _ => None,
        })
    }

    fn check_words(&self) -> Result<(), SqlError> {
        for (word, at) in self.words() {
            if word.value.to_lowercase().starts_with(HIDDEN_PREFIX) {
                return Err(refuse(SqlErrorCode::ColumnUnknown, word.value.clone(), at));
            }
        }
        let mut operators = 0;
        for token in self.meant() {
            operators += usize::from(is_operator(&token.token));
            if operators > OPERATORS_MAX {
                return Err(refuse(
                    SqlErrorCode::TooLong,
                    token.token.to_string(),
                    start(token),
                ));
            }
        }
        Ok(())
    }

    fn check_single(&self) -> Result<(), SqlError> {
        let mut ended = false;
        for token in self.meant() {
            match &token.token {
                Token::SemiColon => ended = true,
                _ if ended => {
                    return Err(refuse(SqlErrorCode::SeveralStatements, "", start(token)));
                }
                _ => {}
            }
        }
        let Some(first) = self.meant().next() else {
            return Err(refuse(SqlErrorCode::Syntax, "", Some((1, 1))));
        };
        match &first.token {
            Token::Word(word) => match word.keyword {
                Keyword::SELECT | Keyword::WITH => Ok(()),
                Keyword::NoKeyword => Err(refuse(
                    SqlErrorCode::Syntax,
                    word.value.clone(),
                    start(first),
                )),
                _ => Err(refuse(
                    SqlErrorCode::StatementNotAllowed,
                    word.value.to_uppercase(),
                    start(first),
                )),
            },
            Token::LParen => Ok(()),
            other => Err(refuse(
                SqlErrorCode::Syntax,
                other.to_string(),
                start(first),
            )),
        }
    }

    /// Where one of these keywords stands first.
    pub(crate) fn keyword(&self, wanted: &[Keyword]) -> Option<Place> {
        self.words()
            .find(|(word, _)| wanted.contains(&word.keyword))
            .and_then(|(_, at)| at)
    }

    /// Where one of these keywords stands first inside parentheses.
    pub(crate) fn inner_keyword(&self, wanted: &[Keyword]) -> Option<Place> {
        let mut depth = 0_u32;
        for token in self.meant() {
            match &token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                Token::Word(word) if depth > 0 && wanted.contains(&word.keyword) => {
                    return start(token);
                }
                _ => {}
            }
        }
        None
    }

    /// Where a name stands first; for a path, its last part.
    pub(crate) fn name(&self, name: &str) -> Option<Place> {
        let lower = name.to_lowercase();
        self.words()
            .find(|(word, _)| word.value.to_lowercase() == lower)
            .and_then(|(_, at)| at)
    }

    /// Where a name stands last.
    pub(crate) fn last_name(&self, name: &str) -> Option<Place> {
        let lower = name.to_lowercase();
        let all = self.words();
        all.filter(|(word, _)| word.value.to_lowercase() == lower)
            .last()
            .and_then(|(_, at)| at)
    }

    /// The calls of some functions: where they stand, and in how many calls of the same they are.
    fn calls<'t>(&'t self, names: &[&str]) -> Vec<(&'t TokenWithSpan, usize)> {
        let mut calls = Vec::new();
        // For each open parenthesis, whether one of the functions opened it.
        let mut open = Vec::new();
        let mut last = None;
        for token in self.meant() {
            match &token.token {
                Token::LParen => {
                    let called = last.filter(|before: &&TokenWithSpan| match &before.token {
                        Token::Word(word) => names.contains(&word.value.to_lowercase().as_str()),
                        _ => false,
                    });
                    if let Some(called) = called {
                        let around = open.iter().filter(|is_call| **is_call).count();
                        calls.push((called, around));
                    }
                    open.push(called.is_some());
                }
                Token::RParen => drop(open.pop()),
                _ => {}
            }
            last = Some(token);
        }
        calls
    }

    /// Where one of these functions is first called behind one of these keywords.
    pub(crate) fn call_behind(&self, keywords: &[Keyword], names: &[&str]) -> Option<Place> {
        let from = self.keyword(keywords)?;
        let calls = self.calls(names).into_iter();
        calls
            .filter_map(|(token, _)| start(token))
            .find(|at| *at > from)
    }

    /// Where one of these functions is first called inside a call of one of them.
    pub(crate) fn call_within(&self, names: &[&str]) -> Option<Place> {
        let mut calls = self.calls(names).into_iter();
        calls
            .find(|(_, around)| *around > 0)
            .and_then(|(token, _)| start(token))
    }

    /// True where a function's name stands.
    pub(crate) fn is_call(&self, at: Place) -> bool {
        let mut behind = self.meant().skip_while(|token| start(token) != Some(at));
        behind
            .nth(1)
            .is_some_and(|token| token.token == Token::LParen)
    }

    /// Where a number stands behind a keyword.
    pub(crate) fn number_behind(&self, keyword: Keyword, number: &str) -> Option<Place> {
        let from = self.keyword(&[keyword])?;
        self.meant()
            .filter(|token| matches!(&token.token, Token::Number(written, _) if written == number))
            .filter_map(start)
            .find(|at| *at > from)
    }

    /// The word at a place, as it is written.
    pub(crate) fn word_at(&self, at: Place) -> Option<String> {
        self.words()
            .find(|(_, place)| *place == Some(at))
            .map(|(word, _)| word.value.clone())
    }

    /// Where a number is divided by a literal zero.
    pub(crate) fn zero_divisor(&self) -> Option<Place> {
        let tokens: Vec<&TokenWithSpan> = self.meant().collect();
        tokens.iter().zip(tokens.iter().skip(1)).find_map(|(a, b)| {
            let divides = matches!(a.token, Token::Div | Token::Mod);
            let zero =
                matches!(&b.token, Token::Number(digits, _) if digits.parse() == Ok(0.0_f64));
            (divides && zero).then(|| start(b)).flatten()
        })
    }

    /// Where the statement's only division or remainder stands.
    pub(crate) fn only_division(&self) -> Option<Place> {
        only(
            self.meant()
                .filter(|token| matches!(token.token, Token::Div | Token::Mod)),
        )
    }

    /// Where the statement's only conversion stands.
    pub(crate) fn only_cast(&self) -> Option<Place> {
        only(self.meant().filter(|token| match &token.token {
            Token::Word(word) => word.keyword == Keyword::CAST,
            other => matches!(other, Token::DoubleColon),
        }))
    }

    /// Where a regular expression is asked for first.
    pub(crate) fn pattern(&self) -> Option<Place> {
        self.meant()
            .find(|token| match &token.token {
                Token::Tilde
                | Token::TildeAsterisk
                | Token::ExclamationMarkTilde
                | Token::ExclamationMarkTildeAsterisk => true,
                Token::Word(word) => word.value.to_lowercase().starts_with("regexp_"),
                _ => false,
            })
            .and_then(start)
    }

    /// Just behind the last word: where an unfinished statement wants more.
    pub(crate) fn end(&self) -> Option<Place> {
        let last = self.meant().last()?;
        place(last.span.end.line, last.span.end.column)
    }
}

/// Numbers each `?` as [`parameter_name`] says, before the parser can take it for an operator on JSON.
fn number_parameters(tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, Vec<Option<Place>>) {
    let mut numbered = Vec::with_capacity(tokens.len());
    let mut places = Vec::new();
    for token in tokens {
        let Some(words) = words_around(&token.token) else {
            numbered.push(token);
            continue;
        };
        let span = token.span;
        let mut column = span.start.column;
        for word in words {
            let width = word.to_string().len();
            let word = match word {
                Token::Question => {
                    places.push(place(span.start.line, column));
                    Token::Placeholder(parameter_name(places.len() - 1))
                }
                other => other,
            };
            column = column.saturating_add(u64::try_from(width).unwrap_or(0));
            numbered.push(TokenWithSpan::new(word, span));
        }
    }
    (numbered, places)
}

/// The words of an operator with question marks in it: to the tokenizer `?||'x'` begins with one operator, and
/// `a-?<?` has one in its middle. `None` for other words, and for operators that nobody knows.
fn words_around(token: &Token) -> Option<Vec<Token>> {
    let written = match token {
        Token::Question => return Some(vec![Token::Question]),
        Token::QuestionMarkDoubleVerticalBar | Token::QuestionMarkDash => token.to_string(),
        Token::CustomBinaryOperator(written) if written.contains('?') => written.clone(),
        _ => return None,
    };
    let mut words = Vec::new();
    for (number, operator) in written.split('?').enumerate() {
        if number > 0 {
            words.push(Token::Question);
        }
        for word in Tokenizer::new(&PostgreSqlDialect {}, operator)
            .tokenize()
            .ok()?
        {
            let is_operator = matches!(
                word,
                Token::Eq
                    | Token::Neq
                    | Token::Lt
                    | Token::LtEq
                    | Token::Gt
                    | Token::GtEq
                    | Token::Plus
                    | Token::Minus
                    | Token::Mul
                    | Token::Div
                    | Token::Mod
                    | Token::StringConcat
                    | Token::Tilde
            );
            if !is_operator {
                return None;
            }
            words.push(word);
        }
    }
    Some(words)
}

/// What a `?` is called while it is parsed. No statement can write it: its tokenizer knows `?` and `0`.
pub(crate) fn parameter_name(index: usize) -> String {
    format!("?{index}")
}

/// Where a word begins.
pub(crate) fn start(token: &TokenWithSpan) -> Option<Place> {
    place(token.span.start.line, token.span.start.column)
}

/// The place of a word that is the only one of its kind.
fn only<'t>(mut tokens: impl Iterator<Item = &'t TokenWithSpan>) -> Option<Place> {
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => start(token),
        _ => None,
    }
}

/// A place as the parser counts it; 0 means that it doesn't know.
pub(crate) fn place(line: u64, column: u64) -> Option<Place> {
    match (u32::try_from(line), u32::try_from(column)) {
        (Ok(line), Ok(column)) if line > 0 && column > 0 => Some((line, column)),
        _ => None,
    }
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::JOIN
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::WHEN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::IS
        ),
        Token::Number(..)
        | Token::Placeholder(_)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::Comma
        | Token::Period
        | Token::SemiColon
        | Token::RParen
        | Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => false,
        // Whatever else there is counts, also an opening parenthesis: all of it may nest.
        _ => true,
    }
}

/// Names that were perhaps meant: at most three, the nearest first.
pub(crate) fn candidates<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wrong = wrong.to_lowercase();
    let limit = ((wrong.chars().count() + 1) / 3).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = known
        .filter(|name| !name.starts_with(HIDDEN_PREFIX))
        .map(|name| (distance(&wrong, name), name))
        .filter(|(distance, name)| {
            // One or two letters are in every other name.
            *distance <= limit || (wrong.chars().count() > 2 && name.contains(&wrong))
        })
        .collect();
    near.sort_unstable();
    near.dedup_by(|a, b| a.1 == b.1);
    near.into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Edit distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            let cost = diagonal + usize::from(from != *to);
            left = cost.min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered() {
        let known = ["gender", "person", "person_id"];
        assert_eq!(candidates("gendre", known.into_iter()), ["gender"]);
        assert!(candidates("zzz", known.into_iter()).is_empty());
    }

    #[test]
    fn distance_is_the_usual_one() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
