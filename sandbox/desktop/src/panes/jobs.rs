//! What runs and ran.

use super::Desk;

/// What runs and ran.
#[derive(Debug, Default)]
pub struct JobsPane {}

impl JobsPane {
    /// Draws.
    pub fn ui(&mut self, ui: &mut egui::Ui, desk: &mut Desk<'_>) {
        let _ = (ui, desk);
    }

}
