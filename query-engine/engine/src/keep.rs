//! Statements that are no queries: `CREATE TEMPORARY TABLE`, `DROP TABLE`, `EXPLAIN`.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::LogicalPlan;
use futures::StreamExt;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_output::{Cell, Column, ColumnKind, Populations, Table, Value, ValueType};

use crate::errors::{planning, running};
use crate::follow::Checked;
use crate::parameters;
use crate::runtime::Joins;
use crate::session::{Answer, Session};
use crate::table::RowsRead;
use crate::temporary::{Gathering, Temporary, TemporaryTables, making, read_by};
use crate::text::{Place, Text, refuse};

impl Session {
    /// Keeps the rows of a statement under a name and answers how many they are, suppressed as any statistic.
    pub(crate) async fn create(
        &self,
        (name, at): (&str, Option<Place>),
        sql: &str,
        text: &Text,
        rows_read: &Arc<RowsRead>,
    ) -> Checked<Answer> {
        self.check_name(name, at)?;
        // A value that isn't in the text could not be reviewed with it.
        parameters::check(text, &[])?;
        let plan = self.persons_plan(text, rows_read)?;
        let made = self.gather(name, sql, text, &plan).await?;
        let pending = Pending::add(&self.temporary, made)
            .ok_or_else(|| refuse(SqlErrorCode::TableExists, name, at))?;
        let count = Text::new(&format!("SELECT count(*) AS rows FROM \"{name}\""))?;
        let counting = self.persons_plan(&count, rows_read)?;
        let mut answer = self.answer(sql, &count, &counting).await?;
        // The count's own statement is nothing that anybody wrote.
        answer.table.lineage = self.lineage(sql, Some(&plan));
        pending.keep();
        Ok(answer)
    }

    /// Whether a temporary table may be called so.
    pub(crate) fn check_name(&self, name: &str, at: Option<Place>) -> Checked<()> {
        if self.has_table(name) || self.temporary.find(name).is_some() {
            return Err(refuse(SqlErrorCode::TableExists, name, at));
        }
        if self.temporary.is_full() {
            return Err(refuse(SqlErrorCode::Memory, name, at));
        }
        Ok(())
    }

    async fn gather(
        &self,
        name: &str,
        sql: &str,
        text: &Text,
        plan: &LogicalPlan,
    ) -> Checked<Temporary> {
        let mut making = making(plan, text)?;
        let optimized = self
            .optimize(&making.plan)
            .map_err(|e| planning(&e, text))?;
        let names = |plan: &LogicalPlan| -> Vec<String> {
            let fields = plan.schema().fields();
            fields.iter().map(|field| field.name().clone()).collect()
        };
        if names(&optimized) != names(&making.plan) {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        }
        making.plan = optimized;
        let failed = |error| running(&error, text);
        let mut stream = self
            .execute(&making.plan, Joins::Hashed)
            .await
            .map_err(failed)?;
        let memory = MemoryConsumer::new("temporary table").register(self.memory_pool());
        let mut gathering = Gathering::new(making, memory);
        while let Some(batch) = stream.next().await {
            gathering.add(&batch.map_err(failed)?).map_err(failed)?;
        }
        let mut definitions = definitions(plan);
        definitions.insert(self.temporary.next_number(), sql.to_owned());
        gathering
            .finish(name.to_owned(), self.read_datasets(plan), definitions)
            .map_err(failed)
    }

    /// Gives a temporary table up. A granted one can't be dropped, and one that isn't granted isn't there.
    pub(crate) fn drop_table(&self, name: &str, at: Option<Place>, sql: &str) -> Checked<Answer> {
        self.check_drop(name, at)?;
        if !self.temporary.remove(name) {
            return Err(self.no_table(name, at));
        }
        Ok(self.lines("dropped", vec![name.to_owned()], sql, None))
    }

    pub(crate) fn check_drop(&self, name: &str, at: Option<Place>) -> Checked<()> {
        if self.temporary.find(name).is_some() {
            return Ok(());
        }
        if self.has_table(name) {
            return Err(refuse(
                SqlErrorCode::StatementNotAllowed,
                "DROP",
                Some((1, 1)),
            ));
        }
        Err(self.no_table(name, at))
    }

    fn no_table(&self, name: &str, at: Option<Place>) -> SqlError {
        let names = self.temporary.names();
        SqlError {
            code: SqlErrorCode::TableUnknown,
            name: name.to_owned(),
            at,
            candidates: crate::text::candidates(name, names.iter().map(String::as_str)),
            hint: None,
        }
    }

    /// The plan of a statement that may run, as it was written: before persons are followed, before anything is
    /// known of the data. It holds names and values of the statement, and nothing else.
    pub(crate) fn explained(&self, plan: &LogicalPlan, sql: &str) -> Answer {
        let lines = plan.display_indent().to_string();
        let lines = lines.lines().map(str::to_owned).collect();
        self.lines("plan", lines, sql, Some(plan))
    }

    /// Lines of text about nobody.
    fn lines(
        &self,
        column: &str,
        lines: Vec<String>,
        sql: &str,
        of: Option<&LogicalPlan>,
    ) -> Answer {
        let table = Table {
            columns: vec![Column {
                name: column.to_owned(),
                value_type: ValueType::Text,
                kind: ColumnKind::Key,
            }],
            rows: lines
                .into_iter()
                .map(|line| vec![Cell::Key(Value::Text(line))])
                .collect(),
            groups_withheld: 0,
            lineage: self.lineage(sql, of),
        };
        let populations = Populations {
            stable: self.has_stable_numbers,
            cells: Vec::new(),
        };
        Answer { table, populations }
    }
}

/// The definitions of the temporary tables that a plan reads, and of those that these were made of.
pub(crate) fn definitions(plan: &LogicalPlan) -> BTreeMap<u64, String> {
    read_by(plan)
        .iter()
        .flat_map(|table| table.definitions.clone())
        .collect()
}

/// A table that goes again unless its statement comes to its end: one that was cancelled leaves nothing.
struct Pending<'t> {
    tables: &'t TemporaryTables,
    name: Option<String>,
}

impl<'t> Pending<'t> {
    fn add(tables: &'t TemporaryTables, table: Temporary) -> Option<Self> {
        let name = table.name.clone();
        tables.add(Arc::new(table)).then_some(Self {
            tables,
            name: Some(name),
        })
    }

    fn keep(mut self) {
        self.name = None;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.tables.remove(name);
        }
    }
}
