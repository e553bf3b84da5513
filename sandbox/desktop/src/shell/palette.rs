//! The palette of commands: everything that can be done or looked at, found by typing.

use egui::{Align2, Area, Id, Key, Modifiers, Order, RichText, Ui};
use kekkai_types::Lang;

use super::{Dialog, Shell, words};
use crate::asks::Asks;
use crate::model::Model;
use crate::panes::{Go, Section};
use crate::theme::{field, palette};

/// Entries that are shown at once.
const SHOWN_MAX: usize = 12;
/// Points.
const WIDTH: f32 = 560.0;

/// What is being looked for.
#[derive(Debug, Default)]
pub(super) struct Search {
    text: String,
    chosen: usize,
}

/// What an entry does.
#[derive(Debug, Clone, PartialEq)]
enum Command {
    Go(Go),
    Table(String),
    Language,
    Contrast,
    ZoomIn,
    ZoomOut,
    Lock,
    Leave,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    text: String,
    keys: String,
    command: Command,
}

impl Shell {
    pub(super) fn show_palette(
        &mut self,
        ui: &mut Ui,
        model: &Model,
        asks: &mut Asks,
        go: &mut Vec<Go>,
    ) {
        let Some(search) = &mut self.palette else {
            return;
        };
        let lang = self.lang;
        let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        let (up, down) = (pressed(Key::ArrowUp), pressed(Key::ArrowDown));
        let (enter, escape) = (pressed(Key::Enter), pressed(Key::Escape));
        let found = find(entries(model, lang), &search.text);
        let last = found.len().min(SHOWN_MAX).saturating_sub(1);
        if down {
            search.chosen = search.chosen.saturating_add(1);
        }
        if up {
            search.chosen = search.chosen.saturating_sub(1);
        }
        search.chosen = search.chosen.min(last);
        let mut picked = enter.then_some(search.chosen);
        let colors = palette(ui);
        Area::new(Id::new("palette"))
            .order(Order::Foreground)
            .anchor(Align2::CENTER_TOP, egui::vec2(0.0, 70.0))
            .show(ui.ctx(), |ui| {
                egui::Frame::window(ui.style()).show(ui, |ui| {
                    ui.set_width(WIDTH);
                    let edit = ui.add(field(&mut search.text, words::PALETTE_HINT.get(lang)));
                    edit.request_focus();
                    if edit.changed() {
                        search.chosen = 0;
                    }
                    for (at, entry) in found.iter().take(SHOWN_MAX).enumerate() {
                        let is_chosen = at == search.chosen;
                        let fill = if is_chosen {
                            colors.chosen
                        } else {
                            colors.paper
                        };
                        let row = egui::Frame::new()
                            .fill(fill)
                            .inner_margin(5)
                            .show(ui, |ui| {
                                ui.set_width(ui.available_width());
                                ui.horizontal(|ui| {
                                    ui.label(&entry.text);
                                    let layout = egui::Layout::right_to_left(egui::Align::Center);
                                    ui.with_layout(layout, |ui| {
                                        ui.label(RichText::new(&entry.keys).color(colors.weak));
                                    });
                                });
                            });
                        if row.response.interact(egui::Sense::click()).clicked() {
                            picked = Some(at);
                        }
                    }
                    if found.is_empty() {
                        ui.label(crate::panes::words::NOTHING_FOUND.get(lang));
                    }
                    ui.label(
                        RichText::new(words::PALETTE_KEYS.get(lang))
                            .small()
                            .color(colors.weak),
                    );
                });
            });
        let command = picked
            .and_then(|at| found.into_iter().nth(at))
            .map(|entry| entry.command);
        if escape || command.is_some() {
            self.palette = None;
        }
        match command {
            Some(Command::Go(step)) => go.push(step),
            Some(Command::Table(name)) => {
                self.panes.project.show(&name);
                self.section = Section::Project;
            }
            Some(Command::Language) => self.switch_language(),
            Some(Command::Contrast) => self.switch_contrast(),
            Some(Command::ZoomIn) => self.zoom_by(1),
            Some(Command::ZoomOut) => self.zoom_by(-1),
            Some(Command::Lock) => Self::lock(asks),
            Some(Command::Leave) => self.dialog = Some(Dialog::Leave),
            None => {}
        }
    }
}

fn entries(model: &Model, lang: Lang) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |text: String, keys: &str, command| {
        entries.push(Entry {
            text,
            keys: keys.to_owned(),
            command,
        });
    };
    for (number, section) in (1..).zip(Section::ALL) {
        let name = section.words().0.get(lang);
        let keys = format!("Ctrl {number}");
        add(
            words::GO_TO.with(lang, &[name]),
            &keys,
            Command::Go(Go::To(section)),
        );
    }
    let t = |words: crate::words::Words| words.get(lang).to_owned();
    add(t(words::NEW_QUERY), "", Command::Go(Go::Sql(String::new())));
    add(t(words::LANGUAGE_TIP), "", Command::Language);
    add(t(words::CONTRAST_TIP), "", Command::Contrast);
    add(t(words::ZOOM_IN), "Ctrl +", Command::ZoomIn);
    add(t(words::ZOOM_OUT), "Ctrl -", Command::ZoomOut);
    add(t(words::LOCK_TIP), "", Command::Lock);
    add(t(words::LEAVE_TIP), "", Command::Leave);
    for catalog in &model.begin.catalogs {
        for table in &catalog.tables {
            let text = words::TABLE_COLUMNS.with(lang, &[&table.name]);
            add(
                text,
                catalog.title.get(lang),
                Command::Table(table.name.clone()),
            );
        }
    }
    for view in model.jobs.iter().rev().filter(|view| view.grid().is_some()) {
        let job = view.job.job.clone();
        let text = view
            .job
            .work
            .text()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let text: String = text.chars().take(60).collect();
        add(format!("{job}: {text}"), "", Command::Go(Go::Result(job)));
    }
    for (name, _) in &model.programs.scripts {
        add(name.clone(), "", Command::Go(Go::Script(name.clone())));
    }
    entries
}

/// Those with all of the words, in any order and case.
fn find(entries: Vec<Entry>, text: &str) -> Vec<Entry> {
    let text = text.to_lowercase();
    let has_all = |entry: &Entry| {
        let hay = format!("{} {}", entry.text, entry.keys).to_lowercase();
        text.split_whitespace().all(|word| hay.contains(word))
    };
    entries.into_iter().filter(has_all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn command_is_found_by_any_of_its_words() {
        let model = Model::new(samples::begin());
        for (lang, text, expected) in [
            (Lang::En, "high CONTRAST", Command::Contrast),
            (Lang::Ja, "コントラスト", Command::Contrast),
            (Lang::En, "visit", Command::Table("visit".to_owned())),
            (
                Lang::En,
                "study",
                Command::Go(Go::Script("study.py".to_owned())),
            ),
        ] {
            let found = find(entries(&model, lang), text);
            assert_eq!(
                found.first().map(|entry| &entry.command),
                Some(&expected),
                "{text}"
            );
        }
        assert!(find(entries(&model, Lang::En), "xyzzy").is_empty());
    }
}
