//! Texts that a person keeps in a project: one sealed file of each kind, under a key that the project's
//! data keys make. When they are destroyed at the end of the agreement, the texts are gone too (R10).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use kekkai_types::{AgreementId, PersonId, Refusal};
use kekkai_worker_api::FileKey;
use sha2::Sha256;
use zeroize::Zeroizing;

const NONCE_BYTES: usize = 12;

/// What is kept: a file of each kind has a key and a place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Python scripts.
    Scripts,
    /// Notebooks of a desktop.
    Notebooks,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Scripts => "scripts",
            Self::Notebooks => "notebooks",
        }
    }
}

/// The key of what a person keeps in a project.
pub struct KeptKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for KeptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptKey")
    }
}

impl KeptKey {
    /// From the project's data keys, in the order of the agreement.
    pub fn derive(
        kind: Kind,
        keys: &[FileKey],
        agreement: &AgreementId,
        person: &PersonId,
    ) -> Option<Self> {
        let mut material = Zeroizing::new(Vec::with_capacity(keys.len().saturating_mul(32)));
        for key in keys {
            material.extend_from_slice(key.key.expose());
        }
        if material.is_empty() {
            return None;
        }
        let info = format!("kekkai {} v1\0{agreement}\0{person}", kind.as_str());
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &material)
            .expand(info.as_bytes(), &mut *key)
            .ok()?;
        Some(Self(key))
    }
}

/// Why what is kept can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The file was made under other keys, or was changed.
    #[error("the {} do not open with the project's keys", .0.as_str())]
    Sealed(Kind),
    /// The disk.
    #[error("the {} can't be read or written", .0.as_str())]
    Io(Kind, #[source] std::io::Error),
}

impl From<KeptError> for Refusal {
    fn from(error: KeptError) -> Self {
        tracing::error!(error = %crate::explain(&error), "kept texts");
        let code = match error {
            KeptError::Sealed(Kind::Scripts) => "scripts-unreadable",
            KeptError::Sealed(Kind::Notebooks) => "notebooks-unreadable",
            KeptError::Io(Kind::Scripts, _) => "scripts-unavailable",
            KeptError::Io(Kind::Notebooks, _) => "notebooks-unavailable",
        };
        Self::new(code, "")
    }
}

/// Texts by name.
pub(super) type All = BTreeMap<String, String>;

/// What a person keeps of one kind in a project.
#[derive(Debug)]
pub(super) struct Kept {
    kind: Kind,
    path: PathBuf,
    key: KeptKey,
    /// Bound to the sealed file: nobody's file opens as another's.
    place: String,
    /// One change at a time.
    turn: std::sync::Mutex<()>,
}

impl Kept {
    /// Below `dir`, by project and person.
    pub(super) fn new(
        kind: Kind,
        dir: &Path,
        key: KeptKey,
        agreement: &AgreementId,
        person: &PersonId,
    ) -> Self {
        Self {
            kind,
            path: dir
                .join(agreement.as_str())
                .join(format!("{person}.{}", kind.as_str())),
            key,
            place: format!("{agreement}\0{person}"),
            turn: std::sync::Mutex::default(),
        }
    }

    /// Changes what is there, whole or not at all.
    pub(super) fn change(
        &self,
        change: impl FnOnce(&mut All) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut all = self.read()?;
        change(&mut all)?;
        Ok(self.write(&all)?)
    }

    fn io(&self, error: std::io::Error) -> KeptError {
        KeptError::Io(self.kind, error)
    }

    fn sealed(&self) -> KeptError {
        KeptError::Sealed(self.kind)
    }

    fn cipher(&self) -> Result<Aes256Gcm, KeptError> {
        Aes256Gcm::new_from_slice(&*self.key.0).map_err(|_| self.sealed())
    }

    pub(super) fn read(&self) -> Result<All, KeptError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(All::new()),
            Err(error) => return Err(self.io(error)),
        };
        let (nonce, sealed) = bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(|| self.sealed())?;
        let payload = Payload {
            msg: sealed,
            aad: self.place.as_bytes(),
        };
        let nonce = Nonce::from(*nonce);
        let plain = self.cipher()?.decrypt(&nonce, payload);
        let plain = Zeroizing::new(plain.map_err(|_| self.sealed())?);
        serde_json::from_slice(&plain).map_err(|_| self.sealed())
    }

    fn write(&self, all: &All) -> Result<(), KeptError> {
        let plain = serde_json::to_vec(all).map_err(|error| self.io(error.into()))?;
        let plain = Zeroizing::new(plain);
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| self.io(std::io::Error::other(error)))?;
        let payload = Payload {
            msg: &plain,
            aad: self.place.as_bytes(),
        };
        let sealed = self.cipher()?.encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| self.sealed())?;
        self.replace(&nonce, &sealed)
            .map_err(|error| self.io(error))
    }

    /// Whole or not at all, whenever the process is killed.
    fn replace(&self, nonce: &[u8], sealed: &[u8]) -> std::io::Result<()> {
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let part = self
            .path
            .with_extension(format!("{}.part", self.kind.as_str()));
        let mut file = std::fs::File::create(&part)?;
        file.write_all(nonce)?;
        file.write_all(sealed)?;
        file.sync_all()?;
        std::fs::rename(&part, &self.path)
    }
}
