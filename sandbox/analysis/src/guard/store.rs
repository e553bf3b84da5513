//! What a project was shown of one dataset version, on disk: a file that only grows, and a head that says how
//! much of it counts.
//!
//! Records are sealed one by one, each bound to its place. The head, sealed as well and replaced as a whole, is
//! written after them: what it doesn't count was never shown and is cut off; what it counts and is not there,
//! or does not open, makes the history unreadable, and nothing is shown.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use kekkai_differencing::Known;
use kekkai_types::AgreementId;
use kekkai_worker_api::FileKey;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Label;

const NONCE_BYTES: usize = 12;
const LENGTH_BYTES: usize = 4;
/// The longest record: a bitmap of all 2³² persons would be larger, but no table's populations are.
const RECORD_MAX: usize = 64 * 1024 * 1024;

/// Why what was shown can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It was made under other keys, was changed, or lacks something.
    #[error("what the project was shown does not open with its keys")]
    Sealed,
    /// The disk.
    #[error("what the project was shown can't be read or written")]
    Io(#[from] std::io::Error),
}

/// The key of what a project was shown of a dataset version. `None`: it can't be derived, and nothing opens.
#[derive(Clone)]
pub(super) struct StoreKey(Option<Zeroizing<[u8; 32]>>);

impl StoreKey {
    /// From the data key, so that it ends when that one does.
    pub(super) fn derive(key: &FileKey, agreement: &AgreementId) -> Self {
        let info = format!(
            "kekkai shown v1\0{agreement}\0{}\0{}",
            key.dataset, key.version
        );
        let mut derived = Zeroizing::new([0; 32]);
        match Hkdf::<Sha256>::new(None, key.key.expose()).expand(info.as_bytes(), &mut *derived) {
            Ok(()) => Self(Some(derived)),
            Err(_) => Self(None),
        }
    }

    fn cipher(&self) -> Result<Aes256Gcm, StoreError> {
        let key = self.0.as_ref().ok_or(StoreError::Sealed)?;
        Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| StoreError::Sealed)
    }

    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|e| StoreError::Io(std::io::Error::other(e)))?;
        let payload = Payload {
            msg: plain,
            aad: place.as_bytes(),
        };
        let sealed = self.cipher()?.encrypt(&Nonce::from(nonce), payload);
        let mut whole = nonce.to_vec();
        whole.extend(sealed.map_err(|_| StoreError::Sealed)?);
        Ok(whole)
    }

    fn open(&self, place: &str, whole: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (nonce, sealed) = whole
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(StoreError::Sealed)?;
        let payload = Payload {
            msg: sealed,
            aad: place.as_bytes(),
        };
        let plain = self.cipher()?.decrypt(&Nonce::from(*nonce), payload);
        Ok(Zeroizing::new(plain.map_err(|_| StoreError::Sealed)?))
    }
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey")
    }
}

/// How much of the file counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    records: u64,
    bytes: u64,
}

/// What a project was shown of one dataset version.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    key: StoreKey,
    file: File,
    head: Head,
    /// A write failed half-way: what the disk holds is not known any more.
    is_broken: bool,
}

impl Store {
    /// Opens or makes it, and gives what it holds.
    pub(super) fn open(
        path: &Path,
        key: StoreKey,
    ) -> Result<(Self, Vec<Known<Label>>), StoreError> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let head = match std::fs::read(head_path(path)) {
            Ok(sealed) => serde_json::from_slice(&key.open("head", &sealed)?)
                .map_err(|_| StoreError::Sealed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Head::default(),
            Err(error) => return Err(error.into()),
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut store = Self {
            path: path.to_owned(),
            key,
            file,
            head,
            is_broken: false,
        };
        let known = store.read()?;
        // What was written and not counted was not shown.
        store.file.set_len(store.head.bytes)?;
        Ok((store, known))
    }

    fn read(&mut self) -> Result<Vec<Known<Label>>, StoreError> {
        if self.file.metadata()?.len() < self.head.bytes {
            return Err(StoreError::Sealed);
        }
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = std::io::BufReader::new((&self.file).take(self.head.bytes));
        let mut all = Vec::new();
        for number in 0..self.head.records {
            let mut length = [0; LENGTH_BYTES];
            reader
                .read_exact(&mut length)
                .map_err(|_| StoreError::Sealed)?;
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if length > RECORD_MAX {
                return Err(StoreError::Sealed);
            }
            let mut sealed = vec![0; length];
            reader
                .read_exact(&mut sealed)
                .map_err(|_| StoreError::Sealed)?;
            let plain = self.key.open(&number.to_string(), &sealed)?;
            all.push(serde_json::from_slice(&plain).map_err(|_| StoreError::Sealed)?);
        }
        // The head counts bytes and records of the same file.
        match reader.read(&mut [0])? {
            0 => Ok(all),
            _ => Err(StoreError::Sealed),
        }
    }

    /// Writes records down; when this returns they stay.
    pub(super) fn append(&mut self, known: &[&Known<Label>]) -> Result<(), StoreError> {
        if known.is_empty() {
            return Ok(());
        }
        if self.is_broken {
            return Err(StoreError::Io(std::io::Error::other(
                "an earlier write failed",
            )));
        }
        self.is_broken = true;
        let mut bytes = Vec::new();
        let mut head = self.head;
        for record in known {
            let plain = serde_json::to_vec(record).map_err(|_| StoreError::Sealed)?;
            let sealed = self
                .key
                .seal(&head.records.to_string(), &Zeroizing::new(plain))?;
            let length = u32::try_from(sealed.len())
                .ok()
                .filter(|_| sealed.len() <= RECORD_MAX)
                .ok_or(StoreError::Sealed)?;
            bytes.extend(length.to_be_bytes());
            bytes.extend(sealed);
            head.records = head.records.saturating_add(1);
        }
        head.bytes = head
            .bytes
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.file.seek(SeekFrom::Start(self.head.bytes))?;
        self.file.write_all(&bytes)?;
        self.file.sync_all()?;
        self.replace_head(head)?;
        self.head = head;
        self.is_broken = false;
        Ok(())
    }

    fn replace_head(&self, head: Head) -> Result<(), StoreError> {
        let plain = serde_json::to_vec(&head).map_err(|_| StoreError::Sealed)?;
        let sealed = self.key.seal("head", &plain)?;
        let place = head_path(&self.path);
        let part = place.with_extension("part");
        let mut file = File::create(&part)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        std::fs::rename(&part, &place)?;
        if let Some(dir) = place.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }
}

fn head_path(path: &Path) -> PathBuf {
    path.with_extension("head")
}
