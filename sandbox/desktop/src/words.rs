//! Texts in both languages, side by side, so that neither is forgotten.
//!
//! Each module declares the words that it shows with [`words!`] and lists them in [`tables`], which a test
//! walks over.

use kekkai_types::Lang;

/// A text in Japanese and English.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words(pub &'static str, pub &'static str);

impl Words {
    /// In one language.
    pub const fn get(self, lang: Lang) -> &'static str {
        match lang {
            Lang::Ja => self.0,
            Lang::En => self.1,
        }
    }

    /// In one language, with `{}` replaced by `what`, once for each in order.
    pub fn with(self, lang: Lang, what: &[&str]) -> String {
        let mut out = String::new();
        let mut parts = self.get(lang).split("{}");
        out.push_str(parts.next().unwrap_or_default());
        let mut what = what.iter();
        for part in parts {
            out.push_str(what.next().copied().unwrap_or_default());
            out.push_str(part);
        }
        out
    }
}

/// A table of words, as tests see it.
pub type Table = &'static [(&'static str, Words)];

/// Declares words, `NAME = "日本語", "English";`, and `TABLE`, the list of them.
macro_rules! words {
    ($($name:ident = $ja:expr, $en:expr;)+) => {
        $(pub(crate) const $name: $crate::words::Words = $crate::words::Words($ja, $en);)+
        /// All of them.
        #[allow(dead_code, reason = "tests look at it")]
        pub(crate) const TABLE: $crate::words::Table = &[$((stringify!($name), $name)),+];
    };
}
pub(crate) use words;

/// Every table of this crate.
#[cfg(test)]
fn tables() -> Vec<(&'static str, Table)> {
    vec![
        ("shell", crate::shell::words::TABLE),
        ("panes", crate::panes::words::TABLE),
        ("sql", crate::sql::words::TABLE),
        ("chart", crate::chart::words::TABLE),
        ("charts", crate::panes::chart::words::TABLE),
        ("scripts", crate::panes::scripts::words::TABLE),
        ("outputs", crate::panes::outputs::words::TABLE),
        ("notebooks", crate::panes::notebooks::words::TABLE),
        ("help", crate::panes::help::pages::words_of::TABLE),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kana, kanji, full-width marks.
    fn is_japanese(c: char) -> bool {
        matches!(c, '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}')
    }

    #[test]
    fn every_text_is_there_in_both_languages() {
        for (table, words) in tables() {
            for (name, Words(ja, en)) in words {
                assert!(
                    !ja.trim().is_empty() && !en.trim().is_empty(),
                    "{table} {name}"
                );
                // A language's name stands in itself.
                if *name == "LANGUAGE" {
                    continue;
                }
                assert!(!en.chars().any(is_japanese), "{table} {name}: {en}");
                // A text that is all signs or a proper name is the same in both.
                let is_name = ja == en;
                assert!(
                    is_name || ja.chars().any(is_japanese),
                    "{table} {name}: {ja}"
                );
                let holes = |text: &str| text.matches("{}").count();
                assert_eq!(holes(ja), holes(en), "{table} {name}");
            }
        }
    }

    #[test]
    fn holes_are_filled_in_order() {
        let words = Words("{} 行のうち {} 行", "{} of {} rows");
        assert_eq!(words.with(Lang::En, &["3", "9"]), "3 of 9 rows");
        assert_eq!(words.with(Lang::Ja, &["9", "3"]), "9 行のうち 3 行");
        assert_eq!(words.with(Lang::En, &["3"]), "3 of  rows");
    }
}
