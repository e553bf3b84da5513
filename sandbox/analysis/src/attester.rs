//! Enrolment, and the release of a session's keys against a fresh quote.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kekkai_policy_api::{
    AttestChallenge, BeginEnrolment, FinishEnrolment, Nonce, ReleaseKeys, SessionTerms,
};
use kekkai_service::{CallError, Client};
use kekkai_tpm::{Tpm, TpmError};
use kekkai_types::{Digest, Refusal, ServerId, SessionId};
use tokio::sync::watch;

use crate::remeasure::Watch;

/// Between tries to enrol while the policy service doesn't answer, and after its first refusal.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Between later refusals: each is an entry in the ledger.
const RETRY_LAST: Duration = Duration::from_secs(15);

/// Why enrolment did not succeed this time.
#[derive(Debug, thiserror::Error)]
enum EnrolError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the TPM")]
    Tpm(#[from] TpmError),
}

/// Speaks for this server towards the policy service.
#[derive(Debug)]
pub struct Attester {
    server: ServerId,
    /// SHA-256 of our TLS certificate's `SubjectPublicKeyInfo`.
    spki: Digest,
    tpm: Tpm,
    watch: Watch,
    enrolled: watch::Sender<bool>,
}

impl Attester {
    /// For a server whose TLS key has this digest.
    pub fn new(server: ServerId, spki: Digest, tpm: Tpm, watch: Watch) -> Self {
        Self {
            server,
            spki,
            tpm,
            watch,
            enrolled: watch::Sender::new(false),
        }
    }

    /// Whether what the TPM attests carries no hardware trust.
    pub fn is_emulated(&self) -> bool {
        self.tpm.is_emulated()
    }

    /// Whether the policy service knows this server's TPM.
    pub fn is_enrolled(&self) -> bool {
        *self.enrolled.borrow()
    }

    /// Enrols, unless that was done in an earlier life. Tries until it succeeds: the policy service may
    /// not be up yet, or an operator may not have announced this server yet.
    pub async fn enrol(&self, policy: &Client) {
        let mut pause = RETRY_FIRST;
        loop {
            let wait = match self.try_enrol(policy).await {
                Ok(()) => {
                    tracing::info!("enrolled");
                    self.enrolled.send_replace(true);
                    return;
                }
                Err(EnrolError::Call(error @ CallError::Unavailable { .. })) => {
                    tracing::warn!(%error, "not enrolled yet");
                    RETRY_FIRST
                }
                Err(error) => {
                    tracing::warn!(error = crate::explain(&error), "not enrolled yet");
                    let wait = pause;
                    pause = (pause * 2).min(RETRY_LAST);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn try_enrol(&self, policy: &Client) -> Result<(), EnrolError> {
        match policy.call(&AttestChallenge {}).await {
            // Only enrolled servers are given a nonce; this one is not used.
            Ok(_) => return Ok(()),
            Err(CallError::Refused(refusal)) if refusal.code == "server-not-enrolled" => {}
            Err(error) => return Err(error.into()),
        }
        let request = self.tpm.enrolment_request(&self.server).await?;
        let challenge = policy.call(&BeginEnrolment { request }).await?;
        let credential = self
            .tpm
            .activate(&challenge.credential_blob, &challenge.secret)
            .await?;
        let finish = FinishEnrolment {
            server: self.server.clone(),
            credential: BASE64_STANDARD.encode(&*credential),
        };
        Ok(policy.call(&finish).await?)
    }

    /// A session's terms and wrapped keys, against a quote of this moment.
    pub async fn release(
        &self,
        policy: &Client,
        session: &SessionId,
    ) -> Result<SessionTerms, Refusal> {
        if !self.is_enrolled() {
            return Err(Refusal::new("server-not-enrolled", self.server.as_str()));
        }
        let event_log = self.watch.look(&self.tpm).await.map_err(refuse_tpm)?;
        let challenge = policy.call(&AttestChallenge {}).await;
        let nonce = challenge.map_err(CallError::into_refusal)?;
        let qualifying = qualifying(&nonce, session, &self.spki);
        let evidence = self
            .tpm
            .quote(qualifying, &event_log)
            .await
            .map_err(refuse_tpm)?;
        let request = ReleaseKeys {
            session: session.clone(),
            nonce,
            evidence,
        };
        let terms = policy
            .call(&request)
            .await
            .map_err(CallError::into_refusal)?;
        if terms.session != *session {
            tracing::error!("the policy service sent another session's terms");
            return Err(Refusal::new("internal", "terms"));
        }
        Ok(terms)
    }

    /// Opens the wrapped keys of a session's terms in the TPM.
    pub async fn unwrap(
        &self,
        terms: &SessionTerms,
    ) -> Result<Vec<kekkai_worker_api::FileKey>, Refusal> {
        let mut keys = Vec::with_capacity(terms.datasets.len());
        for dataset in &terms.datasets {
            let key = self.tpm.unwrap(&dataset.key, &terms.reference).await;
            keys.push(kekkai_worker_api::FileKey {
                dataset: dataset.catalog.id.clone(),
                version: dataset.catalog.version,
                key: key.map_err(refuse_tpm)?,
            });
        }
        Ok(keys)
    }
}

/// `extraData` of the quote: it answers one nonce, for one session, over one channel.
fn qualifying(nonce: &Nonce, session: &SessionId, spki: &Digest) -> Digest {
    let mut bytes = nonce.0.as_bytes().to_vec();
    bytes.extend_from_slice(session.as_str().as_bytes());
    bytes.extend_from_slice(spki.as_bytes());
    Digest::of(&bytes)
}

fn refuse_tpm(error: TpmError) -> Refusal {
    tracing::error!(
        error = crate::explain(&error),
        "the TPM did not do what was asked"
    );
    let code = match error {
        TpmError::NotApproved { .. } | TpmError::NotAsMeasured { .. } => "server-not-trusted",
        _ => "tpm-unavailable",
    };
    Refusal::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_is_bound_to_nonce_session_and_tls_key() {
        let session = |text: &str| SessionId::new(text).unwrap();
        let nonce = |text: &[u8]| Nonce(Digest::of(text));
        let spki = Digest::of(b"key");
        let one = qualifying(&nonce(b"n"), &session("s1"), &spki);
        assert_ne!(one, qualifying(&nonce(b"m"), &session("s1"), &spki));
        assert_ne!(one, qualifying(&nonce(b"n"), &session("s2"), &spki));
        assert_ne!(
            one,
            qualifying(&nonce(b"n"), &session("s1"), &Digest::of(b"other"))
        );
    }
}
