//! The review service: outputs that wait, votes, releases.
//!
//! A worked story. An analysis server submits a table with the evidence that its engine counted.
//! [`Review::submit`](review::Review::submit) checks it, tells the ledger, and stores it encrypted.
//! Mori opens its page: what will leave, who contributed to each cell, what the checks found. Her vote
//! names the digest and the round that she saw; the ledger hears of it before the database does. Ueda
//! votes without seeing hers. Both accepted, so the release is prepared byte for byte and stored
//! sealed; the ledger's entry names those bytes; then the signed bundle and the state *released* are
//! one commit. The principal investigator fetches it, and the ledger hears of that first.
//!
//! When the process is killed between two of these steps, the ledger may know more than the database,
//! never less: a vote that was recorded but not stored is given again (and recorded again), and two
//! stored votes are concluded at the next start. The prepared release is stored with the second vote,
//! so that a second `OutputReleased` entry names the same bytes as the first.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

pub mod config;
pub mod listing;
pub mod model;
pub mod policy;
pub mod review;
pub mod said;
pub mod seal;
pub mod state;
pub mod store;
pub mod tool;
mod tool_store;
mod web;

use std::sync::Arc;
use std::time::Duration;

use kekkai_policy_api::Event;
use kekkai_review_api::{
    FetchTool, ListOutputs, ListToolRequests, ListTools, Preview, SessionOutputs, Submit,
    SubmitTool, WithdrawTool,
};
use kekkai_service::tls::TlsError;
use kekkai_service::{Client, From, Routes};
use kekkai_types::{Peer, PeerKind, PersonId, Refusal, Timestamp};
use tokio::net::TcpListener;

use config::{Config, KeyFileError};
use policy::Policy;
use review::{CONCLUDE_INTERVAL, Review};
use store::{Store, StoreError};

/// How long the last entry may take.
const STOPPED_LIMIT: Duration = Duration::from_secs(3);

/// Why the service can't run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The database.
    #[error("the state in \"{dir}\" can't be used")]
    Store {
        /// The state directory.
        dir: std::path::PathBuf,
        /// Why.
        source: StoreError,
    },
    /// TLS files.
    #[error("TLS can't be set up")]
    Tls(#[from] TlsError),
    /// The address.
    #[error("can't listen on {address}")]
    Listen {
        /// From the configuration.
        address: std::net::SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Runs the service until `shutdown` resolves.
pub async fn run(config: &Config, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let signer = config.read_signing_key()?;
    let storage_key = config.read_storage_key()?;
    let in_store = |source| RunError::Store {
        dir: config.state_dir.clone(),
        source,
    };
    let store = Store::open(&config.state_dir, &storage_key).map_err(in_store)?;
    drop(storage_key);
    let policy = Policy::new(Client::new(
        &config.tls,
        config.policy.as_str(),
        PeerKind::Policy,
    )?);
    let review = Arc::new(Review::new(store, policy, signer));
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| RunError::Listen {
            address: config.listen,
            source,
        })?;
    let chores = tokio::spawn(chores(review.clone()));
    let router = router(review.clone());
    tracing::info!(address = %config.listen, "listening");
    let served = kekkai_service::serve(listener, &config.tls, router, shutdown).await;
    chores.abort();
    // Nobody is served any more; that the ledger doesn't hear of it stops nothing.
    let stopped = review.policy().record(Event::ServiceStopped);
    if !matches!(
        tokio::time::timeout(STOPPED_LIMIT, stopped).await,
        Ok(Ok(_))
    ) {
        tracing::warn!("stopping was not recorded");
    }
    Ok(served?)
}

fn router(review: Arc<Review>) -> axum::Router {
    let submit = review.clone();
    let list = review.clone();
    let (preview, own) = (review.clone(), review.clone());
    Routes::new()
        .call::<Submit, _, _>(move |from: From, call: Submit| {
            let review = submit.clone();
            async move {
                match from.peer {
                    Peer::Analysis(server) => review.submit(server, call, Timestamp::now()).await,
                    _ => Err(Refusal::new("caller-not-allowed", "submit")),
                }
            }
        })
        .call::<ListOutputs, _, _>(move |_, call: ListOutputs| {
            let review = list.clone();
            async move { listing::list(&review, call).await }
        })
        .call(move |_, call: Preview| {
            let review = preview.clone();
            async move { review.preview(call).await }
        })
        .call(move |_, call: SessionOutputs| {
            let review = own.clone();
            async move { listing::own(&review, call).await }
        })
        .router()
        .merge(tools(&review).router())
        .merge(web::router(review))
}

/// Calls about tools: staff bring them in and take them back, analysis servers fetch them.
fn tools(review: &Arc<Review>) -> Routes {
    let (submit, requests, withdraw) = (review.clone(), review.clone(), review.clone());
    let (list, fetch) = (review.clone(), review.clone());
    Routes::new()
        .call(move |from: From, call: SubmitTool| {
            let review = submit.clone();
            async move {
                let by = staff(from.peer)?;
                review.submit_tool(by, call, Timestamp::now()).await
            }
        })
        .call(move |from: From, call: ListToolRequests| {
            let review = requests.clone();
            async move {
                let by = staff(from.peer)?;
                review.list_tool_requests(&by, call).await
            }
        })
        .call(move |from: From, call: WithdrawTool| {
            let review = withdraw.clone();
            async move {
                let by = staff(from.peer)?;
                review.withdraw_tool(by, call, Timestamp::now()).await
            }
        })
        .call(move |_, call: ListTools| {
            let review = list.clone();
            async move { review.list_tools(call).await }
        })
        .call(move |_, call: FetchTool| {
            let review = fetch.clone();
            async move { review.fetch_tool(call).await }
        })
}

/// The member of staff whom the certificate names.
fn staff(peer: Peer) -> Result<PersonId, Refusal> {
    match peer {
        Peer::Admin(person) => Ok(person),
        other => Err(Refusal::new("caller-not-allowed", other.to_uri())),
    }
}

/// What a start owes the last run, and what waits for the ledger to come back.
async fn chores(review: Arc<Review>) {
    let mut turns = tokio::time::interval(CONCLUDE_INTERVAL);
    let mut is_started = false;
    let mut is_rechecked = false;
    loop {
        turns.tick().await;
        if !is_started {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            match review
                .policy()
                .record(Event::ServiceStarted { version })
                .await
            {
                Ok(_) => is_started = true,
                Err(error) => {
                    tracing::warn!(%error, "the ledger can't be reached yet");
                    continue;
                }
            }
        }
        review.conclude_all(Timestamp::now()).await;
        review.conclude_all_tools(Timestamp::now()).await;
        if !is_rechecked {
            match review.recheck_all(Timestamp::now()).await {
                Ok(()) => is_rechecked = true,
                Err(error) => tracing::warn!(%error, "not rechecked yet"),
            }
        }
    }
}
