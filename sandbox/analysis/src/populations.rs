//! A worker's populations are an allegation as well: they must fit the table that they stand behind.

use std::collections::HashMap;

use kekkai_output::{
    Cell, ColumnKind, POPULATION_BYTES_MAX, POPULATIONS_MAX, Population, Populations, Table,
};
use roaring::RoaringBitmap;

use crate::judge::Expected;

/// The first bytes of a portable bitmap without run containers. Runs are refused: a few bytes of them unfold
/// into gigabytes.
const NO_RUNS: [u8; 4] = 12_346_u32.to_le_bytes();

/// Why populations are not believed. Says nothing of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// More bitmaps or bytes than an answer may have.
    #[error("too many or too large")]
    TooLarge,
    /// Out of order, or of a row, column or dataset that the table doesn't have.
    #[error("number {0} stands nowhere in the table")]
    Place(usize),
    /// Not a bitmap in the portable format without runs.
    #[error("number {0} is not a bitmap")]
    Bitmap(usize),
    /// Fewer persons than the threshold.
    #[error("number {0} has too few persons")]
    Threshold(usize),
    /// A shown cell whose evidence tells another number of contributors.
    #[error("the cell in row {row}, column {column} has other contributors")]
    Evidence {
        /// Counted from 0.
        row: usize,
        /// Counted from 0.
        column: usize,
    },
}

/// Holds populations against a table that was judged.
pub(crate) fn check(
    populations: &Populations,
    table: &Table,
    expected: &Expected<'_>,
) -> Result<(), Unfit> {
    let cells = &populations.cells;
    let bytes = cells
        .iter()
        .fold(0_usize, |sum, cell| sum.saturating_add(cell.persons.len()));
    if cells.len() > POPULATIONS_MAX || bytes > POPULATION_BYTES_MAX {
        return Err(Unfit::TooLarge);
    }
    let mut smallest: HashMap<(u32, Option<u32>), u64> = HashMap::new();
    let mut last_row = 0;
    for (number, population) in cells.iter().enumerate() {
        if population.row < last_row || !stands_in(population, table) {
            return Err(Unfit::Place(number));
        }
        last_row = population.row;
        let persons = read(&population.persons).ok_or(Unfit::Bitmap(number))?;
        if persons < u64::from(expected.threshold).max(1) {
            return Err(Unfit::Threshold(number));
        }
        smallest
            .entry((population.row, population.column))
            .and_modify(|known| *known = persons.min(*known))
            .or_insert(persons);
    }
    for ((row, cells), number) in table.rows.iter().enumerate().zip(0_u32..) {
        for ((column, cell), at) in cells.iter().enumerate().zip(0_u32..) {
            if let Cell::Shown { evidence, .. } = cell {
                let own = smallest.get(&(number, Some(at)));
                let counted = own.or_else(|| smallest.get(&(number, None)));
                if counted != Some(&evidence.contributors) {
                    return Err(Unfit::Evidence { row, column });
                }
            }
        }
    }
    Ok(())
}

fn stands_in(population: &Population, table: &Table) -> bool {
    let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let is_read = |(dataset, _): &(_, u32)| *dataset == population.dataset;
    if !table.lineage.datasets.iter().any(is_read) {
        return false;
    }
    match (table.rows.get(index(population.row)), population.column) {
        (Some(_), None) => true,
        (Some(row), Some(at)) => {
            let column = table.columns.get(index(at));
            let is_statistic =
                column.is_some_and(|column| matches!(column.kind, ColumnKind::Statistic(_)));
            is_statistic && matches!(row.get(index(at)), Some(Cell::Shown { .. }))
        }
        // Beside the rows.
        (None, at) => index(population.row) == table.rows.len() && at.is_none(),
    }
}

/// How many persons a bitmap has.
fn read(bytes: &[u8]) -> Option<u64> {
    if !bytes.starts_with(&NO_RUNS) {
        return None;
    }
    let mut rest = bytes;
    let set = RoaringBitmap::deserialize_from(&mut rest).ok()?;
    rest.is_empty().then(|| set.len())
}
