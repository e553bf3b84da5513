//! A table on the screen: only what is visible is drawn, however many rows there are.

mod order;
mod paint;
mod summary;

use egui::{Id, Key, Modifiers, Ui};
use kekkai_types::Lang;

pub use order::{FilterError, Order, Sort, matches};
pub use summary::{Summary, summarize};

use crate::grid::Grid;

/// The height of a row, in points.
pub const ROW_HEIGHT: f32 = 22.0;
/// The narrowest column, in points.
const WIDTH_MIN: f32 = 48.0;
/// The widest that a column is made by itself, in points.
const WIDTH_MAX: f32 = 320.0;
/// Rows that are looked at to find a column's width.
const WIDTH_SAMPLE: usize = 50;

/// How a table is looked at: its order, its filters, the cell that is chosen.
#[derive(Debug, Default)]
pub struct GridView {
    /// What the table is: another one begins anew.
    identity: Option<u64>,
    /// Which rows, in which order.
    pub order: Order,
    /// Filters are shown.
    pub shows_filters: bool,
    widths: Vec<f32>,
    /// The cell that is chosen: row and column of the table, not of the order.
    chosen: Option<(usize, usize)>,
    /// The chosen cell is to be brought into view.
    wants_view: bool,
    /// The keyboard is here.
    has_keys: bool,
}

impl GridView {
    /// Chooses a cell, and brings it into view.
    pub fn choose(&mut self, row: usize, column: usize) {
        self.chosen = Some((row, column));
        self.wants_view = true;
    }

    /// The cell that is chosen: row and column of the table.
    pub fn chosen(&self) -> Option<(usize, usize)> {
        self.chosen
    }

    /// Draws in all the room that there is. `identity` names the table, `generation` its state: when rows
    /// come in, it is another. `threshold`: persons below which cells are suppressed.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        grid: &dyn Grid,
        (identity, generation): (u64, u64),
        threshold: u32,
        lang: Lang,
    ) {
        if self.identity != Some(identity) {
            // A cell may be chosen before its table is shown.
            let chosen = self.chosen.filter(|_| self.wants_view);
            *self = Self {
                identity: Some(identity),
                chosen,
                wants_view: chosen.is_some(),
                ..Self::default()
            };
        }
        if self.widths.len() != grid.columns() {
            self.widths = paint::widths(ui, grid);
        }
        self.order.update(grid, generation);
        self.keys(ui, grid);
        let id = ui.id().with(("grid", identity));
        self.paint(ui, id, grid, threshold, lang);
    }

    /// Moves the chosen cell.
    fn keys(&mut self, ui: &Ui, grid: &dyn Grid) {
        if !self.has_keys
            || ui.ctx().text_edit_focused()
            || self.order.is_empty()
            || grid.columns() == 0
        {
            return;
        }
        let pressed = |key| ui.input_mut(|input| input.count_and_consume_key(Modifiers::NONE, key));
        let page = (ui.available_height() / ROW_HEIGHT).max(1.0);
        let page = order::whole(page);
        let down =
            pressed(Key::ArrowDown).saturating_add(pressed(Key::PageDown).saturating_mul(page));
        let up = pressed(Key::ArrowUp).saturating_add(pressed(Key::PageUp).saturating_mul(page));
        let (right, left) = (pressed(Key::ArrowRight), pressed(Key::ArrowLeft));
        let (home, end) = (pressed(Key::Home), pressed(Key::End));
        if [down, up, right, left, home, end] == [0; 6] {
            return;
        }
        let (row, column) = self.chosen.unwrap_or((0, 0));
        let at = self.order.position(row).unwrap_or(0);
        let last = self.order.len().saturating_sub(1);
        let at = match (home, end) {
            (0, 0) => at.saturating_add(down).saturating_sub(up).min(last),
            (0, _) => last,
            _ => 0,
        };
        let last = grid.columns().saturating_sub(1);
        let column = column.saturating_add(right).saturating_sub(left).min(last);
        if let Some(row) = self.order.row(at) {
            self.choose(row, column);
        }
    }

    /// The keyboard moves here when something here is clicked, and away when something else is.
    fn take_keys(&mut self, ui: &Ui, id: Id, clicked: bool) {
        if clicked {
            ui.memory_mut(|memory| memory.request_focus(id));
        }
        self.has_keys = ui.memory(|memory| memory.has_focus(id));
        if self.has_keys {
            // Arrows move the chosen cell, not the keyboard to the next button; Tab still leaves.
            let filter = egui::EventFilter {
                horizontal_arrows: true,
                vertical_arrows: true,
                ..egui::EventFilter::default()
            };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
        }
    }
}
