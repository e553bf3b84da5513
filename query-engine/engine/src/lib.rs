//! SQL under policy: granted columns only, contributors counted for every cell, small cells suppressed.
//!
//! A short story. A researcher's text is split into words ([`text`]), parsed, and held against closed lists of
//! clauses and functions ([`statement`], [`functions`]); names resolve to granted tables and columns only
//! ([`names`], [`table`]), and rows that the agreement doesn't provide end at the leaf ([`kekkai_condition`]). The plan is cut in two at its aggregate ([`count`]). Below the cut each row's person
//! is followed from the scan to the aggregate ([`follow`]) and no row can make an expression fail ([`total`]);
//! beside each aggregate another one counts its contributors ([`evidence`]). Then cells and groups with too
//! few of them are dropped ([`suppress`]), and only what is left meets `HAVING`, `ORDER BY`, `LIMIT` and the
//! expressions of the `SELECT` list ([`above`]). The exact persons of each cell stay beside the table ([`population`]).
//!
//! What a person's statement makes may be kept for the next ones ([`keep`], [`temporary`]).
//!
//! Statistics of clinical research (survival, regression, tests) gather the rows of each group instead, fit them,
//! and hold what comes of it against the same terms ([`model`]).
//!
//! Programs that may read rows get them by the same way without the cut ([`rows`], [`stream`]).
//! A plan that is ready runs here, or over several servers ([`spread`]).
//!
//! What it never does: open a file, reach a network, spill in plain text, or put a value into an error.
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

mod above;
mod ascending;
mod by_person;
mod count;
mod dialect;
mod errors;
mod evidence;
mod file;
mod follow;
mod functions;
mod head;
mod in_order;
mod keep;
mod measure;
mod mistaken_names;
mod mistakes;
mod model;
mod names;
mod ordered;
mod parameters;
mod person;
mod population;
mod rows;
mod runtime;
mod session;
mod spread;
mod statement;
mod stream;
mod suppress;
mod table;
mod temporary;
#[cfg(test)]
mod tests;
mod text;
mod total;

pub use functions::{
    AGGREGATE_FUNCTIONS, PERSON_FUNCTIONS, QUANTILE_FUNCTIONS, ROW_AGGREGATE_FUNCTIONS,
    SCALAR_FUNCTIONS, WINDOW_FUNCTIONS,
};
pub use kekkai_spill::{Spill, SpillError};
pub use model::MODEL_FUNCTIONS;
pub use rows::{Piece, Sent};
pub use session::{Answer, Cancel, Progress, STACK_BYTES, Session, Stopped, Terms, engine};
pub use spread::{Placed, PlanFunctions, ScanPart, Spread};
pub use stream::Statement;
pub use table::{GrantedColumn, LoadError, TableFile, TableSource};
