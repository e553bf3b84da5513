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

/// The probability that a picture without a mark gives one, at most: 6 x 10^-8. Each decoded word's check
/// fits by chance once in 2^32, whatever the picture, and no more than 256 words are decoded.
pub const FALSE_POSITIVE_MAX: f64 = WORDS_MAX as f64 / (1_u64 << CHECK_BITS) as f64;

/// Pixels of a picture that is looked at as it is; a larger one is reduced.
const PIXELS_MAX: usize = 2_600_000;
/// The longest side of a screen that is straightened, in pixels.
const SIDE_MAX: f64 = 12_000.0;
/// The smallest side of a picture, in pixels.
const SIDE_MIN: usize = 96;
/// Signals of fewer values than this are not reduced for the search.
const VALUES_FEW: usize = 500_000;
/// What of a window's diagonal the first disc's radius is.
const DISC_SHARE: f64 = 0.4;
/// A template that stands out less than this is none, in standard deviations of chance.
const TEMPLATE_MIN: f32 = 4.0;
/// One that stands out as much may be decoded before the map is refined.
const TEMPLATE_CLEAR: f32 = 4.6;
/// Ways to see the template that are decoded for one square.
const WAYS_MAX: usize = 3;
/// Starts of one kind that are followed.
const FOLLOWED: usize = 6;
/// From one scale to the next of upright pictures.
const SCALE_STEP: f64 = 1.012;

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

    /// The colour between four pixels; black outside.
    fn between(&self, x: f64, y: f64) -> [u8; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (s, t) = (x - left, y - top);
        let mut sum = [0.0; 3];
        for (dx, dy, share) in [
            (0.0, 0.0, (1.0 - s) * (1.0 - t)),
            (1.0, 0.0, s * (1.0 - t)),
            (0.0, 1.0, (1.0 - s) * t),
            (1.0, 1.0, s * t),
        ] {
            let place = plane::nearest(left + dx).zip(plane::nearest(top + dy));
            let pixel = place
                .filter(|(x, y)| *x < self.width && *y < self.height)
                .and_then(|(x, y)| self.rgb.get((y * self.width + x) * 3..)?.first_chunk::<3>());
            for (sum, value) in sum.iter_mut().zip(pixel.unwrap_or(&[0; 3])) {
                *sum += share * f64::from(*value);
            }
        }
        sum.map(plane::level)
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
    /// The hint's corners make no quadrilateral, or a smaller one.
    #[error("the corners make no quadrilateral of at least {SIDE_MIN} x {SIDE_MIN} pixels")]
    Corners,
    /// No pattern repeats in it.
    #[error("no repeating pattern was found")]
    NoPattern,
    /// A pattern repeats, and what it says fits no mark.
    #[error("a repeating pattern was found, but no mark could be read from it")]
    Unreadable,
}

/// Looks for a mark.
pub fn read(picture: &Picture, hints: &Hints) -> Result<Reading, NotFound> {
    let flat = match hints.corners {
        Some(corners) => &straightened(picture, corners).ok_or(NotFound::Corners)?,
        None => picture,
    };
    find(flat)
}

/// What lies between four corners, as a rectangle about as large. A screen's proportions are not known, so
/// it may come out stretched: a lattice's steps need not be equally long.
fn straightened(picture: &Picture, corners: [Point; 4]) -> Option<Picture> {
    let [a, b, c, d] = corners;
    let apart = |p: Point, q: Point| (p.0 - q.0).hypot(p.1 - q.1);
    let (width, height) = (
        apart(a, b).max(apart(d, c)).round(),
        apart(a, d).max(apart(b, c)).round(),
    );
    // Going around, each corner turns the same way.
    let turn = |p: Point, q: Point, r: Point| (q.0 - p.0) * (r.1 - q.1) - (q.1 - p.1) * (r.0 - q.0);
    let is_convex = [turn(a, b, c), turn(b, c, d), turn(c, d, a), turn(d, a, b)]
        .iter()
        .all(|turn| *turn > 0.0);
    let sides = SIDE_MIN as f64..=SIDE_MAX;
    if !is_convex || !sides.contains(&width) || !sides.contains(&height) {
        return None;
    }
    let places = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)];
    let map = Homography::through(places, corners)?;
    let (width, height) = (plane::nearest(width)?, plane::nearest(height)?);
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let at = map.map((x as f64 + 0.5, y as f64 + 0.5));
            rgb.extend(at.map_or([0; 3], |(x, y)| picture.between(x - 0.5, y - 0.5)));
        }
    }
    Picture::new(width, height, rgb)
}

fn find(picture: &Picture) -> Result<Reading, NotFound> {
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
        if let Some(decoded) = search.at(&Signal::of(picture, by), by) {
            return Ok(Reading {
                mark: decoded.mark,
                agreement: f64::from(decoded.agreement),
                false_positive: FALSE_POSITIVE_MAX,
            });
        }
    }
    Err(if search.lattices == 0 {
        NotFound::NoPattern
    } else {
        NotFound::Unreadable
    })
}

/// One picture's search, and what it has used of its bounds.
struct Search {
    words: u32,
    lattices: usize,
}

/// Where a search may begin: a map that may hold in a disc.
struct Start {
    map: Homography,
    disc: Disc,
    /// How far the template stands out, in standard deviations of chance.
    score: f32,
}

impl Search {
    /// First as screenshots are, then where something repeats, then upright at any scale.
    fn at(&mut self, picture: &Signal, reduced: usize) -> Option<Decoded> {
        let by = if picture.value.values.len() > VALUES_FEW {
            2
        } else {
            1
        };
        let signal = &picture.reduced(by);
        let exact = [1.0, 0.5, 2.0].map(|scale| scale / (reduced * by) as f64);
        self.follow(signal, exact.iter().map(|scale| upright(signal, *scale)))
            .or_else(|| {
                let windows = windows(signal.value.width, signal.value.height);
                windows.chunks(2).find_map(|windows| {
                    let starts: Vec<_> = windows
                        .iter()
                        .flat_map(|window| repeating(signal, *window))
                        .collect();
                    self.lattices += starts.len();
                    self.follow(signal, starts.into_iter())
                })
            })
            .or_else(|| {
                let period = PERIOD as f64;
                let scales = std::iter::successors(Some(lattice::STEP_MIN / period), |scale| {
                    (scale * period < lattice::STEP_MAX).then_some(scale * SCALE_STEP)
                });
                self.follow(signal, scales.map(|scale| upright(signal, scale)))
            })
    }

    /// Looks at all starts, and follows the likeliest.
    fn follow(
        &mut self,
        signal: &Signal,
        starts: impl Iterator<Item = (Homography, Disc)>,
    ) -> Option<Decoded> {
        let mut likely = Vec::new();
        for (map, disc) in starts {
            let Some(square) = Square::laid(signal, &map, disc) else {
                continue;
            };
            let mut ways = ways(&square);
            let score = ways.first().map_or(0.0, |way| way.0);
            ways.retain(|way| way.0 > TEMPLATE_CLEAR);
            if let Some(found) = self.word(&ways) {
                return Some(found);
            }
            likely.push(Start { map, disc, score });
        }
        likely.sort_by(|a, b| b.score.total_cmp(&a.score));
        likely.into_iter().take(FOLLOWED).find_map(|start| {
            track::grow(signal, start.map, start.disc, |square| {
                let mut ways = ways(square);
                ways.retain(|way| way.0 > TEMPLATE_MIN);
                self.word(&ways)
            })
        })
    }

    /// Decodes a square's cells in the likeliest ways to see the template in it, as far as the bound allows.
    fn word(&mut self, ways: &[Way]) -> Option<Decoded> {
        ways.iter().take(WAYS_MAX).find_map(|(_, cells)| {
            if self.words == WORDS_MAX {
                return None;
            }
            self.words += 1;
            code::decode(&pattern::data(cells))
        })
    }
}

/// How far the template stands out, in standard deviations of chance, and the cells' strengths.
type Way = (f32, [f32; pattern::CELLS]);

/// The ways to see the template in a square, likeliest first.
fn ways(square: &Square) -> Vec<Way> {
    let mut ways = Vec::new();
    for is_mirrored in [false, true] {
        for turns in 0..4 {
            let turned = square.turned(turns, is_mirrored);
            for (begin, score) in turned.beginnings(2) {
                ways.push((score, turned.cells(begin)));
            }
        }
    }
    ways.sort_by(|a, b| b.0.total_cmp(&a.0));
    ways
}

/// A screen's picture of some scale, neither turned nor bent, seen around the signal's middle.
fn upright(signal: &Signal, scale: f64) -> (Homography, Disc) {
    let whole = track::everything(signal);
    // What a scale is wrong by adds up from the middle.
    let radius = whole.radius.min(PERIOD as f64 * scale * 2.0);
    let map = Homography::affine(whole.centre, (scale, 0.0), (0.0, scale));
    (map, Disc { radius, ..whole })
}

/// Where a window's signal repeats.
fn repeating(signal: &Signal, window: Window) -> impl Iterator<Item = (Homography, Disc)> {
    let (width, height) = (window.width as f64, window.height as f64);
    let centre = (
        window.left as f64 + width / 2.0,
        window.top as f64 + height / 2.0,
    );
    lattice::lattices(signal, window)
        .into_iter()
        .map(move |Lattice { a, b, .. }| {
            let period = PERIOD as f64;
            let step = |p: Point| (p.0 / period, p.1 / period);
            let map = Homography::affine(centre, step(a), step(b));
            let long = a.0.hypot(a.1).max(b.0.hypot(b.1));
            let radius = (width.hypot(height) * DISC_SHARE).max(long);
            (map, Disc { centre, radius })
        })
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
