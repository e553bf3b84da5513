//! A statement and what came of it.

use egui::{Color32, Id, RichText, Ui};
use kekkai_analysis_api::{JobState, SqlError};
use kekkai_types::{DisplayClass, JobId, Refusal};
use kekkai_worker_api::{Answer, Ask};

use super::popup::Popup;
use crate::asks::Ticket;
use crate::editor::{Editor, Squiggle, byte_of};
use crate::panes::jobs::progress;
use crate::panes::project::display;
use crate::panes::results::{ResultView, one_line};
use crate::panes::{Desk, words};
use crate::sql::errors::explain;
use crate::sql::tokens::highlight;
use crate::sql::{self, words as sql_words};
use crate::theme::palette;

/// The code with which the broker refuses rows that this terminal may not show.
const ROWS_NEED_DISPLAY: &str = "rows-need-display";

/// What was run last, and what came of it.
#[derive(Debug)]
struct Run {
    /// The statement, and where in the editor's text it began, in characters.
    sql: String,
    from: usize,
    waits: Option<Ticket>,
    job: Option<JobId>,
    error: Option<SqlError>,
    refusal: Option<Refusal>,
}

/// A statement and what came of it.
#[derive(Debug)]
pub(super) struct Tab {
    number: u32,
    editor: Editor,
    popup: Popup,
    /// The caret and the other end of what is chosen, in characters.
    caret: (usize, usize),
    run: Option<Run>,
    result: ResultView,
}

impl Tab {
    pub(super) fn new(number: u32, text: String) -> Self {
        let mut tab = Self {
            number,
            editor: Editor::default(),
            popup: Popup::default(),
            caret: (0, 0),
            run: None,
            result: ResultView::default(),
        };
        tab.set(text);
        tab
    }

    /// Nothing was written here.
    pub(super) fn is_unused(&self) -> bool {
        self.run.is_none() && self.editor.text.trim().is_empty()
    }

    /// Another text, with the caret where a table's template wants columns, or at its end.
    pub(super) fn set(&mut self, text: String) {
        let hole = text
            .find("SELECT \n")
            .map(|at| at.saturating_add("SELECT ".len()));
        let at = hole.unwrap_or(text.len());
        let at = crate::editor::char_of(&text, at);
        self.editor.text = text;
        self.editor.set_caret(at);
    }

    pub(super) fn name(&self, desk: &Desk<'_>) -> String {
        match self.editor.text.trim() {
            "" => sql_words::TAB.with(desk.lang, &[&self.number.to_string()]),
            text => one_line(text, 18),
        }
    }

    /// Inserts a name at the caret.
    pub(super) fn insert(&mut self, name: &str) {
        let at = byte_of(&self.editor.text, self.caret.0);
        let blank = self.editor.text.get(..at).is_some_and(|before| {
            before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ',')
        });
        let text = if blank {
            format!(" {name}")
        } else {
            name.to_owned()
        };
        self.editor.text.insert_str(at, &text);
        self.caret.0 = self.caret.0.saturating_add(text.chars().count());
        self.editor.set_caret(self.caret.0);
    }

    pub(super) fn format(&mut self) {
        self.editor.text = sql::format(&self.editor.text);
        self.editor.set_caret(self.editor.text.chars().count());
    }

    /// Runs what is chosen, or everything. `None`: there is nothing to run.
    pub(super) fn run(&mut self, desk: &mut Desk<'_>, shows_rows: bool) -> Option<String> {
        let (a, b) = self.caret;
        let (from, to) = (a.min(b), a.max(b));
        let text = &self.editor.text;
        let chosen = text
            .get(byte_of(text, from)..byte_of(text, to))
            .unwrap_or_default();
        let (sql, from) = if chosen.trim().is_empty() {
            (text.as_str(), 0)
        } else {
            (chosen, from)
        };
        if sql.trim().is_empty() {
            return None;
        }
        let sql = sql.to_owned();
        let ask = if shows_rows {
            Ask::Rows { sql: sql.clone() }
        } else {
            Ask::Query { sql: sql.clone() }
        };
        let waits = desk.asks.ask(ask)?;
        self.run = Some(Run {
            sql: sql.clone(),
            from,
            waits: Some(waits),
            job: None,
            error: None,
            refusal: None,
        });
        self.popup.close();
        Some(sql)
    }

    /// Takes the answer to what was run.
    pub(super) fn tick(&mut self, desk: &mut Desk<'_>) {
        let Some(run) = &mut self.run else { return };
        match desk.asks.taken(&mut run.waits) {
            Some(Answer::Started(job) | Answer::Rows(job)) => run.job = Some(job),
            Some(Answer::Wrong(error)) => run.error = Some(error),
            Some(Answer::Refused(refusal)) => run.refusal = Some(refusal),
            Some(_) => run.refusal = Some(Refusal::new("internal", "")),
            None => {}
        }
    }

    /// What is wrong with the statement that was run: said at once, or when the job failed.
    fn error<'a>(&'a self, desk: &Desk<'a>) -> Option<&'a SqlError> {
        let run = self.run.as_ref()?;
        if run.error.is_some() {
            return run.error.as_ref();
        }
        match &desk.model.job(run.job.as_ref()?)?.job.state {
            JobState::Failed(error) => Some(error),
            _ => None,
        }
    }

    pub(super) fn cancel_button(&self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let job = self.run.as_ref().and_then(|run| run.job.clone());
        let Some(job) = job else { return };
        if desk
            .model
            .job(&job)
            .is_some_and(crate::model::JobView::is_active)
            && ui.button(desk.t(words::CANCEL)).clicked()
        {
            desk.asks.tell(Ask::Cancel { job });
        }
    }

    pub(super) fn editor(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let id = Id::new(("sql", self.number));
        let squiggles = self.squiggles(desk);
        let mut taken = self.popup.keys(ui);
        let asks =
            ui.input_mut(|input| input.consume_key(egui::Modifiers::COMMAND, egui::Key::Space));
        if self.editor.text.is_empty() {
            let hint = desk.t(sql_words::HINT);
            let at = ui.cursor().min + egui::vec2(56.0, 8.0);
            let font = egui::TextStyle::Monospace.resolve(ui.style());
            let painter = ui
                .ctx()
                .layer_painter(egui::LayerId::new(egui::Order::Middle, id));
            let width = (ui.available_width() - 80.0).max(100.0);
            let galley = painter.layout(hint.to_owned(), font, palette(ui).weak, width);
            painter
                .with_clip_rect(ui.max_rect())
                .galley(at, galley, palette(ui).weak);
        }
        let output = self.editor.ui(ui, id, &highlight, &squiggles);
        if let Some(caret) = output.caret {
            self.caret = caret;
        }
        let begin = &desk.model.begin;
        let at = byte_of(&self.editor.text, self.caret.0);
        if output.response.changed() || asks {
            self.popup.update(
                &self.editor.text,
                at,
                &begin.catalogs,
                &begin.functions,
                asks,
            );
        } else if output.response.clicked() || !output.response.has_focus() {
            self.popup.close();
        } else {
            self.popup.leave_unless_at(at);
        }
        if let Some(place) = output.caret_rect {
            taken = self.popup.show(ui, id, place, desk.lang).or(taken);
        }
        if let Some((bytes, text)) = taken.and_then(|entry| self.popup.take(entry)) {
            let end = bytes.start.saturating_add(text.len());
            if self.editor.text.get(bytes.clone()).is_some() {
                self.editor.text.replace_range(bytes, &text);
                let caret = crate::editor::char_of(&self.editor.text, end);
                self.caret = (caret, caret);
                self.editor.set_caret(caret);
                ui.ctx().request_repaint();
            }
        }
    }

    fn squiggles(&self, desk: &Desk<'_>) -> Vec<Squiggle> {
        let (Some(run), Some(error)) = (&self.run, self.error(desk)) else {
            return Vec::new();
        };
        // A text that was changed since is another.
        let rest: String = self.editor.text.chars().skip(run.from).collect();
        if !rest.starts_with(&run.sql) || (run.from == 0 && rest != run.sql) {
            return Vec::new();
        }
        let shift = |at: usize| at.saturating_add(run.from);
        let message = explain(error, desk.lang);
        sql::place(&run.sql, error)
            .map(|place| Squiggle {
                chars: shift(place.start)..shift(place.end),
                message: format!("{}\n{}", message.what, message.next),
            })
            .into_iter()
            .collect()
    }

    pub(super) fn result(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let colors = palette(ui);
        if let Some(error) = self.error(desk) {
            let said = explain(error, desk.lang);
            let place = self.run.as_ref().and_then(|run| {
                Some((
                    sql::place(&run.sql, error)?.start.saturating_add(run.from),
                    error.at,
                ))
            });
            let goes = trouble(
                ui,
                colors.bad,
                &said.what,
                &said.next,
                place.and_then(|(_, at)| at),
            );
            if goes && let Some((at, _)) = place {
                self.editor.set_caret(at);
            }
            return;
        }
        let Some(run) = &self.run else {
            ui.label(RichText::new(desk.t(sql_words::NO_RESULT)).color(colors.weak));
            return;
        };
        if let Some(refusal) = &run.refusal {
            refused(ui, desk, refusal, &run.sql);
            return;
        }
        let Some(view) = run.job.as_ref().and_then(|job| desk.model.job(job)) else {
            ui.label(RichText::new(desk.t(sql_words::WAITING)).color(colors.weak));
            return;
        };
        if view.grid().is_some() || view.let_go {
            let job = view.job.job.clone();
            self.result.ui(ui, desk, &job);
        } else if let Some((permille, text)) = progress(view, desk.lang) {
            let bar = egui::ProgressBar::new(f32::from(permille) / 1000.0).text(text);
            ui.add(bar.fill(colors.chosen));
        } else if let JobState::Cancelled { by_limit } = view.job.state {
            let text = if by_limit {
                words::STATE_LIMIT
            } else {
                words::STATE_CANCELLED
            };
            ui.label(RichText::new(desk.t(text)).color(colors.warn));
        }
    }
}

/// What is wrong and what to do next. True when the person wants to go to the place.
fn trouble(ui: &mut Ui, color: Color32, what: &str, next: &str, at: Option<(u32, u32)>) -> bool {
    egui::Frame::group(ui.style())
        .fill(palette(ui).paper)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            let goes = ui
                .horizontal_wrapped(|ui| {
                    let place = at.map(|(line, column)| ui.link(format!("{line}:{column}")));
                    ui.label(RichText::new(what).color(color).strong());
                    place.is_some_and(|place| place.clicked())
                })
                .inner;
            ui.label(next);
            goes
        })
        .inner
}

/// A refusal, and for rows which display would do, and where one stands.
fn refused(ui: &mut Ui, desk: &Desk<'_>, refusal: &Refusal, sql: &str) {
    let lang = desk.lang;
    let bad = palette(ui).bad;
    if refusal.code != ROWS_NEED_DISPLAY {
        let text = kekkai_console::message::refusal(refusal, lang);
        let (what, next) = text.split_once('\n').unwrap_or((&text, ""));
        trouble(ui, bad, what, next.trim_end(), None);
        return;
    }
    let here = display(desk.model.begin.display).get(lang);
    let (what, next) = match need(desk, sql) {
        None => (
            sql_words::ROWS_OFF.get(lang).to_owned(),
            sql_words::ROWS_NEXT.get(lang),
        ),
        Some(need) => {
            let place = sql_words::ROWS_REFUSED_WHERE.with(lang, &[display(need).get(lang), here]);
            let what = format!("{} {place}", sql_words::ROWS_REFUSED.get(lang));
            let next = match need {
                DisplayClass::Onsite => sql_words::ROWS_ASK_ONSITE,
                DisplayClass::Vdi => sql_words::ROWS_ASK_VDI,
                DisplayClass::Browser | DisplayClass::Console => sql_words::ROWS_ASK_BROWSER,
            };
            (what, next.get(lang))
        }
    };
    trouble(ui, bad, &what, next, None);
}

/// The strongest display that a statement's tables need; `None` where one of them is shown on none.
fn need(desk: &Desk<'_>, sql: &str) -> Option<DisplayClass> {
    let begin = &desk.model.begin;
    let names: Vec<String> = sql::tokens::tokens(sql)
        .iter()
        .map(|token| token.word(sql).to_lowercase())
        .collect();
    let mut strongest = DisplayClass::Console;
    for catalog in &begin.catalogs {
        for table in catalog
            .tables
            .iter()
            .filter(|table| names.contains(&table.name))
        {
            let need = begin
                .rows_need
                .get(&format!("{}.{}", catalog.id, table.name))?;
            strongest = strongest.max(*need);
        }
    }
    Some(strongest)
}
