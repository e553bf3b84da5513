//! The project and its data: what there is, what it means, who may see rows of it.

use egui::{Grid as Layout, Panel, RichText, ScrollArea, Ui};
use kekkai_types::{ColumnCatalog, ColumnRole, DatasetCatalog, DisplayClass, Lang, TableCatalog};

use super::{Desk, Go, words};
use crate::grid::grouped;
use crate::sql::words as sql_words;
use crate::theme::{field, palette};
use crate::words::Words;

/// The project and its data.
#[derive(Debug, Default)]
pub struct ProjectPane {
    search: String,
    /// Dataset and table.
    chosen: Option<(String, String)>,
}

impl ProjectPane {
    /// Shows a table, by its name.
    pub fn show(&mut self, table: &str) {
        self.chosen = Some((String::new(), table.to_owned()));
        self.search.clear();
    }

    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let catalogs = &desk.model.begin.catalogs;
        if catalogs.is_empty() {
            ui.label(desk.t(words::NO_DATA));
            return;
        }
        Panel::left("tables")
            .default_size(280.0)
            .show_inside(ui, |ui| {
                let hint = desk.t(words::SEARCH_DATA);
                ui.add(field(&mut self.search, hint));
                ui.add_space(4.0);
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    let picked =
                        browse(ui, catalogs, &self.search, desk.lang, self.chosen.as_ref());
                    if let Some(Picked::Table(dataset, table)) = picked {
                        self.chosen = Some((dataset, table));
                    }
                });
            });
        let frame = egui::Frame::new().inner_margin(egui::Margin::symmetric(14, 2));
        egui::CentralPanel::default()
            .frame(frame)
            .show_inside(ui, |ui| {
                let found = self
                    .chosen
                    .as_ref()
                    .and_then(|chosen| find(catalogs, chosen));
                match found {
                    Some((catalog, table)) => table_page(ui, desk, catalog, table),
                    None => self.chosen = overview(ui, desk),
                }
            });
    }
}

/// What was clicked in a list of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Picked {
    /// Dataset and table.
    Table(String, String),
    /// A column's name.
    Column(String),
}

/// A tree of datasets and tables, filtered by words; with its columns where a table is unfolded.
pub(crate) fn browse(
    ui: &mut Ui,
    catalogs: &[DatasetCatalog],
    search: &str,
    lang: Lang,
    chosen: Option<&(String, String)>,
) -> Option<Picked> {
    let mut picked = None;
    let search = search.to_lowercase();
    let mut is_empty = true;
    for catalog in catalogs {
        let tables: Vec<&TableCatalog> = catalog
            .tables
            .iter()
            .filter(|table| has(table, &search))
            .collect();
        if tables.is_empty() {
            continue;
        }
        is_empty = false;
        ui.label(RichText::new(catalog.title.get(lang)).strong())
            .on_hover_text(catalog.description.get(lang));
        for table in tables {
            let is_chosen = chosen.is_some_and(|(dataset, name)| {
                *name == table.name && (dataset.is_empty() || dataset == catalog.id.as_str())
            });
            let id = ui.make_persistent_id((catalog.id.as_str(), &table.name));
            let state = egui::collapsing_header::CollapsingState::load_with_default_open(
                ui.ctx(),
                id,
                !search.is_empty(),
            );
            state
                .show_header(ui, |ui| {
                    let label = ui.selectable_label(is_chosen, &table.name);
                    if label.on_hover_text(table.description.get(lang)).clicked() {
                        picked = Some(Picked::Table(catalog.id.to_string(), table.name.clone()));
                    }
                })
                .body(|ui| {
                    for column in &table.columns {
                        if let Some(name) = column_row(ui, column, lang) {
                            picked = Some(Picked::Column(name));
                        }
                    }
                });
        }
        ui.add_space(6.0);
    }
    if is_empty {
        ui.label(words::NOTHING_FOUND.get(lang));
    }
    picked
}

fn column_row(ui: &mut Ui, column: &ColumnCatalog, lang: Lang) -> Option<String> {
    let colors = palette(ui);
    ui.horizontal(|ui| {
        let label = ui.selectable_label(false, &column.name);
        let tip = format!(
            "{} · {}",
            role(column.role).get(lang),
            column.description.get(lang)
        );
        ui.label(RichText::new(&column.sql_type).small().color(colors.weak));
        label
            .on_hover_text(tip)
            .clicked()
            .then(|| column.name.clone())
    })
    .inner
}

/// Whether a table, its columns or their descriptions have the words.
fn has(table: &TableCatalog, search: &str) -> bool {
    let text = |text: &kekkai_types::Text| format!("{} {}", text.ja, text.en).to_lowercase();
    let of_column = |column: &ColumnCatalog| {
        column.name.contains(search) || text(&column.description).contains(search)
    };
    table.name.contains(search)
        || text(&table.description).contains(search)
        || table.columns.iter().any(of_column)
}

fn find<'a>(
    catalogs: &'a [DatasetCatalog],
    (dataset, table): &(String, String),
) -> Option<(&'a DatasetCatalog, &'a TableCatalog)> {
    catalogs
        .iter()
        .filter(|catalog| dataset.is_empty() || catalog.id.as_str() == dataset)
        .find_map(|catalog| {
            let found = catalog.tables.iter().find(|known| known.name == *table)?;
            Some((catalog, found))
        })
}

/// The datasets with their tables. The table that was chosen.
fn overview(ui: &mut Ui, desk: &Desk<'_>) -> Option<(String, String)> {
    let begin = &desk.model.begin;
    let colors = palette(ui);
    let mut chosen = None;
    ui.heading(&begin.project);
    ui.label(desk.t(words::ABOUT_PROJECT));
    let threshold = begin.threshold.to_string();
    ui.label(words::THRESHOLD.with(desk.lang, &[&threshold]));
    ui.add_space(10.0);
    for catalog in &begin.catalogs {
        egui::Frame::group(ui.style())
            .fill(colors.paper)
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.horizontal(|ui| {
                    ui.label(
                        RichText::new(catalog.title.get(desk.lang))
                            .strong()
                            .size(16.0),
                    );
                    let version = words::VERSION.with(desk.lang, &[&catalog.version.to_string()]);
                    ui.label(
                        RichText::new(format!("{}  {version}", catalog.id)).color(colors.weak),
                    );
                });
                ui.label(catalog.description.get(desk.lang));
                ui.add_space(6.0);
                Layout::new(catalog.id.as_str())
                    .num_columns(3)
                    .spacing([24.0, 6.0])
                    .show(ui, |ui| {
                        for table in &catalog.tables {
                            if ui.link(&table.name).clicked() {
                                chosen = Some((catalog.id.to_string(), table.name.clone()));
                            }
                            ui.label(table.description.get(desk.lang));
                            let rows = rows_told(table.rows, desk.lang);
                            ui.label(RichText::new(rows).color(colors.weak));
                            ui.end_row();
                        }
                    });
            });
        ui.add_space(6.0);
    }
    chosen
}

fn table_page(ui: &mut Ui, desk: &mut Desk<'_>, catalog: &DatasetCatalog, table: &TableCatalog) {
    let lang = desk.lang;
    let colors = palette(ui);
    ui.horizontal(|ui| {
        ui.heading(&table.name);
        ui.label(RichText::new(catalog.title.get(lang)).color(colors.weak));
        if ui.button(desk.t(words::QUERY_TABLE)).clicked() {
            desk.go(Go::Sql(format!("SELECT \nFROM {}\n", table.name)));
        }
    });
    ui.label(table.description.get(lang));
    let rows = rows_told(table.rows, lang);
    let need = desk
        .model
        .begin
        .rows_need
        .get(&format!("{}.{}", catalog.id, table.name));
    let shown = match need {
        None => words::ROWS_NEVER.get(lang).to_owned(),
        Some(need) if *need <= desk.model.begin.display => {
            words::ROWS_NEED.with(lang, &[words::ROWS_HERE.get(lang)])
        }
        Some(need) => words::ROWS_NEED.with(lang, &[display(*need).get(lang)]),
    };
    ui.label(RichText::new(format!("{rows}   ·   {shown}")).color(colors.weak));
    ui.add_space(8.0);
    egui::Frame::group(ui.style())
        .fill(colors.paper)
        .show(ui, |ui| {
            ScrollArea::both().auto_shrink(false).show(ui, |ui| {
                Layout::new("columns")
                    .num_columns(4)
                    .striped(true)
                    .spacing([24.0, 8.0])
                    .show(ui, |ui| {
                        for head in [words::COLUMN, words::TYPE, words::ROLE, words::MEANING] {
                            ui.label(RichText::new(desk.t(head)).strong());
                        }
                        ui.end_row();
                        for column in &table.columns {
                            ui.label(RichText::new(&column.name).monospace());
                            ui.label(RichText::new(&column.sql_type).color(colors.weak));
                            ui.label(desk.t(role(column.role)));
                            ui.label(column.description.get(lang));
                            ui.end_row();
                        }
                    });
            });
        });
}

/// What a column is to a person's privacy.
fn role(role: ColumnRole) -> Words {
    match role {
        ColumnRole::PersonKey => words::ROLE_PERSON,
        ColumnRole::DirectIdentifier => words::ROLE_DIRECT,
        ColumnRole::Key => words::ROLE_KEY,
        ColumnRole::Code => words::ROLE_CODE,
        ColumnRole::QuasiIdentifier => words::ROLE_QUASI,
        ColumnRole::FreeText => words::ROLE_FREE,
        ColumnRole::Value => words::ROLE_VALUE,
    }
}

/// A class of displays, as people know it.
pub(crate) fn display(class: DisplayClass) -> Words {
    match class {
        DisplayClass::Console => sql_words::DISPLAY_CONSOLE,
        DisplayClass::Browser => sql_words::DISPLAY_BROWSER,
        DisplayClass::Vdi => sql_words::DISPLAY_VDI,
        DisplayClass::Onsite => sql_words::DISPLAY_ONSITE,
    }
}

/// Where the agreement provides some rows only, their number isn't told: the catalogue's is 0.
fn rows_told(rows: u64, lang: Lang) -> String {
    match rows {
        0 => words::ROWS_SOME.get(lang).to_owned(),
        rows => words::ROWS_ABOUT.with(lang, &[&rounded(rows)]),
    }
}

/// With two digits that count: exactly how many rows there are is a statistic, too.
fn rounded(rows: u64) -> String {
    let digits = rows.checked_ilog10().unwrap_or(0);
    let unit = 10_u64.saturating_pow(digits.saturating_sub(1));
    grouped(rows.saturating_add(unit / 2) / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_with_two_digits_that_count() {
        for (rows, text) in [
            (0, "0"),
            (7, "7"),
            (42, "42"),
            (1_234, "1,200"),
            (99_600, "100,000"),
            (1_234_567, "1,200,000"),
        ] {
            assert_eq!(rounded(rows), text, "{rows}");
        }
    }

    #[test]
    fn table_is_found_by_what_its_columns_mean() {
        let catalog = crate::samples::catalog();
        let found = |search: &str| -> Vec<&str> {
            let tables = catalog.tables.iter().filter(|table| has(table, search));
            tables.map(|table| table.name.as_str()).collect()
        };
        assert_eq!(found("血圧"), ["visit"]);
        assert_eq!(found("blood"), ["visit"]);
        assert_eq!(found("pseudonym"), ["patient", "visit"]);
        assert!(found("xyzzy").is_empty());
    }
}
