//! What a dataset is at rest: its manifest, its encrypted Parquet files, its wrapped keys.
//!
//! A short story. The producer's `kekkai ingest` parses a [`Manifest`], draws a dataset key, and writes
//! each table with [`TableWriter`], sorted by person, into [`EncryptedFile`]s: Parquet Modular Encryption,
//! uniform, AES-256-GCM, one fresh key per file. A file key is wrapped by the dataset key and lies in the file's footer metadata; the dataset key
//! leaves only through [`wrap_for`]. A worker that got the dataset key back hands
//! [`decryption_properties`] to its Parquet reader. Each file is bound to its [`FilePlace`]: moved to
//! another dataset, version, table or name, it does not open.
//!
//! On disk: `ROOT/DATASET/VERSION/TABLE/part-00000.parquet`, with `catalog.json`,
//! `wrapped-keys.json` and `escrow.sealed` beside the tables' folders (see [`layout`], [`escrow`]).
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod escrow;
mod file;
mod key;
pub mod layout;
mod manifest;
mod read;
mod rule;
mod table;
mod work;

pub use file::{
    EncryptedFile, FILE_TARGET_BYTES, FileError, FilePlace, ROW_GROUP_ROWS,
    plain_writer_properties, writer_properties,
};
pub use key::{KeyError, unwrap_with_recovery, wrap_for};
pub use manifest::{Column, Day, Encoding, Format, MANIFEST_MAX, Manifest, ManifestError, Table};
pub use read::{
    check_magic, decryption_properties, is_sorted_by_person, open_reader, read_metadata,
    verify_digest,
};
pub use rule::{Check, Coarsening, Rule, SqlType};
pub use table::{Merged, RUN_BYTES, TablePlace, TableWriter};
pub use work::{Work, WorkError, sync_folder};
