//! What researchers of this field ask, as they write it: OMOP CDM over GiBleed, and Japanese claims over the
//! sample, ingested and encrypted as any dataset is. Both equal DuckDB's answers over the plain rows.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hpke::kem::DhP256HkdfSha256;
use hpke::{Kem as _, Serializable as _};
use kekkai_dataset::{
    FilePlace, Manifest, decryption_properties, open_reader, unwrap_with_recovery,
};
use kekkai_engine::{GrantedColumn, Session, TableFile, TableSource};
use kekkai_ingest::sample::{SampleFormat, manifest, write};
use kekkai_ingest::{PseudonymKey, ingest};
use kekkai_types::{KeyText, Recipient};

use crate::common::{PERSON_TABLES, VOCABULARIES, gibleed_path, gibleed_sources, run_on, terms};
use crate::compare::difference;
use crate::data::{open_session, write_plain};
use crate::duck::Duck;
use crate::{sent, shown};

/// A question of a file.
struct Question<'f> {
    title: &'f str,
    sql: &'f str,
    is_statistic: bool,
}

/// Splits a file: each question has a comment before it that says what it is asked for.
fn questions(file: &str) -> Vec<Question<'_>> {
    file.split_inclusive(";\n")
        .map(|part| {
            let (_, titled) = part.split_once("\n-- ").expect("a comment before each");
            let titled = match titled.split_once("\n-- ") {
                // The file's own introduction.
                Some((_, titled)) => titled,
                None => titled,
            };
            let (title, sql) = titled.split_once('\n').unwrap();
            Question {
                title,
                sql: sql.trim().trim_end_matches(';'),
                is_statistic: match title.split_once(':') {
                    Some(("statistic", _)) => true,
                    Some(("rows", _)) => false,
                    _ => panic!("\"{title}\" says neither statistic nor rows"),
                },
            }
        })
        .collect()
}

/// Every question equals DuckDB's answer; statistics also pass the real terms.
fn compare_questions(
    file: &str,
    open: &Arc<Session>,
    real: &Arc<Session>,
    duck: &mut Duck,
) -> usize {
    let questions = questions(file);
    let mut wrong = Vec::new();
    for Question {
        title,
        sql,
        is_statistic,
    } in &questions
    {
        // DuckDB has the flags as an argument of its own name, and its `~` matches the whole text.
        let theirs = duck.rows(&sql.replace("regexp_like(", "regexp_matches("));
        assert!(!theirs.is_empty(), "{title}: nothing to compare");
        let ours = if *is_statistic {
            shown(open, sql)
        } else {
            sent(open, sql)
        };
        match ours {
            Ok(ours) => {
                let is_ordered = sql.contains("\nORDER BY");
                wrong.extend(
                    difference(&ours, &theirs, is_ordered).map(|what| format!("{title}: {what}")),
                );
            }
            Err(error) => wrong.push(format!("{title} is refused: {error}")),
        }
        if *is_statistic && let Err(error) = run_on(real, sql) {
            wrong.push(format!("{title} is refused under real terms: {error:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    questions.len()
}

#[test]
fn omop_questions_equal_duckdbs() {
    let tables = || PERSON_TABLES.iter().chain(VOCABULARIES);
    let mut duck = Duck::new(tables().map(|table| (*table, gibleed_path(table))));
    let open = open_session(gibleed_sources());
    let real = Arc::new(Session::new(terms(), gibleed_sources()).unwrap());
    let asked = compare_questions(include_str!("field/omop.sql"), &open, &real, &mut duck);
    assert!(asked >= 20, "{asked}");
}

/// The sample, ingested: its sources for the engine, and its rows in plain for DuckDB.
struct Claims {
    plain: tempfile::TempDir,
    encrypted: PathBuf,
    catalog: kekkai_types::DatasetCatalog,
    key: KeyText,
}

const PATIENTS: u64 = 1500;

impl Claims {
    fn new() -> Self {
        let plain = tempfile::tempdir().unwrap();
        let root = plain.path().to_owned();
        let folder = |name: &str| root.join(name);
        write(&folder("raw"), 7, PATIENTS, SampleFormat::Parquet, |_| {}).unwrap();
        let manifest = Manifest::parse(&manifest(SampleFormat::Parquet)).unwrap();
        let pseudonyms = PseudonymKey::derive(&KeyText::new([9; 32]), &manifest.id).unwrap();
        let (private, public) = DhP256HkdfSha256::gen_keypair();
        let private = KeyText::new(private.to_bytes().into());
        let public = public.to_bytes().to_vec();
        let done = ingest(
            &manifest,
            &folder("raw"),
            &folder("out"),
            &[(Recipient::Recovery, public)],
            Some(&pseudonyms),
            |_| {},
        )
        .unwrap();
        let key = unwrap_with_recovery(&private, &done.keys[0]).unwrap();
        let claims = Self {
            encrypted: done.folder,
            catalog: done.catalog,
            key,
            plain,
        };
        for table in &claims.catalog.tables {
            let batches: Vec<_> = table
                .files
                .iter()
                .flat_map(|entry| {
                    let (file, place) = claims.file(&entry.name);
                    let reader = open_reader(file, &claims.key, &place).unwrap();
                    reader.build().unwrap().map(Result::unwrap)
                })
                .collect();
            write_plain(&claims.plain_path(&table.name), &batches, 8192);
        }
        fs::remove_dir_all(folder("raw")).unwrap();
        claims
    }

    fn file(&self, name: &str) -> (File, FilePlace) {
        let file = File::open(self.encrypted.join(name)).unwrap();
        (
            file,
            FilePlace::new(&self.catalog.id, self.catalog.version, name),
        )
    }

    fn plain_path(&self, table: &str) -> PathBuf {
        Path::new(self.plain.path()).join(format!("{table}.parquet"))
    }

    fn sources(&self) -> Vec<TableSource> {
        self.catalog
            .tables
            .iter()
            .map(|table| TableSource {
                dataset: self.catalog.id.clone(),
                version: self.catalog.version,
                name: table.name.clone(),
                columns: table
                    .columns
                    .iter()
                    .map(|column| GrantedColumn {
                        name: column.name.clone(),
                        sql_type: Some(column.sql_type.clone()),
                    })
                    .collect(),
                person_key: table.person_key.clone(),
                rows: Vec::new(),
                files: table
                    .files
                    .iter()
                    .map(|entry| {
                        let (file, place) = self.file(&entry.name);
                        TableFile {
                            file,
                            decryption: Some(decryption_properties(&self.key, &place).unwrap()),
                        }
                    })
                    .collect(),
            })
            .collect()
    }
}

#[test]
fn claims_questions_equal_duckdbs() {
    let claims = Claims::new();
    let names: Vec<String> = claims
        .catalog
        .tables
        .iter()
        .map(|t| t.name.clone())
        .collect();
    let mut duck = Duck::new(
        names
            .iter()
            .map(|name| (name.as_str(), claims.plain_path(name))),
    );
    let open = open_session(claims.sources());
    let real = Arc::new(Session::new(terms(), claims.sources()).unwrap());
    let asked = compare_questions(include_str!("field/claims.sql"), &open, &real, &mut duck);
    assert!(asked >= 12, "{asked}");
}
