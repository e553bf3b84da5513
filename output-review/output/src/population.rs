//! Who stands behind the cells of a statistic: kept inside, for the guard against differencing.
//!
//! Two tables that pass every check can still give one person away together, where their populations differ by
//! that person alone. So the engine hands the broker, beside each [`Table`](crate::Table), the exact persons of
//! each cell as roaring bitmaps. They are shown to nobody, are no part of an output's digest, and never leave
//! the analysis server.
//!
//! A population is what one aggregate counted: a cell that is computed from several has one of each, since
//! `sum(a) - sum(b)` gives away whoever is in one of the two and not in the other. `HAVING`, `ORDER BY` and
//! `LIMIT` say something of groups without showing them; what they decided by is there as well, as
//! populations of [no row](Population::row).

use kekkai_types::DatasetId;
use serde::{Deserialize, Serialize};

use crate::Aggregate;

/// The most bitmaps beside one table. A statistic with more is not given out.
pub const POPULATIONS_MAX: usize = 100_000;
/// The most that they may take together, in bytes: what the analysis server passes on fits one of its frames.
pub const POPULATION_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The persons of one cell, or of a whole row.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// The row in the table as it was given out, from 0. As many as the table has rows: what is known of groups
    /// beside them, because it decided which rows are there or in which order, or was counted as withheld.
    pub row: u32,
    /// The column; `None` for the row's group as a whole, and for all cells that have no bitmap of their own
    /// because their contributors are the group's. A cell has several where it is computed from several
    /// aggregates, or where its rows are about several persons: its evidence tells the smallest.
    pub column: Option<u32>,
    /// Whose persons: a row can be about persons of several datasets.
    pub dataset: DatasetId,
    /// Person numbers as a roaring bitmap in its portable format, without run containers, never empty. A number
    /// is a person's within one dataset version, or within one project's extract; `stable` in [`Populations`]
    /// says whether beyond one session.
    #[serde(with = "bitmap_text")]
    pub persons: Vec<u8>,
    /// What was measured of them. Only like can be subtracted from like.
    pub measures: Vec<Measure>,
}

/// What one aggregate measures of a population.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Its kind.
    pub kind: Aggregate,
    /// The data's own columns that its argument and its filter are made of, as `dataset.table.column`, sorted;
    /// none for `count(*)`. `None` where that can't be said: it counts as made of any.
    pub columns: Option<Vec<String>>,
    /// Its argument is a column as it stands in the data, without a filter: nobody chose who is missing.
    pub is_plain: bool,
}

/// All populations of one table.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Populations {
    /// Whether numbers mean the same persons in every session: they come from the files. Otherwise they were
    /// given by the session and die with it.
    pub stable: bool,
    /// In the order of rows.
    pub cells: Vec<Population>,
}

/// A statistic about nearly the same persons as an earlier one, without a number of persons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The row, from 0; `None`: the sum of all rows, or what decided which rows are there.
    pub row: Option<usize>,
    /// The column, from 0; `None`: the row as a whole.
    pub column: Option<usize>,
    /// The earlier statement, as its people know it; `None`: another value of the same row.
    pub earlier: Option<String>,
}

// What is printed must not name persons, not even by number.
impl std::fmt::Debug for Population {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Population")
            .field("row", &self.row)
            .field("column", &self.column)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Populations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Populations")
            .field("cells", &self.cells.len())
            .finish_non_exhaustive()
    }
}

mod bitmap_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        STANDARD_NO_PAD
            .decode(text.as_ref())
            .map_err(serde::de::Error::custom)
    }
}
