//! Nodes through which rows go up with their persons.

use std::sync::Arc;

use datafusion::common::{Column, DFSchemaRef, ScalarValue};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Distinct, Expr, Limit, LogicalPlan, Projection, Sort, SortExpr, Union, Window,
    WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, lit,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use kekkai_analysis_api::SqlErrorCode;
use kekkai_types::DatasetId;

use super::{Checked, Follow, Followed, Key, Person, Stand, bare_column, column_at};
use crate::functions::{AGGREGATE_FUNCTIONS, PERSON_FUNCTIONS, Purpose, WINDOW_FUNCTIONS};
use crate::text::refuse;

impl Follow<'_> {
    pub(super) fn sorted(&mut self, sort: &Sort) -> Checked<Followed> {
        let input = self.plan(&sort.input)?;
        let schema = Arc::clone(input.plan.schema());
        let mut exprs = Vec::with_capacity(sort.expr.len());
        for order in &sort.expr {
            exprs.push(SortExpr {
                expr: self.expression(&order.expr, &schema, &input.persons, Stand::Value)?,
                ..order.clone()
            });
        }
        Ok(Followed {
            plan: LogicalPlan::Sort(Sort {
                expr: exprs,
                input: Arc::new(input.plan),
                fetch: sort.fetch,
            }),
            persons: input.persons,
        })
    }

    pub(super) fn limited(&mut self, limit: &Limit) -> Checked<Followed> {
        let input = self.plan(&limit.input)?;
        Ok(Followed {
            plan: LogicalPlan::Limit(Limit {
                skip: limit.skip.clone(),
                fetch: limit.fetch.clone(),
                input: Arc::new(input.plan),
            }),
            persons: input.persons,
        })
    }

    /// A window shows other rows' values: they must be of the same person.
    pub(super) fn window(&mut self, plan: &LogicalPlan, window: &Window) -> Checked<Followed> {
        let input = self.plan(&window.input)?;
        let schema = Arc::clone(input.plan.schema());
        let names = NamePreserver::new(plan);
        let mut exprs = Vec::with_capacity(window.window_expr.len());
        for expr in &window.window_expr {
            let is_own = match input.persons.as_slice() {
                [] => true,
                [person] => partition(expr)
                    .iter()
                    .any(|by| bare_column(by).is_some_and(|column| person.has_exact_key(column))),
                _ => false,
            };
            if !is_own {
                return Err(self.not_followed("OVER", &[Keyword::OVER]));
            }
            if self.purpose == Purpose::Statistic {
                self.window_call(expr)?;
            }
            let saved = names.save(expr);
            let value = self.expression(expr, &schema, &input.persons, Stand::Window)?;
            exprs.push(saved.restore(value));
        }
        let plan = Window::try_new(exprs, Arc::new(input.plan)).map_err(|e| self.bug(e))?;
        Ok(Followed {
            plan: LogicalPlan::Window(plan),
            persons: input.persons,
        })
    }

    /// Holds a window function below a statistic against the lists. No frame may be computed from a row: it
    /// could fail on it.
    fn window_call(&self, expr: &Expr) -> Checked<()> {
        let Some(call) = call(expr) else {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        };
        let name = call.fun.name();
        let is_listed = match &call.fun {
            WindowFunctionDefinition::AggregateUDF(_) => {
                AGGREGATE_FUNCTIONS.contains(&name) || PERSON_FUNCTIONS.contains(&name)
            }
            WindowFunctionDefinition::WindowUDF(_) => WINDOW_FUNCTIONS.contains(&name),
        };
        if !is_listed {
            let code = SqlErrorCode::FunctionNotAllowed;
            return Err(refuse(code, name, self.text.name(name)));
        }
        let is_fixed = |bound: &WindowFrameBound| match bound {
            WindowFrameBound::Preceding(by) | WindowFrameBound::Following(by) => by.is_null(),
            WindowFrameBound::CurrentRow => true,
        };
        let params = &call.params;
        let frame = &params.window_frame;
        let is_range = frame.units == WindowFrameUnits::Range;
        if is_range && !(is_fixed(&frame.start_bound) && is_fixed(&frame.end_bound)) {
            let at = &[Keyword::RANGE, Keyword::OVER];
            return Err(self.refuse_at(SqlErrorCode::ClauseNotAllowed, "RANGE", at));
        }
        let is_literal = |arg: &Expr| matches!(arg, Expr::Literal(..));
        let is_aggregate = matches!(call.fun, WindowFunctionDefinition::AggregateUDF(_));
        if params.distinct || !(is_aggregate || params.args.iter().skip(1).all(is_literal)) {
            let code = SqlErrorCode::ClauseNotAllowed;
            return Err(refuse(code, name, self.text.name(name)));
        }
        Ok(())
    }

    /// Equal rows become one: they must be one person's.
    pub(super) fn distinct(&mut self, input: &LogicalPlan) -> Checked<Followed> {
        let shown = input.schema().columns();
        let followed = self.plan(input)?;
        let is_own = followed.persons.iter().all(|person| {
            shown
                .iter()
                .any(|column| key_of(&followed, person, column) == Some(true))
        });
        if !is_own {
            // `UNION` without `ALL` is one as well.
            return Err(self.not_followed("DISTINCT", &[Keyword::DISTINCT, Keyword::UNION]));
        }
        // Of the hidden columns those of the persons only: others would tell equal rows apart.
        let ids = followed.persons.iter().map(|person| person.id.clone());
        let exprs: Vec<Expr> = shown.into_iter().chain(ids).map(Expr::Column).collect();
        let input = Projection::try_new(exprs, Arc::new(followed.plan)).map_err(|e| self.bug(e))?;
        let input = Arc::new(LogicalPlan::Projection(input));
        Ok(Followed {
            plan: LogicalPlan::Distinct(Distinct::All(input)),
            persons: followed.persons,
        })
    }

    /// Each branch gives a hidden column for each person that a row of any branch may be about. Where only
    /// membership is followed, nobody's column is there, and none is used.
    pub(super) fn union(&mut self, union: &Union) -> Checked<Followed> {
        let mut branches: Vec<(Vec<Column>, Followed)> = Vec::with_capacity(union.inputs.len());
        let mut slots: Vec<DatasetId> = Vec::new();
        for input in &union.inputs {
            let followed = self.plan(input)?;
            if self.purpose == Purpose::Statistic
                && let Some((_, first)) = branches.first()
                && datasets(&first.persons) != datasets(&followed.persons)
            {
                // Rows about nobody, or about others, would count for nobody.
                return Err(self.not_followed("UNION", &[Keyword::UNION]));
            }
            let mut free = slots.clone();
            for person in &followed.persons {
                match free.iter().position(|dataset| *dataset == person.dataset) {
                    Some(at) => drop(free.remove(at)),
                    None => slots.push(person.dataset.clone()),
                }
            }
            let there = followed.plan.schema();
            let shown = input.schema().columns().into_iter();
            let shown = shown.map(|column| as_in(there, column)).collect();
            branches.push((shown, followed));
        }
        let hidden: Vec<String> = slots.iter().map(|_| self.next_hidden()).collect();
        let keys = common_keys(&branches);
        if self.purpose == Purpose::Statistic && hides_a_key(&branches, &keys) {
            return Err(self.not_followed("UNION", &[Keyword::UNION]));
        }
        let mut inputs = Vec::with_capacity(branches.len());
        for (shown, followed) in branches {
            let mut persons = followed.persons;
            let mut exprs: Vec<Expr> = shown.into_iter().map(Expr::Column).collect();
            for (dataset, name) in slots.iter().zip(&hidden).filter(|_| self.carrying) {
                let found = persons.iter().position(|person| person.dataset == *dataset);
                let id = match found {
                    Some(at) => Expr::Column(persons.remove(at).id),
                    None => lit(ScalarValue::UInt32(None)),
                };
                exprs.push(id.alias(name));
            }
            let input =
                Projection::try_new(exprs, Arc::new(followed.plan)).map_err(|e| self.bug(e))?;
            inputs.push(Arc::new(LogicalPlan::Projection(input)));
        }
        let new = Union::try_new_with_loose_types(inputs).map_err(|e| self.bug(e))?;
        // Above, columns are called what the union was made to call them.
        let mut exprs: Vec<Expr> = Vec::with_capacity(new.schema.fields().len());
        for (column, (qualifier, field)) in
            new.schema.columns().into_iter().zip(union.schema.iter())
        {
            let column = Expr::Column(column);
            exprs.push(column.alias_qualified(qualifier.cloned(), field.name()));
        }
        let shown = exprs.len();
        let carried = hidden.iter().filter(|_| self.carrying);
        exprs.extend(carried.map(|name| Expr::Column(Column::from_name(name))));
        let plan = Projection::try_new(exprs, Arc::new(LogicalPlan::Union(new)))
            .map_err(|e| self.bug(e))?;
        let persons = slots
            .into_iter()
            .enumerate()
            .map(|(slot, dataset)| Person {
                id: column_at(&plan.schema, shown + slot),
                dataset,
                keys: keys
                    .iter()
                    .map(|(index, exact)| Key {
                        column: column_at(&plan.schema, *index),
                        exact: *exact,
                    })
                    .collect(),
                outer: Vec::new(),
            })
            .collect();
        Ok(Followed {
            plan: LogicalPlan::Projection(plan),
            persons,
        })
    }
}

/// A column as a schema calls it. A branch of a union may say `x` for `t.x`; the optimizer would push a filter
/// on that down to whatever else is called `x` below.
fn as_in(schema: &DFSchemaRef, column: Column) -> Column {
    let index = schema.maybe_index_of_column(&column);
    index.map_or(column, |index| column_at(schema, index))
}

/// The positions at which every branch has the key of its only person, all of one dataset.
fn common_keys(branches: &[(Vec<Column>, Followed)]) -> Vec<(usize, bool)> {
    let Some((first, one)) = branches.first() else {
        return Vec::new();
    };
    let dataset = one.persons.first().map(|person| &person.dataset);
    let is_of_one = |(_, followed): &(_, Followed)| match followed.persons.as_slice() {
        [person] => Some(&person.dataset) == dataset,
        _ => false,
    };
    if !branches.iter().all(is_of_one) {
        return Vec::new();
    }
    (0..first.len())
        .filter_map(|index| {
            let keys = branches.iter().map(|branch| key_at(branch, index));
            let exact = keys
                .collect::<Option<Vec<bool>>>()?
                .iter()
                .all(|exact| *exact);
            Some((index, exact))
        })
        .collect()
}

/// True where a column is a person key in some branches only: it could be compared with values, and a person be
/// singled out.
fn hides_a_key(branches: &[(Vec<Column>, Followed)], keys: &[(usize, bool)]) -> bool {
    branches.iter().any(|branch| {
        (0..branch.0.len())
            .any(|at| key_at(branch, at).is_some() && !keys.iter().any(|(key, _)| *key == at))
    })
}

/// Whether a branch's column holds a person's key, and if so, whether it always does.
fn key_at((shown, followed): &(Vec<Column>, Followed), index: usize) -> Option<bool> {
    let column = shown.get(index)?;
    let persons = followed.persons.iter();
    persons
        .filter_map(|person| key_of(followed, person, column))
        .reduce(|a, b| a | b)
}

/// Whether a column holds a person's key, whatever it was called below, and if so, whether it always does.
fn key_of(followed: &Followed, person: &Person, column: &Column) -> Option<bool> {
    let schema = followed.plan.schema();
    let index = schema.maybe_index_of_column(column)?;
    let same = |key: &&Key| schema.maybe_index_of_column(&key.column) == Some(index);
    let keys = person.keys.iter().filter(same);
    keys.map(|key| key.exact).reduce(|a, b| a | b)
}

/// Whose persons a row is about, in an order that does not depend on the statement.
fn datasets(persons: &[Person]) -> Vec<&DatasetId> {
    let mut datasets: Vec<&DatasetId> = persons.iter().map(|person| &person.dataset).collect();
    datasets.sort();
    datasets
}

fn call(expr: &Expr) -> Option<&WindowFunction> {
    match expr {
        Expr::Alias(alias) => call(&alias.expr),
        Expr::WindowFunction(call) => Some(call),
        _ => None,
    }
}

/// What a window function is partitioned by.
fn partition(expr: &Expr) -> &[Expr] {
    call(expr).map_or(&[], |call| &call.params.partition_by)
}
