//! What is wrong with a statement, and what to do next, in words.

use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_types::Lang;

use super::words;
use crate::words::Words;

/// An error in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// What is wrong.
    pub what: String,
    /// What to do next.
    pub next: String,
}

/// Explains an error.
pub fn explain(error: &SqlError, lang: Lang) -> Explained {
    let (what, next) = texts(error.code);
    let mut text = String::new();
    // A program's log is cleaned so; a name from a statement may hold the same.
    let name = kekkai_console::clean(&error.name);
    if !name.is_empty() {
        text.push_str(&words::NAME.with(lang, &[&name]));
    }
    text.push_str(what.get(lang));
    if !error.candidates.is_empty() {
        let names: Vec<String> = error
            .candidates
            .iter()
            .map(|name| kekkai_console::clean(name))
            .collect();
        text.push(' ');
        text.push_str(&words::PERHAPS.with(lang, &[&names.join(", ")]));
    }
    Explained {
        what: text,
        next: match error.hint {
            Some(hint) => kekkai_console::sql_advice(hint, lang).to_owned(),
            None => next.get(lang).to_owned(),
        },
    }
}

fn texts(code: SqlErrorCode) -> (Words, Words) {
    match code {
        SqlErrorCode::Syntax => (words::SYNTAX, words::SYNTAX_NEXT),
        SqlErrorCode::TooLong => (words::TOO_LONG, words::TOO_LONG_NEXT),
        SqlErrorCode::SeveralStatements => (words::SEVERAL, words::SEVERAL_NEXT),
        SqlErrorCode::StatementNotAllowed => (words::STATEMENT, words::STATEMENT_NEXT),
        SqlErrorCode::ClauseNotAllowed => (words::CLAUSE, words::CLAUSE_NEXT),
        SqlErrorCode::FunctionNotAllowed => (words::FUNCTION, words::FUNCTION_NEXT),
        SqlErrorCode::FunctionUnknown => (words::FUNCTION_UNKNOWN, words::SPELLING_NEXT),
        SqlErrorCode::TableUnknown => (words::TABLE_UNKNOWN, words::TABLE_NEXT),
        SqlErrorCode::TableExists => (words::TABLE_EXISTS, words::TABLE_EXISTS_NEXT),
        SqlErrorCode::ColumnUnknown => (words::COLUMN_UNKNOWN, words::COLUMN_NEXT),
        SqlErrorCode::ColumnAmbiguous => (words::AMBIGUOUS, words::AMBIGUOUS_NEXT),
        SqlErrorCode::Parameters => (words::PARAMETERS, words::PARAMETERS_NEXT),
        SqlErrorCode::Type => (words::TYPE, words::TYPE_NEXT),
        SqlErrorCode::NotGrouped => (words::NOT_GROUPED, words::NOT_GROUPED_NEXT),
        SqlErrorCode::RowsNotAllowed => (words::ROWS, words::ROWS_NEXT),
        SqlErrorCode::NotFollowed => (words::NOT_FOLLOWED, words::NOT_FOLLOWED_NEXT),
        SqlErrorCode::Evaluation => (words::EVALUATION, words::EVALUATION_NEXT),
        SqlErrorCode::TooLarge => (words::TOO_LARGE, words::TOO_LARGE_NEXT),
        SqlErrorCode::RowsQuota => (words::ROWS_QUOTA, words::ROWS_QUOTA_NEXT),
        SqlErrorCode::Memory => (words::MEMORY, words::MEMORY_NEXT),
        SqlErrorCode::TooClose => (words::TOO_CLOSE, words::TOO_CLOSE_NEXT),
        SqlErrorCode::HistoryFull => (words::HISTORY_FULL, words::HISTORY_FULL_NEXT),
        SqlErrorCode::ModelCollinear => (words::COLLINEAR, words::COLLINEAR_NEXT),
        SqlErrorCode::ModelSeparated => (words::SEPARATED, words::SEPARATED_NEXT),
        SqlErrorCode::ModelLevels => (words::LEVELS, words::LEVELS_NEXT),
        SqlErrorCode::ModelNotFitted => (words::NOT_FITTED, words::NOT_FITTED_NEXT),
        SqlErrorCode::SpillQuota => (words::SPILL_QUOTA, words::SPILL_QUOTA_NEXT),
        SqlErrorCode::SpillFailed => (words::SPILL_FAILED, words::SPILL_FAILED_NEXT),
        SqlErrorCode::ServerLost => (words::SERVER_LOST, words::SERVER_LOST_NEXT),
        SqlErrorCode::Internal => (words::INTERNAL, words::INTERNAL_NEXT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_what_was_perhaps_meant_are_said() {
        let error = SqlError {
            code: SqlErrorCode::ColumnUnknown,
            name: "sbq\u{1b}".to_owned(),
            at: None,
            candidates: vec!["sbp".to_owned()],
            hint: None,
        };
        let en = explain(&error, Lang::En).what;
        assert!(
            en.contains("sbq\\u{1b}") && en.contains("sbp") && !en.contains('\u{1b}'),
            "{en}"
        );
        assert!(explain(&error, Lang::Ja).what.contains("「sbq"));
    }
}
