//! The table that would leave, with the places that the checks name.

use egui::{Align, Color32, Layout, RichText, Ui};
use egui_extras::{Column, TableBuilder};
use kekkai_output::Table;
use kekkai_review_api::{Said, Weight};

use super::findings::Place;
use crate::grid::{Grid, Shown};
use crate::theme::palette;

/// Columns that are drawn beside each other.
const COLUMNS_MAX: usize = 40;

/// What is marked in a table.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Marked<'a> {
    /// What the checks say.
    pub(crate) findings: &'a [Said],
    /// The place that was asked for.
    pub(super) shown: Option<Place>,
    /// It is to be scrolled to.
    pub(super) is_new: bool,
}

/// Draws a table, at most so high. `id` tells it from others on the screen.
pub(crate) fn ui(ui: &mut Ui, id: egui::Id, table: &Table, marked: Marked<'_>, height: f32) {
    let Marked {
        findings,
        shown,
        is_new,
    } = marked;
    let colors = palette(ui);
    let places: Vec<(Place, Weight)> = findings
        .iter()
        .filter(|said| said.weight > Weight::Pass)
        .filter_map(|said| Some((Place::of(&said.place)?, said.weight)))
        .collect();
    let ground = |row: usize, column: usize| -> Option<Color32> {
        if shown.is_some_and(|place| place.holds(row, column)) {
            return Some(colors.chosen);
        }
        let weights = places.iter().filter(|(place, _)| place.holds(row, column));
        match weights.map(|(_, weight)| *weight).max()? {
            Weight::Fail => Some(colors.bad_back),
            Weight::Review => Some(colors.warn_back),
            Weight::Pass => None,
        }
    };
    let columns = table.columns.len().min(COLUMNS_MAX);
    egui::ScrollArea::horizontal()
        .id_salt(id)
        .max_height(height)
        .show(ui, |ui| {
            let mut builder = TableBuilder::new(ui)
                .id_salt(id.with("table"))
                .striped(true)
                .max_scroll_height(height)
                .min_scrolled_height(height.min(120.0))
                .auto_shrink([false, true])
                .cell_layout(Layout::left_to_right(Align::Center))
                .columns(Column::auto().at_least(56.0).clip(true), columns);
            if let Some(row) = shown.and_then(|place| place.row).filter(|_| is_new) {
                builder = builder.scroll_to_row(row, Some(Align::Center));
            }
            builder
                .header(24.0, |mut header| {
                    for column in table.columns.iter().take(columns) {
                        header.col(|ui| {
                            ui.label(RichText::new(&column.name).strong());
                        });
                    }
                })
                .body(|body| {
                    body.rows(22.0, table.rows.len(), |mut row| {
                        let at = row.index();
                        for column in 0..columns {
                            row.col(|ui| cell(ui, table, at, column, ground(at, column)));
                        }
                    });
                });
        });
}

fn cell(ui: &mut Ui, table: &Table, row: usize, column: usize, ground: Option<Color32>) {
    if let Some(ground) = ground {
        ui.painter().rect_filled(ui.max_rect(), 0.0, ground);
    }
    let text = match table.shown(row, column) {
        Shown::Missing => String::new(),
        Shown::Text(text) => text.into_owned(),
        Shown::Suppressed(_) => "*".to_owned(),
    };
    let text = egui::Label::new(RichText::new(text)).truncate();
    if table.number(row, column).is_some() {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| ui.add(text));
    } else {
        ui.add(text);
    }
}
