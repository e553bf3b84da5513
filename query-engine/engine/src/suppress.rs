//! Between the halves: what has too few contributors, or one that is too large, is gone from here on.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow::compute::SortColumn;
use arrow::compute::{
    cast, concat_batches, filter_record_batch, lexsort_to_indices, nullif, take_record_batch,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use kekkai_output::{Evidence, Suppression};

use crate::count::{CellPlan, Counted, Gathered};
use crate::evidence::{Shares, sides_from_bytes};
use crate::person::{PersonSet, WrittenSet};
use crate::population::{Behind, Sets, bitmap};

/// What becomes of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Shown(Evidence),
    Suppressed(Suppression),
    /// Computed from rows about nobody.
    Public,
}

impl Verdict {
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
                zeros: a.zeros.max(b.zeros),
                missing: a.missing.max(b.missing),
            }),
        }
    }
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
    verdicts: Vec<Vec<Verdict>>,
}

/// What may be seen.
pub(crate) struct Kept {
    /// Groups and aggregates (`c0` …), then the number by which `verdicts` and `sets` know the row.
    pub(crate) batch: RecordBatch,
    /// For each row number, the verdict on each aggregate.
    pub(crate) verdicts: Vec<Vec<Verdict>>,
    pub(crate) groups_withheld: u64,
    pub(crate) sets: Sets,
}

/// The column with the number of a kept row: it travels through the upper half.
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
        fields.push(Field::new(ROW_NUMBER, DataType::UInt32, false));
        Self {
            counted,
            bounds,
            schema: Arc::new(Schema::new(fields)),
            kept: Vec::new(),
            withheld: 0,
            withheld_persons: vec![PersonSet::default(); counted.group_persons.len()],
            sets: Sets::new(counted.datasets.clone()),
            verdicts: Vec::new(),
        }
    }

    /// Bytes that were kept so far.
    pub(crate) fn kept_bytes(&self) -> usize {
        let batches = self.kept.iter().map(RecordBatch::get_array_memory_size);
        let verdicts = self.verdicts.len() * self.counted.cells.len() * size_of::<Verdict>();
        batches.fold(self.sets.bytes() + verdicts, usize::saturating_add)
    }

    /// True when more populations were kept than an answer may have.
    pub(crate) fn is_too_large(&self) -> bool {
        self.sets.are_too_many()
    }

    /// Takes a batch.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let visible = self.counted.schema.fields().len();
        let groups = (0..rows)
            .map(|row| self.judge_group(batch, row))
            .collect::<Result<Vec<_>>>()?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(visible + 1);
        for (i, field) in self.schema.fields().iter().take(visible).enumerate() {
            let column = batch
                .columns()
                .get(i)
                .ok_or_else(|| bug("a missing column"))?;
            let column = cast(column, field.data_type())?;
            columns.push(match i.checked_sub(self.counted.groups) {
                None => column,
                Some(cell) => {
                    let gone: BooleanArray = groups
                        .iter()
                        .map(|group| {
                            matches!(group.cells.get(cell), Some((Verdict::Suppressed(_), _)))
                        })
                        .map(Some)
                        .collect();
                    nullif(&column, &gone)?
                }
            });
        }
        let shown = self.shown_groups(&groups);
        columns.push(Arc::new(self.keep_groups(groups)?));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let all = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let kept = filter_record_batch(&all, &shown)?;
        if kept.num_rows() > 0 {
            self.kept.push(kept);
        }
        Ok(())
    }

    /// A group's persons, and the verdict on each of its cells.
    fn judge_group<'b>(&self, batch: &'b RecordBatch, row: usize) -> Result<Group<'b>> {
        let gathered = &self.counted.group_persons;
        let persons = gathered
            .iter()
            .map(|gathered| Ok(read(batch, gathered, row)?.persons))
            .collect::<Result<Vec<_>>>()?;
        let fewest = persons.iter().map(|set| count(*set)).min();
        let is_enough = fewest.is_none_or(|fewest| fewest >= self.bounds.threshold);
        let cells = self.counted.cells.iter();
        let cells = cells.map(|cell| self.judge(batch, cell, row, &persons));
        Ok(Group {
            cells: cells.collect::<Result<_>>()?,
            // A table without groups keeps its only row.
            is_kept: is_enough || self.counted.groups == 0,
            persons,
        })
    }

    /// The contributors of a cell, and whether they are enough and none too large.
    fn judge<'b>(
        &self,
        batch: &'b RecordBatch,
        cell: &CellPlan,
        row: usize,
        group: &[WrittenSet<'_>],
    ) -> Result<(Verdict, Vec<Read<'b>>)> {
        let read = cell
            .persons
            .iter()
            .map(|gathered| read(batch, gathered, row));
        let read = read.collect::<Result<Vec<_>>>()?;
        if read.is_empty() {
            return Ok((Verdict::Public, read));
        }
        let contributors = read.iter().map(Read::contributors).min().unwrap_or(0);
        if contributors < self.bounds.threshold {
            return Ok((Verdict::Suppressed(Suppression::Threshold), read));
        }
        let mut evidence = Evidence {
            contributors,
            largest_permille: 0,
            second_permille: 0,
            zeros: 0,
            missing: 0,
        };
        for (read, group) in read.iter().zip(group) {
            for shares in &read.shares {
                let (largest, second) = shares.permille();
                evidence.largest_permille = largest.max(evidence.largest_permille);
                evidence.second_permille = second.max(evidence.second_permille);
                evidence.zeros = shares.zeros.max(evidence.zeros);
            }
            let missing = count(*group).saturating_sub(read.with_values());
            evidence.missing = missing.max(evidence.missing);
        }
        if evidence.largest_permille > self.bounds.dominance_permille {
            return Ok((Verdict::Suppressed(Suppression::Dominance), read));
        }
        Ok((Verdict::Shown(evidence), read))
    }

    /// Which groups have enough contributors; counts the others.
    fn shown_groups(&mut self, groups: &[Group<'_>]) -> BooleanArray {
        for group in groups.iter().filter(|group| !group.is_kept) {
            self.withheld += 1;
            for (all, persons) in self.withheld_persons.iter_mut().zip(&group.persons) {
                persons.each(|person, ()| {
                    all.add(person, ());
                });
            }
        }
        groups.iter().map(|group| Some(group.is_kept)).collect()
    }

    /// Keeps the verdicts and persons of the shown groups and gives each row its number; 0 for the others.
    fn keep_groups(&mut self, groups: Vec<Group<'_>>) -> Result<UInt32Array> {
        let mut rows = Vec::with_capacity(groups.len());
        for group in groups {
            if !group.is_kept {
                rows.push(0);
                continue;
            }
            let (mut verdicts, mut behind) = (Vec::new(), Vec::new());
            for (verdict, read) in &group.cells {
                verdicts.push(*verdict);
                behind.push(match verdict {
                    Verdict::Shown(_) => behind_cell(read, &group.persons)?,
                    Verdict::Suppressed(_) | Verdict::Public => Behind::Nothing,
                });
            }
            let persons = group.persons.iter().map(|set| bitmap(*set));
            rows.push(self.sets.keep(persons.collect::<Result<_>>()?, behind)?);
            self.verdicts.push(verdicts);
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
        let groups_withheld = if contributors as u64 >= self.bounds.threshold {
            let withheld = self.withheld_persons.iter().map(|set| {
                let mut written = Vec::new();
                set.write(&mut written);
                WrittenSet::read(&written).map_or_else(|| Err(bug("a set of nobody")), bitmap)
            });
            sets.keep_withheld(withheld.collect::<Result<_>>()?);
            self.withheld
        } else {
            0
        };
        Ok(Kept {
            batch,
            verdicts: self.verdicts,
            groups_withheld,
            sets,
        })
    }
}

/// A group as the lower half gave it.
struct Group<'b> {
    /// For each person of a row, the group's persons.
    persons: Vec<WrittenSet<'b>>,
    cells: Vec<(Verdict, Vec<Read<'b>>)>,
    is_kept: bool,
}

/// Evidence of one cell about one person of the rows.
struct Read<'b> {
    /// All contributors, or those up to a quantile.
    persons: WrittenSet<'b>,
    /// Those from a quantile on.
    above: Option<WrittenSet<'b>>,
    shares: Vec<Shares>,
}

impl Read<'_> {
    /// A quantile shows single values: as many persons as its smaller side has stand around it.
    fn contributors(&self) -> u64 {
        let above = self.above.map_or(u64::MAX, count);
        count(self.persons).min(above)
    }

    /// Persons who have a value.
    fn with_values(&self) -> u64 {
        match self.above {
            None => count(self.persons),
            Some(above) => {
                let mut all = PersonSet::default();
                for side in [self.persons, above] {
                    side.each(|person, ()| {
                        all.add(person, ());
                    });
                }
                all.len() as u64
            }
        }
    }
}

/// The persons behind a shown cell: its group's, where they are all of them.
fn behind_cell(read: &[Read<'_>], group: &[WrittenSet<'_>]) -> Result<Behind> {
    // A cell's persons are among its group's: as many are the same.
    let is_group = read
        .iter()
        .zip(group)
        .all(|(read, group)| read.above.is_none() && read.persons.len() == group.len());
    if is_group {
        return Ok(Behind::Group);
    }
    let mut own = Vec::new();
    for (person, read) in read.iter().enumerate() {
        for set in std::iter::once(read.persons).chain(read.above) {
            own.push((person, bitmap(set)?));
        }
    }
    Ok(Behind::Own(own))
}

fn read<'b>(batch: &'b RecordBatch, gathered: &Gathered, row: usize) -> Result<Read<'b>> {
    let other = || bug("evidence of another shape");
    Ok(match gathered {
        Gathered::Persons(column) => Read {
            persons: WrittenSet::read(bytes(batch, *column, row)?).ok_or_else(other)?,
            above: None,
            shares: Vec::new(),
        },
        Gathered::Magnitudes(columns) => {
            let mut persons = None;
            let mut all = Vec::with_capacity(columns.len());
            for column in columns {
                let (shares, of_column) =
                    Shares::from_bytes(bytes(batch, *column, row)?).ok_or_else(other)?;
                all.push(shares);
                persons = Some(of_column);
            }
            Read {
                persons: persons.ok_or_else(other)?,
                above: None,
                shares: all,
            }
        }
        Gathered::Sides(column) => {
            let (below, above) = sides_from_bytes(bytes(batch, *column, row)?).ok_or_else(other)?;
            Read {
                persons: below,
                above: Some(above),
                shares: Vec::new(),
            }
        }
    })
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

fn count(set: WrittenSet<'_>) -> u64 {
    set.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_computed_from_a_suppressed_one_is_suppressed() {
        let shown = Verdict::Shown(Evidence {
            contributors: 50,
            largest_permille: 30,
            second_permille: 20,
            zeros: 0,
            missing: 3,
        });
        let gone = Verdict::Suppressed(Suppression::Dominance);
        assert_eq!(shown.and(gone), gone);
        assert_eq!(gone.and(shown), gone);
        assert_eq!(shown.and(Verdict::Public), shown);
    }
}
