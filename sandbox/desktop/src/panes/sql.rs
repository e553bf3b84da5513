//! Statements: tabs with an editor and the result of what was run last.

mod popup;
mod tab;

use egui::{Button, Key, Modifiers, Panel, RichText, ScrollArea, Ui};

use self::tab::Tab;
use super::project::{Picked, browse};
use super::results::one_line;
use super::{Desk, NoticeWeight, words};
use crate::sql::history::History;
use crate::sql::words as sql_words;
use crate::theme::{field, palette};

/// Tabs that are open at once.
const TABS_MAX: usize = 12;

/// Statements.
#[derive(Debug)]
pub struct SqlPane {
    tabs: Vec<Tab>,
    chosen: usize,
    /// Tabs are numbered through.
    opened: u32,
    history: History,
    /// What is looked for in the history; `None`: it is closed.
    history_search: Option<String>,
    search: String,
}

impl Default for SqlPane {
    fn default() -> Self {
        Self {
            tabs: vec![Tab::new(1, String::new())],
            chosen: 0,
            opened: 1,
            history: History::default(),
            history_search: None,
            search: String::new(),
        }
    }
}

impl SqlPane {
    /// Opens a new tab with a statement; where the present one is empty, there.
    pub fn open(&mut self, text: String) {
        if let Some(tab) = self.tabs.get_mut(self.chosen)
            && tab.is_unused()
        {
            tab.set(text);
            return;
        }
        if self.tabs.len() >= TABS_MAX {
            // The oldest makes room.
            self.tabs.remove(0);
        }
        self.opened = self.opened.saturating_add(1);
        self.tabs.push(Tab::new(self.opened, text));
        self.chosen = self.tabs.len().saturating_sub(1);
    }

    /// Takes answers, also while it is not on the screen.
    pub fn tick(&mut self, desk: &mut Desk<'_>) {
        for tab in &mut self.tabs {
            tab.tick(desk);
        }
    }

    fn close(&mut self, at: usize) {
        if at < self.tabs.len() {
            self.tabs.remove(at);
        }
        if self.tabs.is_empty() {
            self.opened = self.opened.saturating_add(1);
            self.tabs.push(Tab::new(self.opened, String::new()));
        }
        self.chosen = self.chosen.min(self.tabs.len().saturating_sub(1));
    }

    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
        // The one with more keys first: the other would take it.
        let shows_rows = pressed(Modifiers::COMMAND | Modifiers::SHIFT, Key::Enter);
        let runs = pressed(Modifiers::COMMAND, Key::Enter);
        if pressed(Modifiers::ALT, Key::N) {
            self.open(String::new());
        }
        if pressed(Modifiers::ALT, Key::W) {
            self.close(self.chosen);
        }
        if pressed(Modifiers::COMMAND, Key::H) {
            self.history_search = match self.history_search {
                Some(_) => None,
                None => Some(String::new()),
            };
        }
        Panel::left("schema")
            .default_size(210.0)
            .show_inside(ui, |ui| self.schema(ui, desk));
        let frame = egui::Frame::new().inner_margin(egui::Margin {
            left: 10,
            ..egui::Margin::ZERO
        });
        egui::CentralPanel::default()
            .frame(frame)
            .show_inside(ui, |ui| {
                self.tab_row(ui, desk);
                self.tools(ui, desk, runs, shows_rows);
                self.show_history(ui, desk);
                if let Some(tab) = self.tabs.get_mut(self.chosen) {
                    let height = ui.available_height();
                    Panel::bottom("result")
                        .resizable(true)
                        .default_size((height * 0.55).max(120.0))
                        .size_range(80.0..=(height - 90.0).max(81.0))
                        .frame(egui::Frame::new().inner_margin(egui::Margin {
                            top: 6,
                            ..egui::Margin::ZERO
                        }))
                        .show_inside(ui, |ui| {
                            // The height is the person's, whatever is in it.
                            let room = ui.available_size();
                            tab.result(ui, desk);
                            ui.expand_to_include_rect(egui::Rect::from_min_size(
                                ui.min_rect().min,
                                room,
                            ));
                        });
                    let frame = egui::Frame::new();
                    egui::CentralPanel::default()
                        .frame(frame)
                        .show_inside(ui, |ui| tab.editor(ui, desk));
                }
            });
    }

    fn schema(&mut self, ui: &mut Ui, desk: &Desk<'_>) {
        let hint = desk.t(words::SEARCH_DATA);
        ui.add(field(&mut self.search, hint));
        ui.add_space(4.0);
        let catalogs = &desk.model.begin.catalogs;
        let picked = ScrollArea::both()
            .auto_shrink(false)
            .show(ui, |ui| browse(ui, catalogs, &self.search, desk.lang, None))
            .inner;
        let Some(tab) = self.tabs.get_mut(self.chosen) else {
            return;
        };
        match picked {
            Some(Picked::Table(_, name) | Picked::Column(name)) => tab.insert(&name),
            None => {}
        }
    }

    fn tab_row(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let mut closed = None;
        ui.horizontal_wrapped(|ui| {
            for (at, tab) in self.tabs.iter().enumerate() {
                let name = tab.name(desk);
                let response = ui.selectable_label(at == self.chosen, name);
                if response.clicked() {
                    self.chosen = at;
                }
                if response.middle_clicked() {
                    closed = Some(at);
                }
            }
            let tip = format!("{}  (Alt N)", desk.t(sql_words::NEW_TAB));
            if ui.small_button("+").on_hover_text(tip).clicked() {
                self.open(String::new());
            }
            let tip = format!("{}  (Alt W)", desk.t(sql_words::CLOSE_TAB));
            if ui.small_button("×").on_hover_text(tip).clicked() {
                closed = Some(self.chosen);
            }
        });
        if let Some(at) = closed {
            self.close(at);
        }
    }

    fn tools(&mut self, ui: &mut Ui, desk: &mut Desk<'_>, mut runs: bool, mut shows_rows: bool) {
        let colors = palette(ui);
        ui.horizontal(|ui| {
            let run = RichText::new(desk.t(words::RUN)).color(colors.on_accent);
            let run = ui.add(Button::new(run).fill(colors.accent));
            let tip = |words: crate::words::Words, keys: &str| {
                format!("{}  ({keys})", words.get(desk.lang))
            };
            runs |= run
                .on_hover_text(tip(sql_words::RUN_TIP, "Ctrl Enter"))
                .clicked();
            let rows = ui.button(sql_words::RUN_ROWS.get(desk.lang));
            let keys = "Ctrl Shift Enter";
            shows_rows |= rows
                .on_hover_text(tip(sql_words::RUN_ROWS_TIP, keys))
                .clicked();
            let format = ui.button(sql_words::FORMAT.get(desk.lang));
            let format = format
                .on_hover_text(sql_words::FORMAT_TIP.get(desk.lang))
                .clicked();
            let is_open = self.history_search.is_some();
            let history = Button::new(sql_words::HISTORY.get(desk.lang)).selected(is_open);
            let history = ui
                .add(history)
                .on_hover_text(tip(sql_words::HISTORY_TIP, "Ctrl H"));
            if history.clicked() {
                self.history_search = if is_open { None } else { Some(String::new()) };
            }
            if let Some(tab) = self.tabs.get_mut(self.chosen) {
                if format {
                    tab.format();
                }
                tab.cancel_button(ui, desk);
            }
        });
        if (runs || shows_rows)
            && let Some(tab) = self.tabs.get_mut(self.chosen)
        {
            match tab.run(desk, shows_rows) {
                Some(sql) => self.history.add(&sql),
                None => desk.say(NoticeWeight::Plain, desk.t(sql_words::NO_RESULT)),
            }
        }
    }

    fn show_history(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let Some(search) = &mut self.history_search else {
            return;
        };
        let colors = palette(ui);
        let mut picked = None;
        egui::Frame::group(ui.style())
            .fill(colors.paper)
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                let hint = desk.t(sql_words::HISTORY_HINT);
                ui.add(field(search, hint));
                ScrollArea::vertical()
                    .max_height(150.0)
                    .auto_shrink([false, true])
                    .show(ui, |ui| {
                        let mut is_empty = true;
                        for sql in self.history.find(search) {
                            is_empty = false;
                            let text = RichText::new(one_line(sql, 140)).monospace();
                            if ui
                                .selectable_label(false, text)
                                .on_hover_text(sql)
                                .clicked()
                            {
                                picked = Some(sql.to_owned());
                            }
                        }
                        if is_empty {
                            ui.label(
                                RichText::new(desk.t(sql_words::HISTORY_EMPTY)).color(colors.weak),
                            );
                        }
                    });
            });
        if let Some(sql) = picked {
            self.history_search = None;
            self.open(sql);
        }
    }
}
