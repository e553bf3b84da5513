//! Tiles that never change, and the grid that they lie in.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use kekkai_frames::{Rect, TILE, Wiped, encode_lossless};
use zeroize::Zeroize;

use crate::TILE_BYTES;

/// A tile's side, in pixels.
pub(crate) const SIDE: usize = TILE as usize;
pub(crate) const PIXEL_BYTES: usize = 4;
/// From a tile's pixel row to the next.
pub(crate) const ROW_BYTES: usize = SIDE * PIXEL_BYTES;
const WORD_BYTES: usize = 8;

/// Where tiles lie on a screen of some size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) width: u16,
    pub(crate) height: u16,
}

impl Grid {
    pub(crate) fn columns(self) -> u16 {
        self.width.div_ceil(TILE)
    }

    pub(crate) fn rows(self) -> u16 {
        self.height.div_ceil(TILE)
    }

    pub(crate) fn tiles(self) -> usize {
        usize::from(self.columns()) * usize::from(self.rows())
    }

    /// A tile's place among all, row by row; `None` outside of the screen.
    pub(crate) fn index(self, column: u16, row: u16) -> Option<usize> {
        (column < self.columns() && row < self.rows())
            .then(|| usize::from(row) * usize::from(self.columns()) + usize::from(column))
    }

    /// The part of the screen that a tile covers.
    pub(crate) fn rect(self, column: u16, row: u16) -> Rect {
        let (x, y) = (column * TILE, row * TILE);
        Rect {
            x,
            y,
            width: TILE.min(self.width - x),
            height: TILE.min(self.height - y),
        }
    }

    /// All tiles, in the order of their indices.
    pub(crate) fn rects(self) -> impl Iterator<Item = Rect> {
        (0..self.rows())
            .flat_map(move |row| (0..self.columns()).map(move |column| self.rect(column, row)))
    }
}

/// 64 x 64 pixels as they are shown: marked, alpha 255. What lies beyond the screen's edge is 0.
pub(crate) struct Tile {
    /// As the workspace drew it; compared to find what moved, and never sent.
    raw: Wiped,
    /// As it is shown.
    marked: Wiped,
    /// Of each row of `raw`.
    row_hashes: OnceLock<Vec<u64>>,
    /// All of it without loss, by itself; shared by keyframes and new viewers.
    encoded: OnceLock<Bytes>,
}

impl Tile {
    pub(crate) fn new(raw: Wiped, marked: Wiped) -> Arc<Self> {
        Arc::new(Self {
            raw,
            marked,
            row_hashes: OnceLock::new(),
            encoded: OnceLock::new(),
        })
    }

    /// What a client shows at first: not marked, for no pixel of it came from here.
    pub(crate) fn black(at: Rect) -> Arc<Self> {
        let mut black = Wiped::new(vec![0; TILE_BYTES]);
        clip(&mut black, at);
        Self::new(black.clone(), black)
    }

    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub(crate) fn marked(&self) -> &[u8] {
        &self.marked
    }

    /// Of each of the rows as the workspace drew them. Equal rows have equal hashes; the reverse is only
    /// likely, and nothing that is shown depends on it.
    pub(crate) fn row_hashes(&self) -> &[u64] {
        self.row_hashes
            .get_or_init(|| self.raw.chunks_exact(ROW_BYTES).map(hash_row).collect())
    }

    /// The whole tile without loss.
    pub(crate) fn encoded(&self, at: Rect) -> Bytes {
        let encode = || {
            let pixels = cut(&self.marked, Rect::of_size(at.width, at.height));
            encode_lossless(&pixels, at.width, at.height).unwrap_or_default()
        };
        self.encoded.get_or_init(encode).clone()
    }
}

fn hash_row(row: &[u8]) -> u64 {
    // Two chains, so that a multiplication doesn't wait for the one before.
    let mut chains = [0x243f_6a88_85a3_08d3_u64, 0x1319_8a2e_0370_7344];
    for pair in row.chunks_exact(2 * WORD_BYTES) {
        for (chain, word) in chains.iter_mut().zip(pair.chunks_exact(WORD_BYTES)) {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            *chain = (*chain ^ word)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(23);
        }
    }
    let [one, other] = chains;
    (one ^ other.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Makes a tile's pixels comparable: alpha is 255, and what lies beyond the screen's edge is 0.
pub(crate) fn clip(rgba: &mut [u8], at: Rect) {
    let (width, height) = (usize::from(at.width), usize::from(at.height));
    for (row, pixels) in rgba.chunks_exact_mut(ROW_BYTES).enumerate() {
        let wide = if row < height { width } else { 0 };
        let (inside, outside) = pixels.split_at_mut(wide * PIXEL_BYTES);
        for pixel in inside.chunks_exact_mut(PIXEL_BYTES) {
            if let [_, _, _, alpha] = pixel {
                *alpha = u8::MAX;
            }
        }
        outside.fill(0);
    }
}

/// The pixels of a part of a tile, counted from the tile's own corner, in rows of `part.width * 4` bytes.
pub(crate) fn cut(tile: &[u8], part: Rect) -> Wiped {
    let (left, wide) = (
        usize::from(part.x) * PIXEL_BYTES,
        usize::from(part.width) * PIXEL_BYTES,
    );
    let mut pixels = Wiped::new(Vec::with_capacity(wide * usize::from(part.height)));
    let rows = tile
        .chunks_exact(ROW_BYTES)
        .skip(usize::from(part.y))
        .take(usize::from(part.height));
    for row in rows {
        pixels.extend_from_slice(row.get(left..left + wide).unwrap_or_default());
    }
    pixels
}

/// Puts pixels back as [`cut`] cuts them.
pub(crate) fn paste(tile: &mut [u8], part: Rect, pixels: &[u8]) {
    let (left, wide) = (
        usize::from(part.x) * PIXEL_BYTES,
        usize::from(part.width) * PIXEL_BYTES,
    );
    let rows = tile
        .chunks_exact_mut(ROW_BYTES)
        .skip(usize::from(part.y))
        .take(usize::from(part.height));
    for (row, pixels) in rows.zip(pixels.chunks_exact(wide.max(1))) {
        if let Some(place) = row.get_mut(left..left + wide) {
            place.copy_from_slice(pixels);
        }
    }
}

/// The smallest part of a tile, from its own corner, that holds every pixel in which two differ.
pub(crate) fn differing(one: &[u8], other: &[u8]) -> Option<Rect> {
    let rows = || {
        one.chunks_exact(ROW_BYTES)
            .zip(other.chunks_exact(ROW_BYTES))
    };
    let top = rows().position(|(one, other)| one != other)?;
    let bottom = rows().rposition(|(one, other)| one != other)?;
    let (mut left, mut right) = (SIDE, 0);
    for (one, other) in rows().skip(top).take(bottom - top + 1) {
        let mut pixels = one
            .chunks_exact(PIXEL_BYTES)
            .zip(other.chunks_exact(PIXEL_BYTES));
        let differs = |(one, other): (&[u8], &[u8])| one != other;
        // Only outside of what is known already.
        if let Some(first) = pixels.clone().take(left).position(differs) {
            left = first;
        }
        if let Some(last) = pixels.rposition(differs) {
            right = right.max(last);
        }
    }
    let length = |from: usize, to: usize| u16::try_from(to + 1 - from).unwrap_or(TILE);
    Some(Rect {
        x: u16::try_from(left).unwrap_or(0),
        y: u16::try_from(top).unwrap_or(0),
        width: length(left, right),
        height: length(top, bottom),
    })
}

impl Drop for Tile {
    fn drop(&mut self) {
        // The pixels wipe themselves.
        if let Some(hashes) = self.row_hashes.get_mut() {
            hashes.zeroize();
        }
    }
}
