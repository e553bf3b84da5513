//! The two languages of every interface.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The language that a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// Japanese.
    #[default]
    Ja,
    /// English.
    En,
}

impl Lang {
    /// Chooses between two texts that are already there.
    pub fn pick<'a>(self, ja: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Ja => ja,
            Self::En => en,
        }
    }

    /// `ja` or `en`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}

impl FromStr for Lang {
    type Err = String;
    /// Takes `ja`, `en` and locale names that begin so (`ja_JP.UTF-8`).
    fn from_str(text: &str) -> Result<Self, String> {
        match text.get(..2) {
            Some("ja") => Ok(Self::Ja),
            Some("en") => Ok(Self::En),
            _ => Err(format!("\"{text}\" is neither ja nor en")),
        }
    }
}

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

impl Text {
    /// The text in one language.
    pub fn get(&self, lang: Lang) -> &str {
        lang.pick(&self.ja, &self.en)
    }
}
