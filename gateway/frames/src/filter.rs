//! Filters of rows, as in PNG (W3C, "Filter types for filter method 0") with one byte a pixel: a value less
//! what its neighbours predict.

const NONE: u8 = 0;
const LEFT: u8 = 1;
const ABOVE: u8 = 2;
const MEAN: u8 = 3;
const PAETH: u8 = 4;

/// Each row of a plane behind the filter that leaves least, with that filter's number.
pub(crate) fn rows(plane: &[u8], width: usize) -> impl Iterator<Item = (u8, Vec<u8>)> {
    let zeros = vec![0; width];
    let mut above = zeros;
    plane.chunks_exact(width).map(move |row| {
        let best = [NONE, LEFT, ABOVE, MEAN, PAETH]
            .into_iter()
            .map(|kind| (kind, apply(kind, row, &above)))
            .min_by_key(|(_, filtered)| cost(filtered))
            .unwrap_or((NONE, row.to_vec()));
        above = row.to_vec();
        best
    })
}

/// How many bits a filtered row needs, roughly: none where the prediction was right, and else more the
/// further off it was.
pub(crate) fn cost(filtered: &[u8]) -> usize {
    filtered
        .iter()
        .map(|value| {
            let size = value.cast_signed().unsigned_abs();
            let bits = (u8::BITS - size.leading_zeros()) as usize;
            if bits == 0 { 0 } else { 4 + bits }
        })
        .sum()
}

fn apply(kind: u8, row: &[u8], above: &[u8]) -> Vec<u8> {
    let left = std::iter::once(&0).chain(row);
    let corner = std::iter::once(&0).chain(above);
    row.iter()
        .zip(left)
        .zip(above.iter().zip(corner))
        .map(|((value, left), (above, corner))| {
            value.wrapping_sub(predict(kind, *left, *above, *corner))
        })
        .collect()
}

/// Makes values of a filtered row; `None`: no filter has this number.
pub(crate) fn undo(kind: u8, row: &mut [u8], above: &[u8]) -> Option<()> {
    if kind > PAETH {
        return None;
    }
    let (mut left, mut corner) = (0, 0);
    for (value, above) in row.iter_mut().zip(above) {
        *value = value.wrapping_add(predict(kind, left, *above, corner));
        (left, corner) = (*value, *above);
    }
    Some(())
}

fn predict(kind: u8, left: u8, above: u8, corner: u8) -> u8 {
    match kind {
        LEFT => left,
        ABOVE => above,
        MEAN => left.midpoint(above),
        PAETH => paeth(left, above, corner),
        _ => 0,
    }
}

/// The neighbour that is nearest to left + above - corner; ties in that order.
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(above) - i16::from(corner);
    let distance = |value: u8| estimate.abs_diff(i16::from(value));
    if distance(left) <= distance(above) && distance(left) <= distance(corner) {
        left
    } else if distance(above) <= distance(corner) {
        above
    } else {
        corner
    }
}
