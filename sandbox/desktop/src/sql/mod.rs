//! What the editor knows of SQL: colours, what may come next, where it is wrong, what was asked before.

pub mod complete;
pub mod errors;
pub mod history;
pub mod tokens;
pub(crate) mod words;

use std::ops::Range;

use kekkai_analysis_api::SqlError;

use crate::editor::char_of;

/// Where an error is, in characters: the name that it is about, or the word at its place. `None`: nowhere
/// in particular.
pub fn place(sql: &str, error: &SqlError) -> Option<Range<usize>> {
    let wanted = error.name.to_lowercase();
    let Some(at) = error.at else {
        let at = tokens::tokens(sql)
            .into_iter()
            .find(|token| !wanted.is_empty() && token.word(sql).to_lowercase() == wanted)?;
        return Some(char_of(sql, at.bytes.start)..char_of(sql, at.bytes.end));
    };
    let begin = char_at(sql, at)?;
    let rest: String = sql.chars().skip(begin).collect();
    if !wanted.is_empty() && rest.to_lowercase().starts_with(&wanted) {
        return Some(begin..begin.saturating_add(error.name.chars().count()));
    }
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    let word = rest.chars().take_while(is_word).count().max(1);
    Some(begin..begin.saturating_add(word))
}

/// Characters before a line and column, both from 1. A place just behind the end is one, too.
fn char_at(sql: &str, (line, column): (u32, u32)) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let mut lines = sql.split('\n');
    let mut before: usize = 0;
    for _ in 0..line {
        before = before
            .saturating_add(lines.next()?.chars().count())
            .saturating_add(1);
    }
    let length = lines.next()?.chars().count();
    (column <= length).then(|| before.saturating_add(column))
}

/// A statement laid out; as it was, where the layouter would change more than its blanks and case.
pub fn format(sql: &str) -> String {
    let options = sqlformat::FormatOptions {
        uppercase: Some(true),
        dialect: sqlformat::Dialect::PostgreSql,
        ..sqlformat::FormatOptions::default()
    };
    let laid_out = sqlformat::format(sql, &sqlformat::QueryParams::None, &options);
    let bare = |text: &str| -> Vec<String> {
        let tokens = tokens::tokens(text);
        let parts = tokens
            .iter()
            .filter_map(|token| text.get(token.bytes.clone()));
        parts.map(str::to_lowercase).collect()
    };
    if bare(sql) == bare(&laid_out) {
        laid_out
    } else {
        sql.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_analysis_api::SqlErrorCode;

    fn error(name: &str, at: Option<(u32, u32)>) -> SqlError {
        SqlError {
            code: SqlErrorCode::ColumnUnknown,
            name: name.to_owned(),
            at,
            candidates: Vec::new(),
            hint: None,
        }
    }

    fn marked(sql: &str, error: &SqlError) -> Option<String> {
        let place = place(sql, error)?;
        Some(sql.chars().skip(place.start).take(place.len()).collect())
    }

    #[test]
    fn error_is_marked_at_its_place_and_name() {
        let sql = "SELECT 年齢, reg FROM visit\nWHERE sbq > 1";
        for (name, at, expected) in [
            ("sbq", Some((2, 7)), Some("sbq")),
            ("SBQ", Some((2, 7)), Some("sbq")),
            ("年齢", Some((1, 8)), Some("年齢")),
            ("", Some((1, 12)), Some("reg")),
            ("nowhere", Some((1, 12)), Some("reg")),
            ("reg", None, Some("reg")),
            ("sb", None, None),
            ("", None, None),
            ("x", Some((9, 1)), None),
            ("x", Some((0, 0)), None),
        ] {
            assert_eq!(
                marked(sql, &error(name, at)).as_deref(),
                expected,
                "{name} {at:?}"
            );
        }
        // The end of the text, where something is missing.
        assert_eq!(place("SELECT", &error("", Some((1, 7)))), Some(6..7));
    }

    #[test]
    fn layout_changes_blanks_and_case_only() {
        let sql = "select region, count(*) n from visit where icd10 like 'I%' group by region";
        let laid_out = format(sql);
        assert!(laid_out.contains("\nFROM\n"), "{laid_out}");
        assert!(laid_out.contains("'I%'"));
        assert_eq!(format(&laid_out), laid_out);
        // What isn't SQL stays as it is.
        for odd in ["SELECT 'open", "$$ x $$ ' ;", "", "年齢 (("] {
            let bare = |text: &str| text.split_whitespace().collect::<String>().to_lowercase();
            assert_eq!(bare(&format(odd)), bare(odd), "{odd}");
        }
    }
}
