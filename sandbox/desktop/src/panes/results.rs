//! A result.

use super::Desk;

/// A result.
#[derive(Debug, Default)]
pub struct ResultsPane {}

impl ResultsPane {
    /// Draws.
    pub fn ui(&mut self, ui: &mut egui::Ui, desk: &mut Desk<'_>) {
        let _ = (ui, desk);
    }

    /// Shows a job's result from now on.
    pub fn show(&mut self, job: kekkai_types::JobId) {
        let _ = job;
    }

    /// Chooses a cell: row and column, from 0.
    pub fn choose(&mut self, row: usize, column: usize) {
        let _ = (row, column);
    }
}
