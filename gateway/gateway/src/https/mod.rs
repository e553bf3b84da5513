//! The HTTPS door: approval, enrolment, sign-in, desktops, and the way to review.
//!
//! TLS 1.3 only. A browser shows the client certificate of its terminal; without one it sees a page
//! that says so, and nothing else.

mod approve;
mod assets;
pub(crate) mod browser;
mod desktop;
mod enrol;
mod guard;
mod home;
mod page;
mod proxy;
pub(crate) mod rate;
mod sign_in;
mod socket;
mod watching;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use kekkai_service::tls::{self, TlsError};
use kekkai_types::{Digest, Peer, TerminalId};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::config::Https;
use crate::gateway::Gateway;

/// The largest request body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// A handshake takes at most this long.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// A request's head takes at most this long to arrive.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// A connection lives at most this long. One that became a screen is none of these any more.
const CONNECTION_LIMIT: Duration = Duration::from_secs(600);

/// What TLS proved of whoever asks.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) address: String,
    pub(crate) certificate: Option<(TerminalId, Digest)>,
}

/// TLS 1.3 with certificates of terminals, asked for and not demanded.
pub fn tls_config(https: &Https) -> Result<ServerConfig, TlsError> {
    let provider = tls::provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(tls::roots(&https.terminal_authority)?),
        provider.clone(),
    )
    .allow_unauthenticated()
    .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            tls::certificates(&https.certificate)?,
            tls::private_key(&https.key)?,
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed handshake shows no certificate again; each connection proves its terminal.
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// All pages.
pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    let pages = Router::new()
        .route("/", get(home::page))
        .route("/approve", get(approve::page))
        .route("/approve/begin", post(approve::begin))
        .route("/approve/finish", post(approve::finish))
        .route("/enrol/{ticket}", get(enrol::page))
        .route("/enrol/{ticket}/begin", post(enrol::begin))
        .route("/enrol/{ticket}/finish", post(enrol::finish))
        .route("/sign-in", get(sign_in::page))
        .route("/sign-in/begin", post(sign_in::begin))
        .route("/sign-in/finish", post(sign_in::finish))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/desktop", get(desktop::page))
        .route("/desktop/open", post(desktop::open))
        .route("/desktop/screen", get(desktop::screen))
        .route("/watch", get(watching::list))
        .route("/watch/{session}", get(watching::page))
        .route("/watch/{session}/screen", get(watching::screen))
        .route("/watch/{session}/end", post(watching::end))
        .route("/review", any(proxy::forward))
        .route("/review/", any(proxy::forward))
        .route("/review/{*path}", any(proxy::forward))
        .route("/release", any(proxy::forward))
        .route("/release/", any(proxy::forward))
        .route("/release/{*path}", any(proxy::forward))
        .fallback(guard::not_found)
        .layer(axum::middleware::from_fn_with_state(
            gateway.clone(),
            guard::terminal,
        ));
    Router::new()
        .route("/static/kekkai.js", get(assets::script))
        .route("/static/kekkai.css", get(assets::style))
        .route("/static/desktop/{name}", get(assets::desktop))
        .route("/favicon.ico", get(assets::icon))
        .merge(pages)
        .layer(axum::middleware::from_fn(guard::headers))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(gateway)
}

/// Serves until `stop` says true, then lets requests under way end.
pub async fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    config: ServerConfig,
    mut stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let places = usize::try_from(gateway.config.limits.https_connections_max).unwrap_or(1);
    let places = Arc::new(Semaphore::new(places));
    let router = router(gateway);
    let graceful = GracefulShutdown::new();
    loop {
        let place = tokio::select! {
            () = crate::start::stopped(&mut stop) => break,
            place = places.clone().acquire_owned() => place,
        };
        let (stream, address) = tokio::select! {
            () = crate::start::stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let work = connection(stream, address, acceptor, router, watcher);
            match tokio::time::timeout(CONNECTION_LIMIT, work).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => tracing::debug!(error, "connection ended"),
            }
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(kekkai_service::drain::DRAIN_LIMIT, graceful.shutdown()).await;
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    watcher: Watcher,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    crate::tcp::keep_alive(&stream).map_err(|e| e.to_string())?;
    let stream = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream))
        .await
        .map_err(|_| "handshake too slow".to_owned())?
        .map_err(|e| e.to_string())?;
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .and_then(|certificate| tls::identify(certificate).ok())
        .and_then(|(peer, spki)| match peer {
            Peer::Terminal(terminal) => Some((terminal, spki)),
            _ => None,
        });
    let visitor = Visitor {
        address: address.ip().to_string(),
        certificate,
    };
    let service =
        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(visitor.clone());
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
