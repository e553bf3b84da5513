//! Numbers that identify: My Number, insurers, telephones, cards, accounts, passports.

use kekkai_dataset::Check;

use super::Hits;

/// The most groups of digits that one number is written in, and then some.
const GROUPS_MAX: usize = 6;

/// A run of digits in groups: `090-1234-5678` is one number, not three.
struct Number<'t> {
    /// Without separators.
    digits: Vec<u8>,
    /// The lengths of the groups.
    groups: Vec<usize>,
    has_hyphen: bool,
    /// `+` right before it.
    is_international: bool,
    before: &'t str,
    is_whole_cell: bool,
}

/// Looks for numbers in a text whose full-width forms are plain already.
pub(super) fn look(text: &str, hits: &mut Hits) {
    let words = Words::of(text);
    for number in numbers(text) {
        judge(&number, words, hits);
    }
    for token in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        if is_passport(token.as_bytes()) {
            hits.add(Check::Passport);
        }
    }
}

/// Words that say what a number is.
#[derive(Clone, Copy)]
struct Words {
    insurance: bool,
    bank: bool,
}

impl Words {
    fn of(text: &str) -> Self {
        let has = |words: &[&str]| !text.is_ascii() && words.iter().any(|word| text.contains(word));
        Self {
            insurance: has(&["保険者", "被保険", "保険証"]) || (has(&["記号"]) && has(&["番号"])),
            bank: has(&[
                "銀行",
                "信用金庫",
                "信金",
                "農協",
                "口座",
                "支店",
                "普通預金",
            ]),
        }
    }
}

fn judge(number: &Number<'_>, words: Words, hits: &mut Hits) {
    let digits = number.digits.as_slice();
    let groups = number.groups.as_slice();
    if matches!(groups, [12] | [4, 4, 4]) && is_my_number(digits) {
        hits.add(Check::MyNumber);
    }
    if matches!(groups, [14..=16] | [4, 4, 4, 4] | [4, 6, 5] | [4, 6, 4]) && is_card(digits) {
        hits.add(Check::Card);
    }
    if is_phone(number) {
        hits.add(Check::Phone);
    }
    let has_postal_mark = number.before.trim_end().ends_with('〒');
    let is_postal_form = groups == [3, 4] && number.has_hyphen && number.is_whole_cell;
    if is_postal_form || (has_postal_mark && digits.len() == 7) {
        hits.add(Check::PostalCode);
    }
    let is_insurer = groups == [8] && number.is_whole_cell && is_insurer(digits);
    if is_insurer || (words.insurance && digits.len() >= 2) {
        hits.add(Check::Insurance);
    }
    if (words.bank && (6..=8).contains(&digits.len())) || is_postal_account(groups, digits) {
        hits.add(Check::Bank);
    }
}

fn numbers(text: &str) -> Vec<Number<'_>> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied();
    let mut at = 0;
    while let Some(first) = byte(at) {
        if !first.is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        let mut number = Number {
            digits: Vec::new(),
            groups: Vec::new(),
            has_hyphen: false,
            is_international: false,
            before: text.get(..start).unwrap_or_default(),
            is_whole_cell: false,
        };
        loop {
            let group = at;
            while let Some(digit) = byte(at).filter(u8::is_ascii_digit) {
                number.digits.push(digit - b'0');
                at += 1;
            }
            number.groups.push(at - group);
            let next_is_digit = byte(at + 1).is_some_and(|b| b.is_ascii_digit());
            match byte(at) {
                Some(separator @ (b'-' | b' ' | b'(' | b')')) if next_is_digit => {
                    number.has_hyphen |= separator != b' ';
                    at += 1;
                }
                _ => break,
            }
        }
        // Part of a code (`3D0450…`), of a decimal, or of a date and time is no number of anybody's.
        let joined =
            |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b"._:/".contains(&b));
        let decimal_before = start.checked_sub(1).and_then(byte);
        let ends_sentence =
            byte(at) == Some(b'.') && !byte(at + 1).is_some_and(|b| b.is_ascii_digit());
        if joined(decimal_before) || (joined(byte(at)) && !ends_sentence) {
            continue;
        }
        if number.groups.len() <= GROUPS_MAX {
            number.is_international = decimal_before == Some(b'+');
            let after = text.get(at..).unwrap_or_default();
            number.is_whole_cell = number.before.trim().is_empty() && after.trim().is_empty();
            found.push(number);
        }
    }
    found
}

/// 番号法施行令: the last digit is 11 minus the weighted sum modulo 11, and 0 where that is 10 or 11.
pub(super) fn is_my_number(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else {
        return false;
    };
    if body.len() != 11 || body.iter().all(|digit| *digit == 0) {
        return false;
    }
    // From the right: 2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6.
    let sum: u32 = body
        .iter()
        .rev()
        .zip((2..=7).cycle())
        .map(|(d, w)| u32::from(*d) * w)
        .sum();
    let expected = match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    u32::from(*check) == expected
}

/// An issuer's prefix with its length, and Luhn's digit.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let prefix = |count: usize| {
        digits
            .iter()
            .take(count)
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit))
    };
    let is_issued = match digits.len() {
        16 => {
            prefix(1) == 4
                || (51..=55).contains(&prefix(2))
                || (2221..=2720).contains(&prefix(4))
                || (3528..=3589).contains(&prefix(4))
                || prefix(4) == 6011
                || prefix(2) == 65
        }
        15 => matches!(prefix(2), 34 | 37),
        14 => matches!(prefix(2), 36 | 38 | 39) || (300..=305).contains(&prefix(3)),
        _ => false,
    };
    is_issued
        && digits
            .iter()
            .rev()
            .enumerate()
            .map(|(at, digit)| match (at % 2, u32::from(*digit) * 2) {
                (0, _) => u32::from(*digit),
                (_, double @ 0..=9) => double,
                (_, double) => double - 9,
            })
            .sum::<u32>()
            .is_multiple_of(10)
}

/// 保険者番号 of eight digits: 法別番号, prefecture, insurer, check digit (weights 2 and 1 from the
/// right, digits of products summed, modulus 10).
pub(super) fn is_insurer(digits: &[u8]) -> bool {
    let [law1, law2, prefecture1, prefecture2, _, _, _, check] = digits else {
        return false;
    };
    let law = law1 * 10 + law2;
    let prefecture = prefecture1 * 10 + prefecture2;
    let is_law = matches!(law, 1..=4 | 6 | 7 | 31..=34 | 39 | 63 | 67 | 72..=75);
    if !is_law || !(1..=47).contains(&prefecture) {
        return false;
    }
    let body = digits.get(..7).unwrap_or_default();
    let sum: u32 = body
        .iter()
        .rev()
        .zip([2_u32, 1].into_iter().cycle())
        .map(|(digit, weight)| {
            let product = u32::from(*digit) * weight;
            product / 10 + product % 10
        })
        .sum();
    u32::from(*check) == (10 - sum % 10) % 10
}

fn is_phone(number: &Number<'_>) -> bool {
    let digits = number.digits.as_slice();
    if number.is_international {
        return matches!(digits, [8, 1, 1..=9, ..]) && (11..=12).contains(&digits.len());
    }
    match (digits, number.groups.as_slice()) {
        // Mobile and IP telephones have eleven digits, others ten; 0120 and 0800 are nobody's own, but
        // nothing else looks so.
        ([0, 5 | 7 | 8 | 9, 0, ..], [11]) => true,
        ([0, 1..=9, ..], [10]) => true,
        ([0, 1..=9, ..], [2..=5, 1..=4, 3..=4]) => (10..=11).contains(&digits.len()),
        _ => false,
    }
}

/// ゆうちょ銀行: 記号 of five digits from 1 to 0, 番号 of up to eight that ends in 1.
fn is_postal_account(groups: &[usize], digits: &[u8]) -> bool {
    matches!(groups, [5, 7 | 8]) && matches!(digits, [1, _, _, _, 0, .., 1])
}

/// Passport: two letters, seven digits. Residence card: two letters, eight digits, two letters.
fn is_passport(token: &[u8]) -> bool {
    let is = |range: &[u8], digit: bool| {
        range.iter().all(|b| {
            if digit {
                b.is_ascii_digit()
            } else {
                b.is_ascii_uppercase()
            }
        })
    };
    match token {
        [letters @ .., _, _, _, _, _, _, _] if letters.len() == 2 => {
            is(letters, false) && token.get(2..).is_some_and(|rest| is(rest, true))
        }
        [a, b, number @ .., y, z] if number.len() == 8 => {
            is(&[*a, *b, *y, *z], false) && is(number, true)
        }
        _ => false,
    }
}

/// Something before an `@`, and a domain with a dot after it.
pub(super) fn has_email(text: &str) -> bool {
    let is_local = |b: u8| b.is_ascii_alphanumeric() || b"._%+-".contains(&b);
    let is_domain = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
    let bytes = text.as_bytes();
    bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'@')
        .any(|(at, _)| {
            let before = bytes.get(..at).unwrap_or_default();
            let after = bytes.get(at + 1..).unwrap_or_default();
            let end = after
                .iter()
                .position(|b| !is_domain(*b))
                .unwrap_or(after.len());
            let domain = after.get(..end).unwrap_or_default();
            let dot = domain.iter().rposition(|b| *b == b'.');
            let top = dot
                .and_then(|dot| domain.get(dot + 1..))
                .unwrap_or_default();
            before.last().is_some_and(|b| is_local(*b))
                && dot.is_some_and(|dot| dot > 0)
                && (2..=24).contains(&top.len())
                && top.iter().all(u8::is_ascii_alphabetic)
        })
}

/// The decimal digits of a number, in a buffer of the caller's.
pub(super) fn decimal(mut value: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    for (at, slot) in buffer.iter_mut().enumerate().rev() {
        *slot = u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        start = at;
        if value == 0 {
            break;
        }
    }
    buffer.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_computed_as_their_rules_say() {
        let digits = |text: &str| text.bytes().map(|b| b - b'0').collect::<Vec<_>>();
        // One digit in eleven (or ten) is right for each body.
        for body in ["12345678901", "98765432109", "00000000001", "31415926535"] {
            let right: Vec<u8> = (0..10)
                .filter(|d| is_my_number(&digits(&format!("{body}{d}"))))
                .collect();
            assert_eq!(right.len(), 1, "{body}");
        }
        for body in ["0113001", "0627015", "3913123", "6313001"] {
            let right: Vec<u8> = (0..10)
                .filter(|d| is_insurer(&digits(&format!("{body}{d}"))))
                .collect();
            assert_eq!(right.len(), 1, "{body}");
        }
        assert!(!is_insurer(&digits("20240115")));
        assert!(!is_insurer(&digits("01990015")));
    }

    #[test]
    fn decimal_writes_the_digits() {
        let mut buffer = [0; 20];
        for value in [0, 7, 10, 90_1234_5678, u64::MAX] {
            let text: String = decimal(value, &mut buffer)
                .iter()
                .map(|d| char::from(d + b'0'))
                .collect();
            assert_eq!(text, value.to_string());
        }
    }
}
