//! A project's own pseudonyms.
//!
//! A project's pseudonym is the first 63 bits of HMAC-SHA-256, under a key that is the project's alone,
//! over the dataset's pseudonym: a positive `bigint`, of which nothing leads to the dataset's, nor to
//! another project's, without that key. Persons are numbered anew by the rank of their new pseudonym: as
//! good as a random order, dense over the persons of the extract, and the same again under the same key.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kekkai_types::{AgreementId, DatasetId, KeyText};
use sha2::Sha256;

use crate::error::ExtractError;

/// Persons in one extract. Each takes about 24 bytes of memory while it is made.
pub const PERSONS_MAX: usize = 1 << 27;

/// The key that a project's pseudonyms are made with. It is never written anywhere.
pub struct ProjectKey(KeyText);

impl ProjectKey {
    /// Derives the key from the producer's secret, so that the project's next extract has the same
    /// pseudonyms: HKDF-SHA-256 (RFC 5869) without salt, with
    /// `kekkai project pseudonym key v1/DATASET/AGREEMENT` as info. No two projects share one.
    ///
    /// # Errors
    /// None in practice: 32 bytes are within what HKDF can give.
    pub fn derive(
        secret: &KeyText,
        dataset: &DatasetId,
        agreement: &AgreementId,
    ) -> Result<Self, ExtractError> {
        // Ids hold no slash: no two pairs read alike.
        let info = format!("kekkai project pseudonym key v1/{dataset}/{agreement}");
        let mut key = [0; 32];
        let expanded = Hkdf::<Sha256>::new(None, secret.expose()).expand(info.as_bytes(), &mut key);
        let derived = Self(KeyText::new(key));
        zeroize::Zeroize::zeroize(&mut key);
        expanded
            .map(|()| derived)
            .map_err(|_| ExtractError::Internal("a key of 32 bytes can't be derived"))
    }

    /// A key that is forgotten after use: the next extract will have other pseudonyms.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn random() -> Result<Self, ExtractError> {
        KeyText::random()
            .map(Self)
            .map_err(|_| ExtractError::Randomness)
    }
}

/// Makes pseudonyms for one extract.
pub(crate) struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    pub(crate) fn new(key: &ProjectKey) -> Result<Self, ExtractError> {
        Hmac::new_from_slice(key.0.expose())
            .map(Self)
            .map_err(|_| ExtractError::Internal("a key of 32 bytes does not fit HMAC"))
    }

    /// The project's pseudonym for the dataset's. Keys of different kinds have different pseudonyms in the
    /// dataset already.
    pub(crate) fn of(&self, dataset: i64) -> i64 {
        let mut mac = self.0.clone();
        mac.update(&dataset.to_be_bytes());
        let bytes = mac.finalize().into_bytes();
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(bytes) {
            *to = from;
        }
        i64::try_from(u64::from_be_bytes(first) >> 1).unwrap_or(i64::MAX)
    }
}

/// The dataset's numbers don't fit its pseudonyms.
#[derive(Debug)]
pub(crate) struct Contradiction;

/// No person has this pseudonym: they are positive.
const NOBODY: i64 = -1;

/// The persons of an extract while they are collected, at their numbers in the dataset.
#[derive(Default)]
pub(crate) struct Collected {
    of_dataset: Vec<i64>,
}

impl Collected {
    /// Takes note of a row: its person's number and pseudonym in the dataset.
    pub(crate) fn see(&mut self, number: u32, pseudonym: i64) -> Result<(), Contradiction> {
        let at = usize::try_from(number).map_err(|_| Contradiction)?;
        if at >= PERSONS_MAX || pseudonym < 0 {
            return Err(Contradiction);
        }
        if at >= self.of_dataset.len() {
            self.of_dataset.resize(at + 1, NOBODY);
        }
        match self.of_dataset.get_mut(at) {
            Some(known) if *known == NOBODY => {
                *known = pseudonym;
                Ok(())
            }
            Some(known) if *known == pseudonym => Ok(()),
            _ => Err(Contradiction),
        }
    }

    /// Gives each person the project's pseudonym and number.
    pub(crate) fn number(self, pseudonyms: &Pseudonyms) -> Result<Persons, ExtractError> {
        let of_project: Vec<i64> = self
            .of_dataset
            .iter()
            .map(|known| match *known {
                NOBODY => NOBODY,
                known => pseudonyms.of(known),
            })
            .collect();
        let mut ranked: Vec<u32> = (0_u32..)
            .zip(&of_project)
            .filter(|(_, pseudonym)| **pseudonym != NOBODY)
            .map(|(number, _)| number)
            .collect();
        let at = |number: &u32| {
            usize::try_from(*number)
                .ok()
                .and_then(|number| of_project.get(number))
                .copied()
                .unwrap_or(NOBODY)
        };
        ranked.sort_unstable_by_key(at);
        if ranked
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if at(a) == at(b)))
        {
            return Err(ExtractError::Collision);
        }
        let mut numbers = vec![u32::MAX; of_project.len()];
        for (rank, number) in (0_u32..).zip(&ranked) {
            if let Some(slot) = usize::try_from(*number)
                .ok()
                .and_then(|number| numbers.get_mut(number))
            {
                *slot = rank;
            }
        }
        Ok(Persons {
            of_dataset: self.of_dataset,
            of_project,
            numbers,
            ranked,
        })
    }
}

/// The persons of an extract.
pub(crate) struct Persons {
    of_dataset: Vec<i64>,
    of_project: Vec<i64>,
    numbers: Vec<u32>,
    ranked: Vec<u32>,
}

impl Persons {
    /// The project's pseudonym and number of a row's person, by the dataset's number and pseudonym.
    pub(crate) fn get(&self, number: u32, pseudonym: i64) -> Result<(i64, u32), Contradiction> {
        let at = usize::try_from(number).map_err(|_| Contradiction)?;
        match (
            self.of_dataset.get(at),
            self.of_project.get(at),
            self.numbers.get(at),
        ) {
            (Some(known), Some(project), Some(number))
                if *known == pseudonym && *known != NOBODY =>
            {
                Ok((*project, *number))
            }
            _ => Err(Contradiction),
        }
    }

    /// How many.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.ranked.len()).unwrap_or(u64::MAX)
    }

    /// The project's pseudonym and the dataset's of each, in the order of the project's.
    pub(crate) fn each(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.ranked.iter().filter_map(|number| {
            let at = usize::try_from(*number).ok()?;
            Some((*self.of_project.get(at)?, *self.of_dataset.get(at)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: u8, dataset: &str, agreement: &str) -> ProjectKey {
        ProjectKey::derive(
            &KeyText::new([secret; 32]),
            &DatasetId::new(dataset).unwrap(),
            &AgreementId::new(agreement).unwrap(),
        )
        .unwrap()
    }

    fn persons(key: &ProjectKey) -> Persons {
        let mut collected = Collected::default();
        for number in 0..1_000_u32 {
            // Every third has no row in what is granted.
            if number % 3 != 0 {
                collected.see(number, 5_000 + i64::from(number)).unwrap();
            }
        }
        collected.number(&Pseudonyms::new(key).unwrap()).unwrap()
    }

    #[test]
    fn pseudonym_depends_on_secret_dataset_agreement_and_person() {
        let of = |key: &ProjectKey, person| Pseudonyms::new(key).unwrap().of(person);
        let base = of(&key(1, "d1", "p1"), 7);
        assert_eq!(of(&key(1, "d1", "p1"), 7), base);
        for other in [
            of(&key(2, "d1", "p1"), 7),
            of(&key(1, "d2", "p1"), 7),
            of(&key(1, "d1", "p2"), 7),
            of(&key(1, "d1", "p1"), 8),
            of(&ProjectKey::random().unwrap(), 7),
        ] {
            assert_ne!(other, base);
            assert!(other >= 0);
        }
    }

    #[test]
    fn persons_are_numbered_without_gaps_in_an_order_of_the_projects_own() {
        let (one, two) = (persons(&key(1, "d1", "p1")), persons(&key(1, "d1", "p2")));
        assert_eq!(one.len(), 666);
        let numbers = |persons: &Persons| -> Vec<u32> {
            (0..1_000_u32)
                .filter(|number| number % 3 != 0)
                .map(|number| persons.get(number, 5_000 + i64::from(number)).unwrap().1)
                .collect()
        };
        let (first, second) = (numbers(&one), numbers(&two));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..666).collect::<Vec<u32>>());
        assert_eq!(
            numbers(&persons(&key(1, "d1", "p1"))),
            first,
            "the same key"
        );
        // 666 numbers in two random orders agree at about one place.
        let agree = |a: &[u32], b: &[u32]| a.iter().zip(b).filter(|(a, b)| a == b).count();
        assert!(agree(&first, &second) < 12);
        assert!(
            agree(&first, &sorted) < 12,
            "not the dataset's order either"
        );
        let all: Vec<(i64, i64)> = one.each().collect();
        assert_eq!(all.len(), 666);
        assert!(all.is_sorted());
    }

    #[test]
    fn numbers_that_contradict_their_pseudonyms_are_refused() {
        let mut collected = Collected::default();
        collected.see(1, 10).unwrap();
        assert!(collected.see(1, 11).is_err());
        assert!(collected.see(2, -1).is_err());
        assert!(collected.see(u32::MAX, 10).is_err());
        let persons = collected
            .number(&Pseudonyms::new(&key(1, "d1", "p1")).unwrap())
            .unwrap();
        assert!(persons.get(1, 10).is_ok());
        assert!(persons.get(1, 11).is_err());
        assert!(persons.get(0, NOBODY).is_err());
        assert!(persons.get(7, 10).is_err());
    }

    #[test]
    fn two_persons_with_one_pseudonym_make_no_extract() {
        let mut collected = Collected::default();
        // The dataset's own pseudonyms differ between persons; were they alike, the project's would be.
        collected.see(0, 10).unwrap();
        collected.see(1, 10).unwrap();
        let pseudonyms = Pseudonyms::new(&key(1, "d1", "p1")).unwrap();
        assert!(matches!(
            collected.number(&pseudonyms),
            Err(ExtractError::Collision)
        ));
    }
}
