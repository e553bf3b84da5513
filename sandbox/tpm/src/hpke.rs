//! The receiver's half of HPKE base mode (RFC 9180) from a Diffie-Hellman result that a TPM computed.
//!
//! DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The `hpke` crate wants the private key itself,
//! which this server never has; the tests show that what that crate seals opens here.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// RFC 9180 §7: `KEM` ‖ 0x0010.
const KEM_SUITE: &[u8] = b"KEM\x00\x10";
/// `HPKE` ‖ KEM 0x0010 ‖ KDF 0x0001 ‖ AEAD 0x0002.
const HPKE_SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x02";
const VERSION: &[u8] = b"HPKE-v1";
const MODE_BASE: u8 = 0;

/// The ciphertext is not for this key, `info` and AAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unopened;

/// What a sender sealed.
pub(crate) struct Sealed<'a> {
    /// The encapsulated key, SEC 1 uncompressed.
    pub(crate) enc: &'a [u8; 65],
    pub(crate) ciphertext: &'a [u8],
    pub(crate) info: &'a [u8],
    pub(crate) aad: &'a [u8],
}

/// Opens the first message of a context: `dh` is the x coordinate that the TPM returned, `recipient` the
/// unwrapping key's public half.
pub(crate) fn open(
    dh: &[u8; 32],
    recipient: &[u8; 65],
    sealed: &Sealed<'_>,
) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    // §4.1, ExtractAndExpand with kem_context = enc ‖ pkRm.
    let context = [sealed.enc.as_slice(), recipient].concat();
    let prk = extract(&[], KEM_SUITE, b"eae_prk", dh);
    let secret: Zeroizing<[u8; 32]> = expand(&prk, KEM_SUITE, b"shared_secret", &context)?;

    // §5.1, KeySchedule in base mode: no PSK.
    let psk_id = extract(&[], HPKE_SUITE, b"psk_id_hash", &[]);
    let info = extract(&[], HPKE_SUITE, b"info_hash", sealed.info);
    let schedule = [&[MODE_BASE][..], psk_id.as_slice(), info.as_slice()].concat();
    let secret = extract(secret.as_slice(), HPKE_SUITE, b"secret", &[]);
    let key: Zeroizing<[u8; 32]> = expand(&secret, HPKE_SUITE, b"key", &schedule)?;
    // The first message's sequence number is 0, so its nonce is the base nonce.
    let nonce: Zeroizing<[u8; 12]> = expand(&secret, HPKE_SUITE, b"base_nonce", &schedule)?;

    let payload = Payload {
        msg: sealed.ciphertext,
        aad: sealed.aad,
    };
    Aes256Gcm::new((&*key).into())
        .decrypt(&Nonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| Unopened)
}

/// §4, LabeledExtract.
fn extract(salt: &[u8], suite: &[u8], label: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 32]> {
    let labeled = Zeroizing::new([VERSION, suite, label, ikm].concat());
    let (prk, _) = Hkdf::<Sha256>::extract(Some(salt), &labeled);
    Zeroizing::new(prk.into())
}

/// §4, LabeledExpand.
fn expand<const N: usize>(
    prk: &[u8; 32],
    suite: &[u8],
    label: &[u8],
    info: &[u8],
) -> Result<Zeroizing<[u8; N]>, Unopened> {
    let length = u16::try_from(N).map_err(|_| Unopened)?.to_be_bytes();
    let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| Unopened)?;
    let mut out = Zeroizing::new([0; N]);
    hkdf.expand_multi_info(&[&length, VERSION, suite, label, info], out.as_mut_slice())
        .map_err(|_| Unopened)?;
    Ok(out)
}
