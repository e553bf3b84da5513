//! A person with a software authenticator behind CTAPHID reports, a gateway that checks what it is given,
//! and a display.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(missing_docs, reason = "tests")]

#[path = "../../examples/ctaphid-authenticator/emulator.rs"]
pub mod emulator;
pub mod gateway;
pub mod xvfb;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value as Cbor;
use emulator::{Emulator, Finger, Happened};
use kekkai_authenticator::{Authenticator, Model};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub const ORIGIN: &str = "https://gateway.kekkai.example";
pub const RP_ID: &str = "gateway.kekkai.example";

/// Somebody enrolled, as their gateway knows them.
pub struct Person {
    _folder: tempfile::TempDir,
    device: PathBuf,
    credential: String,
    key: VerifyingKey,
    emulator: Emulator,
}

impl Person {
    pub fn enrol() -> Self {
        let mut authenticator = Authenticator::new(Model::emulated().unwrap());
        let options = json!({ "publicKey": {
            "rp": { "name": "Kekkai", "id": RP_ID },
            "user": { "id": "aGFuYWtv", "name": "hanako", "displayName": "Hanako" },
            "challenge": "MDEyMzQ1Njc4OWFiY2RlZg",
            "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
        }});
        let made = authenticator.create(&options, ORIGIN).unwrap();
        let object = decode(&made["response"]["attestationObject"]);
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("hidraw");
        let emulator = Emulator::start(&device, authenticator, None);
        Self {
            credential: made["id"].as_str().unwrap().to_owned(),
            key: public_key(&object),
            emulator,
            device,
            _folder: folder,
        }
    }

    /// Where reports go.
    pub fn device(&self) -> &Path {
        &self.device
    }

    pub fn finger(&self, finger: Finger) {
        *self.emulator.finger.lock().unwrap() = finger;
    }

    pub fn happened(&self) -> Vec<Happened> {
        self.emulator.happened.lock().unwrap().clone()
    }

    pub fn checker(&self) -> Checker {
        Checker {
            credential: self.credential.clone(),
            key: self.key,
        }
    }

    pub fn question(&self) -> Value {
        self.checker().question(ORIGIN)
    }

    pub fn accepts(&self, question: &Value, credential: &str) -> bool {
        self.checker().accepts(question, credential)
    }
}

/// What a gateway keeps of a person.
#[derive(Debug, Clone)]
pub struct Checker {
    credential: String,
    key: VerifyingKey,
}

impl Checker {
    /// A fresh challenge, in the form that `webauthn-rs` writes.
    pub fn question(&self, origin: &str) -> Value {
        use webauthn_rs_proto::{
            AllowCredentials, PublicKeyCredentialRequestOptions, RequestChallengeResponse,
            UserVerificationPolicy,
        };
        let mut challenge = vec![0; 32];
        getrandom::fill(&mut challenge).unwrap();
        let options = RequestChallengeResponse {
            public_key: PublicKeyCredentialRequestOptions {
                challenge,
                timeout: Some(60_000),
                rp_id: RP_ID.to_owned(),
                allow_credentials: vec![AllowCredentials {
                    type_: "public-key".to_owned(),
                    id: URL_SAFE_NO_PAD.decode(&self.credential).unwrap(),
                    transports: None,
                }],
                user_verification: UserVerificationPolicy::Required,
                hints: None,
                extensions: None,
            },
            mediation: None,
        };
        let mut question = serde_json::to_value(options).unwrap();
        question["origin"] = origin.into();
        question
    }

    /// What WebAuthn §7.2 asks a relying party to look at, apart from the counter.
    pub fn accepts(&self, question: &Value, credential: &str) -> bool {
        // The type that the gateway reads it with.
        let parsed: Result<webauthn_rs_proto::PublicKeyCredential, _> =
            serde_json::from_str(credential);
        if parsed.is_err() {
            return false;
        }
        let credential: Value = serde_json::from_str(credential).unwrap();
        let response = &credential["response"];
        let client_data = decode(&response["clientDataJSON"]);
        let client: Value = serde_json::from_slice(&client_data).unwrap();
        let auth_data = decode(&response["authenticatorData"]);
        let mut signed = auth_data.clone();
        signed.extend(Sha256::digest(&client_data));
        let signature = Signature::from_der(&decode(&response["signature"])).unwrap();
        credential["id"] == self.credential.as_str()
            && client["type"] == "webauthn.get"
            && client["challenge"] == question["publicKey"]["challenge"]
            && client["origin"] == ORIGIN
            && auth_data[..32] == Sha256::digest(RP_ID)[..]
            && auth_data[32] & 0x05 == 0x05
            && self.key.verify(&signed, &signature).is_ok()
    }
}

fn decode(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

/// The credential's public key out of an attestation object.
fn public_key(object: &[u8]) -> VerifyingKey {
    let get = |map: &Cbor, key: Cbor| -> Cbor {
        let map = map.as_map().unwrap();
        map.iter().find(|(k, _)| *k == key).unwrap().1.clone()
    };
    let object: Cbor = ciborium::from_reader(object).unwrap();
    let data = get(&object, Cbor::Text("authData".into()))
        .into_bytes()
        .unwrap();
    let id_length = usize::from(data[53]) << 8 | usize::from(data[54]);
    let key: Cbor = ciborium::from_reader(&data[55 + id_length..]).unwrap();
    let [x, y] = [-2, -3].map(|at| get(&key, Cbor::Integer(at.into())).into_bytes().unwrap());
    let point = [vec![4], x, y].concat();
    VerifyingKey::from_sec1_bytes(&point).unwrap()
}

/// A terminal's configuration on disk, and what it names.
pub struct Terminal {
    pub folder: tempfile::TempDir,
    pub config: PathBuf,
}

impl Terminal {
    pub fn new(gateway: &gateway::Gateway, person: &Person, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("terminal_key");
        gateway
            .terminal_key
            .write_openssh_file(&key, russh::keys::ssh_key::LineEnding::LF)
            .unwrap();
        let config = folder.path().join("kekkai-vdi.toml");
        let text = format!(
            "lang = \"en\"\nunprotected_display = \"accepted\"\n{more}\n\
             [gateway]\naddress = \"{}\"\nhost_keys = [\"{}\"]\norigin = \"{ORIGIN}\"\n\
             [terminal]\nkey = \"{}\"\n[authenticator]\ndevice = \"{}\"\n",
            gateway.address,
            gateway.fingerprint,
            key.display(),
            person.device().display(),
        );
        std::fs::write(&config, text).unwrap();
        Self { folder, config }
    }

    pub fn load(&self) -> kekkai_vdi::config::Config {
        kekkai_vdi::config::Config::load(&self.config).unwrap()
    }
}
