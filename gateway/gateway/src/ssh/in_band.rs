//! Sign-in of the native client: FIDO2 on the connection itself, without a browser beside it.
//!
//! After the terminal's key, `keyboard-interactive` with the submethod [`SUBMETHOD`]: one question, whose
//! instructions are WebAuthn's options with the origin to sign for, and whose two answers are the assertion
//! and the token's code. The challenge is this connection's and this person's alone, and user verification
//! is checked here as for a browser's assertion.

use kekkai_policy_api::{KnownTerminal, SignInRefusal};
use kekkai_signin::{PublicKeyCredential, RequestChallengeResponse, SignedIn, TerminalProved};
use kekkai_types::{TerminalClass, Timestamp};
use russh::server::Auth;
use serde::Serialize;

use super::auth::{Login, Stage, reject_for_good};
use super::connection::Carries;
use super::handler::Door;
use crate::gateway::Chain;

/// What a client names to be asked in band (RFC 4256 §3.1).
pub(super) const SUBMETHOD: &str = "kekkai-vdi/1";
/// The longest assertion that is looked at, in bytes.
const ASSERTION_BYTES_MAX: usize = 4096;
/// The longest code that is looked at, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// The question's instructions.
#[derive(Serialize)]
struct Instructions<'a> {
    #[serde(flatten)]
    options: &'a RequestChallengeResponse,
    origin: String,
}

/// Whether a client asks for this way.
pub(super) fn is_named(submethods: &str) -> bool {
    submethods.split(',').any(|name| name.trim() == SUBMETHOD)
}

/// Terminals that have the native client. Others have a browser, and approve there.
fn has_native_client(class: TerminalClass) -> bool {
    matches!(class, TerminalClass::Vdi | TerminalClass::Onsite)
}

impl Door {
    /// The question.
    pub(super) async fn ask_in_band(&mut self, user: &str) -> Auth {
        let (login, known) = match self.terminal_stage(user) {
            Ok(proved) => proved,
            Err(rejected) => return rejected,
        };
        if !has_native_client(known.class) {
            self.stage = Stage::Over;
            self.connection
                .refuse(&format!("{SUBMETHOD} at a terminal of another class"))
                .await;
            return reject_for_good();
        }
        match self.options(&login, &known).await {
            Some((proved, instructions)) => {
                self.stage = Stage::InBand {
                    user: user.to_owned(),
                    login,
                    proved,
                };
                Auth::Partial {
                    name: SUBMETHOD.into(),
                    instructions: instructions.into(),
                    prompts: vec![("assertion".into(), false), ("token".into(), false)].into(),
                }
            }
            None => {
                self.stage = Stage::Over;
                reject_for_good()
            }
        }
    }

    async fn options(
        &self,
        login: &Login,
        known: &KnownTerminal,
    ) -> Option<(TerminalProved, String)> {
        let gateway = &self.connection.gateway;
        let proved = TerminalProved::new(login.person.clone(), known).ok()?;
        let (begun, proved) = gateway
            .check(move |signin| (signin.begin_connection(&proved, Timestamp::now()), proved))
            .await
            .ok()?;
        let options = match begun {
            Ok(options) => options,
            Err(error) => {
                let address = &self.connection.address;
                gateway.closed(error, proved.terminal(), address).await;
                return None;
            }
        };
        let instructions = Instructions {
            options: &options,
            origin: gateway.config.origin(),
        };
        let instructions = serde_json::to_string(&instructions).ok()?;
        Some((proved, instructions))
    }

    /// The answers: two, no more and no fewer, or they are wrong.
    pub(super) async fn answered_in_band(
        &mut self,
        login: Login,
        proved: TerminalProved,
        answers: &[bytes::Bytes],
    ) -> Auth {
        let terminal = proved.terminal().clone();
        let (assertion, code) = match answers {
            [assertion, code]
                if assertion.len() <= ASSERTION_BYTES_MAX && code.len() <= CODE_BYTES_MAX =>
            {
                let code = String::from_utf8_lossy(code).into_owned();
                (serde_json::from_slice(assertion).ok(), code)
            }
            _ => (None, String::new()),
        };
        let gateway = self.connection.gateway.clone();
        let checked = gateway
            .check(move |signin| verify(signin, proved, assertion, &code))
            .await;
        let signed_in = match checked {
            Ok(Ok(signed_in)) => signed_in,
            Ok(Err(error)) => {
                let address = &self.connection.address;
                gateway.closed(error, &terminal, address).await;
                return reject_for_good();
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "sign-in state failed");
                return reject_for_good();
            }
        };
        self.let_in(signed_in, login.agreement, Carries::Screen)
            .await
    }
}

fn verify(
    signin: &kekkai_signin::SignIn,
    proved: TerminalProved,
    assertion: Option<PublicKeyCredential>,
    code: &str,
) -> Result<SignedIn, kekkai_signin::AttemptError> {
    match assertion {
        Some(assertion) => signin.finish_connection(proved, &assertion, code, Timestamp::now()),
        None => {
            signin.forget_connection(&proved);
            Err(signin.refuse(&proved, SignInRefusal::AssertionInvalid))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submethod_is_named_whole() {
        for named in ["kekkai-vdi/1", "pam,kekkai-vdi/1", "kekkai-vdi/1, x"] {
            assert!(is_named(named), "{named}");
        }
        for other in ["", "kekkai-vdi", "kekkai-vdi/11", "kekkai-vdi/1 x"] {
            assert!(!is_named(other), "{other}");
        }
    }
}
