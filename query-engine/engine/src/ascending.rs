//! A set of persons who come in their order, each as the distance to the one before: about a byte for each.

use crate::by_person::{
    Bits, TABLE_MIN, difference, is_worth_it, places_for, write_head, write_list,
};

/// Persons, each once, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ascending {
    len: usize,
    first: u32,
    last: u32,
    /// From the second person on, the distance to the one before: seven bits in a byte, the lowest first; the
    /// eighth says that more follow.
    distances: Vec<u8>,
}

/// Before the distances: how many persons there are, the first one and the last one.
const HEAD_BYTES: usize = 16;
const MORE: u8 = 0x80;
/// Of a distance's bits, those in one byte.
const BITS: u32 = 7;

impl Ascending {
    /// Persons.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Its memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.distances.capacity()
    }

    /// Adds somebody; returns the bytes by which memory grew. `None` where a later one is there already.
    #[inline]
    pub(crate) fn add(&mut self, person: u32) -> Option<isize> {
        if self.len == 0 {
            (self.first, self.last, self.len) = (person, person, 1);
            return Some(0);
        }
        if person <= self.last {
            return (person == self.last).then_some(0);
        }
        let distance = person - self.last;
        (self.last, self.len) = (person, self.len + 1);
        let before = self.distances.capacity();
        self.push(distance);
        Some(difference(self.distances.capacity(), before))
    }

    #[inline]
    fn push(&mut self, mut distance: u32) {
        while distance >= u32::from(MORE) {
            self.distances.push((distance & 0x7f) as u8 | MORE);
            distance >>= BITS;
        }
        self.distances.push((distance & 0x7f) as u8);
    }

    /// Calls `f` with each person, in their order.
    pub(crate) fn each(&self, mut f: impl FnMut(u32)) {
        if self.len == 0 {
            return;
        }
        let (mut person, mut distance, mut shift) = (self.first, 0, 0);
        f(person);
        for byte in &self.distances {
            if *byte & MORE != 0 {
                distance |= u32::from(byte & !MORE) << shift;
                shift += BITS;
                continue;
            }
            distance |= u32::from(*byte) << shift;
            person = person.wrapping_add(distance);
            f(person);
            (distance, shift) = (0, 0);
        }
    }

    /// Whether somebody is in it.
    pub(crate) fn has(&self, person: u32) -> bool {
        if self.len == 0 || person < self.first || person > self.last {
            return false;
        }
        let mut found = false;
        self.each(|known| found |= known == person);
        found
    }

    /// Adds all of another one; returns how many were in both.
    pub(crate) fn add_all(&mut self, other: Self) -> usize {
        if other.len == 0 {
            return 0;
        }
        if self.len == 0 {
            *self = other;
            return 0;
        }
        if other.last < self.first {
            let ours = std::mem::replace(self, other);
            self.append(&ours);
            return 0;
        }
        if other.first > self.last {
            self.append(&other);
            return 0;
        }
        let mut all = Vec::with_capacity(self.len + other.len);
        self.each(|person| all.push(person));
        other.each(|person| all.push(person));
        // Two that ascend, one after the other: sorting finds that out.
        all.sort();
        let count = all.len();
        *self = Self::default();
        for person in all {
            self.add(person);
        }
        count - self.len
    }

    /// Adds one that begins behind this one's end.
    fn append(&mut self, other: &Self) {
        self.push(other.first - self.last);
        self.distances.extend_from_slice(&other.distances);
        self.last = other.last;
        self.len += other.len;
    }

    /// Writes it, and others who are not in it, as a [`PersonSet`](crate::person::PersonSet) is written.
    pub(crate) fn write_set(&self, others: &[u32], to: &mut Vec<u8>) {
        let last = others
            .iter()
            .fold(self.last, |last, other| last.max(*other));
        let (len, places) = (self.len + others.len(), places_for(last as usize));
        if len < TABLE_MIN || !is_worth_it::<Bits>(len, places) {
            let mut all = Vec::with_capacity(len);
            self.each(|person| all.push((person, ())));
            all.extend(others.iter().map(|person| (*person, ())));
            // Most are sorted: that is found out.
            all.sort();
            return write_list::<Bits>(&all, to);
        }
        write_head(len, places, to);
        let start = to.len();
        to.resize(start + places / 8, 0);
        let bits = to.get_mut(start..).unwrap_or_default();
        let mut add = |person: u32| {
            if let Some(byte) = bits.get_mut(person as usize / 8) {
                *byte |= 1 << (person % 8);
            }
        };
        self.each(&mut add);
        others.iter().copied().for_each(add);
    }

    /// Writes it behind what is there.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&(self.len as u64).to_le_bytes());
        to.extend_from_slice(&self.first.to_le_bytes());
        to.extend_from_slice(&self.last.to_le_bytes());
        to.extend_from_slice(&self.distances);
    }

    /// All of `bytes`, as [`Self::write`] wrote them; `None` where they are something else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, distances) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let (len, ends) = head.split_first_chunk::<8>()?;
        let (first, last) = ends.split_first_chunk::<4>()?;
        let told = Self {
            len: usize::try_from(u64::from_le_bytes(*len)).ok()?,
            first: u32::from_le_bytes(*first),
            last: u32::from_le_bytes(*last.first_chunk::<4>()?),
            distances: distances.to_vec(),
        };
        told.is_whole().then_some(told)
    }

    /// True where there are as many distances as persons, none is longer than a number, and the last one ends.
    /// Whether they lead to the last person is not looked at: that takes as long as all the rest, and what was
    /// written by something else, or cut, is found by this.
    fn is_whole(&self) -> bool {
        let ends = |byte: &u8| byte & MORE == 0;
        let count = self.distances.iter().filter(|byte| ends(byte)).count();
        let mut longest = self.distances.chunk_by(|byte, _| !ends(byte));
        let is_short = self.distances.len() == count
            || longest.all(|distance| distance.len() <= u32::BITS.div_ceil(BITS) as usize);
        count == self.len.saturating_sub(1)
            && self.distances.last().is_none_or(ends)
            && self.first <= self.last
            && is_short
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of(persons: &BTreeSet<u32>) -> Ascending {
        let mut set = Ascending::default();
        let mut grown = 0;
        for person in persons {
            for _ in 0..=person % 2 {
                grown += set.add(*person).unwrap();
            }
        }
        assert_eq!(grown, difference(set.bytes(), 0));
        set
    }

    fn expect(set: &Ascending, expected: &BTreeSet<u32>) {
        let mut found = Vec::new();
        set.each(|person| found.push(person));
        assert!(found.iter().eq(expected), "{found:?} is not {expected:?}");
        assert_eq!(set.len(), expected.len());
        for person in expected.iter().chain([&0, &u32::MAX]) {
            for near in [person.saturating_sub(1), *person, person.saturating_add(1)] {
                assert_eq!(set.has(near), expected.contains(&near), "{near}");
            }
        }
    }

    fn sets() -> Vec<BTreeSet<u32>> {
        let every =
            |from: u32, count: u32, step: u32| (0..count).map(|i| from + i * step).collect();
        vec![
            BTreeSet::new(),
            BTreeSet::from([0]),
            BTreeSet::from([u32::MAX]),
            BTreeSet::from([0, u32::MAX]),
            BTreeSet::from([
                5,
                6,
                5 + 127,
                5 + 127 + 128,
                40_000,
                3_000_000,
                4_000_000_000,
            ]),
            every(0, 300, 1),
            every(100, 300, 7),
            every(299, 2, 1),
            every(1_000_000, 50, 20_000),
        ]
    }

    #[test]
    fn sets_add_up_and_tell_how_many_were_in_both() {
        for one in sets() {
            expect(&of(&one), &one);
            for other in sets() {
                let mut both = of(&one);
                let mut written = Vec::new();
                of(&other).write(&mut written);
                let common = both.add_all(Ascending::read(&written).unwrap());
                assert_eq!(common, one.intersection(&other).count());
                expect(&both, &one.union(&other).copied().collect());
            }
        }
    }

    #[test]
    fn who_comes_before_the_last_one_is_refused() {
        let mut set = of(&BTreeSet::from([3, 9]));
        assert_eq!((set.add(8), set.add(3), set.add(0)), (None, None, None));
        assert_eq!(set.add(9), Some(0));
        expect(&set, &BTreeSet::from([3, 9]));
    }

    #[test]
    fn what_is_cut_changed_or_something_else_is_refused() {
        for persons in sets() {
            let mut written = Vec::new();
            of(&persons).write(&mut written);
            for length in 0..written.len() {
                assert!(Ascending::read(written.get(..length).unwrap()).is_none());
            }
            for extra in [&[0][..], &[1], &[MORE], &[0xff; 9]] {
                assert!(Ascending::read(&[&written, extra].concat()).is_none());
            }
        }
        for bytes in [&[7; 5][..], &[0xff; 40], &[0; 15]] {
            assert!(Ascending::read(bytes).is_none());
        }
    }
}
