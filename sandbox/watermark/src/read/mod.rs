//! Finding a mark in a picture of a screen.

mod geometry;
mod lattice;
mod plane;
mod signal;
mod square;
mod track;

use geometry::{Homography, Point};
use lattice::{Lattice, Window};
use signal::Signal;
use square::{Disc, Square};

use crate::Mark;
use crate::code::{self, CHECK_BITS, Decoded};
use crate::pattern::{self, PERIOD};

/// Words that are decoded for one picture at most: each is a chance of 1 in 2^32 that an unmarked picture
/// gives a mark.
const WORDS_MAX: u32 = 256;

/// Pixels of a picture that is looked at as it is; a larger one is reduced.
const PIXELS_MAX: usize = 2_600_000;
/// The smallest side of a picture, in pixels.
const SIDE_MIN: usize = 96;
/// Signals of fewer values than this are not reduced for the search.
const VALUES_FEW: usize = 500_000;
/// What of a window's diagonal the first disc's radius is.
const DISC_SHARE: f64 = 0.4;
/// A template that stands out less than this is none, in standard deviations of chance.
const TEMPLATE_MIN: f32 = 3.6;
/// Ways to see the template that are decoded for one square.
const WAYS_MAX: usize = 3;

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
    #[error(
        "the picture has {width} x {height} pixels, at least {SIDE_MIN} x {SIDE_MIN} are needed"
    )]
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
    let Picture { width, height, .. } = *picture;
    if width < SIDE_MIN || height < SIDE_MIN {
        return Err(NotFound::TooSmall { width, height });
    }
    let mut by = 1;
    while width * height / (by * by) > PIXELS_MAX {
        by += 1;
    }
    let mut search = Search {
        words: 0,
        lattices: 0,
    };
    // What fills a photograph and what is a small part of it differ in scale.
    for by in [by, by * 2] {
        if let Some(decoded) = search.at(&Signal::of(picture, by)) {
            return Ok(Reading {
                mark: decoded.mark,
                agreement: f64::from(decoded.agreement),
                false_positive: false_positive_max(),
            });
        }
    }
    Err(if search.lattices == 0 {
        NotFound::NoPattern
    } else {
        NotFound::Unreadable
    })
}

/// The probability that a picture without a mark gives one, at most: each decoded word's check fits by
/// chance once in 2^32, whatever the picture.
fn false_positive_max() -> f64 {
    f64::from(WORDS_MAX) / f64::from(CHECK_BITS).exp2()
}

/// One picture's search, and what it has used of its bounds.
struct Search {
    words: u32,
    lattices: usize,
}

impl Search {
    fn at(&mut self, signal: &Signal) -> Option<Decoded> {
        let by = if signal.value.values.len() > VALUES_FEW { 2 } else { 1 };
        let signal = &signal.reduced(by);
        for window in windows(signal.value.width, signal.value.height) {
            let centre = (
                window.left as f64 + window.width as f64 / 2.0,
                window.top as f64 + window.height as f64 / 2.0,
            );
            let disc = Disc {
                centre,
                radius: (window.width as f64).hypot(window.height as f64) * DISC_SHARE,
            };
            for Lattice { a, b, .. } in lattice::lattices(signal, window) {
                self.lattices += 1;
                let period = PERIOD as f64;
                let step = |p: Point| (p.0 / period, p.1 / period);
                let map = Homography::affine(centre, step(a), step(b));
                let found = track::grow(signal, map, disc, |square| self.word(square));
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// Decodes a square in each way in which the template is seen in it, as far as the bound allows.
    fn word(&mut self, square: &Square) -> Option<Decoded> {
        let mut ways = Vec::new();
        for is_mirrored in [false, true] {
            for turns in 0..4 {
                let turned = square.turned(turns, is_mirrored);
                for (begin, score) in turned.beginnings(2) {
                    if score > TEMPLATE_MIN {
                        ways.push((score, turned.cells(begin)));
                    }
                }
            }
        }
        ways.sort_by(|a, b| b.0.total_cmp(&a.0));
        ways.iter().take(WAYS_MAX).find_map(|(_, cells)| {
            if self.words == WORDS_MAX {
                return None;
            }
            self.words += 1;
            code::decode(&pattern::data(cells))
        })
    }
}

/// The whole, its middle, and its parts: what a camera bends repeats better in a part.
fn windows(width: usize, height: usize) -> Vec<Window> {
    let whole = Window {
        left: 0,
        top: 0,
        width,
        height,
    };
    let part = |x: usize, y: usize, of: usize| Window {
        left: width * x / of,
        top: height * y / of,
        width: width / 2,
        height: height / 2,
    };
    vec![
        whole,
        part(1, 1, 4),
        part(0, 0, 4),
        part(2, 0, 4),
        part(0, 2, 4),
        part(2, 2, 4),
    ]
}

