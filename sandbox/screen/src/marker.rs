//! Who marks pixels.

use kekkai_frames::Rect;
use kekkai_types::Timestamp;
use kekkai_watermark::Watermark;

/// Marks pixels by their place on the screen. What a pixel becomes depends on its value, its place and the
/// time set, so that tiles that are marked alone fit together.
pub trait Marker {
    /// Marks a rectangle: RGBA in rows of `at.width * 4` bytes.
    fn apply(&self, rgba: &mut [u8], at: Rect);
    /// The minute that is shown, counted from 1970 (UTC).
    fn minute(&self) -> Option<i64>;
    /// Shows this time. True when everything has to be marked anew.
    #[must_use = "a changed text must be drawn everywhere"]
    fn set_time(&mut self, now: Timestamp) -> bool;
}

impl Marker for Watermark {
    fn apply(&self, rgba: &mut [u8], at: Rect) {
        let Rect {
            x,
            y,
            width,
            height,
        } = at;
        let at = kekkai_watermark::Rect {
            x,
            y,
            width,
            height,
        };
        Watermark::apply(self, rgba, at);
    }

    fn minute(&self) -> Option<i64> {
        Watermark::minute(self)
    }

    fn set_time(&mut self, now: Timestamp) -> bool {
        Watermark::set_time(self, now)
    }
}
