//! What each person brings to a number: a list in the order of persons, then a hash map, then an array by number.
//!
//! Files are often sorted by persons: then there is only the end of the list to look at, and the lists of several
//! partitions are merged. What comes out of order is hashed.

use datafusion::common::HashMap;

/// Persons up to which a list takes what comes out of order.
const FEW_MAX: usize = 16;
/// A hash map of at least this many persons is compared with an array.
const HASHED_CHECK: usize = 256;
/// An array may have this many places for each person in it.
const SPARSE_MAX: usize = 4;

/// Amounts by person.
#[derive(Debug)]
pub(crate) enum Weights {
    /// Persons ascend.
    Listed(Vec<(u32, f64)>),
    Hashed(HashMap<u32, f64>),
    /// Below zero where there is none: amounts never are.
    Dense {
        amounts: Vec<f64>,
        count: usize,
    },
}

impl Default for Weights {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

/// Of one person in a list or a map, with the room that both keep free, about.
const ENTRY_BYTES: usize = 24;

/// In an array, nobody's.
const NONE: f64 = -1.0;

impl Weights {
    /// Persons.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Listed(list) => list.len(),
            Self::Hashed(map) => map.len(),
            Self::Dense { count, .. } => *count,
        }
    }

    /// Its memory, about: the sum of what [`Self::add`] returned.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Dense { amounts, .. } => amounts.len().saturating_mul(size_of::<f64>()),
            _ => self.len().saturating_mul(ENTRY_BYTES),
        }
    }

    /// Adds what a person brings, at least 0 or not a number; returns the bytes by which memory grew, about.
    pub(crate) fn add(&mut self, person: u32, amount: f64) -> usize {
        match self {
            Self::Listed(list) => {
                match list.last_mut() {
                    Some((last, sum)) if *last == person => {
                        *sum += amount;
                        return 0;
                    }
                    Some((last, _)) if *last > person => return self.add_before(person, amount),
                    _ => list.push((person, amount)),
                }
                ENTRY_BYTES
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
                ENTRY_BYTES
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
                let grown = map.len() * ENTRY_BYTES;
                *self = Self::Hashed(map);
                grown
            }
        }
    }

    /// Adds to a list what comes out of order.
    fn add_before(&mut self, person: u32, amount: f64) -> usize {
        let Self::Listed(list) = self else { return 0 };
        if list.len() > FEW_MAX {
            *self = Self::Hashed(list.iter().copied().collect());
            return self.add(person, amount);
        }
        match list.binary_search_by_key(&person, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, sum)) = list.get_mut(at) {
                    *sum += amount;
                }
                0
            }
            Err(at) => {
                list.insert(at, (person, amount));
                ENTRY_BYTES
            }
        }
    }

    /// Adds what others bring, whose persons ascend; returns the bytes by which memory grew, about.
    pub(crate) fn merge(&mut self, others: impl Iterator<Item = (u32, f64)>) -> usize {
        let Self::Listed(list) = self else {
            return others
                .map(|(person, amount)| self.add(person, amount))
                .sum();
        };
        let before = list.len();
        let mut ours = std::mem::take(list).into_iter().peekable();
        list.reserve(before + others.size_hint().0);
        for (person, amount) in others {
            while let Some(entry) = ours.next_if(|(known, _)| *known < person) {
                list.push(entry);
            }
            match ours.next_if(|(known, _)| *known == person) {
                Some((_, sum)) => list.push((person, sum + amount)),
                None => list.push((person, amount)),
            }
        }
        list.extend(ours);
        list.len()
            .saturating_sub(before)
            .saturating_mul(ENTRY_BYTES)
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

    /// Calls `f` with each person and the amount. Persons ascend.
    pub(crate) fn each(&self, mut f: impl FnMut(u32, f64)) {
        match self {
            Self::Listed(list) => list.iter().for_each(|(person, amount)| f(*person, *amount)),
            Self::Hashed(map) => {
                let mut list: Vec<(u32, f64)> = map.iter().map(|(p, a)| (*p, *a)).collect();
                list.sort_unstable_by_key(|(person, _)| *person);
                list.into_iter()
                    .for_each(|(person, amount)| f(person, amount));
            }
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
    fn persons_in_order_stay_a_list_and_come_out_in_order() {
        let mut weights = Weights::default();
        for person in 0..5_000_u32 {
            for _ in 0..3 {
                weights.add(person * 7, 2.0);
            }
        }
        assert!(matches!(weights, Weights::Listed(_)));
        assert_eq!(
            (weights.len(), weights.bytes()),
            (5_000, 5_000 * ENTRY_BYTES)
        );
        for step in [1, 7, 1_000_000] {
            let (weights, _) = filled(step);
            let mut last = None;
            weights.each(|person, _| {
                assert!(last < Some(person));
                last = Some(person);
            });
        }
    }

    #[test]
    fn merged_amounts_are_those_of_all_rows() {
        let lists = |from: u32, step: u32| (from..2_000).step_by(step as usize).map(|p| (p, 1.0));
        for (step, other) in [(1, 1), (2, 3), (3, 2), (1_999, 1), (1, 1_999)] {
            let mut expected = BTreeMap::new();
            let mut weights = Weights::default();
            let mut grown = 0;
            for list in [lists(0, step), lists(1, other), lists(5, other)] {
                list.clone().for_each(|(person, amount)| {
                    *expected.entry(person).or_insert(0.0) += amount;
                });
                grown += weights.merge(list);
            }
            let mut found = BTreeMap::new();
            weights.each(|person, amount| {
                assert!(found.insert(person, amount).is_none());
            });
            assert_eq!(found, expected);
            assert_eq!(grown, weights.bytes());
        }
        let (mut hashed, mut expected) = filled(1_000_000);
        hashed.merge(lists(0, 1));
        lists(0, 1).for_each(|(person, amount)| *expected.entry(person).or_insert(0.0) += amount);
        assert_eq!(hashed.len(), expected.len());
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
