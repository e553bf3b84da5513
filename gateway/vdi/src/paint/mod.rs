//! A small painter: rectangles, text, a picture. Just enough for a form and a notice.

mod font;
mod raster;

pub use font::{Font, FontError};

use kekkai_frames::Rect;

/// A colour as the window has it: `0x00RRGGBB`.
pub type Colour = u32;

/// Pixels that can be drawn on, row by row.
#[derive(Debug)]
pub struct Pixels<'a> {
    width: usize,
    height: usize,
    data: &'a mut [Colour],
}

impl<'a> Pixels<'a> {
    /// On a buffer of `width` × `height` pixels; one that is shorter is drawn on as far as it goes.
    pub fn new(data: &'a mut [Colour], width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            data,
        }
    }

    /// In pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// In pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    fn row(&mut self, y: usize, x: usize, width: usize) -> &mut [Colour] {
        if y >= self.height {
            return &mut [];
        }
        let x = x.min(self.width);
        let start = y * self.width + x;
        let end = start + width.min(self.width - x);
        self.data.get_mut(start..end).unwrap_or_default()
    }

    /// One colour.
    pub fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        for y in y..y.saturating_add(height).min(self.height) {
            self.row(y, x, width).fill(colour);
        }
    }

    /// Everything in one colour.
    pub fn clear(&mut self, colour: Colour) {
        self.data.fill(colour);
    }

    /// A rectangle of an RGBA picture whose upper left corner is this one's.
    pub fn picture(&mut self, rgba: &[u8], picture_width: usize, at: Rect) {
        let [x, y, width, height] = [at.x, at.y, at.width, at.height].map(usize::from);
        for y in y..y + height {
            let start = (y * picture_width + x) * 4;
            let from = rgba.get(start..start + width * 4).unwrap_or_default();
            let (from, _) = from.as_chunks::<4>();
            for (to, [red, green, blue, _]) in self.row(y, x, width).iter_mut().zip(from) {
                *to = u32::from_be_bytes([0, *red, *green, *blue]);
            }
        }
    }

    /// Text on one line, its baseline at `y`; gives the width. Characters that the font doesn't have are
    /// drawn as its box.
    pub fn text(
        &mut self,
        font: &mut Font,
        size: u16,
        (x, y): (usize, usize),
        colour: Colour,
        text: &str,
    ) -> usize {
        let mut pen = x;
        for character in text.chars() {
            let glyph = font.glyph(character, size);
            let left = pen.saturating_add_signed(glyph.left);
            for (line, coverage) in glyph.coverage.chunks(glyph.width.max(1)).enumerate() {
                let y = y.saturating_add_signed(glyph.top).saturating_add(line);
                for (to, coverage) in self.row(y, left, glyph.width).iter_mut().zip(coverage) {
                    *to = blend(*to, colour, *coverage);
                }
            }
            pen += glyph.advance;
        }
        pen - x
    }
}

fn blend(under: Colour, over: Colour, coverage: u8) -> Colour {
    let share = u32::from(coverage);
    let mix = |shift: u32| {
        let [under, over] = [under, over].map(|colour| colour >> shift & 0xff);
        ((under * (255 - share) + over * share + 127) / 255) << shift
    };
    mix(16) | mix(8) | mix(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_outside() {
        let mut data = vec![1; 6];
        let mut pixels = Pixels::new(&mut data, 3, 2);
        pixels.fill(2, 1, 100, usize::MAX, 7);
        pixels.fill(50, 0, 1, 1, 9);
        pixels.picture(
            &[255; 400],
            10,
            Rect {
                x: 0,
                y: 0,
                width: 1,
                height: 9,
            },
        );
        assert_eq!(data, [0xff_ffff, 1, 1, 0xff_ffff, 1, 7]);
    }

    #[test]
    fn colours_mix_by_coverage() {
        assert_eq!(blend(0x00ff_ffff, 0x0012_3456, 255), 0x0012_3456);
        assert_eq!(blend(0x00ff_ffff, 0x0012_3456, 0), 0x00ff_ffff);
        assert_eq!(blend(0x0000_0000, 0x00ff_ff00, 128), 0x0080_8000);
    }
}
