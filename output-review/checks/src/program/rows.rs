//! Rows of a table, points of a figure, parameters of a model: one for each person, or few persons in
//! one?

use std::collections::BTreeSet;

use kekkai_output::{BodyKind, Grid, Value};

use super::words;
use crate::finding::{Collector, Place, Rule, Verdict};
use crate::names::{identifier, is_number_of_a_person};
use crate::profile::Profile;

/// Columns whose integers are counts of persons or records, in lower case.
const COUNTS: [&str; 22] = [
    "n",
    "count",
    "counts",
    "cnt",
    "freq",
    "frequency",
    "persons",
    "people",
    "patients",
    "subjects",
    "cases",
    "controls",
    "events",
    "exposed",
    "unexposed",
    "件数",
    "人数",
    "患者数",
    "症例数",
    "度数",
    "例数",
    "対象者数",
];
/// Columns that name persons or records, in lower case.
const NAMES: [&str; 14] = [
    "id",
    "pid",
    "uid",
    "uuid",
    "key",
    "person",
    "patient",
    "subject",
    "person_key",
    "患者",
    "患者番号",
    "個人番号",
    "被保険者番号",
    "氏名",
];
/// Parts of names that say smallest or largest, in lower case.
const EXTREMES: [&str; 10] = [
    "min",
    "max",
    "minimum",
    "maximum",
    "oldest",
    "youngest",
    "最小",
    "最大",
    "最高齢",
    "最年少",
];
/// Rows from which a column of nearly as many names is suspicious.
const UNIQUE_ROWS_MIN: usize = 20;
/// Share of different values, in tenths, from which a column names its rows.
const UNIQUE_TENTHS: usize = 9;

pub(super) fn check(kind: BodyKind, grid: &Grid, profile: &Profile, found: &mut Collector) {
    amount(kind, grid, profile, found);
    for (index, name) in grid.columns.iter().enumerate() {
        let place = Place::column(index);
        words::label(name, place, profile, found);
        extreme(name, place, found);
        let cells: Vec<&Value> = grid.rows.iter().filter_map(|row| row.get(index)).collect();
        column(name, &cells, index, profile, found);
        precision(&cells, place, profile, found);
    }
    for (row, cells) in grid.rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let place = Place::cell(row, column);
            match cell {
                Value::Text(text) => {
                    words::label(text, place, profile, found);
                    extreme(text, place, found);
                }
                Value::Int(value) if is_number_of_a_person(&value.unsigned_abs().to_string()) => {
                    identifier(place, found);
                }
                _ => {}
            }
        }
    }
}

/// Statistics are few; data are many.
fn amount(kind: BodyKind, grid: &Grid, profile: &Profile, found: &mut Collector) {
    let max = profile.program_rows_max;
    let some = max / 10;
    let rows = grid.rows.len();
    let verdict = match kind {
        // Models are judged against their observations.
        BodyKind::Model => return,
        _ if rows > max => Verdict::Fail,
        _ if rows > some => Verdict::Review,
        _ => Verdict::Pass,
    };
    let bound = if verdict == Verdict::Fail { max } else { some };
    if verdict != Verdict::Pass {
        found.add(
            Rule::RowLevel,
            verdict,
            Place::TABLE,
            format!("{bound}を超える行または点があります。1名ごとの行ではないか確かめてください。"),
            format!("More than {bound} rows or points: they may be one for each person."),
        );
    }
    let cells = rows.saturating_mul(grid.columns.len());
    if cells > profile.cells_max {
        let max = profile.cells_max;
        found.add(
            Rule::Size,
            Verdict::Review,
            Place::TABLE,
            format!("{max}を超えるセルがあります。"),
            format!("More than {max} cells."),
        );
    }
}

fn column(name: &str, cells: &[&Value], index: usize, profile: &Profile, found: &mut Collector) {
    let name = words::plain(name);
    let is_count = is_word_of(&name, &COUNTS);
    let min = i64::from(profile.contributors_min);
    for (row, cell) in cells.iter().enumerate() {
        let small = match cell {
            Value::Int(value) => Some(*value),
            Value::Float(value) if is_count => small_whole(*value, profile.contributors_min),
            _ => None,
        };
        if !small.is_some_and(|small| (1..min).contains(&small)) {
            continue;
        }
        // Named as a count it is one; otherwise a person must see what it is.
        let verdict = if is_count {
            Verdict::Fail
        } else {
            Verdict::Review
        };
        found.add(
            Rule::SmallCount,
            verdict,
            Place::cell(row, index),
            format!("{min}未満の件数に見える整数です。"),
            format!("An integer that looks like a count under {min}."),
        );
    }
    let shown: Vec<String> = cells
        .iter()
        .filter(|cell| matches!(cell, Value::Int(_) | Value::Text(_)))
        .map(|cell| cell.plain())
        .collect();
    let different: BTreeSet<&str> = shown.iter().map(String::as_str).collect();
    let is_nearly_unique = shown.len() >= UNIQUE_ROWS_MIN
        && different.len().saturating_mul(10) >= shown.len().saturating_mul(UNIQUE_TENTHS);
    let looks_like_keys = !shown.is_empty() && shown.iter().all(|text| is_key(text));
    let is_named = is_word_of(&name, &NAMES) || name.ends_with("_id");
    if looks_like_keys && (is_named || shown.len() > 1) || is_named && is_nearly_unique {
        found.add(
            Rule::RowLevel,
            Verdict::Fail,
            Place::column(index),
            "個人や記録を指す番号の列です。",
            "A column of numbers or keys that name persons or records.",
        );
    } else if is_nearly_unique && shown.iter().all(|text| is_date(text)) {
        found.add(
            Rule::RowLevel,
            Verdict::Fail,
            Place::column(index),
            "行ごとに異なる日付の列です。1名ごとの行に見えます。",
            "A column of dates that differ in each row: they look like single persons'.",
        );
    } else if is_nearly_unique && !is_count {
        found.add(
            Rule::RowLevel,
            Verdict::Review,
            Place::column(index),
            "ほぼ行ごとに異なる値の列です。1名ごとの行ではないか確かめてください。",
            "Nearly every row has a value of its own here: it may name persons.",
        );
    }
}

/// A float that is a whole number under the bound.
#[allow(
    clippy::cast_possible_truncation,
    reason = "compared with the bounds of a small number first"
)]
fn small_whole(value: f64, below: u32) -> Option<i64> {
    (value.fract() == 0.0 && value >= 0.0 && value < f64::from(below)).then_some(value as i64)
}

/// Is the name one of the words, or a word with another part: `n_exposed`, `count (female)`?
fn is_word_of(name: &str, words: &[&str]) -> bool {
    name.split(|c: char| !c.is_alphanumeric())
        .any(|part| words.contains(&part))
        || words.contains(&name)
}

fn extreme(text: &str, place: Place, found: &mut Collector) {
    let text = words::plain(text);
    // Japanese has no spaces between words: there a part of the text is enough.
    let is_said = EXTREMES.into_iter().any(|word| {
        let mut parts = text.split(|c: char| !c.is_alphanumeric());
        parts.any(|part| part == word) || (!word.is_ascii() && text.contains(word))
    });
    if is_said {
        found.add(
            Rule::Extreme,
            Verdict::Review,
            place,
            "最小値・最大値は1名の値です。百分位などに置き換えられないか確かめてください。",
            "A smallest or largest value is one person's: would a percentile do?",
        );
    }
}

/// A column of floats with more digits than a statistic needs: one finding for all of them.
fn precision(cells: &[&Value], place: Place, profile: &Profile, found: &mut Collector) {
    let max = profile.decimals_max;
    let is_long = |cell: &&&Value| match cell {
        Value::Float(value) => {
            let text = value.to_string();
            text.split_once('.')
                .is_some_and(|(_, digits)| digits.len() > max)
        }
        _ => false,
    };
    if cells.iter().any(|cell| is_long(&cell)) {
        found.add(
            Rule::Precision,
            profile.precision,
            place,
            format!("小数点以下が{max}桁を超える値があります。"),
            format!("Values with more than {max} digits after the point."),
        );
    }
}

/// UUIDs, long hexadecimal text, a letter or two before many digits, many digits.
fn is_key(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| *c != '-').collect();
    let is_hex = bare.len() >= 16 && bare.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = bare.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letters = bare.len().saturating_sub(digits.len());
    let is_numbered =
        letters <= 3 && digits.len() >= 7 && digits.bytes().all(|b| b.is_ascii_digit());
    (is_hex || is_numbered) && !is_date(text)
}

/// `2024-05-01`, alone or with a time.
fn is_date(text: &str) -> bool {
    let mut parts = text.get(..10).unwrap_or_default().split('-');
    let has = |part: Option<&str>, length: usize| {
        part.is_some_and(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_digit()))
    };
    has(parts.next(), 4) && has(parts.next(), 2) && has(parts.next(), 2)
}
