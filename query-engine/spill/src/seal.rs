//! A block of a spilled file, sealed.
//!
//! AES-256-GCM under one random key for each process. The nonce is the file's number and the block's number
//! in it: file numbers are given out once, and a file's only writer seals its blocks in order, so no nonce
//! comes twice. What is authenticated beside the block is where it lies and how long it is.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::SpillError;
use crate::slots::SLOT_BYTES;

/// Bytes of a tag.
const TAG_BYTES: usize = 16;
/// The most bytes of a file in one block.
pub const BLOCK_BYTES: usize = SLOT_BYTES - TAG_BYTES;
/// Names this use of the key, and its version.
const CONTEXT: [u8; 16] = *b"kekkai spill 1  ";

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file's number: never given out again.
    pub(crate) file: u32,
    /// Counted from 0 within the file.
    pub(crate) block: u64,
    /// In the one file on disk.
    pub(crate) slot: u64,
}

impl Place {
    fn nonce(self) -> Nonce {
        let mut bytes = [0; NONCE_LEN];
        let (file, block) = bytes.split_at_mut(size_of::<u32>());
        file.copy_from_slice(&self.file.to_be_bytes());
        block.copy_from_slice(&self.block.to_be_bytes());
        Nonce::assume_unique_for_key(bytes)
    }

    fn aad(self, bytes: usize) -> Result<Aad<Vec<u8>>, SpillError> {
        let bytes = u64::try_from(bytes).map_err(|_| SpillError::Bug("a block's length"))?;
        let mut aad = CONTEXT.to_vec();
        aad.extend_from_slice(&self.file.to_be_bytes());
        aad.extend_from_slice(&self.block.to_be_bytes());
        aad.extend_from_slice(&self.slot.to_be_bytes());
        aad.extend_from_slice(&bytes.to_be_bytes());
        Ok(Aad::from(aad))
    }
}

/// The key of one process. Prints nothing, is copied nowhere; the library keeps it expanded, in memory that
/// is neither dumped nor, where the host allows it, swapped.
pub(crate) struct Key(LessSafeKey);

impl Key {
    /// A key that nobody else has, and nobody will.
    pub(crate) fn random() -> Result<Self, SpillError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| SpillError::NoKey)?;
        let key = UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map_err(|_| SpillError::NoKey)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a block where it lies; it grows by a tag.
    pub(crate) fn seal(&self, place: Place, block: &mut Vec<u8>) -> Result<(), SpillError> {
        let aad = place.aad(block.len())?;
        self.0
            .seal_in_place_append_tag(place.nonce(), aad, block)
            .map_err(|_| SpillError::Bug("a block that can't be sealed"))
    }

    /// Opens a block where it lies; it shrinks by its tag. What does not open is wiped of its length too.
    pub(crate) fn open(&self, place: Place, sealed: &mut Vec<u8>) -> Result<(), SpillError> {
        let bytes = sealed
            .len()
            .checked_sub(TAG_BYTES)
            .ok_or(SpillError::Changed)?;
        let opened = self
            .0
            .open_in_place(place.nonce(), place.aad(bytes)?, sealed)
            .map(|_| ());
        // Nothing of a block that is not ours is given on.
        sealed.truncate(if opened.is_ok() { bytes } else { 0 });
        opened.map_err(|_| SpillError::Changed)
    }
}

/// Bytes that a block takes on disk.
pub(crate) const fn sealed_bytes(bytes: usize) -> usize {
    bytes + TAG_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        file: 3,
        block: 5,
        slot: 7,
    };

    #[test]
    fn block_opens_only_in_its_own_place_under_its_own_key() {
        let key = Key::random().unwrap();
        let mut sealed = b"one row".to_vec();
        key.seal(PLACE, &mut sealed).unwrap();
        let elsewhere = [
            Place { file: 4, ..PLACE },
            Place { block: 6, ..PLACE },
            Place { slot: 8, ..PLACE },
        ];
        for place in elsewhere {
            let mut copy = sealed.clone();
            let opened = key.open(place, &mut copy);
            assert!(matches!(opened, Err(SpillError::Changed)), "{place:?}");
            assert!(copy.is_empty());
        }
        let other = Key::random().unwrap();
        assert!(other.open(PLACE, &mut sealed.clone()).is_err());
        key.open(PLACE, &mut sealed).unwrap();
        assert_eq!(sealed, b"one row");
    }

    #[test]
    fn each_flipped_bit_and_each_cut_is_found() {
        let key = Key::random().unwrap();
        let mut sealed = b"some rows".to_vec();
        key.seal(PLACE, &mut sealed).unwrap();
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(key.open(PLACE, &mut flipped).is_err(), "{at}");
            assert!(key.open(PLACE, &mut sealed[..at].to_vec()).is_err(), "{at}");
        }
    }
}
