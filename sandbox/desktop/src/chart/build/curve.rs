//! Curves of survival.

use kekkai_output::FigureKind;

use super::{BuildError, Gaps, Input, Numbers, ends, get};
use crate::chart::bins::float;
use crate::chart::plot::{Axis, Mark, Plot, Series, Warning};
use crate::chart::spec::Role;
use crate::chart::survival::{Count, kaplan_meier};

/// Curves of survival: as computed elsewhere, or from counts, or from rows.
pub(super) fn survival(input: &Input<'_>) -> Result<Plot, BuildError> {
    if !input.spec.has_survival() {
        return Err(BuildError::NotChosen(Role::Events));
    }
    let mut warnings = Vec::new();
    let times = input.needed(Role::X)?;
    let events = input.numbers(Role::Events)?;
    let told = input.numbers(Role::Y)?;
    let columns = Columns {
        times,
        events,
        at_risk: input.numbers(Role::AtRisk)?,
        censored: input.numbers(Role::Censored)?,
        survival: told,
        low: input.numbers(Role::Low)?,
        high: input.numbers(Role::High)?,
    };
    let mut gaps = Gaps::default();
    let mut series = Vec::new();
    for (name, rows) in input.groups(&mut warnings)? {
        let mut marks = vec![Mark {
            interval: Some((1.0, 1.0)),
            ..Mark::new(0.0, Ok(1.0))
        }];
        if columns.survival.is_some() {
            marks.extend(columns.told(&rows, &mut gaps));
            marks.sort_by(|a, b| a.x.total_cmp(&b.x));
            gaps.look(&marks, false);
        } else {
            let counts = columns.counts(&rows, input.source.is_rows(), &mut gaps);
            let curve = kaplan_meier(&counts).map_err(|error| BuildError::Survival {
                series: name.clone(),
                error,
            })?;
            marks.extend(curve.steps.iter().map(|step| Mark {
                interval: Some((step.lower, step.upper)),
                at_risk: Some(step.at_risk),
                is_censored: step.censored > 0.0,
                ..Mark::new(step.time, Ok(step.survival))
            }));
            if let Some((time, gap)) = curve.ends {
                let series = name.clone();
                warnings.push(Warning::CurveEnds { series, time, gap });
            }
            if let Some(first) = marks.first_mut() {
                first.at_risk = curve.at_risk(0.0);
            }
        }
        series.push(Series { name, marks });
    }
    gaps.say(&mut warnings);
    Ok(Plot {
        kind: FigureKind::KaplanMeier,
        x: Axis::Numbers { is_log: false },
        y: Axis::Numbers { is_log: false },
        series,
        warnings,
    })
}

/// The columns of a curve.
struct Columns {
    times: Numbers,
    events: Option<Numbers>,
    at_risk: Option<Numbers>,
    censored: Option<Numbers>,
    survival: Option<Numbers>,
    low: Option<Numbers>,
    high: Option<Numbers>,
}

impl Columns {
    /// Survival that somebody computed.
    fn told(&self, rows: &[usize], gaps: &mut Gaps) -> Vec<Mark> {
        let survival = self.survival.as_deref().unwrap_or_default();
        let mut marks = Vec::new();
        for row in rows {
            match get(&self.times, *row) {
                Ok(time) => marks.push(Mark {
                    interval: ends(self.low.as_ref(), self.high.as_ref(), *row),
                    at_risk: self.at_risk.as_deref().and_then(|n| get(n, *row).ok()),
                    ..Mark::new(time, get(survival, *row))
                }),
                Err(gap) => gaps.count(gap),
            }
        }
        marks
    }

    fn counts(&self, rows: &[usize], are_persons: bool, gaps: &mut Gaps) -> Vec<Count> {
        let events = self.events.as_deref().unwrap_or_default();
        if !are_persons {
            let mut counts = Vec::new();
            for row in rows {
                match get(&self.times, *row) {
                    Ok(time) => counts.push(Count {
                        time,
                        events: get(events, *row),
                        censored: self.censored.as_deref().map(|n| get(n, *row)),
                        at_risk: self.at_risk.as_deref().map(|n| get(n, *row)),
                    }),
                    Err(gap) => gaps.count(gap),
                }
            }
            return counts;
        }
        // Each row is one person: with an event at the end of their time, or without.
        let mut persons: Vec<(f64, bool)> = Vec::new();
        for row in rows {
            match (get(&self.times, *row), get(events, *row)) {
                (Ok(time), Ok(event)) => persons.push((time, event != 0.0)),
                (Err(gap), _) | (_, Err(gap)) => gaps.count(gap),
            }
        }
        persons.sort_by(|a, b| a.0.total_cmp(&b.0));
        persons
            .chunk_by(|a, b| a.0 == b.0)
            .filter_map(|same| {
                let events = same.iter().filter(|(_, event)| *event).count();
                Some(Count {
                    time: same.first()?.0,
                    events: Ok(float(events)),
                    censored: Some(Ok(float(same.len().saturating_sub(events)))),
                    at_risk: None,
                })
            })
            .collect()
    }
}
