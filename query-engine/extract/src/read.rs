//! The granted part of a dataset's files, decrypted batch by batch.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array as _, AsArray as _, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Int64Type, SchemaRef, UInt32Type};
use arrow::record_batch::RecordBatch;
use kekkai_condition::{ColumnTest, provided};
use kekkai_dataset::{FilePlace, open_reader, verify_digest};
use kekkai_types::{
    ColumnCatalog, ColumnRole, DatasetCatalog, KeyText, PERSON_NUMBER_COLUMN, RowCondition,
    TableCatalog,
};
use parquet::arrow::ProjectionMask;

use crate::error::{ExtractError, Hidden};
use crate::run::Agreed;

/// Rows in a batch.
const BATCH_ROWS: usize = 16 * 1024;

/// A table of the dataset, cut to what is agreed.
pub(crate) struct Cut<'a> {
    pub(crate) table: &'a TableCatalog,
    /// In the order of the catalogue; among them, agreed or not, the person key and what conditions are on.
    pub(crate) columns: Vec<&'a ColumnCatalog>,
    /// Which rows.
    pub(crate) rows: &'a [RowCondition],
}

impl<'a> Cut<'a> {
    /// What of `table` is agreed.
    pub(crate) fn new(table: &'a TableCatalog, agreed: &'a Agreed) -> Result<Self, ExtractError> {
        let conditions = agreed.rows.iter().map(|condition| &condition.column);
        for column in agreed.columns.iter().chain(conditions) {
            if !table.columns.iter().any(|known| known.name == *column) {
                return Err(ExtractError::NoColumn {
                    table: table.name.clone(),
                    column: column.clone(),
                });
            }
        }
        let columns: Vec<&ColumnCatalog> = table
            .columns
            .iter()
            .filter(|column| {
                agreed.columns.contains(&column.name)
                    || agreed.rows.iter().any(|row| row.column == column.name)
                    || table.person_key.as_deref() == Some(column.name.as_str())
            })
            .collect();
        // A key that is no pseudonym of ours couldn't be replaced; it must not be copied either.
        for column in &columns {
            if is_key(column) && column.sql_type != "bigint" {
                return Err(ExtractError::KeyType {
                    table: table.name.clone(),
                    column: column.name.clone(),
                });
            }
        }
        // A session applies the conditions again, to other keys.
        for condition in &agreed.rows {
            let fits = columns.iter().any(|column| {
                column.name == condition.column
                    && !is_key(column)
                    && condition.test.fits(&column.sql_type)
            });
            if !fits {
                return Err(ExtractError::Condition(condition.column.clone()));
            }
        }
        Ok(Self {
            table,
            columns,
            rows: &agreed.rows,
        })
    }

    /// The names of the columns to read: those of the cut, and the persons' numbers.
    fn names(&self) -> Vec<&str> {
        let number = self.table.person_key.as_ref().map(|_| PERSON_NUMBER_COLUMN);
        let columns = self.columns.iter().map(|column| column.name.as_str());
        columns.chain(number).collect()
    }
}

/// Whether the project's own pseudonyms replace a column's values.
pub(crate) fn is_key(column: &ColumnCatalog) -> bool {
    matches!(column.role, ColumnRole::PersonKey | ColumnRole::Key)
}

/// The dataset that is read.
pub(crate) struct Reader<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) catalog: &'a DatasetCatalog,
    pub(crate) key: &'a KeyText,
}

impl Reader<'_> {
    /// Calls `each` for every batch of some columns of a table, in the order of `names`, with the rows that are
    /// provided, and says how many there were before. Batches are few thousand rows; the files are, byte for byte, the catalogue's, and hold as
    /// many rows as it says.
    ///
    /// # Errors
    /// `each`'s, and everything that can be wrong with a file.
    pub(crate) fn batches(
        &self,
        cut: &Cut<'_>,
        names: &[&str],
        mut each: impl FnMut(RecordBatch, usize) -> Result<(), ExtractError>,
    ) -> Result<(), ExtractError> {
        let table = cut.table;
        // What conditions are on is read, too, and left out again.
        let mut wanted = names.to_vec();
        for condition in cut.rows {
            if !wanted.contains(&condition.column.as_str()) {
                wanted.push(&condition.column);
            }
        }
        let asked: Vec<usize> = (0..names.len()).collect();
        let mut rows = 0_u64;
        for entry in &table.files {
            let path = self.folder.join(&entry.name);
            let file = File::open(&path).map_err(|source| ExtractError::Open { path, source })?;
            verify_digest(&file, entry)?;
            let place = FilePlace::new(&self.catalog.id, self.catalog.version, &entry.name);
            let reader = open_reader(file, self.key, &place)?;
            let schema = reader.schema().clone();
            let indices = wanted
                .iter()
                .map(|name| index(table, &schema, name))
                .collect::<Result<Vec<_>, _>>()?;
            let mask = ProjectionMask::roots(reader.parquet_schema(), indices.iter().copied());
            let reader = reader
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(ExtractError::decode(&table.name))?;
            // Projected columns come in the order of the file.
            let mut sorted = indices.clone();
            sorted.sort_unstable();
            let order = indices
                .iter()
                .map(|at| sorted.binary_search(at))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| ExtractError::Internal("a column got lost"))?;
            let tests = cut
                .rows
                .iter()
                .map(|condition| {
                    let at = wanted.iter().position(|name| *name == condition.column);
                    let column = indices.get(at?)?;
                    let data_type = schema.field(*column).data_type();
                    Some((at?, ColumnTest::new(&condition.test, data_type)?))
                })
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| ExtractError::Contradiction(table.name.clone()))?;
            for batch in reader {
                let batch = batch.map_err(|error| ExtractError::Decode {
                    table: table.name.clone(),
                    source: Hidden::new(error),
                })?;
                let batch = batch
                    .project(&order)
                    .map_err(|_| ExtractError::Internal("a projection doesn't fit its batch"))?;
                let read = batch.num_rows();
                rows += u64::try_from(read).unwrap_or(u64::MAX);
                let batch = provided(batch, &tests)
                    .and_then(|batch| batch.project(&asked))
                    .map_err(|_| ExtractError::Internal("a projection doesn't fit its batch"))?;
                each(batch, read)?;
            }
        }
        if rows == table.rows {
            Ok(())
        } else {
            Err(ExtractError::Contradiction(table.name.clone()))
        }
    }

    /// As [`Reader::batches`], for all columns of a cut; the persons' numbers come last, where there are any.
    pub(crate) fn cut(
        &self,
        cut: &Cut<'_>,
        each: impl FnMut(RecordBatch, usize) -> Result<(), ExtractError>,
    ) -> Result<(), ExtractError> {
        self.batches(cut, &cut.names(), each)
    }
}

fn index(table: &TableCatalog, schema: &SchemaRef, name: &str) -> Result<usize, ExtractError> {
    schema.index_of(name).map_err(|_| {
        if name == PERSON_NUMBER_COLUMN {
            ExtractError::NotNumbered(table.name.clone())
        } else {
            ExtractError::Contradiction(table.name.clone())
        }
    })
}

/// A batch's column as pseudonyms.
pub(crate) fn pseudonyms<'b>(
    batch: &'b RecordBatch,
    at: usize,
    table: &str,
) -> Result<&'b Int64Array, ExtractError> {
    batch
        .columns()
        .get(at)
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .ok_or_else(|| ExtractError::Contradiction(table.to_owned()))
}

/// A batch's persons: numbers and pseudonyms, neither ever null.
pub(crate) fn persons<'b>(
    batch: &'b RecordBatch,
    (key, number): (usize, usize),
    table: &str,
) -> Result<(&'b UInt32Array, &'b Int64Array), ExtractError> {
    let keys = pseudonyms(batch, key, table)?;
    let numbers = batch
        .columns()
        .get(number)
        .and_then(|column| column.as_primitive_opt::<UInt32Type>())
        .filter(|numbers| numbers.null_count() == 0 && keys.null_count() == 0)
        .ok_or_else(|| ExtractError::Contradiction(table.to_owned()))?;
    Ok((numbers, keys))
}

/// The hidden column's field.
pub(crate) fn number_field() -> Field {
    Field::new(PERSON_NUMBER_COLUMN, DataType::UInt32, false)
}
