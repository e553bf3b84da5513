//! Numbers on a grid, and the places between them.

/// Rows of measured values, from the upper left corner.
#[derive(Clone)]
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f32>,
}

impl Plane {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            values: vec![0.0; width * height],
        }
    }

    /// Its rows; none if it is empty.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// The value there; 0 outside.
    pub(crate) fn get(&self, x: usize, y: usize) -> f32 {
        if x < self.width {
            let at = y.saturating_mul(self.width).saturating_add(x);
            self.values.get(at).copied().unwrap_or(0.0)
        } else {
            0.0
        }
    }

    /// The means of squares of `by` x `by` values.
    pub(crate) fn reduced(&self, by: usize) -> Self {
        let mut small = Self::new(self.width / by, self.height / by);
        let share = 1.0 / (by * by) as f32;
        if small.values.is_empty() {
            return small;
        }
        let bands = self.values.chunks_exact(self.width * by);
        for (line, band) in small.values.chunks_exact_mut(small.width).zip(bands) {
            for row in band.chunks_exact(self.width) {
                for (sum, part) in line.iter_mut().zip(row.chunks_exact(by)) {
                    *sum += part.iter().sum::<f32>() * share;
                }
            }
        }
        small
    }
}

/// The largest whole number that is not above `x`, within what pictures can have.
#[allow(
    clippy::cast_possible_truncation,
    reason = "from a float, `as` saturates, and pictures are smaller"
)]
pub(crate) fn floor(x: f64) -> i64 {
    x.floor() as i64
}

/// A channel's value as a byte.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a byte"
)]
pub(crate) fn level(x: f64) -> u8 {
    x.round().clamp(0.0, 255.0) as u8
}

/// The index of the grid's point nearest to `x`, if it is not before the first.
pub(crate) fn nearest(x: f64) -> Option<usize> {
    usize::try_from(floor(x + 0.5)).ok()
}

/// The vertex of the parabola through three values at -1, 0 and 1.
pub(crate) fn vertex(before: f32, at: f32, after: f32) -> f64 {
    let bend = before - 2.0 * at + after;
    if bend < 0.0 {
        f64::from((before - after) / (2.0 * bend)).clamp(-0.5, 0.5)
    } else {
        0.0
    }
}
