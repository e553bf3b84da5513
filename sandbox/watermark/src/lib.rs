//! Marks on every screen: one that people read, one that only the reader finds.

mod code;
mod mark;
mod pattern;
mod read;
mod visible;
mod watermark;

pub use mark::{Mark, MarkError};
pub use read::{FALSE_POSITIVE_MAX, Hints, NotFound, Picture, Reading, read};
pub use watermark::{Rect, Watermark};
