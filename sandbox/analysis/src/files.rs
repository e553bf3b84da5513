//! Opening a session's data files: below the data directory, no links, of the right length.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kekkai_types::DatasetCatalog;
use kekkai_worker_api::{FRAME_FDS_MAX, PassedFile};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// Data files of one session: one more is passed, which statements spill into.
pub const FILES_MAX: usize = FRAME_FDS_MAX - 1;

/// Why a session's files can't be opened. Names files, never contents.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The data directory itself.
    #[error("the data directory can't be opened")]
    Directory(#[source] io::Error),
    /// A file of the catalogue.
    #[error("\"{name}\" can't be opened")]
    Open {
        /// The file below the data directory.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not a regular file, or of another length than the catalogue says.
    #[error("\"{0}\" is not the file that was ingested")]
    Differs(String),
    /// More than [`FILES_MAX`].
    #[error("the session's datasets have {0} files, at most {FILES_MAX} can be passed")]
    TooMany(usize),
}

/// A session's files, open for reading, in the order in which they are passed.
#[derive(Debug, Default)]
pub struct OpenFiles {
    /// What each is.
    pub files: Vec<PassedFile>,
    /// The descriptors.
    pub descriptors: Vec<OwnedFd>,
}

/// Opens each file that the catalogues name. Their contents are authenticated by their encryption
/// when they are read; here is only seen that they are there, whole, and regular.
pub fn open(data_dir: &Path, catalogs: &[DatasetCatalog]) -> Result<OpenFiles, FilesError> {
    let root = File::open(data_dir).map_err(FilesError::Directory)?;
    let count: usize = catalogs
        .iter()
        .flat_map(|catalog| &catalog.tables)
        .map(|table| table.files.len())
        .sum();
    if count > FILES_MAX {
        return Err(FilesError::TooMany(count));
    }
    let mut open = OpenFiles::default();
    for catalog in catalogs {
        for table in &catalog.tables {
            for entry in &table.files {
                let name = format!("{}/{}/{}", catalog.id, catalog.version, entry.name);
                open.descriptors.push(open_one(&root, &name, entry.bytes)?);
                open.files.push(PassedFile {
                    dataset: catalog.id.clone(),
                    table: table.name.clone(),
                    name: entry.name.clone(),
                    bytes: entry.bytes,
                });
            }
        }
    }
    Ok(open)
}

fn open_one(root: &File, name: &str, bytes: u64) -> Result<OwnedFd, FilesError> {
    // The catalogue comes from the policy service; its names still can't lead out of the directory.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK)
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
    let fd = openat2(root.as_fd(), name, how).map_err(|errno| FilesError::Open {
        name: name.to_owned(),
        source: errno.into(),
    })?;
    let file = File::from(fd);
    let meta = file.metadata().map_err(|source| FilesError::Open {
        name: name.to_owned(),
        source,
    })?;
    if !meta.is_file() || meta.size() != bytes {
        return Err(FilesError::Differs(name.to_owned()));
    }
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_types::{DatasetId, Digest, FileEntry, TableCatalog, Text};

    fn catalog(name: &str, bytes: u64) -> DatasetCatalog {
        DatasetCatalog {
            id: DatasetId::new("d").unwrap(),
            version: 1,
            title: Text::default(),
            description: Text::default(),
            tables: vec![TableCatalog {
                name: "t".to_owned(),
                description: Text::default(),
                person_key: None,
                columns: Vec::new(),
                files: vec![FileEntry {
                    name: name.to_owned(),
                    bytes,
                    sha256: Digest::of(b""),
                }],
                rows: 0,
            }],
        }
    }

    #[test]
    fn only_whole_regular_files_below_the_data_directory_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let table = data.join("d/1/t");
        std::fs::create_dir_all(&table).unwrap();
        std::fs::write(table.join("p"), "1234").unwrap();
        std::fs::write(dir.path().join("secret"), "1234").unwrap();
        std::os::unix::fs::symlink("p", table.join("link")).unwrap();
        std::os::unix::fs::symlink("../../../secret", table.join("out")).unwrap();

        assert_eq!(open(&data, &[catalog("t/p", 4)]).unwrap().files.len(), 1);
        assert!(matches!(
            open(&data, &[catalog("t/p", 5)]),
            Err(FilesError::Differs(_))
        ));
        assert!(matches!(
            open(&data, &[catalog("t", 4)]),
            Err(FilesError::Differs(_))
        ));
        for name in [
            "t/link",
            "t/out",
            "../../../secret",
            "../../d/../../secret",
            "/etc/passwd",
            "t/none",
        ] {
            let result = open(&data, &[catalog(name, 4)]);
            assert!(
                matches!(result, Err(FilesError::Open { .. })),
                "{name}: {result:?}"
            );
        }
    }

    #[test]
    fn more_files_than_can_be_passed_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut many = catalog("t/p", 4);
        let file = many.tables[0].files[0].clone();
        many.tables[0].files = vec![file; FILES_MAX + 1];
        assert!(matches!(
            open(dir.path(), &[many]),
            Err(FilesError::TooMany(_))
        ));
    }
}
