//! The person's outputs: where each stands, what reviewers wrote, what to do next.

use egui::{CollapsingHeader, Frame, RichText, ScrollArea, Ui};
use kekkai_review_api::{OutputDetail, OutputState};
use kekkai_types::{Lang, OutputId};

use super::draft::Draft;
use super::{Wish, findings, timeline, words};
use crate::panes::{Desk, parts};
use crate::theme::palette;
use crate::words::Words;

/// Draws the list.
pub(super) fn ui(ui: &mut Ui, desk: &mut Desk<'_>, open: &mut Option<OutputId>) -> Option<Wish> {
    let mut wish = None;
    let can_write = desk.model.jobs.iter().any(|view| view.table.is_some());
    let outputs = &desk.model.outputs;
    if outputs.is_empty() {
        parts::empty(ui, desk.t(words::EMPTY_TITLE), desk.t(words::EMPTY_NEXT));
        ui.vertical_centered(|ui| wish = new_button(ui, desk, can_write));
        return wish;
    }
    ui.horizontal(|ui| wish = new_button(ui, desk, can_write));
    ui.add_space(4.0);
    let lang = desk.lang;
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        for output in outputs {
            if let Some(draft) = card(ui, output, outputs, open, lang) {
                wish = Some(Wish::Write(Box::new(draft)));
            }
        }
    });
    wish
}

fn new_button(ui: &mut Ui, desk: &Desk<'_>, can_write: bool) -> Option<Wish> {
    let button = ui
        .add_enabled_ui(can_write, |ui| parts::main_button(ui, desk.t(words::NEW)))
        .inner
        .on_disabled_hover_text(desk.t(words::NEW_NONE));
    button.clicked().then(|| Wish::Write(Box::default()))
}

/// A state's name, and its colours: text and ground.
fn state(state: OutputState, ui: &Ui) -> (Words, egui::Color32, egui::Color32) {
    let colors = palette(ui);
    match state {
        OutputState::Waiting => (words::STATE_WAITING, colors.text, colors.bar),
        OutputState::HalfVoted => (words::STATE_HALF, colors.text, colors.bar),
        OutputState::Released => (words::STATE_RELEASED, colors.on_accent, colors.good),
        OutputState::Rejected => (words::STATE_REJECTED, colors.bad, colors.bad_back),
        OutputState::Returned => (words::STATE_RETURNED, colors.warn, colors.warn_back),
        OutputState::FailedChecks => (words::STATE_FAILED, colors.bad, colors.bad_back),
    }
}

fn next(output: &OutputDetail) -> Words {
    if output.replaced_by.is_some() {
        return words::NEXT_REPLACED;
    }
    match output.summary.state {
        OutputState::Waiting => words::NEXT_WAITING,
        OutputState::HalfVoted => words::NEXT_HALF,
        OutputState::Released => words::NEXT_RELEASED,
        OutputState::Rejected => words::NEXT_REJECTED,
        OutputState::Returned => words::NEXT_RETURNED,
        OutputState::FailedChecks => words::NEXT_FAILED,
    }
}

/// Whether another attempt may be in its place.
fn can_be_replaced(output: &OutputDetail) -> bool {
    let came_back = matches!(
        output.summary.state,
        OutputState::Returned | OutputState::Rejected | OutputState::FailedChecks
    );
    came_back && output.replaced_by.is_none()
}

/// A program's output, of which nothing that it wrote is shown yet.
fn is_veiled(output: &OutputDetail) -> bool {
    output.summary.title == output.summary.output.as_str()
}

fn card(
    ui: &mut Ui,
    output: &OutputDetail,
    all: &[OutputDetail],
    open: &mut Option<OutputId>,
    lang: Lang,
) -> Option<Draft> {
    let colors = palette(ui);
    let id = &output.summary.output;
    let mut draft = None;
    Frame::new()
        .fill(colors.paper)
        .stroke(ui.visuals().widgets.noninteractive.bg_stroke)
        .corner_radius(4)
        .inner_margin(10)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                let (name, ink, ground) = state(output.summary.state, ui);
                parts::chip(ui, name.get(lang), ink, ground);
                let is_open = open.as_ref() == Some(id);
                let is_shown = is_open || can_be_replaced(output);
                let sign = if is_shown { "▼" } else { "▶" };
                let title = RichText::new(format!("{sign} {}", output.summary.title)).strong();
                let title = egui::Button::new(title).frame(false).truncate();
                if ui.add(title).clicked() {
                    *open = (!is_open).then(|| id.clone());
                }
            });
            let submitted = output.summary.submitted.in_japan();
            let submitted = submitted.strftime("%Y-%m-%d %H:%M").to_string();
            let line = format!(
                "{}   {}",
                words::SUBMITTED_AT.with(lang, &[&submitted]),
                next(output).get(lang)
            );
            ui.label(RichText::new(line).small().color(colors.weak));
            // What came back needs its author: it is open from the beginning.
            let needs_author = can_be_replaced(output);
            if open.as_ref() == Some(id) || needs_author {
                draft = details(ui, output, all, lang);
            }
        });
    ui.add_space(4.0);
    draft
}

fn details(ui: &mut Ui, output: &OutputDetail, all: &[OutputDetail], lang: Lang) -> Option<Draft> {
    ui.add_space(4.0);
    timeline::ui(ui, output.summary.state, lang);
    if is_veiled(output) {
        ui.label(RichText::new(words::PROGRAM_NOTE.get(lang)).weak());
    }
    if let Some(before) = &output.replaces {
        let known = all.iter().find(|other| other.summary.output == *before);
        let title = known.map_or(before.as_str(), |other| other.summary.title.as_str());
        ui.label(RichText::new(words::REPLACES.with(lang, &[title])).weak());
    }
    let field = |ui: &mut Ui, name: Words, text: &str| {
        if !text.is_empty() {
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new(name.get(lang)).small().weak());
                ui.label(text);
            });
        }
    };
    field(ui, words::PURPOSE, &output.purpose);
    field(ui, words::METHOD, &output.method);
    let is_decided = matches!(
        output.summary.state,
        OutputState::Released | OutputState::Rejected | OutputState::Returned
    );
    if is_decided {
        ui.label(RichText::new(words::COMMENTS.get(lang)).strong());
        for comment in &output.summary.comments {
            parts::said(ui, comment.as_str());
        }
        if output.summary.comments.is_empty() {
            ui.label(RichText::new(words::NO_COMMENTS.get(lang)).weak());
        }
    }
    if !output.findings.is_empty() {
        let is_failed = output.summary.state == OutputState::FailedChecks;
        CollapsingHeader::new(words::FINDINGS.get(lang))
            .id_salt(("findings", output.summary.output.as_str()))
            .default_open(is_failed)
            .show(ui, |ui| findings::ui(ui, &output.findings, lang, false));
    }
    if can_be_replaced(output) && ui.button(words::REVISE.get(lang)).clicked() {
        return Some(Draft::revise(output));
    }
    None
}
