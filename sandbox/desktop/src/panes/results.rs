//! A result: the table, what of it is withheld and why, a column in a few numbers.

use std::hash::{DefaultHasher, Hash, Hasher};

use egui::{Button, ComboBox, Key, Modifiers, Panel, RichText, Ui};
use kekkai_analysis_api::Work;
use kekkai_types::{JobId, Lang};

use super::{Desk, Go, Section, words};
use crate::grid::{Grid, float_text, grouped_count};
use crate::grid_view::{GridView, Sort, Summary, summarize};
use crate::model::JobView;
use crate::rows::RowsState;
use crate::theme::palette;

/// A result.
#[derive(Debug, Default)]
pub struct ResultsPane {
    job: Option<JobId>,
    view: ResultView,
}

impl ResultsPane {
    /// Shows a job's result from now on.
    pub fn show(&mut self, job: JobId) {
        self.job = Some(job);
    }

    /// Chooses a cell: row and column, from 0.
    pub fn choose(&mut self, row: usize, column: usize) {
        self.view.grid.choose(row, column);
    }

    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let model = desk.model;
        let with_result = || {
            model
                .jobs
                .iter()
                .rev()
                .filter(|view| view.grid().is_some() || view.let_go)
        };
        if self.job.as_ref().is_none_or(|job| model.job(job).is_none()) {
            self.job = with_result().next().map(|view| view.job.job.clone());
        }
        let Some(job) = self.job.clone() else {
            ui.vertical_centered(|ui| {
                ui.add_space(80.0);
                ui.label(desk.t(words::NO_RESULTS));
                ui.add_space(8.0);
                if ui.button(desk.t(words::TO_SQL)).clicked() {
                    desk.go(Go::To(Section::Sql));
                }
            });
            return;
        };
        ui.horizontal(|ui| {
            let name = words::RESULT_OF.with(desk.lang, &[job.as_str()]);
            ComboBox::from_id_salt("result")
                .selected_text(name)
                .width(160.0)
                .show_ui(ui, |ui| {
                    for view in with_result() {
                        let number = &view.job.job;
                        let text = format!("{number}: {}", one_line(view.job.work.text(), 60));
                        if ui.selectable_label(*number == job, text).clicked() {
                            self.job = Some(number.clone());
                        }
                    }
                });
            if let Some(view) = model.job(&job) {
                let text = RichText::new(one_line(view.job.work.text(), 160)).monospace();
                ui.add(egui::Label::new(text).truncate())
                    .on_hover_text(view.job.work.text());
            }
        });
        self.view.ui(ui, desk, &job);
    }
}

/// A statement on one line, cut.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max {
        return line;
    }
    line.chars().take(max).chain("…".chars()).collect()
}

/// A result with its tools; also below the editor.
#[derive(Debug, Default)]
pub(crate) struct ResultView {
    grid: GridView,
    shows_summary: bool,
    summary: Option<(SummaryKey, Summary)>,
}

/// What a summary was computed from: job, generation, column, order.
type SummaryKey = (JobId, u64, usize, usize, Option<Sort>);

impl ResultView {
    pub(crate) fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>, job: &JobId) {
        let Some(view) = desk.model.job(job) else {
            return;
        };
        if view.let_go && view.grid().is_none() {
            let colors = palette(ui);
            ui.label(RichText::new(desk.t(words::LET_GO)).color(colors.warn));
            if let Work::Query(sql) = &view.job.work
                && ui.button(desk.t(words::TO_EDITOR)).clicked()
            {
                desk.go(Go::Sql(sql.clone()));
            }
            return;
        }
        let Some(grid) = view.grid() else { return };
        self.tools(ui, desk, view, grid);
        notes(ui, desk, view);
        // Rows come in pieces; other jobs' news do not sort this table anew.
        let generation = u64::try_from(grid.rows()).unwrap_or(u64::MAX);
        let mut hasher = DefaultHasher::new();
        (job, view.table.is_some()).hash(&mut hasher);
        let identity = hasher.finish();
        if self.shows_summary {
            Panel::right(ui.id().with("summary"))
                .default_size(210.0)
                .show_inside(ui, |ui| {
                    self.column(ui, desk, job, generation, grid, view.table.is_some());
                });
        }
        let threshold = desk.model.begin.threshold;
        egui::CentralPanel::default()
            .frame(egui::Frame::new())
            .show_inside(ui, |ui| {
                self.grid
                    .ui(ui, grid, (identity, generation), threshold, desk.lang);
            });
    }

    fn tools(&mut self, ui: &mut Ui, desk: &mut Desk<'_>, view: &JobView, grid: &dyn Grid) {
        let lang = desk.lang;
        let find = ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::F));
        ui.horizontal(|ui| {
            let (all, shown) = (
                grouped_count(grid.rows()),
                grouped_count(self.grid.order.len()),
            );
            // Before it was drawn once, the order knows no rows.
            let is_filtered = !self
                .grid
                .order
                .filters
                .values()
                .all(|text| text.trim().is_empty());
            let count = if is_filtered {
                words::COUNT_SHOWN.with(lang, &[&all, &shown])
            } else {
                words::COUNT_ROWS.with(lang, &[&all])
            };
            ui.label(count);
            let filters = Button::new(desk.t(words::FILTERS)).selected(self.grid.shows_filters);
            let filters = ui
                .add(filters)
                .on_hover_text(format!("{}  (Ctrl F)", desk.t(words::FILTERS_TIP)));
            if filters.clicked() || find {
                self.grid.shows_filters = !self.grid.shows_filters;
                if !self.grid.shows_filters {
                    self.grid.order.filters.clear();
                }
            }
            let summary = Button::new(desk.t(words::SUMMARY)).selected(self.shows_summary);
            if ui.add(summary).clicked() {
                self.shows_summary = !self.shows_summary;
            }
            let job = &view.job.job;
            if ui.button(desk.t(words::CHART_IT)).clicked() {
                desk.go(Go::Chart(job.clone()));
            }
            if view.table.is_some() && ui.button(desk.t(words::SUBMIT_IT)).clicked() {
                desk.go(Go::Submit(job.clone()));
            }
        });
    }

    /// A column in a few numbers.
    fn column(
        &mut self,
        ui: &mut Ui,
        desk: &Desk<'_>,
        job: &JobId,
        generation: u64,
        grid: &dyn Grid,
        is_statistic: bool,
    ) {
        let colors = palette(ui);
        let Some((_, column)) = self.grid.chosen() else {
            ui.label(RichText::new(desk.t(words::SUMMARY_CHOOSE)).color(colors.weak));
            return;
        };
        let order = &self.grid.order;
        let key = (job.clone(), generation, column, order.len(), order.sort);
        if self.summary.as_ref().is_none_or(|(known, _)| *known != key) {
            let rows = (0..order.len()).filter_map(|at| order.row(at));
            self.summary = Some((key, summarize(grid, column, rows)));
        }
        let Some((_, summary)) = &self.summary else {
            return;
        };
        ui.label(RichText::new(grid.name(column)).strong());
        let mut lines = vec![
            (words::VALUES, grouped_count(summary.values)),
            (words::MISSING, grouped_count(summary.missing)),
        ];
        if summary.suppressed > 0 {
            lines.push((words::SUPPRESSED, grouped_count(summary.suppressed)));
        }
        lines.push((words::DISTINCT, grouped_count(summary.distinct)));
        if let Some((low, high)) = summary.range {
            lines.push((words::MINIMUM, float_text(low)));
            lines.push((words::MAXIMUM, float_text(high)));
        }
        if let Some(mean) = summary.mean {
            lines.push((words::MEAN, float_text(mean)));
        }
        egui::Grid::new("numbers")
            .num_columns(2)
            .spacing([16.0, 4.0])
            .show(ui, |ui| {
                for (name, value) in lines {
                    ui.label(RichText::new(desk.t(name)).color(colors.weak));
                    ui.label(value);
                    ui.end_row();
                }
            });
        if is_statistic {
            ui.add_space(4.0);
            ui.label(
                RichText::new(desk.t(words::SUMMARY_SHOWN))
                    .small()
                    .color(colors.weak),
            );
        }
    }
}

/// What of a result is not shown, and why.
fn notes(ui: &mut Ui, desk: &Desk<'_>, view: &JobView) {
    let lines = note_lines(view, desk.model.begin.threshold, desk.lang);
    let colors = palette(ui);
    for (text, is_wrong) in lines {
        let color = if is_wrong { colors.bad } else { colors.weak };
        ui.label(RichText::new(text).color(color));
    }
}

fn note_lines(view: &JobView, threshold: u32, lang: Lang) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    if let Some(table) = &view.table {
        let cells = table.rows.iter().flatten();
        let suppressed = cells
            .filter(|cell| matches!(cell, kekkai_output::Cell::Suppressed(_)))
            .count();
        if suppressed > 0 {
            lines.push((
                words::SUPPRESSED_NOTE.with(lang, &[&suppressed.to_string()]),
                false,
            ));
        }
        if table.groups_withheld > 0 {
            let numbers = [threshold.to_string(), table.groups_withheld.to_string()];
            let numbers = numbers.each_ref().map(String::as_str);
            lines.push((words::GROUPS_WITHHELD.with(lang, &numbers), false));
        }
    } else if let Some(rows) = &view.rows {
        lines.push((words::ROWS_NOTE.get(lang).to_owned(), false));
        match &rows.state {
            RowsState::Reading => lines.push((words::READING.get(lang).to_owned(), false)),
            RowsState::Whole(_) => {}
            RowsState::Cut => {
                lines.push((
                    words::ROWS_CUT.with(lang, &[&grouped_count(rows.rows())]),
                    false,
                ));
            }
            RowsState::Failed(error) => {
                let said = crate::sql::errors::explain(error, lang);
                let broke = words::ROWS_FAILED.get(lang);
                lines.push((format!("{broke} {} {}", said.what, said.next), true));
            }
        }
    }
    lines
}
