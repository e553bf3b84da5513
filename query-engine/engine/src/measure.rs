//! What an aggregate is made of: the data's own columns behind its argument and its filter.
//!
//! Two statistics can be subtracted from each other to anybody's gain only where they measure the same. The
//! guard against differencing asks here ([`Measure`]); what this walk can't see through is said to be made of
//! anything, and is compared with everything of its kind.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Cast, Distinct, Expr, ExprSchemable as _, JoinType, LogicalPlan, TryCast,
};
use kekkai_output::{Aggregate as Kind, Measure};

use crate::table::Granted;

/// Where values come from. `None`: that can't be said.
type Origin = Option<Made>;

/// What values are made of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Made {
    /// `dataset.table.column`.
    columns: BTreeSet<String>,
    /// Something was computed: who has no value may have been chosen.
    is_computed: bool,
}

/// What a call measures, above `input`.
pub(crate) fn measure(call: &AggregateFunction, kind: Kind, input: &LogicalPlan) -> Measure {
    let params = &call.params;
    let mut made = params
        .args
        .iter()
        .map(|arg| of_expr(arg, input))
        .try_fold(Made::default(), |all, one| Some(join(all, one?)));
    if let Some(filter) = &params.filter {
        made = made
            .zip(of_expr(filter, input))
            .map(|(of_args, of_filter)| Made {
                is_computed: true,
                ..join(of_args, of_filter)
            });
    }
    match made {
        Some(made) => Measure {
            kind,
            columns: Some(made.columns.into_iter().collect()),
            is_plain: !made.is_computed,
        },
        None => Measure {
            kind,
            columns: None,
            is_plain: false,
        },
    }
}

fn join(mut one: Made, other: Made) -> Made {
    one.columns.extend(other.columns);
    one.is_computed |= other.is_computed;
    one
}

fn of_expr(expr: &Expr, plan: &LogicalPlan) -> Origin {
    match expr {
        Expr::Column(column) => of_name(column, plan),
        Expr::Alias(alias) => of_expr(&alias.expr, plan),
        // Other types of the same numbers. Of texts, what is no number would get lost.
        Expr::Cast(Cast { expr: inner, .. }) | Expr::TryCast(TryCast { expr: inner, .. })
            if is_number(inner, plan) =>
        {
            of_expr(inner, plan)
        }
        Expr::Literal(value, _) => Some(Made {
            // `sum(NULL)` is nobody's; `CASE` decides elsewhere.
            is_computed: value.is_null(),
            ..Made::default()
        }),
        other => {
            let mut made = Made {
                is_computed: true,
                ..Made::default()
            };
            if other.exists(|part| Ok(has_a_query(part))).unwrap_or(true) {
                return None;
            }
            for column in other.column_refs() {
                made = join(made, of_name(column, plan)?);
            }
            Some(made)
        }
    }
}

fn is_number(expr: &Expr, plan: &LogicalPlan) -> bool {
    expr.get_type(plan.schema())
        .is_ok_and(|of| of.is_numeric() || of == DataType::Boolean)
}

fn has_a_query(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::ScalarSubquery(_)
            | Expr::SetComparison(_)
            | Expr::OuterReferenceColumn(..)
    )
}

fn of_name(column: &Column, plan: &LogicalPlan) -> Origin {
    of_column(plan, plan.schema().maybe_index_of_column(column)?)
}

fn of_column(plan: &LogicalPlan, index: usize) -> Origin {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok()?;
            let granted = provider.downcast_ref::<Granted>()?;
            let name = plan.schema().fields().get(index)?.name();
            let table = &granted.table;
            Some(Made {
                columns: BTreeSet::from([format!("{}.{}.{name}", table.dataset, table.name)]),
                is_computed: false,
            })
        }
        LogicalPlan::Projection(projection) => {
            of_expr(projection.expr.get(index)?, &projection.input)
        }
        LogicalPlan::SubqueryAlias(alias) => of_column(&alias.input, index),
        LogicalPlan::Filter(filter) => of_column(&filter.input, index),
        LogicalPlan::Sort(sort) => of_column(&sort.input, index),
        LogicalPlan::Limit(limit) => of_column(&limit.input, index),
        LogicalPlan::Distinct(Distinct::All(input)) => of_column(input, index),
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::RightSemi | JoinType::RightAnti => of_column(&join.right, index),
                _ if index < left => of_column(&join.left, index),
                _ => of_column(&join.right, index.checked_sub(left)?),
            }
        }
        LogicalPlan::Union(union) => union
            .inputs
            .iter()
            .map(|input| of_column(input, index))
            .try_fold(Made::default(), |all, one| Some(join(all, one?))),
        LogicalPlan::Aggregate(aggregate) => {
            let groups = &aggregate.group_expr;
            let expr = match index.checked_sub(groups.len()) {
                None => groups.get(index)?,
                Some(at) => aggregate.aggr_expr.get(at)?,
            };
            of_expr(expr, &aggregate.input).map(|made| Made {
                is_computed: true,
                ..made
            })
        }
        LogicalPlan::Window(window) => {
            let below = window.input.schema().fields().len();
            match index.checked_sub(below) {
                None => of_column(&window.input, index),
                Some(at) => of_expr(window.window_expr.get(at)?, &window.input),
            }
        }
        _ => None,
    }
}
