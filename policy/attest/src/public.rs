//! `TPMT_PUBLIC` of the only kind of key that Kekkai uses: ECC on P-256, named by SHA-256.

use kekkai_types::Digest;

use crate::wire::{Reader, Truncated, put_sized};

const ALG_ECC: u16 = 0x0023;
const ALG_SHA256: u16 = 0x000b;
const ALG_NULL: u16 = 0x0010;
const ALG_ECDSA: u16 = 0x0018;
const ALG_ECDH: u16 = 0x0019;
const CURVE_P256: u16 = 0x0003;

/// `TPMA_OBJECT`.
pub(crate) mod attribute {
    pub(crate) const FIXED_TPM: u32 = 1 << 1;
    pub(crate) const FIXED_PARENT: u32 = 1 << 4;
    pub(crate) const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
    pub(crate) const USER_WITH_AUTH: u32 = 1 << 6;
    pub(crate) const ADMIN_WITH_POLICY: u32 = 1 << 7;
    pub(crate) const NO_DA: u32 = 1 << 10;
    pub(crate) const RESTRICTED: u32 = 1 << 16;
    pub(crate) const DECRYPT: u32 = 1 << 17;
    pub(crate) const SIGN: u32 = 1 << 18;
}

/// What a key may be used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Named at each use.
    Any,
    /// ECDSA with SHA-256.
    Ecdsa,
    /// ECDH.
    Ecdh,
}

/// A public area that was parsed.
#[derive(Debug, Clone)]
pub(crate) struct EccPublic {
    pub(crate) attributes: u32,
    pub(crate) auth_policy: Vec<u8>,
    pub(crate) scheme: Scheme,
    /// SEC 1, uncompressed. On the curve only once a `p256` type has taken it.
    pub(crate) point: [u8; 65],
    pub(crate) name: Name,
}

/// `TPM2B_NAME`'s contents: the hash algorithm, then the hash of the public area.
pub(crate) type Name = [u8; 34];

impl EccPublic {
    /// Takes exactly an ECC P-256 key without symmetric parameters and without a KDF; a key of any
    /// other kind is refused, not ignored.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(bytes);
        if reader.u16()? != ALG_ECC || reader.u16()? != ALG_SHA256 {
            return Err(Truncated);
        }
        let attributes = reader.u32()?;
        let auth_policy = reader.sized()?.to_vec();
        if reader.u16()? != ALG_NULL {
            return Err(Truncated);
        }
        let scheme = match reader.u16()? {
            ALG_NULL => Scheme::Any,
            ALG_ECDSA if reader.u16()? == ALG_SHA256 => Scheme::Ecdsa,
            ALG_ECDH if reader.u16()? == ALG_SHA256 => Scheme::Ecdh,
            _ => return Err(Truncated),
        };
        if reader.u16()? != CURVE_P256 || reader.u16()? != ALG_NULL {
            return Err(Truncated);
        }
        let x = coordinate(reader.sized()?)?;
        let y = coordinate(reader.sized()?)?;
        reader.finish()?;
        Ok(Self {
            attributes,
            auth_policy,
            scheme,
            point: point(&x, &y),
            name: name(bytes),
        })
    }

    /// Whether exactly `required` is set, apart from what is `optional`.
    pub(crate) const fn is(&self, required: u32, optional: u32) -> bool {
        self.attributes & !optional == required
    }
}

/// A TPM may drop leading zeros.
fn coordinate(bytes: &[u8]) -> Result<[u8; 32], Truncated> {
    let mut padded = [0; 32];
    let start = 32_usize.checked_sub(bytes.len()).ok_or(Truncated)?;
    padded
        .get_mut(start..)
        .ok_or(Truncated)?
        .copy_from_slice(bytes);
    Ok(padded)
}

fn point(x: &[u8; 32], y: &[u8; 32]) -> [u8; 65] {
    let mut sec1 = [4; 65];
    if let Some((_, rest)) = sec1.split_first_mut() {
        let (to_x, to_y) = rest.split_at_mut(32);
        to_x.copy_from_slice(x);
        to_y.copy_from_slice(y);
    }
    sec1
}

/// The coordinates of an uncompressed point.
pub(crate) fn coordinates(sec1: &[u8; 65]) -> (&[u8], &[u8]) {
    let (_, rest) = sec1.split_at(1);
    rest.split_at(32)
}

fn name(public: &[u8]) -> Name {
    let mut name = [0; 34];
    let (algorithm, hash) = name.split_at_mut(2);
    algorithm.copy_from_slice(&ALG_SHA256.to_be_bytes());
    hash.copy_from_slice(Digest::of(public).as_bytes());
    name
}

/// The public area under which a TPM loads the PCR policy key with `TPM2_LoadExternal`: a plain
/// ECDSA P-256 signing key. Both sides must build the same bytes, since the key's name is part of the
/// unwrapping key's policy.
pub fn policy_key_public_area(policy_key_sec1: &[u8; 65]) -> Vec<u8> {
    let (x, y) = coordinates(policy_key_sec1);
    let mut out = Vec::with_capacity(88);
    out.extend_from_slice(&ALG_ECC.to_be_bytes());
    out.extend_from_slice(&ALG_SHA256.to_be_bytes());
    let attributes = attribute::SIGN | attribute::USER_WITH_AUTH;
    out.extend_from_slice(&attributes.to_be_bytes());
    put_sized(&mut out, &[]);
    out.extend_from_slice(&ALG_NULL.to_be_bytes());
    out.extend_from_slice(&ALG_ECDSA.to_be_bytes());
    out.extend_from_slice(&ALG_SHA256.to_be_bytes());
    out.extend_from_slice(&CURVE_P256.to_be_bytes());
    out.extend_from_slice(&ALG_NULL.to_be_bytes());
    put_sized(&mut out, x);
    put_sized(&mut out, y);
    out
}

/// The PCR policy key's name.
pub(crate) fn policy_key_name(policy_key_sec1: &[u8; 65]) -> Name {
    name(&policy_key_public_area(policy_key_sec1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_area_survives_parsing() {
        let mut sec1 = [7; 65];
        sec1[0] = 4;
        let bytes = policy_key_public_area(&sec1);
        let parsed = EccPublic::parse(&bytes).unwrap();
        assert_eq!(parsed.point, sec1);
        assert_eq!(parsed.scheme, Scheme::Ecdsa);
        assert_eq!(parsed.name, policy_key_name(&sec1));
        assert!(parsed.is(attribute::SIGN, attribute::USER_WITH_AUTH));
        assert!(!parsed.is(attribute::SIGN, attribute::DECRYPT));
    }

    #[test]
    fn no_prefix_of_a_public_area_is_one() {
        let bytes = policy_key_public_area(&[4; 65]);
        for length in 0..bytes.len() {
            assert!(EccPublic::parse(&bytes[..length]).is_err(), "{length}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(EccPublic::parse(&longer).is_err());
    }
}
