//! Small tables with skew, nulls and repeated keys. Every number is a multiple of a quarter, so that sums are
//! exact in whatever order they are made.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use kekkai_engine::{Session, TableSource};
use kekkai_types::PERSON_NUMBER_COLUMN;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::common::{run_on, source, terms};
use crate::random::Random;

pub const PERSONS: usize = 90;
pub const WARDS: usize = 8;
/// Rows of a row group.
const GROUP_ROWS: usize = 60;

/// A row: who, two whole numbers, two amounts.
#[derive(Debug, Clone)]
pub struct Raw {
    pub person: Option<u32>,
    pub ints: [Option<i64>; 2],
    pub amounts: [Option<f64>; 2],
}

/// A table and how its columns are called.
#[derive(Debug)]
pub struct Named {
    pub name: &'static str,
    pub key: &'static str,
    pub ints: [&'static str; 2],
    pub amounts: [&'static str; 2],
}

pub const PERSON: Named = Named {
    name: "person",
    key: "pid",
    ints: ["sex", "site"],
    amounts: ["weight", "age"],
};
pub const VISIT: Named = Named {
    name: "visit",
    key: "patient",
    ints: ["ward", "flag"],
    amounts: ["dose", "day"],
};
pub const LAB: Named = Named {
    name: "lab",
    key: "subject",
    ints: ["place", "code"],
    amounts: ["value", "taken"],
};

/// How rows lie in their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// In any order; the session numbers persons.
    Any,
    /// Sorted by persons, whom the files number.
    Sorted,
    /// As [`Layout::Sorted`] by all that row groups tell, but two rows within one are exchanged.
    SortedButForTwo,
}

/// Three tables of persons and one about nobody.
pub struct Data {
    pub layout: Layout,
    pub person: Vec<Raw>,
    pub visit: Vec<Raw>,
    pub lab: Vec<Raw>,
    /// Each ward's kind.
    pub wards: Vec<(i64, i64)>,
}

fn amount(random: &mut Random) -> Option<f64> {
    match random.below(20) {
        0..=2 => None,
        3..=5 => Some(0.0),
        6 => Some(random.below(4000) as f64),
        7..=9 => Some(0.0 - random.below(200) as f64 / 4.0),
        _ => Some(random.below(400) as f64 / 4.0),
    }
}

fn rows(random: &mut Random, count: usize, ints: [usize; 2]) -> Vec<Raw> {
    (0..count)
        .map(|_| Raw {
            person: (!random.chance(3)).then(|| random.skewed(PERSONS) as u32),
            ints: ints.map(|n| (!random.chance(6)).then(|| random.skewed(n) as i64)),
            amounts: [amount(random), amount(random)],
        })
        .collect()
}

impl Data {
    pub fn new(random: &mut Random, layout: Layout) -> Self {
        // Each person's first row stands at its number: so the engine numbers them alike.
        let mut person: Vec<Raw> = rows(random, PERSONS + 4, [3, 5]);
        for (number, row) in person.iter_mut().enumerate() {
            row.person = Some(if number < PERSONS {
                number as u32
            } else {
                random.below(PERSONS) as u32
            });
        }
        let (visits, labs) = (120 + random.below(200), 120 + random.below(200));
        let mut visit = rows(random, visits, [WARDS, 2]);
        let mut lab = rows(random, labs, [WARDS, 4]);
        if layout != Layout::Any {
            for table in [&mut person, &mut visit, &mut lab] {
                table.retain(|row| row.person.is_some());
                table.sort_by_key(|row| row.person);
                if layout == Layout::SortedButForTwo {
                    // Neither at an end of their row group: what it tells of itself stays the same.
                    let group = random.below(table.len() / GROUP_ROWS) * GROUP_ROWS;
                    let mut row = || group + 1 + random.below(GROUP_ROWS - 2);
                    table.swap(row(), row());
                }
            }
        }
        Self {
            layout,
            person,
            visit,
            lab,
            // One ward has no entry, one has two.
            wards: (1..WARDS as i64)
                .chain([2])
                .map(|ward| (ward, ward % 3))
                .collect(),
        }
    }

    pub fn rows(&self, table: &Named) -> &[Raw] {
        match table.name {
            "person" => &self.person,
            "visit" => &self.visit,
            _ => &self.lab,
        }
    }

    /// A session in which the person `n` has the number `n`.
    pub fn session(&self, threshold: u32, dominance_permille: u32, threads: usize) -> Arc<Session> {
        let mut terms = terms();
        terms.threshold = threshold;
        terms.dominance_permille = dominance_permille;
        terms.threads = threads;
        let of_persons = |table: &Named| self.source(table);
        let wards = [
            Field::new("ward", DataType::Int64, true),
            Field::new("kind", DataType::Int64, true),
        ];
        let column = |pick: fn(&(i64, i64)) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(self.wards.iter().map(pick)))
        };
        let wards = RecordBatch::try_new(
            Arc::new(Schema::new(wards.to_vec())),
            vec![column(|ward| ward.0), column(|ward| ward.1)],
        )
        .unwrap();
        let sources = vec![
            of_persons(&PERSON),
            of_persons(&VISIT),
            of_persons(&LAB),
            source("made", "ward", file(&wards, 1000), None, &[]),
        ];
        let session = Arc::new(Session::new(terms, sources).unwrap());
        run_on(&session, "SELECT count(*) FROM person").unwrap();
        session
    }

    fn source(&self, table: &Named) -> TableSource {
        let rows = self.rows(table);
        let mut fields = vec![Field::new(table.key, DataType::Utf8, true)];
        let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from_iter(
            rows.iter().map(|row| row.person.map(pseudonym)),
        ))];
        for (at, name) in table.ints.iter().enumerate() {
            fields.push(Field::new(*name, DataType::Int64, true));
            let values = rows.iter().map(|row| row.ints[at]);
            columns.push(Arc::new(Int64Array::from_iter(values)));
        }
        for (at, name) in table.amounts.iter().enumerate() {
            fields.push(Field::new(*name, DataType::Float64, true));
            let values = rows.iter().map(|row| row.amounts[at]);
            columns.push(Arc::new(Float64Array::from_iter(values)));
        }
        // Where the session numbers persons, they are read in one piece and in order; of the others several pieces
        // at once.
        let rows_max = match (self.layout, table.name) {
            (Layout::Any, "person") => 1000,
            _ => GROUP_ROWS,
        };
        if self.layout != Layout::Any {
            let numbers = rows.iter().map(|row| row.person.unwrap());
            fields.push(Field::new(PERSON_NUMBER_COLUMN, DataType::UInt32, false));
            columns.push(Arc::new(UInt32Array::from_iter_values(numbers)));
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let hidden = &[PERSON_NUMBER_COLUMN];
        source(
            "made",
            table.name,
            file(&batch, rows_max),
            Some(table.key),
            hidden,
        )
    }
}

pub fn pseudonym(person: u32) -> String {
    format!("pseudonym-{person:03}")
}

fn file(batch: &RecordBatch, rows: usize) -> File {
    let file = tempfile::tempfile().unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows))
        .build();
    let copy = file.try_clone().unwrap();
    let mut writer = ArrowWriter::try_new(copy, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    file
}
