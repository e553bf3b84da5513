//! Cuts a plan in two at its aggregate and lets the lower half count contributors.
//!
//! The halves run one after the other, with the suppression between them. What is above the aggregate
//! (`HAVING`, `ORDER BY`, `LIMIT`, expressions) runs on a table in which suppressed values are gone: there
//! is nothing left for it to learn.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{
    DFSchemaRef,
    tree_node::{Transformed, TreeNode},
};
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Distinct, Expr, ExprSchemable, GroupingSet, LogicalPlan, cast, lit,
    when,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use kekkai_analysis_api::SqlErrorCode;
use kekkai_output::{Aggregate as Kind, Measure};
use kekkai_types::DatasetId;

use crate::evidence::{distinct_persons, is_evidence, magnitudes, persons, sides, tallies};
use crate::follow::{Checked, Follow, Followed, Person, Stand, bare_column, first_place};
use crate::functions::QUANTILE_FUNCTIONS;
use crate::measure::measure;
use crate::text::{HIDDEN_PREFIX, refuse};

/// A plan, cut.
pub(crate) struct Cut<'p> {
    /// The nodes above the aggregate, the root first.
    pub(crate) above: Vec<&'p LogicalPlan>,
    pub(crate) aggregate: &'p Aggregate,
    pub(crate) whole: &'p LogicalPlan,
}

/// The lower half, and what its columns are: groups, aggregates, evidence.
pub(crate) struct Counted {
    pub(crate) plan: LogicalPlan,
    /// The aggregate's own columns: what the upper half expects.
    pub(crate) schema: DFSchemaRef,
    /// Columns that name the group; of grouping sets, the set's number is among them.
    pub(crate) groups: usize,
    pub(crate) cells: Vec<CellPlan>,
    /// For each person of a row, where the group's persons stand.
    pub(crate) group_persons: Vec<Gathered>,
    /// For each person of a row, the dataset.
    pub(crate) datasets: Vec<DatasetId>,
}

/// One aggregate and where its evidence stands.
pub(crate) struct CellPlan {
    pub(crate) kind: Kind,
    /// What it measures, for who compares populations.
    pub(crate) measure: Measure,
    /// For each person of a row.
    pub(crate) persons: Vec<Gathered>,
}

/// Evidence about one person of the rows, by the numbers of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// A set of persons.
    Persons(usize),
    /// What each person brings, of each argument; the persons are the same in all.
    Magnitudes(Vec<usize>),
    /// The persons on both sides of a quantile.
    Sides(usize),
}

/// Finds the aggregate. Above it only nodes that take one row and give at most one.
pub(crate) fn cut<'p>(plan: &'p LogicalPlan, follow: &Follow<'_>) -> Checked<Cut<'p>> {
    let mut above = Vec::new();
    let mut node = plan;
    loop {
        let next = match node {
            LogicalPlan::Aggregate(aggregate) => {
                return Ok(Cut {
                    above,
                    aggregate,
                    whole: node,
                });
            }
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::Filter(filter) => &filter.input,
            LogicalPlan::Sort(sort) => &sort.input,
            LogicalPlan::Limit(limit) => &limit.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            other => return Err(no_aggregate(other, follow)),
        };
        follow.check_above(node)?;
        above.push(node);
        node = next;
    }
}

fn no_aggregate(node: &LogicalPlan, follow: &Follow<'_>) -> kekkai_analysis_api::SqlError {
    let counts = node
        .exists(|node| Ok(matches!(node, LogicalPlan::Aggregate(_))))
        .unwrap_or(true);
    let not_followed = |name: &str, keywords: &[Keyword]| {
        follow.refuse_at(SqlErrorCode::NotFollowed, name, keywords)
    };
    match node {
        LogicalPlan::Window(_) => not_followed("OVER", &[Keyword::OVER]),
        LogicalPlan::Union(_) => not_followed("UNION", &[Keyword::UNION]),
        LogicalPlan::Distinct(Distinct::All(_) | Distinct::On(_)) => {
            not_followed("DISTINCT", &[Keyword::DISTINCT])
        }
        LogicalPlan::Join(_) if counts => not_followed("JOIN", &[Keyword::JOIN]),
        _ => refuse(
            SqlErrorCode::RowsNotAllowed,
            "SELECT",
            follow.text.keyword(&[Keyword::SELECT]),
        ),
    }
}

/// Evidence columns, each asked for once.
struct Columns {
    exprs: Vec<Expr>,
    first: usize,
}

impl Columns {
    /// The column with such a call of all rows, if it is asked for already.
    fn find(&self, function: &AggregateUDF, args: &[Expr]) -> Option<usize> {
        let found = self.exprs.iter().position(|known| match known {
            Expr::AggregateFunction(AggregateFunction { func, params }) => {
                func.name() == function.name() && params.args == args && params.filter.is_none()
            }
            _ => false,
        });
        found.map(|at| self.first + at)
    }

    fn add(
        &mut self,
        function: Arc<AggregateUDF>,
        args: Vec<Expr>,
        filter: Option<Box<Expr>>,
    ) -> usize {
        let call = Expr::AggregateFunction(AggregateFunction::new_udf(
            function,
            args,
            false,
            filter,
            Vec::new(),
            None,
        ));
        let at = self
            .exprs
            .iter()
            .position(|known| *known == call)
            .unwrap_or_else(|| {
                self.exprs.push(call);
                self.exprs.len() - 1
            });
        self.first + at
    }
}

/// Follows the persons below the aggregate and adds the evidence beside it.
pub(crate) fn count(cut: &Cut<'_>, follow: &mut Follow<'_>) -> Checked<Counted> {
    let aggregate = cut.aggregate;
    let input = follow.plan(&aggregate.input)?;
    let schema = Arc::clone(input.plan.schema());
    let names = NamePreserver::new(cut.whole);
    let mut value = |expr: &Expr| {
        let saved = names.save(expr);
        let value = follow.expression(expr, &schema, &input.persons, Stand::Value)?;
        Ok(saved.restore(value))
    };
    let groups = aggregate
        .group_expr
        .iter()
        .map(|expr| grouped(expr, &mut value))
        .collect::<Checked<Vec<_>>>()?;
    let mut aggregates = Vec::with_capacity(aggregate.aggr_expr.len());
    let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
    for expr in &aggregate.aggr_expr {
        follow.aggregate_call(expr, false)?;
        let saved = names.save(expr);
        let value = follow.expression(expr, &schema, &input.persons, Stand::Aggregate)?;
        let call = follow.aggregate_call(&value, false)?.clone();
        aggregates.push(saved.restore(by_number(&call, &input.persons).unwrap_or(value)));
        calls.push(call);
    }
    if groups.is_empty() && calls.is_empty() {
        return Err(refuse(SqlErrorCode::Internal, "", None));
    }

    let group_columns = aggregate
        .schema
        .fields()
        .len()
        .saturating_sub(aggregates.len());
    let mut columns = Columns {
        exprs: Vec::new(),
        first: group_columns + aggregates.len(),
    };
    let datasets = input.persons.iter().map(|p| p.dataset.clone()).collect();
    let mut cells = Vec::with_capacity(calls.len());
    for call in &calls {
        cells.push(cell(call, &input, follow, &mut columns)?);
    }
    // After the cells: a count of rows has gathered the group's persons already.
    let group_persons = input
        .persons
        .iter()
        .map(|person| {
            let id = Expr::Column(person.id.clone());
            match columns.find(&tallies(), std::slice::from_ref(&id)) {
                Some(at) => Gathered::Magnitudes(vec![at]),
                None => Gathered::Persons(columns.add(persons(), vec![id], None)),
            }
        })
        .collect();
    aggregates.extend(
        columns
            .exprs
            .into_iter()
            .enumerate()
            .map(|(number, expr)| expr.alias(format!("{HIDDEN_PREFIX}_e{number}"))),
    );
    let plan =
        Aggregate::try_new(Arc::new(input.plan), groups, aggregates).map_err(|e| follow.bug(e))?;
    Ok(Counted {
        plan: LogicalPlan::Aggregate(plan),
        schema: Arc::clone(&aggregate.schema),
        groups: group_columns,
        cells,
        group_persons,
        datasets,
    })
}

/// `count(DISTINCT person_id)` as a count of the persons' numbers: there are as many, and a set of numbers takes
/// a bit or so for each where one of pseudonyms takes a text.
fn by_number(call: &AggregateFunction, persons: &[Person]) -> Option<Expr> {
    let params = &call.params;
    let ("count", true, [arg]) = (call.func.name(), params.distinct, params.args.as_slice()) else {
        return None;
    };
    let id = persons.iter().find(|person| is_key_of(person, arg))?;
    Some(Expr::AggregateFunction(AggregateFunction::new_udf(
        distinct_persons(),
        vec![Expr::Column(id.id.clone())],
        false,
        params.filter.clone(),
        Vec::new(),
        None,
    )))
}

/// True for a column that has a value wherever the person is known, and the person's own.
fn is_key_of(person: &Person, arg: &Expr) -> bool {
    bare_column(arg).is_some_and(|column| person.has_exact_key(column))
}

/// A group, or each group of grouping sets.
fn grouped(expr: &Expr, value: &mut impl FnMut(&Expr) -> Checked<Expr>) -> Checked<Expr> {
    let mut each = |exprs: &[Expr]| exprs.iter().map(&mut *value).collect::<Checked<Vec<_>>>();
    Ok(match expr {
        Expr::GroupingSet(GroupingSet::Rollup(exprs)) => {
            Expr::GroupingSet(GroupingSet::Rollup(each(exprs)?))
        }
        Expr::GroupingSet(GroupingSet::Cube(exprs)) => {
            Expr::GroupingSet(GroupingSet::Cube(each(exprs)?))
        }
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
            let sets = sets.iter().map(|exprs| each(exprs));
            Expr::GroupingSet(GroupingSet::GroupingSets(sets.collect::<Checked<_>>()?))
        }
        other => value(other)?,
    })
}

fn cell(
    call: &AggregateFunction,
    input: &Followed,
    follow: &Follow<'_>,
    columns: &mut Columns,
) -> Checked<CellPlan> {
    let AggregateFunctionParams {
        args,
        distinct,
        filter,
        ..
    } = &call.params;
    let kind = match (call.func.name(), distinct) {
        ("count", false) => Kind::Count,
        ("count", true) => Kind::CountDistinct,
        ("sum", _) => Kind::Sum,
        ("avg", _) => Kind::Mean,
        (name, _) if QUANTILE_FUNCTIONS.contains(&name) => Kind::Quantile,
        _ => Kind::Spread,
    };
    let schema = input.plan.schema();
    if !matches!(kind, Kind::Count | Kind::CountDistinct) {
        for arg in args {
            let data_type = arg.get_type(schema).map_err(|e| follow.bug(e))?;
            if !(data_type.is_integer() || data_type.is_floating()) {
                let name = call.func.name();
                let place = first_place(arg).or_else(|| follow.text.name(name));
                return Err(refuse(SqlErrorCode::Type, name, place));
            }
        }
    }
    let mut gathered = Vec::with_capacity(input.persons.len());
    for person in &input.persons {
        // One amount says for itself whether there is a value.
        let told: &[Expr] = match (kind, args.as_slice()) {
            (Kind::Sum | Kind::Mean | Kind::Spread, [_]) => &[],
            (_, args) => args,
        };
        let contributor = contributor(person, told).map_err(|e| follow.bug(e))?;
        let float = |arg: &Expr| cast(arg.clone(), DataType::Float64);
        let mut add = |function, rest: Vec<Expr>| {
            let args = std::iter::once(contributor.clone()).chain(rest).collect();
            columns.add(function, args, filter.clone())
        };
        gathered.push(match (kind, args.as_slice()) {
            (Kind::CountDistinct, _) => Gathered::Persons(add(persons(), Vec::new())),
            // Each row or value is one.
            (Kind::Count, _) => Gathered::Magnitudes(vec![add(tallies(), Vec::new())]),
            (Kind::Quantile, [value]) => {
                Gathered::Sides(add(sides(), vec![float(value), lit(0.5_f64)]))
            }
            (Kind::Quantile, [value, point]) => {
                Gathered::Sides(add(sides(), vec![float(value), float(point)]))
            }
            // A quantile of another shape; and models, which are gathered and never counted here.
            (Kind::Quantile | Kind::Survival | Kind::Coefficient | Kind::Test, _) => {
                return Err(refuse(SqlErrorCode::Internal, "", None));
            }
            (Kind::Sum | Kind::Mean | Kind::Spread, _) => Gathered::Magnitudes(
                args.iter()
                    .map(|arg| add(magnitudes(), vec![float(arg)]))
                    .collect(),
            ),
        });
    }
    Ok(CellPlan {
        kind,
        measure: measure(call, kind, &input.plan),
        persons: gathered,
    })
}

/// The person of a row that has a value in every argument; `count(*)` counts a literal.
fn contributor(person: &Person, args: &[Expr]) -> datafusion::common::Result<Expr> {
    let id = Expr::Column(person.id.clone());
    let conditions = args
        .iter()
        .filter(|arg| !matches!(arg, Expr::Literal(value, _) if !value.is_null()))
        .filter(|arg| !is_key_of(person, arg))
        .map(|arg| arg.clone().is_not_null())
        .reduce(Expr::and);
    match conditions {
        None => Ok(id),
        Some(has_values) => when(has_values, id).end(),
    }
}

/// `GROUP BY sex, sex` is `GROUP BY sex`: what is above finds its keys by name. The optimizer would do it as well,
/// and then the columns would no longer be those that were asked for.
pub(crate) fn each_key_once(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else {
            return Ok(Transformed::no(node));
        };
        let mut keys: Vec<Expr> = Vec::with_capacity(aggregate.group_expr.len());
        for key in &aggregate.group_expr {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        if keys.len() == aggregate.group_expr.len() {
            return Ok(Transformed::no(node));
        }
        let input = Arc::clone(&aggregate.input);
        let once = Aggregate::try_new(input, keys, aggregate.aggr_expr.clone())?;
        Ok(Transformed::yes(LogicalPlan::Aggregate(once)))
    })
    .map(|transformed| transformed.data)
}

impl Counted {
    /// After the optimizer: the columns are those that were asked for, and the evidence is still counted.
    pub(crate) fn survived(&self, optimized: &LogicalPlan) -> bool {
        let before = self.plan.schema();
        let after = optimized.schema();
        let same_columns = before.fields().len() == after.fields().len()
            && before
                .fields()
                .iter()
                .zip(after.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        let visible = self.groups + self.cells.len();
        let LogicalPlan::Aggregate(asked) = &self.plan else {
            return false;
        };
        let all_counted = asked
            .aggr_expr
            .iter()
            .skip(self.cells.len())
            .enumerate()
            .all(|(number, expr)| match evidence_name(expr) {
                Some(name) => comes_from(optimized, visible + number, &|found| found == name),
                None => false,
            });
        same_columns && all_counted
    }
}

fn evidence_name(expr: &Expr) -> Option<&str> {
    aggregate_name(expr).filter(|name| is_evidence(name))
}

fn aggregate_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Alias(alias) => aggregate_name(&alias.expr),
        Expr::AggregateFunction(call) => Some(call.func.name()),
        _ => None,
    }
}

/// True when a column of an optimized plan still comes from the aggregate that was asked for.
pub(crate) fn comes_from(plan: &LogicalPlan, column: usize, is_it: &impl Fn(&str) -> bool) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => column
            .checked_sub(aggregate.schema.fields().len() - aggregate.aggr_expr.len())
            .and_then(|at| aggregate.aggr_expr.get(at))
            .and_then(aggregate_name)
            .is_some_and(is_it),
        LogicalPlan::Projection(projection) => {
            let mut expr = projection.expr.get(column);
            while let Some(Expr::Alias(alias)) = expr {
                expr = Some(&alias.expr);
            }
            match expr {
                Some(Expr::Column(below)) => projection
                    .input
                    .schema()
                    .maybe_index_of_column(below)
                    .is_some_and(|below| comes_from(&projection.input, below, is_it)),
                _ => false,
            }
        }
        LogicalPlan::SubqueryAlias(alias) => comes_from(&alias.input, column, is_it),
        // Without rows there is nothing to count.
        LogicalPlan::EmptyRelation(empty) => !empty.produce_one_row,
        _ => false,
    }
}
