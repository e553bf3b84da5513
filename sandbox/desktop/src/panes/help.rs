//! How it all works: pages that can be searched.

pub(crate) mod pages;

use egui::{Frame, Panel, RichText, ScrollArea, Ui};
use kekkai_types::Lang;

use super::{Desk, parts, words};
use crate::theme::palette;
use pages::{PAGES, Page, Part};

/// How it all works.
#[derive(Debug, Default)]
pub struct HelpPane {
    page: usize,
    search: String,
}

impl HelpPane {
    /// Opens a page, by its name.
    pub fn open(&mut self, page: &'static str) {
        if let Some(at) = PAGES.iter().position(|known| known.name == page) {
            self.page = at;
            self.search.clear();
        }
    }

    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let lang = desk.lang;
        let found = find(&self.search, lang);
        if !found.contains(&self.page)
            && let Some(first) = found.first()
        {
            self.page = *first;
        }
        Panel::left("help-pages")
            .resizable(false)
            .exact_size(250.0)
            .show_inside(ui, |ui| {
                ui.add(
                    parts::field(&mut self.search)
                        .hint_text(desk.t(words::FILTER))
                        .desired_width(228.0),
                );
                ui.add_space(4.0);
                for at in &found {
                    let Some(page) = PAGES.get(*at) else { continue };
                    let row = egui::Button::selectable(*at == self.page, page.title.get(lang));
                    if ui.add(row.wrap()).clicked() {
                        self.page = *at;
                    }
                }
                if found.is_empty() {
                    ui.label(RichText::new(desk.t(words::NOTHING_FOUND)).weak());
                }
            });
        if found.is_empty() {
            return;
        }
        if let Some(page) = PAGES.get(self.page) {
            parts::beside(ui, |ui| {
                ScrollArea::vertical()
                    .id_salt(page.name)
                    .auto_shrink(false)
                    .show(ui, |ui| show(ui, page, lang));
            });
        }
    }
}

/// Text with room between its lines.
fn running(text: &str) -> RichText {
    RichText::new(text).line_height(Some(parts::LINE))
}

fn show(ui: &mut Ui, page: &Page, lang: Lang) {
    let colors = palette(ui);
    // Lines of this length are read without losing one's place.
    ui.set_max_width(720.0);
    ui.label(RichText::new(page.title.get(lang)).heading());
    ui.add_space(6.0);
    for part in page.parts {
        match part {
            Part::Text(words) => {
                ui.label(running(words.get(lang)));
            }
            Part::Item(words) => {
                ui.horizontal_top(|ui| {
                    ui.label(running("•").color(colors.accent));
                    ui.add(egui::Label::new(running(words.get(lang))).wrap());
                });
            }
            Part::Key(keys, words) => {
                ui.horizontal_top(|ui| {
                    let keys = RichText::new(*keys).monospace().strong();
                    ui.add_sized(
                        [170.0, 20.0],
                        egui::Label::new(keys).halign(egui::Align::LEFT),
                    );
                    ui.add(egui::Label::new(running(words.get(lang))).wrap());
                });
            }
            Part::Code(code) => {
                Frame::new()
                    .fill(colors.paper)
                    .stroke(ui.visuals().widgets.noninteractive.bg_stroke)
                    .corner_radius(4)
                    .inner_margin(8)
                    .show(ui, |ui| ui.label(RichText::new(*code).monospace()));
            }
        }
        ui.add_space(4.0);
    }
}

/// Pages that hold every word that is searched for, in their order.
fn find(search: &str, lang: Lang) -> Vec<usize> {
    let wanted: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
    PAGES
        .iter()
        .enumerate()
        .filter(|(_, page)| {
            let text = text_of(page, lang).to_lowercase();
            wanted.iter().all(|word| text.contains(word))
        })
        .map(|(at, _)| at)
        .collect()
}

fn text_of(page: &Page, lang: Lang) -> String {
    let mut text = page.title.get(lang).to_owned();
    for part in page.parts {
        text.push('\n');
        match part {
            Part::Text(words) | Part::Item(words) => text.push_str(words.get(lang)),
            Part::Key(keys, words) => {
                text.push_str(keys);
                text.push(' ');
                text.push_str(words.get(lang));
            }
            Part::Code(code) => text.push_str(code),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_words_in_either_language() {
        let names = |search: &str, lang| -> Vec<&str> {
            let found = find(search, lang);
            found.into_iter().map(|at| PAGES[at].name).collect()
        };
        assert_eq!(names("", Lang::Ja).len(), PAGES.len());
        assert_eq!(names("差戻し", Lang::Ja), ["review"]);
        assert_eq!(names("NULLIF cast", Lang::En), ["sql"]);
        assert_eq!(names("ctrl+enter", Lang::En), ["first-steps", "keys"]);
        assert!(names("no such word", Lang::En).is_empty());
    }

    #[test]
    fn statements_in_help_are_sql() {
        for page in PAGES {
            for part in page.parts {
                let Part::Code(code) = part else { continue };
                if !code.starts_with("SELECT") {
                    continue;
                }
                let dialect = sqlparser::dialect::PostgreSqlDialect {};
                let parsed = sqlparser::parser::Parser::parse_sql(&dialect, code);
                assert!(parsed.is_ok(), "{code}: {parsed:?}");
            }
        }
    }

    #[test]
    fn every_page_has_its_own_name() {
        let names: std::collections::BTreeSet<&str> = PAGES.iter().map(|page| page.name).collect();
        assert_eq!(names.len(), PAGES.len());
    }
}
