//! The upper half: the same nodes over the suppressed table, each carrying the row's number along, by which
//! verdicts and persons are known.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt32Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Column, DFSchemaRef, DataFusionError, Result};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::{
    Expr, Filter, Limit, LogicalPlan, LogicalPlanBuilder, Projection, Sort, SubqueryAlias, col,
};
use kekkai_output as output;
use kekkai_output::{Aggregate as Kind, Cell, ColumnKind, Populations, Value, ValueType};

use crate::count::Counted;
use crate::population::{Given, Sets};
use crate::suppress::{ROW_NUMBER, Verdict};
use crate::text::HIDDEN_PREFIX;

/// The upper half and what each of its columns is computed from.
pub(crate) struct Above {
    pub(crate) plan: LogicalPlan,
    /// For each visible column, the aggregates that it depends on.
    depends: Vec<BTreeSet<usize>>,
    /// The aggregates that decide which rows come out, and in which order.
    deciding: BTreeSet<usize>,
    names: Vec<String>,
}

/// Builds the upper half over the suppressed table.
pub(crate) fn above(nodes: &[&LogicalPlan], counted: &Counted, kept: RecordBatch) -> Result<Above> {
    let mut plan = base(counted, kept)?;
    let mut depends: Vec<BTreeSet<usize>> = (0..counted.schema.fields().len())
        .map(|i| i.checked_sub(counted.groups).into_iter().collect())
        .collect();
    let mut deciding = BTreeSet::new();
    for node in nodes.iter().rev() {
        let input = Arc::new(plan);
        plan = match node {
            LogicalPlan::Projection(projection) => {
                depends = projection
                    .expr
                    .iter()
                    .map(|expr| depends_on(expr, input.schema(), &depends))
                    .collect();
                let mut exprs = projection.expr.clone();
                exprs.extend(travelling(input.schema()));
                LogicalPlan::Projection(Projection::try_new(exprs, input)?)
            }
            LogicalPlan::Filter(filter) => {
                deciding.extend(depends_on(&filter.predicate, input.schema(), &depends));
                LogicalPlan::Filter(Filter::try_new(filter.predicate.clone(), input)?)
            }
            LogicalPlan::Sort(sort) => {
                for order in &sort.expr {
                    deciding.extend(depends_on(&order.expr, input.schema(), &depends));
                }
                LogicalPlan::Sort(Sort {
                    expr: sort.expr.clone(),
                    input,
                    fetch: sort.fetch,
                })
            }
            LogicalPlan::Limit(limit) => LogicalPlan::Limit(Limit {
                skip: limit.skip.clone(),
                fetch: limit.fetch.clone(),
                input,
            }),
            LogicalPlan::SubqueryAlias(alias) => {
                LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(input, alias.alias.clone())?)
            }
            _ => {
                return Err(DataFusionError::Internal(
                    "a node above the aggregate".to_owned(),
                ));
            }
        };
    }
    let names = plan
        .schema()
        .fields()
        .iter()
        .take(depends.len())
        .map(|field| field.name().clone())
        .collect();
    Ok(Above {
        plan,
        depends,
        deciding,
        names,
    })
}

/// The suppressed table, its columns named as the aggregate's were.
fn base(counted: &Counted, kept: RecordBatch) -> Result<LogicalPlan> {
    let table = format!("{HIDDEN_PREFIX}_r");
    let provider = MemTable::try_new(kept.schema(), vec![vec![kept]])?;
    let source = provider_as_source(Arc::new(provider));
    let mut exprs: Vec<Expr> = counted
        .schema
        .iter()
        .enumerate()
        .map(|(i, (qualifier, field))| {
            col(format!("{table}.c{i}")).alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    exprs.push(col(format!("{table}.{ROW_NUMBER}")).alias(row_name()));
    LogicalPlanBuilder::scan(table.as_str(), source, None)?
        .project(exprs)?
        .build()
}

fn row_name() -> String {
    format!("{HIDDEN_PREFIX}_n")
}

/// The row number: a statement can write no name that begins so.
fn travelling(schema: &DFSchemaRef) -> Vec<Expr> {
    schema
        .columns()
        .into_iter()
        .filter(|column| column.name.starts_with(HIDDEN_PREFIX))
        .map(Expr::Column)
        .collect()
}

fn depends_on(expr: &Expr, schema: &DFSchemaRef, input: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let index = |column: &Column| schema.maybe_index_of_column(column);
    expr.column_refs()
        .into_iter()
        .filter_map(|column| index(column).and_then(|i| input.get(i)))
        .flatten()
        .copied()
        .collect()
}

/// Turns the upper half's batches into columns and rows.
pub(crate) struct Rows<'a> {
    above: &'a Above,
    counted: &'a Counted,
    /// For each row number, the verdict on each aggregate.
    verdicts: &'a [Vec<Verdict>],
    rows: Vec<Vec<Cell>>,
    /// For each row, the number by which its persons are known.
    numbers: Vec<u32>,
    types: Vec<ValueType>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        above: &'a Above,
        counted: &'a Counted,
        verdicts: &'a [Vec<Verdict>],
    ) -> Self {
        let types = above
            .plan
            .schema()
            .fields()
            .iter()
            .take(above.depends.len())
            .map(|field| value_type(field.data_type()))
            .collect();
        Self {
            above,
            counted,
            verdicts,
            rows: Vec::new(),
            numbers: Vec::new(),
            types,
        }
    }

    /// Cells so far.
    pub(crate) fn cells(&self) -> usize {
        self.rows.len().saturating_mul(self.above.depends.len())
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let numbers = batch
            .column_by_name(&row_name())
            .and_then(|column| column.as_primitive_opt::<UInt32Type>())
            .filter(|column| column.null_count() == 0)
            .ok_or_else(missing)?;
        self.numbers.extend(numbers.values());
        let columns = batch
            .columns()
            .iter()
            .zip(&self.types)
            .map(|(column, value_type)| values(column, *value_type))
            .collect::<Result<Vec<_>>>()?;
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        for number in numbers.values() {
            let verdicts = usize::try_from(*number).ok();
            let verdicts = verdicts.and_then(|at| self.verdicts.get(at));
            let verdicts = verdicts.ok_or_else(missing)?;
            let mut cells = Vec::with_capacity(columns.len());
            for (column, depends) in columns.iter_mut().zip(&self.above.depends) {
                let value = column.next().unwrap_or(Value::Null);
                let verdict = depends
                    .iter()
                    .map(|aggregate| verdicts.get(*aggregate).copied().ok_or_else(missing))
                    .try_fold(Verdict::Public, |all, verdict| {
                        Ok::<_, DataFusionError>(all.and(verdict?))
                    })?;
                cells.push(match verdict {
                    Verdict::Public => Cell::Key(value),
                    Verdict::Suppressed(why) => Cell::Suppressed(why),
                    Verdict::Shown(evidence) => Cell::Shown { value, evidence },
                });
            }
            self.rows.push(cells);
        }
        Ok(())
    }

    /// The persons behind the rows that came out; `None` where there are too many bitmaps.
    pub(crate) fn populations(&self, sets: &Sets, stable: bool) -> Result<Option<Populations>> {
        if self.counted.datasets.is_empty() {
            return Ok(Some(Populations::default()));
        }
        let given = Given {
            rows: &self.numbers,
            columns: &self.above.depends,
            deciding: &self.above.deciding,
            has_groups: self.counted.groups > 0,
        };
        let measures: Vec<_> = self
            .counted
            .cells
            .iter()
            .map(|cell| &cell.measure)
            .collect();
        sets.populations(&given, &measures, stable)
    }

    pub(crate) fn finish(self) -> (Vec<output::Column>, Vec<Vec<Cell>>) {
        let columns = self
            .above
            .names
            .iter()
            .zip(&self.above.depends)
            .zip(&self.types)
            .map(|((name, depends), value_type)| {
                let kinds: BTreeSet<Kind> = depends
                    .iter()
                    .filter_map(|aggregate| self.counted.cells.get(*aggregate))
                    .filter(|cell| !cell.persons.is_empty())
                    .map(|cell| cell.kind)
                    .collect();
                output::Column {
                    name: name.clone(),
                    value_type: *value_type,
                    kind: if kinds.is_empty() {
                        ColumnKind::Key
                    } else {
                        ColumnKind::Statistic(kinds.into_iter().collect())
                    },
                }
            })
            .collect();
        (columns, self.rows)
    }
}

fn missing() -> DataFusionError {
    DataFusionError::Internal("a verdict is missing".to_owned())
}

pub(crate) fn value_type(data_type: &DataType) -> ValueType {
    match data_type {
        DataType::Boolean => ValueType::Bool,
        data_type if data_type.is_integer() => ValueType::Int,
        data_type if data_type.is_floating() => ValueType::Float,
        _ => ValueType::Text,
    }
}

pub(crate) fn values(column: &ArrayRef, value_type: ValueType) -> Result<Vec<Value>> {
    fn each<T>(values: impl Iterator<Item = Option<T>>, make: impl Fn(T) -> Value) -> Vec<Value> {
        values
            .map(|value| value.map_or(Value::Null, &make))
            .collect()
    }
    Ok(match value_type {
        ValueType::Bool => each(
            cast(column, &DataType::Boolean)?.as_boolean().iter(),
            Value::Bool,
        ),
        ValueType::Int => each(
            cast(column, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .iter(),
            Value::Int,
        ),
        ValueType::Float => each(
            cast(column, &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .iter(),
            Value::Float,
        ),
        ValueType::Text => {
            let options = FormatOptions::new();
            let formatter = ArrayFormatter::try_new(column, &options)?;
            (0..column.len())
                .map(|row| {
                    if column.is_null(row) {
                        Value::Null
                    } else {
                        Value::Text(formatter.value(row).to_string())
                    }
                })
                .collect()
        }
    })
}
