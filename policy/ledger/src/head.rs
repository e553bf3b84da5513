//! A tree head and the signed note that says it: a checkpoint.

use signed_note::{Note, NoteError, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint, Hash};

use crate::VerifyError;
use crate::key::name_of;

/// Size and root of a log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// Says whether a checkpoint is this log's.
pub(crate) struct Judge {
    name: String,
    known: VerifierList,
}

impl Judge {
    pub(crate) fn new(vkey: &str) -> Result<Self, VerifyError> {
        let verifier = StandardVerifier::new(vkey).map_err(|_| VerifyError::VerifierKey)?;
        Ok(Self {
            name: name_of(vkey).to_owned(),
            known: VerifierList::new(vec![Box::new(verifier)]),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The head that a checkpoint says, once its signature is verified.
    pub(crate) fn open(&self, note: &[u8]) -> Result<Head, VerifyError> {
        let note = Note::from_bytes(note).map_err(|_| VerifyError::CheckpointMalformed)?;
        note.verify(&self.known).map_err(|error| match error {
            NoteError::MalformedNote => VerifyError::CheckpointMalformed,
            _ => VerifyError::CheckpointSignature {
                key: self.name.clone(),
            },
        })?;
        // Nothing in the text is looked at before its signature is.
        let checkpoint =
            Checkpoint::from_bytes(note.text()).map_err(|_| VerifyError::CheckpointMalformed)?;
        if checkpoint.origin() != self.name {
            return Err(VerifyError::CheckpointOrigin {
                expected: self.name.clone(),
                found: checkpoint.origin().to_owned(),
            });
        }
        Ok(Head {
            size: checkpoint.size(),
            root: *checkpoint.hash(),
        })
    }
}

/// What a checkpoint says, whoever signed it.
pub(crate) fn unverified(note: &[u8]) -> Result<Head, VerifyError> {
    let malformed = |_| VerifyError::CheckpointMalformed;
    let note = Note::from_bytes(note).map_err(|_| VerifyError::CheckpointMalformed)?;
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(malformed)?;
    Ok(Head {
        size: checkpoint.size(),
        root: *checkpoint.hash(),
    })
}

/// Signs a head. `None` is a bug: the key's name was checked when it was read.
pub(crate) fn sign(signer: &StandardSigner, origin: &str, head: Head) -> Option<Vec<u8>> {
    let checkpoint = Checkpoint::new(origin, head.size, head.root, "").ok()?;
    let mut note = Note::new(&checkpoint.to_bytes(), &[]).ok()?;
    note.add_sigs(&[signer]).ok()?;
    Some(note.to_bytes())
}
