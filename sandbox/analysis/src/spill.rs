//! The file that a session spills into: on this server's own disk, empty, without a name.
//!
//! The jailed worker seals what it writes there under a key that is nowhere else. Without a name the file is
//! gone with the last process that holds it, however those end: a start after a power cut finds nothing.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

/// Where sessions spill, and how much each may.
#[derive(Debug, Clone)]
pub struct SpillPlace {
    dir: PathBuf,
    bytes_max: u64,
}

impl SpillPlace {
    /// Makes the folder, which nobody else may enter.
    pub fn prepare(dir: PathBuf, bytes_max: u64) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        std::fs::set_permissions(&dir, Permissions::from_mode(0o700))?;
        let place = Self { dir, bytes_max };
        // A file system that has no nameless files is found out now, not by the first session.
        place.open()?;
        Ok(place)
    }

    /// What a session may spill, in bytes.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// A file for one session.
    pub fn open(&self) -> io::Result<File> {
        nameless(&self.dir)
    }
}

/// `O_EXCL` beside `O_TMPFILE`: nobody can give it a name later.
fn nameless(dir: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_TMPFILE | libc::O_EXCL)
        .open(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn file_has_no_name_and_its_bytes_are_free_when_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let place = SpillPlace::prepare(dir.path().join("spill"), 1 << 20).unwrap();
        let mut file = place.open().unwrap();
        file.write_all(b"sealed").unwrap();
        let found = file.metadata().unwrap();
        assert_eq!((found.nlink(), found.len()), (0, 6));
        assert_eq!(found.mode() & 0o777, 0o600);
        let folder = dir.path().join("spill");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        // Nobody brings it back under a name.
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        let linked = nix::unistd::linkat(
            nix::fcntl::AT_FDCWD,
            link.as_str(),
            nix::fcntl::AT_FDCWD,
            &folder.join("name"),
            nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW,
        );
        assert!(linked.is_err());
    }

    #[test]
    fn place_that_is_no_folder_is_found_out_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert!(SpillPlace::prepare(file.join("spill"), 1).is_err());
    }
}
