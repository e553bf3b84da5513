//! Plans that run on several servers.
//!
//! A plan leaves this process as a list of operators over scans that only *name* what they read
//! ([`ScanPart`]): dataset version, table, columns and a share of the row groups. Whoever receives it makes
//! each scan from its own granted tables ([`Session::scan`]), opened with its own keys, so that the barrier of
//! [`crate::table`] stands on every server, and holds the rest against closed lists ([`Session::may_spread`]):
//! a taken-over process of a session gets no more from another server than the session was granted there.
//!
//! Functions travel by name. [`Session::plan_functions`] are those that a name can stand for.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr,
    Literal, NegativeExpr, NotExpr, TryCastExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use kekkai_types::DatasetId;
use serde::{Deserialize, Serialize};

use crate::evidence;
use crate::functions::Functions;
use crate::session::Session;
use crate::table::{Granted, Scan, Share};
use crate::text::HIDDEN_PREFIX;
use crate::total::wrapped;

/// Servers, and partitions of one scan, that a part may speak of: what a peer asks for is bounded.
const SHARES_MAX: usize = 1024;

/// Operators that may run on another server. Left out: what reads or writes anything by itself, what makes
/// rows of nothing, windows (which buffer uncounted), unions, joins without equal keys, and subqueries that one
/// server alone computes.
const SPREAD_NODES: &[&str] = &[
    "AggregateExec",
    "BroadcastExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "EmptyExec",
    "FilterExec",
    "GlobalLimitExec",
    "HashJoinExec",
    "LocalLimitExec",
    "NetworkBroadcastExec",
    "NetworkCoalesceExec",
    "NetworkShuffleExec",
    "PlaceholderRowExec",
    "ProjectionExec",
    "RepartitionExec",
    SCAN,
    "SortExec",
    "SortPreservingMergeExec",
];

/// The name of the one operator that reads.
const SCAN: &str = "Scan";

/// Runs plans on more than this server.
#[async_trait]
pub trait Spread: Send + Sync + 'static {
    /// `plan` as it runs over several servers, and what it runs in; `None`: it runs here, alone.
    ///
    /// # Errors
    /// What the planner of the servers can't plan.
    async fn spread(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        state: &SessionState,
    ) -> Result<Option<Placed>>;

    /// A failure of a plan that was spread, as the statement's author is told it: a server that was lost is
    /// [`kekkai_analysis_api::SqlErrorCode::ServerLost`].
    fn tell(&self, error: DataFusionError) -> DataFusionError;
}

/// A plan and what it runs in.
pub struct Placed {
    /// One partition.
    pub plan: Arc<dyn ExecutionPlan>,
    /// Knows the other servers.
    pub context: Arc<TaskContext>,
}

/// One scan, or one server's share of it, by names: no key, no descriptor, no predicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanPart {
    dataset: DatasetId,
    version: u32,
    table: String,
    /// Names and types of the columns; the hidden one is not among them.
    columns: Vec<(String, String)>,
    /// The hidden person column's name and its place among the columns.
    hidden: Option<(String, usize)>,
    /// Of the whole table: both servers must have the same one, and provide all of it.
    rows: u64,
    row_groups: usize,
    partitions: usize,
    number: usize,
    of: usize,
}

impl ScanPart {
    /// What `node` reads, if it is a scan.
    pub fn of(node: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let scan = node.downcast_ref::<Scan>()?;
        let granted = &scan.granted;
        let visible = granted.table.columns();
        let mut hidden = None;
        let mut columns = Vec::with_capacity(scan.projection.len());
        for (place, index) in scan.projection.iter().enumerate() {
            match visible.fields().get(*index) {
                Some(field) => columns.push((field.name().clone(), field.data_type().to_string())),
                None => hidden = Some((granted.hidden.clone()?, place)),
            }
        }
        Some(Self {
            dataset: granted.table.dataset.clone(),
            version: granted.table.version,
            table: granted.table.name.clone(),
            columns,
            hidden,
            rows: granted.table.rows?,
            row_groups: granted.table.row_groups(),
            partitions: node.properties().partitioning.partition_count(),
            number: scan.share.number,
            of: scan.share.of,
        })
    }

    /// Row groups of the table that `node` scans, if it is a scan: in how many shares it can be read.
    pub fn row_groups(node: &Arc<dyn ExecutionPlan>) -> Option<usize> {
        let scan = node.downcast_ref::<Scan>()?;
        Some(scan.granted.table.row_groups())
    }

    /// The scan `node` in `shares` scans that together read what it reads, each row group once.
    ///
    /// # Errors
    /// `node` is no scan, or already a share.
    pub fn split(
        node: &Arc<dyn ExecutionPlan>,
        shares: usize,
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let scan = node
            .downcast_ref::<Scan>()
            .filter(|scan| scan.share == Share::WHOLE)
            .ok_or_else(|| refused("only a whole scan is split"))?;
        let partitions = node.properties().partitioning.partition_count();
        (0..shares)
            .map(|number| {
                let share = Share { number, of: shares };
                let scan = Scan::new(
                    scan.granted.clone(),
                    scan.projection.clone(),
                    partitions,
                    share,
                )?;
                Ok(Arc::new(scan) as Arc<dyn ExecutionPlan>)
            })
            .collect()
    }
}

/// A part that this server does not run: a peer of another build, or one that was taken over. Says nothing of
/// what was asked, which is the peer's own text.
fn refused(why: &str) -> DataFusionError {
    DataFusionError::Plan(format!("refused: {why}"))
}

/// The functions that a plan may name, and nothing else.
#[derive(Debug, Default)]
pub struct PlanFunctions {
    scalar: HashMap<String, Arc<ScalarUDF>>,
    aggregate: HashMap<String, Arc<AggregateUDF>>,
}

impl PlanFunctions {
    pub(crate) fn new(lists: &[&Functions]) -> Self {
        let mut all = Self::default();
        for list in lists {
            for function in list.scalar.values() {
                all.add_scalar(Arc::clone(function));
            }
            for function in list.aggregate.values() {
                all.add_aggregate(Arc::clone(function));
            }
        }
        let listed: Vec<_> = all.scalar.values().cloned().collect();
        wrapped(listed.iter()).for_each(|function| all.add_scalar(function));
        evidence::spread()
            .into_iter()
            .for_each(|function| all.add_aggregate(function));
        all
    }

    fn add_scalar(&mut self, function: Arc<ScalarUDF>) {
        self.scalar.insert(function.name().to_owned(), function);
    }

    fn add_aggregate(&mut self, function: Arc<AggregateUDF>) {
        self.aggregate.insert(function.name().to_owned(), function);
    }

    /// Scalar functions, each once.
    pub fn scalar(&self) -> Vec<Arc<ScalarUDF>> {
        self.scalar.values().cloned().collect()
    }

    /// Aggregate functions, each once.
    pub fn aggregate(&self) -> Vec<Arc<AggregateUDF>> {
        self.aggregate.values().cloned().collect()
    }

    /// True when the name alone brings this very function back.
    fn knows_scalar(&self, function: &ScalarUDF) -> bool {
        let known = self.scalar.get(function.name());
        known.is_some_and(|known| known.as_ref() == function)
    }

    fn knows_aggregate(&self, function: &AggregateUDF) -> bool {
        let known = self.aggregate.get(function.name());
        known.is_some_and(|known| known.as_ref() == function)
    }

    fn knows_all_of(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
        let unknown = expr.exists(|expr| {
            let known = match expr.downcast_ref::<ScalarFunctionExpr>() {
                Some(call) => call.name() == call.fun().name() && self.knows_scalar(call.fun()),
                None => is_listed(expr),
            };
            Ok(!known)
        })?;
        Ok(!unknown)
    }
}

/// Expressions that have no function of their own.
fn is_listed(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.is::<BinaryExpr>()
        || expr.is::<CaseExpr>()
        || expr.is::<CastExpr>()
        || expr.is::<Column>()
        || expr.is::<InListExpr>()
        || expr.is::<IsNotNullExpr>()
        || expr.is::<IsNullExpr>()
        || expr.is::<LikeExpr>()
        || expr.is::<Literal>()
        || expr.is::<NegativeExpr>()
        || expr.is::<NotExpr>()
        || expr.is::<TryCastExpr>()
}

impl Session {
    /// From now on, plans run where `spread` says. Once; a second one is ignored.
    pub fn spread_by(&self, spread: Arc<dyn Spread>) {
        // Whoever comes second finds the servers chosen.
        let _ = self.spreading.set(spread);
    }

    /// A scan of this session's own tables, as a peer asks for it.
    ///
    /// # Errors
    /// The table is not granted here, or is another one.
    pub fn scan(&self, part: &ScanPart) -> Result<Arc<dyn ExecutionPlan>> {
        let in_bounds = (1..=SHARES_MAX).contains(&part.of)
            && part.number < part.of
            && (1..=SHARES_MAX).contains(&part.partitions);
        if !in_bounds {
            return Err(refused("a share that can't be"));
        }
        let table = self
            .tables
            .exactly(&part.dataset, part.version, &part.table)
            .filter(|table| table.rows == Some(part.rows) && table.row_groups() == part.row_groups)
            .ok_or_else(|| refused("a table that is not granted here, or is another one"))?;
        let visible = table.columns();
        let mut projection = part
            .columns
            .iter()
            .map(|(name, data_type)| {
                visible
                    .index_of(name)
                    .ok()
                    .filter(|at| visible.field(*at).data_type().to_string() == *data_type)
                    .ok_or_else(|| refused("a column that is not granted here, or is another one"))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut granted = Granted::new(Arc::clone(table), Arc::default());
        if let Some((name, place)) = &part.hidden {
            let may_count =
                table.is_numbered && name.starts_with(HIDDEN_PREFIX) && *place <= projection.len();
            granted = granted
                .with_persons(name)
                .filter(|_| may_count)
                .ok_or_else(|| refused("persons that have no numbers of their own"))?;
            projection.insert(*place, visible.fields().len());
        }
        let share = Share {
            number: part.number,
            of: part.of,
        };
        let scan = Scan::new(granted, projection, part.partitions, share)?;
        // Two servers that cut a scan differently would skip rows.
        if scan.properties().partitioning.partition_count() != part.partitions {
            return Err(refused("partitions that can't be"));
        }
        Ok(Arc::new(scan))
    }

    /// True when every operator, expression and function of `plan` is on the closed lists, comes back from its
    /// name as what it is, every table is provided whole, and every scan counts persons by the numbers that their files give them: a
    /// register's would differ from server to server, and one person would be counted as several.
    ///
    /// # Errors
    /// None of its own: the plan's, when its parts can't be looked at.
    pub fn may_spread(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
        let functions = self.plan_functions();
        let forbidden = plan.exists(|node| {
            if !SPREAD_NODES.contains(&node.name()) {
                return Ok(true);
            }
            if node.name() == SCAN && !may_be_shared(node) {
                return Ok(true);
            }
            if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
                let mut calls = aggregate.aggr_expr().iter();
                if !calls.all(|call| functions.knows_aggregate(call.fun())) {
                    return Ok(true);
                }
            }
            let mut known = true;
            node.apply_expressions(&mut |expr| {
                known &= functions.knows_all_of(expr)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(!known)
        })?;
        Ok(!forbidden)
    }

    /// The functions that plans of this session may name.
    pub fn plan_functions(&self) -> &PlanFunctions {
        self.plan_functions
            .get_or_init(|| PlanFunctions::new(&[&self.statistics, &self.rows]))
    }

    /// Rows of a batch.
    pub fn batch_rows(&self) -> usize {
        self.state().config().batch_size()
    }

    /// The session's memory: what peers ask for is taken from it.
    pub fn runtime(&self) -> Arc<RuntimeEnv> {
        Arc::clone(self.state().runtime_env())
    }

    /// Runs a plan: here, or wherever the servers' planner puts it.
    pub(crate) async fn run_plan(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        state: &SessionState,
    ) -> Result<SendableRecordBatchStream> {
        if let Some(spread) = self.spreading.get()
            && self.may_spread(&plan)?
            && let Some(placed) = spread.spread(&plan, state).await?
        {
            let batches = execute_stream(placed.plan, placed.context)?;
            let (schema, spread) = (batches.schema(), Arc::clone(spread));
            let told = batches.map(move |batch| batch.map_err(|error| spread.tell(error)));
            return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, told)));
        }
        execute_stream(plan, state.task_ctx())
    }
}

/// True for a scan of ours that carries no persons, or carries them by the files' numbers, of a table that is
/// provided whole: which share a row is in would tell of rows that are not provided.
fn may_be_shared(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.downcast_ref::<Scan>().is_some_and(|scan| {
        let table = &scan.granted.table;
        table.rows.is_some() && (scan.granted.hidden.is_none() || table.is_numbered)
    })
}

/// Who spreads, once it is known.
pub(crate) type Spreading = OnceLock<Arc<dyn Spread>>;
