//! Persons as small numbers.
//!
//! A pseudonym is a text; counting distinct texts in every group of every query would hash the same
//! texts over and over. The files of an ingested dataset number its persons themselves, from 0 without
//! gaps, the same in every table and every session ([`kekkai_types::PERSON_NUMBER_COLUMN`]). For files
//! that don't, each dataset has one [`Register`], which gives each pseudonym the number of its first
//! appearance; those numbers live and die with the session.

use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array, UInt32Builder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, HashMap, Result};

/// The type of the hidden person column.
pub(crate) const PERSON_TYPE: DataType = DataType::UInt32;

/// The numbers of one dataset's persons.
#[derive(Default)]
pub(crate) struct Register {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    by_number: HashMap<i64, u32>,
    by_text: HashMap<Box<str>, u32>,
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Register")
    }
}

/// True for the types that a person key may have.
pub(crate) fn is_key_type(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
}

impl Register {
    /// The numbers of a column of keys; `NULL` where the key is.
    pub(crate) fn number(&self, keys: &ArrayRef) -> Result<ArrayRef> {
        let numbers = if keys.data_type().is_integer() {
            let keys = cast(keys, &DataType::Int64)?;
            self.number_integers(keys.as_primitive::<Int64Type>())?
        } else {
            let keys = cast(keys, &DataType::Utf8View)?;
            self.number_texts(keys.as_string_view())?
        };
        Ok(Arc::new(numbers))
    }

    fn number_integers(&self, keys: &arrow::array::Int64Array) -> Result<UInt32Array> {
        let mut numbers = UInt32Builder::with_capacity(keys.len());
        let mut unseen = false;
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let mut last = (None, None);
            for key in keys {
                // Rows of one person often come together.
                if key != last.0 {
                    last = (key, key.and_then(|key| known.by_number.get(&key).copied()));
                }
                unseen |= key.is_some() && last.1.is_none();
                numbers.append_option(last.1);
            }
        }
        if !unseen {
            return Ok(numbers.finish());
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut numbers = UInt32Builder::with_capacity(keys.len());
        for key in keys {
            let number = match key {
                None => None,
                Some(key) => {
                    let next = next_number(known.by_number.len())?;
                    Some(*known.by_number.entry(key).or_insert(next))
                }
            };
            numbers.append_option(number);
        }
        Ok(numbers.finish())
    }

    fn number_texts(&self, keys: &arrow::array::StringViewArray) -> Result<UInt32Array> {
        let mut numbers = UInt32Builder::with_capacity(keys.len());
        let mut unseen = false;
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let mut last = (None, None);
            for key in keys {
                // As above.
                if key != last.0 {
                    last = (key, key.and_then(|key| known.by_text.get(key).copied()));
                }
                unseen |= key.is_some() && last.1.is_none();
                numbers.append_option(last.1);
            }
        }
        if !unseen {
            return Ok(numbers.finish());
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut numbers = UInt32Builder::with_capacity(keys.len());
        for key in keys {
            let number = match key {
                None => None,
                Some(key) => match known.by_text.get(key) {
                    Some(number) => Some(*number),
                    None => {
                        let next = next_number(known.by_text.len())?;
                        known.by_text.insert(key.into(), next);
                        Some(next)
                    }
                },
            };
            numbers.append_option(number);
        }
        Ok(numbers.finish())
    }
}

fn next_number(known: usize) -> Result<u32> {
    u32::try_from(known)
        .map_err(|_| DataFusionError::ResourcesExhausted("more persons than numbers".to_owned()))
}

/// A set of persons: a short list, then a hash set, then bits, whichever is small.
#[derive(Debug, Clone)]
pub(crate) enum PersonSet {
    Few(Vec<u32>),
    Hashed(datafusion::common::HashSet<u32>),
    Bits { words: Vec<u64>, count: u64 },
}

/// Persons up to which a list is searched.
const FEW_MAX: usize = 16;
/// A hash set of at least this many persons is compared with bits.
const HASHED_CHECK: usize = 256;

impl Default for PersonSet {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl PersonSet {
    /// Distinct persons.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Few(list) => list.len() as u64,
            Self::Hashed(set) => set.len() as u64,
            Self::Bits { count, .. } => *count,
        }
    }

    /// Adds a person; says whether it was new.
    pub(crate) fn insert(&mut self, person: u32) -> bool {
        match self {
            Self::Few(list) => {
                if list.contains(&person) {
                    return false;
                }
                if list.len() < FEW_MAX {
                    list.push(person);
                } else {
                    let mut set: datafusion::common::HashSet<u32> = list.iter().copied().collect();
                    set.insert(person);
                    *self = Self::Hashed(set);
                }
                true
            }
            Self::Hashed(set) => {
                let is_new = set.insert(person);
                if is_new && set.len() >= HASHED_CHECK && set.len().is_power_of_two() {
                    self.consider_bits();
                }
                is_new
            }
            Self::Bits { words, count } => {
                let is_new = set_bit(words, person);
                *count += u64::from(is_new);
                is_new
            }
        }
    }

    /// A hash set takes about 8 bytes a person; bits take an eighth of a byte for each number.
    fn consider_bits(&mut self) {
        let Self::Hashed(set) = self else { return };
        let highest = set.iter().copied().max().unwrap_or(0) as usize;
        if highest / 8 <= set.len() * 8 {
            let mut words = Vec::new();
            for person in set.iter() {
                set_bit(&mut words, *person);
            }
            *self = Self::Bits {
                count: set.len() as u64,
                words,
            };
        }
    }

    /// Adds all persons of another set.
    pub(crate) fn union(&mut self, other: &Self) {
        other.each(|person| {
            self.insert(person);
        });
    }

    /// Calls `f` for each person.
    pub(crate) fn each(&self, mut f: impl FnMut(u32)) {
        match self {
            Self::Few(list) => list.iter().copied().for_each(f),
            Self::Hashed(set) => set.iter().copied().for_each(f),
            Self::Bits { words, .. } => {
                for (base, word) in (0_u32..).step_by(64).zip(words) {
                    let mut rest = *word;
                    while rest != 0 {
                        f(base + rest.trailing_zeros());
                        rest &= rest - 1;
                    }
                }
            }
        }
    }

    /// The numbers, in no order.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let mut numbers = Vec::new();
        self.each(|person| numbers.push(person));
        numbers
    }

    /// The numbers, 4 bytes each, little-endian.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.len()).unwrap_or(0) * 4);
        self.each(|person| bytes.extend_from_slice(&person.to_le_bytes()));
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut set = Self::default();
        let (numbers, _) = bytes.as_chunks::<4>();
        for number in numbers {
            set.insert(u32::from_le_bytes(*number));
        }
        set
    }
}

fn set_bit(words: &mut Vec<u64>, person: u32) -> bool {
    let index = (person / 64) as usize;
    if index >= words.len() {
        words.resize(index + 1, 0);
    }
    let mask = 1_u64 << (person % 64);
    match words.get_mut(index) {
        Some(word) => {
            let is_new = *word & mask == 0;
            *word |= mask;
            is_new
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn set_counts_exactly_through_all_its_shapes() {
        let mut set = PersonSet::default();
        let mut expected = BTreeSet::new();
        let mut x = 12_345_u32;
        for _ in 0..20_000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let person = x % 7_000;
            assert_eq!(set.insert(person), expected.insert(person));
            assert_eq!(set.len(), expected.len() as u64);
        }
        assert!(matches!(set, PersonSet::Bits { .. }));
        let back = PersonSet::from_bytes(&set.to_bytes());
        let mut all = BTreeSet::new();
        back.each(|person| {
            all.insert(person);
        });
        assert_eq!(all, expected);
    }

    #[test]
    fn far_apart_numbers_stay_hashed() {
        let mut set = PersonSet::default();
        for i in 0..2_000_u32 {
            set.insert(i * 2_000_000);
        }
        assert!(matches!(set, PersonSet::Hashed(_)));
        assert_eq!(set.len(), 2_000);
    }

    #[test]
    fn register_gives_one_number_to_one_key_and_none_to_null() {
        let register = Register::default();
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None, Some(9), Some(7)]));
        let numbers = register.number(&keys).unwrap();
        assert_eq!(
            numbers
                .as_ref()
                .as_primitive::<arrow::datatypes::UInt32Type>(),
            &UInt32Array::from(vec![Some(0), None, Some(1), Some(0)])
        );
        let register = Register::default();
        let keys: ArrayRef = Arc::new(StringArray::from(vec![
            Some("b"),
            Some("a"),
            None,
            Some("b"),
        ]));
        let numbers = register.number(&keys).unwrap();
        assert_eq!(
            numbers
                .as_ref()
                .as_primitive::<arrow::datatypes::UInt32Type>(),
            &UInt32Array::from(vec![Some(0), Some(1), None, Some(0)])
        );
    }
}
