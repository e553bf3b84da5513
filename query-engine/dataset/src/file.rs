//! Writing encrypted Parquet.
//!
//! Uniform encryption: the file's key encrypts every column and the footer, statistics and schema with
//! it. (A column key would leave the other columns in plain text; bloom filters would too, so they are
//! off.) Keys have 256 bits, so every module is AES-256-GCM.
//!
//! The footer key's metadata is `0x01`, 12 bytes of nonce, and the file's key under AES-256-GCM by the
//! dataset's key, with the file's place as AAD: 61 bytes. The same place is the AAD prefix of every
//! module. It is not stored in the file: a reader must know which file it means to open.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use kekkai_types::{DatasetId, Digest, FileEntry, KeyText};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::read::{check_magic, read_metadata};

/// Rows in a row group, the piece that one thread, or one of several servers, reads: large, since each costs a
/// decrypted footer entry per column; not so large that a million rows keep only one thread busy.
pub const ROW_GROUP_ROWS: usize = 256 * 1024;
/// Bytes after which a table goes on in the next file. DataFusion does not cache encrypted footers, so
/// files are few and large.
pub const FILE_TARGET_BYTES: u64 = 512 * 1024 * 1024;

/// Of a page, and of a dictionary, in a file that is set aside: many of them are read at once, and each
/// keeps a page of each column in memory.
const RUN_PAGE_BYTES: usize = 64 * 1024;

/// The first byte of the footer key's metadata.
const METADATA_VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const WRAPPED_BYTES: usize = 1 + NONCE_BYTES + 32 + 16;

/// Why a data file could not be written or opened. Never holds a value of the data.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It begins or ends as plain Parquet.
    #[error("\"{file}\" is plain parquet, not encrypted")]
    NotEncrypted {
        /// Its name in the catalogue.
        file: String,
    },
    /// It begins as an encrypted file and ends otherwise.
    #[error("\"{file}\" is truncated or damaged at its end")]
    Truncated {
        /// Its name in the catalogue.
        file: String,
    },
    /// Neither.
    #[error("\"{file}\" is not an encrypted parquet file")]
    Foreign {
        /// Its name in the catalogue.
        file: String,
    },
    /// The key in the footer's metadata does not open.
    #[error("\"{file}\" does not open: another dataset, version, table or name, or another key")]
    DoesNotOpen {
        /// Its name in the catalogue.
        file: String,
    },
    /// The key opens, what follows does not authenticate or parse.
    #[error("\"{file}\" is damaged")]
    Damaged {
        /// Its name in the catalogue.
        file: String,
    },
    /// Its bytes are not those of the catalogue.
    #[error("\"{file}\" is not the file of the catalogue: its length or digest differs")]
    Differs {
        /// Its name in the catalogue.
        file: String,
    },
    /// Reading or writing failed.
    #[error("\"{file}\" can't be read or written")]
    Io {
        /// Its name in the catalogue.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The encoder refused.
    #[error("\"{file}\" can't be encoded")]
    Encode {
        /// Its name in the catalogue.
        file: String,
        /// Why: schema or options, never a value.
        source: ParquetError,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// Which file this is: the AAD of everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    dataset: DatasetId,
    version: u32,
    name: String,
}

impl FilePlace {
    /// `name` is the file's name in the catalogue: `TABLE/part-00000.parquet`, so the table is part of
    /// it.
    pub fn new(dataset: &DatasetId, version: u32, name: &str) -> Self {
        Self {
            dataset: dataset.clone(),
            version,
            name: name.to_owned(),
        }
    }

    /// The name in the catalogue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ids hold no slash and the version none either, so two places never give the same bytes.
    pub(crate) fn aad_prefix(&self) -> Vec<u8> {
        format!(
            "kekkai parquet v1/{}/{}/{}",
            self.dataset, self.version, self.name
        )
        .into_bytes()
    }

    fn wrap_aad(&self) -> Vec<u8> {
        format!(
            "kekkai file key v1/{}/{}/{}",
            self.dataset, self.version, self.name
        )
        .into_bytes()
    }

    fn wrap(&self, dataset_key: &KeyText, file_key: &KeyText) -> Result<Vec<u8>, FileError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| FileError::Randomness)?;
        let aad = self.wrap_aad();
        let sealed = Aes256Gcm::new(dataset_key.expose().into())
            .encrypt(
                &Nonce::from(nonce),
                Payload {
                    msg: file_key.expose(),
                    aad: &aad,
                },
            )
            .map_err(|_| FileError::Damaged {
                file: self.name.clone(),
            })?;
        let mut metadata = Vec::with_capacity(WRAPPED_BYTES);
        metadata.push(METADATA_VERSION);
        metadata.extend_from_slice(&nonce);
        metadata.extend_from_slice(&sealed);
        Ok(metadata)
    }

    /// Opens the footer key's metadata.
    pub(crate) fn unwrap(
        &self,
        dataset_key: &KeyText,
        metadata: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let does_not_open = || FileError::DoesNotOpen {
            file: self.name.clone(),
        };
        let rest = match metadata.split_first() {
            Some((&METADATA_VERSION, rest)) if metadata.len() == WRAPPED_BYTES => rest,
            _ => return Err(does_not_open()),
        };
        let (nonce, sealed) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(does_not_open)?;
        Aes256Gcm::new(dataset_key.expose().into())
            .decrypt(
                &Nonce::from(*nonce),
                Payload {
                    msg: sealed,
                    aad: &self.wrap_aad(),
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| does_not_open())
    }
}

/// Everything about our files but their encryption; benchmarks compare with it.
pub fn plain_writer_properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by("kekkai".to_owned())
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_bloom_filter_enabled(false)
}

/// The properties of an encrypted file, with a fresh key that `dataset_key` wraps.
///
/// The `parquet` crate holds the file's key in a plain vector while it writes; it opens that one file.
///
/// # Errors
/// When the system gives no randomness.
pub fn writer_properties(
    dataset_key: &KeyText,
    place: &FilePlace,
) -> Result<WriterProperties, FileError> {
    encrypted(plain_writer_properties(), dataset_key, place)
}

fn encrypted(
    properties: WriterPropertiesBuilder,
    dataset_key: &KeyText,
    place: &FilePlace,
) -> Result<WriterProperties, FileError> {
    let file_key = KeyText::random().map_err(|_| FileError::Randomness)?;
    let metadata = place.wrap(dataset_key, &file_key)?;
    let encryption = FileEncryptionProperties::builder(file_key.expose().to_vec())
        .with_footer_key_metadata(metadata)
        .with_aad_prefix(place.aad_prefix())
        .with_aad_prefix_storage(false)
        .with_plaintext_footer(false)
        .build()
        .map_err(|source| FileError::Encode {
            file: place.name.clone(),
            source,
        })?;
    Ok(properties
        .with_file_encryption_properties(encryption)
        .build())
}

/// What a file says of the order of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    Any,
    /// Persons ascend, by the number in this column ([`crate::is_sorted_by_person`]). Whoever writes sees
    /// to it.
    By(usize),
    /// Nothing: it is set aside and read once.
    Run,
}

impl Order {
    fn properties(self) -> Result<WriterPropertiesBuilder, FileError> {
        let properties = plain_writer_properties();
        Ok(match self {
            Self::Any => properties,
            Self::By(column) => properties.set_sorting_columns(Some(vec![SortingColumn {
                column_idx: i32::try_from(column)
                    .map_err(|_| FileError::Internal("more columns than parquet has"))?,
                descending: false,
                nulls_first: false,
            }])),
            Self::Run => properties
                .set_statistics_enabled(EnabledStatistics::None)
                .set_data_page_size_limit(RUN_PAGE_BYTES)
                .set_dictionary_page_size_limit(RUN_PAGE_BYTES),
        })
    }
}

/// An encrypted file that is being written. Dropped without [`EncryptedFile::finish`], what is on disk
/// has no footer and opens nowhere.
pub struct EncryptedFile<'k> {
    writer: ArrowWriter<Hashing<BufWriter<File>>>,
    place: FilePlace,
    path: std::path::PathBuf,
    dataset_key: &'k KeyText,
    rows: u64,
}

impl<'k> EncryptedFile<'k> {
    /// Creates the file; it must not exist.
    ///
    /// # Errors
    /// When it can't be created, or the schema has no Parquet form.
    pub fn create(
        path: &Path,
        schema: SchemaRef,
        dataset_key: &'k KeyText,
        place: FilePlace,
    ) -> Result<Self, FileError> {
        Self::create_as(path, schema, dataset_key, place, Order::Any)
    }

    /// As [`EncryptedFile::create`], and says how its rows are ordered.
    pub(crate) fn create_as(
        path: &Path,
        schema: SchemaRef,
        dataset_key: &'k KeyText,
        place: FilePlace,
        order: Order,
    ) -> Result<Self, FileError> {
        let file = File::create_new(path).map_err(|source| FileError::Io {
            file: place.name.clone(),
            source,
        })?;
        let sink = Hashing {
            inner: BufWriter::new(file),
            hash: Sha256::new(),
            bytes: 0,
        };
        let properties = encrypted(order.properties()?, dataset_key, &place)?;
        let writer = ArrowWriter::try_new(sink, schema, Some(properties))
            .map_err(|source| encode(&place, source))?;
        Ok(Self {
            writer,
            place,
            path: path.to_owned(),
            dataset_key,
            rows: 0,
        })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When the disk is full, or the batch has another schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), FileError> {
        self.writer
            .write(batch)
            .map_err(|source| encode(&self.place, source))?;
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Bytes on disk, and an estimate of those to come.
    pub fn bytes(&self) -> u64 {
        let bytes = self
            .writer
            .bytes_written()
            .saturating_add(self.writer.in_progress_size());
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Writes the footer, and leaves it at that: for a file that is read and removed by who wrote it.
    pub(crate) fn close(self) -> Result<(), FileError> {
        let sink = self
            .writer
            .into_inner()
            .map_err(|source| encode(&self.place, source))?;
        match sink.inner.into_inner() {
            Ok(_) => Ok(()),
            Err(error) => Err(FileError::Io {
                file: self.place.name,
                source: error.into_error(),
            }),
        }
    }

    /// Writes the footer, makes the file durable, and reads back that it is encrypted, opens with the
    /// dataset's key at its place, and holds the rows that were written.
    ///
    /// # Errors
    /// When any of this fails; the file must then be removed.
    pub fn finish(self) -> Result<FileEntry, FileError> {
        let name = self.place.name.clone();
        let failed = |source| FileError::Io {
            file: name.clone(),
            source,
        };
        // Writes what is buffered, and the footer.
        let sink = self
            .writer
            .into_inner()
            .map_err(|source| encode(&self.place, source))?;
        let (hash, bytes) = (sink.hash, sink.bytes);
        let file = sink
            .inner
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        drop(file);

        let file = File::open(&self.path).map_err(failed)?;
        check_magic(&file, &self.place)?;
        let metadata = read_metadata(&file, self.dataset_key, &self.place)?;
        let is_uniform = metadata
            .row_groups()
            .iter()
            .flat_map(|group| group.columns())
            .all(|column| column.crypto_metadata().is_some());
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
        if !is_uniform || rows != self.rows {
            return Err(FileError::Damaged { file: name });
        }
        Ok(FileEntry {
            name,
            bytes,
            sha256: Digest::from_bytes(hash.finalize().into()),
        })
    }
}

fn encode(place: &FilePlace, source: ParquetError) -> FileError {
    match source {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(source) => FileError::Io {
                file: place.name.clone(),
                source: *source,
            },
            Err(inner) => FileError::Encode {
                file: place.name.clone(),
                source: ParquetError::External(inner),
            },
        },
        source => FileError::Encode {
            file: place.name.clone(),
            source,
        },
    }
}

/// Hashes what passes, so that the catalogue's digest needs no second reading.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
