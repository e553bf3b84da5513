//! What may come next where the caret stands.

use std::collections::BTreeMap;
use std::ops::Range;

use kekkai_types::{DatasetCatalog, TableCatalog, Text};

use super::tokens::{Token, TokenKind, tokens};

/// Entries that are offered.
pub const ENTRIES_MAX: usize = 100;

/// Words that statements here are made of, the usual ones first.
const KEYWORDS: [&str; 52] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "JOIN",
    "LEFT JOIN",
    "INNER JOIN",
    "FULL JOIN",
    "CROSS JOIN",
    "ON",
    "USING",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS NULL",
    "IS NOT NULL",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "DISTINCT",
    "WITH",
    "UNION ALL",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "EXISTS",
    "FILTER",
    "OVER",
    "PARTITION BY",
    "CAST",
    "TRY_CAST",
    "EXTRACT",
    "DATE",
    "INTERVAL",
    "TRUE",
    "FALSE",
    "NULL",
    "ASC",
    "DESC",
    "NULLS LAST",
    "OFFSET",
    "ALL",
];

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A table, with what a row is.
    Table(Text),
    /// A column: its type and meaning.
    Column(String, Text),
    /// Another name of a table in this statement.
    Alias(String),
    /// A function.
    Function,
    /// A word of the language.
    Keyword,
}

/// Something that may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is inserted, and shown.
    pub text: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What may come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The bytes that an entry takes the place of.
    pub bytes: Range<usize>,
    /// The best first; never empty.
    pub entries: Vec<Entry>,
}

/// What may be written at a byte of a statement. `is_asked`: also where nothing was begun yet. `None` inside
/// of texts and comments, and where nothing fits.
pub fn complete(
    sql: &str,
    at: usize,
    catalogs: &[DatasetCatalog],
    functions: &[String],
    is_asked: bool,
) -> Option<Completion> {
    let before = sql.get(..at)?;
    let tokens = tokens(sql);
    let is_inside = |token: &Token| {
        matches!(
            token.kind,
            TokenKind::Text | TokenKind::Comment | TokenKind::Number
        ) && token.bytes.start < at
            && at <= token.bytes.end
    };
    if tokens.iter().any(is_inside) {
        return None;
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let begin = before.trim_end_matches(is_word).len();
    let word = before.get(begin..)?.to_lowercase();
    let qualifier = qualifier(before.get(..begin)?);
    if word.is_empty() && qualifier.is_none() && !is_asked {
        return None;
    }
    // A new name is nobody's to know.
    let before_word = tokens.iter().rev().find(|token| token.bytes.end <= begin);
    if qualifier.is_none() && !is_asked && before_word.is_some_and(|token| token.is(sql, "as")) {
        return None;
    }
    // What is being written is no alias yet.
    let others: Vec<Token> = tokens
        .iter()
        .filter(|token| token.bytes.end != at || word.is_empty())
        .cloned()
        .collect();
    let used = Used::of(sql, &others, catalogs);
    let candidates = match &qualifier {
        Some(name) => columns_of(name, &used, catalogs),
        None => anything(sql, &tokens, begin, &used, catalogs, functions),
    };
    let entries = best(candidates, &word);
    // What is written out needs no help.
    let is_done = entries
        .iter()
        .any(|entry| entry.text.to_lowercase() == word);
    (!entries.is_empty() && !is_done).then_some(Completion {
        bytes: begin..at,
        entries,
    })
}

/// The name before a full stop that the text ends with.
fn qualifier(before: &str) -> Option<String> {
    let name = before.strip_suffix('.')?;
    let name = match name.strip_suffix('"') {
        Some(quoted) => quoted.rsplit_once('"')?.1,
        None => {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            name.get(name.trim_end_matches(is_word).len()..)?
        }
    };
    (!name.is_empty()).then(|| name.to_lowercase())
}

/// Tables that a statement names, by what it calls them.
#[derive(Debug, Default)]
struct Used<'a> {
    /// Alias or name, in lower case, to the table.
    tables: BTreeMap<String, &'a TableCatalog>,
    /// Names of `WITH`.
    parts: Vec<String>,
}

impl<'a> Used<'a> {
    fn of(sql: &str, tokens: &[Token], catalogs: &'a [DatasetCatalog]) -> Self {
        let mut used = Self::default();
        let mut rest = tokens
            .iter()
            .filter(|token| token.kind != TokenKind::Comment)
            .peekable();
        let mut is_source = false;
        while let Some(token) = rest.next() {
            let word = token.word(sql).to_lowercase();
            if token.kind == TokenKind::Keyword && matches!(word.as_str(), "from" | "join") {
                is_source = true;
                continue;
            }
            if matches!(token.kind, TokenKind::Name | TokenKind::Keyword)
                && rest.peek().is_some_and(|next| next.is(sql, "as"))
                && !is_source
            {
                let mut ahead = rest.clone().skip(1);
                if ahead.next().is_some_and(|next| next.is(sql, "(")) {
                    used.parts.push(word.clone());
                }
            }
            if !is_source {
                continue;
            }
            // Keywords may be names of tables, too; what is no table begins another clause.
            let mut name = word;
            while rest.peek().is_some_and(|next| next.is(sql, ".")) {
                rest.next();
                if let Some(next) = rest.next() {
                    name = next.word(sql).to_lowercase();
                }
            }
            let table = find(catalogs, &name);
            if rest.peek().is_some_and(|next| next.is(sql, "as")) {
                rest.next();
            }
            let alias = rest
                .next_if(|next| next.kind == TokenKind::Name)
                .map(|alias| alias.word(sql).to_lowercase());
            if let Some(table) = table {
                used.tables.insert(alias.unwrap_or(name), table);
            }
            is_source = rest.next_if(|next| next.is(sql, ",")).is_some();
        }
        used
    }
}

fn find<'a>(catalogs: &'a [DatasetCatalog], name: &str) -> Option<&'a TableCatalog> {
    let mut tables = catalogs.iter().flat_map(|catalog| &catalog.tables);
    tables.find(|table| table.name == name)
}

/// What follows `name.`: columns of a table, or tables of a dataset.
fn columns_of(name: &str, used: &Used<'_>, catalogs: &[DatasetCatalog]) -> Vec<Entry> {
    if let Some(table) = used
        .tables
        .get(name)
        .copied()
        .or_else(|| find(catalogs, name))
    {
        return columns(table).collect();
    }
    let dataset = catalogs.iter().find(|catalog| catalog.id.as_str() == name);
    dataset
        .into_iter()
        .flat_map(|catalog| catalog.tables.iter().map(table_entry))
        .collect()
}

fn columns(table: &TableCatalog) -> impl Iterator<Item = Entry> {
    table.columns.iter().map(|column| Entry {
        text: column.name.clone(),
        kind: EntryKind::Column(column.sql_type.clone(), column.description.clone()),
    })
}

fn table_entry(table: &TableCatalog) -> Entry {
    Entry {
        text: table.name.clone(),
        kind: EntryKind::Table(table.description.clone()),
    }
}

/// What follows anything but a full stop.
fn anything(
    sql: &str,
    tokens: &[Token],
    at: usize,
    used: &Used<'_>,
    catalogs: &[DatasetCatalog],
    functions: &[String],
) -> Vec<Entry> {
    let before = || {
        tokens
            .iter()
            .rev()
            .filter(|token| token.bytes.end <= at && token.kind != TokenKind::Comment)
    };
    let last = before().next();
    let clause = before().find(|token| {
        token.kind == TokenKind::Keyword
            && [
                "select", "from", "join", "where", "on", "by", "having", "using",
            ]
            .iter()
            .any(|word| token.is(sql, word))
    });
    let is_source = last.is_some_and(|last| last.is(sql, "from") || last.is(sql, "join"))
        || (last.is_some_and(|last| last.is(sql, ","))
            && clause.is_some_and(|clause| clause.is(sql, "from")));
    let tables = || {
        catalogs
            .iter()
            .flat_map(|catalog| catalog.tables.iter().map(table_entry))
    };
    let parts = used.parts.iter().map(|part| Entry {
        text: part.clone(),
        kind: EntryKind::Alias("WITH".to_owned()),
    });
    if is_source {
        return tables().chain(parts).collect();
    }
    let mut entries: Vec<Entry> = Vec::new();
    if clause.is_some() {
        if used.tables.is_empty() {
            let all = catalogs.iter().flat_map(|catalog| &catalog.tables);
            entries.extend(all.flat_map(columns));
        } else {
            entries.extend(used.tables.values().flat_map(|table| columns(table)));
        }
        for (alias, table) in &used.tables {
            if *alias != table.name {
                entries.push(Entry {
                    text: alias.clone(),
                    kind: EntryKind::Alias(table.name.clone()),
                });
            }
        }
        let function = |name: &String| Entry {
            text: format!("{name}("),
            kind: EntryKind::Function,
        };
        entries.extend(functions.iter().map(function));
    }
    let keyword = |word: &&str| Entry {
        text: (*word).to_owned(),
        kind: EntryKind::Keyword,
    };
    entries.extend(KEYWORDS.iter().map(keyword));
    if clause.is_some() {
        entries.extend(tables());
    }
    entries
}

/// Those that fit what was begun: first those that begin so, then those that hold it.
fn best(candidates: Vec<Entry>, word: &str) -> Vec<Entry> {
    let rank = |entry: &Entry| {
        let text = entry.text.to_lowercase();
        if text.starts_with(word) {
            Some(0)
        } else if word.chars().count() >= 2 && text.contains(word) {
            Some(1)
        } else {
            None
        }
    };
    let mut ranked: Vec<(u8, Entry)> = candidates
        .into_iter()
        .filter_map(|entry| rank(&entry).map(|rank| (rank, entry)))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut entries: Vec<Entry> = Vec::new();
    for (_, entry) in ranked {
        // Several tables have a column of one name: it is offered once.
        if !entries.iter().any(|known| known.text == entry.text) && entries.len() < ENTRIES_MAX {
            entries.push(entry);
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// `|` is the caret.
    fn offered(sql: &str) -> Vec<String> {
        let at = sql.find('|').unwrap();
        let begin = samples::begin();
        let completion = complete(
            &sql.replace('|', ""),
            at,
            &begin.catalogs,
            &begin.functions,
            false,
        );
        let entries = completion
            .map(|completion| completion.entries)
            .unwrap_or_default();
        entries.into_iter().map(|entry| entry.text).collect()
    }

    fn first(sql: &str) -> String {
        offered(sql).into_iter().next().unwrap_or_default()
    }

    #[test]
    fn tables_come_after_from_and_join() {
        assert_eq!(first("SELECT count(*) FROM v|"), "visit");
        assert_eq!(offered("SELECT 1 FROM visit JOIN pa|"), ["patient"]);
        assert_eq!(offered("SELECT 1 FROM visit, pa|"), ["patient"]);
        assert_eq!(offered("SELECT 1 FROM \"demo-rwd\".pa|"), ["patient"]);
    }

    #[test]
    fn columns_come_from_the_tables_that_are_named_even_later() {
        assert_eq!(first("SELECT sb| FROM visit"), "sbp");
        assert!(!offered("SELECT b| FROM visit").contains(&"birth_year".to_owned()));
        assert_eq!(
            first("SELECT bi| FROM visit JOIN patient USING (patient_id)"),
            "birth_year"
        );
        assert_eq!(first("SELECT 1 FROM visit GROUP BY sm|"), "smoker");
        // Nothing is named yet: every column is.
        assert_eq!(first("SELECT birth|"), "birth_year");
    }

    #[test]
    fn name_before_a_full_stop_decides_whose_columns() {
        let visit = [
            "visit_id",
            "patient_id",
            "visit_date",
            "icd10",
            "sbp",
            "smoker",
        ];
        assert_eq!(offered("SELECT v.| FROM visit AS v"), visit);
        assert_eq!(
            offered("SELECT v.| FROM visit v JOIN patient p USING (patient_id)"),
            visit
        );
        assert_eq!(offered("SELECT visit.| FROM visit"), visit);
        assert_eq!(
            offered("SELECT p.re| FROM visit v JOIN patient p ON true"),
            ["region"]
        );
        assert!(offered("SELECT q.| FROM visit v").is_empty());
    }

    #[test]
    fn functions_and_words_are_offered_where_they_fit() {
        assert_eq!(first("SELECT cou| FROM visit"), "count(");
        assert_eq!(first("SEL|"), "SELECT");
        assert_eq!(first("SELECT sbp FROM visit WHE|"), "WHERE");
        assert_eq!(first("SELECT sbp FROM visit GRO|"), "GROUP BY");
    }

    #[test]
    fn nothing_is_offered_in_texts_comments_numbers_or_unasked() {
        for sql in [
            "SELECT sbp AS m|",
            "SELECT sex|",
            "SELECT 'sb|'",
            "SELECT 1 -- sb|",
            "SELECT 12|",
            "SELECT |",
            "SELECT xyzzy|",
            "SELECT 'sb|",
        ] {
            assert!(offered(sql).is_empty(), "{sql}");
        }
        let begin = samples::begin();
        let asked = complete("SELECT ", 7, &begin.catalogs, &begin.functions, true);
        assert!(asked.unwrap().entries.len() > 10);
    }

    #[test]
    fn part_of_a_with_is_a_table_here() {
        assert_eq!(
            offered("WITH young AS (SELECT 1 FROM patient) SELECT * FROM you|"),
            ["young"]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_and_caret_is_answered(sql in "\\PC{0,60}", at in 0..80_usize) {
            let begin = samples::begin();
            if let Some(found) = complete(&sql, at, &begin.catalogs, &begin.functions, true) {
                assert!(!found.entries.is_empty() && sql.get(found.bytes).is_some());
            }
        }
    }
}
