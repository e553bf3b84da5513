//! A private key in base64: printed by nobody, wiped when dropped.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Error;

/// A P-256 private key, PKCS #8 in base64. Not `Clone`: copies are made through the state's JSON.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub(crate) struct PrivateKey(String);

impl PrivateKey {
    pub(crate) fn generate() -> Result<Self, Error> {
        Ok(Self::from_pair(&KeyPair::generate()?))
    }

    pub(crate) fn from_pair(pair: &KeyPair) -> Self {
        Self(STANDARD.encode(pair.serialized_der()))
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    pub(crate) fn pair(&self) -> Result<KeyPair, Error> {
        let der = zeroize::Zeroizing::new(
            STANDARD
                .decode(&self.0)
                .map_err(|_| Error::Key(rcgen::Error::CouldNotParseKeyPair))?,
        );
        Ok(KeyPair::try_from(der.as_slice())?)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}
