//! Between the halves: what has too few contributors, or one that is too large, is gone from here on.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, RecordBatch, RecordBatchOptions,
    UInt32Array, UInt64Builder,
};
use arrow::compute::SortColumn;
use arrow::compute::{
    cast, concat_batches, filter_record_batch, lexsort_to_indices, nullif, take_record_batch,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use kekkai_output::{Evidence, Suppression};

use crate::count::Counted;
use crate::evidence::Shares;
use crate::person::PersonSet;
use crate::population::{Behind, Sets, bitmap};

/// What a cell's evidence is while it travels through the upper half, packed in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Shown(Evidence),
    Suppressed(Suppression),
    /// Computed from rows about nobody.
    Public,
}

impl Verdict {
    /// Two bits of verdict, ten for each share, 32 for the contributors: person numbers are 32 bits.
    pub(crate) fn pack(self) -> u64 {
        match self {
            Self::Shown(evidence) => {
                evidence.contributors.min(u64::from(u32::MAX))
                    | u64::from(evidence.second_permille.min(1000)) << 32
                    | u64::from(evidence.largest_permille.min(1000)) << 42
            }
            Self::Suppressed(Suppression::Threshold) => 1 << 62,
            Self::Suppressed(Suppression::Dominance) => 2 << 62,
            Self::Public => 3 << 62,
        }
    }

    pub(crate) fn unpack(bits: u64) -> Self {
        match bits >> 62 {
            1 => Self::Suppressed(Suppression::Threshold),
            2 => Self::Suppressed(Suppression::Dominance),
            3 => Self::Public,
            _ => Self::Shown(Evidence {
                contributors: bits & u64::from(u32::MAX),
                largest_permille: ten_bits(bits >> 42),
                second_permille: ten_bits(bits >> 32),
            }),
        }
    }

    /// The verdict on a value that is computed from two.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Suppressed(Suppression::Threshold), _)
            | (_, Self::Suppressed(Suppression::Threshold)) => {
                Self::Suppressed(Suppression::Threshold)
            }
            (Self::Suppressed(why), _) | (_, Self::Suppressed(why)) => Self::Suppressed(why),
            (Self::Public, other) | (other, Self::Public) => other,
            (Self::Shown(a), Self::Shown(b)) => Self::Shown(Evidence {
                contributors: a.contributors.min(b.contributors),
                largest_permille: a.largest_permille.max(b.largest_permille),
                second_permille: a.second_permille.max(b.second_permille),
            }),
        }
    }
}

fn ten_bits(bits: u64) -> u32 {
    u32::try_from(bits & 0x3FF).unwrap_or(1000)
}

/// The bounds of the session's terms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) threshold: u64,
    pub(crate) dominance_permille: u32,
}

/// Takes the lower half's batches and keeps what may be seen.
pub(crate) struct Suppress<'c> {
    counted: &'c Counted,
    bounds: Bounds,
    schema: SchemaRef,
    kept: Vec<RecordBatch>,
    withheld: u64,
    /// For each person of a row, the persons of all withheld groups.
    withheld_persons: Vec<PersonSet>,
    sets: Sets,
}

/// What may be seen.
pub(crate) struct Kept {
    /// Groups and aggregates (`c0` …), then a packed verdict for each aggregate (`e0` …), then the number by
    /// which `sets` knows the row.
    pub(crate) batch: RecordBatch,
    pub(crate) groups_withheld: u64,
    pub(crate) sets: Sets,
}

/// The column with the number of a kept row.
pub(crate) const ROW_NUMBER: &str = "n";

fn bug(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}

impl<'c> Suppress<'c> {
    pub(crate) fn new(counted: &'c Counted, bounds: Bounds) -> Self {
        let mut fields: Vec<Field> = counted
            .schema
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| Field::new(format!("c{i}"), field.data_type().clone(), true))
            .collect();
        fields.extend(
            (0..counted.cells.len()).map(|i| Field::new(format!("e{i}"), DataType::UInt64, false)),
        );
        fields.push(Field::new(ROW_NUMBER, DataType::UInt32, false));
        Self {
            counted,
            bounds,
            schema: Arc::new(Schema::new(fields)),
            kept: Vec::new(),
            withheld: 0,
            withheld_persons: vec![PersonSet::default(); counted.group_persons.len()],
            sets: Sets::new(counted.datasets.clone()),
        }
    }

    /// Bytes that were kept so far.
    pub(crate) fn kept_bytes(&self) -> usize {
        let batches = self.kept.iter().map(RecordBatch::get_array_memory_size);
        batches.fold(self.sets.bytes(), usize::saturating_add)
    }

    /// True when more populations were kept than an answer may have.
    pub(crate) fn is_too_large(&self) -> bool {
        self.sets.are_too_many()
    }

    /// Takes a batch.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let visible = self.counted.schema.fields().len();
        let verdicts = self
            .counted
            .cells
            .iter()
            .map(|cell| {
                (0..rows)
                    .map(|row| self.judge(batch, cell, row))
                    .collect::<Result<Vec<_>>>()
            })
            .collect::<Result<Vec<_>>>()?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(visible + verdicts.len());
        for (i, field) in self.schema.fields().iter().take(visible).enumerate() {
            let column = batch
                .columns()
                .get(i)
                .ok_or_else(|| bug("a missing column"))?;
            let column = cast(column, field.data_type())?;
            columns.push(match i.checked_sub(self.counted.groups) {
                None => column,
                Some(cell) => {
                    let verdicts = verdicts.get(cell).ok_or_else(|| bug("a missing verdict"))?;
                    let gone: BooleanArray = verdicts
                        .iter()
                        .map(|verdict| Some(matches!(verdict, Verdict::Suppressed(_))))
                        .collect();
                    nullif(&column, &gone)?
                }
            });
        }
        for cell in &verdicts {
            let mut packed = UInt64Builder::with_capacity(rows);
            cell.iter()
                .for_each(|verdict| packed.append_value(verdict.pack()));
            columns.push(Arc::new(packed.finish()));
        }
        let shown = self.shown_groups(batch)?;
        columns.push(Arc::new(self.keep_sets(batch, &verdicts, &shown)?));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let all = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let kept = filter_record_batch(&all, &shown)?;
        if kept.num_rows() > 0 {
            self.kept.push(kept);
        }
        Ok(())
    }

    /// The contributors of a cell, and whether they are enough and none too large.
    fn judge(
        &self,
        batch: &RecordBatch,
        cell: &crate::count::CellPlan,
        row: usize,
    ) -> Result<Verdict> {
        if cell.persons.is_empty() {
            return Ok(Verdict::Public);
        }
        let mut contributors = u64::MAX;
        for column in &cell.persons {
            contributors = contributors.min(count_persons(batch, *column, row)?);
        }
        if contributors < self.bounds.threshold {
            return Ok(Verdict::Suppressed(Suppression::Threshold));
        }
        let (mut largest_permille, mut second_permille) = (0, 0);
        for column in &cell.magnitudes {
            let bytes = bytes(batch, *column, row)?;
            let shares =
                Shares::from_bytes(bytes).ok_or_else(|| bug("magnitudes of another shape"))?;
            let (largest, second) = shares.permille();
            largest_permille = largest.max(largest_permille);
            second_permille = second.max(second_permille);
        }
        if largest_permille > self.bounds.dominance_permille {
            return Ok(Verdict::Suppressed(Suppression::Dominance));
        }
        Ok(Verdict::Shown(Evidence {
            contributors,
            largest_permille,
            second_permille,
        }))
    }

    /// Which groups have enough contributors. A table without groups keeps its only row.
    fn shown_groups(&mut self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mut shown = BooleanBuilder::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let mut contributors = u64::MAX;
            for column in &self.counted.group_persons {
                contributors = contributors.min(count_persons(batch, *column, row)?);
            }
            let enough = contributors >= self.bounds.threshold || self.counted.groups == 0;
            shown.append_value(enough);
            if !enough {
                self.withheld += 1;
                for (all, column) in self
                    .withheld_persons
                    .iter_mut()
                    .zip(&self.counted.group_persons)
                {
                    all.union(&PersonSet::from_bytes(bytes(batch, *column, row)?));
                }
            }
        }
        Ok(shown.finish())
    }

    /// Keeps the persons of the shown groups and gives each row its number; 0 for those that aren't kept.
    fn keep_sets(
        &mut self,
        batch: &RecordBatch,
        verdicts: &[Vec<Verdict>],
        shown: &BooleanArray,
    ) -> Result<UInt32Array> {
        let set = |column: &usize, row| bitmap(numbers(bytes(batch, *column, row)?));
        let mut rows = Vec::with_capacity(batch.num_rows());
        for (row, is_shown) in shown.values().iter().enumerate() {
            if !is_shown || self.counted.datasets.is_empty() {
                rows.push(0);
                continue;
            }
            let of_group = &self.counted.group_persons;
            let mut behind = Vec::with_capacity(verdicts.len());
            for (cell, verdicts) in self.counted.cells.iter().zip(verdicts) {
                if !matches!(verdicts.get(row), Some(Verdict::Shown(_))) {
                    behind.push(Behind::Nothing);
                    continue;
                }
                // A cell's persons are among its group's: as many are the same.
                let mut is_group = true;
                for (own, group) in cell.persons.iter().zip(of_group) {
                    let as_many = count_persons(batch, *own, row)?;
                    is_group &= as_many == count_persons(batch, *group, row)?;
                }
                behind.push(if is_group {
                    Behind::Group
                } else {
                    let own = cell.persons.iter().map(|column| set(column, row));
                    Behind::Own(own.collect::<Result<_>>()?)
                });
            }
            let group = of_group.iter().map(|column| set(column, row));
            rows.push(self.sets.keep(group.collect::<Result<_>>()?, behind)?);
        }
        Ok(UInt32Array::from(rows))
    }

    /// All that was kept, in the order of the groups: no order of arrival shows.
    pub(crate) fn finish(self) -> Result<Kept> {
        let batch = concat_batches(&self.schema, &self.kept)?;
        let keys: Vec<SortColumn> = batch
            .columns()
            .iter()
            .take(self.counted.groups)
            .map(|values| SortColumn {
                values: Arc::clone(values),
                options: None,
            })
            .collect();
        let batch = if keys.is_empty() || batch.num_rows() < 2 {
            batch
        } else {
            take_record_batch(&batch, &lexsort_to_indices(&keys, None)?)?
        };
        // Whether one small group is there can be one person's secret: the number of withheld groups is a
        // statistic as well, and has contributors of its own.
        let contributors = self
            .withheld_persons
            .iter()
            .map(PersonSet::len)
            .min()
            .unwrap_or(0);
        let mut sets = self.sets;
        let groups_withheld = if contributors >= self.bounds.threshold {
            let withheld = self.withheld_persons.iter();
            let withheld = withheld.map(|set| bitmap(set.numbers()));
            sets.keep_withheld(withheld.collect::<Result<_>>()?);
            self.withheld
        } else {
            0
        };
        Ok(Kept {
            batch,
            groups_withheld,
            sets,
        })
    }
}

fn bytes(batch: &RecordBatch, column: usize, row: usize) -> Result<&[u8]> {
    let column = batch
        .columns()
        .get(column)
        .and_then(|column| column.as_binary_opt::<i32>())
        .ok_or_else(|| bug("evidence of another type"))?;
    if row < column.len() && column.is_valid(row) {
        Ok(column.value(row))
    } else {
        Err(bug("evidence is missing"))
    }
}

/// A set of persons as it is written: 4 bytes for each.
fn numbers(bytes: &[u8]) -> Vec<u32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|n| u32::from_le_bytes(*n)).collect()
}

/// Without reading it.
fn count_persons(batch: &RecordBatch, column: usize, row: usize) -> Result<u64> {
    Ok((bytes(batch, column, row)?.len() / 4) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_survives_packing() {
        for verdict in [
            Verdict::Public,
            Verdict::Suppressed(Suppression::Threshold),
            Verdict::Suppressed(Suppression::Dominance),
            Verdict::Shown(Evidence {
                contributors: 2_694,
                largest_permille: 1000,
                second_permille: 7,
            }),
        ] {
            assert_eq!(Verdict::unpack(verdict.pack()), verdict);
        }
    }

    #[test]
    fn a_value_computed_from_a_suppressed_one_is_suppressed() {
        let shown = Verdict::Shown(Evidence {
            contributors: 50,
            largest_permille: 30,
            second_permille: 20,
        });
        let gone = Verdict::Suppressed(Suppression::Dominance);
        assert_eq!(shown.and(gone), gone);
        assert_eq!(gone.and(shown), gone);
        assert_eq!(shown.and(Verdict::Public), shown);
    }
}
