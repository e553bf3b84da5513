//! The checks of one column, over all its batches.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use kekkai_dataset::{Check, Column};
use kekkai_types::ColumnRole;

use super::digits::{decimal, is_card, is_insurer, is_my_number};
use super::{Hits, Memory, shapes};

/// Verdicts on texts that are kept for when they come again: codes and names of diseases do.
const VERDICTS_MAX: usize = 8192;
/// The longest text whose verdict is kept, in bytes.
const VERDICT_BYTES_MAX: usize = 128;

/// Collects hits in one column.
pub(crate) struct ColumnChecks<'m> {
    memory: &'m Memory,
    is_free_text: bool,
    verdicts: HashMap<Box<str>, Hits>,
    counts: [u64; Check::ALL.len()],
    /// Integers of a form that only counts when it fills half of the column.
    plausible: [(Check, u64); 2],
    values: u64,
}

impl<'m> ColumnChecks<'m> {
    pub(crate) fn new(column: &Column, memory: &'m Memory) -> Self {
        Self {
            memory,
            is_free_text: column.role == ColumnRole::FreeText,
            verdicts: HashMap::new(),
            counts: [0; Check::ALL.len()],
            plausible: [(Check::Phone, 0), (Check::Insurance, 0)],
            values: 0,
        }
    }

    /// Looks at what would be written.
    pub(crate) fn look(&mut self, cells: &ArrayRef) {
        match cells.data_type() {
            DataType::Utf8 => {
                for cell in cells.as_string::<i32>().iter().flatten() {
                    let hits = self.text(cell);
                    self.count(hits);
                }
            }
            DataType::Int64 => {
                for value in cells.as_primitive::<Int64Type>().iter().flatten() {
                    self.integer(value.unsigned_abs());
                }
            }
            DataType::Float64 => {
                for value in cells.as_primitive::<Float64Type>().iter().flatten() {
                    // A number that a spreadsheet made a floating point one. Exact up to 2^53.
                    if value.fract() == 0.0 && (1e6..9e15).contains(&value) {
                        #[allow(
                            clippy::cast_possible_truncation,
                            clippy::cast_sign_loss,
                            reason = "the range is checked above"
                        )]
                        self.integer(value as u64);
                    }
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, cell: &str) -> Hits {
        if let Some(known) = self.verdicts.get(cell) {
            return *known;
        }
        let mut hits = shapes(cell);
        let is_remembered = if self.is_free_text {
            self.memory.has_within(cell)
        } else {
            self.memory.has(cell)
        };
        if is_remembered {
            hits.add(Check::DroppedValue);
        }
        if cell.len() <= VERDICT_BYTES_MAX && self.verdicts.len() < VERDICTS_MAX {
            self.verdicts.insert(cell.into(), hits);
        }
        hits
    }

    fn integer(&mut self, value: u64) {
        self.values += 1;
        // Small numbers are measurements.
        if value < 1_000_000 {
            return;
        }
        let mut buffer = [0; 20];
        let digits = decimal(value, &mut buffer);
        let mut hits = Hits::NONE;
        match digits.len() {
            12 if is_my_number(digits) => hits.add(Check::MyNumber),
            14..=16 if is_card(digits) => hits.add(Check::Card),
            _ => {}
        }
        if self.memory.has_integer(digits) {
            hits.add(Check::DroppedValue);
        }
        self.count(hits);
        let is_mobile = matches!(digits, [7..=9, 0, ..] if digits.len() == 10);
        let is_insurer = match digits.len() {
            8 => is_insurer(digits),
            // 01 to 07, their zero lost.
            7 => {
                let mut full = [0; 8];
                full.iter_mut()
                    .skip(1)
                    .zip(digits)
                    .for_each(|(to, from)| *to = *from);
                is_insurer(&full)
            }
            _ => false,
        };
        for ((_, count), is) in self.plausible.iter_mut().zip([is_mobile, is_insurer]) {
            *count += u64::from(is);
        }
    }

    fn count(&mut self, hits: Hits) {
        if hits == Hits::NONE {
            return;
        }
        for (count, check) in self.counts.iter_mut().zip(Check::ALL) {
            *count += u64::from(hits.has(check));
        }
    }

    /// Whether something was found that refuses, so far.
    pub(crate) fn has_hits(&self, accepted: &[Check]) -> bool {
        self.counts
            .iter()
            .zip(Check::ALL)
            .any(|(count, check)| *count > 0 && !accepted.contains(&check))
    }

    /// What was found, and in how many rows, after the last batch.
    pub(crate) fn finish(self) -> Vec<(Check, u64)> {
        let mut counts = self.counts;
        for (plausible, found) in self.plausible {
            if found > 0 && found.saturating_mul(2) >= self.values {
                for (count, check) in counts.iter_mut().zip(Check::ALL) {
                    if check == plausible {
                        *count += found;
                    }
                }
            }
        }
        Check::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}
