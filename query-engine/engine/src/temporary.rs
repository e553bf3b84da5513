//! Temporary tables: what a statement made, kept in the session's memory for the statements after it.
//!
//! A short story. `CREATE TEMPORARY TABLE cohort AS SELECT person_id, min(day) AS first FROM labs GROUP BY
//! person_id` is followed as a subquery in `FROM` would be: each row's persons stay with it in hidden columns
//! ([`crate::follow`]), nothing of it may fail on a row, and what can't be followed is not made. So a statistic
//! over `cohort` counts the same persons as one over its definition. What the statement answers is itself a
//! statistic: how many rows there are, suppressed like any other.
//!
//! A table has the columns that were selected and no others. It is never on a disk, its bytes are the session's,
//! and it ends with the session or with `DROP TABLE`. It can't take the name of a granted table: a reviewer who
//! reads a statement must know what it read. Its definition goes with every result that was made of it.

mod scan;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::source_as_provider;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use kekkai_analysis_api::SqlErrorCode;
use kekkai_types::DatasetId;

use crate::errors::planning;
use crate::follow::{Checked, Follow};
use crate::functions::Purpose;
use crate::person::PERSON_TYPE;
use crate::table::is_known_type;
use crate::text::{HIDDEN_PREFIX, Text, refuse};
pub(crate) use scan::Kept;

/// Temporary tables of one session at once.
pub(crate) const TEMPORARY_MAX: usize = 32;

/// A person whom each row of a temporary table is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldPerson {
    pub(crate) dataset: DatasetId,
    /// Columns with this person's key, and whether it is there wherever the person is.
    pub(crate) keys: Vec<(usize, bool)>,
}

/// A temporary table.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) name: String,
    /// The columns that were selected.
    pub(crate) schema: SchemaRef,
    /// Each has a hidden column behind the selected ones, in this order.
    pub(crate) persons: Vec<HeldPerson>,
    batches: Vec<RecordBatch>,
    pub(crate) rows: u64,
    /// What was read for it, also through other temporary tables.
    pub(crate) datasets: Vec<(DatasetId, u32)>,
    /// Its statement and those that it builds on, by their order in the session.
    pub(crate) definitions: BTreeMap<u64, String>,
    /// Gives the memory back when the last query is done with the table.
    _memory: MemoryReservation,
}

/// A plan whose rows become a table: the selected columns, then one for each person.
pub(crate) struct Making {
    pub(crate) plan: LogicalPlan,
    persons: Vec<HeldPerson>,
    shown: usize,
}

/// Follows the rows of a plan as those of a subquery.
pub(crate) fn making(plan: &LogicalPlan, text: &Text) -> Checked<Making> {
    let mut follow = Follow::new(text, Purpose::Statistic);
    let followed = follow.plan(plan)?;
    let columns = plan.schema().columns();
    for (at, field) in plan.schema().fields().iter().enumerate() {
        let name = field.name();
        let is_twice = plan
            .schema()
            .fields()
            .iter()
            .take(at)
            .any(|other| other.name() == name);
        if is_twice {
            return Err(refuse(SqlErrorCode::ColumnAmbiguous, name, text.name(name)));
        }
        if !is_known_type(&kept_type(field.data_type())) {
            return Err(refuse(SqlErrorCode::Type, name, text.name(name)));
        }
    }
    let persons: Vec<HeldPerson> = followed
        .persons
        .iter()
        .map(|person| HeldPerson {
            dataset: person.dataset.clone(),
            keys: columns
                .iter()
                .enumerate()
                .filter(|(_, column)| person.has_key(column))
                .map(|(at, column)| (at, person.has_exact_key(column)))
                .collect(),
        })
        .collect();
    let shown = columns.len();
    let hidden = followed
        .persons
        .into_iter()
        .enumerate()
        .map(|(number, person)| {
            Expr::Column(person.id).alias(format!("{HIDDEN_PREFIX}_t{number}"))
        });
    let exprs = columns
        .into_iter()
        .map(Expr::Column)
        .chain(hidden)
        .collect();
    let plan =
        Projection::try_new(exprs, Arc::new(followed.plan)).map_err(|e| planning(&e, text))?;
    Ok(Making {
        plan: LogicalPlan::Projection(plan),
        persons,
        shown,
    })
}

/// Texts are kept as views, as scans give them.
fn kept_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        other => other.clone(),
    }
}

/// Gathers the rows of a table.
pub(crate) struct Gathering {
    making: Making,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: u64,
    memory: MemoryReservation,
}

impl Gathering {
    pub(crate) fn new(making: Making, memory: MemoryReservation) -> Self {
        let fields: Vec<Field> = making
            .plan
            .schema()
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| {
                let data_type = if at < making.shown {
                    kept_type(field.data_type())
                } else {
                    PERSON_TYPE
                };
                Field::new(field.name(), data_type, true)
            })
            .collect();
        Self {
            making,
            schema: Arc::new(Schema::new(fields)),
            batches: Vec::new(),
            rows: 0,
            memory,
        }
    }

    /// Takes a batch; fails where the session's memory is used up.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_columns() != self.schema.fields().len() {
            return Err(bug("a column is not there"));
        }
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| {
                let column = arrow::compute::cast(column, field.data_type())?;
                Ok(compact(column))
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.memory.try_grow(batch.get_array_memory_size())?;
        self.rows = self.rows.saturating_add(batch.num_rows() as u64);
        if batch.num_rows() > 0 {
            self.batches.push(batch);
        }
        Ok(())
    }

    pub(crate) fn finish(
        self,
        name: String,
        datasets: Vec<(DatasetId, u32)>,
        definitions: BTreeMap<u64, String>,
    ) -> Result<Temporary> {
        let shown: Vec<usize> = (0..self.making.shown).collect();
        Ok(Temporary {
            name,
            schema: Arc::new(self.schema.project(&shown)?),
            persons: self.making.persons,
            batches: self.batches,
            rows: self.rows,
            datasets,
            definitions,
            _memory: self.memory,
        })
    }
}

/// Views of a few texts would keep all the texts of their batch.
fn compact(column: ArrayRef) -> ArrayRef {
    match column.as_string_view_opt() {
        Some(views) => Arc::new(views.gc()),
        None => column,
    }
}

fn bug(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}

/// The temporary tables of a session.
#[derive(Debug, Default)]
pub(crate) struct TemporaryTables(RwLock<Held>);

#[derive(Debug, Default)]
struct Held {
    tables: BTreeMap<String, Arc<Temporary>>,
    /// Statements that made one so far.
    made: u64,
}

impl TemporaryTables {
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Temporary>> {
        self.read(|held| held.tables.get(name).cloned())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.read(|held| held.tables.keys().cloned().collect())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.read(|held| held.tables.len() >= TEMPORARY_MAX)
    }

    /// A number for the next definition, larger than those before.
    pub(crate) fn next_number(&self) -> u64 {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.made = held.made.saturating_add(1);
        held.made
    }

    /// Adds a table, where there is room and its name is free.
    pub(crate) fn add(&self, table: Arc<Temporary>) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.tables.len() >= TEMPORARY_MAX || held.tables.contains_key(&table.name) {
            return false;
        }
        held.tables.insert(table.name.clone(), table);
        true
    }

    /// Takes a table away; queries that run keep what they read.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.tables.remove(name).is_some()
    }

    fn read<T>(&self, f: impl FnOnce(&Held) -> T) -> T {
        f(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The temporary tables that a plan reads.
pub(crate) fn read_by(plan: &LogicalPlan) -> Vec<Arc<Temporary>> {
    let mut read: Vec<Arc<Temporary>> = Vec::new();
    // The closure never fails, so neither does the walk.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(kept) = provider.downcast_ref::<Kept>()
        {
            read.push(Arc::clone(&kept.table));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    read
}
