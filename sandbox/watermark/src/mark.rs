//! The number that a session's pictures carry.

use std::fmt;
use std::str::FromStr;

/// A session's mark: drawn at random for each session, so that it says nothing to who doesn't have the
/// ledger. Written as eight lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(u32);

/// Not eight hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a mark: eight digits of 0-9 and a-f")]
pub struct MarkError(String);

impl Mark {
    /// The mark with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for Mark {
    type Err = MarkError;

    fn from_str(text: &str) -> Result<Self, MarkError> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 8 || !text.bytes().all(is_hex) {
            return Err(MarkError(text.chars().take(64).collect()));
        }
        u32::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| MarkError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn text_of_a_mark_is_read_as_that_mark_and_nothing_else_is() {
        for number in [0, 1, 0x00c0_ffee, u32::MAX] {
            let mark = Mark::new(number);
            assert_eq!(mark.to_string().parse(), Ok(mark));
        }
        for text in [
            "",
            "0",
            "0c0ffee",
            "00C0FFEE",
            "+0c0ffee",
            "00c0ffee ",
            "００c0ffee",
        ] {
            assert!(text.parse::<Mark>().is_err(), "{text:?}");
        }
    }
}
