//! A column in a few numbers.

use std::collections::HashSet;

use crate::grid::{Grid, Shown};

/// A column in a few numbers, over the rows that are shown. Of a table of statistics they are over the cells
/// that are shown: what is suppressed is counted and no more.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Cells with a value.
    pub values: usize,
    /// Cells without.
    pub missing: usize,
    /// Cells that are kept inside.
    pub suppressed: usize,
    /// Different values.
    pub distinct: usize,
    /// The smallest and largest number.
    pub range: Option<(f64, f64)>,
    /// The mean of the numbers.
    pub mean: Option<f64>,
}

/// Summarizes a column over rows.
#[allow(clippy::cast_precision_loss, reason = "a mean of fewer than 2^53 rows")]
pub fn summarize(grid: &dyn Grid, column: usize, rows: impl Iterator<Item = usize>) -> Summary {
    let mut summary = Summary::default();
    let mut seen = HashSet::new();
    let (mut sum, mut numbers) = (0.0, 0_usize);
    for row in rows {
        match grid.shown(row, column) {
            Shown::Missing => summary.missing = summary.missing.saturating_add(1),
            Shown::Suppressed(_) => summary.suppressed = summary.suppressed.saturating_add(1),
            Shown::Text(text) => {
                summary.values = summary.values.saturating_add(1);
                if !seen.contains(text.as_ref()) {
                    seen.insert(text.into_owned());
                }
            }
        }
        if let Some(number) = grid.number(row, column).filter(|number| number.is_finite()) {
            let (low, high) = summary.range.unwrap_or((number, number));
            summary.range = Some((low.min(number), high.max(number)));
            sum += number;
            numbers = numbers.saturating_add(1);
        }
    }
    summary.distinct = seen.len();
    summary.mean = (numbers > 0).then(|| sum / numbers as f64);
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn column_of_rows_is_summarized() {
        let rows = samples::rows(1_000);
        let summary = summarize(&rows, 2, 0..1_000);
        let expected: Vec<f64> = (0..1_000).filter_map(|row| rows.number(row, 2)).collect();
        assert_eq!((summary.values, summary.missing), (900, 100));
        let mean = expected.iter().sum::<f64>() / 900.0;
        assert!((summary.mean.unwrap() - mean).abs() < 1e-9);
        assert_eq!(
            summary.range,
            Some((100.0, expected.iter().copied().fold(0.0, f64::max)))
        );
        let words = summarize(&rows, 1, 0..1_000);
        assert_eq!((words.distinct, words.mean, words.range), (4, None, None));
    }

    #[test]
    fn suppressed_cell_is_in_no_number() {
        let table = samples::table();
        let summary = summarize(&table, 2, 0..12);
        assert_eq!((summary.values, summary.suppressed), (11, 1));
        let mut without = samples::table();
        without.rows.remove(samples::SUPPRESSED.0);
        let expected = summarize(&without, 2, 0..11);
        assert_eq!(
            (summary.mean, summary.range),
            (expected.mean, expected.range)
        );
    }
}
