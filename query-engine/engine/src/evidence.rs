//! The aggregates that count contributors, beside the researcher's own.
//!
//! [`persons`] gathers the distinct persons of a group as a set; [`magnitudes`] adds up what each person
//! brings to a total or a count and tells the two largest; [`sides`] tells who is on each side of a quantile.
//! All are exact, also when a group is put together from several partitions: their states carry every person.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt32Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use crate::person::{PERSON_TYPE, PersonSet};
use crate::weights::Weights;

/// `kekkai_persons(person)`: the set of distinct persons, as bytes.
pub(crate) fn persons() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(Evidence::<Persons>::new())));
    Arc::clone(&UDAF)
}

/// `kekkai_magnitudes(person, value)`: of the persons' sums of `|value|` the total, the two largest, and how
/// many are zero; then the persons.
pub(crate) fn magnitudes() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(Evidence::<Weights>::new())));
    Arc::clone(&UDAF)
}

/// `kekkai_sides(person, value, point)`: the persons with values up to a quantile, and those from it on.
pub(crate) fn sides() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(Evidence::<Values>::new())));
    Arc::clone(&UDAF)
}

/// Those that may run on several servers: quantiles, and with them [`sides`], stay on one.
pub(crate) fn spread() -> [Arc<AggregateUDF>; 2] {
    [persons(), magnitudes()]
}

/// True for the names of this module's aggregates.
pub(crate) fn is_evidence(name: &str) -> bool {
    [Persons::NAME, Weights::NAME, Values::NAME].contains(&name)
}

/// What is gathered of one group.
trait Gather: Default + Send + Sync + std::fmt::Debug + 'static {
    const NAME: &'static str;
    /// Types of the arguments.
    fn arguments() -> Vec<DataType>;
    /// Adds the rows that `each` names; returns the bytes by which memory grew, about.
    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<usize>;
    /// Adds a state; returns the bytes by which memory grew, about.
    fn merge(&mut self, state: &[u8]) -> usize;
    /// Its memory, about: the sum of what [`Gather::add`] and [`Gather::merge`] returned.
    fn bytes(&self) -> usize;
    /// The state.
    fn state(&self) -> Vec<u8>;
    /// The result.
    fn result(&self) -> Vec<u8>;
}

/// Rows and their groups.
struct Rows<'a> {
    groups: Option<&'a [usize]>,
    filter: Option<&'a BooleanArray>,
}

impl Rows<'_> {
    fn group(&self, row: usize) -> usize {
        self.groups
            .and_then(|groups| groups.get(row).copied())
            .unwrap_or(0)
    }

    fn passes(&self, row: usize) -> bool {
        self.filter
            .is_none_or(|filter| filter.is_valid(row) && filter.value(row))
    }
}

fn argument(values: &[ArrayRef], index: usize) -> Result<&ArrayRef> {
    values
        .get(index)
        .ok_or_else(|| DataFusionError::Internal("evidence without its argument".to_owned()))
}

/// Distinct persons.
#[derive(Debug, Default)]
struct Persons(PersonSet);

impl Gather for Persons {
    const NAME: &'static str = "kekkai_persons";

    fn arguments() -> Vec<DataType> {
        vec![PERSON_TYPE]
    }

    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<usize> {
        let persons = argument(values, 0)?.as_primitive::<UInt32Type>();
        let mut grown = 0;
        for (row, person) in persons.iter().enumerate() {
            let Some(person) = person else { continue };
            if rows.passes(row)
                && let Some(group) = groups.get_mut(rows.group(row))
                && group.0.insert(person)
            {
                grown += 8;
            }
        }
        Ok(grown)
    }

    fn merge(&mut self, state: &[u8]) -> usize {
        let before = self.0.len();
        let (numbers, _) = state.as_chunks::<4>();
        for number in numbers {
            self.0.insert(u32::from_le_bytes(*number));
        }
        usize::try_from(self.0.len() - before).unwrap_or(0) * 8
    }

    fn bytes(&self) -> usize {
        usize::try_from(self.0.len())
            .unwrap_or(usize::MAX)
            .saturating_mul(8)
    }

    fn state(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    fn result(&self) -> Vec<u8> {
        self.0.to_bytes()
    }
}

/// What each person brings.
impl Gather for Weights {
    const NAME: &'static str = "kekkai_magnitudes";

    fn arguments() -> Vec<DataType> {
        vec![PERSON_TYPE, DataType::Float64]
    }

    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<usize> {
        let persons = argument(values, 0)?.as_primitive::<UInt32Type>();
        let amounts = argument(values, 1)?.as_primitive::<Float64Type>();
        let mut grown = 0;
        for (row, (person, amount)) in persons.iter().zip(amounts).enumerate() {
            let (Some(person), Some(amount)) = (person, amount) else {
                continue;
            };
            if rows.passes(row)
                && let Some(group) = groups.get_mut(rows.group(row))
            {
                grown += group.add(person, amount.abs());
            }
        }
        Ok(grown)
    }

    fn merge(&mut self, state: &[u8]) -> usize {
        let (entries, _) = state.as_chunks::<12>();
        Weights::merge(
            self,
            entries.iter().map(|entry| {
                let [a, b, c, d, amount @ ..] = *entry;
                (u32::from_le_bytes([a, b, c, d]), f64::from_le_bytes(amount))
            }),
        )
    }

    fn bytes(&self) -> usize {
        Weights::bytes(self)
    }

    fn state(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * 12);
        self.each(|person, amount| {
            bytes.extend_from_slice(&person.to_le_bytes());
            bytes.extend_from_slice(&amount.to_le_bytes());
        });
        bytes
    }

    fn result(&self) -> Vec<u8> {
        let mut shares = Shares::default();
        let mut persons = Vec::with_capacity(self.len() * 4);
        self.each(|person, amount| {
            shares.add(amount);
            persons.extend_from_slice(&person.to_le_bytes());
        });
        let mut bytes = shares.to_bytes();
        bytes.append(&mut persons);
        bytes
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

    fn add(groups: &mut [Self], values: &[ArrayRef], rows: Rows<'_>) -> Result<usize> {
        let persons = argument(values, 0)?.as_primitive::<UInt32Type>();
        let amounts = argument(values, 1)?.as_primitive::<Float64Type>();
        let points = argument(values, 2)?.as_primitive::<Float64Type>();
        let mut grown = 0;
        for (row, ((person, amount), point)) in persons.iter().zip(amounts).zip(points).enumerate()
        {
            let (Some(person), Some(amount), Some(point)) = (person, amount, point) else {
                continue;
            };
            if rows.passes(row)
                && let Some(group) = groups.get_mut(rows.group(row))
            {
                group.at = point;
                group.values.push((amount, person));
                grown += size_of::<(f64, u32)>();
            }
        }
        Ok(grown)
    }

    fn merge(&mut self, state: &[u8]) -> usize {
        let before = self.values.len();
        if let Some((at, entries)) = state.split_first_chunk::<8>() {
            self.at = f64::from_le_bytes(*at);
            let (entries, _) = entries.as_chunks::<12>();
            self.values.extend(entries.iter().map(|entry| {
                let [a, b, c, d, amount @ ..] = *entry;
                (f64::from_le_bytes(amount), u32::from_le_bytes([a, b, c, d]))
            }));
        }
        (self.values.len() - before) * size_of::<(f64, u32)>()
    }

    fn bytes(&self) -> usize {
        self.values.len().saturating_mul(size_of::<(f64, u32)>())
    }

    fn state(&self) -> Vec<u8> {
        if self.values.is_empty() {
            return Vec::new();
        }
        let mut bytes = Vec::with_capacity(8 + self.values.len() * 12);
        bytes.extend_from_slice(&self.at.to_le_bytes());
        for (amount, person) in &self.values {
            bytes.extend_from_slice(&person.to_le_bytes());
            bytes.extend_from_slice(&amount.to_le_bytes());
        }
        bytes
    }

    /// The number of persons below, then the persons below and above.
    fn result(&self) -> Vec<u8> {
        let (below, above) = self.sides();
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&below.len().to_le_bytes());
        bytes.extend(below.to_bytes());
        bytes.extend(above.to_bytes());
        bytes
    }
}

impl Values {
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
                below.insert(*person);
            }
            if value.total_cmp(&high).is_ge() {
                above.insert(*person);
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

/// The result of `kekkai_sides`: the persons on each side of the point, 4 bytes for each.
pub(crate) fn sides_from_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (below, persons) = bytes.split_first_chunk::<8>()?;
    let below = usize::try_from(u64::from_le_bytes(*below)).ok()?;
    persons.split_at_checked(below.checked_mul(4)?)
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

/// Of the result of `kekkai_magnitudes`, before the persons.
const SHARES_BYTES: usize = 32;

impl Shares {
    fn add(&mut self, amount: f64) {
        self.total += amount;
        self.zeros += u64::from(amount == 0.0);
        if amount >= self.largest || amount.is_nan() {
            self.second = self.largest;
            self.largest = amount;
        } else if amount > self.second {
            self.second = amount;
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SHARES_BYTES);
        for number in [self.total, self.largest, self.second] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.zeros.to_le_bytes());
        bytes
    }

    /// Reads the result of `kekkai_magnitudes`: the shares, and the persons, 4 bytes for each.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (shares, persons) = bytes.split_first_chunk::<SHARES_BYTES>()?;
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
        Some((shares, persons))
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

    fn take(&mut self, emit_to: EmitTo) -> Vec<G> {
        let taken = emit_to.take_needed(&mut self.groups);
        // Groups that come sorted, as they do from disk, are given out a few at a time: there are always some
        // left, and what is gone must not count.
        let gone = taken.iter().map(G::bytes).sum();
        self.bytes = self.bytes.saturating_sub(gone);
        taken
    }
}

fn binary<'a, G: 'a>(
    groups: impl Iterator<Item = &'a G>,
    bytes: impl Fn(&G) -> Vec<u8>,
) -> ArrayRef {
    let mut array = BinaryBuilder::new();
    for group in groups {
        array.append_value(bytes(group));
    }
    Arc::new(array.finish())
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
        self.bytes += G::add(
            &mut self.groups,
            values,
            Rows {
                groups: Some(group_indices),
                filter: opt_filter,
            },
        )?;
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(binary(self.take(emit_to).iter(), G::result))
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
                self.bytes += group.merge(state);
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
        self.bytes += G::add(
            &mut self.groups,
            values,
            Rows {
                groups: None,
                filter: None,
            },
        )?;
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.grow_to(1);
        Ok(ScalarValue::Binary(self.groups.first().map(G::result)))
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.grow_to(1);
        Ok(vec![ScalarValue::Binary(self.groups.first().map(G::state))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.grow_to(1);
        let states = argument(states, 0)?.as_binary::<i32>();
        if let Some(group) = self.groups.first_mut() {
            for state in states.iter().flatten() {
                self.bytes += group.merge(state);
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
        Ok(DataType::Binary)
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
