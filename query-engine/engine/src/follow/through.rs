//! Nodes through which rows go up with their persons, where rows are asked for.

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{
    Distinct, Expr, Limit, LogicalPlan, Projection, Sort, SortExpr, Union, Window, lit,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use kekkai_types::DatasetId;

use super::{Checked, Follow, Followed, Key, Person, Stand, bare_column, column_at};

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
    pub(super) fn window(&mut self, window: &Window) -> Checked<Followed> {
        let input = self.plan(&window.input)?;
        let schema = Arc::clone(input.plan.schema());
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
            exprs.push(self.expression(expr, &schema, &input.persons, Stand::Value)?);
        }
        let plan = Window::try_new(exprs, Arc::new(input.plan)).map_err(|e| self.bug(e))?;
        Ok(Followed {
            plan: LogicalPlan::Window(plan),
            persons: input.persons,
        })
    }

    /// Equal rows become one: they must be one person's.
    pub(super) fn distinct(&mut self, input: &LogicalPlan) -> Checked<Followed> {
        let shown = input.schema().columns();
        let followed = self.plan(input)?;
        let is_own = followed.persons.iter().all(|person| {
            shown
                .iter()
                .any(|column| is_exact_key(&followed, person, column))
        });
        if !is_own {
            return Err(self.not_followed("DISTINCT", &[Keyword::DISTINCT]));
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

    /// Each branch gives a hidden column for each person that a row of any branch may be about.
    pub(super) fn union(&mut self, union: &Union) -> Checked<Followed> {
        let mut branches = Vec::with_capacity(union.inputs.len());
        let mut slots: Vec<DatasetId> = Vec::new();
        for input in &union.inputs {
            let followed = self.plan(input)?;
            let mut free = slots.clone();
            for person in &followed.persons {
                match free.iter().position(|dataset| *dataset == person.dataset) {
                    Some(at) => drop(free.remove(at)),
                    None => slots.push(person.dataset.clone()),
                }
            }
            branches.push((input.schema().columns(), followed));
        }
        let hidden: Vec<String> = slots.iter().map(|_| self.next_hidden()).collect();
        let keys = common_keys(&branches);
        let mut inputs = Vec::with_capacity(branches.len());
        for (shown, followed) in branches {
            let mut persons = followed.persons;
            let mut exprs: Vec<Expr> = shown.into_iter().map(Expr::Column).collect();
            for (dataset, name) in slots.iter().zip(&hidden) {
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
        exprs.extend(
            hidden
                .iter()
                .map(|name| Expr::Column(Column::from_name(name))),
        );
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
                    .map(|index| Key {
                        column: column_at(&plan.schema, *index),
                        exact: true,
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

/// The positions at which every branch has the key of its only person, all of one dataset.
fn common_keys(branches: &[(Vec<Column>, Followed)]) -> Vec<usize> {
    let Some((first, _)) = branches.first() else {
        return Vec::new();
    };
    let mut dataset = None;
    let mut keys: Vec<usize> = (0..first.len()).collect();
    for (shown, followed) in branches {
        let [person] = followed.persons.as_slice() else {
            return Vec::new();
        };
        if *dataset.get_or_insert(&person.dataset) != &person.dataset {
            return Vec::new();
        }
        keys.retain(|index| {
            shown
                .get(*index)
                .is_some_and(|column| is_exact_key(followed, person, column))
        });
    }
    keys
}

/// True for a column that holds a person's key, whatever it was called below.
fn is_exact_key(followed: &Followed, person: &Person, column: &Column) -> bool {
    let schema = followed.plan.schema();
    let index = schema.maybe_index_of_column(column);
    index.is_some()
        && person
            .keys
            .iter()
            .any(|key| key.exact && schema.maybe_index_of_column(&key.column) == index)
}

/// What a window function is partitioned by.
fn partition(expr: &Expr) -> &[Expr] {
    match expr {
        Expr::Alias(alias) => partition(&alias.expr),
        Expr::WindowFunction(call) => &call.params.partition_by,
        _ => &[],
    }
}
