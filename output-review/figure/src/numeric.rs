//! Figures with numbers on both axes: lines, points, histograms, survival curves.

use kekkai_output::{Figure, FigureKind, Series};

use crate::canvas::{Canvas, Pen};
use crate::frame::{self, LEFT, Legend, PLOT_HEIGHT, RIGHT, WIDTH};
use crate::scale::{Range, Scale};

/// Room for ticks and words under the horizontal axis.
const BOTTOM: f64 = 52.0;

/// One of a series' lists.
type List = fn(&Series) -> &Vec<f64>;

pub(crate) fn draw(figure: &Figure) -> String {
    let legend = Legend::of(figure);
    let (top, bottom) = (legend.top, legend.top + PLOT_HEIGHT);
    let horizontal: &[List] = match figure.kind {
        FigureKind::Histogram => &[|s| &s.low, |s| &s.high],
        _ => &[|s| &s.x],
    };
    let vertical: &[List] = match figure.kind {
        FigureKind::Histogram => &[|s| &s.y],
        _ => &[|s| &s.y, |s| &s.low, |s| &s.high],
    };
    let x = range(figure, horizontal);
    let y = range(figure, vertical);
    let (x, y) = match figure.kind {
        // A curve of survival begins with everybody at time 0.
        FigureKind::KaplanMeier => (x.with(0.0), y.with(0.0).with(1.0)),
        // Bars that don't begin at 0 mislead.
        FigureKind::Histogram => (x, y.with(0.0)),
        _ => (x, y),
    };
    let x = Scale::linear(x, (LEFT, WIDTH - RIGHT));
    let y = Scale::linear(y, (bottom, top));
    let mut canvas = Canvas::new(WIDTH, bottom + BOTTOM, &frame::title(figure));
    frame::vertical(&mut canvas, &y, &figure.y_label, top, bottom);
    for (index, series) in figure.series.iter().enumerate() {
        let pen = Pen::of(index);
        match figure.kind {
            FigureKind::Scatter => {
                for (px, py) in points(&x, &y, &series.x, &series.y) {
                    canvas.dot((px, py), pen, 3.0);
                }
            }
            FigureKind::Histogram => {
                let edges = series.low.iter().zip(&series.high);
                for ((low, high), height) in edges.zip(&series.y) {
                    let corner = (x.at(*low), y.at(0.0));
                    canvas.rect(corner, (x.at(*high), y.at(*height)), pen, 0.5);
                }
            }
            FigureKind::KaplanMeier => {
                // At time 0 everybody lives, without doubt.
                let curve = |heights: &[f64]| {
                    let mut curve = vec![(x.at(0.0), y.at(1.0))];
                    curve.extend(points(&x, &y, &series.x, heights));
                    steps(&curve)
                };
                if !series.low.is_empty() {
                    let mut band = curve(&series.high);
                    band.extend(curve(&series.low).into_iter().rev());
                    canvas.area(&band, pen);
                }
                canvas.polyline(&curve(&series.y), pen);
            }
            _ => {
                let mut band = points(&x, &y, &series.x, &series.high);
                band.extend(points(&x, &y, &series.x, &series.low).into_iter().rev());
                if !band.is_empty() {
                    canvas.area(&band, pen);
                }
                let line = points(&x, &y, &series.x, &series.y);
                canvas.polyline(&line, pen);
                // A line of one point is invisible.
                if let [only] = line.as_slice() {
                    canvas.dot(*only, pen, 3.0);
                }
            }
        }
    }
    frame::horizontal(&mut canvas, &x, LEFT, bottom);
    frame::under(&mut canvas, &figure.x_label, LEFT, bottom + 42.0);
    legend.draw(&mut canvas);
    canvas.finish()
}

fn range(figure: &Figure, lists: &[List]) -> Range {
    let numbers = figure
        .series
        .iter()
        .flat_map(|series| lists.iter().flat_map(move |list| list(series)));
    Range::of(numbers.copied()).unwrap_or(Range {
        low: 0.0,
        high: 1.0,
    })
}

fn points(x: &Scale, y: &Scale, xs: &[f64], ys: &[f64]) -> Vec<(f64, f64)> {
    xs.iter()
        .zip(ys)
        .map(|(px, py)| (x.at(*px), y.at(*py)))
        .collect()
}

/// A curve that keeps its height until the next point.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut stairs: Vec<(f64, f64)> = Vec::with_capacity(points.len().saturating_mul(2));
    for &(x, y) in points {
        if let Some(&(_, before)) = stairs.last() {
            stairs.push((x, before));
        }
        stairs.push((x, y));
    }
    stairs
}
