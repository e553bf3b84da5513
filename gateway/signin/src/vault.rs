//! Token secrets at rest: AES-256-GCM under the gateway's storage key.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use kekkai_types::{Digest, KeyText, PersonId};
use zeroize::Zeroizing;

use crate::StorageError;

const NONCE_BYTES: usize = 12;
/// 64 hexadecimal digits, perhaps a line end.
const KEY_FILE_BYTES_MAX: u64 = 128;

/// The storage key file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageKeyError {
    /// Not there, or not readable.
    #[error("the storage key file \"{path}\" can't be read")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("the storage key file \"{0}\" may be read by others than its owner: chmod 600")]
    Permissions(String),
    /// Not a key. The text is not quoted: it may be a key with a typo.
    #[error("the storage key file \"{0}\" doesn't hold 64 hexadecimal digits")]
    Malformed(String),
}

/// Reads the storage key: 64 hexadecimal digits in a file that only its owner can read.
pub fn read_storage_key(path: &Path) -> Result<KeyText, StorageKeyError> {
    let name = path.display().to_string();
    let file_error = |source| StorageKeyError::File {
        path: name.clone(),
        source,
    };
    let file = std::fs::File::open(path).map_err(file_error)?;
    let mode = file.metadata().map_err(file_error)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(StorageKeyError::Permissions(name));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(KEY_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(file_error)?;
    // The checked hexadecimal reader of `KeyText` takes a JSON string.
    let quoted = Zeroizing::new(format!("\"{}\"", text.trim_end()));
    serde_json::from_str(&quoted).map_err(|_| StorageKeyError::Malformed(name))
}

/// Seals and opens; holds the key's schedule.
pub(crate) struct Vault {
    cipher: Aes256Gcm,
    decoy: Digest,
}

impl Vault {
    pub(crate) fn new(key: &KeyText) -> Self {
        let mut seed = Zeroizing::new(b"kekkai decoy credential v1 ".to_vec());
        seed.extend_from_slice(key.expose());
        Self {
            cipher: Aes256Gcm::new(key.expose().into()),
            decoy: Digest::of(&seed),
        }
    }

    /// Nonce and ciphertext. The person is authenticated: a row moved to another person won't open.
    pub(crate) fn seal(&self, person: &PersonId, secret: &[u8]) -> Result<Vec<u8>, StorageError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let payload = Payload {
            msg: secret,
            aad: &aad(person),
        };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| StorageError::Unreadable("token secret"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(crate) fn open(
        &self,
        person: &PersonId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        let unreadable = || StorageError::Unreadable("token secret");
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(unreadable)?;
        let payload = Payload {
            msg: sealed,
            aad: &aad(person),
        };
        self.cipher
            .decrypt(&Nonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| unreadable())
    }

    /// What an unknown person's credential id and token secret look like: always the same for one
    /// name, and not to be told from random without the storage key.
    pub(crate) fn decoy(&self, name: &str) -> [u8; 32] {
        let seed = [self.decoy.as_bytes().as_slice(), name.as_bytes()].concat();
        *Digest::of(&seed).as_bytes()
    }
}

fn aad(person: &PersonId) -> Vec<u8> {
    format!("kekkai token secret v1/{person}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> PersonId {
        PersonId::new(name).unwrap()
    }

    #[test]
    fn sealed_secret_opens_for_its_own_person_only() {
        let vault = Vault::new(&KeyText::new([7; 32]));
        let sealed = vault.seal(&person("sato"), b"secret").unwrap();
        assert_eq!(*vault.open(&person("sato"), &sealed).unwrap(), b"secret");
        assert!(vault.open(&person("kato"), &sealed).is_err());
        assert!(
            Vault::new(&KeyText::new([8; 32]))
                .open(&person("sato"), &sealed)
                .is_err()
        );
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
    }

    #[test]
    fn storage_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("{}\n", "ab".repeat(32))).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            read_storage_key(&path),
            Err(StorageKeyError::Permissions(_))
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_storage_key(&path).unwrap().expose(), &[0xab; 32]);
        std::fs::write(&path, "abad1dea").unwrap();
        let error = read_storage_key(&path).err().unwrap();
        assert!(!error.to_string().contains("abad1dea"));
    }
}
