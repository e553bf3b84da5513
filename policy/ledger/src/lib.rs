//! An append-only log that outsiders can verify: C2SP
//! [tlog-tiles](https://c2sp.org/tlog-tiles) in a directory, with a
//! [checkpoint](https://c2sp.org/tlog-checkpoint) signed by the log's key.
//!
//! ```text
//! DIR/checkpoint            origin, size, root hash, signature
//! DIR/tile/entries/000      256 entries, each after its length (16 bits, big-endian)
//! DIR/tile/0/000            the hashes of those entries
//! DIR/tile/1/000.p/7        hashes of the first 7 full tiles of level 0
//! WITNESS                   one line per checkpoint, on another disk
//! ```
//!
//! An append returns when its entry can't be lost: entries and tiles are on the disk, then the
//! checkpoint that covers them, then the witness's line. Whatever a killed process leaves behind
//! lies beyond the checkpoint and is cleared away by the next [`Ledger::open`].
//!
//! [`verify`] trusts a public key and nothing else. A log that was cut back to an older checkpoint
//! still verifies by itself: only the witness file shows the cut. So the witness belongs on a disk
//! and to an account that whoever could cut the log can't reach.
//!
//! A witness that lost its newest lines, as a whole, still agrees: what is left of it binds the log
//! as before, and the next opening adds the current checkpoint.
//!
//! This crate knows bytes; what an entry means is `kekkai-policy-api`'s.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod entries;
mod error;
mod head;
mod key;
mod ledger;
mod path;
mod store;
mod tree;
mod verify;
mod witness;

pub use entries::{Entries, entries};
pub use error::{LedgerError, VerifyError, WitnessFault};
pub use key::{generate_key, verifier_key};
pub use ledger::{APPEND_MANY_MAX, APPEND_QUEUE_MAX, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, Ledger};
pub use verify::{Report, WitnessReport, verify};
pub use witness::start_witness;

/// The longest entry in bytes: its length is written in 16 bits.
pub const ENTRY_MAX: usize = 65_535;
