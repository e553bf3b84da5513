//! The notebook that is worked on: kept a few seconds after a change, run step by step.

use std::collections::VecDeque;

use egui::{Key, Modifiers, RichText, ScrollArea, Ui};
use kekkai_analysis_api::{JobState, Program};
use kekkai_worker_api::{Answer, Ask};

use super::steps::{Live, StepWish, Work};
use super::{error_text, words};
use crate::asks::Ticket;
use crate::notebook::{Notebook, STEPS_MAX, Step};
use crate::panes::{Desk, NoticeWeight, parts, scripts};

/// Seconds after the last change until it is kept.
const SAVE_AFTER_S: f64 = 3.0;

/// The notebook that is worked on.
#[derive(Debug)]
pub(super) struct Open {
    name: String,
    steps: Vec<Live>,
    /// Ids of steps: places change.
    last_id: u64,
    /// When it was changed last, in egui's seconds, and not kept since.
    changed: Option<f64>,
    put: Option<Ticket>,
    /// Why it is not kept.
    refused: Option<String>,
    run: Option<Run>,
    /// It was drawn since the last tick.
    is_shown: bool,
}

/// Steps that run in order.
#[derive(Debug, Default)]
struct Run {
    waiting: VecDeque<u64>,
    current: Option<u64>,
    /// Whether all were asked for, or one.
    is_all: bool,
}

/// How a step that runs stands.
enum Outcome {
    Running,
    Well,
    Badly,
}

impl Open {
    pub(super) fn new(name: String, notebook: &Notebook) -> Self {
        let steps: Vec<Live> = (1..)
            .zip(&notebook.steps)
            .map(|(id, step)| Live::new(id, step))
            .collect();
        Self {
            name,
            last_id: steps.last().map_or(0, |step| step.id),
            steps,
            changed: None,
            put: None,
            refused: None,
            run: None,
            is_shown: true,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn notebook(&self) -> Notebook {
        Notebook {
            steps: self.steps.iter().map(Live::step).collect(),
        }
    }

    /// Keeps it.
    pub(super) fn save(&mut self, desk: &mut Desk<'_>) {
        self.changed = None;
        match self.notebook().to_json() {
            Ok(body) => {
                self.refused = None;
                let name = self.name.clone();
                self.put = desk.asks.ask(Ask::PutNotebook { name, body });
            }
            Err(error) => self.refused = Some(error_text(&error, desk)),
        }
    }

    pub(super) fn save_if_changed(&mut self, desk: &mut Desk<'_>) {
        if self.changed.is_some() {
            self.save(desk);
        }
    }

    /// Takes answers, and goes on with what runs.
    pub(super) fn tick(&mut self, desk: &mut Desk<'_>) {
        // The clock is only looked at while it is drawn: who leaves it has finished writing.
        if !std::mem::take(&mut self.is_shown) {
            self.save_if_changed(desk);
        }
        if let Some(answer) = desk.asks.taken(&mut self.put) {
            match parts::refusal(&answer, desk.lang) {
                Some(refused) => self.refused = Some(refused),
                None => {
                    let is_known = desk
                        .model
                        .notebooks
                        .as_ref()
                        .is_some_and(|names| names.contains(&self.name));
                    if !is_known {
                        desk.asks.tell(Ask::Notebooks);
                    }
                }
            }
        }
        for step in &mut self.steps {
            if let Some(answer) = desk.asks.taken(&mut step.started) {
                match answer {
                    Answer::Started(job) => step.job = Some(job),
                    other => step.refused = parts::refusal(&other, desk.lang),
                }
            }
        }
        self.go_on(desk);
    }

    fn go_on(&mut self, desk: &mut Desk<'_>) {
        let Some(run) = &mut self.run else { return };
        if let Some(current) = run.current {
            let at = self.steps.iter().position(|step| step.id == current);
            let outcome = at
                .and_then(|at| self.steps.get(at))
                .map_or(Outcome::Badly, |step| outcome(step, desk));
            match outcome {
                Outcome::Running => return,
                Outcome::Well => run.current = None,
                Outcome::Badly => {
                    let is_all = run.is_all;
                    self.run = None;
                    if is_all {
                        let number = at.unwrap_or_default().saturating_add(1).to_string();
                        let text = words::STOPPED_AT.with(desk.lang, &[&number]);
                        desk.say(NoticeWeight::Bad, text);
                    }
                    return;
                }
            }
        }
        let next = run.waiting.pop_front();
        let is_all = run.is_all;
        match next {
            None => {
                self.run = None;
                if is_all {
                    desk.say(NoticeWeight::Good, desk.t(words::ALL_RAN));
                }
            }
            Some(id) => {
                run.current = Some(id);
                self.start(desk, id);
            }
        }
    }

    fn start(&mut self, desk: &mut Desk<'_>, id: u64) {
        let Some((at, step)) = self
            .steps
            .iter_mut()
            .enumerate()
            .find(|(_, step)| step.id == id)
        else {
            return;
        };
        step.refused = None;
        step.job = None;
        let ask = match &step.work {
            Work::Sql(editor) => Ask::Query {
                sql: editor.text.clone(),
            },
            Work::Script(editor, args) => match scripts::parse_args(args) {
                Ok(args) => Ask::Run {
                    program: Program::Python {
                        name: format!("step-{}.py", at.saturating_add(1)),
                        source: editor.text.clone(),
                    },
                    args,
                },
                Err(error) => {
                    step.refused = Some(error.text(desk.lang));
                    return;
                }
            },
            Work::Note(_) | Work::Chart(_) => return,
        };
        step.started = desk.asks.ask(ask);
    }

    fn run_all(&mut self) {
        let runs = |step: &&Live| matches!(step.work, Work::Sql(_) | Work::Script(..));
        self.run = Some(Run {
            waiting: self.steps.iter().filter(runs).map(|step| step.id).collect(),
            current: None,
            is_all: true,
        });
    }

    fn stop(&mut self, desk: &mut Desk<'_>) {
        let current = self.run.take().and_then(|run| run.current);
        let step = self.steps.iter().find(|step| Some(step.id) == current);
        if let Some(job) = step.and_then(|step| step.job.clone()) {
            desk.asks.tell(Ask::Cancel { job });
        }
    }

    /// Draws.
    pub(super) fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        self.is_shown = true;
        let now = ui.input(|input| input.time);
        let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
        if pressed(Modifiers::COMMAND | Modifiers::SHIFT, Key::Enter) && self.run.is_none() {
            self.run_all();
        }
        if pressed(Modifiers::COMMAND, Key::S) {
            self.save(desk);
        }
        self.head(ui, desk);
        if let Some(refused) = &self.refused {
            parts::failed(ui, refused.as_str());
        }
        let mut changed = self.adders(ui, desk);
        let mut wish = None;
        let statements: Vec<Option<kekkai_types::JobId>> = (0..self.steps.len())
            .map(|at| self.statement_above(at))
            .collect();
        let count = self.steps.len();
        let running = self.run.as_ref().and_then(|run| run.current);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for ((at, step), above) in self.steps.iter_mut().enumerate().zip(&statements) {
                let is_running = running == Some(step.id);
                let (is_changed, wanted) =
                    step.ui(ui, desk, (at, count), above.as_ref(), is_running);
                changed |= is_changed;
                wish = wanted.map(|wish| (at, wish)).or(wish.take());
                ui.add_space(6.0);
            }
        });
        if let Some((at, wish)) = wish {
            changed |= self.do_(at, wish);
        }
        if changed {
            self.changed = Some(now);
        }
        self.keep_in_time(ui, desk, now);
        // What was wished for is asked for now, not with the next input.
        self.go_on(desk);
    }

    fn keep_in_time(&mut self, ui: &Ui, desk: &mut Desk<'_>, now: f64) {
        let Some(changed) = self.changed else { return };
        let left = changed + SAVE_AFTER_S - now;
        if left <= 0.0 {
            self.save(desk);
        } else {
            let left = std::time::Duration::from_secs_f64(left.clamp(0.0, SAVE_AFTER_S));
            ui.ctx().request_repaint_after(left);
        }
    }

    fn statement_above(&self, at: usize) -> Option<kekkai_types::JobId> {
        let above = self.steps.get(..at)?;
        let is_sql = |step: &&Live| matches!(step.work, Work::Sql(_));
        above.iter().rev().find(is_sql)?.job.clone()
    }

    fn head(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        ui.horizontal(|ui| {
            ui.label(RichText::new(&self.name).heading());
            if self.run.is_some() {
                if ui.button(desk.t(words::STOP)).clicked() {
                    self.stop(desk);
                }
            } else {
                let run = parts::main_button(ui, desk.t(words::RUN_ALL));
                if run.on_hover_text(desk.t(words::RUN_ALL_TIP)).clicked() {
                    self.run_all();
                }
            }
            let state = if self.changed.is_some() {
                words::UNSAVED
            } else if self.put.is_some() {
                words::SAVING
            } else {
                words::SAVED
            };
            ui.label(RichText::new(desk.t(state)).small().weak());
        });
    }

    /// Buttons that add a step at the end. True when one was pressed.
    fn adders(&mut self, ui: &mut Ui, desk: &Desk<'_>) -> bool {
        let mut added = None;
        ui.horizontal(|ui| {
            ui.label(desk.t(words::ADD));
            let is_free = self.steps.len() < STEPS_MAX;
            let mut button = |name, step: Step| {
                let button = egui::Button::new(desk.t(name));
                if ui.add_enabled(is_free, button).clicked() {
                    added = Some(step);
                }
            };
            let text = String::new;
            button(words::NOTE, Step::Note { text: text() });
            button(words::SQL, Step::Sql { text: text() });
            if desk.model.programs.python {
                let (source, args) = (text(), text());
                button(words::SCRIPT, Step::Script { source, args });
            }
            button(words::CHART, Step::Chart { spec: None });
        });
        match added {
            None => false,
            Some(step) => {
                self.last_id = self.last_id.saturating_add(1);
                let mut live = Live::new(self.last_id, &step);
                live.focus();
                self.steps.push(live);
                true
            }
        }
    }

    /// True when it changed.
    fn do_(&mut self, at: usize, wish: StepWish) -> bool {
        match wish {
            StepWish::Run => {
                if let Some(id) = self.steps.get(at).map(|step| step.id)
                    && self.run.is_none()
                {
                    self.run = Some(Run {
                        waiting: VecDeque::from([id]),
                        ..Run::default()
                    });
                }
                false
            }
            StepWish::Up if at > 0 => {
                self.steps.swap(at, at.saturating_sub(1));
                true
            }
            StepWish::Down if at.saturating_add(1) < self.steps.len() => {
                self.steps.swap(at, at.saturating_add(1));
                true
            }
            StepWish::Up | StepWish::Down => false,
            StepWish::Remove => {
                self.steps.remove(at);
                true
            }
        }
    }
}

fn outcome(step: &Live, desk: &Desk<'_>) -> Outcome {
    if step.started.is_some() {
        return Outcome::Running;
    }
    if step.refused.is_some() {
        return Outcome::Badly;
    }
    let Some(job) = &step.job else {
        // It was never asked for: the broker is busy, or there is nothing to run.
        return Outcome::Badly;
    };
    match desk.model.job(job).map(|view| &view.job.state) {
        // Its first news come after the answer.
        None
        | Some(
            JobState::Queued { .. } | JobState::Running { .. } | JobState::RunningProgram { .. },
        ) => Outcome::Running,
        Some(JobState::Done(_) | JobState::Ran { .. }) => Outcome::Well,
        Some(JobState::RunFailed { .. } | JobState::Failed(_) | JobState::Cancelled { .. }) => {
            Outcome::Badly
        }
    }
}
