//! Scripts that a person keeps in a project: one sealed file, under a key that the project's data keys
//! make. When they are destroyed at the end of the agreement, the scripts are gone too (R10).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use kekkai_analysis_api::{SCRIPT_NAME_MAX, SOURCE_MAX};
use kekkai_types::{AgreementId, PersonId, Refusal};
use kekkai_worker_api::FileKey;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Scripts of one person in one project.
const SCRIPTS_MAX: usize = 100;
/// Their size together, in bytes.
const SCRIPTS_BYTES_MAX: usize = 4 * 1024 * 1024;
const NONCE_BYTES: usize = 12;

/// The key of a person's scripts in a project.
pub struct ScriptKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for ScriptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScriptKey")
    }
}

impl ScriptKey {
    /// From the project's data keys, in the order of the agreement.
    pub fn derive(keys: &[FileKey], agreement: &AgreementId, person: &PersonId) -> Option<Self> {
        let mut material = Zeroizing::new(Vec::with_capacity(keys.len().saturating_mul(32)));
        for key in keys {
            material.extend_from_slice(key.key.expose());
        }
        if material.is_empty() {
            return None;
        }
        let info = format!("kekkai scripts v1\0{agreement}\0{person}");
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &material)
            .expand(info.as_bytes(), &mut *key)
            .ok()?;
        Some(Self(key))
    }
}

/// Why scripts can't be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file was made under other keys, or was changed.
    #[error("the scripts do not open with the project's keys")]
    Sealed,
    /// The disk.
    #[error("the scripts can't be read or written")]
    Io(#[from] std::io::Error),
}

impl From<ScriptError> for Refusal {
    fn from(error: ScriptError) -> Self {
        tracing::error!(error = %crate::explain(&error), "scripts");
        match error {
            ScriptError::Sealed => Self::new("scripts-unreadable", ""),
            ScriptError::Io(_) => Self::new("scripts-unavailable", ""),
        }
    }
}

/// A person's scripts in a project.
#[derive(Debug)]
pub struct Scripts {
    path: PathBuf,
    key: ScriptKey,
    /// Bound to the sealed file: nobody's file opens as another's.
    place: String,
    /// One change at a time.
    turn: std::sync::Mutex<()>,
}

type All = BTreeMap<String, String>;

impl Scripts {
    /// Below `dir`, by project and person.
    pub fn new(
        dir: &std::path::Path,
        key: ScriptKey,
        agreement: &AgreementId,
        person: &PersonId,
    ) -> Self {
        Self {
            path: dir
                .join(agreement.as_str())
                .join(format!("{person}.scripts")),
            key,
            place: format!("{agreement}\0{person}"),
            turn: std::sync::Mutex::default(),
        }
    }

    /// Names and sizes in bytes.
    pub fn list(&self) -> Result<Vec<(String, u64)>, ScriptError> {
        let size = |text: &String| u64::try_from(text.len()).unwrap_or(u64::MAX);
        let all = self.read()?;
        Ok(all
            .iter()
            .map(|(name, text)| (name.clone(), size(text)))
            .collect())
    }

    /// A script's text.
    pub fn get(&self, name: &str) -> Result<String, Refusal> {
        self.read()?
            .remove(name)
            .ok_or_else(|| Refusal::new("script-unknown", name))
    }

    /// Keeps a script.
    pub fn put(&self, name: &str, source: &str) -> Result<(), Refusal> {
        if !is_name(name) {
            return Err(Refusal::new("script-name", SCRIPT_NAME_MAX.to_string()));
        }
        if source.len() > SOURCE_MAX {
            return Err(Refusal::new("script-too-long", SOURCE_MAX.to_string()));
        }
        self.change(|all| {
            all.insert(name.to_owned(), source.to_owned());
            let bytes: usize = all.values().map(String::len).sum();
            match all.len() > SCRIPTS_MAX || bytes > SCRIPTS_BYTES_MAX {
                true => Err(Refusal::new("too-many-scripts", SCRIPTS_MAX.to_string())),
                false => Ok(()),
            }
        })
    }

    /// Erases a script.
    pub fn remove(&self, name: &str) -> Result<(), Refusal> {
        self.change(|all| match all.remove(name) {
            Some(_) => Ok(()),
            None => Err(Refusal::new("script-unknown", name)),
        })
    }

    fn change(&self, change: impl FnOnce(&mut All) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut all = self.read()?;
        change(&mut all)?;
        Ok(self.write(&all)?)
    }

    fn cipher(&self) -> Result<Aes256Gcm, ScriptError> {
        Aes256Gcm::new_from_slice(&*self.key.0).map_err(|_| ScriptError::Sealed)
    }

    fn read(&self) -> Result<All, ScriptError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(All::new()),
            Err(error) => return Err(error.into()),
        };
        let (nonce, sealed) = bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(ScriptError::Sealed)?;
        let payload = Payload {
            msg: sealed,
            aad: self.place.as_bytes(),
        };
        let nonce = Nonce::from(*nonce);
        let plain = self.cipher()?.decrypt(&nonce, payload);
        let plain = Zeroizing::new(plain.map_err(|_| ScriptError::Sealed)?);
        serde_json::from_slice(&plain).map_err(|_| ScriptError::Sealed)
    }

    fn write(&self, all: &All) -> Result<(), ScriptError> {
        let plain = serde_json::to_vec(all).map_err(std::io::Error::from)?;
        let plain = Zeroizing::new(plain);
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
        let payload = Payload {
            msg: &plain,
            aad: self.place.as_bytes(),
        };
        let sealed = self.cipher()?.encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| ScriptError::Sealed)?;
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        // Whole or not at all, whenever the process is killed.
        let part = self.path.with_extension("part");
        let mut file = std::fs::File::create(&part)?;
        file.write_all(&nonce)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        std::fs::rename(&part, &self.path)?;
        Ok(())
    }
}

/// Letters, digits, `.`, `_` and `-`; not beginning with a dot.
fn is_name(name: &str) -> bool {
    (1..=SCRIPT_NAME_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_types::{DatasetId, KeyText};

    fn key(byte: u8) -> ScriptKey {
        let keys = [FileKey {
            dataset: DatasetId::new("d").unwrap(),
            version: 1,
            key: KeyText::new([byte; 32]),
        }];
        let (agreement, person) = whose();
        ScriptKey::derive(&keys, &agreement, &person).unwrap()
    }

    fn whose() -> (AgreementId, PersonId) {
        (
            AgreementId::new("g1").unwrap(),
            PersonId::new("sato").unwrap(),
        )
    }

    #[test]
    fn kept_scripts_are_there_again_and_nowhere_in_plain() {
        let dir = tempfile::tempdir().unwrap();
        let (agreement, person) = whose();
        let open = |byte| Scripts::new(dir.path(), key(byte), &agreement, &person);
        open(1).put("study.py", "print('secret plan')").unwrap();
        assert_eq!(open(1).get("study.py").unwrap(), "print('secret plan')");
        assert_eq!(open(1).list().unwrap(), [("study.py".to_owned(), 20)]);
        let file = std::fs::read(dir.path().join("g1/sato.scripts")).unwrap();
        assert!(!file.windows(6).any(|w| w == b"secret"));
        // Without the project's keys there are none.
        assert_eq!(
            open(2).get("study.py").unwrap_err().code,
            "scripts-unreadable"
        );
        open(1).remove("study.py").unwrap();
        assert_eq!(open(1).get("study.py").unwrap_err().code, "script-unknown");
    }

    #[test]
    fn another_persons_file_does_not_open_in_ones_own_place() {
        let dir = tempfile::tempdir().unwrap();
        let (agreement, person) = whose();
        let own = Scripts::new(dir.path(), key(1), &agreement, &person);
        own.put("a", "x").unwrap();
        let other = PersonId::new("ono").unwrap();
        std::fs::copy(
            dir.path().join("g1/sato.scripts"),
            dir.path().join("g1/ono.scripts"),
        )
        .unwrap();
        let theirs = Scripts::new(dir.path(), key(1), &agreement, &other);
        assert!(theirs.list().is_err());
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (agreement, person) = whose();
        let scripts = Scripts::new(dir.path(), key(1), &agreement, &person);
        for name in ["", "..", ".hidden", "a/b", "a b", "a\n", &"a".repeat(65)] {
            assert_eq!(
                scripts.put(name, "").unwrap_err().code,
                "script-name",
                "{name:?}"
            );
        }
        let long = "x".repeat(SOURCE_MAX + 1);
        assert_eq!(scripts.put("a", &long).unwrap_err().code, "script-too-long");
    }
}
