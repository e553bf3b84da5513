//! Whether two statistics are about nearly the same persons.
//!
//! A sum over a ward and the same sum over the ward without one patient are both harmless; subtracted, they
//! are that patient's. The guard therefore remembers who stood behind each statistic that a project has seen
//! ([`History`]), and says of a new one whether it and an earlier one differ by at least one person and by
//! fewer than the threshold ([`History::compare`]): 0 < |A Δ B| < k. Exactly, with no sampling.
//!
//! Comparing each new population with each old one would take forever. Each population is therefore cut into
//! k pieces by a hash of its persons. Where two populations differ by fewer than k persons, at least one of the
//! k pieces holds none of the persons in which they differ, and is the same in both. Only populations that
//! share a piece are compared, so that none is missed.
//!
//! Only statistics that can be subtracted from each other are compared: counts with counts, magnitudes with
//! magnitudes, of a column with those of the same column ([`Measure`]).
//!
//! What it can't see: three or more statistics that give one person away together; rows of a person that come
//! and go while the person stays; what a project knows from elsewhere. Those are the reviewers'.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

mod history;
mod pieces;
mod shown;
#[cfg(test)]
mod tests;

pub use history::{Close, History, HistoryError, Known};
pub use shown::{Shown, ShownError, shown};
