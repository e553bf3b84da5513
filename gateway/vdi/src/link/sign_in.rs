//! In the door: the terminal's key, then one question with both of the person's factors.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::agent::client::AgentClient;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::connect::Session;
use super::{Command, Event, Refusal, Step, Told, Who};
use crate::config::{Config, TerminalKey};
use crate::fido::assertion;

/// The version of the question that both sides speak.
const SUBMETHOD: &str = "kekkai-vdi/1";
/// From connecting to being signed in; the gateway's own limit is about the same.
const SIGN_IN_MAX: Duration = Duration::from_secs(180);
/// Questions of the gateway: ours, and notices without a prompt.
const QUESTIONS_MAX: usize = 4;
/// The longest notice, in characters.
const NOTICE_CHARS_MAX: usize = 500;

/// Why it went no further.
pub(super) enum Stopped {
    /// The person left.
    Left,
    /// It failed.
    Refused(Refusal),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn broken(error: russh::Error) -> Refusal {
    Refusal::Broken(error.to_string())
}

pub(super) async fn sign_in<W: Fn() + Send + Sync>(
    session: &mut Session,
    config: &Config,
    who: &Who,
    told: &Told<W>,
    orders: &mut mpsc::Receiver<Command>,
) -> Result<(), Stopped> {
    timeout(SIGN_IN_MAX, async {
        told.hint(Step::ShowingTerminal);
        // An agent or a gateway that hangs doesn't keep the person from leaving.
        unless_left(orders, show_terminal(session, config, who)).await??;
        answer(session, config, who, told, orders).await
    })
    .await
    .unwrap_or(Err(Stopped::Refused(Refusal::TooSlow)))
}

/// Runs until it is done or the person leaves. Other commands have no meaning meanwhile.
async fn unless_left<T>(
    orders: &mut mpsc::Receiver<Command>,
    work: impl Future<Output = T>,
) -> Result<T, Stopped> {
    let left = async {
        loop {
            match orders.recv().await {
                None | Some(Command::Leave) => break,
                Some(_) => {}
            }
        }
    };
    tokio::select! {
        done = work => Ok(done),
        () = left => Err(Stopped::Left),
    }
}

async fn show_terminal(session: &mut Session, config: &Config, who: &Who) -> Result<(), Refusal> {
    let result = match &config.terminal_key {
        TerminalKey::File(path) => {
            let unusable =
                |what: &str| Refusal::TerminalKey(format!("\"{}\" {what}", path.display()));
            let key = PrivateKey::read_openssh_file(path)
                .map_err(|_| unusable("is no OpenSSH private key that can be read here"))?;
            if key.is_encrypted() {
                return Err(unusable("has a passphrase"));
            }
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
            session
                .authenticate_publickey(who.as_str(), key)
                .await
                .map_err(broken)?
        }
        TerminalKey::Agent { socket, public_key } => {
            let key = PublicKey::read_openssh_file(public_key).map_err(|_| {
                Refusal::TerminalKey(format!("\"{}\" is no public key", public_key.display()))
            })?;
            agent(session, socket, key, who).await?
        }
    };
    match result {
        AuthResult::Failure {
            partial_success: true,
            remaining_methods,
        } if asks(&remaining_methods) => Ok(()),
        // A gateway that is content with a key is none of ours.
        _ => Err(Refusal::Terminal),
    }
}

#[cfg(unix)]
async fn agent(
    session: &mut Session,
    socket: &std::path::Path,
    key: PublicKey,
    who: &Who,
) -> Result<AuthResult, Refusal> {
    let unusable = |what: String| {
        Refusal::TerminalKey(format!("the agent at \"{}\" {what}", socket.display()))
    };
    let mut agent = AgentClient::connect_uds(socket)
        .await
        .map_err(|error| unusable(format!("can't be reached: {error}")))?;
    session
        .authenticate_publickey_with(who.as_str(), key, None, &mut agent)
        .await
        .map_err(|error| unusable(format!("doesn't sign: {error}")))
}

#[cfg(not(unix))]
async fn agent(
    _: &mut Session,
    _: &std::path::Path,
    _: PublicKey,
    _: &Who,
) -> Result<AuthResult, Refusal> {
    Err(Refusal::TerminalKey(
        "agents can be used on Unix only".to_owned(),
    ))
}

fn asks(methods: &MethodSet) -> bool {
    methods.contains(&MethodKind::KeyboardInteractive)
}

async fn answer<W: Fn() + Send + Sync>(
    session: &mut Session,
    config: &Config,
    who: &Who,
    told: &Told<W>,
    orders: &mut mpsc::Receiver<Command>,
) -> Result<(), Stopped> {
    let start = session.authenticate_keyboard_interactive_start(who.as_str(), SUBMETHOD.to_owned());
    let mut response = unless_left(orders, start).await?.map_err(broken)?;
    let mut notice = String::new();
    for _ in 0..QUESTIONS_MAX {
        let answers = match response {
            KeyboardInteractiveAuthResponse::Success => return Ok(()),
            KeyboardInteractiveAuthResponse::Failure { .. } => {
                return Err(Refusal::Person(notice).into());
            }
            KeyboardInteractiveAuthResponse::InfoRequest {
                instructions,
                prompts,
                ..
            } if prompts.is_empty() => {
                notice = instructions.chars().take(NOTICE_CHARS_MAX).collect();
                Vec::new()
            }
            KeyboardInteractiveAuthResponse::InfoRequest {
                name,
                instructions,
                prompts,
            } => {
                let names: Vec<_> = prompts.iter().map(|p| p.prompt.as_str()).collect();
                if name != SUBMETHOD || names != ["assertion", "token"] {
                    return Err(Refusal::Broken("the gateway asks another question".into()).into());
                }
                factors(config, &instructions, told, orders).await?
            }
        };
        let respond = session.authenticate_keyboard_interactive_respond(answers);
        response = unless_left(orders, respond).await?.map_err(broken)?;
    }
    Err(Refusal::Broken("the gateway asks too many questions".into()).into())
}

/// The finger first: a code is worth thirty seconds.
async fn factors<W: Fn() + Send + Sync>(
    config: &Config,
    instructions: &str,
    told: &Told<W>,
    orders: &mut mpsc::Receiver<Command>,
) -> Result<Vec<String>, Stopped> {
    let request =
        assertion::Request::parse(instructions, &config.origin).map_err(Refusal::Authenticator)?;
    let progress = |progress| told.hint(Step::Authenticator(progress));
    let (give_up, given_up) = oneshot::channel();
    let device = config.authenticator.as_deref();
    let mut asked = std::pin::pin!(assertion::get(device, &request, progress, given_up));
    let credential = match unless_left(orders, &mut asked).await {
        Ok(credential) => credential.map_err(Refusal::Authenticator)?,
        Err(stopped) => {
            // The authenticator hears that nobody waits any more, and stops blinking.
            let _ = give_up.send(());
            let _ = asked.await;
            return Err(stopped);
        }
    };
    // Without it the person would wait for a form that never comes.
    if told.tell(Event::Step(Step::CodeNeeded)).await.is_err() {
        return Err(Stopped::Left);
    }
    let code: Zeroizing<String> = loop {
        match orders.recv().await {
            Some(Command::Code(code)) => break code,
            None | Some(Command::Leave) => return Err(Stopped::Left),
            Some(Command::Input(_)) => {}
        }
    };
    told.hint(Step::Verifying);
    Ok(vec![credential, code.to_string()])
}
