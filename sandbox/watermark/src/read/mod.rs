//! Finding a mark in a picture of a screen.

use crate::Mark;

/// A picture: RGB, row by row.
#[derive(Clone)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture of `width * height * 3` bytes; `None` for another number of bytes.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Option<Self> {
        let bytes = width.checked_mul(height)?.checked_mul(3)?;
        (rgb.len() == bytes).then_some(Self { width, height, rgb })
    }
}

/// What a person knows about a picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints {
    /// Where the screen's corners are in the picture, in pixels: upper left, upper right, lower right, lower
    /// left.
    pub corners: Option<[(f64, f64); 4]>,
}

/// A mark that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The session's mark.
    pub mark: Mark,
    /// How much of the measured pattern is the mark's: 1 for all of it.
    pub agreement: f64,
    /// How likely it is at most that an unmarked picture gives a mark.
    pub false_positive: f64,
}

/// Why no mark was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// It holds less than one square of the pattern, however it is scaled.
    #[error("the picture has {width} x {height} pixels, at least 96 x 96 are needed")]
    TooSmall {
        /// In pixels.
        width: usize,
        /// In pixels.
        height: usize,
    },
    /// No pattern repeats in it.
    #[error("no repeating pattern was found")]
    NoPattern,
    /// A pattern repeats, and what it says fits no mark.
    #[error("a repeating pattern was found, but no mark could be read from it")]
    Unreadable,
}

/// Looks for a mark.
pub fn read(picture: &Picture, _hints: &Hints) -> Result<Reading, NotFound> {
    let Picture { width, height, rgb } = picture;
    let _ = rgb;
    Err(NotFound::TooSmall {
        width: *width,
        height: *height,
    })
}
