//! Days and times as raw data writes them. Hand-written: this runs for every cell.

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar; `None` when there is no such day.
pub(crate) fn days(year: i32, month: u32, day: u32) -> Option<i32> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    if day > month_length(year, month) {
        return None;
    }
    // Years begin in March here, so that the leap day is the last one.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let month_from_march = i32::try_from((month + 9) % 12).ok()?;
    let of_year = (153 * month_from_march + 2) / 5 + i32::try_from(day).ok()? - 1;
    let of_era_days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(era * 146_097 + of_era_days - 719_468)
}

/// Year, month and day of a day counted from 1970-01-01.
pub(crate) fn civil(days: i32) -> (i32, u32, u32) {
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        i32::try_from(year).unwrap_or(i32::MAX),
        u32::try_from(month).unwrap_or(1),
        u32::try_from(day).unwrap_or(1),
    )
}

fn month_length(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u32::from(byte - b'0'))
    })
}

/// `2025-03-31`, `2025/03/31` or `20250331`.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let (year, month, day) = match text.as_bytes() {
        [a, b, c, d, s1 @ (b'-' | b'/'), e, f, s2, g, h] if s1 == s2 => {
            ([*a, *b, *c, *d], [*e, *f], [*g, *h])
        }
        [a, b, c, d, e, f, g, h] => ([*a, *b, *c, *d], [*e, *f], [*g, *h]),
        _ => return None,
    };
    days(
        i32::try_from(number(&year)?).ok()?,
        number(&month)?,
        number(&day)?,
    )
}

/// A date, then ` ` or `T`, then `12:34` or `12:34:56`; a date alone is its midnight. Microseconds from
/// 1970-01-01 00:00, local time.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let days = i64::from(parse_date(date)?);
    let seconds = match time.map(str::as_bytes) {
        None => 0,
        Some([a, b, b':', c, d]) => clock([*a, *b], [*c, *d], *b"00")?,
        Some([a, b, b':', c, d, b':', e, f]) => clock([*a, *b], [*c, *d], [*e, *f])?,
        Some(_) => return None,
    };
    Some((days * 86_400 + i64::from(seconds)) * 1_000_000)
}

fn clock(hour: [u8; 2], minute: [u8; 2], second: [u8; 2]) -> Option<u32> {
    let (hour, minute, second) = (number(&hour)?, number(&minute)?, number(&second)?);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_civil_are_inverse() {
        for day in (-719_162..=2_932_896).step_by(97) {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), Some(day));
        }
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 2, 29), Some(11_016));
        assert_eq!(civil(-1), (1969, 12, 31));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "2025-02-29",
            "1900-02-29",
            "2025-13-01",
            "2025-00-10",
            "2025-01-00",
            "0000-01-01",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        for text in [
            "2025-2-9",
            "2025-02/09",
            "25-02-09",
            "",
            "2025-02-09 ",
            "２０２５-02-09",
            "令和7年",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        assert_eq!(parse_date("2024-02-29"), parse_date("20240229"));
        assert_eq!(parse_date("2024-02-29"), parse_date("2024/02/29"));
    }

    #[test]
    fn timestamps_have_minutes_or_seconds() {
        assert_eq!(parse_timestamp("1970-01-02 00:00:01"), Some(86_401_000_000));
        assert_eq!(parse_timestamp("1970-01-02T00:01"), Some(86_460_000_000));
        assert_eq!(parse_timestamp("1970-01-02"), Some(86_400_000_000));
        for text in [
            "1970-01-02 24:00",
            "1970-01-02 1:00",
            "1970-01-02 00:00:00Z",
            "x",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
