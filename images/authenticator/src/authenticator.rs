//! The authenticator together with its browser: options in, credentials and assertions out.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::SigningKey as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use webauthn_rs_proto::{CreationChallengeResponse, RequestChallengeResponse};

use crate::secret::PrivateKey;
use crate::{Error, Model, cbor};

/// COSE's number of ECDSA with P-256 and SHA-256.
const ES256: i64 = -7;
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const ATTESTED_CREDENTIAL: u8 = 0x40;

/// An authenticator and the browser in front of it. Its state is one JSON document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authenticator {
    model: Model,
    counter: u32,
    credentials: Vec<Credential>,
    /// How it misbehaves; not part of the state.
    #[serde(skip)]
    pub knobs: Knobs,
}

/// How an authenticator or a browser misbehaves, for tests. The default is an honest one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Knobs {
    /// Touched, but no finger was recognised.
    pub without_user_verification: bool,
    /// Nobody touched it.
    pub without_user_presence: bool,
    /// Signs for another relying party than the options say.
    pub rp_id: Option<String>,
    /// The browser reports another origin than it is at.
    pub origin: Option<String>,
    /// Counts this instead of its next number: a clone, or a state restored from a copy.
    pub counter: Option<u32>,
    /// Claims another AAGUID in the authenticator data than its batch certificate does.
    pub aaguid: Option<[u8; 16]>,
}

/// What an authenticator signed, below WebAuthn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The credential's id.
    pub credential: Vec<u8>,
    /// The relying party's hash, flags, counter.
    pub auth_data: Vec<u8>,
    /// Over `auth_data` and the client data's hash: ECDSA, DER.
    pub signature: Vec<u8>,
    /// The person's handle.
    pub user_handle: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    id: String,
    rp_id: String,
    user_handle: String,
    key: PrivateKey,
}

impl Authenticator {
    /// A new authenticator of a model, without credentials.
    pub fn new(model: Model) -> Self {
        Self {
            model,
            counter: 0,
            credentials: Vec::new(),
            knobs: Knobs::default(),
        }
    }

    /// Its model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How many signatures it has made.
    pub fn counter(&self) -> u32 {
        self.counter
    }

    /// Puts the counter back, as a clone made earlier would have it.
    pub fn rewind(&mut self, by: u32) {
        self.counter = self.counter.saturating_sub(by);
    }

    /// The state, private keys included.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(Error::State)
    }

    /// From a state that [`Self::to_json`] wrote; twice from the same makes a clone.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(Error::State)
    }

    /// Reads the state file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| file(path, source))?;
        Self::from_json(&text)
    }

    /// Writes the state file, readable by its owner only, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let text = self.to_json()?;
        let beside = path.with_extension("new");
        let write = || {
            let mut out = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            out.write_all(text.as_bytes())?;
            out.sync_all()?;
            std::fs::rename(&beside, path)
        };
        write().map_err(|source| file(path, source))
    }

    /// What `navigator.credentials.create()` gives at a page of `origin`, as JSON.
    pub fn create(&mut self, options: &Value, origin: &str) -> Result<Value, Error> {
        let options: CreationChallengeResponse =
            serde_json::from_value(options.clone()).map_err(Error::Options)?;
        let options = options.public_key;
        check_origin(origin, &options.rp.id)?;
        if !options.pub_key_cred_params.iter().any(|p| p.alg == ES256) {
            return Err(Error::Algorithm);
        }
        let excluded = options.exclude_credentials.unwrap_or_default();
        if excluded
            .iter()
            .any(|e| self.position(&e.id, &options.rp.id).is_some())
        {
            return Err(Error::Excluded);
        }

        let mut id = [0_u8; 32];
        getrandom::fill(&mut id)?;
        let key = PrivateKey::generate()?;
        let pair = key.pair()?;
        let mut auth_data = self.auth_data(&options.rp.id, ATTESTED_CREDENTIAL);
        auth_data.extend_from_slice(&self.knobs.aaguid.unwrap_or(*self.model.aaguid_bytes()));
        auth_data.extend_from_slice(&[0, 32]);
        auth_data.extend_from_slice(&id);
        auth_data.extend_from_slice(&cbor::cose_key(pair.public_key_raw())?);

        let client_data = self.client_data("webauthn.create", &options.challenge, origin);
        let (certificate, batch_key) = self.model.batch()?;
        let signature = batch_key.sign(&signed(&auth_data, &client_data))?;
        let object = cbor::attestation_object(auth_data, signature, certificate);

        self.credentials.push(Credential {
            id: encode(&id),
            rp_id: options.rp.id,
            user_handle: encode(&options.user.id),
            key,
        });
        Ok(json!({
            "id": encode(&id),
            "rawId": encode(&id),
            "type": "public-key",
            "response": {
                "attestationObject": encode(&object),
                "clientDataJSON": encode(&client_data),
                "transports": ["internal"],
            },
            "clientExtensionResults": {},
        }))
    }

    /// What `navigator.credentials.get()` gives at a page of `origin`, as JSON. Counts up.
    pub fn get(&mut self, options: &Value, origin: &str) -> Result<Value, Error> {
        let options: RequestChallengeResponse =
            serde_json::from_value(options.clone()).map_err(Error::Options)?;
        let options = options.public_key;
        check_origin(origin, &options.rp_id)?;
        let client_data = self.client_data("webauthn.get", &options.challenge, origin);
        let allowed: Vec<&[u8]> = options
            .allow_credentials
            .iter()
            .map(|allowed| allowed.id.as_slice())
            .collect();
        let hash = Sha256::digest(&client_data);
        let assertion = self.get_assertion(&options.rp_id, &allowed, &hash)?;
        Ok(json!({
            "id": encode(&assertion.credential),
            "rawId": encode(&assertion.credential),
            "type": "public-key",
            "response": {
                "authenticatorData": encode(&assertion.auth_data),
                "clientDataJSON": encode(&client_data),
                "signature": encode(&assertion.signature),
                "userHandle": encode(&assertion.user_handle),
            },
            "clientExtensionResults": {},
        }))
    }

    /// What `authenticatorGetAssertion` gives a client that is no browser. Counts up.
    pub fn get_assertion(
        &mut self,
        rp_id: &str,
        allowed: &[&[u8]],
        client_data_hash: &[u8],
    ) -> Result<Assertion, Error> {
        let position = allowed
            .iter()
            .find_map(|id| self.position(id, rp_id))
            .ok_or(Error::NoCredential)?;
        self.counter = self.knobs.counter.unwrap_or(self.counter.saturating_add(1));
        let auth_data = self.auth_data(rp_id, 0);
        let credential = self.credentials.get(position).ok_or(Error::NoCredential)?;
        let mut signed = auth_data.clone();
        signed.extend_from_slice(client_data_hash);
        let signature = credential.key.pair()?.sign(&signed)?;
        let decode = |text: &str| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| Error::NoCredential)
        };
        Ok(Assertion {
            credential: decode(&credential.id)?,
            auth_data,
            signature,
            user_handle: decode(&credential.user_handle)?,
        })
    }

    fn position(&self, id: &[u8], rp_id: &str) -> Option<usize> {
        let id = encode(id);
        self.credentials
            .iter()
            .position(|c| c.id == id && c.rp_id == rp_id)
    }

    fn auth_data(&self, rp_id: &str, more_flags: u8) -> Vec<u8> {
        let rp_id = self.knobs.rp_id.as_deref().unwrap_or(rp_id);
        let mut flags = more_flags;
        if !self.knobs.without_user_presence {
            flags |= USER_PRESENT;
        }
        if !self.knobs.without_user_verification {
            flags |= USER_VERIFIED;
        }
        let mut data = Sha256::digest(rp_id.as_bytes()).to_vec();
        data.push(flags);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, challenge: &[u8], origin: &str) -> Vec<u8> {
        let origin = self.knobs.origin.as_deref().unwrap_or(origin);
        json!({
            "type": kind,
            "challenge": encode(challenge),
            "origin": origin,
            "crossOrigin": false,
        })
        .to_string()
        .into_bytes()
    }
}

/// A browser lets a page use only relying parties that its own host lies under.
fn check_origin(origin: &str, rp_id: &str) -> Result<(), Error> {
    let host = origin
        .strip_prefix("https://")
        .and_then(|rest| rest.split(['/', ':']).next())
        .unwrap_or_default();
    let under = host == rp_id || host.ends_with(&format!(".{rp_id}"));
    if under && !rp_id.is_empty() {
        Ok(())
    } else {
        Err(Error::Origin {
            origin: origin.to_owned(),
            rp_id: rp_id.to_owned(),
        })
    }
}

fn signed(auth_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    let mut message = auth_data.to_vec();
    message.extend_from_slice(&Sha256::digest(client_data));
    message
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn file(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_survives_its_file_and_prints_no_key() {
        let authenticator = Authenticator::new(Model::emulated().unwrap());
        let path = std::env::temp_dir().join(format!("kekkai-auth-{}.json", std::process::id()));
        authenticator.save(&path).unwrap();
        let again = Authenticator::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            again.model().aaguid(),
            "6b656b6b-6169-4d75-8000-000000000001"
        );
        assert!(format!("{again:?}").contains("PrivateKey(…)"));
    }

    #[test]
    fn browser_refuses_a_foreign_relying_party() {
        assert!(check_origin("https://gateway.example:8443", "gateway.example").is_ok());
        assert!(check_origin("https://a.gateway.example", "gateway.example").is_ok());
        for origin in [
            "https://evil.example",
            "http://gateway.example",
            "https://xgateway.example",
        ] {
            assert!(check_origin(origin, "gateway.example").is_err(), "{origin}");
        }
    }
}
