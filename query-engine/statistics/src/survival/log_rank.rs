//! The log-rank test.

use nalgebra::{DMatrix, DVector};

use super::{Follow, blocks};
use crate::{ChiSquare, FitError};

/// The most groups of one test.
pub const GROUPS_MAX: usize = 100;

/// The outcome of a log-rank test.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRank {
    /// The test; degrees of freedom are groups less one.
    pub test: ChiSquare,
    /// For each group, in the order of their numbers.
    pub groups: Vec<GroupCount>,
}

/// What was seen and expected in one group.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GroupCount {
    /// Observations.
    pub observations: usize,
    /// Events.
    pub events: usize,
    /// Events that equal survival would give it.
    pub expected: f64,
}

/// Compares survival between groups, which are numbered from 0 without a gap, one number for each
/// observation: Mantel, Cancer Chemother Rep 50 (1966) 163; Peto and Peto, J R Stat Soc A 135 (1972) 185;
/// the hypergeometric variance, as R's `survdiff`.
///
/// Groups that nobody was at risk in at any event are left out of the degrees of freedom, as `survdiff` does.
pub fn log_rank(follow: &Follow, groups: &[u32]) -> Result<LogRank, FitError> {
    let too_many = FitError::Groups { max: GROUPS_MAX };
    if groups.len() != follow.len() {
        return Err(FitError::Ragged("group".to_owned()));
    }
    let count = groups.iter().max().map_or(0, |last| *last as usize + 1);
    if !(2..=GROUPS_MAX).contains(&count) {
        return Err(too_many);
    }
    if follow.events() == 0 {
        return Err(FitError::TooFewEvents { needed: 1 });
    }
    let mut counts = vec![GroupCount::default(); count];
    let order = follow.latest_first();
    let sorted: Vec<(f64, bool, usize)> = {
        let all: Vec<(f64, bool)> = follow.each().collect();
        let at = |place: usize| {
            let (time, event) = all.get(place).copied()?;
            Some((time, event, *groups.get(place)? as usize))
        };
        order.into_iter().filter_map(at).collect()
    };

    let mut at_risk = DVector::<f64>::zeros(count);
    let mut variance = DMatrix::<f64>::zeros(count, count);
    let mut expected = DVector::<f64>::zeros(count);
    let mut rest = sorted.as_slice();
    for block in blocks(sorted.iter().map(|(time, event, _)| (*time, *event))) {
        let (now, later) = rest.split_at(block.len.min(rest.len()));
        rest = later;
        for (_, event, group) in now {
            if let (Some(n), Some(seen)) = (at_risk.get_mut(*group), counts.get_mut(*group)) {
                *n += 1.0;
                seen.observations += 1;
                seen.events += usize::from(*event);
            }
        }
        if block.events == 0 {
            continue;
        }
        let (d, n) = (block.events as f64, at_risk.sum());
        let shares = &at_risk / n;
        expected.axpy(d, &shares, 1.0);
        if n > 1.0 {
            let factor = d * (n - d) / (n - 1.0);
            variance += factor * (DMatrix::from_diagonal(&shares) - &shares * shares.transpose());
        }
    }
    if counts.iter().any(|group| group.observations == 0) {
        return Err(too_many);
    }
    for (group, expected) in counts.iter_mut().zip(expected.iter()) {
        group.expected = *expected;
    }
    // Differences add up to nothing, so that one group says nothing new.
    let in_test: Vec<usize> = (0..count)
        .filter(|group| expected.get(*group).is_some_and(|e| *e > 0.0))
        .collect();
    let kept = in_test.get(1..).unwrap_or_default();
    if kept.is_empty() {
        return Err(FitError::NoVariation);
    }
    let differences = DVector::from_iterator(
        kept.len(),
        kept.iter().map(|group| {
            counts
                .get(*group)
                .map_or(0.0, |c| c.events as f64 - c.expected)
        }),
    );
    let variance = variance.select_columns(kept).select_rows(kept);
    let statistic = crate::newton::decompose(&variance)
        .map(|factors| differences.dot(&factors.solve(&differences)))
        .ok_or(FitError::NoVariation)?;
    Ok(LogRank {
        test: ChiSquare::new(statistic, kept.len()),
        groups: counts,
    })
}
