//! The aggregate that gathers a group's rows, each with its person.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, LargeBinaryBuilder, PrimitiveArray, StringArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt32Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::Argument;

/// Numbers beyond this size count as missing, as do NaN and infinite ones: their squares can't be added up, and
/// a failure would tell that one is there.
const LARGEST: f64 = 1e100;

/// Its name in plans.
pub(super) const SAMPLE: &str = "kekkai_sample";

/// `kekkai_sample(person, argument …)`: arguments are `DOUBLE` or text. Rows without a person, or with a
/// missing, infinite or endlessly large value, are left out.
pub(super) fn sample() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        Arc::new(AggregateUDF::new_from_impl(Gather {
            signature: Signature::variadic_any(Volatility::Immutable),
        }))
    });
    Arc::clone(&UDAF)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Gather {
    signature: Signature,
}

/// The rows of each group, one after the other: the person's number in 4 bytes, then each argument: a number
/// in 8 bytes, a text after its length in 4.
#[derive(Debug, Default)]
struct Samples {
    groups: Vec<Vec<u8>>,
    bytes: usize,
}

/// A column of arguments.
enum Values<'a> {
    Numbers(&'a PrimitiveArray<Float64Type>),
    Texts(&'a StringArray),
}

fn bug(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}

impl<'a> Values<'a> {
    fn of(column: &'a ArrayRef) -> Result<Self> {
        match column.data_type() {
            DataType::Float64 => Ok(Self::Numbers(column.as_primitive())),
            DataType::Utf8 => Ok(Self::Texts(column.as_string())),
            _ => Err(bug("a sample of another type")),
        }
    }

    fn is_there(&self, row: usize) -> bool {
        match self {
            Self::Numbers(values) => values.is_valid(row) && values.value(row).abs() <= LARGEST,
            Self::Texts(values) => values.is_valid(row),
        }
    }

    fn write(&self, row: usize, to: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Numbers(values) => to.extend_from_slice(&values.value(row).to_le_bytes()),
            Self::Texts(values) => {
                let text = values.value(row);
                let length = u32::try_from(text.len()).map_err(|_| bug("an endless text"))?;
                to.extend_from_slice(&length.to_le_bytes());
                to.extend_from_slice(text.as_bytes());
            }
        }
        Ok(())
    }
}

impl Samples {
    fn grow_to(&mut self, count: usize) {
        if self.groups.len() < count {
            self.groups.resize_with(count, Vec::new);
        }
    }

    /// Writes into a group and counts what its memory grew by.
    fn write(&mut self, group: usize, fill: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        if let Some(group) = self.groups.get_mut(group) {
            let before = group.capacity();
            fill(group)?;
            self.bytes += group.capacity() - before;
        }
        Ok(())
    }

    fn add(
        &mut self,
        values: &[ArrayRef],
        group_of: impl Fn(usize) -> usize,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let [persons, arguments @ ..] = values else {
            return Err(bug("a sample without persons"));
        };
        let persons = persons
            .as_primitive_opt::<UInt32Type>()
            .ok_or_else(|| bug("persons of another type"))?;
        let arguments = arguments
            .iter()
            .map(Values::of)
            .collect::<Result<Vec<_>>>()?;
        for (row, person) in persons.iter().enumerate() {
            let Some(person) = person else { continue };
            let passes = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if !passes || !arguments.iter().all(|values| values.is_there(row)) {
                continue;
            }
            self.write(group_of(row), |bytes| {
                bytes.extend_from_slice(&person.to_le_bytes());
                arguments
                    .iter()
                    .try_for_each(|values| values.write(row, bytes))
            })?;
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], group_of: impl Fn(usize) -> usize) -> Result<()> {
        let states = states
            .first()
            .and_then(|states| states.as_binary_opt::<i64>())
            .ok_or_else(|| bug("a sample's state of another type"))?;
        for (row, state) in states.iter().enumerate() {
            if let Some(state) = state {
                self.write(group_of(row), |bytes| {
                    bytes.extend_from_slice(state);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> ArrayRef {
        let taken = emit_to.take_needed(&mut self.groups);
        let mut array = LargeBinaryBuilder::new();
        for group in taken {
            self.bytes = self.bytes.saturating_sub(group.capacity());
            array.append_value(group);
        }
        Arc::new(array.finish())
    }

    fn only(&mut self) -> ScalarValue {
        self.grow_to(1);
        ScalarValue::LargeBinary(self.groups.first().cloned())
    }

    fn memory(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<Vec<u8>>()
    }
}

impl GroupsAccumulator for Samples {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow_to(total_num_groups);
        let group_of = |row| group_indices.get(row).copied().unwrap_or(usize::MAX);
        self.add(values, group_of, opt_filter)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.take(emit_to))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.take(emit_to)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow_to(total_num_groups);
        let group_of = |row| group_indices.get(row).copied().unwrap_or(usize::MAX);
        self.merge(values, group_of)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut each = Self::default();
        each.grow_to(values.first().map_or(0, |column| column.len()));
        each.add(values, |row| row, opt_filter)?;
        Ok(vec![each.take(EmitTo::All)])
    }

    fn size(&self) -> usize {
        self.memory()
    }
}

impl Accumulator for Samples {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.grow_to(1);
        self.add(values, |_| 0, None)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.only())
    }

    fn size(&self) -> usize {
        self.memory()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.only()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.grow_to(1);
        self.merge(states, |_| 0)
    }
}

impl AggregateUDFImpl for Gather {
    fn name(&self) -> &str {
        SAMPLE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Samples::default()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(
            format_state_name(args.name, "rows"),
            DataType::LargeBinary,
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
        Ok(Box::new(Samples::default()))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// A group's rows.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) persons: Vec<u32>,
    pub(super) columns: Vec<Column>,
}

/// One argument's values.
#[derive(Debug, Clone)]
pub(super) enum Column {
    Numbers(Vec<f64>),
    Levels(Vec<String>),
}

impl Column {
    pub(super) fn numbers(&self) -> &[f64] {
        match self {
            Self::Numbers(values) => values,
            Self::Levels(_) => &[],
        }
    }

    fn skip(self, rows: usize) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(values.into_iter().skip(rows).collect()),
            Self::Levels(values) => Self::Levels(values.into_iter().skip(rows).collect()),
        }
    }

    pub(super) fn levels(&self) -> &[String] {
        match self {
            Self::Levels(values) => values,
            Self::Numbers(_) => &[],
        }
    }
}

impl Sample {
    /// Reads what the aggregate wrote; `None` where it was something else.
    pub(super) fn read(mut bytes: &[u8], arguments: &[Argument]) -> Option<Self> {
        let mut rows: Vec<(Vec<Value<'_>>, u32)> = Vec::new();
        while !bytes.is_empty() {
            let (person, rest) = bytes.split_first_chunk::<4>()?;
            bytes = rest;
            let mut row = Vec::with_capacity(arguments.len());
            for argument in arguments {
                row.push(match argument {
                    Argument::Number | Argument::Truth => {
                        let (number, rest) = bytes.split_first_chunk::<8>()?;
                        bytes = rest;
                        Value::Number(f64::from_le_bytes(*number))
                    }
                    Argument::Level => {
                        let (length, rest) = bytes.split_first_chunk::<4>()?;
                        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                        let (text, rest) = rest.split_at_checked(length)?;
                        bytes = rest;
                        Value::Level(std::str::from_utf8(text).ok()?)
                    }
                });
            }
            rows.push((row, u32::from_le_bytes(*person)));
        }
        // In an order of their own, whoever read them first: sums of floats depend on it, and a review must
        // be able to compute an output again.
        rows.sort_by(|a, b| {
            a.0.iter()
                .zip(&b.0)
                .map(|(a, b)| a.order(b))
                .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        let columns = (0..arguments.len()).zip(arguments).map(|(at, argument)| {
            let values = rows.iter().filter_map(|(row, _)| row.get(at));
            match argument {
                Argument::Level => Column::Levels(values.filter_map(Value::level).collect()),
                _ => Column::Numbers(values.filter_map(Value::number).collect()),
            }
        });
        Some(Self {
            columns: columns.collect(),
            persons: rows.iter().map(|(_, person)| *person).collect(),
        })
    }

    /// Without the rows whose first argument is below 0: of a time, nothing that was observed. (A refusal would
    /// tell that such a row is there.)
    pub(super) fn without_negative_times(self) -> Self {
        let first = self.columns.first().map_or(&[][..], Column::numbers);
        // Rows are sorted by the first argument.
        let below = first.partition_point(|time| *time < 0.0);
        Self {
            persons: self.persons.into_iter().skip(below).collect(),
            columns: self
                .columns
                .into_iter()
                .map(|column| column.skip(below))
                .collect(),
        }
    }
}

enum Value<'a> {
    Number(f64),
    Level(&'a str),
}

impl Value<'_> {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Level(a), Self::Level(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Level(_) => None,
        }
    }

    fn level(&self) -> Option<String> {
        match self {
            Self::Level(level) => Some((*level).to_owned()),
            Self::Number(_) => None,
        }
    }
}
