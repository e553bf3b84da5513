//! Which TPM, as the `[tpm]` section of `analysis.toml` says it.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::TpmError;

/// The `[tpm]` section. Exactly one of `emulated` and `device`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmConfig {
    /// The state directory of a software TPM, an absolute path: no hardware trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emulated: Option<PathBuf>,
    /// A TPM behind the kernel's resource manager: `/dev/tpmrm0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<PathBuf>,
    /// The deployment's PCR policy key: SEC 1 uncompressed, base64. The unwrapping key obeys it, and
    /// since the configuration is measured, another key here is another server.
    pub policy_key: String,
}

/// Which kind of TPM a configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TpmKind<'a> {
    /// A software TPM with its state in this directory.
    Emulated(&'a std::path::Path),
    /// A device.
    Device(&'a std::path::Path),
}

impl TpmConfig {
    /// The one TPM that is named.
    pub fn kind(&self) -> Result<TpmKind<'_>, TpmError> {
        match (&self.emulated, &self.device) {
            (Some(state), None) => Ok(TpmKind::Emulated(state)),
            (None, Some(path)) => Ok(TpmKind::Device(path)),
            _ => Err(TpmError::Config),
        }
    }

    /// The PCR policy key, decoded.
    pub fn policy_key(&self) -> Result<[u8; 65], TpmError> {
        let bytes = BASE64_STANDARD
            .decode(&self.policy_key)
            .map_err(|_| TpmError::PolicyKey)?;
        let key = <[u8; 65]>::try_from(bytes).map_err(|_| TpmError::PolicyKey)?;
        if key.first() == Some(&4) {
            Ok(key)
        } else {
            Err(TpmError::PolicyKey)
        }
    }
}

/// Where a TPM that runs is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// A software TPM's command port on loopback; its control port is the next one.
    Emulated(u16),
    /// A device.
    Device(PathBuf),
}

impl Connection {
    /// Whether what this TPM attests carries no hardware trust.
    pub const fn is_emulated(&self) -> bool {
        matches!(self, Self::Emulated(_))
    }
}
