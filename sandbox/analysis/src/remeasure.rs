//! Are the files that were measured at the start still the same on disk?
//!
//! The running code is a sealed copy, so a changed file changes nothing that runs. But it says that
//! somebody changed it, and that the next start would be another server: the change is extended into
//! the PCR and the event log, so that the verifier refuses the next quote and names the component.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kekkai_attest::{ComponentKind, Measurement};
use kekkai_tpm::{Tpm, TpmError};
use kekkai_types::Digest;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::config::Config;

/// Bytes hashed at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What tells cheaply that a file may be another one. `ctime` can't be set back by its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// One file that was measured.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// As the event log has it now.
    measured: Measurement,
    /// When it was hashed last; `None` until then, and while it can't be read.
    stamp: Option<Stamp>,
}

/// The files behind an event log, and the log itself.
#[derive(Debug)]
pub struct Watch {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    files: Vec<Watched>,
    event_log: Vec<Measurement>,
}

impl Watch {
    /// Watches the files that a configuration names for the components of an event log.
    pub fn new(config: &Config, event_log: Vec<Measurement>) -> Self {
        let place = |measured: &Measurement| match measured.kind {
            ComponentKind::Binary => Some(config.measure.binary.clone()),
            ComponentKind::Configuration => Some(config.configuration.clone()),
            ComponentKind::SessionImage => config.images.get(&measured.name).cloned(),
        };
        let files = event_log
            .iter()
            .filter_map(|measured| {
                Some(Watched {
                    path: place(measured)?,
                    measured: measured.clone(),
                    stamp: None,
                })
            })
            .collect();
        Self {
            state: Mutex::new(State { files, event_log }),
        }
    }

    /// Looks at each file; hashes those that may have changed. What did change is extended into the
    /// TPM first, then appended to the log. Returns the log for the next quote.
    pub async fn look(&self, tpm: &Tpm) -> Result<Vec<Measurement>, TpmError> {
        let mut state = self.state.lock().await;
        for index in 0..state.files.len() {
            let Some(watched) = state.files.get(index) else {
                break;
            };
            let (path, stamp) = (watched.path.clone(), watched.stamp);
            let seen = tokio::task::spawn_blocking(move || look_at(&path, stamp)).await;
            let (stamp, digest) = match seen {
                Ok(Ok(Seen::Same)) => continue,
                Ok(Ok(Seen::Hashed(stamp, digest))) => (Some(stamp), digest),
                // A file that can't be read is not the file that was measured.
                Ok(Err(_)) | Err(_) => (None, Digest::of(b"")),
            };
            let Some(watched) = state.files.get_mut(index) else {
                break;
            };
            if watched.measured.digest == digest {
                watched.stamp = stamp;
                continue;
            }
            let changed = Measurement {
                digest,
                ..watched.measured.clone()
            };
            tracing::error!(component = changed.name, "a measured file changed on disk");
            tpm.extend(&changed).await?;
            watched.measured = changed.clone();
            watched.stamp = stamp;
            state.event_log.push(changed);
        }
        Ok(state.event_log.clone())
    }
}

enum Seen {
    Same,
    Hashed(Stamp, Digest),
}

fn look_at(path: &Path, known: Option<Stamp>) -> io::Result<Seen> {
    let mut file = File::open(path)?;
    let stamp = Stamp::of(&file)?;
    if known == Some(stamp) {
        return Ok(Seen::Same);
    }
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let n = match file.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        match piece.get(..n).filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => hasher.update(bytes),
            None => break,
        }
    }
    Ok(Seen::Hashed(
        stamp,
        Digest::from_bytes(hasher.finalize().into()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_file_is_not_hashed_again_and_a_changed_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        std::fs::write(&path, "one").unwrap();
        let Seen::Hashed(stamp, digest) = look_at(&path, None).unwrap() else {
            panic!("not hashed")
        };
        assert_eq!(digest, Digest::of(b"one"));
        assert!(matches!(look_at(&path, Some(stamp)).unwrap(), Seen::Same));
        // The same length, and the old times put back: ctime still tells.
        let times = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, "two").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(times)
            .unwrap();
        let Seen::Hashed(_, digest) = look_at(&path, Some(stamp)).unwrap() else {
            panic!("the change was not seen")
        };
        assert_eq!(digest, Digest::of(b"two"));
    }
}
