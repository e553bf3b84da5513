//! What a run printed, how far it is, how it ended.

use egui::{RichText, ScrollArea, Ui};
use kekkai_analysis_api::{JobState, LogLine};
use kekkai_types::JobId;
use kekkai_worker_api::Ask;

use super::words;
use crate::model::JobView;
use crate::panes::{Desk, Go, Section, parts, words as pane_words};
use crate::theme::palette;

/// Draws a run's console. Returns the line of the script that is to be gone to.
pub(super) fn ui(ui: &mut Ui, desk: &mut Desk<'_>, job: Option<&JobId>) -> Option<u32> {
    let Some(view) = job.and_then(|job| desk.model.job(job)) else {
        ui.label(RichText::new(desk.t(words::CONSOLE_EMPTY)).weak());
        return None;
    };
    let wanted = head(ui, desk, view);
    let gaps = kekkai_console::render::log_gaps(&view.job.log, desk.lang);
    if !gaps.is_empty() {
        parts::warned(ui, gaps.clone());
    }
    if view.log_cut {
        ui.label(RichText::new(desk.t(words::LOG_CUT)).small().weak());
    }
    if view.log.is_empty() {
        if gaps.is_empty() {
            ui.label(RichText::new(desk.t(words::NO_LINES)).weak());
        }
        return wanted;
    }
    lines(ui, &view.log, view.job.job.as_str());
    wanted
}

/// State, progress, what to do.
fn head(ui: &mut Ui, desk: &mut Desk<'_>, view: &JobView) -> Option<u32> {
    let mut wanted = None;
    let mut outputs = 0;
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(format!("{}: {}", view.job.job, view.job.work.text())).strong());
        match &view.job.state {
            JobState::Queued { .. } | JobState::Running { .. } => {
                ui.label(desk.t(words::RUNNING));
            }
            JobState::RunningProgram { permille, note } => {
                let share = f32::from(*permille) / 1000.0;
                let bar = egui::ProgressBar::new(share).desired_width(160.0);
                ui.add(bar.text(format!("{:.0} %", share * 100.0)));
                ui.label(note);
            }
            JobState::Ran { outputs: made } => {
                ui.label(RichText::new(desk.t(words::ENDED_WELL)).color(palette(ui).good));
                outputs = made.len();
            }
            JobState::RunFailed { outputs: made, .. } => outputs = made.len(),
            JobState::Cancelled { by_limit } => {
                let text = if *by_limit {
                    words::CANCELLED_LIMIT
                } else {
                    words::CANCELLED
                };
                ui.label(desk.t(text));
            }
            JobState::Done(_) | JobState::Failed(_) => {}
        }
        if view.is_active() && ui.button(desk.t(pane_words::CANCEL)).clicked() {
            let job = view.job.job.clone();
            desk.asks.tell(Ask::Cancel { job });
        }
        if outputs > 0 {
            ui.label(words::SUBMITTED.with(desk.lang, &[&outputs.to_string()]));
            if ui.button(desk.t(words::TO_OUTPUTS)).clicked() {
                desk.go(Go::To(Section::Outputs));
            }
        }
    });
    if let JobState::RunFailed { error, .. } = &view.job.state {
        parts::failed(ui, kekkai_console::message::run_error(error, desk.lang));
        if error.line > 0 {
            let text = words::GO_TO_LINE.with(desk.lang, &[&error.line.to_string()]);
            if ui.button(text).clicked() {
                wanted = Some(error.line);
            }
        }
    }
    wanted
}

/// Only what is in sight is laid out.
fn lines(ui: &mut Ui, log: &[LogLine], job: &str) {
    let colors = palette(ui);
    let height = ui.text_style_height(&egui::TextStyle::Monospace);
    egui::Frame::new()
        .fill(colors.paper)
        .inner_margin(6)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ScrollArea::both()
                .id_salt(("console", job))
                .auto_shrink(false)
                .stick_to_bottom(true)
                .show_rows(ui, height, log.len(), |ui, range| {
                    for line in log.get(range).unwrap_or_default() {
                        let color = if line.is_error {
                            colors.bad
                        } else {
                            colors.text
                        };
                        let text = RichText::new(&line.text).monospace().color(color);
                        ui.add(egui::Label::new(text).extend());
                    }
                });
        });
}
