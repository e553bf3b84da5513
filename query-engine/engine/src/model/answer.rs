//! Runs a statement with a model function: gathers, fits, and puts the table together.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{SortColumn, concat, lexsort_to_indices};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use futures::StreamExt;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_output::{
    Cell, Column, ColumnKind, POPULATION_BYTES_MAX, POPULATIONS_MAX, Population, TABLE_CELLS_MAX,
    Value, ValueType,
};
use kekkai_statistics::{FitError, Predictors};

use super::fit::{NoFit, Row, fit, withheld};
use super::gather::Sample;
use super::plan::{Gathered, Selected};
use crate::above::{value_type, values};
use crate::errors::{planning, running};
use crate::follow::Checked;
use crate::population::bitmap_of;
use crate::runtime::Joins;
use crate::session::Session;
use crate::suppress::Bounds;
use crate::text::{Text, refuse};

/// Groups that are fitted one by one.
const GROUPS_MAX: usize = 1_000;

/// Rows of one fit: it can't be stopped midway, and ten million take a few seconds.
const ROWS_MAX: usize = 10_000_000;

/// Predictors that an error names beside the one that follows from them.
const NAMED_MAX: usize = 3;

/// A model's table, and who stands behind its cells.
pub(crate) struct Modelled {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) groups_withheld: u64,
    pub(crate) populations: Vec<Population>,
}

/// One group: its keys' values and its rows in bytes.
struct Group {
    keys: Vec<Value>,
    bytes: Vec<u8>,
}

impl Session {
    /// Gathers the rows of each group and fits them.
    pub(crate) async fn modelled(
        &self,
        text: &Text,
        gathered: &Gathered,
        bounds: Bounds,
        joins: Joins,
    ) -> Checked<Modelled> {
        let optimized = self
            .optimize(&gathered.plan)
            .map_err(|e| planning(&e, text))?;
        if !gathered.survived(&optimized) {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        }
        let pool = &self.state().runtime_env().memory_pool;
        let memory = MemoryConsumer::new("gathered rows").register(pool);
        let mut stream = self
            .execute(&optimized, joins)
            .await
            .map_err(|e| running(&e, text))?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|e| running(&e, text))?;
            memory
                .try_grow(batch.get_array_memory_size())
                .map_err(|e| running(&e, text))?;
            batches.push(batch);
        }
        drop(stream);
        let groups = in_order(gathered, batches).map_err(|e| running(&e, text))?;
        if groups.len() > GROUPS_MAX {
            return Err(refuse(SqlErrorCode::TooLarge, "", None));
        }

        let mut table = Tabled::new(gathered, bounds);
        for group in groups {
            // Decoded rows, their sorted references, and what the fit itself needs.
            let least = 4 + 8 * gathered.arguments.len();
            let rows = group.bytes.len() / least.max(1);
            if rows > ROWS_MAX {
                return Err(refuse(SqlErrorCode::TooLarge, "", None));
            }
            let working = Predictors::fit_bytes(rows, gathered.arguments.len() + 4);
            memory.try_grow(working).map_err(|e| running(&e, text))?;
            table.add(group, text)?;
            memory.shrink(working);
            // So that a query that was cancelled ends between two fits.
            tokio::task::yield_now().await;
        }
        table.finish().map_err(|e| running(&e, text))
    }
}

/// The groups in the order of their keys: no order of arrival shows.
fn in_order(gathered: &Gathered, batches: Vec<RecordBatch>) -> Result<Vec<Group>> {
    let bug = || DataFusionError::Internal("gathered rows of another shape".to_owned());
    let mut keys: Vec<Vec<ArrayRef>> = vec![Vec::new(); gathered.groups];
    let mut all = Vec::new();
    for batch in batches {
        for (keys, column) in keys.iter_mut().zip(batch.columns()) {
            keys.push(Arc::clone(column));
        }
        let rows = batch.column(gathered.groups);
        let rows = rows.as_binary_opt::<i64>().ok_or_else(bug)?;
        all.extend(rows.iter().map(|rows| rows.unwrap_or_default().to_vec()));
    }
    if gathered.groups == 0 || all.is_empty() {
        let only = |bytes| Group {
            keys: Vec::new(),
            bytes,
        };
        return Ok(all.into_iter().map(only).collect());
    }
    let mut columns = Vec::with_capacity(keys.len());
    for parts in &keys {
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        columns.push(concat(&parts)?);
    }
    let sort: Vec<SortColumn> = columns
        .iter()
        .map(|column| SortColumn {
            values: Arc::clone(column),
            options: None,
        })
        .collect();
    let order = lexsort_to_indices(&sort, None)?;
    let columns = columns
        .iter()
        .map(|column| values(column, value_type(column.data_type())))
        .collect::<Result<Vec<_>>>()?;
    let mut groups = Vec::with_capacity(all.len());
    for place in order.values() {
        let place = *place as usize;
        let keys = columns
            .iter()
            .map(|column| column.get(place).cloned().ok_or_else(bug))
            .collect::<Result<Vec<_>>>()?;
        let bytes = all.get_mut(place).map(std::mem::take).ok_or_else(bug)?;
        groups.push(Group { keys, bytes });
    }
    Ok(groups)
}

/// The table while it grows.
struct Tabled<'g> {
    gathered: &'g Gathered,
    bounds: Bounds,
    rows: Vec<Vec<Cell>>,
    populations: Vec<Population>,
    population_bytes: usize,
    withheld: u64,
    withheld_persons: BTreeSet<u32>,
}

impl<'g> Tabled<'g> {
    fn new(gathered: &'g Gathered, bounds: Bounds) -> Self {
        Self {
            gathered,
            bounds,
            rows: Vec::new(),
            populations: Vec::new(),
            population_bytes: 0,
            withheld: 0,
            withheld_persons: BTreeSet::new(),
        }
    }

    fn add(&mut self, group: Group, text: &Text) -> Checked<()> {
        let function = self.gathered.function;
        let Some(sample) = Sample::read(&group.bytes, &self.gathered.arguments) else {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        };
        let persons: BTreeSet<u32> = sample.persons.iter().copied().collect();
        // A group that too few are in isn't even named; a table without groups keeps its row.
        let is_small = (persons.len() as u64) < self.bounds.threshold;
        if is_small && self.gathered.groups > 0 {
            self.withheld += 1;
            self.withheld_persons.extend(persons);
            return Ok(());
        }
        let rows = match fit(function, &self.gathered.names, sample, self.bounds) {
            Ok(rows) => rows,
            Err(NoFit::Withheld(why)) => {
                // The group's name is shown beside what is withheld of it.
                let is_named = self.gathered.groups > 0;
                let named = if is_named { persons } else { BTreeSet::new() };
                let named = Arc::new(named.into_iter().collect());
                vec![withheld(function, why, named)]
            }
            Err(NoFit::Failed(error)) => return Err(failure(&error, function.name(), text)),
        };
        for row in rows {
            self.push(&group.keys, row).map_err(|e| running(&e, text))?;
        }
        let is_much = self.populations.len() > POPULATIONS_MAX
            || self.population_bytes > POPULATION_BYTES_MAX;
        if is_much {
            return Err(refuse(SqlErrorCode::TooLarge, "", None));
        }
        let cells = self.rows.first().map_or(0, Vec::len) * self.rows.len();
        if cells > TABLE_CELLS_MAX {
            return Err(refuse(SqlErrorCode::TooLarge, "", None));
        }
        Ok(())
    }

    /// Adds a row, and who stands behind it.
    fn push(&mut self, keys: &[Value], row: Row) -> Result<()> {
        let mut cells = Vec::with_capacity(row.cells.len() + keys.len());
        let mut told = row.cells;
        let mut own = Vec::new();
        for selected in &self.gathered.selected {
            match selected {
                Selected::Key(place, _) => {
                    let key = keys.get(*place).cloned().unwrap_or(Value::Null);
                    cells.push(Cell::Key(key));
                }
                Selected::Model => {
                    for told in std::mem::take(&mut told) {
                        own.extend(told.own.into_iter().map(|set| (cells.len(), set)));
                        cells.push(told.cell);
                    }
                }
            }
        }
        self.rows.push(cells);
        for (column, set) in own {
            let column = u32::try_from(column).unwrap_or(u32::MAX);
            self.stand(Some(column), set.to_vec())?;
        }
        if !row.persons.is_empty() {
            self.stand(None, row.persons.to_vec())?;
        }
        Ok(())
    }

    /// Puts persons behind a cell of the last row, or behind the row.
    fn stand(&mut self, column: Option<u32>, persons: Vec<u32>) -> Result<()> {
        let row = self.rows.len().saturating_sub(1);
        self.stand_at(u32::try_from(row).unwrap_or(u32::MAX), column, persons)
    }

    fn stand_at(&mut self, row: u32, column: Option<u32>, persons: Vec<u32>) -> Result<()> {
        let persons = bitmap_of(persons)?;
        self.population_bytes = self.population_bytes.saturating_add(persons.len());
        self.populations.push(Population {
            row,
            column,
            dataset: self.gathered.dataset.clone(),
            persons,
            measures: self.gathered.measures.clone(),
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Modelled> {
        let schema = self.gathered.plan.schema();
        let mut columns = Vec::new();
        for selected in &self.gathered.selected {
            match selected {
                Selected::Key(place, name) => columns.push(Column {
                    name: name.clone(),
                    value_type: schema
                        .fields()
                        .get(*place)
                        .map_or(ValueType::Text, |field| value_type(field.data_type())),
                    kind: ColumnKind::Key,
                }),
                Selected::Model => {
                    let own = self.gathered.function.columns().into_iter();
                    columns.extend(own.map(|(name, value_type, kind)| Column {
                        name: name.to_owned(),
                        value_type,
                        kind,
                    }));
                }
            }
        }
        // As for any statistic: whether one small group is there can be one person's secret.
        let is_counted = self.withheld_persons.len() as u64 >= self.bounds.threshold;
        let groups_withheld = if is_counted {
            let beside = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
            let withheld = std::mem::take(&mut self.withheld_persons);
            if !withheld.is_empty() {
                self.stand_at(beside, None, withheld.into_iter().collect())?;
            }
            self.withheld
        } else {
            0
        };
        Ok(Modelled {
            columns,
            rows: self.rows,
            groups_withheld,
            populations: self.populations,
        })
    }
}

/// What a researcher is told. Whatever could depend on a few persons was withheld before: see
/// [`super::disclosure`].
fn failure(error: &FitError, function: &str, text: &Text) -> SqlError {
    let at = text.name(function);
    let of = |code, name: &str| refuse(code, name, text.name(name).or(at));
    match error {
        FitError::Collinear { name, others } => {
            let at = text.name(name).or(at);
            let others = others.iter().take(NAMED_MAX).map(String::as_str);
            let names: Vec<&str> = std::iter::once(name.as_str()).chain(others).collect();
            refuse(SqlErrorCode::ModelCollinear, names.join(", "), at)
        }
        FitError::Separated(name) => of(SqlErrorCode::ModelSeparated, name),
        FitError::Groups { .. } | FitError::NotTwoByTwo => of(SqlErrorCode::ModelLevels, function),
        FitError::NegativeTime
        | FitError::TooFewRows { .. }
        | FitError::TooFewEvents { .. }
        | FitError::ConstantOutcome
        | FitError::Constant(_)
        | FitError::NoVariation
        | FitError::NotConverged
        | FitError::EmptyMargin
        | FitError::NotFinite(_)
        | FitError::NamedTwice(_)
        | FitError::Predictors { .. }
        | FitError::Ragged(_) => of(SqlErrorCode::ModelNotFitted, function),
    }
}
