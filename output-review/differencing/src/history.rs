//! What a project has seen.

use std::collections::{BTreeSet, HashMap};

use kekkai_types::DatasetId;
use serde::{Deserialize, Serialize};

use crate::pieces::{PIECES_MAX, pieces};
use crate::shown::{Shown, comparable};

/// A population that was shown, and by what.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known<L> {
    /// The statement, as its people know it.
    pub by: L,
    /// The population.
    pub shown: Shown,
}

impl<L: std::fmt::Debug> std::fmt::Debug for Known<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

/// Two populations that differ by at least one person and by fewer than the threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close<L> {
    /// Of the new table; `None` for the sum of its rows.
    pub row: Option<u32>,
    /// Its column; `None` for the row as a whole.
    pub column: Option<u32>,
    /// The statement that showed the other one; `None` where it stands in the same row.
    pub with: Option<L>,
}

/// Why a history takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// It would be larger than it may be.
    #[error("the history of what was shown is full")]
    Full,
}

/// What one project was shown, and an index of it.
pub struct History<L> {
    threshold: u32,
    bytes_max: usize,
    bytes: usize,
    known: Vec<Known<L>>,
    by_piece: HashMap<Piece, Vec<usize>>,
}

#[derive(PartialEq, Eq, Hash, Clone)]
struct Piece {
    dataset: DatasetId,
    version: u32,
    number: u32,
    fingerprint: u64,
}

impl<L> std::fmt::Debug for History<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("populations", &self.known.len())
            .finish_non_exhaustive()
    }
}

impl<L: Clone> History<L> {
    /// Nothing was shown yet. `threshold`: populations that differ by fewer persons are too close; 1 and 0
    /// compare nothing. `bytes_max`: of populations that are remembered.
    pub fn new(threshold: u32, bytes_max: usize) -> Self {
        Self {
            threshold: threshold.min(PIECES_MAX),
            bytes_max,
            bytes: 0,
            known: Vec::new(),
            by_piece: HashMap::new(),
        }
    }

    /// The first population that is too close to one that was shown before, or to one in its own row.
    pub fn compare(&self, new: &[Shown]) -> Option<Close<L>> {
        in_a_row(new, self.threshold).or_else(|| {
            new.iter().find_map(|one| {
                let other = self.close_to(one)?;
                Some(Close {
                    row: one.row,
                    column: one.column,
                    with: Some(other.by.clone()),
                })
            })
        })
    }

    fn close_to(&self, one: &Shown) -> Option<&Known<L>> {
        if self.threshold < 2 || one.measures.is_empty() {
            return None;
        }
        let mut looked_at = BTreeSet::new();
        for piece in self.pieces_of(one) {
            for at in self.by_piece.get(&piece).into_iter().flatten() {
                if !looked_at.insert(*at) {
                    continue;
                }
                let Some(other) = self.known.get(*at) else {
                    continue;
                };
                // Two sums of rows are each a table's total: what separates them was withheld in one of them,
                // and stands in the findings of that table.
                let both_sums = one.row.is_none() && other.shown.row.is_none();
                if !both_sums && are_close(one, &other.shown, self.threshold) {
                    return Some(other);
                }
            }
        }
        None
    }

    fn pieces_of(&self, one: &Shown) -> Vec<Piece> {
        let fingerprints = pieces(&one.persons, self.threshold);
        (0..)
            .zip(fingerprints)
            .map(|(number, fingerprint)| Piece {
                dataset: one.dataset.clone(),
                version: one.version,
                number,
                fingerprint,
            })
            .collect()
    }

    /// What of these populations is not remembered yet. It is to be kept where nothing is lost, and then
    /// [added](Self::add), before any of it is shown.
    pub fn unknown(&self, by: &L, new: Vec<Shown>) -> Result<Vec<Known<L>>, HistoryError> {
        let mut bytes = self.bytes;
        let mut unknown: Vec<Known<L>> = Vec::new();
        for shown in new {
            let again = |known: &Known<L>| {
                known.shown.persons == shown.persons
                    && known.shown.dataset == shown.dataset
                    && known.shown.version == shown.version
                    && known.shown.measures == shown.measures
            };
            let is_known = shown.measures.is_empty()
                || self.same_pieces(&shown).any(again)
                || unknown.iter().any(again);
            if is_known {
                continue;
            }
            bytes = bytes.saturating_add(size(&shown));
            if bytes > self.bytes_max {
                return Err(HistoryError::Full);
            }
            unknown.push(Known {
                by: by.clone(),
                shown,
            });
        }
        Ok(unknown)
    }

    /// Candidates for equality: all pieces are equal then, the first among them.
    fn same_pieces(&self, one: &Shown) -> impl Iterator<Item = &Known<L>> {
        let first = self.pieces_of(one).into_iter().next();
        first
            .and_then(|piece| self.by_piece.get(&piece))
            .into_iter()
            .flatten()
            .filter_map(|at| self.known.get(*at))
    }

    /// Remembers populations.
    pub fn add(&mut self, new: Vec<Known<L>>) {
        for known in new {
            self.bytes = self.bytes.saturating_add(size(&known.shown));
            let at = self.known.len();
            for piece in self.pieces_of(&known.shown) {
                self.by_piece.entry(piece).or_default().push(at);
            }
            self.known.push(known);
        }
    }

    /// Compares by a higher threshold from now on; a lower one changes nothing.
    pub fn raise_threshold(&mut self, threshold: u32) {
        let threshold = threshold.min(PIECES_MAX);
        if threshold <= self.threshold {
            return;
        }
        self.threshold = threshold;
        self.by_piece.clear();
        self.bytes = 0;
        let known = std::mem::take(&mut self.known);
        self.add(known);
    }

    /// Populations that are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True while nothing was shown.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

fn size(shown: &Shown) -> usize {
    const BESIDE_THE_BITMAP: usize = 512;
    shown
        .persons
        .serialized_size()
        .saturating_add(BESIDE_THE_BITMAP)
}

/// Cells of one row: what separates them was written into the statement. Other rows of the same table are of
/// other rows of the data, and are not subtracted from each other.
fn in_a_row<L>(new: &[Shown], threshold: u32) -> Option<Close<L>> {
    let mut start = 0;
    while let Some(first) = new.get(start) {
        let rest = new.get(start..).unwrap_or_default();
        let length = rest.iter().take_while(|one| one.row == first.row).count();
        let row = rest.get(..length).unwrap_or_default();
        for (at, one) in row.iter().enumerate().filter(|_| first.row.is_some()) {
            let later = row.get(at + 1..).unwrap_or_default();
            if let Some(other) = later.iter().find(|other| are_close(one, other, threshold)) {
                return Some(Close {
                    row: other.row,
                    column: other.column,
                    with: None,
                });
            }
        }
        start += length.max(1);
    }
    None
}

fn are_close(a: &Shown, b: &Shown, threshold: u32) -> bool {
    if a.dataset != b.dataset || a.version != b.version {
        return false;
    }
    let threshold = u64::from(threshold);
    if a.persons.len().abs_diff(b.persons.len()) >= threshold {
        return false;
    }
    let differs = a.persons.symmetric_difference_len(&b.persons);
    (1..threshold).contains(&differs) && comparable(&a.measures, &b.measures)
}
