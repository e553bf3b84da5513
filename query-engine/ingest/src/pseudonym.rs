//! Pseudonyms: keyed, so that nobody without the key can compute one from a patient number; the same in
//! every table and every version of a dataset, so that tables join and releases can be compared.
//!
//! A pseudonym is the first 63 bits of HMAC-SHA-256 over the domain and the value, a positive `bigint`.
//! For persons the map is checked to be one to one.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kekkai_types::{DatasetId, KeyText};
use sha2::Sha256;

/// Persons in one dataset. Each takes about 20 bytes of memory while it is ingested.
pub const PERSONS_MAX: usize = 1 << 27;
const _: () = assert!(
    PERSONS_MAX <= u32::MAX as usize,
    "a person's number has 32 bits"
);

/// The key that a dataset's pseudonyms are made with. It is never written anywhere: whoever holds it
/// can find a patient in the data.
pub struct PseudonymKey(KeyText);

impl PseudonymKey {
    /// Derives a dataset's key from the producer's secret, so that the producer can make the same
    /// pseudonyms again for the next version: HKDF-SHA-256 (RFC 5869) without salt, with
    /// `kekkai pseudonym key v1/DATASET` as info. Two datasets of one producer can't be joined.
    ///
    /// # Errors
    /// None in practice: 32 bytes are within what HKDF can give.
    pub fn derive(secret: &KeyText, dataset: &DatasetId) -> Result<Self, crate::IngestError> {
        let info = format!("kekkai pseudonym key v1/{dataset}");
        let mut key = [0; 32];
        let expanded = Hkdf::<Sha256>::new(None, secret.expose()).expand(info.as_bytes(), &mut key);
        let derived = Self(KeyText::new(key));
        zeroize::Zeroize::zeroize(&mut key);
        expanded
            .map(|()| derived)
            .map_err(|_| crate::IngestError::Internal("a key of 32 bytes can't be derived"))
    }

    /// A key that is forgotten after use: the next version will have other pseudonyms.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn random() -> Result<Self, crate::IngestError> {
        KeyText::random()
            .map(Self)
            .map_err(|_| crate::IngestError::Randomness)
    }
}

/// What became of a value.
pub(crate) enum Pseudonym {
    /// The pseudonym, positive, and the person's number: that of the first appearance, from 0.
    Is {
        pseudonym: i64,
        number: u32,
        is_new: bool,
    },
    /// Another person has it already.
    Collision,
    /// [`PERSONS_MAX`] reached.
    Full,
}

/// Makes pseudonyms for one ingest.
pub(crate) struct Pseudonyms {
    mac: Hmac<Sha256>,
    /// Pseudonym to further bits of the same HMAC, since equal pseudonyms with other bits are two
    /// persons, and to the person's number.
    persons: HashMap<u64, (u32, u32), BuildHasherDefault<Already>>,
    max: usize,
}

/// HMAC output is as good a hash as any.
#[derive(Default)]
pub(crate) struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        // Without the sign bit of the pseudonym the top bits would be the same for half of the table.
        self.0 = value.rotate_left(1);
    }
}

impl Pseudonyms {
    pub(crate) fn new(key: &PseudonymKey) -> Result<Self, crate::IngestError> {
        let mac = Hmac::new_from_slice(key.0.expose())
            .map_err(|_| crate::IngestError::Internal("a key of 32 bytes does not fit HMAC"))?;
        Ok(Self {
            mac,
            persons: HashMap::default(),
            max: PERSONS_MAX,
        })
    }

    fn digest(&self, domain: &str, value: &str) -> (u64, u32) {
        let mut mac = self.mac.clone();
        mac.update(domain.as_bytes());
        // Domains hold no NUL, so no domain and value read like another pair.
        mac.update(&[0]);
        mac.update(value.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let (mut first, mut second) = ([0; 8], [0; 4]);
        for (to, from) in first.iter_mut().chain(second.iter_mut()).zip(bytes) {
            *to = from;
        }
        (u64::from_be_bytes(first) >> 1, u32::from_be_bytes(second))
    }

    /// The pseudonym of a key that is not a person's.
    pub(crate) fn key(&self, domain: &str, value: &str) -> i64 {
        i64::try_from(self.digest(domain, value).0).unwrap_or(i64::MAX)
    }

    /// The pseudonym of a person.
    pub(crate) fn person(&mut self, domain: &str, value: &str) -> Pseudonym {
        let (pseudonym, rest) = self.digest(domain, value);
        let (number, is_new) = match self.persons.get(&pseudonym) {
            Some((known, _)) if *known != rest => return Pseudonym::Collision,
            Some((_, number)) => (*number, false),
            None if self.persons.len() >= self.max => return Pseudonym::Full,
            None => {
                let Ok(number) = u32::try_from(self.persons.len()) else {
                    return Pseudonym::Full;
                };
                self.persons.insert(pseudonym, (rest, number));
                (number, true)
            }
        };
        i64::try_from(pseudonym).map_or(Pseudonym::Collision, |pseudonym| Pseudonym::Is {
            pseudonym,
            number,
            is_new,
        })
    }

    /// Persons so far.
    pub(crate) fn persons(&self) -> u64 {
        u64::try_from(self.persons.len()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonyms(secret: u8, dataset: &str) -> Pseudonyms {
        let dataset = DatasetId::new(dataset).unwrap();
        Pseudonyms::new(&PseudonymKey::derive(&KeyText::new([secret; 32]), &dataset).unwrap())
            .unwrap()
    }

    #[test]
    fn pseudonym_depends_on_secret_dataset_domain_and_value() {
        let base = pseudonyms(1, "d1").key("person", "00001");
        assert_eq!(pseudonyms(1, "d1").key("person", "00001"), base);
        for other in [
            pseudonyms(2, "d1").key("person", "00001"),
            pseudonyms(1, "d2").key("person", "00001"),
            pseudonyms(1, "d1").key("visit", "00001"),
            pseudonyms(1, "d1").key("person", "00002"),
        ] {
            assert_ne!(other, base);
            assert!(other > 0);
        }
    }

    #[test]
    fn person_and_key_agree_so_that_tables_join() {
        let mut pseudonyms = pseudonyms(1, "d1");
        let key = pseudonyms.key("person", "7");
        for (value, expected) in [("7", (0, true)), ("8", (1, true)), ("7", (0, false))] {
            let Pseudonym::Is {
                pseudonym,
                number,
                is_new,
            } = pseudonyms.person("person", value)
            else {
                panic!("no collision, and room");
            };
            assert_eq!(pseudonym == key, value == "7");
            assert_eq!((number, is_new), expected);
        }
        assert_eq!(pseudonyms.persons(), 2);
    }

    #[test]
    fn two_persons_with_one_pseudonym_are_refused() {
        let mut pseudonyms = pseudonyms(1, "d1");
        let (pseudonym, rest) = pseudonyms.digest("person", "7");
        // As if somebody else had come to the same 63 bits.
        pseudonyms.persons.insert(pseudonym, (rest ^ 1, 0));
        assert!(matches!(
            pseudonyms.person("person", "7"),
            Pseudonym::Collision
        ));
    }

    #[test]
    fn persons_beyond_the_bound_are_refused() {
        let mut pseudonyms = pseudonyms(1, "d1");
        pseudonyms.max = 2;
        assert!(matches!(
            pseudonyms.person("person", "1"),
            Pseudonym::Is { .. }
        ));
        assert!(matches!(
            pseudonyms.person("person", "2"),
            Pseudonym::Is { .. }
        ));
        assert!(matches!(pseudonyms.person("person", "3"), Pseudonym::Full));
        assert!(matches!(
            pseudonyms.person("person", "1"),
            Pseudonym::Is { .. }
        ));
    }
}
