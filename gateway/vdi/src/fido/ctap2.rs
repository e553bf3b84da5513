//! The two CTAP2 requests in use (CTAP 2.1 §6), in canonical CBOR.
//!
//! User verification is asked for by the option `uv`, which the authenticator does itself, by its own
//! sensor: no PIN is ever entered here. CTAP 2.1 prefers a token for it and still takes the option.

use ciborium::Value;
use sha2::{Digest as _, Sha256};

use super::ctaphid::{Channel, MESSAGE_BYTES_MAX};
use super::{FidoError, Progress};

const GET_ASSERTION: u8 = 0x02;
const GET_INFO: u8 = 0x04;
/// What an authenticator takes that doesn't say more, in bytes.
const REQUEST_BYTES: usize = 1024;
/// Deeper CBOR than any answer has is refused.
const DEPTH_MAX: usize = 8;
/// The relying party's hash, flags, counter.
const AUTH_DATA_BYTES_MIN: usize = 37;
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;

/// What an authenticator says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// It recognises its user now: there is a sensor, and somebody is enrolled.
    pub has_user_verification: bool,
    /// The longest request, in bytes.
    pub request_bytes_max: usize,
}

/// What an authenticator signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Which of the allowed credentials.
    pub credential: Vec<u8>,
    /// The relying party's hash, flags, counter.
    pub auth_data: Vec<u8>,
    /// Over `auth_data` and the client data's hash.
    pub signature: Vec<u8>,
    /// The person's handle, where the authenticator keeps it.
    pub user_handle: Option<Vec<u8>>,
}

/// Asks what the authenticator can do.
///
/// # Errors
/// The device is gone or breaks the protocol.
pub async fn info(channel: &mut Channel) -> Result<Info, FidoError> {
    let answer = channel.cbor(&[GET_INFO], |_| {}).await?;
    let map = successful(&answer)?;
    let has_user_verification = match get(&map, 4) {
        Some(Value::Map(options)) => options
            .iter()
            .any(|(name, value)| name.as_text() == Some("uv") && value.as_bool() == Some(true)),
        _ => false,
    };
    let said = get(&map, 5)
        .and_then(Value::as_integer)
        .and_then(|n| usize::try_from(n).ok());
    Ok(Info {
        has_user_verification,
        request_bytes_max: said
            .unwrap_or(REQUEST_BYTES)
            .clamp(REQUEST_BYTES, MESSAGE_BYTES_MAX),
    })
}

/// Asks for a signature, with the user verified by the authenticator.
///
/// # Errors
/// See [`FidoError`]. An assertion without presence and verification is refused here too, so that its
/// person reads why; what counts is that the gateway refuses it.
pub async fn get_assertion(
    channel: &mut Channel,
    info: Info,
    rp_id: &str,
    client_data_hash: &[u8; 32],
    allowed: &[Vec<u8>],
    progress: impl Fn(Progress),
) -> Result<Assertion, FidoError> {
    if !info.has_user_verification {
        return Err(FidoError::NoBiometric);
    }
    let request = request(rp_id, client_data_hash, allowed);
    if request.len() > info.request_bytes_max {
        return Err(FidoError::Request("too many credentials are allowed"));
    }
    let answer = channel.cbor(&request, progress).await?;
    let map = successful(&answer)?;
    let bytes = |key| get(&map, key).and_then(Value::as_bytes).cloned();
    let auth_data = bytes(2).ok_or(FidoError::Protocol("no authenticator data"))?;
    let signature = bytes(3).ok_or(FidoError::Protocol("no signature"))?;
    let credential = match get(&map, 1) {
        Some(descriptor) => {
            field(descriptor, "id").ok_or(FidoError::Protocol("no credential id"))?
        }
        // It may be left out when only one was allowed.
        None => match allowed {
            [one] => one.clone(),
            _ => return Err(FidoError::Protocol("no credential")),
        },
    };
    if !allowed.contains(&credential) {
        return Err(FidoError::Protocol("a credential that was not allowed"));
    }
    let (hash, flags) = match (auth_data.get(..32), auth_data.get(32)) {
        (Some(hash), Some(flags)) if auth_data.len() >= AUTH_DATA_BYTES_MIN => (hash, *flags),
        _ => return Err(FidoError::Protocol("the authenticator data is too short")),
    };
    if hash != Sha256::digest(rp_id.as_bytes()).as_slice() {
        return Err(FidoError::Protocol("it signed for another relying party"));
    }
    if flags & (USER_PRESENT | USER_VERIFIED) != USER_PRESENT | USER_VERIFIED {
        return Err(FidoError::NotVerified);
    }
    Ok(Assertion {
        credential,
        auth_data,
        signature,
        user_handle: get(&map, 4).and_then(|user| field(user, "id")),
    })
}

/// Keys in canonical order: shorter text first.
fn request(rp_id: &str, client_data_hash: &[u8; 32], allowed: &[Vec<u8>]) -> Vec<u8> {
    let descriptor = |id: &Vec<u8>| {
        Value::Map(vec![
            (text("id"), Value::Bytes(id.clone())),
            (text("type"), text("public-key")),
        ])
    };
    let map = Value::Map(vec![
        (int(1), text(rp_id)),
        (int(2), Value::Bytes(client_data_hash.to_vec())),
        (
            int(3),
            Value::Array(allowed.iter().map(descriptor).collect()),
        ),
        (int(5), Value::Map(vec![(text("uv"), Value::Bool(true))])),
    ]);
    let mut bytes = vec![GET_ASSERTION];
    // Writing to a vector can't fail.
    let _ = ciborium::into_writer(&map, &mut bytes);
    bytes
}

/// The map behind status 0.
fn successful(answer: &[u8]) -> Result<Vec<(Value, Value)>, FidoError> {
    let (&status, body) = answer
        .split_first()
        .ok_or(FidoError::Protocol("an empty answer"))?;
    match status {
        0x00 => {}
        0x06 | 0x2a => return Err(FidoError::Busy),
        0x27 | 0x2f | 0x05 | 0x3f => return Err(FidoError::NotVerified),
        0x2b | 0x2c | 0x35 | 0x36 => return Err(FidoError::NoBiometric),
        0x2d => return Err(FidoError::Cancelled),
        0x2e | 0x22 => return Err(FidoError::NoCredential),
        0x32 | 0x34 | 0x3c => return Err(FidoError::Blocked),
        other => return Err(FidoError::Status(other)),
    }
    match ciborium::de::from_reader_with_recursion_limit(body, DEPTH_MAX) {
        Ok(Value::Map(map)) => Ok(map),
        _ => Err(FidoError::Protocol("the answer is no CBOR map")),
    }
}

fn get(map: &[(Value, Value)], key: i64) -> Option<&Value> {
    map.iter()
        .find(|(name, _)| name.as_integer() == Some(key.into()))
        .map(|(_, value)| value)
}

fn field(map: &Value, name: &str) -> Option<Vec<u8>> {
    map.as_map()?
        .iter()
        .find(|(key, _)| key.as_text() == Some(name))
        .and_then(|(_, value)| value.as_bytes().cloned())
}

fn int(value: i64) -> Value {
    Value::Integer(value.into())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_canonical_and_asks_for_user_verification() {
        let request = request("a.b", &[9; 32], &[vec![1, 2]]);
        let mut expected = vec![0x02, 0xa4, 0x01, 0x63, b'a', b'.', b'b', 0x02, 0x58, 32];
        expected.extend([9; 32]);
        expected.extend([0x03, 0x81, 0xa2, 0x62, b'i', b'd', 0x42, 1, 2, 0x64]);
        expected.extend(b"type");
        expected.push(0x6a);
        expected.extend(b"public-key");
        expected.extend([0x05, 0xa1, 0x62, b'u', b'v', 0xf5]);
        assert_eq!(request, expected);
    }

    #[test]
    fn hostile_answers_are_errors() {
        for answer in [
            &[][..],
            &[0x00],
            &[0x00, 0x80],
            &[0x00, 0xbf],
            &[0x00, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[[0x00].as_slice(), &[0x81; 500]].concat(),
        ] {
            assert!(matches!(successful(answer), Err(FidoError::Protocol(_))));
        }
        assert!(matches!(successful(&[0x3c]), Err(FidoError::Blocked)));
        assert!(matches!(successful(&[0x99]), Err(FidoError::Status(0x99))));
    }
}
