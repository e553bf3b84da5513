//! Counting what sessions do, before they do it (R8): the bounds on rows, and what is more than usual.

use std::collections::{BTreeMap, BTreeSet};

use kekkai_policy::{
    Counted, Excess, Hour, Measure, ROWS_PER_DAY_DEFAULT, ROWS_PER_MINUTE_DEFAULT, RowBounds, Rows,
    Usage, Verdict, Whose,
};
use kekkai_policy_api::Event;
use kekkai_types::{AgreementId, JobId, PersonId, Refusal, SessionId, Timestamp};

use super::{State, stored};
use crate::store::{Store, StoreError};

/// How long a statement of somebody waits who uses more than usual, in milliseconds.
pub(super) const SLOWED_MS: u64 = 2_000;
/// Statements are kept on disk each time so many more were counted: a crash forgets fewer than that. Rows are
/// kept before any is shown.
const KEPT_EVERY: u64 = 16;

/// What is counted at hand; the database has the hours.
#[derive(Default)]
pub(super) struct Counts {
    people: BTreeMap<(AgreementId, PersonId), Usage>,
    projects: BTreeMap<AgreementId, Usage>,
    /// Rows that were allowed and whose number is not known yet.
    shown: BTreeMap<(SessionId, JobId), (Hour, u64)>,
    /// What the ledger says already of this hour or day.
    told: BTreeSet<(AgreementId, Option<PersonId>, &'static str, i64)>,
    /// Whom staff put back, on which day: on that day they are slowed, not suspended again.
    lifted: BTreeMap<(AgreementId, PersonId), i64>,
}

/// What follows from counting an event.
#[derive(Default)]
pub(super) struct Consequence {
    /// To be recorded beside it.
    pub(super) events: Vec<Event>,
    /// For rows: at most so many.
    pub(super) rows_max: Option<u64>,
    pub(super) wait_ms: u64,
    /// Who is suspended; the event itself is then refused.
    pub(super) suspended: Option<(AgreementId, PersonId)>,
}

impl Counts {
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        let mut people: BTreeMap<(AgreementId, PersonId), Vec<(Hour, Counted)>> = BTreeMap::new();
        let mut projects: BTreeMap<AgreementId, BTreeMap<Hour, Counted>> = BTreeMap::new();
        for (agreement, person, hour, counted) in store.used()? {
            let project = projects.entry(agreement.clone()).or_default();
            let sum = project.entry(hour).or_default();
            *sum = sum.plus(counted);
            people
                .entry((agreement, person))
                .or_default()
                .push((hour, counted));
        }
        Ok(Self {
            people: people
                .into_iter()
                .map(|(whose, hours)| (whose, Usage::new(hours)))
                .collect(),
            projects: projects
                .into_iter()
                .map(|(whose, hours)| (whose, Usage::new(hours.into_iter().collect())))
                .collect(),
            ..Self::default()
        })
    }

    /// Staff puts somebody back on the roster.
    pub(super) fn lift(&mut self, agreement: &AgreementId, person: &PersonId, now: Timestamp) {
        let whose = (agreement.clone(), person.clone());
        self.lifted.insert(whose, Hour::of(now).day());
    }
}

fn name(measure: Measure) -> &'static str {
    match measure {
        Measure::StatementsPerHour => "statements-per-hour",
        Measure::RowsPerDay => "rows-per-day",
    }
}

impl State {
    /// Counts an event that is about to be recorded. Rows get the number that is left of what they ask for.
    pub(super) fn count(
        &mut self,
        event: &mut Event,
        now: Timestamp,
    ) -> Result<Consequence, Refusal> {
        let mut consequence = Consequence::default();
        let (session, rows) = match event {
            // What programs ask within a run goes to nobody's eyes; their outputs are reviewed.
            Event::QueryStarted { session, .. } | Event::RunStarted { session, .. } => {
                (session.clone(), 0)
            }
            Event::RowsShown {
                session,
                job,
                rows_max,
                ..
            } => {
                let allowed = self.allowed(session, *rows_max, now)?;
                *rows_max = allowed;
                consequence.rows_max = Some(allowed);
                let shown = (session.clone(), job.clone());
                self.counts.shown.insert(shown, (Hour::of(now), allowed));
                (session.clone(), allowed)
            }
            Event::QueryEnded {
                session, job, rows, ..
            } => {
                let (session, job, rows) = (session.clone(), job.clone(), *rows);
                self.give_back(session, job, rows)?;
                return Ok(consequence);
            }
            _ => return Ok(consequence),
        };
        let Some(open) = self.sessions.get(&session) else {
            return Ok(consequence);
        };
        let (agreement, person) = (open.facts.agreement.clone(), open.facts.person.clone());
        let more = Counted {
            statements: 1,
            rows,
        };
        let whose = (agreement.clone(), person.clone());
        let usage = self.counts.people.entry(whose.clone()).or_default();
        let (hour, counted) = usage.add(now, more);
        let of_person = usage.judge(now, Whose::Person);
        let project = self.counts.projects.entry(agreement.clone()).or_default();
        project.add(now, more);
        let of_project = project.judge(now, Whose::Project);
        if rows > 0 || counted.statements % KEPT_EVERY == 1 {
            stored(self.store.put_used(&agreement, &person, hour, counted))?;
        }
        let is_lifted = self.counts.lifted.get(&whose) == Some(&Hour::of(now).day());
        match of_person {
            Verdict::Excessive(excess) if !is_lifted => {
                consequence.events.push(Event::UseSuspended {
                    session,
                    agreement,
                    person,
                    measure: name(excess.measure).to_owned(),
                    now: excess.now,
                    usual: excess.usual,
                });
                consequence.suspended = Some(whose);
                return Ok(consequence);
            }
            Verdict::Excessive(excess) | Verdict::Unusual(excess) => {
                self.slow(
                    &mut consequence,
                    &session,
                    &agreement,
                    Some(&person),
                    excess,
                    now,
                );
            }
            Verdict::Usual => {}
        }
        if let Verdict::Unusual(excess) | Verdict::Excessive(excess) = of_project {
            self.slow(&mut consequence, &session, &agreement, None, excess, now);
        }
        Ok(consequence)
    }

    /// How many of the wanted rows the agreement's bounds leave.
    fn allowed(&self, session: &SessionId, wanted: u64, now: Timestamp) -> Result<u64, Refusal> {
        let Some(open) = self.sessions.get(session) else {
            return Err(Refusal::not_found(session.as_str()));
        };
        let desktop = open.facts.terms.desktop;
        let bounds = RowBounds {
            per_minute: desktop
                .map_or(ROWS_PER_MINUTE_DEFAULT, |d| d.rows_per_minute)
                .into(),
            per_day: desktop
                .map_or(ROWS_PER_DAY_DEFAULT, |d| d.rows_per_day)
                .into(),
        };
        let whose = (open.facts.agreement.clone(), open.facts.person.clone());
        let none = Usage::default();
        let usage = self.counts.people.get(&whose).unwrap_or(&none);
        match usage.rows(now, wanted, bounds) {
            Rows::Allow(rows) => Ok(rows),
            Rows::NextMinute(seconds) => Err(Refusal::new("rows-minute-used", seconds.to_string())),
            Rows::Tomorrow => Err(Refusal::new("rows-day-used", bounds.per_day.to_string())),
        }
    }

    /// The number of rows is known: what was allowed beyond it is free again.
    fn give_back(&mut self, session: SessionId, job: JobId, rows: u64) -> Result<(), Refusal> {
        let Some((hour, allowed)) = self.counts.shown.remove(&(session.clone(), job)) else {
            return Ok(());
        };
        let unused = allowed.saturating_sub(rows);
        // Of a session that is over nothing is given back.
        let Some(open) = self.sessions.get(&session).filter(|_| unused > 0) else {
            return Ok(());
        };
        let (agreement, person) = (open.facts.agreement.clone(), open.facts.person.clone());
        if let Some(project) = self.counts.projects.get_mut(&agreement) {
            project.give_back(hour, unused);
        }
        let whose = (agreement, person);
        let given = self
            .counts
            .people
            .get_mut(&whose)
            .and_then(|usage| usage.give_back(hour, unused));
        match given {
            Some((hour, counted)) => stored(self.store.put_used(&whose.0, &whose.1, hour, counted)),
            None => Ok(()),
        }
    }

    fn slow(
        &mut self,
        consequence: &mut Consequence,
        session: &SessionId,
        agreement: &AgreementId,
        person: Option<&PersonId>,
        excess: Excess,
        now: Timestamp,
    ) {
        consequence.wait_ms = SLOWED_MS;
        let hour = Hour::of(now);
        let since = match excess.measure {
            Measure::StatementsPerHour => hour.0,
            Measure::RowsPerDay => hour.day(),
        };
        // Both count up, an hour's number being the larger one: old ones of either go.
        self.counts
            .told
            .retain(|(_, _, _, of)| *of == hour.0 || *of == hour.day());
        let measure = name(excess.measure);
        let told = (agreement.clone(), person.cloned(), measure, since);
        if self.counts.told.insert(told) {
            consequence.events.push(Event::UseUnusual {
                session: session.clone(),
                agreement: agreement.clone(),
                person: person.cloned(),
                measure: measure.to_owned(),
                now: excess.now,
                usual: excess.usual,
            });
        }
    }
}
