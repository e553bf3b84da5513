//! What can go wrong, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the ledger did not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The caller's entry is longer than the format can say.
    #[error("the entry has {0} bytes, at most 65535 are allowed")]
    EntryTooLarge(usize),
    /// The caller's entries are too many for one checkpoint.
    #[error("{0} entries in one call, at most {max} are allowed", max = crate::APPEND_MANY_MAX)]
    TooManyEntries(usize),
    /// The caller asks for entries that are not there.
    #[error("entries {from} to {to} were asked for, the ledger has {size}")]
    OutOfRange {
        /// The first that was asked for.
        from: u64,
        /// The first that was not asked for.
        to: u64,
        /// Entries in the ledger.
        size: u64,
    },
    /// The operator's signing key is not one. It isn't quoted.
    #[error("the signing key is malformed: a C2SP note key (PRIVATE+KEY+NAME+ID+KEY) is expected")]
    SignerKey,
    /// A key name that a signed note can't carry.
    #[error("\"{0}\" can't name a key: it must not be empty nor hold spaces or '+'")]
    KeyName(String),
    /// The operating system has no randomness for us.
    #[error("no randomness")]
    Randomness,
    /// Another process has the ledger open.
    #[error("\"{}\" is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The disk refused.
    #[error("\"{}\" can't be {verb}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        verb: &'static str,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The files are not a ledger that this key signed, or the witness knows of another.
    #[error("the ledger's files don't agree")]
    Inconsistent(#[source] Arc<VerifyError>),
    /// A write failed earlier: what is on the disk is unknown until the ledger is opened again.
    #[error("the ledger stopped after a write failed; open it again")]
    Stopped,
}

impl LedgerError {
    pub(crate) fn io<'a>(
        path: &'a Path,
        verb: &'static str,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            path: path.to_owned(),
            verb,
            source: Arc::new(source),
        }
    }
}

impl From<VerifyError> for LedgerError {
    fn from(error: VerifyError) -> Self {
        Self::Inconsistent(Arc::new(error))
    }
}

/// What is wrong with a log, and where. Paths are relative to the log's directory.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The verifier's key is not one.
    #[error("the verifier key is malformed: NAME+ID+KEY is expected")]
    VerifierKey,
    /// A file can't be read.
    #[error("\"{}\" can't be read", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no checkpoint: nothing says what the log holds.
    #[error("\"checkpoint\" is missing")]
    CheckpointMissing,
    /// The checkpoint isn't a signed note with origin, size and root.
    #[error("\"checkpoint\" is malformed")]
    CheckpointMalformed,
    /// The checkpoint carries no valid signature of the key.
    #[error("\"checkpoint\" is not signed by \"{key}\"")]
    CheckpointSignature {
        /// The key's name.
        key: String,
    },
    /// The checkpoint is another log's.
    #[error("\"checkpoint\" is of \"{found}\", not of \"{expected}\"")]
    CheckpointOrigin {
        /// The key's name.
        expected: String,
        /// What it says.
        found: String,
    },
    /// A file that the checkpoint needs is not there.
    #[error("\"{path}\" is missing")]
    Missing {
        /// Which.
        path: String,
    },
    /// A tile was cut or something was added to it.
    #[error("\"{path}\" has {found} bytes instead of {expected}: cut, or something was added")]
    TileLength {
        /// Which.
        path: String,
        /// Bytes that its width asks for.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// An entry bundle ends inside an entry.
    #[error("\"{path}\" ends inside or before entry {entry}: truncated, or a length was changed")]
    BundleTruncated {
        /// Which.
        path: String,
        /// The entry's index in the log.
        entry: u64,
    },
    /// An entry bundle has more bytes than entries.
    #[error("\"{path}\" has {bytes} bytes after its last entry")]
    BundleTrailing {
        /// Which.
        path: String,
        /// How many.
        bytes: u64,
    },
    /// An entry is not what was logged; the tree above it is whole.
    #[error("entry {entry} in \"{path}\" was changed, removed or moved")]
    Entry {
        /// Which.
        path: String,
        /// The entry's index in the log.
        entry: u64,
    },
    /// A tile is not what the log had; what is below it is whole.
    #[error("\"{path}\" does not fit: its hash {hash} is not that of entries {first} to {last}")]
    Tile {
        /// Which.
        path: String,
        /// Counted from 0 in the tile.
        hash: usize,
        /// The first entry that the hash stands for.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// An entry and its hash differ, and neither fits the tree above.
    #[error("entry {entry} and its hash in \"{path}\" differ, and neither fits the tree")]
    Both {
        /// The tile.
        path: String,
        /// The entry's index in the log.
        entry: u64,
    },
    /// Entries and tiles agree with each other, but not with the checkpoint.
    #[error("the {size} entries are not those that the checkpoint was signed for")]
    Root {
        /// Entries by the checkpoint.
        size: u64,
    },
    /// A partial tile of an earlier checkpoint differs from what came later.
    #[error("\"{path}\", kept for an earlier checkpoint, was changed")]
    OlderPartial {
        /// Which.
        path: String,
    },
    /// A file that isn't a tile lies among the tiles.
    #[error("\"{path}\" is not part of a log")]
    Foreign {
        /// Which.
        path: String,
    },
    /// There are more entries after the checkpoint than a killed writer can leave.
    #[error("\"{path}\" lies far after the checkpoint's {size} entries: was the log cut back?")]
    CutBack {
        /// The file.
        path: String,
        /// Entries by the checkpoint.
        size: u64,
    },
    /// The witness file disagrees.
    #[error("line {line} of the witness \"{}\": {fault}", path.display())]
    Witness {
        /// The witness file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// How.
        fault: WitnessFault,
    },
}

/// How a witness file disagrees with the log, or with itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessFault {
    /// The file is missing or empty though the log has entries.
    #[error("there is none, though the log has {size} entries")]
    Absent {
        /// Entries by the checkpoint.
        size: u64,
    },
    /// Not a line that this program writes.
    #[error("malformed")]
    Malformed,
    /// The line before it is not the one that was there when it was written.
    #[error("a line before it was changed, removed or moved")]
    Chain,
    /// Sizes must grow.
    #[error("its size {size} is not above that of the line before it")]
    Order {
        /// What it says.
        size: u64,
    },
    /// The newest checkpoint is not signed by the key.
    #[error("its checkpoint is not signed by the log's key")]
    Signature,
    /// The log is shorter than what was witnessed.
    #[error("it saw {witnessed} entries, the log has {size}: the log was cut back")]
    Ahead {
        /// Entries by the witness.
        witnessed: u64,
        /// Entries by the checkpoint.
        size: u64,
    },
    /// The log's first entries are not those that were witnessed.
    #[error("it saw another root at {size} entries: the log was rewritten")]
    Rewritten {
        /// Entries by the witness.
        size: u64,
    },
    /// Bytes after the last line that no interrupted write explains.
    #[error("unfinished in a way that no interrupted write explains")]
    Unfinished,
    /// A partial tile that this checkpoint needs is gone.
    #[error("\"{path}\", which its checkpoint needs, is missing")]
    PartialMissing {
        /// Which.
        path: String,
    },
}
