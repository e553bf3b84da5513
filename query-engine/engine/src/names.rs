//! Names that a statement can resolve: granted tables, listed functions, nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_types::DatasetId;

use crate::functions::Functions;
use crate::table::{Granted, Loaded, RowsRead};
use crate::temporary::{Kept, TemporaryTables};
use crate::text::{Text, candidates};

/// The granted tables of a session; several datasets may have tables of one name.
#[derive(Debug, Default)]
pub(crate) struct Tables(BTreeMap<String, Vec<Arc<Loaded>>>);

impl Tables {
    /// Adds a table; false when its dataset has one of that name already.
    pub(crate) fn add(&mut self, table: Loaded) -> bool {
        let same_name = self.0.entry(table.name.clone()).or_default();
        if same_name.iter().any(|other| other.dataset == table.dataset) {
            return false;
        }
        same_name.push(Arc::new(table));
        true
    }

    /// Whether some dataset has a granted table of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The table of that name in exactly this version of the dataset.
    pub(crate) fn exactly(
        &self,
        dataset: &DatasetId,
        version: u32,
        name: &str,
    ) -> Option<&Arc<Loaded>> {
        self.0
            .get(name)?
            .iter()
            .find(|table| table.dataset == *dataset && table.version == version)
    }
}

/// What the planner asks for names.
pub(crate) struct Names<'a> {
    pub(crate) tables: &'a Tables,
    /// Those of the session, where the statement is a person's.
    pub(crate) temporary: Option<&'a TemporaryTables>,
    pub(crate) functions: &'a Functions,
    pub(crate) text: &'a Text,
    pub(crate) options: &'a ConfigOptions,
    pub(crate) planners: &'a [Arc<dyn ExprPlanner>],
    pub(crate) rows_read: Arc<RowsRead>,
}

impl Names<'_> {
    fn find(&self, name: &TableReference) -> Option<&Arc<Loaded>> {
        let same_name = self.tables.0.get(name.table())?;
        match name {
            TableReference::Bare { .. } => match same_name.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            TableReference::Partial { schema, .. } => same_name
                .iter()
                .find(|table| table.dataset.as_str() == schema.as_ref()),
            TableReference::Full { .. } => None,
        }
    }

    /// "Not granted" and "not there" are one answer.
    fn unknown(&self, name: &TableReference) -> SqlError {
        let mut near = match self.tables.0.get(name.table()) {
            Some(same_name) => same_name
                .iter()
                .map(|table| format!("\"{}\".{}", table.dataset, table.name))
                .collect(),
            None => {
                let kept = self
                    .temporary
                    .map(TemporaryTables::names)
                    .unwrap_or_default();
                let known = self.tables.0.keys().chain(&kept);
                candidates(name.table(), known.map(String::as_str))
            }
        };
        near.truncate(3);
        SqlError {
            code: SqlErrorCode::TableUnknown,
            name: name.to_string(),
            at: self.text.name(name.table()),
            candidates: near,
            hint: None,
        }
    }
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        if let TableReference::Bare { table } = &name
            && let Some(kept) = self.temporary.and_then(|tables| tables.find(table))
        {
            let kept = Kept::new(kept, Arc::clone(&self.rows_read));
            return Ok(provider_as_source(Arc::new(kept)));
        }
        match self.find(&name) {
            Some(table) => Ok(provider_as_source(Arc::new(Granted::new(
                Arc::clone(table),
                Arc::clone(&self.rows_read),
            )))),
            None => Err(DataFusionError::External(Box::new(self.unknown(&name)))),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window.get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.scalar.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions.aggregate.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.functions.window.keys().cloned().collect()
    }
}
