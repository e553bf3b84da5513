//! Wrapping a dataset's key for those who may open it, by HPKE as [`WrappedKey`] describes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use kekkai_types::{DatasetId, KeyText, Recipient, WrappedKey};
use zeroize::Zeroizing;

type Private = <DhP256HkdfSha256 as Kem>::PrivateKey;
type Public = <DhP256HkdfSha256 as Kem>::PublicKey;
type Encapped = <DhP256HkdfSha256 as Kem>::EncappedKey;

/// Why a dataset's key could not be wrapped or unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 65 bytes of SEC 1, uncompressed, on P-256.
    #[error("the recipient's public key is not an uncompressed point of P-256")]
    PublicKey,
    /// Not a 32-byte scalar of P-256.
    #[error("the private key is not a scalar of P-256")]
    PrivateKey,
    /// The wrapped key's own encoding is wrong.
    #[error("the wrapped key is malformed")]
    Malformed,
    /// Another recipient, dataset or version, or changed bytes.
    #[error(
        "the wrapped key does not open: another recipient, dataset or version, or changed bytes"
    )]
    DoesNotOpen,
    /// The cipher refused to work: a bug of ours.
    #[error("the key could not be wrapped")]
    Internal,
}

/// Wraps `key`, the key of version `version` of `dataset`, so that only `recipient` can open it.
///
/// `public_sec1` is the recipient's P-256 public key: 65 bytes, SEC 1 uncompressed.
pub fn wrap_for(
    dataset: &DatasetId,
    version: u32,
    recipient: &Recipient,
    public_sec1: &[u8],
    key: &KeyText,
) -> Result<WrappedKey, KeyError> {
    let public = Public::from_bytes(public_sec1).map_err(|_| KeyError::PublicKey)?;
    let aad = WrappedKey::aad(dataset, version, recipient);
    let (enc, ciphertext) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeS::Base,
        &public,
        WrappedKey::INFO,
        key.expose(),
        aad.as_bytes(),
    )
    .map_err(|_| KeyError::Internal)?;
    Ok(WrappedKey {
        dataset: dataset.clone(),
        version,
        recipient: recipient.clone(),
        enc: BASE64.encode(enc.to_bytes()),
        ciphertext: BASE64.encode(ciphertext),
    })
}

/// Opens a wrapped key with a private key in memory: the producer's recovery key (or, in tests, any
/// other). An analysis server opens its own inside its TPM (`kekkai-tpm`).
///
/// `private` is the P-256 scalar: 32 bytes, big-endian. The recipient that `wrapped` names is
/// authenticated too.
pub fn unwrap_with_recovery(private: &KeyText, wrapped: &WrappedKey) -> Result<KeyText, KeyError> {
    let secret = Private::from_bytes(private.expose()).map_err(|_| KeyError::PrivateKey)?;
    let enc = BASE64
        .decode(&wrapped.enc)
        .map_err(|_| KeyError::Malformed)?;
    let enc = Encapped::from_bytes(&enc).map_err(|_| KeyError::Malformed)?;
    let ciphertext = BASE64
        .decode(&wrapped.ciphertext)
        .map_err(|_| KeyError::Malformed)?;
    let aad = WrappedKey::aad(&wrapped.dataset, wrapped.version, &wrapped.recipient);
    let plain = hpke::single_shot_open::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &enc,
        WrappedKey::INFO,
        &ciphertext,
        aad.as_bytes(),
    )
    .map_err(|_| KeyError::DoesNotOpen)?;
    let plain = Zeroizing::new(plain);
    let bytes: [u8; 32] = plain
        .as_slice()
        .try_into()
        .map_err(|_| KeyError::Malformed)?;
    Ok(KeyText::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (KeyText, Vec<u8>) {
        let (private, public) = DhP256HkdfSha256::gen_keypair();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&private.to_bytes());
        (KeyText::new(bytes), public.to_bytes().to_vec())
    }

    #[test]
    fn only_the_named_recipient_opens_the_key() {
        let (private, public) = pair();
        let (other, _) = pair();
        let dataset = DatasetId::new("d1").unwrap();
        let key = KeyText::random().unwrap();
        let wrapped = wrap_for(&dataset, 1, &Recipient::Recovery, &public, &key).unwrap();
        assert_eq!(BASE64.decode(&wrapped.enc).unwrap().len(), 65);
        assert_eq!(BASE64.decode(&wrapped.ciphertext).unwrap().len(), 48);
        let opened = unwrap_with_recovery(&private, &wrapped).unwrap();
        assert_eq!(opened.expose(), key.expose());
        assert_eq!(
            unwrap_with_recovery(&other, &wrapped).err(),
            Some(KeyError::DoesNotOpen)
        );
    }

    #[test]
    fn wrapped_key_moved_to_another_dataset_version_or_recipient_does_not_open() {
        let (private, public) = pair();
        let dataset = DatasetId::new("d1").unwrap();
        let key = KeyText::random().unwrap();
        let wrapped = wrap_for(&dataset, 1, &Recipient::Recovery, &public, &key).unwrap();
        let moves = [
            WrappedKey {
                dataset: DatasetId::new("d2").unwrap(),
                ..wrapped.clone()
            },
            WrappedKey {
                version: 2,
                ..wrapped.clone()
            },
            WrappedKey {
                recipient: Recipient::Server(kekkai_types::ServerId::new("a1").unwrap()),
                ..wrapped.clone()
            },
        ];
        for moved in moves {
            assert_eq!(
                unwrap_with_recovery(&private, &moved).err(),
                Some(KeyError::DoesNotOpen)
            );
        }
    }

    #[test]
    fn point_off_the_curve_is_refused() {
        let dataset = DatasetId::new("d1").unwrap();
        let key = KeyText::random().unwrap();
        let mut public = pair().1;
        public[64] ^= 1;
        for bad in [&public[..], &public[..64], &[0; 65][..], &[][..]] {
            let got = wrap_for(&dataset, 1, &Recipient::Recovery, bad, &key);
            assert_eq!(got.err(), Some(KeyError::PublicKey));
        }
    }
}
