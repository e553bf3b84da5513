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
pub const WORDS_MAX: u32 = 256;

/// Pixels of a picture that is looked at as it is; a larger one is reduced.
const PIXELS_MAX: usize = 2_600_000;
/// The smallest side of a picture, in pixels.
const SIDE_MIN: usize = 96;
/// Signals of fewer values than this are not reduced for the search.
const VALUES_FEW: usize = 500_000;
/// Beginnings of the template tried for each way to turn a lattice.
const BEGINNINGS: usize = 2;
/// Turned lattices with their beginnings that are followed for each window.
const FOLLOWED: usize = 4;

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
pub fn false_positive_max() -> f64 {
    f64::from(WORDS_MAX) / f64::from(CHECK_BITS).exp2()
}

/// One picture's search, and what it has used of its bounds.
struct Search {
    words: u32,
    lattices: usize,
}

/// A lattice turned and begun in one way.
struct Candidate {
    map: Homography,
    disc: Disc,
    score: f64,
}

impl Search {
    fn at(&mut self, signal: &Signal) -> Option<Decoded> {
        let by = if signal.value.values.len() > VALUES_FEW {
            2
        } else {
            1
        };
        let signal = &signal.reduced(by);
        for window in windows(signal.value.width, signal.value.height) {
            let centre = (
                window.left as f64 + window.width as f64 / 2.0,
                window.top as f64 + window.height as f64 / 2.0,
            );
            let disc = Disc {
                centre,
                radius: (window.width as f64).hypot(window.height as f64) / 2.0,
            };
            let mut candidates: Vec<Candidate> = Vec::new();
            for lattice in lattice::lattices(signal, window) {
                self.lattices += 1;
                candidates.extend(turns(signal, &lattice, disc));
            }
            candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
            for candidate in candidates.into_iter().take(FOLLOWED) {
                let found = track::grow(signal, candidate.map, candidate.disc, |cells, map| {
                    track::is_sane(map, centre).then(|| self.word(cells))?
                });
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// Decodes a square's cells, if the bound allows another word.
    fn word(&mut self, cells: &[f32; pattern::CELLS]) -> Option<Decoded> {
        if self.words == WORDS_MAX {
            return None;
        }
        self.words += 1;
        code::decode(&pattern::data(cells))
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

/// Both steps of a lattice can be the one to the right, forwards or back, and a mirror shows it too.
fn turns(signal: &Signal, lattice: &Lattice, disc: Disc) -> Vec<Candidate> {
    let minus = |p: Point| (-p.0, -p.1);
    let Lattice { a, b, .. } = *lattice;
    let ways = [
        (a, b),
        (b, minus(a)),
        (minus(a), minus(b)),
        (minus(b), a),
        (b, a),
        (a, minus(b)),
        (minus(b), minus(a)),
        (minus(a), b),
    ];
    let mut candidates = Vec::new();
    for (right, down) in ways {
        let period = PERIOD as f64;
        let step = |p: Point| (p.0 / period, p.1 / period);
        let map = Homography::affine(disc.centre, step(right), step(down));
        let Some(square) = Square::laid(signal, &map, disc) else {
            continue;
        };
        for ((u, v), score) in square.beginnings(BEGINNINGS) {
            let begun = Homography::affine((u, v), (1.0, 0.0), (0.0, 1.0));
            candidates.push(Candidate {
                map: map.after(&begun),
                disc,
                score,
            });
        }
    }
    candidates
}
