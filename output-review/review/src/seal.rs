//! What waits in the database is confidential, and must not be changed behind the service's back:
//! AES-256-GCM under the service's storage key, bound to the place where it lies.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use kekkai_types::KeyText;

/// Bytes of a nonce. Random nonces allow 2³² values under one key: far more than outputs.
const NONCE_LEN: usize = 12;

/// Seals and opens values of the database.
pub struct Sealer(Aes256Gcm);

/// Why a value can't be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The stored bytes are not those that were sealed for this place, or the key is another.
    #[error("a stored value was changed, moved, or sealed with another key")]
    Altered,
    /// The operating system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// The cipher refuses: too long a value.
    #[error("a value can't be sealed")]
    Cipher,
}

impl Sealer {
    /// Takes the storage key over.
    pub fn new(key: &KeyText) -> Self {
        Self(Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key.expose())))
    }

    /// Encrypts a value for one place; it opens nowhere else.
    pub fn seal(&self, place: &str, value: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0_u8; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Randomness)?;
        let payload = Payload {
            msg: value,
            aad: place.as_bytes(),
        };
        let sealed = self
            .0
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| SealError::Cipher)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts a value that was sealed for this place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SealError::Altered)?;
        let payload = Payload {
            msg: sealed,
            aad: place.as_bytes(),
        };
        self.0
            .decrypt(&Nonce::from(*nonce), payload)
            .map_err(|_| SealError::Altered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_value_opens_only_unchanged_at_its_place_under_its_key() {
        let sealer = Sealer::new(&KeyText::new([1; 32]));
        let sealed = sealer.seal("output/o1", b"secret").unwrap();
        assert_eq!(sealer.open("output/o1", &sealed).unwrap(), b"secret");
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
        assert_eq!(sealer.open("output/o2", &sealed), Err(SealError::Altered));
        let other = Sealer::new(&KeyText::new([2; 32]));
        assert_eq!(other.open("output/o1", &sealed), Err(SealError::Altered));
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(sealer.open("output/o1", &changed), Err(SealError::Altered));
        }
        assert_eq!(sealer.open("output/o1", &[]), Err(SealError::Altered));
    }
}
