//! What stands around the marks: title, legend, axes, numbers at risk.

use egui::{Align2, Pos2, Stroke, pos2, vec2};
use kekkai_output::FigureKind;

use super::{Sheet, points};
use crate::chart::bins::{float, floor_to};
use crate::chart::plot::Axis;
use crate::chart::scale::value_words;
use crate::chart::words;

const LINE: f32 = 18.0;
/// Room for the names of a forest's rows and of curves, in points.
const ROW_NAMES_MAX: f32 = 220.0;
/// Room for estimates in words at a forest's right side.
const ESTIMATES: f32 = 150.0;
/// Points that a forest's row takes at most.
const STUDY_MAX: f32 = 44.0;
/// Points that one name under an axis needs at least; of more names, some are left out.
const NAME_MIN: f32 = 34.0;

impl Sheet<'_> {
    /// Draws everything but the marks, and finds the area for those.
    pub(super) fn frame(&mut self) {
        if !self.labels.title.is_empty() {
            let galley = self.layout(
                self.labels.title,
                &egui::FontId::proportional(15.0),
                self.ink.text,
                self.area.width(),
            );
            self.painter.galley(self.area.min, galley, self.ink.text);
            self.inset(0.0, 26.0, 0.0, 0.0);
        }
        self.legend();
        if self.plot.kind == FigureKind::Forest {
            self.forest();
        } else {
            self.axes();
        }
    }

    /// A line and a name for each series, over as many rows as are needed.
    fn legend(&mut self) {
        if self.plot.series.len() < 2 {
            return;
        }
        let (left, right) = (self.area.left(), self.area.right());
        let mut at = self.area.min;
        for (index, series) in self.plot.series.iter().enumerate() {
            let pen = self.pen(index);
            let name = self.layout(&series.name, &self.ink.small, self.ink.text, 240.0);
            let width = name.size().x + 44.0;
            if at.x + width > right && at.x > left {
                at = pos2(left, at.y + LINE);
            }
            let middle = at.y + LINE / 2.0;
            let ends = [pos2(at.x, middle), pos2(at.x + 24.0, middle)];
            match self.plot.kind {
                FigureKind::Line | FigureKind::KaplanMeier => {
                    self.dashed(&self.painter, &ends, pen, 2.0);
                }
                FigureKind::Scatter | FigureKind::Forest => {
                    self.dot(&self.painter, pos2(at.x + 12.0, middle), pen, 4.0);
                }
                _ => {
                    let swatch =
                        egui::Rect::from_center_size(pos2(at.x + 12.0, middle), vec2(18.0, 10.0));
                    self.painter.rect_filled(swatch, 2.0, pen.colour);
                }
            }
            let place = pos2(at.x + 30.0, middle - name.size().y / 2.0);
            self.painter.galley(place, name, self.ink.text);
            at.x += width;
        }
        let used = at.y + LINE - self.area.top();
        self.inset(0.0, used + 6.0, 0.0, 0.0);
    }

    fn axes(&mut self) {
        // The vertical axis' words stand above it.
        if !self.labels.y.is_empty() {
            self.words(
                self.area.min,
                Align2::LEFT_TOP,
                self.labels.y,
                self.ink.weak,
                self.area.width(),
            );
        }
        let risk = self.risk_rows();
        let under = LINE * (2.0 + risk);
        let wanted = floor_to(f64::from(self.area.height() / 52.0), 12).max(2);
        let ticks = self.y.ticks(wanted);
        let widest = ticks
            .iter()
            .map(|(_, text)| self.width_of(text))
            .fold(0.0, f32::max);
        let names = if risk > 0.0 {
            self.widest_series()
        } else {
            0.0
        };
        self.inset(
            (widest + 10.0).max(names + 10.0),
            LINE + 4.0,
            12.0,
            under + 8.0,
        );
        for (value, text) in &ticks {
            let Some(y) = self.at_y(*value).filter(|_| self.y.holds(*value)) else {
                continue;
            };
            self.guide(pos2(self.area.left(), y), pos2(self.area.right(), y));
            let at = pos2(self.area.left() - 8.0, y);
            self.words(at, Align2::RIGHT_CENTER, text, self.ink.weak, 120.0);
        }
        self.horizontal();
        let baseline = Stroke::new(1.0, self.ink.text);
        let bottom = self.area.left_bottom();
        self.painter
            .line_segment([bottom, self.area.right_bottom()], baseline);
        if risk > 0.0 {
            self.risk_table();
        }
    }

    fn horizontal(&self) {
        let bottom = self.area.bottom();
        match &self.plot.x {
            Axis::Names(names) => {
                let slot = self.area.width() / points(float(names.len().max(1)));
                let every = floor_to(f64::from((NAME_MIN / slot).ceil()), names.len()).max(1);
                let room = slot * points(float(every)) - 6.0;
                for (index, name) in names.iter().enumerate().step_by(every) {
                    let Some(x) = self.at_x(float(index)) else {
                        continue;
                    };
                    let at = pos2(x, bottom + 5.0);
                    self.words(
                        at,
                        Align2::CENTER_TOP,
                        name,
                        self.ink.weak,
                        room.max(NAME_MIN),
                    );
                }
            }
            axis => {
                let wanted = floor_to(f64::from(self.area.width() / 90.0), 14).max(2);
                let ticks = match axis {
                    Axis::Dates => self.x.date_ticks(wanted),
                    _ => self.x.ticks(wanted),
                };
                for (value, text) in ticks {
                    let Some(x) = self.at_x(value).filter(|_| self.x.holds(value)) else {
                        continue;
                    };
                    self.tick(x);
                    let at = pos2(x, bottom + 6.0);
                    self.words(at, Align2::CENTER_TOP, &text, self.ink.weak, 120.0);
                }
            }
        }
        let at = pos2(self.area.center().x, bottom + LINE + 7.0);
        self.words(
            at,
            Align2::CENTER_TOP,
            self.labels.x,
            self.ink.weak,
            self.area.width(),
        );
    }

    fn tick(&self, x: f32) {
        let (from, to) = (self.area.bottom(), self.area.bottom() + 4.0);
        let stroke = Stroke::new(1.0, self.ink.text);
        self.painter.vline(x, from..=to, stroke);
    }

    fn width_of(&self, text: &str) -> f32 {
        self.layout(text, &self.ink.small, self.ink.text, f32::INFINITY)
            .size()
            .x
    }

    fn widest_series(&self) -> f32 {
        let names = self
            .plot
            .series
            .iter()
            .map(|series| self.width_of(&series.name));
        names.fold(0.0, f32::max).min(ROW_NAMES_MAX)
    }

    /// Lines that the numbers at risk take; 0 where nobody knows them.
    fn risk_rows(&self) -> f32 {
        let is_known = self.plot.kind == FigureKind::KaplanMeier
            && self
                .plot
                .series
                .iter()
                .any(|series| series.marks.iter().any(|mark| mark.at_risk.is_some()));
        if is_known {
            points(float(self.plot.series.len())) + 1.2
        } else {
            0.0
        }
    }

    /// Persons at risk at the axis' ticks, a line for each curve.
    fn risk_table(&self) {
        let wanted = floor_to(f64::from(self.area.width() / 90.0), 14).max(2);
        let ticks = self.x.ticks(wanted);
        let mut y = self.area.bottom() + LINE * 2.2;
        let title = words::RISK_TABLE.get(self.labels.lang);
        self.words(
            pos2(self.area.left(), y),
            Align2::LEFT_TOP,
            title,
            self.ink.weak,
            300.0,
        );
        for (index, series) in self.plot.series.iter().enumerate() {
            y += LINE;
            let pen = self.pen(index);
            let name = pos2(self.area.left() - 12.0, y);
            self.words(
                name,
                Align2::RIGHT_TOP,
                &series.name,
                pen.colour,
                ROW_NAMES_MAX,
            );
            for (value, _) in &ticks {
                let Some(x) = self.at_x(*value).filter(|_| self.x.holds(*value)) else {
                    continue;
                };
                // Those at risk at a time are those at risk just before the next step.
                let next = series.marks.iter().find(|mark| mark.x >= *value);
                let text = next
                    .and_then(|mark| mark.at_risk)
                    .map_or("–".to_owned(), value_words);
                self.words(pos2(x, y), Align2::CENTER_TOP, &text, self.ink.text, 80.0);
            }
        }
    }

    /// A forest's rows have names at the left and their estimates in words at the right.
    fn forest(&mut self) {
        let Axis::Names(names) = &self.plot.y else {
            return;
        };
        let names_wide = names
            .iter()
            .map(|name| self.width_of(name))
            .fold(40.0, f32::max);
        self.inset(
            names_wide.min(ROW_NAMES_MAX) + 14.0,
            LINE,
            ESTIMATES,
            LINE * 2.0 + 6.0,
        );
        // Few rows stay close to each other: the eye goes from name to estimate.
        let high = STUDY_MAX * points(float(names.len()));
        self.area.max.y = self.area.max.y.min(self.area.top() + high);
        let slot = self.area.height() / points(float(names.len().max(1)));
        let every = floor_to(f64::from((14.0 / slot).ceil()), names.len()).max(1);
        for (index, name) in names.iter().enumerate().step_by(every) {
            let Some(y) = self.at_y(float(index)) else {
                continue;
            };
            let at = pos2(self.area.left() - 14.0, y);
            self.words(at, Align2::RIGHT_CENTER, name, self.ink.text, ROW_NAMES_MAX);
        }
        let wanted = floor_to(f64::from(self.area.width() / 80.0), 12).max(2);
        for (value, text) in self.x.ticks(wanted) {
            let Some(x) = self.at_x(value).filter(|_| self.x.holds(value)) else {
                continue;
            };
            self.guide(pos2(x, self.area.top()), pos2(x, self.area.bottom()));
            self.tick(x);
            let at = pos2(x, self.area.bottom() + 6.0);
            self.words(at, Align2::CENTER_TOP, &text, self.ink.weak, 80.0);
        }
        let is_log = matches!(self.plot.x, Axis::Numbers { is_log: true });
        let neutral = if is_log { 1.0 } else { 0.0 };
        if let Some(x) = self.at_x(neutral).filter(|_| self.x.holds(neutral)) {
            let stroke = Stroke::new(1.5, self.ink.weak);
            self.painter
                .vline(x, self.area.top()..=self.area.bottom(), stroke);
        }
        let baseline = Stroke::new(1.0, self.ink.text);
        let ends: [Pos2; 2] = [self.area.left_bottom(), self.area.right_bottom()];
        self.painter.line_segment(ends, baseline);
        let at = pos2(self.area.center().x, self.area.bottom() + LINE + 7.0);
        self.words(
            at,
            Align2::CENTER_TOP,
            self.labels.x,
            self.ink.weak,
            self.area.width(),
        );
        if !self.labels.y.is_empty() {
            let at = pos2(self.area.left() - 14.0, self.area.top() - LINE);
            self.words(
                at,
                Align2::RIGHT_TOP,
                self.labels.y,
                self.ink.weak,
                ROW_NAMES_MAX,
            );
        }
    }
}
