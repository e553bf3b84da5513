//! All of a picture's squares laid upon one another.

use super::geometry::{Homography, Point};
use super::plane::{floor, nearest};
use super::signal::Signal;
use crate::pattern::{self, CELL, CELLS, PERIOD, SIDE};

/// Pixels of the screen in one bin, along a side.
pub(crate) const BIN: usize = 4;
/// Bins along a square's side.
pub(crate) const BINS: usize = PERIOD / BIN;
/// Bins along a cell's side.
pub(crate) const CELL_BINS: usize = CELL / BIN;

/// A part of a signal: only what lies in it is laid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disc {
    pub(crate) centre: Point,
    pub(crate) radius: f64,
}

/// A square in bins, each with the mean strength of what lay on it.
pub(crate) struct Square {
    sums: Vec<f32>,
    weights: Vec<f32>,
}

impl Square {
    /// Lays a signal. `map` leads from pixels of the screen to values of the signal.
    pub(crate) fn laid(signal: &Signal, map: &Homography, disc: Disc) -> Option<Self> {
        let back = map.inverse()?;
        let mut square = Self {
            sums: vec![0.0; BINS * BINS],
            weights: vec![0.0; BINS * BINS],
        };
        let rows = signal.value.rows().zip(signal.weight.rows());
        for (y, (values, weights)) in rows.enumerate() {
            let dy = y as f64 - disc.centre.1;
            let half = (disc.radius.powi(2) - dy.powi(2)).max(0.0).sqrt();
            let from = nearest((disc.centre.0 - half).max(0.0)).unwrap_or(0);
            let count = nearest(half * 2.0).unwrap_or(0);
            let row = values
                .iter()
                .zip(weights)
                .enumerate()
                .skip(from)
                .take(count);
            for (x, (value, weight)) in row {
                if *weight == 0.0 {
                    continue;
                }
                let Some(at) = back.map((x as f64, y as f64)) else {
                    continue;
                };
                let bin = bin_of(at);
                if let (Some(sum), Some(all)) =
                    (square.sums.get_mut(bin), square.weights.get_mut(bin))
                {
                    *sum += value;
                    *all += weight;
                }
            }
        }
        Some(square)
    }

    /// The mean of each bin; 0 where nothing lay.
    fn means(&self) -> Vec<f32> {
        self.sums
            .iter()
            .zip(&self.weights)
            .map(|(sum, weight)| sum / weight.max(0.25))
            .collect()
    }

    /// What the pattern looks like, as far as it is known: each bin with its neighbours, in units of their
    /// spread.
    pub(crate) fn expected(&self) -> Vec<f32> {
        let mut bins = around(&self.means(), 3);
        let power: f32 = bins.iter().map(|value| value * value).sum();
        let spread = (power / bins.len().max(1) as f32).sqrt().max(1e-9);
        for bin in &mut bins {
            *bin = (*bin / spread).clamp(-1.5, 1.5);
        }
        bins
    }

    /// The square as it lies when seen in another of its eight ways: a quarter turn for each of `turns`, and
    /// mirrored before.
    pub(crate) fn turned(&self, turns: usize, is_mirrored: bool) -> Self {
        let last = BINS - 1;
        let from = |x: usize, y: usize| {
            let (x, y) = if is_mirrored { (last - x, y) } else { (x, y) };
            let (x, y) = (0..turns).fold((x, y), |(x, y), _| (y, last - x));
            y * BINS + x
        };
        let pick = |bins: &[f32]| {
            let places = (0..BINS).flat_map(|y| (0..BINS).map(move |x| (x, y)));
            places
                .map(|(x, y)| bins.get(from(x, y)).copied().unwrap_or(0.0))
                .collect()
        };
        Self {
            sums: pick(&self.sums),
            weights: pick(&self.weights),
        }
    }

    /// Where the template begins, likeliest first: the bins to the right and below, and how far it stands
    /// above what chance gives, in standard deviations.
    pub(crate) fn beginnings(&self, count: usize) -> Vec<((usize, usize), f32)> {
        let boxed = around(&self.means(), CELL_BINS);
        let power: f32 = boxed.iter().map(|value| value * value).sum();
        let scale = (power / boxed.len() as f32).sqrt().max(1e-9);
        let template: Vec<(usize, usize, f32)> = pattern::template()
            .iter()
            .enumerate()
            .filter(|(_, sign)| **sign != 0.0)
            .map(|(cell, sign)| (cell % SIDE * CELL_BINS, cell / SIDE * CELL_BINS, *sign))
            .collect();
        let norm = scale * (template.len() as f32).sqrt();
        // For each beginning, the template's cells added up: row after row, so that it runs straight through
        // memory.
        let mut sums = vec![0.0; BINS * BINS];
        for (x, y, sign) in template {
            for (v, line) in sums.chunks_exact_mut(BINS).enumerate() {
                let row = (y + v) % BINS * BINS;
                let (head, tail) = boxed
                    .get(row..row + BINS)
                    .and_then(|row| row.split_at_checked(x))
                    .unwrap_or_default();
                let (first, second) = line.split_at_mut(tail.len().min(BINS));
                for (sums, values) in [(first, tail), (second, head)] {
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum += value * (sign / norm);
                    }
                }
            }
        }
        let mut scores: Vec<((usize, usize), f32)> = sums
            .into_iter()
            .enumerate()
            .map(|(at, score)| ((at % BINS, at / BINS), score))
            .collect();
        scores.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        let mut best: Vec<((usize, usize), f32)> = Vec::new();
        for (at, score) in scores {
            let apart = |p: usize, q: usize| {
                let off = p.abs_diff(q);
                off.min(BINS - off) > 2
            };
            if best.len() == count {
                break;
            }
            if best
                .iter()
                .all(|((u, v), _)| apart(at.0, *u) || apart(at.1, *v))
            {
                best.push((at, score));
            }
        }
        best
    }

    /// Each cell's strength, if the template begins there: the mean over the cell, its border, where its
    /// neighbours shine in, counting less.
    pub(crate) fn cells(&self, (u, v): (usize, usize)) -> [f32; CELLS] {
        let mut cells = [0.0; CELLS];
        for (cell, place) in cells.iter_mut().enumerate() {
            let (left, top) = (cell % SIDE * CELL_BINS, cell / SIDE * CELL_BINS);
            let (mut sum, mut all) = (0.0, 0.0);
            for (inside, share) in [(true, 1.0), (false, 0.35)] {
                for y in 0..CELL_BINS {
                    for x in 0..CELL_BINS {
                        let is_inside = |v| v > 0 && v + 1 < CELL_BINS;
                        if (is_inside(x) && is_inside(y)) == inside {
                            let at = (top + y + v) % BINS * BINS + (left + x + u) % BINS;
                            sum += share * self.sums.get(at).copied().unwrap_or(0.0);
                            all += share * self.weights.get(at).copied().unwrap_or(0.0);
                        }
                    }
                }
            }
            *place = sum / all.max(1.0);
        }
        let mean = cells.iter().sum::<f32>() / CELLS as f32;
        let size = cells.iter().map(|cell| (cell - mean).abs()).sum::<f32>() / CELLS as f32;
        for cell in &mut cells {
            // One cell that lies on a picture's own colours is not to outweigh the others.
            *cell = ((*cell - mean) / size.max(1e-6)).clamp(-2.0, 2.0);
        }
        cells
    }
}

/// The bin on which a place of the screen lies.
fn bin_of((x, y): Point) -> usize {
    let period = PERIOD as f64;
    let bin = |v: f64| {
        let inside = v.rem_euclid(period) / BIN as f64;
        usize::try_from(floor(inside)).unwrap_or(0).min(BINS - 1)
    };
    bin(y) * BINS + bin(x)
}

/// The mean of `size` x `size` bins to the right and below, around the square's edges, without that of all.
fn around(bins: &[f32], size: usize) -> Vec<f32> {
    let mean = bins.iter().sum::<f32>() / bins.len().max(1) as f32;
    let at = |x: usize, y: usize| {
        bins.get(y % BINS * BINS + x % BINS)
            .map_or(0.0, |bin| bin - mean)
    };
    // An odd size is centred.
    let back = if size % 2 == 1 { BINS - size / 2 } else { 0 };
    let mut out = Vec::with_capacity(bins.len());
    for y in 0..BINS {
        for x in 0..BINS {
            let mut sum = 0.0;
            for v in 0..size {
                for u in 0..size {
                    sum += at(x + u + back, y + v + back);
                }
            }
            out.push(sum / (size * size) as f32);
        }
    }
    out
}
