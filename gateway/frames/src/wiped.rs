//! Bytes of pictures, overwritten when they are dropped.
//!
//! `zeroize` overwrites bytes one by one, and does so even optimised, since its writes are volatile: for
//! pictures that was two fifths of what a frame took. Its writes are as volatile here, eight bytes at a time.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// Overwrites all that a vector has allocated, and empties it.
pub fn wipe(bytes: &mut Vec<u8>) {
    // Within the allocation: nothing moves.
    bytes.resize(bytes.capacity(), 0);
    overwrite(bytes);
    bytes.clear();
}

fn overwrite(bytes: &mut [u8]) {
    let (first, words, last) = bytemuck::pod_align_to_mut::<u8, u64>(bytes);
    first.zeroize();
    words.zeroize();
    last.zeroize();
}

/// Bytes that are overwritten when they are dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// Takes bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wiped({} bytes)", self.0.len())
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_overwritten_wherever_it_lies() {
        for length in [0, 1, 7, 8, 9, 63, 64, 65, 4096] {
            for from in 0..9.min(length + 1) {
                let mut bytes = vec![7_u8; length + from];
                overwrite(bytes.split_at_mut(from).1);
                let (before, overwritten) = bytes.split_at(from);
                assert!(before.iter().all(|byte| *byte == 7), "{length} from {from}");
                assert!(
                    overwritten.iter().all(|byte| *byte == 0),
                    "{length} from {from}"
                );
            }
        }
    }

    #[test]
    fn what_is_wiped_stays_in_its_allocation() {
        let mut bytes = vec![7_u8; 100];
        bytes.truncate(40);
        let (capacity, address) = (bytes.capacity(), bytes.as_ptr());
        wipe(&mut bytes);
        assert!(bytes.is_empty());
        assert_eq!((bytes.capacity(), bytes.as_ptr()), (capacity, address));
    }

    #[test]
    fn nothing_of_it_is_printed() {
        assert_eq!(format!("{:?}", Wiped::new(vec![42; 3])), "Wiped(3 bytes)");
    }
}
