//! What the SSH library asks of us. Four things exist: a terminal's key and its one question, a console, a
//! console command, and for the native client a screen. Everything else is refused, said so, and recorded.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use kekkai_types::Lang;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, MethodSet, Pty, Sig};

use super::auth::Stage;
use super::connection::{Carries, Connection, Slot};
use super::input::{self, Input, InputSender, QueueFull};
use super::shell::{self, Mode};
use super::{in_band, screen, text};

/// SSH's number of standard error.
pub(super) const STDERR: u32 = 1;
/// Narrower or wider terminals are taken for these, in columns.
const COLUMNS: std::ops::RangeInclusive<u32> = 20..=1000;
/// A terminal that doesn't say its width, in columns.
const COLUMNS_UNKNOWN: u32 = 80;
/// Answers that are read of one response.
const ANSWERS_MAX: usize = 4;

/// The handler of one connection.
pub(super) struct Door {
    pub(super) connection: Arc<Connection>,
    pub(super) stage: Stage,
    pub(super) is_stranger_recorded: bool,
    consoles: HashMap<ChannelId, Console>,
    screen: Option<Screen>,
    lang: Option<Lang>,
}

/// The one channel of a connection that carries a screen.
struct Screen {
    id: ChannelId,
    /// Until it runs.
    start: Option<(ChannelWriteHalf<Msg>, Slot)>,
    input: Option<InputSender>,
}

struct Console {
    columns: Option<u32>,
    /// Until it runs.
    slot: Option<Slot>,
    input: Option<InputSender>,
}

impl Console {
    /// It ran and is over. The library doesn't tell when the server was the first to close.
    fn is_over(&self) -> bool {
        self.input.as_ref().is_some_and(InputSender::is_closed)
    }
}

impl Door {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            stage: Stage::default(),
            is_stranger_recorded: false,
            consoles: HashMap::new(),
            screen: None,
            lang: None,
        }
    }

    fn lang(&self) -> Lang {
        self.lang.unwrap_or_else(|| self.connection.lang())
    }

    /// Starts a console on a channel that has none yet.
    fn start(
        &mut self,
        channel: ChannelId,
        command: Option<String>,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if let Some(lang) = self.lang {
            self.connection.set_lang(lang);
        }
        let Some(console) = self.consoles.get_mut(&channel) else {
            return session.channel_failure(channel);
        };
        let Some(slot) = console.slot.take() else {
            return session.channel_failure(channel);
        };
        let (sender, receiver) = input::queue();
        console.input = Some(sender);
        session.channel_success(channel)?;
        let mode = match command {
            Some(command) => Mode::Command(command),
            None => Mode::Interactive,
        };
        let run = shell::run(
            self.connection.clone(),
            slot,
            session.handle(),
            channel,
            console.columns,
            mode,
            receiver,
        );
        tokio::spawn(run);
        Ok(())
    }

    fn feed(
        &mut self,
        channel: ChannelId,
        input: Input,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.connection.touch();
        let screen = self.screen.as_ref().filter(|screen| screen.id == channel);
        let sender = match screen {
            Some(screen) => screen.input.as_ref(),
            None => self.consoles.get(&channel).and_then(|c| c.input.as_ref()),
        };
        let Some(sender) = sender else { return Ok(()) };
        if let Err(QueueFull) = sender.send(input) {
            // Waiting here would stop the connection's output too.
            let message = format!("{}\r\n", text::TOO_FAST.get(self.lang()));
            session.extended_data(channel, STDERR, message.into_bytes())?;
            session.close(channel)?;
        }
        Ok(())
    }
}

impl Door {
    /// The connection's screen takes its place, once.
    fn start_screen(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<bool, russh::Error> {
        if let Some(lang) = self.lang {
            self.connection.set_lang(lang);
        }
        let Some(screen) = self.screen.as_mut().filter(|screen| screen.id == channel) else {
            return Ok(false);
        };
        let Some((writer, slot)) = screen.start.take() else {
            return Ok(false);
        };
        let (sender, receiver) = input::queue();
        screen.input = Some(sender);
        session.channel_success(channel)?;
        tokio::spawn(screen::run(self.connection.clone(), slot, writer, receiver));
        Ok(true)
    }

    /// The channel of a screen: the first, and no other after it.
    async fn open_screen(&mut self, channel: Channel<Msg>, reply: ChannelOpenHandle) {
        let slot = match self.screen {
            None => self.connection.open_channel(),
            Some(_) => None,
        };
        let Some(slot) = slot else {
            reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
            return self
                .connection
                .refuse("another channel beside a screen")
                .await;
        };
        let id = channel.id();
        // What comes is fed to a queue with a bound; the library's own would stop the connection.
        let (_, writer) = channel.split();
        self.screen = Some(Screen {
            id,
            start: Some((writer, slot)),
            input: None,
        });
        reply.accept().await;
    }

    /// Whether this connection carries a screen, for which consoles' requests don't exist. Recorded.
    async fn refuses_on_screen(&self, request: &str) -> bool {
        let is_screen = self.connection.carries() == Some(Carries::Screen);
        if is_screen {
            let request = format!("{request} on a screen's connection");
            self.connection.refuse(&request).await;
        }
        is_screen
    }
}

/// A terminal's width within bounds. Zero says nothing (RFC 4254 §6.2).
fn width(columns: u32) -> Option<u32> {
    (columns > 0).then(|| columns.clamp(*COLUMNS.start(), *COLUMNS.end()))
}

impl Handler for Door {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::reject())
    }

    async fn auth_password(&mut self, _: &str, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::reject())
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.offered(user, offer.public_key).await)
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.terminal_key(user, key.public_key).await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        match response {
            None if in_band::is_named(submethods) => Ok(self.ask_in_band(user).await),
            None => Ok(self.ask(user).await),
            Some(response) => {
                let answers: Vec<Bytes> = response.take(ANSWERS_MAX).collect();
                Ok(self.answered(user, &answers).await)
            }
        }
    }

    async fn auth_openssh_certificate(
        &mut self,
        _: &str,
        _: &russh::keys::Certificate,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Reject {
            proceed_with_methods: Some(MethodSet::empty()),
            partial_success: false,
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // The library opens no channel before the end of sign-in; a mistake there opens none here.
        if !self.connection.is_signed_in() {
            reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
            return Err(russh::Error::Inconsistent);
        }
        if self.connection.carries() == Some(Carries::Screen) {
            self.open_screen(channel, reply).await;
            return Ok(());
        }
        self.consoles.retain(|_, console| !console.is_over());
        if let Some(slot) = self.connection.open_channel() {
            let console = Console {
                columns: None,
                slot: Some(slot),
                input: None,
            };
            self.consoles.insert(channel.id(), console);
            reply.accept().await;
        } else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            self.connection
                .refuse("session channel over the limit")
                .await;
        }
        Ok(())
    }

    async fn channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.connection.refuse("x11 channel").await;
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.connection
            .refuse(&format!("direct-tcpip {host}:{port}"))
            .await;
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.connection
            .refuse(&format!("forwarded-tcpip {host}:{port}"))
            .await;
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.connection
            .refuse(&format!("direct-streamlocal {path}"))
            .await;
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // Dropping the sender tells the console, or the screen.
        self.consoles.remove(&channel);
        if let Some(screen) = self.screen.as_mut().filter(|screen| screen.id == channel) {
            (screen.start, screen.input) = (None, None);
        }
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.feed(channel, Input::End, session)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.feed(channel, Input::Bytes(Bytes::copy_from_slice(data)), session)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        columns: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.consoles.get_mut(&channel) {
            Some(console) if console.slot.is_some() => {
                console.columns = Some(width(columns).unwrap_or(COLUMNS_UNKNOWN));
                session.channel_success(channel)
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        _: u32,
        _: u32,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match width(columns) {
            Some(columns) => self.feed(channel, Input::Columns(columns), session),
            None => Ok(()),
        }
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // No variable is set. Of the locale, which stock clients send by themselves, the language is
        // read; the more special name wins.
        match name {
            "LC_ALL" | "LC_MESSAGES" => self.lang = value.parse().ok().or(self.lang),
            "LANG" => self.lang = self.lang.or_else(|| value.parse().ok()),
            _ if name.starts_with("LC_") => {}
            _ => self.connection.refuse(&format!("env {name}")).await,
        }
        session.channel_failure(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.refuses_on_screen("shell").await {
            return session.channel_failure(channel);
        }
        self.start(channel, None, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(data).into_owned();
        if self.refuses_on_screen("exec").await {
            return session.channel_failure(channel);
        }
        self.start(channel, Some(command), session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name == screen::SUBSYSTEM && self.start_screen(channel, session)? {
            return Ok(());
        }
        self.connection.refuse(&format!("subsystem {name}")).await;
        let message = format!("{}\n", text::REFUSED_SUBSYSTEM.get(self.lang()));
        session.extended_data(channel, STDERR, message.into_bytes())?;
        session.channel_failure(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.connection.refuse("x11-req").await;
        session.channel_failure(channel)
    }

    async fn agent_request(&mut self, _: ChannelId, _: &mut Session) -> Result<bool, Self::Error> {
        self.connection.refuse("auth-agent-req").await;
        Ok(false)
    }

    async fn signal(
        &mut self,
        channel: ChannelId,
        signal: Sig,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match signal {
            Sig::INT => self.feed(channel, Input::Interrupt, session),
            other => {
                self.connection.refuse(&format!("signal {other:?}")).await;
                Ok(())
            }
        }
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.connection
            .refuse(&format!("tcpip-forward {address}:{port}"))
            .await;
        Ok(false)
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.connection
            .refuse(&format!("cancel-tcpip-forward {address}:{port}"))
            .await;
        Ok(false)
    }

    async fn streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.connection
            .refuse(&format!("streamlocal-forward {path}"))
            .await;
        Ok(false)
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.connection
            .refuse(&format!("cancel-streamlocal-forward {path}"))
            .await;
        Ok(false)
    }
}
