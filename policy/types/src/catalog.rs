//! What a dataset offers: tables, columns, files, descriptions. Never a value.

use serde::{Deserialize, Serialize};

use crate::{DatasetId, Digest, ServerId, Text};

/// The hidden column of a table's files that numbers each row's person: `UInt32`, never null, from 0
/// without gaps within one version of a dataset, the same person's in every table. It stands in no
/// catalogue, and no manifest, grant or statement can name it: names begin with a letter. It says nothing
/// beyond what the person key says, and counts without hashing.
pub const PERSON_NUMBER_COLUMN: &str = "__kekkai_person";

/// A dataset as it was ingested, one version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetCatalog {
    /// The dataset.
    pub id: DatasetId,
    /// Counts from 1.
    pub version: u32,
    /// A short name for people.
    pub title: Text,
    /// What it is and where it comes from.
    pub description: Text,
    /// Its tables.
    pub tables: Vec<TableCatalog>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableCatalog {
    /// Its SQL name, in lower case.
    pub name: String,
    /// What a row is.
    pub description: Text,
    /// The column that holds the pseudonym of the person a row is about; `None` for vocabularies.
    pub person_key: Option<String>,
    /// In the order of the files' schema.
    pub columns: Vec<ColumnCatalog>,
    /// Encrypted Parquet files, in order.
    pub files: Vec<FileEntry>,
    /// Rows in all files. In a session: rounded by [`rounded_rows`]; 0 where only some rows are provided,
    /// since how many there are besides is nobody's business.
    pub rows: u64,
}

/// A number of rows as people are told it: two digits, never finer than tens, so that one person's rows more
/// or less don't show. Never less than there are.
pub fn rounded_rows(rows: u64) -> u64 {
    let mut step = 10_u64;
    while let Some(next) = step.checked_mul(10)
        && rows > step.saturating_mul(99)
    {
        step = next;
    }
    rows.div_ceil(step).saturating_mul(step)
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnCatalog {
    /// Its SQL name, in lower case.
    pub name: String,
    /// `bigint`, `double`, `text`, `boolean`, `date` or `timestamp`.
    pub sql_type: String,
    /// What the column is to a person's privacy.
    pub role: ColumnRole,
    /// Meaning and unit.
    pub description: Text,
}

/// What a column is to a person's privacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnRole {
    /// The person a row is about.
    PersonKey,
    /// Names a person by itself: name, telephone. Must be dropped.
    DirectIdentifier,
    /// Another key: a visit, an institution.
    Key,
    /// A code of a vocabulary.
    Code,
    /// Describes a person to those who know them: age, region.
    QuasiIdentifier,
    /// Free text.
    FreeText,
    /// A measurement, a date, a quantity.
    Value,
}

/// One encrypted Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name below the dataset version's folder: `TABLE/part-00000.parquet`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Of the encrypted bytes.
    pub sha256: Digest,
}

/// A dataset's key, wrapped by HPKE (RFC 9180: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM,
/// base mode). `info` is `kekkai dataset key v1`; the AAD is `DATASET/VERSION/RECIPIENT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrappedKey {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its version.
    pub version: u32,
    /// Who can open it.
    pub recipient: Recipient,
    /// The encapsulated key: 65 bytes, SEC 1 uncompressed, in base64.
    pub enc: String,
    /// The key and its tag, in base64.
    pub ciphertext: String,
}

/// Who can open a wrapped key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipient {
    /// The TPM of an analysis server.
    Server(ServerId),
    /// The producer's recovery key, kept offline.
    Recovery,
}

impl WrappedKey {
    /// HPKE's `info`.
    pub const INFO: &'static [u8] = b"kekkai dataset key v1";

    /// HPKE's AAD: a wrapped key that is moved to another dataset, version or recipient won't open.
    pub fn aad(dataset: &DatasetId, version: u32, recipient: &Recipient) -> String {
        match recipient {
            Recipient::Server(server) => format!("{dataset}/{version}/server/{server}"),
            Recipient::Recovery => format!("{dataset}/{version}/recovery"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_in_two_digits() {
        let told = [
            (0, 0),
            (1, 10),
            (10, 10),
            (11, 20),
            (990, 990),
            (991, 1_000),
            (2_694, 2_700),
            (65_332, 66_000),
            (100_000, 100_000),
            (1_234_567, 1_300_000),
        ];
        for (rows, rounded) in told {
            assert_eq!(rounded_rows(rows), rounded, "{rows}");
        }
        assert_eq!(rounded_rows(u64::MAX), u64::MAX);
    }
}
