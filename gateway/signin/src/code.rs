//! Connection codes: what ties the browser's approval to one waiting terminal.

use std::collections::HashMap;
use std::fmt;

use kekkai_types::{PersonId, TerminalId, Timestamp};

use crate::steps::TerminalProved;
use crate::{AttemptError, CODES_MAX, CODES_PER_TERMINAL_MAX, StorageError};

/// Without 0, 1, I, L, O and U: nothing looks like something else.
const ALPHABET: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 8;

/// A connection code: 8 characters, 39 bits, shown as `XXXX-XXXX`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionCode([u8; LENGTH]);

impl ConnectionCode {
    fn random() -> Result<Self, StorageError> {
        let mut code = [0_u8; LENGTH];
        for place in &mut code {
            *place = loop {
                let mut byte = [0_u8; 1];
                getrandom::fill(&mut byte)?;
                let [byte] = byte;
                // 240 is the largest multiple of 30 in a byte: no character is more likely.
                if byte < 240
                    && let Some(letter) = ALPHABET.get(usize::from(byte % 30))
                {
                    break *letter;
                }
            };
        }
        Ok(Self(code))
    }

    /// Reads a code as a person types it: either case, full width, with or without the dash.
    pub fn parse(text: &str) -> Option<Self> {
        let mut code = [0_u8; LENGTH];
        let mut places = code.iter_mut();
        for c in text.trim().chars().take(64) {
            let narrow = match c {
                '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0)?,
                '\u{3000}' => ' ',
                other => other,
            };
            if matches!(narrow, '-' | ' ' | '\u{2010}'..='\u{2015}' | '\u{30fc}') {
                continue;
            }
            let byte = u8::try_from(narrow.to_ascii_uppercase()).ok()?;
            if !ALPHABET.contains(&byte) {
                return None;
            }
            *places.next()? = byte;
        }
        places.next().is_none().then_some(Self(code))
    }
}

impl fmt::Display for ConnectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if place == LENGTH / 2 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*byte))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConnectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionCode(…)")
    }
}

/// A code that waits at a terminal. The terminal's side of the attempt holds it.
#[derive(Debug)]
#[must_use = "close it with `SignIn::close_code`"]
pub struct Pending {
    /// To show.
    pub code: ConnectionCode,
    /// After this, no approval counts.
    pub expires: Timestamp,
}

struct Waiting {
    person: PersonId,
    terminal: TerminalId,
    attempt: u64,
    expires: Timestamp,
    is_approved: bool,
}

/// All codes that wait.
#[derive(Default)]
pub(crate) struct Codes(HashMap<ConnectionCode, Waiting>);

impl Codes {
    pub(crate) fn open(
        &mut self,
        proved: &TerminalProved,
        life_ms: i64,
        now: Timestamp,
    ) -> Result<Pending, AttemptError> {
        self.0.retain(|_, waiting| waiting.expires > now);
        let of_terminal = self
            .0
            .values()
            .filter(|w| &w.terminal == proved.terminal())
            .count();
        if self.0.len() >= CODES_MAX || of_terminal >= CODES_PER_TERMINAL_MAX {
            return Err(AttemptError::Busy);
        }
        let mut code = ConnectionCode::random()?;
        while self.0.contains_key(&code) {
            code = ConnectionCode::random()?;
        }
        let expires = now.plus_ms(life_ms);
        self.0.insert(
            code,
            Waiting {
                person: proved.person().clone(),
                terminal: proved.terminal().clone(),
                attempt: proved.attempt(),
                expires,
                is_approved: false,
            },
        );
        Ok(Pending { code, expires })
    }

    /// Marks a code as approved: by its own person, at its own terminal, in time, once.
    pub(crate) fn approve(
        &mut self,
        code: Option<ConnectionCode>,
        person: &PersonId,
        terminal: &TerminalId,
        now: Timestamp,
    ) -> bool {
        let Some(waiting) = code.and_then(|code| self.0.get_mut(&code)) else {
            return false;
        };
        let fits = &waiting.person == person
            && &waiting.terminal == terminal
            && waiting.expires > now
            && !waiting.is_approved;
        waiting.is_approved |= fits;
        fits
    }

    /// True when the approval is there; it stays until [`Self::close`].
    pub(crate) fn is_approved(&self, code: &ConnectionCode, attempt: u64, now: Timestamp) -> bool {
        self.0
            .get(code)
            .is_some_and(|w| w.is_approved && w.attempt == attempt && w.expires > now)
    }

    pub(crate) fn close(&mut self, code: &ConnectionCode) {
        self.0.remove(code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_read_as_people_type_it() {
        let code = ConnectionCode::random().unwrap();
        let shown = code.to_string();
        assert_eq!(shown.len(), 9);
        for typed in [
            shown.clone(),
            shown.to_lowercase(),
            shown.replace('-', ""),
            shown.replace('-', " "),
            format!("  {shown} "),
        ] {
            assert_eq!(ConnectionCode::parse(&typed), Some(code), "{typed}");
        }
        for wrong in [
            "",
            "ABCD",
            "ABCD-EFG",
            "ABCD-EFGHJ",
            "ABCD-EFG0",
            "ＡＢＣＤ",
        ] {
            assert_eq!(ConnectionCode::parse(wrong), None, "{wrong}");
        }
        assert_eq!(
            ConnectionCode::parse("ＡＢＣＤ－２３４５"),
            ConnectionCode::parse("ABCD-2345")
        );
    }
}
