//! Programs: an editor, their console, tools.

mod args;
mod console;
mod list;
pub(crate) mod python;
pub(crate) mod words;

pub(crate) use args::parse as parse_args;

use egui::{Id, Key, Modifiers, Panel, RichText, Ui};
use kekkai_analysis_api::{JobState, Program, SCRIPT_NAME_MAX, SOURCE_MAX};
use kekkai_types::JobId;
use kekkai_worker_api::{Answer, Ask};

use super::{Desk, NoticeWeight, parts, words as pane_words};
use crate::asks::Ticket;
use crate::editor::{Editor, Squiggle};

/// A new script begins with this: every call in it works on any project but for the names.
const EXAMPLE: &str = "\
import kekkai

# Statistics: a value of too few persons is None.
frame = kekkai.statistic(\"SELECT sex, count(*) AS n FROM patient GROUP BY sex\")
print(frame)

# kekkai.submit_table(\"Persons by sex\", \"Table 1\", frame)
";

/// Programs: an editor, their console, tools.
#[derive(Debug, Default)]
pub struct ScriptsPane {
    chosen: Option<Chosen>,
    editor: Editor,
    /// The text as it is kept, or as it began.
    kept: String,
    /// The name under which it is kept; `None` where it never was.
    kept_as: Option<String>,
    /// It is new: a free name is to be found for it.
    needs_name: bool,
    name: String,
    args: String,
    /// Whose console is shown.
    run: Option<JobId>,
    /// The text that ran: its error's line is shown as long as the text is that text.
    ran: Option<String>,
    question: Option<Question>,
    /// To be asked for with the next tick.
    opening: Option<String>,
    waits: Waits,
    /// Why the last wish was not done.
    refused: Option<String>,
}

/// What is worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Chosen {
    Script,
    Tool(String),
}

/// A question before something is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    /// Erase the script of this name.
    Erase(String),
    /// Keep this one under a name that another has.
    Overwrite(String),
    /// Open another, though this one is not saved. `None`: a new one.
    Discard(Option<String>),
}

/// Answers that are waited for, with what they are about.
#[derive(Debug, Default)]
struct Waits {
    text: Option<(Ticket, String)>,
    put: Option<(Ticket, String, String)>,
    removed: Option<(Ticket, String)>,
    started: Option<(Ticket, Option<String>)>,
}

impl ScriptsPane {
    /// Opens a script that is kept.
    pub fn open(&mut self, name: String) {
        self.want(Some(name));
    }

    /// Shows the console of a run.
    pub fn show_run(&mut self, job: JobId) {
        self.run = Some(job);
    }

    /// Takes answers, on the screen or not.
    pub fn tick(&mut self, desk: &mut Desk<'_>) {
        if let Some(name) = self.opening.take() {
            let ask = Ask::GetScript { name: name.clone() };
            self.waits.text = desk.asks.ask(ask).map(|ticket| (ticket, name));
        }
        if let Some((name, answer)) = taken(desk, &mut self.waits.text, |(ticket, _)| *ticket)
            .map(|((_, name), answer)| (name, answer))
        {
            match answer {
                Answer::Text(text) => self.begin(name, text),
                other => self.refused = parts::refusal(&other, desk.lang),
            }
        }
        if let Some(((_, name, text), answer)) =
            taken(desk, &mut self.waits.put, |(ticket, ..)| *ticket)
        {
            self.refused = parts::refusal(&answer, desk.lang);
            if self.refused.is_none() {
                if name == self.name {
                    self.kept = text;
                    self.kept_as = Some(name.clone());
                }
                desk.say(NoticeWeight::Good, words::SAVED.with(desk.lang, &[&name]));
                desk.asks.tell(Ask::Programs);
            }
        }
        if let Some(((_, name), answer)) =
            taken(desk, &mut self.waits.removed, |(ticket, _)| *ticket)
        {
            self.refused = parts::refusal(&answer, desk.lang);
            if self.refused.is_none() {
                desk.say(NoticeWeight::Good, words::ERASED.with(desk.lang, &[&name]));
                desk.asks.tell(Ask::Programs);
            }
        }
        if let Some(((_, source), answer)) =
            taken(desk, &mut self.waits.started, |(ticket, _)| *ticket)
        {
            self.refused = parts::refusal(&answer, desk.lang);
            if let Answer::Started(job) = answer {
                self.run = Some(job);
                self.ran = source;
            }
        }
    }

    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let programs = &desk.model.programs;
        if !programs.python && programs.tools.is_empty() {
            parts::empty(ui, desk.t(pane_words::SCRIPTS), desk.t(words::NOT_AGREED));
            return;
        }
        let is_free = self.question.is_none();
        let pressed =
            |modifiers, key| is_free && ui.input_mut(|input| input.consume_key(modifiers, key));
        let saves = pressed(Modifiers::COMMAND, Key::S);
        let runs = pressed(Modifiers::COMMAND, Key::Enter);
        Panel::left("scripts-list")
            .resizable(false)
            .exact_size(220.0)
            .show_inside(ui, |ui| self.list(ui, desk));
        parts::beside(ui, |ui| self.work(ui, desk, saves, runs));
        // What was wished for is asked for now, not with the next input.
        self.tick(desk);
    }

    fn work(&mut self, ui: &mut Ui, desk: &mut Desk<'_>, saves: bool, runs: bool) {
        self.ask_first(ui, desk);
        if let Some(refused) = &self.refused {
            parts::failed(ui, refused.as_str());
        }
        match self.chosen.clone() {
            None => {
                parts::empty(ui, desk.t(pane_words::SCRIPTS), desk.t(words::EMPTY));
                if self.run.is_some() {
                    self.console(ui, desk);
                }
            }
            Some(Chosen::Tool(name)) => self.tool(ui, desk, &name, runs),
            Some(Chosen::Script) => self.script(ui, desk, saves, runs),
        }
    }

    fn is_changed(&self) -> bool {
        self.chosen == Some(Chosen::Script) && self.editor.text != self.kept
    }

    /// Opens a script, or a new one; asks first where something would be lost.
    fn want(&mut self, name: Option<String>) {
        if self.is_changed() {
            self.question = Some(Question::Discard(name));
        } else {
            self.want_now(name);
        }
    }

    fn want_now(&mut self, name: Option<String>) {
        self.refused = None;
        match name {
            Some(name) => self.opening = Some(name),
            // Its name is found where the others' are known.
            None => {
                self.begin(String::new(), EXAMPLE.to_owned());
                // Nobody has kept it: it is not saved until they do.
                self.kept = String::new();
                self.kept_as = None;
                self.needs_name = true;
            }
        }
    }

    fn begin(&mut self, name: String, text: String) {
        self.kept.clone_from(&text);
        self.editor = Editor::new(text);
        self.editor.focus();
        self.kept_as = Some(name.clone());
        self.name = name;
        self.chosen = Some(Chosen::Script);
        self.refused = None;
    }

    /// What would be lost, and what to do about it.
    fn ask_first(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        let Some(question) = self.question.clone() else {
            return;
        };
        let lang = desk.lang;
        let (text, yes) = match &question {
            Question::Erase(name) => (words::ERASE_ASK.with(lang, &[name]), words::ERASE_YES),
            Question::Overwrite(name) => (
                words::OVERWRITE_ASK.with(lang, &[name]),
                words::OVERWRITE_YES,
            ),
            Question::Discard(_) => (
                words::DISCARD_ASK.with(lang, &[&self.name]),
                words::DISCARD_YES,
            ),
        };
        parts::warned(ui, text);
        ui.horizontal(|ui| {
            if ui.button(desk.t(yes)).clicked() {
                self.question = None;
                match question {
                    Question::Erase(name) => {
                        let ask = Ask::RemoveScript { name: name.clone() };
                        self.waits.removed = desk.asks.ask(ask).map(|ticket| (ticket, name));
                    }
                    Question::Overwrite(name) => {
                        self.kept_as = Some(name);
                        self.save(desk);
                    }
                    Question::Discard(name) => {
                        self.kept.clone_from(&self.editor.text);
                        self.want_now(name);
                    }
                }
            }
            if ui.button(desk.t(words::KEEP_EDITING)).clicked() {
                self.question = None;
            }
        });
        ui.separator();
    }

    fn script(&mut self, ui: &mut Ui, desk: &mut Desk<'_>, saves: bool, runs: bool) {
        let (mut saves, mut runs) = (saves, runs);
        if std::mem::take(&mut self.needs_name) {
            self.name = free_name(desk);
        }
        let is_name = is_name(&self.name);
        ui.horizontal(|ui| {
            ui.label(desk.t(words::NAME));
            ui.add(
                parts::field(&mut self.name)
                    .char_limit(SCRIPT_NAME_MAX)
                    .desired_width(150.0),
            );
            let save = ui.add_enabled(is_name, egui::Button::new(desk.t(words::SAVE)));
            saves |= save.on_hover_text(desk.t(words::SAVE_TIP)).clicked();
            if self.is_changed() {
                ui.label(RichText::new(desk.t(words::UNSAVED)).small().weak());
            }
            ui.separator();
            let run = parts::main_button(ui, desk.t(pane_words::RUN));
            runs |= run.on_hover_text(desk.t(words::RUN_TIP)).clicked();
            ui.label(desk.t(words::ARGS));
            let room = (ui.available_width() - 8.0).max(80.0);
            ui.add(
                parts::field(&mut self.args)
                    .hint_text(desk.t(words::ARGS_HINT))
                    .desired_width(room),
            );
        });
        if !is_name {
            parts::failed(ui, desk.t(words::NAME_BAD));
        }
        if saves && is_name {
            self.save(desk);
        }
        if runs {
            let source = self.editor.text.clone();
            let program = Program::Python {
                name: self.name.clone(),
                source: source.clone(),
            };
            self.start(desk, program, Some(source));
        }
        let squiggles = self.squiggles(desk);
        let wanted = Panel::bottom("scripts-console")
            .resizable(true)
            .default_size(220.0)
            .min_size(90.0)
            .show_inside(ui, |ui| self.console(ui, desk))
            .inner;
        if let Some(line) = wanted {
            self.editor
                .set_caret(char_of_line(&self.editor.text, line).start);
        }
        self.editor
            .ui(ui, Id::new("script-editor"), &python::parts, &squiggles);
    }

    fn tool(&mut self, ui: &mut Ui, desk: &mut Desk<'_>, name: &str, runs: bool) {
        let Some(tool) = desk
            .model
            .programs
            .tools
            .iter()
            .find(|tool| tool.name == name)
        else {
            self.chosen = None;
            return;
        };
        ui.label(RichText::new(&tool.name).heading());
        ui.label(&tool.description);
        let digest = format!("{}: {}", desk.t(words::DIGEST), tool.digest);
        ui.label(RichText::new(digest).small().weak());
        let mut runs = runs;
        ui.horizontal(|ui| {
            let run = parts::main_button(ui, desk.t(pane_words::RUN));
            runs |= run.on_hover_text(desk.t(words::TOOL_RUN_TIP)).clicked();
            ui.label(desk.t(words::ARGS));
            ui.add(
                parts::field(&mut self.args)
                    .hint_text(desk.t(words::ARGS_HINT))
                    .desired_width(ui.available_width() - 8.0),
            );
        });
        if runs {
            let name = name.to_owned();
            self.start(desk, Program::Tool { name }, None);
        }
        ui.add_space(6.0);
        ui.label(RichText::new(desk.t(words::CONSOLE)).strong());
        self.console(ui, desk);
    }

    fn console(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) -> Option<u32> {
        console::ui(ui, desk, self.run.as_ref())
    }

    fn save(&mut self, desk: &mut Desk<'_>) {
        let (name, source) = (self.name.clone(), self.editor.text.clone());
        let is_taken = is_kept(desk, &name) && self.kept_as.as_ref() != Some(&name);
        if is_taken {
            self.question = Some(Question::Overwrite(name));
            return;
        }
        if source.len() > SOURCE_MAX {
            let kib = (SOURCE_MAX / 1024).to_string();
            self.refused = Some(words::TOO_LONG.with(desk.lang, &[&kib]));
            return;
        }
        let ask = Ask::PutScript {
            name: name.clone(),
            source: source.clone(),
        };
        self.waits.put = desk.asks.ask(ask).map(|ticket| (ticket, name, source));
    }

    /// Runs a program with the arguments, and shows what it prints.
    fn start(&mut self, desk: &mut Desk<'_>, program: Program, source: Option<String>) {
        let args = match parse_args(&self.args) {
            Ok(args) => args,
            Err(error) => {
                self.refused = Some(error.text(desk.lang));
                return;
            }
        };
        if source
            .as_ref()
            .is_some_and(|source| source.trim().is_empty())
        {
            self.refused = Some(desk.t(words::NOTHING).to_owned());
            return;
        }
        self.refused = None;
        let ask = Ask::Run { program, args };
        self.waits.started = desk.asks.ask(ask).map(|ticket| (ticket, source));
    }

    /// The line at which the run that is shown went wrong.
    fn squiggles(&self, desk: &Desk<'_>) -> Vec<Squiggle> {
        let view = self.run.as_ref().and_then(|job| desk.model.job(job));
        let Some(JobState::RunFailed { error, .. }) = view.map(|view| &view.job.state) else {
            return Vec::new();
        };
        if error.line == 0 || self.ran.as_ref() != Some(&self.editor.text) {
            return Vec::new();
        }
        let message = kekkai_console::message::run_error(error, desk.lang);
        vec![Squiggle {
            chars: char_of_line(&self.editor.text, error.line),
            message: message.trim_end().to_owned(),
        }]
    }
}

/// An answer that has come, with what it is about; the place that waited is empty then.
fn taken<T>(
    desk: &mut Desk<'_>,
    waits: &mut Option<T>,
    ticket: impl Fn(&T) -> Ticket,
) -> Option<(T, Answer)> {
    let answer = desk.asks.take(ticket(waits.as_ref()?))?;
    Some((waits.take()?, answer))
}

fn is_kept(desk: &Desk<'_>, name: &str) -> bool {
    let scripts = &desk.model.programs.scripts;
    scripts.iter().any(|(kept, _)| kept == name)
}

/// A name that no script has.
fn free_name(desk: &Desk<'_>) -> String {
    let names = (1..=1000_u32).map(|number| format!("script-{number}.py"));
    let mut free = names.filter(|name| !is_kept(desk, name));
    free.next().unwrap_or_default()
}

/// As the broker takes it.
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= SCRIPT_NAME_MAX && name.chars().all(is_plain)
}

/// A line's characters, without its indentation. Lines count from 1.
fn char_of_line(text: &str, line: u32) -> std::ops::Range<usize> {
    let before = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text
        .split_inclusive('\n')
        .take(before)
        .map(|line| line.chars().count())
        .sum();
    let this = text.split('\n').nth(before).unwrap_or_default();
    let length = this.chars().count();
    let indent = this.chars().take_while(|c| c.is_whitespace()).count();
    start.saturating_add(indent)..start.saturating_add(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_an_error_is_found_in_characters() {
        let text = "a = '年'\n    b\n\nc";
        assert_eq!(char_of_line(text, 1), 0..7);
        assert_eq!(char_of_line(text, 2), 12..13);
        assert_eq!(char_of_line(text, 4), 15..16);
        assert_eq!(char_of_line(text, 9), 16..16);
    }

    #[test]
    fn names_are_those_that_the_broker_takes() {
        for name in ["study.py", "a", "A-b_c.2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "a b", "../x", "研究.py", "a/b"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
