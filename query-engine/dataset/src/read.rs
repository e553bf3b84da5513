//! Opening encrypted Parquet.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use kekkai_types::{Digest, FileEntry, KeyText, PERSON_NUMBER_COLUMN};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::{FileDecryptionProperties, KeyRetriever};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, SortingColumn};
use sha2::{Digest as _, Sha256};

use crate::file::{FileError, FilePlace};

/// Of a file with an encrypted footer, at its beginning and at its end.
const ENCRYPTED: &[u8; 4] = b"PARE";
/// Of a file with a plain footer.
const PLAIN: &[u8; 4] = b"PAR1";
/// Both magics, the footer's length, and no footer.
const LENGTH_MIN: u64 = 12;

/// Unwraps the key of the one file that it was made for.
struct Retriever {
    dataset_key: KeyText,
    place: FilePlace,
}

impl KeyRetriever for Retriever {
    fn retrieve_key(&self, metadata: &[u8]) -> Result<Vec<u8>, ParquetError> {
        match self.place.unwrap(&self.dataset_key, metadata) {
            Ok(key) => Ok(key.to_vec()),
            Err(error) => Err(ParquetError::External(Box::new(error))),
        }
    }
}

/// What a Parquet reader needs to open the file at `place`, and no other.
///
/// The file's own key is unwrapped from its footer when it is opened. A copy of the dataset's key lives
/// in the properties and is wiped with them. A reader that is given these properties still reads *plain*
/// Parquet without complaint: call [`check_magic`] on every file first.
///
/// # Errors
/// None today; the `parquet` crate's builder may come to refuse.
pub fn decryption_properties(
    dataset_key: &KeyText,
    place: &FilePlace,
) -> Result<Arc<FileDecryptionProperties>, FileError> {
    let retriever = Retriever {
        dataset_key: dataset_key.duplicate(),
        place: place.clone(),
    };
    FileDecryptionProperties::with_key_retriever(Arc::new(retriever))
        .with_aad_prefix(place.aad_prefix())
        .build()
        .map_err(|source| FileError::Encode {
            file: place.name().to_owned(),
            source,
        })
}

/// Refuses what does not begin and end as an encrypted Parquet file. Plain Parquet in place of an
/// encrypted file would otherwise be read without a key: data that nobody authenticated.
///
/// # Errors
/// [`FileError::NotEncrypted`], [`FileError::Truncated`], [`FileError::Foreign`] or [`FileError::Io`].
pub fn check_magic(file: &File, place: &FilePlace) -> Result<(), FileError> {
    let name = || place.name().to_owned();
    let failed = |source| FileError::Io {
        file: name(),
        source,
    };
    let length = file.metadata().map_err(failed)?.len();
    let mut head = [0; 4];
    let mut tail = [0; 4];
    let mut reader = file;
    reader.rewind().map_err(failed)?;
    match reader.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(FileError::Foreign { file: name() });
        }
        other => other.map_err(failed)?,
    }
    if &head != ENCRYPTED {
        let file = name();
        return Err(match &head {
            PLAIN => FileError::NotEncrypted { file },
            _ => FileError::Foreign { file },
        });
    }
    if length < LENGTH_MIN {
        return Err(FileError::Truncated { file: name() });
    }
    reader.seek(SeekFrom::End(-4)).map_err(failed)?;
    reader.read_exact(&mut tail).map_err(failed)?;
    reader.rewind().map_err(failed)?;
    match &tail {
        ENCRYPTED => Ok(()),
        PLAIN => Err(FileError::NotEncrypted { file: name() }),
        _ => Err(FileError::Truncated { file: name() }),
    }
}

/// Refuses a file that is not, byte for byte, the catalogue's. Reads all of it.
///
/// # Errors
/// [`FileError::Differs`] or [`FileError::Io`].
pub fn verify_digest(file: &File, entry: &FileEntry) -> Result<(), FileError> {
    let name = || entry.name.clone();
    let failed = |source| FileError::Io {
        file: name(),
        source,
    };
    let mut reader = file;
    reader.rewind().map_err(failed)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1024 * 1024];
    let mut bytes = 0_u64;
    loop {
        match reader.read(&mut buffer).map_err(failed)? {
            0 => break,
            count => {
                hash.update(buffer.get(..count).unwrap_or_default());
                bytes += u64::try_from(count).unwrap_or(0);
            }
        }
    }
    reader.rewind().map_err(failed)?;
    if bytes == entry.bytes && Digest::from_bytes(hash.finalize().into()) == entry.sha256 {
        Ok(())
    } else {
        Err(FileError::Differs { file: name() })
    }
}

/// Decrypts and reads a file's footer.
///
/// # Errors
/// Every variant of [`FileError`] that is about reading.
pub fn read_metadata(
    file: &File,
    dataset_key: &KeyText,
    place: &FilePlace,
) -> Result<ParquetMetaData, FileError> {
    check_magic(file, place)?;
    ParquetMetaDataReader::new()
        .with_decryption_properties(Some(decryption_properties(dataset_key, place)?))
        .parse_and_finish(file)
        .map_err(|error| read_error(place, error))
}

/// Whether a file says that its rows are sorted by the hidden person number
/// ([`kekkai_types::PERSON_NUMBER_COLUMN`]): each person's rows are together, and persons ascend through
/// all of its row groups. [`crate::TableWriter`] says it of each file of a table, and then persons ascend
/// through the files in the catalogue's order, too: a person's rows may begin in one and go on in the
/// next.
pub fn is_sorted_by_person(metadata: &ParquetMetaData) -> bool {
    let schema = metadata.file_metadata().schema_descr();
    let number = schema
        .columns()
        .iter()
        .position(|column| column.name() == PERSON_NUMBER_COLUMN)
        .and_then(|at| i32::try_from(at).ok());
    let Some(column_idx) = number else {
        return false;
    };
    let by_person = SortingColumn {
        column_idx,
        descending: false,
        nulls_first: false,
    };
    let mut groups = metadata.row_groups().iter();
    groups.all(|group| group.sorting_columns().and_then(|by| by.first()) == Some(&by_person))
}

/// A reader of record batches over one encrypted file.
///
/// # Errors
/// Every variant of [`FileError`] that is about reading.
pub fn open_reader(
    file: File,
    dataset_key: &KeyText,
    place: &FilePlace,
) -> Result<ParquetRecordBatchReaderBuilder<File>, FileError> {
    check_magic(&file, place)?;
    let options = ArrowReaderOptions::new()
        .with_file_decryption_properties(decryption_properties(dataset_key, place)?);
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|error| read_error(place, error))
}

fn read_error(place: &FilePlace, error: ParquetError) -> FileError {
    let file = place.name().to_owned();
    match error {
        ParquetError::External(inner) => match inner.downcast::<FileError>() {
            Ok(error) => *error,
            Err(_) => FileError::Damaged { file },
        },
        ParquetError::EOF(_) | ParquetError::NeedMoreData(_) => FileError::Truncated { file },
        _ => FileError::Damaged { file },
    }
}
