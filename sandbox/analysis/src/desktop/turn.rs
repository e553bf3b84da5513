//! Whose turn it is between broker and workspace: which frame may come, for which size, naming what. Pure.
//!
//! A workspace is not trusted. What it names is checked here before a byte of its pixels is read; what is
//! checked is all that the screen is told.

use std::time::{Duration, Instant};

use kekkai_frames::{Cursor, HEIGHT_MAX, Rect, SIDE_MIN, TILE, WIDTH_MAX};
use kekkai_worker_api::{Frame, SCROLLS_MAX, TILE_BYTES};

/// The bytes of the memory file: every tile of the largest screen.
pub(super) const PIXELS_BYTES: u64 = {
    let tiles = (WIDTH_MAX.div_ceil(TILE) as u64) * (HEIGHT_MAX.div_ceil(TILE) as u64);
    tiles * (TILE_BYTES as u64)
};
/// Messages of one workspace in a second: frames come one at a time, questions from a person's hand.
const MESSAGES_PER_S_MAX: u32 = 400;

/// A screen's size: width and height in pixels, pixels per point in percent.
pub(super) type Size = (u16, u16, u16);

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// To be shown. True: the screen has this size from here on.
    Shown { resized: bool },
    /// It crossed with a change of size: its pixels are not read.
    Stale,
}

/// What a workspace may send next.
#[derive(Debug)]
pub(super) struct Turn {
    is_ready: bool,
    /// The number of the last frame.
    last: u32,
    /// A frame is under way.
    is_open: bool,
    /// The size that frames have.
    size: Size,
    /// The size that was asked for and that no frame has yet.
    asked: Option<Size>,
    /// The one to be asked for next.
    wanted: Option<Size>,
    since: Instant,
    messages: u32,
}

impl Turn {
    /// Of a process that is about to begin with this size.
    pub(super) fn new(size: Size) -> Self {
        Self {
            is_ready: false,
            last: 0,
            is_open: false,
            size,
            asked: None,
            wanted: None,
            since: Instant::now(),
            messages: 0,
        }
    }

    /// The size that it was told last.
    pub(super) fn told(&self) -> Size {
        self.asked.unwrap_or(self.size)
    }

    /// Asks for another size: gives what to tell the workspace now. A second one waits for the first.
    pub(super) fn resize(&mut self, size: Size) -> Option<Size> {
        if self.asked.is_some() {
            self.wanted = Some(size);
            return None;
        }
        if size == self.size {
            return None;
        }
        self.asked = Some(size);
        Some(size)
    }

    /// Counts a message. False: one too many in its second.
    pub(super) fn admits_another(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            (self.since, self.messages) = (Instant::now(), 0);
        }
        self.messages = self.messages.saturating_add(1);
        self.messages <= MESSAGES_PER_S_MAX
    }

    /// It says that it is ready.
    pub(super) fn ready(&mut self) -> Result<(), &'static str> {
        match std::mem::replace(&mut self.is_ready, true) {
            true => Err("a second greeting"),
            false => Ok(()),
        }
    }

    /// Whether it said so.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// A frame, as it is announced.
    pub(super) fn judge(&mut self, frame: &Frame) -> Result<Judged, &'static str> {
        if !self.is_ready {
            return Err("a frame before it was ready");
        }
        if self.is_open || frame.number != self.last.wrapping_add(1) {
            return Err("a frame out of turn");
        }
        let is = |size: Size| (frame.width, frame.height) == (size.0, size.1);
        let judged = match self.asked {
            Some(asked) if is(asked) => Judged::Shown { resized: true },
            Some(_) if is(self.size) => Judged::Stale,
            None if is(self.size) => Judged::Shown { resized: false },
            _ => return Err("a frame for another size"),
        };
        check(frame)?;
        self.last = frame.number;
        self.is_open = true;
        Ok(judged)
    }

    /// The frame's pixels were read. Gives the size to be asked for next, if one waits.
    pub(super) fn taken(&mut self, judged: Judged) -> Option<Size> {
        self.is_open = false;
        if judged == (Judged::Shown { resized: true }) {
            self.size = self.asked.take().unwrap_or(self.size);
            let wanted = self.wanted.take()?;
            return self.resize(wanted);
        }
        None
    }
}

/// A size that a screen may have.
pub(super) fn is_size(size: Size) -> bool {
    (SIDE_MIN..=WIDTH_MAX).contains(&size.0)
        && (SIDE_MIN..=HEIGHT_MAX).contains(&size.1)
        && (100..=400).contains(&size.2)
}

/// Tiles of a screen: columns and rows.
pub(super) fn tiles_of(width: u16, height: u16) -> (u16, u16) {
    (width.div_ceil(TILE), height.div_ceil(TILE))
}

fn check(frame: &Frame) -> Result<(), &'static str> {
    let (columns, rows) = tiles_of(frame.width, frame.height);
    let most = usize::from(columns) * usize::from(rows);
    let is_tile = |(column, row): &(u16, u16)| *column < columns && *row < rows;
    if frame.tiles.len() > most || !frame.tiles.iter().all(is_tile) {
        return Err("tiles outside the screen");
    }
    let lies_within = |rect: &Rect| {
        rect.width > 0
            && rect.height > 0
            && u32::from(rect.x) + u32::from(rect.width) <= u32::from(frame.width)
            && u32::from(rect.y) + u32::from(rect.height) <= u32::from(frame.height)
    };
    let scrolls = &frame.scrolls;
    if scrolls.len() > SCROLLS_MAX || !scrolls.iter().all(|(from, ..)| lies_within(from)) {
        return Err("a movement outside the screen");
    }
    let Cursor { caret, .. } = &frame.cursor;
    match caret {
        Some(caret) if !lies_within(caret) => Err("a caret outside the screen"),
        _ => Ok(()),
    }
}

/// Where a tile lies in the memory file.
pub(super) fn place_of(column: u16, row: u16, columns: u16) -> u64 {
    let tile = u64::from(row) * u64::from(columns) + u64::from(column);
    tile.saturating_mul(u64::try_from(TILE_BYTES).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_frames::caret_none;

    const SIZE: Size = (1280, 800, 100);

    fn ready() -> Turn {
        let mut turn = Turn::new(SIZE);
        turn.ready().unwrap();
        turn
    }

    fn frame(number: u32, (width, height, _): Size) -> Frame {
        Frame {
            number,
            width,
            height,
            scrolls: Vec::new(),
            tiles: vec![(0, 0)],
            cursor: caret_none(),
        }
    }

    const SHOWN: Judged = Judged::Shown { resized: false };

    #[test]
    fn frames_come_one_at_a_time_and_in_order() {
        let mut turn = Turn::new(SIZE);
        assert!(turn.judge(&frame(1, SIZE)).is_err());
        let mut turn = ready();
        assert!(turn.ready().is_err());
        let mut turn2 = ready();
        assert!(turn2.judge(&frame(2, SIZE)).is_err());
        assert_eq!(turn.judge(&frame(1, SIZE)), Ok(SHOWN));
        assert!(turn.judge(&frame(2, SIZE)).is_err());
        turn.taken(SHOWN);
        assert_eq!(turn.judge(&frame(2, SIZE)), Ok(SHOWN));
    }

    #[test]
    fn frame_that_crossed_with_a_new_size_is_not_read_and_no_other_size_is_taken() {
        let (one, two, three) = ((640, 480, 100), (800, 600, 100), (900, 700, 200));
        let mut turn = ready();
        assert_eq!(turn.resize(one), Some(one));
        // Latest wins: only the last of those that wait is asked for.
        assert_eq!(turn.resize(two), None);
        assert_eq!(turn.resize(three), None);
        assert_eq!(turn.judge(&frame(1, SIZE)), Ok(Judged::Stale));
        assert_eq!(turn.taken(Judged::Stale), None);
        let mut other = frame(2, two);
        assert!(turn.judge(&other).is_err());
        other = frame(2, one);
        let resized = Judged::Shown { resized: true };
        assert_eq!(turn.judge(&other), Ok(resized));
        assert_eq!(turn.taken(resized), Some(three));
        assert!(turn.judge(&frame(3, SIZE)).is_err());
        assert_eq!(turn.judge(&frame(3, three)), Ok(resized));
        assert_eq!(turn.taken(resized), None);
        assert_eq!(turn.resize(three), None);
    }

    #[test]
    fn nothing_outside_the_screen_is_named() {
        let wrong: [fn(&mut Frame); 7] = [
            |frame| frame.tiles.push((20, 0)),
            |frame| frame.tiles.push((0, 13)),
            |frame| frame.tiles.push((u16::MAX, u16::MAX)),
            |frame| frame.tiles = vec![(0, 0); 20 * 13 + 1],
            |frame| {
                let from = rect(0, 0, 1281, 1);
                frame.scrolls.push((from, 0, 1));
            },
            |frame| frame.scrolls = vec![(rect(0, 0, 1, 1), 1, 1); SCROLLS_MAX + 1],
            |frame| frame.cursor.caret = Some(rect(1279, 0, 2, 10)),
        ];
        for (at, change) in wrong.into_iter().enumerate() {
            let mut frame = frame(1, SIZE);
            change(&mut frame);
            assert!(ready().judge(&frame).is_err(), "{at}");
        }
        let mut empty = frame(1, SIZE);
        empty.cursor.caret = Some(rect(5, 5, 0, 0));
        assert!(ready().judge(&empty).is_err());
    }

    fn rect(x: u16, y: u16, width: u16, height: u16) -> Rect {
        Rect {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn last_tile_of_the_largest_screen_lies_within_the_memory() {
        let (columns, rows) = tiles_of(WIDTH_MAX, HEIGHT_MAX);
        let last = place_of(columns - 1, rows - 1, columns);
        assert_eq!(last + u64::try_from(TILE_BYTES).unwrap(), PIXELS_BYTES);
        assert!(PIXELS_BYTES <= kekkai_sys::ProcessKind::Desktop.file_bytes_max());
    }

    #[test]
    fn flood_of_messages_is_noticed() {
        let mut turn = ready();
        let admitted = (0..10_000).filter(|_| turn.admits_another()).count();
        // A slow machine may count in two seconds.
        assert!(admitted < 10_000);
        assert!(admitted >= usize::try_from(MESSAGES_PER_S_MAX).unwrap());
    }
}
