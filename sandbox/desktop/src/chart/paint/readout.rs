//! The values of the mark under the pointer, or of the one that the keyboard has reached.

use egui::{Align2, EventFilter, Key, Rect, Response, Stroke, StrokeKind, Ui, vec2};
use kekkai_output::FigureKind;

use super::{Chosen, Sheet, Spot};
use crate::chart::plot::{Mark, Plot};
use crate::chart::scale::value_words;
use crate::chart::words;

/// Left and right go from mark to mark, up and down from series to series.
pub(super) fn keys(ui: &Ui, response: &Response, plot: &Plot, chosen: &mut Option<Chosen>) {
    let filter = EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        ..EventFilter::default()
    };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    let pressed = |key| ui.input(|input| input.key_pressed(key));
    let (mut series, mut mark) = chosen.unwrap_or((0, 0));
    if chosen.is_some() {
        if pressed(Key::ArrowRight) {
            mark = mark.saturating_add(1);
        }
        if pressed(Key::ArrowLeft) {
            mark = mark.saturating_sub(1);
        }
        if pressed(Key::ArrowDown) {
            series = series.saturating_add(1);
        }
        if pressed(Key::ArrowUp) {
            series = series.saturating_sub(1);
        }
    }
    series = series.min(plot.series.len().saturating_sub(1));
    let marks = plot.series.get(series).map_or(0, |s| s.marks.len());
    *chosen = (marks > 0).then(|| (series, mark.min(marks.saturating_sub(1))));
}

impl Sheet<'_> {
    pub(super) fn readout(&self, spot: &Spot) {
        let (series_at, mark_at) = spot.chosen;
        let Some(series) = self.plot.series.get(series_at) else {
            return;
        };
        let Some(mark) = series.marks.get(mark_at) else {
            return;
        };
        let ring = Stroke::new(2.0, self.ink.text);
        self.painter
            .rect_stroke(spot.rect.expand(3.0), 4.0, ring, StrokeKind::Outside);
        let mut lines = Vec::new();
        if !series.name.is_empty() {
            lines.push(series.name.clone());
        }
        lines.extend(self.lines(mark));
        let galley = self.layout_lines(&lines.join("\n"));
        let size = galley.size() + vec2(16.0, 12.0);
        let bounds = self.painter.clip_rect().shrink(4.0);
        let beside = spot.rect.right_center() + vec2(12.0, 0.0);
        let mut rect = Align2::LEFT_CENTER.anchor_size(beside, size);
        if rect.right() > bounds.right() {
            let other = spot.rect.left_center() - vec2(12.0, 0.0);
            rect = Align2::RIGHT_CENTER.anchor_size(other, size);
        }
        rect = inside(rect, bounds);
        self.painter.rect_filled(rect, 4.0, self.ink.ground);
        let edge = Stroke::new(1.0, self.ink.weak);
        self.painter
            .rect_stroke(rect, 4.0, edge, StrokeKind::Inside);
        let at = rect.min + vec2(8.0, 6.0);
        self.painter.galley(at, galley, self.ink.text);
    }

    fn layout_lines(&self, text: &str) -> std::sync::Arc<egui::Galley> {
        let job = egui::text::LayoutJob::simple(
            text.to_owned(),
            self.ink.font.clone(),
            self.ink.text,
            320.0,
        );
        self.painter.layout_job(job)
    }

    fn lines(&self, mark: &Mark) -> Vec<String> {
        let lang = self.labels.lang;
        let is_forest = self.plot.kind == FigureKind::Forest;
        let (place_axis, place_label, value_label) = if is_forest {
            (&self.plot.y, self.labels.y, self.labels.x)
        } else {
            (&self.plot.x, self.labels.x, self.labels.y)
        };
        let mut lines = Vec::new();
        let place = match mark.x_end {
            Some(end) => format!(
                "{} – {}",
                words::place(place_axis, mark.x),
                words::place(place_axis, end)
            ),
            None => words::place(place_axis, mark.x),
        };
        if !place.is_empty() {
            lines.push(labelled(place_label, &place));
        }
        match mark.y {
            Ok(value) => lines.push(labelled(value_label, &value_words(value))),
            Err(gap) => lines.push(labelled(value_label, words::gap(gap, lang))),
        }
        let pair = |(low, high)| format!("{} – {}", value_words(low), value_words(high));
        if let Some(ends) = mark.interval.filter(|_| mark.y.is_ok()) {
            let label = match self.plot.kind {
                FigureKind::Box => words::QUARTILES,
                FigureKind::KaplanMeier => words::INTERVAL_95,
                _ => words::INTERVAL,
            };
            lines.push(labelled(label.get(lang), &pair(ends)));
        }
        if let Some(ends) = mark.whiskers {
            lines.push(labelled(words::WHISKERS.get(lang), &pair(ends)));
        }
        if let Some(at_risk) = mark.at_risk {
            lines.push(labelled(words::AT_RISK.get(lang), &value_words(at_risk)));
        }
        lines
    }
}

fn labelled(label: &str, value: &str) -> String {
    if label.is_empty() {
        value.to_owned()
    } else {
        format!("{label}: {value}")
    }
}

fn inside(rect: Rect, bounds: Rect) -> Rect {
    let left = (bounds.right() - rect.right()).min(0.0);
    let rect = rect.translate(vec2(left, 0.0));
    let right = (bounds.left() - rect.left()).max(0.0);
    let up = (bounds.bottom() - rect.bottom()).min(0.0);
    let rect = rect.translate(vec2(right, up));
    rect.translate(vec2(0.0, (bounds.top() - rect.top()).max(0.0)))
}
