//! An output's life: what is behind it, where it stands.

use egui::{Align2, Color32, FontId, Sense, Stroke, Ui, pos2, vec2};
use kekkai_review_api::OutputState;
use kekkai_types::Lang;

use super::words;
use crate::theme::palette;
use crate::words::Words;

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Done,
    Now,
    Later,
    Failed,
}

/// The steps of an output in this state, with the last one's name.
pub(super) fn steps(state: OutputState) -> [(Words, Step); 5] {
    use Step::{Done, Failed, Later, Now};
    let (checked, first, second, end) = match state {
        OutputState::Waiting => (Done, Now, Later, Later),
        OutputState::HalfVoted => (Done, Done, Now, Later),
        OutputState::Released => (Done, Done, Done, Done),
        OutputState::Rejected | OutputState::Returned => (Done, Done, Done, Failed),
        OutputState::FailedChecks => (Failed, Later, Later, Later),
    };
    let last = match state {
        OutputState::Rejected => words::STATE_REJECTED,
        OutputState::Returned => words::STATE_RETURNED,
        _ => words::STATE_RELEASED,
    };
    [
        (words::STEP_SUBMITTED, Done),
        (words::STEP_CHECKED, checked),
        (words::STEP_FIRST, first),
        (words::STEP_SECOND, second),
        (last, end),
    ]
}

/// Draws it over the width that there is.
pub(super) fn ui(ui: &mut Ui, state: OutputState, lang: Lang) {
    const WIDTH: f32 = 560.0;
    let colors = palette(ui);
    let size = vec2(ui.available_width().min(WIDTH), 44.0);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let steps = steps(state);
    let slot = rect.width() / 5.0;
    let y = rect.top() + 12.0;
    let mut x = rect.left() + slot / 2.0;
    let mut before: Option<f32> = None;
    for (name, step) in steps {
        let ink = match step {
            Step::Done => colors.good,
            Step::Now => colors.accent,
            Step::Later => colors.line,
            Step::Failed => colors.bad,
        };
        if let Some(before) = before {
            let reached = step != Step::Later;
            let line = if reached { ink } else { colors.line };
            ui.painter()
                .hline(before + 9.0..=x - 9.0, y, Stroke::new(2.0, line));
        }
        mark(ui, pos2(x, y), step, ink);
        let text = if step == Step::Later {
            colors.weak
        } else {
            colors.text
        };
        let at = pos2(x, y + 12.0);
        let font = FontId::proportional(12.0);
        ui.painter()
            .text(at, Align2::CENTER_TOP, name.get(lang), font, text);
        before = Some(x);
        x += slot;
    }
}

/// Shapes beside colours: some see no colours.
fn mark(ui: &Ui, at: egui::Pos2, step: Step, ink: Color32) {
    let painter = ui.painter();
    let stroke = Stroke::new(2.0, ink);
    match step {
        Step::Done => {
            painter.circle_filled(at, 7.0, ink);
            let light = Stroke::new(2.0, palette(ui).paper);
            let [a, b, c] = [vec2(-3.0, 0.0), vec2(-1.0, 3.0), vec2(3.5, -2.5)];
            painter.line_segment([at + a, at + b], light);
            painter.line_segment([at + b, at + c], light);
        }
        Step::Now => {
            painter.circle_stroke(at, 7.0, stroke);
            painter.circle_filled(at, 3.5, ink);
        }
        Step::Later => {
            painter.circle_stroke(at, 6.0, stroke);
        }
        Step::Failed => {
            let arm = 5.0;
            painter.line_segment([at + vec2(-arm, -arm), at + vec2(arm, arm)], stroke);
            painter.line_segment([at + vec2(-arm, arm), at + vec2(arm, -arm)], stroke);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_never_goes_on_behind_what_failed_or_is_not_reached() {
        for state in [
            OutputState::Waiting,
            OutputState::HalfVoted,
            OutputState::Released,
            OutputState::Rejected,
            OutputState::Returned,
            OutputState::FailedChecks,
        ] {
            let steps = steps(state).map(|(_, step)| step);
            let first_open = steps.iter().position(|step| *step != Step::Done);
            if let Some(at) = first_open {
                let rest = &steps[at + 1..];
                assert!(rest.iter().all(|step| *step == Step::Later), "{state:?}");
            } else {
                assert_eq!(state, OutputState::Released);
            }
        }
    }
}
