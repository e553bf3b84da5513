//! The mark is read back from what people do to pictures. Cases that fail print their seed; `KEKKAI_SEED=N`
//! runs that case alone and keeps its picture, `KEKKAI_CASES=N` another number of them.
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

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

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
    let next = AtomicUsize::new(0);
    let (good, time) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(number) = seeds.get(next.fetch_add(1, Relaxed)) {
                    let begin = Instant::now();
                    let is_read = one(name, *number, only.is_some(), &distort);
                    good.fetch_add(u64::from(is_read), Relaxed);
                    time.fetch_add(begin.elapsed().as_millis() as u64, Relaxed);
                }
            });
        }
    });
    let (good, time) = (good.into_inner() as f64, time.into_inner() as f64);
    let count = seeds.len() as f64;
    println!(
        "{name}: {good} of {count} read, seeds {:?}, {:.0} ms each to make and read",
        seeds.first().zip(seeds.last()),
        time / count
    );
    good / count
}

/// Whether the picture of one seed gives its mark.
fn one(
    name: &str,
    number: u64,
    is_kept: bool,
    distort: &impl Fn(RgbImage, &mut Seed) -> RgbImage,
) -> bool {
    let mut seed = Seed(number);
    let mark = Mark::new(seed.next() as u32);
    let (width, height) = SIZES[(number % 2) as usize];
    let kind = (number / 2) as u32;
    let screen = scene::screen(width, height, kind, &mut seed);
    let image = distort(scene::marked(screen, mark), &mut seed);
    if is_kept {
        let path = std::env::temp_dir().join("kekkai-watermark-case.png");
        image.save(&path).unwrap();
        println!("{name}, seed {number}: {}", path.display());
    }
    match read(&scene::picture(&image), &Hints::default()) {
        Ok(reading) => {
            assert_eq!(reading.mark, mark, "{name}, seed {number}: another's mark");
            true
        }
        Err(error) => {
            let (width, height) = image.dimensions();
            println!(
                "{name}, seed {number}, kind {}, {width} x {height}: {error}",
                kind % scene::KINDS
            );
            false
        }
    }
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

/// Twelve degrees to each side and eight turned, blurred, noisy, of other colours, darker to its edges.
#[test]
fn mark_survives_a_photograph() {
    let hardness = Hardness {
        tilt: 12.0,
        roll: 8.0,
        noise: 4.0,
    };
    let photo = |image: RgbImage, seed: &mut Seed| scene::photo(&image, hardness, seed).image;
    assert!(share("photograph", 50, photo) >= 0.9);
}

/// Twice as hard, and the person says where the screen's corners are, to some pixels.
#[test]
fn mark_survives_a_hard_photograph_whose_corners_are_told() {
    let hardness = Hardness {
        tilt: 24.0,
        roll: 16.0,
        noise: 6.0,
    };
    let (mut good, count) = (0, 16);
    for number in 0..count {
        let mut seed = Seed(number);
        let mark = Mark::new(seed.next() as u32);
        let screen = scene::screen(1280, 800, number as u32, &mut seed);
        let photo = scene::photo(&scene::marked(screen, mark), hardness, &mut seed);
        let corners = photo
            .corners
            .map(|(x, y)| (x + seed.between(-3.0, 3.0), y + seed.between(-3.0, 3.0)));
        let hints = Hints {
            corners: Some(corners),
        };
        match read(&scene::picture(&photo.image), &hints) {
            Ok(reading) => {
                assert_eq!(reading.mark, mark, "seed {number}: another's mark");
                good += 1;
            }
            Err(error) => println!("hard photograph with corners, seed {number}: {error}"),
        }
    }
    println!("hard photograph with corners: {good} of {count} read, seeds 0..{count}");
    assert!(good * 100 >= count * 85);
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
