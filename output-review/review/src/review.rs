//! The service: everything that changes an output goes through here, and in this order: ask, record,
//! then do.

mod conclude;
mod fetch;
mod recheck;
mod submit;
mod tool;
mod vote;

use kekkai_bundle::ReleaseSigner;
use kekkai_policy_api::Resource;
use tokio::sync::{Mutex, Semaphore};

pub use conclude::CONCLUDE_INTERVAL;
pub use fetch::FetchError;
pub use submit::{AUTHOR_WAITING_MAX, METHOD_MAX, PURPOSE_MAX, TITLE_MAX};
pub use tool::{TOOLS_WAITING_MAX, ToolBallot, tool_resource};
use vote::checked_comment;
pub use vote::{Ballot, COMMENT_MAX, VoteError};

use crate::model::Head;
use crate::policy::Policy;
use crate::store::Store;

/// Contents that are checked at once: previews come as fast as researchers click.
const JUDGED_AT_ONCE: usize = 2;

/// The review service.
pub struct Review {
    store: Store,
    policy: Policy,
    signer: ReleaseSigner,
    /// One change at a time: two votes that come together are a first and a second.
    turn: Mutex<()>,
    /// One tool's bytes at a time.
    opening: Mutex<()>,
    judging: Semaphore,
}

impl Review {
    /// Puts the parts together.
    pub fn new(store: Store, policy: Policy, signer: ReleaseSigner) -> Self {
        Self {
            store,
            policy,
            signer,
            turn: Mutex::new(()),
            opening: Mutex::new(()),
            judging: Semaphore::new(JUDGED_AT_ONCE),
        }
    }

    /// The database, for pages.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The policy service, for pages.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// What the policy service is asked about.
pub fn resource(head: &Head) -> Resource {
    Resource::Output {
        output: head.output.clone(),
        agreement: head.agreement.clone(),
        author: head.author.clone(),
    }
}
