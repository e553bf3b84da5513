//! The operator's settings, checked once.

use std::collections::BTreeMap;

use webauthn_rs::Webauthn;
use webauthn_rs::WebauthnBuilder;
use webauthn_rs::prelude::{AttestationCaList, AttestationCaListBuilder, Uuid};

pub use webauthn_rs::prelude::Url;

/// How sign-in works here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The host that browsers bind credentials to.
    pub rp_id: String,
    /// Where the pages are.
    pub origin: Url,
    /// What the authenticator shows.
    pub rp_name: String,
    /// The models whose user verification counts as the biometric factor.
    pub models: Vec<AllowedModel>,
    /// Refused checks after which an account is locked.
    pub failures_max: u32,
    /// How long a connection code waits for its approval, in seconds.
    pub code_life_s: u32,
}

/// A model on the allow-list.
#[derive(Debug, Clone)]
pub struct AllowedModel {
    /// Its AAGUID, as a UUID.
    pub aaguid: String,
    /// The authority of its batch certificates, in PEM.
    pub authority_pem: String,
    /// A name for people and for the ledger.
    pub label: String,
}

/// The settings don't fit together.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Nobody could sign in.
    #[error("no authenticator model is allowed")]
    NoModel,
    /// Not a UUID.
    #[error("\"{0}\" is not an AAGUID")]
    Aaguid(String),
    /// Not a certificate.
    #[error("the authority of model \"{0}\" is not a certificate in PEM")]
    Authority(String),
    /// The origin is not https or lies outside the relying party.
    #[error("\"{origin}\" can't be the origin of relying party \"{rp_id}\"")]
    Origin {
        /// As configured.
        origin: String,
        /// As configured.
        rp_id: String,
    },
    /// A limit of zero would lock everybody out or let no code live.
    #[error("\"{0}\" must be at least 1")]
    Zero(&'static str),
}

/// Settings that were checked.
pub(crate) struct Checked {
    pub(crate) webauthn: Webauthn,
    pub(crate) authorities: AttestationCaList,
    pub(crate) labels: BTreeMap<Uuid, String>,
    pub(crate) rp_id: String,
    pub(crate) failures_max: u32,
    pub(crate) code_life_ms: i64,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<Checked, SettingsError> {
        if self.models.is_empty() {
            return Err(SettingsError::NoModel);
        }
        if self.failures_max == 0 {
            return Err(SettingsError::Zero("failures_max"));
        }
        if self.code_life_s == 0 {
            return Err(SettingsError::Zero("code_life_s"));
        }
        let origin_error = || SettingsError::Origin {
            origin: self.origin.to_string(),
            rp_id: self.rp_id.clone(),
        };
        if self.origin.scheme() != "https" {
            return Err(origin_error());
        }
        let mut authorities = AttestationCaListBuilder::new();
        let mut labels = BTreeMap::new();
        for model in &self.models {
            let aaguid = Uuid::parse_str(&model.aaguid)
                .map_err(|_| SettingsError::Aaguid(model.aaguid.clone()))?;
            authorities
                .insert_device_pem(
                    model.authority_pem.as_bytes(),
                    aaguid,
                    model.label.clone(),
                    BTreeMap::new(),
                )
                .map_err(|_| SettingsError::Authority(model.label.clone()))?;
            labels.insert(aaguid, model.label.clone());
        }
        let webauthn = WebauthnBuilder::new(&self.rp_id, &self.origin)
            .map(|builder| builder.rp_name(&self.rp_name))
            .and_then(WebauthnBuilder::build)
            .map_err(|_| origin_error())?;
        Ok(Checked {
            webauthn,
            authorities: authorities.build(),
            labels,
            rp_id: self.rp_id.clone(),
            failures_max: self.failures_max,
            code_life_ms: i64::from(self.code_life_s) * 1000,
        })
    }
}
