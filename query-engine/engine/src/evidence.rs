//! The aggregates that count contributors, beside the researcher's own.
//!
//! [`persons`] gathers the distinct persons of a group as a set; [`tallies`] counts each person's rows and
//! [`magnitudes`] adds up what each person brings to a total, and both tell the two largest; [`sides`] tells
//! who is on each side of a quantile; [`distinct_persons`] is what a researcher's `count(DISTINCT person_id)` becomes.
//! All are exact, also when a group is put together from several partitions: their states carry every person.
//! [`in_order`] gives those that take less where persons come in their order, and fail where they don't.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int64Array, UInt32Array,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use crate::ascending::Ascending;
use crate::by_person::{ByPerson, Counts, Sizes, Table, difference};
use crate::in_order::{InOrder, OutOfOrder};
use crate::person::{PERSON_TYPE, PersonSet, WrittenSet};

fn udaf<G: Gather>() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Evidence::<G>::new()))
}

/// `kekkai_persons(person)`: the set of distinct persons, as bytes.
pub(crate) fn persons() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> = LazyLock::new(udaf::<Persons<PersonSet>>);
    Arc::clone(&UDAF)
}

/// `kekkai_distinct_persons(person)`: how many distinct persons there are.
pub(crate) fn distinct_persons() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> = LazyLock::new(udaf::<Distinct<PersonSet>>);
    Arc::clone(&UDAF)
}

/// `kekkai_tallies(person)`: what `kekkai_magnitudes(person, 1)` would be, at less cost.
pub(crate) fn tallies() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> = LazyLock::new(udaf::<Tallies<ByPerson<Counts>>>);
    Arc::clone(&UDAF)
}

/// `kekkai_magnitudes(person, value)`: of the persons' sums of `|value|` the total, the two largest, and how
/// many are zero; then the persons.
pub(crate) fn magnitudes() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> = LazyLock::new(udaf::<Magnitudes<ByPerson<Sizes>>>);
    Arc::clone(&UDAF)
}

/// What does the same where persons come in their order, if there is something.
pub(crate) fn in_order(function: &AggregateUDF) -> Option<Arc<AggregateUDF>> {
    static PAIRS: LazyLock<[(Arc<AggregateUDF>, Arc<AggregateUDF>); 4]> = LazyLock::new(|| {
        [
            (persons(), udaf::<Persons<Ascending>>()),
            (distinct_persons(), udaf::<Distinct<Ascending>>()),
            (tallies(), udaf::<Tallies<InOrder<Counts>>>()),
            (magnitudes(), udaf::<Magnitudes<InOrder<Sizes>>>()),
        ]
    });
    let pair = PAIRS.iter().find(|(any, _)| any.as_ref() == function);
    pair.map(|(_, in_order)| Arc::clone(in_order))
}

/// `kekkai_sides(person, value, point)`: the persons with values up to a quantile, and those from it on.
pub(crate) fn sides() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(Evidence::<Values>::new())));
    Arc::clone(&UDAF)
}

/// Those that may run on several servers: quantiles, and with them [`sides`], stay on one.
pub(crate) fn spread() -> [Arc<AggregateUDF>; 4] {
    [persons(), tallies(), magnitudes(), distinct_persons()]
}

/// True for the names of this module's aggregates.
pub(crate) fn is_evidence(name: &str) -> bool {
    [
        Persons::<PersonSet>::NAME,
        Tallies::<ByPerson<Counts>>::NAME,
        Magnitudes::<ByPerson<Sizes>>::NAME,
        Values::NAME,
    ]
    .contains(&name)
}

/// What is gathered of one group.
trait Gather: Default + Send + Sync + std::fmt::Debug + 'static {
    const NAME: &'static str;
    /// Types of the arguments.
    fn arguments() -> Vec<DataType>;
    /// Adds the rows; returns the bytes by which memory grew, about.
    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<isize>;
    /// Adds a state; returns the bytes by which memory grew, about.
    fn merge(&mut self, state: &[u8]) -> Result<isize>;
    /// Its memory, about: the sum of what [`Gather::add`] and [`Gather::merge`] returned.
    fn bytes(&self) -> usize;
    /// Writes the state.
    fn state(&self, to: &mut Vec<u8>);
    /// The type of the result.
    const RESULT: DataType = DataType::Binary;
    /// The result of each group.
    fn results<'a>(groups: impl Iterator<Item = &'a Self>) -> ArrayRef {
        binary(groups, Self::result)
    }
    /// Writes the result.
    fn result(&self, to: &mut Vec<u8>);
}

/// What holds each person's part in one group.
pub(crate) trait Held: Default + Send + Sync + std::fmt::Debug + 'static {
    type Table: Brought;
    /// The names of the aggregates that use it.
    const TALLIES: &'static str;
    const MAGNITUDES: &'static str;
    /// Adds to what a person brings; returns the bytes by which memory grew. `None` where it can't.
    fn add(&mut self, person: u32, amount: <Self::Table as Table>::Amount) -> Option<isize>;
    /// Adds a state; returns the bytes by which memory grew.
    fn merge(&mut self, state: &[u8]) -> Result<isize>;
    fn bytes(&self) -> usize;
    fn state(&self, to: &mut Vec<u8>);
    /// Writes who brings most, and all who bring anything.
    fn result(&self, to: &mut Vec<u8>);
}

/// Amounts that have a size.
pub(crate) trait Brought: Table {
    fn size(amount: Self::Amount) -> f64;
}

impl Brought for Counts {
    #[allow(
        clippy::cast_precision_loss,
        reason = "shares are in permille: they need no more than a float has"
    )]
    fn size(rows: u64) -> f64 {
        rows as f64
    }
}

impl Brought for Sizes {
    fn size(amount: f64) -> f64 {
        amount
    }
}

impl<T: Brought> Held for ByPerson<T> {
    type Table = T;

    const TALLIES: &'static str = "kekkai_tallies";
    const MAGNITUDES: &'static str = "kekkai_magnitudes";

    #[inline]
    fn add(&mut self, person: u32, amount: T::Amount) -> Option<isize> {
        Some(self.add(person, amount))
    }

    fn merge(&mut self, state: &[u8]) -> Result<isize> {
        self.add_written(state).ok_or_else(other_shape)
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn state(&self, to: &mut Vec<u8>) {
        self.write(to);
    }

    fn result(&self, to: &mut Vec<u8>) {
        let (mut shares, mut persons) = (Shares::default(), PersonSet::default());
        self.each(|person, amount| {
            shares.add(T::size(amount));
            persons.add(person, ());
        });
        shares.write(to);
        persons.write(to);
    }
}

/// Rows and their groups.
struct Rows<'a> {
    groups: Option<&'a [usize]>,
    filter: Option<&'a BooleanArray>,
}

impl Rows<'_> {
    /// Calls `f` with each row that passes and is about somebody, its group and its person.
    #[inline]
    fn each(&self, persons: &UInt32Array, mut f: impl FnMut(usize, usize, u32)) {
        if self.filter.is_none() && persons.null_count() == 0 {
            let persons = persons.values().iter().enumerate();
            match self.groups {
                None => persons.for_each(|(row, person)| f(row, 0, *person)),
                Some(groups) => persons
                    .zip(groups)
                    .for_each(|((row, person), group)| f(row, *group, *person)),
            }
            return;
        }
        for (row, person) in persons.iter().enumerate() {
            let passes = |filter: &BooleanArray| filter.is_valid(row) && filter.value(row);
            if let Some(person) = person
                && self.filter.is_none_or(passes)
            {
                let group = self.groups.and_then(|groups| groups.get(row).copied());
                f(row, group.unwrap_or(0), person);
            }
        }
    }
}

fn argument(values: &[ArrayRef], index: usize) -> Result<&ArrayRef> {
    values
        .get(index)
        .ok_or_else(|| DataFusionError::Internal("evidence without its argument".to_owned()))
}

pub(crate) fn other_shape() -> DataFusionError {
    DataFusionError::Internal("evidence of another shape".to_owned())
}

/// A set of one group's persons.
pub(crate) trait HeldSet: Default + Send + Sync + std::fmt::Debug + 'static {
    /// The names of the aggregates that use it.
    const PERSONS: &'static str;
    const DISTINCT: &'static str;
    fn len(&self) -> usize;
    /// Adds somebody; returns the bytes by which memory grew. `None` where it can't.
    fn add(&mut self, person: u32) -> Option<isize>;
    /// Adds a state; returns the bytes by which memory grew.
    fn merge(&mut self, state: &[u8]) -> Result<isize>;
    fn bytes(&self) -> usize;
    fn state(&self, to: &mut Vec<u8>);
    /// Writes them as a [`PersonSet`] is written.
    fn result(&self, to: &mut Vec<u8>);
}

impl HeldSet for PersonSet {
    const PERSONS: &'static str = "kekkai_persons";
    const DISTINCT: &'static str = "kekkai_distinct_persons";

    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn add(&mut self, person: u32) -> Option<isize> {
        Some(self.add(person, ()))
    }

    fn merge(&mut self, state: &[u8]) -> Result<isize> {
        self.add_written(state).ok_or_else(other_shape)
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn state(&self, to: &mut Vec<u8>) {
        self.write(to);
    }

    fn result(&self, to: &mut Vec<u8>) {
        self.write(to);
    }
}

impl HeldSet for Ascending {
    const PERSONS: &'static str = "kekkai_persons_in_order";
    const DISTINCT: &'static str = "kekkai_distinct_persons_in_order";

    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn add(&mut self, person: u32) -> Option<isize> {
        self.add(person)
    }

    fn merge(&mut self, state: &[u8]) -> Result<isize> {
        let before = self.bytes();
        self.add_all(Self::read(state).ok_or_else(other_shape)?);
        Ok(difference(self.bytes(), before))
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn state(&self, to: &mut Vec<u8>) {
        self.write(to);
    }

    fn result(&self, to: &mut Vec<u8>) {
        self.write_set(&[], to);
    }
}

/// Distinct persons.
#[derive(Debug, Default)]
struct Persons<S>(S);

impl<S: HeldSet> Gather for Persons<S> {
    const NAME: &'static str = S::PERSONS;

    fn arguments() -> Vec<DataType> {
        vec![PERSON_TYPE]
    }

    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<isize> {
        let mut grown = Some(0);
        rows.each(argument(values, 0)?.as_primitive(), |_, group, person| {
            if let Some(group) = groups.get_mut(group) {
                grown = both(grown, group.0.add(person));
            }
        });
        Ok(grown.ok_or(OutOfOrder)?)
    }

    fn merge(&mut self, state: &[u8]) -> Result<isize> {
        self.0.merge(state)
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn state(&self, to: &mut Vec<u8>) {
        self.0.state(to);
    }

    fn result(&self, to: &mut Vec<u8>) {
        self.0.result(to);
    }
}

/// How many distinct persons.
#[derive(Debug, Default)]
struct Distinct<S>(Persons<S>);

impl<S: HeldSet> Gather for Distinct<S> {
    const NAME: &'static str = S::DISTINCT;

    const RESULT: DataType = DataType::Int64;

    fn arguments() -> Vec<DataType> {
        Persons::<S>::arguments()
    }

    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<isize> {
        let mut grown = Some(0);
        rows.each(argument(values, 0)?.as_primitive(), |_, group, person| {
            if let Some(group) = groups.get_mut(group) {
                grown = both(grown, group.0.0.add(person));
            }
        });
        Ok(grown.ok_or(OutOfOrder)?)
    }

    fn merge(&mut self, state: &[u8]) -> Result<isize> {
        self.0.merge(state)
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn state(&self, to: &mut Vec<u8>) {
        self.0.state(to);
    }

    fn results<'a>(groups: impl Iterator<Item = &'a Self>) -> ArrayRef {
        let counts = groups.map(|group| i64::try_from(group.0.0.len()).unwrap_or(i64::MAX));
        Arc::new(Int64Array::from_iter_values(counts))
    }

    fn result(&self, to: &mut Vec<u8>) {
        self.0.result(to);
    }
}

/// How many rows each person has.
#[derive(Debug, Default)]
struct Tallies<H>(H);

impl<H: Held<Table = Counts>> Gather for Tallies<H> {
    const NAME: &'static str = H::TALLIES;

    fn arguments() -> Vec<DataType> {
        vec![PERSON_TYPE]
    }

    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<isize> {
        let mut grown = Some(0);
        rows.each(argument(values, 0)?.as_primitive(), |_, group, person| {
            if let Some(group) = groups.get_mut(group) {
                grown = both(grown, group.0.add(person, 1));
            }
        });
        Ok(grown.ok_or(OutOfOrder)?)
    }

    fn merge(&mut self, state: &[u8]) -> Result<isize> {
        self.0.merge(state)
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn state(&self, to: &mut Vec<u8>) {
        self.0.state(to);
    }

    fn result(&self, to: &mut Vec<u8>) {
        self.0.result(to);
    }
}

fn both(one: Option<isize>, other: Option<isize>) -> Option<isize> {
    Some(one? + other?)
}

/// What each person brings.
#[derive(Debug, Default)]
struct Magnitudes<H>(H);

impl<H: Held<Table = Sizes>> Gather for Magnitudes<H> {
    const NAME: &'static str = H::MAGNITUDES;

    fn arguments() -> Vec<DataType> {
        vec![PERSON_TYPE, DataType::Float64]
    }

    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<isize> {
        let amounts = argument(values, 1)?.as_primitive::<Float64Type>();
        let mut grown = Some(0);
        rows.each(argument(values, 0)?.as_primitive(), |row, group, person| {
            if amounts.is_valid(row)
                && let Some(amount) = amounts.values().get(row)
                && let Some(group) = groups.get_mut(group)
            {
                grown = both(grown, group.0.add(person, amount.abs()));
            }
        });
        Ok(grown.ok_or(OutOfOrder)?)
    }

    fn merge(&mut self, state: &[u8]) -> Result<isize> {
        self.0.merge(state)
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn state(&self, to: &mut Vec<u8>) {
        self.0.state(to);
    }

    fn result(&self, to: &mut Vec<u8>) {
        self.0.result(to);
    }
}

/// Values around a point, and whose they are: for quantiles.
#[derive(Debug, Default)]
struct Values {
    /// Where the point is, from 0 to 1; the same for all rows.
    at: f64,
    values: Vec<(f64, u32)>,
}

impl Gather for Values {
    const NAME: &'static str = "kekkai_sides";

    fn arguments() -> Vec<DataType> {
        vec![PERSON_TYPE, DataType::Float64, DataType::Float64]
    }

    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<isize> {
        let amounts = argument(values, 1)?.as_primitive::<Float64Type>();
        let points = argument(values, 2)?.as_primitive::<Float64Type>();
        let mut added = 0;
        rows.each(argument(values, 0)?.as_primitive(), |row, group, person| {
            if amounts.is_valid(row)
                && points.is_valid(row)
                && let (Some(amount), Some(point)) =
                    (amounts.values().get(row), points.values().get(row))
                && let Some(group) = groups.get_mut(group)
            {
                group.at = *point;
                group.values.push((*amount, person));
                added += 1;
            }
        });
        Ok(Self::bytes_of(added))
    }

    fn merge(&mut self, state: &[u8]) -> Result<isize> {
        // Of a group in which nobody had a value.
        if state.is_empty() {
            return Ok(0);
        }
        let (at, entries) = state.split_first_chunk::<8>().ok_or_else(other_shape)?;
        let (entries, []) = entries.as_chunks::<12>() else {
            return Err(other_shape());
        };
        self.at = f64::from_le_bytes(*at);
        self.values.extend(entries.iter().map(|entry| {
            let [a, b, c, d, amount @ ..] = *entry;
            (f64::from_le_bytes(amount), u32::from_le_bytes([a, b, c, d]))
        }));
        Ok(Self::bytes_of(entries.len()))
    }

    fn bytes(&self) -> usize {
        self.values.len().saturating_mul(size_of::<(f64, u32)>())
    }

    fn state(&self, to: &mut Vec<u8>) {
        if self.values.is_empty() {
            return;
        }
        to.reserve(8 + self.values.len() * 12);
        to.extend_from_slice(&self.at.to_le_bytes());
        for (amount, person) in &self.values {
            to.extend_from_slice(&person.to_le_bytes());
            to.extend_from_slice(&amount.to_le_bytes());
        }
    }

    /// The persons below, after how many bytes they take; then the persons above.
    fn result(&self, to: &mut Vec<u8>) {
        let (below, above) = self.sides();
        let mut written = Vec::new();
        below.write(&mut written);
        to.extend_from_slice(&(written.len() as u64).to_le_bytes());
        to.append(&mut written);
        above.write(to);
    }
}

impl Values {
    fn bytes_of(values: usize) -> isize {
        isize::try_from(values.saturating_mul(size_of::<(f64, u32)>())).unwrap_or(isize::MAX)
    }

    /// Persons with a value at or below the point, and those with one at or above it. The point lies on a
    /// value, or between two.
    fn sides(&self) -> (PersonSet, PersonSet) {
        let mut sorted: Vec<f64> = self.values.iter().map(|(value, _)| *value).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let at = position(self.at, last);
        let value = |at: usize| sorted.get(at.min(last)).copied().unwrap_or(f64::NAN);
        let (low, high) = (value(at), value(at + usize::from(!is_whole(self.at, last))));
        let (mut below, mut above) = (PersonSet::default(), PersonSet::default());
        for (value, person) in &self.values {
            if value.total_cmp(&low).is_le() {
                below.add(*person, ());
            }
            if value.total_cmp(&high).is_ge() {
                above.add(*person, ());
            }
        }
        (below, above)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a number of values in memory is exact in a float, and so is the floor of a part of it"
)]
fn position(at: f64, last: usize) -> usize {
    (at.clamp(0.0, 1.0) * last as f64).floor() as usize
}

#[allow(clippy::cast_precision_loss, reason = "as above")]
fn is_whole(at: f64, last: usize) -> bool {
    (at.clamp(0.0, 1.0) * last as f64).fract() == 0.0
}

/// The result of `kekkai_sides`: the persons on each side of the point.
pub(crate) fn sides_from_bytes(bytes: &[u8]) -> Option<(WrittenSet<'_>, WrittenSet<'_>)> {
    let (below, persons) = bytes.split_first_chunk::<8>()?;
    let below = usize::try_from(u64::from_le_bytes(*below)).ok()?;
    let (below, above) = persons.split_at_checked(below)?;
    Some((WrittenSet::read(below)?, WrittenSet::read(above)?))
}

/// The total of a magnitude and what its two largest contributors bring.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Shares {
    pub(crate) total: f64,
    pub(crate) largest: f64,
    pub(crate) second: f64,
    /// Persons who bring nothing but zeros.
    pub(crate) zeros: u64,
}

/// Before the persons.
const SHARES_BYTES: usize = 32;

impl Shares {
    #[inline]
    pub(crate) fn add(&mut self, amount: f64) {
        self.total += amount;
        self.zeros += u64::from(amount == 0.0);
        // Nearly never: and what is no number must not pass.
        let is_among_smaller = amount <= self.second;
        if !is_among_smaller {
            self.add_large(amount);
        }
    }

    #[cold]
    fn add_large(&mut self, amount: f64) {
        if amount >= self.largest || amount.is_nan() {
            self.second = self.largest;
            self.largest = amount;
        } else {
            self.second = amount;
        }
    }

    /// Adds the shares of other persons.
    pub(crate) fn add_all(&mut self, other: Self) {
        let (total, zeros) = (self.total + other.total, self.zeros + other.zeros);
        // The two largest of four; what is no number stays the largest.
        self.add(other.second);
        self.add(other.largest);
        (self.total, self.zeros) = (total, zeros);
    }

    pub(crate) fn write(self, to: &mut Vec<u8>) {
        for number in [self.total, self.largest, self.second] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        to.extend_from_slice(&self.zeros.to_le_bytes());
    }

    /// Reads the result of `kekkai_magnitudes` or `kekkai_tallies`: the shares and the persons.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<(Self, WrittenSet<'_>)> {
        let (shares, persons) = Self::split(bytes)?;
        Some((shares, WrittenSet::read(persons)?))
    }

    /// Reads shares, and gives what comes after them.
    pub(crate) fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (shares, rest) = bytes.split_first_chunk::<SHARES_BYTES>()?;
        let (numbers, _) = shares.as_chunks::<8>();
        let [total, largest, second, zeros] = numbers else {
            return None;
        };
        let shares = Self {
            total: f64::from_le_bytes(*total),
            largest: f64::from_le_bytes(*largest),
            second: f64::from_le_bytes(*second),
            zeros: u64::from_le_bytes(*zeros),
        };
        Some((shares, rest))
    }

    /// The two largest shares in permille, rounded up. Where they can't be told (infinite, not a
    /// number), one person may be all of it.
    pub(crate) fn permille(self) -> (u32, u32) {
        if !self.total.is_finite() {
            return (1000, 1000);
        }
        if self.total <= 0.0 {
            return (0, 0);
        }
        (
            permille(self.largest, self.total),
            permille(self.second, self.total),
        )
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the share is clamped to 0..=1000 before the cast"
)]
fn permille(part: f64, total: f64) -> u32 {
    (part / total * 1000.0).ceil().clamp(0.0, 1000.0) as u32
}

/// The aggregate function around a [`Gather`].
struct Evidence<G> {
    signature: Signature,
    gather: std::marker::PhantomData<fn() -> G>,
}

// By hand: derived ones would ask the same of `G`, which is never in it.
impl<G: Gather> std::fmt::Debug for Evidence<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(G::NAME)
    }
}
impl<G> PartialEq for Evidence<G> {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}
impl<G> Eq for Evidence<G> {}
impl<G: Gather> std::hash::Hash for Evidence<G> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        G::NAME.hash(state);
    }
}

impl<G: Gather> Evidence<G> {
    fn new() -> Self {
        Self {
            signature: Signature::exact(G::arguments(), Volatility::Immutable),
            gather: std::marker::PhantomData,
        }
    }
}

/// All groups of one aggregation.
#[derive(Debug)]
struct Groups<G> {
    groups: Vec<G>,
    bytes: usize,
}

impl<G: Gather> Groups<G> {
    fn new() -> Self {
        Self {
            groups: Vec::new(),
            bytes: 0,
        }
    }

    fn grow_to(&mut self, count: usize) {
        if self.groups.len() < count {
            self.groups.resize_with(count, G::default);
        }
    }

    fn grow_by(&mut self, grown: isize) {
        self.bytes = self.bytes.saturating_add_signed(grown);
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<G> {
        let taken = emit_to.take_needed(&mut self.groups);
        // Groups that come sorted, as they do from disk, are given out a few at a time: there are always some
        // left, and what is gone must not count.
        let gone = taken.iter().map(G::bytes).sum();
        self.bytes = self.bytes.saturating_sub(gone);
        taken
    }
}

/// What `write` writes of each group. In one buffer, however large they are.
fn binary<'a, G: 'a>(
    groups: impl Iterator<Item = &'a G>,
    write: impl Fn(&G, &mut Vec<u8>),
) -> ArrayRef {
    let (mut array, mut bytes) = (BinaryBuilder::new(), Vec::new());
    for group in groups {
        bytes.clear();
        write(group, &mut bytes);
        array.append_value(&bytes);
    }
    Arc::new(array.finish())
}

fn written<G>(group: &G, write: impl Fn(&G, &mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(group, &mut bytes);
    bytes
}

impl<G: Gather> GroupsAccumulator for Groups<G> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow_to(total_num_groups);
        let grown = G::add(
            &mut self.groups,
            values,
            Rows {
                groups: Some(group_indices),
                filter: opt_filter,
            },
        )?;
        self.grow_by(grown);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(G::results(self.take(emit_to).iter()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![binary(self.take(emit_to).iter(), G::state)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow_to(total_num_groups);
        let states = argument(values, 0)?.as_binary::<i32>();
        for (state, group) in states.iter().zip(group_indices) {
            if let (Some(state), Some(group)) = (state, self.groups.get_mut(*group)) {
                let grown = group.merge(state)?;
                self.grow_by(grown);
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = argument(values, 0)?.len();
        let mut groups: Vec<G> = Vec::new();
        groups.resize_with(rows, G::default);
        let each: Vec<usize> = (0..rows).collect();
        G::add(
            &mut groups,
            values,
            Rows {
                groups: Some(&each),
                filter: opt_filter,
            },
        )?;
        Ok(vec![binary(groups.iter(), G::state)])
    }

    fn size(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<G>()
    }
}

impl<G: Gather> Accumulator for Groups<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.grow_to(1);
        let grown = G::add(
            &mut self.groups,
            values,
            Rows {
                groups: None,
                filter: None,
            },
        )?;
        self.grow_by(grown);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.grow_to(1);
        ScalarValue::try_from_array(&G::results(self.groups.iter().take(1)), 0)
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.grow_to(1);
        Ok(vec![ScalarValue::Binary(
            self.groups.first().map(|group| written(group, G::state)),
        )])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.grow_to(1);
        let states = argument(states, 0)?.as_binary::<i32>();
        for state in states.iter().flatten() {
            if let Some(group) = self.groups.first_mut() {
                let grown = group.merge(state)?;
                self.grow_by(grown);
            }
        }
        Ok(())
    }
}

impl<G: Gather> AggregateUDFImpl for Evidence<G> {
    fn name(&self) -> &str {
        G::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(G::RESULT)
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Groups::<G>::new()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(
            format_state_name(args.name, "persons"),
            DataType::Binary,
            true,
        ))])
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::<G>::new()))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
