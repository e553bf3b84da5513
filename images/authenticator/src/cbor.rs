//! The three CBOR maps of a registration, in CTAP2's canonical order.

use ciborium::Value;

use crate::Error;

/// A P-256 public key as COSE writes it; `point` is SEC 1, uncompressed, 65 bytes.
pub(crate) fn cose_key(point: &[u8]) -> Result<Vec<u8>, Error> {
    let (x, y) = match (point.get(1..33), point.get(33..65)) {
        (Some(x), Some(y)) => (x, y),
        _ => return Err(Error::Key(rcgen::Error::CouldNotParseKeyPair)),
    };
    Ok(encode(&Value::Map(vec![
        (int(1), int(2)),
        (int(3), int(-7)),
        (int(-1), int(1)),
        (int(-2), Value::Bytes(x.to_vec())),
        (int(-3), Value::Bytes(y.to_vec())),
    ])))
}

/// `{fmt: "packed", attStmt: {alg, sig, x5c}, authData}`
pub(crate) fn attestation_object(
    auth_data: Vec<u8>,
    signature: Vec<u8>,
    certificate: Vec<u8>,
) -> Vec<u8> {
    let statement = Value::Map(vec![
        (text("alg"), int(-7)),
        (text("sig"), Value::Bytes(signature)),
        (text("x5c"), Value::Array(vec![Value::Bytes(certificate)])),
    ]);
    encode(&Value::Map(vec![
        (text("fmt"), text("packed")),
        (text("attStmt"), statement),
        (text("authData"), Value::Bytes(auth_data)),
    ]))
}

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a vector can't fail.
    let _ = ciborium::into_writer(value, &mut bytes);
    bytes
}

fn int(value: i64) -> Value {
    Value::Integer(value.into())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}
