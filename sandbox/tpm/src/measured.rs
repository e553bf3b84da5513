//! From `kekkai-measure` to the server that it executes: the bytes that were measured, not their paths.
//!
//! What was measured lies in sealed memory files. Their descriptor numbers travel in one environment
//! variable; the descriptors stay open across `execve`. The server takes its configuration and its
//! session images from there and nowhere else, so nobody can exchange a file after it was measured.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, RawFd};

use kekkai_attest::{ComponentKind, Measurement};
use kekkai_types::Digest;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use serde::{Deserialize, Serialize};

use crate::config::Connection;
use crate::error::TpmError;

/// The environment variable that names what was handed over.
pub const VARIABLE: &str = "KEKKAI_MEASURED";
/// The longest value of [`VARIABLE`], in bytes.
const VARIABLE_MAX: usize = 64 * 1024;
/// The longest configuration, in bytes.
pub const CONFIGURATION_MAX: u64 = 1024 * 1024;
/// The largest measured binary or session image, in bytes.
pub const IMAGE_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// What [`VARIABLE`] holds, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// Where the TPM is reached.
    pub connection: Connection,
    /// What was measured, in order, and the descriptor of each; the binary's is -1: it is what runs.
    pub components: Vec<(Measurement, RawFd)>,
}

/// What was measured and handed over.
#[derive(Debug)]
pub struct Measured {
    /// Where the TPM is reached.
    pub connection: Connection,
    /// For [`crate::Tpm::quote`].
    pub event_log: Vec<Measurement>,
    /// The configuration's text.
    pub configuration: String,
    /// The session images by name: sealed memory files, closed on exec.
    pub images: BTreeMap<String, File>,
}

/// The seals of a memory file that nobody can change any more.
pub const SEALS: SealFlag = SealFlag::F_SEAL_SEAL
    .union(SealFlag::F_SEAL_SHRINK)
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_WRITE);

/// Writes [`VARIABLE`]'s value.
pub fn hand_over(handover: &Handover) -> Result<String, TpmError> {
    serde_json::to_string(handover).map_err(|error| TpmError::NotMeasured(error.to_string()))
}

/// Takes what `kekkai-measure` handed over. Call it first, once, before any thread starts or any file
/// opens: it closes the descriptors that it was given and keeps its own.
///
/// Every sealed file is hashed again: the event log, which names the bytes that the PCRs hold, is
/// about exactly these files.
pub fn take() -> Result<Measured, TpmError> {
    let text = std::env::var(VARIABLE)
        .map_err(|_| refused(format!("the environment has no {VARIABLE}")))?;
    if text.len() > VARIABLE_MAX {
        return Err(refused(format!("{VARIABLE} is too long")));
    }
    let handover: Handover =
        serde_json::from_str(&text).map_err(|error| refused(format!("{VARIABLE}: {error}")))?;

    let mut configuration = None;
    let mut images = BTreeMap::new();
    let mut event_log = Vec::new();
    for (measurement, descriptor) in handover.components {
        match measurement.kind {
            ComponentKind::Binary => name_process(&measurement.name),
            ComponentKind::Configuration => {
                let mut file = adopt(descriptor, &measurement, CONFIGURATION_MAX)?;
                let mut text = String::new();
                file.read_to_string(&mut text)
                    .map_err(|error| refused(format!("the configuration: {error}")))?;
                if configuration.replace(text).is_some() {
                    return Err(refused("two configurations".to_owned()));
                }
            }
            ComponentKind::SessionImage => {
                let file = adopt(descriptor, &measurement, IMAGE_MAX)?;
                if images.insert(measurement.name.clone(), file).is_some() {
                    return Err(refused(format!("{:?} twice", measurement.name)));
                }
            }
        }
        event_log.push(measurement);
    }
    Ok(Measured {
        connection: handover.connection,
        event_log,
        configuration: configuration.ok_or_else(|| refused("no configuration".to_owned()))?,
        images,
    })
}

/// A process that was executed from memory is named after a descriptor: gives it back its name, which
/// administrators look for. The kernel keeps 15 bytes of it.
fn name_process(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        let _cosmetic = nix::sys::prctl::set_name(&name);
    }
}

/// Opens an inherited descriptor anew, closed on exec, and closes the inherited one.
fn adopt(descriptor: RawFd, measurement: &Measurement, max: u64) -> Result<File, TpmError> {
    let name = &measurement.name;
    // 0 to 2 are the standard streams, whatever the variable says.
    if descriptor <= 2 {
        return Err(refused(format!("{name:?} has no descriptor")));
    }
    let file = File::open(format!("/proc/self/fd/{descriptor}"))
        .map_err(|error| refused(format!("{name:?}: {error}")))?;
    nix::unistd::close(descriptor).map_err(|error| refused(format!("{name:?}: {error}")))?;
    let seals = fcntl(&file, FcntlArg::F_GET_SEALS)
        .map_err(|_| refused(format!("{name:?} is not a memory file")))?;
    if !SealFlag::from_bits_retain(seals).contains(SEALS) {
        return Err(refused(format!("{name:?} is not sealed")));
    }
    if hash(&file, max)? != measurement.digest {
        return Err(refused(format!("{name:?} is not what was measured")));
    }
    Ok(file)
}

/// Hashes a file from its beginning, and leaves its position there.
fn hash(file: &File, max: u64) -> Result<Digest, TpmError> {
    use std::os::unix::fs::FileExt;

    use sha2::{Digest as _, Sha256};

    let failed =
        |error: std::io::Error| refused(format!("descriptor {}: {error}", file.as_raw_fd()));
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut offset = 0_u64;
    loop {
        let length = file.read_at(&mut buffer, offset).map_err(failed)?;
        let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        hasher.update(read);
        offset = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if offset > max {
            return Err(refused(format!("more than {max} bytes")));
        }
    }
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

fn refused(why: String) -> TpmError {
    TpmError::NotMeasured(why)
}
