//! Trusting nothing but a public key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kekkai_types::Digest;

use crate::document::{
    BUNDLE_MAX, BundleError, Document, FORMAT, Payload, READMES, Record, malformed, signed_bytes,
};
use crate::key::ReleaseKey;

/// A release whose signature and content were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What was decided, by whom, on what grounds.
    pub record: Record,
    /// What the ledger's `OutputReleased` entry names as the bundle.
    pub digest: Digest,
    /// Where that entry stands.
    pub ledger_index: u64,
    /// Names and contents: the output's files (`output.csv`, say), then `README.md`, `README.ja.md`.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Verified {
    /// The bytes of a file; empty where there is none of that name.
    pub fn file(&self, name: &str) -> &[u8] {
        self.files
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, bytes)| bytes.as_slice())
            .unwrap_or_default()
    }

    /// The released table; empty where something else was released.
    pub fn csv(&self) -> &[u8] {
        self.file("output.csv")
    }
}

/// Verifies a bundle: its form, its files, its record, its signature.
pub fn verify(bytes: &[u8], public_key: &ReleaseKey) -> Result<Verified, BundleError> {
    if bytes.len() > BUNDLE_MAX {
        return Err(BundleError::TooLarge(bytes.len()));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
    if document.format != FORMAT {
        // The format comes from an unverified file: no more of it than a name needs.
        return Err(BundleError::Format(
            document.format.chars().take(64).collect(),
        ));
    }
    // White space, escapes and upper-case digests are other bytes of the same content: refused,
    // so that the file's own checksum identifies the release too.
    if document.to_bytes()? != bytes {
        return Err(BundleError::NotCanonical);
    }
    let Document {
        format,
        files,
        record,
        ledger_index,
        signature,
    } = document;
    let payload = Payload {
        format,
        files,
        record,
    };
    let digest = Digest::of(&payload.to_bytes()?);
    if !public_key.verifies(&signed_bytes(&digest, ledger_index), &signature) {
        return Err(BundleError::Signature);
    }
    let Payload { files, record, .. } = payload;
    let expected = record.subject.files().iter().chain(&READMES);
    if !files
        .iter()
        .map(|file| file.name.as_str())
        .eq(expected.copied())
    {
        return Err(BundleError::Files);
    }
    let mut contents = Vec::with_capacity(files.len());
    for file in files {
        let bytes = STANDARD
            .decode(&file.base64)
            .ok()
            .filter(|bytes| Digest::of(bytes) == file.sha256)
            .ok_or_else(|| BundleError::FileDigest(file.name.clone()))?;
        contents.push((file.name, bytes));
    }
    let verified = Verified {
        record,
        digest,
        ledger_index,
        files: contents,
    };
    let [first, second] = &verified.record.reviewers;
    if first == second {
        return Err(BundleError::Record("one person reviewed twice"));
    }
    if verified.record.checks.verdict == kekkai_checks::Verdict::Fail {
        return Err(BundleError::Record("its checks failed"));
    }
    Ok(verified)
}
