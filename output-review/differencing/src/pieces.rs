//! Populations in pieces, so that those that differ by a few are found without comparing all.

use roaring::RoaringBitmap;

/// The most pieces: the highest threshold that is told apart exactly.
pub(crate) const PIECES_MAX: u32 = 1_000;

/// A fingerprint of each of a population's pieces. Two pieces with the same persons have the same one; two
/// others hardly ever, and then the exact comparison tells.
pub(crate) fn pieces(persons: &RoaringBitmap, count: u32) -> Vec<u64> {
    let count = count.clamp(1, PIECES_MAX);
    let mut sums = vec![0_u64; usize::try_from(count).unwrap_or(1)];
    for person in persons {
        let mixed = mix(u64::from(person));
        // The upper half chooses the piece, so that the sum of a piece isn't of numbers that look alike.
        let piece = usize::try_from((mixed >> 32) % u64::from(count)).unwrap_or(0);
        if let Some(sum) = sums.get_mut(piece) {
            *sum = sum.wrapping_add(mix(mixed));
        }
    }
    sums
}

/// A well-known mixer of 64 bits (the finalizer of `splitmix64`). No secret: who chooses persons to collide
/// makes more comparisons, not fewer.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The pigeonhole that the whole search rests on.
        #[test]
        fn populations_that_differ_by_fewer_than_the_pieces_share_one(
            base in proptest::collection::btree_set(0_u32..5_000, 0..400),
            toggled in proptest::collection::btree_set(0_u32..5_000, 1..12),
        ) {
            let count = u32::try_from(toggled.len()).unwrap() + 1;
            let a: RoaringBitmap = base.iter().copied().collect();
            let mut b = a.clone();
            for person in toggled {
                if !b.remove(person) {
                    b.insert(person);
                }
            }
            let shared = pieces(&a, count)
                .iter()
                .zip(pieces(&b, count))
                .any(|(x, y)| *x == y);
            prop_assert!(shared);
        }
    }
}
