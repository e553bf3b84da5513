//! The marks themselves.

use egui::{Align2, Color32, Painter, Pos2, Rect, Stroke, StrokeKind, pos2, vec2};
use kekkai_output::FigureKind;

use super::{Sheet, Spot, points};
use crate::chart::bins::float;
use crate::chart::data::Gap;
use crate::chart::pens::{Dot, Pen};
use crate::chart::plot::{Axis, Mark, Series};
use crate::chart::scale::value_words;

/// Share of a name's place that its bars fill.
const FILLED: f32 = 0.78;
/// The widest bar, in points.
const BAR_MAX: f32 = 64.0;
/// Points over which dots are small and square.
const SMALL_FROM: usize = 2_000;

impl Sheet<'_> {
    /// Draws all marks and says where each lies.
    pub(super) fn marks(&self) -> Vec<Spot> {
        let painter = self.painter.with_clip_rect(self.area.expand(2.0));
        let mut spots = Vec::new();
        for (index, series) in self.plot.series.iter().enumerate() {
            match self.plot.kind {
                FigureKind::Bar | FigureKind::Box => {
                    self.columns(&painter, index, series, &mut spots);
                }
                FigureKind::Histogram => self.bins(&painter, index, series, &mut spots),
                FigureKind::Scatter => self.scatter(&painter, index, series, &mut spots),
                FigureKind::Line => self.line(&painter, index, series, &mut spots),
                FigureKind::KaplanMeier => self.curve(&painter, index, series, &mut spots),
                FigureKind::Forest => self.studies(&painter, index, series, &mut spots),
            }
        }
        spots
    }

    /// Left and right of a series' column at a name.
    fn column(&self, place: f64, index: usize) -> Option<(f32, f32)> {
        let names = match &self.plot.x {
            Axis::Names(names) => names.len(),
            _ => 1,
        };
        let slot = self.area.width() / points(float(names.max(1)));
        let count = points(float(self.plot.series.len().max(1)));
        let wide = (slot * FILLED / count).min(BAR_MAX);
        let middle = self.at_x(place)?;
        let left = middle - wide * count / 2.0 + wide * points(float(index));
        Some((left, left + (wide * 0.94).max(1.0)))
    }

    fn floor(&self) -> f32 {
        self.at_y(0.0)
            .filter(|_| self.y.holds(0.0))
            .unwrap_or_else(|| self.area.bottom())
    }

    fn columns(&self, painter: &Painter, index: usize, series: &Series, spots: &mut Vec<Spot>) {
        let pen = self.pen(index);
        for (at, mark) in series.marks.iter().enumerate() {
            let Some((left, right)) = self.column(mark.x, index) else {
                continue;
            };
            let rect = match mark.y {
                Err(gap) => self.gap(pos2(f32::midpoint(left, right), self.floor()), gap),
                Ok(value) => {
                    let Some(y) = self.at_y(value) else { continue };
                    if self.plot.kind == FigureKind::Box {
                        self.quartiles(painter, mark, (left, right), y, pen)
                    } else {
                        self.bar(painter, mark, value, (left, right), y, pen)
                    }
                }
            };
            spots.push(Spot {
                chosen: (index, at),
                rect,
            });
        }
    }

    fn bar(
        &self,
        painter: &Painter,
        mark: &Mark,
        value: f64,
        (left, right): (f32, f32),
        y: f32,
        pen: Pen,
    ) -> Rect {
        let rect = Rect::from_two_pos(pos2(left, self.floor()), pos2(right, y));
        painter.rect_filled(rect, 1.0, pen.colour);
        if let Some(ends) = mark.interval {
            self.whisker(painter, f32::midpoint(left, right), ends, self.ink.text);
        } else if right - left >= 30.0 {
            let above = pos2(rect.center().x, y.min(self.floor()) - 2.0);
            self.words(
                above,
                Align2::CENTER_BOTTOM,
                &value_words(value),
                self.ink.text,
                90.0,
            );
        }
        rect
    }

    fn quartiles(
        &self,
        painter: &Painter,
        mark: &Mark,
        (left, right): (f32, f32),
        median: f32,
        pen: Pen,
    ) -> Rect {
        let middle = f32::midpoint(left, right);
        if let Some(ends) = mark.whiskers {
            self.whisker(painter, middle, ends, pen.colour);
        }
        let place = |value| self.at_y(value).unwrap_or(median);
        let (low, high) = mark.interval.unwrap_or_default();
        let rect = Rect::from_two_pos(pos2(left, place(low)), pos2(right, place(high)));
        painter.rect_filled(rect, 1.0, self.ink.ground);
        painter.rect_filled(rect, 1.0, pen.colour.gamma_multiply(0.3));
        let edge = Stroke::new(1.5, pen.colour);
        painter.rect_stroke(rect, 1.0, edge, StrokeKind::Inside);
        painter.hline(left..=right, median, Stroke::new(3.0, pen.colour));
        rect
    }

    /// A vertical line with feet.
    fn whisker(&self, painter: &Painter, x: f32, (low, high): (f64, f64), colour: Color32) {
        let (Some(bottom), Some(top)) = (self.at_y(low), self.at_y(high)) else {
            return;
        };
        let stroke = Stroke::new(1.5, colour);
        painter.vline(x, top..=bottom, stroke);
        for y in [top, bottom] {
            painter.hline(x - 4.0..=x + 4.0, y, stroke);
        }
    }

    /// Says that something is not drawn here: a reader would take nothing for zero.
    fn gap(&self, foot: Pos2, gap: Gap) -> Rect {
        let sign = match gap {
            Gap::Withheld => "*",
            Gap::Missing => "–",
        };
        self.words(
            foot - vec2(0.0, 1.0),
            Align2::CENTER_BOTTOM,
            sign,
            self.ink.text,
            20.0,
        )
    }

    fn bins(&self, painter: &Painter, index: usize, series: &Series, spots: &mut Vec<Spot>) {
        let pen = self.pen(index);
        // Several series lie on each other: only their outlines can be told apart.
        let is_alone = self.plot.series.len() == 1;
        let mut outline: Vec<Pos2> = Vec::new();
        for (at, mark) in series.marks.iter().enumerate() {
            let end = mark.x_end.unwrap_or(mark.x);
            let (Some(left), Some(right)) = (self.at_x(mark.x), self.at_x(end)) else {
                continue;
            };
            let rect = match mark.y {
                Err(gap) => self.gap(pos2(f32::midpoint(left, right), self.floor()), gap),
                Ok(value) => {
                    let Some(y) = self.at_y(value) else { continue };
                    let rect = Rect::from_two_pos(pos2(left, self.floor()), pos2(right, y));
                    if is_alone {
                        let fill = pen.colour.gamma_multiply(0.85);
                        painter.rect_filled(rect.shrink2(vec2(0.5, 0.0)), 0.0, fill);
                    }
                    outline.extend([pos2(left, y), pos2(right, y)]);
                    rect
                }
            };
            if mark.y.is_err() && !is_alone {
                self.dashed(painter, &std::mem::take(&mut outline), pen, 2.0);
            }
            spots.push(Spot {
                chosen: (index, at),
                rect,
            });
        }
        if !is_alone {
            self.dashed(painter, &outline, pen, 2.0);
        }
    }

    fn scatter(&self, painter: &Painter, index: usize, series: &Series, spots: &mut Vec<Spot>) {
        let pen = self.pen(index);
        let is_many = series.marks.len() > SMALL_FROM;
        let faint = Pen {
            colour: pen.colour.gamma_multiply(0.65),
            ..pen
        };
        for (at, mark) in series.marks.iter().enumerate() {
            let Some(place) = mark.y.ok().and_then(|y| self.at(mark.x, y)) else {
                continue;
            };
            if is_many {
                painter.rect_filled(
                    Rect::from_center_size(place, vec2(2.0, 2.0)),
                    0.0,
                    pen.colour,
                );
            } else {
                self.dot(painter, place, faint, 3.5);
            }
            spots.push(spot(index, at, place));
        }
    }

    pub(super) fn dot(&self, painter: &Painter, at: Pos2, pen: Pen, radius: f32) {
        let shape =
            |corners: Vec<Pos2>| egui::Shape::convex_polygon(corners, pen.colour, Stroke::NONE);
        match pen.dot {
            Dot::Circle => {
                painter.circle_filled(at, radius, pen.colour);
            }
            Dot::Square => {
                let size = egui::Vec2::splat(radius * 1.8);
                painter.rect_filled(Rect::from_center_size(at, size), 0.0, pen.colour);
            }
            Dot::Triangle => {
                let corners = [(0.0, -1.3), (1.2, 0.9), (-1.2, 0.9)];
                painter.add(shape(around(at, radius, &corners)));
            }
            Dot::Diamond => {
                let corners = [(0.0, -1.4), (1.4, 0.0), (0.0, 1.4), (-1.4, 0.0)];
                painter.add(shape(around(at, radius, &corners)));
            }
        }
    }

    fn line(&self, painter: &Painter, index: usize, series: &Series, spots: &mut Vec<Spot>) {
        let pen = self.pen(index);
        let has_dots = series.marks.len() <= 80;
        // A gap ends a line: nothing is drawn across what is withheld.
        for run in series.marks.chunk_by(|a, b| a.y.is_ok() && b.y.is_ok()) {
            self.band(painter, run, pen, false);
            let path: Vec<Pos2> = run
                .iter()
                .filter_map(|mark| self.at(mark.x, mark.y.ok()?))
                .collect();
            if path.len() > 1 {
                self.dashed(painter, &path, pen, 2.0);
            }
            for place in &path {
                if has_dots || path.len() == 1 {
                    self.dot(painter, *place, pen, 3.0);
                }
            }
        }
        for (at, mark) in series.marks.iter().enumerate() {
            match mark.y {
                Ok(y) => spots.extend(self.at(mark.x, y).map(|place| spot(index, at, place))),
                Err(gap) => {
                    let Some(x) = self.at_x(mark.x) else { continue };
                    // Series that are withheld at one place stand beside each other.
                    let aside = points(float(index)) * 8.0;
                    let foot = pos2(x + aside, self.area.bottom());
                    let sign = self.gap(foot, gap);
                    spots.push(Spot {
                        chosen: (index, at),
                        rect: sign,
                    });
                }
            }
        }
    }

    fn curve(&self, painter: &Painter, index: usize, series: &Series, spots: &mut Vec<Spot>) {
        let pen = self.pen(index);
        for run in series.marks.chunk_by(|a, b| a.y.is_ok() && b.y.is_ok()) {
            self.band(painter, run, pen, true);
            let path: Vec<Pos2> = run
                .iter()
                .filter_map(|mark| self.at(mark.x, mark.y.ok()?))
                .collect();
            self.dashed(painter, &stairs(&path), pen, 2.0);
            for (mark, place) in run.iter().zip(&path) {
                if mark.is_censored {
                    let stroke = Stroke::new(1.5, pen.colour);
                    painter.vline(place.x, place.y - 5.0..=place.y + 5.0, stroke);
                }
            }
        }
        for (at, mark) in series.marks.iter().enumerate() {
            let place = mark.y.ok().and_then(|y| self.at(mark.x, y));
            spots.extend(place.map(|place| spot(index, at, place)));
        }
    }

    /// The area between lower and upper ends, piece by piece: a band need not be convex.
    fn band(&self, painter: &Painter, run: &[Mark], pen: Pen, is_stairs: bool) {
        let fill = pen.colour.gamma_multiply(0.14);
        for pair in run.windows(2) {
            let [a, b] = pair else { continue };
            let (Some(from), Some(to)) = (a.interval, b.interval) else {
                continue;
            };
            let to = if is_stairs { from } else { to };
            let corners = [
                self.at(a.x, from.0),
                self.at(a.x, from.1),
                self.at(b.x, to.1),
                self.at(b.x, to.0),
            ];
            if let Some(corners) = corners.into_iter().collect::<Option<Vec<Pos2>>>() {
                // Without antialiasing's feathers: neighbours would overlap in a darker line.
                let mut mesh = egui::Mesh::default();
                for corner in &corners {
                    mesh.colored_vertex(*corner, fill);
                }
                mesh.add_triangle(0, 1, 2);
                mesh.add_triangle(0, 2, 3);
                painter.add(mesh);
            }
        }
    }

    fn studies(&self, painter: &Painter, index: usize, series: &Series, spots: &mut Vec<Spot>) {
        let pen = self.pen(index);
        for (at, mark) in series.marks.iter().enumerate() {
            let Some(row) = self.at_y(mark.x) else {
                continue;
            };
            // Several series of one row stand above each other.
            let count = points(float(self.plot.series.len()));
            let y = row + (points(float(index)) - (count - 1.0) / 2.0) * 9.0;
            let at_right = pos2(self.area.right() + 14.0, y);
            match (mark.y, mark.interval) {
                (Ok(value), Some((low, high))) => {
                    let (Some(x), Some(left), Some(right)) =
                        (self.at_x(value), self.at_x(low), self.at_x(high))
                    else {
                        continue;
                    };
                    painter.hline(left..=right, y, Stroke::new(1.5, pen.colour));
                    let marker = Pen {
                        dot: Dot::Square,
                        ..pen
                    };
                    let marker = if count > 1.0 { pen } else { marker };
                    self.dot(painter, pos2(x, y), marker, 4.5);
                    let [value, low, high] = [value, low, high].map(two_decimals);
                    let text = format!("{value} ({low}–{high})");
                    self.words(at_right, Align2::LEFT_CENTER, &text, self.ink.text, 140.0);
                    spots.push(Spot {
                        chosen: (index, at),
                        rect: Rect::from_two_pos(pos2(left, y - 4.0), pos2(right, y + 4.0)),
                    });
                }
                _ => {
                    let gap = mark.y.err().unwrap_or(Gap::Withheld);
                    let text = crate::chart::words::gap(gap, self.labels.lang);
                    let rect =
                        self.words(at_right, Align2::LEFT_CENTER, text, self.ink.weak, 140.0);
                    spots.push(Spot {
                        chosen: (index, at),
                        rect,
                    });
                }
            }
        }
    }
}

/// As papers write estimates.
fn two_decimals(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(0.005..1e4).contains(&size) {
        return value_words(number);
    }
    format!("{number:.2}")
}

fn spot(series: usize, at: usize, place: Pos2) -> Spot {
    Spot {
        chosen: (series, at),
        rect: Rect::from_center_size(place, vec2(6.0, 6.0)),
    }
}

fn around(at: Pos2, radius: f32, corners: &[(f32, f32)]) -> Vec<Pos2> {
    corners
        .iter()
        .map(|(x, y)| at + vec2(x * radius, y * radius))
        .collect()
}

/// A line that keeps its height until the next point.
fn stairs(path: &[Pos2]) -> Vec<Pos2> {
    let mut stairs: Vec<Pos2> = Vec::with_capacity(path.len().saturating_mul(2));
    for place in path {
        if let Some(before) = stairs.last() {
            stairs.push(pos2(place.x, before.y));
        }
        stairs.push(*place);
    }
    stairs
}
