//! Which cell of the screen carries what.
//!
//! The screen is covered with squares of [`PERIOD`] pixels, all alike, from its upper left corner. A square
//! has 16 x 16 cells of [`CELL`] pixels. A quarter of the cells are the template: their signs are the same
//! in every picture, and say where a square begins and how the picture is turned. The others carry the
//! mark's signs. Both are scattered over the square, so that what hides one place hides a little of each bit.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::Mark;
use crate::code::{self, SIGNS};

/// A cell's side, in pixels.
pub(crate) const CELL: usize = 16;
/// Cells along a square's side.
pub(crate) const SIDE: usize = 16;
/// A square's side, in pixels: a picture needs to hold about one whole square to be read.
pub(crate) const PERIOD: usize = CELL * SIDE;
/// Cells of a square.
pub(crate) const CELLS: usize = SIDE * SIDE;

/// Cells of the template.
const TEMPLATE: usize = CELLS - SIGNS;

/// The layout, the same in every picture.
struct Layout {
    /// Cells (row by row) and their signs.
    template: Vec<(usize, bool)>,
    /// The cell of each of the mark's signs, and whether it is written turned around, so that marks with
    /// many equal bits are as balanced as others.
    data: Vec<(usize, bool)>,
}

static LAYOUT: LazyLock<Layout> = LazyLock::new(|| {
    let mut drawn: Vec<([u8; 32], usize)> = (0_u16..)
        .zip(0..CELLS)
        .map(|(number, cell)| {
            let digest = Sha256::new()
                .chain_update(b"kekkai-watermark/1 layout")
                .chain_update(number.to_be_bytes())
                .finalize();
            (digest.into(), cell)
        })
        .collect();
    drawn.sort_unstable();
    let mut cells = drawn
        .into_iter()
        .map(|(digest, cell)| (cell, digest.last().is_some_and(|byte| byte & 1 == 1)));
    Layout {
        template: cells.by_ref().take(TEMPLATE).collect(),
        data: cells.collect(),
    }
});

/// The signs of a square's cells, row by row: `true` for plus.
pub(crate) fn cells(mark: Mark) -> [bool; CELLS] {
    let mut cells = [false; CELLS];
    let data = LAYOUT
        .data
        .iter()
        .zip(code::encode(mark))
        .map(|((cell, turned), sign)| (*cell, sign != *turned));
    for (cell, sign) in LAYOUT.template.iter().copied().chain(data) {
        if let Some(place) = cells.get_mut(cell) {
            *place = sign;
        }
    }
    cells
}

/// The template as strengths: 1, -1, and 0 where the mark is.
pub(crate) fn template() -> [f32; CELLS] {
    let mut cells = [0.0; CELLS];
    for (cell, sign) in &LAYOUT.template {
        if let Some(place) = cells.get_mut(*cell) {
            *place = if *sign { 1.0 } else { -1.0 };
        }
    }
    cells
}

/// The strengths of the mark's signs, from those of a square's cells.
pub(crate) fn data(cells: &[f32; CELLS]) -> [f32; SIGNS] {
    let mut data = [0.0; SIGNS];
    for (place, (cell, turned)) in data.iter_mut().zip(&LAYOUT.data) {
        let strength = cells.get(*cell).copied().unwrap_or(0.0);
        *place = if *turned { -strength } else { strength };
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_belongs_to_the_template_or_to_one_sign() {
        let mut seen = [0; CELLS];
        for (cell, _) in LAYOUT.template.iter().chain(&LAYOUT.data) {
            if let Some(count) = seen.get_mut(*cell) {
                *count += 1;
            }
        }
        assert_eq!(seen, [1; CELLS]);
        assert_eq!(LAYOUT.data.len(), SIGNS);
    }

    #[test]
    fn signs_come_back_from_their_cells() {
        for number in [0, 1, 0xdead_beef, u32::MAX] {
            let mark = Mark::new(number);
            let strengths = cells(mark).map(|sign| if sign { 1.0 } else { -1.0 });
            assert_eq!(data(&strengths).map(|sign| sign > 0.0), code::encode(mark));
        }
    }

    #[test]
    fn about_half_of_the_cells_are_plus() {
        for number in [0, 1, 0x5555_5555, u32::MAX] {
            let plus = cells(Mark::new(number))
                .iter()
                .filter(|sign| **sign)
                .count();
            assert!((96..=160).contains(&plus), "{number:08x}: {plus}");
        }
    }

    /// Layouts are forever: a picture of years ago is to be read.
    #[test]
    fn pattern_of_a_mark_stays_the_same() {
        let signs: String = cells(Mark::new(0x00c0_ffee))
            .iter()
            .map(|sign| if *sign { '+' } else { '-' })
            .collect();
        assert_eq!(hex(&Sha256::digest(signs)), PATTERN_OF_00C0FFEE);
    }

    const PATTERN_OF_00C0FFEE: &str =
        "671a48e1c551ac42a0911a8087b0a286278e95cfbf6505060b05cd9b4822697f";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
