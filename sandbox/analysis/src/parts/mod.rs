//! Parts of sessions that run on another analysis server, and further servers for this one's own.
//!
//! A part is a session's worker under the session's own terms, on a server that has shown evidence of its own
//! ([`Broker::launch_part`]). It is in a table of its own: no statement, script or screen reaches it, only what the
//! worker that leads asks, over streams that the two brokers carry ([`carry`]) and neither reads. It has a lease of
//! its own, and ends with the connection that launched it. The other side of all this is [`lead`].

mod lead;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use kekkai_analysis_api::{JoinPart, LaunchPart};
use kekkai_policy_api::{EndReason, Event, Record};
use kekkai_service::Stream;
use kekkai_types::{Peer, Refusal, ServerId, SessionId};
use kekkai_worker_api::PeerRole;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::UnixStream;

use crate::attester::Attester;
use crate::broker::Broker;
use crate::session::Session;

/// What one direction of a stream holds while the other side doesn't take it, in bytes.
const CARRIED_BYTES: usize = 256 * 1024;

/// A part that runs here.
#[derive(Debug, Clone)]
pub(crate) struct SessionPart {
    pub(crate) session: Arc<Session>,
    /// The server whose session it is: nobody else may join it.
    pub(crate) leader: ServerId,
}

/// The server that calls.
fn server_of(peer: &Peer) -> Result<ServerId, Refusal> {
    match peer {
        Peer::Analysis(server) => Ok(server.clone()),
        other => Err(Refusal::new("caller-not-allowed", other.to_uri())),
    }
}

impl Broker {
    /// Launches a part: quote, keys, jail, ledger, data; in this order, as for a session. The policy service
    /// releases nothing unless the session's own server named this one.
    pub(crate) async fn launch_part(
        self: &Arc<Self>,
        attester: &Attester,
        caller: &Peer,
        call: &LaunchPart,
    ) -> Result<SessionPart, Refusal> {
        let leader = server_of(caller)?;
        if call.server != *self.server() {
            return Err(Refusal::new("another-server", self.server().as_str()));
        }
        let place = self.reserve_part(&call.session)?;
        let mut terms = attester.release(self.policy(), &call.session).await?;
        // A part computes; people and programs are at the leader.
        terms.programs = None;
        terms.desktop = None;
        let keys = attester.unwrap(&terms);
        let (session, _) = self.bring_up_part(&terms, keys).await?;
        let part = SessionPart { session, leader };
        match place.fill(part.clone()) {
            true => {
                tokio::spawn(bury(Arc::clone(self), part.session.clone()));
                Ok(part)
            }
            false => {
                part.session.end(EndReason::ServerLost).await;
                Err(Refusal::new("service-unavailable", "draining"))
            }
        }
    }

    /// Gives a part's worker a stream, whose other end is carried to the caller.
    pub(crate) async fn join_part(
        &self,
        caller: &Peer,
        call: &JoinPart,
    ) -> Result<(Arc<Session>, UnixStream), Refusal> {
        let leader = server_of(caller)?;
        let part = self
            .part(&call.session)
            .filter(|part| part.leader == leader)
            .ok_or_else(|| Refusal::not_found(call.session.as_str()))?;
        let role = match call.asks {
            true => PeerRole::Asks,
            false => PeerRole::Answers,
        };
        let ours = pass(&part.session, &call.other, role).await?;
        Ok((part.session, ours))
    }
}

/// A part's end: out of the table, and said in the ledger.
async fn bury(broker: Arc<Broker>, session: Arc<Session>) {
    let reason = session.wait_end().await;
    // The process is gone before the place is free.
    session.end(reason).await;
    broker.remove_part(session.id());
    let event = Event::PartEnded {
        session: session.id().clone(),
        server: broker.server().clone(),
        reason,
    };
    if let Err(error) = broker.policy().call(&Record { event }).await {
        tracing::error!(session = %session.id(), %error, "a part's end is not recorded");
    }
}

/// Runs for as long as the part does: whichever of the two ends first ends the other.
pub(crate) async fn hold(part: SessionPart, mut stream: Stream) {
    let mut byte = [0; 1];
    tokio::select! {
        // Not a byte is expected: one is as good as the end.
        _ = stream.read(&mut byte) => part.session.end(EndReason::ServerLost).await,
        _ = part.session.wait_end() => {}
    }
}

/// Gives a session's worker one end of a new stream, and the caller the other.
async fn pass(
    session: &Arc<Session>,
    other: &ServerId,
    role: PeerRole,
) -> Result<UnixStream, Refusal> {
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "no stream for a part");
        Refusal::new("internal", "stream")
    };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    // As it is: connected, and not blocking.
    let theirs = OwnedFd::from(theirs.into_std().map_err(failed)?);
    match session.join(other, role, theirs.as_fd()).await {
        true => Ok(ours),
        false => Err(Refusal::new("session-ended", session.id().as_str())),
    }
}

/// Carries bytes both ways until either side, or the session, ends.
pub(crate) async fn carry<A, B>(session: Arc<Session>, mut one: A, mut other: B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let carried = tokio::io::copy_bidirectional_with_sizes(
        &mut one,
        &mut other,
        CARRIED_BYTES,
        CARRIED_BYTES,
    );
    tokio::select! {
        // Why it ended, the workers see for themselves.
        _ = carried => {}
        _ = session.wait_end() => {}
    }
}

/// A place for a part that is being launched; given back unless it is filled.
pub(crate) struct PartPlace {
    pub(crate) broker: Arc<Broker>,
    pub(crate) session: SessionId,
    pub(crate) kept: bool,
}

impl PartPlace {
    /// False when the server drains meanwhile.
    fn fill(mut self, part: SessionPart) -> bool {
        self.kept = self.broker.fill_part(&self.session, part);
        self.kept
    }
}

impl Drop for PartPlace {
    fn drop(&mut self) {
        if !self.kept {
            self.broker.remove_part(&self.session);
        }
    }
}
