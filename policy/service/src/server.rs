//! A service's own port.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Extension, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use kekkai_types::{Call, Digest, Peer, Refusal, StreamCall};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::drain::DRAIN_LIMIT;
use crate::stream::Stream;
use crate::tls::{self, TlsError, TlsFiles};

/// The largest request or reply, in bytes.
pub const BODY_MAX: usize = 96 * 1024 * 1024;
/// Connections at once.
const CONNECTIONS_MAX: usize = 512;
/// A handshake takes at most this long.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// A request's head takes at most this long to arrive.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Who is calling, as TLS proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// From the certificate's URI.
    pub peer: Peer,
    /// SHA-256 of the certificate's `SubjectPublicKeyInfo`.
    pub spki: Digest,
}

/// A service's calls.
#[derive(Default)]
pub struct Routes {
    router: Router,
}

impl Routes {
    /// No calls yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers one kind of call. Peers that [`Call::callers`] doesn't name are refused before the
    /// body is read.
    #[must_use]
    pub fn call<C, F, R>(self, handler: F) -> Self
    where
        C: Call + 'static,
        F: Fn(From, C) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<C::Reply, Refusal>> + Send + 'static,
    {
        let answer = move |Extension(from): Extension<From>, request: Request| async move {
            let call = match read::<C>(&from, request).await {
                Ok(call) => call,
                Err(response) => return *response,
            };
            match handler(from, call).await {
                Ok(reply) => Json(reply).into_response(),
                Err(refusal) => refuse(StatusCode::UNPROCESSABLE_ENTITY, refusal),
            }
        };
        Self {
            router: self.router.route(C::PATH, post(answer)),
        }
    }

    /// Answers one kind of call whose connection goes on as a stream. What the handler gives back runs in
    /// a task of its own with that stream, and the connection ends with it.
    #[must_use]
    pub fn stream<C, F, R, G, S>(self, handler: F) -> Self
    where
        C: StreamCall + 'static,
        F: Fn(From, C) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<G, Refusal>> + Send + 'static,
        G: FnOnce(Stream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let answer = move |Extension(from): Extension<From>, mut request: Request| async move {
            let upgrade = request.extensions_mut().remove::<OnUpgrade>();
            let named = request.headers().get(header::UPGRADE);
            let upgrade = upgrade.filter(|_| named.is_some_and(|named| named == C::PROTOCOL));
            let call = match read::<C>(&from, request).await {
                Ok(call) => call,
                Err(response) => return *response,
            };
            let Some(upgrade) = upgrade else {
                let refusal = Refusal::new("request-malformed", format!("{} upgrade", C::PATH));
                return refuse(StatusCode::UPGRADE_REQUIRED, refusal);
            };
            let work = match handler(from, call).await {
                Ok(work) => work,
                Err(refusal) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, refusal),
            };
            tokio::spawn(async move {
                match upgrade.await {
                    Ok(upgraded) => work(Stream::new(upgraded)).await,
                    Err(error) => tracing::debug!(%error, path = C::PATH, "no stream"),
                }
            });
            let head = [
                (header::CONNECTION, "upgrade"),
                (header::UPGRADE, C::PROTOCOL),
            ];
            (StatusCode::SWITCHING_PROTOCOLS, head).into_response()
        };
        Self {
            router: self.router.route(C::PATH, post(answer)),
        }
    }

    /// The calls as a router, to be merged with pages.
    pub fn router(self) -> Router {
        self.router
    }
}

/// A call of a peer that may make it. Boxed: a response is large.
async fn read<C: Call>(from: &From, request: Request) -> Result<C, Box<Response>> {
    let refuse = |status, refusal| Err(Box::new(refuse(status, refusal)));
    if !C::callers().contains(&from.peer.kind()) {
        tracing::warn!(peer = from.peer.to_uri(), path = C::PATH, "caller refused");
        let refusal = Refusal::new("caller-not-allowed", C::PATH);
        return refuse(StatusCode::FORBIDDEN, refusal);
    }
    let Ok(bytes) = axum::body::to_bytes(request.into_body(), BODY_MAX).await else {
        let refusal = Refusal::new("request-too-large", C::PATH);
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, refusal);
    };
    serde_json::from_slice(&bytes).or_else(|error| {
        // The place only: serde's text may quote the value.
        let place = format!("{} column {}", C::PATH, error.column());
        refuse(
            StatusCode::BAD_REQUEST,
            Refusal::new("request-malformed", place),
        )
    })
}

fn refuse(status: StatusCode, refusal: Refusal) -> Response {
    (status, Json(refusal)).into_response()
}

/// Serves until `shutdown` resolves, then lets requests under way end, for at most
/// [`DRAIN_LIMIT`].
pub async fn serve(
    listener: TcpListener,
    files: &TlsFiles,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> Result<(), TlsError> {
    let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(files)?));
    let router = router
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, Refusal::not_found("path")) })
        .layer(DefaultBodyLimit::max(BODY_MAX));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let place = tokio::select! {
            () = &mut shutdown => break,
            place = places.clone().acquire_owned() => place,
        };
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors: a moment later some are free again.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            if let Err(error) = connection(stream, acceptor, router, watcher).await {
                tracing::debug!(error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_LIMIT, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were cut off: draining took too long");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: Router,
    watcher: Watcher,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let stream = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream))
        .await
        .map_err(|_| "handshake too slow".to_owned())?
        .map_err(|e| e.to_string())?;
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .ok_or("no certificate")?;
    let (peer, spki) = tls::identify(certificate).map_err(|e| e.to_string())?;
    let from = From { peer, spki };
    let service =
        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(from.clone());
            router.clone().oneshot(request)
        });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT);
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .into_owned();
    watcher.watch(connection).await.map_err(|e| e.to_string())
}
