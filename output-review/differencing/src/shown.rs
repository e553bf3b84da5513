//! What a table tells, as populations: those of its cells, and those of its rows together.

use std::collections::BTreeMap;

use kekkai_output::{Aggregate, Measure, Population, Populations, Table};
use kekkai_types::DatasetId;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

/// A population of a table that is about to be shown.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Whose persons.
    pub dataset: DatasetId,
    /// The dataset's version: numbers are persons within one version.
    pub version: u32,
    /// Where it stands; `None` for the sum of all rows, and for what decided which rows are there.
    pub row: Option<u32>,
    /// The column; `None` where it is the row's.
    pub column: Option<u32>,
    /// What was measured.
    pub measures: Vec<Measure>,
    /// The persons.
    #[serde(with = "bitmap")]
    pub persons: RoaringBitmap,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown")
            .field("row", &self.row)
            .field("column", &self.column)
            .finish_non_exhaustive()
    }
}

/// Why populations can't be compared. Says nothing of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShownError {
    /// Bytes that are no bitmap.
    #[error("a population is no bitmap")]
    NoBitmap,
    /// Persons of a dataset that the statement did not read.
    #[error("a population is of a dataset that was not read")]
    NoSuchDataset,
}

/// Decodes a table's populations, and adds those of all rows together. That they are the table's was checked
/// by whoever took them from the engine.
pub fn shown(table: &Table, populations: &Populations) -> Result<Vec<Shown>, ShownError> {
    let mut all = Vec::with_capacity(populations.cells.len());
    for population in &populations.cells {
        all.push(decoded(table, population)?);
    }
    all.sort_by_key(|one| (one.row.is_none(), one.row, one.column));
    let together = together(&all);
    all.extend(together);
    Ok(all)
}

fn decoded(table: &Table, population: &Population) -> Result<Shown, ShownError> {
    let version = table
        .lineage
        .datasets
        .iter()
        .find(|(dataset, _)| *dataset == population.dataset)
        .map(|(_, version)| *version)
        .ok_or(ShownError::NoSuchDataset)?;
    let persons = RoaringBitmap::deserialize_from(population.persons.as_slice())
        .map_err(|_| ShownError::NoBitmap)?;
    // Beside the rows: what decided which of them are there.
    let is_row = usize::try_from(population.row).is_ok_and(|row| row < table.rows.len());
    Ok(Shown {
        dataset: population.dataset.clone(),
        version,
        row: is_row.then_some(population.row),
        column: population.column,
        measures: population.measures.clone(),
        persons,
    })
}

/// What is measured, of whom.
type Alike<'a> = (&'a DatasetId, u32, &'a [Measure]);

/// Rows about different persons can be added up by whoever sees them all: their sum is shown, too.
fn together(all: &[Shown]) -> Vec<Shown> {
    let mut sums: BTreeMap<Alike<'_>, (RoaringBitmap, u64, u32)> = BTreeMap::new();
    for one in all {
        if one.measures.is_empty() || one.row.is_none() {
            continue;
        }
        let key = (&one.dataset, one.version, one.measures.as_slice());
        let (union, added, rows) = sums.entry(key).or_default();
        *union |= &one.persons;
        *added = added.saturating_add(one.persons.len());
        *rows = rows.saturating_add(1);
    }
    let mut together = Vec::new();
    for ((dataset, version, measures), (union, added, rows)) in sums {
        // Of rows that share persons the sum is about no set of persons.
        if rows > 1 && union.len() == added {
            together.push(Shown {
                dataset: dataset.clone(),
                version,
                row: None,
                column: None,
                measures: measures.to_vec(),
                persons: union,
            });
        }
    }
    together
}

/// Whether one of these can be subtracted from one of those, to anybody's gain.
pub(crate) fn comparable(these: &[Measure], those: &[Measure]) -> bool {
    these.iter().any(|a| those.iter().any(|b| are_alike(a, b)))
}

fn are_alike(a: &Measure, b: &Measure) -> bool {
    // A magnitude of a column is no count; one that is computed may be: the sum of ones.
    let is_no_count = |measure: &Measure| is_magnitude(measure.kind) && measure.is_plain;
    if is_magnitude(a.kind) != is_magnitude(b.kind) && (is_no_count(a) || is_no_count(b)) {
        return false;
    }
    let (Some(of_a), Some(of_b)) = (&a.columns, &b.columns) else {
        return true;
    };
    match (of_a.is_empty(), of_b.is_empty()) {
        (true, true) => true,
        // `count(*)` beside the count of a column: the difference is who lacks a value, and that was chosen
        // by nobody where the column stands as it is.
        (true, false) => !b.is_plain,
        (false, true) => !a.is_plain,
        (false, false) => of_a.iter().any(|column| of_b.contains(column)),
    }
}

/// A mean and a count make a sum.
fn is_magnitude(kind: Aggregate) -> bool {
    !matches!(kind, Aggregate::Count | Aggregate::CountDistinct)
}

mod bitmap {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use roaring::RoaringBitmap;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        persons: &RoaringBitmap,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(persons.serialized_size());
        persons
            .serialize_into(&mut bytes)
            .map_err(serde::ser::Error::custom)?;
        out.serialize_str(&STANDARD_NO_PAD.encode(&bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<RoaringBitmap, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD_NO_PAD
            .decode(text)
            .map_err(serde::de::Error::custom)?;
        RoaringBitmap::deserialize_from(bytes.as_slice()).map_err(serde::de::Error::custom)
    }
}
