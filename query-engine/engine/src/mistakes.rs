//! Mistakes that people make, recognised by the words of their statement.
//!
//! The parser says where it gave up; that is often behind the mistake, and never says what to write instead.
//! Here a mistake gets its kind ([`SqlHint`]), by which its reader is advised. Only the text is looked at, never
//! the data. What isn't recognised stays as it is.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use kekkai_analysis_api::SqlHint as Hint;
use kekkai_analysis_api::{SqlError, SqlErrorCode as Code};

use crate::mistaken_names::{foreign_function, function_hint, statement_hint};
use crate::text::{Place, Text, candidates, refuse, start};

/// A mistake with its kind.
fn mistake(name: impl Into<String>, at: Option<Place>, hint: Hint) -> SqlError {
    SqlError {
        hint: Some(hint),
        ..refuse(Code::Syntax, name, at)
    }
}

/// A plain character for one that looks like it.
fn plain(found: char) -> Option<char> {
    Some(match found {
        '\u{3000}' | '\u{a0}' | '\u{200b}' | '\u{feff}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(found) - 0xFEE0)?,
        '、' => ',',
        '。' => '.',
        '‘' | '’' | '‛' | '“' | '”' | '「' | '」' | '『' | '』' => '\'',
        '−' | '–' | '—' => '-',
        '×' => '*',
        '÷' => '/',
        _ => return None,
    })
}

/// Characters that only look like SQL. The tokenizer takes them for parts of names.
pub(crate) fn look_alike(tokens: &[&TokenWithSpan]) -> Result<(), SqlError> {
    let found = tokens.iter().find_map(|token| {
        let Token::Word(word) = &token.token else {
            return None;
        };
        if word.quote_style.is_some() {
            return None;
        }
        let (line, column) = start(token)?;
        let (offset, found, plain) = (word.value.chars().enumerate())
            .find_map(|(offset, found)| Some((offset, found, plain(found)?)))?;
        let at = (line, column.saturating_add(u32::try_from(offset).ok()?));
        let hint = match plain {
            '\'' => Hint::CurlyQuote,
            _ => Hint::FullWidth,
        };
        Some(SqlError {
            candidates: (plain != ' ')
                .then(|| plain.to_string())
                .into_iter()
                .collect(),
            ..mistake(found.to_string(), Some(at), hint)
        })
    });
    found.map_or(Ok(()), Err)
}

/// True where no operand can end: a `[` behind it begins a name.
fn begins_name(before: Option<&&TokenWithSpan>) -> bool {
    match before.map(|token| &token.token) {
        Some(Token::Word(word)) => !matches!(word.keyword, Keyword::NoKeyword | Keyword::ARRAY),
        Some(Token::Comma | Token::Period | Token::Eq | Token::LParen) | None => true,
        _ => false,
    }
}

/// What follows a comma only where something was forgotten.
fn ends_list(token: &Token) -> bool {
    match token {
        Token::Comma | Token::RParen | Token::SemiColon => true,
        Token::Word(word) => {
            word.quote_style.is_none()
                && matches!(
                    word.keyword,
                    Keyword::FROM
                        | Keyword::WHERE
                        | Keyword::GROUP
                        | Keyword::HAVING
                        | Keyword::ORDER
                        | Keyword::LIMIT
                )
        }
        _ => false,
    }
}

/// Mistakes that can be told without a grammar, since no statement that is let through has such words.
pub(crate) fn in_words(tokens: &[&TokenWithSpan]) -> Result<(), SqlError> {
    let touching = |a: &TokenWithSpan, b: &TokenWithSpan| a.span.end == b.span.start;
    let mut in_limit = false;
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| tokens.get(before));
        let after = tokens.get(index + 1);
        let next = after.map(|after| &after.token);
        let close = after.is_some_and(|after| touching(token, after));
        let here = |hint| Some(mistake(token.token.to_string(), start(token), hint));
        let pair = |hint| {
            let second = next.map(ToString::to_string).unwrap_or_default();
            Some(mistake(
                format!("{}{second}", token.token),
                start(token),
                hint,
            ))
        };
        if let Token::Word(word) = &token.token
            && word.quote_style.is_none()
        {
            in_limit = match word.keyword {
                Keyword::LIMIT => true,
                Keyword::NoKeyword => in_limit,
                _ => false,
            };
        }
        let found = match (&token.token, next) {
            (Token::DoubleEq, _) => here(Hint::DoubleEquals),
            (Token::Overlap | Token::ExclamationMark, _) => here(Hint::AndOrNot),
            (Token::Spaceship | Token::RArrow, _) => here(Hint::Comparison),
            (Token::Eq, Some(Token::Lt | Token::Gt | Token::ExclamationMark)) if close => {
                pair(Hint::Comparison)
            }
            (Token::Mul, Some(Token::Mul)) if close => pair(Hint::Power),
            (Token::Caret, _) => here(Hint::Power),
            (Token::Div, Some(Token::Div)) if close => pair(Hint::Comment),
            (Token::Sharp, _) => here(Hint::Comment),
            (Token::Char('`'), _) => here(Hint::Backtick),
            (Token::Backslash, _) => here(Hint::Backslash),
            (Token::LBracket, _) if begins_name(before) => here(Hint::Bracket),
            (Token::AtSign, Some(Token::Word(_))) => pair(Hint::Variable),
            (Token::Colon, Some(Token::Word(_))) if close && !is_word(before) => {
                pair(Hint::Variable)
            }
            (Token::LBrace, _) => here(Hint::Variable),
            (Token::Comma, Some(Token::Number(..))) if in_limit => here(Hint::Limit),
            (Token::Comma, None) => here(Hint::ExtraComma),
            (Token::Comma, Some(next)) if ends_list(next) => here(Hint::ExtraComma),
            (Token::Eq | Token::Neq, Some(Token::Word(word)))
                if word.keyword == Keyword::NULL && word.quote_style.is_none() =>
            {
                let error = mistake(format!("{} NULL", token.token), start(token), Hint::IsNull);
                Some(SqlError {
                    code: Code::ClauseNotAllowed,
                    ..error
                })
            }
            (Token::Word(word), Some(Token::Number(..)))
                if word.keyword == Keyword::TOP && word.quote_style.is_none() =>
            {
                here(Hint::Limit)
            }
            _ => None,
        };
        if let Some(error) = found {
            return Err(error);
        }
    }
    Ok(())
}

fn is_word(token: Option<&&TokenWithSpan>) -> bool {
    token.is_some_and(|token| matches!(token.token, Token::Word(_)))
}

/// What the tokenizer couldn't end.
pub(crate) fn unended(message: &str) -> Option<Hint> {
    if message.contains("close delimiter '\"'") {
        Some(Hint::UnclosedName)
    } else if message.contains("string literal") || message.contains("dollar-quoted") {
        Some(Hint::UnclosedText)
    } else if message.contains("comment") {
        Some(Hint::UnclosedComment)
    } else {
        None
    }
}

/// Keywords that are often misspelt.
const SPELT: &[&str] = &[
    "select", "from", "where", "group", "order", "by", "having", "limit", "join", "left", "right",
    "inner", "outer", "distinct", "between", "case", "when", "then", "else", "end", "union",
    "like", "with", "using", "offset",
];

/// The keyword that a word was perhaps meant to be.
fn misspelt(word: &str) -> Option<&'static str> {
    let lower = word.to_lowercase();
    if lower.chars().count() < 3 || SPELT.contains(&lower.as_str()) {
        return None;
    }
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    (SPELT.iter().find(|known| sorted(known) == sorted(&lower)))
        .or_else(|| {
            let near = candidates(&lower, SPELT.iter().copied());
            SPELT.iter().find(|known| {
                near.first().is_some_and(|near| near == *known)
                    && known.len().abs_diff(lower.len()) <= 1
                    && lower.len() > 3
            })
        })
        .copied()
}

/// Where clauses stand in a statement.
fn rank(keyword: Keyword) -> Option<u8> {
    Some(match keyword {
        Keyword::SELECT => 0,
        Keyword::FROM => 1,
        Keyword::WHERE => 2,
        Keyword::GROUP => 3,
        Keyword::HAVING => 4,
        Keyword::ORDER => 5,
        Keyword::LIMIT => 6,
        _ => return None,
    })
}

/// The kind of a mistake at which the parser gave up.
pub(crate) fn in_grammar(mut error: SqlError, text: &Text) -> SqlError {
    let tokens = text.meant_tokens();
    // Behind the last word: the statement isn't finished.
    let index = tokens
        .iter()
        .position(|token| start(token) == error.at)
        .unwrap_or(tokens.len());
    if let Some((hint, candidate)) = grammar_hint(&tokens, index) {
        error.hint = Some(hint);
        error.candidates.extend(candidate.map(str::to_owned));
    }
    if error.name.is_empty()
        && let Some(token) = tokens.get(index)
    {
        error.name = token.token.to_string();
    }
    error
}

fn keyword_at(tokens: &[&TokenWithSpan], index: usize) -> Option<Keyword> {
    match &tokens.get(index)?.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

fn grammar_hint(tokens: &[&TokenWithSpan], index: usize) -> Option<(Hint, Option<&'static str>)> {
    let at = tokens.get(index).map(|token| &token.token);
    let before = index
        .checked_sub(1)
        .and_then(|i| tokens.get(i))
        .map(|token| &token.token);
    let earlier = |back: usize| index.checked_sub(back).and_then(|i| keyword_at(tokens, i));
    let (open, cases) = depth(tokens.get(..index).unwrap_or(tokens));
    // The words around the place, the earlier first: the parser gives up behind a misspelt one.
    for word in [before, at].into_iter().flatten() {
        if let Token::Word(word) = word
            && word.keyword == Keyword::NoKeyword
            && word.quote_style.is_none()
            && let Some(meant) = misspelt(&word.value)
        {
            return Some((Hint::Misspelt, Some(meant)));
        }
    }
    let by_hint = |back| {
        matches!(
            earlier(back),
            Some(Keyword::GROUP | Keyword::ORDER | Keyword::PARTITION)
        )
    };
    let by = Some(Keyword::BY);
    let is_clause = keyword_at(tokens, index) == by;
    let before_clause = index.checked_sub(2).and_then(|i| tokens.get(i));
    if is_clause && before_clause.is_some_and(|token| wants_more(&token.token)) {
        // `WHERE a > GROUP BY b`: the parser took GROUP for a column.
        return Some((Hint::MissingOperand, None));
    }
    if (by_hint(1) && !is_clause) || (by_hint(0) && keyword_at(tokens, index + 1) != by) {
        return Some((Hint::MissingBy, None));
    }
    if (0..=4).any(|back| earlier(back) == Some(Keyword::BETWEEN)) {
        return Some((Hint::BetweenAnd, None));
    }
    if (0..=2).any(|back| earlier(back) == Some(Keyword::IN)) {
        return Some((Hint::InParentheses, None));
    }
    if (0..=2).any(|back| earlier(back) == Some(Keyword::INTERVAL)) {
        return Some((Hint::Interval, None));
    }
    if let Some(keyword) = keyword_at(tokens, index)
        && let Some(rank_here) = rank(keyword)
        && open == 0
    {
        let passed: Vec<Keyword> = (0..index).filter_map(|i| keyword_at(tokens, i)).collect();
        if passed.contains(&keyword) {
            return Some((Hint::ClauseTwice, None));
        }
        if passed
            .iter()
            .filter_map(|passed| rank(*passed))
            .any(|passed| passed > rank_here)
        {
            return Some((Hint::ClauseOrder, None));
        }
    }
    if at == Some(&Token::RParen) && open == 0 {
        return Some((Hint::ExtraParenthesis, None));
    }
    if (0..tokens.len()).any(|i| keyword_at(tokens, i) == Some(Keyword::CASE)) && cases > 0 {
        return Some((Hint::UnclosedCase, None));
    }
    if before.is_some_and(wants_more) || at.is_some_and(is_joint) {
        return Some((Hint::MissingOperand, None));
    }
    if open > 0 && depth(tokens).0 > 0 {
        return Some((Hint::UnclosedParenthesis, None));
    }
    if at.is_none() {
        return Some((Hint::Unfinished, None));
    }
    let ends_operand = match before {
        Some(Token::Word(word)) => word.keyword == Keyword::NoKeyword || word.quote_style.is_some(),
        Some(Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen) => true,
        _ => false,
    };
    match at {
        // `count(*) sum(a)`: the parser took `sum` for a name.
        Some(Token::LParen) if matches!(before, Some(Token::Word(_))) => {
            Some((Hint::MissingComma, None))
        }
        Some(Token::Word(word)) if word.keyword != Keyword::NoKeyword && !ends_operand => {
            Some((Hint::ReservedName, None))
        }
        Some(Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::LParen)
            if ends_operand =>
        {
            Some((Hint::MissingComma, None))
        }
        _ => None,
    }
}

/// Open parentheses and `CASE`s; fewer than none count as none.
fn depth(tokens: &[&TokenWithSpan]) -> (usize, usize) {
    let (mut open, mut cases) = (0_usize, 0_usize);
    for (index, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen => open += 1,
            Token::RParen => open = open.saturating_sub(1),
            _ => match keyword_at(tokens, index) {
                Some(Keyword::CASE) => cases += 1,
                Some(Keyword::END) => cases = cases.saturating_sub(1),
                _ => {}
            },
        }
    }
    (open, cases)
}

/// Words behind which an expression must come.
fn wants_more(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            word.quote_style.is_none()
                && matches!(
                    word.keyword,
                    Keyword::AND
                        | Keyword::OR
                        | Keyword::NOT
                        | Keyword::WHERE
                        | Keyword::ON
                        | Keyword::HAVING
                        | Keyword::LIKE
                        | Keyword::IS
                        | Keyword::WHEN
                        | Keyword::THEN
                )
        }
        _ => matches!(
            token,
            Token::Eq
                | Token::Neq
                | Token::Lt
                | Token::Gt
                | Token::LtEq
                | Token::GtEq
                | Token::Plus
                | Token::Minus
                | Token::Div
        ),
    }
}

/// Words before which an expression must come.
fn is_joint(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            word.quote_style.is_none() && matches!(word.keyword, Keyword::AND | Keyword::OR)
        }
        _ => matches!(token, Token::Eq | Token::Neq | Token::LtEq | Token::GtEq),
    }
}

/// Gives a refused statement its kind, by the word that it begins with.
pub(crate) fn of_statement(mut error: SqlError) -> SqlError {
    if error.code == Code::StatementNotAllowed {
        error.hint = error
            .hint
            .or_else(|| statement_hint(&error.name.to_lowercase()));
    }
    error
}

/// Gives a refusal its kind, where its name and place tell it.
pub(crate) fn advised(mut error: SqlError, text: &Text) -> SqlError {
    if error.hint.is_some() {
        return error;
    }
    let name = error.name.to_lowercase();
    error.hint = match error.code {
        // The first word of all.
        Code::Syntax if name == "\\" => Some(Hint::Backslash),
        Code::Syntax => misspelt(&name).map(|meant| {
            error.candidates.push(meant.to_owned());
            Hint::Misspelt
        }),
        Code::StatementNotAllowed => statement_hint(&name),
        Code::FunctionNotAllowed => function_hint(&name),
        Code::FunctionUnknown => match foreign_function(&name) {
            [] => None,
            ours => {
                error.candidates = ours.iter().map(|name| (*name).to_owned()).collect();
                Some(Hint::ForeignFunction)
            }
        },
        Code::TableUnknown => table_hint(&mut error, text),
        Code::ColumnUnknown => column_hint(&mut error, text),
        Code::NotFollowed => match name.as_str() {
            "distinct" => Some(Hint::Distinct),
            "union" | "intersect" | "except" => Some(Hint::SetOperation),
            "over" | "window" => Some(Hint::Window),
            "limit" => Some(Hint::LimitInside),
            "select" => Some(Hint::InnerQuery),
            "group by" | "join" => Some(Hint::Nested),
            _ => None,
        },
        Code::ClauseNotAllowed => clause_hint(&name),
        Code::Type if is_type_name(&name) => Some(Hint::CastType),
        _ => None,
    };
    error
}

fn table_hint(error: &mut SqlError, text: &Text) -> Option<Hint> {
    let lower = error.name.to_lowercase();
    let quoted = text.meant_tokens().into_iter().find(
        |token| matches!(&token.token, Token::SingleQuotedString(text) if *text == error.name),
    );
    if let Some(quoted) = quoted {
        error.at = error.at.or_else(|| start(quoted));
        return lower.contains(['/', '.']).then_some(Hint::Files);
    }
    let tokens = text.meant_tokens();
    let index = tokens
        .iter()
        .position(|token| error.at.is_some() && start(token) == error.at);
    if index
        .and_then(|index| keyword_at(&tokens, index))
        .and_then(rank)
        .is_some()
    {
        return Some(Hint::ReservedName);
    }
    let is_catalogue = [
        "information_schema",
        "pg_catalog",
        "pg_",
        "sqlite_",
        "all_tables",
        "sys.",
    ];
    is_catalogue
        .iter()
        .any(|of| lower.starts_with(of))
        .then_some(Hint::Catalogue)
}

fn column_hint(error: &mut SqlError, text: &Text) -> Option<Hint> {
    let (name, at) = (error.name.to_lowercase(), error.at);
    let name = name.as_str();
    let tokens = text.meant_tokens();
    let index = tokens
        .iter()
        .position(|token| at.is_some() && start(token) == at)?;
    if matches!(name, "rownum" | "rowid") {
        return Some(Hint::Limit);
    }
    if matches!(
        name,
        "sysdate" | "current_date" | "today" | "current_timestamp"
    ) {
        return Some(Hint::Moment);
    }
    let has_from = (0..tokens.len()).any(|i| keyword_at(&tokens, i) == Some(Keyword::FROM));
    if !has_from {
        return Some(Hint::MissingFrom);
    }
    let word = |i: usize| match &tokens.get(i)?.token {
        Token::Word(word) => Some(word),
        _ => None,
    };
    // The place is that of the whole path or of its last part.
    let is_dot = |i: Option<usize>| {
        i.and_then(|i| tokens.get(i))
            .is_some_and(|token| token.token == Token::Period)
    };
    let qualifier = if is_dot(Some(index + 1)) {
        word(index)
    } else if is_dot(index.checked_sub(1)) {
        index.checked_sub(2).and_then(word)
    } else {
        None
    };
    if let Some(qualifier) = qualifier {
        let lower = qualifier.value.to_lowercase();
        let is_named = (0..tokens.len()).any(|i| {
            !is_dot(Some(i + 1)) && word(i).is_some_and(|word| word.value.to_lowercase() == lower)
        });
        if is_named {
            return None;
        }
        // The column may well be there: it is its table that isn't.
        error.name.clone_from(&qualifier.value);
        error.candidates.clear();
        return Some(Hint::TableAlias);
    }
    if word(index)?.quote_style == Some('"') {
        error.candidates.clear();
        return Some(Hint::TextQuotes);
    }
    if keyword_at(&tokens, index).and_then(rank).is_some() {
        return Some(Hint::ReservedName);
    }
    let is_alias = (1..tokens.len()).any(|i| {
        keyword_at(&tokens, i - 1) == Some(Keyword::AS)
            && word(i).is_some_and(|word| word.value.to_lowercase() == name)
    });
    if !is_alias {
        return None;
    }
    error.candidates.clear();
    Some(Hint::AliasTooEarly)
}

fn clause_hint(name: &str) -> Option<Hint> {
    Some(match name {
        "fetch" | "limit by" => Hint::Limit,
        "recursive" => Hint::Recursion,
        "rollup" | "cube" | "group by" => Hint::Grouping,
        "values" | "table" => Hint::ValuesList,
        "distinct on" | "distinct" => Hint::Distinct,
        "|" | "&" | "#" | "~" | "<<" | ">>" => Hint::Bits,
        "like" => Hint::Pattern,
        "for" | "tablesample" | "lateral" | "from" | "format" => Hint::Sample,

        "over" | "window" => Hint::Window,
        _ if name.starts_with('$') || name.starts_with(':') || name == "?" => Hint::Variable,
        _ if name.starts_with("array[") || name.contains('[') || name.starts_with('{') => {
            Hint::Array
        }
        _ if name.contains(" similar to ")
            || name.contains(" regexp ")
            || name.contains(" rlike ") =>
        {
            Hint::Pattern
        }
        _ => return None,
    })
}

/// A cast's type as it is written, rather than a column or function.
fn is_type_name(name: &str) -> bool {
    const TYPES: &[&str] = &[
        "decimal",
        "numeric",
        "dec",
        "string",
        "char",
        "character",
        "time",
        "uuid",
        "json",
        "jsonb",
        "bytea",
        "blob",
        "binary",
        "varbinary",
        "interval",
        "tinyint",
        "unsigned",
        "signed",
        "int64",
        "number",
        "money",
        "datetime",
        "nvarchar",
        "clob",
        "xml",
        "bit",
    ];
    let word = name.split(['(', ' ']).next().unwrap_or_default();
    TYPES.contains(&word)
}
