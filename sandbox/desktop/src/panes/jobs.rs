//! What runs and ran: progress, an estimate of the rest, cancelling, results.

use egui::{Color32, ProgressBar, RichText, ScrollArea, Ui};
use kekkai_analysis_api::{JobState, Work};
use kekkai_types::Lang;
use kekkai_worker_api::Ask;

use super::results::one_line;
use super::{Desk, Go, Section, words};
use crate::model::JobView;
use crate::theme::{Palette, palette};

/// Before so many permille an estimate is a guess.
const ESTIMATE_PERMILLE: u64 = 20;

/// What runs and ran.
#[derive(Debug, Default)]
pub struct JobsPane {}

impl JobsPane {
    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let model = desk.model;
        if model.jobs.is_empty() {
            ui.vertical_centered(|ui| {
                ui.add_space(80.0);
                ui.label(desk.t(words::NO_JOBS));
                ui.add_space(8.0);
                if ui.button(desk.t(words::TO_SQL)).clicked() {
                    desk.go(Go::To(Section::Sql));
                }
            });
            return;
        }
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for view in model.jobs.iter().rev() {
                job(ui, desk, view);
            }
        });
    }
}

fn job(ui: &mut Ui, desk: &mut Desk<'_>, view: &JobView) {
    let lang = desk.lang;
    let colors = palette(ui);
    egui::Frame::group(ui.style())
        .fill(colors.paper)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                ui.label(RichText::new(view.job.job.as_str()).strong());
                let (text, color) = state(view, lang, colors);
                ui.label(RichText::new(text).color(color));
                ui.label(RichText::new(duration(view.job.elapsed_ms, lang)).color(colors.weak));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    actions(ui, desk, view);
                    let text = RichText::new(one_line(view.job.work.text(), 200)).monospace();
                    ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                        ui.add(egui::Label::new(text).truncate())
                            .on_hover_text(view.job.work.text());
                    });
                });
            });
            if let Some((permille, text)) = progress(view, lang) {
                let bar = ProgressBar::new(f32::from(permille) / 1000.0)
                    .text(text)
                    .desired_height(18.0);
                ui.add(bar.fill(colors.chosen));
            }
            match &view.job.state {
                JobState::Failed(error) => {
                    let said = crate::sql::errors::explain(error, lang);
                    ui.label(RichText::new(said.what).color(colors.bad));
                    ui.label(said.next);
                }
                JobState::RunFailed { error, .. } => {
                    let text = kekkai_console::message::run_error(error, lang);
                    ui.label(RichText::new(text.trim_end()).color(colors.bad));
                }
                _ => {}
            }
        });
}

fn actions(ui: &mut Ui, desk: &mut Desk<'_>, view: &JobView) {
    let number = &view.job.job;
    if view.is_active() {
        if ui.button(desk.t(words::CANCEL)).clicked() {
            desk.asks.tell(Ask::Cancel {
                job: number.clone(),
            });
        }
    } else if view.grid().is_some() {
        if ui.button(desk.t(words::SHOW_RESULT)).clicked() {
            desk.go(Go::Result(number.clone()));
        }
        if ui.button(desk.t(words::CHART_IT)).clicked() {
            desk.go(Go::Chart(number.clone()));
        }
    }
    match &view.job.work {
        Work::Query(sql) => {
            if ui.button(desk.t(words::TO_EDITOR)).clicked() {
                desk.go(Go::Sql(sql.clone()));
            }
        }
        Work::Run(_) => {
            if ui.button(desk.t(words::CONSOLE_OF)).clicked() {
                desk.go(Go::Run(number.clone()));
            }
        }
    }
}

fn state(view: &JobView, lang: Lang, colors: &Palette) -> (String, Color32) {
    match &view.job.state {
        JobState::Queued { ahead } => (
            words::STATE_QUEUED.with(lang, &[&ahead.to_string()]),
            colors.weak,
        ),
        JobState::Running { .. } | JobState::RunningProgram { .. } => {
            (words::STATE_RUNNING.get(lang).to_owned(), colors.accent)
        }
        JobState::Done(_) => (words::STATE_DONE.get(lang).to_owned(), colors.good),
        JobState::Ran { outputs } if outputs.is_empty() => {
            (words::STATE_DONE.get(lang).to_owned(), colors.good)
        }
        JobState::Ran { outputs } => (
            words::STATE_RAN.with(lang, &[&outputs.len().to_string()]),
            colors.good,
        ),
        JobState::Failed(error) => (
            words::STATE_FAILED.with(lang, &[&error.code.to_string()]),
            colors.bad,
        ),
        JobState::RunFailed { error, .. } => (
            words::STATE_FAILED.with(lang, &[&error.code.to_string()]),
            colors.bad,
        ),
        JobState::Cancelled { by_limit: true } => {
            (words::STATE_LIMIT.get(lang).to_owned(), colors.warn)
        }
        JobState::Cancelled { by_limit: false } => {
            (words::STATE_CANCELLED.get(lang).to_owned(), colors.weak)
        }
    }
}

/// How far a job is, in permille, and in words with an estimate of the rest. `None` once it has ended.
pub(crate) fn progress(view: &JobView, lang: Lang) -> Option<(u16, String)> {
    let (permille, note) = match &view.job.state {
        JobState::Running {
            rows_read,
            rows_total,
        } => {
            let read = u128::from(*rows_read.min(rows_total)).saturating_mul(1000);
            let permille = read.checked_div(u128::from(*rows_total)).unwrap_or(0);
            (u64::try_from(permille).unwrap_or(0), String::new())
        }
        JobState::RunningProgram { permille, note } => {
            (u64::from(*permille).min(1000), kekkai_console::clean(note))
        }
        _ => return None,
    };
    let mut text = format!("{} %", permille / 10);
    if permille >= ESTIMATE_PERMILLE {
        let rest = u128::from(view.job.elapsed_ms)
            .saturating_mul(u128::from(1000_u64.saturating_sub(permille)));
        let rest = rest.checked_div(u128::from(permille)).unwrap_or(0);
        let rest = duration(u64::try_from(rest).unwrap_or(u64::MAX), lang);
        text.push_str("   ");
        text.push_str(&words::LEFT.with(lang, &[&rest]));
    }
    if !note.is_empty() {
        text.push_str("   ");
        text.push_str(&note);
    }
    Some((u16::try_from(permille).unwrap_or(1000), text))
}

/// A length of time for people.
pub(crate) fn duration(ms: u64, lang: Lang) -> String {
    let seconds = ms / 1000;
    let number = |value: u64| value.to_string();
    let (words, a, b) = match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => (words::SECONDS, number(seconds), number(ms % 1000 / 100)),
        (0, minutes) => (words::MINUTES, number(minutes), number(seconds % 60)),
        (hours, minutes) => (words::HOURS, number(hours), number(minutes)),
    };
    words.with(lang, &[&a, &b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;
    use crate::samples;

    #[test]
    fn estimate_follows_what_is_done_and_waits_for_the_first_part() {
        let mut model = Model::new(samples::begin());
        let mut shown = |read, total, elapsed| {
            let state = JobState::Running {
                rows_read: read,
                rows_total: total,
            };
            model.take(samples::job(
                1,
                Work::Query("SELECT 1".to_owned()),
                elapsed,
                state,
            ));
            progress(model.job(&samples::job_id(1)).unwrap(), Lang::En).unwrap()
        };
        assert_eq!(
            shown(250, 1_000, 10_000),
            (250, "25 %   about 30.0 s left".to_owned())
        );
        assert_eq!(shown(1, 1_000, 10_000), (1, "0 %".to_owned()));
        assert_eq!(shown(0, 0, 10_000), (0, "0 %".to_owned()));
        assert_eq!(
            shown(5_000, 1_000, 10_000),
            (1000, "100 %   about 0.0 s left".to_owned())
        );
    }

    #[test]
    fn times_are_told_in_two_units() {
        let cases = [
            (900, "0.9 s"),
            (61_000, "1 min 1 s"),
            (3_660_000, "1 h 1 min"),
        ];
        for (ms, text) in cases {
            assert_eq!(duration(ms, Lang::En), text);
        }
    }
}
