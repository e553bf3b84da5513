//! Lines become commands. What isn't a command is said to be none; nothing is guessed or run.

use std::str::FromStr;

use kekkai_analysis_api::SQL_MAX;
use kekkai_types::{JobId, Lang};

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

/// A command that `help` can tell more about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named by the commands")]
pub enum Topic {
    Help,
    Schema,
    Sql,
    Jobs,
    Submit,
    Outputs,
    Status,
    Lang,
    Exit,
}

impl Topic {
    /// In the order in which people need them.
    pub const ALL: [Self; 9] = [
        Self::Help,
        Self::Schema,
        Self::Sql,
        Self::Jobs,
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
            Self::Jobs => "jobs",
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
        (Topic::Submit, words) => submit(words).map_err(wrong),
        (Topic::Outputs, []) => Ok(Command::Outputs),
        (Topic::Status, []) => Ok(Command::Status),
        (Topic::Lang, [lang @ ("ja" | "en")]) => match Lang::from_str(lang) {
            Ok(lang) => Ok(Command::Lang(lang)),
            Err(_) => Err(wrong(Usage::LangUnknown(shortened(lang)))),
        },
        (Topic::Lang, []) => Err(wrong(Usage::LangUnknown(String::new()))),
        (Topic::Lang, [word]) => Err(wrong(Usage::LangUnknown(shortened(word)))),
        (Topic::Exit, []) => Ok(Command::Exit),
        (Topic::Help | Topic::Schema | Topic::Lang, [_, word, ..]) => extra(word),
        (Topic::Outputs | Topic::Status | Topic::Exit, [word, ..]) => extra(word),
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

/// `N --title T [--purpose P]`. Words after an option belong to it up to the next one: `ssh` has
/// taken the quotes away when a request arrives.
fn submit(words: &[&str]) -> Result<Command, Usage> {
    let (number, rest) = words.split_first().ok_or(Usage::JobMissing)?;
    let job = job(number)?;
    let mut title: Option<String> = None;
    let mut purpose: Option<String> = None;
    let mut current: Option<&mut Option<String>> = None;
    for word in rest {
        if let Some(option) = word.strip_prefix("--") {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option, None),
            };
            let target = match name {
                "title" => &mut title,
                "purpose" => &mut purpose,
                _ => return Err(Usage::OptionUnknown(shortened(word))),
            };
            if target.is_some() {
                return Err(Usage::Extra(shortened(word)));
            }
            *target = Some(value.unwrap_or_default().to_owned());
            current = Some(target);
        } else {
            match &mut current {
                Some(Some(text)) => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(word);
                }
                _ => return Err(Usage::Extra(shortened(word))),
            }
        }
    }
    let title = title.unwrap_or_default().trim().to_owned();
    let purpose = purpose.unwrap_or_default().trim().to_owned();
    let (title_chars, purpose_chars) = (title.chars().count(), purpose.chars().count());
    if title.is_empty() {
        return Err(Usage::TitleMissing);
    }
    if title.chars().chain(purpose.chars()).any(char::is_control) {
        return Err(Usage::ControlCharacter);
    }
    if title_chars > TITLE_MAX {
        return Err(Usage::TitleTooLong(title_chars));
    }
    if purpose_chars > PURPOSE_MAX {
        return Err(Usage::PurposeTooLong(purpose_chars));
    }
    Ok(Command::Submit {
        job,
        title,
        purpose,
    })
}

fn shortened(word: &str) -> String {
    word.chars().take(WORD_SHOWN_MAX).collect()
}

/// Interactive lines: as [`parse`], and a `sql` statement goes on until a line with its `;`.
#[derive(Debug, Default)]
pub struct Lines {
    statement: Option<String>,
}

impl Lines {
    /// Takes a line without its end. `None`: nothing was asked, or the statement goes on.
    pub fn push(&mut self, line: &str) -> Option<Result<Command, ParseError>> {
        let statement = match self.statement.take() {
            Some(before) => format!("{before}\n{line}"),
            None => {
                let line = line.trim_start();
                let rest = line.strip_prefix("sql");
                match rest.filter(|rest| rest.starts_with(char::is_whitespace)) {
                    Some(rest) => rest.trim_start().to_owned(),
                    None if line.trim() == "sql" => String::new(),
                    None if line.trim().is_empty() => return None,
                    None => return Some(parse(line)),
                }
            }
        };
        if statement.len() > SQL_MAX {
            return Some(Err(ParseError::TooLong));
        }
        if !has_end(&statement) {
            self.statement = Some(statement);
            return None;
        }
        let usage = ParseError::Usage(Topic::Sql, Usage::StatementMissing);
        let is_empty = statement.trim_matches([' ', '\t', '\n', ';']).is_empty();
        Some(if is_empty {
            Err(usage)
        } else {
            Ok(Command::Sql(statement.trim_end().to_owned()))
        })
    }

    /// Whether a statement goes on: the prompt says so.
    pub fn is_open(&self) -> bool {
        self.statement.is_some()
    }

    /// What stands before the next line.
    pub fn prompt(&self) -> &'static str {
        if self.is_open() {
            "     -> "
        } else {
            "kekkai> "
        }
    }

    /// Forgets an open statement: the person pressed Ctrl-C.
    pub fn clear(&mut self) {
        self.statement = None;
    }
}

/// Whether there is a `;` outside quotes and comments.
fn has_end(sql: &str) -> bool {
    #[derive(Clone, Copy)]
    enum In {
        Code,
        Quote(char),
        Line,
        /// Nested, as SQL has it.
        Block(u32),
    }
    let mut state = In::Code;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        state = match (state, c, chars.peek()) {
            (In::Code, ';', _) => return true,
            (In::Code, '\'' | '"', _) => In::Quote(c),
            (In::Code, '-', Some('-')) => In::Line,
            (In::Code, '/', Some('*')) => {
                chars.next();
                In::Block(1)
            }
            // A doubled quote closes and opens again: no need to tell it apart.
            (In::Quote(open), c, _) if c == open => In::Code,
            (In::Line, '\n', _) => In::Code,
            (In::Block(depth), '/', Some('*')) => {
                chars.next();
                In::Block(depth.saturating_add(1))
            }
            (In::Block(depth), '*', Some('/')) => {
                chars.next();
                if depth <= 1 {
                    In::Code
                } else {
                    In::Block(depth.saturating_sub(1))
                }
            }
            (state, _, _) => state,
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: &str) -> JobId {
        JobId::new(number).unwrap()
    }

    #[test]
    fn commands_are_understood() {
        let cases = [
            ("help", Command::Help(None)),
            ("", Command::Help(None)),
            ("help sql", Command::Help(Some(Topic::Sql))),
            ("schema", Command::Schema(None)),
            ("schema Patient", Command::Schema(Some("patient".into()))),
            ("sql SELECT 1", Command::Sql("SELECT 1".into())),
            (
                "sql SELECT 'it''s'  ;",
                Command::Sql("SELECT 'it''s'  ;".into()),
            ),
            (
                "sql SELECT\n  count(*)",
                Command::Sql("SELECT\n  count(*)".into()),
            ),
            ("jobs", Command::Jobs),
            ("jobs show 3", Command::ShowJob(id("3"))),
            ("jobs cancel 12", Command::CancelJob(id("12"))),
            ("outputs", Command::Outputs),
            ("status", Command::Status),
            ("lang ja", Command::Lang(Lang::Ja)),
            ("lang en", Command::Lang(Lang::En)),
            ("  exit  ", Command::Exit),
        ];
        for (line, command) in cases {
            assert_eq!(parse(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn submit_takes_quoted_words_and_words_whose_quotes_ssh_took_away() {
        let submit = |title: &str, purpose: &str| {
            Ok(Command::Submit {
                job: id("2"),
                title: title.into(),
                purpose: purpose.into(),
            })
        };
        let both = submit("年齢別 件数", "論文の表1");
        assert_eq!(
            parse("submit 2 --title '年齢別 件数' --purpose 論文の表1"),
            both
        );
        assert_eq!(
            parse("submit 2 --title 年齢別 件数 --purpose 論文の表1"),
            both
        );
        assert_eq!(
            parse("submit 2 --purpose=論文の表1 --title='年齢別 件数'"),
            both
        );
        assert_eq!(parse("submit 2 --title \"a -- b\""), submit("a -- b", ""));
    }

    #[test]
    fn what_is_no_command_is_refused_as_such() {
        for line in [
            "sh",
            "bash -c id",
            "cat /etc/passwd",
            "scp -t /tmp/x",
            "scp -f data",
            "rsync --server -e.L .",
            "sftp-server",
            "/usr/lib/openssh/sftp-server",
            "SELECT 1",
            "HELP",
            "help;id",
            "sql;id",
            "sqlite3",
            "exit; sh",
            "exit&&sh",
            "true",
            "$(id)",
            "`id`",
            "tmux",
            "git-upload-pack 'x'",
            "\u{1b}[A",
            "ｈｅｌｐ",
        ] {
            let parsed = parse(line);
            let is_refused = match &parsed {
                Err(ParseError::NotACommand(_)) => true,
                Err(ParseError::Usage(..)) => line.starts_with("exit"),
                _ => false,
            };
            assert!(is_refused, "{line}: {parsed:?}");
            assert_eq!(Lines::default().push(line), Some(parsed), "{line}");
        }
        assert_eq!(parse("sh -c id"), Err(ParseError::NotACommand("sh".into())));
    }

    #[test]
    fn wrong_use_is_named() {
        let cases = [
            ("sql", Topic::Sql, Usage::StatementMissing),
            ("jobs show", Topic::Jobs, Usage::JobMissing),
            (
                "jobs cancel 0",
                Topic::Jobs,
                Usage::JobMalformed("0".into()),
            ),
            (
                "jobs show ../1",
                Topic::Jobs,
                Usage::JobMalformed("../1".into()),
            ),
            (
                "jobs show -1",
                Topic::Jobs,
                Usage::JobMalformed("-1".into()),
            ),
            ("jobs kill 1", Topic::Jobs, Usage::Extra("kill".into())),
            ("jobs show 1 2", Topic::Jobs, Usage::Extra("2".into())),
            ("submit", Topic::Submit, Usage::JobMissing),
            ("submit 1", Topic::Submit, Usage::TitleMissing),
            ("submit 1 --title ''", Topic::Submit, Usage::TitleMissing),
            ("submit 1 --title 'x", Topic::Submit, Usage::QuoteOpen),
            (
                "submit 1 --title x --title y",
                Topic::Submit,
                Usage::Extra("--title".into()),
            ),
            (
                "submit 1 --title 'x\u{1b}[2J'",
                Topic::Submit,
                Usage::ControlCharacter,
            ),
            (
                "submit 1 --force",
                Topic::Submit,
                Usage::OptionUnknown("--force".into()),
            ),
            ("submit 1 word", Topic::Submit, Usage::Extra("word".into())),
            (
                "submit x --title y",
                Topic::Submit,
                Usage::JobMalformed("x".into()),
            ),
            ("lang fr", Topic::Lang, Usage::LangUnknown("fr".into())),
            (
                "lang japanese",
                Topic::Lang,
                Usage::LangUnknown("japanese".into()),
            ),
            ("lang", Topic::Lang, Usage::LangUnknown(String::new())),
            ("help me", Topic::Help, Usage::TopicUnknown("me".into())),
            ("status now", Topic::Status, Usage::Extra("now".into())),
            ("schema a b", Topic::Schema, Usage::Extra("b".into())),
        ];
        for (line, topic, usage) in cases {
            assert_eq!(parse(line), Err(ParseError::Usage(topic, usage)), "{line}");
        }
        let long = "あ".repeat(TITLE_MAX + 1);
        let wrong = ParseError::Usage(Topic::Submit, Usage::TitleTooLong(TITLE_MAX + 1));
        assert_eq!(parse(&format!("submit 1 --title {long}")), Err(wrong));
        let long = "あ".repeat(PURPOSE_MAX + 1);
        let wrong = ParseError::Usage(Topic::Submit, Usage::PurposeTooLong(PURPOSE_MAX + 1));
        assert_eq!(
            parse(&format!("submit 1 --title x --purpose {long}")),
            Err(wrong)
        );
        assert_eq!(parse(&"x".repeat(LINE_MAX + 1)), Err(ParseError::TooLong));
    }

    #[test]
    fn statement_goes_on_until_its_semicolon() {
        let mut lines = Lines::default();
        assert_eq!(lines.push("sql SELECT sex, -- not; here"), None);
        assert!(lines.is_open());
        assert_eq!(lines.push("  ';', \";\" /* ; /* ; */ */"), None);
        assert_eq!(
            lines.push("help"),
            None,
            "inside a statement everything is SQL"
        );
        let sql = "SELECT sex, -- not; here\n  ';', \";\" /* ; /* ; */ */\nhelp\nFROM t;";
        assert_eq!(lines.push("FROM t;"), Some(Ok(Command::Sql(sql.into()))));
        assert!(!lines.is_open());
        assert_eq!(lines.push("status"), Some(Ok(Command::Status)));
        // The engine refuses the second statement, not the console.
        let two = Command::Sql("SELECT 1; DROP TABLE x".into());
        assert_eq!(lines.push("sql SELECT 1; DROP TABLE x"), Some(Ok(two)));
        assert_eq!(lines.push("   "), None);
        assert_eq!(lines.push("sql"), None);
        assert_eq!(lines.prompt(), "     -> ");
        lines.clear();
        assert_eq!(lines.prompt(), "kekkai> ");
        let missing = ParseError::Usage(Topic::Sql, Usage::StatementMissing);
        assert_eq!(lines.push("sql ;"), Some(Err(missing)));
    }

    #[test]
    fn endless_statement_is_cut_off() {
        let mut lines = Lines::default();
        let line = "x".repeat(1000);
        assert_eq!(lines.push(&format!("sql {line}")), None);
        let over = (0..SQL_MAX).find_map(|_| lines.push(&line));
        assert_eq!(over, Some(Err(ParseError::TooLong)));
        assert!(!lines.is_open());
    }

    #[test]
    fn no_line_makes_the_parser_panic_or_find_a_command_that_is_not_there() {
        let pieces = [
            "sql",
            "help",
            "jobs",
            "submit",
            "show",
            "cancel",
            "lang",
            "schema",
            "exit",
            " ",
            "  ",
            "\t",
            "\n",
            ";",
            "'",
            "\"",
            "\\",
            "--",
            "--title",
            "--purpose",
            "=",
            "1",
            "0",
            "-1",
            "あ",
            "\u{3000}",
            "\u{1b}",
            "\u{0}",
            "/*",
            "*/",
            "$(",
            "`",
            "|",
            "&",
            "999999999999",
            "ja",
            "🦠",
        ];
        let mut seed: u64 = 2;
        let mut next = |bound: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % bound
        };
        let mut lines = Lines::default();
        let mut commands = 0;
        for _ in 0..50_000 {
            let line: String = (0..next(9)).map(|_| pieces[next(pieces.len())]).collect();
            if let Ok(command) = parse(&line) {
                commands += 1;
                let word = line.split_whitespace().next().unwrap_or("help");
                assert!(Topic::find(word).is_some(), "{line:?}: {command:?}");
            }
            if lines.push(&line).is_some() {
                assert!(!lines.is_open());
            }
            if next(20) == 0 {
                lines.clear();
            }
        }
        assert!(commands > 1_000, "{commands}");
    }
}
