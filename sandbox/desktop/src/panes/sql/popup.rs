//! What may come next, below the caret.

use std::ops::Range;

use egui::{Area, Id, Key, Modifiers, Order, Rect, RichText, Sense, Ui};
use kekkai_types::{DatasetCatalog, Lang};

use crate::sql::complete::{Completion, Entry, EntryKind, complete};
use crate::sql::words as sql_words;
use crate::theme::palette;

/// Entries that are seen at once.
const SHOWN_MAX: usize = 9;
/// Points.
const WIDTH: f32 = 440.0;

/// What may come next, and which of it is chosen.
#[derive(Debug, Default)]
pub(super) struct Popup {
    completion: Option<Completion>,
    chosen: usize,
}

impl Popup {
    pub(super) fn close(&mut self) {
        self.completion = None;
    }

    /// The caret went elsewhere without writing.
    pub(super) fn leave_unless_at(&mut self, at: usize) {
        if self
            .completion
            .as_ref()
            .is_some_and(|completion| completion.bytes.end != at)
        {
            self.close();
        }
    }

    pub(super) fn update(
        &mut self,
        text: &str,
        at: usize,
        catalogs: &[DatasetCatalog],
        functions: &[String],
        is_asked: bool,
    ) {
        self.completion = complete(text, at, catalogs, functions, is_asked);
        self.chosen = 0;
    }

    /// Takes its keys before the editor sees them. The entry that was taken.
    pub(super) fn keys(&mut self, ui: &Ui) -> Option<usize> {
        let completion = self.completion.as_ref()?;
        let last = completion.entries.len().saturating_sub(1);
        let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if pressed(Key::ArrowDown) {
            self.chosen = if self.chosen >= last {
                0
            } else {
                self.chosen.saturating_add(1)
            };
        }
        if pressed(Key::ArrowUp) {
            self.chosen = self.chosen.checked_sub(1).unwrap_or(last);
        }
        if pressed(Key::Escape) {
            self.close();
            return None;
        }
        (pressed(Key::Tab) || pressed(Key::Enter)).then_some(self.chosen)
    }

    /// The bytes to replace, and by what.
    pub(super) fn take(&mut self, entry: usize) -> Option<(Range<usize>, String)> {
        let completion = self.completion.take()?;
        let text = completion.entries.get(entry)?.text.clone();
        Some((completion.bytes, text))
    }

    /// Draws below the caret. The entry that was clicked.
    pub(super) fn show(&self, ui: &Ui, id: Id, caret: Rect, lang: Lang) -> Option<usize> {
        let completion = self.completion.as_ref()?;
        let first = self.chosen.saturating_add(1).saturating_sub(SHOWN_MAX);
        let mut clicked = None;
        Area::new(id.with("complete"))
            .order(Order::Foreground)
            .fixed_pos(caret.left_bottom() + egui::vec2(-6.0, 4.0))
            .constrain(true)
            .show(ui.ctx(), |ui| {
                egui::Frame::popup(ui.style())
                    .inner_margin(4)
                    .show(ui, |ui| {
                        ui.set_width(WIDTH);
                        ui.spacing_mut().item_spacing.y = 0.0;
                        let shown = completion
                            .entries
                            .iter()
                            .enumerate()
                            .skip(first)
                            .take(SHOWN_MAX);
                        for (at, entry) in shown {
                            if row(ui, entry, at == self.chosen, lang) {
                                clicked = Some(at);
                            }
                        }
                        let keys = RichText::new(sql_words::KEYS_COMPLETE.get(lang)).small();
                        ui.label(keys.color(palette(ui).weak));
                    });
            });
        clicked
    }
}

fn row(ui: &mut Ui, entry: &Entry, is_chosen: bool, lang: Lang) -> bool {
    let colors = palette(ui);
    let (kind, detail) = match &entry.kind {
        EntryKind::Table(text) => (
            sql_words::IS_TABLE.get(lang).to_owned(),
            text.get(lang).to_owned(),
        ),
        EntryKind::Column(sql_type, text) => (sql_type.clone(), text.get(lang).to_owned()),
        EntryKind::Alias(table) => (sql_words::IS_ALIAS.with(lang, &[table]), String::new()),
        EntryKind::Function => (sql_words::IS_FUNCTION.get(lang).to_owned(), String::new()),
        EntryKind::Keyword => (sql_words::IS_KEYWORD.get(lang).to_owned(), String::new()),
    };
    let fill = if is_chosen {
        colors.chosen
    } else {
        colors.paper
    };
    let frame = egui::Frame::new()
        .fill(fill)
        .inner_margin(egui::Margin::symmetric(6, 3));
    let response = frame
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                ui.label(RichText::new(&entry.text).monospace());
                ui.label(RichText::new(kind).small().color(colors.accent));
                let detail = RichText::new(detail).small().color(colors.weak);
                ui.add(egui::Label::new(detail).truncate());
            });
        })
        .response;
    response.interact(Sense::click()).clicked()
}
