//! The values of dropped identifiers and the raw person keys, remembered as keyed hashes and looked for
//! in what is kept.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, BuildHasherDefault};

use super::plain;
use crate::date::parse_date;
use crate::pseudonym::Already;

/// Values of dropped identifiers that are remembered; each takes about 10 to 20 bytes.
pub const IDENTIFIERS_MAX: usize = 1 << 26;

/// Cells whose spelling is not looked at again.
const RECENT: usize = 4096;

/// Shorter values are found by chance: a house number, an initial.
const ASCII_CHARS_MIN: usize = 6;
const OTHER_CHARS_MIN: usize = 2;
/// Digits of an integer that is looked for.
const INTEGER_DIGITS_MIN: usize = 7;
/// The longest remembered value that is looked for within a free text, in characters.
const WINDOW_CHARS_MAX: usize = 12;
/// The shortest, in characters.
const WINDOW_CHARS_MIN: usize = 3;

/// What registrars write where there is no value; it identifies nobody.
const NOBODY: [&str; 18] = [
    "不明",
    "なし",
    "無し",
    "無",
    "有",
    "あり",
    "未設定",
    "未登録",
    "該当なし",
    "該当無し",
    "同上",
    "匿名",
    "男性",
    "女性",
    "本人",
    "家族",
    "unknown",
    "nothing",
];

/// A set of values without the values: SipHash under a key that lives as long as this.
pub(crate) struct Memory {
    state: RandomState,
    values: HashSet<u64, BuildHasherDefault<Already>>,
    /// Raw person keys. Looked for in texts only: patient numbers fill their range, so every second
    /// amount would be one.
    persons: HashSet<u64, BuildHasherDefault<Already>>,
    /// Hashes of cells as they were written, each at its place: names of doctors come again and again.
    recent: Vec<u64>,
    max: usize,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            state: RandomState::new(),
            values: HashSet::default(),
            persons: HashSet::default(),
            recent: vec![0; RECENT],
            max: IDENTIFIERS_MAX,
        }
    }

    /// Remembers a value; false when there are too many.
    pub(crate) fn add(&mut self, cell: &str) -> bool {
        if self.is_recent((cell, false)) {
            return true;
        }
        let Some(form) = form(cell) else { return true };
        let is_number = form.bytes().all(|b| b.is_ascii_digit());
        if is_number {
            // A number that lost its zeros in an integer column.
            let trimmed = form.trim_start_matches('0');
            if trimmed.len() >= INTEGER_DIGITS_MIN {
                self.values.insert(self.state.hash_one(trimmed));
            }
        }
        self.values.insert(self.state.hash_one(form.as_str()));
        self.has_room()
    }

    /// Remembers a raw person key; false when there are too many.
    pub(crate) fn add_person(&mut self, cell: &str) -> bool {
        if self.is_recent((cell, true)) {
            return true;
        }
        if let Some(form) = form(cell) {
            self.persons.insert(self.state.hash_one(form.as_str()));
        }
        self.has_room()
    }

    /// Whether this very cell was remembered a short while ago; it is from now on.
    fn is_recent(&mut self, cell: (&str, bool)) -> bool {
        let hash = self.state.hash_one(cell);
        let at = usize::try_from(hash).unwrap_or_default() % RECENT;
        match self.recent.get_mut(at) {
            Some(slot) if *slot == hash => true,
            Some(slot) => {
                *slot = hash;
                false
            }
            None => false,
        }
    }

    fn has_room(&self) -> bool {
        self.values.len() + self.persons.len() <= self.max
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.persons.is_empty()
    }

    /// Whether a text, as a whole, or a number written within it, is a remembered value.
    pub(crate) fn has(&self, cell: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let Some(form) = form(cell) else { return false };
        self.has_form(&form) || self.has_number(cell)
    }

    /// Also looks for remembered words anywhere within a free text.
    pub(crate) fn has_within(&self, cell: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        if self.has(cell) {
            return true;
        }
        let Some(form) = form(cell) else { return false };
        let starts: Vec<usize> = form
            .char_indices()
            .map(|(at, _)| at)
            .chain([form.len()])
            .collect();
        starts.iter().enumerate().any(|(first, from)| {
            (WINDOW_CHARS_MIN..=WINDOW_CHARS_MAX).any(|length| {
                let Some(to) = starts.get(first + length) else {
                    return false;
                };
                let window = form.get(*from..*to).unwrap_or_default();
                !window.is_ascii() && self.has_form(window)
            })
        })
    }

    /// Whether an integer is a remembered number.
    pub(crate) fn has_integer(&self, digits: &[u8]) -> bool {
        if self.values.is_empty() || digits.len() < INTEGER_DIGITS_MIN {
            return false;
        }
        let text: String = digits.iter().map(|d| char::from(d + b'0')).collect();
        self.values.contains(&self.state.hash_one(text.as_str()))
    }

    fn has_form(&self, form: &str) -> bool {
        let hash = self.state.hash_one(form);
        // A day written as eight digits is no patient's number.
        self.values.contains(&hash) || (self.persons.contains(&hash) && parse_date(form).is_none())
    }

    /// Numbers of six digits and more, hyphens left out as `form` does.
    fn has_number(&self, cell: &str) -> bool {
        let text;
        let cell = if cell.is_ascii() {
            cell
        } else {
            text = plain(cell);
            &text
        };
        cell.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .any(|token| {
                let digits: String = token
                    .chars()
                    .filter(|c| *c != '-')
                    .map(|c| c.to_ascii_lowercase())
                    .collect();
                digits.len() >= ASCII_CHARS_MIN
                    && digits.len() < cell.len()
                    && digits.bytes().any(|b| b.is_ascii_digit())
                    && self.has_form(&digits)
            })
    }
}

/// The form that values are compared in: plain width, lower case, without spaces and hyphens. `None` for
/// what is too short or says nothing.
fn form(cell: &str) -> Option<String> {
    let mut form = String::with_capacity(cell.len());
    for c in cell.chars() {
        let c = super::plain_char(c);
        if !c.is_whitespace() && c != '-' {
            form.push(c.to_ascii_lowercase());
        }
    }
    let chars = form.chars().count();
    let least = if form.is_ascii() {
        ASCII_CHARS_MIN
    } else {
        OTHER_CHARS_MIN
    };
    let is_one_char = form
        .chars()
        .next()
        .is_some_and(|first| form.chars().all(|c| c == first));
    (chars >= least && !is_one_char && !NOBODY.contains(&form.as_str())).then_some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(values: &[&str]) -> Memory {
        let mut memory = Memory::new();
        for value in values {
            assert!(memory.add(value));
        }
        memory
    }

    #[test]
    fn remembered_values_are_found_in_other_spellings() {
        let memory = memory(&["勘解由小路 綾麻呂", "A-1234567", "0120 345 678"]);
        for cell in [
            "勘解由小路綾麻呂",
            "勘解由小路　綾麻呂",
            "a1234567",
            "Ａ－１２３４５６７",
            "0120-345-678",
        ] {
            assert!(memory.has(cell), "{cell}");
        }
        assert!(memory.has("電話 0120-345-678 まで"));
        assert!(!memory.has("勘解由小路綾麻呂さんは来院せず"));
        assert!(memory.has_within("勘解由小路 綾麻呂さんは来院せず"));
        assert!(!memory.has_within("患者は来院せず"));
        assert!(memory.has_integer(&[1, 2, 0, 3, 4, 5, 6, 7, 8]));
        assert!(!memory.has_integer(&[1, 2, 0, 3, 4, 5, 6, 7, 9]));
    }

    #[test]
    fn values_that_identify_nobody_are_not_remembered() {
        let memory = memory(&["不明", "-", "", "1234", "なし", "0000000000", "ー"]);
        assert!(memory.values.is_empty());
        assert!(!memory.has("不明"));
    }

    #[test]
    fn patient_numbers_are_found_in_texts_and_not_taken_for_amounts() {
        let mut memory = Memory::new();
        for key in ["10000017", "20240115", "7"] {
            assert!(memory.add_person(key));
        }
        assert!(memory.has("10000017"));
        assert!(memory.has("1000-0017"));
        assert!(memory.has_within("ID 10000017 の再診"));
        assert!(!memory.has_integer(&[1, 0, 0, 0, 0, 0, 1, 7]));
        assert!(!memory.has("20240115"));
        assert!(!memory.has("7"));
    }

    #[test]
    fn too_many_values_are_refused() {
        let mut memory = Memory::new();
        memory.max = 1;
        assert!(memory.add("佐藤太郎"));
        assert!(!memory.add("鈴木花子"));
    }
}
