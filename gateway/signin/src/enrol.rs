//! Enrolment: a ticket, handed over in person, lets its owner bring an authenticator and a token, once.

use kekkai_policy_api::{KnownTerminal, SignInRefusal};
use kekkai_types::{Digest, PersonId, Timestamp};
use webauthn_rs::prelude::AttestedPasskey;
use webauthn_rs_proto::{CreationChallengeResponse, RegisterPublicKeyCredential};
use zeroize::Zeroizing;

use crate::biometric::{self, Challenge};
use crate::signin::{SignIn, enrolment_challenge};
use crate::store::TicketRow;
use crate::{AttemptError, StorageError, TICKET_ATTEMPTS_MAX, TICKET_LIFE_MS, store, token};

/// A ticket: 160 bits, base32.
const TICKET_BYTES: usize = 20;

/// What staff hands to a person. Prints nothing.
pub struct Ticket {
    /// Opens the enrolment page once, within 24 hours.
    pub ticket: Zeroizing<String>,
    /// The token's secret, base32.
    pub totp_secret: Zeroizing<String>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// Why an enrolment doesn't go on.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// No such ticket, or it is used, expired, worn out, or not for this terminal.
    #[error("the ticket opens nothing")]
    NoTicket,
    /// The authenticator or the code is refused; `person` is whose ticket it is.
    #[error("the authenticator or the code is refused")]
    Refused {
        /// Whose ticket it is.
        person: PersonId,
        /// For the ledger.
        reason: SignInRefusal,
    },
    /// Too many challenges wait.
    #[error("too many enrolments wait at once")]
    Busy,
    /// Ours.
    #[error("the sign-in state failed")]
    Storage(#[from] StorageError),
}

/// Factors that were verified and not stored yet: first the ledger, then [`SignIn::store_enrolment`].
#[must_use = "nothing is enrolled yet"]
pub struct CheckedEnrolment {
    ticket: Digest,
    person: PersonId,
    made_by: PersonId,
    sealed_secret: Vec<u8>,
    step: u64,
    passkey: AttestedPasskey,
    label: String,
}

impl CheckedEnrolment {
    /// Whose.
    pub fn person(&self) -> &PersonId {
        &self.person
    }

    /// The member of staff who made the ticket.
    pub fn made_by(&self) -> &PersonId {
        &self.made_by
    }

    /// The authenticator's model.
    pub fn model(&self) -> &str {
        &self.label
    }
}

impl SignIn {
    /// Makes a ticket and a token secret for a person. An older ticket of theirs opens nothing more.
    pub fn create_ticket(
        &self,
        person: &PersonId,
        made_by: &PersonId,
        now: Timestamp,
    ) -> Result<Ticket, StorageError> {
        let secret = token::fresh_secret()?;
        let mut raw = Zeroizing::new([0_u8; TICKET_BYTES]);
        getrandom::fill(raw.as_mut_slice())?;
        let ticket = Zeroizing::new(token::base32(raw.as_slice()).to_ascii_lowercase());
        let sealed = self.vault.seal(person, &secret)?;
        self.store()?.add_ticket(
            &digest(&ticket),
            person,
            made_by,
            &sealed,
            now.plus_ms(TICKET_LIFE_MS),
        )?;
        Ok(Ticket {
            ticket,
            totp_secret: Zeroizing::new(token::base32(&secret)),
        })
    }

    /// Whose ticket it is, if it still opens anything at this terminal.
    pub fn ticket_owner(
        &self,
        ticket: &str,
        terminal: &KnownTerminal,
        now: Timestamp,
    ) -> Result<PersonId, EnrolmentError> {
        let row = self.store()?.ticket(&digest(ticket), false)?;
        usable(row, terminal, now).map(|row| row.person)
    }

    /// Options for the attested registration.
    pub fn begin_enrolment(
        &self,
        ticket: &str,
        terminal: &KnownTerminal,
        now: Timestamp,
    ) -> Result<CreationChallengeResponse, EnrolmentError> {
        let person = self.ticket_owner(ticket, terminal, now)?;
        let (options, state) = biometric::begin_registration(&self.checked, &person)?;
        let wanted = enrolment_challenge(&person, &terminal.terminal, &digest(ticket));
        let challenge = Challenge::Registration(Box::new(state));
        match self.challenges()?.put(wanted, challenge, now) {
            Ok(()) => Ok(options),
            Err(AttemptError::Storage(error)) => Err(error.into()),
            Err(_) => Err(EnrolmentError::Busy),
        }
    }

    /// Verifies the registration and the token's first code. The attempt is counted first.
    pub fn check_enrolment(
        &self,
        ticket: &str,
        terminal: &KnownTerminal,
        credential: &RegisterPublicKeyCredential,
        token_code: &str,
        now: Timestamp,
    ) -> Result<CheckedEnrolment, EnrolmentError> {
        let digest = digest(ticket);
        let row = self.store()?.ticket(&digest, true)?;
        let row = usable(row, terminal, now)?;
        let wanted = enrolment_challenge(&row.person, &terminal.terminal, &digest);
        let challenge = self.challenges()?.take(&wanted, now);
        let secret = self.vault.open(&row.person, &row.sealed_secret)?;
        let registered = biometric::finish_registration(&self.checked, challenge, credential);
        let step = token::check(&secret, token_code, None, now);
        match (registered, step) {
            (Ok((passkey, label)), Ok(step)) => Ok(CheckedEnrolment {
                ticket: digest,
                person: row.person,
                made_by: row.made_by,
                sealed_secret: row.sealed_secret,
                step,
                passkey,
                label,
            }),
            (Err(reason), _) | (_, Err(reason)) => Err(EnrolmentError::Refused {
                person: row.person,
                reason,
            }),
        }
    }

    /// Puts the factors in the place of older ones and spends the ticket.
    pub fn store_enrolment(&self, enrolment: CheckedEnrolment) -> Result<(), EnrolmentError> {
        let is_stored = self.store()?.write(|tx| {
            store::enrol(
                tx,
                &enrolment.ticket,
                &enrolment.person,
                &enrolment.sealed_secret,
                enrolment.step,
                &enrolment.passkey,
            )
        })?;
        if is_stored {
            Ok(())
        } else {
            Err(EnrolmentError::NoTicket)
        }
    }
}

/// Only the ticket's digest is stored.
fn digest(ticket: &str) -> Digest {
    Digest::of(ticket.as_bytes())
}

fn usable(
    row: Option<TicketRow>,
    terminal: &KnownTerminal,
    now: Timestamp,
) -> Result<TicketRow, EnrolmentError> {
    row.filter(|row| {
        row.expires > now
            && row.attempts <= TICKET_ATTEMPTS_MAX
            && (terminal.people.is_empty() || terminal.people.contains(&row.person))
    })
    .ok_or(EnrolmentError::NoTicket)
}
