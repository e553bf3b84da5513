//! The answers to a program's statements: CSV files, named in a TOML file.
//!
//! ```toml
//! [[answer]]                     # the first that fits answers
//! sql-contains = "condition_occurrence"   # or: sql = "SELECT …", spaces and letters' case aside
//! csv = "conditions.csv"         # beside this file; the first line names the columns
//! types = { start = "date" }     # where the values don't tell: bigint, double, text, boolean, date,
//!                                # timestamp
//!
//! [[answer]]
//! sql-contains = "nowhere"
//! failure = "table-unknown"      # a refusal instead, with `name`
//! name = "nowhere"
//!
//! [[table]]                      # what `schema` lists
//! dataset = "gibleed"
//! name = "person"
//! person-key = "person_id"
//! columns = { person_id = "bigint", year_of_birth = "bigint" }
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Seek;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::ipc::writer::StreamWriter;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_types::{ColumnCatalog, ColumnRole, DatasetCatalog, DatasetId, TableCatalog, Text};
use serde::Deserialize;

/// Rows in one batch of a stream.
const BATCH_ROWS: usize = 8_192;

/// Why there are no answers. The words are for people: [`crate::words::answers`].
#[derive(Debug)]
pub(crate) enum AnswersError {
    /// A file that can't be read.
    Unreadable(PathBuf, std::io::Error),
    /// Not TOML of the right shape.
    Malformed(PathBuf, String),
    /// Neither or both of two keys.
    OneOf(usize, &'static str),
    /// A type that no column has.
    Type(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Listed {
    #[serde(default)]
    answer: Vec<Answer>,
    #[serde(default)]
    table: Vec<Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Answer {
    sql: Option<String>,
    sql_contains: Option<String>,
    csv: Option<PathBuf>,
    #[serde(default)]
    types: BTreeMap<String, String>,
    failure: Option<SqlErrorCode>,
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    dataset: DatasetId,
    name: String,
    person_key: Option<String>,
    columns: BTreeMap<String, String>,
}

/// All answers that were read and checked.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    folder: PathBuf,
    listed: Listed,
}

impl Answers {
    /// Reads the TOML file, or `answers.toml` in a folder.
    pub(crate) fn read(path: &Path) -> Result<Self, AnswersError> {
        let path = if path.is_dir() {
            path.join("answers.toml")
        } else {
            path.to_owned()
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|e| AnswersError::Unreadable(path.clone(), e))?;
        let listed: Listed = toml::from_str(&text)
            .map_err(|e| AnswersError::Malformed(path.clone(), e.to_string()))?;
        for (at, answer) in listed.answer.iter().enumerate() {
            if answer.sql.is_some() == answer.sql_contains.is_some() {
                return Err(AnswersError::OneOf(at + 1, "sql, sql-contains"));
            }
            if answer.csv.is_some() == answer.failure.is_some() {
                return Err(AnswersError::OneOf(at + 1, "csv, failure"));
            }
            answer
                .types
                .values()
                .try_for_each(|t| data_type(t).map(drop))?;
        }
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { folder, listed })
    }

    /// An Arrow IPC stream of the first answer that fits.
    pub(crate) fn stream(&self, sql: &str) -> Result<Vec<u8>, SqlError> {
        let sql = normal(sql);
        let fits = |answer: &&Answer| match (&answer.sql, &answer.sql_contains) {
            (Some(whole), _) => normal(whole) == sql,
            (_, Some(part)) => sql.contains(&normal(part)),
            _ => false,
        };
        let Some(answer) = self.listed.answer.iter().find(fits) else {
            return Err(refusal(SqlErrorCode::TableUnknown, "no answer fits"));
        };
        if let Some(code) = answer.failure {
            return Err(refusal(code, &answer.name));
        }
        let path = self
            .folder
            .join(answer.csv.as_deref().unwrap_or(Path::new("")));
        stream(&path, &answer.types).map_err(|text| {
            refusal(
                SqlErrorCode::Internal,
                &format!("{}: {text}", path.display()),
            )
        })
    }

    /// What `schema` lists.
    pub(crate) fn catalogs(&self) -> Vec<DatasetCatalog> {
        let mut catalogs: BTreeMap<DatasetId, Vec<TableCatalog>> = BTreeMap::new();
        for table in &self.listed.table {
            let columns = table.columns.iter().map(|(name, sql_type)| ColumnCatalog {
                name: name.clone(),
                sql_type: sql_type.clone(),
                role: ColumnRole::Value,
                description: Text::default(),
            });
            catalogs
                .entry(table.dataset.clone())
                .or_default()
                .push(TableCatalog {
                    name: table.name.clone(),
                    description: Text::default(),
                    person_key: table.person_key.clone(),
                    columns: columns.collect(),
                    files: Vec::new(),
                    rows: 0,
                });
        }
        let catalog = |(id, tables)| DatasetCatalog {
            id,
            version: 1,
            title: Text::default(),
            description: Text::default(),
            tables,
        };
        catalogs.into_iter().map(catalog).collect()
    }
}

fn refusal(code: SqlErrorCode, name: &str) -> SqlError {
    SqlError {
        code,
        name: name.to_owned(),
        at: None,
        candidates: Vec::new(),
        hint: None,
    }
}

/// A statement with single spaces, in lower case.
fn normal(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

fn data_type(name: &str) -> Result<DataType, AnswersError> {
    Ok(match name {
        "bigint" => DataType::Int64,
        "double" => DataType::Float64,
        "text" => DataType::Utf8,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        other => return Err(AnswersError::Type(other.to_owned())),
    })
}

fn stream(path: &Path, types: &BTreeMap<String, String>) -> Result<Vec<u8>, String> {
    let text = |e: &dyn std::error::Error| e.to_string();
    let mut file = File::open(path).map_err(|e| text(&e))?;
    let format = Format::default().with_header(true);
    let (found, _) = format.infer_schema(&mut file, None).map_err(|e| text(&e))?;
    file.rewind().map_err(|e| text(&e))?;
    let field = |field: &Arc<Field>| {
        let data_type = match types.get(field.name()) {
            Some(name) => data_type(name).map_err(|_| name.clone())?,
            None => session_type(field.data_type()),
        };
        Ok(Field::new(field.name(), data_type, true))
    };
    let fields: Result<Vec<Field>, String> = found.fields().iter().map(field).collect();
    let schema = Arc::new(Schema::new(fields?));
    let reader = ReaderBuilder::new(Arc::clone(&schema))
        .with_header(true)
        .with_batch_size(BATCH_ROWS)
        .build(file)
        .map_err(|e| text(&e))?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(|e| text(&e))?;
    for batch in reader {
        let batch = batch.map_err(|e| text(&e))?;
        writer.write(&batch).map_err(|e| text(&e))?;
    }
    writer.finish().map_err(|e| text(&e))?;
    writer.into_inner().map_err(|e| text(&e))
}

/// The types that sessions send.
fn session_type(found: &DataType) -> DataType {
    match found {
        DataType::Int64 | DataType::Float64 | DataType::Boolean | DataType::Date32 => found.clone(),
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Utf8,
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]
    use super::*;
    use arrow::ipc::reader::StreamReader;

    fn answers(toml: &str, csv: &str) -> (tempfile::TempDir, Result<Answers, AnswersError>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("answers.toml"), toml).unwrap();
        std::fs::write(folder.path().join("a.csv"), csv).unwrap();
        let answers = Answers::read(folder.path());
        (folder, answers)
    }

    #[test]
    fn columns_get_the_types_that_sessions_send() {
        let (_folder, answers) = answers(
            "[[answer]]\nsql-contains = \"from A\"\ncsv = \"a.csv\"\ntypes = { code = \"text\" }",
            "n,x,day,at,yes,code,empty\n1,0.5,2020-01-31,2020-01-31T01:02:03,true,007,\n,,,,,,\n",
        );
        let bytes = answers.unwrap().stream("SELECT *\n FROM  a").unwrap();
        let batches: Vec<_> = StreamReader::try_new(bytes.as_slice(), None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let types: Vec<String> = batches[0]
            .schema()
            .fields()
            .iter()
            .map(|f| f.data_type().to_string())
            .collect();
        let expected = "Int64 Float64 Date32 Timestamp(µs) Boolean Utf8 Utf8";
        assert_eq!(types.join(" "), expected);
        assert_eq!(batches[0].num_rows(), 2);
        assert!(batches[0].columns().iter().all(|column| column.is_null(1)));
    }

    #[test]
    fn a_statement_that_nothing_answers_is_refused() {
        let (_folder, answers) = answers(
            "[[answer]]\nsql = \"select 1\"\nfailure = \"column-unknown\"\nname = \"c\"",
            "",
        );
        let answers = answers.unwrap();
        let error = answers.stream("SELECT  1").unwrap_err();
        assert_eq!(
            (error.code, error.name.as_str()),
            (SqlErrorCode::ColumnUnknown, "c")
        );
        let error = answers.stream("select 2").unwrap_err();
        assert_eq!(error.code, SqlErrorCode::TableUnknown);
    }

    #[test]
    fn malformed_answers_are_refused() {
        for toml in [
            "[[answer]]\ncsv = \"a.csv\"",
            "[[answer]]\nsql = \"x\"",
            "[[answer]]\nsql = \"x\"\ncsv = \"a.csv\"\ntypes = { a = \"blob\" }",
            "[[answer]]\nsql = \"x\"\ncsv = \"a.csv\"\nother = 1",
            "[",
        ] {
            assert!(answers(toml, "").1.is_err(), "{toml}");
        }
    }
}
