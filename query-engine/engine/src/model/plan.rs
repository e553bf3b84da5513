//! The shape of a statement with a model function, and the plan that gathers its rows.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Aggregate as Grouped, Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::sql::sqlparser::keywords::Keyword;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_output::{Aggregate, Measure};
use kekkai_types::DatasetId;

use super::gather::{SAMPLE, sample};
use super::{Argument, Function};
use crate::count::Cut;
use crate::follow::{Checked, Follow, Stand, bare_column, first_place};
use crate::measure::measure;
use crate::text::{HIDDEN_PREFIX, Place, Text, refuse};

/// Characters of a predictor's name.
const NAME_MAX: usize = 60;

/// A statement with a model function, followed down to its rows.
pub(crate) struct Gathered {
    /// Group keys, then each group's rows in bytes.
    pub(crate) plan: LogicalPlan,
    pub(crate) function: Function,
    pub(crate) arguments: Vec<Argument>,
    /// Arguments as the researcher calls them.
    pub(crate) names: Vec<String>,
    /// Group keys.
    pub(crate) groups: usize,
    /// What the statement selects, in order.
    pub(crate) selected: Vec<Selected>,
    /// Whose rows.
    pub(crate) dataset: DatasetId,
    /// What is measured of them.
    pub(crate) measures: Vec<Measure>,
}

/// A column of the `SELECT` list.
pub(crate) enum Selected {
    /// A group key: which, and what it is called.
    Key(usize, String),
    /// The model's table.
    Model,
}

/// Follows the statement if it has a model function at its top; `None` if it has none.
pub(crate) fn gathered(cut: &Cut<'_>, follow: &mut Follow<'_>) -> Checked<Option<Gathered>> {
    let aggregate = cut.aggregate;
    let Some((function, call)) = aggregate.aggr_expr.iter().find_map(call_of) else {
        return Ok(None);
    };
    let text = follow.text;
    let at = text.name(function.name());
    let clause = |name: &str| refuse(SqlErrorCode::ClauseNotAllowed, name, at);
    let has_sets = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
    if aggregate.aggr_expr.len() != 1 || aggregate.group_expr.iter().any(has_sets) {
        return Err(clause(function.name()));
    }
    let params = &call.params;
    let is_plain =
        params.order_by.is_empty() && params.null_treatment.is_none() && !params.distinct;
    let arguments = arguments(function, params.args.len());
    let (Some(arguments), true) = (arguments, is_plain) else {
        return Err(clause(function.name()));
    };
    let names = names(&params.args);
    let selected = selected(cut, text, function)?;

    let input = follow.plan(&aggregate.input)?;
    let schema = Arc::clone(input.plan.schema());
    let [person] = input.persons.as_slice() else {
        return Err(refuse(SqlErrorCode::NotFollowed, function.name(), at));
    };
    let preserver = NamePreserver::new(cut.whole);
    let mut groups = Vec::with_capacity(aggregate.group_expr.len());
    for expr in &aggregate.group_expr {
        let saved = preserver.save(expr);
        let value = follow.expression(expr, &schema, &input.persons, Stand::Value)?;
        groups.push(saved.restore(value));
    }
    let mut args = vec![Expr::Column(person.id.clone())];
    let mut measured = Vec::with_capacity(params.args.len());
    for ((expr, argument), name) in params.args.iter().zip(&arguments).zip(&names) {
        // As an argument of an aggregate: a person's key is neither a number nor a group.
        let value = follow.expression(expr, &schema, &input.persons, Stand::Value)?;
        if bare_column(expr).is_some_and(|column| person.has_key(column)) {
            let place = first_place(expr).or(at);
            return Err(refuse(SqlErrorCode::ClauseNotAllowed, name.clone(), place));
        }
        measured.push(value.clone());
        args.push(typed(value, *argument, &schema, (name, at), expr, follow)?);
    }
    let filter = match &params.filter {
        None => None,
        Some(filter) => {
            let filter = follow.expression(filter, &schema, &input.persons, Stand::Value)?;
            Some(Box::new(filter))
        }
    };
    let dataset = person.dataset.clone();
    let gather =
        |args, filter| AggregateFunction::new_udf(sample(), args, false, filter, Vec::new(), None);
    // Without the person, who is in everything.
    let own = measure(
        &gather(measured, filter.clone()),
        function.kind(),
        &input.plan,
    );
    let rows = Expr::AggregateFunction(gather(args, filter));
    let rows = rows.alias(format!("{HIDDEN_PREFIX}_rows"));
    let groups_count = groups.len();
    let plan =
        Grouped::try_new(Arc::new(input.plan), groups, vec![rows]).map_err(|e| follow.bug(e))?;
    Ok(Some(Gathered {
        plan: LogicalPlan::Aggregate(plan),
        function,
        arguments,
        names,
        groups: groups_count,
        selected,
        dataset,
        // Each of them tells how many persons there are, too.
        measures: vec![
            Measure {
                kind: Aggregate::Count,
                is_plain: false,
                ..own.clone()
            },
            own,
        ],
    }))
}

fn call_of(expr: &Expr) -> Option<(Function, &AggregateFunction)> {
    match expr {
        Expr::Alias(alias) => call_of(&alias.expr),
        Expr::AggregateFunction(call) => Some((Function::of(call.func.name())?, call)),
        _ => None,
    }
}

/// What each argument must be; `None` for too few or too many.
fn arguments(function: Function, given: usize) -> Option<Vec<Argument>> {
    let first = function.arguments();
    let more = given.checked_sub(first.len())?;
    let is_right = if function.has_predictors() {
        (1..=kekkai_statistics::PREDICTORS_MAX).contains(&more)
    } else {
        more == 0
    };
    let predictors = std::iter::repeat_n(Argument::Number, more);
    is_right.then(|| first.iter().copied().chain(predictors).collect())
}

/// A column's own name, or the expression as text; each name once.
fn names(args: &[Expr]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(args.len());
    for arg in args {
        let name = match bare_column(arg) {
            Some(column) => column.name.clone(),
            None => arg.human_display().to_string(),
        };
        let name: String = name.chars().take(NAME_MAX).collect();
        let mut own = name.clone();
        let mut number = 2;
        while names.contains(&own) {
            own = format!("{name} ({number})");
            number += 1;
        }
        names.push(own);
    }
    names
}

/// The argument as the aggregate takes it: a `DOUBLE` or a text.
fn typed(
    value: Expr,
    argument: Argument,
    schema: &DFSchema,
    (name, at): (&str, Option<Place>),
    original: &Expr,
    follow: &Follow<'_>,
) -> Checked<Expr> {
    let found = value.get_type(schema).map_err(|e| follow.bug(e))?;
    let is_text = matches!(
        found,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    let is_truth = found == DataType::Boolean;
    let is_right = match argument {
        Argument::Number => found.is_numeric() || is_truth,
        Argument::Truth => is_truth,
        Argument::Level => {
            let is_date = matches!(found, DataType::Date32 | DataType::Date64);
            is_text || is_truth || is_date || found.is_integer()
        }
    };
    if !is_right {
        let place = first_place(original)
            .or_else(|| follow.text.name(name))
            .or(at);
        return Err(refuse(SqlErrorCode::Type, name, place));
    }
    let to = match argument {
        Argument::Level => DataType::Utf8,
        Argument::Number | Argument::Truth => DataType::Float64,
    };
    Ok(cast(value, to))
}

/// Above the aggregate nothing but names: the model's table has rows and columns of its own, which `HAVING`,
/// `ORDER BY` and expressions could not mean.
fn selected(cut: &Cut<'_>, text: &Text, function: Function) -> Checked<Vec<Selected>> {
    let schema = &cut.aggregate.schema;
    // What each column of the node below is: a column of the aggregate, and its name.
    let mut columns: Vec<(usize, String)> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(place, field)| (place, field.name().clone()))
        .collect();
    let groups = cut.aggregate.group_expr.len();
    let mut below = cut.whole;
    for node in cut.above.iter().rev() {
        match node {
            LogicalPlan::Projection(projection) => {
                let mut next = Vec::with_capacity(projection.expr.len());
                for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
                    let place = bare_column(expr)
                        .and_then(|column| below.schema().maybe_index_of_column(column))
                        .and_then(|place| columns.get(place));
                    let Some((place, _)) = place else {
                        let at = first_place(expr).or_else(|| text.name(function.name()));
                        return Err(refuse(SqlErrorCode::ClauseNotAllowed, function.name(), at));
                    };
                    next.push((*place, field.name().clone()));
                }
                columns = next;
            }
            LogicalPlan::SubqueryAlias(_) => {}
            other => return Err(above(other, text, function)),
        }
        below = node;
    }
    let models = columns.iter().filter(|(place, _)| *place == groups).count();
    if models != 1 {
        let at = text.name(function.name());
        return Err(refuse(SqlErrorCode::ClauseNotAllowed, function.name(), at));
    }
    Ok(columns
        .into_iter()
        .map(|(place, name)| {
            if place == groups {
                Selected::Model
            } else {
                Selected::Key(place, name)
            }
        })
        .collect())
}

fn above(node: &LogicalPlan, text: &Text, function: Function) -> SqlError {
    let (name, keywords): (&str, &[Keyword]) = match node {
        LogicalPlan::Filter(_) => ("HAVING", &[Keyword::HAVING, Keyword::WHERE]),
        LogicalPlan::Sort(_) => ("ORDER BY", &[Keyword::ORDER]),
        LogicalPlan::Limit(_) => ("LIMIT", &[Keyword::LIMIT, Keyword::OFFSET]),
        _ => (function.name(), &[]),
    };
    let at = text
        .keyword(keywords)
        .or_else(|| text.name(function.name()));
    refuse(SqlErrorCode::ClauseNotAllowed, name, at)
}

impl Gathered {
    /// After the optimizer: the columns are those that were asked for, and the last still gathers.
    pub(crate) fn survived(&self, optimized: &LogicalPlan) -> bool {
        let (before, after) = (self.plan.schema(), optimized.schema());
        let same_columns = before.fields().len() == after.fields().len()
            && before
                .fields()
                .iter()
                .zip(after.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        same_columns && crate::count::comes_from(optimized, self.groups, &|name| name == SAMPLE)
    }
}
