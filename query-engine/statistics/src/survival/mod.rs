//! Survival: what was observed of each person until an event or the end of observation.

mod concordance;
mod cox;
mod kaplan_meier;
mod log_rank;

pub use cox::{Cox, cox};
pub use kaplan_meier::{KaplanMeier, Step, kaplan_meier};
pub use log_rank::{GROUPS_MAX, GroupCount, LogRank, log_rank};

use crate::FitError;

/// Times with or without an event, one for each observation. Observations are taken as independent: one row
/// for each person.
#[derive(Debug, Clone, PartialEq)]
pub struct Follow {
    times: Vec<f64>,
    events: Vec<bool>,
}

impl Follow {
    /// Times from a common origin, in any unit, finite and not below zero; an event at the end of each or a
    /// censored observation.
    pub fn new(times: Vec<f64>, events: Vec<bool>) -> Result<Self, FitError> {
        if times.len() != events.len() {
            return Err(FitError::Ragged("event".to_owned()));
        }
        if times.is_empty() {
            return Err(FitError::TooFewRows { needed: 1 });
        }
        if !times.iter().all(|time| time.is_finite()) {
            return Err(FitError::NotFinite("time".to_owned()));
        }
        if times.iter().any(|time| *time < 0.0) {
            return Err(FitError::NegativeTime);
        }
        Ok(Self { times, events })
    }

    /// How many observations.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Never: kept for [`Self::len`].
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// How many events.
    pub fn events(&self) -> usize {
        self.events.iter().filter(|event| **event).count()
    }

    /// In the order given.
    pub(crate) fn each(&self) -> impl Iterator<Item = (f64, bool)> {
        self.times.iter().copied().zip(self.events.iter().copied())
    }

    /// Places of observations by time, the latest first; of one time, events first.
    fn latest_first(&self) -> Vec<usize> {
        let mut keyed: Vec<(f64, bool, usize)> = self
            .each()
            .enumerate()
            .map(|(place, (time, event))| (time, event, place))
            .collect();
        keyed.sort_by(|a, b| {
            b.0.total_cmp(&a.0)
                .then_with(|| b.1.cmp(&a.1))
                .then_with(|| a.2.cmp(&b.2))
        });
        keyed.into_iter().map(|(_, _, place)| place).collect()
    }
}

/// Observations of one time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Block {
    time: f64,
    /// Observations, events among them.
    len: usize,
    events: usize,
}

/// The times of observations that are sorted by time, and how many share each.
fn blocks(sorted: impl Iterator<Item = (f64, bool)>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (time, event) in sorted {
        match blocks.last_mut() {
            // Bits that differ by the sign of zero are one time.
            #[allow(clippy::float_cmp, reason = "ties are exact by definition")]
            Some(block) if block.time == time => {
                block.len += 1;
                block.events += usize::from(event);
            }
            _ => blocks.push(Block {
                time,
                len: 1,
                events: usize::from(event),
            }),
        }
    }
    blocks
}
