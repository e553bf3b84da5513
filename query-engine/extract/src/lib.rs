//! A project's own copy of the data that its agreement grants, under its own keys and pseudonyms.
//!
//! A short story. The producer ingests a hospital's tables once. Two projects are granted parts of them. Each
//! gets an extract ([`extract`]): the agreed tables and columns, encrypted under a data key of its own, which
//! is wrapped to the attested analysis servers and to nobody else; every pseudonym replaced by one that
//! belongs to the project ([`ProjectKey`]), every person numbered anew. What the two hold has no id in common, and no key of
//! one opens the other. When an agreement ends, the policy service erases the extract's wrapped keys, and
//! its files are noise: there is no recovery key, since an extract can be made again from the dataset.
//!
//! Beside the data lies an escrow ([`kekkai_dataset::escrow`]): for each person the dataset's pseudonym,
//! sealed to the producer's offline key. With the dataset's own escrow it leads back to the original id,
//! for a regulator's enquiry, on the machine that has that key and on no other.
//!
//! An extract always holds the person key of a table about persons, even where it is not granted: without it
//! no contributor could be counted, and no statistic shown. The same holds of the columns that row conditions are about.
//! The session's grant names neither then. Rows that an agreement doesn't provide are not in its extract.
//! Rows come in the order of the extract's own person numbers, which is as good as random: row by row, two
//! extracts are not about the same persons. Rows of one person keep the order that they have in the dataset.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod error;
mod pseudonym;
mod read;
mod run;

pub use error::{ExtractError, Hidden};
pub use pseudonym::{PERSONS_MAX, ProjectKey};
pub use run::{Agreed, Extracted, Progress, Source, Step, Target, extract};
