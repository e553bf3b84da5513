//! The checks, each counted before it is made.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use kekkai_policy_api::SignInRefusal;
use kekkai_types::{KeyText, PersonId, TerminalId, Timestamp};
use rusqlite::Transaction;
use webauthn_rs_proto::{PublicKeyCredential, RequestChallengeResponse};

use crate::biometric::{self, Challenge, ChallengeFor, Challenges, Purpose};
use crate::code::{Codes, ConnectionCode, Pending};
use crate::settings::{Checked, Settings};
use crate::steps::{Approved, SignedIn, TerminalProved, TokenProved};
use crate::store::{self, Factors, Store};
use crate::vault::Vault;
use crate::{AttemptError, OpenError, Refused, StorageError, token};

/// Accounts, challenges and codes of one gateway. Shared by its doors.
pub struct SignIn {
    pub(crate) checked: Checked,
    pub(crate) vault: Vault,
    store: Mutex<Store>,
    challenges: Mutex<Challenges>,
    codes: Mutex<Codes>,
}

/// An account, for staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountState {
    /// Locked until staff lifts it.
    pub locked: bool,
    /// Refused checks since the last sign-in.
    pub failures: u32,
    /// Enrolled authenticators.
    pub authenticators: u32,
    /// True once a token is enrolled.
    pub token: bool,
}

impl SignIn {
    /// Opens the state in a database file, which is made if it isn't there.
    pub fn open(path: &Path, key: &KeyText, settings: &Settings) -> Result<Self, OpenError> {
        Ok(Self {
            checked: settings.check()?,
            vault: Vault::new(key),
            store: Mutex::new(Store::open(path)?),
            challenges: Mutex::default(),
            codes: Mutex::default(),
        })
    }

    /// Where an account stands.
    pub fn account(&self, person: &PersonId) -> Result<AccountState, StorageError> {
        let store = self.store()?;
        let failures = store.failures(person)?.unwrap_or(0);
        let factors = store.factors(person)?;
        Ok(AccountState {
            locked: failures >= self.checked.failures_max,
            failures,
            authenticators: u32::try_from(factors.passkeys.len()).unwrap_or(u32::MAX),
            token: factors.sealed_secret.is_some(),
        })
    }

    /// Lifts a lock-out. False when there is no such account.
    pub fn unlock(&self, person: &PersonId) -> Result<bool, StorageError> {
        self.store()?.set_failures(person, 0)
    }

    /// Opens a connection code for a terminal that waits.
    pub fn open_code(
        &self,
        proved: &TerminalProved,
        now: Timestamp,
    ) -> Result<Pending, AttemptError> {
        self.codes()?.open(proved, self.checked.code_life_ms, now)
    }

    /// Forgets a code: its terminal waits no more.
    pub fn close_code(&self, pending: &Pending) {
        if let Ok(mut codes) = self.codes() {
            codes.close(&pending.code);
        }
    }

    /// The approval of this attempt's own code, once it is there. Spends the code.
    pub fn take_approval(
        &self,
        proved: &TerminalProved,
        pending: &Pending,
        now: Timestamp,
    ) -> Result<Option<Approved>, StorageError> {
        let mut codes = self.codes()?;
        if !codes.is_approved(&pending.code, proved.attempt(), now) {
            return Ok(None);
        }
        codes.close(&pending.code);
        Ok(Some(Approved {
            person: proved.person().clone(),
            attempt: proved.attempt(),
        }))
    }

    /// Counts that an attempt ended without its approval.
    pub fn approval_missing(&self, proved: &TerminalProved) -> AttemptError {
        self.refuse(proved, SignInRefusal::ApprovalMissing)
    }

    /// Counts an attempt that fails for a reason found elsewhere.
    pub fn refuse(&self, proved: &TerminalProved, reason: SignInRefusal) -> AttemptError {
        self.refuse_after(proved, || reason)
    }

    /// Counts an attempt, then learns why it fails.
    pub fn refuse_after(
        &self,
        proved: &TerminalProved,
        reason: impl FnOnce() -> SignInRefusal,
    ) -> AttemptError {
        match self.attempt(proved, |_| Err::<(), _>(reason()), |_, ()| Ok(true)) {
            Err(error) => error,
            Ok(()) => AttemptError::Storage(StorageError::Unreadable("refusal")),
        }
    }

    /// Checks the token's code, and stores its step as used.
    pub fn check_token(
        &self,
        proved: &TerminalProved,
        code: &str,
        now: Timestamp,
    ) -> Result<TokenProved, AttemptError> {
        self.attempt(
            proved,
            |factors| self.verify_token(proved.person(), factors, code, now),
            |tx, step| store::spend_step(tx, proved.person(), step),
        )?;
        Ok(TokenProved {
            person: proved.person().clone(),
            attempt: proved.attempt(),
        })
    }

    /// Options for the approval of a code on the page of the same terminal.
    pub fn begin_approval(
        &self,
        proved: &TerminalProved,
        code: &str,
        now: Timestamp,
    ) -> Result<RequestChallengeResponse, AttemptError> {
        let purpose = Purpose::Approval(normalised(code));
        self.begin(proved, purpose, now)
    }

    /// Verifies the assertion and approves the code. `proved` is the browser's side of the terminal.
    pub fn finish_approval(
        &self,
        proved: &TerminalProved,
        code: &str,
        assertion: &PublicKeyCredential,
        now: Timestamp,
    ) -> Result<(), AttemptError> {
        let challenge = self.take(proved, Purpose::Approval(normalised(code)), now)?;
        self.attempt(
            proved,
            |factors| {
                biometric::finish_assertion(&self.checked, challenge, &factors.passkeys, assertion)
                    .map(|(stored, after)| (stored.text.clone(), after))
            },
            |tx, (before, after)| store::update_passkey(tx, proved.person(), &before, &after),
        )?;
        // The assertion is good; the code may be another's, or no code at all.
        let code = ConnectionCode::parse(code);
        let is_approved = self
            .codes()?
            .approve(code, proved.person(), proved.terminal(), now);
        if is_approved {
            Ok(())
        } else {
            Err(self.refuse(proved, SignInRefusal::ApprovalForeign))
        }
    }

    /// Options for a sign-in in the browser.
    pub fn begin_browser(
        &self,
        proved: &TerminalProved,
        now: Timestamp,
    ) -> Result<RequestChallengeResponse, AttemptError> {
        self.begin(proved, Purpose::Browser, now)
    }

    /// Both factors at once, for the page that [`begin_browser`](Self::begin_browser) gave options to.
    pub fn finish_browser(
        &self,
        proved: TerminalProved,
        assertion: &PublicKeyCredential,
        code: &str,
        now: Timestamp,
    ) -> Result<SignedIn, AttemptError> {
        self.finish(proved, Purpose::Browser, assertion, code, now)
    }

    /// Options for a sign-in on the connection that proved the terminal: bound to this very attempt.
    pub fn begin_connection(
        &self,
        proved: &TerminalProved,
        now: Timestamp,
    ) -> Result<RequestChallengeResponse, AttemptError> {
        self.begin(proved, Purpose::Connection(proved.attempt()), now)
    }

    /// Both factors at once, for the connection that [`begin_connection`](Self::begin_connection) gave
    /// options to.
    pub fn finish_connection(
        &self,
        proved: TerminalProved,
        assertion: &PublicKeyCredential,
        code: &str,
        now: Timestamp,
    ) -> Result<SignedIn, AttemptError> {
        let purpose = Purpose::Connection(proved.attempt());
        self.finish(proved, purpose, assertion, code, now)
    }

    /// Forgets the options of a connection that went away without an answer.
    pub fn forget_connection(&self, proved: &TerminalProved) {
        if let Ok(mut challenges) = self.challenges() {
            challenges.forget(&challenge_for(
                proved,
                Purpose::Connection(proved.attempt()),
            ));
        }
    }

    /// Both are checked whatever the first one says, and a right code is used up.
    fn finish(
        &self,
        proved: TerminalProved,
        purpose: Purpose,
        assertion: &PublicKeyCredential,
        code: &str,
        now: Timestamp,
    ) -> Result<SignedIn, AttemptError> {
        let challenge = self.take(&proved, purpose, now)?;
        let mut right_step = None;
        let checked = self.attempt(
            &proved,
            |factors| {
                let step = self.verify_token(proved.person(), factors, code, now);
                right_step = step.ok();
                let passkey = biometric::finish_assertion(
                    &self.checked,
                    challenge,
                    &factors.passkeys,
                    assertion,
                );
                let step = step?;
                passkey.map(|(stored, after)| (step, stored.text.clone(), after))
            },
            |tx, (step, before, after)| {
                Ok(store::spend_step(tx, proved.person(), step)?
                    && store::update_passkey(tx, proved.person(), &before, &after)?)
            },
        );
        if let Err(error) = checked {
            if let Some(step) = right_step {
                self.store()?
                    .write(|tx| store::spend_step(tx, proved.person(), step))?;
            }
            return Err(error);
        }
        let token = TokenProved {
            person: proved.person().clone(),
            attempt: proved.attempt(),
        };
        let approved = Approved {
            person: proved.person().clone(),
            attempt: proved.attempt(),
        };
        self.complete(proved, approved, token)
    }

    /// Joins the three steps. Failures are forgotten from here on.
    pub fn complete(
        &self,
        proved: TerminalProved,
        approved: Approved,
        token: TokenProved,
    ) -> Result<SignedIn, AttemptError> {
        let mut store = self.store()?;
        let failures = store.failures(proved.person())?.unwrap_or(u32::MAX);
        // Locked meanwhile, by attempts elsewhere.
        if failures >= self.checked.failures_max {
            return Err(AttemptError::Refused(Refused {
                person: Some(proved.person().clone()),
                reason: SignInRefusal::Locked,
                failures,
                locked_now: false,
            }));
        }
        let person = proved.person().clone();
        let signed_in =
            SignedIn::join(proved, approved, token).ok_or(StorageError::Unreadable("sign-in"))?;
        store.set_failures(&person, 0)?;
        Ok(signed_in)
    }

    fn begin(
        &self,
        proved: &TerminalProved,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<RequestChallengeResponse, AttemptError> {
        let factors = self.store()?.factors(proved.person())?;
        let (options, state) = biometric::begin_assertion(
            &self.checked,
            &self.vault,
            proved.person(),
            &factors.passkeys,
        )?;
        let challenge = Challenge::Authentication(state.map(Box::new));
        self.challenges()?
            .put(challenge_for(proved, purpose), challenge, now)?;
        Ok(options)
    }

    fn take(
        &self,
        proved: &TerminalProved,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<Challenge>, StorageError> {
        Ok(self
            .challenges()?
            .take(&challenge_for(proved, purpose), now))
    }

    fn verify_token(
        &self,
        person: &PersonId,
        factors: &Factors,
        code: &str,
        now: Timestamp,
    ) -> Result<u64, SignInRefusal> {
        let secret = match &factors.sealed_secret {
            Some(sealed) => self
                .vault
                .open(person, sealed)
                .map_err(|_| SignInRefusal::TokenWrong)?,
            // Nobody of that name: the same work over a secret that no token has.
            None => self.vault.decoy(&format!("token/{person}")).to_vec().into(),
        };
        let step = token::check(&secret, code, factors.last_step, now)?;
        match factors.sealed_secret {
            Some(_) => Ok(step),
            None => Err(SignInRefusal::TokenWrong),
        }
    }

    /// Counts, checks, and in one transaction takes the count back and stores what a right answer
    /// changes. `store` says false when somebody else was faster: then the answer was a replay.
    fn attempt<T>(
        &self,
        proved: &TerminalProved,
        check: impl FnOnce(&Factors) -> Result<T, SignInRefusal>,
        effect: impl FnOnce(&Transaction<'_>, T) -> Result<bool, StorageError>,
    ) -> Result<(), AttemptError> {
        let mut store = self.store()?;
        let is_known = store.failures(proved.person())?.is_some();
        // Another's terminal tests no credential of this person, so it can't lock them out either.
        let charged = (is_known && proved.is_persons()).then(|| proved.person());
        let counted = store.charge(charged, self.checked.failures_max)?;
        let factors = store.factors(proved.person())?;
        let checked = check(&factors);
        let refused = |reason, failures, locked_now| {
            AttemptError::Refused(Refused {
                person: is_known.then(|| proved.person().clone()),
                reason,
                failures,
                locked_now,
            })
        };
        if !is_known {
            return Err(refused(SignInRefusal::UnknownPerson, 0, false));
        }
        if !proved.is_persons() {
            let failures = store.failures(proved.person())?.unwrap_or(0);
            return Err(refused(SignInRefusal::Terminal, failures, false));
        }
        let Some(failures) = counted else {
            return Err(refused(
                SignInRefusal::Locked,
                self.checked.failures_max,
                false,
            ));
        };
        let locked_now = failures >= self.checked.failures_max;
        let answer = match checked {
            Ok(answer) => answer,
            Err(reason) => return Err(refused(reason, failures, locked_now)),
        };
        let is_first = store.write(|tx| {
            let is_first = effect(tx, answer)?;
            if is_first {
                store::refund(tx, proved.person())?;
            }
            Ok(is_first)
        })?;
        if is_first {
            Ok(())
        } else {
            Err(refused(SignInRefusal::TokenReplayed, failures, locked_now))
        }
    }

    pub(crate) fn store(&self) -> Result<MutexGuard<'_, Store>, StorageError> {
        self.store.lock().map_err(|_| StorageError::Poisoned)
    }

    pub(crate) fn challenges(&self) -> Result<MutexGuard<'_, Challenges>, StorageError> {
        self.challenges.lock().map_err(|_| StorageError::Poisoned)
    }

    fn codes(&self) -> Result<MutexGuard<'_, Codes>, StorageError> {
        self.codes.lock().map_err(|_| StorageError::Poisoned)
    }
}

/// One spelling for one code, so that the second call finds what the first one put there.
fn normalised(code: &str) -> String {
    ConnectionCode::parse(code).map_or_else(String::new, |code| code.to_string())
}

fn challenge_for(proved: &TerminalProved, purpose: Purpose) -> ChallengeFor {
    ChallengeFor {
        person: proved.person().clone(),
        terminal: proved.terminal().clone(),
        purpose,
    }
}

/// For enrolment, which has no attempt of its own.
pub(crate) fn enrolment_challenge(
    person: &PersonId,
    terminal: &TerminalId,
    ticket: &kekkai_types::Digest,
) -> ChallengeFor {
    ChallengeFor {
        person: person.clone(),
        terminal: terminal.clone(),
        purpose: Purpose::Enrolment(*ticket),
    }
}
