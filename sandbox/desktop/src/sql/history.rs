//! Statements that were run, newest first.

use std::collections::VecDeque;

/// Statements that are kept.
pub const HISTORY_MAX: usize = 200;
/// Bytes of all of them.
pub const HISTORY_BYTES_MAX: usize = 1024 * 1024;

/// Statements that were run in this session.
#[derive(Debug, Default)]
pub struct History {
    statements: VecDeque<String>,
}

impl History {
    /// Adds a statement; one that is there already comes first again.
    pub fn add(&mut self, sql: &str) {
        let sql = sql.trim();
        if sql.is_empty() {
            return;
        }
        self.statements.retain(|known| known != sql);
        self.statements.push_front(sql.to_owned());
        let bytes =
            |statements: &VecDeque<String>| -> usize { statements.iter().map(String::len).sum() };
        while self.statements.len() > HISTORY_MAX || bytes(&self.statements) > HISTORY_BYTES_MAX {
            self.statements.pop_back();
        }
    }

    /// Those with all of the words, newest first.
    pub fn find<'a>(&'a self, words: &str) -> impl Iterator<Item = &'a str> {
        let words: Vec<String> = words
            .to_lowercase()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        self.statements
            .iter()
            .map(String::as_str)
            .filter(move |sql| {
                let sql = sql.to_lowercase();
                words.iter().all(|word| sql.contains(word))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_comes_first_and_nothing_twice() {
        let mut history = History::default();
        for sql in ["SELECT 1", "SELECT 2", " SELECT 1 ", ""] {
            history.add(sql);
        }
        assert_eq!(
            history.find("").collect::<Vec<_>>(),
            ["SELECT 1", "SELECT 2"]
        );
        assert_eq!(history.find("select 2").collect::<Vec<_>>(), ["SELECT 2"]);
        assert_eq!(history.find("3").count(), 0);
    }

    #[test]
    fn history_is_bounded_in_number_and_bytes() {
        let mut history = History::default();
        for number in 0..HISTORY_MAX + 5 {
            history.add(&format!("SELECT {number}"));
        }
        assert_eq!(history.find("").count(), HISTORY_MAX);
        history.add(&"x".repeat(HISTORY_BYTES_MAX));
        assert_eq!(history.find("").count(), 1);
    }
}
