//! Further analysis servers: one statement, several servers.
//!
//! A short story. A session that runs on server `a1` may have parts on `a2` and `a3`: jailed workers like its
//! own, launched there under the same terms, with keys that were released to *those* servers' TPMs and files
//! that *their* brokers opened. Each of these workers is a [`Member`]. None has a network: its broker hands it
//! connected streams, [`Member::ask`] for a stream on which it asks another member and [`Member::answer`] for one
//! on which it is asked, and HTTP/2 runs between the workers inside whatever carries the bytes.
//!
//! The member that the statement came to leads ([`Member::lead`]). Its engine makes the plan as for one server,
//! and this crate lets `datafusion-distributed` cut it into stages: scans and the first half of aggregates run
//! where the row groups are read, shuffles bring groups together, the rest runs at the leader. Plans go over as
//! names only ([`codec`]); the other side makes the scans from its own granted tables and holds everything else
//! against the engine's closed lists before it runs a line of it ([`member`]).
//!
//! What can't go over, for want of a name or of person numbers that mean the same everywhere, runs at the leader
//! alone: the same answer, later. A member that is lost ends the statement ([`lost`]), never its answer by half;
//! the next statement runs on those that are left.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the map of this crate is for its readers"
)]

mod codec;
mod link;
mod lost;
mod member;
mod planner;
mod wire;

pub use link::JoinError;
pub use member::Member;
pub use wire::wire;
