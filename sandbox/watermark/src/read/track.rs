//! From a map that holds at one place to one that holds everywhere.

use super::geometry::{Homography, Pair, Point};
use super::plane::{Plane, nearest, vertex};
use super::signal::Signal;
use super::square::{BIN, BINS, CELL_BINS, Disc, Square};
use crate::pattern::PERIOD;

/// A patch's side, in bins: nine cells hold 81 signs.
const PATCH_BINS: usize = 9 * CELL_BINS;
/// From one patch to the next at least, in pixels of the screen.
const PATCH_STEP: f64 = 64.0;
/// Patches along a disc's diameter, at most: a projection has eight unknowns.
const PATCHES_ACROSS: f64 = 13.0;
/// How far a patch is looked for, in bins.
const SHIFT_MAX: usize = 6;
/// A patch counts if it stands this many times above the other shifts.
const CLEAR_MIN: f32 = 3.0;
/// One patch in so many has to be found again, or the lattice was none.
const PAIRS_SHARE: usize = 3;

/// Corrects a map by what the signal holds in a disc, against the pattern that it has shown so far. `None`
/// if too little of it is seen.
pub(crate) fn refine(
    signal: &Signal,
    map: &Homography,
    disc: Disc,
    expected: &[f32],
) -> Option<Homography> {
    let back = map.inverse()?;
    let middle = back.map(disc.centre)?;
    // How many patches reach the disc's edge, by the scale in its middle.
    let (right, down) = map.steps(middle)?;
    let scale = (right.0 * down.1 - right.1 * down.0).abs().sqrt().max(1e-6);
    let radius = disc.radius / scale;
    let step = (radius * 2.0 / PATCHES_ACROSS).max(PATCH_STEP);
    let reach = nearest(radius / step * 1.3).unwrap_or(0);
    let expected = &unrolled(expected);
    let (mut pairs, mut tried) = (Vec::new(), 0);
    for j in 0..=reach * 2 {
        for i in 0..=reach * 2 {
            let at = (
                middle.0 + (i as f64 - reach as f64) * step,
                middle.1 + (j as f64 - reach as f64) * step,
            );
            let Some(to) = map.map(at) else { continue };
            let is_near = (to.0 - disc.centre.0).hypot(to.1 - disc.centre.1) <= disc.radius;
            let is_inside = (0.0..signal.value.width as f64).contains(&to.0)
                && (0.0..signal.value.height as f64).contains(&to.1);
            if is_near && is_inside {
                tried += 1;
                pairs.extend(seen(signal, map, at, to, expected, scale));
            }
        }
    }
    if pairs.len() < 4 || pairs.len() * PAIRS_SHARE < tried {
        return None;
    }
    Homography::fit(&pairs, pairs.len() >= 12)
}

/// Bins of a row that goes on into the next square, as far as a patch reaches.
const UNROLLED: usize = BINS + PATCH_BINS;

/// The square's rows with their beginnings behind them.
fn unrolled(square: &[f32]) -> Vec<f32> {
    square
        .chunks_exact(BINS)
        .flat_map(|row| row.iter().chain(row.iter().take(PATCH_BINS)))
        .copied()
        .collect()
}

/// The sum of products, in twelve sums that a processor forms at once.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 12];
    for (a, b) in a.chunks_exact(12).zip(b.chunks_exact(12)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// A patch around a place of the screen, where the pattern says that it is.
fn seen(
    signal: &Signal,
    map: &Homography,
    at: Point,
    to: Point,
    expected: &[f32],
    scale: f64,
) -> Option<Pair> {
    // On the bins' grid, so that the pattern's bins lie on the patch's.
    let bin = BIN as f64;
    let half = PATCH_BINS as f64 / 2.0;
    let first = ((at.0 / bin - half).floor(), (at.1 / bin - half).floor());
    let mut patch = Vec::with_capacity(PATCH_BINS * PATCH_BINS);
    let mut weight = 0.0;
    for y in 0..PATCH_BINS {
        for x in 0..PATCH_BINS {
            let place = (
                (first.0 + x as f64 + 0.5) * bin,
                (first.1 + y as f64 + 0.5) * bin,
            );
            let (value, share) = map.map(place).map_or((0.0, 0.0), |p| {
                (sample(&signal.value, p), sample(&signal.weight, p))
            });
            patch.push(value);
            weight += share;
        }
    }
    let share = weight / (PATCH_BINS * PATCH_BINS) as f32;
    if share < 0.25 {
        return None;
    }
    let begin = (wrapped(first.0), wrapped(first.1));
    let shifts = SHIFT_MAX * 2 + 1;
    let mut scores = Plane::new(shifts, shifts);
    for (v, line) in scores.values.chunks_exact_mut(shifts).enumerate() {
        for (u, score) in line.iter_mut().enumerate() {
            let left = (begin.0 + u + BINS - SHIFT_MAX) % BINS;
            for (y, row) in patch.chunks_exact(PATCH_BINS).enumerate() {
                let from = (begin.1 + y + v + BINS - SHIFT_MAX) % BINS * UNROLLED + left;
                let pattern = expected.get(from..from + PATCH_BINS).unwrap_or_default();
                *score += product(row, pattern);
            }
        }
    }
    let (best, top) = scores
        .values
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))?;
    let (u, v) = (best % shifts, best / shifts);
    let noise =
        (scores.values.iter().map(|s| s * s).sum::<f32>() / scores.values.len() as f32).sqrt();
    let is_inside = |i: usize| i > 0 && i + 1 < shifts;
    if !is_inside(u) || !is_inside(v) || *top < noise * CLEAR_MIN {
        return None;
    }
    let fine = |at: usize, before: f32, after: f32| {
        at as f64 - SHIFT_MAX as f64 + vertex(before, *top, after)
    };
    let shift = (
        fine(u, scores.get(u - 1, v), scores.get(u + 1, v)) * bin,
        fine(v, scores.get(u, v - 1), scores.get(u, v + 1)) * bin,
    );
    let centre = ((first.0 + half) * bin, (first.1 + half) * bin);
    let to = map.map(centre).unwrap_or(to);
    Some(Pair {
        from: (centre.0 + shift.0, centre.1 + shift.1),
        to,
        weight: f64::from(share),
        tolerance: 2.0 * scale,
    })
}

fn wrapped(bin: f64) -> usize {
    nearest(bin.rem_euclid(BINS as f64)).unwrap_or(0) % BINS
}

/// The value between four.
pub(crate) fn sample(plane: &Plane, (x, y): Point) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (Some(i), Some(j)) = (nearest(left), nearest(top)) else {
        return 0.0;
    };
    let (s, t) = (x - left, y - top);
    let mix = |a: f32, b: f32, t: f64| f64::from(a) * (1.0 - t) + f64::from(b) * t;
    let above = mix(plane.get(i, j), plane.get(i + 1, j), s);
    let below = mix(plane.get(i, j + 1), plane.get(i + 1, j + 1), s);
    narrow(above * (1.0 - t) + below * t)
}

#[allow(clippy::cast_possible_truncation, reason = "between values that fit")]
fn narrow(x: f64) -> f32 {
    x as f32
}

/// The signal's whole extent.
pub(crate) fn everything(signal: &Signal) -> Disc {
    let (w, h) = (signal.value.width as f64, signal.value.height as f64);
    Disc {
        centre: (w / 2.0, h / 2.0),
        radius: w.hypot(h) / 2.0,
    }
}

/// Refines a map in ever larger discs, until it holds for the whole signal. Calls back with what the square
/// is known to look like each time; stops when the callback has what it wants.
pub(crate) fn grow<T>(
    signal: &Signal,
    mut map: Homography,
    mut disc: Disc,
    mut found: impl FnMut(&Square) -> Option<T>,
) -> Option<T> {
    const GROWTH: f64 = 1.3;
    const ROUNDS_MAX: usize = 10;
    let whole = everything(signal);
    let far = (disc.centre.0 - whole.centre.0).hypot(disc.centre.1 - whole.centre.1) + whole.radius;
    let mut square = Square::laid(signal, &map, disc)?;
    if let Some(found) = found(&square) {
        return Some(found);
    }
    for _ in 0..ROUNDS_MAX {
        for _ in 0..2 {
            map = refine(signal, &map, disc, &square.expected())?;
            if !is_sane(&map, disc.centre) {
                return None;
            }
            square = Square::laid(signal, &map, disc)?;
        }
        if let Some(found) = found(&square) {
            return Some(found);
        }
        if disc.radius >= far {
            return None;
        }
        disc.radius = (disc.radius * GROWTH).min(far);
        map = refine(signal, &map, disc, &square.expected())?;
    }
    None
}

/// Whether a map could be a camera's view of a screen: it neither folds nor shrinks to nothing.
pub(crate) fn is_sane(map: &Homography, at: Point) -> bool {
    let Some(back) = map.inverse() else {
        return false;
    };
    let Some((right, down)) = back.map(at).and_then(|place| map.steps(place)) else {
        return false;
    };
    let period = PERIOD as f64;
    [right, down].iter().all(|step| {
        let length = step.0.hypot(step.1) * period;
        (super::lattice::STEP_MIN * 0.7..super::lattice::STEP_MAX * 1.4).contains(&length)
    })
}
