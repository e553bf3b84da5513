//! How the pattern repeats: two steps that bring a picture's signal upon itself.

use rustfft::num_complex::Complex;
use rustfft::{FftDirection, FftPlanner};

use super::geometry::Point;
use super::plane::{Plane, nearest, vertex};
use super::signal::Signal;

/// The shortest and the longest step looked for, in values of the signal.
pub(crate) const STEP_MIN: f64 = 40.0;
pub(crate) const STEP_MAX: f64 = 340.0;
/// Peaks of the autocorrelation that are tried as steps.
const PEAKS_MAX: usize = 28;
/// Lattices given back for one window.
const LATTICES_MAX: usize = 6;
/// A frequency counts at most this many times the middle power of those as high: stripes of a table repeat
/// too, with all their power in few frequencies.
const POWER_MAX: f32 = 6.0;
/// Bands of frequencies that are about as high.
const BANDS: usize = 48;
/// With less of the window lying over itself than this share, a step's correlation is not looked at.
const OVERLAP_MIN: f32 = 0.12;

/// Two steps of a repeating pattern, and how well it repeats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lattice {
    pub(crate) a: Point,
    pub(crate) b: Point,
    pub(crate) score: f64,
}

/// A rectangle of the signal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// The likeliest lattices of a window, best first.
pub(crate) fn lattices(signal: &Signal, window: Window) -> Vec<Lattice> {
    let correlation = Correlation::of(signal, window);
    let peaks = correlation.peaks();
    let mut found: Vec<Lattice> = Vec::new();
    for (i, a) in peaks.iter().enumerate() {
        for b in peaks.iter().skip(i + 1) {
            found.extend(correlation.lattice(a.0, b.0));
        }
    }
    found.sort_by(|x, y| y.score.total_cmp(&x.score));
    let mut best: Vec<Lattice> = Vec::new();
    for lattice in found {
        if best.len() == LATTICES_MAX {
            break;
        }
        if !best.iter().any(|other| other.is_like(&lattice)) {
            best.push(lattice);
        }
    }
    best
}

impl Lattice {
    /// The same steps, but for a little or for their order.
    fn is_like(&self, other: &Self) -> bool {
        let near = |p: Point, q: Point| {
            let off = (p.0 - q.0).hypot(p.1 - q.1);
            let turned = (p.0 + q.0).hypot(p.1 + q.1);
            off.min(turned) < 4.0
        };
        (near(self.a, other.a) && near(self.b, other.b))
            || (near(self.a, other.b) && near(self.b, other.a))
    }
}

/// How much a window is like itself, moved.
struct Correlation {
    /// Of the size of the transform; steps to the left and up lie at its far ends.
    plane: Plane,
}

impl Correlation {
    fn of(signal: &Signal, window: Window) -> Self {
        let reach = nearest(STEP_MAX).unwrap_or(0);
        let width = smooth(window.width + reach.min(window.width));
        let height = smooth(window.height + reach.min(window.height));
        let cut = |plane: &Plane, by: f32| {
            let mut grid = Grid::new(width, height);
            let rows = plane.rows().skip(window.top).take(window.height);
            for (line, row) in grid.values.chunks_exact_mut(width).zip(rows) {
                for (place, value) in line
                    .iter_mut()
                    .zip(row.iter().skip(window.left).take(window.width))
                {
                    place.re = value - by;
                }
            }
            grid
        };
        let mut power = cut(&signal.value, 0.0);
        power.transform(FftDirection::Forward);
        power.level();
        power.transform(FftDirection::Inverse);
        let mut overlap = cut(&signal.weight, 0.0);
        overlap.transform(FftDirection::Forward);
        for value in &mut overlap.values {
            *value = Complex::new(value.norm_sqr(), 0.0);
        }
        overlap.transform(FftDirection::Inverse);
        let all = overlap
            .values
            .first()
            .map_or(1.0, |value| value.re)
            .max(1e-6);
        let mut plane = Plane::new(width, height);
        for ((place, power), overlap) in plane
            .values
            .iter_mut()
            .zip(&power.values)
            .zip(&overlap.values)
        {
            let share = overlap.re / all;
            if share > OVERLAP_MIN {
                // Divided by the root of what overlaps: in units of its own noise.
                *place = power.re / share.sqrt();
            }
        }
        let spread = {
            let mut sizes: Vec<f32> = plane.values.iter().map(|value| value.abs()).collect();
            let middle = sizes.len() / 2;
            let (_, median, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
            (*median * 1.48).max(1e-12)
        };
        for value in &mut plane.values {
            *value /= spread;
        }
        Self { plane }
    }

    /// The value at a step, which may be negative.
    fn at(&self, x: i64, y: i64) -> f32 {
        let wrap = |v: i64, size: usize| {
            let size = i64::try_from(size).ok()?;
            (v.abs() * 2 < size).then(|| usize::try_from(v.rem_euclid(size)).ok())?
        };
        match (wrap(x, self.plane.width), wrap(y, self.plane.height)) {
            (Some(x), Some(y)) => self.plane.get(x, y),
            _ => 0.0,
        }
    }

    /// The highest peaks in the upper half (the lower one mirrors it), to a fraction of a value.
    fn peaks(&self) -> Vec<(Point, f32)> {
        let reach = super::plane::floor(STEP_MAX);
        let mut peaks = Vec::new();
        for y in 0..=reach {
            for x in -reach..=reach {
                let length = (x as f64).hypot(y as f64);
                if !(STEP_MIN..=STEP_MAX).contains(&length) || (y == 0 && x < 0) {
                    continue;
                }
                let value = self.at(x, y);
                if value < 4.0 {
                    continue;
                }
                let around = [
                    (-1, -1),
                    (0, -1),
                    (1, -1),
                    (-1, 0),
                    (1, 0),
                    (-1, 1),
                    (0, 1),
                    (1, 1),
                ];
                if around
                    .iter()
                    .all(|(dx, dy)| self.at(x + dx, y + dy) <= value)
                {
                    peaks.push((self.fine(x, y), value));
                }
            }
        }
        peaks.sort_by(|a, b| b.1.total_cmp(&a.1));
        peaks.truncate(PEAKS_MAX);
        peaks
    }

    fn fine(&self, x: i64, y: i64) -> Point {
        let at = self.at(x, y);
        (
            x as f64 + vertex(self.at(x - 1, y), at, self.at(x + 1, y)),
            y as f64 + vertex(self.at(x, y - 1), at, self.at(x, y + 1)),
        )
    }

    /// The highest value close to a step; `None` if too little of the window lies over itself there.
    fn near(&self, step: Point) -> Option<f32> {
        let (x, y) = (
            super::plane::floor(step.0 + 0.5),
            super::plane::floor(step.1 + 0.5),
        );
        let mut best = f32::MIN;
        for dy in -2..=2 {
            for dx in -2..=2 {
                best = best.max(self.at(x + dx, y + dy));
            }
        }
        (self.at(x, y) != 0.0).then_some(best)
    }

    /// Two peaks as a lattice, if they are nearly as long and nearly at right angles, as a screen seen by a
    /// camera is.
    fn lattice(&self, a: Point, b: Point) -> Option<Lattice> {
        let (long_a, long_b) = (a.0.hypot(a.1), b.0.hypot(b.1));
        let ratio = long_a / long_b;
        let cosine = (a.0 * b.0 + a.1 * b.1) / (long_a * long_b);
        if !(0.6..=1.66).contains(&ratio) || cosine.abs() > 0.5 {
            return None;
        }
        // b lies a right angle further than a, as the eye goes from right to down.
        let (a, b) = if a.0 * b.1 - a.1 * b.0 > 0.0 {
            (a, b)
        } else {
            (b, a)
        };
        // Of the lattice's other points, as many as the window shows; none may be missing, and a stripe's
        // strength at one doesn't count for the others.
        let others = [
            (1.0, 1.0),
            (1.0, -1.0),
            (2.0, 0.0),
            (0.0, 2.0),
            (2.0, 1.0),
            (1.0, 2.0),
            (2.0, -1.0),
            (1.0, -2.0),
        ];
        let (mut sum, mut count) = (0.0, 0.0);
        let points = [(1.0, 0.0), (0.0, 1.0)].iter().chain(&others);
        for (i, j) in points {
            let point = (a.0 * i + b.0 * j, a.1 * i + b.1 * j);
            if let Some(value) = self.near(point) {
                sum += f64::from(value.max(0.0)).ln_1p();
                count += 1.0;
            }
        }
        let score = sum / f64::max(count, 3.0) * (1.0 - 0.3 / f64::max(count, 1.0));
        // The steps of a lattice's every second point repeat the pattern as well.
        let score = score * (long_a * long_b).powf(-0.05);
        Some(Lattice { a, b, score })
    }
}

/// Complex numbers on a grid.
struct Grid {
    width: usize,
    values: Vec<Complex<f32>>,
}

impl Grid {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            values: vec![Complex::new(0.0, 0.0); width * height],
        }
    }

    /// From a spectrum to its power, cut where it stands far above what is as high.
    fn level(&mut self) {
        let height = self.values.len() / self.width;
        let width = self.width;
        let band = |at: usize| {
            let part = |i: usize, size: usize| i.min(size - i) as f32 * 2.0 / size as f32;
            let high = part(at % width, width).hypot(part(at / width, height));
            super::plane::nearest(f64::from(high * 0.7) * BANDS as f64)
                .unwrap_or(0)
                .min(BANDS - 1)
        };
        let mut bands = vec![Vec::new(); BANDS];
        for (at, value) in self.values.iter().enumerate() {
            if let Some(band) = bands.get_mut(band(at)) {
                band.push(value.norm_sqr());
            }
        }
        let limits: Vec<f32> = bands
            .into_iter()
            .map(|mut powers| {
                let middle = powers.len() / 2;
                if powers.is_empty() {
                    return 0.0;
                }
                let (_, median, _) = powers.select_nth_unstable_by(middle, f32::total_cmp);
                *median * POWER_MAX
            })
            .collect();
        for (at, value) in self.values.iter_mut().enumerate() {
            let limit = limits.get(band(at)).copied().unwrap_or(0.0);
            *value = Complex::new(value.norm_sqr().min(limit), 0.0);
        }
    }

    /// Both ways of the two-dimensional transform, without a factor.
    fn transform(&mut self, direction: FftDirection) {
        let height = self.values.len() / self.width;
        let mut planner = FftPlanner::new();
        planner
            .plan_fft(self.width, direction)
            .process(&mut self.values);
        let mut columns = turned(&self.values, self.width);
        planner.plan_fft(height, direction).process(&mut columns);
        self.values = turned(&columns, height);
    }
}

/// Rows as columns, in squares that fit a cache.
fn turned(values: &[Complex<f32>], width: usize) -> Vec<Complex<f32>> {
    const SQUARE: usize = 16;
    let height = values.len() / width;
    let mut out = vec![Complex::new(0.0, 0.0); values.len()];
    for top in (0..height).step_by(SQUARE) {
        for left in (0..width).step_by(SQUARE) {
            for y in top..(top + SQUARE).min(height) {
                for x in left..(left + SQUARE).min(width) {
                    if let (Some(place), Some(value)) =
                        (out.get_mut(x * height + y), values.get(y * width + x))
                    {
                        *place = *value;
                    }
                }
            }
        }
    }
    out
}

/// The next length that a transform is fast for.
fn smooth(length: usize) -> usize {
    let is_smooth = |mut n: usize| {
        for prime in [2, 3, 5] {
            while n.is_multiple_of(prime) && n > 0 {
                n /= prime;
            }
        }
        n == 1
    };
    (length.max(1)..).find(|n| is_smooth(*n)).unwrap_or(length)
}
