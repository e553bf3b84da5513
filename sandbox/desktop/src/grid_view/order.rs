//! Which rows of a table are shown, and in which order.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::grid::{Grid, Shown};

/// By which column, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The column.
    pub column: usize,
    /// The largest first.
    pub is_descending: bool,
}

/// A filter that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a number")]
pub struct FilterError(pub String);

/// Rows by sort and filters, computed anew when one of them changed.
#[derive(Debug, Default)]
pub struct Order {
    /// By which column.
    pub sort: Option<Sort>,
    /// A filter for each column that has one: a part of a text, or `>1`, `<=2`, `=x`, `!=x`.
    pub filters: BTreeMap<usize, String>,
    /// What [`Self::rows`] was computed from.
    known: Option<(u64, Option<Sort>, BTreeMap<usize, String>)>,
    /// `None`: every row, as it comes.
    rows: Option<Vec<u32>>,
    count: usize,
}

impl Order {
    /// Looks whether anything changed.
    pub fn update(&mut self, grid: &dyn Grid, generation: u64) {
        let known = (generation, self.sort, self.filters.clone());
        if self.known.as_ref() == Some(&known) {
            return;
        }
        self.count = grid.rows();
        let filters: Vec<(usize, &str)> = self
            .filters
            .iter()
            .map(|(column, text)| (*column, text.trim()))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        self.rows = (self.sort.is_some() || !filters.is_empty()).then(|| {
            let all = 0..u32::try_from(grid.rows()).unwrap_or(u32::MAX);
            let mut rows: Vec<u32> = all
                .filter(|row| {
                    filters.iter().all(|(column, text)| {
                        // A filter that can't be read hides nothing; its place says so.
                        matches(grid, place(*row), *column, text).unwrap_or(true)
                    })
                })
                .collect();
            if let Some(sort) = self.sort {
                sorted(&mut rows, grid, sort);
            }
            rows
        });
        self.known = Some(known);
    }

    /// Rows that are shown.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.count, Vec::len)
    }

    /// No row is shown.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table's row at a place of the order.
    pub fn row(&self, at: usize) -> Option<usize> {
        match &self.rows {
            Some(rows) => rows.get(at).map(|row| place(*row)),
            None => (at < self.count).then_some(at),
        }
    }

    /// The place of a table's row in the order.
    pub fn position(&self, row: usize) -> Option<usize> {
        match &self.rows {
            Some(rows) => rows.iter().position(|known| place(*known) == row),
            None => (row < self.count).then_some(row),
        }
    }

    /// The next way of sorting by a column: upwards, downwards, as it comes.
    pub fn turn(&mut self, column: usize) {
        self.sort = match self.sort {
            Some(Sort {
                column: by,
                is_descending: false,
            }) if by == column => Some(Sort {
                column,
                is_descending: true,
            }),
            Some(Sort { column: by, .. }) if by == column => None,
            _ => Some(Sort {
                column,
                is_descending: false,
            }),
        };
    }
}

fn place(row: u32) -> usize {
    usize::try_from(row).unwrap_or(usize::MAX)
}

/// The nearest whole number.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest usize"
)]
pub(super) fn whole(value: f32) -> usize {
    value as usize
}

/// Sorts by what is shown: numbers by size, texts by their letters; what is missing or suppressed comes
/// last, either way. Rows that are equal stay in their order.
fn sorted(
    rows: &mut [u32],
    grid: &dyn Grid,
    Sort {
        column,
        is_descending,
    }: Sort,
) {
    let is_numeric = matches!(
        grid.value_type(column),
        kekkai_output::ValueType::Int
            | kekkai_output::ValueType::Float
            | kekkai_output::ValueType::Bool
    );
    let turned = |order: Ordering| {
        if is_descending {
            order.reverse()
        } else {
            order
        }
    };
    if is_numeric {
        let mut keyed: Vec<(Option<f64>, u32)> = rows
            .iter()
            .map(|row| (grid.number(place(*row), column), *row))
            .collect();
        keyed.sort_by(|(a, _), (b, _)| match (a, b) {
            (Some(a), Some(b)) => turned(a.total_cmp(b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        for (to, (_, row)) in rows.iter_mut().zip(keyed) {
            *to = row;
        }
    } else {
        rows.sort_by(
            |a, b| match (grid.shown(place(*a), column), grid.shown(place(*b), column)) {
                (Shown::Text(a), Shown::Text(b)) => turned(a.cmp(&b)),
                (Shown::Text(_), _) => Ordering::Less,
                (_, Shown::Text(_)) => Ordering::Greater,
                _ => Ordering::Equal,
            },
        );
    }
}

/// Whether a cell passes a filter. What is suppressed passes none but an empty one: it would tell whether
/// it lies above or below.
pub fn matches(
    grid: &dyn Grid,
    row: usize,
    column: usize,
    filter: &str,
) -> Result<bool, FilterError> {
    let filter = filter.trim();
    if filter.is_empty() {
        return Ok(true);
    }
    let shown = grid.shown(row, column);
    for (sign, holds) in [
        (">=", (|o: Ordering| o.is_ge()) as fn(Ordering) -> bool),
        ("<=", |o| o.is_le()),
        (">", |o| o.is_gt()),
        ("<", |o| o.is_lt()),
    ] {
        let Some(bound) = filter.strip_prefix(sign) else {
            continue;
        };
        let bound: f64 = bound
            .trim()
            .parse()
            .map_err(|_| FilterError(bound.trim().to_owned()))?;
        let number = grid.number(row, column);
        return Ok(number
            .and_then(|number| number.partial_cmp(&bound))
            .is_some_and(holds));
    }
    let text = match &shown {
        Shown::Text(text) => text.as_ref(),
        Shown::Missing => "",
        Shown::Suppressed(_) => return Ok(false),
    };
    Ok(
        match (filter.strip_prefix("!="), filter.strip_prefix('=')) {
            (Some(other), _) => text != other.trim(),
            (None, Some(same)) => text == same.trim(),
            (None, None) => text.to_lowercase().contains(&filter.to_lowercase()),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn ordered(grid: &dyn Grid, order: &mut Order) -> Vec<usize> {
        order.update(grid, 1);
        (0..order.len()).map(|at| order.row(at).unwrap()).collect()
    }

    #[test]
    fn sorting_turns_and_leaves_what_is_suppressed_last() {
        let table = samples::table();
        let mut order = Order::default();
        assert_eq!(ordered(&table, &mut order), (0..12).collect::<Vec<_>>());
        let suppressed = samples::SUPPRESSED.0;
        for is_descending in [false, true] {
            order.turn(2);
            let rows = ordered(&table, &mut order);
            assert_eq!(rows.last(), Some(&suppressed), "{is_descending}");
            let values: Vec<f64> = rows
                .iter()
                .filter_map(|row| table.number(*row, 2))
                .collect();
            let is_rising = values.is_sorted();
            assert_eq!(is_rising, !is_descending);
        }
        order.turn(2);
        assert_eq!(order.sort, None);
        assert_eq!(order.position(5), Some(5));
    }

    #[test]
    fn filters_are_parts_of_texts_or_comparisons() {
        let table = samples::table();
        for (column, filter, rows) in [
            (0, "東", 2),
            (1, "=F", 6),
            (1, "!=F", 6),
            (1, "f", 6),
            (3, ">= 108", 4),
            (3, "<40", 0),
            (0, "", 12),
        ] {
            let mut order = Order::default();
            order.filters.insert(column, filter.to_owned());
            assert_eq!(ordered(&table, &mut order).len(), rows, "{filter}");
        }
        assert_eq!(
            matches(&table, 0, 3, ">x"),
            Err(FilterError("x".to_owned()))
        );
    }

    #[test]
    fn filter_does_not_tell_where_a_suppressed_cell_lies() {
        let table = samples::table();
        let (row, column) = samples::SUPPRESSED;
        for filter in [">0", "<1000", "=0", "!=0", "1", "*"] {
            assert_eq!(matches(&table, row, column, filter), Ok(false), "{filter}");
        }
    }

    #[test]
    fn hundred_thousand_rows_are_sorted_and_those_without_a_value_come_last() {
        let rows = samples::rows(100_000);
        let mut order = Order::default();
        order.turn(2);
        order.update(&rows, 1);
        assert_eq!(order.len(), 100_000);
        let first = rows.number(order.row(0).unwrap(), 2).unwrap();
        assert_eq!(first, 100.0);
        let last: Vec<Option<f64>> = (90_000..100_000)
            .map(|at| rows.number(order.row(at).unwrap(), 2))
            .collect();
        assert!(last.iter().all(Option::is_none));
    }
}
