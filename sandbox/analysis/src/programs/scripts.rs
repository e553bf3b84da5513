//! Scripts that a person keeps in a project.

use std::path::Path;

use kekkai_analysis_api::{SCRIPT_NAME_MAX, SOURCE_MAX};
use kekkai_types::{AgreementId, PersonId, Refusal};

use super::kept::{Kept, KeptError, KeptKey, Kind};

/// Scripts of one person in one project.
const SCRIPTS_MAX: usize = 100;
/// Their size together, in bytes.
const SCRIPTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A person's scripts in a project.
#[derive(Debug)]
pub struct Scripts(Kept);

impl Scripts {
    /// Below `dir`, by project and person.
    pub fn new(dir: &Path, key: KeptKey, agreement: &AgreementId, person: &PersonId) -> Self {
        Self(Kept::new(Kind::Scripts, dir, key, agreement, person))
    }

    /// Names and sizes in bytes.
    pub fn list(&self) -> Result<Vec<(String, u64)>, KeptError> {
        let size = |text: &String| u64::try_from(text.len()).unwrap_or(u64::MAX);
        let all = self.0.read()?;
        Ok(all
            .iter()
            .map(|(name, text)| (name.clone(), size(text)))
            .collect())
    }

    /// A script's text.
    pub fn get(&self, name: &str) -> Result<String, Refusal> {
        self.0
            .read()?
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
        self.0.change(|all| {
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
        self.0.change(|all| match all.remove(name) {
            Some(_) => Ok(()),
            None => Err(Refusal::new("script-unknown", name)),
        })
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
    use kekkai_worker_api::FileKey;

    fn key(byte: u8) -> KeptKey {
        let keys = [FileKey {
            dataset: DatasetId::new("d").unwrap(),
            version: 1,
            key: KeyText::new([byte; 32]),
        }];
        let (agreement, person) = whose();
        KeptKey::derive(Kind::Scripts, &keys, &agreement, &person).unwrap()
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
