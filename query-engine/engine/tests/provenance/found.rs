//! An engine's answer in the shape of what is expected.

use std::collections::{BTreeMap, BTreeSet};

use kekkai_engine::Answer;
use kekkai_output::{Cell, Population, Suppression, Value};
use roaring::RoaringBitmap;

use crate::statistic::{Expected, ExpectedCell, ExpectedRow, Persons};

pub fn persons(population: &Population) -> Persons {
    let mut bytes = population.persons.as_slice();
    let set = RoaringBitmap::deserialize_from(&mut bytes).unwrap();
    assert!(bytes.is_empty(), "bytes after the bitmap");
    assert!(!set.is_empty(), "a population of nobody");
    set.iter().collect()
}

/// The populations of a row, by column; `None` for the row's group.
pub fn populations(answer: &Answer) -> BTreeMap<(usize, Option<usize>), Vec<Persons>> {
    let mut all: BTreeMap<_, Vec<Persons>> = BTreeMap::new();
    for cell in &answer.populations.cells {
        let at = (cell.row as usize, cell.column.map(|column| column as usize));
        all.entry(at).or_default().push(persons(cell));
    }
    all
}

pub fn found(answer: &Answer, keys: usize) -> Expected {
    let mut all = populations(answer);
    let mut rows = Vec::new();
    for (number, cells) in answer.table.rows.iter().enumerate() {
        let key = cells[..keys].iter().map(|cell| match cell {
            Cell::Key(Value::Int(n)) => Some(*n),
            Cell::Key(Value::Null) => None,
            other => panic!("{other:?} is no key"),
        });
        let mut shown = Vec::new();
        for (column, cell) in cells.iter().enumerate().skip(keys) {
            let own = all.remove(&(number, Some(column))).unwrap_or_default();
            shown.push(match cell {
                Cell::Suppressed(why) => {
                    assert!(own.is_empty(), "populations of a suppressed cell");
                    match why {
                        Suppression::Threshold => ExpectedCell::Few,
                        Suppression::Dominance => ExpectedCell::Dominated,
                    }
                }
                Cell::Shown { value, evidence } => ExpectedCell::Shown {
                    value: match value {
                        Value::Null => None,
                        Value::Int(n) => Some(*n as f64),
                        Value::Float(n) => Some(*n),
                        other => panic!("{other:?} is no number"),
                    },
                    contributors: evidence.contributors as usize,
                    largest: evidence.largest_permille,
                    second: evidence.second_permille,
                    zeros: evidence.zeros as usize,
                    missing: evidence.missing as usize,
                    own: own.into_iter().collect::<BTreeSet<_>>(),
                },
                other => panic!("{other:?} is no statistic"),
            });
        }
        rows.push(ExpectedRow {
            key: key.collect(),
            persons: all.remove(&(number, None)).unwrap_or_default(),
            cells: shown,
        });
    }
    let mut beside = BTreeMap::new();
    for persons in all.remove(&(rows.len(), None)).unwrap_or_default() {
        *beside.entry(persons).or_default() += 1;
    }
    assert!(all.is_empty(), "populations of no cell");
    Expected {
        rows,
        beside,
        groups_withheld: answer.table.groups_withheld,
    }
}
