//! Outlines to coverage: each edge adds, in each cell it crosses, the area to its right; the sum along a row
//! is how much of each pixel lies inside (non-zero winding, as fonts want it).

/// Control points of a curve become this many lines.
const CURVE_LINES: u8 = 8;
/// The largest glyph, in pixels either way.
const SIDE_MAX: usize = 512;

/// A picture that edges are added to.
pub(super) struct Raster {
    width: usize,
    height: usize,
    sums: Vec<f32>,
    start: (f32, f32),
    at: (f32, f32),
    left: f32,
    top: f32,
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the picture before"
)]
fn cell(x: f32, count: usize) -> usize {
    x.floor().clamp(0.0, count.saturating_sub(1) as f32) as usize
}

impl Raster {
    /// For an outline within the given box, in pixels, y upwards.
    pub(super) fn new(left: f32, bottom: f32, right: f32, top: f32) -> Self {
        let span = |from: f32, to: f32| cell(to.ceil() - from.floor(), SIDE_MAX) + 1;
        let (width, height) = (span(left, right), span(bottom, top));
        Self {
            width,
            height,
            // One more: an edge at the right border adds beyond it.
            sums: vec![0.0; (width + 1) * height],
            start: (0.0, 0.0),
            at: (0.0, 0.0),
            left: left.floor(),
            top: top.ceil(),
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// 0 outside to 255 inside, row by row.
    pub(super) fn coverage(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.width * self.height);
        for row in self.sums.chunks(self.width + 1) {
            let mut sum = 0.0;
            all.extend(row.iter().take(self.width).map(|change| {
                sum += change;
                level(sum)
            }));
        }
        all
    }

    fn edge(&mut self, from: (f32, f32), to: (f32, f32)) {
        let (sign, from, to) = if from.1 < to.1 {
            (1.0, from, to)
        } else {
            (-1.0, to, from)
        };
        let height = to.1 - from.1;
        if height <= 0.0 {
            return;
        }
        let x_at = |y: f32| from.0 + (to.0 - from.0) * (y - from.1) / height;
        for row in cell(from.1, self.height)..=cell(to.1, self.height) {
            let above = from.1.max(row as f32);
            let below = to.1.min(row as f32 + 1.0);
            if below > above {
                self.edge_in_row(row, (x_at(above), x_at(below)), (below - above) * sign);
            }
        }
    }

    /// An edge within one row, which falls by `height` (negative: rises).
    fn edge_in_row(&mut self, row: usize, (from, to): (f32, f32), height: f32) {
        let (left, right) = if from < to { (from, to) } else { (to, from) };
        let (first, last) = (cell(left, self.width), cell(right, self.width));
        for column in first..=last {
            let begin = left.max(column as f32);
            let end = right.min(column as f32 + 1.0);
            let part = if first == last {
                height
            } else {
                height * (end - begin).max(0.0) / (right - left)
            };
            let middle = ((begin + end) / 2.0 - column as f32).clamp(0.0, 1.0);
            let index = row * (self.width + 1) + column;
            if let Some(sum) = self.sums.get_mut(index) {
                *sum += part * (1.0 - middle);
            }
            if let Some(sum) = self.sums.get_mut(index + 1) {
                *sum += part * middle;
            }
        }
    }

    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        (x - self.left, self.top - y)
    }

    fn line(&mut self, to: (f32, f32)) {
        self.edge(self.at, to);
        self.at = to;
    }

    fn curve(&mut self, point: impl Fn(f32) -> (f32, f32)) {
        for step in 1..=CURVE_LINES {
            self.line(point(f32::from(step) / f32::from(CURVE_LINES)));
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 255"
)]
fn level(sum: f32) -> u8 {
    (sum.abs().min(1.0) * 255.0).round() as u8
}

fn between(a: (f32, f32), b: (f32, f32), t: f32) -> (f32, f32) {
    (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t)
}

impl skrifa::outline::OutlinePen for Raster {
    fn move_to(&mut self, x: f32, y: f32) {
        self.at = self.place(x, y);
        self.start = self.at;
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.line(self.place(x, y));
    }

    fn quad_to(&mut self, cx0: f32, cy0: f32, x: f32, y: f32) {
        let (a, b, c) = (self.at, self.place(cx0, cy0), self.place(x, y));
        self.curve(|t| between(between(a, b, t), between(b, c, t), t));
    }

    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        let (a, b) = (self.at, self.place(cx0, cy0));
        let (c, d) = (self.place(cx1, cy1), self.place(x, y));
        self.curve(|t| {
            let (ab, bc, cd) = (between(a, b, t), between(b, c, t), between(c, d, t));
            between(between(ab, bc, t), between(bc, cd, t), t)
        });
    }

    fn close(&mut self) {
        self.line(self.start);
    }
}

#[cfg(test)]
mod tests {
    use skrifa::outline::OutlinePen as _;

    use super::*;

    #[test]
    fn coverage_is_the_area_inside() {
        // A square from 0.5 to 2.5 with a hole from 1 to 2, y upwards.
        let mut raster = Raster::new(0.0, 0.0, 3.0, 3.0);
        for (points, near, far) in [(true, 0.5, 2.5), (false, 1.0, 2.0)] {
            let mut corners = [(near, near), (far, near), (far, far), (near, far)];
            if !points {
                corners.reverse();
            }
            raster.move_to(corners[0].0, corners[0].1);
            for (x, y) in &corners[1..] {
                raster.line_to(*x, *y);
            }
            raster.close();
        }
        let coverage = raster.coverage();
        let row: Vec<_> = coverage
            .chunks(raster.width())
            .map(|row| row[..3].to_vec())
            .collect();
        assert_eq!(row[0], [64, 128, 64]);
        assert_eq!(row[1], [128, 0, 128]);
        assert_eq!(row[2], [64, 128, 64]);
    }

    #[test]
    fn a_triangle_covers_half_of_its_box() {
        let mut raster = Raster::new(0.0, 0.0, 16.0, 8.0);
        raster.move_to(0.0, 0.0);
        raster.line_to(16.0, 0.0);
        raster.line_to(16.0, 8.0);
        raster.close();
        let sum: u32 = raster.coverage().iter().map(|c| u32::from(*c)).sum();
        assert!(sum.abs_diff(64 * 255) < 64, "{sum}");
    }
}
