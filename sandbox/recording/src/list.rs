//! The recordings of a directory, by what is in the clear.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kekkai_types::{SessionId, Timestamp};

use crate::chunk::Kind;
use crate::error::Fault;
use crate::part::{Found, Part};

/// The file names' end.
pub const EXTENSION: &str = "rec";

/// A recording as its files say, which nobody has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Whose.
    pub session: SessionId,
    /// The mark of its pixels.
    pub mark: String,
    /// When it was begun.
    pub began: Timestamp,
    /// The last chunk's time.
    pub until: Option<Timestamp>,
    /// Its files, by part.
    pub paths: Vec<PathBuf>,
    /// Whole chunks.
    pub chunks: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Its recorder wrote the end.
    pub is_finished: bool,
}

/// Recordings by the time when they began, and files that are named like one and are none.
///
/// # Errors
/// The directory can't be read.
pub fn list(dir: &Path) -> Result<(Vec<Listed>, Vec<PathBuf>), Fault> {
    let in_dir = |source| Fault::File {
        path: dir.to_owned(),
        source,
    };
    let mut parts = Vec::new();
    let mut others = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(in_dir)? {
        let path = entry.map_err(in_dir)?.path();
        if path.extension().is_some_and(|e| e == EXTENSION) {
            match Part::open(&path) {
                Ok(part) => parts.push(part),
                Err(_) => others.push(path),
            }
        }
    }
    parts.sort_by_key(|part| part.header.part);
    let mut found: BTreeMap<(Timestamp, SessionId), Listed> = BTreeMap::new();
    for part in parts {
        let header = &part.header;
        let listed = found
            .entry((header.began, header.session.clone()))
            .or_insert_with(|| Listed {
                session: header.session.clone(),
                mark: header.mark.clone(),
                began: header.began,
                until: None,
                paths: Vec::new(),
                chunks: 0,
                bytes: 0,
                is_finished: false,
            });
        listed.paths.push(part.path.clone());
        listed.bytes = listed.bytes.saturating_add(part.length());
        let mut offset = part.start();
        // Where something is wrong, the list ends: `verify` says what.
        while let Ok(Found::Chunk(chunk)) = part.at(offset, listed.chunks) {
            listed.chunks = listed.chunks.saturating_add(1);
            listed.until = Some(chunk.head.at);
            listed.is_finished = chunk.head.kind == Kind::End;
            offset = chunk.end;
        }
    }
    others.sort();
    Ok((found.into_values().collect(), others))
}
