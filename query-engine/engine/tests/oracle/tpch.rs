//! The 22 queries of TPC-H at scale factor 0.1, over encrypted files, as programs ask them.
//!
//! Most are no statistics of persons (joins on parts, single rows by `LIMIT`), so they run as rows. Numbers are
//! doubles: dataset files hold no decimals (`kekkai-ingest` writes none), and DuckDB reads the same doubles.
//! `customer` and `orders` are tables of persons, so that rows are followed as those of patients are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use kekkai_engine::{GrantedColumn, TableFile, TableSource};
use kekkai_types::DatasetId;
use parquet::arrow::ArrowWriter;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::WriterProperties;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow,
    RecordBatchIterator, RegionArrow, SupplierArrow,
};

use crate::compare::difference;
use crate::data::open_session;
use crate::duck::Duck;
use crate::sent;

const SCALE: f64 = 0.1;
/// The files are for tests: their key is no secret.
const KEY: [u8; 16] = *b"tpc-h test files";
const GROUP_ROWS: usize = 64 * 1024;

/// A table, and the column with its person.
const TABLES: [(&str, Option<&str>); 8] = [
    ("customer", Some("c_custkey")),
    ("lineitem", None),
    ("nation", None),
    ("orders", Some("o_custkey")),
    ("part", None),
    ("partsupp", None),
    ("region", None),
    ("supplier", None),
];

const QUERIES: [(&str, &str, bool); 22] = [
    ("q01", include_str!("tpch/q01.sql"), true),
    ("q02", include_str!("tpch/q02.sql"), true),
    ("q03", include_str!("tpch/q03.sql"), true),
    ("q04", include_str!("tpch/q04.sql"), true),
    ("q05", include_str!("tpch/q05.sql"), true),
    ("q06", include_str!("tpch/q06.sql"), true),
    ("q07", include_str!("tpch/q07.sql"), true),
    ("q08", include_str!("tpch/q08.sql"), true),
    ("q09", include_str!("tpch/q09.sql"), true),
    ("q10", include_str!("tpch/q10.sql"), true),
    ("q11", include_str!("tpch/q11.sql"), true),
    ("q12", include_str!("tpch/q12.sql"), true),
    ("q13", include_str!("tpch/q13.sql"), true),
    ("q14", include_str!("tpch/q14.sql"), true),
    ("q15", include_str!("tpch/q15.sql"), true),
    ("q16", include_str!("tpch/q16.sql"), true),
    ("q17", include_str!("tpch/q17.sql"), true),
    // Two orders may have one price and one date.
    ("q18", include_str!("tpch/q18.sql"), false),
    ("q19", include_str!("tpch/q19.sql"), true),
    ("q20", include_str!("tpch/q20.sql"), true),
    ("q21", include_str!("tpch/q21.sql"), true),
    ("q22", include_str!("tpch/q22.sql"), true),
];

fn batches(table: &str) -> Box<dyn RecordBatchIterator> {
    let (part, parts) = (1, 1);
    match table {
        "customer" => Box::new(CustomerArrow::new(CustomerGenerator::new(
            SCALE, part, parts,
        ))),
        "lineitem" => Box::new(LineItemArrow::new(LineItemGenerator::new(
            SCALE, part, parts,
        ))),
        "nation" => Box::new(NationArrow::new(NationGenerator::new(SCALE, part, parts))),
        "orders" => Box::new(OrderArrow::new(OrderGenerator::new(SCALE, part, parts))),
        "part" => Box::new(PartArrow::new(PartGenerator::new(SCALE, part, parts))),
        "partsupp" => Box::new(PartSuppArrow::new(PartSuppGenerator::new(
            SCALE, part, parts,
        ))),
        "region" => Box::new(RegionArrow::new(RegionGenerator::new(SCALE, part, parts))),
        _ => Box::new(SupplierArrow::new(SupplierGenerator::new(
            SCALE, part, parts,
        ))),
    }
}

/// In the types that dataset files have.
fn plain_types(batch: &RecordBatch) -> RecordBatch {
    let (fields, columns): (Vec<Field>, Vec<_>) = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let data_type = match field.data_type() {
                DataType::Decimal128(..) => DataType::Float64,
                DataType::Utf8View => DataType::Utf8,
                data_type if data_type.is_integer() => DataType::Int64,
                other => other.clone(),
            };
            let column = cast(column, &data_type).unwrap();
            (Field::new(field.name(), data_type, false), column)
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn write(table: &str, plain: &Path, encrypted: &Path) {
    let properties = || WriterProperties::builder().set_max_row_group_row_count(Some(GROUP_ROWS));
    let encryption = FileEncryptionProperties::builder(KEY.to_vec())
        .build()
        .unwrap();
    let encrypting = properties()
        .with_file_encryption_properties(encryption)
        .build();
    let mut writers = None;
    for batch in batches(table) {
        let batch = plain_types(&batch);
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

/// Generated once and kept in the target folder. The folder appears whole or not at all.
fn files() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tpch-{SCALE}"));
    if !folder.exists() {
        let making = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for (table, _) in TABLES {
            let path = |kind: &str| making.path().join(format!("{table}.{kind}"));
            write(table, &path("parquet"), &path("encrypted"));
        }
        // Another process may have been faster: its files are the same.
        if fs::rename(making.path(), &folder).is_err() {
            assert!(folder.exists());
        }
    }
    folder
}

fn table_source(folder: &Path, table: &str, person: Option<&str>) -> TableSource {
    let names = batches(table).schema().clone();
    let decryption = FileDecryptionProperties::builder(KEY.to_vec())
        .build()
        .unwrap();
    TableSource {
        dataset: DatasetId::new("tpch").unwrap(),
        version: 1,
        name: table.to_owned(),
        columns: names
            .fields()
            .iter()
            .map(|field| GrantedColumn {
                name: field.name().clone(),
                sql_type: None,
            })
            .collect(),
        person_key: person.map(str::to_owned),
        rows: Vec::new(),
        files: vec![TableFile {
            file: File::open(folder.join(format!("{table}.encrypted"))).unwrap(),
            decryption: Some(decryption),
        }],
    }
}

#[test]
fn all_of_tpch_equals_duckdbs() {
    let folder = files();
    let sources = TABLES.map(|(table, person)| table_source(&folder, table, person));
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
