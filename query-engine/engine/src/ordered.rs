//! Finds aggregations whose persons come in their order, and lets them forget whom they are done with.
//!
//! It is a guess from the shape of a plan, and may be wrong where a file says less than the truth, or a join gives
//! the other side's persons: what counts then fails with [`OutOfOrder`](crate::in_order::OutOfOrder).

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};

use crate::evidence::in_order;
use crate::table::Scan;

/// The plan with evidence that takes less, where persons are expected in their order; `None` where they are not.
pub(crate) fn ordered(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let changed = Arc::clone(plan).transform_down(|node| {
        let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
            return Ok(Transformed::no(node));
        };
        Ok(match with_order(aggregate)? {
            Some(aggregate) => Transformed::yes(Arc::new(aggregate) as Arc<dyn ExecutionPlan>),
            None => Transformed::no(node),
        })
    })?;
    Ok(changed.transformed.then_some(changed.data))
}

fn with_order(aggregate: &AggregateExec) -> Result<Option<AggregateExec>> {
    let is_any = |call: &Arc<AggregateFunctionExpr>| in_order(call.fun()).is_some();
    if !aggregate.aggr_expr().iter().any(is_any) || !reads_in_order(rows_of(aggregate)) {
        return Ok(None);
    }
    let calls = aggregate.aggr_expr().iter();
    let calls = calls.map(|call| match in_order(call.fun()) {
        None => Ok(Arc::clone(call)),
        Some(function) => AggregateExprBuilder::new(function, call.expressions())
            .schema(aggregate.input_schema())
            .alias(call.name())
            .build()
            .map(Arc::new),
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    Ok(Some(aggregate.with_new_aggr_exprs(calls)))
}

/// What the rows of an aggregation come from: of one in two stages, below the first.
fn rows_of(aggregate: &AggregateExec) -> &Arc<dyn ExecutionPlan> {
    let is_second = matches!(
        aggregate.mode(),
        AggregateMode::Final | AggregateMode::FinalPartitioned
    );
    let mut below = is_second.then(|| aggregate.input());
    while let Some(node) = below {
        if let Some(first) = node.downcast_ref::<AggregateExec>() {
            return first.input();
        }
        below = match node.children().as_slice() {
            [only] => Some(*only),
            _ => None,
        };
    }
    aggregate.input()
}

/// True where each partition of `node` gives rows in the order of a scan whose persons ascend.
fn reads_in_order(node: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(scan) = node.downcast_ref::<Scan>() {
        return scan.granted.hidden.is_some() && scan.granted.table.is_in_order;
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        // Rows of the right side pass in their order by what is held of the left one.
        return join.mode == PartitionMode::CollectLeft && reads_in_order(join.right());
    }
    let passes = [
        "CoalesceBatchesExec",
        "CooperativeExec",
        "FilterExec",
        "ProjectionExec",
    ];
    match node.children().as_slice() {
        [only] if passes.contains(&node.name()) => reads_in_order(only),
        _ => false,
    }
}
