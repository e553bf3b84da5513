//! The Mann–Whitney U test (Wilcoxon's rank-sum test).

use crate::FitError;
use crate::tail::normal_two_sided;

/// Groups below this size are compared exactly where there are no ties, as R does.
const EXACT_BELOW: usize = 50;

/// How the p-value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// From all orders of the values.
    Exact,
    /// From the normal distribution, with corrections for ties and continuity.
    Normal,
}

/// The outcome of a Mann–Whitney test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MannWhitney {
    /// Pairs in which the first group's value is the larger; equal values count half.
    pub u: f64,
    /// `u` over all pairs: the probability that a value of the first group is the larger.
    pub superiority: f64,
    /// Two-sided.
    pub p: f64,
    /// How it was found.
    pub method: Method,
}

/// Compares the values of two independent groups (Mann and Whitney, Ann Math Stat 18 (1947) 50).
///
/// Values are finite. Errors: an empty group, values that do not vary.
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Result<MannWhitney, FitError> {
    if first.is_empty() || second.is_empty() {
        return Err(FitError::TooFewRows { needed: 1 });
    }
    if !first.iter().chain(second).all(|value| value.is_finite()) {
        return Err(FitError::NotFinite("value".to_owned()));
    }
    let mut all: Vec<(f64, bool)> = first
        .iter()
        .map(|value| (*value, true))
        .chain(second.iter().map(|value| (*value, false)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (m, n) = (first.len() as f64, second.len() as f64);
    // Ranks of equal values are their mean; `ties` is the sum of t³ - t.
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    #[allow(clippy::float_cmp, reason = "ties are exact by definition")]
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let count = tied.len() as f64;
        let of_first = tied.iter().filter(|(_, is_first)| *is_first).count() as f64;
        rank_sum += of_first * (before + (count + 1.0) / 2.0);
        ties += count * (count * count - 1.0);
        before += count;
    }
    let u = rank_sum - m * (m + 1.0) / 2.0;
    let superiority = u / (m * n);
    let is_exact = ties == 0.0 && first.len() < EXACT_BELOW && second.len() < EXACT_BELOW;
    let (p, method) = if is_exact {
        (exact(first.len(), second.len(), u), Method::Exact)
    } else {
        let total = m + n;
        let variance = m * n / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)));
        if variance <= 0.0 {
            return Err(FitError::NoVariation);
        }
        let distance = ((u - m * n / 2.0).abs() - 0.5).max(0.0);
        (normal_two_sided(distance / variance.sqrt()), Method::Normal)
    };
    Ok(MannWhitney {
        u,
        superiority,
        p,
        method,
    })
}

/// Twice the smaller tail, from the number of orders that give each U.
///
/// Of `i` and `j` values, the largest is one of the first group, above all `j` of the second, or one of the
/// second: `N(i, j, u) = N(i - 1, j, u - j) + N(i, j - 1, u)`. Only sums, so that no digit is lost; all
/// numbers stay below C(98, 49) < 2^95.
fn exact(m: usize, n: usize, u: f64) -> f64 {
    let pairs = m * n;
    let mut none = vec![0.0_f64; pairs + 1];
    if let Some(only) = none.first_mut() {
        *only = 1.0;
    }
    // N(0, j, .) for j = 0 … n: one order, in which U is 0.
    let mut ways = vec![none.clone(); n + 1];
    for _ in 0..m {
        // N(i, 0, .): one order as well.
        let mut fewer = none.clone();
        for (j, of_j) in ways.iter_mut().enumerate().skip(1) {
            for (place, fewer) in fewer.iter().enumerate().rev() {
                let shifted = place
                    .checked_sub(j)
                    .and_then(|from| of_j.get(from).copied())
                    .unwrap_or(0.0);
                if let Some(to) = of_j.get_mut(place) {
                    *to = shifted + fewer;
                }
            }
            fewer.clone_from(of_j);
        }
    }
    let ways = ways.pop().unwrap_or_default();
    let total: f64 = ways.iter().sum();
    // U and its mirror image are equally probable.
    let smaller = u.min(pairs as f64 - u);
    let tail: f64 = ways
        .iter()
        .zip(0_u32..)
        .take_while(|(_, place)| f64::from(*place) <= smaller)
        .map(|(ways, _)| ways)
        .sum();
    (2.0 * tail / total).min(1.0)
}
