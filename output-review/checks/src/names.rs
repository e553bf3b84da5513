//! Text: group names and column names that look like identifiers, prose or commands.
//!
//! Codes of medical vocabularies are long and mixed (YJ codes have 12 characters, JLAC10 codes 17),
//! so length alone says nothing: a rule here knows the shape of what it names.

use kekkai_output::{Cell, ColumnKind, Table, Value};

use crate::finding::{Collector, Place, Rule, Verdict};
use crate::profile::Profile;

/// Hexadecimal text from here on is a key or a digest, not a code.
const HEX_MIN: usize = 24;

pub(crate) fn check(table: &Table, profile: &Profile, found: &mut Collector) {
    for (index, column) in table.columns.iter().enumerate() {
        text(&column.name, Place::column(index), profile, found);
    }
    for (row, cells) in table.rows.iter().enumerate() {
        for (index, (cell, column)) in cells.iter().zip(&table.columns).enumerate() {
            let place = Place::cell(row, index);
            match cell {
                Cell::Key(Value::Text(value)) => text(value, place, profile, found),
                Cell::Key(Value::Int(value))
                    if is_number_of_a_person(&value.unsigned_abs().to_string()) =>
                {
                    identifier(place, found);
                }
                Cell::Shown {
                    value: Value::Text(value),
                    ..
                } => {
                    text(value, place, profile, found);
                    let is_statistic = matches!(column.kind, ColumnKind::Statistic(_));
                    if is_statistic && !is_decimal(value) {
                        found.add(
                            Rule::Unrecognised,
                            Verdict::Review,
                            place,
                            "統計値が数値ではなく文字列です。",
                            "The statistic is a text, not a number.",
                        );
                    }
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn text(raw: &str, place: Place, profile: &Profile, found: &mut Collector) {
    let text: String = raw.chars().map(half_width).collect();
    if is_identifier(&text) {
        identifier(place, found);
    }
    if text.chars().count() > profile.key_chars_max || text.contains(['\n', '\r', '\t', '。']) {
        let max = profile.key_chars_max;
        found.add(
            Rule::FreeText,
            Verdict::Review,
            place,
            format!("{max}文字を超える、または文章のような文字列です。"),
            format!("Longer than {max} characters, or written like prose."),
        );
    }
    let is_formula = text.starts_with(['=', '+', '@', '-']) && !is_decimal(&text);
    if is_formula || raw.chars().any(is_hidden) {
        found.add(
            Rule::ActiveText,
            Verdict::Review,
            place,
            "表計算ソフトが式として扱う、または見えない文字を含む文字列です。",
            "A spreadsheet would take it for a formula, or it holds invisible characters.",
        );
    }
}

pub(crate) fn identifier(place: Place, found: &mut Collector) {
    found.add(
        Rule::Identifier,
        Verdict::Review,
        place,
        "個人番号、電話番号、メールアドレス、鍵などに似た文字列です。",
        "Looks like a personal number, telephone number, e-mail address or key.",
    );
}

/// Full-width ASCII is ASCII: `０９０` is a telephone number as well.
pub(crate) fn half_width(c: char) -> char {
    match u32::from(c) {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(c),
        0x3000 => ' ',
        _ => c,
    }
}

/// Direction marks, zero-width characters, controls.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c), 0x00ad | 0x061c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2069 | 0xfeff | 0xe0000..=0xe007f)
}

pub(crate) fn is_identifier(text: &str) -> bool {
    let is_mail = text.split_once('@').is_some_and(|(user, host)| {
        user.ends_with(|c: char| c.is_ascii_alphanumeric()) && host.contains('.')
    });
    let squeezed: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | ' ' | '(' | ')'))
        .collect();
    is_mail
        || is_hex_key(&squeezed)
        || is_telephone(text, &squeezed)
        || is_number_of_a_person(&squeezed)
}

fn is_hex_key(text: &str) -> bool {
    text.len() >= HEX_MIN
        && text.bytes().all(|b| b.is_ascii_hexdigit())
        && text.bytes().any(|b| b.is_ascii_alphabetic())
}

/// Japanese numbers have 10 digits, mobile ones 11; both begin with 0.
fn is_telephone(text: &str, digits: &str) -> bool {
    if !digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let is_written_as_one = text.matches('-').count() >= 2 || text.contains('(');
    match digits.len() {
        10 => is_written_as_one,
        11 => is_written_as_one || ["070", "080", "090"].iter().any(|p| digits.starts_with(p)),
        _ => false,
    }
}

pub(crate) fn is_number_of_a_person(digits: &str) -> bool {
    let Some(digits) = digits
        .chars()
        .map(|c| c.to_digit(10))
        .collect::<Option<Vec<u32>>>()
    else {
        return false;
    };
    match digits.len() {
        12 => is_my_number(&digits),
        14..=16 => is_luhn(&digits),
        _ => false,
    }
}

/// The check digit of My Number (総務省令第85号, 第5条): weights 2 to 7, then again, from the right.
fn is_my_number(digits: &[u32]) -> bool {
    let Some((check, rest)) = digits.split_last() else {
        return false;
    };
    let sum: u32 = rest
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6])
        .map(|(digit, weight)| digit * weight)
        .sum();
    let expected = match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    *check == expected
}

/// The check digit of payment cards (ISO/IEC 7812-1).
fn is_luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, digit * 2) {
            (0, _) => *digit,
            (_, double @ 0..=9) => double,
            (_, double) => double - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Digits, one point, one sign.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    is_digits(whole) && is_digits(fraction)
}
