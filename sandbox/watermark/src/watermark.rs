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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const WIDTH: u16 = 700;
    const HEIGHT: u16 = 300;

    fn watermark() -> Watermark {
        let mut watermark = Watermark::new(Mark::new(0x7f3a_09c1), "sato", "s-01");
        assert!(watermark.set_time(Timestamp(1_790_000_000_000)));
        watermark
    }

    fn whole() -> Rect {
        Rect {
            x: 0,
            y: 0,
            width: WIDTH,
            height: HEIGHT,
        }
    }

    fn flat(color: [u8; 4], at: Rect) -> Vec<u8> {
        color.repeat(usize::from(at.width) * usize::from(at.height))
    }

    /// The pixels of a rectangle of the whole.
    fn part(rgba: &[u8], at: Rect) -> Vec<u8> {
        let row = |y: u16| {
            let begin = (usize::from(y) * usize::from(WIDTH) + usize::from(at.x)) * 4;
            rgba.iter().skip(begin).take(usize::from(at.width) * 4)
        };
        (at.y..at.y + at.height).flat_map(row).copied().collect()
    }

    proptest! {
        #[test]
        fn rectangles_fit_together_however_they_are_cut(
            x in 0..WIDTH, y in 0..HEIGHT, width in 1..WIDTH, height in 1..HEIGHT, seed: u8,
        ) {
            let at = Rect { x, y, width: width.min(WIDTH - x), height: height.min(HEIGHT - y) };
            let mut all: Vec<u8> = (0..usize::from(WIDTH) * usize::from(HEIGHT) * 4)
                .map(|i| u8::try_from((i * 7 + i / 900 + usize::from(seed)) % 256).unwrap_or(0))
                .collect();
            let mut cut = part(&all, at);
            watermark().apply(&mut all, whole());
            watermark().apply(&mut cut, at);
            prop_assert!(part(&all, at) == cut);
        }

        #[test]
        fn any_buffer_and_rectangle_are_safe(
            bytes in 0..5_000_usize, x: u16, y: u16, width: u16, height: u16,
        ) {
            let mut rgba = vec![200; bytes];
            watermark().apply(&mut rgba, Rect { x, y, width, height });
        }
    }

    #[test]
    fn flat_ground_gets_four_colours_and_keeps_its_alpha() {
        for level in [0, 3, 27, 127, 128, 255] {
            let mut rgba = flat([level, level, level, 77], whole());
            watermark().apply(&mut rgba, whole());
            let colors: BTreeSet<&[u8]> = rgba.chunks_exact(4).collect();
            // Text or not, plus or minus.
            assert_eq!(colors.len(), 4, "{level}: {colors:?}");
            for color in colors {
                assert!(
                    color
                        .iter()
                        .take(3)
                        .all(|value| value.abs_diff(level) <= 18)
                );
                assert_eq!(color.last(), Some(&77));
            }
        }
    }

    #[test]
    fn both_signs_differ_in_blue_alone_and_on_any_ground() {
        for level in 0..=255_u8 {
            let at = Rect {
                x: 0,
                y: 40,
                width: 256,
                height: 1,
            };
            let mut rgba = flat([level, level, level, 255], at);
            watermark().apply(&mut rgba, at);
            let pixels = || rgba.chunks_exact(4);
            let blues: BTreeSet<u8> = pixels().filter_map(|p| p.get(2).copied()).collect();
            assert!(pixels().all(|p| p.first() == Some(&level) && p.get(1) == Some(&level)));
            let (low, high) = (blues.first().copied(), blues.last().copied());
            assert_eq!(
                high.zip(low).map(|(high, low)| high - low),
                Some(DEPTH),
                "{level}"
            );
        }
    }

    #[test]
    fn text_changes_with_the_minute_and_not_before() {
        let minute = 1_790_000_040_000;
        let mut watermark = watermark();
        assert!(watermark.set_time(Timestamp(minute)));
        assert!(!watermark.set_time(Timestamp(minute + 59_999)));
        assert_eq!(watermark.minute(), Some(minute / 60_000));
        let mut before = flat([255; 4], whole());
        watermark.apply(&mut before, whole());
        assert!(watermark.set_time(Timestamp(minute + 60_000)));
        let mut after = flat([255; 4], whole());
        watermark.apply(&mut after, whole());
        assert!(before != after);
    }

    #[test]
    fn every_stretch_of_a_table_as_tall_as_three_rows_has_text() {
        let watermark = watermark();
        for y in 0..500_u16 {
            let at = Rect {
                x: 900,
                y,
                width: 320,
                height: 78,
            };
            let mut rgba = flat([255; 4], at);
            watermark.apply(&mut rgba, at);
            let dark = rgba
                .chunks_exact(4)
                .filter(|p| p.first() != Some(&255))
                .count();
            assert!(dark > 300, "from {y}: {dark} pixels");
        }
    }

    #[test]
    fn names_that_are_not_ascii_are_shown_as_question_marks() {
        let _ = Watermark::new(Mark::new(1), "佐藤\u{202e}\n", "").set_time(Timestamp(0));
    }
}
