//! Clinical data sets as granted tables, and tables as maps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch};
use kekkai_engine::{Answer, Session, Terms};
use kekkai_output::{Cell, Table, Value};
use roaring::RoaringBitmap;
use serde_json::Value as Json;

use crate::common::{answer_on, plain_file, source, terms};

pub(crate) fn golden(name: &str) -> Json {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../statistics/tests/golden");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn numbers(value: &Json) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|n| n.as_f64().unwrap()).collect()
}

fn truths(value: &Json) -> Vec<bool> {
    let list = value.as_array().unwrap();
    list.iter().map(|n| n.as_bool().unwrap()).collect()
}

/// Columns that a table of persons gets: `person_id` from 1 comes first by itself.
pub(crate) type Columns = Vec<(&'static str, ArrayRef)>;

pub(crate) fn floats(values: Vec<f64>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

pub(crate) fn bools(values: Vec<bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(values))
}

/// A session with one table `t`, one row for each person unless `person_id` is among the columns.
pub(crate) fn session(columns: Columns, terms: Terms) -> Arc<Session> {
    let rows = columns[0].1.len();
    let mut named = Vec::new();
    if !columns.iter().any(|(name, _)| *name == "person_id") {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((1..).take(rows)));
        named.push(("person_id", ids));
    }
    named.extend(columns);
    let batch = RecordBatch::try_from_iter(named).unwrap();
    let table = source("study", "t", plain_file(&batch), Some("person_id"), &[]);
    Arc::new(Session::new(terms, vec![table]).unwrap())
}

/// A golden data set as a session: `days`, `is_event`, `arm` and the predictors by their names, or
/// `outcome` and the predictors.
pub(crate) fn study(name: &'static str) -> Arc<Session> {
    let golden = golden(name);
    let data = &golden["data"];
    let mut columns: Columns = Vec::new();
    if data.get("time").is_some() {
        columns.push(("days", floats(numbers(&data["time"]))));
        columns.push(("is_event", bools(truths(&data["event"]))));
        columns.push(("arm", floats(numbers(&data["group"]))));
    } else if data["outcome"][0].is_boolean() {
        columns.push(("outcome", bools(truths(&data["outcome"]))));
    } else {
        columns.push(("outcome", floats(numbers(&data["outcome"]))));
    }
    for (name, values) in data["predictors"].as_object().unwrap() {
        // Leaked once for each column of a test's data: the tables' names live as long as the test.
        let name: &'static str = name.clone().leak();
        columns.push((name, floats(numbers(values))));
    }
    session(columns, terms())
}

/// A table by names.
pub(crate) struct Named {
    pub(crate) rows: Vec<BTreeMap<String, Cell>>,
    pub(crate) table: Table,
}

/// Runs a statement; also holds the populations against the evidence of each cell, as the broker does.
pub(crate) fn named(session: &Arc<Session>, sql: &str) -> Named {
    let Answer { table, populations } =
        answer_on(session, sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    let mut smallest: BTreeMap<(u32, Option<u32>), u64> = BTreeMap::new();
    for population in &populations.cells {
        let persons = RoaringBitmap::deserialize_from(population.persons.as_slice()).unwrap();
        let known = smallest
            .entry((population.row, population.column))
            .or_insert(u64::MAX);
        *known = persons.len().min(*known);
    }
    let mut rows = Vec::new();
    for (number, row) in (0_u32..).zip(&table.rows) {
        let mut cells = BTreeMap::new();
        for ((at, cell), column) in (0_u32..).zip(row).zip(&table.columns) {
            if let Cell::Shown { evidence, .. } = cell {
                let own = smallest.get(&(number, Some(at)));
                let counted = own.or_else(|| smallest.get(&(number, None)));
                assert_eq!(
                    counted,
                    Some(&evidence.contributors),
                    "{sql} {}",
                    column.name
                );
                assert!(evidence.contributors >= u64::from(table.lineage.threshold));
            }
            cells.insert(column.name.clone(), cell.clone());
        }
        rows.push(cells);
    }
    Named { rows, table }
}

impl Named {
    /// A number by the place of its row.
    #[track_caller]
    pub(crate) fn at(&self, row: usize, column: &str) -> f64 {
        number(&self.rows[row][column]).unwrap_or_else(|| panic!("{column} of row {row}"))
    }

    /// The row of a term.
    #[track_caller]
    pub(crate) fn term(&self, term: &str) -> &BTreeMap<String, Cell> {
        let is_it =
            |row: &&BTreeMap<String, Cell>| row["term"] == Cell::Key(Value::Text(term.to_owned()));
        self.rows
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("no {term}"))
    }

    pub(crate) fn is_withheld(&self) -> bool {
        let cells = || self.rows.iter().flat_map(BTreeMap::values);
        cells().any(|cell| matches!(cell, Cell::Suppressed(_)))
            && !cells().any(|cell| matches!(cell, Cell::Shown { .. }))
    }
}

pub(crate) fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Key(value) | Cell::Shown { value, .. } => match value {
            Value::Float(value) => Some(*value),
            Value::Int(value) => Some(*value as f64),
            _ => None,
        },
        Cell::Suppressed(_) => None,
    }
}

/// Equal to six significant digits.
#[track_caller]
pub(crate) fn same(what: &str, found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 5.001e-6 * expected.abs(),
        "{what}: {found} instead of {expected}"
    );
}
