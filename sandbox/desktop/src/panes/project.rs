//! The project and its data.

use super::Desk;

/// The project and its data.
#[derive(Debug, Default)]
pub struct ProjectPane {}

impl ProjectPane {
    /// Draws.
    pub fn ui(&mut self, ui: &mut egui::Ui, desk: &mut Desk<'_>) {
        let _ = (ui, desk);
    }

    /// Shows a table, by its name.
    pub fn show(&mut self, table: &str) {
        let _ = table;
    }
}
