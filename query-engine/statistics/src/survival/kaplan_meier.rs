//! The Kaplan–Meier estimate.

use super::{Follow, blocks};
use crate::tail::Z_95;

/// An estimated survival curve.
#[derive(Debug, Clone, PartialEq)]
pub struct KaplanMeier {
    /// At each time at which an observation ended, rising.
    pub steps: Vec<Step>,
    /// The first time at which survival is one half or less; `None` where it never is.
    pub median: Option<f64>,
    /// The interval of the median: where the bounds of survival fall to one half (Brookmeyer and Crowley,
    /// Biometrics 38 (1982) 29).
    pub median_interval: (Option<f64>, Option<f64>),
}

/// One time of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// In the unit of the times given.
    pub time: f64,
    /// Observed until just before this time.
    pub at_risk: usize,
    /// Events at this time.
    pub events: usize,
    /// Observations that ended at this time without one. They count as at risk for its events.
    pub censored: usize,
    /// Survival beyond this time, 0 to 1.
    pub survival: f64,
    /// Its standard error by Greenwood's formula.
    pub standard_error: f64,
    /// Lower end of its 95 % interval. Equal to survival before the first event.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Kaplan and Meier, J Am Stat Assoc 53 (1958) 457: the product of `1 - d/n` over event times, `d` events
/// among `n` at risk. Greenwood's variance; the interval is that of `ln(-ln S)` carried back (Kalbfleisch and
/// Prentice, 1980), which stays between 0 and 1. At survival 0 nothing is known of its error: the interval
/// is 0 to 0.
pub fn kaplan_meier(follow: &Follow) -> KaplanMeier {
    let mut sorted: Vec<(f64, bool)> = follow.each().collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut at_risk = sorted.len();
    let (mut survival, mut greenwood) = (1.0_f64, 0.0_f64);
    let mut steps = Vec::new();
    for block in blocks(sorted.into_iter()) {
        if block.events > 0 {
            let (d, n) = (block.events as f64, at_risk as f64);
            survival *= 1.0 - d / n;
            // At survival 0 this is infinite and not used.
            greenwood += d / (n * (n - d));
        }
        let (lower, upper) = interval(survival, greenwood);
        steps.push(Step {
            time: block.time,
            at_risk,
            events: block.events,
            censored: block.len - block.events,
            survival,
            standard_error: if survival > 0.0 {
                survival * greenwood.sqrt()
            } else {
                0.0
            },
            lower,
            upper,
        });
        at_risk -= block.len;
    }
    let reaches = |of: fn(&Step) -> f64| steps.iter().find(|step| of(step) <= 0.5).map(|s| s.time);
    KaplanMeier {
        median: reaches(|step| step.survival),
        median_interval: (reaches(|step| step.lower), reaches(|step| step.upper)),
        steps,
    }
}

fn interval(survival: f64, greenwood: f64) -> (f64, f64) {
    if survival <= 0.0 || survival >= 1.0 {
        return (survival.max(0.0), survival);
    }
    let log = survival.ln();
    // The standard error of ln(-ln S).
    let width = Z_95 * greenwood.sqrt() / log.abs();
    ((log * width.exp()).exp(), (log * (-width).exp()).exp())
}
