//! Figures whose points have names: bars, boxes, forests.

use kekkai_output::{Figure, FigureKind, Series};

use crate::canvas::{Anchor, Canvas, FAINT, INK, Pen, cut};
use crate::frame::{self, LEFT, Legend, PLOT_HEIGHT, RIGHT, WIDTH};
use crate::scale::{Range, Scale};

/// Names of groups that can be read side by side; more are turned.
const UPRIGHT_MAX: usize = 8;
/// Names of groups that fit when they are turned; of more, some are left out.
const NAMES_MAX: usize = 48;
/// Share of a group's place that its bars fill.
const FILLED: f64 = 0.8;
/// Height of a study's row in a forest, in pixels.
const STUDY: f64 = 22.0;
/// Room for the names of studies.
const STUDY_NAMES: f64 = 220.0;

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of points: far below 2^52"
)]
fn float(count: usize) -> f64 {
    count as f64
}

/// Names of all groups, in the order in which series name them first.
fn groups(figure: &Figure) -> Vec<&str> {
    let mut seen = std::collections::BTreeSet::new();
    let labels = figure.series.iter().flat_map(|series| &series.labels);
    labels
        .map(String::as_str)
        .filter(|label| seen.insert(*label))
        .collect()
}

/// Bars or boxes, side by side for each group.
pub(crate) fn columns(figure: &Figure) -> String {
    let legend = Legend::of(figure);
    let (top, bottom) = (legend.top, legend.top + PLOT_HEIGHT);
    let numbers = figure
        .series
        .iter()
        .flat_map(|series| [&series.y, &series.low, &series.high])
        .flatten();
    let range = Range::of(numbers.copied()).unwrap_or(Range {
        low: 0.0,
        high: 1.0,
    });
    // Bars that don't begin at 0 mislead.
    let range = match figure.kind {
        FigureKind::Bar => range.with(0.0),
        _ => range,
    };
    let y = Scale::linear(range, (bottom, top));
    let groups = groups(figure);
    let is_turned = groups.len() > UPRIGHT_MAX;
    let under = if is_turned { 120.0 } else { 52.0 };
    let mut canvas = Canvas::new(WIDTH, bottom + under, &frame::title(figure));
    frame::vertical(&mut canvas, &y, &figure.y_label, top, bottom);
    let place = (WIDTH - RIGHT - LEFT) / float(groups.len().max(1));
    let index_of: std::collections::BTreeMap<&str, usize> = groups
        .iter()
        .enumerate()
        .map(|(index, name)| (*name, index))
        .collect();
    let wide = place * FILLED / float(figure.series.len().max(1));
    for (index, series) in figure.series.iter().enumerate() {
        let pen = Pen::of(index);
        for (point, label) in series.labels.iter().enumerate() {
            let group = index_of.get(label.as_str()).copied().unwrap_or(0);
            let left = LEFT + place * (float(group) + (1.0 - FILLED) / 2.0) + wide * float(index);
            column(
                &mut canvas,
                figure.kind,
                series,
                point,
                &y,
                (left, wide),
                pen,
            );
        }
    }
    canvas.line((LEFT, bottom), (WIDTH - RIGHT, bottom), INK, 1.0);
    let every = groups.len().div_ceil(NAMES_MAX).max(1);
    for (index, name) in groups.iter().enumerate().step_by(every) {
        let middle = LEFT + place * (float(index) + 0.5);
        if is_turned {
            let name = cut(name, 110.0);
            canvas.turned_text((middle + 4.0, bottom + 14.0), Anchor::End, &name, -45.0);
        } else {
            let name = cut(name, place - 4.0);
            canvas.text((middle, bottom + 18.0), Anchor::Middle, &name);
        }
    }
    frame::under(&mut canvas, &figure.x_label, LEFT, bottom + under - 10.0);
    legend.draw(&mut canvas);
    canvas.finish()
}

fn column(
    canvas: &mut Canvas,
    kind: FigureKind,
    series: &Series,
    point: usize,
    y: &Scale,
    (left, wide): (f64, f64),
    pen: Pen,
) {
    let Some(value) = series.y.get(point) else {
        return;
    };
    let interval = series.low.get(point).zip(series.high.get(point));
    let right = left + wide * 0.92;
    let middle = f64::midpoint(left, right);
    match (kind, interval) {
        (FigureKind::Box, Some((low, high))) => {
            canvas.rect((left, y.at(*low)), (right, y.at(*high)), pen, 0.25);
            canvas.line((left, y.at(*value)), (right, y.at(*value)), pen.colour, 3.0);
        }
        (_, interval) => {
            canvas.rect((left, y.at(0.0)), (right, y.at(*value)), pen, 0.8);
            if let Some((low, high)) = interval {
                canvas.line((middle, y.at(*low)), (middle, y.at(*high)), INK, 1.5);
                for end in [low, high] {
                    let end = y.at(*end);
                    canvas.line((middle - 4.0, end), (middle + 4.0, end), INK, 1.5);
                }
            }
        }
    }
}

/// One row for each study: its estimate and interval. Estimates that are all positive are taken for
/// ratios: a logarithmic axis, and a line at 1; others are differences, with a line at 0.
pub(crate) fn forest(figure: &Figure) -> String {
    let legend = Legend::of(figure);
    let top = legend.top;
    let studies: usize = figure.series.iter().map(|series| series.labels.len()).sum();
    let bottom = top + STUDY * float(studies.max(1)) + 8.0;
    let left = LEFT + STUDY_NAMES;
    let numbers = || {
        figure
            .series
            .iter()
            .flat_map(|series| [&series.x, &series.low, &series.high])
            .flatten()
            .copied()
    };
    let range = Range::of(numbers()).unwrap_or(Range {
        low: 0.5,
        high: 2.0,
    });
    let pixels = (left, WIDTH - RIGHT);
    let is_ratio = range.low > 0.0;
    let (x, neutral) = if is_ratio {
        (Scale::logarithmic(range.with(1.0), pixels), 1.0)
    } else {
        (Scale::linear(range.with(0.0), pixels), 0.0)
    };
    let mut canvas = Canvas::new(WIDTH, bottom + 52.0, &frame::title(figure));
    if x.holds(neutral) {
        let at = x.at(neutral);
        canvas.line((at, top), (at, bottom), FAINT, 2.0);
    }
    let mut row = 0.0;
    for (index, series) in figure.series.iter().enumerate() {
        let pen = Pen::of(index);
        for (point, label) in series.labels.iter().enumerate() {
            let y = top + STUDY * (row + 0.5);
            row += 1.0;
            let name = cut(label, LEFT + STUDY_NAMES - 24.0);
            canvas.text((12.0, y + 4.0), Anchor::Start, &name);
            if let Some((low, high)) = series.low.get(point).zip(series.high.get(point)) {
                canvas.line((x.at(*low), y), (x.at(*high), y), pen.colour, 1.5);
            }
            if let Some(estimate) = series.x.get(point) {
                let at = x.at(*estimate);
                canvas.rect((at - 4.0, y - 4.0), (at + 4.0, y + 4.0), pen, 1.0);
            }
        }
    }
    frame::horizontal(&mut canvas, &x, left, bottom);
    frame::under(&mut canvas, &figure.x_label, left, bottom + 42.0);
    canvas.text(
        (12.0, bottom + 42.0),
        Anchor::Start,
        &cut(&figure.y_label, STUDY_NAMES),
    );
    legend.draw(&mut canvas);
    canvas.finish()
}
