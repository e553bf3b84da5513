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
    let quarter = |image: RgbImage, seed: &mut Seed| {
        let (width, height) = (image.width() / 2, image.height() / 2);
        let (x, y) = (seed.below(width + 1), seed.below(height + 1));
        scene::crop(&image, x, y, width, height)
    };
    assert!(share("a quarter", 60, quarter) >= 0.95);
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
fn zz_half_then_jpeg() {
    share("half 4:2:0 70", 60, |image, seed| scene::jpeg(&scene::scaled(&image, 0.5, seed.below(3)), 70));
}
#[test]
fn zz_quarter_jpeg50() {
    share("quarter jpeg 50", 60, |image, seed| {
        let (width, height) = (image.width() / 2, image.height() / 2);
        let (x, y) = (seed.below(width + 1), seed.below(height + 1));
        scene::jpeg(&scene::crop(&image, x, y, width, height), 50)
    });
}
#[test]
fn zz_scale75_jpeg50() {
    share("75% jpeg 60", 60, |image, seed| scene::jpeg(&scene::scaled(&image, 0.77, seed.below(3)), 60));
}
#[test]
fn zz_hard_photo() {
    let hardness = Hardness { tilt: 22.0, roll: 20.0, noise: 9.0 };
    share("hard photograph", 60, |image, seed| scene::photo(&image, hardness, seed).image);
}
#[test]
fn zz_mirror_rot() {
    share("mirrored, turned", 60, |image, _| image::imageops::rotate90(&image::imageops::flip_horizontal(&image)));
}
#[test]
fn zz_small() {
    share("crop 400x300", 60, |image, seed| {
        let (x, y) = (seed.below(image.width() - 399), seed.below(image.height() - 299));
        scene::crop(&image, x, y, 400, 300)
    });
}
