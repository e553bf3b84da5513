//! A survival curve that shows no single person.
//!
//! Each step of a Kaplan–Meier curve is one time at which somebody died, and its height tells of how many.
//! O'Keefe, Sparks, McAullay and Loong (*Confidentialising survival analysis output in a remote data access
//! system*, J Priv Confid 4(1) (2012) 127) therefore show such curves at intervals instead of at events, end
//! them where few are left, and round. Here:
//!
//! - Times are on a grid of at most fifty round steps (1, 2 or 5 times a power of ten). Its width comes from
//!   the time up to which a threshold of persons was under observation, not from the last person.
//! - From one time shown to the next lie the events of at least a threshold of persons; what lies between is
//!   not shown.
//! - After a time shown, at least a threshold of persons are still under observation, or nobody is. The curve
//!   ends at the last such time.
//! - Where a few were censored, their number is withheld, and with it the numbers at risk that would give it
//!   away by subtraction, until a threshold of persons were censored since the last number at risk shown.
//! - At each time shown, survival is the Kaplan–Meier estimate with Greenwood's error, from all single times;
//!   it is rounded to four decimals.

use std::collections::BTreeSet;
use std::sync::Arc;

use kekkai_statistics::{KaplanMeier, Step};

use super::disclosure::Persons;

/// Times that a curve may show.
const TIMES_MAX: f64 = 50.0;

/// What is shown of one stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    /// Its end.
    pub(super) time: f64,
    /// Observations at its beginning; `None` where that would tell of a few who were censored.
    pub(super) at_risk: Option<usize>,
    pub(super) events: usize,
    /// `None` where it is a few.
    pub(super) censored: Option<usize>,
    /// At its end.
    pub(super) survival: f64,
    pub(super) standard_error: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
    /// Who was at risk at its beginning.
    pub(super) persons: Persons,
    /// Who had the events; of none, everybody at risk.
    pub(super) with_events: Persons,
    /// Who was censored; where nobody was, everybody at risk.
    pub(super) with_censoring: Persons,
}

/// One observation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observation {
    pub(super) time: f64,
    pub(super) event: bool,
    pub(super) person: u32,
}

/// What may be shown of a curve. `observations` are by time, and `exact` is their estimate.
pub(super) fn coarsen(
    observations: &[Observation],
    exact: &KaplanMeier,
    threshold: u64,
) -> Vec<Stretch> {
    let left = persons_from(observations);
    let all = persons(observations);
    let mut shown = vec![Stretch {
        time: 0.0,
        at_risk: Some(observations.len()),
        events: 0,
        censored: Some(0),
        survival: 1.0,
        standard_error: 0.0,
        lower: 1.0,
        upper: 1.0,
        with_events: Arc::clone(&all),
        with_censoring: Arc::clone(&all),
        persons: all,
    }];
    let grid = Grid::of(observations, &left, threshold);
    let mut open = Open::default();
    let mut started = 0;
    // Who was censored since the last number at risk that was shown.
    let mut unseen: BTreeSet<u32> = BTreeSet::new();
    let is_few = |set: &BTreeSet<u32>| !set.is_empty() && (set.len() as u64) < threshold;
    for (place, observation) in observations.iter().enumerate() {
        open.add(observation);
        let cell = grid.cell(observation.time);
        // Later than that, only a few are left, and the time would be theirs.
        if cell > grid.last {
            break;
        }
        let next = observations.get(place + 1);
        if next.is_some_and(|next| grid.cell(next.time) == cell) {
            continue;
        }
        let remaining = left.get(place + 1).copied().unwrap_or(0);
        let is_enough = open.with_events.len() as u64 >= threshold
            && (remaining == 0 || remaining >= threshold);
        if !is_enough {
            continue;
        }
        let mut unseen_after = unseen.clone();
        unseen_after.extend(&open.with_censoring);
        // At the end, all events and everybody at the beginning would give them away.
        if remaining == 0 && (is_few(&unseen_after) || is_few(&open.with_censoring)) {
            continue;
        }
        let end = grid.end(cell);
        let Some(step) = step_at(exact, end) else {
            continue;
        };
        let at_risk = observations.get(started..).unwrap_or_default();
        let persons = persons(at_risk);
        let closed = std::mem::take(&mut open);
        let is_known = !is_few(&unseen);
        if is_known {
            unseen.clear();
        }
        // Beside a number at risk that is withheld, one of the censored would tell the others.
        let is_told = closed.censored == 0 || (is_known && !is_few(&closed.with_censoring));
        unseen.extend(&closed.with_censoring);
        shown.push(Stretch {
            time: end,
            at_risk: is_known.then_some(at_risk.len()),
            events: closed.events,
            censored: is_told.then_some(closed.censored),
            survival: step.survival,
            standard_error: step.standard_error,
            lower: step.lower,
            upper: step.upper,
            with_events: set_of(closed.with_events),
            with_censoring: match closed.censored {
                0 => Arc::clone(&persons),
                _ => set_of(closed.with_censoring),
            },
            persons,
        });
        started = place + 1;
    }
    shown
}

fn persons(observations: &[Observation]) -> Persons {
    set_of(
        observations
            .iter()
            .map(|observation| observation.person)
            .collect(),
    )
}

fn set_of(persons: BTreeSet<u32>) -> Persons {
    Arc::new(persons.into_iter().collect())
}

/// For each place how many distinct persons there are from there on, and 0 after the last.
fn persons_from(observations: &[Observation]) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    let mut counts = vec![0; observations.len() + 1];
    for (observation, count) in observations.iter().zip(counts.iter_mut()).rev() {
        seen.insert(observation.person);
        *count = seen.len() as u64;
    }
    counts
}

/// The last step at or before a time.
fn step_at(exact: &KaplanMeier, time: f64) -> Option<&Step> {
    let after = exact.steps.partition_point(|step| step.time <= time);
    exact.steps.get(after.checked_sub(1)?)
}

/// Since the last time shown.
#[derive(Default)]
struct Open {
    events: usize,
    censored: usize,
    with_events: BTreeSet<u32>,
    with_censoring: BTreeSet<u32>,
}

impl Open {
    fn add(&mut self, observation: &Observation) {
        if observation.event {
            self.events += 1;
            self.with_events.insert(observation.person);
        } else {
            self.censored += 1;
            self.with_censoring.insert(observation.person);
        }
    }
}

/// Round times: multiples of `digit` times a power of ten, from the first on.
struct Grid {
    digit: f64,
    power: i32,
    /// The cell up to which a threshold of persons was under observation.
    last: f64,
}

impl Grid {
    fn of(observations: &[Observation], left: &[u64], threshold: u64) -> Self {
        let followed = observations
            .iter()
            .zip(left)
            .take_while(|(_, left)| **left >= threshold)
            .last()
            .map_or(0.0, |(observation, _)| observation.time);
        let least = followed / TIMES_MAX;
        // Exact powers of ten of a sensible size only.
        let mut power = -12;
        while power < 15 && 5.0 * ten_to(power) < least {
            power += 1;
        }
        let digit = [1.0, 2.0, 5.0]
            .into_iter()
            .find(|digit| digit * ten_to(power) >= least)
            .unwrap_or(10.0);
        let mut grid = Self {
            digit,
            power,
            last: 1.0,
        };
        if followed == 0.0 {
            (grid.digit, grid.power) = (1.0, 0);
        }
        grid.last = grid.cell(followed);
        grid
    }

    /// The cell that a time falls into, from 1: cell `i` ends with `i` steps, included.
    fn cell(&self, time: f64) -> f64 {
        let cell = (time / (self.digit * ten_to(self.power))).ceil().max(1.0);
        // A quotient of decimals may be a little too large.
        if cell > 1.0 && self.end(cell - 1.0) >= time {
            cell - 1.0
        } else {
            cell
        }
    }

    /// As the decimal number nearest to it, where adding up steps would not be.
    fn end(&self, cell: f64) -> f64 {
        let steps = cell * self.digit;
        if self.power < 0 {
            steps / ten_to(-self.power)
        } else {
            steps * ten_to(self.power)
        }
    }
}

fn ten_to(power: i32) -> f64 {
    10_f64.powi(power)
}

#[cfg(test)]
mod tests {
    use kekkai_statistics::{Follow, kaplan_meier};

    use super::*;

    fn curve(observations: &[(f64, bool)], threshold: u64) -> Vec<Stretch> {
        let mut observations: Vec<Observation> = observations
            .iter()
            .zip(0..)
            .map(|((time, event), person)| Observation {
                time: *time,
                event: *event,
                person,
            })
            .collect();
        observations.sort_by(|a, b| a.time.total_cmp(&b.time));
        let times = observations.iter().map(|o| o.time).collect();
        let events = observations.iter().map(|o| o.event).collect();
        let exact = kaplan_meier(&Follow::new(times, events).unwrap());
        coarsen(&observations, &exact, threshold)
    }

    /// Times that look random, some of them censored.
    fn sample(n: u32) -> Vec<(f64, bool)> {
        (0..n)
            .map(|i| {
                let time = f64::from((i * 7919 + 13) % 1009) * 0.7;
                (time, (i * 31) % 10 < 6)
            })
            .collect()
    }

    #[test]
    fn no_stretch_has_fewer_persons_than_the_threshold_and_no_few_are_left() {
        for threshold in [3, 10, 25] {
            let observations = sample(400);
            let shown = curve(&observations, threshold);
            assert!(shown.len() > 5, "{threshold}: {}", shown.len());
            assert!(shown.len() <= 51);
            let enough = |count: usize| count == 0 || count as u64 >= threshold;
            // What the numbers shown give by subtraction: who was censored between two numbers at risk.
            let (mut known, mut since) = (400, 0);
            let mut withheld = 0;
            for stretch in &shown {
                match stretch.at_risk {
                    Some(at_risk) => {
                        assert!(enough(known - since - at_risk), "{threshold}: {stretch:?}");
                        (known, since) = (at_risk, 0);
                    }
                    None => withheld += 1,
                }
                since += stretch.events + stretch.censored.unwrap_or(0);
                assert!(enough(stretch.events) && enough(stretch.censored.unwrap_or(0)));
                assert!(enough(stretch.persons.len()));
                assert!(stretch.time == 0.0 || stretch.events > 0);
            }
            assert!(threshold < 5 || withheld > 0, "{threshold}");
        }
    }

    #[test]
    fn survival_at_the_times_shown_is_the_exact_estimate() {
        let observations = sample(400);
        let (times, events) = observations.iter().copied().unzip();
        let exact = kaplan_meier(&Follow::new(times, events).unwrap());
        for stretch in curve(&observations, 10).iter().skip(1) {
            let before = exact.steps.iter().rev().find(|s| s.time <= stretch.time);
            assert_eq!(before.unwrap().survival, stretch.survival);
        }
    }

    #[test]
    fn times_are_round_and_do_not_move_with_the_last_person() {
        let mut observations = sample(400);
        let before = curve(&observations, 10);
        observations.push((1e6, false));
        let after = curve(&observations, 10);
        let times = |curve: &[Stretch]| curve.iter().map(|s| s.time).collect::<Vec<_>>();
        // One more is at risk all the way; no time is that person's.
        assert_eq!(times(&before), times(&after));
        for time in times(&before) {
            assert_eq!(time % 20.0, 0.0, "{time}");
        }
        let small: Vec<(f64, bool)> = sample(400).iter().map(|(t, e)| (t / 7000.0, *e)).collect();
        for time in times(&curve(&small, 10)) {
            let text = time.to_string();
            assert!(text.len() <= 5, "{text}");
        }
    }

    #[test]
    fn too_few_events_leave_the_beginning_alone() {
        let mut observations: Vec<(f64, bool)> = (0..100).map(|i| (f64::from(i), false)).collect();
        observations[40].1 = true;
        let shown = curve(&observations, 10);
        assert_eq!(shown.len(), 1);
        assert_eq!((shown[0].at_risk, shown[0].survival), (Some(100), 1.0));
    }

    #[test]
    fn rows_of_one_person_are_one_person() {
        // Twelve events of one person among twenty others' censored observations.
        let mut observations: Vec<Observation> = (0..12)
            .map(|i| Observation {
                time: f64::from(i),
                event: true,
                person: 99,
            })
            .collect();
        observations.extend((0..20).map(|i| Observation {
            time: 30.0,
            event: false,
            person: i,
        }));
        let times = observations.iter().map(|o| o.time).collect();
        let events = observations.iter().map(|o| o.event).collect();
        let exact = kaplan_meier(&Follow::new(times, events).unwrap());
        assert_eq!(coarsen(&observations, &exact, 10).len(), 1);
    }
}
