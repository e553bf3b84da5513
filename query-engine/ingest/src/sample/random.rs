//! The sample's randomness: SplitMix64, written out here so that no library's next version changes what
//! a seed means. Not for secrets.

/// A stream of numbers of one patient.
pub(super) struct Random(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let mut start = Self(seed);
        let mixed = start.next();
        let mut own = Self(mixed ^ number.wrapping_mul(STEP));
        own.next();
        own
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `bound` - 1.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        // The high half of a product: unbiased enough for a sample, and no loop.
        let product = (self.next() >> 32) * u64::from(bound);
        u32::try_from(product >> 32).unwrap_or(0)
    }

    /// Both ends included.
    pub(super) fn between(&mut self, from: i32, to: i32) -> i32 {
        let width = u32::try_from(to - from + 1).unwrap_or(1);
        from + i32::try_from(self.below(width)).unwrap_or(0)
    }

    pub(super) fn chance(&mut self, of_a_million: u32) -> bool {
        self.below(1_000_000) < of_a_million
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let length = u32::try_from(from.len()).unwrap_or(0);
        let at = self.below(length.max(1));
        from.get(usize::try_from(at).unwrap_or(0))
    }

    /// Earlier ones far more often than later ones, as with family names.
    pub(super) fn pick_skewed<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let length = u32::try_from(from.len()).unwrap_or(0);
        let at = self.below(length.max(1)).min(self.below(length.max(1)));
        from.get(usize::try_from(at).unwrap_or(0))
    }

    /// By weight.
    pub(super) fn pick_weighted<'a, T>(
        &mut self,
        from: &'a [T],
        weight: impl Fn(&T) -> u32,
    ) -> Option<&'a T> {
        let total: u32 = from.iter().map(&weight).sum();
        let mut left = self.below(total.max(1));
        from.iter().find(|item| {
            let own = weight(item);
            let is_it = left < own;
            left = left.saturating_sub(own);
            is_it
        })
    }

    /// About normal: the sum of twelve uniform numbers, exact on every machine (no logarithm).
    pub(super) fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..12)
            .map(|_| f64::from(self.below(1 << 24)) / f64::from(1 << 24))
            .sum();
        mean + deviation * (sum - 6.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_of_a_seed_never_changes() {
        // These numbers are what "same seed, same bytes" rests on.
        let mut random = Random::new(42, 7);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        let mut again = Random::new(42, 7);
        assert_eq!(first, (0..3).map(|_| again.next()).collect::<Vec<_>>());
        assert_ne!(Random::new(42, 8).next(), first[0]);
        assert_ne!(Random::new(43, 7).next(), first[0]);
    }

    #[test]
    fn picks_stay_in_bounds_and_follow_weights() {
        let mut random = Random::new(1, 1);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            assert!((-3..=3).contains(&random.between(-3, 3)));
            let (at, _) = random
                .pick_weighted(&[(0, 70), (1, 29), (2, 1)], |item| item.1)
                .unwrap();
            counts[*at] += 1;
        }
        assert!(
            counts[0] > 6_500 && counts[1] > 2_500 && (30..300).contains(&counts[2]),
            "{counts:?}"
        );
        let mean = (0..10_000).map(|_| random.normal(5.0, 1.0)).sum::<f64>() / 10_000.0;
        assert!((4.9..5.1).contains(&mean));
    }
}
