//! Sign-in over SSH: the terminal's key, then one question.
//!
//! `publickey` says which terminal it is, and ends in a partial success. `keyboard-interactive` shows a
//! connection code and asks for the token's code; after the answer, the browser's approval is waited
//! for. One connection, one attempt. The native client is asked otherwise: `in_band`.

use std::time::Duration;

use kekkai_policy_api::{KnownTerminal, LookUpTerminal, SignInRefusal};
use kekkai_signin::{AttemptError, Pending, SignedIn, TerminalProved};
use kekkai_types::{AgreementId, PersonId, Timestamp};
use russh::keys::{Algorithm, PublicKey};
use russh::server::Auth;
use russh::{MethodKind, MethodSet};

use super::connection::Carries;
use super::handler::Door;
use super::text;
use crate::gateway::Chain;

/// The longest answer that is looked at, in bytes.
const ANSWER_BYTES_MAX: usize = 64;
/// How often the approval is looked for.
const APPROVAL_TICK: Duration = Duration::from_millis(100);

/// Who says they are there: `PERSON` or `PERSON+AGREEMENT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) person: PersonId,
    pub(super) agreement: Option<AgreementId>,
}

impl Login {
    pub(super) fn parse(user: &str) -> Option<Self> {
        let (person, agreement) = match user.split_once('+') {
            None => (user, None),
            Some((person, agreement)) => (person, Some(AgreementId::new(agreement).ok()?)),
        };
        Some(Self {
            person: PersonId::new(person).ok()?,
            agreement,
        })
    }
}

/// How far an attempt has come. Bound to the user name: another name begins anew.
#[derive(Default)]
pub(super) enum Stage {
    #[default]
    Nothing,
    Terminal {
        user: String,
        login: Login,
        known: KnownTerminal,
    },
    Asked {
        user: String,
        login: Login,
        proved: TerminalProved,
        pending: Pending,
    },
    /// As in [`in_band`](super::in_band).
    InBand {
        user: String,
        login: Login,
        proved: TerminalProved,
    },
    /// The attempt is over; the connection gives no second one.
    Over,
}

fn reject() -> Auth {
    Auth::Reject {
        proceed_with_methods: None,
        partial_success: false,
    }
}

/// `publickey` stands there because stock clients take an empty list for all methods; after
/// [`Stage::Over`] no key is taken any more.
pub(super) fn reject_for_good() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(MethodSet::from([MethodKind::PublicKey].as_slice())),
        partial_success: false,
    }
}

impl Door {
    /// Is the key worth a signature?
    pub(super) async fn offered(&mut self, user: &str, key: &PublicKey) -> Auth {
        if matches!(self.stage, Stage::Over) {
            return reject();
        }
        if Login::parse(user).is_none() {
            self.stranger(SignInRefusal::UnknownPerson).await;
            return reject();
        }
        match self.look_up(key).await {
            Some(_) => Auth::Accept,
            None => {
                let reason = if is_security_key(&key.algorithm()) {
                    SignInRefusal::SecurityKeyIsNotBiometric
                } else {
                    SignInRefusal::Terminal
                };
                self.stranger(reason).await;
                reject()
            }
        }
    }

    /// The signature is right: it is this terminal.
    pub(super) async fn terminal_key(&mut self, user: &str, key: &PublicKey) -> Auth {
        if matches!(self.stage, Stage::Over) {
            return reject();
        }
        self.abandon();
        let Some(login) = Login::parse(user) else {
            return reject();
        };
        let Some(known) = self.look_up(key).await else {
            return reject();
        };
        if is_security_key(&key.algorithm()) {
            // The library verifies the signature and drops the flags: a touch at most, never a finger.
            return self.refuse_security_key(login, known).await;
        }
        self.connection.set_terminal(&known.terminal);
        self.stage = Stage::Terminal {
            user: user.to_owned(),
            login,
            known,
        };
        Auth::Reject {
            proceed_with_methods: Some(MethodSet::from(
                [MethodKind::KeyboardInteractive].as_slice(),
            )),
            partial_success: true,
        }
    }

    /// What the terminal's key proved, taken for one question. A second question ends the attempt.
    pub(super) fn terminal_stage(&mut self, user: &str) -> Result<(Login, KnownTerminal), Auth> {
        match std::mem::take(&mut self.stage) {
            Stage::Terminal {
                user: proved_user,
                login,
                known,
            } if proved_user == user => Ok((login, known)),
            Stage::Asked { pending, .. } => {
                self.connection.gateway.signin.close_code(&pending);
                self.stage = Stage::Over;
                Err(reject_for_good())
            }
            Stage::InBand { proved, .. } => {
                self.connection.gateway.signin.forget_connection(&proved);
                self.stage = Stage::Over;
                Err(reject_for_good())
            }
            _ => Err(reject()),
        }
    }

    /// The question.
    pub(super) async fn ask(&mut self, user: &str) -> Auth {
        let (login, known) = match self.terminal_stage(user) {
            Ok(proved) => proved,
            Err(rejected) => return rejected,
        };
        let Ok(proved) = TerminalProved::new(login.person.clone(), &known) else {
            return reject_for_good();
        };
        let gateway = self.connection.gateway.clone();
        let pending = match gateway.signin.open_code(&proved, Timestamp::now()) {
            Ok(pending) => pending,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "no connection code");
                return reject_for_good();
            }
        };
        let prompt = text::prompt(
            &pending.code.to_string(),
            &gateway.config.origin(),
            gateway.config.demo,
        );
        self.stage = Stage::Asked {
            user: user.to_owned(),
            login,
            proved,
            pending,
        };
        Auth::Partial {
            name: "".into(),
            instructions: "".into(),
            prompts: vec![(prompt.into(), false)].into(),
        }
    }

    /// The answer: one, no more and no fewer, or it is wrong.
    pub(super) async fn answered(&mut self, user: &str, answers: &[bytes::Bytes]) -> Auth {
        let (login, proved, pending) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asked {
                user: asked_user,
                login,
                proved,
                pending,
            } if asked_user == user => (login, proved, pending),
            Stage::InBand {
                user: asked_user,
                login,
                proved,
            } if asked_user == user => {
                return self.answered_in_band(login, proved, answers).await;
            }
            _ => return reject_for_good(),
        };
        let code = match answers {
            [answer] if answer.len() <= ANSWER_BYTES_MAX => {
                String::from_utf8_lossy(answer).into_owned()
            }
            _ => String::new(),
        };
        let terminal = proved.terminal().clone();
        let signed_in = self.verify(proved, &pending, code).await;
        let gateway = self.connection.gateway.clone();
        gateway.signin.close_code(&pending);
        let address = self.connection.address.clone();
        let signed_in = match signed_in {
            Ok(signed_in) => signed_in,
            Err(error) => {
                gateway.closed(error, &terminal, &address).await;
                return reject_for_good();
            }
        };
        self.let_in(signed_in, login.agreement, Carries::Console)
            .await
    }

    /// Everything is verified. Record before effect: nobody is in before the ledger says so.
    pub(super) async fn let_in(
        &self,
        signed_in: SignedIn,
        agreement: Option<AgreementId>,
        carries: Carries,
    ) -> Auth {
        let gateway = &self.connection.gateway;
        let known = gateway.person(signed_in.person()).await.ok().flatten();
        let address = &self.connection.address;
        if let Err(error) = gateway.record_sign_in(&signed_in, address).await {
            tracing::error!(%error, "sign-in not recorded, so refused");
            return reject_for_good();
        }
        self.connection
            .enter(signed_in, agreement, known.as_ref(), carries);
        Auth::Accept
    }

    async fn verify(
        &self,
        proved: TerminalProved,
        pending: &Pending,
        code: String,
    ) -> Result<SignedIn, AttemptError> {
        let gateway = &self.connection.gateway;
        let (proved, token) = gateway
            .check(move |signin| {
                let token = signin.check_token(&proved, &code, Timestamp::now());
                (proved, token)
            })
            .await?;
        let token = token?;
        loop {
            let now = Timestamp::now();
            if let Some(approved) = gateway.signin.take_approval(&proved, pending, now)? {
                return gateway
                    .check(move |signin| signin.complete(proved, approved, token))
                    .await?;
            }
            if now >= pending.expires {
                return Err(gateway
                    .check(move |signin| signin.approval_missing(&proved))
                    .await?);
            }
            tokio::time::sleep(APPROVAL_TICK).await;
        }
    }

    async fn refuse_security_key(&mut self, login: Login, known: KnownTerminal) -> Auth {
        self.stage = Stage::Over;
        let gateway = self.connection.gateway.clone();
        if let Ok(proved) = TerminalProved::new(login.person, &known) {
            let refused = gateway
                .check(move |signin| {
                    signin.refuse(&proved, SignInRefusal::SecurityKeyIsNotBiometric)
                })
                .await;
            if let Ok(error) = refused {
                let address = self.connection.address.clone();
                gateway.closed(error, &known.terminal, &address).await;
            }
        }
        reject_for_good()
    }

    async fn look_up(&self, key: &PublicKey) -> Option<KnownTerminal> {
        let line = key.to_openssh().ok()?;
        let mut words = line.split(' ');
        let (kind, body) = (words.next()?, words.next()?);
        let by = LookUpTerminal::SshKey(format!("{kind} {body}"));
        match self.connection.gateway.terminal(&by).await {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "terminal not looked up");
                None
            }
        }
    }

    /// An attempt that is given up leaves no code behind. One that was approved and never answered is a
    /// finger without a token: it counts.
    fn abandon(&mut self) {
        let (proved, pending) = match std::mem::take(&mut self.stage) {
            Stage::Asked {
                proved, pending, ..
            } => (proved, pending),
            Stage::InBand { proved, .. } => {
                return self.connection.gateway.signin.forget_connection(&proved);
            }
            _ => return,
        };
        let gateway = self.connection.gateway.clone();
        let approved = gateway
            .signin
            .take_approval(&proved, &pending, Timestamp::now());
        gateway.signin.close_code(&pending);
        // Without a runtime the process is ending.
        let (Ok(Some(_)), Ok(runtime)) = (approved, tokio::runtime::Handle::try_current()) else {
            return;
        };
        let address = self.connection.address.clone();
        runtime.spawn(async move {
            let terminal = proved.terminal().clone();
            let refused = gateway
                .check(move |signin| signin.refuse(&proved, SignInRefusal::TokenWrong))
                .await;
            if let Ok(error) = refused {
                gateway.closed(error, &terminal, &address).await;
            }
        });
    }

    /// Records, once a connection, that no registered terminal is there.
    async fn stranger(&mut self, reason: SignInRefusal) {
        if !std::mem::replace(&mut self.is_stranger_recorded, true) {
            let address = self.connection.address.clone();
            self.connection
                .gateway
                .record_stranger(None, &address, reason)
                .await;
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.abandon();
    }
}

fn is_security_key(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_names_a_person_and_perhaps_an_agreement() {
        let login = Login::parse("sato+a-2026.1").unwrap();
        assert_eq!(login.person.as_str(), "sato");
        assert_eq!(login.agreement.unwrap().as_str(), "a-2026.1");
        assert_eq!(Login::parse("sato").unwrap().agreement, None);
        for bad in [
            "", "+", "sato+", "+a", "Sato", "sato+a+b", "../sato", "sato\n",
        ] {
            assert_eq!(Login::parse(bad), None, "{bad:?}");
        }
    }
}
