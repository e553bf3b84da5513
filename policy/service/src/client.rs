//! Calls to another service.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kekkai_types::{Call, PeerKind, Refusal, StreamCall};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use crate::server::BODY_MAX;
use crate::stream::Stream;
use crate::tls::{self, SERVICE_NAME, TlsError, TlsFiles};

/// Connecting takes at most this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// A whole call takes at most this long: launches and long polls included.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// Connections kept for the next call.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The other side understood and refused.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Nobody answered, or the connection broke. The call may have had its effect.
    #[error("\"{peer}\" is unavailable: {reason}")]
    Unavailable {
        /// Where.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The answer is none of this protocol: a version that doesn't fit, or a bug.
    #[error("\"{peer}\" answered out of protocol: {reason}")]
    Protocol {
        /// Where.
        peer: String,
        /// Why.
        reason: String,
    },
}

impl CallError {
    /// The refusal to hand on: `service-unavailable` where there was no answer.
    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Unavailable { peer, .. } => Refusal::new("service-unavailable", peer),
            Self::Protocol { peer, .. } => Refusal::new("internal", peer),
        }
    }
}

type Sender = http1::SendRequest<Full<Bytes>>;

/// A client for one other service. Cheap to clone; keeps a few connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<ClientConfig>,
    address: String,
    expected: PeerKind,
    idle: Mutex<Vec<Sender>>,
}

impl Client {
    /// A client for the service of kind `expected` at `address` (`HOST:PORT`).
    pub fn new(
        files: &TlsFiles,
        address: impl Into<String>,
        expected: PeerKind,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            inner: Arc::new(Inner {
                config: Arc::new(tls::client_config(files)?),
                address: address.into(),
                expected,
                idle: Mutex::new(Vec::new()),
            }),
        })
    }

    /// Makes a call.
    pub async fn call<C: Call>(&self, request: &C) -> Result<C::Reply, CallError> {
        let body = serde_json::to_vec(request).map_err(|e| self.protocol(e))?;
        let http = Request::post(C::PATH)
            .header("content-type", "application/json")
            .header("host", SERVICE_NAME)
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| self.protocol(e))?;
        let response = self.exchange(http).await?;
        let (parts, body) = response.into_parts();
        match parts.status {
            StatusCode::OK => serde_json::from_slice(&body).map_err(|e| self.protocol(e)),
            status => match serde_json::from_slice::<Refusal>(&body) {
                Ok(refusal) => Err(CallError::Refused(refusal)),
                Err(_) => Err(self.protocol(format!("status {status}"))),
            },
        }
    }

    /// Makes a call whose connection goes on as a stream. The connection is its own.
    pub async fn stream<C: StreamCall>(&self, request: &C) -> Result<Stream, CallError> {
        let body = serde_json::to_vec(request).map_err(|e| self.protocol(e))?;
        let http = Request::post(C::PATH)
            .header("content-type", "application/json")
            .header("host", SERVICE_NAME)
            .header("connection", "upgrade")
            .header("upgrade", C::PROTOCOL)
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| self.protocol(e))?;
        let work = async {
            let mut sender = self.connect().await?;
            let response = sender
                .send_request(http)
                .await
                .map_err(|e| self.unavailable(e))?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let upgraded = hyper::upgrade::on(response).await;
                return upgraded.map(Stream::new).map_err(|e| self.unavailable(e));
            }
            let status = response.status();
            let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
            let body = body.map_err(|e| self.unavailable(e))?.to_bytes();
            match serde_json::from_slice::<Refusal>(&body) {
                Ok(refusal) => Err(CallError::Refused(refusal)),
                Err(_) => Err(self.protocol(format!("status {status}"))),
            }
        };
        tokio::time::timeout(CALL_LIMIT, work)
            .await
            .map_err(|_| self.unavailable("no answer in time"))?
    }

    /// Sends a request of another kind (a page) and hands its answer back as it is.
    pub async fn forward(&self, request: Request<Bytes>) -> Result<Response<Bytes>, CallError> {
        self.exchange(request.map(Full::new)).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, CallError> {
        let work = async {
            let mut sender = self.sender().await?;
            let response = sender
                .send_request(request)
                .await
                .map_err(|e| self.unavailable(e))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, BODY_MAX)
                .collect()
                .await
                .map_err(|e| self.unavailable(e))?
                .to_bytes();
            let mut idle = self.inner.idle.lock().await;
            if idle.len() < IDLE_CONNECTIONS_MAX {
                idle.push(sender);
            }
            Ok(Response::from_parts(parts, body))
        };
        tokio::time::timeout(CALL_LIMIT, work)
            .await
            .map_err(|_| self.unavailable("no answer in time"))?
    }

    /// A connection that is still open, or a new one. A call is never sent twice: it may have had
    /// its effect although the answer was lost.
    async fn sender(&self) -> Result<Sender, CallError> {
        loop {
            let Some(mut sender) = self.inner.idle.lock().await.pop() else {
                break;
            };
            if !sender.is_closed() && sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        tokio::time::timeout(CONNECT_LIMIT, self.connect())
            .await
            .map_err(|_| self.unavailable("no connection in time"))?
    }

    async fn connect(&self) -> Result<Sender, CallError> {
        let stream = TcpStream::connect(&self.inner.address)
            .await
            .map_err(|e| self.unavailable(e))?;
        stream.set_nodelay(true).map_err(|e| self.unavailable(e))?;
        let name = ServerName::try_from(SERVICE_NAME).map_err(|e| self.protocol(e))?;
        let stream = TlsConnector::from(self.inner.config.clone())
            .connect(name, stream)
            .await
            .map_err(|e| self.unavailable(e))?;
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first())
            .ok_or_else(|| self.protocol("no certificate"))?;
        let (peer, _) = tls::identify(certificate).map_err(|e| self.protocol(e))?;
        if peer.kind() != self.inner.expected {
            return Err(self.protocol(format!("its certificate names {}", peer.to_uri())));
        }
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.unavailable(e))?;
        tokio::spawn(async move {
            // The sender learns of a broken connection by itself.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    fn unavailable(&self, reason: impl ToString) -> CallError {
        CallError::Unavailable {
            peer: self.inner.address.clone(),
            reason: reason.to_string(),
        }
    }

    fn protocol(&self, reason: impl ToString) -> CallError {
        CallError::Protocol {
            peer: self.inner.address.clone(),
            reason: reason.to_string(),
        }
    }
}
