//! The text that people read on every picture.

use embedded_graphics::mono_font::{MonoTextStyle, ascii::FONT_7X13};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{Dimensions, DrawTarget, Drawable, Pixel, Point, Size};
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};

/// From one line of text to the next, in pixels: a table of a few rows holds one.
pub(crate) const LINE_STEP: usize = 64;
/// How much darker or lighter the text is than its ground, in levels of each channel.
const STRENGTH: u8 = 13;
/// Between the end of a text and its next beginning, in pixels.
const GAP: usize = 56;
/// A line begins this many eighths of a text's length further right than the line above: the lines run
/// diagonally over the screen, and none stands below another for [`SHIFTS`] lines.
const SHIFT_EIGHTHS: usize = 3;
/// Lines with different beginnings.
const SHIFTS: usize = 8;

/// One text, drawn once, and where its copies lie.
#[derive(Clone)]
pub(crate) struct Visible {
    /// From one copy to the next on a line, in pixels.
    width: usize,
    /// For each row of the text's pixels: the strength at each byte of RGBA.
    rows: Vec<Vec<u8>>,
}

impl Visible {
    /// Draws a text. What is not printable ASCII is shown as `?`.
    pub(crate) fn new(text: &str) -> Self {
        let text: String = text
            .chars()
            .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
            .collect();
        let style = MonoTextStyle::new(&FONT_7X13, BinaryColor::On);
        let text = Text::with_baseline(&text, Point::zero(), style, Baseline::Top);
        let size = text.bounding_box().size;
        let pixels = |n: u32| usize::try_from(n).unwrap_or(0);
        let width = pixels(size.width) + GAP;
        let mut stencil = Stencil {
            size,
            rows: vec![vec![0; width * 4]; pixels(size.height)],
        };
        let Ok(_) = text.draw(&mut stencil);
        Self {
            width,
            rows: stencil.rows,
        }
    }

    /// The strengths for a row of the screen, and the byte of it at which the row begins, if it has text.
    pub(crate) fn row(&self, y: usize) -> Option<(&[u8], usize)> {
        let row = self.rows.get(y % LINE_STEP)?;
        let shift = y / LINE_STEP % SHIFTS * SHIFT_EIGHTHS * self.width / SHIFTS % self.width;
        Some((row, (self.width - shift) * 4))
    }
}

/// Takes a drawing's pixels as strengths.
struct Stencil {
    size: Size,
    rows: Vec<Vec<u8>>,
}

impl Dimensions for Stencil {
    fn bounding_box(&self) -> Rectangle {
        Rectangle::new(Point::zero(), self.size)
    }
}

impl DrawTarget for Stencil {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        for Pixel(at, color) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(at.x), usize::try_from(at.y)) else {
                continue;
            };
            let pixel = self
                .rows
                .get_mut(y)
                .and_then(|row| row.chunks_exact_mut(4).nth(x));
            if let (Some([r, g, b, _]), true) = (pixel, color.is_on()) {
                (*r, *g, *b) = (STRENGTH, STRENGTH, STRENGTH);
            }
        }
        Ok(())
    }
}
