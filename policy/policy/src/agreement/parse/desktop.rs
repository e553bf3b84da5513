//! `[desktop]`: what a drawn desktop shows and takes. Every bound is written out, so that the people who
//! sign an agreement see it.

use std::ops::RangeInclusive;

use super::super::raw::RawDesktop;
use super::super::{AgreementError, Desktop, ROWS_PER_DAY_DEFAULT, ROWS_PER_MINUTE_DEFAULT};
use super::At;

/// Seconds without input until the screen is locked: at most an hour.
const LOCK_AFTER_S: RangeInclusive<u32> = 10..=3_600;
/// Seconds that a session waits for its person: at most eight hours.
const RECONNECT_LIMIT_S: RangeInclusive<u32> = 1..=28_800;
/// Characters of one session; none, where a project only looks.
const TYPED_CHARS: RangeInclusive<u32> = 0..=1_000_000;
/// Characters a second: the fastest typists write about 20.
const TYPED_CHARS_PER_S: RangeInclusive<u32> = 5..=100;
/// Rows in a minute, and in a day; none, where nobody needs to see any.
const ROWS: RangeInclusive<u32> = 0..=10_000_000;
/// KiB of notebooks.
const NOTEBOOKS_KIB: RangeInclusive<u32> = 0..=1_048_576;

/// The terms of a desktop, within what this build can enforce.
pub(super) fn desktop(
    at: &At<'_>,
    raw: &RawDesktop,
    idle_limit_s: u32,
) -> Result<Desktop, AgreementError> {
    let within =
        |value, key: &str, range, unit| at.within(value, &format!("\"{key}\""), range, unit);
    let lock_after_s = within(&raw.lock_after_s, "lock_after_s", &LOCK_AFTER_S, "s")?;
    if lock_after_s > idle_limit_s {
        return Err(at.error(
            raw.lock_after_s.span(),
            format!("\"lock_after_s\" is {lock_after_s}"),
            format!("at most {idle_limit_s} s, after which the session ends"),
        ));
    }
    Ok(Desktop {
        lock_after_s,
        reconnect_limit_s: within(
            &raw.reconnect_limit_s,
            "reconnect_limit_s",
            &RECONNECT_LIMIT_S,
            "s",
        )?,
        typed_chars_max: within(
            &raw.typed_chars_max,
            "typed_chars_max",
            &TYPED_CHARS,
            "characters",
        )?,
        typed_chars_per_s_max: within(
            &raw.typed_chars_per_s_max,
            "typed_chars_per_s_max",
            &TYPED_CHARS_PER_S,
            "characters a second",
        )?,
        notebooks_kib_max: within(
            &raw.notebooks_kib_max,
            "notebooks_kib_max",
            &NOTEBOOKS_KIB,
            "KiB",
        )?,
        rows_per_minute: match &raw.rows_per_minute {
            Some(rows) => within(rows, "rows_per_minute", &ROWS, "rows")?,
            None => ROWS_PER_MINUTE_DEFAULT,
        },
        rows_per_day: match &raw.rows_per_day {
            Some(rows) => within(rows, "rows_per_day", &ROWS, "rows")?,
            None => ROWS_PER_DAY_DEFAULT,
        },
    })
}
