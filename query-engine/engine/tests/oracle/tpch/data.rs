//! The tables and queries of TPC-H, for the test above this folder and for the bench.
//!
//! Numbers are doubles: dataset files hold no decimals (`kekkai-ingest` writes none), and DuckDB reads the same
//! doubles. `customer` and `orders` are tables of persons, so that rows are followed as those of patients are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use kekkai_engine::{GrantedColumn, TableFile, TableSource};
use kekkai_types::DatasetId;
use parquet::encryption::decrypt::FileDecryptionProperties;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow,
    RecordBatchIterator, RegionArrow, SupplierArrow,
};

/// A table, and the column with its person.
pub(crate) const TABLES: [(&str, Option<&str>); 8] = [
    ("customer", Some("c_custkey")),
    ("lineitem", None),
    ("nation", None),
    ("orders", Some("o_custkey")),
    ("part", None),
    ("partsupp", None),
    ("region", None),
    ("supplier", None),
];

/// A name, the statement, and whether its rows have one order.
pub(crate) const QUERIES: [(&str, &str, bool); 22] = [
    ("q01", include_str!("q01.sql"), true),
    ("q02", include_str!("q02.sql"), true),
    ("q03", include_str!("q03.sql"), true),
    ("q04", include_str!("q04.sql"), true),
    ("q05", include_str!("q05.sql"), true),
    ("q06", include_str!("q06.sql"), true),
    ("q07", include_str!("q07.sql"), true),
    ("q08", include_str!("q08.sql"), true),
    ("q09", include_str!("q09.sql"), true),
    ("q10", include_str!("q10.sql"), true),
    ("q11", include_str!("q11.sql"), true),
    ("q12", include_str!("q12.sql"), true),
    ("q13", include_str!("q13.sql"), true),
    ("q14", include_str!("q14.sql"), true),
    ("q15", include_str!("q15.sql"), true),
    ("q16", include_str!("q16.sql"), true),
    ("q17", include_str!("q17.sql"), true),
    // Two orders may have one price and one date.
    ("q18", include_str!("q18.sql"), false),
    ("q19", include_str!("q19.sql"), true),
    ("q20", include_str!("q20.sql"), true),
    ("q21", include_str!("q21.sql"), true),
    ("q22", include_str!("q22.sql"), true),
];

fn generated(table: &str, scale: f64) -> Box<dyn RecordBatchIterator> {
    let (part, parts) = (1, 1);
    match table {
        "customer" => Box::new(CustomerArrow::new(CustomerGenerator::new(
            scale, part, parts,
        ))),
        "lineitem" => Box::new(LineItemArrow::new(LineItemGenerator::new(
            scale, part, parts,
        ))),
        "nation" => Box::new(NationArrow::new(NationGenerator::new(scale, part, parts))),
        "orders" => Box::new(OrderArrow::new(OrderGenerator::new(scale, part, parts))),
        "part" => Box::new(PartArrow::new(PartGenerator::new(scale, part, parts))),
        "partsupp" => Box::new(PartSuppArrow::new(PartSuppGenerator::new(
            scale, part, parts,
        ))),
        "region" => Box::new(RegionArrow::new(RegionGenerator::new(scale, part, parts))),
        _ => Box::new(SupplierArrow::new(SupplierGenerator::new(
            scale, part, parts,
        ))),
    }
}

/// A table's rows at a scale factor, in the types that dataset files have.
pub(crate) fn batches(table: &str, scale: f64) -> impl Iterator<Item = RecordBatch> {
    generated(table, scale).map(|batch| plain_types(&batch))
}

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

/// The folder `name` of the target folder, made once and kept. It appears whole or not at all.
pub(crate) fn made_once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !folder.exists() {
        let making = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        make(making.path());
        // Another process may have been faster: its files are the same.
        if fs::rename(making.path(), &folder).is_err() {
            assert!(folder.exists());
        }
    }
    folder
}

/// All columns of a table, from an encrypted file.
pub(crate) fn source(
    table: &str,
    person: Option<&str>,
    file: &Path,
    decryption: Arc<FileDecryptionProperties>,
) -> TableSource {
    let columns = generated(table, 0.001).schema().clone();
    TableSource {
        dataset: DatasetId::new("tpch").unwrap(),
        version: 1,
        name: table.to_owned(),
        columns: columns
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
            file: File::open(file).unwrap(),
            decryption: Some(decryption),
        }],
    }
}
