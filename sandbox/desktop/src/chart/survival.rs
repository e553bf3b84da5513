//! The Kaplan–Meier estimate with Greenwood's variance, from counts.
//!
//! With `d` events among `n` at risk at each time, survival is the product of `1 - d/n` (Kaplan and Meier,
//! J Am Stat Assoc 53 (1958) 457). Its interval is the 95 % interval of `ln(-ln S)` carried back
//! (Kalbfleisch and Prentice), which stays between 0 and 1 and is what R's `conf.type = "log-log"` and
//! lifelines give.

use crate::chart::data::Gap;

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// What is known of one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Count {
    /// In the column's unit.
    pub time: f64,
    /// Events at this time.
    pub events: Result<f64, Gap>,
    /// Persons whose observation ended at this time without one.
    pub censored: Option<Result<f64, Gap>>,
    /// Persons under observation just before this time.
    pub at_risk: Option<Result<f64, Gap>>,
}

/// One step of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// When.
    pub time: f64,
    /// Persons at risk just before.
    pub at_risk: f64,
    /// Survival from here on.
    pub survival: f64,
    /// Lower end of its 95 % interval.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Persons whose observation ended here without an event, where that is known.
    pub censored: f64,
}

/// A curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// By time.
    pub steps: Vec<Step>,
    /// The time at which too little is known to go on, and why. Going on would take what is withheld for
    /// nothing, and survival for better than it is.
    pub ends: Option<(f64, Gap)>,
}

/// Why there is no curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SurvivalError {
    /// Neither persons at risk nor censored ones are known.
    #[error("neither persons at risk nor censored persons are known")]
    NobodyAtRisk,
    /// Two counts of one time.
    #[error("two rows have one time")]
    TimeTwice,
    /// More events than persons, or counts below zero.
    #[error("there are more events than persons at risk")]
    Impossible,
}

/// The curve of counts in any order.
pub fn kaplan_meier(counts: &[Count]) -> Result<Curve, SurvivalError> {
    let mut counts = counts.to_vec();
    counts.sort_by(|a, b| a.time.total_cmp(&b.time));
    if counts
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.time == b.time))
    {
        return Err(SurvivalError::TimeTwice);
    }
    let at_risk = at_risk(&counts)?;
    let mut curve = Curve::default();
    let (mut survival, mut variance) = (1.0_f64, 0.0_f64);
    for (count, at_risk) in counts.iter().zip(at_risk) {
        let (events, at_risk) = match (count.events, at_risk) {
            (Ok(events), Ok(at_risk)) => (events, at_risk),
            (Err(gap), _) | (_, Err(gap)) => {
                curve.ends = Some((count.time, gap));
                break;
            }
        };
        if events < 0.0 || at_risk < events || at_risk <= 0.0 {
            return Err(SurvivalError::Impossible);
        }
        survival *= 1.0 - events / at_risk;
        // The last person's event makes it infinite; survival is 0 then, whatever its interval.
        variance += events / (at_risk * (at_risk - events));
        let (lower, upper) = interval(survival, variance);
        curve.steps.push(Step {
            time: count.time,
            at_risk,
            survival,
            lower,
            upper,
            censored: count.censored.and_then(Result::ok).unwrap_or(0.0),
        });
    }
    Ok(curve)
}

/// Persons at risk at each time: as told, or whoever has an event or is censored then or later.
fn at_risk(counts: &[Count]) -> Result<Vec<Result<f64, Gap>>, SurvivalError> {
    if let Some(told) = counts.iter().map(|count| count.at_risk).collect() {
        return Ok(told);
    }
    let mut later: Result<f64, Gap> = Ok(0.0);
    let mut all = Vec::with_capacity(counts.len());
    for count in counts.iter().rev() {
        let censored = count.censored.ok_or(SurvivalError::NobodyAtRisk)?;
        // Somebody withheld at a later time is at risk at every earlier one.
        later = match (later, count.events, censored) {
            (Ok(later), Ok(events), Ok(censored)) => Ok(later + events + censored),
            (Err(gap), ..) | (_, Err(gap), _) | (.., Err(gap)) => Err(gap),
        };
        all.push(later);
    }
    all.reverse();
    Ok(all)
}

fn interval(survival: f64, variance: f64) -> (f64, f64) {
    if survival <= 0.0 || survival >= 1.0 {
        return (survival, survival);
    }
    let log = survival.ln();
    let half = Z * variance.sqrt() / log.abs();
    (survival.powf(half.exp()), survival.powf((-half).exp()))
}

impl Curve {
    /// Persons at risk just before a time; `None` where nobody can know.
    pub fn at_risk(&self, time: f64) -> Option<f64> {
        self.steps
            .iter()
            .find(|step| step.time >= time)
            .map(|step| step.at_risk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fitted {
        count: Count,
        survival: f64,
        lower: f64,
        upper: f64,
    }

    /// What lifelines says of one arm of the fixture.
    fn fitted(arm: &str) -> Vec<Fitted> {
        include_str!("../../fixtures/leukemia-lifelines.csv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.strip_prefix(arm)?.strip_prefix(','))
            .map(|line| {
                let n: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
                Fitted {
                    count: Count {
                        time: n[0],
                        events: Ok(n[1]),
                        censored: Some(Ok(n[2])),
                        at_risk: Some(Ok(n[3])),
                    },
                    survival: n[4],
                    lower: n[5],
                    upper: n[6],
                }
            })
            .collect()
    }

    fn check(curve: &Curve, fitted: &[Fitted]) {
        assert_eq!(curve.steps.len(), fitted.len());
        assert_eq!(curve.ends, None);
        for (step, fitted) in curve.steps.iter().zip(fitted) {
            let close = |ours: f64, theirs: f64| (ours - theirs).abs() < 1e-9;
            assert!(close(step.survival, fitted.survival), "{step:?}");
            assert!(close(step.lower, fitted.lower), "{step:?}");
            assert!(close(step.upper, fitted.upper), "{step:?}");
            assert_eq!(Ok(step.at_risk), fitted.count.at_risk.unwrap());
        }
    }

    #[test]
    fn curve_and_interval_are_those_of_lifelines() {
        for (arm, times) in [("6-MP", 16), ("placebo", 12)] {
            let fitted = fitted(arm);
            assert_eq!(fitted.len(), times);
            let mut counts: Vec<Count> = fitted.iter().map(|f| f.count).collect();
            check(&kaplan_meier(&counts).unwrap(), &fitted);
            // The order of rows is the statement's, not the curve's.
            counts.reverse();
            check(&kaplan_meier(&counts).unwrap(), &fitted);
            // Persons at risk follow from events and censored ones.
            for count in &mut counts {
                count.at_risk = None;
            }
            check(&kaplan_meier(&counts).unwrap(), &fitted);
        }
    }

    #[test]
    fn withheld_count_ends_the_curve_instead_of_counting_as_nobody() {
        let fitted = fitted("6-MP");
        let mut counts: Vec<Count> = fitted.iter().map(|f| f.count).collect();
        counts[5].events = Err(Gap::Withheld);
        let curve = kaplan_meier(&counts).unwrap();
        assert_eq!(curve.steps.len(), 5);
        assert_eq!(curve.ends, Some((13.0, Gap::Withheld)));
        // Without persons at risk, somebody withheld at any time is missing from the first.
        for count in &mut counts {
            count.at_risk = None;
        }
        let curve = kaplan_meier(&counts).unwrap();
        assert_eq!(
            (curve.steps.len(), curve.ends),
            (0, Some((6.0, Gap::Withheld)))
        );
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        let count = |time, events, at_risk: Option<f64>| Count {
            time,
            events: Ok(events),
            censored: None,
            at_risk: at_risk.map(Ok),
        };
        let error = |counts: &[Count]| kaplan_meier(counts).unwrap_err();
        assert_eq!(error(&[count(1.0, 1.0, None)]), SurvivalError::NobodyAtRisk);
        let twice = [count(1.0, 1.0, Some(9.0)), count(1.0, 0.0, Some(8.0))];
        assert_eq!(error(&twice), SurvivalError::TimeTwice);
        assert_eq!(
            error(&[count(1.0, 5.0, Some(4.0))]),
            SurvivalError::Impossible
        );
        assert_eq!(
            error(&[count(1.0, -1.0, Some(4.0))]),
            SurvivalError::Impossible
        );
        assert_eq!(kaplan_meier(&[]), Ok(Curve::default()));
    }

    #[test]
    fn number_at_risk_is_that_of_the_next_step() {
        let counts: Vec<Count> = fitted("placebo").iter().map(|f| f.count).collect();
        let curve = kaplan_meier(&counts).unwrap();
        assert_eq!(curve.at_risk(0.0), Some(21.0));
        assert_eq!(curve.at_risk(5.0), Some(14.0));
        assert_eq!(curve.at_risk(6.0), Some(12.0));
        assert_eq!(curve.at_risk(24.0), None);
    }
}
