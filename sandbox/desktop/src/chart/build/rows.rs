//! Charts of rows: each row is one person's, or one event's, and is counted here.

use kekkai_output::FigureKind;

use super::{BuildError, Gaps, Input, get, is_outside};
use crate::chart::bins::{self, float};
use crate::chart::data::Values;
use crate::chart::plot::{Axis, Mark, NAMES_MAX, Plot, Series};
use crate::chart::spec::Role;

/// Bars of rows: how many there are of each name.
pub(super) fn counted(input: &Input<'_>) -> Result<Plot, BuildError> {
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
pub(super) fn binned(input: &Input<'_>) -> Result<Plot, BuildError> {
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

/// Boxes of rows.
pub(super) fn boxed(input: &Input<'_>) -> Result<Plot, BuildError> {
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
