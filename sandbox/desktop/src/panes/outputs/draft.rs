//! Asking for results to be let out: choose, describe, look at the checks, submit.

use std::collections::BTreeMap;

use egui::{Panel, RichText, ScrollArea, Ui};
use kekkai_review_api::{OutputDetail, Said, Weight};
use kekkai_types::{JobId, Lang, OutputId};
use kekkai_worker_api::{Answer, Ask};

use super::evidence::Evidence;
use super::findings::{self, Place};
use super::preview::{self, Marked};
use super::{Wish, words};
use crate::asks::Ticket;
use crate::model::JobView;
use crate::panes::{Desk, NoticeWeight, parts};
use crate::theme::palette;
use crate::words::Words;

/// Characters of a title, as the review service has it.
const TITLE_MAX: usize = 200;
/// Characters of purpose and method.
const TEXT_MAX: usize = 2_000;

/// Results with their description.
#[derive(Debug, Default)]
pub(super) struct Draft {
    items: BTreeMap<JobId, Item>,
    purpose: String,
    method: String,
    /// The returned output that this is in place of, and its title.
    replaces: Option<(OutputId, String)>,
    /// The result whose checks and table are shown.
    open: Option<JobId>,
    shown: Option<Place>,
    /// The place is to be scrolled to.
    is_new: bool,
}

/// One result.
#[derive(Debug, Default)]
struct Item {
    title: String,
    checks: Checks,
    submitting: Option<Ticket>,
    submitted: Option<OutputId>,
    refused: Option<String>,
}

/// What the checks would say.
#[derive(Debug, Default)]
enum Checks {
    #[default]
    Unasked,
    Waiting(Ticket),
    Known(Vec<Said>),
    Refused(String),
}

/// What a draft still needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    Result,
    Title,
    Purpose,
    Control,
    Fails,
}

impl Draft {
    /// Another attempt, in place of one that came back.
    pub(super) fn revise(output: &OutputDetail) -> Self {
        let summary = &output.summary;
        Self {
            purpose: output.purpose.clone(),
            method: output.method.clone(),
            replaces: Some((summary.output.clone(), summary.title.clone())),
            ..Self::default()
        }
    }

    /// Adds a result.
    pub(super) fn add(&mut self, job: JobId) {
        // An output is in place of one other.
        if self.replaces.is_some() && !self.items.contains_key(&job) {
            self.items.retain(|_, item| item.submitted.is_some());
        }
        let title = match &self.replaces {
            Some((_, title)) => title.clone(),
            None => String::new(),
        };
        self.items.entry(job.clone()).or_insert(Item {
            title,
            ..Item::default()
        });
        self.open = Some(job);
        self.shown = None;
    }

    /// Takes answers.
    pub(super) fn tick(&mut self, desk: &mut Desk<'_>) {
        let lang = desk.lang;
        let mut said = Vec::new();
        for (job, item) in &mut self.items {
            if matches!(item.checks, Checks::Unasked) {
                let ask = Ask::Preview { job: job.clone() };
                if let Some(ticket) = desk.asks.ask(ask) {
                    item.checks = Checks::Waiting(ticket);
                }
            }
            if let Checks::Waiting(ticket) = item.checks
                && let Some(answer) = desk.asks.take(ticket)
            {
                item.checks = match answer {
                    Answer::Findings(found) => Checks::Known(found),
                    other => Checks::Refused(parts::refusal(&other, lang).unwrap_or_default()),
                };
            }
            if let Some(answer) = desk.asks.taken(&mut item.submitting) {
                match answer {
                    Answer::Submitted(output) => {
                        item.submitted = Some(output);
                        said.push(words::SUBMITTED.with(lang, &[&item.title]));
                    }
                    other => item.refused = parts::refusal(&other, lang),
                }
            }
        }
        for text in said {
            desk.say(NoticeWeight::Good, text);
            desk.asks.tell(Ask::Outputs);
        }
    }

    /// The returned output that it is in place of.
    pub(super) fn replaces(&self) -> Option<&OutputId> {
        self.replaces.as_ref().map(|(output, _)| output)
    }

    /// Everything is submitted, and there was something.
    pub(super) fn is_done(&self) -> bool {
        !self.items.is_empty() && self.items.values().all(|item| item.submitted.is_some())
    }

    /// Draws.
    pub(super) fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) -> Option<Wish> {
        let mut wish = None;
        ui.horizontal(|ui| {
            if ui.button(format!("← {}", desk.t(words::BACK))).clicked() {
                wish = Some(Wish::List);
            }
            if let Some((_, title)) = &self.replaces {
                ui.label(words::REVISING.with(desk.lang, &[title]));
            }
        });
        ui.add_space(4.0);
        Panel::right("draft-checks")
            .resizable(true)
            .default_size(ui.available_width() * 0.48)
            .min_size(260.0)
            .show_inside(ui, |ui| self.checks(ui, desk));
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            self.results(ui, desk);
            ui.add_space(8.0);
            self.describe(ui, desk.lang);
            ui.add_space(8.0);
            self.submit(ui, desk);
        });
        // What was chosen is checked now, not with the next input.
        self.tick(desk);
        wish
    }

    /// Which results, each with its title.
    fn results(&mut self, ui: &mut Ui, desk: &Desk<'_>) {
        ui.label(RichText::new(desk.t(words::RESULTS)).strong())
            .on_hover_text(desk.t(words::RESULTS_TIP));
        let lang = desk.lang;
        for view in desk
            .model
            .jobs
            .iter()
            .rev()
            .filter(|view| view.table.is_some())
        {
            let job = &view.job.job;
            let mut is_chosen = self.items.contains_key(job);
            let text: Vec<&str> = view.job.work.text().split_whitespace().collect();
            ui.horizontal(|ui| {
                let boxed = ui.checkbox(&mut is_chosen, "");
                if boxed.changed() && is_chosen {
                    self.add(job.clone());
                } else if boxed.changed() {
                    self.items.remove(job);
                }
                let name = format!("{job}: {}", text.join(" "));
                let is_open = self.open.as_ref() == Some(job);
                let row = egui::Button::selectable(is_open, name).truncate();
                if ui.add(row).clicked() {
                    self.add(job.clone());
                }
            });
            if let Some(item) = self.items.get_mut(job) {
                item.ui(ui, lang, job);
            }
        }
    }

    fn describe(&mut self, ui: &mut Ui, lang: Lang) {
        ui.label(RichText::new(words::DESCRIBE.get(lang)).strong());
        for (name, hint, text) in [
            (words::PURPOSE, words::PURPOSE_HINT, &mut self.purpose),
            (words::METHOD, words::METHOD_HINT, &mut self.method),
        ] {
            long_text(ui, name, hint, text, lang);
        }
    }

    /// What the checks say, what the engine counted, the table itself.
    fn checks(&mut self, ui: &mut Ui, desk: &Desk<'_>) {
        let lang = desk.lang;
        ui.label(RichText::new(desk.t(words::CHECKS)).strong());
        let open = self.open.as_ref();
        let Some((view, item)) =
            open.and_then(|job| Some((desk.model.job(job)?, self.items.get(job)?)))
        else {
            ui.label(RichText::new(desk.t(words::NEEDS_RESULT)).weak());
            return;
        };
        let none = Vec::new();
        let mut pressed = None;
        let height = ui.available_height();
        let findings = match &item.checks {
            Checks::Known(findings) => findings,
            _ => &none,
        };
        ScrollArea::vertical()
            .id_salt("draft-findings")
            .max_height(height * 0.55)
            .auto_shrink([false, true])
            .show(ui, |ui| {
                match &item.checks {
                    Checks::Unasked | Checks::Waiting(_) => {
                        ui.label(RichText::new(desk.t(words::CHECKS_WAIT)).weak());
                    }
                    Checks::Refused(text) => parts::failed(ui, text.as_str()),
                    Checks::Known(findings) => {
                        pressed = findings::ui(ui, findings, lang, view.table.is_some());
                    }
                }
                counts(ui, view, lang);
            });
        ui.add_space(4.0);
        if let Some(table) = &view.table {
            let room = ui.available_height() - 12.0;
            let marked = Marked {
                findings,
                shown: self.shown,
                is_new: std::mem::take(&mut self.is_new),
            };
            let id = egui::Id::new("draft-table");
            preview::ui(ui, id, table, marked, room.max(120.0));
        }
        if pressed.is_some() {
            self.shown = pressed;
            self.is_new = true;
            ui.ctx().request_repaint();
        }
    }

    fn lack(&self) -> Option<Lack> {
        let items = || self.items.values().filter(|item| item.submitted.is_none());
        let is_plain = |text: &str| text.chars().all(|c| !c.is_control() || c == '\n');
        let fails = |item: &Item| match &item.checks {
            Checks::Known(found) => findings::worst(found) == Some(Weight::Fail),
            _ => false,
        };
        if items().next().is_none() {
            Some(Lack::Result)
        } else if items().any(|item| item.title.trim().is_empty()) {
            Some(Lack::Title)
        } else if self.purpose.trim().is_empty() {
            Some(Lack::Purpose)
        } else if !is_plain(&self.purpose)
            || !is_plain(&self.method)
            || items().any(|item| !is_plain(&item.title) || item.title.contains('\n'))
        {
            Some(Lack::Control)
        } else if items().any(fails) {
            Some(Lack::Fails)
        } else {
            None
        }
    }

    fn submit(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let lang = desk.lang;
        ui.label(RichText::new(desk.t(words::SUBMIT)).strong());
        let lack = self.lack();
        let is_under_way = self.items.values().any(|item| item.submitting.is_some());
        match lack {
            Some(Lack::Fails) => parts::failed(ui, desk.t(words::FAILS)),
            Some(lack) => {
                let text = match lack {
                    Lack::Result => words::NEEDS_RESULT,
                    Lack::Title => words::NEEDS_TITLE,
                    Lack::Purpose => words::NEEDS_PURPOSE,
                    Lack::Control => words::CONTROL,
                    Lack::Fails => words::FAILS,
                };
                ui.label(RichText::new(text.get(lang)).weak());
            }
            None if is_under_way => {
                ui.label(RichText::new(desk.t(words::SUBMITTING)).weak());
            }
            None => {}
        }
        let open = self.items.values().filter(|item| item.submitted.is_none());
        let count = open.count();
        let text = if count > 1 {
            words::SUBMIT_MANY.with(lang, &[&count.to_string()])
        } else {
            words::SUBMIT_ONE.get(lang).to_owned()
        };
        let is_ready = lack.is_none() && !is_under_way;
        let button = ui.add_enabled_ui(is_ready, |ui| parts::main_button(ui, &text));
        if button.inner.clicked() {
            self.send(desk);
        }
    }

    /// Asks for everything that is not submitted yet.
    fn send(&mut self, desk: &mut Desk<'_>) {
        let replaces = self.replaces.as_ref().map(|(output, _)| output.clone());
        for (job, item) in &mut self.items {
            if item.submitted.is_some() || item.submitting.is_some() {
                continue;
            }
            item.refused = None;
            item.submitting = desk.asks.ask(Ask::Submit {
                job: job.clone(),
                title: item.title.trim().to_owned(),
                purpose: self.purpose.trim().to_owned(),
                method: self.method.trim().to_owned(),
                replaces: replaces.clone(),
            });
        }
    }
}

impl Item {
    fn ui(&mut self, ui: &mut Ui, lang: Lang, job: &JobId) {
        ui.indent(("draft-item", job.as_str()), |ui| {
            if self.submitted.is_some() {
                let colors = palette(ui);
                let text = words::SUBMITTED_MARK.get(lang);
                parts::chip(ui, text, colors.on_accent, colors.good);
                return;
            }
            ui.horizontal(|ui| {
                ui.label(words::TITLE.get(lang));
                ui.add(
                    parts::field(&mut self.title)
                        .id_salt(("draft-title", job.as_str()))
                        .hint_text(words::TITLE_HINT.get(lang))
                        .char_limit(TITLE_MAX)
                        .desired_width(ui.available_width() - 8.0),
                );
            });
            if let Some(refused) = &self.refused {
                parts::failed(ui, refused.as_str());
            }
        });
    }
}

fn long_text(ui: &mut Ui, name: Words, hint: Words, text: &mut String, lang: Lang) {
    ui.label(RichText::new(name.get(lang)).small());
    ui.add(
        parts::area(text)
            .id_salt(("draft-text", name.1))
            .hint_text(hint.get(lang))
            .char_limit(TEXT_MAX)
            .desired_rows(4)
            .desired_width(ui.available_width() - 8.0),
    );
    let count = [text.chars().count(), TEXT_MAX].map(|count| count.to_string());
    let count = words::CHARS.with(lang, &count.each_ref().map(String::as_str));
    ui.label(RichText::new(count).small().weak());
}

/// What the engine counted behind a result.
fn counts(ui: &mut Ui, view: &JobView, lang: Lang) {
    let Some(table) = &view.table else { return };
    ui.label(RichText::new(words::EVIDENCE.get(lang)).strong());
    for line in Evidence::of(table).lines(table, lang) {
        ui.label(RichText::new(line).color(palette(ui).weak));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use kekkai_types::Text;

    fn ready() -> Draft {
        let mut draft = Draft::default();
        draft.add(samples::job_id(1));
        draft
            .items
            .values_mut()
            .for_each(|item| item.title = "t".into());
        draft.purpose = "table 1".into();
        draft
    }

    fn said(weight: Weight) -> Checks {
        Checks::Known(vec![Said {
            weight,
            rule: "threshold".into(),
            place: Text::default(),
            text: Text::default(),
        }])
    }

    #[test]
    fn draft_names_what_is_missing() {
        let mut draft = Draft::default();
        assert_eq!(draft.lack(), Some(Lack::Result));
        draft.add(samples::job_id(1));
        assert_eq!(draft.lack(), Some(Lack::Title));
        let mut draft = ready();
        assert_eq!(draft.lack(), None);
        draft.purpose = " \n".into();
        assert_eq!(draft.lack(), Some(Lack::Purpose));
        let mut draft = ready();
        draft.method = "a\tb".into();
        assert_eq!(draft.lack(), Some(Lack::Control));
    }

    #[test]
    fn what_fails_the_checks_is_not_sent() {
        let mut draft = ready();
        let only = |draft: &mut Draft, checks| {
            draft.items.values_mut().next().unwrap().checks = checks;
        };
        only(&mut draft, said(Weight::Review));
        assert_eq!(draft.lack(), None);
        only(&mut draft, said(Weight::Fail));
        assert_eq!(draft.lack(), Some(Lack::Fails));
    }

    #[test]
    fn another_attempt_is_of_one_result() {
        let mut draft = ready();
        draft.add(samples::job_id(2));
        assert_eq!(draft.items.len(), 2);
        draft.replaces = Some((OutputId::new("o1").unwrap(), "before".into()));
        draft.add(samples::job_id(3));
        assert_eq!(draft.items.len(), 1);
        assert_eq!(draft.items[&samples::job_id(3)].title, "before");
    }
}
