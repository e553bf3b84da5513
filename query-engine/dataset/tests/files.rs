//! Encrypted files: nothing in them is plain, and each opens at its own place only.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use kekkai_dataset::{
    EncryptedFile, FileError, FilePlace, check_magic, decryption_properties, open_reader,
    plain_writer_properties, read_metadata, verify_digest,
};
use kekkai_types::{DatasetId, FileEntry, KeyText};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

const SENTINEL: &str = "SENTINEL-5d1c9f";
const NAME: &str = "labs/part-00000.parquet";

fn batch() -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![
        Field::new("person_id_sentinel", DataType::Int64, false),
        Field::new("note", DataType::Utf8, true),
    ]));
    let ids = Int64Array::from_iter_values(0..5000);
    let notes = StringArray::from_iter_values((0..5000).map(|i| format!("{SENTINEL} {i}")));
    RecordBatch::try_new(schema, vec![Arc::new(ids), Arc::new(notes)]).unwrap()
}

fn place() -> FilePlace {
    FilePlace::new(&DatasetId::new("d1").unwrap(), 3, NAME)
}

fn write(folder: &Path, key: &KeyText) -> (PathBuf, FileEntry) {
    let path = folder.join("part");
    let batch = batch();
    let mut file = EncryptedFile::create(&path, batch.schema(), key, place()).unwrap();
    file.write(&batch).unwrap();
    let entry = file.finish().unwrap();
    (path, entry)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn written_rows_come_back_and_nothing_is_plain() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyText::random().unwrap();
    let (path, entry) = write(folder.path(), &key);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(entry.bytes, bytes.len() as u64);
    assert_eq!(entry.name, NAME);
    assert_eq!(
        (&bytes[..4], &bytes[bytes.len() - 4..]),
        (&b"PARE"[..], &b"PARE"[..])
    );
    // The column's name, the values and the AAD prefix are all in the encrypted part or nowhere.
    for text in [SENTINEL, "sentinel", "person_id", "d1/3", "labs"] {
        assert!(!contains(&bytes, text), "{text} is readable");
    }
    verify_digest(&File::open(&path).unwrap(), &entry).unwrap();
    let reader = open_reader(File::open(&path).unwrap(), &key, &place()).unwrap();
    let rows: Vec<_> = reader.with_batch_size(10_000).build().unwrap().collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].as_ref().unwrap(), &batch());
}

#[test]
fn plain_parquet_of_the_same_rows_would_show_the_sentinel() {
    // The positive control of the test above.
    let mut bytes = Vec::new();
    let properties = plain_writer_properties()
        .set_compression(parquet::basic::Compression::UNCOMPRESSED)
        .build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch().schema(), Some(properties)).unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    assert!(contains(&bytes, SENTINEL));
    assert!(contains(&bytes, "person_id"));
}

#[test]
fn each_file_has_a_key_of_its_own() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let key = KeyText::random().unwrap();
    let [one, two] = folders
        .each_ref()
        .map(|f| fs::read(write(f.path(), &key).0).unwrap());
    assert_ne!(one, two);
}

#[test]
fn file_moved_to_another_dataset_version_table_or_name_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyText::random().unwrap();
    let (path, _) = write(folder.path(), &key);
    let (d1, d2) = (DatasetId::new("d1").unwrap(), DatasetId::new("d2").unwrap());
    let moved = [
        FilePlace::new(&d2, 3, NAME),
        FilePlace::new(&d1, 4, NAME),
        FilePlace::new(&d1, 3, "drugs/part-00000.parquet"),
        FilePlace::new(&d1, 3, "labs/part-00001.parquet"),
    ];
    for place in moved {
        let error = read_metadata(&File::open(&path).unwrap(), &key, &place).unwrap_err();
        assert!(matches!(error, FileError::DoesNotOpen { .. }), "{error}");
    }
    let other = KeyText::random().unwrap();
    let error = read_metadata(&File::open(&path).unwrap(), &other, &place()).unwrap_err();
    assert!(matches!(error, FileError::DoesNotOpen { .. }), "{error}");
    assert!(open_reader(File::open(&path).unwrap(), &other, &place()).is_err());
}

#[test]
fn aad_prefix_alone_also_binds_the_place() {
    // Somebody who holds the file key itself, and so passes the unwrapping, still needs the place.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part");
    let file_key = [7_u8; 32];
    let encryption =
        parquet::encryption::encrypt::FileEncryptionProperties::builder(file_key.to_vec())
            .with_aad_prefix(b"kekkai parquet v1/d1/3/labs/part-00000.parquet".to_vec())
            .build()
            .unwrap();
    let properties = plain_writer_properties()
        .with_file_encryption_properties(encryption)
        .build();
    let mut writer = ArrowWriter::try_new(
        File::create(&path).unwrap(),
        batch().schema(),
        Some(properties),
    )
    .unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    for (prefix, opens) in [
        ("labs/part-00000.parquet", true),
        ("drugs/part-00000.parquet", false),
    ] {
        let properties =
            parquet::encryption::decrypt::FileDecryptionProperties::builder(file_key.to_vec())
                .with_aad_prefix(format!("kekkai parquet v1/d1/3/{prefix}").into_bytes())
                .build()
                .unwrap();
        let options = ArrowReaderOptions::new().with_file_decryption_properties(properties);
        let opened = ParquetRecordBatchReaderBuilder::try_new_with_options(
            File::open(&path).unwrap(),
            options,
        );
        assert_eq!(opened.is_ok(), opens, "{prefix}");
    }
}

#[test]
fn truncated_plain_foreign_and_changed_files_have_errors_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyText::random().unwrap();
    let (path, entry) = write(folder.path(), &key);
    let bytes = fs::read(&path).unwrap();
    let bad = folder.path().join("bad");
    let try_it = |bytes: &[u8]| {
        fs::write(&bad, bytes).unwrap();
        let file = File::open(&bad).unwrap();
        assert!(verify_digest(&file, &entry).is_err());
        read_metadata(&file, &key, &place()).unwrap_err()
    };
    for cut in [bytes.len() - 1, bytes.len() / 2, 11, 5] {
        let error = try_it(&bytes[..cut]);
        assert!(
            matches!(error, FileError::Truncated { .. }),
            "{cut}: {error}"
        );
    }
    for foreign in [&b""[..], b"P", b"person_id,name\n", &[0; 64]] {
        let error = try_it(foreign);
        assert!(matches!(error, FileError::Foreign { .. }), "{error}");
    }
    let mut plain = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut plain, batch().schema(), None).unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    assert!(matches!(try_it(&plain), FileError::NotEncrypted { .. }));

    // A byte of the footer, of its key metadata, and the footer's length.
    for back in [9, 40, bytes.len() / 4] {
        let mut changed = bytes.clone();
        let at = changed.len() - back;
        changed[at] ^= 1;
        fs::write(&bad, &changed).unwrap();
        assert!(verify_digest(&File::open(&bad).unwrap(), &entry).is_err());
    }
    let mut changed = bytes.clone();
    let at = changed.len() - 9;
    changed[at] ^= 1;
    assert!(matches!(try_it(&changed), FileError::Damaged { .. }));
}

#[test]
fn reader_alone_would_take_plain_parquet_for_encrypted() {
    // Why `check_magic` exists: the `parquet` crate does not refuse a plain file where it was given keys.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain");
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch().schema(), None).unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    let key = KeyText::random().unwrap();
    let options = ArrowReaderOptions::new()
        .with_file_decryption_properties(decryption_properties(&key, &place()).unwrap());
    let file = File::open(&path).unwrap();
    assert!(
        ParquetRecordBatchReaderBuilder::try_new_with_options(file.try_clone().unwrap(), options)
            .is_ok()
    );
    assert!(matches!(
        check_magic(&file, &place()),
        Err(FileError::NotEncrypted { .. })
    ));
    assert!(open_reader(file, &key, &place()).is_err());
}

#[test]
fn existing_file_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyText::random().unwrap();
    let (path, _) = write(folder.path(), &key);
    assert!(EncryptedFile::create(&path, batch().schema(), &key, place()).is_err());
}

/// SplitMix64, so that a failure replays from its seed.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn changed_byte_anywhere_is_refused_or_changes_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyText::random().unwrap();
    let (path, _) = write(folder.path(), &key);
    let bytes = fs::read(&path).unwrap();
    let seed = 7;
    let mut state = seed;
    let bad = folder.path().join("bad");
    let mut refused = 0;
    for round in 0..600 {
        let mut changed = bytes.clone();
        let length = changed.len() as u64;
        let back = if round % 2 == 0 { 400 } else { length };
        let at = (length - 1 - next(&mut state) % back) as usize;
        changed[at] ^= 1 << (next(&mut state) % 8);
        fs::write(&bad, &changed).unwrap();
        let read = std::panic::catch_unwind(|| {
            let reader = open_reader(File::open(&bad).unwrap(), &key, &place()).ok()?;
            reader
                .with_batch_size(10_000)
                .build()
                .ok()?
                .collect::<Result<Vec<_>, _>>()
                .ok()
        });
        match read {
            Ok(None) => refused += 1,
            Ok(Some(rows)) => assert_eq!(rows, [batch()], "seed {seed}, round {round}, byte {at}"),
            Err(_) => {
                panic!("seed {seed}, round {round}, byte {at} of {length}: the reader panicked")
            }
        }
    }
    assert!(refused > 500, "{refused}");
}
