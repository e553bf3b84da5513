//! `data`: schema and rows.

use kekkai_analysis_api::{SQL_MAX, SqlError};
use kekkai_output::Value as OutputValue;
use kekkai_types::{ColumnCatalog, DatasetCatalog, TableCatalog};
use wasmtime::component::Resource;

use super::values::parameters;
use super::{State, Stop, refusal};
use crate::bindings::kekkai::session::data::{self, Column, Table};
use crate::bindings::kekkai::session::types::{Failure, Value};
use crate::broker::{NoAnswer, RowStream, Statement};

/// Parameters of one statement.
const PARAMETERS_MAX: usize = 1_000;

/// The rows of a statement, as the program holds them.
pub struct Rows {
    /// `None` once the stream ended, whichever way.
    stream: Option<Box<dyn RowStream>>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_open = self.stream.is_some();
        f.debug_struct("Rows").field("is_open", &is_open).finish()
    }
}

impl data::Host for State {
    async fn schema(&mut self) -> wasmtime::Result<Vec<Table>> {
        self.count_call()?;
        Ok(self.catalogs.iter().flat_map(tables).collect())
    }

    async fn statistic(
        &mut self,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Resource<Rows>, Failure>> {
        self.start(sql, parameters, false).await
    }

    async fn query(
        &mut self,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Resource<Rows>, Failure>> {
        self.start(sql, parameters, true).await
    }
}

impl data::HostRows for State {
    async fn next(
        &mut self,
        rows: Resource<Rows>,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Failure>> {
        self.count_call()?;
        let rows = self.table.get_mut(&rows)?;
        let Some(stream) = &mut rows.stream else {
            return Ok(Ok(None));
        };
        let piece = match stream.next().await {
            Ok(Some(piece)) => return Ok(Ok(Some(piece))),
            Ok(None) => Ok(Ok(None)),
            Err(NoAnswer::Refused(error)) => Ok(Err(failure(error))),
            Err(NoAnswer::Gone) => Err(Stop::Gone.into()),
        };
        rows.stream = None;
        self.rows_are_open = false;
        piece
    }

    async fn drop(&mut self, rows: Resource<Rows>) -> wasmtime::Result<()> {
        let rows = self.table.delete(rows)?;
        if rows.stream.is_some() {
            self.rows_are_open = false;
        }
        Ok(())
    }
}

impl State {
    async fn start(
        &mut self,
        sql: String,
        values: Vec<Value>,
        rows: bool,
    ) -> wasmtime::Result<Result<Resource<Rows>, Failure>> {
        self.count_call()?;
        if sql.len() > SQL_MAX || values.len() > PARAMETERS_MAX {
            return Ok(Err(refusal("too-long", "")));
        }
        if self.rows_are_open {
            return Ok(Err(refusal("rows-open", "")));
        }
        let parameters: Vec<OutputValue> = match parameters(values) {
            Ok(parameters) => parameters,
            Err(failure) => return Ok(Err(failure)),
        };
        let statement = Statement {
            sql,
            parameters,
            rows,
        };
        match self.broker.query(statement).await {
            Ok(stream) => {
                let rows = self.table.push(Rows {
                    stream: Some(stream),
                })?;
                self.rows_are_open = true;
                Ok(Ok(rows))
            }
            Err(NoAnswer::Refused(error)) => Ok(Err(failure(error))),
            Err(NoAnswer::Gone) => Err(Stop::Gone.into()),
        }
    }
}

fn failure(error: SqlError) -> Failure {
    let (line, column) = error.at.unwrap_or((0, 0));
    Failure {
        code: error.code.to_string(),
        name: error.name,
        line,
        column,
    }
}

fn tables(catalog: &DatasetCatalog) -> impl Iterator<Item = Table> + '_ {
    catalog
        .tables
        .iter()
        .map(|table| self::table(catalog, table))
}

fn table(catalog: &DatasetCatalog, table: &TableCatalog) -> Table {
    Table {
        dataset: catalog.id.to_string(),
        name: table.name.clone(),
        columns: table.columns.iter().map(column).collect(),
        person_key: table.person_key.clone(),
        japanese: table.description.ja.clone(),
        english: table.description.en.clone(),
    }
}

fn column(column: &ColumnCatalog) -> Column {
    Column {
        name: column.name.clone(),
        sql_type: column.sql_type.clone(),
        japanese: column.description.ja.clone(),
        english: column.description.en.clone(),
    }
}
