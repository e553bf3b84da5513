//! One session on one server, as the others see it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::{
    DistributedExec, DistributedExt, SessionStateBuilderExt, Worker, WorkerPlanRewriteEvent,
    WorkerPlanRewriteEventResponse, WorkerPlanRewriteHandler, WorkerQueryContext,
    WorkerSessionBuilder,
};
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use kekkai_engine::{Placed, Session, Spread, engine};
use kekkai_types::ServerId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::codec::Codec;
use crate::link::{JoinError, Links, url};
use crate::planner::{Made, Members, settle};

/// The longest message that a member takes, in bytes: a plan, or a piece of a feed.
const MESSAGE_MAX: usize = 16 * 1024 * 1024;
/// Calls at once from one other member: two for each task of each stage of each statement.
const CALLS_MAX: u32 = 1024;

/// One session on one server.
///
/// Invariant: what other members may have of it is what [`Session::scan`] gives, through operators and functions
/// that [`Session::may_spread`] lists, in the session's own memory.
pub struct Member {
    own: ServerId,
    session: Weak<Session>,
    links: Links,
    worker: Worker,
}

impl Member {
    /// A member that knows no other yet.
    pub fn new(own: ServerId, session: &Arc<Session>) -> Arc<Self> {
        let links = Links::default();
        let builder = Builder {
            session: Arc::downgrade(session),
            links: links.clone(),
        };
        let worker = Worker::from_session_builder(builder)
            .with_runtime_env(session.runtime())
            .with_version(engine());
        Arc::new(Self {
            own,
            session: Arc::downgrade(session),
            links,
            worker,
        })
    }

    /// Asks `server` over `stream` from now on, until the stream ends.
    ///
    /// # Errors
    /// Nobody answers there, or another build.
    pub async fn ask<S>(&self, server: ServerId, stream: S) -> Result<(), JoinError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.links.connect(server, stream, engine()).await
    }

    /// Answers whoever asks over `stream`, until the stream ends. On the runtime that it is called on, whose
    /// threads need [`kekkai_engine::STACK_BYTES`] of stack.
    pub async fn answer<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = Asked(stream);
        let service = self.worker.clone().into_worker_server();
        let service = service.max_decoding_message_size(MESSAGE_MAX);
        let served = Server::builder()
            .max_concurrent_streams(CALLS_MAX)
            .add_service(service)
            .serve_with_incoming(futures::stream::iter([Ok::<_, io::Error>(stream)]))
            .await;
        if served.is_err() {
            tracing::debug!("a member's connection ended with an error");
        }
    }

    /// From now on the session's statements run on all members that answer.
    pub fn lead(self: &Arc<Self>) {
        if let Some(session) = self.session.upgrade() {
            session.spread_by(Arc::clone(self) as Arc<dyn Spread>);
        }
    }

    /// Members that answer now, without this one.
    pub fn others(&self) -> Vec<ServerId> {
        self.links.up()
    }

    /// True when `plan` comes back from its bytes: what the format can't carry runs here alone.
    fn survives(&self, plan: &Arc<dyn ExecutionPlan>, session: &Arc<Session>) -> bool {
        let codec = Codec::new(Arc::downgrade(session));
        let state = functions(SessionStateBuilder::new(), session).build();
        physical_plan_to_bytes_with_extension_codec(Arc::clone(plan), &codec)
            .and_then(|bytes| {
                let context = state.task_ctx();
                physical_plan_from_bytes_with_extension_codec(&bytes, &context, &codec)
            })
            .is_ok_and(|back| back.schema() == plan.schema())
    }
}

#[async_trait]
impl Spread for Member {
    async fn spread(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        state: &SessionState,
    ) -> Result<Option<Placed>> {
        let Some(session) = self.session.upgrade() else {
            return Ok(None);
        };
        let own = url(&self.own);
        let others = self.links.up();
        let (Some(own), false) = (own, others.is_empty()) else {
            return Ok(None);
        };
        if !self.survives(plan, &session) {
            return Ok(None);
        }
        let urls = std::iter::once(own.clone()).chain(others.iter().filter_map(url));
        let members = Members(urls.collect());
        let builder = SessionStateBuilder::new_from_existing(state.clone())
            .with_query_planner(Arc::new(Made(Arc::clone(plan))))
            .with_distributed_worker_resolver(members.clone())
            .with_distributed_channel_resolver(self.links.clone())
            .with_distributed_user_codec(Codec::new(Arc::downgrade(&session)))
            .with_distributed_local_worker_context(self.worker.to_local_worker_context(own))
            .with_distributed_desired_task_count_handler(members.clone())
            .with_distributed_scale_up_leaf_node_handler(members.clone())
            .with_distributed_route_tasks_handler(members)
            .with_distributed_planner();
        let mut builder = functions(builder, &session);
        settle(builder.config().get_or_insert_default())?;
        let state = builder.build();
        let nothing = LogicalPlan::default();
        let spread = state
            .query_planner()
            .create_physical_plan(&nothing, &state)
            .await?;
        if !spread.is::<DistributedExec>() {
            return Ok(None);
        }
        Ok(Some(Placed {
            plan: spread,
            context: state.task_ctx(),
        }))
    }

    fn tell(&self, error: DataFusionError) -> DataFusionError {
        crate::lost::tell(error)
    }
}

/// A stream on which somebody asks. Who that is, whoever handed it over knows.
struct Asked<S>(S);

impl<S> Connected for Asked<S> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<S: AsyncRead + Unpin> AsyncRead for Asked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Asked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The closed list of functions, in place of whatever was there.
fn functions(builder: SessionStateBuilder, session: &Arc<Session>) -> SessionStateBuilder {
    let listed = session.plan_functions();
    builder
        .with_scalar_functions(listed.scalar())
        .with_aggregate_functions(listed.aggregate())
        .with_window_functions(Vec::new())
}

/// Makes what a task runs in: nothing of it comes from the peer but the plan.
struct Builder {
    session: Weak<Session>,
    links: Links,
}

#[async_trait]
impl WorkerSessionBuilder for Builder {
    async fn build_session_state(&self, asked: WorkerQueryContext) -> Result<SessionState> {
        let session = self.session.upgrade();
        let session =
            session.ok_or_else(|| DataFusionError::Internal("the session has ended".to_owned()))?;
        let mut asked = asked.builder;
        let mut config = asked.config().take().unwrap_or_default();
        settle(&mut config)?;
        config = config
            .with_batch_size(session.batch_rows())
            .with_distributed_channel_resolver(self.links.clone())
            .with_distributed_user_codec(Codec::new(self.session.clone()))
            .with_distributed_worker_plan_rewrite_handler(Checked(self.session.clone()));
        let builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(session.runtime());
        Ok(functions(builder, &session).build())
    }
}

/// The last look at a plan before it may run. It changes nothing.
struct Checked(Weak<Session>);

impl WorkerPlanRewriteHandler for Checked {
    fn rewrite_worker_plan(
        &self,
        event: WorkerPlanRewriteEvent,
    ) -> Result<WorkerPlanRewriteEventResponse> {
        let session = self.0.upgrade();
        let session =
            session.ok_or_else(|| DataFusionError::Internal("the session has ended".to_owned()))?;
        if !session.may_spread(&event.plan)? {
            return Err(DataFusionError::Plan("refused: not on the list".to_owned()));
        }
        Ok(WorkerPlanRewriteEventResponse::new(event.plan))
    }
}
