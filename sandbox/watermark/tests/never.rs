//! Nothing is read from pictures without a mark, and no mark is taken for another. That it is so for all
//! pictures follows from the check's bits (`FALSE_POSITIVE_MAX`, and the count in `code.rs`); here are many.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod scene;

use kekkai_watermark::{FALSE_POSITIVE_MAX, Hints, Mark, NotFound, Picture, read};
use scene::{Hardness, Seed};

#[test]
fn false_positives_are_fewer_than_one_in_a_million_by_construction() {
    let figure = FALSE_POSITIVE_MAX;
    assert!(figure < 1e-6, "{figure:e}");
}

#[test]
fn nothing_is_read_from_unmarked_pictures() {
    const PICTURES: u64 = 28;
    let begin = std::time::Instant::now();
    std::thread::scope(|scope| {
        for first in 0..2 {
            scope.spawn(move || (first..PICTURES).step_by(2).for_each(none_is_read));
        }
    });
    println!(
        "{PICTURES} unmarked pictures: nothing read, {:.1?}",
        begin.elapsed()
    );
}

fn none_is_read(number: u64) {
    let mut seed = Seed(number);
    let kind = number as u32 / 2;
    let image = match number % 8 {
        0 | 2 | 4 => scene::screen(640, 400, kind, &mut seed),
        6 => scene::jpeg(&scene::screen(640, 400, kind, &mut seed), 50),
        1 | 3 | 5 => scene::scenery(640, 400, kind, &mut seed),
        _ => {
            let hardness = Hardness {
                tilt: 10.0,
                roll: 5.0,
                noise: 3.0,
            };
            let screen = scene::screen(640, 400, kind, &mut seed);
            scene::photo(&screen, hardness, &mut seed).image
        }
    };
    let found = read(&scene::picture(&image), &Hints::default());
    assert!(found.is_err(), "seed {number}: {found:?}");
}

/// What a person can do to a pattern on purpose: another template's place, and signs of no mark.
#[test]
fn pattern_that_fits_no_mark_is_not_read() {
    let mut seed = Seed(7);
    let marked = scene::marked(scene::screen(1280, 800, 4, &mut seed), Mark::new(1));
    // Each square's right half comes from another session's screen.
    let other = scene::marked(
        scene::screen(1280, 800, 4, &mut Seed(7)),
        Mark::new(0x8000_0000),
    );
    let mut mixed = marked.clone();
    for (x, y, pixel) in mixed.enumerate_pixels_mut() {
        if x % 256 >= 128 {
            *pixel = *other.get_pixel(x, y);
        }
    }
    match read(&scene::picture(&mixed), &Hints::default()) {
        Err(_) => {}
        Ok(reading) => assert!(
            [1, 0x8000_0000].contains(&reading.mark.number()),
            "{reading:?}"
        ),
    }
}

#[test]
fn marks_of_two_sessions_are_not_confused() {
    for bit in [0, 7, 19, 31] {
        for number in [0, 1 << bit] {
            let screen = scene::screen(800, 600, bit, &mut Seed(3));
            let image = scene::marked(screen, Mark::new(number));
            let found = read(&scene::picture(&image), &Hints::default()).unwrap();
            assert_eq!(found.mark.number(), number);
        }
    }
}

#[test]
fn pictures_of_any_size_are_answered() {
    for (width, height) in [
        (0, 0),
        (1, 1),
        (95, 2_000),
        (96, 96),
        (4_000, 97),
        (97, 1_500),
    ] {
        let picture = Picture::new(width, height, vec![90; width * height * 3]).unwrap();
        let found = read(&picture, &Hints::default());
        let is_small = matches!(found, Err(NotFound::TooSmall { .. }));
        assert!(found.is_err());
        assert_eq!(
            is_small,
            width < 96 || height < 96,
            "{width} x {height}: {found:?}"
        );
    }
    assert!(Picture::new(2, 2, vec![0; 11]).is_none());
    assert!(Picture::new(usize::MAX, 2, Vec::new()).is_none());
}

#[test]
fn corners_that_are_none_are_refused() {
    let picture = Picture::new(400, 300, vec![90; 400 * 300 * 3]).unwrap();
    let all = f64::NAN;
    for corners in [
        [(0.0, 0.0), (400.0, 300.0), (400.0, 0.0), (0.0, 300.0)],
        [(0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)],
        [(0.0, 0.0), (50.0, 0.0), (50.0, 50.0), (0.0, 50.0)],
        [(0.0, 0.0), (1e9, 0.0), (1e9, 1e9), (0.0, 1e9)],
        [(all, 0.0), (400.0, 0.0), (400.0, 300.0), (0.0, 300.0)],
    ] {
        let hints = Hints {
            corners: Some(corners),
        };
        assert_eq!(
            read(&picture, &hints),
            Err(NotFound::Corners),
            "{corners:?}"
        );
    }
}
