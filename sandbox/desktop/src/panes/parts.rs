//! What several panes draw alike.

use egui::{Align, Color32, Frame, Layout, Margin, RichText, Ui};
use kekkai_types::Lang;
use kekkai_worker_api::Answer;

use crate::theme::palette;

/// Height of a line of running text, in points.
pub(crate) const LINE: f32 = 20.0;

/// A pane without anything in it yet: what it would show, and what to do.
pub(crate) fn empty(ui: &mut Ui, title: &str, next: &str) {
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.28).min(180.0));
        ui.label(RichText::new(title).heading());
        ui.add_space(4.0);
        ui.set_max_width(520.0);
        let next = RichText::new(next).color(palette(ui).weak);
        ui.label(next.line_height(Some(LINE)));
        ui.add_space(10.0);
    });
}

/// A sentence on a ground of its own, over the whole width.
pub(crate) fn said(ui: &mut Ui, text: impl Into<String>) {
    let colors = palette(ui);
    note(ui, text, colors.text, colors.bar);
}

/// A sentence that asks for attention.
pub(crate) fn warned(ui: &mut Ui, text: impl Into<String>) {
    let colors = palette(ui);
    note(ui, text, colors.warn, colors.warn_back);
}

/// A sentence about what went wrong.
pub(crate) fn failed(ui: &mut Ui, text: impl Into<String>) {
    let colors = palette(ui);
    note(ui, text, colors.bad, colors.bad_back);
}

fn note(ui: &mut Ui, text: impl Into<String>, ink: Color32, ground: Color32) {
    let text: String = text.into();
    Frame::new()
        .fill(ground)
        .corner_radius(4)
        .inner_margin(Margin::symmetric(10, 6))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            let text = RichText::new(text.trim_end()).color(ink);
            ui.label(text.line_height(Some(LINE)));
        });
}

/// A word on a coloured ground: a state.
pub(crate) fn chip(ui: &mut Ui, text: &str, ink: Color32, ground: Color32) {
    Frame::new()
        .fill(ground)
        .corner_radius(8)
        .inner_margin(Margin::symmetric(8, 1))
        .show(ui, |ui| ui.label(RichText::new(text).small().color(ink)));
}

/// What stands beside a panel at the left: not right at its line.
pub(crate) fn beside<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let margin = Margin {
        left: 10,
        ..Margin::ZERO
    };
    Frame::new().inner_margin(margin).show(ui, add).inner
}

/// A text of one line that is edited.
pub(crate) fn field(text: &mut String) -> egui::TextEdit<'_> {
    egui::TextEdit::singleline(text).margin(Margin::symmetric(7, 5))
}

/// A text of several lines that is edited.
pub(crate) fn area(text: &mut String) -> egui::TextEdit<'_> {
    egui::TextEdit::multiline(text).margin(Margin::symmetric(7, 5))
}

/// Buttons at the right end of a row.
pub(crate) fn at_right(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ui.with_layout(Layout::right_to_left(Align::Center), add);
}

/// What the broker says of something that was not done: what happened, and what to do next.
pub(crate) fn refusal(answer: &Answer, lang: Lang) -> Option<String> {
    match answer {
        Answer::Refused(refusal) => Some(kekkai_console::message::refusal(refusal, lang)),
        Answer::Wrong(error) => Some(kekkai_console::message::sql_error(error, "", lang)),
        _ => None,
    }
}

/// The button that a pane is for.
pub(crate) fn main_button(ui: &mut Ui, text: &str) -> egui::Response {
    let colors = palette(ui);
    let text = RichText::new(text).color(colors.on_accent);
    ui.add(egui::Button::new(text).fill(colors.accent))
}
