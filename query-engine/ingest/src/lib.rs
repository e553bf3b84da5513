//! Raw tables to an encrypted, pseudonymized dataset; and a generator of raw tables to try it with.
//!
//! [`ingest`] reads CSV (UTF-8 or CP932) or Parquet as a manifest says, streaming: a thread reads, this
//! one parses, replaces keys by pseudonyms, makes coarser and looks for identifiers, and a third encodes
//! and encrypts. Nothing is half-ingested, and no error, log or report holds a value of the data.
//!
//! [`sample`] makes Japanese hospital data, raw: with names, addresses and numbers, so that ingest has
//! something to do.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod checks;
mod convert;
mod date;
mod decode;
mod error;
mod message;
mod names;
mod pseudonym;
mod run;
pub mod sample;
mod source;

pub use checks::IDENTIFIERS_MAX;
pub use decode::RECORD_BYTES_MAX;
pub use error::{Finding, IngestError, Place};
pub use pseudonym::{PERSONS_MAX, PseudonymKey};
pub use run::{
    Accepted, Ingested, Progress, Report, Step, TableReport, ingest, ingest_with_escrow,
};
