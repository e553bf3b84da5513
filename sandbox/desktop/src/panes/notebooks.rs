//! Steps that are kept and run in order.

mod open;
mod steps;
pub(crate) mod words;

use egui::{Panel, RichText, ScrollArea, Ui};
use kekkai_worker_api::{Answer, Ask};

use super::{Desk, NoticeWeight, parts};
use crate::asks::Ticket;
use crate::notebook::{NAME_MAX, Notebook, NotebookError, is_name};
use open::Open;

/// Steps that are kept and run in order.
#[derive(Debug, Default)]
pub struct NotebooksPane {
    /// The names were asked for.
    is_asked: bool,
    open: Option<Open>,
    opening: Option<(Ticket, String)>,
    removed: Option<(Ticket, String)>,
    /// The name of a new one, as far as it is typed.
    new_name: String,
    /// Whether to erase it is asked.
    erasing: Option<String>,
    refused: Option<String>,
}

impl NotebooksPane {
    /// Takes answers, on the screen or not: a notebook runs on while something else is looked at.
    pub fn tick(&mut self, desk: &mut Desk<'_>) {
        if let Some((ticket, name)) = self.opening.take() {
            match desk.asks.take(ticket) {
                None => self.opening = Some((ticket, name)),
                Some(Answer::Text(json)) => match Notebook::parse(&json) {
                    Ok(notebook) => self.open = Some(Open::new(name, &notebook)),
                    Err(error) => self.refused = Some(error_text(&error, desk)),
                },
                Some(other) => self.refused = parts::refusal(&other, desk.lang),
            }
        }
        if let Some((ticket, name)) = self.removed.take() {
            match desk.asks.take(ticket) {
                None => self.removed = Some((ticket, name)),
                Some(Answer::Done) => {
                    desk.say(NoticeWeight::Good, words::ERASED.with(desk.lang, &[&name]));
                    desk.asks.tell(Ask::Notebooks);
                }
                Some(other) => self.refused = parts::refusal(&other, desk.lang),
            }
        }
        if let Some(open) = &mut self.open {
            open.tick(desk);
        }
    }

    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        if !self.is_asked {
            self.is_asked = true;
            desk.asks.tell(Ask::Notebooks);
        }
        Panel::left("notebooks-list")
            .resizable(false)
            .exact_size(220.0)
            .show_inside(ui, |ui| self.list(ui, desk));
        parts::beside(ui, |ui| self.work(ui, desk));
    }

    fn work(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        if let Some(name) = self.erasing.clone() {
            self.ask_first(ui, desk, name);
        }
        if let Some(refused) = &self.refused {
            parts::failed(ui, refused.as_str());
        }
        let has_any = desk
            .model
            .notebooks
            .as_ref()
            .is_some_and(|names| !names.is_empty());
        match &mut self.open {
            Some(open) => open.ui(ui, desk),
            None if has_any => {
                parts::empty(ui, desk.t(super::words::NOTEBOOKS), desk.t(words::CHOOSE));
            }
            None => parts::empty(ui, desk.t(words::EMPTY_TITLE), desk.t(words::EMPTY_NEXT)),
        }
    }

    fn list(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let names = desk.model.notebooks.as_deref().unwrap_or_default();
        let name = self.new_name.trim().to_owned();
        let is_taken = names.contains(&name);
        ui.horizontal(|ui| {
            let edit = parts::field(&mut self.new_name)
                .hint_text(desk.t(words::NAME_HINT))
                .char_limit(NAME_MAX)
                .desired_width(132.0);
            let edit = ui.add(edit);
            let is_good = is_name(&name) && !is_taken;
            let button = ui.add_enabled(is_good, egui::Button::new(desk.t(words::CREATE)));
            let entered =
                edit.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            if is_good && (button.clicked() || entered) {
                self.create(desk, name.clone());
            }
        });
        if is_taken {
            ui.label(RichText::new(desk.t(words::NAME_TAKEN)).small().weak());
        } else if !name.is_empty() && !is_name(&name) {
            ui.label(RichText::new(desk.t(words::NAME_BAD)).small().weak());
        }
        ui.add_space(4.0);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for name in names {
                let is_open = self.open.as_ref().is_some_and(|open| open.name() == name);
                ui.horizontal(|ui| {
                    let row = egui::Button::selectable(is_open, name.as_str());
                    let row = row.truncate().min_size(egui::vec2(160.0, 0.0));
                    let row = ui.vertical(|ui| {
                        ui.set_max_width(160.0);
                        ui.add(row)
                    });
                    let row = row.inner;
                    if row.clicked() && !is_open {
                        self.get(desk, name);
                    }
                    let erase = ui.small_button("×").on_hover_text(desk.t(words::ERASE));
                    if erase.clicked() {
                        self.erasing = Some(name.clone());
                    }
                });
            }
        });
    }

    fn create(&mut self, desk: &mut Desk<'_>, name: String) {
        self.leave(desk);
        self.new_name.clear();
        let mut open = Open::new(name, &Notebook::default());
        // It is there from now on, empty as it is.
        open.save(desk);
        self.open = Some(open);
    }

    fn get(&mut self, desk: &mut Desk<'_>, name: &str) {
        self.leave(desk);
        let ask = Ask::GetNotebook {
            name: name.to_owned(),
        };
        self.opening = desk.asks.ask(ask).map(|ticket| (ticket, name.to_owned()));
    }

    /// Nothing that was written is lost by opening another.
    fn leave(&mut self, desk: &mut Desk<'_>) {
        self.refused = None;
        if let Some(mut open) = self.open.take() {
            open.save_if_changed(desk);
        }
    }

    fn ask_first(&mut self, ui: &mut Ui, desk: &mut Desk<'_>, name: String) {
        parts::warned(ui, words::ERASE_ASK.with(desk.lang, &[&name]));
        ui.horizontal(|ui| {
            if ui.button(desk.t(words::ERASE_YES)).clicked() {
                if self.open.as_ref().is_some_and(|open| open.name() == name) {
                    self.open = None;
                }
                let ask = Ask::RemoveNotebook { name: name.clone() };
                self.removed = desk.asks.ask(ask).map(|ticket| (ticket, name));
                self.erasing = None;
            }
            if ui.button(desk.t(words::ERASE_NO)).clicked() {
                self.erasing = None;
            }
        });
        ui.separator();
    }
}

/// Why a notebook is not opened or not kept, and what to do.
fn error_text(error: &NotebookError, desk: &Desk<'_>) -> String {
    let kib = kekkai_worker_api::NOTEBOOK_MAX / 1024;
    let steps = crate::notebook::STEPS_MAX;
    match error {
        NotebookError::TooLarge(_) => words::TOO_LARGE.with(desk.lang, &[&kib.to_string()]),
        NotebookError::TooManySteps(_) => words::TOO_MANY.with(desk.lang, &[&steps.to_string()]),
        NotebookError::StepTooLong(step) => {
            words::STEP_TOO_LONG.with(desk.lang, &[&step.to_string()])
        }
        NotebookError::Version(version) => {
            words::BAD_VERSION.with(desk.lang, &[&version.to_string()])
        }
        NotebookError::Malformed => words::MALFORMED.get(desk.lang).to_owned(),
    }
}
