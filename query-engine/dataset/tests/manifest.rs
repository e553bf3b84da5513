//! What a manifest may say, and how its errors point at the place.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use kekkai_dataset::{Check, Coarsening, Encoding, Format, Manifest, Rule, SqlType};
use kekkai_types::ColumnRole;

const GOOD: &str = r#"[dataset]
id = "d1"
version = 1
title = { ja = "試験", en = "test" }
description = { ja = "試験用", en = "for tests" }
reference_date = 2025-03-31

[[table]]
name = "patients"
description = { ja = "患者", en = "patients" }
files = "patients*.csv"
format = "csv"
encoding = "cp932"

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
name = "age_band"
source = "生年月日"
role = "quasi-identifier"
rule = "coarsen-age-band"
type = "text"
description = { ja = "年齢階級", en = "age band" }

[[table.column]]
name = "note"
role = "free-text"
rule = "keep"
scan = true
accept = ["phone"]
accept_reason = "the ward's own extension"
type = "text"
description = { ja = "備考", en = "note" }
"#;

#[test]
fn good_manifest_is_read() {
    let manifest = Manifest::parse(GOOD).unwrap();
    assert_eq!(manifest.id.as_str(), "d1");
    assert_eq!(
        manifest.reference_date.map(|day| (day.year, day.month)),
        Some((2025, 3))
    );
    let table = &manifest.tables[0];
    assert_eq!(table.format, Format::Csv(Encoding::Cp932));
    assert_eq!(table.person_key().unwrap().source, "患者ID");
    assert_eq!(table.person_key().unwrap().domain, "person");
    assert_eq!(table.columns[1].role, ColumnRole::DirectIdentifier);
    assert_eq!(table.columns[2].rule, Rule::Coarsen(Coarsening::AgeBand));
    assert_eq!(table.columns[3].accept, [Check::Phone]);
    let kept: Vec<_> = table.kept().map(|(c, t)| (c.name.as_str(), t)).collect();
    assert_eq!(
        kept,
        [
            ("person_id", SqlType::Bigint),
            ("age_band", SqlType::Text),
            ("note", SqlType::Text)
        ]
    );
}

#[test]
fn file_patterns_match_whole_names() {
    let mut table = Manifest::parse(GOOD).unwrap().tables.remove(0);
    for (pattern, file, fits) in [
        ("patients*.csv", "patients-1.csv", true),
        ("patients*.csv", "patients.csv", true),
        ("patients*.csv", "patients.csv.bak", false),
        ("patients*.csv", "my-patients.csv", false),
        ("a.csv", "a.csv", true),
        ("a.csv", "a.csvx", false),
        ("*-*-x.csv", "1-2-x.csv", true),
        ("*-*-x.csv", "1-x.csv", false),
        ("ab*ba", "aba", false),
    ] {
        pattern.clone_into(&mut table.files);
        assert_eq!(table.matches(file), fits, "{pattern} {file}");
    }
}

/// Each row: what to replace in the good manifest, by what, the line and the text of the error.
#[test]
fn each_mistake_is_refused_with_its_place() {
    let rows: &[(&str, &str, usize, &str)] = &[
        ("id = \"d1\"", "id = \"../d1\"", 2, "dataset id"),
        ("version = 1", "version = 0", 3, "1 or more"),
        (
            "version = 1",
            "version = 1\nkeep_names = true",
            4,
            "unknown field `keep_names`",
        ),
        ("version = 1", "version = ", 3, "value"),
        ("en = \"test\" }", "en = \"\" }", 4, "both ja and en"),
        (
            "reference_date = 2025-03-31",
            "reference_date = \"2025\"",
            6,
            "datetime",
        ),
        (
            "reference_date = 2025-03-31",
            "reference_date = 09:30:00",
            6,
            "without quotes",
        ),
        (
            "reference_date = 2025-03-31\n",
            "",
            32,
            "reference_date in [dataset]",
        ),
        (
            "name = \"patients\"",
            "name = \"../x\"",
            9,
            "table \"../x\"",
        ),
        (
            "name = \"patients\"",
            "nome = \"patients\"",
            9,
            "unknown field `nome`",
        ),
        (
            "files = \"patients*.csv\"",
            "files = \"../*.csv\"",
            11,
            "without folders",
        ),
        ("encoding = \"cp932\"\n", "", 9, "encoding = \"utf-8\""),
        (
            "encoding = \"cp932\"",
            "encoding = \"latin1\"",
            13,
            "unknown variant `latin1`",
        ),
        (
            "format = \"csv\"",
            "format = \"parquet\"",
            13,
            "no encoding",
        ),
        (
            "role = \"person-key\"",
            "role = \"person\"",
            18,
            "unknown variant `person`",
        ),
        (
            "rule = \"pseudonym\"",
            "rule = \"keep\"",
            19,
            "\"pseudonym\" for a person-key",
        ),
        (
            "rule = \"drop\"",
            "rule = \"keep\"",
            27,
            "\"drop\" for a direct-identifier",
        ),
        (
            "rule = \"drop\"",
            "rule = \"hash\"",
            27,
            "expected drop, pseudonym, keep",
        ),
        (
            "rule = \"drop\"",
            "rule = \"drop\"\ntype = \"text\"",
            28,
            "has no type",
        ),
        (
            "type = \"bigint\"",
            "type = \"text\"",
            20,
            "makes \"bigint\"",
        ),
        (
            "type = \"bigint\"",
            "type = \"int\"",
            20,
            "unknown variant `int`",
        ),
        (
            "type = \"bigint\"\n",
            "",
            15,
            "column \"person_id\": expected type",
        ),
        (
            "description = { ja = \"仮ID\", en = \"pseudonym\" }\n",
            "",
            15,
            "expected description",
        ),
        ("scan = true\n", "", 40, "scan = true"),
        (
            "accept_reason = \"the ward's own extension\"\n",
            "",
            42,
            "accept_reason",
        ),
        ("accept = [\"phone\"]\n", "", 42, "without accept"),
        (
            "accept = [\"phone\"]",
            "accept = [\"fax\"]",
            42,
            "unknown variant `fax`",
        ),
        (
            "name = \"full_name\"",
            "name = \"person_id\"",
            24,
            "column \"person_id\" twice",
        ),
        (
            "source = \"氏名\"",
            "source = \"患者ID\"",
            25,
            "source column \"患者ID\" twice",
        ),
        (
            "source = \"氏名\"",
            "source = \"氏名\"\ndomain = \"x\"",
            26,
            "domain is for",
        ),
    ];
    let mut wrong = Vec::new();
    for (from, to, line, expected) in rows {
        assert!(GOOD.contains(from), "{from}");
        let error = Manifest::parse(&GOOD.replacen(from, to, 1)).err();
        let fits = error
            .as_ref()
            .is_some_and(|e| e.problem.contains(expected) && e.line == *line && e.column >= 1);
        if !fits {
            wrong.push(format!(
                "{from} -> {to}: {error:?}, expected line {line}, {expected}"
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "{wrong:#?}");
}

#[test]
fn manifest_without_tables_and_garbage_are_refused() {
    let head = GOOD.split("[[table]]").next().unwrap();
    assert!(
        Manifest::parse(head)
            .unwrap_err()
            .problem
            .contains("at least one")
    );
    assert!(Manifest::parse("").is_err());
    assert!(Manifest::parse("患者,氏名\n1,2\n").is_err());
    let huge = format!("#{}", "x".repeat(kekkai_dataset::MANIFEST_MAX));
    assert!(
        Manifest::parse(&huge)
            .unwrap_err()
            .problem
            .contains("bytes")
    );
}
