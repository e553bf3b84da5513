//! One step on the screen.

use egui::{Frame, Id, RichText, Ui, vec2};
use kekkai_analysis_api::{JobState, LogLine};
use kekkai_types::JobId;

use super::words;
use crate::asks::Ticket;
use crate::chart::build::BuildError;
use crate::chart::paint::{self, Chosen, Labels};
use crate::chart::{Plot, Spec, build, words as chart_words};
use crate::editor::Editor;
use crate::model::JobView;
use crate::notebook::{NOTE_MAX, Step};
use crate::panes::chart::settings;
use crate::panes::outputs::preview::{self, Marked};
use crate::panes::{Desk, Go, parts, scripts, words as pane_words};
use crate::theme::palette;

/// Lines of an editor before it scrolls.
const LINES_MAX: usize = 16;
/// Lines of a run's log that a step shows.
const LOG_SHOWN: usize = 6;
/// Height of a result in a step, in points.
const RESULT_HEIGHT: f32 = 200.0;
/// Height of a chart, in points.
const CHART_HEIGHT: f32 = 340.0;

/// A step that is worked on.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: u64,
    pub(super) work: Work,
    pub(super) started: Option<Ticket>,
    pub(super) job: Option<JobId>,
    pub(super) refused: Option<String>,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Work {
    Note(String),
    Sql(Editor),
    Script(Editor, String),
    Chart(Box<Drawing>),
}

/// A chart with what was computed for it.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    spec: Option<Spec>,
    fits: Option<settings::Fits>,
    drawn: Option<(JobId, Spec, u64, Result<Plot, BuildError>)>,
    chosen: Option<Chosen>,
    is_open: bool,
}

/// What a step wants of its notebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepWish {
    Run,
    Up,
    Down,
    Remove,
}

impl Live {
    pub(super) fn new(id: u64, step: &Step) -> Self {
        let work = match step {
            Step::Note { text } => Work::Note(text.clone()),
            Step::Sql { text } => Work::Sql(Editor::new(text.as_str())),
            Step::Script { source, args } => {
                Work::Script(Editor::new(source.as_str()), args.clone())
            }
            Step::Chart { spec } => Work::Chart(Box::new(Drawing {
                spec: spec.clone(),
                ..Drawing::default()
            })),
        };
        Self {
            id,
            work,
            started: None,
            job: None,
            refused: None,
        }
    }

    /// As it is kept.
    pub(super) fn step(&self) -> Step {
        match &self.work {
            Work::Note(text) => Step::Note { text: text.clone() },
            Work::Sql(editor) => Step::Sql {
                text: editor.text.clone(),
            },
            Work::Script(editor, args) => Step::Script {
                source: editor.text.clone(),
                args: args.clone(),
            },
            Work::Chart(drawing) => Step::Chart {
                spec: drawing.spec.clone(),
            },
        }
    }

    pub(super) fn focus(&mut self) {
        if let Work::Sql(editor) | Work::Script(editor, _) = &mut self.work {
            editor.focus();
        }
    }

    /// Draws it. Says whether it was changed, and what it wants.
    pub(super) fn ui(
        &mut self,
        ui: &mut Ui,
        desk: &mut Desk<'_>,
        (at, count): (usize, usize),
        above: Option<&JobId>,
        is_running: bool,
    ) -> (bool, Option<StepWish>) {
        let colors = palette(ui);
        let mut wish = None;
        let mut changed = false;
        Frame::new()
            .fill(colors.back)
            .stroke(ui.visuals().widgets.noninteractive.bg_stroke)
            .corner_radius(4)
            .inner_margin(8)
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                wish = self.head(ui, desk, (at, count), is_running);
                changed = self.body(ui, desk, above);
                if let Some(refused) = &self.refused {
                    parts::failed(ui, refused.as_str());
                }
                if let Some(view) = self.job.as_ref().and_then(|job| desk.model.job(job)) {
                    result(ui, desk, view, self.id);
                }
            });
        (changed, wish)
    }

    fn head(
        &self,
        ui: &mut Ui,
        desk: &Desk<'_>,
        (at, count): (usize, usize),
        is_running: bool,
    ) -> Option<StepWish> {
        let mut wish = None;
        ui.horizontal(|ui| {
            let (name, runs) = match self.work {
                Work::Note(_) => (words::NOTE, false),
                Work::Sql(_) => (words::SQL, true),
                Work::Script(..) => (words::SCRIPT, true),
                Work::Chart(_) => (words::CHART, false),
            };
            let title = format!("{}  {}", at.saturating_add(1), desk.t(name));
            ui.label(RichText::new(title).strong());
            if runs {
                let run = ui.add_enabled(!is_running, egui::Button::new(desk.t(pane_words::RUN)));
                if run.on_hover_text(desk.t(words::RUN_TIP)).clicked() {
                    wish = Some(StepWish::Run);
                }
            }
            parts::at_right(ui, |ui| {
                let mut button = |sign, words, wanted, is_on| {
                    let button = ui.add_enabled(is_on, egui::Button::new(sign).small());
                    if button.on_hover_text(desk.t(words)).clicked() {
                        wish = Some(wanted);
                    }
                };
                let is_last = at.saturating_add(1) == count;
                button("×", words::REMOVE, StepWish::Remove, true);
                button("↓", words::DOWN, StepWish::Down, !is_last);
                button("↑", words::UP, StepWish::Up, at > 0);
            });
        });
        wish
    }

    fn body(&mut self, ui: &mut Ui, desk: &Desk<'_>, above: Option<&JobId>) -> bool {
        let id = Id::new(("notebook-step", self.id));
        match &mut self.work {
            Work::Note(text) => ui
                .add(
                    parts::area(text)
                        .id(id)
                        .hint_text(desk.t(words::NOTE_HINT))
                        .char_limit(NOTE_MAX)
                        .desired_rows(2)
                        .desired_width(f32::INFINITY),
                )
                .changed(),
            Work::Sql(editor) => edit(ui, id, editor, &crate::sql::tokens::highlight),
            Work::Script(editor, args) => {
                let changed = edit(ui, id, editor, &scripts::python::parts);
                let args = ui.horizontal(|ui| {
                    ui.label(RichText::new(desk.t(words::ARGS)).small());
                    ui.add(parts::field(args).desired_width(300.0))
                });
                changed | args.inner.changed()
            }
            Work::Chart(drawing) => drawing.ui(ui, desk, above, id),
        }
    }
}

/// An editor as high as its text, within bounds.
fn edit(
    ui: &mut Ui,
    id: Id,
    editor: &mut Editor,
    highlight: &dyn Fn(&str) -> Vec<crate::editor::CodePart>,
) -> bool {
    let lines = editor.text.split('\n').count().clamp(3, LINES_MAX);
    let line = ui.text_style_height(&egui::TextStyle::Monospace);
    let height = line * small(lines) + 18.0;
    let size = vec2(ui.available_width(), height);
    ui.allocate_ui(size, |ui| {
        ui.set_min_size(size);
        let output = editor.ui(ui, id, highlight, &[]);
        output.response.changed()
    })
    .inner
}

#[allow(clippy::cast_precision_loss, reason = "a few lines")]
fn small(count: usize) -> f32 {
    count as f32
}

impl Drawing {
    fn ui(&mut self, ui: &mut Ui, desk: &Desk<'_>, above: Option<&JobId>, id: Id) -> bool {
        let Some(view) = above.and_then(|job| desk.model.job(job)) else {
            let text = match above {
                Some(_) => words::NOT_RUN,
                None if self.spec.is_some() => words::NOT_RUN,
                None => words::NO_STATEMENT,
            };
            ui.label(RichText::new(desk.t(text)).weak());
            return false;
        };
        let Some(source) = settings::source(view) else {
            ui.label(RichText::new(desk.t(words::NOT_RUN)).weak());
            return false;
        };
        let lang = desk.lang;
        let mut changed = false;
        let of = (&view.job.job, desk.model.generation);
        // Drawing needs the whole of this beside it.
        let mut fits = self.fits.take();
        let known = settings::Fits::of(&mut fits, of, &source);
        let kept = self.spec.as_ref().or(known.suggested.as_ref());
        let bars = || Spec::new(kekkai_output::FigureKind::Bar);
        let mut spec = kept.cloned().unwrap_or_else(bars);
        ui.checkbox(&mut self.is_open, desk.t(words::SETTINGS));
        ui.horizontal_top(|ui| {
            if self.is_open {
                ui.push_id(id, |ui| {
                    ui.vertical(|ui| {
                        ui.set_width(210.0);
                        changed = settings::ui(ui, &mut spec, &source, known, lang);
                    });
                });
            }
            ui.vertical(|ui| self.chart(ui, desk, view, &source, &spec));
        });
        self.fits = fits;
        if changed {
            self.spec = Some(spec);
        }
        changed
    }

    fn chart(
        &mut self,
        ui: &mut Ui,
        desk: &Desk<'_>,
        view: &JobView,
        source: &crate::chart::Source<'_>,
        spec: &Spec,
    ) {
        let (job, generation) = (&view.job.job, desk.model.generation);
        let is_drawn = self
            .drawn
            .as_ref()
            .is_some_and(|(of, with, at, _)| (of, with, *at) == (job, spec, generation));
        if !is_drawn {
            let plot = build(source, spec);
            self.drawn = Some((job.clone(), spec.clone(), generation, plot));
        }
        let lang = desk.lang;
        match self.drawn.as_ref().map(|(.., plot)| plot) {
            Some(Ok(plot)) => {
                let (x, y) = settings::labels(spec, source, desk.model, lang);
                let labels = Labels {
                    title: &spec.title,
                    x: &x,
                    y: &y,
                    lang,
                };
                let size = vec2(ui.available_width().max(240.0), CHART_HEIGHT);
                paint::show(ui, plot, labels, &mut self.chosen, size);
                crate::panes::chart::warnings(ui, plot, lang);
            }
            Some(Err(error)) => {
                let text = chart_words::error(error, spec.kind, source.is_rows(), lang);
                parts::said(ui, text);
            }
            None => {}
        }
    }
}

/// What came of a step.
fn result(ui: &mut Ui, desk: &mut Desk<'_>, view: &JobView, id: u64) {
    let lang = desk.lang;
    let job = view.job.job.clone();
    match &view.job.state {
        JobState::Queued { .. } => {
            ui.label(desk.t(words::RUNNING));
        }
        JobState::Running {
            rows_read,
            rows_total,
        } => {
            let counts = [rows_read.to_string(), rows_total.to_string()];
            ui.label(desk.t(words::RUNNING));
            ui.label(words::READ.with(lang, &counts.each_ref().map(String::as_str)));
        }
        JobState::RunningProgram { permille, note } => {
            let share = f32::from(*permille) / 1000.0;
            ui.add(egui::ProgressBar::new(share).desired_width(200.0));
            ui.label(note);
            log(ui, &view.log);
        }
        JobState::Done(_) => {
            if let Some(table) = &view.table {
                let id = Id::new(("notebook-result", id));
                preview::ui(ui, id, table, Marked::default(), RESULT_HEIGHT);
                ui.horizontal(|ui| {
                    let rows = words::MORE_ROWS.with(lang, &[&table.rows.len().to_string()]);
                    ui.label(RichText::new(rows).small().weak());
                    if ui.small_button(desk.t(pane_words::SHOW_RESULT)).clicked() {
                        desk.go(Go::Result(job.clone()));
                    }
                    if ui.small_button(desk.t(pane_words::SUBMIT_IT)).clicked() {
                        desk.go(Go::Submit(job.clone()));
                    }
                });
            }
        }
        JobState::Ran { .. } => {
            log(ui, &view.log);
            ui.label(RichText::new(desk.t(words::RAN)).color(palette(ui).good));
        }
        JobState::RunFailed { error, .. } => {
            log(ui, &view.log);
            parts::failed(ui, kekkai_console::message::run_error(error, lang));
        }
        JobState::Failed(error) => {
            let text = kekkai_console::message::sql_error(error, view.job.work.text(), lang);
            parts::failed(ui, text);
        }
        JobState::Cancelled { .. } => {
            ui.label(desk.t(words::CANCELLED));
        }
    }
    let is_program = matches!(view.job.work, kekkai_analysis_api::Work::Run(_));
    if is_program && ui.small_button(desk.t(words::CONSOLE)).clicked() {
        desk.go(Go::Run(job));
    }
}

fn log(ui: &mut Ui, lines: &[LogLine]) {
    let colors = palette(ui);
    let first = lines.len().saturating_sub(LOG_SHOWN);
    for line in lines.get(first..).unwrap_or_default() {
        let color = if line.is_error {
            colors.bad
        } else {
            colors.text
        };
        let text = RichText::new(&line.text).monospace().color(color);
        ui.add(egui::Label::new(text).truncate());
    }
}
