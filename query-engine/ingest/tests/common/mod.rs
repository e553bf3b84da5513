//! What the tests of this crate share.
#![allow(dead_code, reason = "each test uses its own part")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Kem as _, Serializable as _};
use kekkai_dataset::{FilePlace, Manifest, open_reader, unwrap_with_recovery};
use kekkai_ingest::{IngestError, Ingested, PseudonymKey, ingest};
use kekkai_types::{KeyText, Recipient};

/// A recovery key.
pub(crate) struct Recovery {
    pub(crate) private: KeyText,
    pub(crate) public: Vec<u8>,
}

impl Recovery {
    pub(crate) fn new() -> Self {
        let (private, public) = DhP256HkdfSha256::gen_keypair();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&private.to_bytes());
        Self {
            private: KeyText::new(bytes),
            public: public.to_bytes().to_vec(),
        }
    }

    pub(crate) fn dataset_key(&self, ingested: &Ingested) -> KeyText {
        unwrap_with_recovery(&self.private, &ingested.keys[0]).unwrap()
    }

    /// All rows of a table, decrypted.
    pub(crate) fn table(&self, ingested: &Ingested, table: &str) -> Vec<RecordBatch> {
        let key = self.dataset_key(ingested);
        let catalog = &ingested.catalog;
        let table = catalog.tables.iter().find(|t| t.name == table).unwrap();
        table
            .files
            .iter()
            .flat_map(|entry| {
                let place = FilePlace::new(&catalog.id, catalog.version, &entry.name);
                let file = File::open(ingested.folder.join(&entry.name)).unwrap();
                open_reader(file, &key, &place)
                    .unwrap()
                    .build()
                    .unwrap()
                    .map(Result::unwrap)
            })
            .collect()
    }
}

/// Folders of one test.
pub(crate) struct Scene {
    pub(crate) root: tempfile::TempDir,
    pub(crate) recovery: Recovery,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("raw")).unwrap();
        Self {
            root,
            recovery: Recovery::new(),
        }
    }

    pub(crate) fn raw(&self) -> PathBuf {
        self.root.path().join("raw")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.raw().join(name), bytes).unwrap();
    }

    pub(crate) fn ingest(&self, manifest: &str) -> Result<Ingested, IngestError> {
        let manifest = Manifest::parse(manifest).unwrap();
        let key = PseudonymKey::derive(&KeyText::new([9; 32]), &manifest.id).unwrap();
        ingest(
            &manifest,
            &self.raw(),
            &self.out(),
            &[(Recipient::Recovery, self.recovery.public.clone())],
            Some(&key),
            |_| {},
        )
    }

    /// Every file below the output folder.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.out(), &mut found);
        found
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Whether `text` stands anywhere in `bytes`.
pub(crate) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
