//! Files copied into memory that nobody can change any more.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use kekkai_tpm::measured::SEALS;
use kekkai_types::Digest;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use sha2::{Digest as _, Sha256};

/// `MFD_EXEC` of `linux/memfd.h`.
const MFD_EXEC: MFdFlags = MFdFlags::from_bits_retain(0x0010);

/// Why a file can't be measured.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file can't be read.
    #[error("\"{}\" can't be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Larger than allowed.
    #[error("\"{0}\" has more than {1} bytes")]
    TooLarge(String, u64),
    /// The kernel refused a sealed memory file.
    #[error("no sealed memory for \"{name}\"")]
    Kernel {
        /// For what.
        name: String,
        /// The cause.
        source: Errno,
    },
    /// Writing or reading the memory file failed.
    #[error("the memory of \"{name}\" can't be used")]
    Memory {
        /// Of what.
        name: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// A sealed memory file and the digest of what it holds.
#[derive(Debug)]
pub struct Sealed {
    file: File,
    digest: Digest,
}

impl Sealed {
    /// Copies a file of at most `max` bytes.
    pub fn copy_of(name: &str, path: &Path, max: u64) -> Result<Self, MemoryError> {
        let unreadable = |source| MemoryError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let source = File::open(path).map_err(unreadable)?;
        let mut memory = create(name)?;
        let copied = std::io::copy(&mut source.take(max.saturating_add(1)), &mut memory)
            .map_err(unreadable)?;
        if copied > max {
            return Err(MemoryError::TooLarge(name.to_owned(), max));
        }
        seal(name, memory)
    }

    /// Copies bytes.
    pub fn of(name: &str, bytes: &[u8]) -> Result<Self, MemoryError> {
        let mut memory = create(name)?;
        memory
            .write_all(bytes)
            .map_err(|source| MemoryError::Memory {
                name: name.to_owned(),
                source,
            })?;
        seal(name, memory)
    }

    /// SHA-256 of the sealed bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Lets the descriptor survive `execve`; its number.
    pub fn inherit(&self) -> Result<RawFd, Errno> {
        fcntl(&self.file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(self.file.as_raw_fd())
    }
}

impl AsFd for Sealed {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn create(name: &str) -> Result<File, MemoryError> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Linux 6.3 and later want it said that a memory file will be executed; earlier ones don't know the
    // flag.
    let descriptor: OwnedFd = memfd_create(name, flags | MFD_EXEC)
        .or_else(|errno| match errno {
            Errno::EINVAL => memfd_create(name, flags),
            other => Err(other),
        })
        .map_err(|source| MemoryError::Kernel {
            name: name.to_owned(),
            source,
        })?;
    Ok(File::from(descriptor))
}

/// Seals first and hashes then: the digest is of bytes that can't change any more.
fn seal(name: &str, mut memory: File) -> Result<Sealed, MemoryError> {
    fcntl(&memory, FcntlArg::F_ADD_SEALS(SEALS)).map_err(|source| MemoryError::Kernel {
        name: name.to_owned(),
        source,
    })?;
    let failed = |source| MemoryError::Memory {
        name: name.to_owned(),
        source,
    };
    memory.rewind().map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = memory.read(&mut buffer).map_err(failed)?;
        match buffer.get(..length) {
            None | Some([]) => break,
            Some(read) => hasher.update(read),
        }
    }
    memory.rewind().map_err(failed)?;
    Ok(Sealed {
        file: memory,
        digest: Digest::from_bytes(hasher.finalize().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_memory_can_not_be_written_grown_or_unsealed() {
        let sealed = Sealed::of("test", b"measured").unwrap();
        assert_eq!(sealed.digest(), Digest::of(b"measured"));
        let mut file = sealed.file.try_clone().unwrap();
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
        assert!(file.set_len(100).is_err());
        // Not even through a path to it.
        let path = format!("/proc/self/fd/{}", sealed.file.as_raw_fd());
        let reopened = File::options().write(true).open(path);
        assert!(reopened.and_then(|mut file| file.write_all(b"x")).is_err());
    }

    #[test]
    fn file_beyond_the_bound_is_refused() {
        let refused = Sealed::copy_of("zero", Path::new("/dev/zero"), 4096);
        assert!(matches!(refused, Err(MemoryError::TooLarge(_, 4096))));
    }
}
