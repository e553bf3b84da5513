//! From places of the pattern to places of the picture, as a camera does it.

/// A place.
pub(crate) type Point = (f64, f64);

/// A projective map of the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Homography([[f64; 3]; 3]);

impl Homography {
    /// `origin + x * right + y * down`.
    pub(crate) const fn affine(origin: Point, right: Point, down: Point) -> Self {
        Self([
            [right.0, down.0, origin.0],
            [right.1, down.1, origin.1],
            [0.0, 0.0, 1.0],
        ])
    }

    /// The map that brings four places exactly to four others.
    pub(crate) fn through(from: [Point; 4], to: [Point; 4]) -> Option<Self> {
        let mut rows = [[0.0; 9]; 8];
        let pairs = from.iter().zip(&to);
        for (two, ((x, y), (u, v))) in rows.chunks_exact_mut(2).zip(pairs) {
            if let [across, down] = two {
                *across = [*x, *y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, *u];
                *down = [0.0, 0.0, 0.0, *x, *y, 1.0, -v * x, -v * y, *v];
            }
        }
        let [a, b, c, d, e, f, g, h] = solve(rows)?;
        Some(Self([[a, b, c], [d, e, f], [g, h, 1.0]]))
    }

    /// Where a place comes to lie; `None` on or beyond the horizon.
    pub(crate) fn map(&self, (x, y): Point) -> Option<Point> {
        let [u, v, w] = self.0.map(|[a, b, c]| a * x + b * y + c);
        (w > 1e-9).then(|| (u / w, v / w))
    }

    /// The map back.
    pub(crate) fn inverse(&self) -> Option<Self> {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.0;
        let det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
        if det.abs() < 1e-12 {
            return None;
        }
        let adjugate = [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ];
        Some(Self(adjugate.map(|row| row.map(|value| value / det))))
    }

    /// The change of the map at a place: what one step to the right and one down become.
    pub(crate) fn steps(&self, (x, y): Point) -> Option<(Point, Point)> {
        let at = self.map((x, y))?;
        let (right, down) = (self.map((x + 1.0, y))?, self.map((x, y + 1.0))?);
        Some((
            (right.0 - at.0, right.1 - at.1),
            (down.0 - at.0, down.1 - at.1),
        ))
    }

    /// The map that brings each `from` closest to its `to`, as least squares of the algebraic distance, and
    /// again with less weight for pairs far off. Without `perspective`, an affine one.
    pub(crate) fn fit(pairs: &[Pair], perspective: bool) -> Option<Self> {
        let (from, to) = (
            Frame::of(pairs.iter().map(|pair| pair.from)),
            Frame::of(pairs.iter().map(|pair| pair.to)),
        );
        let mut weights: Vec<f64> = pairs.iter().map(|pair| pair.weight).collect();
        let mut fitted = None;
        for _ in 0..4 {
            let mut normal = [[0.0; 9]; 8];
            for (pair, weight) in pairs.iter().zip(&weights) {
                let ((x, y), (u, v)) = (from.inside(pair.from), to.inside(pair.to));
                let bend = if perspective { 1.0 } else { 0.0 };
                let rows = [
                    [x, y, 1.0, 0.0, 0.0, 0.0, -u * x * bend, -u * y * bend, u],
                    [0.0, 0.0, 0.0, x, y, 1.0, -v * x * bend, -v * y * bend, v],
                ];
                for row in rows {
                    for (line, a) in normal.iter_mut().zip(row) {
                        for (sum, b) in line.iter_mut().zip(row) {
                            *sum += weight * a * b;
                        }
                    }
                }
            }
            // A little stiffness: pairs on a line, or none that tell the perspective, bend nothing.
            for (i, line) in normal.iter_mut().enumerate() {
                if let Some(diagonal) = line.get_mut(i) {
                    *diagonal += if i >= 6 { 1e-4 } else { 1e-9 };
                }
            }
            let [a, b, c, d, e, f, g, h] = solve(normal)?;
            let map = Self([[a, b, c], [d, e, f], [g, h, 1.0]]).between(&from, &to)?;
            for (pair, weight) in pairs.iter().zip(&mut weights) {
                let off = map.map(pair.from).map_or(f64::MAX, |(u, v)| {
                    (u - pair.to.0).hypot(v - pair.to.1) / pair.tolerance
                });
                *weight = pair.weight / (1.0 + (off * off).min(1e12)).powi(2);
            }
            fitted = Some(map);
        }
        fitted
    }

    /// The same map for places that lie in other frames.
    fn between(self, from: &Frame, to: &Frame) -> Option<Self> {
        let out = Self::affine(to.centre, (to.scale, 0.0), (0.0, to.scale));
        let inward = Self::affine(from.centre, (from.scale, 0.0), (0.0, from.scale)).inverse()?;
        Some(out.after(&self).after(&inward))
    }

    /// First `first`, then this.
    pub(crate) fn after(&self, first: &Self) -> Self {
        let [x, y, z] = first.0;
        let product = self.0.map(|[a, b, c]| {
            let mut row = [0.0; 3];
            for (((sum, x), y), z) in row.iter_mut().zip(x).zip(y).zip(z) {
                *sum = a * x + b * y + c * z;
            }
            row
        });
        let scale = match product {
            [_, _, [_, _, w]] if w.abs() > 1e-12 => w,
            _ => 1.0,
        };
        Self(product.map(|row| row.map(|value| value / scale)))
    }
}

/// A place of the pattern that was seen at a place of the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) from: Point,
    pub(crate) to: Point,
    /// How sure it is.
    pub(crate) weight: f64,
    /// How far off it may be, in the picture.
    pub(crate) tolerance: f64,
}

/// Where points lie on the whole; least squares are stable when that is taken out.
struct Frame {
    centre: Point,
    scale: f64,
}

impl Frame {
    fn of(points: impl Iterator<Item = Point> + Clone) -> Self {
        let count = points.clone().count().max(1) as f64;
        let sum = points
            .clone()
            .fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        let centre = (sum.0 / count, sum.1 / count);
        let spread: f64 = points.map(|p| (p.0 - centre.0).hypot(p.1 - centre.1)).sum();
        Self {
            centre,
            scale: (spread / count).max(1e-6),
        }
    }

    fn inside(&self, p: Point) -> Point {
        (
            (p.0 - self.centre.0) / self.scale,
            (p.1 - self.centre.1) / self.scale,
        )
    }
}

/// Solves linear equations given as rows with the right side last, by elimination with pivots; `None` if
/// they don't determine it.
pub(crate) fn solve<const N: usize, const M: usize>(mut rows: [[f64; M]; N]) -> Option<[f64; N]> {
    for column in 0..N {
        let size = |row: &[f64; M]| row.get(column).map_or(0.0, |value| value.abs());
        let best = (column..N).max_by(|a, b| {
            let of = |i: &usize| rows.get(*i).map_or(0.0, size);
            of(a).total_cmp(&of(b))
        })?;
        rows.swap(column, best);
        let pivot = *rows.get(column)?;
        let head = *pivot.get(column)?;
        if head.abs() < 1e-12 {
            return None;
        }
        for (i, row) in rows.iter_mut().enumerate() {
            let factor = row.get(column)? / head;
            if i != column {
                for (value, above) in row.iter_mut().zip(&pivot) {
                    *value -= factor * above;
                }
            }
        }
    }
    let mut solution = [0.0; N];
    for (i, (value, row)) in solution.iter_mut().zip(&rows).enumerate() {
        *value = row.last()? / row.get(i)?;
    }
    Some(solution)
}
