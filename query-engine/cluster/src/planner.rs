//! How a plan is cut: which scans are read in shares, and where each task runs.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session as Catalog;
use datafusion::common::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion_distributed::{
    DesiredTaskCountEvent, DesiredTaskCountEventResponse, DesiredTaskCountHandler, DistributedExt,
    DistributedLeafExec, RouteTasksEvent, RouteTasksEventResponse, RouteTasksHandler,
    ScaleUpLeafNodeEvent, ScaleUpLeafNodeEventResponse, ScaleUpLeafNodeHandler, WorkerResolver,
};
use kekkai_engine::ScanPart;
use url::Url;

/// Answers of one member that wait at another, in bytes; beyond it the other side waits.
const AHEAD_BYTES: usize = 8 * 1024 * 1024;

/// What members do for each other, whatever a peer's request says of it.
///
/// # Errors
/// None while the settings exist, which they do in every configuration that the library made.
pub(crate) fn settle(config: &mut SessionConfig) -> Result<()> {
    // The way is inside TLS, and compressing rows would make lengths tell of values.
    config.set_distributed_compression(None)?;
    config.set_distributed_metrics_collection(false)?;
    config.set_distributed_worker_connection_buffer_budget_bytes(AHEAD_BYTES)?;
    config.set_distributed_shuffle_batch_size(0)?;
    config.set_distributed_dynamic_task_count(false)?;
    config.set_distributed_max_tasks_per_stage(0)
}

/// The members of one statement, the leader first.
#[derive(Debug, Clone)]
pub(crate) struct Members(pub(crate) Arc<[Url]>);

impl WorkerResolver for Members {
    fn get_urls(&self) -> Result<Vec<Url>> {
        Ok(self.0.to_vec())
    }
}

#[async_trait]
impl DesiredTaskCountHandler for Members {
    /// Each member reads at least one row group.
    async fn handle(
        &self,
        event: DesiredTaskCountEvent<'_>,
    ) -> Option<Result<DesiredTaskCountEventResponse>> {
        let groups = ScanPart::row_groups(event.plan)?;
        let tasks = groups.min(self.0.len()).max(1);
        Some(Ok(DesiredTaskCountEventResponse::desired(tasks)))
    }
}

impl ScaleUpLeafNodeHandler for Members {
    fn handle(&self, event: ScaleUpLeafNodeEvent) -> Option<Result<ScaleUpLeafNodeEventResponse>> {
        ScanPart::row_groups(event.plan)?;
        let shares = || {
            let shares = ScanPart::split(event.plan, event.task_count)?;
            DistributedLeafExec::try_new(Arc::clone(event.plan), shares)
        };
        Some(shares().map(|leaf| ScaleUpLeafNodeEventResponse::new(Arc::new(leaf))))
    }
}

impl RouteTasksHandler for Members {
    /// Task by task from the leader on: a stage of one task stays at home.
    fn handle(&self, event: RouteTasksEvent) -> Option<Result<RouteTasksEventResponse>> {
        let urls = self.0.iter().cycle().take(event.task_count);
        Some(Ok(RouteTasksEventResponse::new(urls.cloned().collect())))
    }
}

/// Gives the plan that is there already: the engine made it as for one server.
#[derive(Debug)]
pub(crate) struct Made(pub(crate) Arc<dyn ExecutionPlan>);

#[async_trait]
impl QueryPlanner for Made {
    async fn create_physical_plan(
        &self,
        _plan: &LogicalPlan,
        _session: &dyn Catalog,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::clone(&self.0))
    }
}
