//! The ways to the other members, and whether they still lead anywhere.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_distributed::{
    ChannelResolver, CoordinatorToWorkerMsg, ExecuteTaskRequest, GetWorkerInfoRequest,
    GetWorkerInfoResponse, SetPlanRequest, WorkerChannel, WorkerToCoordinatorMsg, grpc,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use hyper_util::rt::TokioIo;
use kekkai_types::ServerId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tonic::codegen::http::HeaderMap;
use tonic::transport::Endpoint;
use url::Url;

use crate::lost::{explain, lost};

/// A member must have greeted by then.
const GREETING_LIMIT: Duration = Duration::from_secs(20);
/// Between two pings, and how long one may stay unanswered: a member that is cut off without a word is noticed
/// so. Its threads may all be busy with rows for a while.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_LIMIT: Duration = Duration::from_secs(20);
/// What may be under way on one connection, in bytes.
const WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// Why a member can't be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The stream ended, or nobody answered on it in time.
    #[error("server \"{0}\" does not answer")]
    Silent(ServerId),
    /// It runs another engine, whose plans and answers may mean something else.
    #[error(
        "server \"{server}\" runs \"{theirs}\", this one \"{ours}\": install the same build on both"
    )]
    OtherBuild {
        /// The other.
        server: ServerId,
        /// What it says it runs; bounded.
        theirs: String,
        /// What this one runs.
        ours: String,
    },
    /// It is a member already.
    #[error("server \"{0}\" is a member already")]
    Twice(ServerId),
}

/// The URL that stands for a member in plans. It is a name and leads nowhere.
pub(crate) fn url(server: &ServerId) -> Option<Url> {
    Url::parse(&format!("kekkai://analysis/{server}")).ok()
}

/// A connection as far as it is known.
#[derive(Clone)]
enum State {
    Greeting,
    Up(grpc::BoxCloneSyncChannel),
    Down,
}

/// All ways out of one member.
#[derive(Clone, Default)]
pub(crate) struct Links(Arc<Mutex<BTreeMap<ServerId, watch::Sender<State>>>>);

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Links")
    }
}

impl Links {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<ServerId, watch::Sender<State>>) -> T) -> T {
        // Only whole changes are made under this lock.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Members that answer now.
    pub(crate) fn up(&self) -> Vec<ServerId> {
        self.with(|links| {
            links
                .iter()
                .filter(|(_, state)| matches!(*state.borrow(), State::Up(_)))
                .map(|(server, _)| server.clone())
                .collect()
        })
    }

    /// Greets `server` over `stream` and keeps the connection. A member that was lost may come again.
    pub(crate) async fn connect<S>(
        &self,
        server: ServerId,
        stream: S,
        ours: String,
    ) -> Result<(), JoinError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let state = watch::Sender::new(State::Greeting);
        let is_new = self.with(|links| {
            let known = links.get(&server);
            let is_new = known.is_none_or(|known| matches!(*known.borrow(), State::Down));
            if is_new {
                links.insert(server.clone(), state.clone());
            }
            is_new
        });
        if !is_new {
            return Err(JoinError::Twice(server));
        }
        let greeted = tokio::time::timeout(GREETING_LIMIT, greet(stream, state.clone())).await;
        let silent = JoinError::Silent(server.clone());
        let (channel, theirs) = match greeted {
            Ok(Some(greeted)) => greeted,
            Ok(None) | Err(_) => {
                state.send_replace(State::Down);
                return Err(silent);
            }
        };
        if theirs != ours {
            state.send_replace(State::Down);
            return Err(JoinError::OtherBuild {
                server,
                theirs: theirs.chars().take(200).collect(),
                ours,
            });
        }
        let is_up = state.send_if_modified(|state| {
            let greets = matches!(state, State::Greeting);
            if greets {
                *state = State::Up(channel);
            }
            greets
        });
        match is_up {
            true => Ok(()),
            false => Err(silent),
        }
    }

    async fn channel(&self, server: &ServerId) -> Option<grpc::BoxCloneSyncChannel> {
        let mut state = self.with(|links| links.get(server).map(watch::Sender::subscribe))?;
        let known = state.wait_for(|state| !matches!(state, State::Greeting));
        match &*known.await.ok()? {
            State::Up(channel) => Some(channel.clone()),
            State::Greeting | State::Down => None,
        }
    }
}

/// Speaks HTTP/2 over `stream` and asks the other side what it is.
async fn greet<S>(
    stream: S,
    state: watch::Sender<State>,
) -> Option<(grpc::BoxCloneSyncChannel, String)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut once = Some(Noticed { stream, state });
    let connector = tower::service_fn(move |_| {
        // There is one stream: whoever wants a second connection finds the member gone.
        let stream = once.take().map(TokioIo::new);
        async move { stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
    });
    // Nobody resolves this name: the connector has its stream.
    let channel = Endpoint::from_static("http://member")
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_LIMIT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .connect_with_connector(connector)
        .await
        .ok()?;
    let channel = grpc::BoxCloneSyncChannel::new(channel);
    let mut client = grpc::create_worker_client(channel.clone());
    let told = client.get_worker_info(GetWorkerInfoRequest {}).await.ok()?;
    Some((channel, told.version))
}

/// A stream whose end is noticed at once, and not by the next statement.
struct Noticed<S> {
    stream: S,
    state: watch::Sender<State>,
}

impl<S> Drop for Noticed<S> {
    fn drop(&mut self) {
        self.state.send_replace(State::Down);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noticed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let has_ended = match &polled {
            Poll::Ready(Ok(())) => buffer.filled().len() == before && buffer.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if has_ended {
            self.state.send_replace(State::Down);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noticed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[async_trait]
impl ChannelResolver for Links {
    async fn get_worker_client_for_url(&self, url: &Url) -> Result<Box<dyn WorkerChannel>> {
        let named = self.with(|links| {
            let named = |server: &&ServerId| crate::link::url(server).as_ref() == Some(url);
            links.keys().find(named).cloned()
        });
        // A peer's plan may name anything: what isn't a member of this session isn't there.
        let server =
            named.ok_or_else(|| DataFusionError::Plan("refused: not a member".to_owned()))?;
        let channel = self.channel(&server).await.ok_or_else(|| lost(&server))?;
        Ok(Box::new(Watched {
            inner: grpc::create_worker_client(channel),
            server,
        }))
    }
}

/// A member's channel, whose failures say whose they are.
struct Watched {
    inner: Box<dyn WorkerChannel>,
    server: ServerId,
}

#[async_trait]
impl WorkerChannel for Watched {
    async fn coordinator_channel(
        &mut self,
        headers: HeaderMap,
        request: SetPlanRequest,
        messages: BoxStream<'static, CoordinatorToWorkerMsg>,
        metrics: ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<WorkerToCoordinatorMsg>>> {
        let server = self.server.clone();
        let answers = self
            .inner
            .coordinator_channel(headers, request, messages, metrics, context)
            .await
            .map_err(|error| explain(error, &server))?;
        Ok(answers
            .map(move |answer| answer.map_err(|error| explain(error, &server)))
            .boxed())
    }

    async fn execute_task(
        &mut self,
        headers: HeaderMap,
        request: ExecuteTaskRequest,
        metrics: ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<Vec<BoxStream<'static, Result<RecordBatch>>>> {
        let streams = self
            .inner
            .execute_task(headers, request, metrics, context)
            .await
            .map_err(|error| explain(error, &self.server))?;
        let explained = streams.into_iter().map(|stream| {
            let server = self.server.clone();
            stream
                .map(move |batch| batch.map_err(|error| explain(error, &server)))
                .boxed()
        });
        Ok(explained.collect())
    }

    async fn get_worker_info(
        &mut self,
        request: GetWorkerInfoRequest,
    ) -> Result<GetWorkerInfoResponse> {
        self.inner.get_worker_info(request).await
    }
}
