//! What stands before a statement's query: nothing, `EXPLAIN`, `CREATE TEMPORARY TABLE name AS`; or no query at
//! all, `DROP TABLE name`.
//!
//! It is taken off the words before the grammar sees them, so that no other form of these statements exists here:
//! no storage, no columns of another type, no `OR REPLACE`, no `ANALYZE`.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use kekkai_analysis_api::{SqlError, SqlErrorCode};

use crate::text::{HIDDEN_PREFIX, Place, place, refuse};

/// Characters of a temporary table's name, as in PostgreSQL.
const NAME_MAX: usize = 63;

/// What is done with the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Head {
    /// It is answered.
    Query,
    /// Its plan is shown.
    Explain,
    /// Its rows are kept under a name.
    Create { name: String, at: Option<Place> },
    /// There is none: a name is given up.
    Drop { name: String, at: Option<Place> },
}

/// Takes the head off. Words that begin no head that is known stay as they are.
pub(crate) fn split(
    tokens: Vec<TokenWithSpan>,
) -> Result<(Head, Vec<TokenWithSpan>), Box<SqlError>> {
    let meant: Vec<(usize, &TokenWithSpan)> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
        .collect();
    let keyword = |at: usize| match meant.get(at).map(|(_, token)| &token.token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let head = match (keyword(0), keyword(1), keyword(2)) {
        (Keyword::EXPLAIN, Keyword::SELECT | Keyword::WITH, _) => Some((Head::Explain, 1)),
        (Keyword::CREATE, Keyword::TEMP | Keyword::TEMPORARY, Keyword::TABLE) => {
            let (name, at) = named(&meant, 3)?;
            if keyword(4) != Keyword::AS {
                return Err(syntax(&meant, 4));
            }
            if meant.len() == 5 {
                return Err(syntax(&meant, 5));
            }
            Some((Head::Create { name, at }, 5))
        }
        (Keyword::DROP, Keyword::TABLE, _) => {
            let (name, at) = named(&meant, 2)?;
            match meant.get(3).map(|(_, token)| &token.token) {
                None => {}
                Some(Token::SemiColon) if meant.len() == 4 => {}
                Some(_) => return Err(syntax(&meant, 3)),
            }
            Some((Head::Drop { name, at }, meant.len()))
        }
        _ => None,
    };
    let Some((head, words)) = head else {
        return Ok((Head::Query, tokens));
    };
    let rest = match meant.get(words) {
        Some((at, _)) => tokens.iter().skip(*at).cloned().collect(),
        None => Vec::new(),
    };
    Ok((head, rest))
}

/// The name at a word, in lower case unless it is quoted.
fn named(
    meant: &[(usize, &TokenWithSpan)],
    at: usize,
) -> Result<(String, Option<Place>), Box<SqlError>> {
    let Some((_, token)) = meant.get(at) else {
        return Err(syntax(meant, at));
    };
    let Token::Word(Word {
        value, quote_style, ..
    }) = &token.token
    else {
        return Err(syntax(meant, at));
    };
    let name = match quote_style {
        None => value.to_lowercase(),
        Some(_) => value.clone(),
    };
    let is_name = !name.is_empty()
        && name.chars().count() <= NAME_MAX
        && !name.chars().any(|c| c.is_control() || c == '"')
        && !name.to_lowercase().starts_with(HIDDEN_PREFIX);
    if is_name {
        Ok((name, start(token)))
    } else {
        Err(syntax(meant, at))
    }
}

fn start(token: &TokenWithSpan) -> Option<Place> {
    place(token.span.start.line, token.span.start.column)
}

/// Something else is expected at a word, or behind the last one.
fn syntax(meant: &[(usize, &TokenWithSpan)], at: usize) -> Box<SqlError> {
    let (name, place) = match meant.get(at) {
        Some((_, token)) => {
            let name = match &token.token {
                Token::Word(word) => word.value.clone(),
                other => other.to_string(),
            };
            (name, start(token))
        }
        None => {
            let end = meant
                .last()
                .and_then(|(_, token)| place(token.span.end.line, token.span.end.column));
            (String::new(), end)
        }
    };
    Box::new(refuse(SqlErrorCode::Syntax, name, place))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn head(sql: &str) -> Result<(Head, String), (String, Option<Place>)> {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
            .tokenize_with_location()
            .unwrap();
        match split(tokens) {
            Ok((head, rest)) => {
                let rest: String = rest.iter().map(|token| token.token.to_string()).collect();
                Ok((head, rest))
            }
            Err(error) => Err((error.name, error.at)),
        }
    }

    #[test]
    fn heads_are_taken_off_and_nothing_else() {
        let create = |name: &str, at| Head::Create {
            name: name.to_owned(),
            at,
        };
        for (sql, expected, rest) in [
            ("SELECT 1", Head::Query, "SELECT 1"),
            ("explain SELECT 1", Head::Explain, "SELECT 1"),
            (
                "EXPLAIN ANALYZE SELECT 1",
                Head::Query,
                "EXPLAIN ANALYZE SELECT 1",
            ),
            (
                "CREATE TEMP TABLE Kept AS SELECT 1",
                create("kept", Some((1, 19))),
                "SELECT 1",
            ),
            (
                "create temporary table \"A b\" as\n(SELECT 1)",
                create("A b", Some((1, 24))),
                "(SELECT 1)",
            ),
            (
                "CREATE TABLE x AS SELECT 1",
                Head::Query,
                "CREATE TABLE x AS SELECT 1",
            ),
            (
                "CREATE OR REPLACE TEMP TABLE x AS SELECT 1",
                Head::Query,
                "CREATE OR REPLACE TEMP TABLE x AS SELECT 1",
            ),
            (
                "DROP TABLE x;",
                Head::Drop {
                    name: "x".to_owned(),
                    at: Some((1, 12)),
                },
                "",
            ),
        ] {
            assert_eq!(head(sql), Ok((expected, rest.to_owned())), "{sql}");
        }
    }

    #[test]
    fn half_a_head_says_where_it_ends() {
        for (sql, name, at) in [
            ("CREATE TEMP TABLE", "", (1, 18)),
            ("CREATE TEMP TABLE x (a int)", "(", (1, 21)),
            ("CREATE TEMP TABLE x AS", "", (1, 23)),
            (
                "CREATE TEMP TABLE __kekkai_x AS SELECT 1",
                "__kekkai_x",
                (1, 19),
            ),
            ("DROP TABLE x, y", ",", (1, 13)),
            ("DROP TABLE IF EXISTS x", "EXISTS", (1, 15)),
            ("DROP TABLE x; SELECT 1", ";", (1, 13)),
        ] {
            assert_eq!(head(sql), Err((name.to_owned(), Some(at))), "{sql}");
        }
    }
}
