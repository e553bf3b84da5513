//! What a session may read: the agreement's data items, cut out of the catalogue.

use std::collections::BTreeMap;

use kekkai_policy_api::{GrantedDataset, GrantedTable};
use kekkai_types::{DatasetCatalog, DatasetId, WrappedKey};

use crate::Agreement;

/// Why the terms can't be granted: the operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The agreement names a dataset version that is not registered.
    #[error("dataset \"{0}\" version {1} is not registered")]
    Dataset(DatasetId, u32),
    /// The dataset has no such table.
    #[error("dataset \"{0}\" has no table \"{1}\"")]
    Table(DatasetId, String),
    /// The table has no such column.
    #[error("table \"{0}\" has no column \"{1}\"")]
    Column(String, String),
    /// The dataset's key was not wrapped to the server that asks.
    #[error("no key of dataset \"{0}\" version {1} is wrapped to this server")]
    Key(DatasetId, u32),
}

/// The granted datasets: agreed tables and columns, nothing else. `catalog` may answer with an extract's in
/// a dataset's place; `key` is asked for the key of what it answered. `person_key` still names the column
/// that holds a row's person where that column is not granted: contributors are counted by it, inside.
pub fn grant<'a>(
    terms: &Agreement,
    catalog: impl Fn(&DatasetId, u32) -> Option<&'a DatasetCatalog>,
    mut key: impl FnMut(&DatasetId, u32) -> Option<WrappedKey>,
) -> Result<Vec<GrantedDataset>, GrantError> {
    let mut granted = Vec::new();
    for item in &terms.data {
        let (dataset, version) = (&item.dataset, item.version);
        let whole = catalog(dataset, version)
            .ok_or_else(|| GrantError::Dataset(dataset.clone(), version))?;
        let mut cut = DatasetCatalog {
            tables: Vec::new(),
            ..whole.clone()
        };
        let mut tables = BTreeMap::new();
        for (name, agreed) in &item.tables {
            let mut table = whole
                .tables
                .iter()
                .find(|table| table.name == *name)
                .cloned()
                .ok_or_else(|| GrantError::Table(dataset.clone(), name.clone()))?;
            for column in &agreed.columns {
                if !table.columns.iter().any(|known| known.name == *column) {
                    return Err(GrantError::Column(name.clone(), column.clone()));
                }
            }
            table
                .columns
                .retain(|column| agreed.columns.contains(&column.name));
            tables.insert(
                name.clone(),
                GrantedTable {
                    columns: agreed.columns.clone(),
                    rows_need: agreed.rows_need,
                },
            );
            cut.tables.push(table);
        }
        granted.push(GrantedDataset {
            catalog: cut,
            key: key(&whole.id, whole.version)
                .ok_or_else(|| GrantError::Key(dataset.clone(), version))?,
            tables,
        });
    }
    Ok(granted)
}
