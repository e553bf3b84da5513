//! Each mistake is answered with its code, its place, its name and its kind, as `golden.json` says; the console's
//! tests read the same file and look at the words. With `KEKKAI_BLESS` in the environment the file is written
//! anew: read the difference before it is committed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod statements;

use std::collections::BTreeSet;
use std::path::PathBuf;

use kekkai_analysis_api::{SqlError, SqlErrorCode};
use serde::{Deserialize, Serialize};

use common::{gibleed, run_on};
use statements::STATEMENTS;

/// A statement and what it is answered with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Mistake {
    kind: String,
    sql: String,
    error: SqlError,
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes/golden.json")
}

#[test]
fn each_mistake_has_its_code_place_name_and_kind() {
    let mut answered = Vec::new();
    let mut found = Vec::new();
    for (kind, sql) in STATEMENTS {
        match run_on(&gibleed(), sql) {
            Ok(_) => answered.push(*kind),
            Err(error) => found.push(Mistake {
                kind: (*kind).to_owned(),
                sql: (*sql).to_owned(),
                error,
            }),
        }
    }
    if std::env::var_os("KEKKAI_BLESS").is_some() {
        std::fs::write(
            golden(),
            serde_json::to_string_pretty(&found).unwrap() + "\n",
        )
        .unwrap();
    }
    assert!(answered.is_empty(), "no mistakes: {answered:?}");
    let written = std::fs::read_to_string(golden()).unwrap();
    let expected: Vec<Mistake> = serde_json::from_str(&written).unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let kinds: BTreeSet<&str> = expected
        .iter()
        .map(|mistake| mistake.kind.as_str())
        .collect();
    assert_eq!(kinds.len(), expected.len(), "each kind once");
    assert!(kinds.len() >= 100, "{}", kinds.len());
}

#[test]
fn each_mistake_is_placed_and_none_is_taken_for_ours() {
    let written = std::fs::read_to_string(golden()).unwrap();
    let expected: Vec<Mistake> = serde_json::from_str(&written).unwrap();
    for Mistake { kind, sql, error } in expected {
        assert_ne!(error.code, SqlErrorCode::Internal, "{kind}");
        let (line, column) = error.at.unwrap_or_else(|| panic!("{kind} has no place"));
        let lines: Vec<&str> = sql.split('\n').collect();
        let width = lines[usize::try_from(line).unwrap() - 1].chars().count();
        assert!(
            usize::try_from(column).unwrap() <= width + 1,
            "{kind}: {error:?}"
        );
        let is_named = !error.name.is_empty() || usize::try_from(column).unwrap() > width;
        let is_whole = matches!(error.code, SqlErrorCode::SeveralStatements)
            || error
                .hint
                .is_some_and(|hint| format!("{hint:?}").starts_with("Unclosed"))
            || error.code == SqlErrorCode::Evaluation;
        assert!(is_named || is_whole, "{kind}: {error:?}");
    }
}
