//! Scripts that are kept, and tools.

use egui::{RichText, ScrollArea, Ui};

use super::{Chosen, Question, ScriptsPane, words};
use crate::panes::{Desk, parts};

impl ScriptsPane {
    pub(super) fn list(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let programs = &desk.model.programs;
        ScrollArea::vertical().show(ui, |ui| {
            if programs.python {
                ui.label(RichText::new(desk.t(words::SCRIPTS)).strong());
                let new = ui.button(desk.t(words::NEW));
                if new.on_hover_text(desk.t(words::NEW_TIP)).clicked() {
                    self.want(None);
                }
                if programs.scripts.is_empty() {
                    ui.label(RichText::new(desk.t(words::NO_SCRIPTS)).weak());
                }
                for (name, bytes) in &programs.scripts {
                    self.kept_script(ui, desk, name, *bytes);
                }
                ui.add_space(10.0);
            }
            ui.label(RichText::new(desk.t(words::TOOLS)).strong());
            if programs.tools.is_empty() {
                ui.label(RichText::new(desk.t(words::NO_TOOLS)).weak());
            }
            for tool in &programs.tools {
                let is_chosen = self.chosen == Some(Chosen::Tool(tool.name.clone()));
                let row = ui.selectable_label(is_chosen, &tool.name);
                if row.on_hover_text(&tool.description).clicked() && !self.is_changed() {
                    self.chosen = Some(Chosen::Tool(tool.name.clone()));
                }
            }
            ui.add_space(10.0);
            let rows = if programs.rows {
                words::ROWS
            } else {
                words::NO_ROWS
            };
            let rows = RichText::new(desk.t(rows)).small().weak();
            ui.label(rows.line_height(Some(17.0)));
        });
    }

    fn kept_script(&mut self, ui: &mut Ui, desk: &Desk<'_>, name: &str, bytes: u64) {
        let is_open = self.chosen == Some(Chosen::Script) && self.name == name;
        ui.horizontal(|ui| {
            let row = ui.selectable_label(is_open, name);
            if row.on_hover_text(size(bytes)).clicked() {
                self.want(Some(name.to_owned()));
            }
            parts::at_right(ui, |ui| {
                let erase = ui.small_button("×").on_hover_text(desk.t(words::ERASE));
                if erase.clicked() {
                    self.question = Some(Question::Erase(name.to_owned()));
                }
            });
        });
    }
}

fn size(bytes: u64) -> String {
    if bytes < 1024 {
        format!("{bytes} B")
    } else {
        format!("{} KiB", bytes.div_ceil(1024))
    }
}
