//! The manifest: what the raw tables are, and what ingest does with each column.
//!
//! TOML, parsed and checked at once: a [`Manifest`] that exists is consistent. Unknown keys are refused,
//! since a misspelt `rule` must not become "keep". An example is `images/etc/sample.manifest.toml`.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use kekkai_types::{ColumnRole, DatasetId, Text};
use serde::Deserialize;
use toml::Spanned;

use crate::rule::{Check, Coarsening, Rule, SqlType};

/// The largest manifest, in bytes.
pub const MANIFEST_MAX: usize = 1024 * 1024;
/// The longest name of a table or column, in bytes.
const NAME_MAX: usize = 63;

/// What is wrong with a manifest, where, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("manifest, line {line}, column {column}: {problem}")]
pub struct ManifestError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What was found and what was expected.
    pub problem: String,
}

/// A checked manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The dataset.
    pub id: DatasetId,
    /// Counts from 1.
    pub version: u32,
    /// A short name.
    pub title: Text,
    /// What it is and where it comes from.
    pub description: Text,
    /// The day that ages are counted at.
    pub reference_date: Option<Day>,
    /// At least one.
    pub tables: Vec<Table>,
}

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// The year.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its SQL name.
    pub name: String,
    /// What a row is.
    pub description: Text,
    /// Source files: a name, or a pattern with one or more `*`, in the source folder itself.
    pub files: String,
    /// How they are written.
    pub format: Format,
    /// In the order of the result; dropped columns among them.
    pub columns: Vec<Column>,
}

/// How source files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, with a header line.
    Csv(Encoding),
    /// Parquet, plain.
    Parquet,
}

/// A CSV file's encoding. Never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// Windows code page 932, what Japanese systems call Shift_JIS.
    #[serde(rename = "cp932")]
    Cp932,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its SQL name.
    pub name: String,
    /// Its name in the source.
    pub source: String,
    /// What it is to a person's privacy.
    pub role: ColumnRole,
    /// What happens to it.
    pub rule: Rule,
    /// The type of what is left; `None` exactly when it is dropped.
    pub sql_type: Option<SqlType>,
    /// Meaning and unit.
    pub description: Text,
    /// Keys with the same domain get the same pseudonyms: `person`, or the key's name.
    pub domain: String,
    /// Checks whose hits in this column are accepted, because `accept_reason` says so.
    pub accept: Vec<Check>,
    /// Why hits are accepted; goes to the report.
    pub accept_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    dataset: RawDataset,
    #[serde(default)]
    table: Vec<Spanned<RawTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDataset {
    id: Spanned<String>,
    version: Spanned<u32>,
    title: Spanned<Text>,
    description: Spanned<Text>,
    reference_date: Option<Spanned<toml::value::Datetime>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    name: Spanned<String>,
    description: Spanned<Text>,
    files: Spanned<String>,
    format: RawFormat,
    encoding: Option<Spanned<Encoding>>,
    #[serde(default)]
    column: Vec<Spanned<RawColumn>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawFormat {
    Csv,
    Parquet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumn {
    name: Spanned<String>,
    source: Option<Spanned<String>>,
    role: ColumnRole,
    rule: Spanned<String>,
    #[serde(rename = "type")]
    sql_type: Option<Spanned<SqlType>>,
    description: Option<Spanned<Text>>,
    domain: Option<Spanned<String>>,
    scan: Option<Spanned<bool>>,
    accept: Option<Spanned<Vec<Check>>>,
    accept_reason: Option<Spanned<String>>,
}

/// Where a problem lies, and what it is; becomes a [`ManifestError`] when the text is at hand.
type Problem = (Range<usize>, String);

fn problem<T>(at: Range<usize>, text: impl Into<String>) -> Result<T, Problem> {
    Err((at, text.into()))
}

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// The first problem, with its place.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_MAX {
            return Err(ManifestError {
                line: 1,
                column: 1,
                problem: format!("{} bytes, at most {MANIFEST_MAX} are allowed", text.len()),
            });
        }
        toml::from_str::<RawManifest>(text)
            .map_err(|error| {
                let at = error.span().unwrap_or_default();
                (at, error.message().replace('\n', ", "))
            })
            .and_then(check_manifest)
            .map_err(|(at, problem)| {
                let (line, column) = place(text, at.start);
                ManifestError {
                    line,
                    column,
                    problem,
                }
            })
    }

    /// Whether some column is dropped as a direct identifier, so that its values are looked for in
    /// the others.
    pub fn has_direct_identifiers(&self) -> bool {
        self.tables
            .iter()
            .flat_map(|table| &table.columns)
            .any(|column| column.role == ColumnRole::DirectIdentifier)
    }
}

impl Table {
    /// The person key, if the table has one.
    pub fn person_key(&self) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.role == ColumnRole::PersonKey)
    }

    /// The columns that are written, in order, with their types.
    pub fn kept(&self) -> impl Iterator<Item = (&Column, SqlType)> {
        self.columns
            .iter()
            .filter_map(|column| column.sql_type.map(|sql_type| (column, sql_type)))
    }

    /// Whether a file name matches the table's pattern.
    pub fn matches(&self, file: &str) -> bool {
        let mut parts = self.files.split('*');
        let Some(mut rest) = parts.next().and_then(|first| file.strip_prefix(first)) else {
            return false;
        };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else {
            return rest.is_empty();
        };
        for part in middle {
            match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(start..).map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

fn check_manifest(raw: RawManifest) -> Result<Manifest, Problem> {
    let dataset = raw.dataset;
    let id = match DatasetId::new(dataset.id.get_ref().as_str()) {
        Ok(id) => id,
        Err(error) => return problem(dataset.id.span(), format!("dataset id: {error}")),
    };
    if *dataset.version.get_ref() == 0 {
        return problem(dataset.version.span(), "version 0: expected 1 or more");
    }
    let reference_date = match &dataset.reference_date {
        None => None,
        Some(at) => match at.get_ref() {
            toml::value::Datetime {
                date: Some(date),
                time: None,
                offset: None,
            } => Some(Day {
                year: date.year,
                month: date.month,
                day: date.day,
            }),
            _ => return problem(at.span(), "expected a day as 2025-03-31, without quotes"),
        },
    };
    if raw.table.is_empty() {
        return problem(0..0, "no [[table]]: expected at least one");
    }
    let mut names = BTreeSet::new();
    let mut domains = HashMap::new();
    let mut tables = Vec::with_capacity(raw.table.len());
    for table in raw.table {
        let table = check_table(table, reference_date.is_some(), &mut domains)?;
        if !names.insert(table.1.name.clone()) {
            return problem(table.0, format!("table \"{}\" twice", table.1.name));
        }
        tables.push(table.1);
    }
    Ok(Manifest {
        id,
        version: dataset.version.into_inner(),
        title: check_text(dataset.title, "title")?,
        description: check_text(dataset.description, "description")?,
        reference_date,
        tables,
    })
}

/// A text that people read: both languages, or neither of them is any use.
fn check_text(text: Spanned<Text>, what: &str) -> Result<Text, Problem> {
    let at = text.span();
    let text = text.into_inner();
    if text.ja.trim().is_empty() || text.en.trim().is_empty() {
        return problem(at, format!("{what}: expected a text in both ja and en"));
    }
    Ok(text)
}

/// SQL names need no quotes, and table names become folders.
fn check_name(name: &Spanned<String>, what: &str) -> Result<(), Problem> {
    let text = name.get_ref();
    let fits = text.len() <= NAME_MAX
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits {
        return Ok(());
    }
    problem(
        name.span(),
        format!(
            "{what} \"{text}\": expected a-z, 0-9 and '_', beginning with a letter, at most {NAME_MAX} bytes"
        ),
    )
}

fn check_table(
    raw: Spanned<RawTable>,
    has_reference_date: bool,
    domains: &mut HashMap<String, bool>,
) -> Result<(Range<usize>, Table), Problem> {
    let at = raw.span();
    let raw = raw.into_inner();
    check_name(&raw.name, "table")?;
    let files = raw.files.get_ref();
    if files.is_empty() || files.contains(['/', '\\', '\0']) || files.starts_with('.') {
        return problem(
            raw.files.span(),
            format!(
                "files \"{files}\": expected a file name or a pattern with '*', without folders"
            ),
        );
    }
    let format = match (raw.format, &raw.encoding) {
        (RawFormat::Csv, Some(encoding)) => Format::Csv(*encoding.get_ref()),
        (RawFormat::Csv, None) => {
            return problem(
                raw.name.span(),
                format!(
                    "table \"{}\" is csv: expected encoding = \"utf-8\" or encoding = \"cp932\"",
                    raw.name.get_ref()
                ),
            );
        }
        (RawFormat::Parquet, None) => Format::Parquet,
        (RawFormat::Parquet, Some(encoding)) => {
            return problem(encoding.span(), "a parquet table has no encoding");
        }
    };
    let mut names = BTreeSet::new();
    let mut sources = BTreeSet::new();
    let mut persons = 0;
    let mut columns = Vec::with_capacity(raw.column.len());
    for raw_column in raw.column {
        let at = raw_column.span();
        let raw_column = raw_column.into_inner();
        let (name_at, source_at) = (
            raw_column.name.span(),
            raw_column.source.as_ref().map_or(at.clone(), Spanned::span),
        );
        let column = check_column(raw_column, at, has_reference_date)?;
        if !names.insert(column.name.clone()) {
            return problem(name_at, format!("column \"{}\" twice", column.name));
        }
        if !sources.insert(column.source.clone()) {
            return problem(
                source_at,
                format!("source column \"{}\" twice", column.source),
            );
        }
        if column.rule == Rule::Pseudonym {
            let is_person = column.role == ColumnRole::PersonKey;
            persons += usize::from(is_person);
            if persons > 1 {
                return problem(
                    name_at,
                    "a second person-key: expected at most one in a table",
                );
            }
            // A key that shared the person's domain would get the person's pseudonyms.
            if *domains.entry(column.domain.clone()).or_insert(is_person) != is_person {
                return problem(
                    name_at,
                    format!("domain \"{}\" holds persons and other keys", column.domain),
                );
            }
        }
        columns.push(column);
    }
    if !columns.iter().any(|column| column.sql_type.is_some()) {
        return problem(
            raw.name.span(),
            format!(
                "table \"{}\" keeps no column: expected at least one",
                raw.name.get_ref()
            ),
        );
    }
    let table = Table {
        name: raw.name.into_inner(),
        description: check_text(raw.description, "description")?,
        files: raw.files.into_inner(),
        format,
        columns,
    };
    Ok((at, table))
}

fn check_column(
    raw: RawColumn,
    at: Range<usize>,
    has_reference_date: bool,
) -> Result<Column, Problem> {
    check_name(&raw.name, "column")?;
    let Ok(rule) = raw.rule.get_ref().parse::<Rule>() else {
        let known: Vec<String> = [Rule::Drop, Rule::Pseudonym, Rule::Keep]
            .into_iter()
            .chain(Coarsening::ALL.map(Rule::Coarsen))
            .map(|rule| rule.to_string())
            .collect();
        return problem(
            raw.rule.span(),
            format!(
                "rule \"{}\": expected {}",
                raw.rule.get_ref(),
                known.join(", ")
            ),
        );
    };
    if let Err(expected) = rule.fits(raw.role) {
        return problem(
            raw.rule.span(),
            format!("rule \"{rule}\": expected {expected}"),
        );
    }
    let is_scanned = raw.scan.as_ref().is_some_and(|scan| *scan.get_ref());
    if raw.role == ColumnRole::FreeText {
        if rule == Rule::Keep && !is_scanned {
            return problem(
                raw.rule.span(),
                "free-text is kept: expected scan = true beside it",
            );
        }
    } else if let Some(scan) = &raw.scan {
        return problem(
            scan.span(),
            "scan is for free-text; every other text is checked anyway",
        );
    }
    if rule == Rule::Coarsen(Coarsening::AgeBand) && !has_reference_date {
        return problem(
            raw.rule.span(),
            "rule \"coarsen-age-band\": expected reference_date in [dataset]",
        );
    }
    let sql_type = match (rule, &raw.sql_type) {
        (Rule::Drop, None) => None,
        (Rule::Drop, Some(given)) => {
            return problem(given.span(), "a dropped column has no type");
        }
        (_, None) => {
            return problem(
                at,
                format!("column \"{}\": expected type", raw.name.get_ref()),
            );
        }
        (_, Some(given)) => {
            let sql_type = *given.get_ref();
            match rule.result() {
                Some(result) if result != sql_type => {
                    return problem(
                        given.span(),
                        format!("type \"{sql_type}\": rule \"{rule}\" makes \"{result}\""),
                    );
                }
                _ => {}
            }
            if raw.role == ColumnRole::FreeText && sql_type != SqlType::Text {
                return problem(given.span(), "free-text: expected type = \"text\"");
            }
            Some(sql_type)
        }
    };
    let description = match (raw.description, sql_type) {
        (Some(text), _) => check_text(text, "description")?,
        (None, None) => Text::default(),
        (None, Some(_)) => {
            return problem(
                at,
                format!(
                    "column \"{}\": expected description = {{ ja = …, en = … }}",
                    raw.name.get_ref()
                ),
            );
        }
    };
    let domain = match raw.domain {
        Some(domain) => {
            if rule != Rule::Pseudonym {
                return problem(domain.span(), "domain is for rule = \"pseudonym\"");
            }
            check_name(&domain, "domain")?;
            domain.into_inner()
        }
        None if raw.role == ColumnRole::PersonKey => "person".to_owned(),
        None => raw.name.get_ref().clone(),
    };
    let accept = match (&raw.accept, &raw.accept_reason) {
        (None, None) => Vec::new(),
        (Some(checks), Some(reason)) if !reason.get_ref().trim().is_empty() => {
            checks.get_ref().clone()
        }
        (Some(checks), _) => {
            return problem(checks.span(), "accept: expected accept_reason beside it");
        }
        (None, Some(reason)) => {
            return problem(reason.span(), "accept_reason without accept");
        }
    };
    let source = match raw.source {
        Some(source) if source.get_ref().is_empty() => {
            return problem(
                source.span(),
                "source: expected the column's name in the file",
            );
        }
        Some(source) => source.into_inner(),
        None => raw.name.get_ref().clone(),
    };
    Ok(Column {
        name: raw.name.into_inner(),
        source,
        role: raw.role,
        rule,
        sql_type,
        description,
        domain,
        accept,
        accept_reason: raw.accept_reason.map(Spanned::into_inner),
    })
}
