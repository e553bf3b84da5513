//! Statements.

use super::Desk;

/// Statements.
#[derive(Debug, Default)]
pub struct SqlPane {}

impl SqlPane {
    /// Draws.
    pub fn ui(&mut self, ui: &mut egui::Ui, desk: &mut Desk<'_>) {
        let _ = (ui, desk);
    }

    /// Opens a new tab with a statement.
    pub fn open(&mut self, text: String) {
        let _ = text;
    }

    /// Takes answers while it is not on the screen.
    pub fn tick(&mut self, desk: &mut Desk<'_>) {
        let _ = desk;
    }
}
