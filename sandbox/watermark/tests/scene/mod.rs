//! Screens as researchers have them, and what becomes of pictures of them.
#![allow(dead_code, reason = "each test and the bench use a part of it")]

use embedded_graphics::mono_font::{MonoTextStyle, ascii};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{Dimensions, DrawTarget, Drawable, Pixel, Point, Size};
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};
use image::{Rgb, RgbImage};
use kekkai_watermark::{Mark, Picture, Rect, Watermark};

/// Numbers that a seed gives (splitmix64).
pub struct Seed(pub u64);

impl Seed {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u32) -> u32 {
        (self.next() >> 33) as u32 % n
    }

    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        let u = self.between(1e-12, 1.0);
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * self.between(0.0, 1.0)).cos()
    }
}

type Color = [u8; 3];

/// A screen that is being drawn.
pub struct Canvas {
    pub image: RgbImage,
}

impl Canvas {
    fn new(width: u32, height: u32, color: Color) -> Self {
        Self {
            image: RgbImage::from_pixel(width, height, Rgb(color)),
        }
    }

    fn blend(&mut self, x: i64, y: i64, color: Color, share: f64) {
        if x < 0
            || y < 0
            || x >= i64::from(self.image.width())
            || y >= i64::from(self.image.height())
        {
            return;
        }
        let pixel = self.image.get_pixel_mut(x as u32, y as u32);
        for (old, new) in pixel.0.iter_mut().zip(color) {
            *old = (f64::from(*old) * (1.0 - share) + f64::from(new) * share).round() as u8;
        }
    }

    fn fill(&mut self, x: i64, y: i64, width: i64, height: i64, color: Color) {
        for y in y..y + height {
            for x in x..x + width {
                self.blend(x, y, color, 1.0);
            }
        }
    }

    /// Letters with grey edges: each of a bitmap font's pixels covers some of `size` x `size` pixels.
    fn text(&mut self, x: i64, y: i64, text: &str, color: Color, size: f64) {
        let style = MonoTextStyle::new(&ascii::FONT_7X13, BinaryColor::On);
        let mut letters = Letters(Vec::new());
        let Ok(_) =
            Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut letters);
        let mut cover = std::collections::HashMap::<(i64, i64), f64>::new();
        for Point { x: px, y: py } in letters.0 {
            let (left, top) = (f64::from(px) * size, f64::from(py) * size);
            for j in top.floor() as i64..(top + size).ceil() as i64 {
                for i in left.floor() as i64..(left + size).ceil() as i64 {
                    let lap = |at: i64, from: f64| {
                        ((at as f64 + 1.0).min(from + size) - (at as f64).max(from)).max(0.0)
                    };
                    *cover.entry((i, j)).or_default() += lap(i, left) * lap(j, top);
                }
            }
        }
        for ((i, j), share) in cover {
            self.blend(x + i, y + j, color, share.min(1.0));
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, color: Color) {
        let length = (to.0 - from.0).hypot(to.1 - from.1).max(1e-6);
        let reach = width / 2.0 + 1.0;
        let (x0, x1) = (from.0.min(to.0) - reach, from.0.max(to.0) + reach);
        let (y0, y1) = (from.1.min(to.1) - reach, from.1.max(to.1) + reach);
        for y in y0 as i64..=y1 as i64 {
            for x in x0 as i64..=x1 as i64 {
                let (px, py) = (x as f64 + 0.5 - from.0, y as f64 + 0.5 - from.1);
                let (dx, dy) = ((to.0 - from.0) / length, (to.1 - from.1) / length);
                let along = (px * dx + py * dy).clamp(0.0, length);
                let off = (px - along * dx).hypot(py - along * dy);
                self.blend(x, y, color, (width / 2.0 + 0.5 - off).clamp(0.0, 1.0));
            }
        }
    }
}

struct Letters(Vec<Point>);

impl Dimensions for Letters {
    fn bounding_box(&self) -> Rectangle {
        Rectangle::new(Point::zero(), Size::new(4_000, 20))
    }
}

impl DrawTarget for Letters {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        self.0.extend(
            pixels
                .into_iter()
                .filter(|pixel| pixel.1.is_on())
                .map(|pixel| pixel.0),
        );
        Ok(())
    }
}

/// How an application looks.
struct Theme {
    ground: Color,
    panel: Color,
    text: Color,
    stripe: Color,
    line: Color,
    accents: [Color; 5],
}

const LIGHT: Theme = Theme {
    ground: [255, 255, 255],
    panel: [244, 246, 248],
    text: [32, 33, 36],
    stripe: [248, 249, 251],
    line: [214, 218, 224],
    accents: [
        [31, 119, 180],
        [255, 127, 14],
        [44, 160, 44],
        [214, 39, 40],
        [148, 103, 189],
    ],
};

const DARK: Theme = Theme {
    ground: [27, 27, 30],
    panel: [37, 37, 42],
    text: [212, 212, 216],
    stripe: [32, 32, 36],
    line: [62, 62, 70],
    accents: [
        [86, 156, 214],
        [206, 145, 120],
        [106, 153, 85],
        [197, 134, 192],
        [220, 220, 170],
    ],
};

const WORDS: [&str; 16] = [
    "SELECT",
    "drug_concept_id",
    "count(*)",
    "FROM",
    "drug_exposure",
    "WHERE",
    "year_of_birth",
    "< 1960",
    "GROUP BY",
    "hospital",
    "median",
    "persons",
    "0.0431",
    "2,694",
    "95 % CI",
    "hazard",
];

fn words(seed: &mut Seed, count: u32) -> String {
    let words: Vec<&str> = (0..count).map(|_| WORDS[seed.below(16) as usize]).collect();
    words.join(" ")
}

/// Kinds of screens that [`screen`] draws.
pub const KINDS: u32 = 5;

/// A screen without marks: a table, an editor over results, charts, everything at once, or documents.
pub fn screen(width: u32, height: u32, kind: u32, seed: &mut Seed) -> RgbImage {
    let theme = if seed.below(2) == 0 { LIGHT } else { DARK };
    let mut canvas = Canvas::new(width, height, theme.ground);
    let (w, h) = (i64::from(width), i64::from(height));
    match kind % KINDS {
        0 => table(&mut canvas, &theme, (0, 0, w, h), seed),
        1 => {
            editor(&mut canvas, &theme, (0, 0, w, h / 2), seed);
            table(&mut canvas, &theme, (0, h / 2, w, h - h / 2), seed);
        }
        2 => {
            for (i, j) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                chart(
                    &mut canvas,
                    &theme,
                    (w / 2 * i, h / 2 * j, w / 2, h / 2),
                    seed,
                );
            }
        }
        3 => {
            let side = 240.min(w / 4);
            canvas.fill(0, 0, side, h, theme.panel);
            for y in (16..h).step_by(26) {
                canvas.text(14, y, &words(seed, 2), theme.text, 1.1);
            }
            editor(&mut canvas, &theme, (side, 0, w - side, h / 3), seed);
            table(
                &mut canvas,
                &theme,
                (side, h / 3, (w - side) / 2, h * 2 / 3),
                seed,
            );
            let left = side + (w - side) / 2;
            chart(
                &mut canvas,
                &theme,
                (left, h / 3, (w - side) / 2, h * 2 / 3),
                seed,
            );
        }
        _ => {
            for y in (20..h - 20).step_by(24) {
                let count = 3 + seed.below(9);
                canvas.text(40, y, &words(seed, count), theme.text, 1.2);
            }
        }
    }
    canvas.image
}

type Area = (i64, i64, i64, i64);

fn table(canvas: &mut Canvas, theme: &Theme, (x, y, w, h): Area, seed: &mut Seed) {
    let step = 20 + i64::from(seed.below(10));
    canvas.fill(x, y, w, step, theme.panel);
    for (row, top) in (y..y + h - step + 1).step_by(step as usize).enumerate() {
        if row % 2 == 1 {
            canvas.fill(x, top, w, step, theme.stripe);
        }
        for (column, left) in (x..x + w).step_by(110).enumerate() {
            let color = match (row, column) {
                (5.., 3) if seed.below(6) == 0 => theme.accents[3],
                _ => theme.text,
            };
            let text = match column % 3 {
                0 => WORDS[seed.below(16) as usize].to_owned(),
                1 => format!("{}", seed.below(100_000)),
                _ => format!("{:.3}", seed.between(0.0, 40.0)),
            };
            canvas.text(left + 6, top + 4, &text, color, 1.0);
            canvas.fill(left, top, 1, step, theme.line);
        }
        canvas.fill(x, top + step - 1, w, 1, theme.line);
    }
    // What is selected.
    let row = y + step * (2 + i64::from(seed.below(5)));
    for top in row..(row + step).min(y + h) {
        for left in x..x + w {
            canvas.blend(left, top, [56, 132, 244], 0.25);
        }
    }
}

fn editor(canvas: &mut Canvas, theme: &Theme, (x, y, w, h): Area, seed: &mut Seed) {
    canvas.fill(x, y, w, h, theme.ground);
    canvas.fill(x, y, 44, h, theme.panel);
    for top in (y + 8..y + h - 20).step_by(22) {
        let mut left = x + 56 + 20 * i64::from(seed.below(4));
        for _ in 0..seed.below(9) {
            let word = WORDS[seed.below(16) as usize];
            let color = match seed.below(8) {
                i @ 0..5 => theme.accents[i as usize],
                _ => theme.text,
            };
            canvas.text(left, top, word, color, 1.2);
            left += (word.len() as i64 + 1) * 9;
            if left > x + w - 160 {
                break;
            }
        }
    }
}

fn chart(canvas: &mut Canvas, theme: &Theme, (x, y, w, h): Area, seed: &mut Seed) {
    let (left, top, right, bottom) = (x + 50, y + 30, x + w - 20, y + h - 40);
    canvas.text(x + w / 3, y + 8, &words(seed, 3), theme.text, 1.2);
    for i in 0..6 {
        let at = top + (bottom - top) * i / 5;
        canvas.fill(left, at, right - left, 1, theme.line);
        canvas.text(x + 8, at - 6, &format!("{}", 100 - 20 * i), theme.text, 1.0);
    }
    match seed.below(3) {
        0 => {
            let count = 4 + i64::from(seed.below(9));
            let step = (right - left) / count;
            for i in 0..count {
                let tall = (seed.between(0.1, 1.0) * (bottom - top) as f64) as i64;
                let color = theme.accents[(i % 5) as usize];
                canvas.fill(
                    left + i * step + step / 8,
                    bottom - tall,
                    step * 3 / 4,
                    tall,
                    color,
                );
            }
        }
        1 => {
            for color in theme.accents.iter().take(1 + seed.below(4) as usize) {
                let mut level = seed.between(0.2, 0.8);
                let count = 30;
                let mut last = None;
                for i in 0..=count {
                    level = (level + seed.between(-0.08, 0.08)).clamp(0.02, 0.98);
                    let at = (
                        left as f64 + (right - left) as f64 * f64::from(i) / f64::from(count),
                        bottom as f64 - level * (bottom - top) as f64,
                    );
                    if let Some(last) = last {
                        canvas.line(last, at, 2.0, *color);
                    }
                    last = Some(at);
                }
            }
        }
        _ => {
            for _ in 0..400 {
                let color = theme.accents[seed.below(3) as usize];
                let at = (
                    left as f64 + seed.between(0.0, 1.0) * (right - left) as f64,
                    bottom as f64
                        - (0.5 + seed.normal() * 0.15).clamp(0.0, 1.0) * (bottom - top) as f64,
                );
                canvas.line(at, (at.0 + 0.5, at.1), 5.0, color);
            }
        }
    }
}

/// A picture that no screen of ours shows: noise, a gradient, or something like a photograph.
pub fn scenery(width: u32, height: u32, kind: u32, seed: &mut Seed) -> RgbImage {
    match kind % 4 {
        0 => RgbImage::from_fn(width, height, |_, _| {
            Rgb([
                seed.below(256) as u8,
                seed.below(256) as u8,
                seed.below(256) as u8,
            ])
        }),
        1 => {
            let slope: [f64; 6] = std::array::from_fn(|_| seed.between(-1.0, 1.0));
            RgbImage::from_fn(width, height, |x, y| {
                let at = |i: usize| {
                    let v = slope[i] * f64::from(x) / f64::from(width)
                        + slope[i + 3] * f64::from(y) / f64::from(height);
                    (128.0 + 100.0 * v) as u8
                };
                Rgb([at(0), at(1), at(2)])
            })
        }
        // Waves of many lengths in each channel, with grain: leaves, clouds, cloth.
        2 => {
            let waves: Vec<[f64; 6]> = (0..24)
                .map(|_| {
                    let long = 2.0_f64.powf(seed.between(2.5, 9.0));
                    let turn = seed.between(0.0, std::f64::consts::TAU);
                    let k = std::f64::consts::TAU / long;
                    let size = 5.0 * long.powf(0.35) / 2.0;
                    [
                        k * turn.cos(),
                        k * turn.sin(),
                        seed.between(0.0, std::f64::consts::TAU),
                        size,
                        seed.between(0.3, 1.0),
                        seed.between(0.0, 1.0),
                    ]
                })
                .collect();
            RgbImage::from_fn(width, height, |x, y| {
                let mut sums = [110.0, 115.0, 105.0];
                for [kx, ky, phase, size, warm, cold] in &waves {
                    let v = size * (kx * f64::from(x) + ky * f64::from(y) + phase).sin();
                    sums[0] += v * warm;
                    sums[1] += v;
                    sums[2] += v * cold;
                }
                Rgb(sums.map(|sum| (sum + seed.normal() * 3.0) as u8))
            })
        }
        // Tiles of one colour that repeat: wallpaper, the worst for what looks for repetition.
        _ => {
            let period = 64 + seed.below(240);
            let cell = 4 + seed.below(20);
            let salt = seed.next();
            RgbImage::from_fn(width, height, |x, y| {
                let (u, v) = (x % period / cell, y % period / cell);
                let mut own = Seed(salt ^ u64::from(u) << 32 ^ u64::from(v));
                let step = own.below(7) as u8;
                Rgb([200, 200, 200 + step])
            })
        }
    }
}

/// A screen with its marks.
pub fn marked(mut image: RgbImage, mark: Mark) -> RgbImage {
    let mut watermark = Watermark::new(mark, "sato.hanako", "s-7f3a09");
    let _ = watermark.set_time(kekkai_types::Timestamp(1_790_000_000_000));
    let (width, height) = image.dimensions();
    let mut rgba: Vec<u8> = image
        .pixels()
        .flat_map(|p| [p[0], p[1], p[2], 255])
        .collect();
    let at = Rect {
        x: 0,
        y: 0,
        width: width as u16,
        height: height as u16,
    };
    watermark.apply(&mut rgba, at);
    for (pixel, bytes) in image.pixels_mut().zip(rgba.chunks_exact(4)) {
        *pixel = Rgb([bytes[0], bytes[1], bytes[2]]);
    }
    image
}

pub fn picture(image: &RgbImage) -> Picture {
    Picture::new(
        image.width() as usize,
        image.height() as usize,
        image.as_raw().clone(),
    )
    .unwrap()
}

/// Written as JPEG, colours at half the resolution as nearly every program does, and read again.
pub fn jpeg(image: &RgbImage, quality: u8) -> RgbImage {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    encoder
        .encode(
            image.as_raw(),
            image.width() as u16,
            image.height() as u16,
            jpeg_encoder::ColorType::Rgb,
        )
        .unwrap();
    image::load_from_memory(&bytes).unwrap().into_rgb8()
}

pub fn crop(image: &RgbImage, x: u32, y: u32, width: u32, height: u32) -> RgbImage {
    image::imageops::crop_imm(image, x, y, width, height).to_image()
}

/// Half the size, by one of the ways that programs have.
pub fn scaled(image: &RgbImage, by: f64, way: u32) -> RgbImage {
    use image::imageops::FilterType::{CatmullRom, Lanczos3, Triangle};
    let way = [Triangle, CatmullRom, Lanczos3][way as usize % 3];
    let of = |n: u32| (f64::from(n) * by).round() as u32;
    image::imageops::resize(image, of(image.width()), of(image.height()), way)
}

/// A photograph of a screen, and where its corners are in it.
pub struct Photo {
    pub image: RgbImage,
    pub corners: [(f64, f64); 4],
}

/// How hard a photograph is.
#[derive(Clone, Copy)]
pub struct Hardness {
    /// The most that the camera stands beside or above the screen's middle, in degrees.
    pub tilt: f64,
    /// The most that it is turned, in degrees.
    pub roll: f64,
    /// Standard deviation of each channel's noise, in levels, at most.
    pub noise: f64,
}

pub fn photo(screen: &RgbImage, hardness: Hardness, seed: &mut Seed) -> Photo {
    let (sw, sh) = (f64::from(screen.width()), f64::from(screen.height()));
    let degrees = |seed: &mut Seed, most: f64| seed.between(-most, most).to_radians();
    let (yaw, pitch, roll) = (
        degrees(seed, hardness.tilt),
        degrees(seed, hardness.tilt),
        degrees(seed, hardness.roll),
    );
    let scale = seed.between(0.7, 1.3);
    let distance = 1.6 * sw;
    // From a place of the screen to one of the picture, as a camera at that distance sees it.
    let see = |(x, y): (f64, f64)| {
        let (x, y) = (x - sw / 2.0, y - sh / 2.0);
        let (x, y) = (
            x * roll.cos() - y * roll.sin(),
            x * roll.sin() + y * roll.cos(),
        );
        let (x, z) = (x * yaw.cos(), x * yaw.sin());
        let (y, z) = (
            y * pitch.cos() - z * pitch.sin(),
            y * pitch.sin() + z * pitch.cos(),
        );
        let near = distance / (distance + z) * scale;
        (x * near, y * near)
    };
    let edges = [(0.0, 0.0), (sw, 0.0), (sw, sh), (0.0, sh)].map(see);
    let low = |of: fn(&(f64, f64)) -> f64| edges.iter().map(of).fold(f64::MAX, f64::min);
    let high = |of: fn(&(f64, f64)) -> f64| edges.iter().map(of).fold(f64::MIN, f64::max);
    let margin = seed.between(4.0, 60.0);
    let (left, top) = (low(|p| p.0) - margin, low(|p| p.1) - margin);
    let (width, height) = (
        (high(|p| p.0) - left + margin) as u32,
        (high(|p| p.1) - top + margin) as u32,
    );
    let corners = edges.map(|p| (p.0 - left, p.1 - top));
    // Back from the picture to the screen, exactly.
    let back = |px: f64, py: f64| {
        let (u, v) = (
            (px + left) / (scale * distance),
            (py + top) / (scale * distance),
        );
        // x' = u * (distance + z), y' = v * (distance + z): linear in the plane's own coordinates.
        let col = |x: f64, y: f64| {
            let (cx, cz) = (x * yaw.cos(), x * yaw.sin());
            let (cy, cz) = (
                y * pitch.cos() - cz * pitch.sin(),
                y * pitch.sin() + cz * pitch.cos(),
            );
            (cx, cy, cz)
        };
        let (a, b) = (col(1.0, 0.0), col(0.0, 1.0));
        let (m00, m01) = (a.0 - u * a.2, b.0 - u * b.2);
        let (m10, m11) = (a.1 - v * a.2, b.1 - v * b.2);
        let det = m00 * m11 - m01 * m10;
        let (rx, ry) = (
            (u * distance * m11 - m01 * v * distance) / det,
            (m00 * v * distance - u * distance * m10) / det,
        );
        let (x, y) = (
            rx * roll.cos() + ry * roll.sin(),
            -rx * roll.sin() + ry * roll.cos(),
        );
        (x + sw / 2.0, y + sh / 2.0)
    };
    let gains: [f64; 3] = std::array::from_fn(|_| seed.between(0.92, 1.06));
    let (contrast, black) = (seed.between(0.75, 1.0), seed.between(0.0, 18.0));
    let gamma = seed.between(0.9, 1.12);
    let noise = seed.between(0.3, 1.0) * hardness.noise;
    let dark = seed.between(0.05, 0.25);
    let room = [40.0, 38.0, 36.0];
    let mut plain = Vec::with_capacity((width * height) as usize);
    for y in 0..height {
        for x in 0..width {
            // Four rays for each pixel: a camera's pixel has an extent.
            let mut sum = [0.0; 3];
            for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                let (sx, sy) = back(f64::from(x) + dx, f64::from(y) + dy);
                let seen = bilinear(screen, sx - 0.5, sy - 0.5).unwrap_or(room);
                for (sum, seen) in sum.iter_mut().zip(seen) {
                    *sum += seen / 4.0;
                }
            }
            plain.push(sum);
        }
    }
    let blurred = blur(&plain, width as usize, seed.between(0.4, 0.9));
    let (mx, my) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    let mut image = RgbImage::new(width, height);
    for ((x, y, pixel), values) in image.enumerate_pixels_mut().zip(&blurred) {
        let r2 = ((f64::from(x) - mx) / mx).powi(2) + ((f64::from(y) - my) / my).powi(2);
        let light = 1.0 - dark * r2 / 2.0;
        for ((out, value), gain) in pixel.0.iter_mut().zip(values).zip(gains) {
            let v = 255.0 * (value / 255.0).powf(gamma);
            let v = black + v * contrast * gain * light + seed.normal() * noise;
            *out = v.round().clamp(0.0, 255.0) as u8;
        }
    }
    Photo {
        image: jpeg(&image, 80),
        corners,
    }
}

fn bilinear(image: &RgbImage, x: f64, y: f64) -> Option<[f64; 3]> {
    if x < 0.0 || y < 0.0 || x >= f64::from(image.width() - 1) || y >= f64::from(image.height() - 1)
    {
        return None;
    }
    let (i, j) = (x as u32, y as u32);
    let (s, t) = (x - f64::from(i), y - f64::from(j));
    let at = |i, j| image.get_pixel(i, j).0.map(f64::from);
    let (a, b, c, d) = (at(i, j), at(i + 1, j), at(i, j + 1), at(i + 1, j + 1));
    Some(std::array::from_fn(|k| {
        (a[k] * (1.0 - s) + b[k] * s) * (1.0 - t) + (c[k] * (1.0 - s) + d[k] * s) * t
    }))
}

fn blur(pixels: &[[f64; 3]], width: usize, sigma: f64) -> Vec<[f64; 3]> {
    let weights: Vec<f64> = (-3..=3)
        .map(|i| (-f64::from(i * i) / (2.0 * sigma * sigma)).exp())
        .collect();
    let all: f64 = weights.iter().sum();
    let pass = |pixels: &[[f64; 3]], step: usize, of: &dyn Fn(usize) -> (usize, usize)| {
        (0..pixels.len())
            .map(|at| {
                let (place, count) = of(at);
                let mut sum = [0.0; 3];
                for (k, weight) in weights.iter().enumerate() {
                    let near = (place + k).saturating_sub(3).min(count - 1);
                    let from = at + near * step - place * step;
                    for (sum, value) in sum.iter_mut().zip(pixels[from]) {
                        *sum += value * weight / all;
                    }
                }
                sum
            })
            .collect::<Vec<_>>()
    };
    let height = pixels.len() / width;
    let across = pass(pixels, 1, &|at| (at % width, width));
    pass(&across, width, &|at| (at / width, height))
}
