//! The token factor: OATH TOTP, SHA-1, 6 digits, 30 s (RFC 6238), each step at most once.

use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::Zeroizing;

use kekkai_policy_api::SignInRefusal;
use kekkai_types::Timestamp;

use crate::StorageError;

/// A step's length, in seconds.
const STEP_S: u64 = 30;
/// Steps before and after the present one that are accepted: a token's clock drifts (RFC 6238 §5.2).
const SKEW_STEPS: u64 = 1;
/// Steps before those that are recognised as old, to say so in the ledger: 10 minutes.
const OLD_STEPS: u64 = 20;
/// A secret's length, in bytes (RFC 4226 §4).
pub(crate) const SECRET_BYTES: usize = 20;

/// A fresh secret, raw.
pub(crate) fn fresh_secret() -> Result<Zeroizing<Vec<u8>>, StorageError> {
    let mut secret = Zeroizing::new(vec![0_u8; SECRET_BYTES]);
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

/// The secret as a person types it into a programmable token.
pub(crate) fn base32(secret: &[u8]) -> String {
    Secret::from(secret.to_vec()).to_base32()
}

/// Finds the step whose code was given, and says whether it may still be used.
///
/// Every step of the window is computed whatever the code is, so that the time tells nothing.
pub(crate) fn check(
    secret: &[u8],
    code: &str,
    last_step: Option<u64>,
    now: Timestamp,
) -> Result<u64, SignInRefusal> {
    let totp = totp(secret).ok_or(SignInRefusal::TokenWrong)?;
    let code = normalise(code);
    let seconds = u64::try_from(now.0 / 1000).map_err(|_| SignInRefusal::TokenWrong)?;
    let present = seconds / STEP_S;
    let first = present.saturating_sub(SKEW_STEPS + OLD_STEPS);
    let is_spent = |step: u64| last_step.is_some_and(|last| step <= last);

    let mut fresh = None;
    let mut spent = false;
    for step in first..=present + SKEW_STEPS {
        // `Token`'s comparison is constant in time; `check` of one step is `check` without skew.
        let matches = totp.check(&code, step * STEP_S) == Some(step);
        let in_window = step + SKEW_STEPS >= present;
        if matches && is_spent(step) {
            spent = true;
        } else if matches && in_window && fresh.is_none() {
            fresh = Some(step);
        }
    }
    match fresh {
        Some(step) => Ok(step),
        None if spent => Err(SignInRefusal::TokenReplayed),
        None => Err(SignInRefusal::TokenWrong),
    }
}

fn totp(secret: &[u8]) -> Option<Totp> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(STEP_S)
        .with_skew(0)
        .with_secret(Secret::from(secret.to_vec()))
        .build()
        .ok()
}

/// Digits as they are typed, also by a Japanese input method, with or without a gap.
fn normalise(code: &str) -> String {
    code.chars()
        .filter_map(|c| match c {
            '0'..='9' => Some(c),
            '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')),
            ' ' | '\u{3000}' | '-' => None,
            // Kept, so that anything else makes the code wrong instead of shorter.
            _ => Some('x'),
        })
        .take(16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    fn code(step: u64) -> String {
        totp(SECRET).unwrap().generate(step * STEP_S).to_string()
    }

    #[test]
    fn code_of_the_neighbouring_step_is_accepted_and_no_other() {
        let now = at(1_111_111_109);
        let present = 1_111_111_109 / STEP_S;
        for step in [present - 1, present, present + 1] {
            assert_eq!(check(SECRET, &code(step), None, now), Ok(step));
        }
        for step in [present - 2, present + 2, present - 500] {
            assert_eq!(
                check(SECRET, &code(step), None, now),
                Err(SignInRefusal::TokenWrong)
            );
        }
    }

    #[test]
    fn code_is_refused_the_second_time_and_so_is_an_older_one() {
        let now = at(1_111_111_109);
        let present = 1_111_111_109 / STEP_S;
        for step in [present, present - 1, present - 3] {
            assert_eq!(
                check(SECRET, &code(step), Some(present), now),
                Err(SignInRefusal::TokenReplayed)
            );
        }
        assert_eq!(
            check(SECRET, &code(present + 1), Some(present), now),
            Ok(present + 1)
        );
    }

    #[test]
    fn code_typed_by_a_japanese_input_method_is_the_same_code() {
        assert_eq!(normalise("２８７ ０８２"), "287082");
        for wrong in ["", "28708", "2870822", "28708a", "-------"] {
            assert!(check(SECRET, wrong, None, at(59)).is_err(), "{wrong:?}");
        }
    }
}
