//! Sealed memory: a file's bytes as they were when they were measured, changeable by nobody.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// `MFD_EXEC` of linux/memfd.h, since Linux 6.3.
const MFD_EXEC: u32 = 0x10;
/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;

fn seals() -> SealFlag {
    SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE
}

/// Copies `source` into a sealed memory file that can be executed. `seen` is shown each piece as
/// it is copied, so that what is measured is what is sealed. Fails beyond `limit` bytes.
pub fn seal(
    name: &str,
    source: &mut impl Read,
    limit: u64,
    mut seen: impl FnMut(&[u8]),
) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Where the system's default is "not executable", it must be asked for; older kernels don't
    // know the flag and don't need it.
    let executable = MFdFlags::from_bits_retain(MFD_EXEC);
    let fd = match memfd_create(name, flags | executable) {
        Err(nix::errno::Errno::EINVAL) => memfd_create(name, flags)?,
        other => other?,
    };
    let mut file = std::fs::File::from(fd);
    let mut piece = vec![0; COPY_BYTES];
    let mut total: u64 = 0;
    loop {
        let n = match source.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let Some(bytes) = piece.get(..n).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        total = total.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        if total > limit {
            return Err(io::Error::other(format!("more than {limit} bytes")));
        }
        seen(bytes);
        file.write_all(bytes)?;
    }
    file.seek(SeekFrom::Start(0))?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals()))?;
    Ok(file.into())
}

/// Memory that a jailed process writes to, to be copied into sealed memory when it is gone.
pub fn unsealed(name: &str) -> io::Result<OwnedFd> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?)
}

/// Memory of a length that nobody can change, which a jailed process writes to: whoever reads it never
/// finds it shorter. It takes room where it is written to only.
pub fn of_fixed_length(name: &str, bytes: u64) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = std::fs::File::from(memfd_create(name, flags)?);
    file.set_len(bytes)?;
    let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// A second description of the same memory, for reading, with a place of its own: who reads by the one
/// does not move the other. Within `/proc` only.
pub fn reopened(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(std::fs::File::open(path)?.into())
}

/// Whether a descriptor is memory that nobody can change any more.
pub fn is_sealed(fd: BorrowedFd<'_>) -> bool {
    fcntl(fd.as_fd(), FcntlArg::F_GET_SEALS)
        .is_ok_and(|bits| SealFlag::from_bits_retain(bits).contains(seals()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_memory_cannot_be_changed() {
        let mut seen = Vec::new();
        let fd = seal("image", &mut &b"measured"[..], 100, |b| {
            seen.extend_from_slice(b)
        })
        .unwrap();
        assert_eq!(seen, b"measured");
        assert!(is_sealed(fd.as_fd()));
        let mut file = std::fs::File::from(fd);
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "measured");
        assert!(file.set_len(1).is_err());
        file.seek(SeekFrom::Start(0)).unwrap();
        assert!(file.write_all(b"x").is_err());
    }

    #[test]
    fn memory_of_fixed_length_is_written_and_neither_cut_nor_grown() {
        let file = std::fs::File::from(of_fixed_length("pixels", 4096).unwrap());
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", 4095).unwrap();
        assert!(std::os::unix::fs::FileExt::write_all_at(&file, b"x", 4096).is_err());
        assert!(file.set_len(1).is_err());
        assert!(file.set_len(8192).is_err());
    }

    #[test]
    fn reopened_memory_has_a_place_of_its_own() {
        let fd = seal("font", &mut &b"glyphs"[..], 100, |_| ()).unwrap();
        let (mut one, mut two) = (
            std::fs::File::from(reopened(fd.as_fd()).unwrap()),
            std::fs::File::from(reopened(fd.as_fd()).unwrap()),
        );
        for file in [&mut one, &mut two] {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "glyphs");
        }
        assert!(one.write_all(b"x").is_err());
    }

    #[test]
    fn files_beyond_the_limit_are_refused() {
        assert!(seal("image", &mut &b"123"[..], 2, |_| ()).is_err());
    }

    #[test]
    fn plain_file_is_not_sealed() {
        assert!(!is_sealed(
            std::fs::File::open("/dev/null").unwrap().as_fd()
        ));
    }
}
