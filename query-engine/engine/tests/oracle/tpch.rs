//! The 22 queries of TPC-H at scale factor 0.1, over encrypted files, as programs ask them.
//!
//! Most are no statistics of persons (joins on parts, single rows by `LIMIT`), so they run as rows.

mod data;

use std::fs::File;
use std::path::Path;

use parquet::arrow::ArrowWriter;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::WriterProperties;

use crate::compare::difference;
use crate::data::open_session;
use crate::duck::Duck;
use crate::sent;
use data::{QUERIES, TABLES, batches, made_once, source};

const SCALE: f64 = 0.1;
/// The files are for tests: their key is no secret.
const KEY: [u8; 16] = *b"tpc-h test files";
const GROUP_ROWS: usize = 64 * 1024;

fn write(table: &str, plain: &Path, encrypted: &Path) {
    let properties = || WriterProperties::builder().set_max_row_group_row_count(Some(GROUP_ROWS));
    let encryption = FileEncryptionProperties::builder(KEY.to_vec())
        .build()
        .unwrap();
    let encrypting = properties()
        .with_file_encryption_properties(encryption)
        .build();
    let mut writers = None;
    for batch in batches(table, SCALE) {
        let (plainly, encrypted) = writers.get_or_insert_with(|| {
            let open = |path: &Path, properties| {
                let file = File::create(path).unwrap();
                ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap()
            };
            (
                open(plain, properties().build()),
                open(encrypted, encrypting.clone()),
            )
        });
        plainly.write(&batch).unwrap();
        encrypted.write(&batch).unwrap();
    }
    let (plainly, encrypted) = writers.unwrap();
    plainly.close().unwrap();
    encrypted.close().unwrap();
}

#[test]
fn all_of_tpch_equals_duckdbs() {
    let folder = made_once(&format!("tpch-{SCALE}"), |folder| {
        for (table, _) in TABLES {
            let path = |kind: &str| folder.join(format!("{table}.{kind}"));
            write(table, &path("parquet"), &path("encrypted"));
        }
    });
    let sources = TABLES.map(|(table, person)| {
        let decryption = FileDecryptionProperties::builder(KEY.to_vec())
            .build()
            .unwrap();
        let file = folder.join(format!("{table}.encrypted"));
        source(table, person, &file, decryption)
    });
    let session = open_session(sources.into());
    let mut duck =
        Duck::new(TABLES.map(|(table, _)| (table, folder.join(format!("{table}.parquet")))));
    let mut wrong = Vec::new();
    for (name, sql, is_ordered) in QUERIES {
        let theirs = duck.rows(sql);
        assert!(!theirs.is_empty(), "{name} has no rows to compare");
        match sent(&session, sql) {
            Ok(ours) => wrong.extend(
                difference(&ours, &theirs, is_ordered).map(|what| format!("{name}: {what}")),
            ),
            Err(error) => wrong.push(format!("{name} is refused: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
