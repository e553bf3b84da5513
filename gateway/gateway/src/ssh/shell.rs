//! A console on a channel: lines in, text out. It runs commands of `kekkai-console` and nothing else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kekkai_console::{Command, Lines, ParseError, Source, SourceError, TableView, message, render};
use kekkai_types::Lang;
use russh::ChannelId;
use russh::server::Handle;

use super::connection::{Connection, Slot};
use super::editor::{Editor, Key};
use super::handler::STDERR;
use super::input::{INPUT_WAITING_MAX, Input, InputReceiver};
use super::{commands, text};
use crate::sessions::{LiveSession, SessionError};

/// The width of output that isn't a terminal's, in columns.
const COLUMNS_DEFAULT: u32 = 100;
/// Ctrl-C, as a key.
const INTERRUPT: u8 = 0x03;
/// A pipe that shall give a script says nothing for at most this long.
const PIPE_PAUSE_MAX: Duration = Duration::from_secs(120);
/// A pipe gives its whole script in this time: no lease watches over it yet.
const PIPE_TIME_MAX: Duration = Duration::from_secs(1800);
/// What stands before each line of a script that is typed.
const SOURCE_PROMPT: &str = "      | ";
/// Exit statuses.
pub(super) const OK: u32 = 0;
pub(super) const REFUSED: u32 = 1;
pub(super) const USAGE: u32 = 2;

/// What the channel was opened for.
pub(super) enum Mode {
    /// `ssh gateway`
    Interactive,
    /// `ssh gateway COMMAND`
    Command(String),
}

/// A console's terminal and its session.
pub(super) struct Shell {
    pub(super) connection: Arc<Connection>,
    handle: Handle,
    channel: ChannelId,
    pub(super) columns: Option<u32>,
    input: InputReceiver,
    editor: Editor,
    lines: Lines,
    /// Bytes that came and were not looked at yet: what they mean depends on the command before them.
    ahead: VecDeque<u8>,
    /// The script that came with a one-shot command.
    piped: Option<Result<String, SourceError>>,
    is_closed: bool,
    at_end: bool,
}

/// Runs a console until it ends, and closes its channel.
#[allow(
    clippy::too_many_arguments,
    reason = "each is one fact about the channel"
)]
pub(super) async fn run(
    connection: Arc<Connection>,
    slot: Slot,
    handle: Handle,
    channel: ChannelId,
    columns: Option<u32>,
    mode: Mode,
    input: InputReceiver,
) {
    let mut shell = Shell {
        connection,
        handle,
        channel,
        columns,
        input,
        editor: Editor::default(),
        lines: Lines::default(),
        ahead: VecDeque::new(),
        piped: None,
        is_closed: false,
        at_end: false,
    };
    let status = match mode {
        Mode::Interactive => shell.interact().await,
        Mode::Command(line) => shell.once(&line).await,
    };
    if !shell.is_closed {
        shell.connection.finished();
    }
    // The client may be gone; then nobody is there to be told.
    let _ = shell.handle.exit_status_request(channel, status).await;
    let _ = shell.handle.eof(channel).await;
    let _ = shell.handle.close(channel).await;
    drop(slot);
}

impl Shell {
    pub(super) fn lang(&self) -> Lang {
        self.connection.lang()
    }

    pub(super) fn width(&self) -> usize {
        usize::try_from(self.columns.unwrap_or(COLUMNS_DEFAULT)).unwrap_or(100)
    }

    pub(super) fn view(&self) -> TableView {
        match self.columns {
            Some(_) => TableView::terminal(self.width()),
            None => TableView::whole(),
        }
    }

    pub(super) async fn out(&self, text: &str) {
        let _ = self.handle.data(self.channel, self.bytes(text)).await;
    }

    /// Beside the output; a terminal has one screen for both.
    pub(super) async fn err(&self, text: &str) {
        if self.is_terminal() {
            return self.out(text).await;
        }
        let bytes = self.bytes(text);
        let _ = self.handle.extended_data(self.channel, STDERR, bytes).await;
    }

    /// A terminal in raw mode needs the carriage return, too.
    fn bytes(&self, text: &str) -> Vec<u8> {
        match self.columns {
            Some(_) => text.replace('\n', "\r\n").into_bytes(),
            None => text.as_bytes().to_vec(),
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.columns.is_some()
    }

    async fn once(&mut self, line: &str) -> u32 {
        let command = match kekkai_console::parse(line) {
            Ok(command) => command,
            Err(error) => return self.not_done(&error, line, false).await,
        };
        // What needs no session costs none.
        match command {
            Command::Help(topic) => {
                self.out(&render::help(topic, self.lang())).await;
                return OK;
            }
            Command::Exit | Command::Lang(_) => return OK,
            _ => {}
        }
        // A pipe is read before its session begins: a script that is none costs no session.
        if command.needs_source() && !self.is_terminal() {
            match self.piped_source().await {
                Some(Ok(source)) => self.piped = Some(Ok(source)),
                Some(Err(error)) => return self.no_source(&error).await,
                None => return REFUSED,
            }
        }
        let live = match self.session().await {
            Ok(live) => live,
            Err(status) => return status,
        };
        commands::run(self, &live, command).await
    }

    async fn interact(&mut self) -> u32 {
        let live = match self.session().await {
            Ok(live) => live,
            Err(status) => return status,
        };
        let welcome = render::welcome(&commands::status(self, &live), self.lang());
        self.out(&welcome).await;
        let mut status = OK;
        self.prompt().await;
        loop {
            let key = tokio::select! {
                key = self.key() => key,
                reason = live.ended() => {
                    self.ended(reason).await;
                    return REFUSED;
                }
            };
            let Some(key) = key else { return status };
            match key {
                Key::End => {
                    self.out("\n").await;
                    return status;
                }
                Key::Interrupt => self.lines.clear(),
                Key::Line(line) => match self.lines.push(&line) {
                    None => {}
                    Some(Err(error)) => status = self.not_done(&error, &line, true).await,
                    Some(Ok(Command::Exit)) => return status,
                    Some(Ok(command)) => {
                        status = commands::run(self, &live, command).await;
                        if self.is_closed {
                            return status;
                        }
                    }
                },
            }
            self.prompt().await;
        }
    }

    async fn prompt(&self) {
        if self.is_terminal() {
            let line = format!("{}{}", self.lines.prompt(), self.editor.line());
            self.out(&line).await;
        }
    }

    /// The next key; `None` when there is no more.
    pub(super) async fn key(&mut self) -> Option<Key> {
        loop {
            let mut echo = String::new();
            let mut key = None;
            while let Some(byte) = self.ahead.pop_front() {
                key = self.editor.feed(byte, &mut echo);
                if key.is_some() {
                    break;
                }
            }
            // A file's last line may lack its end.
            if key.is_none() && self.at_end && !self.editor.line().is_empty() {
                key = self.editor.feed(b'\n', &mut echo);
            }
            if self.is_terminal() {
                let _ = self.handle.data(self.channel, echo.into_bytes()).await;
            }
            if key.is_some() || self.at_end || self.is_closed {
                return key;
            }
            match self.input.recv().await {
                None => self.is_closed = true,
                Some(input) => self.take(input),
            }
        }
    }

    /// A script: piped already, or typed now, up to a line with a `.` alone or the end of input. What is
    /// wrong with it has been said when this gives an exit status.
    pub(super) async fn source(&mut self, live: &LiveSession) -> Result<String, u32> {
        let source = match self.piped.take() {
            Some(piped) => piped,
            None => {
                if self.is_terminal() {
                    self.out(message::source_hint(self.lang())).await;
                }
                self.editor.set_text(true);
                let source = self.typed_source(live).await;
                self.editor.set_text(false);
                source?
            }
        };
        match source {
            Ok(source) => Ok(source),
            Err(error) => Err(self.no_source(&error).await),
        }
    }

    async fn typed_source(
        &mut self,
        live: &LiveSession,
    ) -> Result<Result<String, SourceError>, u32> {
        let mut source = Source::default();
        loop {
            if self.is_terminal() {
                let line = format!("{SOURCE_PROMPT}{}", self.editor.line());
                self.out(&line).await;
            }
            let key = tokio::select! {
                key = self.key() => key,
                reason = live.ended() => {
                    self.ended(reason).await;
                    return Err(REFUSED);
                }
            };
            match key {
                Some(Key::Line(line)) => {
                    if source.line(&line) {
                        return Ok(source.finish());
                    }
                }
                Some(Key::Interrupt) => return Err(REFUSED),
                // Half of a script is none when the person went away.
                None if self.is_closed => return Err(REFUSED),
                Some(Key::End) | None => {
                    if self.is_terminal() {
                        self.out("\n").await;
                    }
                    return Ok(source.finish());
                }
            }
        }
    }

    /// Everything that a pipe gives. `None`: it never ended, and that was said.
    async fn piped_source(&mut self) -> Option<Result<String, SourceError>> {
        let mut source = Source::default();
        let end = tokio::time::Instant::now() + PIPE_TIME_MAX;
        while !source.is_too_long() {
            let pause = tokio::time::Instant::now() + PIPE_PAUSE_MAX;
            let input = tokio::time::timeout_at(end.min(pause), self.input.recv()).await;
            match input {
                Ok(Some(Input::Bytes(bytes))) => source.bytes(&bytes),
                Ok(Some(Input::Columns(_))) => {}
                Ok(Some(Input::End)) => {
                    self.at_end = true;
                    break;
                }
                Ok(Some(Input::Interrupt)) => return None,
                Ok(None) => {
                    self.is_closed = true;
                    return None;
                }
                Err(_) => {
                    let said = text::SOURCE_PAUSED.get(self.lang());
                    self.err(&format!("{said}\n")).await;
                    return None;
                }
            }
        }
        Some(source.finish())
    }

    async fn no_source(&self, error: &SourceError) -> u32 {
        self.err(&message::source_error(error, self.lang())).await;
        USAGE
    }

    /// Waits until the person interrupts or goes; what is typed meanwhile is kept for later.
    pub(super) async fn interrupted(&mut self) {
        while !self.is_closed {
            if let Some(at) = self.ahead.iter().position(|byte| *byte == INTERRUPT) {
                self.ahead.drain(..=at);
                if self.is_terminal() {
                    self.out("^C\n").await;
                }
                return;
            }
            if self.ahead.len() > INPUT_WAITING_MAX {
                // Better to stop than to lose lines of a file without a word.
                let said = text::TOO_FAST.get(self.lang());
                self.err(&format!("{said}\n")).await;
                self.is_closed = true;
                return;
            }
            // Input may end while a command runs; only closing the channel stops it.
            match self.input.recv().await {
                None => self.is_closed = true,
                Some(input) => self.take(input),
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Bytes(bytes) => self.ahead.extend(bytes.iter()),
            Input::Columns(columns) => self.columns = self.columns.map(|_| columns),
            Input::Interrupt => self.ahead.push_back(INTERRUPT),
            Input::End => self.at_end = true,
        }
    }

    async fn session(&mut self) -> Result<Arc<LiveSession>, u32> {
        let lang = self.lang();
        if self.is_terminal() {
            self.err(&format!("{}\n", text::STARTING.get(lang))).await;
        }
        let problem = match self.connection.session().await {
            Ok(live) => {
                let is_emulated = live.launched.emulated || self.connection.gateway.config.demo;
                // One-shot output goes to a file, perhaps: the banner stands beside it.
                if is_emulated {
                    self.err(render::banner(lang)).await;
                }
                return Ok(live);
            }
            Err(problem) => problem,
        };
        let said = match problem {
            SessionError::Refused(refusal) => message::refusal(&refusal, lang),
            SessionError::Unavailable => format!("{}\n", text::UNAVAILABLE.get(lang)),
            SessionError::Busy => format!("{}\n", text::BUSY.get(lang)),
        };
        self.err(&format!("{}\n{said}", text::NO_SESSION.get(lang)))
            .await;
        Err(REFUSED)
    }

    pub(super) async fn ended(&self, reason: kekkai_policy_api::EndReason) {
        let said = message::end_reason(reason, self.lang());
        self.err(&format!("\n{said}")).await;
    }

    /// A line that is no command is recorded before it is answered.
    async fn not_done(&self, error: &ParseError, line: &str, is_typed: bool) -> u32 {
        let status = match error {
            ParseError::NotACommand(_) => {
                self.connection
                    .refuse_command(&format!("command {line}"), is_typed)
                    .await;
                REFUSED
            }
            ParseError::Usage(..) | ParseError::TooLong => USAGE,
        };
        self.err(&message::parse_error(error, self.lang())).await;
        status
    }
}
