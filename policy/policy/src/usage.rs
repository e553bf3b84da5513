//! How much of the data somebody looks at, against what the agreement allows and against what they and their
//! project did before (R8).
//!
//! Two things are counted for each person in each agreement, by the hour: statements, and rows shown. Rows have
//! bounds in the agreement, a minute's and a day's. Beside those stands the past: a person's usual hour of
//! statements is the median, over the last [`PAST_DAYS`] days on which they worked, of each day's busiest
//! hour; a usual day of rows the median of those days' rows. More than [`UNUSUAL`] times as much is unusual,
//! which is recorded and slows the person down; more than [`EXCESSIVE`] times suspends them. A project's sum
//! is held against the project's own past in the same way; nobody is suspended for what others did.
//!
//! Somebody without a past, or with a quiet one, is measured by a floor: a first busy day is not unusual.

use kekkai_types::Timestamp;

/// Days of work that the past goes back.
pub const PAST_DAYS: usize = 20;
/// Hours that have to be kept for it, where people work on one day of the week only.
pub const PAST_KEPT_HOURS: i64 = PAST_DAYS as i64 * 7 * 24;
/// Times the usual amount that are unusual.
pub const UNUSUAL: u64 = 5;
/// Times the usual amount for which a person is suspended.
pub const EXCESSIVE: u64 = 20;
/// Statements in a person's usual hour, at least.
pub const STATEMENTS_FLOOR: u64 = 400;
/// Rows of a person's usual day, at least.
pub const ROWS_FLOOR: u64 = 20_000;
/// The floors of a project are so many persons'.
pub const PROJECT_FLOORS: u64 = 4;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// Japan is nine hours ahead, all year.
const JAPAN_HOURS: i64 = 9;

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Statements that were begun, of whatever kind.
    pub statements: u64,
    /// Rows that were shown, or that may have been.
    pub rows: u64,
}

impl Counted {
    /// Both sums.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            statements: self.statements.saturating_add(other.statements),
            rows: self.rows.saturating_add(other.rows),
        }
    }
}

/// An hour since 1970 in Japan's time, so that a day is 24 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i64);

impl Hour {
    /// The hour of a time.
    pub fn of(now: Timestamp) -> Self {
        Self(now.0.div_euclid(HOUR_MS).saturating_add(JAPAN_HOURS))
    }

    /// Its day, counted from 1970.
    pub fn day(self) -> i64 {
        self.0.div_euclid(24)
    }
}

/// What one person did in one agreement, or a project's people together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Hours in which something was counted, in order.
    hours: Vec<(Hour, Counted)>,
    /// The minute that rows were last shown in, and how many. Not kept over a restart.
    minute: (i64, u64),
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Statements in an hour.
    StatementsPerHour,
    /// Rows shown in a day.
    RowsPerDay,
}

/// More than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// Of what.
    pub measure: Measure,
    /// How much there is now.
    pub now: u64,
    /// How much is usual: the past's median, or the floor.
    pub usual: u64,
}

/// What the past says of the present.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Usual,
    /// Recorded, and slowed.
    Unusual(Excess),
    /// Recorded, and suspended.
    Excessive(Excess),
}

/// Whose past it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// One person's.
    Person,
    /// A project's.
    Project,
}

/// The agreement's bounds on rows shown to one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowBounds {
    /// In a minute.
    pub per_minute: u64,
    /// In a day of Japan's.
    pub per_day: u64,
}

/// May rows be shown?
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// At most so many.
    Allow(u64),
    /// The minute's are used up: more in so many seconds.
    NextMinute(u64),
    /// The day's are used up: more after Japan's midnight.
    Tomorrow,
}

impl Usage {
    /// From what was kept, in whatever order.
    pub fn new(mut hours: Vec<(Hour, Counted)>) -> Self {
        hours.sort_by_key(|(hour, _)| *hour);
        Self {
            hours,
            minute: (0, 0),
        }
    }

    /// Adds to the present hour; gives what that hour has now. Hours that the past no longer needs are
    /// forgotten.
    pub fn add(&mut self, now: Timestamp, more: Counted) -> (Hour, Counted) {
        // A clock that was set back counts into the last hour there is: nothing is free twice.
        let last = self.hours.last().map(|(hour, _)| *hour);
        let hour = Hour::of(now).max(last.unwrap_or(Hour(i64::MIN)));
        let oldest = hour.0.saturating_sub(PAST_KEPT_HOURS);
        self.hours.retain(|(hour, _)| hour.0 >= oldest);
        if last != Some(hour) {
            self.hours.push((hour, Counted::default()));
        }
        let minute = now.0.div_euclid(MINUTE_MS);
        if minute > self.minute.0 {
            self.minute = (minute, 0);
        }
        self.minute.1 = self.minute.1.saturating_add(more.rows);
        match self.hours.last_mut() {
            Some((_, counted)) => {
                *counted = counted.plus(more);
                (hour, *counted)
            }
            None => (hour, more),
        }
    }

    /// Takes rows back that were allowed and not shown; gives the hour they were counted in, where that is
    /// still the last one: an older one stays as it is.
    pub fn give_back(&mut self, from: Hour, rows: u64) -> Option<(Hour, Counted)> {
        let (hour, counted) = self.hours.last_mut().filter(|(hour, _)| *hour == from)?;
        counted.rows = counted.rows.saturating_sub(rows);
        self.minute.1 = self.minute.1.saturating_sub(rows);
        Some((*hour, *counted))
    }

    /// How many of the rows that are wanted may be shown.
    pub fn rows(&self, now: Timestamp, wanted: u64, bounds: RowBounds) -> Rows {
        let today = self.today(Hour::of(now)).rows;
        let left_today = bounds.per_day.saturating_sub(today);
        if left_today == 0 {
            return Rows::Tomorrow;
        }
        let minute = now.0.div_euclid(MINUTE_MS);
        let this_minute = match self.minute {
            (last, rows) if last >= minute => rows,
            _ => 0,
        };
        let left_now = bounds.per_minute.saturating_sub(this_minute);
        if left_now == 0 {
            let ms = MINUTE_MS.saturating_sub(now.0.rem_euclid(MINUTE_MS));
            let seconds = u64::try_from(ms).unwrap_or(0).div_ceil(1000);
            return Rows::NextMinute(seconds.max(1));
        }
        Rows::Allow(wanted.min(left_today).min(left_now))
    }

    fn today(&self, hour: Hour) -> Counted {
        let today = hour.day();
        let counted = self.hours.iter().filter(|(hour, _)| hour.day() >= today);
        counted.fold(Counted::default(), |sum, (_, counted)| sum.plus(*counted))
    }

    /// What the past says of the present, the worse of the two measures.
    pub fn judge(&self, now: Timestamp, whose: Whose) -> Verdict {
        let hour = Hour::of(now);
        let this_hour = self.hours.last().filter(|(last, _)| *last >= hour);
        let this_hour = this_hour.map_or(0, |(_, counted)| counted.statements);
        let (mut busiest, mut rows) = (Vec::new(), Vec::new());
        for (statements, shown) in self.past_days(hour.day()) {
            busiest.push(statements);
            rows.push(shown);
        }
        let measures = [
            (
                Measure::StatementsPerHour,
                this_hour,
                busiest,
                STATEMENTS_FLOOR,
            ),
            (Measure::RowsPerDay, self.today(hour).rows, rows, ROWS_FLOOR),
        ];
        let mut verdict = Verdict::Usual;
        for (measure, now, past, floor) in measures {
            let floor = match whose {
                Whose::Person => floor,
                Whose::Project => floor.saturating_mul(PROJECT_FLOORS),
            };
            let usual = median(past).max(floor);
            let excess = Excess {
                measure,
                now,
                usual,
            };
            let is_beyond = |times: u64| now > usual.saturating_mul(times);
            if is_beyond(EXCESSIVE) && whose == Whose::Person {
                return Verdict::Excessive(excess);
            }
            if is_beyond(UNUSUAL) && verdict == Verdict::Usual {
                verdict = Verdict::Unusual(excess);
            }
        }
        verdict
    }

    /// Of each of the last days before `today` on which there was work, the statements of its busiest hour and
    /// all its rows.
    fn past_days(&self, today: i64) -> Vec<(u64, u64)> {
        let mut days: Vec<(i64, u64, u64)> = Vec::new();
        for (hour, counted) in self.hours.iter().rev() {
            let day = hour.day();
            if day >= today {
                continue;
            }
            let is_full = days.len() == PAST_DAYS;
            match days.last_mut() {
                Some((last, busiest, rows)) if *last == day => {
                    *busiest = (*busiest).max(counted.statements);
                    *rows = rows.saturating_add(counted.rows);
                }
                _ if is_full => break,
                _ => days.push((day, counted.statements, counted.rows)),
            }
        }
        days.into_iter()
            .map(|(_, busiest, rows)| (busiest, rows))
            .collect()
    }
}

/// The middle one, the lower of two; 0 of none.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Tuesday noon in Japan.
    const NOON: Timestamp = Timestamp(1_795_489_200_000);
    const DAY_MS: i64 = 24 * HOUR_MS;
    const BOUNDS: RowBounds = RowBounds {
        per_minute: 100,
        per_day: 250,
    };

    fn statements(statements: u64) -> Counted {
        Counted {
            statements,
            rows: 0,
        }
    }

    fn rows(rows: u64) -> Counted {
        Counted {
            statements: 0,
            rows,
        }
    }

    /// Somebody who did the same at noon on so many days before.
    fn past(days: i64, each: Counted) -> Usage {
        let mut usage = Usage::default();
        for day in (1..=days).rev() {
            let _ = usage.add(NOON.plus_ms(-day * DAY_MS), each);
        }
        usage
    }

    #[test]
    fn rows_are_bounded_by_the_minute_and_by_the_day() {
        let mut usage = Usage::default();
        assert_eq!(usage.rows(NOON, 500, BOUNDS), Rows::Allow(100));
        let _ = usage.add(NOON, rows(100));
        let half = NOON.plus_ms(30_000);
        assert_eq!(usage.rows(half, 1, BOUNDS), Rows::NextMinute(30));
        let next = NOON.plus_ms(MINUTE_MS);
        assert_eq!(usage.rows(next, 30, BOUNDS), Rows::Allow(30));
        let _ = usage.add(next, rows(100));
        let later = NOON.plus_ms(2 * HOUR_MS);
        assert_eq!(usage.rows(later, 500, BOUNDS), Rows::Allow(50));
        let _ = usage.add(later, rows(50));
        assert_eq!(
            usage.rows(later.plus_ms(HOUR_MS), 1, BOUNDS),
            Rows::Tomorrow
        );
        assert_eq!(
            usage.rows(NOON.plus_ms(DAY_MS), 500, BOUNDS),
            Rows::Allow(100)
        );
    }

    #[test]
    fn day_begins_at_midnight_in_japan() {
        let mut usage = Usage::default();
        let _ = usage.add(NOON, rows(250));
        let midnight = NOON.plus_ms(12 * HOUR_MS);
        assert_eq!(usage.rows(midnight.plus_ms(-1), 1, BOUNDS), Rows::Tomorrow);
        assert_eq!(usage.rows(midnight, 1, BOUNDS), Rows::Allow(1));
    }

    #[test]
    fn clock_set_back_gives_no_rows_twice() {
        let mut usage = Usage::default();
        let _ = usage.add(NOON, rows(250));
        for back in [MINUTE_MS, HOUR_MS, DAY_MS] {
            let earlier = NOON.plus_ms(-back);
            assert_eq!(usage.rows(earlier, 1, BOUNDS), Rows::Tomorrow, "{back}");
        }
        let (hour, counted) = usage.add(NOON.plus_ms(-DAY_MS), rows(1));
        assert_eq!((hour, counted.rows), (Hour::of(NOON), 251));
    }

    #[test]
    fn rows_not_shown_are_given_back_once() {
        let mut usage = Usage::default();
        let (hour, _) = usage.add(NOON, rows(100));
        assert_eq!(usage.give_back(hour, 90), Some((hour, rows(10))));
        assert_eq!(usage.rows(NOON, 500, BOUNDS), Rows::Allow(90));
        // In another hour they stay counted.
        let (later, _) = usage.add(NOON.plus_ms(HOUR_MS), rows(5));
        assert_eq!(usage.give_back(hour, 10), None);
        assert!(usage.give_back(later, 5).is_some());
    }

    #[test]
    fn first_busy_day_is_usual_up_to_the_floor() {
        let mut usage = Usage::default();
        let _ = usage.add(NOON, statements(UNUSUAL * STATEMENTS_FLOOR));
        assert_eq!(usage.judge(NOON, Whose::Person), Verdict::Usual);
        let _ = usage.add(NOON, statements(1));
        let excess = Excess {
            measure: Measure::StatementsPerHour,
            now: UNUSUAL * STATEMENTS_FLOOR + 1,
            usual: STATEMENTS_FLOOR,
        };
        assert_eq!(usage.judge(NOON, Whose::Person), Verdict::Unusual(excess));
        // The next hour is another one.
        let next = NOON.plus_ms(HOUR_MS);
        assert_eq!(usage.judge(next, Whose::Person), Verdict::Usual);
    }

    #[test]
    fn what_is_much_for_one_is_usual_for_who_always_does_it() {
        let much = 3 * STATEMENTS_FLOOR * UNUSUAL;
        let mut quiet = past(10, statements(10));
        let mut busy = past(10, statements(much));
        for usage in [&mut quiet, &mut busy] {
            let _ = usage.add(NOON, statements(much));
        }
        assert!(matches!(
            quiet.judge(NOON, Whose::Person),
            Verdict::Unusual(_)
        ));
        assert_eq!(busy.judge(NOON, Whose::Person), Verdict::Usual);
    }

    #[test]
    fn one_wild_day_does_not_become_the_measure() {
        let mut usage = past(9, rows(100));
        let _ = usage.add(NOON.plus_ms(-20 * HOUR_MS), rows(1_000_000));
        let _ = usage.add(NOON, rows(UNUSUAL * ROWS_FLOOR + 1));
        assert!(matches!(
            usage.judge(NOON, Whose::Person),
            Verdict::Unusual(Excess {
                measure: Measure::RowsPerDay,
                usual: ROWS_FLOOR,
                ..
            })
        ));
    }

    #[test]
    fn excess_suspends_a_person_and_nobody_for_the_project() {
        let mut usage = past(20, rows(ROWS_FLOOR));
        let _ = usage.add(NOON, rows(EXCESSIVE * ROWS_FLOOR + 1));
        assert!(matches!(
            usage.judge(NOON, Whose::Person),
            Verdict::Excessive(_)
        ));
        let _ = usage.add(NOON, rows(PROJECT_FLOORS * EXCESSIVE * ROWS_FLOOR));
        assert!(matches!(
            usage.judge(NOON, Whose::Project),
            Verdict::Unusual(_)
        ));
    }

    #[test]
    fn past_is_forgotten_when_it_is_too_long_ago() {
        let mut usage = past(1, statements(1));
        let _ = usage.add(
            NOON.plus_ms((PAST_KEPT_HOURS + 48) * HOUR_MS),
            statements(1),
        );
        assert_eq!(usage.hours.len(), 1);
    }

    #[test]
    fn kept_hours_are_the_same_in_any_order() {
        let mut usage = past(5, rows(7));
        let _ = usage.add(NOON, rows(1));
        let mut kept = usage.hours.clone();
        kept.reverse();
        let again = Usage::new(kept);
        assert_eq!(again.hours, usage.hours);
        assert_eq!(
            again.judge(NOON, Whose::Person),
            usage.judge(NOON, Whose::Person)
        );
    }
}
