//! The checks of one column, over all its batches.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use kekkai_dataset::{Check, Column};
use kekkai_types::ColumnRole;

use super::digits::{decimal, is_card, is_insurer, is_my_number};
use super::{Hits, Memory, plain, shapes};

/// Verdicts on texts that are kept for when they come again: codes and names of diseases do.
const VERDICTS_MAX: usize = 8192;
/// The longest text whose verdict is kept, in bytes.
const VERDICT_BYTES_MAX: usize = 128;
/// Numbers with fewer digits are short.
const LONG_DIGITS_MIN: usize = 10;

/// What one value shows.
#[derive(Clone, Copy)]
struct Verdict {
    hits: Hits,
    /// A number so short that chance makes it look like an identifier now and then: codes of diseases
    /// have seven digits, those of drugs nine, and so have numbers of insured persons.
    is_short: bool,
}

/// Collects hits in one column.
pub(crate) struct ColumnChecks<'m> {
    memory: &'m Memory,
    is_free_text: bool,
    verdicts: HashMap<Box<str>, Verdict>,
    counts: [u64; Check::ALL.len()],
    /// Hits that only count when they fill half of the column.
    plausible: [u64; Check::ALL.len()],
    values: u64,
}

impl<'m> ColumnChecks<'m> {
    pub(crate) fn new(column: &Column, memory: &'m Memory) -> Self {
        Self {
            memory,
            is_free_text: column.role == ColumnRole::FreeText,
            verdicts: HashMap::new(),
            counts: [0; Check::ALL.len()],
            plausible: [0; Check::ALL.len()],
            values: 0,
        }
    }

    /// Looks at what would be written.
    pub(crate) fn look(&mut self, cells: &ArrayRef) {
        match cells.data_type() {
            DataType::Utf8 => {
                for cell in cells.as_string::<i32>().iter().flatten() {
                    self.values += 1;
                    let verdict = self.text(cell);
                    self.count(verdict);
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

    fn text(&mut self, cell: &str) -> Verdict {
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
        let number = plain(cell.trim());
        let is_short = !self.is_free_text
            && number.len() < LONG_DIGITS_MIN
            && number.bytes().all(|byte| byte.is_ascii_digit());
        let verdict = Verdict { hits, is_short };
        if cell.len() <= VERDICT_BYTES_MAX && self.verdicts.len() < VERDICTS_MAX {
            self.verdicts.insert(cell.into(), verdict);
        }
        verdict
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
            8 if is_insurer(digits) => hits.add(Check::Insurance),
            // 01 to 07, their zero lost.
            7 => {
                let mut full = [0; 8];
                full.iter_mut()
                    .skip(1)
                    .zip(digits)
                    .for_each(|(to, from)| *to = *from);
                if is_insurer(&full) {
                    hits.add(Check::Insurance);
                }
            }
            _ => {}
        }
        if self.memory.has_integer(digits) {
            hits.add(Check::DroppedValue);
        }
        self.count(Verdict {
            hits,
            is_short: digits.len() < LONG_DIGITS_MIN,
        });
        // A mobile telephone that lost its zero; any amount could be one.
        if matches!(digits, [7..=9, 0, ..] if digits.len() == 10) {
            let mut hits = Hits::NONE;
            hits.add(Check::Phone);
            self.count(Verdict {
                hits,
                is_short: true,
            });
        }
    }

    fn count(&mut self, verdict: Verdict) {
        if verdict.hits == Hits::NONE {
            return;
        }
        let counts = if verdict.is_short {
            &mut self.plausible
        } else {
            &mut self.counts
        };
        for (count, check) in counts.iter_mut().zip(Check::ALL) {
            *count += u64::from(verdict.hits.has(check));
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
        for (count, plausible) in counts.iter_mut().zip(self.plausible) {
            if plausible > 0 && plausible.saturating_mul(2) >= self.values {
                *count += plausible;
            }
        }
        Check::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use kekkai_dataset::Manifest;

    use super::*;

    /// A column of the sample's manifest.
    fn column(name: &str) -> Column {
        let manifest = Manifest::parse(crate::sample::MANIFEST).unwrap();
        let columns = manifest.tables.into_iter().flat_map(|table| table.columns);
        columns
            .into_iter()
            .find(|column| column.name == name)
            .unwrap()
    }

    fn found(memory: &Memory, cells: impl arrow::array::Array + 'static) -> Vec<(Check, u64)> {
        let mut checks = ColumnChecks::new(&column("icd10"), memory);
        checks.look(&(Arc::new(cells) as ArrayRef));
        checks.finish()
    }

    #[test]
    fn short_codes_that_chance_makes_a_dropped_number_pass_and_a_column_of_them_does_not() {
        let mut memory = Memory::new();
        for number in 0..1_000 {
            memory.add(&format!("{:07}", 2_500_000 + number * 97));
        }
        // Codes of diseases have seven digits too; one in a hundred is somebody's number.
        let codes = (0..1_000).map(|number| format!("{:07}", 2_500_000 + number));
        assert_eq!(found(&memory, StringArray::from_iter_values(codes)), []);
        let integers = (0..1_000).map(|number| 2_500_000 + number);
        assert_eq!(found(&memory, Int64Array::from_iter_values(integers)), []);
        // A column of those numbers themselves.
        let numbers = (0..1_000).map(|number| format!("{:07}", 2_500_000 + number * 97));
        let expected = [(Check::DroppedValue, 1_000)];
        assert_eq!(
            found(&memory, StringArray::from_iter_values(numbers)),
            expected
        );
        let integers = (0..1_000).map(|number| 2_500_000 + number * 97);
        assert_eq!(
            found(&memory, Int64Array::from_iter_values(integers)),
            expected
        );
    }

    #[test]
    fn long_numbers_count_each() {
        let mut memory = Memory::new();
        memory.add("0120345678901");
        let cells = (0..100).map(|n| if n == 0 { 120_345_678_901 } else { n });
        let expected = [(Check::DroppedValue, 1)];
        assert_eq!(
            found(&memory, Int64Array::from_iter_values(cells)),
            expected
        );
    }
}
