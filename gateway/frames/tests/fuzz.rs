//! Whatever bytes come: refused or understood, never a panic, and what is understood is written the same way
//! again. The seed is printed; `KEKKAI_SEED=…` replays it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

use kekkai_frames::{
    Canvas, Compressor, Decompressor, Deframer, INPUT_BYTES_MAX, OUTPUT_BYTES_MAX, decode_input,
    decode_lossless, decode_lossy, decode_output, encode_input, encode_lossless, encode_lossy,
    encode_output, prefix,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

mod common;

const CASES: u32 = 120_000;

/// Small and repeatable.
struct Random(u64);

impl Random {
    fn new(name: &str) -> Self {
        let seed = std::env::var("KEKKAI_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| {
                let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
                u64::try_from(now & 0xffff_ffff).unwrap()
            });
        println!("{name}: KEKKAI_SEED={seed}");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn bytes(&mut self, length_max: usize) -> Vec<u8> {
        let length = self.below(length_max);
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    /// A few flipped bits, a cut, a splice of two, bytes put in between, or a length made wrong.
    fn spoil(&mut self, one: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = one.to_vec();
        for _ in 0..=self.below(3) {
            match self.below(6) {
                0 | 1 if !bytes.is_empty() => {
                    let at = self.below(bytes.len());
                    bytes[at] ^= 1 << self.below(8);
                }
                2 => bytes.truncate(self.below(bytes.len() + 1)),
                3 => {
                    bytes.truncate(self.below(bytes.len() + 1));
                    bytes.extend(&other[self.below(other.len() + 1)..]);
                }
                4 => {
                    let at = self.below(bytes.len() + 1);
                    let more = self.bytes(8);
                    bytes.splice(at..at, more);
                }
                _ if !bytes.is_empty() => {
                    let at = self.below(bytes.len());
                    bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)];
                }
                _ => {}
            }
        }
        bytes
    }
}

/// Valid messages to spoil.
fn samples<T>(random: &mut Random, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut seed = [0; 32];
    seed.fill_with(|| random.next().to_be_bytes()[0]);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..500)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

#[test]
fn outputs() {
    let mut random = Random::new("outputs");
    let valid: Vec<_> = samples(&mut random, common::output())
        .iter()
        .map(encode_output)
        .collect();
    let mut canvas = Canvas::new(640, 480).unwrap();
    let mut understood = 0;
    for case in 0..CASES {
        let bytes = match case % 4 {
            0 => random.bytes(64),
            _ => {
                let (one, other) = (random.below(valid.len()), random.below(valid.len()));
                random.spoil(&valid[one], &valid[other])
            }
        };
        if let Ok(output) = decode_output(&bytes) {
            understood += 1;
            assert_eq!(encode_output(&output), bytes, "one encoding each");
            let _ = canvas.apply(&output);
            let (width, height) = (usize::from(canvas.width()), usize::from(canvas.height()));
            assert_eq!(canvas.rgba().len(), width * height * 4);
        }
    }
    assert!(
        understood > CASES / 20,
        "{understood} understood: the spoiling reaches the insides"
    );
}

#[test]
fn inputs() {
    let mut random = Random::new("inputs");
    let valid: Vec<_> = samples(&mut random, common::input())
        .iter()
        .map(encode_input)
        .collect();
    let mut understood = 0;
    for case in 0..CASES {
        let bytes = match case % 4 {
            0 => random.bytes(20),
            _ => {
                let (one, other) = (random.below(valid.len()), random.below(valid.len()));
                random.spoil(&valid[one], &valid[other])
            }
        };
        if let Ok(input) = decode_input(&bytes) {
            understood += 1;
            assert_eq!(encode_input(&input), bytes, "one encoding each");
        }
    }
    assert!(
        understood > CASES / 20,
        "{understood} understood: the spoiling reaches the insides"
    );
}

#[test]
fn tiles() {
    let mut random = Random::new("tiles");
    let picture = |random: &mut Random, colours: usize| -> Vec<u8> {
        (0..40 * 30)
            .flat_map(|_| {
                let level = u8::try_from(random.below(colours)).unwrap();
                [level, level / 2, level.wrapping_mul(3), 255]
            })
            .collect()
    };
    let valid: Vec<_> = [1, 2, 4, 16, 250]
        .map(|colours| picture(&mut random, colours))
        .iter()
        .flat_map(|rgba| {
            [
                encode_lossless(rgba, 40, 30).unwrap(),
                encode_lossy(rgba, 40, 30, 70).unwrap(),
            ]
        })
        .collect();
    for case in 0..12_000 {
        let bytes = match case % 4 {
            0 => random.bytes(300),
            _ => {
                let (one, other) = (random.below(valid.len()), random.below(valid.len()));
                random.spoil(&valid[one], &valid[other])
            }
        };
        if let Ok(rgba) = decode_lossless(&bytes, 40, 30) {
            assert_eq!(rgba.len(), 40 * 30 * 4);
        }
        if let Ok(rgba) = decode_lossy(&bytes, 40, 30) {
            assert_eq!(rgba.len(), 40 * 30 * 4);
        }
    }
}

#[test]
fn chunks() {
    let mut random = Random::new("chunks");
    for case in 0..20_000 {
        let mut decompressor = Decompressor::new();
        let mut compressor = Compressor::new();
        for _ in 0..3 {
            // No message is empty.
            let message = [random.bytes(400), vec![1]].concat();
            let mut chunk = compressor.chunk(&message).unwrap().to_vec();
            if case % 2 == 0 {
                chunk = random.spoil(&chunk, &message);
                // Past the first look.
                chunk.extend([0, 0, 255, 255]);
            }
            match decompressor.next(&chunk) {
                Ok(made) => assert!(made.len() <= OUTPUT_BYTES_MAX),
                Err(_) => assert!(decompressor.next(&chunk).is_err(), "an error stays"),
            }
        }
    }
}

#[test]
fn streams() {
    let mut random = Random::new("streams");
    for _ in 0..20_000 {
        let mut stream: Vec<u8> = Vec::new();
        for _ in 0..4 {
            stream.extend(prefix(&random.bytes(40)));
        }
        let stream = random.spoil(&stream, &[0, 0, 4, 1]);
        let mut deframer = Deframer::new(INPUT_BYTES_MAX);
        let mut seen = 0;
        for piece in stream.chunks(1 + random.below(50)) {
            deframer.feed(piece);
            while let Ok(Some(message)) = deframer.next() {
                assert!((1..=INPUT_BYTES_MAX).contains(&message.len()));
                seen += message.len() + 4;
            }
        }
        assert!(seen <= stream.len());
    }
}
