//! Drawing a table's visible part with the painter: a widget for each cell would cost more than the rest of
//! the screen.

use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat, TextWrapping};
use egui::{
    Align2, Color32, CornerRadius, CursorIcon, FontId, Galley, Id, Pos2, Rect, Sense, Stroke,
    TextEdit, TextStyle, Ui, Vec2, pos2, vec2,
};
use kekkai_output::{Suppression, ValueType};
use kekkai_types::Lang;

use super::order::whole;
use super::{GridView, ROW_HEIGHT, WIDTH_MAX, WIDTH_MIN, WIDTH_SAMPLE, matches};
use crate::grid::{Grid, Shown};
use crate::panes::words;
use crate::theme::palette;

/// Points.
const HEAD_HEIGHT: f32 = 28.0;
/// Points between a cell's edge and its text.
const PAD: f32 = 8.0;
/// How near to a column's edge the pointer takes hold of it, in points.
const GRIP: f32 = 4.0;
/// What stands for a suppressed cell, as in what is released.
const SUPPRESSED: &str = "*";

/// Widths that fit names and the first rows.
pub(super) fn widths(ui: &Ui, grid: &dyn Grid) -> Vec<f32> {
    let body = TextStyle::Body.resolve(ui.style());
    let width = |text: String| {
        ui.fonts_mut(|fonts| {
            fonts
                .layout_no_wrap(text, body.clone(), Color32::WHITE)
                .size()
                .x
        })
    };
    (0..grid.columns())
        .map(|column| {
            // Room for the arrow of the order.
            let mut widest = width(grid.name(column).to_owned()) + 16.0;
            for row in 0..grid.rows().min(WIDTH_SAMPLE) {
                if let Shown::Text(text) = grid.shown(row, column) {
                    let text: String = text.chars().take(80).collect();
                    widest = widest.max(width(text));
                }
            }
            (widest + 2.0 * PAD).clamp(WIDTH_MIN, WIDTH_MAX)
        })
        .collect()
}

/// A column's place: from the table's left edge.
#[derive(Debug, Clone, Copy)]
struct Place {
    column: usize,
    left: f32,
    width: f32,
}

impl GridView {
    fn places(&self) -> Vec<Place> {
        let mut left = 0.0;
        let place = |(column, width): (usize, &f32)| {
            let place = Place {
                column,
                left,
                width: *width,
            };
            left += width;
            place
        };
        self.widths.iter().enumerate().map(place).collect()
    }

    pub(super) fn paint(
        &mut self,
        ui: &mut Ui,
        id: Id,
        grid: &dyn Grid,
        threshold: u32,
        lang: Lang,
    ) {
        let colors = palette(ui);
        let outer = ui.available_rect_before_wrap();
        let places = self.places();
        let total = places.last().map_or(0.0, |last| last.left + last.width);
        let head_height = if self.shows_filters {
            HEAD_HEIGHT + 28.0
        } else {
            HEAD_HEIGHT
        };
        let head = Rect::from_min_size(outer.min, vec2(outer.width(), head_height));
        let body = Rect::from_min_max(pos2(outer.min.x, head.max.y), outer.max);
        ui.painter().rect_filled(outer, 0.0, colors.paper);
        ui.advance_cursor_after_rect(outer);
        let mut inner = ui.new_child(egui::UiBuilder::new().max_rect(body).id_salt(id));
        let mut area = egui::ScrollArea::both()
            .id_salt(id.with("rows"))
            .auto_shrink(false);
        if std::mem::take(&mut self.wants_view) {
            area = self.bring_into_view(&inner, area, id, body, &places);
        }
        let rows = self.order.len();
        let output = area.show_viewport(&mut inner, |ui, view| {
            ui.set_width(total);
            ui.set_height(tall(rows));
            self.paint_rows(ui, id, grid, view, &places, threshold, lang);
            view
        });
        let shift = output.inner.min.x;
        self.paint_head(ui, id, grid, head, shift, &places, lang);
        if rows == 0 {
            let text = words::NOTHING_FOUND.get(lang);
            let font = TextStyle::Body.resolve(ui.style());
            ui.painter().text(
                body.center(),
                Align2::CENTER_CENTER,
                text,
                font,
                colors.weak,
            );
        }
        ui.painter().rect_stroke(
            outer,
            CornerRadius::ZERO,
            Stroke::new(1.0, colors.line),
            egui::StrokeKind::Inside,
        );
    }

    /// Scrolls so far that the chosen cell is seen.
    fn bring_into_view(
        &self,
        ui: &Ui,
        area: egui::ScrollArea,
        id: Id,
        body: Rect,
        places: &[Place],
    ) -> egui::ScrollArea {
        let Some((row, column)) = self.chosen else {
            return area;
        };
        let (Some(at), Some(place)) = (self.order.position(row), places.get(column)) else {
            return area;
        };
        let state_id = ui.make_persistent_id(id.with("rows"));
        let offset = egui::containers::scroll_area::State::load(ui.ctx(), state_id)
            .map_or(Vec2::ZERO, |state| state.offset);
        // Bars take some room at the right and below.
        let room = body.size() - Vec2::splat(14.0);
        let y = into_view(offset.y, room.y, tall(at), ROW_HEIGHT);
        let x = into_view(offset.x, room.x, place.left, place.width);
        area.scroll_offset(vec2(x, y))
    }

    #[allow(clippy::too_many_arguments, reason = "one cell needs all of it")]
    fn paint_rows(
        &mut self,
        ui: &mut Ui,
        id: Id,
        grid: &dyn Grid,
        view: Rect,
        places: &[Place],
        threshold: u32,
        lang: Lang,
    ) {
        let colors = palette(ui);
        let font = TextStyle::Body.resolve(ui.style());
        let clip = ui.clip_rect();
        // Offsets far down are too large for exact floats: what is painted counts from the visible corner.
        let first = whole((view.min.y / ROW_HEIGHT).floor().max(0.0));
        let corner = pos2(
            clip.min.x.max(ui.max_rect().min.x + view.min.x),
            ui.min_rect().min.y + view.min.y,
        );
        let corner = pos2(ui.min_rect().min.x.min(corner.x), corner.y);
        let begin = corner.y - (view.min.y - tall(first));
        let count = whole((view.height() / ROW_HEIGHT).ceil()).saturating_add(1);
        let left = ui.min_rect().min.x;
        let visible: Vec<&Place> = places
            .iter()
            .filter(|place| {
                left + place.left < clip.max.x && left + place.left + place.width > clip.min.x
            })
            .collect();
        let pointer = ui
            .rect_contains_pointer(clip)
            .then(|| ui.input(|input| input.pointer.hover_pos()))
            .flatten();
        let mut pointed = None;
        for step in 0..count {
            let at = first.saturating_add(step);
            let Some(row) = self.order.row(at) else { break };
            let top = begin + tall(step);
            let line =
                Rect::from_min_max(pos2(clip.min.x, top), pos2(clip.max.x, top + ROW_HEIGHT));
            if at % 2 == 1 {
                ui.painter().rect_filled(line, 0.0, colors.stripe);
            }
            for place in &visible {
                let cell = Rect::from_min_size(
                    pos2(left + place.left, top),
                    vec2(place.width, ROW_HEIGHT),
                );
                if self.chosen == Some((row, place.column)) {
                    ui.painter().rect_filled(cell, 0.0, colors.chosen);
                    ui.painter().rect_stroke(
                        cell,
                        0.0,
                        Stroke::new(1.5, colors.accent),
                        egui::StrokeKind::Inside,
                    );
                }
                paint_cell(ui, grid, row, place.column, cell, &font);
                if pointer.is_some_and(|at| cell.contains(at)) {
                    pointed = Some((row, place.column, cell));
                }
            }
        }
        let response = ui.interact(clip, id, Sense::click());
        if let Some((row, column, cell)) = pointed {
            if response.clicked() {
                self.chosen = Some((row, column));
            }
            if let Some(text) = tip(grid, row, column, threshold, lang) {
                let id = id.with((row, column));
                ui.interact(cell.intersect(clip), id, Sense::hover())
                    .on_hover_text(text);
            }
        }
        self.take_keys(ui, id, response.clicked());
    }

    #[allow(clippy::too_many_arguments, reason = "one head needs all of it")]
    fn paint_head(
        &mut self,
        ui: &mut Ui,
        id: Id,
        grid: &dyn Grid,
        head: Rect,
        shift: f32,
        places: &[Place],
        lang: Lang,
    ) {
        let colors = palette(ui);
        let font = TextStyle::Body.resolve(ui.style());
        let mut ui = ui.new_child(
            egui::UiBuilder::new()
                .max_rect(head)
                .id_salt(id.with("head")),
        );
        ui.set_clip_rect(head.intersect(ui.clip_rect()));
        ui.painter().rect_filled(head, 0.0, colors.bar);
        let names = Rect::from_min_size(head.min, vec2(head.width(), HEAD_HEIGHT));
        for place in places {
            let left = head.min.x + place.left - shift;
            let cell = Rect::from_min_size(pos2(left, head.min.y), vec2(place.width, HEAD_HEIGHT));
            if !cell.intersects(names) {
                continue;
            }
            let column = place.column;
            let name = ui.interact(
                cell.shrink2(vec2(GRIP, 0.0)),
                id.with(("name", column)),
                Sense::click(),
            );
            if name.hovered() {
                ui.painter().rect_filled(cell, 0.0, colors.chosen);
                ui.set_cursor(CursorIcon::PointingHand);
            }
            if name.clicked() {
                self.order.turn(column);
                if self.chosen.is_none_or(|(_, chosen)| chosen != column) {
                    self.chosen = Some((self.chosen.map_or(0, |(row, _)| row), column));
                }
            }
            let text = elided(
                &ui,
                grid.name(column),
                &font,
                colors.text,
                place.width - 2.0 * PAD - 12.0,
            );
            let at = pos2(cell.min.x + PAD, cell.center().y - text.size().y / 2.0);
            ui.painter().galley(at, text, colors.text);
            if let Some(sort) = self.order.sort.filter(|sort| sort.column == column) {
                arrow(
                    &ui,
                    pos2(cell.max.x - PAD - 3.0, cell.center().y),
                    sort.is_descending,
                    colors.accent,
                );
            }
            self.edge(&ui, id, column, pos2(cell.max.x, head.min.y), head.height());
            if self.shows_filters {
                let place = Rect::from_min_max(
                    pos2(cell.min.x + 2.0, names.max.y + 1.0),
                    pos2(cell.max.x - 2.0, head.max.y - 2.0),
                );
                self.filter(&mut ui, grid, column, place, lang);
            }
        }
        ui.painter()
            .hline(head.x_range(), head.max.y, Stroke::new(1.0, colors.line));
    }

    /// A column's right edge: drawn, and held to change the width.
    fn edge(&mut self, ui: &Ui, id: Id, column: usize, at: Pos2, height: f32) {
        let colors = palette(ui);
        ui.painter().vline(
            at.x,
            egui::Rangef::new(at.y + 4.0, at.y + height - 4.0),
            Stroke::new(1.0, colors.line),
        );
        let area = Rect::from_min_max(pos2(at.x - GRIP, at.y), pos2(at.x + GRIP, at.y + height));
        let edge = ui.interact(area, id.with(("edge", column)), Sense::drag());
        if edge.hovered() || edge.dragged() {
            ui.set_cursor(CursorIcon::ResizeColumn);
        }
        if let Some(width) = self.widths.get_mut(column) {
            *width = (*width + edge.drag_delta().x).clamp(WIDTH_MIN, 1_000.0);
        }
    }

    fn filter(&mut self, ui: &mut Ui, grid: &dyn Grid, column: usize, place: Rect, lang: Lang) {
        let colors = palette(ui);
        let text = self.order.filters.entry(column).or_default();
        let is_wrong = matches(grid, 0, column, text).is_err();
        let color = if is_wrong { colors.bad } else { colors.text };
        let hint = match grid.value_type(column) {
            ValueType::Int | ValueType::Float => "> 0",
            ValueType::Bool | ValueType::Text => words::FILTER.get(lang),
        };
        let edit = TextEdit::singleline(text)
            .id(ui.id().with(("filter", column)))
            .hint_text(hint)
            .text_color(color)
            .desired_width(place.width());
        ui.put(place, edit);
    }
}

trait SetCursor {
    fn set_cursor(&self, icon: CursorIcon);
}

impl SetCursor for Ui {
    fn set_cursor(&self, icon: CursorIcon) {
        self.ctx().set_cursor_icon(icon);
    }
}

/// The height of so many rows, in points.
#[allow(clippy::cast_precision_loss, reason = "an offset in points")]
fn tall(rows: usize) -> f32 {
    rows as f32 * ROW_HEIGHT
}

/// The offset nearest to the present one at which a stretch is seen.
fn into_view(offset: f32, room: f32, at: f32, length: f32) -> f32 {
    let last = (at + length - room).max(0.0);
    if offset > at { at } else { offset.max(last) }
}

fn paint_cell(ui: &Ui, grid: &dyn Grid, row: usize, column: usize, cell: Rect, font: &FontId) {
    let colors = palette(ui);
    let room = cell.width() - 2.0 * PAD;
    let is_number = matches!(grid.value_type(column), ValueType::Int | ValueType::Float);
    let (text, color) = match grid.shown(row, column) {
        Shown::Missing => ("–".into(), colors.weak),
        Shown::Suppressed(_) => (SUPPRESSED.into(), colors.warn),
        Shown::Text(text) => (text, colors.text),
    };
    let galley = elided(ui, &text, font, color, room);
    let x = if is_number {
        cell.max.x - PAD - galley.size().x
    } else {
        cell.min.x + PAD
    };
    ui.painter().galley(
        pos2(x, cell.center().y - galley.size().y / 2.0),
        galley,
        color,
    );
}

/// One line, cut to its room.
fn elided(ui: &Ui, text: &str, font: &FontId, color: Color32, room: f32) -> Arc<Galley> {
    // A long text is cut before it is laid out.
    let text: String = text
        .chars()
        .take(200)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut job = LayoutJob::single_section(text, TextFormat::simple(font.clone(), color));
    job.wrap = TextWrapping::truncate_at_width(room.max(1.0));
    ui.fonts_mut(|fonts| fonts.layout_job(job))
}

fn arrow(ui: &Ui, at: Pos2, is_down: bool, color: Color32) {
    let sign = if is_down { 1.0 } else { -1.0 };
    let points = vec![
        at + vec2(-4.0, -2.5 * sign),
        at + vec2(4.0, -2.5 * sign),
        at + vec2(0.0, 3.0 * sign),
    ];
    ui.painter()
        .add(egui::Shape::convex_polygon(points, color, Stroke::NONE));
}

/// What the pointer tells of a cell.
fn tip(grid: &dyn Grid, row: usize, column: usize, threshold: u32, lang: Lang) -> Option<String> {
    match grid.shown(row, column) {
        Shown::Suppressed(Suppression::Threshold) => {
            Some(words::SUPPRESSED_THRESHOLD.with(lang, &[&threshold.to_string()]))
        }
        Shown::Suppressed(Suppression::Dominance) => {
            Some(words::SUPPRESSED_DOMINANCE.get(lang).to_owned())
        }
        Shown::Missing => Some("NULL".to_owned()),
        Shown::Text(_) => {
            let persons = grid.contributors(row, column)?;
            Some(words::CONTRIBUTORS.with(lang, &[&persons.to_string()]))
        }
    }
}
