//! What moved: found by comparing, tried out, and only then sent. A wrong answer would cost bytes, never a
//! wrong pixel: what differs after the move is sent as ever.
//!
//! Pictures are compared as the workspace drew them. The marks stay in place while what is under them moves,
//! so that after a move they are what differs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use kekkai_frames::{Rect, TILE, Wiped};

use crate::picture::{Grid, PIXEL_BYTES, ROW_BYTES, SIDE, Tile};
use crate::step::Ground;

/// Hints that are tried.
pub(crate) const HINTS_MAX: usize = 4;
/// Fewer changed tiles than this are sent as they are.
const CHANGED_MIN: usize = 4;
/// Columns of tiles that vote on how far things moved.
const VOTERS_MAX: usize = 6;
/// Rows that have to agree on it.
const VOTES_MIN: usize = 12;
/// Distances that are tried: those with most votes.
const DISTANCES_MAX: usize = 2;
/// What a move has to put right to be worth its bytes: rows of tiles' columns.
const GAIN_MIN: i32 = 96;
/// Of the sampled pixels of a sideways move, this many in a hundred have to be right.
const RIGHT_PERCENT: usize = 80;
/// Every so many pixels, either way, is a sample.
const SAMPLE_STEP: usize = 5;

/// A rectangle that moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) from: Rect,
    pub(crate) dx: i16,
    pub(crate) dy: i16,
}

impl Move {
    /// Where it is afterwards; `None` unless it lies on the screen before and after, and moves.
    fn target(&self, grid: Grid) -> Option<Rect> {
        let lies = |rect: &Rect| rect.lies_on(grid.width, grid.height);
        let to = self.from.moved(self.dx, self.dy)?;
        (lies(&self.from) && lies(&to) && (self.dx, self.dy) != (0, 0)).then_some(to)
    }
}

/// What moved, if it is worth saying.
pub(crate) fn find<'a>(
    grid: Grid,
    ground: &'a [Ground<'a>],
    target: &'a [&'a Arc<Tile>],
    hints: &[Move],
) -> Option<Move> {
    let scene = Scene::of(grid, ground, target)?;
    let mut distances: Vec<i16> = hints
        .iter()
        .filter(|hint| hint.dx == 0 && hint.dy != 0)
        .map(|hint| hint.dy)
        .collect();
    distances.extend(scene.vote());
    distances.sort_unstable();
    distances.dedup();
    let vertical = distances
        .into_iter()
        .filter_map(|dy| scene.region(dy))
        .max_by_key(|(gain, _)| *gain)
        .filter(|(gain, _)| *gain >= GAIN_MIN)
        .map(|(_, moved)| moved);
    vertical
        .or_else(|| {
            let mut sideways = hints.iter().filter(|hint| hint.dx != 0);
            sideways.find(|hint| scene.is_right(hint)).copied()
        })
        .filter(|moved| moved.target(grid).is_some() && scene.is_exact(&moved.from))
}

/// Both pictures.
struct Scene<'a> {
    grid: Grid,
    /// What the viewer shows; `None` where that isn't known exactly.
    old: Vec<Option<&'a Tile>>,
    new: Vec<&'a Tile>,
    /// Of each column of tiles, top to bottom.
    columns: Vec<Column>,
}

/// The hashes of the pixel rows of a column of tiles.
struct Column {
    /// `None` where what is shown isn't known.
    old: Vec<Option<u64>>,
    new: Vec<u64>,
    changed_tiles: usize,
}

impl<'a> Scene<'a> {
    /// `None`: too little changed to look for a move.
    fn of(grid: Grid, ground: &'a [Ground<'a>], target: &'a [&'a Arc<Tile>]) -> Option<Self> {
        let old: Vec<Option<&Tile>> = ground
            .iter()
            .map(|ground| match ground {
                Ground::Exact(tile) => Some(tile.as_ref()),
                Ground::Unknown | Ground::Enough => None,
            })
            .collect();
        let new: Vec<&Tile> = target.iter().map(|tile| tile.as_ref()).collect();
        let has_changed = |old: &Option<&Tile>, new: &Tile| {
            old.is_some_and(|old| !std::ptr::eq(old, new) && old.raw() != new.raw())
        };
        let is_changed: Vec<bool> = old
            .iter()
            .zip(&new)
            .map(|(old, new)| has_changed(old, new))
            .collect();
        if is_changed.iter().filter(|changed| **changed).count() < CHANGED_MIN {
            return None;
        }
        let wide = usize::from(grid.columns());
        let column = |first: usize| {
            let places = || (first..new.len()).step_by(wide);
            let changed_tiles = places()
                .filter(|place| is_changed.get(*place) == Some(&true))
                .count();
            // Most columns of most steps haven't changed: nothing is hashed for them.
            if changed_tiles == 0 {
                return Column {
                    old: Vec::new(),
                    new: Vec::new(),
                    changed_tiles,
                };
            }
            let height = usize::from(grid.height);
            let mut column = Column {
                old: Vec::with_capacity(height + SIDE),
                new: Vec::with_capacity(height + SIDE),
                changed_tiles,
            };
            for place in places() {
                match old.get(place).copied().flatten() {
                    Some(tile) => column
                        .old
                        .extend(tile.row_hashes().iter().copied().map(Some)),
                    None => column.old.extend([None; SIDE]),
                }
                if let Some(tile) = new.get(place) {
                    column.new.extend(tile.row_hashes());
                }
            }
            column.old.truncate(height);
            column.new.truncate(height);
            column
        };
        let columns = (0..wide).map(column).collect();
        Some(Self {
            grid,
            old,
            new,
            columns,
        })
    }

    /// The distances that most rows agree on: of rows that are alike no others, above and below.
    fn vote(&self) -> Vec<i16> {
        let mut voters: Vec<&Column> = self
            .columns
            .iter()
            .filter(|column| column.changed_tiles > 1)
            .collect();
        // A table's columns repeat few values, its rows hardly: all columns together are asked as well.
        let together = Column::together(&voters);
        voters.sort_by_key(|column| std::cmp::Reverse(column.changed_tiles));
        voters.truncate(VOTERS_MAX);
        let mut votes: BTreeMap<i16, usize> = BTreeMap::new();
        for column in together.iter().chain(voters) {
            let old = lone_rows(
                column
                    .old
                    .iter()
                    .enumerate()
                    .filter_map(|(y, hash)| hash.map(|hash| (hash, y))),
            );
            let new = lone_rows(column.new.iter().enumerate().map(|(y, hash)| (*hash, y)));
            for (hash, y) in new {
                let Ok(place) = old.binary_search_by_key(&hash, |(hash, _)| *hash) else {
                    continue;
                };
                let before = old.get(place).map_or(y, |(_, y)| *y);
                if let Some(dy) = distance(before, y).filter(|dy| *dy != 0) {
                    *votes.entry(dy).or_default() += 1;
                }
            }
        }
        let mut ranked: Vec<(usize, i16)> = votes
            .into_iter()
            .filter(|(_, count)| *count >= VOTES_MIN)
            .map(|(dy, count)| (count, dy))
            .collect();
        ranked.sort_unstable();
        ranked
            .into_iter()
            .rev()
            .take(DISTANCES_MAX)
            .map(|(_, dy)| dy)
            .collect()
    }

    /// The region that a vertical move puts right, and by how many rows of tiles' columns.
    fn region(&self, dy: i16) -> Option<(i32, Move)> {
        // What a move does to each row of each column: puts right (1), breaks (-1), neither.
        let effects: Vec<Vec<i32>> = self
            .columns
            .iter()
            .map(|column| column.effects(dy))
            .collect();
        // Of its best run alone: above and below a pane, what would break isn't moved.
        let gains: Vec<i32> = effects
            .iter()
            .map(|effect| best_run(effect).map_or(0, |(gain, _)| gain))
            .collect();
        let best = (0..gains.len()).max_by_key(|column| gains.get(*column).copied())?;
        let is_part = |column: &usize| gains.get(*column).is_some_and(|gain| *gain > 0);
        let first = (0..=best).rev().take_while(is_part).last()?;
        let last = (best..gains.len()).take_while(is_part).last()?;
        let rows: Vec<i32> = (0..usize::from(self.grid.height))
            .map(|y| {
                (first..=last)
                    .filter_map(|column| effects.get(column)?.get(y))
                    .sum()
            })
            .collect();
        let (gain, rows) = best_run(&rows)?;
        let left = u16::try_from(first).ok()?.checked_mul(TILE)?;
        let right = u16::try_from(last + 1).ok()?.checked_mul(TILE)?;
        let y = u16::try_from(rows.start).ok()?;
        let to = Rect {
            x: left,
            y,
            width: right.min(self.grid.width).checked_sub(left)?,
            height: u16::try_from(rows.len()).ok()?,
        };
        let to = self.widened(to, dy);
        let moved = Move {
            from: to.moved(0, dy.checked_neg()?)?,
            dx: 0,
            dy,
        };
        Some((gain, moved))
    }

    /// The same target with the pixel columns beside it that moved as well: a pane begins anywhere in a tile.
    fn widened(&self, to: Rect, dy: i16) -> Rect {
        let moves = |x: &u16| {
            (to.y..to.y + to.height).step_by(SAMPLE_STEP).all(|y| {
                let before = y.checked_add_signed(dy.saturating_neg());
                before.is_some_and(|before| self.is_same((*x, before), (*x, y)))
            })
        };
        let left = (to.x.saturating_sub(TILE)..to.x)
            .rev()
            .take_while(moves)
            .last()
            .unwrap_or(to.x);
        let end = to.x + to.width;
        let right = (end..(end + TILE).min(self.grid.width))
            .take_while(moves)
            .last()
            .map_or(end, |last| last + 1);
        Rect {
            x: left,
            width: right - left,
            ..to
        }
    }

    /// Whether a move puts most of its target right.
    fn is_right(&self, moved: &Move) -> bool {
        let Some(to) = moved.target(self.grid) else {
            return false;
        };
        let samples = |from: u16, length: u16| (from..from + length).step_by(SAMPLE_STEP);
        let (mut right, mut all) = (0, 0);
        for y in samples(to.y, to.height) {
            for x in samples(to.x, to.width) {
                let before = (
                    x.saturating_add_signed(moved.dx.saturating_neg()),
                    y.saturating_add_signed(moved.dy.saturating_neg()),
                );
                // What doesn't change must stay right; what does must become so.
                all += usize::from(!self.is_same((x, y), (x, y)) || !self.is_same(before, (x, y)));
                right += usize::from(!self.is_same((x, y), (x, y)) && self.is_same(before, (x, y)));
            }
        }
        all > 0 && right * 100 >= all * RIGHT_PERCENT
    }

    /// Whether a pixel before is that pixel now.
    fn is_same(&self, before: (u16, u16), now: (u16, u16)) -> bool {
        let at = |(x, y): (u16, u16)| {
            let index = self.grid.index(x / TILE, y / TILE)?;
            let byte = usize::from(y % TILE) * ROW_BYTES + usize::from(x % TILE) * PIXEL_BYTES;
            Some((index, byte..byte + PIXEL_BYTES))
        };
        let old = at(before).and_then(|(index, pixel)| {
            let tile: &'a Tile = (*self.old.get(index)?)?;
            tile.raw().get(pixel)
        });
        let new = at(now).and_then(|(index, pixel)| {
            let tile: &'a Tile = self.new.get(index)?;
            tile.raw().get(pixel)
        });
        old.is_some() && old == new
    }

    /// Whether everything within is known exactly.
    fn is_exact(&self, rect: &Rect) -> bool {
        places(self.grid, rect).all(|(index, _)| self.old.get(index).is_some_and(Option::is_some))
    }
}

impl Column {
    /// The pixel rows of several columns as rows of one. `None`: that is no other than the only one.
    fn together(columns: &[&Self]) -> Option<Self> {
        let (first, rest) = columns.split_first().filter(|(_, rest)| !rest.is_empty())?;
        let mut together = Self {
            old: first.old.clone(),
            new: first.new.clone(),
            changed_tiles: first.changed_tiles,
        };
        for column in rest {
            for (sum, hash) in together.old.iter_mut().zip(&column.old) {
                *sum = sum.zip(*hash).map(|(sum, hash)| join(sum, hash));
            }
            for (sum, hash) in together.new.iter_mut().zip(&column.new) {
                *sum = join(*sum, *hash);
            }
        }
        Some(together)
    }

    fn effects(&self, dy: i16) -> Vec<i32> {
        self.new
            .iter()
            .enumerate()
            .map(|(y, new)| {
                let there = self.old.get(y).copied().flatten();
                let comes = y
                    .checked_add_signed(isize::from(dy.saturating_neg()))
                    .and_then(|before| self.old.get(before).copied().flatten());
                match (there == Some(*new), comes == Some(*new)) {
                    (false, true) => 1,
                    (true, false) => -1,
                    _ => 0,
                }
            })
            .collect()
    }
}

/// The hash of two pieces of a row, from those of both.
fn join(left: u64, right: u64) -> u64 {
    (left.rotate_left(29) ^ right).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Rows that are like no other, by their hash.
fn lone_rows(rows: impl Iterator<Item = (u64, usize)>) -> Vec<(u64, usize)> {
    let mut rows: Vec<(u64, usize)> = rows.collect();
    rows.sort_unstable();
    rows.chunk_by(|(one, _), (other, _)| one == other)
        .filter_map(|alike| match alike {
            [row] => Some(*row),
            _ => None,
        })
        .collect()
}

fn distance(from: usize, to: usize) -> Option<i16> {
    i16::try_from(to.checked_signed_diff(from)?).ok()
}

/// The run with the largest sum, and that sum, if it is more than nothing.
fn best_run(values: &[i32]) -> Option<(i32, Range<usize>)> {
    let mut best = (0, 0..0);
    let (mut sum, mut start) = (0, 0);
    for (place, value) in values.iter().enumerate() {
        if sum <= 0 {
            (sum, start) = (0, place);
        }
        sum += value;
        if sum > best.0 {
            best = (sum, start..place + 1);
        }
    }
    (best.0 > 0).then_some(best)
}

/// The tiles that a rectangle lies on: their indices, and their rectangles.
fn places(grid: Grid, rect: &Rect) -> impl Iterator<Item = (usize, Rect)> {
    let last = |end: u32| u16::try_from(end.saturating_sub(1)).unwrap_or(u16::MAX) / TILE;
    let (columns, rows) = (
        rect.x / TILE..=last(rect.right()),
        rect.y / TILE..=last(rect.bottom()),
    );
    rows.flat_map(move |row| columns.clone().map(move |column| (column, row)))
        .filter_map(move |(column, row)| Some((grid.index(column, row)?, grid.rect(column, row))))
}

/// What a viewer shows after a move, where it moved to: marked pixels, in the order of places.
pub(crate) fn compose(grid: Grid, ground: &[Ground<'_>], moved: &Move) -> Vec<(usize, Wiped)> {
    let Some(to) = moved.target(grid) else {
        return Vec::new();
    };
    let shown = |index: usize| match ground.get(index) {
        Some(Ground::Exact(tile)) => Some(tile.marked()),
        _ => None,
    };
    places(grid, &to)
        .filter_map(|(index, at)| {
            let mut pixels = Wiped::new(shown(index)?.to_vec());
            let part = overlap(&at, &to)?;
            for y in part.y..part.y + part.height {
                let before_y = y.checked_add_signed(moved.dy.checked_neg()?)?;
                let mut x = part.x;
                // A row of a tile comes from one or two others.
                while x < part.x + part.width {
                    let before_x = x.checked_add_signed(moved.dx.checked_neg()?)?;
                    let wide = (part.x + part.width - x).min(TILE - before_x % TILE);
                    let source = shown(grid.index(before_x / TILE, before_y / TILE)?)?;
                    let row = source.get(row_bytes(before_x, before_y, wide))?;
                    pixels.get_mut(row_bytes(x, y, wide))?.copy_from_slice(row);
                    x += wide;
                }
            }
            Some((index, pixels))
        })
        .collect()
}

/// Where a piece of a pixel row lies in its tile.
fn row_bytes(x: u16, y: u16, wide: u16) -> Range<usize> {
    let start = usize::from(y % TILE) * ROW_BYTES + usize::from(x % TILE) * PIXEL_BYTES;
    start..start + usize::from(wide) * PIXEL_BYTES
}

fn overlap(one: &Rect, other: &Rect) -> Option<Rect> {
    let (x, y) = (one.x.max(other.x), one.y.max(other.y));
    let side = |end: u32, other_end: u32, from: u16| {
        u16::try_from(end.min(other_end).checked_sub(u32::from(from))?).ok()
    };
    Some(Rect {
        x,
        y,
        width: side(one.right(), other.right(), x)?,
        height: side(one.bottom(), other.bottom(), y)?,
    })
}
