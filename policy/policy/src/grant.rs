//! What a session may read: the agreement's data items, cut out of the catalogue.

use std::collections::BTreeMap;

use kekkai_policy_api::{GrantedDataset, GrantedTable};
use kekkai_types::{
    DatasetCatalog, DatasetId, RowCondition, TableCatalog, WrappedKey, rounded_rows,
};

use crate::{Agreement, TableItem};

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
    /// A row condition that the column's type doesn't allow.
    #[error("column \"{1}\" of table \"{0}\" can't have the agreement's row condition")]
    Condition(String, String),
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
            // Conditions may be on columns that are not granted: looked for before those are gone.
            let conditions = rows(agreed, &mut table)?;
            table
                .columns
                .retain(|column| agreed.columns.contains(&column.name));
            tables.insert(
                name.clone(),
                GrantedTable {
                    columns: agreed.columns.clone(),
                    rows_need: agreed.rows_need,
                    rows: conditions,
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

/// The conditions of a table, each on a column that it has and of its type. The catalogue tells handlers what
/// the agreement's people wrote about them, and no more: no number of rows, which would count those outside.
fn rows(agreed: &TableItem, table: &mut TableCatalog) -> Result<Vec<RowCondition>, GrantError> {
    let Some(provided) = &agreed.rows else {
        table.rows = rounded_rows(table.rows);
        return Ok(Vec::new());
    };
    for condition in &provided.conditions {
        let missing = || GrantError::Column(table.name.clone(), condition.column.clone());
        let mut columns = table.columns.iter();
        let column = columns.find(|column| column.name == condition.column);
        if !condition.test.fits(&column.ok_or_else(missing)?.sql_type) {
            let (table, column) = (table.name.clone(), condition.column.clone());
            return Err(GrantError::Condition(table, column));
        }
    }
    let (ja, en) = (&provided.description.ja, &provided.description.en);
    table.description.ja = format!("{} 提供される行: {ja}", table.description.ja);
    table.description.en = format!("{} Rows provided: {en}", table.description.en);
    table.rows = 0;
    Ok(provided.conditions.clone())
}
