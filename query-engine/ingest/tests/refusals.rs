//! Bad input: each mistake has an error of its own that says where, never what, and leaves nothing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::error::Error;
use std::fs;

use common::Scene;
use encoding_rs::SHIFT_JIS;
use kekkai_dataset::{Check, Manifest};
use kekkai_ingest::{IngestError, Place, ingest};
use kekkai_types::Recipient;

/// Planted in the data; no error may hold it.
const SENTINEL: &str = "SENTINEL5d1c9f";

const MANIFEST: &str = r#"[dataset]
id = "bad"
version = 1
title = { ja = "試験", en = "test" }
description = { ja = "試験", en = "test" }
reference_date = 2025-03-31

[[table]]
name = "visits"
description = { ja = "受診", en = "visits" }
files = "visits*.csv"
format = "csv"
encoding = "utf-8"

[[table.column]]
name = "person_id"
source = "患者ID"
role = "person-key"
rule = "pseudonym"
type = "bigint"
description = { ja = "仮ID", en = "pseudonym" }

[[table.column]]
name = "full_name"
source = "氏名"
role = "direct-identifier"
rule = "drop"

[[table.column]]
name = "visited_on"
source = "受診日"
role = "value"
rule = "keep"
type = "date"
description = { ja = "受診日", en = "day" }

[[table.column]]
name = "ward"
source = "病棟"
role = "code"
rule = "keep"
type = "text"
description = { ja = "病棟", en = "ward" }

[[table.column]]
name = "points"
source = "点数"
role = "value"
rule = "keep"
type = "bigint"
description = { ja = "点数", en = "points" }

[[table.column]]
name = "weight"
source = "体重"
role = "value"
rule = "keep"
type = "double"
description = { ja = "体重 kg", en = "weight in kg" }
"#;

const HEADER: &str = "患者ID,氏名,受診日,病棟,点数,体重\n";

/// Good rows around a bad one, which is on line 4.
fn around(row: &str) -> String {
    format!(
        "{HEADER}1,甲野 乙子,2024-01-02,東3,100,50.5\n2,甲野 丙子,2024-01-03,,,\n{row}\n3,甲野 丁子,2024-01-04,西,7,70\n"
    )
}

fn everything_said(error: &IngestError) -> String {
    let mut said = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        said.push_str(&format!(" {inner} {inner:?}"));
        cause = inner.source();
    }
    said
}

/// Ingests, expects a refusal, and checks that nothing was left and no value said.
fn refused(scene: &Scene, manifest: &str) -> IngestError {
    let error = scene.ingest(manifest).unwrap_err();
    let said = everything_said(&error);
    assert!(!said.contains(SENTINEL), "{said}");
    assert!(!said.contains("甲野"), "{said}");
    let left: Vec<_> = scene
        .files()
        .into_iter()
        .filter(|path| !path.ends_with(".ingest.lock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!scene.out().join("bad/1").exists());
    error
}

#[test]
fn good_rows_are_ingested() {
    // The positive control of every test below.
    let scene = Scene::new();
    scene.put("visits.csv", around("4,甲野 戊子,2024-02-29,南,0,0.1"));
    let ingested = scene.ingest(MANIFEST).unwrap();
    assert_eq!(ingested.catalog.tables[0].rows, 4);
    assert_eq!(ingested.report.persons, 4);
    assert_eq!(ingested.folder, scene.out().join("bad/1"));
}

#[test]
fn each_bad_record_is_refused_with_its_line() {
    let rows: &[(&str, &str)] = &[
        ("4,x,2024-01-05,東,100", "line 4: 5 fields, expected 6"),
        (
            "4,x,2024-01-05,東,100,1,SENTINEL5d1c9f",
            "line 4: 7 fields, expected 6",
        ),
        (
            "4,x,SENTINEL5d1c9f,東,1,1",
            "line 4, column \"受診日\": expected date",
        ),
        (
            "4,x,2024-02-30,東,1,1",
            "line 4, column \"受診日\": expected date",
        ),
        (
            "4,x,2024-01-05,東,SENTINEL5d1c9f,1",
            "line 4, column \"点数\": expected bigint",
        ),
        (
            "4,x,2024-01-05,東,1.5,1",
            "line 4, column \"点数\": expected bigint",
        ),
        (
            "4,x,2024-01-05,東,9223372036854775808,1",
            "line 4, column \"点数\": expected bigint",
        ),
        (
            "4,x,2024-01-05,東,1,SENTINEL5d1c9f",
            "line 4, column \"体重\": expected double",
        ),
        (
            "4,x,2024-01-05,東,1,NaN",
            "line 4, column \"体重\": expected double",
        ),
        (
            "4,x,2024-01-05,東,1,inf",
            "line 4, column \"体重\": expected double",
        ),
        (
            ",x,2024-01-05,東,1,1",
            "column \"person_id\": 1 rows without a person",
        ),
        (
            "  ,x,2024-01-05,東,1,1",
            "column \"person_id\": 1 rows without a person",
        ),
    ];
    for (row, expected) in rows {
        let scene = Scene::new();
        scene.put("visits.csv", around(row));
        let error = refused(&scene, MANIFEST);
        assert!(error.to_string().contains(expected), "{row}: {error}");
    }
}

#[test]
fn line_is_the_records_own_after_quoted_line_breaks() {
    let scene = Scene::new();
    scene.put(
        "visits.csv",
        format!("{HEADER}1,\"a\nb\nc\",2024-01-02,東,1,1\n2,b,x,東,1,1\n"),
    );
    let error = refused(&scene, MANIFEST);
    assert!(
        matches!(
            &error,
            IngestError::Type {
                place: Place::Line(5),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn headers_that_differ_from_the_manifest_are_refused_without_quoting_them() {
    let scene = Scene::new();
    let body = "1,甲野,2024-01-02,東,1,1\n";
    for (header, expected) in [
        (
            "患者ID,氏名,受診日,病棟,点数\n",
            "no column \"体重\" in the header",
        ),
        (
            "患者ID,氏名,受診日,病棟,点数,体重,SENTINEL5d1c9f\n",
            "column 7 of the header",
        ),
        (
            "患者ID,氏名,受診日,病棟,点数,点数\n",
            "column 6 of the header",
        ),
        // A file without a header: its first record is data.
        (
            "1,SENTINEL5d1c9f,2024-01-02,東,1,1\n",
            "column 1 of the header",
        ),
    ] {
        scene.put("visits.csv", format!("{header}{body}"));
        let error = refused(&scene, MANIFEST);
        assert!(error.to_string().contains(expected), "{error}");
    }
    scene.put("visits.csv", "");
    assert!(matches!(
        refused(&scene, MANIFEST),
        IngestError::NoHeader { .. }
    ));
    fs::remove_file(scene.raw().join("visits.csv")).unwrap();
    assert!(matches!(
        refused(&scene, MANIFEST),
        IngestError::NoFile { .. }
    ));
}

#[test]
fn undeclared_cp932_is_refused_with_the_remedy() {
    let scene = Scene::new();
    let text = around("4,甲野 戊子,2024-02-29,南,0,0.1");
    let (bytes, _, _) = SHIFT_JIS.encode(&text);
    scene.put("visits.csv", &bytes);
    let error = refused(&scene, MANIFEST);
    assert!(
        matches!(
            &error,
            IngestError::Encoding {
                line: 1,
                is_cp932: true,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("encoding = \"cp932\""),
        "{error}"
    );
    // Declared, the same bytes are the same rows.
    let declared = MANIFEST.replace("\"utf-8\"", "\"cp932\"");
    assert_eq!(scene.ingest(&declared).unwrap().catalog.tables[0].rows, 4);
}

#[test]
fn utf8_declared_as_cp932_and_malformed_text_are_refused() {
    let scene = Scene::new();
    let declared = MANIFEST.replace("\"utf-8\"", "\"cp932\"");
    scene.put("visits.csv", around("4,x,2024-01-05,東,1,1"));
    refused(&scene, &declared);
    let mut bytes = around("4,x,2024-01-05,東,1,1").into_bytes();
    let at = bytes.len() - 10;
    bytes[at] = 0xff;
    scene.put("visits.csv", bytes);
    let error = refused(&scene, MANIFEST);
    assert!(
        matches!(
            &error,
            IngestError::Encoding {
                line: 5,
                is_cp932: false,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn unclosed_quotation_mark_is_refused_before_memory_runs_out() {
    let scene = Scene::new();
    let mut text = around("4,\"x,2024-01-05,東,1,1");
    for number in 0..200_000 {
        text.push_str(&format!("{number},x,2024-01-05,東,1,1\n"));
    }
    scene.put("visits.csv", text);
    let error = refused(&scene, MANIFEST);
    assert!(
        matches!(&error, IngestError::RecordTooLong { line: 4, .. }),
        "{error}"
    );
}

#[test]
fn parquet_that_is_none_or_of_other_types_is_refused() {
    let manifest = MANIFEST
        .replace("encoding = \"utf-8\"\n", "")
        .replace("\"csv\"", "\"parquet\"")
        .replace(".csv", ".parquet");
    let scene = Scene::new();
    for bytes in [
        &b""[..],
        b"PAR1",
        b"PAR1SENTINEL5d1c9fPAR1",
        HEADER.as_bytes(),
    ] {
        scene.put("visits.parquet", bytes);
        assert!(matches!(
            refused(&scene, &manifest),
            IngestError::NotParquet { .. }
        ));
    }
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use std::sync::Arc;
    let write = |columns: Vec<(&str, arrow::array::ArrayRef)>| {
        let batch = arrow::record_batch::RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    };
    let columns = |points: arrow::array::ArrayRef| -> Vec<(&str, arrow::array::ArrayRef)> {
        vec![
            ("患者ID", Arc::new(Int64Array::from(vec![1, 2]))),
            (
                "氏名",
                Arc::new(StringArray::from(vec!["甲野 乙子", SENTINEL])),
            ),
            (
                "受診日",
                Arc::new(StringArray::from(vec!["2024-01-02", "2024/01/03"])),
            ),
            ("病棟", Arc::new(StringArray::from(vec![Some("東"), None]))),
            ("点数", points),
            ("体重", Arc::new(Int64Array::from(vec![50, 60]))),
        ]
    };
    let doubles = write(columns(Arc::new(Float64Array::from(vec![1.0, 2.0]))));
    scene.put("visits.parquet", &doubles);
    let error = refused(&scene, &manifest);
    assert!(matches!(&error, IngestError::ColumnType { .. }), "{error}");
    let texts = write(columns(Arc::new(StringArray::from(vec!["1", SENTINEL]))));
    scene.put("visits.parquet", &texts);
    let error = refused(&scene, &manifest);
    assert!(
        matches!(
            &error,
            IngestError::Type {
                place: Place::Row(2),
                ..
            }
        ),
        "{error}"
    );
    let huge = write(columns(Arc::new(arrow::array::UInt64Array::from(vec![
        1,
        u64::MAX,
    ]))));
    scene.put("visits.parquet", &huge);
    let error = refused(&scene, &manifest);
    assert!(
        matches!(
            &error,
            IngestError::Type {
                place: Place::Row(2),
                ..
            }
        ),
        "{error}"
    );
    let good = write(columns(Arc::new(Int64Array::from(vec![1, 2]))));
    scene.put("visits.parquet", &good[..good.len() / 2]);
    assert!(matches!(
        refused(&scene, &manifest),
        IngestError::NotParquet { .. }
    ));
    scene.put("visits.parquet", &good);
    assert_eq!(scene.ingest(&manifest).unwrap().catalog.tables[0].rows, 2);
}

#[test]
fn identifiers_in_kept_columns_are_refused_with_table_column_rows_and_rule() {
    for (cell, check) in [
        ("甲野 乙子", Check::DroppedValue),
        ("患者番号 A-10000017", Check::DroppedValue),
        ("佐藤 太郎", Check::Name),
        ("123456789018", Check::MyNumber),
        ("保険者番号01130012", Check::Insurance),
        ("090-1234-5678", Check::Phone),
        ("x@example.jp", Check::Email),
        ("4111111111111111", Check::Card),
        ("普通預金 1234567", Check::Bank),
        ("〒100-0001", Check::PostalCode),
        ("千代田区丸の内1丁目", Check::Address),
        ("TK1234567", Check::Passport),
    ] {
        let scene = Scene::new();
        scene.put(
            "visits.csv",
            around(&format!("A10000017,x,2024-01-05,{cell},1,1")),
        );
        let error = refused(&scene, MANIFEST);
        let said = error.to_string();
        assert!(!said.contains(cell), "{said}");
        let expected = format!("table \"visits\", column \"ward\": {check} in 1 rows");
        assert!(said.contains(&expected), "{cell}: {said}");
        let IngestError::Identifiers(findings) = error else {
            panic!("{said}")
        };
        assert_eq!(findings.len(), 1, "{cell}: {said}");
    }
}

#[test]
fn every_finding_is_told_at_once_with_its_count() {
    let scene = Scene::new();
    let mut text = HEADER.to_owned();
    for number in 0..50_000 {
        let ward = if number % 100 == 0 {
            "090-1234-5678"
        } else {
            "東"
        };
        // A My Number in an integer column, once, far behind.
        let points = if number == 49_999 {
            123_456_789_018_u64
        } else {
            5
        };
        text.push_str(&format!("{number},甲野,2024-01-05,{ward},{points},1\n"));
    }
    scene.put("visits.csv", text);
    let IngestError::Identifiers(findings) = refused(&scene, MANIFEST) else {
        panic!()
    };
    let found: Vec<_> = findings
        .iter()
        .map(|f| (f.column.as_str(), f.check, f.rows))
        .collect();
    assert_eq!(
        found,
        [("ward", Check::Phone, 500), ("points", Check::MyNumber, 1)]
    );
}

#[test]
fn telephones_in_an_integer_column_count_when_they_fill_it() {
    let scene = Scene::new();
    let row = |points: u64| format!("9,甲野,2024-01-05,東,{points},1\n");
    let all: String = (0..10).map(|n| row(9_012_345_670 + n)).collect();
    scene.put("visits.csv", format!("{HEADER}{all}"));
    let IngestError::Identifiers(findings) = refused(&scene, MANIFEST) else {
        panic!()
    };
    assert_eq!((findings[0].check, findings[0].rows), (Check::Phone, 10));
    let few: String = (0..10)
        .map(|n| row(if n == 0 { 9_012_345_670 } else { 3 }))
        .collect();
    scene.put("visits.csv", format!("{HEADER}{few}"));
    scene.ingest(MANIFEST).unwrap();
}

#[test]
fn insurers_numbers_count_when_they_fill_a_column() {
    let scene = Scene::new();
    let rows: String = (0..20)
        .map(|n| format!("{n},甲野,2024-01-05,01130012,1,1\n"))
        .collect();
    scene.put("visits.csv", format!("{HEADER}{rows}"));
    let IngestError::Identifiers(findings) = refused(&scene, MANIFEST) else {
        panic!()
    };
    assert_eq!(
        (findings[0].check, findings[0].rows),
        (Check::Insurance, 20)
    );
}

#[test]
fn accepted_check_passes_and_is_reported() {
    let scene = Scene::new();
    scene.put("visits.csv", around("4,x,2024-01-05,090-1234-5678,1,1"));
    let accepting = MANIFEST.replace(
        "source = \"病棟\"\n",
        "source = \"病棟\"\naccept = [\"phone\"]\naccept_reason = \"the ward's own line\"\n",
    );
    let report = scene.ingest(&accepting).unwrap().report;
    let accepted = &report.tables[0].accepted[0];
    assert_eq!(
        (accepted.column.as_str(), accepted.check, accepted.rows),
        ("ward", Check::Phone, 1)
    );
    assert_eq!(accepted.reason, "the ward's own line");
}

#[test]
fn existing_version_is_never_replaced_and_a_second_ingest_waits_for_none() {
    let scene = Scene::new();
    scene.put("visits.csv", around("4,x,2024-01-05,東,1,1"));
    let first = scene.ingest(MANIFEST).unwrap();
    let before = fs::read(first.folder.join("catalog.json")).unwrap();
    assert!(matches!(
        scene.ingest(MANIFEST),
        Err(IngestError::AlreadyThere { .. })
    ));
    assert_eq!(fs::read(first.folder.join("catalog.json")).unwrap(), before);

    let lock = fs::File::open(scene.out().join("bad/.ingest.lock")).unwrap();
    lock.lock().unwrap();
    let second = MANIFEST.replace("version = 1", "version = 2");
    assert!(matches!(
        scene.ingest(&second),
        Err(IngestError::Busy { .. })
    ));
    lock.unlock().unwrap();
    scene.ingest(&second).unwrap();
}

#[test]
fn what_a_killed_ingest_left_is_removed_by_the_next() {
    let scene = Scene::new();
    scene.put("visits.csv", around("4,x,2024-01-05,東,1,1"));
    let stale = scene.out().join("bad/.ingest-1-0123456789abcdef");
    fs::create_dir_all(stale.join("visits")).unwrap();
    fs::write(stale.join("visits/part-00000.parquet"), "half").unwrap();
    scene.ingest(MANIFEST).unwrap();
    assert!(!stale.exists());
}

#[test]
fn nobody_to_open_it_or_a_bad_key_is_refused_before_anything_is_written() {
    let scene = Scene::new();
    scene.put("visits.csv", around("4,x,2024-01-05,東,1,1"));
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let try_with = |recipients: &[(Recipient, Vec<u8>)]| {
        ingest(
            &manifest,
            &scene.raw(),
            &scene.out(),
            recipients,
            None,
            |_| {},
        )
        .unwrap_err()
    };
    assert!(matches!(try_with(&[]), IngestError::NoRecipient));
    let bad = [(Recipient::Recovery, vec![4; 65])];
    assert!(matches!(try_with(&bad), IngestError::Wrap { .. }));
    assert!(!scene.out().exists());
}
