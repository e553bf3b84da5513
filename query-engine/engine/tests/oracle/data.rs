//! Tables for generated queries: small, skewed, full of `NULL`, ties, empty texts and Japanese.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use kekkai_engine::{Session, TableSource, Terms};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::common::{source, terms};

/// SplitMix64: small, seeded, the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// `None` in so many percent.
    fn maybe<T>(&mut self, percent: usize, value: T) -> Option<T> {
        (!self.chance(percent)).then_some(value)
    }
}

/// A type of the generated queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Float,
    Text,
    Date,
    Time,
    Bool,
}

/// A table as a query's author knows it.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// Has rows about persons, by the column `pid`.
    pub(crate) has_persons: bool,
    /// Without the person key: statistics don't compute with it.
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// What tells its rows apart.
    pub(crate) unique: &'static str,
}

pub(crate) const PATIENTS: Known = Known {
    name: "patients",
    has_persons: true,
    columns: &[
        ("sex", Kind::Text),
        ("born", Kind::Date),
        ("weight", Kind::Float),
        ("ward", Kind::Int),
        ("note", Kind::Text),
    ],
    unique: "pid",
};
pub(crate) const VISITS: Known = Known {
    name: "visits",
    has_persons: true,
    columns: &[
        ("id", Kind::Int),
        ("day", Kind::Date),
        ("at", Kind::Time),
        ("ward", Kind::Int),
        ("cost", Kind::Int),
        ("paid", Kind::Float),
        ("code", Kind::Text),
        ("urgent", Kind::Bool),
    ],
    unique: "id",
};
pub(crate) const LABS: Known = Known {
    name: "labs",
    has_persons: true,
    columns: &[
        ("lab", Kind::Int),
        ("day", Kind::Date),
        ("item", Kind::Text),
        ("value", Kind::Float),
    ],
    unique: "lab",
};
pub(crate) const WARDS: Known = Known {
    name: "wards",
    has_persons: false,
    columns: &[
        ("ward", Kind::Int),
        ("name", Kind::Text),
        ("floor", Kind::Int),
    ],
    unique: "ward",
};

const PERSONS: i64 = 240;
const WARD_NUMBERS: i64 = 9;
/// 1995-01-01.
const FIRST_DAY: i32 = 9131;

/// The files, and what DuckDB reads of them.
pub(crate) struct Tables {
    folder: tempfile::TempDir,
}

impl Tables {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let tables = Self { folder };
        tables.write("patients", patients(&mut random));
        tables.write("visits", visits(&mut random));
        tables.write("labs", labs(&mut random));
        tables.write("wards", wards());
        tables
    }

    pub(crate) fn path(&self, table: &str) -> PathBuf {
        self.folder.path().join(format!("{table}.parquet"))
    }

    fn write(&self, table: &str, columns: Vec<(&str, ArrayRef)>) {
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(n, c)| (n, c, true)),
        )
        .unwrap();
        write_plain(&self.path(table), &[batch], 500);
    }

    /// A session that shows every statistic: what is compared are values, not suppression.
    pub(crate) fn session(&self) -> Arc<Session> {
        let sources = [PATIENTS, VISITS, LABS, WARDS].map(|known| {
            let file = File::open(self.path(known.name)).unwrap();
            source(
                "made",
                known.name,
                file,
                known.has_persons.then_some("pid"),
                &[],
            )
        });
        open_session(sources.into())
    }

    pub(crate) fn paths(&self) -> Vec<(&'static str, PathBuf)> {
        [PATIENTS, VISITS, LABS, WARDS]
            .map(|known| (known.name, self.path(known.name)))
            .into()
    }
}

/// A threshold of one person and no bound on dominance.
pub(crate) fn open_session(sources: Vec<TableSource>) -> Arc<Session> {
    let terms = Terms {
        threshold: 1,
        dominance_permille: 1000,
        memory_limit_bytes: 2 << 30,
        ..terms()
    };
    Arc::new(Session::new(terms, sources).unwrap())
}

/// Plain Parquet, in several row groups so that scans have several partitions.
pub(crate) fn write_plain(path: &Path, batches: &[RecordBatch], group_rows: usize) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

/// An eighth: sums of such floats are exact in any order.
fn eighths(random: &mut Random, n: usize) -> f64 {
    (random.below(n) as f64 - n as f64 / 4.0).round() / 8.0
}

fn patients(random: &mut Random) -> Vec<(&'static str, ArrayRef)> {
    let notes = [
        "",
        "a.b",
        "糖尿病",
        "高血圧 2度",
        "A%b_c",
        "Ａｂ",
        "see 12/3",
        "x",
    ];
    let (mut sex, mut born, mut weight, mut ward, mut note) =
        (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..PERSONS {
        sex.push(match random.below(20) {
            0 => None,
            n => Some(if n % 2 == 0 { "F" } else { "M" }),
        });
        let day = FIRST_DAY - 20_000 + random.below(18_000) as i32;
        born.push(random.maybe(3, day));
        let kilograms = eighths(random, 600).abs() + 30.0;
        weight.push(random.maybe(15, kilograms));
        let number = random.below(12) as i64;
        ward.push(random.maybe(10, number));
        let text = *random.pick(&notes);
        note.push(random.maybe(20, text));
    }
    vec![
        ("pid", Arc::new((0..PERSONS).collect::<Int64Array>())),
        ("sex", Arc::new(StringArray::from(sex))),
        ("born", Arc::new(Date32Array::from(born))),
        ("weight", Arc::new(Float64Array::from(weight))),
        ("ward", Arc::new(Int64Array::from(ward))),
        ("note", Arc::new(StringArray::from(note))),
    ]
}

/// Few persons have most rows.
fn somebody(random: &mut Random) -> i64 {
    let n = random.below(1000) * random.below(1000) / 1000;
    (n as i64) * PERSONS / 1000
}

fn visits(random: &mut Random) -> Vec<(&'static str, ArrayRef)> {
    let codes = [
        "E11.9", "E11.2", "I10", "J45.0", "C50", "", "K21.9", "e11.9",
    ];
    let (mut p, mut day, mut at, mut ward) = (vec![], vec![], vec![], vec![]);
    let (mut cost, mut paid, mut code, mut urgent) = (vec![], vec![], vec![], vec![]);
    const ROWS: i64 = 2600;
    for _ in 0..ROWS {
        p.push(somebody(random));
        let date = FIRST_DAY + (random.below(60) * random.below(60)) as i32;
        day.push(random.maybe(4, date));
        let seconds = i64::from(date) * 86_400 + (random.below(96) as i64) * 900;
        at.push(random.maybe(4, seconds * 1_000_000));
        let number = random.below(12) as i64;
        ward.push(random.maybe(8, number));
        let yen = random.below(300) as i64 * 10 - 200;
        cost.push(random.maybe(10, yen));
        let amount = eighths(random, 8000);
        paid.push(random.maybe(20, amount));
        let text = *random.pick(&codes);
        code.push(random.maybe(5, text));
        let flag = random.chance(30);
        urgent.push(random.maybe(10, flag));
    }
    vec![
        ("pid", Arc::new(Int64Array::from(p))),
        ("id", Arc::new((0..ROWS).collect::<Int64Array>())),
        ("day", Arc::new(Date32Array::from(day))),
        ("at", Arc::new(TimestampMicrosecondArray::from(at))),
        ("ward", Arc::new(Int64Array::from(ward))),
        ("cost", Arc::new(Int64Array::from(cost))),
        ("paid", Arc::new(Float64Array::from(paid))),
        ("code", Arc::new(StringArray::from(code))),
        ("urgent", Arc::new(BooleanArray::from(urgent))),
    ]
}

fn labs(random: &mut Random) -> Vec<(&'static str, ArrayRef)> {
    let items = ["HbA1c", "血糖", "eGFR", "CRP"];
    const ROWS: i64 = 1800;
    let (mut p, mut day, mut item, mut value) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROWS {
        p.push(somebody(random));
        let date = FIRST_DAY + (random.below(60) * random.below(60)) as i32;
        day.push(random.maybe(2, date));
        let text = *random.pick(&items);
        item.push(random.maybe(2, text));
        let number = eighths(random, 400);
        value.push(random.maybe(12, number));
    }
    vec![
        ("pid", Arc::new(Int64Array::from(p))),
        ("lab", Arc::new((0..ROWS).collect::<Int64Array>())),
        ("day", Arc::new(Date32Array::from(day))),
        ("item", Arc::new(StringArray::from(item))),
        ("value", Arc::new(Float64Array::from(value))),
    ]
}

fn wards() -> Vec<(&'static str, ArrayRef)> {
    let names = (0..WARD_NUMBERS).map(|n| match n {
        4 => None,
        n => Some(format!("{}病棟", (b'A' + n as u8) as char)),
    });
    let floors = (0..WARD_NUMBERS).map(|n| (n % 4 != 3).then_some(n / 2));
    vec![
        ("ward", Arc::new((0..WARD_NUMBERS).collect::<Int64Array>())),
        ("name", Arc::new(names.collect::<StringArray>())),
        ("floor", Arc::new(floors.collect::<Int64Array>())),
    ]
}
