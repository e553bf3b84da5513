//! Lines become commands. What isn't a command is said to be none; nothing is guessed or run.

mod lines;
mod program;
mod submit;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use kekkai_analysis_api::SQL_MAX;
use kekkai_types::{JobId, Lang, ToolName};

pub use self::lines::Lines;
use crate::words;

/// The longest line, in bytes. A statement over several lines may have as much in all.
pub const LINE_MAX: usize = SQL_MAX + 16;
/// The longest title of an output, in characters.
pub const TITLE_MAX: usize = 200;
/// The longest purpose of an output, in characters.
pub const PURPOSE_MAX: usize = 2_000;
/// How much of a word that is no command is kept, in characters.
const WORD_SHOWN_MAX: usize = 60;

/// What a person may ask the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// What can be asked.
    Help(Option<Topic>),
    /// The tables, or one table's columns.
    Schema(Option<String>),
    /// Start a query and wait for it.
    Sql(String),
    /// Run a Python script and wait for it.
    RunScript {
        /// One that the session keeps; `None`: its text is typed or piped now.
        name: Option<String>,
        /// What it is started with.
        args: Vec<String>,
    },
    /// Run a tool and wait for it.
    RunTool {
        /// Which.
        name: ToolName,
        /// What it is started with.
        args: Vec<String>,
    },
    /// What may be run.
    Tools,
    /// Keep a script, whose text is typed or piped now.
    SaveScript(String),
    /// The scripts that are kept.
    Scripts,
    /// A script's text.
    ShowScript(String),
    /// Erase a script.
    RemoveScript(String),
    /// The session's jobs.
    Jobs,
    /// A job with its result.
    ShowJob(JobId),
    /// Stop a job.
    CancelJob(JobId),
    /// Ask to take a result out.
    Submit {
        /// Whose result.
        job: JobId,
        /// For reviewers; 1 to [`TITLE_MAX`] characters.
        title: String,
        /// For reviewers; at most [`PURPOSE_MAX`] characters, perhaps empty.
        purpose: String,
    },
    /// The project's outputs.
    Outputs,
    /// Project, session, server.
    Status,
    /// Change the language.
    Lang(Lang),
    /// Leave.
    Exit,
}

impl Command {
    /// Whether a script's text follows: see [`Source`](crate::Source).
    pub fn needs_source(&self) -> bool {
        matches!(
            self,
            Self::RunScript { name: None, .. } | Self::SaveScript(_)
        )
    }
}

/// A command that `help` can tell more about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named by the commands")]
pub enum Topic {
    Help,
    Schema,
    Sql,
    Run,
    Tools,
    Script,
    Jobs,
    Result,
    Cancel,
    Submit,
    Outputs,
    Status,
    Lang,
    Exit,
}

impl Topic {
    /// In the order in which people need them.
    pub const ALL: [Self; 14] = [
        Self::Help,
        Self::Schema,
        Self::Sql,
        Self::Run,
        Self::Tools,
        Self::Script,
        Self::Jobs,
        Self::Result,
        Self::Cancel,
        Self::Submit,
        Self::Outputs,
        Self::Status,
        Self::Lang,
        Self::Exit,
    ];

    /// The word that is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::Schema => "schema",
            Self::Sql => "sql",
            Self::Run => "run",
            Self::Tools => "tools",
            Self::Script => "script",
            Self::Jobs => "jobs",
            Self::Result => "result",
            Self::Cancel => "cancel",
            Self::Submit => "submit",
            Self::Outputs => "outputs",
            Self::Status => "status",
            Self::Lang => "lang",
            Self::Exit => "exit",
        }
    }

    fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.word() == word)
    }
}

/// Why a line is not a command that can be carried out. Show it with [`crate::message::parse_error`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not one of the console's commands. The gateway records the request.
    #[error("\"{0}\" is not a command of this console")]
    NotACommand(String),
    /// A command, used in a way that it doesn't have.
    #[error("{} is used wrongly", .0.word())]
    Usage(Topic, Usage),
    /// More than [`LINE_MAX`] bytes.
    #[error("the line is too long")]
    TooLong,
}

/// What is wrong with the words of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Usage {
    /// A word that has no place here.
    Extra(String),
    /// The job's number is missing.
    JobMissing,
    /// Not a job's number.
    JobMalformed(String),
    /// `submit` needs a title.
    TitleMissing,
    /// Longer than [`TITLE_MAX`].
    TitleTooLong(usize),
    /// Longer than [`PURPOSE_MAX`].
    PurposeTooLong(usize),
    /// The title or purpose has a character that drives terminals.
    ControlCharacter,
    /// An option that the command doesn't have.
    OptionUnknown(String),
    /// A quote is not closed.
    QuoteOpen,
    /// `sql` needs a statement.
    StatementMissing,
    /// Neither `ja` nor `en`.
    LangUnknown(String),
    /// There is no such command to help with.
    TopicUnknown(String),
    /// `run` needs a program.
    ProgramMissing,
    /// Neither `python` nor `tool`.
    ProgramUnknown(String),
    /// A script's name is missing.
    NameMissing,
    /// Not the name of a script or tool.
    NameMalformed(String),
    /// More than [`ARGS_MAX`](kekkai_analysis_api::ARGS_MAX).
    TooManyArguments(usize),
    /// More bytes than [`ARG_MAX`](kekkai_analysis_api::ARG_MAX).
    ArgumentTooLong(usize),
    /// An argument has a character that drives terminals or leaves no trace.
    ArgumentNotPlain,
}

/// Parses a whole request: the string of an SSH `exec`, or one line. An empty one is `help`.
pub fn parse(line: &str) -> Result<Command, ParseError> {
    if line.len() > LINE_MAX {
        return Err(ParseError::TooLong);
    }
    let line = line.trim();
    let (word, rest) = match line.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (line, ""),
    };
    if word.is_empty() {
        return Ok(Command::Help(None));
    }
    let Some(topic) = Topic::find(word) else {
        return Err(ParseError::NotACommand(shortened(word)));
    };
    let wrong = |usage| ParseError::Usage(topic, usage);
    if topic == Topic::Sql {
        return if rest.is_empty() {
            Err(wrong(Usage::StatementMissing))
        } else {
            Ok(Command::Sql(rest.to_owned()))
        };
    }
    let words = words::split(rest).map_err(|_| wrong(Usage::QuoteOpen))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let extra = |word: &str| Err(wrong(Usage::Extra(shortened(word))));
    match (topic, words.as_slice()) {
        (Topic::Help, []) => Ok(Command::Help(None)),
        (Topic::Help, [word]) => match Topic::find(word) {
            Some(topic) => Ok(Command::Help(Some(topic))),
            None => Err(wrong(Usage::TopicUnknown(shortened(word)))),
        },
        (Topic::Schema, []) => Ok(Command::Schema(None)),
        (Topic::Schema, [table]) => Ok(Command::Schema(Some(table.to_lowercase()))),
        (Topic::Jobs, []) => Ok(Command::Jobs),
        (Topic::Jobs, ["show" | "cancel"]) => Err(wrong(Usage::JobMissing)),
        (Topic::Jobs, ["show", number]) => Ok(Command::ShowJob(job(number).map_err(wrong)?)),
        (Topic::Jobs, ["cancel", number]) => Ok(Command::CancelJob(job(number).map_err(wrong)?)),
        (Topic::Jobs, ["show" | "cancel", _, word, ..] | [word, ..]) => extra(word),
        (Topic::Result, [number]) => Ok(Command::ShowJob(job(number).map_err(wrong)?)),
        (Topic::Cancel, [number]) => Ok(Command::CancelJob(job(number).map_err(wrong)?)),
        (Topic::Result | Topic::Cancel, []) => Err(wrong(Usage::JobMissing)),
        (Topic::Run, words) => program::run(words).map_err(wrong),
        (Topic::Script, words) => program::script(words).map_err(wrong),
        (Topic::Tools, []) => Ok(Command::Tools),
        (Topic::Submit, words) => submit::submit(words).map_err(wrong),
        (Topic::Outputs, []) => Ok(Command::Outputs),
        (Topic::Status, []) => Ok(Command::Status),
        (Topic::Lang, [lang @ ("ja" | "en")]) => match Lang::from_str(lang) {
            Ok(lang) => Ok(Command::Lang(lang)),
            Err(_) => Err(wrong(Usage::LangUnknown(shortened(lang)))),
        },
        (Topic::Lang, []) => Err(wrong(Usage::LangUnknown(String::new()))),
        (Topic::Lang, [word]) => Err(wrong(Usage::LangUnknown(shortened(word)))),
        (Topic::Exit, []) => Ok(Command::Exit),
        (
            Topic::Help | Topic::Schema | Topic::Lang | Topic::Result | Topic::Cancel,
            [_, word, ..],
        )
        | (Topic::Tools | Topic::Outputs | Topic::Status | Topic::Exit, [word, ..]) => extra(word),
        (Topic::Sql, _) => Err(wrong(Usage::StatementMissing)),
    }
}

fn job(word: &str) -> Result<JobId, Usage> {
    let malformed = || Usage::JobMalformed(shortened(word));
    let number: u32 = word.parse().map_err(|_| malformed())?;
    if number == 0 {
        return Err(malformed());
    }
    JobId::new(number.to_string()).map_err(|_| malformed())
}

fn shortened(word: &str) -> String {
    word.chars().take(WORD_SHOWN_MAX).collect()
}
