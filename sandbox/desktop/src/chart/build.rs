//! From columns to what is drawn.

mod curve;
mod rows;
#[cfg(test)]
mod tests;

use kekkai_output::FigureKind;

use crate::chart::bins::float;
use crate::chart::data::{Gap, Source, Values};
use crate::chart::plot::{Axis, Mark, NAMES_MAX, POINTS_MAX, Plot, SERIES_MAX, Series, Warning};
use crate::chart::spec::{Need, Role, Spec, needs_numbers, roles};
use crate::chart::survival::SurvivalError;

/// Why nothing is drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A column that the kind needs is not chosen.
    #[error("no column is chosen for {0:?}")]
    NotChosen(Role),
    /// A column that was chosen is not in this result.
    #[error("there is no column \"{0}\"")]
    NoColumn(String),
    /// The column holds names where numbers are needed.
    #[error("column \"{0}\" holds no numbers")]
    NoNumbers(String),
    /// No curve can be computed.
    #[error("series \"{series}\": {error}")]
    Survival {
        /// Of which series.
        series: String,
        /// Why.
        #[source]
        error: SurvivalError,
    },
    /// The result is empty, or everything in it is withheld.
    #[error("there is nothing to draw")]
    Nothing,
}

type Numbers = Vec<Result<f64, Gap>>;

/// A series' name and its rows.
type Group = (String, Vec<usize>);

/// Computes a chart.
pub fn build(source: &Source<'_>, spec: &Spec) -> Result<Plot, BuildError> {
    for (role, need) in roles(spec.kind, source.is_rows()) {
        if *need == Need::Must && !spec.columns.contains_key(role) {
            return Err(BuildError::NotChosen(*role));
        }
    }
    if source.is_empty() {
        return Err(BuildError::Nothing);
    }
    let input = Input { source, spec };
    let mut plot = match spec.kind {
        FigureKind::Bar if source.is_rows() => rows::counted(&input),
        FigureKind::Bar | FigureKind::Line | FigureKind::Scatter => points(&input),
        FigureKind::Histogram if source.is_rows() => rows::binned(&input),
        FigureKind::Histogram => edges(&input),
        FigureKind::Box if source.is_rows() => rows::boxed(&input),
        FigureKind::Box | FigureKind::Forest => intervals(&input),
        FigureKind::KaplanMeier => curve::survival(&input),
    }?;
    let withheld = source.groups_withheld();
    if withheld > 0 {
        plot.warnings.push(Warning::GroupsWithheld(withheld));
    }
    if plot
        .series
        .iter()
        .all(|series| series.marks.iter().all(|mark| mark.y.is_err()))
    {
        return Err(BuildError::Nothing);
    }
    Ok(plot)
}

struct Input<'a> {
    source: &'a Source<'a>,
    spec: &'a Spec,
}

impl Input<'_> {
    fn values(&self, role: Role) -> Result<Option<Values>, BuildError> {
        let is_known = roles(self.spec.kind, self.source.is_rows())
            .iter()
            .any(|(known, _)| *known == role);
        let Some(name) = self.spec.columns.get(&role).filter(|_| is_known) else {
            return Ok(None);
        };
        let column = self.source.column(name);
        let column = column.ok_or_else(|| BuildError::NoColumn(name.clone()))?;
        let is_number = matches!(column.values, Values::Numbers(_))
            || (role == Role::X && matches!(column.values, Values::Dates(_)));
        let is_flag = self.source.is_rows() && role == Role::Events;
        if needs_numbers(self.spec.kind, role) && !is_number && !is_flag {
            return Err(BuildError::NoNumbers(name.clone()));
        }
        Ok(Some(column.values))
    }

    /// A column of numbers, where it is chosen.
    fn numbers(&self, role: Role) -> Result<Option<Numbers>, BuildError> {
        Ok(self.values(role)?.map(|values| match values {
            Values::Numbers(numbers) | Values::Dates(numbers) => numbers,
            Values::Names { names, at } => at
                .into_iter()
                .map(|at| flag(names.get(at?).map_or("", String::as_str)).ok_or(Gap::Missing))
                .collect(),
        }))
    }

    fn needed(&self, role: Role) -> Result<Numbers, BuildError> {
        self.numbers(role)?.ok_or(BuildError::NotChosen(role))
    }

    /// Rows by series, in the order in which they come first.
    fn groups(&self, warnings: &mut Vec<Warning>) -> Result<Vec<Group>, BuildError> {
        let all = || (0..self.source.len()).collect();
        let Some(values) = self.values(Role::Group)? else {
            return Ok(vec![(String::new(), all())]);
        };
        let (names, at) = values.into_names();
        let total = names.len();
        let mut groups: Vec<Group> = names.into_iter().map(|name| (name, Vec::new())).collect();
        let mut unnamed = 0_usize;
        for (row, at) in at.into_iter().enumerate() {
            match at.ok().and_then(|at| groups.get_mut(at)) {
                Some((_, rows)) => rows.push(row),
                None => unnamed = unnamed.saturating_add(1),
            }
        }
        if unnamed > 0 {
            warnings.push(Warning::Missing(unnamed));
        }
        if total > SERIES_MAX {
            warnings.push(Warning::Series(SERIES_MAX, total));
            groups.truncate(SERIES_MAX);
        }
        Ok(groups)
    }

    /// The places of rows, and what stands at the axis. Bars, boxes and studies have names.
    fn places(&self, warnings: &mut Vec<Warning>) -> Result<(Axis, Numbers), BuildError> {
        let values = self.values(Role::X)?;
        let Some(values) = values else {
            let all = vec![Ok(0.0); self.source.len()];
            return Ok((Axis::Names(vec![String::new()]), all));
        };
        let is_named = matches!(
            self.spec.kind,
            FigureKind::Bar | FigureKind::Box | FigureKind::Forest
        );
        if !is_named {
            match values {
                Values::Numbers(numbers) => return Ok((Axis::Numbers { is_log: false }, numbers)),
                Values::Dates(days) => return Ok((Axis::Dates, days)),
                Values::Names { .. } => {}
            }
        }
        let (mut names, at) = values.into_names();
        let total = names.len();
        if total > NAMES_MAX {
            warnings.push(Warning::Names(NAMES_MAX, total));
            names.truncate(NAMES_MAX);
        }
        let places = at.into_iter().map(|at| at.map(float)).collect();
        Ok((Axis::Names(names), places))
    }

    /// The axis of values.
    fn value_axis(&self, automatic: bool) -> Axis {
        Axis::Numbers {
            is_log: self.spec.is_log.unwrap_or(automatic),
        }
    }
}

/// `1`, `true`: an event.
fn flag(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "1" => Some(1.0),
        "false" | "f" | "no" | "0" => Some(0.0),
        _ => None,
    }
}

fn get(numbers: &[Result<f64, Gap>], row: usize) -> Result<f64, Gap> {
    numbers.get(row).copied().unwrap_or(Err(Gap::Missing))
}

/// Both ends, where both are known.
fn ends(low: Option<&Numbers>, high: Option<&Numbers>, row: usize) -> Option<(f64, f64)> {
    Some((get(low?, row).ok()?, get(high?, row).ok()?))
}

/// Counts gaps.
#[derive(Default)]
struct Gaps {
    withheld: usize,
    missing: usize,
    not_positive: usize,
    several: usize,
}

impl Gaps {
    fn count(&mut self, gap: Gap) {
        let counter = match gap {
            Gap::Withheld => &mut self.withheld,
            Gap::Missing => &mut self.missing,
        };
        *counter = counter.saturating_add(1);
    }

    /// Takes note of marks that are drawn as gaps.
    fn look(&mut self, marks: &[Mark], is_log: bool) {
        for mark in marks {
            match mark.y {
                Err(gap) => self.count(gap),
                Ok(y) if is_log && y <= 0.0 => {
                    self.not_positive = self.not_positive.saturating_add(1);
                }
                Ok(_) => {}
            }
        }
    }

    fn say(self, warnings: &mut Vec<Warning>) {
        if self.withheld > 0 {
            warnings.push(Warning::Withheld(self.withheld));
        }
        if self.missing > 0 {
            warnings.push(Warning::Missing(self.missing));
        }
        if self.not_positive > 0 {
            warnings.push(Warning::NotPositive(self.not_positive));
        }
        if self.several > 0 {
            warnings.push(Warning::Several(self.several));
        }
    }
}

/// Bars, lines and points: a mark for each row.
fn points(input: &Input<'_>) -> Result<Plot, BuildError> {
    let mut warnings = Vec::new();
    let kind = input.spec.kind;
    let (x, places) = input.places(&mut warnings)?;
    let values = input.needed(Role::Y)?;
    let (low, high) = (input.numbers(Role::Low)?, input.numbers(Role::High)?);
    let y = input.value_axis(false);
    let is_log = y == Axis::Numbers { is_log: true };
    let mut gaps = Gaps::default();
    let mut series = Vec::new();
    let mut room = POINTS_MAX;
    let mut points: usize = 0;
    for (name, rows) in input.groups(&mut warnings)? {
        points = points.saturating_add(rows.len());
        let mut marks = Vec::new();
        for row in rows.into_iter().take(room) {
            match get(&places, row) {
                Ok(place) if !is_outside(&x, place) => marks.push(Mark {
                    interval: ends(low.as_ref(), high.as_ref(), row),
                    ..Mark::new(place, get(&values, row))
                }),
                Ok(_) => {}
                Err(gap) => gaps.count(gap),
            }
        }
        room = room.saturating_sub(marks.len());
        if kind != FigureKind::Scatter {
            // Stable: of two rows at one place, the statement's order stays.
            marks.sort_by(|a, b| a.x.total_cmp(&b.x));
            let twice = marks
                .windows(2)
                .filter(|pair| matches!(pair, [a, b] if a.x == b.x))
                .count();
            // Lines of rows have many points at one place, and nothing is wrong with that.
            if !input.source.is_rows() {
                gaps.several = gaps.several.saturating_add(twice);
            }
        }
        gaps.look(&marks, is_log);
        series.push(Series { name, marks });
    }
    if points > POINTS_MAX {
        warnings.push(Warning::Points(POINTS_MAX, points));
    }
    gaps.say(&mut warnings);
    Ok(Plot {
        kind,
        x,
        y,
        series,
        warnings,
    })
}

/// A name beyond those that are drawn.
fn is_outside(axis: &Axis, place: f64) -> bool {
    matches!(axis, Axis::Names(names) if place >= float(names.len()))
}

/// Boxes and studies: a value between two others.
fn intervals(input: &Input<'_>) -> Result<Plot, BuildError> {
    let low = input.needed(Role::Low)?;
    let high = input.needed(Role::High)?;
    let values = input.needed(Role::Y)?;
    let mut plot = points(input)?;
    // An estimate whose interval is withheld would look more certain than the others.
    for series in &mut plot.series {
        for mark in &mut series.marks {
            if mark.y.is_ok() && mark.interval.is_none() {
                mark.y = Err(Gap::Withheld);
            }
        }
    }
    let mut lost: usize = 0;
    for (row, value) in values.iter().enumerate() {
        let is_cut = get(&low, row).is_err() || get(&high, row).is_err();
        lost = lost.saturating_add(usize::from(value.is_ok() && is_cut));
    }
    if lost > 0 {
        match plot.warnings.iter_mut().find_map(|warning| match warning {
            Warning::Withheld(count) => Some(count),
            _ => None,
        }) {
            Some(count) => *count = count.saturating_add(lost),
            None => plot.warnings.push(Warning::Withheld(lost)),
        }
    }
    if input.spec.kind == FigureKind::Forest {
        let all_positive = values
            .iter()
            .chain(&low)
            .chain(&high)
            .flatten()
            .all(|n| *n > 0.0);
        let Axis::Names(names) = plot.x else {
            return Err(BuildError::Nothing);
        };
        plot.y = Axis::Names(names);
        plot.x = input.value_axis(all_positive);
    }
    Ok(plot)
}

/// A histogram of a statistic: lower edges, upper ones or the next lower one, heights.
fn edges(input: &Input<'_>) -> Result<Plot, BuildError> {
    let high = input.numbers(Role::High)?;
    let lows = input.needed(Role::X)?;
    let mut plot = points(input)?;
    let mut known: Vec<f64> = lows.iter().copied().flatten().collect();
    known.sort_by(f64::total_cmp);
    known.dedup();
    // Without upper edges, a bin is as wide as the narrowest step: an empty group makes no bin wider.
    let step = known
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Some(b - a),
            _ => None,
        })
        .fold(f64::INFINITY, f64::min);
    let step = if step.is_finite() { step } else { 1.0 };
    let ends: std::collections::BTreeMap<u64, f64> = high
        .iter()
        .flatten()
        .zip(&lows)
        .filter_map(|(high, low)| Some(((*low).ok()?.to_bits(), (*high).ok()?)))
        .collect();
    for series in &mut plot.series {
        for mark in &mut series.marks {
            let told = ends.get(&mark.x.to_bits()).copied();
            mark.x_end = Some(told.filter(|end| *end > mark.x).unwrap_or(mark.x + step));
            mark.interval = None;
        }
    }
    Ok(plot)
}
