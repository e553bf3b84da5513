//! From an approval to a signed file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kekkai_types::Digest;

use crate::approval::{Approval, Candidate};
use crate::document::{
    BundleError, Document, FORMAT, File, Payload, READMES, Record, malformed, signed_bytes,
};
use crate::key::ReleaseSigner;
use crate::readme;
use crate::subject::{self, Subject};

/// Every byte that will leave, before the ledger has said so.
#[derive(Debug)]
#[must_use = "a release that isn't signed releases nothing"]
pub struct Release {
    payload: Payload,
    bytes: Vec<u8>,
}

impl Release {
    /// Spends an approval. Fails unless it is about this very candidate.
    pub fn prepare(approval: Approval, candidate: &Candidate<'_>) -> Result<Self, BundleError> {
        let digest = candidate.content.digest()?;
        if approval.output != *candidate.output || approval.digest != digest {
            return Err(BundleError::OtherApproval);
        }
        let record = Record {
            output: approval.output,
            agreement: candidate.agreement.clone(),
            digest,
            subject: Subject::of(candidate.content)?,
            checks: candidate.report.clone(),
            reviewers: approval.reviewers,
            submitted: candidate.submitted,
            accepted: approval.voted,
        };
        let contents = subject::contents(candidate.content)?;
        let mut files: Vec<File> = record
            .subject
            .files()
            .iter()
            .zip(&contents)
            .map(|(name, bytes)| file(name, bytes))
            .collect();
        let readmes = [
            readme::english(&record, &files),
            readme::japanese(&record, &files),
        ];
        for (name, text) in READMES.iter().zip(&readmes) {
            files.push(file(name, text.as_bytes()));
        }
        let payload = Payload {
            format: FORMAT.to_owned(),
            files,
            record,
        };
        let bytes = payload.to_bytes()?;
        Ok(Self { payload, bytes })
    }

    /// Takes a prepared release up again after a restart, with an approval granted anew from the
    /// stored votes. The bytes are those that the ledger may already name.
    pub fn resume(approval: Approval, bytes: &[u8]) -> Result<Self, BundleError> {
        let payload: Payload = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
        let record = &payload.record;
        let is_same = record.output == approval.output
            && record.digest == approval.digest
            && record.reviewers == approval.reviewers
            && record.accepted == approval.voted;
        if !is_same {
            return Err(BundleError::OtherApproval);
        }
        if payload.to_bytes()? != bytes {
            return Err(BundleError::NotCanonical);
        }
        Ok(Self {
            payload,
            bytes: bytes.to_vec(),
        })
    }

    /// What the ledger's `OutputReleased` entry names as the bundle.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// For keeping until the ledger has answered; confidential like the output itself.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes the bundle, once the ledger's entry has an index. The same release, key and index
    /// always give the same bytes.
    pub fn sign(self, signer: &ReleaseSigner, ledger_index: u64) -> Result<Vec<u8>, BundleError> {
        let signature = signer.sign(&signed_bytes(&self.digest(), ledger_index));
        let Payload {
            format,
            files,
            record,
        } = self.payload;
        Document {
            format,
            files,
            record,
            ledger_index,
            signature,
        }
        .to_bytes()
    }
}

fn file(name: &str, bytes: &[u8]) -> File {
    File {
        name: name.to_owned(),
        sha256: Digest::of(bytes),
        base64: STANDARD.encode(bytes),
    }
}
