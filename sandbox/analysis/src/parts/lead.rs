//! A session of this server, and the parts of it that run elsewhere.
//!
//! For each configured peer one task: the policy service is asked whether it may run a part, the peer launches it,
//! and streams are laid between the workers: two with this server's own, and two with each part that is there
//! already, which this broker carries from one peer to the other. What fails leaves the peer out, and the session
//! goes on without it: its statements run on those that are left. A part that is lost is not asked for again in
//! this session: whoever lost it once may lose the next statement too.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kekkai_analysis_api::{JoinPart, LaunchPart};
use kekkai_policy_api::AdmitPart;
use kekkai_service::{CallError, Client, Stream};
use kekkai_types::{Refusal, ServerId};
use kekkai_worker_api::PeerRole;
use tokio::io::AsyncReadExt;

use super::{carry, pass};
use crate::broker::Broker;
use crate::session::Session;

/// The parts of one session that are there.
type Parts = Arc<Mutex<BTreeSet<ServerId>>>;

impl Broker {
    /// Spreads a session that has begun over the configured peers, while it is used already.
    pub(crate) fn spread(self: &Arc<Self>, session: &Arc<Session>) {
        let parts = Parts::default();
        for (server, client) in self.peers() {
            let one = One {
                broker: Arc::clone(self),
                session: Arc::clone(session),
                server: server.clone(),
                client: client.clone(),
            };
            tokio::spawn(one.run(parts.clone()));
        }
    }
}

/// One session and one peer.
struct One {
    broker: Arc<Broker>,
    session: Arc<Session>,
    server: ServerId,
    client: Client,
}

impl One {
    async fn run(self, parts: Parts) {
        let (session, server) = (self.session.id().clone(), self.server.clone());
        tokio::select! {
            ended = self.live(&parts) => match ended {
                Ok(()) => tracing::warn!(%session, %server, "a part ended"),
                Err(refusal) => tracing::warn!(%session, %server, %refusal, "no part on another server"),
            },
            _ = self.session.wait_end() => {}
        }
        lock(&parts).remove(&server);
    }

    /// From the question whether it may be, to its end.
    async fn live(&self, parts: &Parts) -> Result<(), Refusal> {
        let admit = AdmitPart {
            session: self.session.id().clone(),
            server: self.server.clone(),
        };
        let admitted = self.broker.policy().call(&admit).await;
        admitted.map_err(CallError::into_refusal)?;
        let launch = LaunchPart {
            session: self.session.id().clone(),
            server: self.server.clone(),
        };
        let launched = self.client.stream(&launch).await;
        let mut held = launched.map_err(CallError::into_refusal)?;

        // The others' streams first: the leader's worker must not send plans to a part that knows nobody.
        let others = {
            let mut parts = lock(parts);
            let others: Vec<_> = parts.iter().cloned().collect();
            parts.insert(self.server.clone());
            others
        };
        for other in others {
            let Some(client) = self.broker.peers().get(&other) else {
                continue;
            };
            // A part that is just being lost takes its own streams with it, not this one's.
            if let Err(refusal) = self.between(&other, client).await {
                tracing::warn!(session = %self.session.id(), %other, %refusal, "no stream between parts");
            }
        }
        self.with_own().await?;
        let mut byte = [0; 1];
        // Not a byte is expected: one is as good as the end.
        let _ = held.read(&mut byte).await;
        Ok(())
    }

    async fn join(&self, client: &Client, other: &ServerId, asks: bool) -> Result<Stream, Refusal> {
        let call = JoinPart {
            session: self.session.id().clone(),
            other: other.clone(),
            asks,
        };
        client.stream(&call).await.map_err(CallError::into_refusal)
    }

    /// The two streams between this peer's part and another's.
    async fn between(&self, other: &ServerId, client: &Client) -> Result<(), Refusal> {
        for (asker, asked) in [(&self.server, other), (other, &self.server)] {
            let client_of = |server: &ServerId| match *server == self.server {
                true => &self.client,
                false => client,
            };
            let answers = self.join(client_of(asked), asker, false).await?;
            let asks = self.join(client_of(asker), asked, true).await?;
            tokio::spawn(carry(Arc::clone(&self.session), asks, answers));
        }
        Ok(())
    }

    /// The two streams between this server's worker and the peer's part. The worker leads from here on.
    async fn with_own(&self) -> Result<(), Refusal> {
        let own = self.broker.server();
        for (role, peer_asks) in [(PeerRole::Answers, true), (PeerRole::Leads, false)] {
            let far = self.join(&self.client, own, peer_asks).await?;
            let near = pass(&self.session, &self.server, role).await?;
            tokio::spawn(carry(Arc::clone(&self.session), near, far));
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Only whole changes are made under this lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
