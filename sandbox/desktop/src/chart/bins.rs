//! Bins and quartiles of numbers that are rows.

/// Bins of one histogram.
pub const BINS_MAX: usize = 100;

/// A bin: edges and how many numbers lie in it. The upper edge belongs to the next bin, but for the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Lower edge.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
    /// Numbers in it.
    pub count: f64,
}

/// A box: quartiles, and the outermost numbers within 1.5 times their distance (Tukey).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quartiles {
    /// A quarter lies below.
    pub low: f64,
    /// Half lies below.
    pub median: f64,
    /// A quarter lies above.
    pub high: f64,
    /// The ends of the whiskers.
    pub whiskers: (f64, f64),
}

/// How many bins suit these numbers: Freedman and Diaconis, or Sturges where half of them are equal.
pub fn suggest(numbers: &[f64]) -> usize {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(first), Some(last), Some(box_)) =
        (sorted.first(), sorted.last(), quartiles_of_sorted(&sorted))
    else {
        return 1;
    };
    let n = float(sorted.len());
    let width = 2.0 * (box_.high - box_.low) / n.cbrt();
    let bins = if width > 0.0 {
        (last - first) / width
    } else {
        n.log2() + 1.0
    };
    ceil_to(bins, BINS_MAX)
}

/// Bins of equal, round width over all numbers; about `wanted` of them.
pub fn bins(numbers: &[f64], wanted: usize) -> Vec<Bin> {
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !low.is_finite() || !high.is_finite() {
        return Vec::new();
    }
    let wanted = wanted.clamp(1, BINS_MAX);
    let rough = ((high - low) / float(wanted)).max(f64::MIN_POSITIVE);
    let width = if high > low {
        crate::chart::scale::round_step(rough)
    } else {
        1.0
    };
    let first = (low / width).floor() * width;
    let count = ceil_to((high - first) / width, BINS_MAX.saturating_mul(4)).max(1);
    let mut bins: Vec<Bin> = (0..count)
        .map(|index| Bin {
            low: first + width * float(index),
            high: first + width * float(index.saturating_add(1)),
            count: 0.0,
        })
        .collect();
    for number in numbers {
        let index = floor_to((number - first) / width, count.saturating_sub(1));
        if let Some(bin) = bins.get_mut(index) {
            bin.count += 1.0;
        }
    }
    // The largest number may be the last edge itself.
    if let [.., before, last] = bins.as_mut_slice()
        && last.low == high
    {
        before.count += last.count;
        bins.pop();
    }
    bins
}

/// `None` without numbers.
pub fn quartiles(numbers: &[f64]) -> Option<Quartiles> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    quartiles_of_sorted(&sorted)
}

fn quartiles_of_sorted(sorted: &[f64]) -> Option<Quartiles> {
    let (low, median, high) = (
        quantile(sorted, 0.25)?,
        quantile(sorted, 0.5)?,
        quantile(sorted, 0.75)?,
    );
    let reach = 1.5 * (high - low);
    let bottom = sorted.iter().find(|n| **n >= low - reach)?;
    let top = sorted.iter().rev().find(|n| **n <= high + reach)?;
    Some(Quartiles {
        low,
        median,
        high,
        whiskers: (*bottom, *top),
    })
}

/// Linear between the two nearest numbers (type 7 of Hyndman and Fan, as R, NumPy and PostgreSQL have it).
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * float(last);
    let below = floor_to(place, last);
    let above = below.saturating_add(1).min(last);
    let (a, b) = (sorted.get(below)?, sorted.get(above)?);
    Some(a + (b - a) * (place - float(below)))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of rows are far below 2^53"
)]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

/// The next whole number, at least 1, at most `max`.
pub(crate) fn ceil_to(number: f64, max: usize) -> usize {
    floor_to(number.ceil(), max).max(1)
}

/// The whole number below, at most `max`; 0 for what is below 0 or no number.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range before"
)]
pub(crate) fn floor_to(number: f64, max: usize) -> usize {
    if number.is_nan() {
        return 0;
    }
    number.floor().clamp(0.0, float(max)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_every_number_once() {
        let numbers: Vec<f64> = (0..1000).map(|n| f64::from(n * 7 % 101)).collect();
        for wanted in [1, 5, 10, 33, 100] {
            let bins = bins(&numbers, wanted);
            assert_eq!(bins.iter().map(|bin| bin.count).sum::<f64>(), 1000.0);
            assert!(bins.len() <= wanted * 3 + 1, "{wanted}: {}", bins.len());
            for pair in bins.windows(2) {
                assert!((pair[0].high - pair[1].low).abs() < 1e-9);
            }
        }
        let ages = bins(&[20.0, 24.0, 30.0, 39.0, 40.0], 2);
        let edges: Vec<(f64, f64, f64)> = ages.iter().map(|b| (b.low, b.high, b.count)).collect();
        assert_eq!(edges, [(20.0, 30.0, 2.0), (30.0, 40.0, 3.0)]);
        assert_eq!(bins(&[7.0, 7.0], 10).len(), 1);
        assert_eq!(bins(&[], 10), []);
        let huge = bins(&[-1e300, 1e300], 50);
        assert_eq!(huge.iter().map(|bin| bin.count).sum::<f64>(), 2.0);
    }

    #[test]
    fn quartiles_are_those_of_r_and_numpy() {
        // numpy.percentile([1, 2, 4, 8, 16, 32, 200], [25, 50, 75]) = 3, 8, 24
        let found = quartiles(&[200.0, 4.0, 1.0, 2.0, 8.0, 16.0, 32.0]).unwrap();
        assert_eq!((found.low, found.median, found.high), (3.0, 8.0, 24.0));
        assert_eq!(found.whiskers, (1.0, 32.0));
        assert_eq!(quartiles(&[]), None);
        let one = quartiles(&[5.0]).unwrap();
        assert_eq!((one.low, one.median, one.high), (5.0, 5.0, 5.0));
    }

    #[test]
    fn suggested_bins_stay_within_their_bound() {
        let even: Vec<f64> = (0..10_000).map(f64::from).collect();
        assert_eq!(suggest(&even), 22);
        let mut far = even.clone();
        far.push(1e12);
        assert_eq!(suggest(&far), BINS_MAX);
        assert_eq!(suggest(&[3.0; 50]), 7);
        assert_eq!(suggest(&[]), 1);
    }
}
