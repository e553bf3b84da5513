//! The plain data, read row by row, and what a statistic over it must be: maps and sums, no SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

/// Persons under which nothing is shown.
pub(crate) const THRESHOLD: usize = 10;
/// A person's share over which a magnitude is not shown, in thousandths.
const DOMINANCE_PERMILLE: f64 = 850.0;

/// A plain table, its cells as texts; empty is NULL.
pub(crate) struct Plain {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    columns: &'a [String],
    cells: &'a [Option<String>],
}

impl Row<'_> {
    /// A cell's text; `NULL` where there is none, as the console writes it.
    pub(crate) fn text(&self, column: &str) -> String {
        self.get(column).unwrap_or("NULL").to_owned()
    }

    /// A cell, if it is not NULL.
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|name| name == column);
        self.cells[at.unwrap_or_else(|| panic!("no column {column}"))].as_deref()
    }

    /// A cell's number, if it is not NULL.
    pub(crate) fn number(&self, column: &str) -> Option<f64> {
        self.get(column).map(|text| text.parse().unwrap())
    }
}

impl Plain {
    /// A raw CSV file in UTF-8.
    pub(crate) fn csv(path: &Path) -> Self {
        let mut reader = csv::Reader::from_path(path).unwrap();
        let columns = reader.headers().unwrap().iter().map(str::to_owned);
        let columns = columns.collect();
        let cell = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let rows = reader
            .records()
            .map(|record| record.unwrap().iter().map(cell).collect())
            .collect();
        Self { columns, rows }
    }

    /// Some columns of a plain Parquet file, by parquet's own record reader.
    pub(crate) fn parquet(path: &Path, wanted: &[&str]) -> Self {
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let columns: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let mut rows = Vec::new();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let mut cells = vec![None; columns.len()];
            for (name, field) in row.get_column_iter() {
                if let Some(at) = columns.iter().position(|column| column == name) {
                    cells[at] = match field {
                        Field::Null => None,
                        Field::Str(text) => Some(text.clone()),
                        Field::Date(days) => Some(day(*days)),
                        other => Some(other.to_string()),
                    };
                }
            }
            rows.push(cells);
        }
        Self { columns, rows }
    }

    /// All rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row {
            columns: &self.columns,
            cells,
        })
    }

    /// Rows by the text of a column.
    pub(crate) fn by(&self, column: &str) -> BTreeMap<&str, Vec<Row<'_>>> {
        let at = self.columns.iter().position(|name| name == column).unwrap();
        let mut found: BTreeMap<&str, Vec<Row<'_>>> = BTreeMap::new();
        for (row, cells) in self.rows().zip(&self.rows) {
            if let Some(text) = &cells[at] {
                found.entry(text).or_default().push(row);
            }
        }
        found
    }
}

/// A day as people write it, counted from 1970-01-01, by walking the years.
fn day(days: i32) -> String {
    let is_leap = |year: i32| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut left = days;
    let mut year = 1970;
    while left < 0 {
        year -= 1;
        left += if is_leap(year) { 366 } else { 365 };
    }
    while left >= if is_leap(year) { 366 } else { 365 } {
        left -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

/// What the sample's manifest makes of a date of birth: full years at 2025-03-31, in fives.
pub(crate) fn age_band(birth: &str) -> String {
    let mut parts = birth.split('-').map(|part| part.parse::<i32>().unwrap());
    let (year, month, day) = (
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    );
    let age = 2025 - year - i32::from((month, day) > (3, 31));
    match age {
        90.. => "90+".to_owned(),
        _ => format!("{:02}-{:02}", age / 5 * 5, age / 5 * 5 + 4),
    }
}

/// What it makes of an address: everything up to the first 都, 道, 府 or 県 that ends a prefecture.
pub(crate) fn prefecture(address: &str) -> String {
    let letters: Vec<char> = address.chars().collect();
    // 京都府 has a 都 that ends nothing; four letters only in 神奈川県, 和歌山県, 鹿児島県.
    let length = if letters[2] == '県' || "都道府".contains(letters[2]) {
        3
    } else {
        4
    };
    letters[..length].iter().collect()
}

/// One row of what is counted: its group, whose it is, its values.
pub(crate) struct Fact {
    /// The group's texts.
    pub(crate) key: Vec<String>,
    /// The raw person.
    pub(crate) person: String,
    /// What aggregates take.
    pub(crate) values: Vec<Option<f64>>,
}

/// An aggregate over facts.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Agg {
    /// `count(*)`
    Rows,
    /// `count(DISTINCT person_id)`
    Persons,
    /// `count(x)`
    Values(usize),
    /// `sum(x)`
    Sum(usize),
    /// `avg(x)`
    Mean(usize),
    /// `stddev_pop(x)`
    Deviation(usize),
}

/// What a cell must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Exactly.
    Count(u64),
    /// But for the last of six decimals.
    Number(f64),
    /// `*`
    Few,
    /// `**`
    Dominated,
}

/// The table that must be shown.
pub(crate) struct Expected {
    /// Groups with enough persons.
    pub(crate) shown: BTreeMap<Vec<String>, Vec<Cell>>,
    /// Groups with too few.
    pub(crate) withheld: BTreeSet<Vec<String>>,
    /// What the legend says of them; 0 where even that would be about too few.
    pub(crate) withheld_said: usize,
}

/// Groups the facts and computes each cell.
pub(crate) fn expected(facts: &[Fact], columns: &[Agg]) -> Expected {
    let mut groups: BTreeMap<&[String], Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        groups.entry(&fact.key).or_default().push(fact);
    }
    let persons = |facts: &[&Fact]| -> BTreeSet<String> {
        facts.iter().map(|fact| fact.person.clone()).collect()
    };
    let mut result = Expected {
        shown: BTreeMap::new(),
        withheld: BTreeSet::new(),
        withheld_said: 0,
    };
    let mut withheld_persons = BTreeSet::new();
    for (key, facts) in groups {
        let people = persons(&facts);
        // A table without groups keeps its only row.
        if people.len() < THRESHOLD && !key.is_empty() {
            result.withheld.insert(key.to_vec());
            withheld_persons.extend(people);
            continue;
        }
        let cells = columns.iter().map(|agg| cell(&facts, *agg)).collect();
        result.shown.insert(key.to_vec(), cells);
    }
    if withheld_persons.len() >= THRESHOLD {
        result.withheld_said = result.withheld.len();
    }
    result
}

fn cell(facts: &[&Fact], agg: Agg) -> Cell {
    let at = match agg {
        Agg::Rows | Agg::Persons => None,
        Agg::Values(at) | Agg::Sum(at) | Agg::Mean(at) | Agg::Deviation(at) => Some(at),
    };
    let value = |fact: &Fact| at.map_or(Some(0.0), |at| fact.values[at]);
    let is_count = matches!(agg, Agg::Rows | Agg::Values(_));
    let mut amounts: BTreeMap<&str, f64> = BTreeMap::new();
    let mut numbers = Vec::new();
    for fact in facts {
        if let Some(number) = value(fact) {
            // Of a count, each row is one.
            *amounts.entry(&fact.person).or_default() += if is_count { 1.0 } else { number.abs() };
            numbers.push(number);
        }
    }
    if amounts.len() < THRESHOLD {
        return Cell::Few;
    }
    let count = u64::try_from(numbers.len()).unwrap();
    if matches!(agg, Agg::Persons) {
        return Cell::Count(u64::try_from(amounts.len()).unwrap());
    }
    let total: f64 = amounts.values().sum();
    let largest = amounts.values().copied().fold(0.0, f64::max);
    if total > 0.0 && largest / total * 1000.0 > DOMINANCE_PERMILLE {
        return Cell::Dominated;
    }
    if is_count {
        return Cell::Count(count);
    }
    let n = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    let mean = sum / n;
    Cell::Number(match agg {
        Agg::Sum(_) => sum,
        Agg::Mean(_) => mean,
        _ => (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt(),
    })
}
