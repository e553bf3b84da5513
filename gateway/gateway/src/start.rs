//! Starting and stopping.

use std::sync::Arc;
use std::time::Duration;

use kekkai_policy_api::{EndReason, Event};
use kekkai_service::tls::TlsError;
use kekkai_service::{CallError, Client};
use kekkai_signin::{OpenError, SignIn, StorageKeyError, read_storage_key};
use kekkai_types::PeerKind;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::{Config, ConfigProblem};
use crate::gateway::{Chain, Gateway};
use crate::https::browser::Browsers;
use crate::https::rate::Rate;
use crate::screen::{Keepers, Opening};
use crate::sessions::Sessions;
use crate::ssh::HostKeyError;
use crate::{admin, https, ssh};

/// How often the ledger is asked for the first entry before giving up.
const START_TRIES: u32 = 30;
const START_PAUSE: Duration = Duration::from_millis(500);
/// The state's file in its directory.
const STATE_FILE: &str = "sign-in.sqlite";

/// Why the gateway doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration doesn't fit together.
    #[error("the configuration can't be used")]
    Config(#[from] ConfigProblem),
    /// The storage key file.
    #[error("the storage key can't be used")]
    StorageKey(#[from] StorageKeyError),
    /// The SSH host key file.
    #[error("the host key can't be used")]
    HostKey(#[from] HostKeyError),
    /// Certificates and keys.
    #[error("the TLS files can't be used")]
    Tls(#[from] TlsError),
    /// The sign-in state.
    #[error("sign-in can't be set up")]
    SignIn(#[from] OpenError),
    /// A port.
    #[error("\"{address}\" can't be listened at")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The state directory.
    #[error("the state directory \"{path}\" can't be used")]
    StateDir {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The ledger did not take the first entry.
    #[error("the ledger can't be written")]
    Ledger(#[from] CallError),
}

/// Runs until `shutdown` resolves and everybody has left.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let settings = config.settings()?;
    let key = read_storage_key(&config.storage_key)?;
    let host_key = ssh::read_host_key(&config.ssh.host_key)?;
    let tls = https::tls_config(&config.https)?;
    std::fs::create_dir_all(&config.state_dir).map_err(|source| StartError::StateDir {
        path: config.state_dir.display().to_string(),
        source,
    })?;
    let signin = SignIn::open(&config.state_dir.join(STATE_FILE), &key, &settings)?;
    let client = |address: &str, kind| Client::new(&config.tls, address, kind);
    let gateway = Arc::new(Gateway {
        policy: client(&config.services.policy, PeerKind::Policy)?,
        analysis: client(&config.services.analysis, PeerKind::Analysis)?,
        review: client(&config.services.review, PeerKind::Review)?,
        signin: Arc::new(signin),
        sessions: Sessions::default(),
        opening: Opening::default(),
        keepers: Keepers::default(),
        browsers: Browsers::new(config.limits.browser_session_s),
        rate: Rate::new(config.limits.sign_in_requests_per_minute),
        config,
    });

    let ssh_listener = listen(gateway.config.ssh.listen).await?;
    let https_listener = listen(gateway.config.https.listen).await?;
    let admin_listener = listen(gateway.config.admin.listen).await?;
    record_start(&gateway).await?;
    if gateway.config.demo {
        tracing::warn!("demonstration: emulated authenticators are allowed");
    }
    tracing::info!(
        ssh = %gateway.config.ssh.listen,
        https = %gateway.config.https.listen,
        admin = %gateway.config.admin.listen,
        "serving"
    );

    let (stop, stopping) = watch::channel(false);
    let leases = tokio::spawn(gateway.clone().keep_leases());
    let ssh = tokio::spawn(ssh::serve(
        gateway.clone(),
        ssh_listener,
        host_key,
        stopping.clone(),
    ));
    let https = tokio::spawn(https::serve(
        gateway.clone(),
        https_listener,
        tls,
        stopping.clone(),
    ));
    let admin = {
        let (gateway, mut stopping) = (gateway.clone(), stopping);
        tokio::spawn(async move {
            let router = admin::routes(&gateway).router();
            let stopped = async move { stopped(&mut stopping).await };
            kekkai_service::serve(admin_listener, &gateway.config.tls, router, stopped).await
        })
    };

    shutdown.await;
    let _ = stop.send(true);
    gateway.sessions.end_all(EndReason::Disconnected);
    let _ = tokio::join!(ssh, https);
    end_desktops(&gateway).await;
    if let Ok(Err(error)) = admin.await {
        tracing::error!(error = %Chain(&error), "administration port failed");
    }
    leases.abort();
    if let Err(error) = gateway.record(Event::ServiceStopped).await {
        tracing::warn!(error = %Chain(&error), "stop not recorded");
    }
    Ok(())
}

/// Desktops end with nobody's connection: they are waited for here.
async fn end_desktops(gateway: &Gateway) {
    // Again: one may have been opening when the signal came.
    gateway.sessions.end_all(EndReason::Disconnected);
    let ended = gateway.keepers.ended();
    if tokio::time::timeout(kekkai_service::drain::DRAIN_LIMIT, ended)
        .await
        .is_err()
    {
        tracing::error!("sessions left to their leases");
    }
}

/// Resolves when the gateway stops.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard inside must not live across an await of the caller's.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            address: address.to_string(),
            source,
        })
}

/// The policy service may start at the same time: it is waited for, a while.
async fn record_start(gateway: &Gateway) -> Result<(), CallError> {
    let event = Event::ServiceStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut tries = 1;
    loop {
        match gateway.record(event.clone()).await {
            Ok(()) => return Ok(()),
            Err(CallError::Unavailable { .. }) if tries < START_TRIES => {
                tries += 1;
                tokio::time::sleep(START_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}
