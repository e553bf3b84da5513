//! What each person brings to one group: a list in the order of persons, then one whose end is not in order yet,
//! then a table with a place for each number.
//!
//! Files are often sorted by persons: then there is only the end of the list to look at. What comes out of order
//! waits behind the list, and is sorted into it when there is as much of it. Where a group has many of all
//! persons, a table takes little memory and no sorting, and those of several partitions are added up place by
//! place.

use datafusion::common::HashMap;

/// Persons up to which a list takes what comes out of order.
const FEW_MAX: usize = 16;
/// Lists of at least this many persons are compared with a table.
pub(crate) const TABLE_MIN: usize = 32;
/// A table may take this many times the memory of a list: it is faster.
const SPARSE_MAX: usize = 3;
/// Of one person in a list beside what is told of them: the number, and the room that is kept free.
const ENTRY_BYTES: usize = 12;
/// Before what is written: how many persons there are, and how many places a table has (0: it is a list).
const HEAD_BYTES: usize = 16;

/// A table with a place for each person's number.
pub(crate) trait Table: Default + Clone + std::fmt::Debug + Send + Sync + 'static {
    /// What one person brings.
    type Amount: Copy + Default + std::fmt::Debug + Send + Sync;

    /// Two amounts of one person.
    fn sum(one: Self::Amount, other: Self::Amount) -> Self::Amount;
    /// Persons in it.
    fn len(&self) -> usize;
    /// One more than the highest number in it, or a little more.
    fn places(&self) -> usize;
    /// The memory of so many places.
    fn bytes_of(places: usize) -> usize;
    /// Its memory, about.
    fn bytes(&self) -> usize;
    /// Adds to what a person brings.
    fn add(&mut self, person: u32, amount: Self::Amount);
    /// Calls `f` with each person, in their order.
    fn each(&self, f: impl FnMut(u32, Self::Amount));
    fn write(&self, to: &mut Vec<u8>);
    /// Adds what [`Self::write`] wrote of a table with so many places.
    fn add_written(&mut self, places: usize, written: &[u8]);
    fn write_amount(amount: Self::Amount, to: &mut Vec<u8>);
    /// Reads what [`Self::write_amount`] wrote.
    fn read_amount(written: &[u8]) -> Option<Self::Amount>;
}

/// What each person brings.
#[derive(Debug, Clone)]
pub(crate) enum ByPerson<T: Table> {
    /// Persons ascend.
    Listed(Vec<(u32, T::Amount)>),
    /// Persons ascend in the first so many entries; the others are still to be sorted into them.
    Loose(Vec<(u32, T::Amount)>, usize),
    Table(T),
}

impl<T: Table> Default for ByPerson<T> {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl<T: Table> ByPerson<T> {
    const ENTRY: usize = ENTRY_BYTES + size_of::<T::Amount>();

    /// Persons.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Listed(list) => list.len(),
            Self::Loose(entries, sorted) => tidied::<T>(entries, *sorted).len(),
            Self::Table(table) => table.len(),
        }
    }

    /// Its memory, about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Listed(entries) | Self::Loose(entries, _) => {
                entries.len().saturating_mul(Self::ENTRY)
            }
            Self::Table(table) => table.bytes(),
        }
    }

    /// Adds to what a person brings; returns the bytes by which memory grew.
    #[inline]
    pub(crate) fn add(&mut self, person: u32, amount: T::Amount) -> isize {
        match self {
            Self::Table(table) if (person as usize) < table.places() => {
                table.add(person, amount);
                0
            }
            Self::Listed(list) => match list.last_mut() {
                Some((last, sum)) if *last == person => {
                    *sum = T::sum(*sum, amount);
                    0
                }
                Some((last, _)) if *last > person => self.grown(|it| it.add_before(person, amount)),
                _ => {
                    list.push((person, amount));
                    if list.len() >= TABLE_MIN && list.len().is_power_of_two() {
                        let before = list.len() - 1;
                        self.consider_table();
                        return difference(self.bytes(), before * Self::ENTRY);
                    }
                    difference(Self::ENTRY, 0)
                }
            },
            Self::Loose(entries, sorted) if entries.len() < *sorted * 2 => {
                entries.push((person, amount));
                difference(Self::ENTRY, 0)
            }
            _ => self.grown(|it| it.add_beyond(person, amount)),
        }
    }

    fn grown(&mut self, change: impl FnOnce(&mut Self)) -> isize {
        let before = self.bytes();
        change(self);
        difference(self.bytes(), before)
    }

    /// Adds to a list what comes out of order.
    fn add_before(&mut self, person: u32, amount: T::Amount) {
        let Self::Listed(list) = self else { return };
        match list.binary_search_by_key(&person, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, sum)) = list.get_mut(at) {
                    *sum = T::sum(*sum, amount);
                }
            }
            Err(at) if list.len() < FEW_MAX => list.insert(at, (person, amount)),
            Err(_) => {
                let sorted = list.len();
                list.push((person, amount));
                *self = Self::Loose(std::mem::take(list), sorted);
            }
        }
    }

    /// Adds to a list whose end is to be sorted in now, or behind the last place of a table.
    fn add_beyond(&mut self, person: u32, amount: T::Amount) {
        match self {
            Self::Listed(_) => {
                self.add(person, amount);
            }
            Self::Loose(entries, sorted) => {
                entries.push((person, amount));
                *entries = tidied::<T>(entries, *sorted);
                *sorted = entries.len();
                self.consider_table();
            }
            Self::Table(table) => {
                // Twice what made it one: it may be its last who is so far away.
                if is_worth_it::<T>(table.len() * 2, person as usize + 1) {
                    table.add(person, amount);
                    return;
                }
                let mut list = Vec::with_capacity(table.len() + 1);
                table.each(|person, amount| list.push((person, amount)));
                *self = Self::Listed(list);
                self.add(person, amount);
            }
        }
    }

    /// The places that a table of these persons needs.
    fn places(&self) -> usize {
        match self {
            Self::Listed(list) => list.last().map_or(0, |(last, _)| *last as usize + 1),
            Self::Loose(entries, _) => {
                let last = entries.iter().map(|(person, _)| *person).max();
                last.map_or(0, |last| last as usize + 1)
            }
            Self::Table(table) => table.places(),
        }
    }

    fn consider_table(&mut self) {
        let (Self::Listed(entries) | Self::Loose(entries, _)) = self else {
            return;
        };
        // Of a loose list, right after it was tidied.
        if entries.len() >= TABLE_MIN && is_worth_it::<T>(entries.len(), self.places()) {
            *self = Self::Table(self.to_table());
        }
    }

    /// Whether a table is worth it for these persons and those of a written table, who may be the same.
    fn may_be_table_with(&self, other: &Written<'_, T>) -> bool {
        matches!(self, Self::Table(_))
            || is_worth_it::<T>(self.len().max(other.len), self.places().max(other.places))
    }

    fn to_table(&self) -> T {
        let mut table = T::default();
        match self {
            Self::Listed(entries) | Self::Loose(entries, _) => {
                entries
                    .iter()
                    .for_each(|(p, amount)| table.add(*p, *amount));
            }
            Self::Table(table) => return table.clone(),
        }
        table
    }

    /// Calls `f` with each person, in their order.
    pub(crate) fn each(&self, mut f: impl FnMut(u32, T::Amount)) {
        match self {
            Self::Listed(list) => list.iter().for_each(|(person, amount)| f(*person, *amount)),
            Self::Loose(entries, sorted) => tidied::<T>(entries, *sorted)
                .into_iter()
                .for_each(|(person, amount)| f(person, amount)),
            Self::Table(table) => table.each(f),
        }
    }

    /// Writes it behind what is there.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Table(table) => {
                write_head(table.len(), table.places(), to);
                table.write(to);
            }
            Self::Listed(list) => write_list::<T>(list, to),
            Self::Loose(entries, sorted) => write_list::<T>(&tidied::<T>(entries, *sorted), to),
        }
    }

    /// Adds what [`Self::write`] wrote; returns the bytes by which memory grew. `None` where it is something
    /// else: to go on would be to miss somebody.
    pub(crate) fn add_written(&mut self, written: &[u8]) -> Option<isize> {
        let written = Written::<T>::read(written)?;
        Some(self.grown(|it| it.add_all(written)))
    }

    fn add_all(&mut self, written: Written<'_, T>) {
        if written.places > 0 && self.may_be_table_with(&written) {
            let mut table = match std::mem::take(self) {
                Self::Table(table) => table,
                other => other.to_table(),
            };
            table.add_written(written.places, written.body);
            *self = Self::Table(table);
            return;
        }
        if let Self::Listed(list) = self {
            let mut ours = std::mem::take(list).into_iter().peekable();
            list.reserve(ours.len() + written.len);
            written.each(|person, amount| {
                while let Some(entry) = ours.next_if(|(known, _)| *known < person) {
                    list.push(entry);
                }
                let entry = match ours.next_if(|(known, _)| *known == person) {
                    Some((_, sum)) => (person, T::sum(sum, amount)),
                    None => (person, amount),
                };
                list.push(entry);
            });
            list.extend(ours);
            if list.len() >= TABLE_MIN {
                self.consider_table();
            }
        } else {
            written.each(|person, amount| {
                self.add(person, amount);
            });
        }
    }
}

/// All entries in the order of persons, each person once.
fn tidied<T: Table>(entries: &[(u32, T::Amount)], sorted: usize) -> Vec<(u32, T::Amount)> {
    let (sorted, loose) = entries.split_at(sorted.min(entries.len()));
    let mut loose = loose.to_vec();
    loose.sort_unstable_by_key(|(person, _)| *person);
    let mut tidy: Vec<(u32, T::Amount)> = Vec::with_capacity(entries.len());
    let mut add = |(person, amount)| match tidy.last_mut() {
        Some((last, sum)) if *last == person => *sum = T::sum(*sum, amount),
        _ => tidy.push((person, amount)),
    };
    let mut sorted = sorted.iter().copied().peekable();
    for entry in loose {
        while let Some(before) = sorted.next_if(|(person, _)| *person <= entry.0) {
            add(before);
        }
        add(entry);
    }
    sorted.for_each(add);
    tidy
}

pub(crate) fn write_head(persons: usize, places: usize, to: &mut Vec<u8>) {
    to.extend_from_slice(&(persons as u64).to_le_bytes());
    to.extend_from_slice(&(places as u64).to_le_bytes());
}

pub(crate) fn write_list<T: Table>(list: &[(u32, T::Amount)], to: &mut Vec<u8>) {
    write_head(list.len(), 0, to);
    to.reserve(list.len() * (4 + size_of::<T::Amount>()));
    for (person, amount) in list {
        to.extend_from_slice(&person.to_le_bytes());
        T::write_amount(*amount, to);
    }
}

pub(crate) fn difference(now: usize, before: usize) -> isize {
    isize::try_from(now).unwrap_or(isize::MAX) - isize::try_from(before).unwrap_or(isize::MAX)
}

/// Places for a table that shall have one for `at`, and for some that come after it.
pub(crate) fn places_for(at: usize) -> usize {
    (at + at / 8 + 1).next_multiple_of(64)
}

/// Whether so many persons, at least [`TABLE_MIN`], are enough for a table with so many places.
pub(crate) fn is_worth_it<T: Table>(persons: usize, places: usize) -> bool {
    let list = persons.saturating_mul(4 + size_of::<T::Amount>());
    T::bytes_of(places) <= list.saturating_mul(SPARSE_MAX)
}

/// What [`ByPerson::write`] wrote.
#[derive(Debug)]
pub(crate) struct Written<'b, T> {
    len: usize,
    /// 0: persons and their amounts, one after the other.
    places: usize,
    body: &'b [u8],
    table: std::marker::PhantomData<fn() -> T>,
}

// By hand: derived ones would ask the same of `T`, which is never in it.
impl<T> Clone for Written<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Written<'_, T> {}

impl<'b, T: Table> Written<'b, T> {
    /// All of `bytes`; `None` where they are something else.
    pub(crate) fn read(bytes: &'b [u8]) -> Option<Self> {
        let (head, body) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let (numbers, _) = head.as_chunks::<8>();
        let [len, places] = numbers else { return None };
        let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
        let places = usize::try_from(u64::from_le_bytes(*places)).ok()?;
        let is_whole = if places > 0 {
            len <= places && T::bytes_of(places) <= body.len()
        } else {
            len.checked_mul(4 + size_of::<T::Amount>()) == Some(body.len())
        };
        is_whole.then_some(Self {
            len,
            places,
            body,
            table: std::marker::PhantomData,
        })
    }

    /// Persons.
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// The table as it was written; `None` for a list.
    pub(crate) fn table(self) -> Option<&'b [u8]> {
        (self.places > 0).then_some(self.body)
    }

    /// Calls `f` with each person, in their order.
    pub(crate) fn each(self, mut f: impl FnMut(u32, T::Amount)) {
        if self.places > 0 {
            let mut table = T::default();
            table.add_written(self.places, self.body);
            table.each(f);
            return;
        }
        let mut rest = self.body;
        for _ in 0..self.len {
            let Some((person, after)) = rest.split_first_chunk::<4>() else {
                return;
            };
            let Some(amount) = T::read_amount(after) else {
                return;
            };
            f(u32::from_le_bytes(*person), amount);
            rest = after.get(size_of::<T::Amount>()..).unwrap_or_default();
        }
    }
}

/// Who is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    count: usize,
}

impl Table for Bits {
    type Amount = ();

    fn sum((): (), (): ()) {}

    fn len(&self) -> usize {
        self.count
    }

    fn places(&self) -> usize {
        self.words.len() * 64
    }

    fn bytes_of(places: usize) -> usize {
        places / 8
    }

    fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    #[inline]
    fn add(&mut self, person: u32, (): ()) {
        let index = (person / 64) as usize;
        if index >= self.words.len() {
            self.words.resize(places_for(person as usize) / 64, 0);
        }
        if let Some(word) = self.words.get_mut(index) {
            let mask = 1_u64 << (person % 64);
            self.count += usize::from(*word & mask == 0);
            *word |= mask;
        }
    }

    fn each(&self, mut f: impl FnMut(u32, ())) {
        for (base, word) in (0_u32..).step_by(64).zip(&self.words) {
            let mut rest = *word;
            while rest != 0 {
                f(base + rest.trailing_zeros(), ());
                rest &= rest - 1;
            }
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.reserve(self.words.len() * 8);
        for word in &self.words {
            to.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn add_written(&mut self, _places: usize, written: &[u8]) {
        let (words, _) = written.as_chunks::<8>();
        if words.len() > self.words.len() {
            self.words.resize(words.len(), 0);
        }
        for (word, other) in self.words.iter_mut().zip(words) {
            *word |= u64::from_le_bytes(*other);
        }
        let ones = self.words.iter().map(|word| word.count_ones() as usize);
        self.count = ones.sum();
    }

    fn write_amount((): (), _to: &mut Vec<u8>) {}

    fn read_amount(_written: &[u8]) -> Option<()> {
        Some(())
    }
}

/// How many rows of each person there are: nearly always a few.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// The count's lowest byte.
    low: Vec<u8>,
    /// The rest of it, where there is one.
    high: HashMap<u32, u64>,
    count: usize,
}

/// Places that are added up together.
const CHUNK: usize = 64;

impl Counts {
    fn high(&self, person: u32) -> u64 {
        if self.high.is_empty() {
            return 0;
        }
        self.high.get(&person).copied().unwrap_or(0)
    }

    fn recount(&mut self) {
        let low = self.low.iter().filter(|low| **low != 0).count();
        let only_high = self.high.keys();
        let only_high = only_high.filter(|person| self.low.get(**person as usize) == Some(&0));
        self.count = low + only_high.count();
    }
}

impl Table for Counts {
    type Amount = u64;

    fn sum(one: u64, other: u64) -> u64 {
        one.saturating_add(other)
    }

    fn len(&self) -> usize {
        self.count
    }

    fn places(&self) -> usize {
        self.low.len()
    }

    fn bytes_of(places: usize) -> usize {
        places
    }

    fn bytes(&self) -> usize {
        // The rest is small: there are 256 rows for each entry in it.
        self.low.capacity()
    }

    #[inline]
    fn add(&mut self, person: u32, amount: u64) {
        let at = person as usize;
        if at >= self.low.len() {
            self.low.resize(places_for(at), 0);
        }
        let Some(low) = self.low.get_mut(at) else {
            return;
        };
        let before = *low;
        let sum = u64::from(before).saturating_add(amount);
        *low = (sum & 0xff) as u8;
        if before == 0 && self.high(person) == 0 {
            self.count += usize::from(amount > 0);
        }
        if sum > 0xff {
            let high = self.high.entry(person).or_insert(0);
            *high = high.saturating_add(sum >> 8);
        }
    }

    fn each(&self, mut f: impl FnMut(u32, u64)) {
        for (person, low) in (0_u32..).zip(&self.low) {
            let amount = self.high(person) << 8 | u64::from(*low);
            if amount > 0 {
                f(person, amount);
            }
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.low);
        for (person, high) in &self.high {
            to.extend_from_slice(&person.to_le_bytes());
            to.extend_from_slice(&high.to_le_bytes());
        }
    }

    fn add_written(&mut self, places: usize, written: &[u8]) {
        let Some((low, high)) = written.split_at_checked(places) else {
            return;
        };
        if places > self.low.len() {
            self.low.resize(places, 0);
        }
        let chunks = self.low.chunks_mut(CHUNK).zip(low.chunks(CHUNK));
        for (first, (ours, others)) in (0_u32..).step_by(CHUNK).zip(chunks) {
            // Nearly never: without it, 64 places are added at once.
            let carries = |(own, other): (&u8, &u8)| own.checked_add(*other).is_none();
            if ours
                .iter()
                .zip(others)
                .map(carries)
                .fold(false, |any, one| any | one)
            {
                for (person, place) in (first..).zip(ours.iter().zip(others)) {
                    if carries(place) {
                        *self.high.entry(person).or_insert(0) += 1;
                    }
                }
            }
            for (own, other) in ours.iter_mut().zip(others) {
                *own = own.wrapping_add(*other);
            }
        }
        let (high, _) = high.as_chunks::<12>();
        for entry in high {
            let [a, b, c, d, rest @ ..] = *entry;
            let high = self.high.entry(u32::from_le_bytes([a, b, c, d]));
            let high = high.or_insert(0);
            *high = high.saturating_add(u64::from_le_bytes(rest));
        }
        self.recount();
    }

    fn write_amount(amount: u64, to: &mut Vec<u8>) {
        to.extend_from_slice(&amount.to_le_bytes());
    }

    fn read_amount(written: &[u8]) -> Option<u64> {
        let (amount, _) = written.split_first_chunk::<8>()?;
        Some(u64::from_le_bytes(*amount))
    }
}

/// What each person brings to a sum, as a size.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sizes {
    /// [`NOBODYS`] where there is none: sizes are never below zero.
    sizes: Vec<f64>,
    count: usize,
}

const NOBODYS: f64 = -1.0;

fn is_nobodys(size: f64) -> bool {
    // Not "not at least 0": a sum that is not a number is somebody's.
    size < 0.0
}

impl Table for Sizes {
    type Amount = f64;

    fn sum(one: f64, other: f64) -> f64 {
        one + other
    }

    fn len(&self) -> usize {
        self.count
    }

    fn places(&self) -> usize {
        self.sizes.len()
    }

    fn bytes_of(places: usize) -> usize {
        places.saturating_mul(size_of::<f64>())
    }

    fn bytes(&self) -> usize {
        self.sizes.capacity() * size_of::<f64>()
    }

    #[inline]
    fn add(&mut self, person: u32, amount: f64) {
        let at = person as usize;
        if at >= self.sizes.len() {
            self.sizes.resize(places_for(at), NOBODYS);
        }
        if let Some(size) = self.sizes.get_mut(at) {
            if is_nobodys(*size) {
                *size = amount;
                self.count += 1;
            } else {
                *size += amount;
            }
        }
    }

    fn each(&self, mut f: impl FnMut(u32, f64)) {
        for (person, size) in (0_u32..).zip(&self.sizes) {
            if !is_nobodys(*size) {
                f(person, *size);
            }
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.reserve(self.sizes.len() * size_of::<f64>());
        for size in &self.sizes {
            to.extend_from_slice(&size.to_le_bytes());
        }
    }

    fn add_written(&mut self, _places: usize, written: &[u8]) {
        let (sizes, _) = written.as_chunks::<8>();
        if sizes.len() > self.sizes.len() {
            self.sizes.resize(sizes.len(), NOBODYS);
        }
        for (ours, other) in self.sizes.iter_mut().zip(sizes) {
            let other = f64::from_le_bytes(*other);
            *ours = match (is_nobodys(*ours), is_nobodys(other)) {
                (true, _) => other,
                (false, true) => *ours,
                (false, false) => *ours + other,
            };
        }
        let there = self.sizes.iter().filter(|size| !is_nobodys(**size));
        self.count = there.count();
    }

    fn write_amount(amount: f64, to: &mut Vec<u8>) {
        to.extend_from_slice(&amount.to_le_bytes());
    }

    fn read_amount(written: &[u8]) -> Option<f64> {
        let (amount, _) = written.split_first_chunk::<8>()?;
        Some(f64::from_le_bytes(*amount))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use super::*;

    /// Numbers in no order, the same each time.
    fn numbers() -> impl Iterator<Item = u32> {
        let next = |x: &u32| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        std::iter::successors(Some(12_345_u32), next).map(|x| x >> 8)
    }

    type Plain<T> = BTreeMap<u32, <T as Table>::Amount>;

    fn told<T: Table>(by_person: &ByPerson<T>) -> Plain<T> {
        let (mut found, mut last) = (BTreeMap::new(), None);
        by_person.each(|person, amount| {
            assert!(last < Some(person), "persons come in their order");
            last = Some(person);
            found.insert(person, amount);
        });
        assert_eq!(by_person.len(), found.len());
        found
    }

    fn written<T: Table>(by_person: &ByPerson<T>) -> Vec<u8> {
        let mut bytes = Vec::new();
        by_person.write(&mut bytes);
        let read = Written::<T>::read(&bytes).unwrap();
        assert_eq!(read.len(), by_person.len());
        bytes
    }

    fn expect<T: Table>(found: &ByPerson<T>, expected: &Plain<T>)
    where
        T::Amount: PartialEq,
    {
        assert!(told(found) == *expected, "{found:?} is not {expected:?}");
        let mut read = BTreeMap::new();
        Written::<T>::read(&written(found))
            .unwrap()
            .each(|person, amount| {
                read.insert(person, amount);
            });
        assert!(read == *expected);
    }

    /// Groups of all shapes: adding rows, and adding what was written of others, gives what a plain map does.
    fn adds_up<T: Table>(amount: impl Fn(u32) -> T::Amount)
    where
        T::Amount: PartialEq + Debug,
    {
        let mut shapes = [0; 3];
        let mut all: Vec<(ByPerson<T>, Plain<T>)> = Vec::new();
        for (rows, among, step) in [
            (0, 1, 1),
            (1, 5, 1),
            (14, 90, 3),
            (300, 20_000, 1),
            (600, 700, 1),
            (9_000, 2_000, 1),
            (9_000, 700, 1_000_003),
            (9_000, 3, 70),
        ] {
            for is_sorted in [false, true] {
                let rows = numbers().take(rows);
                let mut rows: Vec<(u32, T::Amount)> = rows
                    .map(|x| ((x % among) * step, amount(x / among)))
                    .collect();
                if is_sorted {
                    rows.sort_by_key(|(person, _)| *person);
                }
                let (mut found, mut expected) = (ByPerson::<T>::default(), BTreeMap::new());
                let mut grown = 0;
                for (person, amount) in rows {
                    grown += found.add(person, amount);
                    let sum = expected.remove(&person);
                    expected.insert(person, sum.map_or(amount, |sum| T::sum(sum, amount)));
                }
                expect(&found, &expected);
                assert_eq!(grown, difference(found.bytes(), 0));
                let shape = match found {
                    ByPerson::Listed(_) => 0,
                    ByPerson::Loose(..) => 1,
                    ByPerson::Table(_) => 2,
                };
                shapes[shape] += 1;
                all.push((found, expected));
            }
        }
        assert!(shapes.iter().all(|count| *count > 0), "{shapes:?}");
        for (one, of_one) in &all {
            for (other, of_other) in &all {
                let (mut both, mut expected) = (one.clone(), of_one.clone());
                let before = both.bytes();
                let grown = both.add_written(&written(other)).unwrap();
                assert_eq!(grown, difference(both.bytes(), before));
                for (person, amount) in of_other {
                    let sum = expected.remove(person);
                    let sum = sum.map_or(*amount, |sum| T::sum(sum, *amount));
                    expected.insert(*person, sum);
                }
                expect(&both, &expected);
            }
        }
    }

    #[test]
    fn persons_add_up_in_all_shapes() {
        adds_up::<Bits>(|_| ());
    }

    #[test]
    fn counts_add_up_in_all_shapes_and_beyond_a_byte() {
        adds_up::<Counts>(|_| 1);
        adds_up::<Counts>(|x| u64::from(x % 3) * 255 + 1);
    }

    #[test]
    fn sizes_add_up_in_all_shapes() {
        adds_up::<Sizes>(|x| f64::from(x % 5));
    }

    #[test]
    fn somebody_far_away_does_not_make_a_table_long() {
        let mut found = ByPerson::<Bits>::default();
        (0..10_000).for_each(|person| {
            found.add(person, ());
        });
        assert!(matches!(found, ByPerson::Table(_)));
        found.add(u32::MAX, ());
        assert!(matches!(found, ByPerson::Listed(_)));
        assert_eq!(found.len(), 10_001);
        assert!(found.bytes() < 10_001 * 32);
    }

    #[test]
    fn persons_in_order_are_never_sorted() {
        let mut found = ByPerson::<Sizes>::default();
        for person in 0..5_000_u32 {
            for _ in 0..3 {
                found.add(person * 700, 2.0);
            }
            assert!(matches!(found, ByPerson::Listed(_)));
        }
        assert_eq!(found.len(), 5_000);
    }

    #[test]
    fn size_that_is_not_a_number_stays_its_persons() {
        for persons in [3, 3_000] {
            let mut found = ByPerson::<Sizes>::default();
            for person in 0..persons {
                found.add(person, 1.0);
            }
            found.add(2, f64::NAN);
            found.add(2, 1.0);
            let mut both = ByPerson::<Sizes>::default();
            for _ in 0..2 {
                both.add_written(&written(&found)).unwrap();
            }
            let nan: Vec<u32> = told(&both)
                .into_iter()
                .filter_map(|(person, size)| size.is_nan().then_some(person))
                .collect();
            assert_eq!((both.len(), nan), (persons as usize, vec![2]));
        }
    }

    #[test]
    fn what_is_cut_or_something_else_is_refused() {
        fn refuses<T: Table>(amount: T::Amount) {
            for persons in [3, 3_000] {
                let mut found = ByPerson::<T>::default();
                for person in 0..persons {
                    found.add(person, amount);
                }
                let whole = written(&found);
                let cut = whole.len() - 1;
                for bytes in [
                    &[][..],
                    &[7; 5],
                    &[0xff; 40],
                    whole.get(..cut).unwrap(),
                    whole.get(..20).unwrap(),
                ] {
                    let mut other = ByPerson::<T>::default();
                    assert_eq!(other.add_written(bytes), None, "{persons}");
                    assert_eq!(other.len(), 0);
                }
            }
        }
        refuses::<Bits>(());
        refuses::<Counts>(1);
        refuses::<Sizes>(2.0);
    }
}
