//! What of a picture can be the mark: small differences of blue against its surroundings.

use super::Picture;
use super::plane::Plane;

/// Half of a side of the surroundings that a pixel is compared with, in pixels.
const RADIUS: usize = 24;
/// Pixels whose blue differs by more than this many levels are not compared: the picture's own colours.
const REACH: f32 = 9.0;
/// Levels of one step of the histogram.
const STEP: f32 = 0.5;
/// Steps in [`REACH`].
const STEPS_NEAR: usize = 18;
/// Steps of the histogram.
const STEPS: usize = 512;
/// Pixels of a block that share surroundings, along a side.
const BLOCK: usize = 4;
/// With less of the surroundings comparable than this share, a pixel says nothing.
const SHARE_MIN: f32 = 0.08;

/// The difference of each pixel's blue from that of its like surroundings, in levels, and how much it
/// counts: 0 or 1, and what lies between after a reduction.
pub(crate) struct Signal {
    pub(crate) value: Plane,
    pub(crate) weight: Plane,
}

impl Signal {
    /// From a picture, reduced `by` a whole number first.
    pub(crate) fn of(picture: &Picture, by: usize) -> Self {
        let (blue, light) = channels(picture, by);
        let excess = neutral(blue, &light);
        compare(&excess)
    }

    /// Means of squares of pixels.
    pub(crate) fn reduced(&self, by: usize) -> Self {
        Self {
            value: self.value.reduced(by),
            weight: self.weight.reduced(by),
        }
    }
}

/// Blue, and a third of red and two thirds of green: what JPEG keeps apart as colour is their difference.
fn channels(picture: &Picture, by: usize) -> (Plane, Plane) {
    let channel = |value: fn(f32, f32, f32) -> f32| {
        let mut plane = Plane::new(picture.width, picture.height);
        for (place, pixel) in plane.values.iter_mut().zip(picture.rgb.chunks_exact(3)) {
            if let [r, g, b] = pixel {
                *place = value(f32::from(*r), f32::from(*g), f32::from(*b));
            }
        }
        if by > 1 { plane.reduced(by) } else { plane }
    };
    (channel(|_, _, b| b), channel(|r, g, _| (r + 2.0 * g) / 3.0))
}

/// Blue less what a grey pixel as light as this one has. A camera's white balance and contrast make greys
/// bluish or yellowish, differently for each lightness: the curve is fitted to most of the picture.
fn neutral(mut blue: Plane, light: &Plane) -> Plane {
    let every = (blue.values.len() / 40_000).max(1);
    let samples: Vec<(f64, f64)> = light
        .values
        .iter()
        .zip(&blue.values)
        .step_by(every)
        .map(|(light, blue)| (f64::from(*light) / 255.0, f64::from(*blue)))
        .collect();
    let [c0, c1, c2] = curve(&samples);
    for (blue, light) in blue.values.iter_mut().zip(&light.values) {
        let x = f64::from(*light) / 255.0;
        let excess = f64::from(*blue) - (c0 + c1 * x + c2 * x * x);
        *blue = narrow(excess);
    }
    blue
}

#[allow(clippy::cast_possible_truncation, reason = "levels of a picture")]
fn narrow(x: f64) -> f32 {
    x as f32
}

/// A parabola by least squares, again and again with less weight for what lies far off it.
fn curve(samples: &[(f64, f64)]) -> [f64; 3] {
    // Greys as they are, for a beginning.
    let mut c = [0.0, 255.0, 0.0];
    for round in 0..12 {
        let [c0, c1, c2] = c;
        let scale = if round < 4 { 24.0 } else { 6.0 };
        let (mut s, mut t) = ([0.0; 5], [0.0; 3]);
        for (x, y) in samples {
            let off = (y - (c0 + c1 * x + c2 * x * x)) / scale;
            let weight = 1.0 / (1.0 + off * off).powi(2);
            let mut power = weight;
            for (i, sum) in s.iter_mut().enumerate() {
                *sum += power;
                if let Some(sum) = t.get_mut(i) {
                    *sum += power * y;
                }
                power *= x;
            }
        }
        let [s0, s1, s2, s3, s4] = s;
        // Drawn a little towards plain greys, for pictures of one lightness.
        let little = 1e-3 * s0 + 1e-9;
        let [t0, t1, t2] = t;
        let rows = [
            [s0 + little, s1, s2, t0],
            [s1, s2 + little, s3, t1 + little * 255.0],
            [s2, s3, s4 + little, t2],
        ];
        match super::geometry::solve(rows) {
            Some(solved) => c = solved,
            None => return c,
        }
    }
    c
}

/// Each pixel against the mean of the like ones around it.
fn compare(excess: &Plane) -> Signal {
    let (width, height) = (excess.width, excess.height);
    let mut signal = Signal {
        value: Plane::new(width, height),
        weight: Plane::new(width, height),
    };
    let steps: Vec<u16> = excess.values.iter().map(|value| step_of(*value)).collect();
    let step = |x: usize, y: usize| {
        steps
            .get(y * width + x)
            .map_or(0, |step| usize::from(*step))
    };
    for top in (0..height).step_by(BLOCK) {
        // Every other pixel is enough for a mean.
        let rows = (top.saturating_sub(RADIUS)..(top + RADIUS + BLOCK).min(height)).step_by(2);
        let mut histogram = Histogram::new();
        let (mut from, mut to) = (0, 0);
        for left in (0..width).step_by(BLOCK) {
            let (first, end) = (
                left.saturating_sub(RADIUS).next_multiple_of(2),
                (left + RADIUS + BLOCK).min(width),
            );
            while to < end {
                rows.clone().for_each(|y| histogram.add(step(to, y), 1.0));
                to += 2;
            }
            while from < first {
                rows.clone()
                    .for_each(|y| histogram.add(step(from, y), -1.0));
                from += 2;
            }
            for y in top..(top + BLOCK).min(height) {
                for x in left..(left + BLOCK).min(width) {
                    let at = y * width + x;
                    let value = excess.values.get(at).copied().unwrap_or(0.0);
                    let Some(mean) = histogram.mean_near(step(x, y)) else {
                        continue;
                    };
                    if let (Some(v), Some(w)) = (
                        signal.value.values.get_mut(at),
                        signal.weight.values.get_mut(at),
                    ) {
                        (*v, *w) = ((value - mean).clamp(-REACH, REACH), 1.0);
                    }
                }
            }
        }
    }
    signal
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the histogram"
)]
fn step_of(value: f32) -> u16 {
    (value / STEP + STEPS as f32 / 2.0).clamp(0.0, STEPS as f32 - 1.0) as u16
}

/// How often each level of blue stands in some surroundings.
struct Histogram {
    counts: [f32; STEPS],
    all: f32,
}

impl Histogram {
    fn new() -> Self {
        Self {
            counts: [0.0; STEPS],
            all: 0.0,
        }
    }

    fn add(&mut self, step: usize, count: f32) {
        if let Some(place) = self.counts.get_mut(step) {
            *place += count;
            self.all += count;
        }
    }

    /// The mean of what is within [`REACH`] of a step, if it is enough.
    fn mean_near(&self, step: usize) -> Option<f32> {
        let first = step.saturating_sub(STEPS_NEAR);
        let last = (step + STEPS_NEAR).min(STEPS - 1);
        let (mut count, mut sum) = (0.0, 0.0);
        for (place, n) in (first..).zip(self.counts.get(first..=last)?) {
            count += n;
            sum += n * place as f32;
        }
        (count > self.all * SHARE_MIN).then(|| (sum / count + 0.5 - STEPS as f32 / 2.0) * STEP)
    }
}
