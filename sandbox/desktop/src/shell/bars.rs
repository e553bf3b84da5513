//! The bars: who, where, how long; the kinds of work; what happened last.

use egui::{Align, Button, Color32, Layout, Panel, RichText, Ui};
use kekkai_types::{Lang, Timestamp};

use super::{Dialog, Shell, words};
use crate::asks::Asks;
use crate::model::Model;
use crate::panes::{NoticeWeight, Section};
use crate::theme::palette;

/// Below this, the clock warns.
const MINUTES_WARNED: i64 = 15;
/// From here on, the clock names the day.
const MINUTES_COUNTED: i64 = 24 * 60;

impl Shell {
    pub(super) fn top(&mut self, ui: &mut Ui, model: &Model, asks: &mut Asks, now: Timestamp) {
        let lang = self.lang;
        let colors = palette(ui);
        let frame = egui::Frame::new()
            .fill(colors.bar)
            .inner_margin(egui::Margin::symmetric(12, 6));
        Panel::top("top").frame(frame).show_inside(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(RichText::new(&model.begin.project).strong().size(16.0));
                ui.label(RichText::new(&model.begin.person).color(colors.weak));
                ui.separator();
                clock(ui, model.closes, now, lang);
                if model.watchers > 0 {
                    let count = model.watchers.to_string();
                    let text = words::WATCHED.with(lang, &[&count]);
                    badge(
                        ui,
                        &text,
                        colors.bad,
                        colors.bad_back,
                        words::WATCHED_TIP.get(lang),
                    );
                }
                if model.begin.emulated {
                    let text = words::EMULATED.get(lang);
                    badge(
                        ui,
                        text,
                        colors.warn,
                        colors.warn_back,
                        words::EMULATED_TIP.get(lang),
                    );
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    self.right(ui, asks);
                });
            });
        });
    }

    /// From the right edge on.
    fn right(&mut self, ui: &mut Ui, asks: &mut Asks) {
        let lang = self.lang;
        let button = |ui: &mut Ui, text: &str, tip: String| {
            ui.add(Button::new(text)).on_hover_text(tip).clicked()
        };
        if button(
            ui,
            words::LEAVE.get(lang),
            words::LEAVE_TIP.get(lang).to_owned(),
        ) {
            self.dialog = Some(Dialog::Leave);
        }
        if button(
            ui,
            words::LOCK.get(lang),
            words::LOCK_TIP.get(lang).to_owned(),
        ) {
            Self::lock(asks);
        }
        ui.separator();
        let key = |tip: crate::words::Words, keys: &str| format!("{}  ({keys})", tip.get(lang));
        if button(ui, "+", key(words::ZOOM_IN, "Ctrl +")) {
            self.zoom_by(1);
        }
        let percent = format!("{}%", self.zoom());
        if button(ui, &percent, key(words::ZOOM_RESET, "Ctrl 0")) {
            self.zoom = super::ZOOM_NORMAL;
        }
        if button(ui, "-", key(words::ZOOM_OUT, "Ctrl -")) {
            self.zoom_by(-1);
        }
        if button(
            ui,
            words::CONTRAST.get(lang),
            words::CONTRAST_TIP.get(lang).to_owned(),
        ) {
            self.switch_contrast();
        }
        if button(
            ui,
            words::LANGUAGE.get(lang),
            words::LANGUAGE_TIP.get(lang).to_owned(),
        ) {
            self.switch_language();
        }
        if button(
            ui,
            words::PALETTE.get(lang),
            key(words::PALETTE_TIP, "Ctrl K"),
        ) {
            self.palette = Some(super::palette::Search::default());
        }
    }

    pub(super) fn side(&mut self, ui: &mut Ui, model: &Model) {
        let lang = self.lang;
        let colors = palette(ui);
        let frame = egui::Frame::new()
            .fill(colors.bar)
            .inner_margin(egui::Margin::symmetric(8, 10));
        Panel::left("side")
            .frame(frame)
            .resizable(false)
            .exact_size(132.0)
            .show_inside(ui, |ui| {
                for (number, section) in (1..).zip(Section::ALL) {
                    let (name, tip) = section.words();
                    let is_chosen = self.section == section;
                    let running = match section {
                        Section::Jobs => model.active_jobs().count(),
                        _ => 0,
                    };
                    let mut text = name.get(lang).to_owned();
                    if running > 0 {
                        text.push_str(&format!("  ({running})"));
                    }
                    let fill = if is_chosen {
                        colors.accent
                    } else {
                        Color32::TRANSPARENT
                    };
                    let color = if is_chosen {
                        colors.on_accent
                    } else {
                        colors.text
                    };
                    let button = Button::new(RichText::new(text).color(color))
                        .fill(fill)
                        .stroke(egui::Stroke::NONE)
                        .min_size(egui::vec2(ui.available_width(), 32.0));
                    let response = ui
                        .with_layout(Layout::top_down_justified(Align::Min), |ui| ui.add(button))
                        .inner
                        .on_hover_text(format!(
                            "{}  (Ctrl {number} / Alt {number})",
                            tip.get(lang)
                        ));
                    if response.has_focus() {
                        let stroke = egui::Stroke::new(2.0, colors.text);
                        ui.painter().rect_stroke(
                            response.rect,
                            4,
                            stroke,
                            egui::StrokeKind::Inside,
                        );
                    }
                    if response.clicked() {
                        self.section = section;
                    }
                }
            });
    }

    pub(super) fn bottom(&mut self, ui: &mut Ui, model: &Model) {
        let lang = self.lang;
        let colors = palette(ui);
        let frame = egui::Frame::new()
            .fill(colors.bar)
            .inner_margin(egui::Margin::symmetric(12, 4));
        Panel::bottom("bottom").frame(frame).show_inside(ui, |ui| {
            ui.horizontal(|ui| {
                let (text, color) = match &self.notice {
                    Some(notice) => {
                        let color = match notice.weight {
                            NoticeWeight::Good => colors.good,
                            NoticeWeight::Plain => colors.text,
                            NoticeWeight::Bad => colors.bad,
                        };
                        (notice.text.as_str(), color)
                    }
                    None => (words::READY.get(lang), colors.weak),
                };
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let running = model.active_jobs().count();
                    if running > 0 {
                        let text = words::RUNNING.with(lang, &[&running.to_string()]);
                        if ui.link(text).clicked() {
                            self.section = Section::Jobs;
                        }
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        let label = egui::Label::new(RichText::new(text).color(color)).truncate();
                        ui.add(label);
                    });
                });
            });
        });
    }
}

fn clock(ui: &mut Ui, closes: Timestamp, now: Timestamp, lang: Lang) {
    let colors = palette(ui);
    let at = closes.in_japan().strftime("%H:%M").to_string();
    let minutes = closes.ms_since(now).div_euclid(60_000);
    let text = match minutes {
        ..0 => words::OVER.with(lang, &[&at]),
        0..60 => {
            let left = words::MINUTES.with(lang, &[&minutes.to_string()]);
            words::UNTIL.with(lang, &[&at, &left])
        }
        // Further away than a day's work, the day says more than the hours.
        MINUTES_COUNTED.. => {
            let day = closes.in_japan().strftime("%Y-%m-%d").to_string();
            words::UNTIL_DAY.with(lang, &[&day])
        }
        60.. => {
            let (hours, rest) = (minutes / 60, minutes % 60);
            let left = words::HOURS.with(lang, &[&hours.to_string(), &rest.to_string()]);
            words::UNTIL.with(lang, &[&at, &left])
        }
    };
    let color = if minutes < MINUTES_WARNED {
        colors.bad
    } else {
        colors.text
    };
    ui.label(RichText::new(text).color(color))
        .on_hover_text(words::UNTIL_TIP.get(lang));
}

fn badge(ui: &mut Ui, text: &str, color: Color32, back: Color32, tip: &str) {
    egui::Frame::new()
        .fill(back)
        .corner_radius(4)
        .inner_margin(egui::Margin::symmetric(8, 2))
        .show(ui, |ui| ui.label(RichText::new(text).color(color)))
        .response
        .on_hover_text(tip);
}
