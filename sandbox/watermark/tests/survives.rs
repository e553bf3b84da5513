//! The mark is read back from what people do to pictures. Each case prints its seed; `KEKKAI_SEED=N` runs
//! that case alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod scene;

use image::RgbImage;
use kekkai_watermark::{Hints, Mark, read};
use scene::{Hardness, Seed};

const SIZES: [(u32, u32); 2] = [(1280, 800), (1920, 1080)];

/// Reads `cases` pictures that `distort` makes of marked screens; the share that gave their mark.
fn share(name: &str, cases: u64, distort: impl Fn(RgbImage, &mut Seed) -> RgbImage + Sync) -> f64 {
    let only: Option<u64> = std::env::var("KEKKAI_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let cases = std::env::var("KEKKAI_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(cases);
    let seeds: Vec<u64> = only.map_or((0..cases).collect(), |seed| vec![seed]);
    let (mut good, mut time) = (0, std::time::Duration::ZERO);
    for number in &seeds {
        let mut seed = Seed(*number);
        let mark = Mark::new(seed.next() as u32);
        let (width, height) = SIZES[(*number % 2) as usize];
        let kind = (*number / 2) as u32;
        let screen = scene::screen(width, height, kind, &mut seed);
        let image = distort(scene::marked(screen, mark), &mut seed);
        if only.is_some() {
            image
                .save(std::env::temp_dir().join("kekkai-watermark-case.png"))
                .unwrap();
        }
        let begin = std::time::Instant::now();
        let found = read(&scene::picture(&image), &Hints::default());
        time += begin.elapsed();
        match found {
            Ok(reading) => {
                assert_eq!(reading.mark, mark, "{name}, seed {number}: another's mark");
                good += 1;
            }
            Err(error) => println!(
                "{name}, seed {number}, kind {}, {}x{}: {error}",
                kind % scene::KINDS,
                image.width(),
                image.height()
            ),
        }
    }
    let share = f64::from(good) / seeds.len() as f64;
    println!(
        "{name}: {good} of {} read, seeds {:?}, {:.2} s each",
        seeds.len(),
        seeds.first().zip(seeds.last()),
        time.as_secs_f64() / seeds.len() as f64
    );
    share
}

fn quarter(image: &RgbImage, seed: &mut Seed) -> RgbImage {
    let (width, height) = (image.width() / 2, image.height() / 2);
    let (x, y) = (seed.below(width + 1), seed.below(height + 1));
    scene::crop(image, x, y, width, height)
}

#[test]
fn mark_survives_as_it_is() {
    assert!(share("as it is", 20, |image, _| image) >= 0.99);
}

#[test]
fn mark_survives_half_the_size() {
    assert!(
        share("half the size", 60, |image, seed| scene::scaled(
            &image,
            0.5,
            seed.below(3)
        )) >= 0.95
    );
}

#[test]
fn mark_survives_jpeg_of_quality_50() {
    assert!(share("JPEG 50", 60, |image, _| scene::jpeg(&image, 50)) >= 0.95);
}

#[test]
fn mark_survives_a_quarter_cut_out() {
    assert!(share("a quarter", 60, |image, seed| quarter(&image, seed)) >= 0.95);
}

#[test]
fn mark_survives_a_photograph() {
    let hardness = Hardness {
        tilt: 12.0,
        roll: 8.0,
        noise: 4.0,
    };
    assert!(
        share("photograph", 60, |image, seed| scene::photo(
            &image, hardness, seed
        )
        .image)
            >= 0.9
    );
}

#[test]
fn mark_survives_half_the_size_and_jpeg_after_it() {
    let both = |image: RgbImage, seed: &mut Seed| {
        let half = scene::scaled(&image, 0.5, seed.below(3));
        scene::jpeg(&half, 70)
    };
    assert!(share("half the size, then JPEG 70", 40, both) >= 0.95);
}

#[test]
fn mark_survives_turning_mirroring_and_odd_scales() {
    let odd = |image: RgbImage, seed: &mut Seed| {
        let mut image = scene::scaled(&image, seed.between(0.5, 1.7), seed.below(3));
        if seed.below(2) == 0 {
            image = image::imageops::flip_horizontal(&image);
        }
        for _ in 0..seed.below(4) {
            image = image::imageops::rotate90(&image);
        }
        image
    };
    assert!(share("turned, mirrored, scaled", 40, odd) >= 0.95);
}

#[test]
fn mark_survives_a_small_cut_out() {
    let small = |image: RgbImage, seed: &mut Seed| {
        let (x, y) = (
            seed.below(image.width() - 399),
            seed.below(image.height() - 299),
        );
        scene::crop(&image, x, y, 400, 300)
    };
    assert!(share("400 x 300 cut out", 40, small) >= 0.95);
}
