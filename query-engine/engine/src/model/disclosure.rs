//! Whether what a fit would show is about enough persons.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kekkai_output::{Evidence, Suppression};
use kekkai_statistics::Share;

use crate::suppress::Bounds;

/// Persons that a model needs beyond its terms: the rule on residual degrees of freedom that output checkers
/// use (Griffiths and others, *Handbook on Statistical Disclosure Control for Outputs*, 2019, 6.2; ACRO).
pub(super) const RESIDUAL_MIN: usize = 10;

/// Distinct persons in rising order: who stands behind a number.
pub(super) type Persons = Arc<Vec<u32>>;

/// Distinct persons of the rows that are meant.
pub(super) fn persons_of(persons: &[u32], is_meant: impl Fn(usize) -> bool) -> Persons {
    let meant = persons.iter().enumerate().filter(|(row, _)| is_meant(*row));
    let mut distinct: Vec<u32> = meant.map(|(_, person)| *person).collect();
    distinct.sort_unstable();
    distinct.dedup();
    Arc::new(distinct)
}

/// The persons of the rows that are meant, if they are at least a threshold.
pub(super) fn enough(
    persons: &[u32],
    bounds: Bounds,
    is_meant: impl Fn(usize) -> bool,
) -> Result<Persons, Suppression> {
    let meant = persons_of(persons, is_meant);
    if (meant.len() as u64) < bounds.threshold {
        return Err(Suppression::Threshold);
    }
    Ok(meant)
}

/// A predictor varies in a threshold of persons: off its most frequent value there are as many, so that no
/// coefficient rests on fewer. That also answers for one that does not vary at all.
pub(super) fn varies(values: &[f64], persons: &[u32], bounds: Bounds) -> Result<(), Suppression> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(bits(*value)).or_default() += 1;
    }
    let usual = counts.iter().max_by_key(|(_, count)| **count);
    let usual = usual.map(|(value, _)| *value);
    let at = |row: usize| values.get(row).map(|value| bits(*value));
    enough(persons, bounds, |row| at(row) != usual)?;
    if counts.len() == 2 {
        enough(persons, bounds, |row| at(row) == usual)?;
    }
    Ok(())
}

/// A predictor of two values makes a table of two by two with the outcome: a threshold in each cell.
pub(super) fn crossed(
    values: &[f64],
    outcome: &[f64],
    persons: &[u32],
    bounds: Bounds,
    outcomes: &[f64],
) -> Result<(), Suppression> {
    let levels: BTreeSet<u64> = values.iter().map(|value| bits(*value)).collect();
    if levels.len() != 2 {
        return Ok(());
    }
    for level in levels {
        for expected in outcomes {
            enough(persons, bounds, |row| {
                let is_level = values.get(row).is_some_and(|value| bits(*value) == level);
                let found = outcome.get(row).map(|found| bits(*found));
                is_level && found == Some(bits(*expected))
            })?;
        }
    }
    Ok(())
}

/// Equal numbers have equal bits once the sign of zero is gone.
fn bits(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

/// The shares of persons' absolute values in their sum.
pub(super) fn shares_of_sum(values: &[f64], persons: &[u32]) -> Share {
    let mut held: BTreeMap<u32, f64> = BTreeMap::new();
    for (value, person) in values.iter().zip(persons) {
        *held.entry(*person).or_default() += value.abs();
    }
    let total: f64 = held.values().sum();
    let mut share = Share::default();
    if total > 0.0 {
        for part in held.values().map(|part| part / total) {
            if part > share.largest {
                share.second = share.largest;
                share.largest = part;
            } else if part > share.second {
                share.second = part;
            }
        }
    }
    share
}

/// The larger of each.
pub(super) fn either(a: Share, b: Share) -> Share {
    Share {
        largest: a.largest.max(b.largest),
        second: a.second.max(b.second),
    }
}

/// Evidence of a coefficient or mean, if nobody dominates it.
pub(super) fn evidence(
    contributors: usize,
    share: Share,
    bounds: Bounds,
) -> Result<Evidence, Suppression> {
    let evidence = Evidence {
        contributors: contributors as u64,
        largest_permille: permille(share.largest),
        second_permille: permille(share.second),
        zeros: 0,
        missing: 0,
    };
    if evidence.largest_permille > bounds.dominance_permille {
        return Err(Suppression::Dominance);
    }
    Ok(evidence)
}

/// Rounded up; what is no number may be all of it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=1000 before the cast"
)]
fn permille(share: f64) -> u32 {
    if share.is_nan() {
        return 1000;
    }
    // What rounding left of a third in floats is no permille more.
    (share * 1000.0 - 1e-9).ceil().clamp(0.0, 1000.0) as u32
}
