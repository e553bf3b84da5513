//! What is shown: the workspace's picture, marked.

use std::collections::VecDeque;
use std::sync::Arc;

use kekkai_frames::{Cursor, HEIGHT_MAX, Rect, SIDE_MIN, WIDTH_MAX, Wiped, caret_none};
use kekkai_types::Timestamp;

use crate::Marker;
use crate::picture::{Grid, PIXEL_BYTES, SIDE, Tile, clip, cut, paste};
use crate::scroll::{HINTS_MAX, Move};
use crate::step::{Ground, Moves, Step};

/// A tile's bytes: 64 x 64 pixels of red, green, blue and a fourth that is not looked at.
pub const TILE_BYTES: usize = SIDE * SIDE * PIXEL_BYTES;
/// Steps from one picture to another that are kept, so that recorder and viewers share the work.
const STEPS_MAX: usize = 4;
/// Steps that hold more pixels than this are made anew, in bytes.
const STEP_BYTES_MAX: usize = 1024 * 1024;
/// Changes of a tile that are remembered.
const CHANGES: usize = 4;
/// A tile that changed [`CHANGES`] times within this changes fast, in milliseconds.
const FAST_MS: i64 = 1_000;
const NEVER: Timestamp = Timestamp(i64::MIN);

/// What a workspace may not do: end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScreenError {
    /// No screen has this size.
    #[error("no screen has {width} x {height} pixels")]
    Size {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
    },
    /// The screen has no such tile, or a tile has another number of bytes.
    #[error("the screen has no tile of {bytes} bytes at column {column}, row {row}")]
    Tile {
        /// From the left, in tiles.
        column: u16,
        /// From the top, in tiles.
        row: u16,
        /// Bytes that were given.
        bytes: usize,
    },
}

/// A session's screen. Wiped when it ends.
pub struct Screen<M> {
    marker: M,
    grid: Grid,
    places: Vec<Place>,
    cursor: Cursor,
    /// For the next picture.
    hints: Vec<Move>,
    /// For the step from the last picture to this one.
    moves: Vec<Move>,
    /// Counts pictures: views of the same number show the same.
    version: u64,
    steps: VecDeque<Arc<Step>>,
}

/// One tile's place.
struct Place {
    /// As it is shown.
    shown: Arc<Tile>,
    /// Drawn since the last picture, not marked yet.
    drawn: Option<Wiped>,
    /// When it changed, the latest last.
    changes: [Timestamp; CHANGES],
}

impl Place {
    fn note_change(&mut self, now: Timestamp) {
        self.changes.rotate_left(1);
        if let Some(last) = self.changes.last_mut() {
            *last = now;
        }
    }
}

impl<M: Marker> Screen<M> {
    /// A black screen, marked.
    ///
    /// # Errors
    /// A size that no screen has.
    pub fn new(marker: M, width: u16, height: u16) -> Result<Self, ScreenError> {
        let mut screen = Self {
            marker,
            grid: Grid { width, height },
            places: Vec::new(),
            cursor: caret_none(),
            hints: Vec::new(),
            moves: Vec::new(),
            version: 0,
            steps: VecDeque::new(),
        };
        screen.resize(width, height)?;
        Ok(screen)
    }

    /// Another size: everything is black until it is drawn.
    ///
    /// # Errors
    /// A size that no screen has.
    pub fn resize(&mut self, width: u16, height: u16) -> Result<(), ScreenError> {
        let is_allowed =
            (SIDE_MIN..=WIDTH_MAX).contains(&width) && (SIDE_MIN..=HEIGHT_MAX).contains(&height);
        if !is_allowed {
            return Err(ScreenError::Size { width, height });
        }
        self.grid = Grid { width, height };
        self.places = self
            .grid
            .rects()
            .map(|at| {
                let black = Tile::black(at);
                Place {
                    shown: mark(&self.marker, at, Wiped::new(black.raw().to_vec())),
                    drawn: None,
                    changes: [NEVER; CHANGES],
                }
            })
            .collect();
        self.hints.clear();
        self.moves.clear();
        self.steps.clear();
        self.version += 1;
        self.set_cursor(caret_none());
        Ok(())
    }

    /// In pixels.
    pub fn size(&self) -> (u16, u16) {
        (self.grid.width, self.grid.height)
    }

    /// What marks it.
    pub fn marker(&self) -> &M {
        &self.marker
    }

    /// Takes a tile that the workspace drew: [`TILE_BYTES`] bytes, of which those beyond the screen's edge
    /// are not looked at. Seen from the next [`present`](Self::present) on.
    ///
    /// # Errors
    /// A tile that the screen doesn't have.
    pub fn put_tile(&mut self, column: u16, row: u16, rgba: &[u8]) -> Result<(), ScreenError> {
        let wrong = ScreenError::Tile {
            column,
            row,
            bytes: rgba.len(),
        };
        let index = self.grid.index(column, row).ok_or(wrong)?;
        let place = self.places.get_mut(index).ok_or(wrong)?;
        if rgba.len() != TILE_BYTES {
            return Err(wrong);
        }
        let mut drawn = Wiped::new(rgba.to_vec());
        clip(&mut drawn, self.grid.rect(column, row));
        place.drawn = Some(drawn);
        Ok(())
    }

    /// What the workspace says has moved. It is tried out; what is wrong costs a little time. Only the first
    /// few are looked at, and only for the next picture.
    pub fn hint_scroll(&mut self, from: Rect, dx: i16, dy: i16) {
        if self.hints.len() < HINTS_MAX {
            self.hints.push(Move { from, dx, dy });
        }
    }

    /// The pointer's shape and the caret. A caret that doesn't lie on the screen is none.
    pub fn set_cursor(&mut self, cursor: Cursor) {
        let (width, height) = self.size();
        let caret = cursor.caret.filter(|caret| caret.lies_on(width, height));
        self.cursor = Cursor { caret, ..cursor };
    }

    /// Shows what was drawn, marked with this time. True when any pixel is different from before.
    ///
    /// Call it when the workspace has a frame, not by a clock: the time that the mark shows is that of the
    /// last change, so that a screen that doesn't change says nothing.
    pub fn present(&mut self, now: Timestamp) -> bool {
        let hints = std::mem::take(&mut self.hints);
        for place in &mut self.places {
            // A workspace names a tile that it drew again as it was.
            place.drawn.take_if(|drawn| **drawn == *place.shown.raw());
        }
        let has_time = self.marker.minute().is_some();
        if has_time && self.places.iter().all(|place| place.drawn.is_none()) {
            return false;
        }
        let is_marked_anew = self.marker.set_time(now);
        for (place, at) in self.places.iter_mut().zip(self.grid.rects()) {
            let raw = match place.drawn.take() {
                Some(drawn) => {
                    place.note_change(now);
                    drawn
                }
                None if is_marked_anew => Wiped::new(place.shown.raw().to_vec()),
                None => continue,
            };
            place.shown = mark(&self.marker, at, raw);
        }
        self.moves = hints;
        self.version += 1;
        true
    }

    pub(crate) fn grid(&self) -> Grid {
        self.grid
    }

    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn tile(&self, index: usize) -> Option<&Arc<Tile>> {
        self.places.get(index).map(|place| &place.shown)
    }

    pub(crate) fn tiles(&self) -> impl Iterator<Item = &Arc<Tile>> {
        self.places.iter().map(|place| &place.shown)
    }

    /// Whether a tile changes several times a second.
    pub(crate) fn is_fast(&self, index: usize) -> bool {
        let changes = self.places.get(index).map(|place| place.changes);
        matches!(changes, Some([first, .., last]) if first != NEVER && last.ms_since(first) <= FAST_MS)
    }

    /// The step from a picture that viewers show exactly to the present one: made once for all of them.
    pub(crate) fn step_from(&mut self, version: u64, ground: &[Ground<'_>]) -> Arc<Step> {
        let is_it = |step: &&Arc<Step>| step.from == version && step.to == self.version;
        if let Some(step) = self.steps.iter().find(is_it) {
            return Arc::clone(step);
        }
        let step = Arc::new(self.step(Some(version), ground));
        if step.bytes <= STEP_BYTES_MAX {
            self.steps.truncate(STEPS_MAX - 1);
            self.steps.push_front(Arc::clone(&step));
        }
        step
    }

    /// The step from what one viewer shows.
    pub(crate) fn step(&self, version: Option<u64>, ground: &[Ground<'_>]) -> Step {
        // Hints tell of the last step only.
        let hints = match version.is_some_and(|version| version + 1 == self.version) {
            true => self.moves.as_slice(),
            false => &[],
        };
        let step = self.make_step(ground, Moves::Sought(hints));
        Step {
            from: version.unwrap_or(0),
            to: self.version,
            ..step
        }
    }

    /// The step from what one viewer shows, all of it drawn.
    pub(crate) fn step_without_moves(&self, ground: &[Ground<'_>]) -> Step {
        self.make_step(ground, Moves::None)
    }

    fn make_step(&self, ground: &[Ground<'_>], moves: Moves<'_>) -> Step {
        let places: Vec<&Arc<Tile>> = self.tiles().collect();
        Step::make(self.grid, ground, &places, moves)
    }
}

/// Marks a tile.
fn mark(marker: &impl Marker, at: Rect, raw: Wiped) -> Arc<Tile> {
    let part = Rect::of_size(at.width, at.height);
    let mut pixels = cut(&raw, part);
    marker.apply(&mut pixels, at);
    let mut marked = Wiped::new(vec![0; TILE_BYTES]);
    paste(&mut marked, part, &pixels);
    // Whatever a marker does to alpha.
    clip(&mut marked, at);
    Tile::new(raw, marked)
}
