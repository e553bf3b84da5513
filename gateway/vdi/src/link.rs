//! One line to the gateway, from connecting to its end: host key, terminal key, both factors, frames.
//!
//! The link is a task of its own. It tells what happens by [`Event`]s and is told by [`Command`]s; both
//! queues are bounded, so that a gateway that sends faster than the window draws waits. Nothing of a person
//! is sent before the gateway's host key was the pinned one.

mod connect;
mod sign_in;
mod stream;

use std::sync::Arc;

use kekkai_frames::{Input, Output};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::fido::{FidoError, Progress};

/// Events that wait for the window; the largest is one frame message.
pub const EVENTS_MAX: usize = 64;
/// Commands that wait for the line. A line that takes none of so many is cut.
pub const COMMANDS_MAX: usize = 1024;
/// What the gateway may say on standard error, in bytes; the rest is dropped.
pub const STDERR_BYTES_MAX: usize = 8 * 1024;
/// The longest `PERSON+AGREEMENT`, in bytes.
const WHO_BYTES_MAX: usize = 256;

/// `PERSON` or `PERSON+AGREEMENT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who(String);

impl Who {
    /// As the gateway's user name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Who {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| !c.is_whitespace() && !c.is_control() && c != '+')
        };
        let is_who = match text.split_once('+') {
            Some((person, agreement)) => is_name(person) && is_name(agreement),
            None => is_name(text),
        };
        if is_who && text.len() <= WHO_BYTES_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("\"{text}\" is not PERSON or PERSON+AGREEMENT"))
        }
    }
}

/// Where signing in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The gateway is called and its key compared.
    Connecting,
    /// This terminal shows its key.
    ShowingTerminal,
    /// The authenticator is asked.
    Authenticator(Progress),
    /// The token's code is waited for: [`Command::Code`].
    CodeNeeded,
    /// Both factors are on their way.
    Verifying,
    /// Signed in; the session opens or is found again.
    Opening,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Signing in went on.
    Step(Step),
    /// The screen changed.
    Output(Output),
    /// The line is over. Nothing follows.
    Over(End),
}

/// What the person did.
#[derive(Debug)]
pub enum Command {
    /// The token's code, digits only.
    Code(Zeroizing<String>),
    /// A key, text, the pointer, the window's size, an acknowledgement.
    Input(Input),
    /// Away from here. The session waits for its person as after a cut.
    Leave,
}

/// Why the line is over.
#[derive(Debug)]
pub enum End {
    /// The person left.
    Left,
    /// The screen is locked: whoever goes on signs in again.
    Locked,
    /// The session is over.
    Ended {
        /// `EndReason` in kebab case.
        reason: String,
        /// What the gateway says about it.
        said: String,
    },
    /// The person attached to the session elsewhere.
    Replaced,
    /// The line was cut while the session ran. It waits.
    Cut,
    /// Signing in failed.
    Refused(Refusal),
    /// The gateway said something that no gateway says; the line was closed here.
    Violation(String),
    /// The gateway gave up, and says why.
    Fault(String),
}

/// Why signing in failed.
#[derive(Debug)]
pub enum Refusal {
    /// Nobody answers at the gateway's address.
    Unreachable(std::io::Error),
    /// Whoever answers shows another host key than a pinned one. Nothing was sent.
    HostKey(String),
    /// The terminal's key can't be read or used.
    TerminalKey(String),
    /// The gateway doesn't know this terminal.
    Terminal,
    /// The authenticator gave no assertion.
    Authenticator(FidoError),
    /// The gateway refused the person, the assertion or the code; it doesn't tell which.
    Person(String),
    /// It took too long.
    TooSlow,
    /// The connection broke meanwhile.
    Broken(String),
}

/// A size to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
    /// Device pixels per point, in percent.
    pub scale: u16,
}

impl From<Area> for Input {
    fn from(area: Area) -> Self {
        Self::Resize {
            width: area.width,
            height: area.height,
            scale: area.scale,
        }
    }
}

/// The two ends of a running link. Dropping it cuts the line.
#[derive(Debug)]
pub struct Link {
    /// What happens.
    pub events: mpsc::Receiver<Event>,
    /// What to do.
    pub commands: mpsc::Sender<Command>,
}

/// What the link's own code tells the window through.
struct Told<W> {
    events: mpsc::Sender<Event>,
    wake: W,
}

/// The window is gone.
struct Gone;

impl<W: Fn()> Told<W> {
    async fn tell(&self, event: Event) -> Result<(), Gone> {
        let told = self.events.send(event).await;
        (self.wake)();
        told.map_err(|_| Gone)
    }

    /// Progress may be left out when the window is behind.
    fn hint(&self, step: Step) {
        let _ = self.events.try_send(Event::Step(step));
        (self.wake)();
    }
}

impl Link {
    /// Starts a line. `wake` is called after each event, from the link's thread.
    pub fn start(
        runtime: &tokio::runtime::Handle,
        config: Arc<Config>,
        who: Who,
        area: Area,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let (commands, mut orders) = mpsc::channel(COMMANDS_MAX);
        let told = Told { events, wake };
        runtime.spawn(async move {
            let end = run(&config, &who, area, &told, &mut orders).await;
            tracing::info!(?end, "the line is over");
            // A window that is gone needs no end.
            let _ = told.tell(Event::Over(end)).await;
        });
        Self {
            events: receiver,
            commands,
        }
    }
}

async fn run<W: Fn() + Send + Sync>(
    config: &Config,
    who: &Who,
    area: Area,
    told: &Told<W>,
    orders: &mut mpsc::Receiver<Command>,
) -> End {
    told.hint(Step::Connecting);
    let mut session = match connect::connect(config).await {
        Ok(session) => session,
        Err(refusal) => return End::Refused(refusal),
    };
    match sign_in::sign_in(&mut session, config, who, told, orders).await {
        Ok(()) => {}
        Err(sign_in::Stopped::Left) => {
            connect::hang_up(&session).await;
            return End::Left;
        }
        Err(sign_in::Stopped::Refused(refusal)) => {
            connect::hang_up(&session).await;
            return End::Refused(refusal);
        }
    }
    told.hint(Step::Opening);
    let end = stream::run(&mut session, area, told, orders).await;
    connect::hang_up(&session).await;
    end
}
