//! A release: one signed file that holds what two people approved, and the record of it.
//!
//! A worked story. Two reviewers accepted the table with digest `d`. [`Approval::grant`] looks at
//! both votes and gives a token; [`Release::prepare`] spends it and fixes every byte that will
//! leave, so that the ledger can name them ([`Release::digest`]) *before* they exist as a file.
//! Once the ledger's entry has an index, [`Release::sign`] writes the bundle. Years later
//! [`verify`] needs the file and a public key.
//!
//! # The file
//! JSON in UTF-8, written in one way only (`serde_json`'s pretty form, fields in this order, one
//! final line feed), so that a bundle has no second spelling:
//!
//! ```text
//! { "format": "kekkai-release/2",
//!   "files": [ { "name", "sha256", "base64" } … ],   output.*, README.md, README.ja.md
//!   "record": { … },                                  what was decided, by whom, on what grounds
//!   "ledger_index": 1234,                             where the ledger's OutputReleased entry stands
//!   "signature": "…" }                                Ed25519, base64
//! ```
//! The *release digest*, which the ledger names, is SHA-256 of `{format, files, record}` written
//! compactly (`jq -cj '{format,files,record}' FILE | sha256sum`). It can't cover the index of the
//! entry that names it; the signature covers both: Ed25519 over `kekkai-release/2 LF`, the 32 bytes of
//! the release digest, and the index as 64 bits, most significant byte first.
//!
//! # What leaves
//! A table of statistics leaves as `output.csv`. A program's table leaves as CSV, its figure as the
//! drawing that Kekkai made and its numbers as JSON, its text as text, its model as JSON. Of its
//! lineage, only what the program could not choose after it had seen data leaves in the clear: its
//! statements and their counts stay inside, since both can carry data; their digest leaves.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod approval;
mod document;
mod key;
mod readme;
mod release;
mod subject;
mod verify;

pub use approval::{Accept, Approval, ApprovalError, Candidate};
pub use document::{BUNDLE_MAX, BundleError, FORMAT, Record};
pub use key::{KeyError, ReleaseKey, ReleaseSigner};
pub use release::Release;
pub use subject::{ProgramSource, Subject};
pub use verify::{Verified, verify};

#[cfg(test)]
mod tests;
