//! Lines that are typed one after the other.

use kekkai_analysis_api::SQL_MAX;

use super::{Command, ParseError, Topic, Usage, parse};

/// Interactive lines: as [`parse`], and a `sql` statement goes on until a line with its `;`.
#[derive(Debug, Default)]
pub struct Lines {
    statement: Option<String>,
}

impl Lines {
    /// Takes a line without its end. `None`: nothing was asked, or the statement goes on.
    pub fn push(&mut self, line: &str) -> Option<Result<Command, ParseError>> {
        let statement = match self.statement.take() {
            Some(before) => format!("{before}\n{line}"),
            None => {
                let line = line.trim_start();
                let rest = line.strip_prefix("sql");
                match rest.filter(|rest| rest.starts_with(char::is_whitespace)) {
                    Some(rest) => rest.trim_start().to_owned(),
                    None if line.trim() == "sql" => String::new(),
                    None if line.trim().is_empty() => return None,
                    None => return Some(parse(line)),
                }
            }
        };
        if statement.len() > SQL_MAX {
            return Some(Err(ParseError::TooLong));
        }
        if !has_end(&statement) {
            self.statement = Some(statement);
            return None;
        }
        let usage = ParseError::Usage(Topic::Sql, Usage::StatementMissing);
        let is_empty = statement.trim_matches([' ', '\t', '\n', ';']).is_empty();
        Some(if is_empty {
            Err(usage)
        } else {
            Ok(Command::Sql(statement.trim_end().to_owned()))
        })
    }

    /// Whether a statement goes on: the prompt says so.
    pub fn is_open(&self) -> bool {
        self.statement.is_some()
    }

    /// What stands before the next line.
    pub fn prompt(&self) -> &'static str {
        if self.is_open() {
            "     -> "
        } else {
            "kekkai> "
        }
    }

    /// Forgets an open statement: the person pressed Ctrl-C.
    pub fn clear(&mut self) {
        self.statement = None;
    }
}

/// Whether there is a `;` outside quotes and comments.
fn has_end(sql: &str) -> bool {
    #[derive(Clone, Copy)]
    enum In {
        Code,
        Quote(char),
        Line,
        /// Nested, as SQL has it.
        Block(u32),
    }
    let mut state = In::Code;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        state = match (state, c, chars.peek()) {
            (In::Code, ';', _) => return true,
            (In::Code, '\'' | '"', _) => In::Quote(c),
            (In::Code, '-', Some('-')) => In::Line,
            (In::Code, '/', Some('*')) => {
                chars.next();
                In::Block(1)
            }
            // A doubled quote closes and opens again: no need to tell it apart.
            (In::Quote(open), c, _) if c == open => In::Code,
            (In::Line, '\n', _) => In::Code,
            (In::Block(depth), '/', Some('*')) => {
                chars.next();
                In::Block(depth.saturating_add(1))
            }
            (In::Block(depth), '*', Some('/')) => {
                chars.next();
                if depth <= 1 {
                    In::Code
                } else {
                    In::Block(depth.saturating_sub(1))
                }
            }
            (state, _, _) => state,
        };
    }
    false
}
