//! Who stands behind the cells of an answer, for the guard against differencing.
//!
//! The lower half gives each group its sets of persons. Those of the groups that were kept wait here, as
//! roaring bitmaps, under a number that travels with the group through the upper half; where a row comes out,
//! its cells' populations are known by it.

use std::collections::BTreeSet;

use datafusion::common::{DataFusionError, Result};
use kekkai_output::{
    Aggregate, Measure, POPULATION_BYTES_MAX, POPULATIONS_MAX, Population, Populations,
};
use kekkai_types::DatasetId;
use roaring::RoaringBitmap;

use crate::person::WrittenSet;

/// A bitmap in its portable format.
type Bitmap = Vec<u8>;

/// The sets of persons behind one aggregate of one group.
pub(crate) enum Behind {
    /// About nobody, or nothing that is shown.
    Nothing,
    /// All of the group's persons.
    Group,
    /// Sets of its own, each with the number of the person of a row that it is about: one for each, or one for
    /// each side of a quantile.
    Own(Vec<(usize, Bitmap)>),
}

/// What is known of one group that was kept.
struct Group {
    /// For each person of a row, the group's persons.
    persons: Vec<Bitmap>,
    cells: Vec<Behind>,
}

/// The sets of all groups that were kept, by their number.
pub(crate) struct Sets {
    /// For each person of a row, the dataset.
    datasets: Vec<DatasetId>,
    groups: Vec<Group>,
    /// Persons of all withheld groups together, where their number was told.
    withheld: Vec<Bitmap>,
    count: usize,
    bytes: usize,
}

/// What the upper half does with the groups.
pub(crate) struct Given<'a> {
    /// For each row that came out, its group's number.
    pub(crate) rows: &'a [u32],
    /// For each column, the aggregates that it is computed from.
    pub(crate) columns: &'a [BTreeSet<usize>],
    /// The aggregates that decided which rows come out, and in which order.
    pub(crate) deciding: &'a BTreeSet<usize>,
    /// True where groups have names: then a row says that its group is there.
    pub(crate) has_groups: bool,
}

/// Persons as a bitmap.
pub(crate) fn bitmap(persons: WrittenSet<'_>) -> Result<Bitmap> {
    if let Some(bits) = persons.table() {
        return serialized(&RoaringBitmap::from_lsb0_bytes(0, bits));
    }
    let mut numbers = Vec::with_capacity(persons.len());
    persons.each(|person, ()| numbers.push(person));
    bitmap_of(numbers)
}

/// Person numbers, in any order, as a bitmap.
pub(crate) fn bitmap_of(mut numbers: Vec<u32>) -> Result<Bitmap> {
    numbers.sort_unstable();
    numbers.dedup();
    let set = RoaringBitmap::from_sorted_iter(numbers)
        .map_err(|_| DataFusionError::Internal("numbers out of order".to_owned()))?;
    serialized(&set)
}

fn serialized(set: &RoaringBitmap) -> Result<Bitmap> {
    let mut bytes = Vec::with_capacity(set.serialized_size());
    set.serialize_into(&mut bytes)?;
    Ok(bytes)
}

impl Sets {
    pub(crate) fn new(datasets: Vec<DatasetId>) -> Self {
        Self {
            datasets,
            groups: Vec::new(),
            withheld: Vec::new(),
            count: 0,
            bytes: 0,
        }
    }

    /// Keeps a group's sets; gives its number.
    pub(crate) fn keep(&mut self, persons: Vec<Bitmap>, cells: Vec<Behind>) -> Result<u32> {
        self.admit(persons.iter());
        for cell in &cells {
            if let Behind::Own(sets) = cell {
                self.admit(sets.iter().map(|(_, set)| set));
            }
        }
        let number = u32::try_from(self.groups.len())
            .map_err(|_| DataFusionError::ResourcesExhausted("too many groups".to_owned()))?;
        self.groups.push(Group { persons, cells });
        Ok(number)
    }

    /// Keeps the persons of the withheld groups, whose number is told.
    pub(crate) fn keep_withheld(&mut self, persons: Vec<Bitmap>) {
        self.admit(persons.iter());
        self.withheld = persons;
    }

    fn admit<'b>(&mut self, sets: impl Iterator<Item = &'b Bitmap>) {
        for set in sets {
            self.count = self.count.saturating_add(1);
            self.bytes = self.bytes.saturating_add(set.len());
        }
    }

    /// Memory, in bytes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
            .saturating_add(self.groups.len().saturating_mul(size_of::<Group>()))
    }

    /// True when they are more than may be passed on.
    pub(crate) fn are_too_many(&self) -> bool {
        self.count > POPULATIONS_MAX || self.bytes > POPULATION_BYTES_MAX
    }

    /// The populations of the rows that came out; `None` where they are too many.
    pub(crate) fn populations(
        &self,
        given: &Given<'_>,
        measures: &[&Measure],
        stable: bool,
    ) -> Result<Option<Populations>> {
        let mut out = Out {
            datasets: &self.datasets,
            cells: Vec::new(),
            bytes: 0,
        };
        // What each group's own row tells of it: aggregates, and whether the group as a whole.
        let mut told = vec![(BTreeSet::new(), false); self.groups.len()];
        for (row, number) in (0_u32..).zip(given.rows) {
            let group = self.group(*number)?;
            let mut is_group_told = given.has_groups;
            let mut of_group = BTreeSet::new();
            for (column, depends) in (0_u32..).zip(given.columns) {
                let behind = depends.iter().map(|at| group.cells.get(*at));
                let Some(behind) = behind.collect::<Option<Vec<_>>>() else {
                    return Err(DataFusionError::Internal("a cell of nothing".to_owned()));
                };
                if behind
                    .iter()
                    .any(|behind| matches!(behind, Behind::Nothing))
                {
                    // Suppressed, since one of its aggregates is.
                    continue;
                }
                let mut own: Vec<(&(usize, Bitmap), BTreeSet<&Measure>)> = Vec::new();
                for (aggregate, behind) in depends.iter().zip(behind) {
                    let measure = measures.get(*aggregate).copied();
                    match behind {
                        Behind::Own(sets) => {
                            for set in sets {
                                match own.iter_mut().find(|(known, _)| *known == set) {
                                    Some((_, measured)) => measured.extend(measure),
                                    None => own.push((set, BTreeSet::from_iter(measure))),
                                }
                            }
                        }
                        Behind::Group => {
                            is_group_told = true;
                            of_group.extend(measure);
                        }
                        Behind::Nothing => {}
                    }
                }
                for ((person, set), measured) in own {
                    out.add(row, Some(column), *person, set, &measured);
                }
                if let Some((told, _)) = told.get_mut(*number as usize) {
                    told.extend(depends.iter().copied());
                }
            }
            if is_group_told {
                out.add_all(row, None, &group.persons, &of_group);
            }
            if let Some((_, told)) = told.get_mut(*number as usize) {
                *told |= is_group_told;
            }
            if out.is_too_large() {
                return Ok(None);
            }
        }
        let beside = u32::try_from(given.rows.len())
            .map_err(|_| DataFusionError::ResourcesExhausted("too many rows".to_owned()))?;
        for (group, (told, is_group_told)) in self.groups.iter().zip(&told) {
            let mut is_group_decided = false;
            let mut of_group = BTreeSet::new();
            for aggregate in given.deciding.difference(told) {
                let measure = measures.get(*aggregate).copied();
                match group.cells.get(*aggregate) {
                    Some(Behind::Own(sets)) => {
                        for (person, set) in sets {
                            let measured = BTreeSet::from_iter(measure);
                            out.add(beside, None, *person, set, &measured);
                        }
                    }
                    Some(Behind::Group) => {
                        is_group_decided = true;
                        of_group.extend(measure);
                    }
                    _ => {}
                }
            }
            if is_group_decided && !is_group_told {
                out.add_all(beside, None, &group.persons, &of_group);
            }
            if out.is_too_large() {
                return Ok(None);
            }
        }
        let withheld = withheld_groups();
        out.add_all(beside, None, &self.withheld, &BTreeSet::from([&withheld]));
        if out.is_too_large() {
            return Ok(None);
        }
        Ok(Some(Populations {
            stable,
            cells: out.cells,
        }))
    }

    fn group(&self, number: u32) -> Result<&Group> {
        self.groups
            .get(number as usize)
            .ok_or_else(|| DataFusionError::Internal("a row of no group".to_owned()))
    }
}

/// The number of withheld groups: it is compared with other such numbers only.
fn withheld_groups() -> Measure {
    Measure {
        kind: Aggregate::CountDistinct,
        columns: Some(vec!["withheld groups".to_owned()]),
        is_plain: true,
    }
}

struct Out<'s> {
    datasets: &'s [DatasetId],
    cells: Vec<Population>,
    bytes: usize,
}

impl Out<'_> {
    /// A set for each person of a row.
    fn add_all(
        &mut self,
        row: u32,
        column: Option<u32>,
        sets: &[Bitmap],
        measured: &BTreeSet<&Measure>,
    ) {
        for (person, set) in sets.iter().enumerate() {
            self.add(row, column, person, set, measured);
        }
    }

    fn add(
        &mut self,
        row: u32,
        column: Option<u32>,
        person: usize,
        set: &Bitmap,
        measured: &BTreeSet<&Measure>,
    ) {
        if let Some(dataset) = self.datasets.get(person) {
            self.bytes = self.bytes.saturating_add(set.len());
            self.cells.push(Population {
                row,
                column,
                dataset: dataset.clone(),
                persons: set.clone(),
                measures: measured.iter().copied().cloned().collect(),
            });
        }
    }

    fn is_too_large(&self) -> bool {
        self.cells.len() > POPULATIONS_MAX || self.bytes > POPULATION_BYTES_MAX
    }
}
