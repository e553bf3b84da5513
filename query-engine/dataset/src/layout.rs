//! Where things lie: `ROOT/DATASET/VERSION/TABLE/part-00000.parquet`, `catalog.json`,
//! `wrapped-keys.json`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kekkai_types::{DatasetCatalog, DatasetId, WrappedKey};

/// The catalogue's file, in the version's folder.
pub const CATALOG: &str = "catalog.json";
/// The wrapped keys' file, in the version's folder. Wrapped: it opens nothing by itself.
pub const WRAPPED_KEYS: &str = "wrapped-keys.json";
/// The largest catalogue, in bytes.
pub const CATALOG_MAX: u64 = 64 * 1024 * 1024;

/// Why a catalogue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// It is not there, or not readable.
    #[error("\"{path}\" can't be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a catalogue.
    #[error("\"{path}\" is malformed")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Larger than [`CATALOG_MAX`].
    #[error("\"{path}\" is larger than {CATALOG_MAX} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// The folder of one version of a dataset.
pub fn version_folder(root: &Path, dataset: &DatasetId, version: u32) -> PathBuf {
    root.join(dataset.as_str()).join(version.to_string())
}

/// The catalogue's name for a file of a table: `TABLE/part-00000.parquet`.
pub fn part_name(table: &str, part: usize) -> String {
    format!("{table}/part-{part:05}.parquet")
}

/// The name of sorted rows that are set aside while a table is written: `TABLE/run-00000.parquet`. No version
/// that is whole has one.
pub(crate) fn run_name(table: &str, run: usize) -> String {
    format!("{table}/run-{run:05}.parquet")
}

/// Reads the catalogue in a version's folder.
///
/// # Errors
/// When the file is not there, too large, or not a catalogue.
pub fn read_catalog(folder: &Path) -> Result<DatasetCatalog, LayoutError> {
    read(&folder.join(CATALOG))
}

/// Reads the wrapped keys in a version's folder.
///
/// # Errors
/// When the file is not there, too large, or malformed.
pub fn read_wrapped_keys(folder: &Path) -> Result<Vec<WrappedKey>, LayoutError> {
    read(&folder.join(WRAPPED_KEYS))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, LayoutError> {
    let failed = |source| LayoutError::Read {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > CATALOG_MAX {
        return Err(LayoutError::TooLarge {
            path: path.to_owned(),
        });
    }
    let text = fs::read(path).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|source| LayoutError::Malformed {
        path: path.to_owned(),
        source,
    })
}
