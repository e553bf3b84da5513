//! Questions that must be answered before work goes on.

use egui::{Button, Id, Key, Modal, RichText, Ui};
use kekkai_worker_api::Ask;

use super::{Dialog, Shell, words};
use crate::asks::Asks;
use crate::grid::grouped;
use crate::model::{Held, Model};
use crate::theme::palette;

/// Points.
const DIALOG_WIDTH: f32 = 460.0;

fn dialog(ui: &Ui, name: &str) -> Modal {
    let frame = egui::Frame::window(ui.style()).inner_margin(20);
    Modal::new(Id::new(name)).frame(frame)
}

impl Shell {
    pub(super) fn show_dialogs(&mut self, ui: &mut Ui, model: &Model, asks: &mut Asks) {
        if let Some(held) = model.held {
            self.show_held(ui, held, asks);
        } else if self.dialog == Some(Dialog::Leave) {
            self.show_leave(ui, model, asks);
        }
    }

    fn show_held(&mut self, ui: &Ui, held: Held, asks: &mut Asks) {
        let lang = self.lang;
        dialog(ui, "held").show(ui.ctx(), |ui| {
            ui.set_width(DIALOG_WIDTH);
            ui.heading(words::HELD_TITLE.get(lang));
            ui.add_space(6.0);
            let numbers = [held.chars, held.left].map(|number| grouped(number.into()));
            let numbers = numbers.each_ref().map(String::as_str);
            ui.label(words::HELD_TEXT.with(lang, &numbers));
            let fits = held.chars <= held.left;
            if !fits {
                ui.label(RichText::new(words::HELD_OVER.get(lang)).color(palette(ui).bad));
            }
            ui.add_space(10.0);
            ui.horizontal(|ui| {
                if ui
                    .add_enabled(fits, Button::new(words::HELD_YES.get(lang)))
                    .clicked()
                {
                    asks.tell(Ask::Typing { admit: true });
                }
                // Enter or a letter would be the very text that is held.
                if ui.button(words::HELD_NO.get(lang)).clicked() {
                    asks.tell(Ask::Typing { admit: false });
                }
            });
        });
    }

    fn show_leave(&mut self, ui: &Ui, model: &Model, asks: &mut Asks) {
        let lang = self.lang;
        let running = model.active_jobs().count();
        let modal = dialog(ui, "leave").show(ui.ctx(), |ui| {
            ui.set_width(DIALOG_WIDTH);
            ui.heading(words::LEAVE_TITLE.get(lang));
            ui.add_space(6.0);
            ui.label(words::LEAVE_TEXT.get(lang));
            if running > 0 {
                let text = words::LEAVE_JOBS.with(lang, &[&running.to_string()]);
                ui.label(RichText::new(text).color(palette(ui).bad));
            }
            ui.add_space(10.0);
            ui.horizontal(|ui| {
                let leave = ui.button(words::LEAVE_YES.get(lang)).clicked();
                let stay = ui.button(words::STAY.get(lang));
                if ui.memory(|memory| memory.focused().is_none()) {
                    stay.request_focus();
                }
                if leave {
                    asks.tell(Ask::Leave);
                }
                leave || stay.clicked()
            })
            .inner
        });
        let escaped = ui.input_mut(|input| input.consume_key(egui::Modifiers::NONE, Key::Escape));
        if modal.inner || modal.should_close() || escaped {
            self.dialog = None;
        }
    }
}
