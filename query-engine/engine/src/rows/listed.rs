//! The closed list of plan nodes and expressions for rows.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, WindowFunctionDefinition};
use kekkai_analysis_api::{SqlError, SqlErrorCode};

use crate::errors::planning;
use crate::follow::{Checked, first_place, is_listed_operator};
use crate::functions::{Purpose, SCALAR_FUNCTIONS, WINDOW_FUNCTIONS, is_aggregate};
use crate::table::Granted;
use crate::text::{Text, place, refuse};

/// Holds an analyzed plan and its subqueries against the list.
pub(crate) fn check(plan: &LogicalPlan, text: &Text) -> Checked<()> {
    let mut refusal = None;
    let walked = plan.apply_with_subqueries(|node| {
        refusal = node_refusal(node);
        if refusal.is_some() {
            return Ok(TreeNodeRecursion::Stop);
        }
        node.apply_expressions(|expr| {
            refusal = expression_refusal(expr, text)?;
            Ok(next(refusal.is_none()))
        })?;
        Ok(next(refusal.is_none()))
    });
    walked.map_err(|e| planning(&e, text))?;
    refusal.map_or(Ok(()), Err)
}

/// Refuses an optimized plan with a subquery that still asks for a column of the query around it. Only those
/// related by `=` (and those of `EXISTS` and `IN`) become joins; the others can't be run.
pub(crate) fn check_related(plan: &LogicalPlan, text: &Text) -> Checked<()> {
    let mut related = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::OuterReferenceColumn(_, column) = part {
                    related = Some(column.clone());
                }
                Ok(next(related.is_none()))
            })
        })
    });
    walked.map_err(|e| planning(&e, text))?;
    match related {
        None => Ok(()),
        Some(column) => {
            let place = column
                .spans()
                .first()
                .and_then(|span| place(span.start.line, span.start.column))
                .or_else(|| text.name(&column.name));
            Err(refuse(SqlErrorCode::ClauseNotAllowed, column.name, place))
        }
    }
}

fn next(goes_on: bool) -> TreeNodeRecursion {
    if goes_on {
        TreeNodeRecursion::Continue
    } else {
        TreeNodeRecursion::Stop
    }
}

fn node_refusal(node: &LogicalPlan) -> Option<SqlError> {
    let bug = || Some(refuse(SqlErrorCode::Internal, "", None));
    match node {
        LogicalPlan::TableScan(scan) => {
            let is_ours = source_as_provider(&scan.source)
                .is_ok_and(|provider| provider.downcast_ref::<Granted>().is_some());
            if is_ours && scan.filters.is_empty() && scan.fetch.is_none() {
                None
            } else {
                bug()
            }
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Union(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::EmptyRelation(_) => None,
        LogicalPlan::Distinct(Distinct::On(_))
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => {
            let shown = node.display().to_string();
            let name = shown.split(':').next().unwrap_or_default();
            Some(refuse(SqlErrorCode::ClauseNotAllowed, name, None))
        }
    }
}

fn expression_refusal(expr: &Expr, text: &Text) -> datafusion::common::Result<Option<SqlError>> {
    let mut refusal = None;
    expr.apply(|part| {
        refusal = part_refusal(part, text);
        Ok(next(refusal.is_none()))
    })?;
    Ok(refusal)
}

fn part_refusal(part: &Expr, text: &Text) -> Option<SqlError> {
    let clause = || {
        Some(refuse(
            SqlErrorCode::ClauseNotAllowed,
            "",
            first_place(part),
        ))
    };
    let function = |is_listed: bool, name: &str| {
        (!is_listed).then(|| refuse(SqlErrorCode::FunctionNotAllowed, name, text.name(name)))
    };
    match part {
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::OuterReferenceColumn(..)
        | Expr::Literal(..)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_)
        | Expr::Exists(_)
        | Expr::InSubquery(_)
        | Expr::ScalarSubquery(_) => None,
        Expr::BinaryExpr(binary) if is_listed_operator(binary.op) => None,
        Expr::Like(like) if like.escape_char.is_none() => None,
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            function(SCALAR_FUNCTIONS.contains(&name), name)
        }
        Expr::AggregateFunction(call) => {
            let name = call.func.name();
            function(is_aggregate(Purpose::Rows, name), name)
        }
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(call) => {
                function(is_aggregate(Purpose::Rows, call.name()), call.name())
            }
            WindowFunctionDefinition::WindowUDF(call) => {
                function(WINDOW_FUNCTIONS.contains(&call.name()), call.name())
            }
        },
        #[allow(deprecated, reason = "named so that the list stays closed")]
        Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SetComparison(_)
        | Expr::Wildcard { .. }
        | Expr::ScalarVariable(..)
        | Expr::SimilarTo(_)
        | Expr::GroupingSet(_)
        | Expr::Placeholder(_)
        | Expr::Unnest(_)
        | Expr::HigherOrderFunction(_)
        | Expr::Lambda(_)
        | Expr::LambdaVariable(_) => clause(),
    }
}
