//! Tables of counts: chi-square and Fisher's exact test.

use statrs::function::gamma::ln_gamma;

use crate::{ChiSquare, FitError};

/// The most rows or columns of a table.
pub const LEVELS_MAX: usize = 100;

/// Counts of observations by two characteristics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contingency {
    counts: Vec<Vec<u64>>,
    rows: Vec<u64>,
    columns: Vec<u64>,
    total: u64,
}

impl Contingency {
    /// Counts by row; every row and every column has at least one observation, and there are two of each or
    /// more.
    pub fn new(counts: Vec<Vec<u64>>) -> Result<Self, FitError> {
        let width = counts.first().map_or(0, Vec::len);
        let levels = 2..=LEVELS_MAX;
        if !levels.contains(&counts.len()) || !levels.contains(&width) {
            return Err(FitError::Groups { max: LEVELS_MAX });
        }
        if counts.iter().any(|row| row.len() != width) {
            return Err(FitError::Ragged("row".to_owned()));
        }
        let too_large = || FitError::NotFinite("count".to_owned());
        let rows = counts
            .iter()
            .map(|row| sum(row.iter().copied()))
            .collect::<Option<Vec<u64>>>()
            .ok_or_else(too_large)?;
        let columns = (0..width)
            .map(|column| sum(counts.iter().filter_map(|row| row.get(column).copied())))
            .collect::<Option<Vec<u64>>>()
            .ok_or_else(too_large)?;
        let total = sum(rows.iter().copied()).ok_or_else(too_large)?;
        if rows.contains(&0) || columns.contains(&0) {
            return Err(FitError::EmptyMargin);
        }
        Ok(Self {
            counts,
            rows,
            columns,
            total,
        })
    }

    /// Each cell: count, and what independence would give it.
    fn cells(&self) -> impl Iterator<Item = (f64, f64)> {
        let total = self.total as f64;
        self.counts
            .iter()
            .zip(&self.rows)
            .flat_map(move |(counts, row)| {
                counts
                    .iter()
                    .zip(&self.columns)
                    .map(move |(count, column)| {
                        (*count as f64, *row as f64 * (*column as f64 / total))
                    })
            })
    }

    fn is_two_by_two(&self) -> bool {
        self.rows.len() == 2 && self.columns.len() == 2
    }
}

/// The sum, or nothing where it overflows.
fn sum(mut values: impl Iterator<Item = u64>) -> Option<u64> {
    values.try_fold(0_u64, |sum, value| sum.checked_add(value))
}

/// The outcome of a chi-square test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Independence {
    /// Pearson's statistic as it is.
    pub plain: ChiSquare,
    /// With Yates' correction: of two by two only.
    pub yates: Option<ChiSquare>,
    /// The smallest expected count: below 5, the distribution is a poor approximation.
    pub least_expected: f64,
}

/// Tests whether rows and columns are independent (Pearson, Philos Mag 50 (1900) 157); for two by two also
/// with Yates' correction, which, as in R, takes no more than the difference itself away.
pub fn chi_square(table: &Contingency) -> Independence {
    let degrees = (table.rows.len() - 1) * (table.columns.len() - 1);
    let statistic = |correction: f64| -> f64 {
        table
            .cells()
            .map(|(count, expected)| {
                let difference = (count - expected).abs();
                (difference - correction.min(difference)).powi(2) / expected
            })
            .sum()
    };
    Independence {
        plain: ChiSquare::new(statistic(0.0), degrees),
        yates: table
            .is_two_by_two()
            .then(|| ChiSquare::new(statistic(0.5), degrees)),
        least_expected: table
            .cells()
            .map(|(_, expected)| expected)
            .fold(f64::INFINITY, f64::min),
    }
}

/// The outcome of Fisher's exact test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FisherExact {
    /// `ad / bc` of the table; infinite where `b` or `c` is 0.
    pub odds_ratio: f64,
    /// Two-sided: all tables that are no more probable than this one.
    pub p: f64,
    /// That the first cell is as small as this or smaller.
    pub p_less: f64,
    /// That the first cell is as large as this or larger.
    pub p_greater: f64,
}

/// Fisher's exact test of two by two (Fisher, J R Stat Soc 98 (1935) 39). Time and memory grow with the
/// smallest margin.
pub fn fisher_exact(table: &Contingency) -> Result<FisherExact, FitError> {
    let ([top, _], [left, right], Some(first)) = (
        table.rows.as_slice(),
        table.columns.as_slice(),
        table.counts.first().and_then(|row| row.first()),
    ) else {
        return Err(FitError::NotTwoByTwo);
    };
    let (least, most) = (top.saturating_sub(*right), *top.min(left));
    // Each probability from its neighbour, relative to the one that is observed: sums of products of small
    // ratios, where differences of logarithms of factorials would lose digits in large tables.
    let (top_f, left_f, right_f) = (*top as f64, *left as f64, *right as f64);
    let up = |x: u64| {
        let x = x as f64;
        (top_f - x) * (left_f - x) / ((x + 1.0) * (right_f - top_f + x + 1.0))
    };
    let mut above = Vec::new();
    let mut weight = 1.0_f64;
    for x in *first..most {
        weight *= up(x);
        above.push(weight);
    }
    let mut below = Vec::new();
    weight = 1.0;
    for x in (least..*first).rev() {
        weight /= up(x);
        below.push(weight);
    }
    // Where the observed table is so improbable that its neighbours overflow, its own logarithm is used.
    let greater: f64 = above.iter().rev().sum();
    let less: f64 = below.iter().rev().sum();
    let total = greater + less + 1.0;
    // As R: what differs by rounding only is as probable.
    let as_extreme = |weights: &[f64]| -> f64 {
        weights
            .iter()
            .rev()
            .filter(|weight| **weight <= 1.0 + 1e-7)
            .sum()
    };
    let result = if total.is_finite() {
        let p = (as_extreme(&above) + as_extreme(&below) + 1.0) / total;
        [p, (less + 1.0) / total, (greater + 1.0) / total]
    } else {
        by_logarithms(least, most, *first, *top, *left, *right)
    };
    let [p, p_less, p_greater] = result.map(|p| p.min(1.0));
    let cells: Vec<f64> = table.cells().map(|(count, _)| count).collect();
    let odds_ratio = match cells.as_slice() {
        [a, b, c, d] => (a * d) / (b * c),
        _ => f64::NAN,
    };
    Ok(FisherExact {
        odds_ratio,
        p,
        p_less,
        p_greater,
    })
}

/// Two-sided, less, greater; from logarithms, for tables far from independence.
fn by_logarithms(least: u64, most: u64, first: u64, top: u64, left: u64, right: u64) -> [f64; 3] {
    let ln_choose = |n: u64, k: u64| {
        let (n, k) = (n as f64, k as f64);
        ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
    };
    let whole = ln_choose(left + right, top);
    let ln_p = |x: u64| ln_choose(left, x) + ln_choose(right, top - x) - whole;
    let own = ln_p(first);
    let (mut two, mut less, mut greater) = (0.0, 0.0, 0.0);
    for x in least..=most {
        let ln_p = ln_p(x);
        let p = ln_p.exp();
        if ln_p <= own + 1e-7 {
            two += p;
        }
        if x <= first {
            less += p;
        }
        if x >= first {
            greater += p;
        }
    }
    [two, less, greater]
}
