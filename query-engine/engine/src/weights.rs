//! What each person brings to a number: a list, then a hash map, then an array by number, whichever is small.

use datafusion::common::HashMap;

/// Persons up to which a list is searched.
const FEW_MAX: usize = 16;
/// A hash map of at least this many persons is compared with an array.
const HASHED_CHECK: usize = 256;
/// An array may have this many places for each person in it.
const SPARSE_MAX: usize = 4;

/// Amounts by person.
#[derive(Debug)]
pub(crate) enum Weights {
    Few(Vec<(u32, f64)>),
    Hashed(HashMap<u32, f64>),
    /// Below zero where there is none: amounts never are.
    Dense {
        amounts: Vec<f64>,
        count: usize,
    },
}

impl Default for Weights {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

/// In an array, nobody's.
const NONE: f64 = -1.0;

impl Weights {
    /// Persons.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(list) => list.len(),
            Self::Hashed(map) => map.len(),
            Self::Dense { count, .. } => *count,
        }
    }

    /// Its memory, about: the sum of what [`Self::add`] returned.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Dense { amounts, .. } => amounts.len().saturating_mul(size_of::<f64>()),
            _ => self.len().saturating_mul(24),
        }
    }

    /// Adds what a person brings, at least 0 or not a number; returns the bytes by which memory grew, about.
    pub(crate) fn add(&mut self, person: u32, amount: f64) -> usize {
        match self {
            Self::Few(list) => {
                if let Some((_, sum)) = list.iter_mut().find(|(known, _)| *known == person) {
                    *sum += amount;
                    return 0;
                }
                if list.len() < FEW_MAX {
                    list.push((person, amount));
                } else {
                    let mut map: HashMap<u32, f64> = list.iter().copied().collect();
                    map.insert(person, amount);
                    *self = Self::Hashed(map);
                }
                24
            }
            Self::Hashed(map) => {
                let before = map.len();
                *map.entry(person).or_insert(0.0) += amount;
                if map.len() == before {
                    return 0;
                }
                if map.len() >= HASHED_CHECK && map.len().is_power_of_two() {
                    self.consider_array();
                }
                24
            }
            Self::Dense { amounts, count } => {
                let at = person as usize;
                if at < amounts.len() || at / SPARSE_MAX <= *count * 2 {
                    return add_at(amounts, count, person, amount);
                }
                // Too far away from all others.
                let mut map = HashMap::with_capacity(*count + 1);
                self.each(|person, amount| {
                    map.insert(person, amount);
                });
                map.insert(person, amount);
                let grown = map.len() * 24;
                *self = Self::Hashed(map);
                grown
            }
        }
    }

    fn consider_array(&mut self) {
        let Self::Hashed(map) = self else { return };
        let highest = map.keys().copied().max().unwrap_or(0) as usize;
        if highest / SPARSE_MAX <= map.len() {
            let (mut amounts, mut count) = (Vec::with_capacity(highest + 1), 0);
            for (person, amount) in map.iter() {
                add_at(&mut amounts, &mut count, *person, *amount);
            }
            *self = Self::Dense { amounts, count };
        }
    }

    /// Calls `f` with each person and the amount.
    pub(crate) fn each(&self, mut f: impl FnMut(u32, f64)) {
        match self {
            Self::Few(list) => list.iter().for_each(|(person, amount)| f(*person, *amount)),
            Self::Hashed(map) => map.iter().for_each(|(person, amount)| f(*person, *amount)),
            Self::Dense { amounts, .. } => {
                let all = (0_u32..).zip(amounts);
                all.filter(|(_, amount)| !is_none(**amount))
                    .for_each(|(person, amount)| f(person, *amount));
            }
        }
    }
}

fn is_none(amount: f64) -> bool {
    // Not "not at least 0": a sum that is not a number is somebody's.
    amount < 0.0
}

fn add_at(amounts: &mut Vec<f64>, count: &mut usize, person: u32, amount: f64) -> usize {
    let at = person as usize;
    let before = amounts.capacity();
    if at >= amounts.len() {
        amounts.resize(at + 1, NONE);
    }
    if let Some(sum) = amounts.get_mut(at) {
        if is_none(*sum) {
            *sum = amount;
            *count += 1;
        } else {
            *sum += amount;
        }
    }
    (amounts.capacity() - before) * size_of::<f64>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Adds amounts of many persons, whose numbers are `step` apart.
    fn filled(step: u32) -> (Weights, BTreeMap<u32, f64>) {
        let (mut weights, mut expected) = (Weights::default(), BTreeMap::new());
        let mut x = 12_345_u32;
        for _ in 0..20_000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (person, amount) = (x % 700 * step, f64::from(x % 5));
            weights.add(person, amount);
            *expected.entry(person).or_insert(0.0) += amount;
            assert_eq!(weights.len(), expected.len());
        }
        (weights, expected)
    }

    #[test]
    fn amounts_add_up_through_all_shapes() {
        for step in [1, 1_000_000] {
            let (weights, expected) = filled(step);
            assert_eq!(matches!(weights, Weights::Dense { .. }), step == 1);
            let mut found = BTreeMap::new();
            weights.each(|person, amount| {
                assert!(found.insert(person, amount).is_none());
            });
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn amount_that_is_not_a_number_stays_its_persons() {
        let (mut weights, expected) = filled(1);
        let person = *expected.keys().next().unwrap();
        weights.add(person, f64::NAN);
        weights.add(person, 1.0);
        assert_eq!(weights.len(), expected.len());
        let mut lost = 0;
        weights.each(|_, amount| lost += usize::from(amount.is_nan()));
        assert_eq!(lost, 1);
    }
}
