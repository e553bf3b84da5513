//! Spilled batches, encrypted under a key that dies with the process.
//!
//! A short story. A session's broker opens one file on its own disk, unlinked from the start, and passes it to
//! the jailed worker, which can open nothing itself. [`Spill`] makes a random key that is never written
//! anywhere, and cuts that one file into slots ([`slots`]). When a sort or an aggregation outgrows the
//! session's memory, DataFusion asks for a temporary file and gets a [`file`]: what is written to it is
//! gathered into blocks, each sealed for its file, its number and its slot ([`seal`]), and written to a slot
//! that is free. Read back, a block opens only where it was written and as it was written: one that was cut
//! off, changed, moved, or left over from an earlier file is an error, never a row.
//!
//! When the process ends, however it ends, the key is gone with its memory and the file with its last
//! descriptor. Until then the disk holds nothing but ciphertext and how much of it there is.
//!
//! Bounds: the file is never longer than `bytes_max` as given to [`Spill::new`]; slots of files that are
//! dropped are used again. Each open file has at most one block, [`BLOCK_BYTES`], in memory, and each reader
//! one more.
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

mod error;
mod file;
mod memory;
mod seal;
mod slots;
mod spill;

pub use error::SpillError;
pub use memory::SharedMemory;
pub use seal::BLOCK_BYTES;
pub use slots::SLOT_BYTES;
pub use spill::Spill;
