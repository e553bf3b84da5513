//! Whose eyes a recording is for: the auditors' key pair, and the keys that are made for it.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use kekkai_types::{Digest, KeyText};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use zeroize::Zeroizing;

use crate::header::Header;

type Private = <DhP256HkdfSha256 as Kem>::PrivateKey;
type Public = <DhP256HkdfSha256 as Kem>::PublicKey;
type Encapped = <DhP256HkdfSha256 as Kem>::EncappedKey;

/// What the exporter's secret is for.
const EXPORT: &[u8] = b"kekkai-recording/1 key of a part";

/// A key that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a public key on P-256.
    #[error("this is no public key on P-256 (PEM)")]
    Public,
    /// Not a private key on P-256.
    #[error("this is no private key on P-256 (PKCS #8 PEM)")]
    Private,
    /// The operating system gives no randomness, or a cipher refuses: ours.
    #[error("a key can't be made")]
    Internal,
}

/// The auditors' public key. Cheap to clone.
#[derive(Clone)]
pub struct Recipient {
    key: Public,
    digest: Digest,
}

impl Recipient {
    /// From PEM (`PUBLIC KEY`).
    ///
    /// # Errors
    /// Another kind of key, or none.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = p256::PublicKey::from_public_key_pem(pem).map_err(|_| KeyError::Public)?;
        Self::from_sec1(key.to_sec1_point(false).as_bytes())
    }

    /// From 65 bytes, SEC 1 uncompressed.
    ///
    /// # Errors
    /// Not a point of P-256.
    pub fn from_sec1(sec1: &[u8]) -> Result<Self, KeyError> {
        Ok(Self {
            key: Public::from_bytes(sec1).map_err(|_| KeyError::Public)?,
            digest: Digest::of(sec1),
        })
    }

    /// Of the 65 bytes (SEC 1, uncompressed): what headers and the ledger name it by.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// The auditors' private key. Wiped when dropped, printed by nobody.
pub struct AuditorKey {
    scalar: KeyText,
    digest: Digest,
}

impl AuditorKey {
    /// From PEM (`PRIVATE KEY`, PKCS #8).
    ///
    /// # Errors
    /// Another kind of key, or none.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = p256::SecretKey::from_pkcs8_pem(pem).map_err(|_| KeyError::Private)?;
        let mut bytes = Zeroizing::new([0; 32]);
        let encoded = Zeroizing::new(key.to_bytes());
        for (to, from) in bytes.iter_mut().zip(encoded.iter()) {
            *to = *from;
        }
        Ok(Self {
            digest: Digest::of(key.public_key().to_sec1_point(false).as_bytes()),
            scalar: KeyText::new(*bytes),
        })
    }

    /// Of its public key, as [`Recipient::digest`].
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The cipher of a part. That it is the right one shows when a chunk opens.
    pub(crate) fn open(&self, header: &Header) -> Result<Cipher, KeyError> {
        let secret = Private::from_bytes(self.scalar.expose()).map_err(|_| KeyError::Private)?;
        let enc = Encapped::from_bytes(&header.encapsulated).map_err(|_| KeyError::Internal)?;
        let context = hpke::setup_receiver::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
            &OpModeR::Base,
            &secret,
            &enc,
            &header.info(),
        )
        .map_err(|_| KeyError::Internal)?;
        let mut key = Zeroizing::new([0; 32]);
        context
            .export(EXPORT, key.as_mut())
            .map_err(|_| KeyError::Internal)?;
        Ok(Cipher::new(&key))
    }
}

/// Seals and opens the chunks of one part. Prints nothing.
pub(crate) struct Cipher(Aes256Gcm);

impl Cipher {
    fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key)))
    }

    /// A fresh one for a header, which gets the key's encapsulation.
    pub(crate) fn make(recipient: &Recipient, header: &mut Header) -> Result<Self, KeyError> {
        let (enc, context) = hpke::setup_sender::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
            &OpModeS::Base,
            &recipient.key,
            &header.info(),
        )
        .map_err(|_| KeyError::Internal)?;
        header.encapsulated = enc.to_bytes().to_vec();
        let mut key = Zeroizing::new([0; 32]);
        context
            .export(EXPORT, key.as_mut())
            .map_err(|_| KeyError::Internal)?;
        Ok(Self::new(&key))
    }

    /// `number` is new under this key: a number is never sealed twice.
    pub(crate) fn seal(
        &self,
        number: u64,
        aad: &[u8],
        content: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let payload = Payload { msg: content, aad };
        self.0
            .encrypt(&nonce(number), payload)
            .map_err(|_| KeyError::Internal)
    }

    /// `None` where these are not the bytes that were sealed, there, under this key.
    pub(crate) fn open(&self, number: u64, aad: &[u8], body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let payload = Payload { msg: body, aad };
        let content = self.0.decrypt(&nonce(number), payload).ok()?;
        Some(Zeroizing::new(content))
    }
}

fn nonce(number: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
        *to = from;
    }
    Nonce::from(nonce)
}
