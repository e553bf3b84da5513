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

use crate::by_person::{Bits, ByPerson, Written};

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

/// A set of persons.
pub(crate) type PersonSet = ByPerson<Bits>;

/// A set of persons as it is written.
pub(crate) type WrittenSet<'b> = Written<'b, Bits>;

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};

    use super::*;

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
