//! What the workspace is made of: one pane for each kind of work, behind one face.
//!
//! A pane draws from the [`Model`], asks the broker through [`Asks`], and leaves for another pane by a
//! [`Go`]; it knows no other pane.

use kekkai_types::{JobId, Lang};

use crate::asks::Asks;
use crate::model::Model;
use crate::words::Words;

pub mod chart;
pub mod help;
pub mod jobs;
pub mod notebooks;
pub mod outputs;
pub(crate) mod parts;
pub mod project;
pub mod results;
pub mod scripts;
pub mod sql;
pub(crate) mod words;

/// What a pane works with while it draws.
#[derive(Debug)]
pub struct Desk<'a> {
    /// What the broker told.
    pub model: &'a Model,
    /// The way to ask it.
    pub asks: &'a mut Asks,
    /// The language of the screen.
    pub lang: Lang,
    /// Where the person wants to go from here; the shell follows after the pane has drawn.
    pub go: &'a mut Vec<Go>,
}

impl Desk<'_> {
    /// A text in the language of the screen.
    pub fn t(&self, words: Words) -> &'static str {
        words.get(self.lang)
    }

    /// Goes somewhere.
    pub fn go(&mut self, go: Go) {
        self.go.push(go);
    }

    /// Says something in the line at the bottom.
    pub fn say(&mut self, weight: NoticeWeight, text: impl Into<String>) {
        let text = text.into();
        self.go.push(Go::Say(Notice { weight, text }));
    }
}

/// Leaves a pane for another.
#[derive(Debug, Clone, PartialEq)]
pub enum Go {
    /// To a section as it is.
    To(Section),
    /// To a job's result.
    Result(JobId),
    /// To a job's result, with a cell chosen: row and column, from 0.
    Cell(JobId, usize, usize),
    /// To a chart of a job's result.
    Chart(JobId),
    /// To asking for a job's result to be let out.
    Submit(JobId),
    /// To a new tab with a statement.
    Sql(String),
    /// To a script that is kept.
    Script(String),
    /// To a page of help, by its name.
    Help(&'static str),
    /// To the console of a program's run.
    Run(JobId),
    /// Nowhere: says something.
    Say(Notice),
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How it is meant.
    pub weight: NoticeWeight,
    /// In the person's language.
    pub text: String,
}

/// How a notice is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeWeight {
    /// It went well.
    Good,
    /// By the way.
    Plain,
    /// It did not work.
    Bad,
}

/// The kinds of work, in the order in which the side lists them and `Ctrl+1` … reach them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// The project and its data.
    Project,
    /// Statements.
    Sql,
    /// A result.
    Results,
    /// A chart of it.
    Charts,
    /// Programs.
    Scripts,
    /// What runs and ran.
    Jobs,
    /// What is to leave.
    Outputs,
    /// Steps that are kept.
    Notebooks,
    /// How it all works.
    Help,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Project,
        Self::Sql,
        Self::Results,
        Self::Charts,
        Self::Scripts,
        Self::Jobs,
        Self::Outputs,
        Self::Notebooks,
        Self::Help,
    ];

    /// Its name and what it is for.
    pub(crate) const fn words(self) -> (Words, Words) {
        match self {
            Self::Project => (words::PROJECT, words::PROJECT_TIP),
            Self::Sql => (words::SQL, words::SQL_TIP),
            Self::Results => (words::RESULTS, words::RESULTS_TIP),
            Self::Charts => (words::CHARTS, words::CHARTS_TIP),
            Self::Scripts => (words::SCRIPTS, words::SCRIPTS_TIP),
            Self::Jobs => (words::JOBS, words::JOBS_TIP),
            Self::Outputs => (words::OUTPUTS, words::OUTPUTS_TIP),
            Self::Notebooks => (words::NOTEBOOKS, words::NOTEBOOKS_TIP),
            Self::Help => (words::HELP, words::HELP_TIP),
        }
    }
}

/// Each pane with what it keeps between frames.
#[derive(Debug, Default)]
pub struct Panes {
    /// The project and its data.
    pub project: project::ProjectPane,
    /// Statements.
    pub sql: sql::SqlPane,
    /// A result.
    pub results: results::ResultsPane,
    /// A chart of it.
    pub chart: chart::ChartPane,
    /// Programs.
    pub scripts: scripts::ScriptsPane,
    /// What runs and ran.
    pub jobs: jobs::JobsPane,
    /// What is to leave.
    pub outputs: outputs::OutputsPane,
    /// Steps that are kept.
    pub notebooks: notebooks::NotebooksPane,
    /// How it all works.
    pub help: help::HelpPane,
}

impl Panes {
    /// Draws one.
    pub fn ui(&mut self, section: Section, ui: &mut egui::Ui, desk: &mut Desk<'_>) {
        match section {
            Section::Project => self.project.ui(ui, desk),
            Section::Sql => self.sql.ui(ui, desk),
            Section::Results => self.results.ui(ui, desk),
            Section::Charts => self.chart.ui(ui, desk),
            Section::Scripts => self.scripts.ui(ui, desk),
            Section::Jobs => self.jobs.ui(ui, desk),
            Section::Outputs => self.outputs.ui(ui, desk),
            Section::Notebooks => self.notebooks.ui(ui, desk),
            Section::Help => self.help.ui(ui, desk),
        }
    }

    /// Takes answers that come while a pane is not on the screen: a notebook that runs on, say.
    pub fn tick(&mut self, desk: &mut Desk<'_>) {
        self.sql.tick(desk);
        self.scripts.tick(desk);
        self.outputs.tick(desk);
        self.notebooks.tick(desk);
    }

    /// Goes somewhere: which section is shown then.
    pub fn go(&mut self, go: Go) -> Option<Section> {
        Some(match go {
            Go::To(section) => section,
            Go::Result(job) => {
                self.results.show(job);
                Section::Results
            }
            Go::Cell(job, row, column) => {
                self.results.show(job);
                self.results.choose(row, column);
                Section::Results
            }
            Go::Chart(job) => {
                self.chart.show(job);
                Section::Charts
            }
            Go::Submit(job) => {
                self.outputs.submit(job);
                Section::Outputs
            }
            Go::Sql(text) => {
                self.sql.open(text);
                Section::Sql
            }
            Go::Script(name) => {
                self.scripts.open(name);
                Section::Scripts
            }
            Go::Run(job) => {
                self.scripts.show_run(job);
                Section::Scripts
            }
            Go::Help(page) => {
                self.help.open(page);
                Section::Help
            }
            Go::Say(_) => return None,
        })
    }
}
