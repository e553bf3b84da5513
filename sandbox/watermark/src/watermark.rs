//! Writing both marks into pixels.

use kekkai_types::Timestamp;

use crate::Mark;
use crate::pattern::{self, CELL, PERIOD, SIDE};
use crate::visible::Visible;

/// How far apart the two signs are, in levels of blue.
pub(crate) const DEPTH: u8 = 5;

/// A rectangle of the screen, in pixels from its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// From the left.
    pub x: u16,
    /// From the top.
    pub y: u16,
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
}

/// The marks of one session: who, when and which session as text that people read, and the invisible mark.
#[derive(Clone)]
pub struct Watermark {
    mark: Mark,
    person: String,
    session: String,
    minute: Option<i64>,
    visible: Visible,
    invisible: Vec<CellRow>,
}

/// What a row of pixels that crosses one row of cells needs, for each byte of RGBA of one period.
#[derive(Clone)]
struct CellRow {
    /// At least this much.
    floor: Vec<u8>,
    /// And then this much less.
    less: Vec<u8>,
}

impl Watermark {
    /// Marks for a session's screens. Until the time is set, the text has none.
    pub fn new(mark: Mark, person: &str, session: &str) -> Self {
        let cells = pattern::cells(mark);
        let invisible = cells
            .chunks_exact(SIDE)
            .map(|signs| {
                let blue = |levels: u8| [0, 0, levels, 0].repeat(CELL);
                let of = |plus, minus| {
                    let levels = |sign: &bool| blue(if *sign { plus } else { minus });
                    signs.iter().flat_map(levels).collect()
                };
                CellRow {
                    floor: of(DEPTH, 0),
                    less: of(0, DEPTH),
                }
            })
            .collect();
        let mut new = Self {
            mark,
            person: person.to_owned(),
            session: session.to_owned(),
            minute: None,
            visible: Visible::new(""),
            invisible,
        };
        new.draw("");
        new
    }

    /// The invisible mark.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The minute that the text shows, counted from 1970 (UTC).
    pub fn minute(&self) -> Option<i64> {
        self.minute
    }

    /// Shows this time, to the minute, as it is in Japan. True when the text changed: then every pixel of
    /// the screen has to be marked anew.
    #[must_use = "a changed text must be drawn everywhere"]
    pub fn set_time(&mut self, now: Timestamp) -> bool {
        let minute = now.0.div_euclid(60_000);
        if self.minute == Some(minute) {
            return false;
        }
        self.minute = Some(minute);
        self.draw(&now.in_japan().strftime(" %Y-%m-%d %H:%M%:z").to_string());
        true
    }

    fn draw(&mut self, time: &str) {
        self.visible = Visible::new(&format!("{}{time} {}", self.person, self.session));
    }

    /// Marks the pixels of a rectangle: RGBA in rows of `at.width * 4` bytes. What a pixel becomes depends
    /// only on its value, its place on the screen and the text, so rectangles fit together however they are
    /// cut. The alpha channel stays as it is.
    pub fn apply(&self, rgba: &mut [u8], at: Rect) {
        let (x, width) = (usize::from(at.x), usize::from(at.width));
        if width == 0 {
            return;
        }
        let rows = rgba
            .chunks_exact_mut(width * 4)
            .take(usize::from(at.height));
        for (y, row) in (usize::from(at.y)..).zip(rows) {
            if let Some((strengths, begin)) = self.visible.row(y) {
                let strengths = around(strengths, begin + x * 4);
                each_stretch(row, strengths, |bytes, strengths| {
                    for (byte, strength) in bytes.iter_mut().zip(strengths) {
                        *byte = if *byte >= 0x80 {
                            *byte - strength
                        } else {
                            *byte + strength
                        };
                    }
                });
            }
            if let Some(cells) = self.invisible.get(y % PERIOD / CELL) {
                let begin = x * 4;
                let mut less = around(&cells.less, begin);
                each_stretch(row, around(&cells.floor, begin), |bytes, floor| {
                    let less = less.next().unwrap_or_default();
                    for ((byte, floor), less) in bytes.iter_mut().zip(floor).zip(less) {
                        *byte = (*byte).max(*floor).saturating_sub(*less);
                    }
                });
            }
        }
    }
}

/// A table again and again, beginning somewhere in it.
fn around(table: &[u8], begin: usize) -> impl Iterator<Item = &[u8]> {
    let first = table.get(begin % table.len().max(1)..).unwrap_or_default();
    std::iter::once(first).chain(std::iter::repeat(table))
}

/// Calls back with each part of a row and the part of the table that lies over it.
fn each_stretch<'t>(
    mut row: &mut [u8],
    table: impl Iterator<Item = &'t [u8]>,
    mut work: impl FnMut(&mut [u8], &[u8]),
) {
    for part in table {
        let Some((bytes, rest)) = row.split_at_mut_checked(part.len().min(row.len())) else {
            return;
        };
        work(bytes, part);
        row = rest;
        if row.is_empty() {
            return;
        }
    }
}
