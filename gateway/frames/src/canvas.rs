//! What a client shows: outputs applied to pixels, one after the other.

use crate::{
    CanvasError, Codec, HEIGHT_MAX, Output, Rect, SIDE_MIN, Tile, WIDTH_MAX, decode_lossless,
    decode_lossy, wipe,
};

const PIXEL_BYTES: usize = 4;

/// The pixels of a screen; black at first. Wiped when it ends.
pub struct Canvas {
    width: u16,
    height: u16,
    rgba: Vec<u8>,
}

impl Canvas {
    /// A black screen.
    ///
    /// # Errors
    /// A size that no screen has.
    pub fn new(width: u16, height: u16) -> Result<Self, CanvasError> {
        let is_allowed =
            (SIDE_MIN..=WIDTH_MAX).contains(&width) && (SIDE_MIN..=HEIGHT_MAX).contains(&height);
        if !is_allowed {
            return Err(CanvasError::Size { width, height });
        }
        Ok(Self {
            width,
            height,
            rgba: black(width, height),
        })
    }

    /// In pixels.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// In pixels.
    pub fn height(&self) -> u16 {
        self.height
    }

    /// Rows of `width * 4` bytes: red, green, blue, 255.
    pub fn rgba(&self) -> &[u8] {
        &self.rgba
    }

    /// The pixels of a rectangle, row by row; `None` when it leaves the screen.
    pub fn crop(&self, at: Rect) -> Option<Vec<u8>> {
        let mut pixels =
            Vec::with_capacity(usize::from(at.width) * usize::from(at.height) * PIXEL_BYTES);
        for row in 0..at.height {
            pixels.extend_from_slice(self.rgba.get(self.row(&at, row)?)?);
        }
        Some(pixels)
    }

    /// Does what a message says. What changed comes back; nothing for a cursor or a ping.
    ///
    /// # Errors
    /// What doesn't fit this screen, or pixels that can't be read. Tiles before the one that failed are drawn.
    pub fn apply(&mut self, output: &Output) -> Result<Vec<Rect>, CanvasError> {
        match output {
            Output::Tiles { tiles, .. } => tiles.iter().map(|tile| self.draw(tile)).collect(),
            Output::Scroll { from, dx, dy, .. } => Ok(vec![self.scroll(*from, *dx, *dy)?]),
            Output::Size { width, height } => {
                *self = Self::new(*width, *height)?;
                Ok(vec![Rect::of_size(*width, *height)])
            }
            Output::Cursor(_) | Output::Ping { .. } => Ok(Vec::new()),
        }
    }

    /// Puts pixels, rows of `at.width * 4` bytes, where they belong.
    ///
    /// # Errors
    /// A rectangle that leaves the screen, or has another number of pixels.
    pub fn put(&mut self, at: Rect, rgba: &[u8]) -> Result<(), CanvasError> {
        self.check(&at)?;
        let row_bytes = usize::from(at.width) * PIXEL_BYTES;
        if rgba.len() != row_bytes * usize::from(at.height) {
            return Err(self.outside());
        }
        for (row, pixels) in (0..at.height).zip(rgba.chunks_exact(row_bytes)) {
            let range = self.row(&at, row).ok_or_else(|| self.outside())?;
            if let Some(place) = self.rgba.get_mut(range) {
                place.copy_from_slice(pixels);
            }
        }
        Ok(())
    }

    /// Moves pixels, also onto themselves. Where they are now comes back.
    ///
    /// # Errors
    /// A rectangle that leaves the screen, before or after.
    pub fn scroll(&mut self, from: Rect, dx: i16, dy: i16) -> Result<Rect, CanvasError> {
        self.check(&from)?;
        let to = from.moved(dx, dy).ok_or_else(|| self.outside())?;
        self.check(&to)?;
        // Rows in the order in which none is overwritten before it was read.
        let mut step = |row: u16| -> Option<()> {
            let (source, target) = (self.row(&from, row)?, self.row(&to, row)?);
            self.rgba.copy_within(source, target.start);
            Some(())
        };
        let is_done = match dy > 0 {
            true => (0..from.height).rev().try_for_each(&mut step),
            false => (0..from.height).try_for_each(&mut step),
        };
        is_done.map(|()| to).ok_or_else(|| self.outside())
    }

    fn draw(&mut self, tile: &Tile) -> Result<Rect, CanvasError> {
        let at = tile.at;
        self.check(&at)?;
        let mut pixels = match tile.codec {
            Codec::Lossless => decode_lossless(&tile.data, at.width, at.height)?,
            Codec::Lossy => decode_lossy(&tile.data, at.width, at.height)?,
            Codec::Difference => {
                let mut change = decode_lossless(&tile.data, at.width, at.height)?;
                let mut there = self.crop(at).ok_or_else(|| self.outside())?;
                add(&mut there, &change);
                wipe(&mut change);
                there
            }
        };
        let put = self.put(at, &pixels);
        wipe(&mut pixels);
        put.map(|()| at)
    }

    fn check(&self, rect: &Rect) -> Result<(), CanvasError> {
        rect.lies_on(self.width, self.height)
            .then_some(())
            .ok_or_else(|| self.outside())
    }

    fn outside(&self) -> CanvasError {
        CanvasError::Outside {
            width: self.width,
            height: self.height,
        }
    }

    /// Where a row of a rectangle lies in the pixels.
    fn row(&self, at: &Rect, row: u16) -> Option<std::ops::Range<usize>> {
        if !at.lies_on(self.width, self.height) || row >= at.height {
            return None;
        }
        let first = (usize::from(at.y) + usize::from(row)) * usize::from(self.width);
        let start = (first + usize::from(at.x)) * PIXEL_BYTES;
        Some(start..start + usize::from(at.width) * PIXEL_BYTES)
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        wipe(&mut self.rgba);
    }
}

fn black(width: u16, height: u16) -> Vec<u8> {
    [0, 0, 0, u8::MAX].repeat(usize::from(width) * usize::from(height))
}

/// Adds a difference, channel by channel; alpha stays.
fn add(there: &mut [u8], change: &[u8]) {
    for (pixel, change) in there.chunks_exact_mut(4).zip(change.chunks_exact(4)) {
        for (channel, change) in pixel.iter_mut().zip(change).take(3) {
            *channel = channel.wrapping_add(*change);
        }
    }
}
