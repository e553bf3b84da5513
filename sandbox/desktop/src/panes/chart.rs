//! A chart of a result.

pub(crate) mod settings;
pub(crate) mod words;

use std::collections::BTreeMap;

use egui::{ComboBox, Panel, RichText, ScrollArea, Ui};
use kekkai_types::JobId;

use super::{Desk, Go, Section, parts, words as pane_words};
use crate::chart::build::BuildError;
use crate::chart::paint::{self, Chosen, Labels};
use crate::chart::{Plot, Source, Spec, build, words as chart_words};
use crate::model::JobView;
use settings::Fits;

/// Results whose settings are kept.
const SPECS_MAX: usize = 50;

/// A chart of a result.
#[derive(Debug, Default)]
pub struct ChartPane {
    job: Option<JobId>,
    /// As the person left them, for each result.
    specs: BTreeMap<JobId, Spec>,
    fits: Option<Fits>,
    drawn: Option<Drawn>,
    chosen: Option<Chosen>,
}

/// A chart that was computed, and of what.
#[derive(Debug)]
struct Drawn {
    job: JobId,
    spec: Spec,
    generation: u64,
    plot: Result<Plot, BuildError>,
}

impl ChartPane {
    /// Draws this job's result from now on.
    pub fn show(&mut self, job: JobId) {
        self.job = Some(job);
        self.chosen = None;
    }

    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let drawable = |view: &&JobView| settings::source(view).is_some();
        let newest = desk.model.jobs.iter().rev().find(drawable);
        let chosen = self.job.as_ref().and_then(|job| desk.model.job(job));
        let Some(view) = chosen.or(newest) else {
            empty(ui, desk);
            return;
        };
        let job = view.job.job.clone();
        self.picker(ui, desk, &job);
        let Some(source) = settings::source(view) else {
            parts::said(ui, desk.t(words::LET_GO));
            return;
        };
        let lang = desk.lang;
        let fits = Fits::of(&mut self.fits, (&job, desk.model.generation), &source);
        let kept = self.specs.get(&job);
        let mut spec = kept.or(fits.suggested.as_ref()).cloned();
        let mut changed = None;
        let mut is_reset = false;
        Panel::left("chart-settings")
            .resizable(false)
            .exact_size(226.0)
            .show_inside(ui, |ui| {
                ScrollArea::vertical().show(ui, |ui| {
                    let bars = || Spec::new(kekkai_output::FigureKind::Bar);
                    let mut of = spec.clone().unwrap_or_else(bars);
                    if settings::ui(ui, &mut of, &source, fits, lang) {
                        changed = Some(of);
                    }
                    ui.add_space(8.0);
                    let reset = ui.button(words::RESET.get(lang));
                    is_reset = reset.on_hover_text(words::RESET_TIP.get(lang)).clicked();
                });
            });
        if is_reset {
            spec.clone_from(&fits.suggested);
            self.specs.remove(&job);
        } else if let Some(changed) = changed {
            self.keep(job.clone(), changed.clone());
            spec = Some(changed);
        }
        match spec {
            None => parts::beside(ui, |ui| parts::said(ui, desk.t(words::NOTHING_CHOSEN))),
            Some(spec) => parts::beside(ui, |ui| self.chart(ui, desk, &job, &source, &spec)),
        }
    }

    fn keep(&mut self, job: JobId, spec: Spec) {
        self.specs.insert(job, spec);
        while self.specs.len() > SPECS_MAX {
            self.specs.pop_first();
        }
    }

    /// Which result.
    fn picker(&mut self, ui: &mut Ui, desk: &mut Desk<'_>, job: &JobId) {
        ui.horizontal(|ui| {
            ui.label(RichText::new(desk.t(words::RESULT)).strong())
                .on_hover_text(desk.t(words::RESULT_TIP));
            parts::at_right(ui, |ui| {
                let has_table = desk.model.job(job).is_some_and(|view| view.table.is_some());
                if has_table && ui.button(desk.t(pane_words::SUBMIT_IT)).clicked() {
                    desk.go(Go::Submit(job.clone()));
                }
                if ui.button(desk.t(pane_words::SHOW_RESULT)).clicked() {
                    desk.go(Go::Result(job.clone()));
                }
                self.combo(ui, desk, job);
            });
        });
        ui.add_space(4.0);
    }

    fn combo(&mut self, ui: &mut Ui, desk: &Desk<'_>, job: &JobId) {
        let name = |view: &JobView| {
            let text = view.job.work.text().split_whitespace();
            let text: Vec<&str> = text.collect();
            format!("{}: {}", view.job.job, text.join(" "))
        };
        let shown = desk.model.job(job).map(name).unwrap_or_default();
        ComboBox::from_id_salt("chart-job")
            .width((ui.available_width() - 8.0).max(120.0))
            .selected_text(shown)
            .truncate()
            .show_ui(ui, |ui| {
                for view in desk.model.jobs.iter().rev() {
                    if settings::source(view).is_some() {
                        let is_chosen = view.job.job == *job;
                        if ui.selectable_label(is_chosen, name(view)).clicked() {
                            self.show(view.job.job.clone());
                        }
                    }
                }
            });
    }

    fn chart(
        &mut self,
        ui: &mut Ui,
        desk: &Desk<'_>,
        job: &JobId,
        source: &Source<'_>,
        spec: &Spec,
    ) {
        let lang = desk.lang;
        let generation = desk.model.generation;
        let is_drawn = self.drawn.as_ref().is_some_and(|drawn| {
            (&drawn.job, &drawn.spec, drawn.generation) == (job, spec, generation)
        });
        if !is_drawn {
            self.drawn = Some(Drawn {
                job: job.clone(),
                spec: spec.clone(),
                generation,
                plot: build(source, spec),
            });
        }
        let Some(drawn) = &self.drawn else { return };
        match &drawn.plot {
            Err(error) => {
                parts::said(
                    ui,
                    chart_words::error(error, spec.kind, source.is_rows(), lang),
                );
            }
            Ok(plot) => {
                let (x, y) = settings::labels(spec, source, desk.model, lang);
                let labels = Labels {
                    title: &spec.title,
                    x: &x,
                    y: &y,
                    lang,
                };
                let lines = small(plot.warnings.len().saturating_add(1));
                let room = ui.available_size() - egui::vec2(0.0, 24.0 * lines + 6.0);
                let size = room.max(egui::vec2(240.0, 180.0));
                paint::show(ui, plot, labels, &mut self.chosen, size)
                    .on_hover_cursor(egui::CursorIcon::Crosshair);
                warnings(ui, plot, lang);
                ui.label(RichText::new(desk.t(words::KEYS)).small().weak());
            }
        }
    }
}

/// A few lines.
#[allow(clippy::cast_precision_loss, reason = "a few")]
fn small(count: usize) -> f32 {
    count as f32
}

/// What a chart leaves out.
pub(crate) fn warnings(ui: &mut Ui, plot: &Plot, lang: kekkai_types::Lang) {
    for warning in &plot.warnings {
        let text = chart_words::warning(warning, lang);
        ui.label(RichText::new(text).color(ui.visuals().warn_fg_color));
    }
}

fn empty(ui: &mut Ui, desk: &mut Desk<'_>) {
    parts::empty(ui, desk.t(words::EMPTY_TITLE), desk.t(words::EMPTY_NEXT));
    ui.vertical_centered(|ui| {
        if ui.button(desk.t(words::TO_SQL)).clicked() {
            desk.go(Go::To(Section::Sql));
        }
    });
}
