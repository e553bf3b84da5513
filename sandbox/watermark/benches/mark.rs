//! How long a screen's marks take to apply and a picture's mark to read, and how much larger a screen gets
//! as PNG.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    reason = "a bench"
)]

#[path = "../tests/scene/mod.rs"]
mod scene;

use std::hint::black_box;
use std::time::{Duration, Instant};

use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use kekkai_watermark::{Hints, Mark, Rect, Watermark, read};
use scene::{Hardness, Seed};

fn main() {
    for (width, height) in [(1280, 800), (1920, 1080)] {
        let name = format!("{width} x {height}");
        println!("{name}: apply {:.2?} (median of 300)", apply(width, height));
        for (kind, what) in (0..).zip(["table", "editor", "charts", "all of them", "text"]) {
            let screen = scene::screen(width, height, kind, &mut Seed(u64::from(kind)));
            let (bare, marked) = (
                png(&screen),
                png(&scene::marked(screen, Mark::new(0x7f3a_09c1))),
            );
            println!(
                "{name}: {what}: PNG {} KB, marked {} KB, x {:.2}",
                bare / 1000,
                marked / 1000,
                marked as f64 / bare as f64
            );
        }
        let mut seed = Seed(11);
        let screen = scene::marked(scene::screen(width, height, 3, &mut seed), Mark::new(5));
        reading(&format!("{name}: as it is"), &screen);
        reading(
            &format!("{name}: half the size"),
            &scene::scaled(&screen, 0.5, 0),
        );
        let hardness = Hardness {
            tilt: 12.0,
            roll: 8.0,
            noise: 4.0,
        };
        reading(
            &format!("{name}: photograph"),
            &scene::photo(&screen, hardness, &mut seed).image,
        );
        let bare = scene::screen(width, height, 3, &mut seed);
        reading(&format!("{name}: unmarked"), &bare);
    }
}

fn apply(width: u32, height: u32) -> Duration {
    let mut watermark = Watermark::new(Mark::new(0x7f3a_09c1), "sato.hanako", "s-7f3a09");
    let _ = watermark.set_time(kekkai_types::Timestamp(1_790_000_000_000));
    let at = Rect {
        x: 0,
        y: 0,
        width: width as u16,
        height: height as u16,
    };
    let mut rgba = vec![200; (width * height * 4) as usize];
    let mut times: Vec<Duration> = (0..300)
        .map(|_| {
            let begin = Instant::now();
            watermark.apply(black_box(&mut rgba), at);
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn png(image: &RgbImage) -> usize {
    let mut bytes = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive);
    image.write_with_encoder(encoder).unwrap();
    bytes.len()
}

fn reading(name: &str, image: &RgbImage) {
    let picture = scene::picture(image);
    let begin = Instant::now();
    let found = read(&picture, &Hints::default());
    let time = begin.elapsed();
    match found {
        Ok(reading) => println!(
            "{name}: read in {time:.2?}, agreement {:.2}",
            reading.agreement
        ),
        Err(error) => println!("{name}: not read in {time:.2?}: {error}"),
    }
}
