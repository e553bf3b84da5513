//! From columns to what is drawn.

use kekkai_output::FigureKind;

use crate::chart::bins::{self, float};
use crate::chart::data::{Gap, Source, Values};
use crate::chart::plot::{Axis, Mark, NAMES_MAX, POINTS_MAX, Plot, SERIES_MAX, Series, Warning};
use crate::chart::spec::{Need, Role, Spec, needs_numbers, roles};
use crate::chart::survival::{Count, SurvivalError, kaplan_meier};

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
        FigureKind::Bar if source.is_rows() => counted(&input),
        FigureKind::Bar | FigureKind::Line | FigureKind::Scatter => points(&input),
        FigureKind::Histogram if source.is_rows() => binned(&input),
        FigureKind::Histogram => edges(&input),
        FigureKind::Box if source.is_rows() => boxed(&input),
        FigureKind::Box | FigureKind::Forest => intervals(&input),
        FigureKind::KaplanMeier => survival(&input),
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

/// Bars of rows: how many there are of each name.
fn counted(input: &Input<'_>) -> Result<Plot, BuildError> {
    let mut warnings = Vec::new();
    let (x, places) = input.places(&mut warnings)?;
    let mut gaps = Gaps::default();
    let mut series = Vec::new();
    for (name, rows) in input.groups(&mut warnings)? {
        let mut counts = std::collections::BTreeMap::new();
        for row in rows {
            match get(&places, row) {
                Ok(place) if !is_outside(&x, place) => {
                    let count = counts
                        .entry(bins::floor_to(place, NAMES_MAX))
                        .or_insert(0.0);
                    *count += 1.0;
                }
                Ok(_) => {}
                Err(gap) => gaps.count(gap),
            }
        }
        let marks = counts
            .into_iter()
            .map(|(place, count)| Mark::new(float(place), Ok(count)))
            .collect();
        series.push(Series { name, marks });
    }
    gaps.say(&mut warnings);
    Ok(Plot {
        kind: FigureKind::Bar,
        x,
        y: input.value_axis(false),
        series,
        warnings,
    })
}

/// A histogram of rows. All series have the same bins, so that they can be compared.
fn binned(input: &Input<'_>) -> Result<Plot, BuildError> {
    let mut warnings = Vec::new();
    let values = input.needed(Role::X)?;
    let is_date = matches!(input.values(Role::X)?, Some(Values::Dates(_)));
    let all: Vec<f64> = values.iter().copied().flatten().collect();
    let wanted = match input.spec.bins {
        0 => bins::suggest(&all),
        wanted => usize::from(wanted),
    };
    let edges = bins::bins(&all, wanted);
    let mut gaps = Gaps::default();
    let mut series = Vec::new();
    for (name, rows) in input.groups(&mut warnings)? {
        let mut marks: Vec<Mark> = edges
            .iter()
            .map(|bin| Mark {
                x_end: Some(bin.high),
                ..Mark::new(bin.low, Ok(0.0))
            })
            .collect();
        for row in rows {
            match get(&values, row) {
                Ok(value) => {
                    // The last bin with this lower edge: as `bins` has it.
                    let at = edges.partition_point(|bin| bin.low <= value);
                    let mark = marks.get_mut(at.saturating_sub(1));
                    if let Some(Mark { y: Ok(count), .. }) = mark {
                        *count += 1.0;
                    }
                }
                Err(gap) => gaps.count(gap),
            }
        }
        series.push(Series { name, marks });
    }
    gaps.say(&mut warnings);
    Ok(Plot {
        kind: FigureKind::Histogram,
        x: if is_date {
            Axis::Dates
        } else {
            Axis::Numbers { is_log: false }
        },
        y: Axis::Numbers { is_log: false },
        series,
        warnings,
    })
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

/// Boxes of rows.
fn boxed(input: &Input<'_>) -> Result<Plot, BuildError> {
    let mut warnings = Vec::new();
    let values = input.needed(Role::Y)?;
    let (x, places) = input.places(&mut warnings)?;
    let mut gaps = Gaps::default();
    let mut series = Vec::new();
    for (name, rows) in input.groups(&mut warnings)? {
        let mut held: std::collections::BTreeMap<usize, Vec<f64>> = Default::default();
        for row in rows {
            match (get(&places, row), get(&values, row)) {
                (Ok(place), Ok(value)) if !is_outside(&x, place) => held
                    .entry(bins::floor_to(place, NAMES_MAX))
                    .or_default()
                    .push(value),
                (Ok(_), Ok(_)) => {}
                (Err(gap), _) | (_, Err(gap)) => gaps.count(gap),
            }
        }
        let marks = held
            .into_iter()
            .filter_map(|(place, values)| {
                let found = bins::quartiles(&values)?;
                Some(Mark {
                    interval: Some((found.low, found.high)),
                    whiskers: Some(found.whiskers),
                    ..Mark::new(float(place), Ok(found.median))
                })
            })
            .collect();
        series.push(Series { name, marks });
    }
    gaps.say(&mut warnings);
    Ok(Plot {
        kind: FigureKind::Box,
        x,
        y: input.value_axis(false),
        series,
        warnings,
    })
}

/// Curves of survival: as computed elsewhere, or from counts, or from rows.
fn survival(input: &Input<'_>) -> Result<Plot, BuildError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::data::tests::{rows, table};

    fn built(text: &str) -> Plot {
        let table = table(text);
        let source = Source::Table(&table);
        build(&source, &Spec::suggest(&source).unwrap()).unwrap()
    }

    #[test]
    fn withheld_bar_is_a_gap_that_is_said() {
        let plot = built("ward!, n\na, 120\nb, *\nc, \n");
        let heights: Vec<_> = plot.series[0].marks.iter().map(|m| m.y).collect();
        assert_eq!(heights, [Ok(120.0), Err(Gap::Withheld), Err(Gap::Missing)]);
        assert_eq!(plot.warnings, [Warning::Withheld(1), Warning::Missing(1)]);
    }

    #[test]
    fn withheld_groups_are_said() {
        let mut table = table("ward!, n\na, 120\nb, 30\n");
        table.groups_withheld = 3;
        let source = Source::Table(&table);
        let plot = build(&source, &Spec::suggest(&source).unwrap()).unwrap();
        assert_eq!(plot.warnings, [Warning::GroupsWithheld(3)]);
    }

    #[test]
    fn lines_are_sorted_by_place_and_split_by_group() {
        let plot =
            built("month!, sex!, n\n2024-03, f, 3\n2024-01, f, 1\n2024-01, m, 7\n2024-02, f, *\n");
        assert_eq!((plot.kind, &plot.x), (FigureKind::Line, &Axis::Dates));
        let names: Vec<&str> = plot.series.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["f", "m"]);
        let y: Vec<_> = plot.series[0].marks.iter().map(|m| m.y).collect();
        assert_eq!(y, [Ok(1.0), Err(Gap::Withheld), Ok(3.0)]);
    }

    #[test]
    fn two_rows_at_one_place_are_said() {
        let table = table("month!, sex!, n\n1, f, 3\n2, f, 1\n1, m, 7\n");
        let source = Source::Table(&table);
        let mut spec = Spec::of(FigureKind::Line, &source).unwrap();
        spec.columns.remove(&Role::Group);
        let plot = build(&source, &spec).unwrap();
        assert_eq!(plot.warnings, [Warning::Several(1)]);
    }

    #[test]
    fn estimate_without_its_interval_is_not_drawn() {
        let plot = built("drug!, ratio, lower, upper\na, 1.2, 0.9, 1.6\nb, 0.7, *, 0.9\n");
        assert_eq!(plot.kind, FigureKind::Forest);
        assert_eq!(plot.x, Axis::Numbers { is_log: true });
        assert_eq!(plot.y, Axis::Names(vec!["a".into(), "b".into()]));
        assert_eq!(plot.series[0].marks[0].interval, Some((0.9, 1.6)));
        assert_eq!(plot.series[0].marks[1].y, Err(Gap::Withheld));
        assert_eq!(plot.warnings, [Warning::Withheld(1)]);
        // Differences have no logarithm.
        let plot = built("drug!, coef, lower, upper\na, 0.2, -0.1, 0.5\n");
        assert_eq!(plot.x, Axis::Numbers { is_log: false });
    }

    #[test]
    fn survival_of_the_fixture_comes_from_events_and_censored_alone() {
        let csv: String = include_str!("../../fixtures/leukemia-lifelines.csv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let cells: Vec<&str> = line.split(',').take(4).collect();
                let cells = cells.join(",");
                format!("{}\n", cells.replace("arm,week,", "arm!,week!,"))
            })
            .collect();
        let plot = built(&csv);
        assert_eq!(plot.kind, FigureKind::KaplanMeier);
        assert_eq!(plot.series.len(), 2);
        let last = plot.series[0].marks.last().unwrap();
        assert!((last.y.unwrap() - 0.448_179_271_7).abs() < 1e-9, "{last:?}");
        assert_eq!(plot.series[0].marks[0].at_risk, Some(21.0));
        assert!(plot.warnings.is_empty());
    }

    #[test]
    fn survival_behind_a_withheld_count_is_not_drawn() {
        let plot = built("week!, events, at_risk\n1, 10, 200\n2, *, 180\n3, 12, 150\n");
        assert_eq!(plot.series[0].marks.len(), 2);
        assert_eq!(
            plot.warnings,
            [Warning::CurveEnds {
                series: String::new(),
                time: 2.0,
                gap: Gap::Withheld
            }]
        );
    }

    #[test]
    fn bins_of_a_statistic_are_as_wide_as_the_narrowest_step() {
        let table = table("age!, n\n20, 12\n25, 20\n40, 11\n");
        let source = Source::Table(&table);
        let plot = build(&source, &Spec::of(FigureKind::Histogram, &source).unwrap()).unwrap();
        let ends: Vec<_> = plot.series[0]
            .marks
            .iter()
            .map(|m| (m.x, m.x_end))
            .collect();
        assert_eq!(
            ends,
            [(20.0, Some(25.0)), (25.0, Some(30.0)), (40.0, Some(45.0))]
        );
    }

    #[test]
    fn rows_are_counted_binned_and_boxed() {
        let rows = rows();
        let source = Source::Rows(&rows);
        let build = |kind| build(&source, &Spec::of(kind, &source).unwrap()).unwrap();
        let bars = build(FigureKind::Bar);
        let heights: Vec<_> = bars.series[0].marks.iter().map(|m| (m.x, m.y)).collect();
        assert_eq!(heights, [(0.0, Ok(2.0)), (1.0, Ok(1.0))]);
        assert_eq!(bars.warnings, [Warning::Missing(1)]);
        let bins = build(FigureKind::Histogram);
        // One row names no group; it is said, and in no bin.
        assert_eq!(bins.warnings[0], Warning::Missing(1));
        let total: f64 = bins.series[0].marks.iter().map(|m| m.y.unwrap()).sum();
        assert_eq!(total, 2.0);
        let boxes = build(FigureKind::Box);
        assert_eq!(boxes.series[0].marks[0].y, Ok(65.5));
        assert_eq!(boxes.series[0].marks[0].whiskers, Some((61.0, 70.0)));
    }

    #[test]
    fn what_is_missing_is_named() {
        let table = table("sex!, n\nf, 1\n");
        let source = Source::Table(&table);
        let error = |spec: &Spec| build(&source, spec).unwrap_err();
        let mut spec = Spec::new(FigureKind::Scatter);
        assert_eq!(error(&spec), BuildError::NotChosen(Role::X));
        spec.columns.insert(Role::X, "sex".into());
        spec.columns.insert(Role::Y, "n".into());
        assert_eq!(error(&spec), BuildError::NoNumbers("sex".into()));
        spec.columns.insert(Role::X, "age".into());
        assert_eq!(error(&spec), BuildError::NoColumn("age".into()));
        let mut spec = Spec::new(FigureKind::KaplanMeier);
        spec.columns.insert(Role::X, "n".into());
        assert_eq!(error(&spec), BuildError::NotChosen(Role::Events));
    }

    #[test]
    fn everything_withheld_is_nothing_to_draw() {
        let table = table("ward!, n\na, *\n");
        let source = Source::Table(&table);
        let spec = Spec::of(FigureKind::Bar, &source).unwrap();
        assert_eq!(build(&source, &spec), Err(BuildError::Nothing));
    }
}
