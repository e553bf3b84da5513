//! The biometric factor: WebAuthn with user verification, by an attested authenticator of an allowed
//! model.
//!
//! User verification says that the authenticator recognised its user. That this was by a finger and
//! not by a PIN is what the allow-list of models stands for.

use std::collections::HashMap;

use kekkai_policy_api::SignInRefusal;
use kekkai_types::{Digest, PersonId, TerminalId, Timestamp};
use webauthn_rs::prelude::{
    AttestationMetadata, AttestedPasskey, AttestedPasskeyAuthentication,
    AttestedPasskeyRegistration, Uuid, WebauthnError,
};
use webauthn_rs_proto::{
    AllowCredentials, CreationChallengeResponse, CredProtect, CredentialProtectionPolicy,
    PublicKeyCredential, PublicKeyCredentialRequestOptions, RegisterPublicKeyCredential,
    RequestChallengeResponse, RequestRegistrationExtensions, UserVerificationPolicy,
};

use crate::settings::Checked;
use crate::store::StoredPasskey;
use crate::vault::Vault;
use crate::{
    AttemptError, CHALLENGE_LIFE_MS, CHALLENGES_MAX, CHALLENGES_PER_TERMINAL_MAX, StorageError,
};

/// What a challenge was made for. It answers nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// An approval on a page of its own; the code is as it was typed, and checked later.
    Approval(String),
    /// A sign-in in the browser.
    Browser,
    /// A sign-in on a terminal's own connection, by its attempt: no other connection can answer it.
    Connection(u64),
    /// An enrolment, by its ticket.
    Enrolment(Digest),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ChallengeFor {
    pub(crate) person: PersonId,
    pub(crate) terminal: TerminalId,
    pub(crate) purpose: Purpose,
}

/// What the answer is checked against. `None`: nobody of that name has an authenticator.
pub(crate) enum Challenge {
    Authentication(Option<Box<AttestedPasskeyAuthentication>>),
    Registration(Box<AttestedPasskeyRegistration>),
}

/// Challenges that wait for their answer; each is taken once.
#[derive(Default)]
pub(crate) struct Challenges(HashMap<ChallengeFor, (Timestamp, Challenge)>);

impl Challenges {
    pub(crate) fn put(
        &mut self,
        wanted: ChallengeFor,
        challenge: Challenge,
        now: Timestamp,
    ) -> Result<(), AttemptError> {
        self.0.retain(|_, (expires, _)| *expires > now);
        let is_new = !self.0.contains_key(&wanted);
        let of_terminal = self
            .0
            .keys()
            .filter(|k| k.terminal == wanted.terminal)
            .count();
        if is_new && (self.0.len() >= CHALLENGES_MAX || of_terminal >= CHALLENGES_PER_TERMINAL_MAX)
        {
            return Err(AttemptError::Busy);
        }
        self.0
            .insert(wanted, (now.plus_ms(CHALLENGE_LIFE_MS), challenge));
        Ok(())
    }

    pub(crate) fn forget(&mut self, wanted: &ChallengeFor) {
        self.0.remove(wanted);
    }

    pub(crate) fn take(&mut self, wanted: &ChallengeFor, now: Timestamp) -> Option<Challenge> {
        let (expires, challenge) = self.0.remove(wanted)?;
        (expires > now).then_some(challenge)
    }
}

/// Options and state for an assertion. An unknown person gets options of the same shape.
pub(crate) fn begin_assertion(
    checked: &Checked,
    vault: &Vault,
    person: &PersonId,
    passkeys: &[StoredPasskey],
) -> Result<
    (
        RequestChallengeResponse,
        Option<AttestedPasskeyAuthentication>,
    ),
    StorageError,
> {
    let passkeys: Vec<AttestedPasskey> = passkeys.iter().map(|p| p.passkey.clone()).collect();
    if passkeys.is_empty() {
        let mut challenge = vec![0_u8; 32];
        getrandom::fill(&mut challenge)?;
        let id = vault.decoy(&format!("credential/{person}")).to_vec();
        return Ok((request_options(checked, challenge, vec![id]), None));
    }
    let (options, state) = checked
        .webauthn
        .start_attested_passkey_authentication(&passkeys)
        .map_err(|_| StorageError::Unreadable("authenticator"))?;
    let ids = passkeys.iter().map(|p| p.cred_id().to_vec()).collect();
    Ok((
        request_options(checked, options.public_key.challenge, ids),
        Some(state),
    ))
}

/// Written here and not taken from the library, so that a stranger's look like a colleague's.
fn request_options(
    checked: &Checked,
    challenge: Vec<u8>,
    ids: Vec<Vec<u8>>,
) -> RequestChallengeResponse {
    RequestChallengeResponse {
        public_key: PublicKeyCredentialRequestOptions {
            challenge,
            timeout: u32::try_from(CHALLENGE_LIFE_MS).ok(),
            rp_id: checked.rp_id.clone(),
            allow_credentials: ids
                .into_iter()
                .map(|id| AllowCredentials {
                    type_: "public-key".to_owned(),
                    id,
                    transports: None,
                })
                .collect(),
            user_verification: UserVerificationPolicy::Required,
            hints: None,
            extensions: None,
        },
        mediation: None,
    }
}

/// Verifies an assertion; gives the authenticator as it is to be stored now.
pub(crate) fn finish_assertion<'a>(
    checked: &Checked,
    challenge: Option<Challenge>,
    passkeys: &'a [StoredPasskey],
    assertion: &PublicKeyCredential,
) -> Result<(&'a StoredPasskey, AttestedPasskey), SignInRefusal> {
    let Some(Challenge::Authentication(Some(state))) = challenge else {
        return Err(SignInRefusal::AssertionInvalid);
    };
    let result = checked
        .webauthn
        .finish_attested_passkey_authentication(assertion, &state)
        .map_err(|error| refusal(&error))?;
    // The library's policy asks for it already; the law asks for it by name (Ⅱ-25-4-1-2 ④).
    if !result.user_verified() {
        return Err(SignInRefusal::UserNotVerified);
    }
    let stored = passkeys
        .iter()
        .find(|p| p.passkey.cred_id() == result.cred_id())
        .ok_or(SignInRefusal::AssertionInvalid)?;
    let counts = result.counter() > 0 || stored_counter(&stored.passkey) > 0;
    if counts && result.counter() <= stored_counter(&stored.passkey) {
        return Err(SignInRefusal::CounterWentBack);
    }
    // A model that was taken off the list since enrolment counts no more.
    model_label(checked, &stored.passkey)?;
    let mut after = stored.passkey.clone();
    after
        .update_credential(&result)
        .ok_or(SignInRefusal::AssertionInvalid)?;
    Ok((stored, after))
}

/// The counter as it is stored now, which may be later than when the challenge was made.
fn stored_counter(passkey: &AttestedPasskey) -> u32 {
    serde_json::to_value(passkey)
        .ok()
        .and_then(|value| value.get("cred")?.get("counter")?.as_u64())
        .and_then(|counter| u32::try_from(counter).ok())
        .unwrap_or(u32::MAX)
}

/// Options and state for an enrolment.
pub(crate) fn begin_registration(
    checked: &Checked,
    person: &PersonId,
) -> Result<(CreationChallengeResponse, AttestedPasskeyRegistration), StorageError> {
    let handle = Digest::of(format!("kekkai user handle v1/{person}").as_bytes());
    let handle = handle
        .as_bytes()
        .first_chunk::<16>()
        .map_or(Uuid::nil(), |bytes| Uuid::from_bytes(*bytes));
    let (mut options, state) = checked
        .webauthn
        .start_attested_passkey_registration(
            handle,
            person.as_str(),
            person.as_str(),
            None,
            checked.authorities.clone(),
            None,
        )
        .map_err(|_| StorageError::Unreadable("authenticator"))?;
    // The library would have the browser enforce credential protection, which Chromium refuses for
    // authenticators without it. Nothing rests on it: the flag in each signed assertion is checked.
    options.public_key.extensions = Some(RequestRegistrationExtensions {
        cred_protect: Some(CredProtect {
            credential_protection_policy: CredentialProtectionPolicy::UserVerificationRequired,
            enforce_credential_protection_policy: Some(false),
        }),
        uvm: None,
        cred_props: None,
        min_pin_length: None,
        hmac_create_secret: None,
    });
    Ok((options, state))
}

/// Verifies an attested registration; gives the authenticator and its model's label.
pub(crate) fn finish_registration(
    checked: &Checked,
    challenge: Option<Challenge>,
    credential: &RegisterPublicKeyCredential,
) -> Result<(AttestedPasskey, String), SignInRefusal> {
    let Some(Challenge::Registration(state)) = challenge else {
        return Err(SignInRefusal::AssertionInvalid);
    };
    let passkey = checked
        .webauthn
        .finish_attested_passkey_registration(credential, &state)
        .map_err(|error| refusal(&error))?;
    let label = model_label(checked, &passkey)?;
    Ok((passkey, label))
}

/// The label of an authenticator's model, if that is allowed now, by authority and by AAGUID.
fn model_label(checked: &Checked, passkey: &AttestedPasskey) -> Result<String, SignInRefusal> {
    let authority = passkey
        .verify_attestation(&checked.authorities)
        .map_err(|_| SignInRefusal::ModelNotAllowed)?;
    let aaguid = match &passkey.attestation().metadata {
        AttestationMetadata::Packed { aaguid } | AttestationMetadata::Tpm { aaguid, .. } => aaguid,
        _ => return Err(SignInRefusal::ModelNotAllowed),
    };
    if !authority.aaguids().contains_key(aaguid) {
        return Err(SignInRefusal::ModelNotAllowed);
    }
    checked
        .labels
        .get(aaguid)
        .cloned()
        .ok_or(SignInRefusal::ModelNotAllowed)
}

fn refusal(error: &WebauthnError) -> SignInRefusal {
    use WebauthnError as E;
    match error {
        E::UserNotVerified => SignInRefusal::UserNotVerified,
        E::CredentialPossibleCompromise => SignInRefusal::CounterWentBack,
        E::AttestationNotSupported
        | E::AttestationTrustFailure
        | E::AttestationCertificateAAGUIDMismatch
        | E::AttestationCertificateRequirementsNotMet
        | E::AttestationNotVerifiable
        | E::AttestationUntrustedAaguid
        | E::AttestationFormatMissingAaguid
        | E::AttestationLeafCertMissing
        | E::AttestationChainNotTrusted(_)
        | E::CredentialMayNotBeHardwareBound => SignInRefusal::ModelNotAllowed,
        _ => SignInRefusal::AssertionInvalid,
    }
}
