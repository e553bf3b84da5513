//! A mark as 192 signs, and back from what a picture kept of them.
//!
//! The word is the mark and 32 bits of a hash of it. It is written with the tail-biting convolutional code
//! of rate 1/3 and constraint length 7 (generators 133, 171, 165 octal, free distance 15), which a Viterbi
//! decoder reads from measured strengths: a seventh of the signs may be unseen and some others wrong, and
//! all but a few in ten thousand marks are read.
//!
//! A decoder always finds some word. That an unmarked picture's is not taken for a mark rests on the hash
//! alone: whatever the picture, the 32 bits fit by chance once in 2^32 words.

use sha2::{Digest, Sha256};

use crate::Mark;

/// Signs of a written mark.
pub(crate) const SIGNS: usize = WORD_BITS * 3;
/// Bits of the hash that a word must fit.
pub(crate) const CHECK_BITS: u32 = 32;

/// The mark and its check.
const WORD_BITS: usize = 64;
/// States of the code's register: the last six bits.
const STATES: usize = 64;
/// Which of the register's seven bits each of the three signs sums up.
const GENERATORS: [usize; 3] = [0o133, 0o171, 0o165];

/// The mark with its check behind it.
fn word(mark: Mark) -> u64 {
    u64::from(mark.number()) << CHECK_BITS | u64::from(check(mark))
}

/// The first bits of SHA-256 over a name and the mark.
fn check(mark: Mark) -> u32 {
    let digest = Sha256::new()
        .chain_update(b"kekkai-watermark/1 check")
        .chain_update(mark.number().to_be_bytes())
        .finalize();
    digest
        .iter()
        .take(4)
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// The three signs for a register of seven bits, as a number below 8.
const fn outputs(register: usize) -> usize {
    let [a, b, c] = GENERATORS;
    ((register & a).count_ones() as usize & 1) << 2
        | ((register & b).count_ones() as usize & 1) << 1
        | ((register & c).count_ones() as usize & 1)
}

/// Bit `i` of a word, from its highest.
fn bit(word: u64, i: usize) -> usize {
    usize::from(word >> (WORD_BITS - 1 - i % WORD_BITS) & 1 == 1)
}

/// The mark's signs: `true` for plus.
pub(crate) fn encode(mark: Mark) -> [bool; SIGNS] {
    signs(word(mark))
}

fn signs(word: u64) -> [bool; SIGNS] {
    let mut signs = [false; SIGNS];
    // Tail-biting: before its first bit, the register holds its last six.
    let mut register = (WORD_BITS - 6..WORD_BITS).fold(0, |sum, i| sum << 1 | bit(word, i));
    for (i, three) in signs.chunks_exact_mut(3).enumerate() {
        register = (register << 1 | bit(word, i)) & 0x7f;
        let out = outputs(register);
        for (sign, shift) in three.iter_mut().zip([2, 1, 0]) {
            *sign = out >> shift & 1 == 1;
        }
    }
    signs
}

/// What was decoded and fits its check.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decoded {
    /// The mark.
    pub(crate) mark: Mark,
    /// How much of the measured strength has the mark's signs: 1 for all, 0 for as much as not.
    pub(crate) agreement: f32,
}

/// Reads strengths (positive for plus, 0 for unknown): the likeliest word's mark, if the check fits.
pub(crate) fn decode(strengths: &[f32; SIGNS]) -> Option<Decoded> {
    let found = likeliest_word(strengths);
    let mark = Mark::new(u32::try_from(found >> CHECK_BITS).ok()?);
    if word(mark) != found {
        return None;
    }
    let (mut with, mut all) = (0.0, 0.0);
    for (strength, sign) in strengths.iter().zip(encode(mark)) {
        with += if sign { *strength } else { -strength };
        all += strength.abs();
    }
    Some(Decoded {
        mark,
        agreement: with / f32::max(all, f32::MIN_POSITIVE),
    })
}

/// Viterbi's algorithm, three times around the ring; the round in the middle counts, since by then the
/// unknown beginning is forgotten and the unknown end not yet there.
pub(crate) fn likeliest_word(strengths: &[f32; SIGNS]) -> u64 {
    let mut metrics = [0.0_f32; STATES];
    // One bit for each state: which of its two predecessors was better.
    let mut survivors = Vec::with_capacity(WORD_BITS * 3);
    for three in std::iter::repeat_n(strengths, 3).flat_map(|all| all.chunks_exact(3)) {
        let mut gains = [0.0_f32; 8];
        for (out, gain) in gains.iter_mut().enumerate() {
            for (strength, shift) in three.iter().zip([2, 1, 0]) {
                *gain += if out >> shift & 1 == 1 {
                    *strength
                } else {
                    -strength
                };
            }
        }
        let gain = |register| gains.get(outputs(register)).copied().unwrap_or(0.0);
        let before = |state: usize| metrics.get(state).copied().unwrap_or(0.0);
        let mut next = [0.0_f32; STATES];
        let mut better = 0_u64;
        for (state, metric) in next.iter_mut().enumerate() {
            let zero = before(state >> 1) + gain(state);
            let one = before(state >> 1 | 0x20) + gain(state | 0x40);
            *metric = zero.max(one);
            better |= u64::from(one > zero) << state;
        }
        metrics = next;
        survivors.push(better);
    }
    let (mut state, _) = metrics
        .iter()
        .enumerate()
        .fold((0, f32::MIN), |best, (state, metric)| {
            if *metric > best.1 {
                (state, *metric)
            } else {
                best
            }
        });
    let mut word = 0;
    for (step, better) in survivors.iter().enumerate().rev() {
        if (WORD_BITS..WORD_BITS * 2).contains(&step) {
            word |= u64::from(state & 1 == 1) << (WORD_BITS * 2 - 1 - step);
        }
        state = state >> 1 | usize::from(better >> state & 1 == 1) << 5;
    }
    word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strengths(mark: Mark) -> [f32; SIGNS] {
        encode(mark).map(|sign| if sign { 1.0 } else { -1.0 })
    }

    /// Numbers between -1 and 1 that a seed gives.
    fn noise(seed: u64) -> [f32; SIGNS] {
        let digest = |i: usize| -> [u8; 32] {
            Sha256::new()
                .chain_update(seed.to_be_bytes())
                .chain_update(i.to_be_bytes())
                .finalize()
                .into()
        };
        let mut bytes = (0..).flat_map(digest);
        [0.0; SIGNS].map(|_: f32| f32::from(bytes.next().unwrap_or(0)) / 127.5 - 1.0)
    }

    proptest! {
        /// Fewer unknown signs and twice wrong ones than two words differ in: certainly read.
        #[test]
        fn mark_is_read_with_any_fourteen_signs_unknown_or_half_as_many_wrong(
            number: u32,
            wrong in 0..=7_usize,
            order in Just((0..SIGNS).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mark = Mark::new(number);
            let mut seen = strengths(mark);
            for (i, place) in order.into_iter().take(14 - wrong).enumerate() {
                if let Some(sign) = seen.get_mut(place) {
                    *sign *= if i < wrong { -1.0 } else { 0.0 };
                }
            }
            prop_assert_eq!(decode(&seen).map(|found| found.mark), Some(mark));
        }

        #[test]
        fn two_marks_differ_in_at_least_fifteen_signs(a: u32, b: u32, bit in 0..32_u32) {
            for b in [b, a ^ 1 << bit] {
                let differing = encode(Mark::new(a))
                    .iter()
                    .zip(encode(Mark::new(b)))
                    .filter(|(x, y)| **x != *y)
                    .count();
                prop_assert!(a == b || differing >= 15, "{a:08x} {b:08x}: {differing}");
            }
        }
    }

    /// Beyond what is certain, chance decides: whether the lost signs stand close together. Counted over
    /// fixed pictures, since a picture that cannot be read exists for every code.
    #[test]
    fn nearly_every_mark_is_read_with_a_seventh_of_its_signs_unknown_and_some_wrong() {
        const MARKS: u32 = 20_000;
        let mut unread = 0;
        for seed in 0..MARKS {
            let mark = Mark::new(seed.wrapping_mul(0x9e37_79b1));
            let mut seen = strengths(mark);
            for (sign, chance) in seen.iter_mut().zip(noise(u64::from(seed))) {
                if chance < -0.95 {
                    *sign = -*sign;
                } else if chance > 0.7 {
                    *sign = 0.0;
                }
            }
            match decode(&seen) {
                Some(found) => assert_eq!(found.mark, mark, "seed {seed} is read as another mark"),
                None => unread += 1,
            }
        }
        println!("{unread} of {MARKS} marks were not read");
        assert!(unread <= MARKS / 1000, "{unread} of {MARKS}");
    }

    /// What the bound on false positives rests on: of words that come from no mark, one in 2^n fits the
    /// first n bits of its check. Counted for n = 1, 4, 8 and 12; n = 32 follows in the same way.
    #[test]
    fn words_of_noise_fit_their_check_as_often_as_chance_says() {
        const WORDS: u32 = 200_000;
        let mut fits = [(1, 0_u32), (4, 0), (8, 0), (12, 0), (32, 0)];
        for seed in 0..WORDS {
            let found = likeliest_word(&noise(u64::from(seed)));
            let mark = Mark::new(u32::try_from(found >> CHECK_BITS).unwrap_or(0));
            let differing = (found ^ word(mark)) << 32;
            for (bits, count) in &mut fits {
                *count += u32::from(differing.leading_zeros() >= *bits);
            }
        }
        for (bits, count) in fits {
            let expected = f64::from(WORDS) / f64::from(bits).exp2();
            let off = (f64::from(count) - expected).abs();
            println!("{bits} bits: {count} of {WORDS} words fit, {expected:.2} expected");
            assert!(
                off <= 5.0 * expected.sqrt() + 1e-3,
                "{bits} bits: {count}, {expected}"
            );
        }
    }

    #[test]
    fn nothing_seen_is_no_mark() {
        assert_eq!(decode(&[0.0; SIGNS]), None);
        assert_eq!(decode(&[1.0; SIGNS]), None);
        assert_eq!(decode(&[-1.0; SIGNS]), None);
    }
}
