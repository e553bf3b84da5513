//! WebAuthn around CTAP2: what a browser does between a page and an authenticator.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::ctap2::Assertion;
use super::{FidoError, Progress};
use crate::config::Origin;

/// The longest request for an assertion, in bytes.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// The longest answer, in bytes: the gateway reads no more.
pub const CREDENTIAL_BYTES_MAX: usize = 4096;
/// Credentials of one person.
const ALLOWED_MAX: usize = 16;
/// A challenge's length, in bytes: less can be guessed, more is no challenge.
const CHALLENGE_BYTES: std::ops::RangeInclusive<usize> = 16..=128;

/// What the gateway asks to be signed, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    rp_id: String,
    allowed: Vec<Vec<u8>>,
    client_data: String,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "publicKey")]
    public_key: PublicKey,
    origin: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKey {
    challenge: String,
    rp_id: String,
    #[serde(default)]
    allow_credentials: Vec<Allowed>,
}

#[derive(Deserialize)]
struct Allowed {
    id: String,
}

impl Request {
    /// Reads `{"publicKey": …, "origin": …}`.
    ///
    /// # Errors
    /// It is malformed, or asks in the name of another origin or relying party than this terminal's gateway:
    /// whoever could choose these would get signatures for other sites.
    pub fn parse(text: &str, origin: &Origin) -> Result<Self, FidoError> {
        if text.len() > REQUEST_BYTES_MAX {
            return Err(FidoError::Request("it is too long"));
        }
        let asked: Asked =
            serde_json::from_str(text).map_err(|_| FidoError::Request("it is malformed"))?;
        if asked.origin != origin.as_str() {
            return Err(FidoError::ForeignOrigin {
                asked: asked.origin,
                configured: origin.as_str().to_owned(),
            });
        }
        let PublicKey {
            challenge,
            rp_id,
            allow_credentials,
        } = asked.public_key;
        if !origin.may_use(&rp_id) {
            return Err(FidoError::ForeignOrigin {
                asked: rp_id,
                configured: origin.as_str().to_owned(),
            });
        }
        match URL_SAFE_NO_PAD.decode(&challenge) {
            Ok(bytes) if CHALLENGE_BYTES.contains(&bytes.len()) => {}
            _ => return Err(FidoError::Request("its challenge is malformed")),
        }
        if allow_credentials.is_empty() || allow_credentials.len() > ALLOWED_MAX {
            return Err(FidoError::Request("it names no or too many credentials"));
        }
        let allowed = allow_credentials
            .iter()
            .map(|allowed| URL_SAFE_NO_PAD.decode(&allowed.id))
            .collect::<Result<_, _>>()
            .map_err(|_| FidoError::Request("a credential's id is malformed"))?;
        // In the order that WebAuthn §5.8.1.1 fixes; no value here needs escaping that JSON doesn't do.
        let client_data = format!(
            r#"{{"type":"webauthn.get","challenge":{},"origin":{},"crossOrigin":false}}"#,
            json!(challenge),
            json!(origin.as_str()),
        );
        Ok(Self {
            rp_id,
            allowed,
            client_data,
        })
    }

    fn credential(&self, assertion: &Assertion) -> Result<String, FidoError> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let id = encode(&assertion.credential);
        let text = json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": {
                "authenticatorData": encode(&assertion.auth_data),
                "clientDataJSON": encode(self.client_data.as_bytes()),
                "signature": encode(&assertion.signature),
                "userHandle": assertion.user_handle.as_deref().map(encode),
            },
            "clientExtensionResults": {},
        })
        .to_string();
        if text.len() > CREDENTIAL_BYTES_MAX {
            return Err(FidoError::Protocol("the assertion is too long"));
        }
        Ok(text)
    }
}

/// Asks an authenticator, and gives what `navigator.credentials.get()` would: a `PublicKeyCredential` as
/// JSON. `give_up` ends it early, and tells the authenticator.
///
/// # Errors
/// See [`FidoError`].
#[cfg(unix)]
pub async fn get(
    device: Option<&Path>,
    request: &Request,
    progress: impl Fn(Progress),
    give_up: oneshot::Receiver<()>,
) -> Result<String, FidoError> {
    use super::{ctap2, ctaphid, hid};

    let found;
    let device = match device {
        Some(device) => device,
        None => {
            found = hid::find()?;
            &found
        }
    };
    let mut channel = ctaphid::Channel::open(hid::Reports::open(device).await?).await?;
    let hash: [u8; 32] = Sha256::digest(request.client_data.as_bytes()).into();
    let asked = async {
        let info = ctap2::info(&mut channel).await?;
        let (rp_id, allowed) = (&request.rp_id, &request.allowed);
        ctap2::get_assertion(&mut channel, info, rp_id, &hash, allowed, progress).await
    };
    let assertion = tokio::select! {
        assertion = asked => assertion,
        // A sender that is gone gave up too.
        _ = give_up => Err(FidoError::Cancelled),
    };
    match assertion {
        Ok(assertion) => request.credential(&assertion),
        Err(error) => {
            if matches!(error, FidoError::Cancelled | FidoError::NotVerified) {
                channel.cancel().await;
            }
            Err(error)
        }
    }
}

/// Says that this platform's authenticators can't be reached: see the module.
///
/// # Errors
/// Always.
#[cfg(not(unix))]
pub async fn get(
    _: Option<&Path>,
    request: &Request,
    _: impl Fn(Progress),
    _: oneshot::Receiver<()>,
) -> Result<String, FidoError> {
    let _ = (Sha256::digest(&request.rp_id), &request.allowed);
    let _ = |assertion| request.credential(assertion);
    Err(FidoError::Platform)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(origin: &str, rp_id: &str, challenge: &str) -> String {
        json!({
            "publicKey": {
                "challenge": challenge,
                "rpId": rp_id,
                "allowCredentials": [{ "type": "public-key", "id": "AQID" }],
                "userVerification": "required",
                "timeout": 60000,
            },
            "origin": origin,
        })
        .to_string()
    }

    const CHALLENGE: &str = "MDEyMzQ1Njc4OWFiY2RlZg";

    #[test]
    fn foreign_origin_and_foreign_relying_party_are_refused() {
        let origin: Origin = "https://gateway.kekkai.example".parse().unwrap();
        let good = asked(origin.as_str(), "gateway.kekkai.example", CHALLENGE);
        let request = Request::parse(&good, &origin).unwrap();
        assert_eq!(
            request.client_data,
            format!(
                "{{\"type\":\"webauthn.get\",\"challenge\":\"{CHALLENGE}\",\
                 \"origin\":\"https://gateway.kekkai.example\",\"crossOrigin\":false}}"
            )
        );
        for (asked_origin, rp_id) in [
            ("https://bank.example", "gateway.kekkai.example"),
            (
                "https://gateway.kekkai.example.evil.example",
                "gateway.kekkai.example",
            ),
            ("https://gateway.kekkai.example", "bank.example"),
            ("https://gateway.kekkai.example", "example"),
        ] {
            let text = asked(asked_origin, rp_id, CHALLENGE);
            assert!(matches!(
                Request::parse(&text, &origin),
                Err(FidoError::ForeignOrigin { .. })
            ));
        }
    }

    #[test]
    fn malformed_requests_are_refused() {
        let origin: Origin = "https://gateway.kekkai.example".parse().unwrap();
        let good = asked(origin.as_str(), "gateway.kekkai.example", CHALLENGE);
        // Not by text: the order of keys is another where the whole workspace is built.
        let mut nobody: serde_json::Value = serde_json::from_str(&good).unwrap();
        nobody["publicKey"]["allowCredentials"] = serde_json::json!([]);
        for text in [
            "{}".to_owned(),
            good.replace(CHALLENGE, "AQID"),
            good.replace(CHALLENGE, "!"),
            good.replace("AQID", "*"),
            nobody.to_string(),
            format!("{good}{}", " ".repeat(REQUEST_BYTES_MAX)),
        ] {
            assert_ne!(text, good);
            let parsed = Request::parse(&text, &origin);
            assert!(matches!(parsed, Err(FidoError::Request(_))), "{text}");
        }
    }
}
