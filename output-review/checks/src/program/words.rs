//! Texts, labels and names: prose, identifiers, and data in another notation.

use kekkai_output::{Grid, Value};

use crate::finding::{Collector, Place, Rule, Verdict};
use crate::names;
use crate::profile::Profile;

/// Letters of base64 or hexadecimal digits in a row from here on are data, not a word: the longest
/// words of medicine have under 60.
const ENCODED_MIN: usize = 64;
/// Letters of one encoded text that is broken into lines.
const ENCODED_LINE_MIN: usize = 40;
/// Digits in a row from here on are a number of something.
const DIGITS_MIN: usize = 8;
/// Numbers in a text from here on are a table, not prose.
const NUMBERS_MAX: usize = 200;

/// A text, one line in each row.
pub(super) fn check(grid: &Grid, profile: &Profile, found: &mut Collector) {
    let mut numbers = 0_usize;
    let mut lines = Vec::new();
    for (row, cells) in grid.rows.iter().enumerate() {
        let Some(Value::Text(line)) = cells.first() else {
            continue;
        };
        let place = Place::cell(row, 0);
        let text = plain(line);
        for word in text.split(|c: char| c.is_whitespace() || "、。,;:()[]「」".contains(c)) {
            if names::is_identifier(word) {
                names::identifier(place, found);
            }
            let is_number = word.starts_with(|c: char| c.is_ascii_digit());
            numbers = numbers.saturating_add(usize::from(is_number));
        }
        if longest(&text, |c| c.is_ascii_digit()) >= DIGITS_MIN {
            found.add(
                Rule::Identifier,
                Verdict::Review,
                place,
                format!("{DIGITS_MIN}桁以上の数字の並びです。"),
                format!("{DIGITS_MIN} digits or more in a row."),
            );
        }
        hidden(line, place, found);
        encoded(line, place, found);
        lines.push(line.as_str());
    }
    broken_into_lines(&lines, found);
    if serde_json::from_str::<serde_json::Value>(&lines.join("\n"))
        .is_ok_and(|value| value.is_array() || value.is_object())
    {
        found.add(
            Rule::Encoded,
            Verdict::Fail,
            Place::TABLE,
            "文章ではなくJSONデータです。表または図として申請してください。",
            "Not prose but JSON: submit a table or a figure.",
        );
    }
    let max = profile.program_rows_max;
    if numbers > max {
        found.add(
            Rule::RowLevel,
            Verdict::Fail,
            Place::TABLE,
            format!("数値が{max}個を超えています。表として申請してください。"),
            format!("More than {max} numbers: submit a table."),
        );
    } else if numbers > NUMBERS_MAX {
        found.add(
            Rule::RowLevel,
            Verdict::Review,
            Place::TABLE,
            format!("数値が{NUMBERS_MAX}個を超えています。"),
            format!("More than {NUMBERS_MAX} numbers."),
        );
    }
}

/// A name, a label, a cell.
pub(super) fn label(text: &str, place: Place, profile: &Profile, found: &mut Collector) {
    names::text(text, place, profile, found);
    encoded(text, place, found);
}

/// Lower case, full-width letters as ASCII.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(names::half_width)
        .flat_map(char::to_lowercase)
        .collect()
}

fn hidden(line: &str, place: Place, found: &mut Collector) {
    if line.chars().any(|c| c != '\t' && names::is_hidden(c)) {
        found.add(
            Rule::ActiveText,
            Verdict::Review,
            place,
            "見えない文字を含む文字列です。",
            "It holds invisible characters.",
        );
    }
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=_-".contains(c)
}

/// A bar of `-` or `=` is a drawing, not data.
fn is_dense(run: &str) -> bool {
    let mut letters: Vec<char> = run.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    letters.len() > 8
}

fn encoded(text: &str, place: Place, found: &mut Collector) {
    let is_encoded = text
        .split(|c| !is_base64(c))
        .any(|run| run.len() >= ENCODED_MIN && is_dense(run));
    let is_object = text.starts_with(['{', '['])
        && serde_json::from_str::<serde_json::Value>(text)
            .is_ok_and(|value| value.is_object() || value.is_array());
    if is_encoded || is_object {
        found.add(
            Rule::Encoded,
            Verdict::Fail,
            place,
            "base64、16進、JSONなどに符号化されたデータに見えます。",
            "It looks like data in base64, hexadecimal or JSON.",
        );
    }
}

/// Several whole lines of base64 are one text that was broken.
fn broken_into_lines(lines: &[&str], found: &mut Collector) {
    let is_line = |line: &&str| {
        let line = line.trim();
        line.len() >= ENCODED_LINE_MIN && line.chars().all(is_base64) && is_dense(line)
    };
    if lines.windows(2).any(|pair| pair.iter().all(is_line)) {
        found.add(
            Rule::Encoded,
            Verdict::Fail,
            Place::TABLE,
            "複数行にわたる符号化されたデータに見えます。",
            "It looks like encoded data over several lines.",
        );
    }
}

/// The longest run of such characters.
fn longest(text: &str, is_one: impl Fn(char) -> bool) -> usize {
    let mut longest = 0_usize;
    let mut run = 0_usize;
    for c in text.chars() {
        run = if is_one(c) { run.saturating_add(1) } else { 0 };
        longest = longest.max(run);
    }
    longest
}
