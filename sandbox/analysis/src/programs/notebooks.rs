//! Notebooks that a person keeps in a project: steps of an analysis, without results. What is in one is the
//! workspace's business; here it is text of a bounded size.

use std::path::Path;

use kekkai_types::{AgreementId, PersonId, Refusal};
use kekkai_worker_api::{NOTEBOOK_MAX, NOTEBOOKS_MAX};

use super::kept::{Kept, KeptError, KeptKey, Kind};

/// The longest name of a notebook, in characters.
const NAME_MAX: usize = 64;

/// A person's notebooks in a project.
#[derive(Debug)]
pub struct Notebooks {
    kept: Kept,
    /// What they may take together, in KiB: the agreement's `notebooks_kib_max`.
    kib_max: u32,
}

impl Notebooks {
    /// Below `dir`, by project and person.
    pub fn new(
        dir: &Path,
        key: KeptKey,
        agreement: &AgreementId,
        person: &PersonId,
        kib_max: u32,
    ) -> Self {
        Self {
            kept: Kept::new(Kind::Notebooks, dir, key, agreement, person),
            kib_max,
        }
    }

    /// Their names.
    pub fn names(&self) -> Result<Vec<String>, KeptError> {
        Ok(self.kept.read()?.into_keys().collect())
    }

    /// A notebook.
    pub fn get(&self, name: &str) -> Result<String, Refusal> {
        self.kept
            .read()?
            .remove(name)
            .ok_or_else(|| Refusal::new("notebook-unknown", name))
    }

    /// Keeps a notebook. One of the same name is replaced.
    pub fn put(&self, name: &str, body: &str) -> Result<(), Refusal> {
        if !is_name(name) {
            return Err(Refusal::new("notebook-name", NAME_MAX.to_string()));
        }
        if body.len() > NOTEBOOK_MAX {
            return Err(Refusal::new("notebook-too-long", NOTEBOOK_MAX.to_string()));
        }
        let bytes_max = usize::try_from(self.kib_max)
            .unwrap_or(usize::MAX)
            .saturating_mul(1024);
        self.kept.change(|all| {
            all.insert(name.to_owned(), body.to_owned());
            let bytes: usize = all.iter().map(|(n, body)| n.len() + body.len()).sum();
            if bytes > bytes_max {
                return Err(Refusal::new(
                    "notebooks-full",
                    format!("{} KiB", self.kib_max),
                ));
            }
            match all.len() > NOTEBOOKS_MAX {
                true => Err(Refusal::new("notebooks-full", NOTEBOOKS_MAX.to_string())),
                false => Ok(()),
            }
        })
    }

    /// Erases a notebook.
    pub fn remove(&self, name: &str) -> Result<(), Refusal> {
        self.kept.change(|all| match all.remove(name) {
            Some(_) => Ok(()),
            None => Err(Refusal::new("notebook-unknown", name)),
        })
    }
}

/// What a list can show on one line.
fn is_name(name: &str) -> bool {
    let length = name.chars().count();
    (1..=NAME_MAX).contains(&length) && crate::plain(name, NAME_MAX) == name && name.trim() == name
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_types::{DatasetId, KeyText};
    use kekkai_worker_api::FileKey;

    fn keys() -> Vec<FileKey> {
        vec![FileKey {
            dataset: DatasetId::new("d").unwrap(),
            version: 1,
            key: KeyText::new([7; 32]),
        }]
    }

    fn open(dir: &Path, kind: Kind, kib_max: u32) -> Notebooks {
        let agreement = AgreementId::new("g1").unwrap();
        let person = PersonId::new("sato").unwrap();
        let key = KeptKey::derive(kind, &keys(), &agreement, &person).unwrap();
        Notebooks::new(dir, key, &agreement, &person, kib_max)
    }

    #[test]
    fn notebooks_are_there_again_and_nowhere_in_plain() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), Kind::Notebooks, 8)
            .put("受診の推移", "secret plan")
            .unwrap();
        let again = open(dir.path(), Kind::Notebooks, 8);
        assert_eq!(again.names().unwrap(), ["受診の推移"]);
        assert_eq!(again.get("受診の推移").unwrap(), "secret plan");
        let file = std::fs::read(dir.path().join("g1/sato.notebooks")).unwrap();
        assert!(!file.windows(6).any(|w| w == b"secret"));
        // The key of scripts, made of the same data keys, is another.
        assert!(open(dir.path(), Kind::Scripts, 8).names().is_err());
        again.remove("受診の推移").unwrap();
        assert_eq!(
            again.get("受診の推移").unwrap_err().code,
            "notebook-unknown"
        );
    }

    #[test]
    fn notebooks_over_the_agreements_quota_are_refused_and_the_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let notebooks = open(dir.path(), Kind::Notebooks, 2);
        notebooks.put("a", &"x".repeat(1_500)).unwrap();
        let refusal = notebooks.put("b", &"x".repeat(600)).unwrap_err();
        assert_eq!(refusal, Refusal::new("notebooks-full", "2 KiB"));
        assert_eq!(notebooks.names().unwrap(), ["a"]);
        // What takes its own place is not counted twice.
        notebooks.put("a", &"y".repeat(1_600)).unwrap();
        let long = "x".repeat(NOTEBOOK_MAX + 1);
        assert_eq!(
            notebooks.put("c", &long).unwrap_err().code,
            "notebook-too-long"
        );
    }

    #[test]
    fn names_that_no_line_can_show_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let notebooks = open(dir.path(), Kind::Notebooks, 8);
        for name in ["", " ", "a\n", "\u{202e}a", &"長".repeat(65)] {
            assert_eq!(
                notebooks.put(name, "").unwrap_err().code,
                "notebook-name",
                "{name:?}"
            );
        }
        notebooks.put(&"長".repeat(64), "").unwrap();
    }
}
