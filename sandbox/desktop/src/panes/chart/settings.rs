//! Which kind of chart, which column does what: shared by the charts and by notebooks.

use egui::{Button, ComboBox, Ui};
use kekkai_output::FigureKind;
use kekkai_types::{JobId, Lang, Text};

use super::words;
use crate::chart::bins::BINS_MAX;
use crate::chart::data::Source;
use crate::chart::spec::{Need, Role, Spec, WORDS_MAX, needs_numbers, roles};
use crate::chart::words as chart_words;
use crate::model::{JobView, Model};
use crate::panes::parts;
use crate::words::Words;

/// A job's result as something to draw.
pub(crate) fn source(view: &JobView) -> Option<Source<'_>> {
    match (&view.table, &view.rows) {
        (Some(table), _) => Some(Source::Table(table)),
        (None, Some(rows)) if rows.has_columns() => Some(Source::Rows(rows)),
        (None, _) => None,
    }
}

/// What fits a result. Found once for each state of it: a hundred thousand rows are not looked at with each
/// move of the pointer.
#[derive(Debug)]
pub(crate) struct Fits {
    job: JobId,
    generation: u64,
    /// What most would draw.
    pub(crate) suggested: Option<Spec>,
    /// For each kind, the columns that fit it.
    kinds: Vec<(FigureKind, Option<Spec>)>,
}

impl Fits {
    /// What fits, from `kept` where that is of this state.
    pub(crate) fn of<'k>(
        kept: &'k mut Option<Self>,
        (job, generation): (&JobId, u64),
        source: &Source<'_>,
    ) -> &'k Self {
        let is_of = |fits: &Self| fits.job == *job && fits.generation == generation;
        if !kept.as_ref().is_some_and(is_of) {
            *kept = None;
        }
        kept.get_or_insert_with(|| Self {
            job: job.clone(),
            generation,
            suggested: Spec::suggest(source),
            kinds: FigureKind::ALL
                .map(|kind| (kind, Spec::of(kind, source)))
                .to_vec(),
        })
    }
}

/// Draws all settings. True when something changed.
pub(crate) fn ui(
    ui: &mut Ui,
    spec: &mut Spec,
    source: &Source<'_>,
    fits: &Fits,
    lang: Lang,
) -> bool {
    let before = spec.clone();
    kinds(ui, spec, fits, lang);
    ui.add_space(6.0);
    columns(ui, spec, source, lang);
    ui.add_space(6.0);
    scales(ui, spec, source, lang);
    texts(ui, spec, lang);
    *spec != before
}

fn kinds(ui: &mut Ui, spec: &mut Spec, fits: &Fits, lang: Lang) {
    heading(ui, words::KIND.get(lang));
    ui.spacing_mut().item_spacing.y = 3.0;
    for (kind, fitting) in &fits.kinds {
        let name = chart_words::kind(*kind).get(lang);
        let is_chosen = spec.kind == *kind;
        let button = Button::selectable(is_chosen, name).min_size(egui::vec2(190.0, 0.0));
        let response = ui
            .add_enabled(is_chosen || fitting.is_some(), button)
            .on_disabled_hover_text(words::NO_FIT.get(lang));
        if response.clicked() && !is_chosen {
            // Words stay: somebody wrote them.
            let (title, x_label, y_label) = (
                std::mem::take(&mut spec.title),
                std::mem::take(&mut spec.x_label),
                std::mem::take(&mut spec.y_label),
            );
            *spec = Spec {
                title,
                x_label,
                y_label,
                ..fitting.clone().unwrap_or_else(|| Spec::new(*kind))
            };
        }
    }
}

fn columns(ui: &mut Ui, spec: &mut Spec, source: &Source<'_>, lang: Lang) {
    heading(ui, words::COLUMNS.get(lang));
    let outlines = source.outlines();
    let kind = spec.kind;
    for (role, need) in roles(kind, source.is_rows()) {
        let name = chart_words::role(kind, *role, source.is_rows()).get(lang);
        ui.label(egui::RichText::new(name).small());
        let chosen = spec.columns.get(role).cloned();
        let shown = chosen
            .clone()
            .unwrap_or_else(|| words::NONE.get(lang).to_owned());
        ComboBox::from_id_salt(("chart-role", *role))
            .width(184.0)
            .selected_text(shown)
            .truncate()
            .show_ui(ui, |ui| {
                if *need == Need::May {
                    let is_none = chosen.is_none();
                    if ui
                        .selectable_label(is_none, words::NONE.get(lang))
                        .clicked()
                    {
                        spec.columns.remove(role);
                    }
                }
                // Of survival, dates and numbers are times; only names are not.
                let numbers_only = needs_numbers(kind, *role)
                    && !(*role == Role::X && kind == FigureKind::KaplanMeier)
                    && !(source.is_rows() && *role == Role::Events);
                for outline in &outlines {
                    if numbers_only && !outline.is_number {
                        continue;
                    }
                    let is_chosen = chosen.as_deref() == Some(outline.name);
                    if ui.selectable_label(is_chosen, outline.name).clicked() {
                        spec.columns.insert(*role, outline.name.to_owned());
                    }
                }
            });
    }
}

fn scales(ui: &mut Ui, spec: &mut Spec, source: &Source<'_>, lang: Lang) {
    let has_log = !matches!(spec.kind, FigureKind::KaplanMeier | FigureKind::Histogram);
    if has_log {
        let mut is_log = spec.is_log.unwrap_or(spec.kind == FigureKind::Forest);
        if ui.checkbox(&mut is_log, words::LOG.get(lang)).changed() {
            spec.is_log = Some(is_log);
        }
    }
    if spec.kind == FigureKind::Histogram && source.is_rows() {
        ui.label(egui::RichText::new(words::BINS.get(lang)).small());
        let max = u16::try_from(BINS_MAX).unwrap_or(100);
        let auto = words::BINS_AUTO.get(lang);
        let slider = egui::Slider::new(&mut spec.bins, 0..=max).custom_formatter(|bins, _| {
            if bins < 0.5 {
                auto.to_owned()
            } else {
                format!("{bins:.0}")
            }
        });
        ui.add(slider);
    }
}

fn texts(ui: &mut Ui, spec: &mut Spec, lang: Lang) {
    ui.add_space(6.0);
    heading(ui, words::WORDS.get(lang));
    let mut field = |hint: Words, text: &mut String| {
        let edit = parts::field(text)
            .hint_text(hint.get(lang))
            .char_limit(WORDS_MAX)
            .desired_width(184.0);
        ui.add(edit);
    };
    field(words::TITLE, &mut spec.title);
    field(words::X_LABEL, &mut spec.x_label);
    field(words::Y_LABEL, &mut spec.y_label);
}

fn heading(ui: &mut Ui, text: &str) {
    ui.label(egui::RichText::new(text).strong());
}

/// What stands at the axes: as written, else the column's name with what the catalogue says of it.
pub(crate) fn labels(
    spec: &Spec,
    source: &Source<'_>,
    model: &Model,
    lang: Lang,
) -> (String, String) {
    let column = |role| {
        spec.columns
            .get(&role)
            .map(|name| described(name, model, lang))
            .unwrap_or_default()
    };
    let counted = || chart_words::COUNT.get(lang).to_owned();
    let survival = || chart_words::SURVIVAL.get(lang).to_owned();
    let (x, y) = match spec.kind {
        // Its estimates lie along the horizontal axis.
        FigureKind::Forest => (column(Role::Y), column(Role::X)),
        FigureKind::KaplanMeier => (column(Role::X), survival()),
        FigureKind::Bar | FigureKind::Histogram if source.is_rows() => (column(Role::X), counted()),
        _ => (column(Role::X), column(Role::Y)),
    };
    let or = |written: &str, else_: String| {
        if written.is_empty() {
            else_
        } else {
            written.to_owned()
        }
    };
    (or(&spec.x_label, x), or(&spec.y_label, y))
}

/// Characters of a description that still fits an axis.
const DESCRIPTION_MAX: usize = 40;

/// A column's name; where the catalogue knows it, its meaning and unit follow.
fn described(name: &str, model: &Model, lang: Lang) -> String {
    let tables = model
        .begin
        .catalogs
        .iter()
        .flat_map(|catalog| &catalog.tables);
    let columns = tables.flat_map(|table| &table.columns);
    let mut known: Vec<&Text> = columns
        .filter(|column| column.name == name)
        .map(|column| &column.description)
        .collect();
    known.dedup();
    match known.as_slice() {
        // Two tables may mean two things by one name.
        [one] if one.get(lang).chars().count() <= DESCRIPTION_MAX => {
            format!("{name} · {}", one.get(lang))
        }
        _ => name.to_owned(),
    }
}
