//! Extracts and their wrapped keys: the only keys that this service can destroy, since they are in no
//! other place.
//!
//! Erasing has two steps. A transaction deletes the rows, which `secure_delete` overwrites in the pages of
//! the database. [`Store::scrub`] then empties the write-ahead log, in which copies of those pages may
//! stand, and rewrites the database. What SQLite can't reach is what the file system and the disk keep of
//! blocks that it gave back, and copies that somebody made of the files: each is still wrapped to a TPM.

use kekkai_types::{AgreementId, DatasetCatalog, DatasetId, Digest, Recipient, WrappedKey};
use rusqlite::{OptionalExtension, ToSql, Transaction, params};

use super::{Store, StoreError, text, value};

/// An extract, as registered.
pub(crate) struct ExtractRow {
    pub(crate) agreement: AgreementId,
    /// What it was made of.
    pub(crate) of: (DatasetId, u32),
    pub(crate) catalog: DatasetCatalog,
    pub(crate) is_erased: bool,
}

/// An extract whose keys are gone while the ledger doesn't say so yet.
pub(crate) struct ErasedRow {
    pub(crate) agreement: AgreementId,
    pub(crate) extract: DatasetId,
    pub(crate) version: u32,
    /// Of its wrapped keys.
    pub(crate) keys: Vec<Digest>,
}

/// Erases the keys of the extracts that meet a condition.
pub(super) fn erase(
    db: &Transaction<'_>,
    condition: &'static str,
    values: &[&dyn ToSql],
) -> Result<(), StoreError> {
    db.execute(
        &format!(
            "DELETE FROM extract_key
             WHERE (id, version) IN (SELECT id, version FROM extract WHERE {condition})"
        ),
        values,
    )?;
    db.execute(
        &format!("UPDATE extract SET erased = 1 WHERE {condition}"),
        values,
    )?;
    Ok(())
}

impl Store {
    /// Adds an extract with its keys, and erases those of the ones whose place it takes.
    pub(crate) fn put_extract(
        &mut self,
        agreement: &AgreementId,
        of: &(DatasetId, u32),
        catalog: &DatasetCatalog,
        keys: &[WrappedKey],
    ) -> Result<(), StoreError> {
        let body = text(catalog, "extract")?;
        let mut digests = Vec::with_capacity(keys.len());
        for key in keys {
            digests.push(Digest::of(text(key, "extract_key")?.as_bytes()));
        }
        let digests = text(&digests, "extract")?;
        self.change(|db| {
            erase(
                db,
                "agreement = ?1 AND dataset = ?2 AND dataset_version = ?3",
                &[&agreement.as_str(), &of.0.as_str(), &of.1],
            )?;
            db.execute(
                "INSERT INTO extract (id, version, agreement, dataset, dataset_version, catalog,
                                      key_digests, erased, certified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0)",
                params![
                    catalog.id.as_str(),
                    catalog.version,
                    agreement.as_str(),
                    of.0.as_str(),
                    of.1,
                    body,
                    digests
                ],
            )?;
            for key in keys {
                db.execute(
                    "INSERT INTO extract_key (id, version, recipient, wrapped)
                     VALUES (?1, ?2, ?3, ?4)",
                    params![
                        catalog.id.as_str(),
                        catalog.version,
                        text(&key.recipient, "extract_key")?,
                        text(key, "extract_key")?
                    ],
                )?;
            }
            Ok(())
        })
    }

    /// All extracts that ever were, those without keys included, the earlier versions first.
    pub(crate) fn extracts(&self) -> Result<Vec<ExtractRow>, StoreError> {
        self.all(
            "SELECT agreement, dataset, dataset_version, catalog, erased FROM extract
             ORDER BY id, version",
            |row| {
                let bad = |_| StoreError::Row("extract");
                Ok(ExtractRow {
                    agreement: AgreementId::new(row.get::<_, String>(0)?).map_err(bad)?,
                    of: (
                        DatasetId::new(row.get::<_, String>(1)?).map_err(bad)?,
                        row.get(2)?,
                    ),
                    catalog: value(&row.get::<_, String>(3)?, "extract")?,
                    is_erased: row.get(4)?,
                })
            },
        )
    }

    pub(crate) fn extract_key(
        &self,
        extract: &DatasetId,
        version: u32,
        recipient: &Recipient,
    ) -> Result<Option<WrappedKey>, StoreError> {
        self.db
            .query_row(
                "SELECT wrapped FROM extract_key
                 WHERE id = ?1 AND version = ?2 AND recipient = ?3",
                params![extract.as_str(), version, text(recipient, "extract_key")?],
                |row| row.get::<_, String>(0),
            )
            .optional()?
            .map(|wrapped| value(&wrapped, "extract_key"))
            .transpose()
    }

    /// Extracts whose keys were erased and of which the ledger has no certificate yet.
    pub(crate) fn erased_extracts(&self) -> Result<Vec<ErasedRow>, StoreError> {
        self.all(
            "SELECT agreement, id, version, key_digests FROM extract
             WHERE erased = 1 AND certified = 0",
            |row| {
                let bad = |_| StoreError::Row("extract");
                Ok(ErasedRow {
                    agreement: AgreementId::new(row.get::<_, String>(0)?).map_err(bad)?,
                    extract: DatasetId::new(row.get::<_, String>(1)?).map_err(bad)?,
                    version: row.get(2)?,
                    keys: value(&row.get::<_, String>(3)?, "extract")?,
                })
            },
        )
    }

    /// Leaves no copy of erased rows in the database's files.
    pub(crate) fn scrub(&mut self) -> Result<(), StoreError> {
        self.empty_log()?;
        self.db.execute_batch("VACUUM")?;
        self.empty_log()
    }

    fn empty_log(&self) -> Result<(), StoreError> {
        let held: i64 = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if held == 0 {
            Ok(())
        } else {
            Err(StoreError::Held)
        }
    }

    /// Notes that the ledger has the certificates.
    pub(crate) fn certify_extracts(&mut self, erased: &[ErasedRow]) -> Result<(), StoreError> {
        self.change(|db| {
            for row in erased {
                db.execute(
                    "UPDATE extract SET certified = 1 WHERE id = ?1 AND version = ?2",
                    params![row.extract.as_str(), row.version],
                )?;
            }
            Ok(())
        })
    }
}
