//! A release is given out.

use kekkai_bundle::{BundleError, verify};
use kekkai_policy_api::{Action, Event};
use kekkai_types::OutputId;

use super::{Review, resource};
use crate::policy::{Actor, PolicyError};
use crate::store::StoreError;

/// Why a bundle is not given out.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No release, or this person may not know.
    #[error("no such release")]
    NotFound,
    /// The policy service said no, or nothing.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The stored bundle is not the one that was signed.
    #[error("the stored bundle doesn't verify")]
    Bundle(#[from] BundleError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Review {
    /// Gives a release out: asked, verified with the public key, recorded, then given.
    pub async fn fetch(&self, actor: &Actor, output: &OutputId) -> Result<Vec<u8>, FetchError> {
        let id = output.clone();
        let listed = self
            .store
            .run(move |store| store.find(&id))
            .await?
            .ok_or(FetchError::NotFound)?;
        self.policy
            .allow(actor, Action::FetchRelease, resource(&listed.head))
            .await?;
        let id = output.clone();
        let bundle = self
            .store
            .run(move |store| store.bundle(&id))
            .await?
            .ok_or(FetchError::NotFound)?;
        let verified = verify(&bundle, &self.signer.public())?;
        if verified.record.output != *output || verified.record.digest != listed.head.digest {
            return Err(BundleError::OtherApproval.into());
        }
        self.policy
            .record(Event::BundleFetched {
                output: output.clone(),
                bundle: verified.digest,
                person: actor.person.clone(),
                terminal: actor.terminal.clone(),
            })
            .await?;
        Ok(bundle)
    }
}
