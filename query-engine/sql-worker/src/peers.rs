//! The same session's workers on other servers, by the streams that the broker passes.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use kekkai_cluster::{Member, wire};
use kekkai_engine::Session;
use kekkai_types::ServerId;
use kekkai_worker_api::{FromWorker, PeerRole, Sender};
use tokio::runtime::Handle;

use crate::serve::ServeError;

/// The longest text of a failure that the broker is told, in bytes.
const ERROR_MAX: usize = 300;

/// This worker among its peers. Nothing of it is there until the first stream comes.
pub(crate) struct Peers<'a> {
    session: &'a Arc<Session>,
    compute: &'a Handle,
    sender: &'a Sender,
    member: Option<(ServerId, Arc<Member>)>,
}

impl<'a> Peers<'a> {
    pub(crate) fn new(session: &'a Arc<Session>, compute: &'a Handle, sender: &'a Sender) -> Self {
        Self {
            session,
            compute,
            sender,
            member: None,
        }
    }

    /// Takes a stream. What comes of asking is told later; a stream on which another asks ends by itself.
    pub(crate) fn add(
        &mut self,
        own: ServerId,
        server: ServerId,
        role: PeerRole,
        stream: OwnedFd,
    ) -> Result<(), ServeError> {
        let session = self.session;
        let (known, member) = self
            .member
            .get_or_insert_with(|| (own.clone(), Member::new(own.clone(), session)));
        if *known != own || own == server {
            return Err(ServeError::OutOfTurn);
        }
        let member = Arc::clone(member);
        // What peers ask for is computed where this session's own statements are.
        let entered = self.compute.enter();
        let stream = wire(stream).map_err(ServeError::Runtime)?;
        drop(entered);
        match role {
            PeerRole::Answers => {
                self.compute
                    .spawn(async move { member.answer(stream).await });
            }
            PeerRole::Asks | PeerRole::Leads => {
                if role == PeerRole::Leads {
                    member.lead();
                }
                let sender = self.sender.clone();
                self.compute.spawn(async move {
                    let error = member.ask(server.clone(), stream).await.err();
                    let error = error.map(|error| {
                        let mut text = error.to_string();
                        text.truncate(text.floor_char_boundary(ERROR_MAX));
                        text
                    });
                    // A broker that is gone is noticed by the reading thread.
                    let _ = sender.send(&FromWorker::PeerAnswered { server, error });
                });
            }
        }
        Ok(())
    }
}
