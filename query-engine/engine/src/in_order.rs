//! What each person brings to one group, where persons come in their order.
//!
//! A worked story. A table is sorted by persons, and two threads read a half of it each. Once a thread has gone
//! on from person 7 to person 8, nobody will bring it more of 7: what 7 brings is compared with the two largest
//! so far, added to the total, and forgotten, but for the byte that says that 7 is there. Only the first and
//! the last person of each half stay known with what they bring: the halves may share that person.
//!
//! So a group takes a byte or so for each person in place of a number. Who comes out of order, or brings more after
//! having been forgotten, is found: then the statement runs once more with [`ByPerson`], which forgets nobody.

use datafusion::common::DataFusionError;

use crate::ascending::Ascending;
use crate::by_person::{ByPerson, Table, Written, difference};
use crate::evidence::{Brought, Held, Shares, other_shape};

/// Persons did not come in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("persons out of order")]
pub(crate) struct OutOfOrder;

impl OutOfOrder {
    /// Whether it lies below another error, as the libraries wrap it.
    pub(crate) fn is_below(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

impl From<OutOfOrder> for DataFusionError {
    fn from(error: OutOfOrder) -> Self {
        Self::External(Box::new(error))
    }
}

/// What each person brings to one group.
#[derive(Debug)]
pub(crate) struct InOrder<T: Table> {
    /// The last person who came, or [`NOBODY`], and what they bring so far.
    last: u64,
    amount: T::Amount,
    stage: Stage,
    /// All but the ends: what they bring is known, and only this is kept of it.
    shares: Shares,
    /// Who these others are.
    persons: Ascending,
    /// Persons who may bring more elsewhere.
    ends: ByPerson<T>,
}

/// Behind all persons.
const NOBODY: u64 = u64::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody or one person came: whoever comes next, that one is an end.
    First,
    /// The first person who came is among the ends.
    Others,
    /// It took what others gathered: nobody comes any more.
    Merged,
}

impl<T: Table> Default for InOrder<T> {
    fn default() -> Self {
        Self {
            last: NOBODY,
            amount: T::Amount::default(),
            stage: Stage::First,
            shares: Shares::default(),
            persons: Ascending::default(),
            ends: ByPerson::default(),
        }
    }
}

impl<T: Brought> InOrder<T> {
    /// Who came last, and what they bring.
    fn last(&self) -> Option<(u32, T::Amount)> {
        let last = u32::try_from(self.last).ok()?;
        Some((last, self.amount))
    }

    /// Begins, or goes on from the first person.
    #[cold]
    fn begin(&mut self, person: u32, amount: T::Amount) -> Option<isize> {
        if self.stage == Stage::Merged {
            return None;
        }
        let mut grown = 0;
        if let Some((first, brought)) = self.last() {
            if first > person {
                return None;
            }
            self.stage = Stage::Others;
            grown = self.ends.add(first, brought);
        }
        (self.last, self.amount) = (u64::from(person), amount);
        Some(grown)
    }

    /// The ends, and the last person among them.
    fn all_ends(&self) -> ByPerson<T> {
        let mut ends = self.ends.clone();
        if let Some((last, amount)) = self.last() {
            ends.add(last, amount);
        }
        ends
    }

    /// Adds what another group of the same key gathered.
    fn add_state(&mut self, other: &State<'_>) -> Result<(), DataFusionError> {
        self.stage = Stage::Merged;
        if let Some((last, amount)) = self.last() {
            self.ends.add(last, amount);
            self.last = NOBODY;
        }
        // Who is forgotten in one may not be in the other at all.
        let mut is_forgotten = false;
        let ends = Written::<T>::read(other.ends).ok_or_else(other_shape)?;
        ends.each(|person, _| is_forgotten |= self.persons.has(person));
        let theirs = Ascending::read(other.persons).ok_or_else(other_shape)?;
        self.ends
            .each(|person, _| is_forgotten |= theirs.has(person));
        is_forgotten |= self.persons.add_all(theirs) > 0;
        if is_forgotten {
            return Err(OutOfOrder.into());
        }
        self.ends.add_written(other.ends).ok_or_else(other_shape)?;
        self.shares.add_all(other.shares);
        Ok(())
    }
}

impl<T: Brought> Held for InOrder<T> {
    type Table = T;

    const TALLIES: &'static str = "kekkai_tallies_in_order";
    const MAGNITUDES: &'static str = "kekkai_magnitudes_in_order";

    #[inline]
    fn add(&mut self, person: u32, amount: T::Amount) -> Option<isize> {
        if u64::from(person) == self.last {
            self.amount = T::sum(self.amount, amount);
            return Some(0);
        }
        if self.stage != Stage::Others {
            return self.begin(person, amount);
        }
        let before = u32::try_from(self.last).ok()?;
        if before > person {
            return None;
        }
        self.shares.add(T::size(self.amount));
        (self.last, self.amount) = (u64::from(person), amount);
        self.persons.add(before)
    }

    fn merge(&mut self, state: &[u8]) -> Result<isize, DataFusionError> {
        let before = self.bytes();
        self.add_state(&State::read(state).ok_or_else(other_shape)?)?;
        Ok(difference(self.bytes(), before))
    }

    fn bytes(&self) -> usize {
        self.ends.bytes() + self.persons.bytes()
    }

    fn state(&self, to: &mut Vec<u8>) {
        self.shares.write(to);
        let length_at = to.len();
        to.extend_from_slice(&[0; LENGTH_BYTES]);
        self.persons.write(to);
        let length = to.len() - length_at - LENGTH_BYTES;
        if let Some(place) = to.get_mut(length_at..length_at + LENGTH_BYTES) {
            place.copy_from_slice(&(length as u64).to_le_bytes());
        }
        self.all_ends().write(to);
    }

    fn result(&self, to: &mut Vec<u8>) {
        let (mut shares, mut ends) = (self.shares, Vec::new());
        self.all_ends().each(|person, amount| {
            shares.add(T::size(amount));
            ends.push(person);
        });
        shares.write(to);
        self.persons.write_set(&ends, to);
    }
}

/// Before the persons: how many bytes they take.
const LENGTH_BYTES: usize = 8;

/// What [`Held::state`] wrote.
struct State<'b> {
    shares: Shares,
    persons: &'b [u8],
    ends: &'b [u8],
}

impl<'b> State<'b> {
    fn read(bytes: &'b [u8]) -> Option<Self> {
        let (shares, rest) = Shares::split(bytes)?;
        let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (persons, ends) = rest.split_at_checked(length)?;
        Some(Self {
            shares,
            persons,
            ends,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::by_person::{Counts, Sizes};

    /// Numbers in no order, the same each time.
    fn numbers(seed: u32) -> impl Iterator<Item = usize> {
        let next = |x: &u32| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        std::iter::successors(Some(seed), next)
            .skip(1)
            .map(|x| (x >> 8) as usize)
    }

    fn result<H: Held>(held: &H) -> (Shares, Vec<u32>) {
        let mut bytes = Vec::new();
        held.result(&mut bytes);
        let (shares, persons) = Shares::from_bytes(&bytes).unwrap();
        let mut all = Vec::new();
        persons.each(|person, ()| all.push(person));
        (shares, all)
    }

    /// Rows: whose, and what they bring.
    type Rows<T> = Vec<(u32, <T as Table>::Amount)>;

    /// What comes of rows in parts that are put together in turn; `None` where persons are out of order.
    fn together<H: Held>(parts: &[Rows<H::Table>]) -> Option<(Shares, Vec<u32>)> {
        let mut all = H::default();
        for part in parts {
            let mut one = H::default();
            for (person, amount) in part {
                one.add(*person, *amount)?;
            }
            let mut state = Vec::new();
            one.state(&mut state);
            match all.merge(&state) {
                Ok(_) => {}
                Err(error) => {
                    assert!(OutOfOrder::is_below(&error), "{error}");
                    return None;
                }
            }
        }
        Some(result(&all))
    }

    fn sorted(rows: usize, persons: usize, seed: u32) -> Vec<u32> {
        let mut all: Vec<u32> = numbers(seed)
            .take(rows)
            .map(|x| u32::try_from(x % persons).unwrap() * 3)
            .collect();
        all.sort_unstable();
        all
    }

    /// Cuts rows anywhere into so many parts, which then come in no order.
    fn cut<A: Copy>(rows: &[(u32, A)], parts: usize, seed: u32) -> Vec<Vec<(u32, A)>> {
        let mut at: Vec<usize> = numbers(seed)
            .take(parts - 1)
            .map(|x| x % (rows.len() + 1))
            .collect();
        at.extend([0, rows.len()]);
        at.sort_unstable();
        let mut parts: Vec<_> = at
            .windows(2)
            .map(|at| rows[at[0]..at[1]].to_vec())
            .collect();
        for (one, other) in (0..parts.len()).zip(numbers(seed + 1)) {
            let other = other % parts.len();
            parts.swap(one, other);
        }
        parts
    }

    fn tells_the_same<T: Brought>(amount: impl Fn(usize) -> T::Amount) {
        for (rows, persons, parts) in [
            (0, 1, 2),
            (1, 1, 1),
            (7, 1, 3),
            (40, 3, 9),
            (400, 300, 2),
            (400, 300, 40),
            (6_000, 900, 3),
            (6_000, 20_000, 5),
        ] {
            for seed in 1..20 {
                let persons = sorted(rows, persons, seed);
                let rows: Vec<_> = persons
                    .into_iter()
                    .zip(numbers(seed).map(&amount))
                    .collect();
                let parts = cut(&rows, parts, seed);
                let in_order = together::<InOrder<T>>(&parts);
                assert_eq!(in_order, together::<ByPerson<T>>(&parts), "seed {seed}");
                assert!(in_order.is_some(), "seed {seed}");
            }
        }
    }

    #[test]
    fn persons_in_order_give_what_everybodys_amounts_give() {
        tells_the_same::<Counts>(|x| 1 + (x % 4) as u64);
        tells_the_same::<Sizes>(|x| (x % 5) as f64);
    }

    #[test]
    fn persons_out_of_order_are_found_or_harmless_and_never_miscounted() {
        let (mut found, mut harmless) = (0, 0);
        for seed in 1..2_000 {
            let mut numbers = numbers(seed);
            let mut next = |below: usize| numbers.next().unwrap() % below;
            let mut persons = sorted(3 + next(12), 2 + next(8), seed);
            for _ in 0..next(3) {
                let (one, other) = (next(persons.len()), next(persons.len()));
                persons.swap(one, other);
            }
            let rows: Vec<_> = persons
                .iter()
                .map(|person| (*person, 1 + u64::from(person % 7)))
                .collect();
            let parts = cut(&rows, 1 + next(4), seed);
            match together::<InOrder<Counts>>(&parts) {
                None => found += 1,
                Some(told) => {
                    harmless += 1;
                    assert_eq!(
                        Some(told),
                        together::<ByPerson<Counts>>(&parts),
                        "seed {seed}"
                    );
                }
            }
        }
        assert!(found > 300 && harmless > 300, "{found} {harmless}");
    }

    #[test]
    fn one_person_in_the_middle_of_two_parts_is_found() {
        let parts = [vec![(1, 1), (2, 1), (3, 1)], vec![(2, 1), (5, 1)]];
        assert_eq!(together::<InOrder<Counts>>(&parts), None);
        let parts = [vec![(2, 1), (5, 1)], vec![(1, 1), (2, 1), (3, 1)]];
        assert_eq!(together::<InOrder<Counts>>(&parts), None);
        let inner = vec![(1, 1), (2, 1), (3, 1)];
        assert_eq!(together::<InOrder<Counts>>(&[inner.clone(), inner]), None);
    }

    #[test]
    fn many_persons_take_about_a_byte_each() {
        let mut held = InOrder::<Sizes>::default();
        let mut grown = 0;
        for person in 0..100_000 {
            for _ in 0..3 {
                grown += held.add(person, 1.5).unwrap();
            }
        }
        assert_eq!(grown, difference(held.bytes(), 0));
        assert!(held.bytes() < 100_000 * 3 / 2, "{}", held.bytes());
        let (shares, persons) = result(&held);
        assert_eq!(
            (shares.total, shares.largest, shares.second),
            (450_000.0, 4.5, 4.5)
        );
        assert_eq!(persons.len(), 100_000);
    }

    #[test]
    fn state_that_is_cut_or_something_else_is_refused() {
        let mut held = InOrder::<Sizes>::default();
        for person in 0..70 {
            held.add(person, 1.0).unwrap();
        }
        let mut state = Vec::new();
        held.state(&mut state);
        let mut other = BTreeMap::new();
        for length in 0..state.len() {
            let mut into = InOrder::<Sizes>::default();
            let error = Held::merge(&mut into, &state[..length]).unwrap_err();
            *other.entry(OutOfOrder::is_below(&error)).or_insert(0) += 1;
        }
        assert_eq!(other, BTreeMap::from([(false, state.len())]));
    }
}
